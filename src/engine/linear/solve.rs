//! The coefficients at a penalty: Newton's method on a quadratic function about the last coefficients, whose second derivatives may be
//! those of a sample of rows (Lee, Sun and Saunders 2014, "Proximal Newton-type methods"). Of several outputs one at a time.

use super::curvature::{Curvature, fits};
use super::quadratic::Quadratic;
use super::slope::{Derivatives, Slope};
use super::{Design, Goal, log_sum};
use crate::models::Output;
use rayon::prelude::*;
use std::time::Instant;

/// Steps of each output, at most, and the fall of the loss that ends them, as a share of the loss that there was to lose.
const STEPS: usize = 50;
const SETTLED: f64 = 1e-9;
/// What a coordinate of a step may still gain, as such a share.
const STEP_SETTLED: f64 = 1e-11;
/// Steps that made the loss rise are halved so often.
const HALVINGS: u32 = 12;
/// Steps of conjugate gradients within a step, and the share of the slope that they leave; and where each is a pass over the rows.
const CONJUGATE: usize = 1000;
const SLOPE_LEFT: f64 = 1e-6;
const CONJUGATE_WIDE: usize = 100;
const SLOPE_LEFT_WIDE: f64 = 1e-2;
/// More numbers than this are not kept, for all outputs together.
const MOST_KEPT: usize = 16 << 20;
/// Where there are more inputs, and an L1 penalty, each step moves so many.
const BLOCK: usize = 500;

/// Mean loss + `l1` · Σ|w| + `l2` · Σw², intercepts apart; the loss is the log loss or the squared error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Penalty {
    pub(crate) l1: f64,
    pub(crate) l2: f64,
}

/// Fits at one penalty after the other, each from the coefficients of the last.
pub(crate) struct Solver<'a> {
    design: &'a Design<'a>,
    goal: &'a Goal<'a>,
    /// Of each output, its intercept first.
    pub(crate) coefficients: Vec<Vec<f64>>,
    /// The coefficients times inputs, for each output and row.
    sums: Vec<Vec<f64>>,
    curvatures: Vec<Option<Curvature>>,
    total: f64,
    /// The largest loss so far.
    largest: f64,
}

/// Of one row and output: its loss, and the derivatives by its sum. `sum` answers the row's sum for an output.
fn derive(
    goal: &Goal<'_>,
    row: usize,
    output: usize,
    sum: impl Fn(usize) -> f64 + Clone,
) -> Derivatives {
    let target = f64::from(goal.targets[row]);
    let own = sum(output);
    match goal.output {
        Output::Sigmoid => {
            let p = crate::infer::sigmoid(own);
            let loss = own.max(0.0) - own * target + (-own.abs()).exp().ln_1p();
            (loss, p - target, p * (1.0 - p))
        }
        Output::Softmax => {
            let all = log_sum((0..goal.outputs).map(sum.clone()));
            let p = (own - all).exp();
            let truth = f64::from(u8::from(target as usize == output));
            (all - sum(target as usize), p - truth, p * (1.0 - p))
        }
        // With a logarithm as link it is not asked for.
        Output::Identity | Output::Exp => {
            let error = own - target;
            (error * error, 2.0 * error, 2.0)
        }
    }
}

/// The smallest L1 penalty at which every coefficient but the intercepts is 0.
pub(crate) fn smallest_without(design: &Design<'_>, goal: &Goal<'_>) -> f64 {
    let none = design.only(&[]);
    let mut constant = Solver::new(&none, goal);
    constant.fit(Penalty { l1: 0.0, l2: 0.0 }, &mut || true);
    let mut solver = Solver::new(design, goal);
    let both = solver.coefficients.iter_mut().zip(&mut solver.sums);
    for ((own, sums), known) in both.zip(&constant.coefficients) {
        own[0] = known[0];
        sums.fill(known[0]);
    }
    let pulls = (0..goal.outputs).map(|output| {
        let slope = solver.look(output, output);
        let inputs = slope.gradient[1..].iter();
        inputs.fold(0.0, |most: f64, g| most.max(g.abs()))
    });
    pulls.fold(0.0, f64::max)
}

