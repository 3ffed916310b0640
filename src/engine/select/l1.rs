//! A linear or logistic model with an L1 penalty (Tibshirani 1996): columns whose coefficients all become 0 are not needed.
//!
//! Fitted by coordinate descent along a path of falling penalties (Friedman, Hastie and Tibshirani 2010, "Regularization Paths
//! for Generalized Linear Models via Coordinate Descent"); the logistic loss by the quadratic bound of Böhning and Lindsay
//! (1988). Classes are held against all others, one by one.

use super::{Design, Judgement, Sample};
use crate::evaluate::Truth;
use rayon::prelude::*;

/// Penalties tried, from the smallest that leaves no column down to this share of it.
const PENALTIES: usize = 40;
const LEAST: f64 = 0.001;
/// The path ends when the validation loss has not fallen for so many penalties.
const PATIENCE: usize = 6;
/// Quadratic bounds and rounds of coordinate descent for each penalty, at most, and the change that ends them.
const BOUNDS: usize = 25;
const DESCENTS: usize = 100;
const CONVERGED: f32 = 1e-4;
/// Classes held against the others: the most frequent ones.
const CLASSES: usize = 16;

/// One model on its way along the path.
struct Fit {
    /// 0 and 1, or a standardised number.
    target: Vec<f32>,
    held_out: Vec<f32>,
    logistic: bool,
    intercept: f32,
    coefficients: Vec<f32>,
    /// Linear predictor of the training rows.
    predictor: Vec<f32>,
    /// Losses of the validation rows at the last penalty.
    losses: Vec<f32>,
}

/// Keeps the columns with a coefficient at the largest penalty whose validation loss lies within a standard error of the least
/// (Breiman and others 1984). Needs validation rows.
pub fn l1(sample: &Sample<'_>) -> Vec<Judgement> {
    let mut design = Design::of(sample);
    standardise(&mut design);
    let mut fits = fits(&design, sample.classes);
    let largest = fits
        .iter()
        .map(|fit| fit.smallest_without(&design.train))
        .fold(0f32, f32::max);
    let step = LEAST.powf(1.0 / (PENALTIES - 1) as f64) as f32;
    let mut path: Vec<(f32, f64, f64, Vec<f32>)> = Vec::new();
    let mut penalty = largest;
    for _ in 0..PENALTIES {
        fits.par_iter_mut()
            .for_each(|fit| fit.descend(&design, penalty));
        let rows = design.validation.first().map_or(0, Vec::len);
        let losses: Vec<f64> = (0..rows)
            .map(|row| fits.iter().map(|fit| f64::from(fit.losses[row])).sum())
            .collect();
        let (mean, error) = mean_and_error(&losses);
        path.push((
            penalty,
            mean,
            error,
            largest_coefficients(&fits, &design.owners, sample.columns.len()),
        ));
        let best = best(&path);
        if path.len() > best + PATIENCE {
            break;
        }
        penalty *= step;
    }
    let least = &path[best(&path)];
    let limit = least.1 + least.2;
    let chosen = path.iter().find(|at| at.1 <= limit).unwrap_or(least);
    chosen
        .3
        .iter()
        .map(|&coefficient| Judgement {
            score: f64::from(coefficient),
            keep: coefficient > 0.0,
            reason: format!(
                "{} in a linear model with an L1 penalty of {:.2e}",
                match coefficient > 0.0 {
                    true => format!("a standardised coefficient of {coefficient:.3}"),
                    false => "no coefficient".into(),
                },
                chosen.0
            ),
        })
        .collect()
}

fn best(path: &[(f32, f64, f64, Vec<f32>)]) -> usize {
    let losses = path.iter().enumerate();
    losses
        .min_by(|a, b| a.1.1.total_cmp(&b.1.1))
        .map_or(0, |(place, _)| place)
}

/// Mean 0 and standard deviation 1 by the training rows, in both parts; constants become 0.
fn standardise(design: &mut Design) {
    let pairs = design.train.par_iter_mut().zip(&mut design.validation);
    pairs.for_each(|(train, validation)| {
        let count = train.len().max(1) as f64;
        let mean = train.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let variance = train
            .iter()
            .map(|x| (f64::from(*x) - mean).powi(2))
            .sum::<f64>()
            / count;
        let scale = if variance > 1e-12 {
            1.0 / variance.sqrt()
        } else {
            0.0
        };
        let all = train.iter_mut().chain(validation);
        all.for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
    });
}

