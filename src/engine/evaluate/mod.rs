//! How good a model is: scores with intervals beside a baseline, named as in scikit-learn.

mod bootstrap;
mod classes;
mod compare;
mod counts;
mod curve;
mod delong;
mod outcomes;
mod ranked;
mod slices;
mod values;

use crate::artifact::Task;
pub use compare::{Difference, compare};
pub use outcomes::{HeldOut, Outcomes};
pub use ranked::{Bin, Cut, PrecisionRecallPoint, Ranked, RocPoint, ranked};
use serde::{Deserialize, Serialize};
pub use slices::slices;

/// What was true.
#[derive(Debug, Clone)]
pub enum Truth {
    /// Class codes.
    Classes(Vec<u32>),
    Values(Vec<f64>),
}

/// What one would answer without a model, known from the training rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Baseline {
    /// Share of each class among the training rows.
    Shares(Vec<f64>),
    /// Mean of the target among the training rows.
    Mean(f64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// As in scikit-learn: `accuracy`, `roc_auc`, ...
    pub metric: String,
    /// The label, for scores of one class of many.
    pub class: Option<String>,
    pub value: f64,
    /// 95% bootstrap interval.
    pub low: f64,
    pub high: f64,
    /// The same score of the baseline.
    pub baseline: Option<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    pub rows: u64,
    pub metrics: Vec<Metric>,
    /// `[actual][predicted]`; empty for regression and beyond 1,000 classes.
    pub confusion: Vec<Vec<u64>>,
    pub baseline: Baseline,
}

impl Evaluation {
    /// Before anything is scored.
    pub fn empty(baseline: Baseline) -> Evaluation {
        Evaluation {
            rows: 0,
            metrics: Vec::new(),
            confusion: Vec::new(),
            baseline,
        }
    }

    /// The one metric a model is judged by: `roc_auc` (binary), `accuracy` (multiclass), `rmse` (regression).
    /// Where the test rows do not allow a ROC curve, a binary model is judged by `accuracy`.
    pub fn headline(&self) -> Option<&Metric> {
        let of_classes = self.metrics.iter().any(|m| m.class.is_some());
        let names = ["roc_auc", "accuracy", "rmse"];
        names[usize::from(of_classes)..].iter().find_map(|n| {
            self.metrics
                .iter()
                .find(|m| m.metric == *n && m.class.is_none())
        })
    }
}

/// Scores `predictions`, row-major `[rows][width]` as [`crate::infer::Predictor::predict_frame`] gives them; a binary model
/// answers its positive label from a probability of `threshold`, the baseline from one half.
///
/// Definitions are those of scikit-learn 1.x with `zero_division=0`; macro averages are over the classes that occur
/// among the truths or the answers, the macro `roc_auc` (one versus rest) over those among the truths. A metric that
/// is undefined on these rows is left out. Intervals are percentiles of a bootstrap (Efron 1979), widened where
/// need be to hold the value itself; a resample on which a metric is undefined does not count for that metric.
///
/// Rows whose truth is no class code or no finite number, or whose prediction is not finite, are left out of
/// [`Evaluation::rows`] and of everything else. The same seed gives the same intervals whatever the number of
/// threads; inside a rayon pool its threads are used, elsewhere none is started.
pub fn evaluate(
    task: Task,
    labels: &[String],
    truth: &Truth,
    predictions: &[f64],
    threshold: f64,
    baseline: &Baseline,
    seed: u64,
) -> Evaluation {
    let mut evaluation = Evaluation::empty(baseline.clone());
    match truth {
        Truth::Values(truth) => values::evaluate(truth, predictions, seed, &mut evaluation),
        Truth::Classes(truth) => {
            let how = classes::How {
                task,
                labels,
                threshold,
            };
            classes::evaluate(&how, truth, predictions, seed, &mut evaluation);
        }
    }
    evaluation
}

#[cfg(test)]
#[path = "evaluate_test.rs"]
mod tests;
