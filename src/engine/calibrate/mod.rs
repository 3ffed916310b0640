//! Calibration: probabilities that come true as often as they say, learned from rows that were held out of training.
//!
//! Every method for two labels is strictly monotone in the probability, so that the order of rows, and with it ROC curves, stay.

mod fit;
mod vector;

use crate::artifact::Task;
use crate::infer::sigmoid;
pub use fit::fit;
use serde::{Deserialize, Serialize};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The one with the smallest log loss on rows it was not fitted to, if that is clearly smaller than without.
    #[default]
    Auto,
    None,
    Temperature,
    Vector,
    Isotonic,
    Beta,
}

/// What is done to a row's probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    #[default]
    None,
    /// Log-odds, of many classes logarithms, times this (Guo et al. 2017, "On Calibration of Modern Neural Networks", whose
    /// temperature is the reciprocal).
    Temperature { inverse: f64 },
    /// Of each label, its logarithm times a factor, and a shift (section 4.2 there; Kull et al. 2019, "Beyond temperature
    /// scaling", have it as diagonal Dirichlet calibration): another label may become the likeliest.
    Vector { scale: Vec<f64>, shift: Vec<f64> },
    /// log-odds = a ln p - b ln(1 - p) + c (Kull, Silva Filho and Flach 2017, "Beta calibration").
    Beta { a: f64, b: f64, c: f64 },
    /// Straight between points (Oron and Flournoy 2017, "Centered isotonic regression"): the pooled blocks of an isotonic
    /// regression, each at its mean.
    Isotonic { from: Vec<f64>, to: Vec<f64> },
}

/// Probabilities are kept this far off 0 and 1 before their logarithm is taken.
pub(crate) const EDGE: f64 = 1e-15;

/// ln p and ln(1 - p).
fn logarithms(p: f64) -> (f64, f64) {
    let p = p.clamp(EDGE, 1.0 - EDGE);
    (p.ln(), (-p).ln_1p())
}

impl Calibration {
    pub fn name(&self) -> &'static str {
        match self {
            Calibration::None => "none",
            Calibration::Temperature { .. } => "temperature",
            Calibration::Vector { .. } => "vector",
            Calibration::Beta { .. } => "beta",
            Calibration::Isotonic { .. } => "isotonic",
        }
    }

    /// Changes the predictions of a row: one probability (binary) or one of each label.
    pub fn apply(&self, predictions: &mut [f64]) {
        match predictions {
            [p] => *p = self.of(*p),
            many => self.of_many(many),
        }
    }

    /// The calibrated probability of the positive label.
    pub fn of(&self, p: f64) -> f64 {
        match self {
            // A vector is for many labels.
            Calibration::None | Calibration::Vector { .. } => p,
            Calibration::Temperature { inverse } => {
                let (yes, no) = logarithms(p);
                sigmoid(inverse * (yes - no))
            }
            Calibration::Beta { a, b, c } => {
                let (yes, no) = logarithms(p);
                sigmoid(a * yes - b * no + c)
            }
            Calibration::Isotonic { from, to } => {
                // At least two points (checked); beyond them the outermost stand.
                let last = from.len().min(to.len()).saturating_sub(1).max(1);
                let above = from.partition_point(|x| *x <= p).clamp(1, last);
                match (from.get(above - 1..=above), to.get(above - 1..=above)) {
                    (Some([x0, x1]), Some([y0, y1])) => {
                        y0 + (y1 - y0) * ((p - x0) / (x1 - x0)).clamp(0.0, 1.0)
                    }
                    _ => p,
                }
            }
        }
    }

    fn of_many(&self, probabilities: &mut [f64]) {
        let log = |p: f64| p.max(EDGE).ln();
        match self {
            Calibration::Temperature { inverse } => {
                let all = probabilities.iter_mut();
                all.for_each(|p| *p = inverse * log(*p));
            }
            Calibration::Vector { scale, shift } => {
                let own = scale.iter().zip(shift);
                for (p, (scale, shift)) in probabilities.iter_mut().zip(own) {
                    *p = scale * log(*p) + shift;
                }
            }
            // The other methods are for two labels.
            _ => return,
        }
        let largest = probabilities
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for p in probabilities.iter_mut() {
            *p = (*p - largest).exp();
            sum += *p;
        }
        probabilities.iter_mut().for_each(|p| *p /= sum);
    }

    /// How many labels it is for, where it knows.
    pub(crate) fn labels(&self) -> Option<usize> {
        match self {
            Calibration::Vector { scale, .. } => Some(scale.len()),
            _ => None,
        }
    }

    /// Does it fit the task, and is it monotone?
    pub(crate) fn is_sound(&self, task: Task) -> bool {
        let rises = |values: &[f64]| values.windows(2).all(|w| w[0] < w[1]);
        let shares = |values: &[f64]| values.iter().all(|v| (0.0..=1.0).contains(v));
        match self {
            Calibration::None => true,
            Calibration::Temperature { inverse } => {
                task.has_one_label() && inverse.is_finite() && *inverse > 0.0
            }
            Calibration::Vector { scale, shift } => {
                task == Task::Multiclass
                    && scale.len() == shift.len()
                    && scale.iter().all(|a| a.is_finite() && *a > 0.0)
                    && shift.iter().all(|b| b.is_finite())
            }
            Calibration::Beta { a, b, c } => {
                task == Task::Binary
                    && [a, b].iter().all(|x| x.is_finite() && **x >= 0.0)
                    && a + b > 0.0
                    && c.is_finite()
            }
            Calibration::Isotonic { from, to } => {
                task == Task::Binary
                    && from.len() == to.len()
                    && from.len() >= 2
                    && rises(from)
                    && rises(to)
                    && shares(from)
                    && shares(to)
            }
        }
    }
}

#[cfg(test)]
mod tests;
