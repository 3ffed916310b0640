//! What came of predictions on test rows, told with noise.
//!
//! Of labels a histogram is told, of the answers by the truths: each row is in one cell of it. Rows made of that histogram are then
//! scored as others are, curves and intervals too; that looks at no row and costs nothing more. Of numbers the sums of the
//! errors and of their squares are told.

use super::marginals::projected;
use super::noise::{Noise, NoiseError};
use crate::evaluate::{Outcomes, Truth};
use crate::infer::sigmoid;

/// Cells of a probability: a quarter of a unit of its log-odds each, from -4 to 4.
const CELLS: usize = 34;
const STEP: f64 = 0.25;
/// What the likeliest of many labels is said to have: how sure the model was is not told.
const SURE: f64 = 0.9;
/// An error counts as so many standard deviations of the target at most, in so many steps.
pub(crate) const LARGEST_ERROR: f64 = 4.0;
const GRAIN: f64 = 1024.0;
/// The noise of steps has a scale of so many at most.
const MOST_SCALE: f64 = 5e7;
/// Within so many scales a Laplace number is in 95 of 100 cases: ln 20.
const LAPLACE_95: f64 = 2.996;

/// What scores may cost units of the test part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) epsilon: f64,
    pub(crate) rows_per_unit: usize,
}

/// Mean errors of numbers, about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errors {
    pub(crate) mae: f64,
    pub(crate) mse: f64,
    /// By how much the noise alone may have moved `mae` and, times the largest error, `mse`.
    pub(crate) unsure: f64,
}

/// Counts with noise, none below 0, which together are about as many as there were.
pub(crate) fn counts(
    counts: &[i64],
    cost: Cost,
    noise: &mut Noise,
) -> Result<Vec<usize>, NoiseError> {
    let scale = cost.rows_per_unit as f64 / cost.epsilon;
    let mut noisy = Vec::with_capacity(counts.len());
    for count in counts {
        noisy.push((count + noise.discrete_laplace(scale)?) as f64);
    }
    let counts = projected(&noisy);
    Ok(counts.into_iter().map(|c| c.round() as usize).collect())
}

/// Of two labels: made of a histogram of the truth by the log-odds.
pub(crate) fn binary(
    codes: &[u32],
    predictions: &[f64],
    cost: Cost,
    noise: &mut Noise,
) -> Result<Outcomes, NoiseError> {
    let cell = |p: f64| {
        let odds = (p / (1.0 - p)).ln();
        let place = (odds / STEP).floor() + (CELLS / 2) as f64;
        // Neither beyond the ends nor, for a probability that is no number, anywhere else.
        place.clamp(0.0, (CELLS - 1) as f64) as usize
    };
    let mut counts = vec![0i64; 2 * CELLS];
    for (code, p) in codes.iter().zip(predictions) {
        counts[2 * cell(*p) + (*code as usize).min(1)] += 1;
    }
    let (mut truth, mut made) = (Vec::new(), Vec::new());
    for (at, count) in self::counts(&counts, cost, noise)?.into_iter().enumerate() {
        let odds = ((at / 2) as f64 - (CELLS / 2) as f64 + 0.5) * STEP;
        truth.extend(std::iter::repeat_n((at % 2) as u32, count));
        made.extend(std::iter::repeat_n(sigmoid(odds), count));
    }
    Ok(Outcomes {
        truth: Truth::Classes(truth),
        predictions: made,
    })
}

/// Of several labels: made of a histogram of the truth by the likeliest.
pub(crate) fn many(
    codes: &[u32],
    predictions: &[f64],
    labels: usize,
    cost: Cost,
    noise: &mut Noise,
) -> Result<Outcomes, NoiseError> {
    let mut counts = vec![0i64; labels * labels];
    for (code, row) in codes.iter().zip(predictions.chunks_exact(labels.max(1))) {
        let best = (0..labels).max_by(|a, b| row[*a].total_cmp(&row[*b]));
        let at = (*code as usize).min(labels - 1) * labels + best.unwrap_or(0);
        counts[at] += 1;
    }
    let (mut truth, mut made) = (Vec::new(), Vec::new());
    let other = (1.0 - SURE) / (labels - 1).max(1) as f64;
    for (at, count) in self::counts(&counts, cost, noise)?.into_iter().enumerate() {
        truth.extend(std::iter::repeat_n((at / labels) as u32, count));
        for _ in 0..count {
            made.extend((0..labels).map(|l| if l == at % labels { SURE } else { other }));
        }
    }
    Ok(Outcomes {
        truth: Truth::Classes(truth),
        predictions: made,
    })
}

/// Of numbers, as pairs of truth and prediction, about `count` of them; an error counts as `largest` at most.
pub(crate) fn errors(
    pairs: impl Iterator<Item = (f64, f64)>,
    count: f64,
    largest: f64,
    cost: Cost,
    noise: &mut Noise,
) -> Result<Errors, NoiseError> {
    let (mut errors, mut squares) = (0i64, 0i64);
    let grain = GRAIN
        .min((MOST_SCALE * cost.epsilon / (2.0 * cost.rows_per_unit as f64)).floor())
        .max(1.0);
    for (truth, prediction) in pairs {
        let error = ((truth - prediction).abs() / largest).min(1.0);
        // A number that is none is an error as large as they can be.
        let error = if error.is_nan() { 1.0 } else { error };
        errors += (grain * error).round() as i64;
        squares += (grain * error * error).round() as i64;
    }
    // Two sums share the budget.
    let spread = grain * cost.rows_per_unit as f64 * 2.0 / cost.epsilon;
    let mut mean = |sum: i64| -> Result<f64, NoiseError> {
        let sum = (sum + noise.discrete_laplace(spread)?) as f64;
        Ok((sum / grain / count).clamp(0.0, 1.0))
    };
    Ok(Errors {
        mae: mean(errors)? * largest,
        mse: mean(squares)? * largest * largest,
        unsure: LAPLACE_95 * spread / grain / count * largest,
    })
}
