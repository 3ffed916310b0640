//! A column's own quantiles as the way to a normal distribution.

use crate::train::vector::vectorised;
use serde::{Deserialize, Serialize};

/// Quantiles kept: between them the rank is interpolated, and every model carries those of all its columns.
const MOST: usize = 256;

/// Quantiles that differ by less than this share of their size are one: sums of the same numbers in another order differ as much.
const EQUAL: f64 = 1e-9;

/// Evenly spaced quantiles of the values, ascending.
pub(super) fn of(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len().min(MOST);
    let last = values.len().saturating_sub(1);
    let mut quantiles: Vec<f64> = (0..count)
        .map(|i| values[i * last / (count - 1).max(1)])
        .collect();
    for i in 1..count {
        let before = quantiles[i - 1];
        if quantiles[i] - before <= EQUAL * before.abs() {
            quantiles[i] = before;
        }
    }
    quantiles
}

pub(super) fn are_sound(quantiles: &[f64]) -> bool {
    quantiles.iter().all(|q| q.is_finite()) && quantiles.is_sorted()
}

/// Buckets of equal width in which quantiles are looked up: most hold one or two.
const BUCKETS: usize = 256;

/// Quantiles, made ready to rank values among them; stored as what they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<f64>", into = "Vec<f64>")]
pub(super) struct Ranks {
    /// Ascending.
    quantiles: Vec<f64>,
    /// Of each quantile, its place; equal ones share the place in their middle.
    places: Vec<f64>,
    /// Buckets by unit of the values.
    density: f64,
    /// Of each bucket the first quantile that lies in it or beyond; and, at the end, how many there are.
    starts: Vec<u32>,
}

impl From<Vec<f64>> for Ranks {
    fn from(quantiles: Vec<f64>) -> Ranks {
        Ranks::of(&quantiles)
    }
}

impl From<Ranks> for Vec<f64> {
    fn from(ranks: Ranks) -> Vec<f64> {
        ranks.quantiles
    }
}

impl std::ops::Deref for Ranks {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        &self.quantiles
    }
}

impl Ranks {
    /// Of quantiles that are not sound, see [`are_sound`], nothing may be asked.
    pub(super) fn of(quantiles: &[f64]) -> Ranks {
        if quantiles.is_empty() {
            return Ranks::default();
        }
        let mut places = Vec::with_capacity(quantiles.len());
        for run in quantiles.chunk_by(|a, b| a == b) {
            let middle = (2 * places.len() + run.len() - 1) as f64 / 2.0;
            places.extend(std::iter::repeat_n(middle, run.len()));
        }
        let (first, last) = match quantiles {
            [first, .., last] => (*first, *last),
            _ => (0.0, 0.0),
        };
        let mut ranks = Ranks {
            quantiles: quantiles.to_vec(),
            places,
            density: BUCKETS as f64 / (last - first),
            starts: Vec::new(),
        };
        let mut starts = Vec::with_capacity(BUCKETS + 1);
        for (place, quantile) in quantiles.iter().enumerate() {
            let bucket = ranks.bucket(*quantile);
            while starts.len() <= bucket {
                starts.push(place as u32);
            }
        }
        starts.resize(BUCKETS + 1, quantiles.len() as u32);
        ranks.starts = starts;
        ranks
    }

    pub(super) fn is_empty(&self) -> bool {
        self.quantiles.is_empty()
    }

    /// Greater for greater values, whatever they are: infinities and NaN, of a range that is no number, go into the first or the last.
    #[inline]
    fn bucket(&self, x: f64) -> usize {
        (((x - self.quantiles[0]) * self.density) as usize).min(BUCKETS - 1)
    }

    /// The value that a normal distribution has at the rank of `x`. Equal quantiles share the rank in their middle, between others
    /// the rank is interpolated, and what lies outside has the rank of the first or the last: a small change of `x` is a small
    /// change of the answer.
    #[inline]
    pub(super) fn score(&self, x: f64) -> f64 {
        normal_quantile(self.share(x))
    }

    /// The share of the distribution that lies below `x`; of what does not vary a half.
    #[inline]
    pub(super) fn share(&self, x: f64) -> f64 {
        let (quantiles, places) = (&self.quantiles[..], &self.places[..]);
        if quantiles.len() < 2 {
            return 0.5;
        }
        let last = quantiles.len() - 1;
        let bucket = self.bucket(x);
        let own = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        let below = own.start + quantiles[own].partition_point(|q| *q < x);
        let place = if below == 0 {
            places[0]
        } else if below > last {
            places[last]
        } else {
            let (low, high) = (quantiles[below - 1], quantiles[below]);
            let share = between(low, high, x);
            places[below - 1] + share * (places[below] - places[below - 1])
        };
        let edge = 0.5 / quantiles.len() as f64;
        (place / last as f64).clamp(edge, 1.0 - edge)
    }
}

