//! Scores on the test rows, with noise.
//!
//! Of labels a histogram is told, of the answers by the truths: each row is in one cell of it. Rows made of that histogram are then
//! scored as others are, curves and intervals too; that looks at no row and costs nothing more. Of numbers the sums of the
//! errors and of their squares are told.

use super::columns::TargetScale;
use crate::artifact::{Artifact, Task};
use crate::evaluate::{HeldOut, Metric, Outcomes, Truth, evaluate};
use crate::fit::FitError;
use crate::infer::sigmoid;
use crate::privacy::{noise::Noise, projected};

/// Cells of a probability: a quarter of a unit of its log-odds each, from -4 to 4.
const CELLS: usize = 34;
const STEP: f64 = 0.25;
/// What the likeliest of many labels is said to have: how sure the model was is not told.
const SURE: f64 = 0.9;
/// Scores of many labels that would need to know it.
const UNTOLD: [&str; 7] = [
    "loss",
    "log_loss",
    "brier",
    "roc_auc",
    "average_precision",
    "top_2_accuracy",
    "ece",
];
/// An error counts as so many standard deviations of the target at most, in so many steps.
const LARGEST_ERROR: f64 = 4.0;
const GRAIN: f64 = 1024.0;
/// The noise of steps has a scale of so many at most.
const MOST_SCALE: f64 = 5e7;
/// Within so many scales a Laplace number is in 95 of 100 cases: ln 20.
const LAPLACE_95: f64 = 2.996;

/// What scores may cost units of the test part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) epsilon: f64,
    pub(super) rows_per_unit: usize,
}

/// Scores `predictions` of rows whose `truth` is known; the scores become those of the artifact.
pub(super) fn score(
    artifact: &mut Artifact,
    truth: &Truth,
    predictions: &[f64],
    scale: &TargetScale,
    cost: Cost,
    noise: &mut Noise,
) -> Result<(), FitError> {
    match truth {
        Truth::Classes(codes) => {
            let outcomes = match artifact.task {
                Task::Binary => binary(codes, predictions, cost, noise)?,
                _ => many(
                    codes,
                    predictions,
                    artifact.target.labels.len(),
                    cost,
                    noise,
                )?,
            };
            of_labels(artifact, outcomes);
            Ok(())
        }
        Truth::Values(values) => of_values(artifact, (values, predictions), scale, cost, noise),
        _ => Ok(()),
    }
}

/// Counts with noise, none below 0, which together are about as many as there were.
fn told(counts: &[i64], cost: Cost, noise: &mut Noise) -> Result<Vec<usize>, FitError> {
    let scale = cost.rows_per_unit as f64 / cost.epsilon;
    let mut noisy = Vec::with_capacity(counts.len());
    for count in counts {
        noisy.push((count + noise.discrete_laplace(scale)?) as f64);
    }
    let counts = projected(&noisy);
    Ok(counts.into_iter().map(|c| c.round() as usize).collect())
}

fn binary(
    codes: &[u32],
    predictions: &[f64],
    cost: Cost,
    noise: &mut Noise,
) -> Result<Outcomes, FitError> {
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
    for (at, count) in told(&counts, cost, noise)?.into_iter().enumerate() {
        let odds = ((at / 2) as f64 - (CELLS / 2) as f64 + 0.5) * STEP;
        truth.extend(std::iter::repeat_n((at % 2) as u32, count));
        made.extend(std::iter::repeat_n(sigmoid(odds), count));
    }
    Ok(Outcomes {
        truth: Truth::Classes(truth),
        predictions: made,
    })
}

