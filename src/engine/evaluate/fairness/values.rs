//! Errors of groups where a number is predicted.

use super::super::bootstrap::{Resampling, resample};
use super::classes::{between, counted};
use super::{Groups, Line, RESAMPLES, apart, interval};

/// Of each group, in the target's unit; `mean_error` is what is predicted less what is true.
const ERRORS: [&str; 3] = ["mean_error", "mae", "rmse"];
const BETWEEN: [&str; 3] = ["mean_error_difference", "mae_difference", "rmse_difference"];

/// Intervals are percentiles of a bootstrap of the rows (Efron 1979).
pub(super) fn lines(
    truth: &[f64],
    predictions: &[f64],
    groups: &Groups,
    draws: Resampling<'_>,
) -> Vec<Line> {
    let usable: Vec<usize> = (0..truth.len())
        .filter(|row| truth[*row].is_finite() && predictions[*row].is_finite())
        .collect();
    let of: Vec<u32> = usable.iter().map(|row| groups.of[*row]).collect();
    let errors: Vec<f64> = usable
        .iter()
        .map(|row| predictions[*row] - truth[*row])
        .collect();
    let count = groups.names.len();
    let counted = counted(&of, count);
    let score = |weights: &[u8]| {
        let mut sums = vec![[0.0; 4]; count];
        for (at, weight) in weights.iter().enumerate() {
            let (own, weight) = (&mut sums[of[at] as usize], f64::from(*weight));
            own[0] += weight * errors[at];
            own[1] += weight * errors[at].abs();
            own[2] += weight * errors[at].powi(2);
            own[3] += weight;
        }
        let means: Vec<[f64; 3]> = sums
            .iter()
            .map(|[error, size, square, rows]| [error / rows, size / rows, (square / rows).sqrt()])
            .collect();
        let mut out: Vec<f64> = means.iter().flatten().copied().collect();
        for which in 0..BETWEEN.len() {
            let groups = means.iter().zip(&counted).filter(|(_, c)| **c);
            out.push(apart(groups.map(|(own, _)| own[which])).0);
        }
        out
    };
    let rows = usable.len();
    let found = score(&vec![1; rows]);
    let drawn = resample(rows, 2 * rows, RESAMPLES, draws, score);
    let mut lines = Vec::new();
    for group in 0..count {
        let own = of.iter().filter(|own| **own as usize == group).count();
        for (which, metric) in ERRORS.into_iter().enumerate().filter(|_| own > 0) {
            let place = ERRORS.len() * group + which;
            let (low, high) = interval(&drawn, place, found[place]);
            lines.push(Line {
                feature: groups.feature.clone(),
                group: Some(groups.names[group].clone()),
                rows: own as u64,
                metric: metric.into(),
                value: found[place],
                low,
                high,
            });
        }
    }
    let first = ERRORS.len() * count;
    lines.extend(between(groups, rows, &BETWEEN, first, &found, &drawn));
    lines
}
