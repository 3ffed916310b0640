//! What training makes small: every loss with its derivatives, for networks, trees and their blend.

#[cfg(any(test, feature = "cuda"))]
pub(super) mod tensors;

use super::Examples;
use crate::models::Output;
use crate::params::{Loss, ValidParams};

/// Beyond this an exponential is as good as infinite.
const LARGEST_LOG: f64 = 30.0;
/// Errors smaller than this do not make steeper parabolas above an absolute error.
const SMALL_ERROR: f64 = 0.05;

/// A loss and the outputs it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Objective {
    loss: Loss,
    pub(crate) output: Output,
    pub(crate) outputs: usize,
    /// Where Huber's loss becomes linear, the quantile, the power of Tweedie's variance, or the focus.
    parameter: f64,
    /// Share of a label's weight that all labels have alike.
    smoothing: f64,
}

/// The loss of one output for one row, with its derivatives by the output's sum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Point {
    pub(crate) loss: f64,
    pub(crate) slope: f64,
    /// At least 0: the second derivative, or the curvature of a parabola that lies above the loss where it has none.
    pub(crate) curve: f64,
}

impl Objective {
    pub(crate) fn new(params: &ValidParams, output: Output, outputs: usize) -> Objective {
        let parameter = match params.loss {
            Loss::Huber => params.huber_delta,
            Loss::Quantile => params.quantile,
            Loss::Tweedie => params.tweedie_power,
            Loss::Focal => params.focal_gamma,
            _ => 0.0,
        };
        Objective {
            loss: params.loss,
            output,
            outputs,
            parameter,
            smoothing: 0.0,
        }
    }

    /// The same for training with smoothed labels (Szegedy et al. 2016, "Rethinking the Inception architecture"): every label
    /// counts for a share of each row's. It stays out of what judges.
    pub(crate) fn smoothed(self, smoothing: f64) -> Objective {
        Objective { smoothing, ..self }
    }

    /// A target between no and yes as it is learned.
    fn soft(&self, y: f32) -> f32 {
        match self.output {
            Output::Sigmoid => y + (self.smoothing as f32) * (0.5 - y),
            _ => y,
        }
    }

    /// The same for trees and for shares of a blend: squares of probabilities are flat where a model is sure and wrong, so
    /// log losses stand for them.
    pub(crate) fn steep(self) -> Objective {
        let loss = match (self.loss, self.output) {
            (Loss::MeanSquaredError, Output::Sigmoid) => Loss::BinaryCrossentropy,
            (Loss::MeanSquaredError, Output::Softmax) => Loss::CategoricalCrossentropy,
            (loss, _) => loss,
        };
        Objective { loss, ..self }
    }

    /// Whether a mean, or shares of labels, make it small: squared error of one value, log loss of one label of several.
    pub(crate) fn is_usual(&self) -> bool {
        let of_labels = matches!(
            self.loss,
            Loss::BinaryCrossentropy | Loss::CategoricalCrossentropy
        );
        match self.output {
            Output::Softmax => of_labels || self.loss == Loss::MeanSquaredError,
            Output::Sigmoid => {
                self.outputs == 1 && (of_labels || self.loss == Loss::MeanSquaredError)
            }
            Output::Identity => self.outputs == 1 && self.loss == Loss::MeanSquaredError,
            Output::Exp => false,
        }
    }

    /// Targets of a row: a code for a softmax, else one for each output.
    pub(crate) fn width(&self) -> usize {
        match self.output {
            Output::Softmax => 1,
            _ => self.outputs,
        }
    }