fn many(
    codes: &[u32],
    predictions: &[f64],
    labels: usize,
    cost: Cost,
    noise: &mut Noise,
) -> Result<Outcomes, FitError> {
    let mut counts = vec![0i64; labels * labels];
    for (code, row) in codes.iter().zip(predictions.chunks_exact(labels.max(1))) {
        let best = (0..labels).max_by(|a, b| row[*a].total_cmp(&row[*b]));
        let at = (*code as usize).min(labels - 1) * labels + best.unwrap_or(0);
        counts[at] += 1;
    }
    let (mut truth, mut made) = (Vec::new(), Vec::new());
    let other = (1.0 - SURE) / (labels - 1).max(1) as f64;
    for (at, count) in told(&counts, cost, noise)?.into_iter().enumerate() {
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

fn of_labels(artifact: &mut Artifact, outcomes: Outcomes) {
    let labels = artifact.target.labels.len();
    let baseline = artifact.evaluation.baseline.clone();
    artifact.evaluation = evaluate(
        artifact.task,
        &artifact.target.labels,
        &outcomes.truth,
        &outcomes.predictions,
        artifact.settled.threshold,
        &baseline,
        artifact.provenance.seed,
    );
    let width = match artifact.task {
        Task::Binary => 1,
        _ => {
            let metrics = &mut artifact.evaluation.metrics;
            metrics.retain(|m| !UNTOLD.contains(&m.metric.as_str()));
            labels
        }
    };
    let rows: Vec<u32> = (0..(outcomes.predictions.len() / width) as u32).collect();
    artifact.settled.held_out = HeldOut::of(artifact.task, labels, &outcomes, width, &rows);
}

fn of_values(
    artifact: &mut Artifact,
    (truth, predictions): (&[f64], &[f64]),
    scale: &TargetScale,
    cost: Cost,
    noise: &mut Noise,
) -> Result<(), FitError> {
    let largest = LARGEST_ERROR * scale.deviation;
    let (mut errors, mut squares) = (0i64, 0i64);
    let grain = GRAIN
        .min((MOST_SCALE * cost.epsilon / (2.0 * cost.rows_per_unit as f64)).floor())
        .max(1.0);
    for (truth, prediction) in truth.iter().zip(predictions) {
        let error = ((truth - prediction).abs() / largest).min(1.0);
        // A number that is none is an error as large as they can be.
        let error = if error.is_nan() { 1.0 } else { error };
        errors += (grain * error).round() as i64;
        squares += (grain * error * error).round() as i64;
    }
    // Two sums share the budget.
    let spread = grain * cost.rows_per_unit as f64 * 2.0 / cost.epsilon;
    let count = truth.len().max(1) as f64;
    let mut mean = |sum: i64| -> Result<f64, FitError> {
        let sum = (sum + noise.discrete_laplace(spread)?) as f64;
        Ok((sum / grain / count).clamp(0.0, 1.0))
    };
    let (error, square) = (mean(errors)?, mean(squares)?);
    let (mae, mse) = (error * largest, square * largest * largest);
    let variance = scale.deviation * scale.deviation;
    // What the noise, and what other rows with normal errors would make of it.
    let unsure = LAPLACE_95 * spread / grain / count;
    let about = |value: f64, noise: f64, rows: f64| {
        let apart = noise.hypot(1.96 * rows * value / count.sqrt());
        ((value - apart).max(0.0), value + apart)
    };
    let of_square = about(mse, unsure * largest * largest, std::f64::consts::SQRT_2);
    let of_error = about(mae, unsure * largest, 0.756);
    let metric = |name: &str, value: f64, (low, high): (f64, f64), baseline: Option<f64>| Metric {
        metric: name.into(),
        class: None,
        value,
        low,
        high,
        baseline,
    };
    let part = |mse: f64| 1.0 - mse / variance;
    let rmse = (of_square.0.sqrt(), of_square.1.sqrt());
    artifact.evaluation.rows = truth.len() as u64;
    artifact.evaluation.metrics = vec![
        metric("rmse", mse.sqrt(), rmse, Some(scale.deviation)),
        metric("mae", mae, of_error, None),
        metric(
            "r2",
            part(mse),
            (part(of_square.1), part(of_square.0)),
            Some(0.0),
        ),
    ];
    Ok(())
}
