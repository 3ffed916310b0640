//! The network and the counts answer together.
//!
//! Counting has several ways to answer. Their probabilities are added up by shares that depend on the history (a mixture of
//! experts); the result is multiplied with the network's probabilities, each to a power of its own (a product of experts, Hinton
//! 2002), because a sum would let the surer of the two decide about the first places alone.

use super::counts::{Counts, Past, WAYS};
use super::softmax;
use serde::{Deserialize, Serialize};

/// The ways to count.
const PARTS: usize = WAYS;
/// What the shares depend on: see [`cues`].
const CUES: usize = 7;
/// Steps of the search for the shares, and its rate.
const ROUNDS: usize = 300;
const RATE: f64 = 0.05;
/// The cues' squared weights count so much beside the mean loss, times 1 / answers.
const PENALTY: f64 = 5.0;
/// Steps back in which repeats are looked for.
const REPEATS: usize = 16;
/// No probability is less: its logarithm must be a number.
const LEAST: f32 = 1e-12;

/// Shares that depend on the history (Jacobs et al. 1991): by how much is known of what follows its last item, and whether it
/// repeats itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mixture {
    /// `[cues]` of each part: the shares are the softmax of their products with the cues.
    weights: Vec<[f64; CUES]>,
    /// Of the network's probabilities, and of those of counting.
    pub(super) exponents: [f32; 2],
    pub(super) counts: Counts,
}

/// An answer that is known: what the shares depend on, and the probability that each part gave it.
#[derive(Debug, Clone)]
pub(super) struct Given {
    cues: [f64; CUES],
    parts: [f32; PARTS],
}

/// What is known of an answer: `best` is the probability that the network gave its best class.
pub(super) fn given(best: f32, counts: &Counts, past: Past<'_>, class: usize) -> Given {
    Given {
        cues: cues(best, counts, past),
        parts: counts.of(past, class),
    }
}

/// All are between -1 and about 2.
fn cues(best: f32, counts: &Counts, past: Past<'_>) -> [f64; CUES] {
    let few = past.len().min(REPEATS);
    let recent = &past[past.len() - few..];
    let repeats = recent.iter().enumerate();
    let repeats = repeats.filter(|(at, code)| **code > 0 && recent[..*at].contains(code));
    let (evidence, peak) = counts.followers_of_last(past);
    let stays = recent.len() > 1 && recent[few - 1] == recent[few - 2];
    [
        1.0,
        (past.len() as f64).ln_1p() / 3.0,
        f64::from(evidence).ln_1p() / 3.0,
        f64::from(peak),
        repeats.count() as f64 / few.max(1) as f64,
        f64::from(u8::from(stays)),
        f64::from(best.max(1e-6)).ln() / 5.0,
    ]
}

/// Scores from a network's and what counting answers.
pub(super) fn join(scores: &mut [f32], counted: &[f32], [own, others]: [f32; 2]) {
    for (score, p) in scores.iter_mut().zip(counted) {
        *score = own * *score + others * p.max(LEAST).ln();
    }
}

impl Mixture {
    /// The shares that make the known answers most probable: first the same for all by expectation and maximisation (Dempster
    /// et al. 1977), then by the cues, by gradient descent.
    pub(super) fn fit(counts: Counts, answers: &[Given]) -> Mixture {
        let shares = even(answers);
        let mut weights = vec![[0.0; CUES]; PARTS];
        for (own, share) in weights.iter_mut().zip(shares) {
            own[0] = share.max(1e-4).ln();
        }
        let penalty = PENALTY / answers.len().max(1) as f64;
        let (mut first, mut second) = (weights.clone(), weights.clone());
        first.iter_mut().for_each(|w| w.fill(0.0));
        second.iter_mut().for_each(|w| w.fill(0.0));
        for round in 1..=ROUNDS {
            let gradient = gradient(&weights, answers, penalty);
            // Adam (Kingma and Ba 2015).
            let rest = |beta: f64| 1.0 - beta.powi(round as i32);
            for part in 0..PARTS {
                for cue in 0..CUES {
                    let g = gradient[part][cue];
                    let (m, v) = (&mut first[part][cue], &mut second[part][cue]);
                    *m += 0.1 * (g - *m);
                    *v += 0.001 * (g * g - *v);
                    let step = (*m / rest(0.9)) / ((*v / rest(0.999)).sqrt() + 1e-8);
                    weights[part][cue] -= RATE * step;
                }
            }
        }
        Mixture {
            weights,
            exponents: [1.0, 0.0],
            counts,
        }
    }

