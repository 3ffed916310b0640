//! The coefficients at a penalty: Newton's method, each step by coordinate descent on the sums of squares and products of the
//! inputs (Friedman, Hastie and Tibshirani 2010, "Regularization Paths for Generalized Linear Models via Coordinate Descent"),
//! without an L1 penalty by Cholesky's decomposition. Of several outputs one at a time.

use super::cholesky::{cholesky, solve};
use super::{Design, Goal, log_sum};
use crate::models::Output;
use std::time::Instant;

/// Newton steps of each output, at most, and the relative fall of the loss that ends them.
const STEPS: usize = 50;
const SETTLED: f64 = 1e-9;
/// Rounds of coordinate descent of a step, at most.
const ROUNDS: usize = 1000;
/// Steps that made the loss rise are halved so often.
const HALVINGS: u32 = 12;
/// Added to the squares where nothing else keeps them apart, as a share of them.
const RIDGE: f64 = 1e-9;

/// Mean loss + `l1` · Σ|w| + `l2` · Σw², intercepts apart; the loss is the log loss or the squared error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Penalty {
    pub(crate) l1: f64,
    pub(crate) l2: f64,
}

/// The coefficients of each output, its intercept first.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) coefficients: Vec<Vec<f64>>,
}

impl Fit {
    /// Nothing but 0.
    pub(crate) fn nothing(design: &Design<'_>, goal: &Goal<'_>) -> Fit {
        Fit {
            coefficients: vec![vec![0.0; design.width]; goal.outputs],
        }
    }

    fn penalty(&self, by: Penalty) -> f64 {
        let inputs = self.coefficients.iter().flat_map(|own| &own[1..]);
        inputs.map(|b| by.l1 * b.abs() + by.l2 * b * b).sum()
    }
}

/// Loss, gradient and second derivatives by the coefficients of one output, all means over the rows.
struct Slope {
    loss: f64,
    gradient: Vec<f64>,
    /// `[width][width]`, symmetric.
    curvature: Vec<f64>,
}

/// Of one row and output: its loss, and the derivatives by its sum.
fn derive(goal: &Goal<'_>, sums: &[Vec<f64>], row: usize, output: usize) -> (f64, f64, f64) {
    let target = f64::from(goal.targets[row]);
    let own = sums[output][row];
    match goal.output {
        Output::Sigmoid => {
            let p = crate::infer::sigmoid(own);
            let loss = own.max(0.0) - own * target + (-own.abs()).exp().ln_1p();
            (loss, p - target, p * (1.0 - p))
        }
        Output::Softmax => {
            let all = log_sum(sums.iter().map(|s| s[row]));
            let p = (own - all).exp();
            let truth = f64::from(u8::from(target as usize == output));
            (all - sums[target as usize][row], p - truth, p * (1.0 - p))
        }
        // With a logarithm as link it is not asked for.
        Output::Identity | Output::Exp => {
            let error = own - target;
            (error * error, 2.0 * error, 2.0)
        }
    }
}

fn slope(design: &Design<'_>, goal: &Goal<'_>, sums: &[Vec<f64>], output: usize) -> Slope {
    let width = design.width;
    let size = 1 + width + width * width;
    let mut all = design.add_up(size, |row, entries, out| {
        let weight = goal.weight(row);
        let (loss, first, second) = derive(goal, sums, row, output);
        out[0] += weight * loss;
        let (gradient, curvature) = out[1..].split_at_mut(width);
        for (i, &(at, x)) in entries.iter().enumerate() {
            gradient[at] += weight * first * x;
            let own = weight * second * x;
            for &(other, y) in &entries[..=i] {
                let (low, high) = if other < at { (other, at) } else { (at, other) };
                curvature[high * width + low] += own * y;
            }
        }
    });
    let total = goal.total(design.rows()).max(f64::MIN_POSITIVE);
    all.iter_mut().for_each(|x| *x /= total);
    let mut curvature = all.split_off(1 + width);
    for row in 0..width {
        for column in 0..row {
            curvature[column * width + row] = curvature[row * width + column];
        }
    }
    Slope {
        loss: all[0],
        gradient: all.split_off(1),
        curvature,
    }
}