/// The c at which Σ (l1 |b - c| + l2 (b - c)²) is least; 0 without a penalty.
fn cheapest(mut values: Vec<f64>, by: Penalty) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if by.l2 == 0.0 && by.l1 == 0.0 {
        return 0.0;
    }
    values.sort_unstable_by(f64::total_cmp);
    // Between two values the slope is l1 (2 below - count) + 2 l2 count (c - mean).
    for (below, value) in values.iter().enumerate() {
        let l1 = by.l1 * (2.0 * below as f64 - count);
        let slope = l1 + 2.0 * by.l2 * count * (value - mean);
        if slope >= 0.0 {
            return mean - l1 / (2.0 * by.l2 * count);
        }
        if slope + 2.0 * by.l1 >= 0.0 {
            return *value;
        }
    }
    mean
}

impl<'a> Solver<'a> {
    pub(crate) fn new(design: &'a Design<'a>, goal: &'a Goal<'a>) -> Solver<'a> {
        Solver {
            design,
            goal,
            coefficients: vec![vec![0.0; design.width]; goal.outputs],
            sums: vec![vec![0.0; design.rows()]; goal.outputs],
            curvatures: (0..goal.outputs).map(|_| None).collect(),
            total: goal.total(design.rows()).max(f64::MIN_POSITIVE),
            largest: 0.0,
        }
    }

    /// From nothing again.
    pub(crate) fn restart(&mut self) {
        let all = self.coefficients.iter_mut().chain(&mut self.sums);
        all.for_each(|own| own.fill(0.0));
    }

    /// Fits at a penalty; false where `go_on`, which is asked before each step, wants no more.
    pub(crate) fn fit(&mut self, by: Penalty, go_on: &mut dyn FnMut() -> bool) -> bool {
        let outputs = self.goal.outputs;
        // The loss before the last change, what was changed, and how often it was halved.
        let mut last: Option<(f64, usize, Vec<f64>)> = None;
        let (mut halved, mut cycle, mut output) = (0, f64::INFINITY, 0);
        // What was changed since the sums were.
        let mut ahead = None;
        for step in 0..STEPS * outputs {
            // What there is so far is a model, too.
            if step > 0 && self.goal.until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            if !go_on() {
                return false;
            }
            let changed = last.as_ref().map_or(output, |(_, changed, _)| *changed);
            let slope = self.look(output, changed);
            ahead = None;
            self.largest = self.largest.max(slope.loss);
            let settled = SETTLED * self.largest;
            let mut loss = slope.loss + self.penalty(by);
            if let Some((before, changed, old)) = &mut last
                && (loss.is_nan() || loss > *before + settled)
            {
                halved += 1;
                let own = &mut self.coefficients[*changed];
                if halved > HALVINGS {
                    own.copy_from_slice(old);
                    self.sums[*changed] = self.design.sums(old);
                    break;
                }
                let both = own.iter_mut().zip(old.iter());
                both.for_each(|(new, old)| *new = (*new + *old) / 2.0);
                ahead = Some(*changed);
                continue;
            }
            if output == 0 {
                if cycle - loss <= settled {
                    break;
                }
                cycle = loss;
                if self.goal.output == Output::Softmax {
                    self.centre(by);
                    loss = slope.loss + self.penalty(by);
                }
            }
            halved = 0;
            let old = self.coefficients[output].clone();
            self.step(output, &slope, by);
            last = Some((loss, output, old));
            ahead = Some(output);
            output = (output + 1) % outputs;
        }
        if let Some(changed) = ahead {
            self.sums[changed] = self.design.sums(&self.coefficients[changed]);
        }
        true
    }

    /// Moves the coefficients of all labels together to where the penalty is least, which changes no probability (Friedman, Hastie and
    /// Tibshirani 2010): one label at a time would get there slowly.
    fn centre(&mut self, by: Penalty) {
        let centre = |place: usize| {
            let own = self.coefficients.iter().map(|own| own[place]);
            let by = if place == 0 {
                Penalty { l1: 0.0, l2: 1.0 }
            } else {
                by
            };
            cheapest(own.collect(), by)
        };
        let centres: Vec<f64> = (0..self.design.width).map(centre).collect();
        let shift = self.design.sums(&centres);
        for (own, sums) in self.coefficients.iter_mut().zip(&mut self.sums) {
            own.iter_mut().zip(&centres).for_each(|(b, c)| *b -= c);
            sums.iter_mut().zip(&shift).for_each(|(sum, c)| *sum -= c);
        }
    }

    fn penalty(&self, by: Penalty) -> f64 {
        let inputs = self.coefficients.iter().flat_map(|own| &own[1..]);
        inputs.map(|b| by.l1 * b.abs() + by.l2 * b * b).sum()
    }

    /// Loss and slope by the coefficients of one output, means over the rows, after those of `changed` have changed.
    fn look(&mut self, output: usize, changed: usize) -> Slope {
        let (goal, sums) = (self.goal, &mut self.sums);
        let mut own = std::mem::take(&mut sums[changed]);
        let derive = |row: usize, fresh: f64| {
            let sum = |k: usize| if k == changed { fresh } else { sums[k][row] };
            let (loss, first, second) = derive(goal, row, output, sum);
            let weight = goal.weight(row);
            (weight * loss, weight * first, weight * second)
        };
        let coefficients = &self.coefficients[changed];
        let mut slope = self.design.pass(coefficients, &mut own, &derive);
        self.sums[changed] = own;
        slope.scale(1.0 / self.total);
        slope
    }

    /// One step of one output's coefficients.
    fn step(&mut self, output: usize, slope: &Slope, by: Penalty) {
        let (design, room) = (self.design, MOST_KEPT / self.goal.outputs);
        let all = || (0..design.width).collect();
        if fits(design, design.width, room) {
            self.step_by_matrix(output, slope, by, all());
        } else if by.l1 > 0.0 {
            let most = room.isqrt().min(BLOCK);
            let places = self.promising(output, slope, by, most);
            self.step_by_matrix(output, slope, by, places);
        } else {
            self.step_by_passes(output, slope, by, all());
        }
    }

    /// The intercept and those of the other coefficients that matter most, so many in all: by what they alone are or would be.
    fn promising(&self, output: usize, slope: &Slope, by: Penalty, most: usize) -> Vec<usize> {
        let own = &self.coefficients[output];
        let worth = |place: usize| {
            let curve = slope.squares[place] + 2.0 * by.l2;
            let pull = slope.squares[place] * own[place] - slope.gradient[place];
            let new = (pull.abs() - by.l1).max(0.0) / curve;
            curve * new.max(own[place].abs()).powi(2)
        };
        let all = (1..self.design.width).map(|place| (worth(place), place));
        let mut all: Vec<(f64, usize)> = all.filter(|(worth, _)| *worth > 0.0).collect();
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let best = all.iter().take(most - 1).map(|(_, place)| *place);
        let mut places: Vec<usize> = std::iter::once(0).chain(best).collect();
        places.sort_unstable();
        places
    }

    /// The second derivative by a row's sum, times the row's weight.
    fn second(&self, output: usize, row: usize) -> f64 {
        let (_, _, second) = derive(self.goal, row, output, |k| self.sums[k][row]);
        second * self.goal.weight(row)
    }

    fn step_by_matrix(&mut self, output: usize, slope: &Slope, by: Penalty, places: Vec<usize>) {
        let design = self.design;
        // With a squared error the second derivatives stay what they are.
        let stays = matches!(self.goal.output, Output::Identity | Output::Exp);
        let kept = self.curvatures[output].take();
        let kept = kept.filter(|own| own.places == places && (stays || !own.is_old(design)));
        let mut curvature =
            kept.unwrap_or_else(|| Curvature::new(design, places, &|row| self.second(output, row)));
        let own = &mut self.coefficients[output];
        let (quadratic, mut scaled) = Scaled::new(&curvature.places, slope, by, own);
        let (products, x) = (&curvature.products, &mut scaled.values);
        if by.l1 > 0.0 {
            let settled = STEP_SETTLED * self.largest;
            quadratic.descend(products, x, settled);
        } else {
            quadratic.conjugate(&|x| products.times(x), x, SLOPE_LEFT, CONJUGATE);
        }
        scaled.write(&curvature.places, own);
        curvature.spent += design.rows() * design.looked_at();
        self.curvatures[output] = Some(curvature);
    }

    /// Where a matrix of all second derivatives would be too large, it is multiplied by passes over the rows; without an L1 penalty.
    fn step_by_passes(&mut self, output: usize, slope: &Slope, by: Penalty, places: Vec<usize>) {
        let (design, rows) = (self.design, self.design.rows());
        let seconds = (0..rows).into_par_iter();
        let seconds: Vec<f64> = seconds
            .map(|row| self.second(output, row) / self.total)
            .collect();
        let own = &mut self.coefficients[output];
        let (quadratic, mut scaled) = Scaled::new(&places, slope, by, own);
        let units = &scaled.units;
        let times = |x: &[f64]| -> Vec<f64> {
            let by_unit = |x: &[f64]| -> Vec<f64> {
                x.iter()
                    .zip(units)
                    .map(|(x, unit)| divided(*x, *unit))
                    .collect()
            };
            let mut sums = vec![0.0; rows];
            let derive = |row: usize, sum: f64| (0.0, seconds[row] * sum, 0.0);
            by_unit(&design.pass(&by_unit(x), &mut sums, &derive).gradient)
        };
        quadratic.conjugate(&times, &mut scaled.values, SLOPE_LEFT_WIDE, CONJUGATE_WIDE);
        scaled.write(&places, own);
    }
}

