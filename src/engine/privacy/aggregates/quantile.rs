//! Quantiles by permute-and-flip (McKenna and Sheldon, "Permute-and-Flip: A new mechanism for differentially private selection",
//! 2020): candidates in a random order, each taken with a probability that falls with how far its rank is off.

use crate::privacy::noise::Noise;

/// Candidates between the bounds.
const CANDIDATES: f64 = 1024.0;
/// Epsilon is rounded down to a multiple of this.
const GRAIN: f64 = 1_048_576.0;

/// Every whole number between the bounds, or evenly spread ones where these are too many.
pub fn candidates(low: f64, high: f64, whole: bool) -> Vec<f64> {
    if whole && high - low <= CANDIDATES {
        let (low, high) = (low.ceil() as i64, high.floor() as i64);
        if low <= high {
            return (low..=high).map(|x| x as f64).collect();
        }
    }
    let spread = |i: f64| low + (high - low) * i / CANDIDATES;
    (0..=CANDIDATES as u32)
        .map(|i| spread(f64::from(i)))
        .collect()
}

pub struct Question {
    pub thousandths: u32,
    pub epsilon: f64,
    pub rows_per_unit: usize,
}

impl Question {
    /// One of the candidates; `values` are sorted and within the bounds.
    pub fn choose(&self, values: &[f64], candidates: &[f64], noise: &mut Noise) -> f64 {
        let wanted = u128::from(self.thousandths);
        let all = values.len() as u128;
        // By how many ranks, in thousandths, the quantile is not at a candidate.
        let off = |candidate: &f64| {
            let below = values.partition_point(|x| x < candidate) as u128;
            let above = all - values.partition_point(|x| x <= candidate) as u128;
            let low = (1000 * below).saturating_sub(wanted * all);
            low.max((1000 * above).saturating_sub((1000 - wanted) * all))
        };
        let off: Vec<u128> = candidates.iter().map(off).collect();
        let best = off.iter().copied().min().unwrap_or(0);
        // A row more or less moves a score by the larger part of a rank.
        let moves = wanted.max(1000 - wanted) * self.rows_per_unit as u128;
        let epsilon = (self.epsilon * GRAIN).floor().max(1.0) as u128;
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        let last = order.len() - 1;
        for at in 0..last {
            order.swap(at, at + noise.below(last - at + 1));
        }
        let accepted = order
            .into_iter()
            .find(|at| noise.decays((off[*at] - best) * epsilon, 2 * moves * GRAIN as u128));
        // The best is always accepted.
        candidates[accepted.unwrap_or(0)]
    }
}
