//! How much one column tells about another: mutual information with its permutation p-value, and how well the one predicts
//! the other on rows that were not used to find out.

use super::bins::Bins;
use crate::random::Random;

/// Permutations of the target: the smallest p-value is 1 / 200.
const PERMUTATIONS: usize = 199;

/// Counts of each pair of bins, row-major `[x.count][y.count]`.
fn table(x: &[u16], y: &[u16], columns: usize, size: usize) -> Vec<u32> {
    let mut counts = vec![0u32; size];
    for (&x, &y) in x.iter().zip(y) {
        counts[usize::from(x) * columns + usize::from(y)] += 1;
    }
    counts
}

/// Σ p(x, y) ln(p(x, y) / (p(x) p(y))), in nats, from counts (the plug-in estimate).
fn information(counts: &[u32], columns: usize) -> f64 {
    let total = counts.iter().map(|c| f64::from(*c)).sum::<f64>();
    let by_row: Vec<f64> = counts
        .chunks(columns)
        .map(|row| row.iter().map(|c| f64::from(*c)).sum())
        .collect();
    let by_column: Vec<f64> = (0..columns)
        .map(|c| {
            counts
                .iter()
                .skip(c)
                .step_by(columns)
                .map(|n| f64::from(*n))
                .sum()
        })
        .collect();
    let mut sum = 0.0;
    for (row, &across) in counts.chunks(columns).zip(&by_row) {
        for (&count, &down) in row.iter().zip(&by_column) {
            if count > 0 {
                let count = f64::from(count);
                sum += count / total * (count * total / (across * down)).ln();
            }
        }
    }
    sum.max(0.0)
}

/// Mutual information of two columns, in nats.
pub fn mutual_information(x: &Bins, y: &Bins) -> f64 {
    information(
        &table(&x.codes, &y.codes, y.count, x.count * y.count),
        y.count,
    )
}

/// Targets in random orders, shared by all columns that are tested against the same target.
pub struct Permutations {
    orders: Vec<Vec<u16>>,
    count: usize,
}

impl Permutations {
    pub fn new(target: &Bins, seed: u64) -> Permutations {
        let mut random = Random::new(seed);
        let mut codes = target.codes.clone();
        let orders = (0..PERMUTATIONS)
            .map(|_| {
                random.shuffle(&mut codes);
                codes.clone()
            })
            .collect();
        Permutations {
            orders,
            count: target.count,
        }
    }

    /// The share of permutations, the observed order among them, whose information is at least the observed one (Phipson
    /// and Smyth 2010): small where x and the target are not independent.
    pub fn p_value(&self, x: &Bins, observed: f64) -> f64 {
        let size = x.count * self.count;
        let as_large = self.orders.iter().filter(|order| {
            information(&table(&x.codes, order, self.count, size), self.count) >= observed - 1e-12
        });
        (1 + as_large.count()) as f64 / (1 + PERMUTATIONS) as f64
    }
}

/// The share of the target's entropy that x explains on the odd rows when class frequencies per bin are learned on the even
/// rows: 1 for a copy of the target, 0 or less for noise.
pub fn explained_entropy(x: &Bins, y: &Bins) -> f64 {
    let mut counts = vec![0.5f64; x.count * y.count];
    let mut prior = vec![0.5f64; y.count];
    for (&x, &class) in x.codes.iter().zip(&y.codes).step_by(2) {
        counts[usize::from(x) * y.count + usize::from(class)] += 1.0;
        prior[usize::from(class)] += 1.0;
    }
    let all: f64 = prior.iter().sum();
    let sums: Vec<f64> = counts.chunks(y.count).map(|row| row.iter().sum()).collect();
    let (mut with, mut without) = (0.0, 0.0);
    for (&x, &y_code) in x.codes.iter().zip(&y.codes).skip(1).step_by(2) {
        let (x, y_code) = (usize::from(x), usize::from(y_code));
        with -= (counts[x * y.count + y_code] / sums[x]).ln();
        without -= (prior[y_code] / all).ln();
    }
    if without > 0.0 {
        1.0 - with / without
    } else {
        0.0
    }
}