/// Coefficients in units of the roots of their second derivatives, in which all inputs are alike.
struct Scaled {
    units: Vec<f64>,
    values: Vec<f64>,
}

/// In a unit, or 0: an input that is 0 in every row has neither slope nor penalty, and stays what it is.
fn divided(x: f64, unit: f64) -> f64 {
    if unit > 0.0 { x / unit } else { 0.0 }
}

impl Scaled {
    /// And what a step makes small.
    fn new(places: &[usize], slope: &Slope, by: Penalty, own: &[f64]) -> (Quadratic, Scaled) {
        let units: Vec<f64> = places.iter().map(|at| slope.squares[*at].sqrt()).collect();
        let both = || places.iter().zip(&units);
        let penalty = |at: usize, by: f64| if at == 0 { 0.0 } else { by };
        let quadratic = Quadratic {
            slope: both()
                .map(|(at, unit)| divided(slope.gradient[*at], *unit))
                .collect(),
            l1: both()
                .map(|(at, unit)| divided(penalty(*at, by.l1), *unit))
                .collect(),
            l2: both()
                .map(|(at, unit)| divided(penalty(*at, by.l2), unit * unit))
                .collect(),
        };
        let values = both().map(|(at, unit)| unit * own[*at]).collect();
        (quadratic, Scaled { units, values })
    }

    fn write(&self, places: &[usize], own: &mut [f64]) {
        for ((place, unit), value) in places.iter().zip(&self.units).zip(&self.values) {
            if *unit > 0.0 && value.is_finite() {
                own[*place] = value / unit;
            }
        }
    }
}

#[cfg(test)]
#[path = "solve_test.rs"]
mod tests;
