//! The network and the counts answer together.

use super::counts::{Counts, Past, WAYS};
use serde::{Deserialize, Serialize};

/// The network and each way to count.
const PARTS: usize = WAYS + 1;
/// Histories of at least so many steps have shares of their own.
const LENGTHS: [usize; 6] = [0, 2, 4, 8, 16, 64];
/// What the shares of all histories count, in answers, beside those of histories of a length.
const PRIOR: f64 = 30.0;
const ROUNDS: usize = 200;

/// A mixture whose shares depend on how long the history is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mixture {
    /// By [`LENGTHS`]: of the network, then of each way. They add up to 1.
    shares: Vec<[f32; PARTS]>,
    pub(super) counts: Counts,
}

/// An answer that is known: the history's length and what each part gave it.
pub(super) type Given = (usize, [f32; PARTS]);

/// Probabilities of a class, by the network and by each way.
pub(super) fn given(network: f32, counts: &Counts, past: Past<'_>, class: usize) -> Given {
    let mut all = [network; PARTS];
    all[1..].copy_from_slice(&counts.of(past, class));
    (past.len(), all)
}

fn bucket(len: usize) -> usize {
    LENGTHS.partition_point(|least| *least <= len) - 1
}

impl Mixture {
    /// The shares that make the known answers most probable, by expectation and maximisation (Dempster et al. 1977).
    pub(super) fn fit(counts: Counts, answers: &[Given]) -> Mixture {
        let even = [1.0 / PARTS as f64; PARTS];
        let all = maximise(answers.iter().map(|(_, p)| p), &even, 1.0);
        let shares = (0..LENGTHS.len()).map(|at| {
            let own = answers.iter().filter(|(len, _)| bucket(*len) == at);
            let shares = maximise(own.map(|(_, p)| p), &all, PRIOR);
            shares.map(|s| s as f32)
        });
        Mixture {
            shares: shares.collect(),
            counts,
        }
    }

    /// The same shares with other counts.
    pub(super) fn recounted(&self, counts: Counts) -> Mixture {
        Mixture {
            shares: self.shares.clone(),
            counts,
        }
    }

    /// Turns a network's probabilities into the mixture's.
    pub(super) fn mix(&self, past: Past<'_>, probabilities: &mut [f32]) {
        let shares = &self.shares[bucket(past.len())];
        probabilities.iter_mut().for_each(|p| *p *= shares[0]);
        let mut ways = [0.0; WAYS];
        ways.copy_from_slice(&shares[1..]);
        self.counts.add(past, &ways, probabilities);
    }

    /// The network's share, for short and for long histories.
    pub(super) fn network_shares(&self) -> Vec<f32> {
        self.shares.iter().map(|s| s[0]).collect()
    }

    pub(super) fn is_sound(&self) -> bool {
        let whole = |shares: &[f32; PARTS]| {
            shares.iter().all(|s| (0.0..=1.0).contains(s))
                && (shares.iter().sum::<f32>() - 1.0).abs() < 1e-3
        };
        self.shares.len() == LENGTHS.len()
            && self.shares.iter().all(whole)
            && self.counts.is_sound()
    }
}

fn maximise<'a>(
    answers: impl Iterator<Item = &'a [f32; PARTS]> + Clone,
    prior: &[f64; PARTS],
    weight: f64,
) -> [f64; PARTS] {
    let mut shares = *prior;
    for _ in 0..ROUNDS {
        let mut sums = prior.map(|p| p * weight);
        for p in answers.clone() {
            let joint: [f64; PARTS] = std::array::from_fn(|i| shares[i] * f64::from(p[i]));
            let all: f64 = joint.iter().sum();
            if all > 0.0 {
                sums.iter_mut().zip(joint).for_each(|(s, j)| *s += j / all);
            }
        }
        let total: f64 = sums.iter().sum();
        let next = sums.map(|s| s / total);
        let change = shares.iter().zip(&next).map(|(a, b)| (a - b).abs());
        let settled = change.fold(0.0, f64::max) < 1e-6;
        shares = next;
        if settled {
            break;
        }
    }
    shares
}
