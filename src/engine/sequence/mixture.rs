//! The network and counting answer together, as a product of experts (Hinton 2002): the logarithm of an item's probability is, but
//! for what all items have in common, a weighted sum of the network's score, the logarithms of its popularity, and by each way of
//! counting the logarithm of how much likelier the history makes it than its popularity does. A sum of probabilities instead
//! would let the surer of them decide about the first places alone.

use super::counts::{Counts, LIFTS, Past, Room};
use crate::random::Random;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The network's score, the logarithms of popularity and of recent popularity, and the lifts.
const PARTS: usize = 3 + LIFTS;
/// What the weights depend on: see [`cues`].
const CUES: usize = 6;
/// The weights before there is anything to learn from.
const START: [f64; PARTS] = [0.4, 0.3, 0.1, 0.3, 0.3, 0.3, 0.3, 0.2, 0.0, 0.0, 0.0];
/// Steps of the search for the weights, and its rate.
const ROUNDS: usize = 200;
const RATE: f64 = 0.02;
/// What the squared distance of the weights from the start counts beside the mean loss, times 1 / answers.
const PENALTY: f64 = 3.0;
/// Steps back in which repeats are looked for.
const REPEATS: usize = 16;
/// Answers that one thread takes at a time.
const CHUNK: usize = 64;
/// Items that a true one is to be told from: the most lifted by each way, and of those drawn at random.
const LIFTED: usize = 25;
const OTHERS: usize = 60;

/// Weights that depend on the history: on how much is known of what follows its last item, and whether it repeats itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mixture {
    /// `[cues]` of each part; a part's weight is their product with the cues.
    weights: Vec<[f64; CUES]>,
    /// Of all weights.
    pub(super) scale: f32,
    pub(super) counts: Counts,
}

/// An answer that is known: what the weights depend on, and the parts of some items, the true one first, with the logarithm of
/// how many items each stands for.
pub(super) struct Given {
    cues: [f64; CUES],
    items: Vec<([f32; PARTS], f32)>,
}

/// Room to put answers together in.
pub(super) struct Workplace {
    room: Room,
    /// Where an item stands among the candidates.
    place: Vec<u32>,
}

/// Stands for an item that is no candidate.
const NONE: u32 = u32::MAX;

impl Workplace {
    pub(super) fn new(classes: usize) -> Workplace {
        Workplace {
            room: Room::new(classes),
            place: vec![NONE; classes],
        }
    }

    /// What is known of an answer; `candidates` are items that the network thinks much of.
    pub(super) fn given(
        &mut self,
        counts: &Counts,
        past: Past<'_>,
        scores: &[f32],
        class: usize,
        candidates: &[usize],
        random: &mut Random,
    ) -> Given {
        let mut chosen = vec![(class, 0.0)];
        self.place[class] = 0;
        let choose = |chosen: &mut Vec<_>, place: &mut Vec<u32>, item: usize, weight: f32| {
            if place[item] == NONE {
                place[item] = chosen.len() as u32;
                chosen.push((item, weight));
            }
        };
        for &item in candidates {
            choose(&mut chosen, &mut self.place, item, 0.0);
        }
        let mut lifted = Vec::new();
        counts.lifts(past, &mut self.room, |way, item, lift| {
            lifted.push((way, item, lift));
        });
        // The most lifted by each way, ...
        let mut order: Vec<usize> = (0..lifted.len()).collect();
        order.sort_by(|a, b| {
            let of = |at: usize| lifted[at].2 + counts.log_popularity(lifted[at].1);
            let by_way = lifted[*a].0.cmp(&lifted[*b].0);
            by_way.then(of(*b).total_cmp(&of(*a))).then(a.cmp(b))
        });
        for own in order.chunk_by(|a, b| lifted[*a].0 == lifted[*b].0) {
            for at in own.iter().take(LIFTED) {
                choose(&mut chosen, &mut self.place, lifted[*at].1, 0.0);
            }
        }
        // ... and some of the others, which stand for all of these.
        let mut others: Vec<usize> = lifted.iter().map(|(_, item, _)| *item).collect();
        others.sort_unstable();
        others.dedup();
        others.retain(|item| self.place[*item] == NONE);
        random.shuffle(&mut others);
        let few = others.len().min(OTHERS);
        let weight = (others.len() as f32 / few.max(1) as f32).ln();
        for item in &others[..few] {
            choose(&mut chosen, &mut self.place, *item, weight);
        }
        let left = self.place.len() - chosen.len() - (others.len() - few);
        let weight = (left as f32 / OTHERS as f32).max(1.0).ln();
        others.drain(..few);
        others.sort_unstable();
        for _ in 0..OTHERS {
            let item = random.below(self.place.len());
            if others.binary_search(&item).is_err() {
                choose(&mut chosen, &mut self.place, item, weight);
            }
        }
        let parts = |(item, weight): &(usize, f32)| {
            let mut parts = [0.0; PARTS];
            parts[0] = scores[*item];
            parts[1] = counts.log_popularity(*item);
            parts[2] = counts.log_recent(*item);
            (parts, *weight)
        };
        let mut items: Vec<([f32; PARTS], f32)> = chosen.iter().map(parts).collect();
        for (way, item, lift) in lifted {
            if let Some((parts, _)) = items.get_mut(self.place[item] as usize) {
                parts[3 + way] = lift;
            }
        }
        chosen.iter().for_each(|(item, _)| self.place[*item] = NONE);
        Given {
            cues: cues(counts, past),
            items,
        }
    }
}