fn fits(design: &Design, classes: usize) -> Vec<Fit> {
    let fit = |target: Vec<f32>, held_out: Vec<f32>, logistic: bool| Fit {
        predictor: vec![0.0; target.len()],
        losses: vec![0.0; held_out.len()],
        coefficients: vec![0.0; design.train.len()],
        intercept: 0.0,
        target,
        held_out,
        logistic,
    };
    match (&design.truth, &design.held_out) {
        (Truth::Classes(known), Truth::Classes(held_out)) => {
            let mut by_size: Vec<(usize, u32)> = (0..classes as u32)
                .map(|class| (known.iter().filter(|code| **code == class).count(), class))
                .collect();
            by_size.sort_by(|a, b| b.cmp(a));
            // Two classes are one question.
            let asked = if classes <= 2 { 1 } else { CLASSES };
            let is = |codes: &[u32], class: u32| {
                let one = |code: &u32| f32::from(u8::from(*code == class));
                codes.iter().map(one).collect()
            };
            let of = by_size.iter().take(asked);
            of.map(|(_, class)| fit(is(known, *class), is(held_out, *class), true))
                .collect()
        }
        (Truth::Values(known), Truth::Values(held_out)) => {
            let count = known.len().max(1) as f64;
            let mean = known.iter().sum::<f64>() / count;
            let deviation = (known.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / count).sqrt();
            let scale = if deviation > 0.0 {
                1.0 / deviation
            } else {
                0.0
            };
            let scaled =
                |values: &[f64]| values.iter().map(|y| ((y - mean) * scale) as f32).collect();
            vec![fit(scaled(known), scaled(held_out), false)]
        }
        _ => Vec::new(),
    }
}

impl Fit {
    /// The smallest penalty at which every coefficient is 0.
    fn smallest_without(&self, inputs: &[Vec<f32>]) -> f32 {
        let count = self.target.len().max(1) as f32;
        let mean = self.target.iter().sum::<f32>() / count;
        let residual: Vec<f32> = self.target.iter().map(|y| y - mean).collect();
        let each = inputs
            .par_iter()
            .map(|input| dot(input, &residual).abs() / count);
        each.reduce(|| 0.0, f32::max)
    }

    fn answer(&self, predictor: f32) -> f32 {
        if self.logistic {
            1.0 / (1.0 + (-predictor).exp())
        } else {
            predictor
        }
    }

    /// Fits at a penalty, from where the last one left off, and judges.
    fn descend(&mut self, design: &Design, penalty: f32) {
        // The second derivative of the logistic loss is at most this.
        let curve = if self.logistic { 0.25 } else { 1.0 };
        for _ in 0..if self.logistic { BOUNDS } else { 1 } {
            let mut residual: Vec<f32> = self
                .target
                .iter()
                .zip(&self.predictor)
                .map(|(y, eta)| (y - self.answer(*eta)) / curve)
                .collect();
            let before = residual.clone();
            let moved = self.least_squares(&design.train, &mut residual, penalty / curve);
            let each = self.predictor.iter_mut().zip(before.iter().zip(&residual));
            each.for_each(|(eta, (before, after))| *eta += before - after);
            if moved < CONVERGED {
                break;
            }
        }
        let mut predictor = vec![self.intercept; self.held_out.len()];
        for (input, &coefficient) in design.validation.iter().zip(&self.coefficients) {
            if coefficient != 0.0 {
                add(&mut predictor, coefficient, input);
            }
        }
        self.losses = predictor
            .iter()
            .zip(&self.held_out)
            .map(|(eta, y)| match self.logistic {
                // -ln of the probability of what happened.
                true => eta.max(0.0) - eta * y + (-eta.abs()).exp().ln_1p(),
                false => (y - eta) * (y - eta),
            })
            .collect();
    }

    /// Coordinate descent on the residuals: all inputs, then those with a coefficient until they settle, and again until none
    /// joins. Answers the largest change of a coefficient.
    fn least_squares(&mut self, inputs: &[Vec<f32>], residual: &mut [f32], penalty: f32) -> f32 {
        let count = residual.len().max(1) as f32;
        let start: Vec<f32> = self.coefficients.clone();
        let from = self.intercept;
        let mut all = true;
        for _ in 0..DESCENTS {
            let shift = residual.iter().sum::<f32>() / count;
            self.intercept += shift;
            residual.iter_mut().for_each(|r| *r -= shift);
            let mut moved = shift.abs();
            for (input, coefficient) in inputs.iter().zip(&mut self.coefficients) {
                if !all && *coefficient == 0.0 {
                    continue;
                }
                // Inputs have a mean square of 1, or are 0 everywhere and stay out.
                let pull = dot(input, residual) / count + *coefficient;
                let new = pull.signum() * (pull.abs() - penalty).max(0.0);
                let change = new - *coefficient;
                if change != 0.0 {
                    add(residual, -change, input);
                    *coefficient = new;
                    moved = moved.max(change.abs());
                }
            }
            let settled = moved < CONVERGED;
            if settled && all {
                break;
            }
            all = settled;
        }
        let changes = self
            .coefficients
            .iter()
            .zip(&start)
            .map(|(a, b)| (a - b).abs());
        changes.fold((self.intercept - from).abs(), f32::max)
    }
}

/// Per column, over its inputs and the models.
fn largest_coefficients(fits: &[Fit], owners: &[usize], columns: usize) -> Vec<f32> {
    let mut largest = vec![0f32; columns];
    for fit in fits {
        for (&owner, coefficient) in owners.iter().zip(&fit.coefficients) {
            largest[owner] = largest[owner].max(coefficient.abs());
        }
    }
    largest
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    (mean, (variance / count).sqrt())
}

/// In eight sums, so that the compiler can add several at once.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = left.remainder().iter().zip(right.remainder());
    let rest: f32 = rest.map(|(x, y)| x * y).sum();
    for (x, y) in left.zip(right) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn add(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut()
        .zip(from)
        .for_each(|(to, from)| *to += factor * from);
}
