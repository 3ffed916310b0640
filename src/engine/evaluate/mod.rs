//! How good a model is: scores with intervals beside a baseline, named as in scikit-learn.

use crate::artifact::Task;
use serde::{Deserialize, Serialize};

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

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    pub threshold: f64,
    pub true_positive_rate: f64,
    pub false_positive_rate: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    pub rows: u64,
    pub metrics: Vec<Metric>,
    /// `[actual][predicted]`; empty for regression.
    pub confusion: Vec<Vec<u64>>,
    /// Per label (binary: one curve, of the positive class); empty for regression.
    pub roc: Vec<Vec<RocPoint>>,
    pub baseline: Baseline,
}

impl Evaluation {
    /// The one metric a model is judged by: `roc_auc` (binary), `accuracy` (multiclass), `rmse` (regression).
    pub fn headline(&self) -> Option<&Metric> {
        let name = ["roc_auc", "accuracy", "rmse"];
        name.iter().find_map(|n| {
            self.metrics
                .iter()
                .find(|m| m.metric == *n && m.class.is_none())
        })
    }
}

/// Scores `predictions`, row-major `[rows][width]` as [`crate::infer::Predictor::predict_frame`] gives them.
pub fn evaluate(
    _task: Task,
    _labels: &[String],
    _truth: &Truth,
    _predictions: &[f64],
    _baseline: &Baseline,
    _seed: u64,
) -> Evaluation {
    todo!()
}