/// All are between 0 and about 2.
fn cues(counts: &Counts, past: Past<'_>) -> [f64; CUES] {
    let few = past.len().min(REPEATS);
    let recent = &past[past.len() - few..];
    let repeats = recent.iter().enumerate();
    let repeats = repeats.filter(|(at, code)| **code > 0 && recent[..*at].contains(code));
    let (evidence, peak) = counts.followers_of_last(past);
    let stays = few > 1 && recent[few - 1] == recent[few - 2];
    [
        1.0,
        (past.len() as f64).ln_1p() / 3.0,
        f64::from(evidence).ln_1p() / 3.0,
        f64::from(peak),
        repeats.count() as f64 / few.max(1) as f64,
        f64::from(u8::from(stays)),
    ]
}

/// The weights of the parts.
fn weighted(weights: &[[f64; CUES]], cues: &[f64; CUES]) -> [f64; PARTS] {
    let mut out = [0.0; PARTS];
    for (out, own) in out.iter_mut().zip(weights) {
        *out = own.iter().zip(cues).map(|(w, c)| w * c).sum();
    }
    out
}

impl Mixture {
    /// The weights that tell the true items best from the candidates beside them (a conditional logit, McFadden 1974), by
    /// gradient descent.
    pub(super) fn fit(counts: Counts, answers: &[Given]) -> Mixture {
        let start = |part: usize| {
            let mut own = [0.0; CUES];
            own[0] = START[part];
            own
        };
        let start: Vec<[f64; CUES]> = (0..PARTS).map(start).collect();
        let mut weights = start.clone();
        let penalty = PENALTY / answers.len().max(1) as f64;
        let mut moments = vec![[[0.0; 2]; CUES]; PARTS];
        for round in 1..=ROUNDS {
            let gradient = gradient(&weights, answers);
            // Adam (Kingma and Ba 2015).
            let rest = |beta: f64| 1.0 - beta.powi(round as i32);
            for part in 0..PARTS {
                for cue in 0..CUES {
                    let away = weights[part][cue] - start[part][cue];
                    let g = gradient[part][cue] + penalty * away;
                    let [m, v] = &mut moments[part][cue];
                    *m += 0.1 * (g - *m);
                    *v += 0.001 * (g * g - *v);
                    let step = (*m / rest(0.9)) / ((*v / rest(0.999)).sqrt() + 1e-8);
                    weights[part][cue] -= RATE * step;
                }
            }
        }
        Mixture {
            weights,
            scale: 1.0,
            counts,
        }
    }

    /// The same weights with other counts.
    pub(super) fn recounted(&self, counts: Counts) -> Mixture {
        Mixture {
            weights: self.weights.clone(),
            scale: self.scale,
            counts,
        }
    }

    /// Turns a network's scores into the logarithms of the mixture's probabilities, but for what all have in common.
    pub(super) fn mix(&self, past: Past<'_>, scores: &mut [f32], room: &mut Room) {
        let weights = weighted(&self.weights, &cues(&self.counts, past));
        let weights = weights.map(|w| w as f32 * self.scale);
        self.counts
            .weigh([weights[0], weights[1], weights[2]], scores);
        self.counts.lifts(past, room, |way, item, lift| {
            scores[item] += weights[3 + way] * lift
        });
    }

    /// Whether it was fitted by a build that mixes as this one does.
    pub(super) fn is_current(&self) -> bool {
        self.weights.len() == PARTS
    }

    pub(super) fn is_sound(&self) -> bool {
        let fine = |own: &[f64; CUES]| own.iter().all(|w| w.is_finite() && w.abs() < 1e6);
        self.weights.len() == PARTS
            && self.weights.iter().all(fine)
            && (0.0..1e3).contains(&self.scale)
            && self.counts.is_sound()
    }
}

/// Of the mean of -ln of the true items' shares among the candidates.
fn gradient(weights: &[[f64; CUES]], answers: &[Given]) -> Vec<[f64; CUES]> {
    let of_chunk = |answers: &[Given]| {
        let mut out = [[0.0; CUES]; PARTS];
        let mut shares = Vec::new();
        for Given { cues, items } in answers {
            let weights = weighted(weights, cues);
            let score = |(parts, stands_for): &([f32; PARTS], f32)| -> f64 {
                let products = parts.iter().zip(weights).map(|(p, w)| f64::from(*p) * w);
                f64::from(*stands_for) + products.sum::<f64>()
            };
            shares.clear();
            shares.extend(items.iter().map(score));
            let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            shares.iter_mut().for_each(|s| *s = (*s - most).exp());
            let sum: f64 = shares.iter().sum();
            let mut expected = [0.0; PARTS];
            for (share, (parts, _)) in shares.iter().zip(items) {
                for (e, p) in expected.iter_mut().zip(parts) {
                    *e += share / sum * f64::from(*p);
                }
            }
            let Some((truth, _)) = items.first() else {
                continue;
            };
            for (part, own) in out.iter_mut().enumerate() {
                let d = expected[part] - f64::from(truth[part]);
                own.iter_mut().zip(cues).for_each(|(g, c)| *g += d * c);
            }
        }
        out
    };
    let chunks: Vec<_> = answers.par_chunks(CHUNK).map(of_chunk).collect();
    let scale = 1.0 / answers.len().max(1) as f64;
    let mut out = vec![[0.0; CUES]; PARTS];
    for chunk in chunks {
        for (own, part) in out.iter_mut().zip(chunk) {
            own.iter_mut().zip(part).for_each(|(g, c)| *g += scale * c);
        }
    }
    out
}