/// Spearman's rank correlation of the pairs; ties share their mean rank. 0 where one side is constant.
pub fn rank_correlation(x: &[f64], y: &[f64]) -> f64 {
    correlation(&ranks(x), &ranks(y))
}

/// Pearson's correlation of two lists of [`ranks`]; 0 where one is constant.
pub fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let mean = (x.len() as f64 - 1.0) / 2.0;
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mean, b - mean);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    if xx > 0.0 && yy > 0.0 {
        xy / (xx * yy).sqrt()
    } else {
        0.0
    }
}

/// The rank of each value from 0; ties share their mean.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let shared = (start + end - 1) as f64 / 2.0;
        order[start..end].iter().for_each(|i| ranks[*i] = shared);
        start = end;
    }
    ranks
}

/// Population stability index Σ (p − q) ln(p / q) of two samples over the same bins; empty bins count as half a row.
/// Below 0.1 is usually called stable, above 0.25 a large shift.
pub fn stability_index(old: &[u16], new: &[u16], count: usize) -> f64 {
    let counts = |codes: &[u16]| {
        let mut counts = vec![0.5f64; count];
        codes.iter().for_each(|c| counts[usize::from(*c)] += 1.0);
        counts
    };
    stability_of(counts(old), counts(new))
}

/// The same from counts, of which none may be 0.
pub(crate) fn stability_of(old: Vec<f64>, new: Vec<f64>) -> f64 {
    let share = |counts: Vec<f64>| {
        let total: f64 = counts.iter().sum();
        counts.into_iter().map(move |c| c / total)
    };
    share(old)
        .zip(share(new))
        .map(|(p, q)| (p - q) * (p / q).ln())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(codes: Vec<u16>, count: usize) -> Bins {
        Bins { codes, count }
    }

    fn pair(copy: bool) -> (Bins, Bins) {
        let mut random = Random::new(5);
        let y: Vec<u16> = (0..4000).map(|_| 1 + random.below(2) as u16).collect();
        let x = if copy {
            y.clone()
        } else {
            (0..4000).map(|_| 1 + random.below(8) as u16).collect()
        };
        (bins(x, 9), bins(y, 3))
    }

    #[test]
    fn a_copy_has_all_the_information() {
        let (x, y) = pair(true);
        let information = mutual_information(&x, &y);
        assert!((information - 2f64.ln()).abs() < 1e-2, "{information}");
        assert_eq!(Permutations::new(&y, 1).p_value(&x, information), 0.005);
        assert!(explained_entropy(&x, &y) > 0.99);
    }

    #[test]
    fn noise_has_none() {
        let (x, y) = pair(false);
        let information = mutual_information(&x, &y);
        assert!(information < 0.005, "{information}");
        assert!(Permutations::new(&y, 1).p_value(&x, information) > 0.01);
        assert!(explained_entropy(&x, &y) < 0.01);
    }

    #[test]
    fn ranks_see_through_monotone_transforms() {
        let x: Vec<f64> = (0..500).map(|i| f64::from(i % 97)).collect();
        let y: Vec<f64> = x.iter().map(|v| (v / 10.0).exp()).collect();
        assert!((rank_correlation(&x, &y) - 1.0).abs() < 1e-12);
        assert_eq!(rank_correlation(&x, &[1.0; 500]), 0.0);
    }

    #[test]
    fn a_shift_raises_the_stability_index() {
        let old: Vec<u16> = (0..1000).map(|i| i % 10).collect();
        let new: Vec<u16> = (0..1000).map(|i| i % 5).collect();
        assert!(stability_index(&old, &old, 10) < 1e-9);
        assert!(stability_index(&old, &new, 10) > 0.25);
    }
}