    /// The same shares with other counts.
    pub(super) fn recounted(&self, counts: Counts) -> Mixture {
        Mixture {
            weights: self.weights.clone(),
            exponents: self.exponents,
            counts,
        }
    }

    /// What counting alone answers, given the probability of the network's best class.
    pub(super) fn count(&self, past: Past<'_>, best: f32, out: &mut [f32]) {
        let cues = cues(best, &self.counts, past);
        let shares = shares(&self.weights, &cues).map(|s| s as f32);
        out.fill(0.0);
        self.counts.add(past, &shares, out);
    }

    /// Turns a network's scores into the logarithms of the mixture's probabilities, but for what all have in common;
    /// `counted` is room for as many.
    pub(super) fn mix(&self, past: Past<'_>, scores: &mut [f32], counted: &mut [f32]) {
        let best = softmax::best(scores);
        self.count(past, best, counted);
        join(scores, counted, self.exponents);
    }

    pub(super) fn is_sound(&self) -> bool {
        let fine = |own: &[f64; CUES]| own.iter().all(|w| w.is_finite() && w.abs() < 1e6);
        self.weights.len() == PARTS && self.weights.iter().all(fine) && self.counts.is_sound()
    }
}

/// The shares of the parts; they add up to 1.
fn shares(weights: &[[f64; CUES]], cues: &[f64; CUES]) -> [f64; PARTS] {
    let mut out = [f64::NEG_INFINITY; PARTS];
    for (out, own) in out.iter_mut().zip(weights) {
        *out = own.iter().zip(cues).map(|(w, c)| w * c).sum();
    }
    let most = out.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for out in &mut out {
        *out = (*out - most).exp();
        sum += *out;
    }
    out.map(|x| x / sum)
}

/// Of the mean of -ln of the answers' probabilities, and the penalty.
fn gradient(weights: &[[f64; CUES]], answers: &[Given], penalty: f64) -> Vec<[f64; CUES]> {
    let mut out = vec![[0.0; CUES]; PARTS];
    let scale = 1.0 / answers.len().max(1) as f64;
    for Given { cues, parts } in answers {
        let shares = shares(weights, cues);
        let joint: [f64; PARTS] = std::array::from_fn(|i| shares[i] * f64::from(parts[i]));
        let all: f64 = joint.iter().sum();
        if all > 0.0 {
            for part in 0..PARTS {
                let d = scale * (shares[part] - joint[part] / all);
                out[part]
                    .iter_mut()
                    .zip(cues)
                    .for_each(|(g, c)| *g += d * c);
            }
        }
    }
    for (own, weights) in out.iter_mut().zip(weights) {
        for (g, w) in own.iter_mut().zip(weights).skip(1) {
            *g += penalty * w;
        }
    }
    out
}

/// The same shares for all answers.
fn even(answers: &[Given]) -> [f64; PARTS] {
    let mut shares = [1.0 / PARTS as f64; PARTS];
    for _ in 0..50 {
        // As if each part had been right once more.
        let mut sums = [1.0; PARTS];
        for given in answers {
            let joint: [f64; PARTS] =
                std::array::from_fn(|i| shares[i] * f64::from(given.parts[i]));
            let all: f64 = joint.iter().sum();
            if all > 0.0 {
                sums.iter_mut().zip(joint).for_each(|(s, j)| *s += j / all);
            }
        }
        let total: f64 = sums.iter().sum();
        shares = sums.map(|s| s / total);
    }
    shares
}
