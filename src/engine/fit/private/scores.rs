//! Scores on the test rows, with noise: see [`crate::privacy::outcomes`].

use super::columns::TargetScale;
use crate::artifact::{Artifact, Task};
use crate::evaluate::{HeldOut, Metric, Outcomes, Truth, evaluate};
use crate::fit::FitError;
use crate::privacy::noise::Noise;
use crate::privacy::outcomes::{self, Cost, Errors, LARGEST_ERROR};

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
                Task::Binary => outcomes::binary(codes, predictions, cost, noise)?,
                _ => outcomes::many(
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
    let count = truth.len().max(1) as f64;
    let pairs = truth.iter().copied().zip(predictions.iter().copied());
    let Errors { mae, mse, unsure } = outcomes::errors(pairs, count, largest, cost, noise)?;
    let variance = scale.variance;
    // What the noise, and what other rows with normal errors would make of it.
    let about = |value: f64, noise: f64, rows: f64| {
        let apart = noise.hypot(1.96 * rows * value / count.sqrt());
        ((value - apart).max(0.0), value + apart)
    };
    let of_square = about(mse, unsure * largest, std::f64::consts::SQRT_2);
    let of_error = about(mae, unsure, 0.756);
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
        metric("rmse", mse.sqrt(), rmse, Some(variance.sqrt())),
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
