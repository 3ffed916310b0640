//! A column's own quantiles as the way to a normal distribution.

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

/// The value that a normal distribution has at the rank of `x`. Equal quantiles share the rank in their middle, between others
/// the rank is interpolated, and what lies outside has the rank of the first or the last: a small change of `x` is a small
/// change of the answer.
#[inline]
pub(super) fn normal_score(quantiles: &[f64], x: f64) -> f64 {
    if quantiles.len() < 2 {
        return 0.0;
    }
    let last = quantiles.len() - 1;
    // The rank in the middle of the quantiles that equal the one at a place.
    let middle = |place: usize| {
        let value = quantiles[place];
        // Nearly always there are no others.
        let alone = (place == 0 || quantiles[place - 1] < value)
            && (place == last || quantiles[place + 1] > value);
        if alone {
            return place as f64;
        }
        let from = quantiles[..place].partition_point(|q| *q < value);
        let to = place + quantiles[place..].partition_point(|q| *q <= value);
        (from + to - 1) as f64 / 2.0
    };
    let below = quantiles.partition_point(|q| *q < x);
    let rank = if below == 0 {
        middle(0)
    } else if below > last {
        middle(last)
    } else if quantiles[below] == x {
        middle(below)
    } else {
        let (low, high) = (quantiles[below - 1], quantiles[below]);
        // Halves, so that the difference of two huge numbers does not overflow.
        let share = (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        let (from, to) = (middle(below - 1), middle(below));
        from + share * (to - from)
    };
    let edge = 0.5 / quantiles.len() as f64;
    normal_quantile((rank / last as f64).clamp(edge, 1.0 - edge))
}

/// The quantiles that differ, each with its rank: between them [`normal_score`] goes straight.
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
pub(super) const ACKLAM: [&[f64]; 4] = [
    &[
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ],
    &[
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ],
    &[
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ],
    &[
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
    ],
];
/// Where a tail begins.
pub(super) const TAIL: f64 = 0.02425;

/// Acklam's approximation of the inverse of the normal distribution, exact to nine digits.
pub(super) fn normal_quantile(p: f64) -> f64 {
    let [a, b, c, d] = ACKLAM;
    let polynomial = |factors: &[f64], x: f64| factors.iter().fold(0.0, |sum, f| sum * x + f);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(c, q) / (polynomial(d, q) * q + 1.0)
    };
    if p < TAIL {
        tail(p)
    } else if p > 1.0 - TAIL {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        polynomial(a, r) * q / (polynomial(b, r) * r + 1.0)
    }
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
    fn any_distribution_becomes_normal() {
        let values: Vec<f64> = (0..5000).map(|i| (f64::from(i) / 500.0).exp()).collect();
        let quantiles = of(values.clone());
        assert_eq!(quantiles.len(), 256);
        let scores: Vec<f64> = values
            .iter()
            .map(|x| normal_score(&quantiles, *x))
            .collect();
        let mean = scores.iter().sum::<f64>() / 5000.0;
        let variance = scores.iter().map(|z| z * z).sum::<f64>() / 5000.0;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.05);
        assert!(scores.is_sorted());
    }

    #[test]
    fn a_small_change_of_the_value_is_a_small_change_of_the_score() {
        let quantiles = of((0..900).map(|i| f64::from(i / 100) * 0.1).collect());
        for x in [0.0, 0.1, 0.3, 0.5, 0.8] {
            let score = normal_score(&quantiles, x);
            for near in [x - 1e-15, x + 1e-15] {
                assert!((normal_score(&quantiles, near) - score).abs() < 1e-9, "{x}");
            }
        }
        assert_eq!(of(vec![0.3, 0.1 + 0.2, 0.5]), [0.3, 0.3, 0.5]);
    }

    #[test]
    fn odd_values_and_odd_columns_have_finite_scores() {
        let huge = of(vec![-1.7e308, 0.0, 1.7e308]);
        for x in [-1.7e308, -1.0, 1.7e308, f64::MAX] {
            assert!(normal_score(&huge, x).is_finite());
        }
        assert_eq!(normal_score(&of(vec![3.0; 50]), 3.0), 0.0);
        assert_eq!(normal_score(&of(vec![3.0]), 9.0), 0.0);
        assert_eq!(normal_score(&of(vec![]), 9.0), 0.0);
    }
}
