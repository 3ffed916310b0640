//! What the sums of a model's last layer, or of its trees, stand for.

use crate::artifact::Task;
use serde::{Deserialize, Serialize};

/// What the last layer's output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Values, standardised.
    Identity,
    /// Logits, each of a probability of its own.
    Sigmoid,
    /// Multiclass: one logit per label.
    Softmax,
    /// Logarithms of values that are not negative, scaled by their mean.
    Exp,
}

impl Output {
    /// What a task needs, and how many outputs; `labels` are the intervals for survival; `log`: the values are not negative, and the sums are their logarithms.
    pub fn of(task: Task, labels: usize, log: bool) -> (Output, usize) {
        match task {
            Task::Binary => (Output::Sigmoid, 1),
            Task::Multiclass => (Output::Softmax, labels),
            Task::Multilabel | Task::Survival => (Output::Sigmoid, labels),
            // Whether the label is above the first, the second, and so on (Frank and Hall 2001).
            Task::Ordinal => (Output::Sigmoid, labels.saturating_sub(1)),
            Task::Regression if log => (Output::Exp, 1),
            Task::Regression | Task::Uplift => (Output::Identity, 1),
        }
    }

    /// Adds `share` times what the sums stand for: probabilities, or values.
    #[inline]
    pub(crate) fn add(self, sums: &[f32], share: f64, out: &mut [f64]) {
        let each = |of: fn(f64) -> f64, out: &mut [f64]| {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out += share * of(f64::from(*sum));
            }
        };
        match self {
            Output::Identity => each(|x| x, out),
            Output::Sigmoid => each(crate::infer::sigmoid, out),
            Output::Exp => each(exp, out),
            Output::Softmax => crate::infer::softmax(sums, share, out),
        }
    }

    /// The sum that stands for an answer; of a softmax one whose differences count.
    #[inline]
    pub(crate) fn sum_of(self, answer: f64) -> f64 {
        match self {
            Output::Identity => answer,
            Output::Sigmoid => {
                let p = answer.clamp(1e-15, 1.0 - 1e-15);
                (p / (1.0 - p)).ln()
            }
            Output::Softmax => answer.max(1e-15).ln(),
            Output::Exp => answer.max(1e-13).ln(),
        }
    }
}

/// e^x, finite.
fn exp(x: f64) -> f64 {
    x.min(700.0).exp()
}
