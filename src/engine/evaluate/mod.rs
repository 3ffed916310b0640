//! How good a model is: scores with intervals beside a baseline, named as in scikit-learn.

mod bootstrap;
mod classes;
mod compare;
mod counts;
mod curve;
mod delong;
mod draw;
pub mod fairness;
mod labels;
mod ordinal;
mod outcomes;
mod ranked;
mod slices;
mod survival;
mod threads;
mod uplift;
mod values;

use crate::artifact::Task;
pub use bootstrap::Resampling;
pub use compare::{Difference, compare, smaller_is_better};
pub(crate) use delong::components as areas_by_row;
pub use outcomes::{HeldOut, Outcomes};
pub use ranked::{Bin, Cut, PrecisionRecallPoint, Ranked, RocPoint, ranked};
use serde::{Deserialize, Serialize};
pub use slices::slices;
pub(crate) use uplift::qini_coefficient;

/// What was true. Features are prepared and chosen by classes or values alone.
#[derive(Debug, Clone)]
pub enum Truth {
    /// Class codes.
    Classes(Vec<u32>),
    Values(Vec<f64>),
    /// Whether each label is the row's, row-major `[rows][labels]`.
    Labels(Vec<bool>),
    /// When each row was last seen, and whether the event happened then.
    Survival {
        times: Vec<f64>,
        events: Vec<bool>,
    },
    /// What came of each row, and whether it was treated.
    Uplift {
        outcomes: Vec<f64>,
        treated: Vec<bool>,
    },
}

/// What one would answer without a model, known from the training rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Baseline {
    /// Share of each class among the training rows.
    Shares(Vec<f64>),
    /// Share of the training rows that have each label (multilabel).
    Rates(Vec<f64>),
    /// Survival: where the intervals end, the hazards of the training rows as a whole (Kaplan-Meier), and the steps by which
    /// the share of them falls that is still seen.
    Survival {
        ends: Vec<f64>,
        hazards: Vec<f64>,
        seen: Vec<(f64, f64)>,
    },
    /// The same effect for all: that of the training rows (uplift).
    Effect(f64),
    /// Mean of the target among the training rows.
    Mean(f64),
    /// Their mean or a quantile, where the model has learned another loss than squares.
    Value { value: f64, gauge: Gauge },
}

/// What else predicted values are judged by: the loss that was learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gauge {
    /// `mae`.
    Absolute,
    /// `mean_pinball_loss` of this quantile.
    Pinball(f64),
    /// `mean_poisson_deviance`.
    Poisson,
    /// `mean_tweedie_deviance` of this power, between 1 and 2.
    Tweedie(f64),
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

/// A place on a Qini curve: the rows with the greatest effects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QiniPoint {
    /// Their share of all.
    pub fraction: f64,
    /// The smallest predicted effect among them.
    pub threshold: f64,
    /// What the treated among them have more than as many others would, per treated row of all.
    pub qini: f64,
    /// The same for as many rows drawn at random.
    pub random: f64,
    /// The difference of their mean outcomes, treated less others.
    pub uplift: Option<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evaluation {
    pub rows: u64,
    pub metrics: Vec<Metric>,
    /// `[actual][predicted]`; empty for regression and beyond 1,000 classes.
    pub confusion: Vec<Vec<u64>>,
    /// Uplift: the Qini curve, by rising share of rows; empty where no row, or every row, was treated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qini: Vec<QiniPoint>,
    pub baseline: Baseline,
}

impl Baseline {
    /// The metric of a loss that is judged by itself.
    fn metric(&self) -> Option<&'static str> {
        match self {
            Baseline::Value { gauge, .. } => Some(gauge.metric()),
            Baseline::Rates(_) => Some("roc_auc"),
            Baseline::Survival { .. } => Some(survival::CONCORDANCE),
            Baseline::Effect(_) => Some(uplift::QINI),
            _ => None,
        }
    }
}

impl Evaluation {
    /// Before anything is scored.
    pub fn empty(baseline: Baseline) -> Evaluation {
        Evaluation {
            rows: 0,
            metrics: Vec::new(),
            confusion: Vec::new(),
            qini: Vec::new(),
            baseline,
        }
    }

    /// The one metric a model is judged by: `roc_auc` (binary), `accuracy` (multiclass), `rmse` (regression), or the mean of
    /// the loss it has learned, `quadratic_weighted_kappa` (ordinal). Where the test rows do not allow a ROC curve, a binary model is judged by `accuracy`.
    pub fn headline(&self) -> Option<&Metric> {
        let own = match self.metrics.iter().any(|m| m.metric == ordinal::KAPPA) {
            true => Some(ordinal::KAPPA),
            false => self.baseline.metric(),
        };
        if let Some(found) = self
            .metrics
            .iter()
            .find(|m| Some(m.metric.as_str()) == own && m.class.is_none())
        {
            return Some(found);
        }
        let of_classes = self.metrics.iter().any(|m| m.class.is_some());
        let names = ["roc_auc", "accuracy", "rmse"];
        names[usize::from(of_classes)..].iter().find_map(|n| {
            self.metrics
                .iter()
                .find(|m| m.metric == *n && m.class.is_none())
        })
    }
}

/// The area under the ROC curve of scores; NaN where a class is lacking.
pub(crate) fn roc_auc(scores: &[f64], positive: &[bool]) -> f64 {
    let by_score = curve::order(scores.len(), |i| scores[i], |i| positive[i]);
    let mut areas = curve::Areas::default();
    curve::walk(&by_score, |_| 1, |_, above| areas.visit(above));
    areas.roc_auc()
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
/// threads; inside a rayon pool its threads are used, elsewhere none is started, and the [`Resampling`] may be interrupted.
pub fn evaluate<'a>(
    task: Task,
    labels: &[String],
    truth: &Truth,
    predictions: &[f64],
    threshold: f64,
    baseline: &Baseline,
    draws: impl Into<Resampling<'a>>,
) -> Evaluation {
    let draws = draws.into();
    let mut evaluation = Evaluation::empty(baseline.clone());
    match truth {
        Truth::Values(truth) => values::evaluate(truth, predictions, draws, &mut evaluation),
        Truth::Classes(truth) => {
            let how = classes::How {
                task,
                labels,
                threshold,
            };
            classes::evaluate(&how, truth, predictions, draws, &mut evaluation);
            if task == Task::Ordinal {
                ordinal::evaluate(labels.len(), truth, predictions, draws, &mut evaluation);
            }
        }
        Truth::Labels(truth) => {
            labels::evaluate(labels, truth, predictions, draws, &mut evaluation);
        }
        Truth::Survival { times, events } => {
            survival::evaluate(times, events, predictions, draws, &mut evaluation);
        }
        Truth::Uplift { outcomes, treated } => {
            uplift::evaluate(outcomes, treated, predictions, draws, &mut evaluation);
        }
    }
    evaluation
}

#[cfg(test)]
mod tasks_test;
#[cfg(test)]
#[path = "evaluate_test.rs"]
mod tests;
