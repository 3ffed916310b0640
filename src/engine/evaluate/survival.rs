//! Scores of times until an event, of which some are not known to the end.

use super::{
    Baseline, Evaluation,
    bootstrap::{Name, Resampling, Scores, summarise},
};
use crate::survival::{Curve, step_at};

/// The headline.
pub(super) const CONCORDANCE: &str = "concordance_index";
/// Smaller shares of rows that are still seen would let single rows count for very many.
const LEAST_SEEN: f64 = 0.05;

struct Survival {
    /// By falling time, of one time the ends that were not seen first; each with its answer's rank and the row.
    order: Vec<Entry>,
    /// How many different answers there are.
    ranks: usize,
    /// Of each row: the weighted squared error of its curve, averaged over the time.
    brier: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Entry {
    row: usize,
    rank: usize,
    event: bool,
    /// The last row of its time with the same kind of end.
    last: bool,
}

/// What evaluating needs to know from training.
pub(super) struct Known<'a> {
    pub(super) ends: &'a [f64],
    /// Falling steps: the share of rows that are still seen.
    pub(super) seen: &'a [(f64, f64)],
}

impl Survival {
    /// `hazards(row)` has a value for each of the intervals.
    fn new<'h>(
        times: &[f64],
        events: &[bool],
        known: &Known<'_>,
        hazards: impl Fn(usize) -> &'h [f64],
    ) -> Survival {
        let curve = |row: usize| Curve {
            ends: known.ends,
            hazards: hazards(row),
        };
        let answers: Vec<f64> = (0..times.len())
            .map(|row| curve(row).restricted_mean())
            .collect();
        let mut sorted = answers.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.dedup();
        let mut rows: Vec<usize> = (0..times.len()).collect();
        rows.sort_by(|a, b| {
            let by_time = times[*b].total_cmp(&times[*a]);
            by_time.then(events[*a].cmp(&events[*b]))
        });
        let order = rows.iter().enumerate().map(|(at, &row)| Entry {
            row,
            rank: sorted.partition_point(|a| *a < answers[row]),
            event: events[row],
            last: rows
                .get(at + 1)
                .is_none_or(|&next| times[next] != times[row] || events[next] != events[row]),
        });
        let brier = (0..times.len()).map(|row| brier(&curve(row), times[row], events[row], known));
        Survival {
            order: order.collect(),
            ranks: sorted.len(),
            brier: brier.collect(),
        }
    }

    /// Harrell's: of the pairs of which it is known whose event came first, the share that the answers order so; equal answers
    /// count half (Harrell et al. 1982; `concordance_index_censored` of scikit-survival).
    fn concordance(&self, weights: &[u8]) -> f64 {
        // How many rows with a later end have an answer of each rank, as a binary indexed tree (Fenwick 1994).
        let mut tree = vec![0u64; self.ranks + 1];
        let (mut later, mut pairs, mut ordered) = (0u64, 0u64, 0u64);
        let sum = |tree: &[u64], mut upto: usize| {
            let mut sum = 0;
            while upto > 0 {
                sum += tree[upto];
                upto &= upto - 1;
            }
            sum
        };
        let mut start = 0;
        for end in 0..self.order.len() {
            if !self.order[end].last {
                continue;
            }
            let same = &self.order[start..=end];
            start = end + 1;
            for entry in same.iter().filter(|entry| entry.event) {
                let weight = u64::from(weights[entry.row]);
                if weight == 0 {
                    continue;
                }
                let (below, upto) = (sum(&tree, entry.rank), sum(&tree, entry.rank + 1));
                pairs += weight * later;
                // Twice: the equal ones count half.
                ordered += weight * (2 * (later - upto) + (upto - below));
            }
            for entry in same {
                let weight = u64::from(weights[entry.row]);
                later += weight;
                let mut at = entry.rank + 1;
                while at < tree.len() {
                    tree[at] += weight;
                    at += at & at.wrapping_neg();
                }
            }
        }
        ordered as f64 / (2 * pairs) as f64
    }
}

/// The squared error of a curve against what is known of the row, each time weighted by the inverse share of rows still seen,
/// averaged over the time by trapezes (Graf et al. 1999).
fn brier(curve: &Curve<'_>, time: f64, event: bool, known: &Known<'_>) -> f64 {
    let at = |t: f64| {
        let survival = curve.at(t).map_or(0.0, |p| p.survival);
        if time > t {
            (1.0 - survival).powi(2) / step_at(known.seen, t, false).max(LEAST_SEEN)
        } else if event {
            survival.powi(2) / step_at(known.seen, time, true).max(LEAST_SEEN)
        } else {
            0.0
        }
    };
    let (mut from, mut value, mut area) = (0.0, at(0.0), 0.0);
    for &end in curve.ends {
        let next = at(end);
        area += (end - from) * (value + next) / 2.0;
        (from, value) = (end, next);
    }
    area / from.max(f64::MIN_POSITIVE)
}

impl Scores for Survival {
    fn rows(&self) -> usize {
        self.order.len()
    }
    fn visits(&self) -> usize {
        let deep = usize::BITS - self.ranks.leading_zeros();
        self.order.len() * 3 * deep as usize
    }
    fn names(&self) -> Vec<Name> {
        [CONCORDANCE, "integrated_brier_score"]
            .map(|name| (name, None))
            .to_vec()
    }
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let (mut n, mut brier) = (0.0, 0.0);
        for (score, &w) in self.brier.iter().zip(weights) {
            n += f64::from(w);
            brier += f64::from(w) * score;
        }
        vec![self.concordance(weights), brier / n]
    }
}

pub(super) fn evaluate(
    times: &[f64],
    events: &[bool],
    predictions: &[f64],
    draws: Resampling<'_>,
    out: &mut Evaluation,
) {
    let Baseline::Survival {
        ends,
        hazards,
        seen,
    } = out.baseline.clone()
    else {
        return;
    };
    let width = ends.len();
    if width == 0 || hazards.len() != width {
        return;
    }
    let usable = |row: &usize| {
        let own = predictions.get(row * width..(row + 1) * width);
        times[*row].is_finite() && own.is_some_and(|p| p.iter().all(|p| p.is_finite()))
    };
    let rows: Vec<usize> = (0..times.len().min(events.len())).filter(usable).collect();
    out.rows = rows.len() as u64;
    if rows.is_empty() {
        return;
    }
    let times: Vec<f64> = rows.iter().map(|row| times[*row]).collect();
    let events: Vec<bool> = rows.iter().map(|row| events[*row]).collect();
    let known = Known {
        ends: &ends,
        seen: &seen,
    };
    let scores = Survival::new(&times, &events, &known, |i| {
        &predictions[rows[i] * width..(rows[i] + 1) * width]
    });
    let baseline = Survival::new(&times, &events, &known, |_| &hazards[..]);
    out.metrics = summarise(&scores, Some(&baseline), &[], draws);
}