/// Where `x` lies between two different numbers, 0 to 1.
#[inline]
fn between(low: f64, high: f64, x: f64) -> f64 {
    let width = high - low;
    match width.is_finite() {
        true => (x - low) / width,
        // Halves of two huge numbers have a difference.
        false => (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
    }
}

/// The quantiles that differ, each with its rank: between them [`Ranks::score`] goes straight.
pub(super) fn points(quantiles: &[f64]) -> Vec<(f64, f64)> {
    let mut at = 0;
    let runs = quantiles.chunk_by(|a, b| a == b);
    runs.map(|run| {
        at += run.len();
        (run[0], (2 * at - run.len() - 1) as f64 / 2.0)
    })
    .collect()
}

/// The coefficients of Acklam's approximation of the inverse of the normal distribution: of the middle above and below the
/// line, of the tails above and below.
pub(super) const ACKLAM: [&[f64]; 4] = [&MIDDLE_ABOVE, &MIDDLE_BELOW, &TAIL_ABOVE, &TAIL_BELOW];
const MIDDLE_ABOVE: [f64; 6] = [
    -3.969683028665376e1,
    2.209460984245205e2,
    -2.759285104469687e2,
    1.38357751867269e2,
    -3.066479806614716e1,
    2.506628277459239,
];
const MIDDLE_BELOW: [f64; 5] = [
    -5.447609879822406e1,
    1.615858368580409e2,
    -1.556989798598866e2,
    6.680131188771972e1,
    -1.328068155288572e1,
];
const TAIL_ABOVE: [f64; 6] = [
    -7.784894002430293e-3,
    -3.223964580411365e-1,
    -2.400758277161838,
    -2.549732539343734,
    4.374664141464968,
    2.938163982698783,
];
const TAIL_BELOW: [f64; 4] = [
    7.784695709041462e-3,
    3.224671290700398e-1,
    2.445134137142996,
    3.754408661907416,
];
/// Where a tail begins.
pub(super) const TAIL: f64 = 0.02425;

/// Of known length, so that the compiler writes it out.
#[inline(always)]
fn polynomial<const N: usize>(factors: &[f64; N], x: f64) -> f64 {
    factors.iter().fold(0.0, |sum, f| sum * x + f)
}

/// Acklam's approximation of the inverse of the normal distribution, exact to nine digits.
#[inline]
pub(super) fn normal_quantile(p: f64) -> f64 {
    if p < TAIL {
        tail(p)
    } else if p > 1.0 - TAIL {
        -tail(1.0 - p)
    } else {
        middle(p)
    }
}

#[inline(always)]
fn middle(p: f64) -> f64 {
    let q = p - 0.5;
    let r = q * q;
    polynomial(&MIDDLE_ABOVE, r) * q / (polynomial(&MIDDLE_BELOW, r) * r + 1.0)
}

/// [`normal_quantile`] of each, the same bits.
pub(super) fn normal_quantiles(shares: &mut [f64]) {
    #[inline(always)]
    fn work(shares: &mut [f64]) {
        const TOGETHER: usize = 8;
        let (blocks, rest) = shares.as_chunks_mut::<TOGETHER>();
        for block in blocks {
            // All as if they lay in the middle, where almost all do.
            let middles = block.map(middle);
            let tails = block.iter().any(|p| *p < TAIL || *p > 1.0 - TAIL);
            *block = if tails {
                block.map(normal_quantile)
            } else {
                middles
            };
        }
        rest.iter_mut().for_each(|p| *p = normal_quantile(*p));
    }
    let all: *mut [f64] = shares;
    // SAFETY: only one of the two closures runs, so there is one user of the slice.
    vectorised(|| work(unsafe { &mut *all }), || work(unsafe { &mut *all }));
}

fn tail(p: f64) -> f64 {
    let q = (-2.0 * p.ln()).sqrt();
    polynomial(&TAIL_ABOVE, q) / (polynomial(&TAIL_BELOW, q) * q + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles_of_the_normal_distribution() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959963985),
            (0.01, -2.326347874),
            (0.841344746, 1.0),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-6, "{p}");
        }
    }

    #[test]
    fn many_at_once_are_the_same() {
        let shares: Vec<f64> = (1..1000)
            .map(|i| f64::from(i * 37 % 1000) / 1000.0)
            .collect();
        let single: Vec<f64> = shares.iter().map(|p| normal_quantile(*p)).collect();
        let mut all = shares;
        normal_quantiles(&mut all);
        assert_eq!(all, single);
    }

    #[test]
    fn any_distribution_becomes_normal() {
        let values: Vec<f64> = (0..5000).map(|i| (f64::from(i) / 500.0).exp()).collect();
        let quantiles = of(values.clone());
        assert_eq!(quantiles.len(), 256);
        let ranks = Ranks::of(&quantiles);
        let scores: Vec<f64> = values.iter().map(|x| ranks.score(*x)).collect();
        let mean = scores.iter().sum::<f64>() / 5000.0;
        let variance = scores.iter().map(|z| z * z).sum::<f64>() / 5000.0;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.05);
        assert!(scores.is_sorted());
    }

    #[test]
    fn a_small_change_of_the_value_is_a_small_change_of_the_score() {
        let quantiles = of((0..900).map(|i| f64::from(i / 100) * 0.1).collect());
        for x in [0.0, 0.1, 0.3, 0.5, 0.8] {
            let score = Ranks::of(&quantiles).score(x);
            for near in [x - 1e-15, x + 1e-15] {
                assert!(
                    (Ranks::of(&quantiles).score(near) - score).abs() < 1e-9,
                    "{x}"
                );
            }
        }
        assert_eq!(of(vec![0.3, 0.1 + 0.2, 0.5]), [0.3, 0.3, 0.5]);
    }

    /// As it is defined, place by place.
    fn share(quantiles: &[f64], x: f64) -> f64 {
        let last = quantiles.len() - 1;
        let middle = |value: f64| {
            let equal = |q: &f64| *q == value;
            let (from, to) = (
                quantiles.iter().position(equal),
                quantiles.iter().rposition(equal),
            );
            (from.unwrap() + to.unwrap()) as f64 / 2.0
        };
        let place = if x <= quantiles[0] {
            middle(quantiles[0])
        } else if x >= quantiles[last] {
            middle(quantiles[last])
        } else {
            let below = quantiles.iter().rposition(|q| *q < x).unwrap();
            let (low, high) = (quantiles[below], quantiles[below + 1]);
            middle(low) + between(low, high, x) * (middle(high) - middle(low))
        };
        let edge = 0.5 / quantiles.len() as f64;
        (place / last as f64).clamp(edge, 1.0 - edge)
    }

    #[test]
    fn a_rank_is_found_wherever_quantiles_lie() {
        let mut random = crate::random::Random::new(1);
        let mut columns: Vec<Vec<f64>> = vec![
            vec![-1.7e308, 0.0, 1.7e308],
            vec![0.0, 5e-324, 1e-323],
            vec![1.0, 1.0, 2.0],
            vec![f64::MIN, 3.0, 3.0, f64::MAX],
            vec![7.0; 9],
        ];
        for power in [1, 3, 9, 40] {
            let values = (0..1000).map(|_| random.normal().powi(power));
            columns.push(of(values.collect()));
            let values = (0..1000).map(|_| (power as f64 * random.normal()).round());
            columns.push(of(values.collect()));
        }
        for column in columns {
            let ranks = Ranks::of(&column);
            let between = column.windows(2).map(|pair| pair[0] / 2.0 + pair[1] / 2.0);
            let ends = [f64::MIN, f64::MAX, column[0] - 1.0];
            for x in column.iter().copied().chain(between).chain(ends) {
                let (own, wanted) = (ranks.share(x), share(&column, x));
                assert!((own - wanted).abs() < 1e-12, "{x}: {own} {wanted}");
            }
        }
    }

    #[test]
    fn odd_values_and_odd_columns_have_finite_scores() {
        let huge = of(vec![-1.7e308, 0.0, 1.7e308]);
        for x in [-1.7e308, -1.0, 1.7e308, f64::MAX] {
            assert!(Ranks::of(&huge).score(x).is_finite());
        }
        assert_eq!(Ranks::of(&of(vec![3.0; 50])).score(3.0), 0.0);
        assert_eq!(Ranks::of(&of(vec![3.0])).score(9.0), 0.0);
        assert_eq!(Ranks::of(&of(vec![])).score(9.0), 0.0);
    }
}