    /// The targets of a row out of those of all.
    pub(crate) fn of<'t>(&self, targets: &'t [f32], row: usize) -> &'t [f32] {
        let width = self.width();
        &targets[row * width..(row + 1) * width]
    }

    /// What brings the least loss of a deviance to 0, by the target.
    pub(super) fn least(&self, y: f64) -> f64 {
        match self.loss {
            Loss::Poisson if y > 0.0 => y * y.ln() - y,
            Loss::Tweedie => {
                let p = self.parameter;
                y.powf(2.0 - p) / ((1.0 - p) * (2.0 - p))
            }
            _ => 0.0,
        }
    }

    /// One output that is no softmax: its sum `z` against the target `y`, which must not be NaN.
    #[inline(always)]
    pub(crate) fn point(&self, z: f64, y: f64) -> Point {
        let (loss, slope, curve) = match (self.loss, self.output) {
            (Loss::MeanSquaredError, Output::Sigmoid) => {
                let p = crate::infer::sigmoid(z);
                let (error, rise) = (p - y, p * (1.0 - p));
                (error * error, 2.0 * error * rise, 2.0 * rise * rise)
            }
            (Loss::MeanSquaredError, _) => ((z - y) * (z - y), 2.0 * (z - y), 2.0),
            (Loss::MeanAbsoluteError, _) => {
                let e = z - y;
                (e.abs(), sign(e), 1.0 / (SMALL_ERROR + e.abs()))
            }
            (Loss::Huber, _) => {
                let (e, delta) = (z - y, self.parameter);
                if e.abs() <= delta {
                    (0.5 * e * e, e, 1.0)
                } else {
                    let loss = delta * (e.abs() - 0.5 * delta);
                    (loss, delta * sign(e), delta / e.abs())
                }
            }
            // The parabola: Hunter and Lange 2000, "Quantile regression via an MM algorithm".
            (Loss::Quantile, _) => {
                let (e, q) = (z - y, self.parameter);
                let slope = if e > 0.0 { 1.0 - q } else { -q };
                (slope * e, slope, 0.5 / (SMALL_ERROR + e.abs()))
            }
            // Half the unit deviance.
            (Loss::Poisson, _) => {
                let z = z.min(LARGEST_LOG);
                let mean = z.exp();
                (mean - y * z + self.least(y), mean - y, mean)
            }
            // Half the unit deviance for a power between 1 and 2 (Jorgensen 1987).
            (Loss::Tweedie, _) => {
                let (z, p) = (z.min(LARGEST_LOG), self.parameter);
                let (a, b) = ((1.0 - p) * z, (2.0 - p) * z);
                let (a, b) = (y * a.exp(), b.exp());
                (
                    self.least(y) - a / (1.0 - p) + b / (2.0 - p),
                    b - a,
                    (2.0 - p) * b - (1.0 - p) * a,
                )
            }
            // Lin et al. 2017, "Focal loss for dense object detection".
            (Loss::Focal, _) => {
                let side = if y > 0.5 { 1.0 } else { -1.0 };
                let p = crate::infer::sigmoid(side * z);
                let (q, gamma) = (1.0 - p, self.parameter);
                let log = ln_sigmoid(side * z);
                let focus = q.powf(gamma);
                let slope = focus * (gamma * p * log - q);
                let exact = gamma * (q - gamma * p * log) + q * (gamma * log + gamma + 1.0);
                (-focus * log, side * slope, p * focus * exact.max(0.1 * q))
            }
            // log(1 + e^z) - y z, written so that nothing overflows.
            (Loss::BinaryCrossentropy | Loss::CategoricalCrossentropy, _) => {
                let e = (-z.abs()).exp();
                let small = e / (1.0 + e);
                let p = if z >= 0.0 { 1.0 - small } else { small };
                // ln_1p takes twice the time, for losses below 1e-16.
                (z.max(0.0) - z * y + (1.0 + e).ln(), p - y, p * (1.0 - p))
            }
        };
        Point { loss, slope, curve }
    }

    /// One row's loss, summed over the outputs that count; its derivative by the sums takes their place.
    #[inline]
    pub(crate) fn derive(&self, sums: &mut [f32], targets: &[f32]) -> f64 {
        if self.output == Output::Softmax {
            return self.derive_softmax(sums, targets[0] as usize);
        }
        let mut loss = 0.0;
        for (sum, y) in sums.iter_mut().zip(targets) {
            if y.is_nan() {
                *sum = 0.0;
                continue;
            }
            let point = self.point(f64::from(*sum), f64::from(self.soft(*y)));
            loss += point.loss;
            *sum = point.slope as f32;
        }
        loss
    }

    /// Adds one row's losses times its weight: the sum of all outputs', or one by one where `losses` has a place for each. The
    /// sums may be changed.
    pub(crate) fn add_losses(
        &self,
        sums: &mut [f32],
        targets: &[f32],
        weight: f64,
        losses: &mut [f64],
    ) {
        if let [all] = losses {
            *all += weight * self.derive(sums, targets);
            return;
        }
        for ((loss, z), y) in losses.iter_mut().zip(sums).zip(targets) {
            if !y.is_nan() {
                *loss += weight * self.point(f64::from(*z), f64::from(*y)).loss;
            }
        }
    }

    fn derive_softmax(&self, sums: &mut [f32], code: usize) -> f64 {
        let largest = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let own = sums[code] - largest;
        let total = softmax(sums);
        let log = f64::from(own) - f64::from(total).ln();
        match self.loss {
            Loss::MeanSquaredError => {
                let error = |i: usize, p: f32| p - f32::from(i == code);
                let errors = sums.iter().enumerate().map(|(i, p)| (error(i, *p), *p));
                let (squares, shared) = errors.fold((0.0, 0.0), |(s, t), (e, p)| {
                    (s + f64::from(e).powi(2), t + e * p)
                });
                for (i, p) in sums.iter_mut().enumerate() {
                    *p = 2.0 * *p * (error(i, *p) - shared);
                }
                squares
            }
            Loss::Focal => {
                let (loss, steep) = self.focus(log);
                for (i, p) in sums.iter_mut().enumerate() {
                    *p = steep as f32 * (*p - f32::from(i == code));
                }
                loss
            }
            _ if self.smoothing == 0.0 => {
                sums[code] -= 1.0;
                -log
            }
            _ => {
                let each = self.smoothing / sums.len() as f64;
                let all: f64 = sums.iter().map(|p| f64::from(p.max(1e-30)).ln()).sum();
                sums.iter_mut().for_each(|p| *p -= each as f32);
                sums[code] -= (1.0 - self.smoothing) as f32;
                -(1.0 - self.smoothing) * log - each * all
            }
        }
    }

    /// The focal loss of a probability given by its logarithm, and what the derivative of the log loss is multiplied with.
    fn focus(&self, log: f64) -> (f64, f64) {
        let (p, gamma) = (log.exp(), self.parameter);
        let q = (1.0 - p).max(1e-12);
        let focus = q.powf(gamma);
        (-focus * log, focus - gamma * p * focus / q * log)
    }

    /// Loss, slope and curve of a row by the score of one output; `scores[k][row]` are those of all. What does not count is
    /// all zero.
    pub(crate) fn pair(&self, scores: &[Vec<f32>], row: usize, output: usize, y: &[f32]) -> Point {
        if self.output != Output::Softmax {
            let y = y[output];
            if y.is_nan() {
                return Point::default();
            }
            let point = self.point(f64::from(scores[output][row]), f64::from(y));
            if self.loss == Loss::MeanSquaredError {
                // Half of it: trees' penalties are meant for a curvature of 1.
                let (slope, curve) = (0.5 * point.slope, 0.5 * point.curve);
                return Point {
                    slope,
                    curve,
                    ..point
                };
            }
            return point;
        }
        let code = y[0] as usize;
        let all = || scores.iter().map(|s| f64::from(s[row]));
        let largest = all().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = all().map(|s| (s - largest).exp()).sum();
        let p = (f64::from(scores[output][row]) - largest).exp() / sum;
        let log = f64::from(scores[code][row]) - largest - sum.ln();
        // Friedman's factor makes one step of all outputs as long as one of two labels.
        let labels = scores.len() as f64;
        let factor = labels / (labels - 1.0);
        let (loss, steep) = match self.loss {
            Loss::Focal => self.focus(log),
            _ => (-log, 1.0),
        };
        Point {
            loss,
            slope: steep * (p - f64::from(u8::from(code == output))),
            curve: steep * factor * p * (1.0 - p),
        }
    }

    /// One row's loss by its answers: probabilities or values.
    fn of_answers(&self, answers: &[f64], targets: &[f32]) -> f64 {
        if self.output == Output::Softmax {
            return self.of_log(answers[targets[0] as usize].max(1e-15).ln());
        }
        let rows = answers.iter().zip(targets).filter(|(_, y)| !y.is_nan());
        rows.map(|(a, y)| self.point(self.output.sum_of(*a), f64::from(*y)).loss)
            .sum()
    }

    fn of_log(&self, log: f64) -> f64 {
        match self.loss {
            Loss::Focal => self.focus(log).0,
            _ => -log,
        }
    }

    /// The loss of each row of answers `[rows][outputs]`.
    pub(crate) fn each(&self, answers: &[f64], targets: &[f32]) -> impl Iterator<Item = f64> {
        let rows = answers.chunks_exact(self.outputs.max(1)).enumerate();
        rows.map(move |(row, answer)| self.of_answers(answer, self.of(targets, row)))
    }

    /// Mean loss of the answers `[rows][outputs]` for a part.
    pub(crate) fn mean(&self, answers: &[f64], part: &Examples<'_>) -> f64 {
        part.mean(self.each(answers, part.targets))
    }

    /// The sums that trees begin with: those of the mean targets, or of a quantile.
    pub(crate) fn start(&self, part: &Examples<'_>) -> Vec<f32> {
        let weight = |row: usize| part.weights.get(row).map_or(1.0, |w| f64::from(*w));
        let softmax = self.output == Output::Softmax;
        let mut sums = vec![(0.0, 0.0); self.outputs];
        for (row, targets) in part.targets.chunks_exact(self.width().max(1)).enumerate() {
            let weight = weight(row);
            for (output, sum) in sums.iter_mut().enumerate() {
                let y = match softmax {
                    true => f64::from(u8::from(targets[0] as usize == output)),
                    false => f64::from(targets[output]),
                };
                if !y.is_nan() {
                    *sum = (sum.0 + weight * y, sum.1 + weight);
                }
            }
        }
        let middle = match self.loss {
            Loss::MeanAbsoluteError => Some(0.5),
            Loss::Quantile => Some(self.parameter),
            _ => None,
        };
        let start = |(output, (sum, total)): (usize, (f64, f64))| {
            if let Some(q) = middle {
                let all = part.targets.iter().skip(output).step_by(self.outputs);
                let mut all: Vec<f32> = all.copied().filter(|y| !y.is_nan()).collect();
                all.sort_unstable_by(f32::total_cmp);
                let at = all.len().saturating_sub(1) as f64 * q;
                return all.get(at.round() as usize).copied().unwrap_or(0.0);
            }
            let mean = sum / f64::max(total, f64::MIN_POSITIVE);
            (match self.output {
                Output::Softmax => mean.clamp(1e-6, 1.0).ln(),
                Output::Sigmoid => Output::Sigmoid.sum_of(mean.clamp(1e-6, 1.0 - 1e-6)),
                Output::Exp => Output::Exp.sum_of(mean.max(1e-6)),
                Output::Identity => mean,
            }) as f32
        };
        sums.into_iter().enumerate().map(start).collect()
    }
}

/// -1, 0 or 1.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// log of [`crate::infer::sigmoid`] without underflow.
fn ln_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// In place; answers Σ e^(x - largest).
fn softmax(sums: &mut [f32]) -> f32 {
    let largest = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for x in sums.iter_mut() {
        *x = (*x - largest).exp();
        total += *x;
    }
    sums.iter_mut().for_each(|p| *p /= total);
    total
}

#[cfg(test)]
#[path = "loss_test.rs"]
mod tests;