/// The smallest L1 penalty at which every coefficient but the intercepts is 0.
pub(crate) fn smallest_without(design: &Design<'_>, goal: &Goal<'_>) -> f64 {
    let none = Design::only(design, &[]);
    let start = Fit::nothing(&none, goal);
    let apart = Penalty { l1: 0.0, l2: 0.0 };
    let constant = fit(&none, goal, apart, &start);
    let mut from = Fit::nothing(design, goal);
    for (own, known) in from.coefficients.iter_mut().zip(&constant.coefficients) {
        own[0] = known[0];
    }
    let sums: Vec<Vec<f64>> = from
        .coefficients
        .iter()
        .map(|own| design.sums(own))
        .collect();
    let total = goal.total(design.rows()).max(f64::MIN_POSITIVE);
    let pulls = (0..goal.outputs).map(|output| {
        let gradient = design.add_up(design.width, |row, entries, out| {
            let (_, first, _) = derive(goal, &sums, row, output);
            let own = goal.weight(row) * first;
            entries.iter().for_each(|(at, x)| out[*at] += own * x);
        });
        let inputs = gradient[1..].iter();
        inputs.fold(0.0, |most: f64, g| most.max((g / total).abs()))
    });
    pulls.fold(0.0, f64::max)
}

/// Fits at a penalty, from coefficients that are near.
pub(crate) fn fit(design: &Design<'_>, goal: &Goal<'_>, by: Penalty, from: &Fit) -> Fit {
    let mut fit = from.clone();
    let mut sums: Vec<Vec<f64>> = fit
        .coefficients
        .iter()
        .map(|own| design.sums(own))
        .collect();
    // The loss before the last change, what was changed, and how often it was halved.
    let mut last: Option<(f64, usize, Vec<f64>)> = None;
    let (mut halved, mut cycle, mut output) = (0, f64::INFINITY, 0);
    for step in 0..STEPS * goal.outputs {
        // What there is so far is a model, too.
        if step > 0 && goal.until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        let slope = slope(design, goal, &sums, output);
        let loss = slope.loss + fit.penalty(by);
        if let Some((before, changed, old)) = &mut last
            && (loss.is_nan() || loss > *before + SETTLED * before.abs())
        {
            halved += 1;
            let own = &mut fit.coefficients[*changed];
            if halved > HALVINGS {
                own.copy_from_slice(old);
                break;
            }
            own.iter_mut()
                .zip(old.iter())
                .for_each(|(new, old)| *new = (*new + *old) / 2.0);
            sums[*changed] = design.sums(own);
            continue;
        }
        if output == 0 && step > 0 {
            if cycle - loss <= SETTLED * loss.abs() {
                break;
            }
            cycle = loss;
        } else if step == 0 {
            cycle = loss;
        }
        halved = 0;
        let own = &mut fit.coefficients[output];
        let old = own.clone();
        if by.l1 > 0.0 || !newton(&slope, by.l2, own) {
            descend(&slope, by, own);
        }
        sums[output] = design.sums(own);
        last = Some((loss, output, old));
        output = (output + 1) % goal.outputs;
    }
    fit
}

/// One whole step without an L1 penalty; false where the inputs cannot be told apart.
fn newton(slope: &Slope, l2: f64, own: &mut [f64]) -> bool {
    let width = own.len();
    let mut matrix = slope.curvature.clone();
    let mut step: Vec<f64> = slope.gradient.iter().map(|g| -g).collect();
    for at in 0..width {
        let place = at * width + at;
        matrix[place] += RIDGE * matrix[place].max(1e-6);
        if at > 0 {
            matrix[place] += 2.0 * l2;
            step[at] -= 2.0 * l2 * own[at];
        }
    }
    let Some(lower) = cholesky(&matrix, width) else {
        return false;
    };
    solve(&lower, &mut step);
    if !step.iter().all(|x| x.is_finite()) {
        return false;
    }
    own.iter_mut().zip(step).for_each(|(b, step)| *b += step);
    true
}

/// Coordinate descent: all inputs, then those with a coefficient until they settle, and again until none joins.
fn descend(slope: &Slope, by: Penalty, own: &mut [f64]) {
    let width = own.len();
    let mut gradient = slope.gradient.clone();
    let mut all = true;
    let settled = 1e-11 * slope.loss.abs().max(1e-12);
    for _ in 0..ROUNDS {
        let mut moved: f64 = 0.0;
        for at in 0..width {
            if !all && own[at] == 0.0 && at > 0 {
                continue;
            }
            let row = &slope.curvature[at * width..(at + 1) * width];
            let curve = row[at];
            let pull = curve * own[at] - gradient[at];
            let new = if at == 0 {
                pull / curve
            } else {
                pull.signum() * (pull.abs() - by.l1).max(0.0) / (curve + 2.0 * by.l2)
            };
            let change = new - own[at];
            // An input that is 0 in every row stays out.
            if change == 0.0 || !change.is_finite() {
                continue;
            }
            own[at] = new;
            gradient
                .iter_mut()
                .zip(row)
                .for_each(|(g, h)| *g += h * change);
            moved = moved.max((curve + 2.0 * by.l2) * change * change);
        }
        let quiet = moved <= settled;
        if quiet && all {
            break;
        }
        all = quiet;
    }
}
