//! What a linear model says of each input, and how sure that is.

use super::cholesky::{cholesky, inverse, partial, solve};
use super::{Design, Goal};
use crate::distribution::{quantile, two_sided};
use crate::models::{Model, Network, Output, Part};
use crate::recipe::{InputName, Matrix, Recipe};
use serde::{Deserialize, Serialize};

/// An input that the earlier ones explain but for this share of its variation has no coefficient of its own.
const ALIKE: f64 = 1e-8;
/// Nor has one that varies by less than this share of its square.
const ROUNDING: f64 = 1e-14;
/// More coefficients than this are not refitted: the time grows with the third power.
const MOST: usize = 1000;
/// Nor is it worth more multiplications than this for one of its steps.
const MOST_WORK: f64 = 3e9;
/// Newton steps of the refit, and the relative fall of the deviance that ends them (as R's glm has it, but finer).
const STEPS: usize = 50;
const SETTLED: f64 = 1e-12;
/// Of the confidence intervals.
const CONFIDENCE: f64 = 0.95;

/// One coefficient, in the column's own unit where the recipe only shifts and scales it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// A column, or `(intercept)`.
    pub feature: String,
    /// A level of a category, a word of a text and the like.
    pub level: Option<String>,
    /// Of several labels: which against the first.
    pub label: Option<String>,
    /// What the model predicts with; of several labels the difference to the first.
    pub penalised: f64,
    /// By maximum likelihood among the inputs with a coefficient; `None` without one, 0 where the others tell the same.
    pub coefficient: Option<f64>,
    pub standard_error: Option<f64>,
    /// Coefficient by standard error: z, or Student's t for a number.
    pub z: Option<f64>,
    pub p_value: Option<f64>,
    /// The 95% confidence interval.
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// A refit without penalty.
struct Refit {
    /// Inputs by their order in the design of all, in the order of the coefficients.
    inputs: Vec<usize>,
    /// `[contrasts][1 + inputs]`.
    coefficients: Vec<f64>,
    /// Of all coefficients with each other.
    covariance: Vec<f64>,
    freedom: f64,
}

/// The coefficients of a linear model: that of the intercept, then in the order of the recipe's inputs; label by label. Its
/// standard errors are those of a fit without penalty, by maximum likelihood (least squares), to the inputs that have a
/// coefficient; they do not know that these were chosen. `goal` has the targets as the model learned them, a number's being
/// (value - `centre`) / `spread`. Empty for another model.
pub(crate) fn coefficients(
    parts: &[Part],
    recipe: &Recipe,
    matrix: &Matrix,
    goal: &Goal<'_>,
    labels: &[String],
    (centre, spread): (f64, f64),
) -> Vec<Coefficient> {
    let [
        Part {
            model: Model::Network(network),
            ..
        },
    ] = parts
    else {
        return Vec::new();
    };
    if !network.layers.is_empty() || network.heads.len() != 1 {
        return Vec::new();
    }
    let names = recipe.input_names();
    let design = Design::all(matrix);
    if names.len() + 1 != design.width {
        return Vec::new();
    }
    let own = contrasts(network, design.width);
    let refit = refit(&design, goal, &own);
    let mut out = Vec::new();
    let (unit, shift) = match goal.output {
        Output::Identity => (spread, centre),
        _ => (1.0, 0.0),
    };
    let wide = quantile(
        1.0 - CONFIDENCE,
        refit.as_ref().map_or(f64::INFINITY, |r| r.freedom),
    );
    for (contrast, own) in own.iter().enumerate() {
        let label = (goal.output == Output::Softmax)
            .then(|| labels.get(contrast + 1).cloned().unwrap_or_default());
        let moved: f64 = names
            .iter()
            .zip(&own[1..])
            .map(|(n, b)| n.scale * n.centre * b)
            .sum();
        out.push(Coefficient {
            label: label.clone(),
            ..told(
                "(intercept)",
                None,
                unit * (own[0] - moved) + shift,
                None,
                wide,
            )
        });
        let first = out.len() - 1;
        for (name, b) in names.iter().zip(&own[1..]) {
            out.push(Coefficient {
                label: label.clone(),
                ..told(
                    &name.feature,
                    name.level.clone(),
                    unit * name.scale * b,
                    None,
                    wide,
                )
            });
        }
        if let Some(refit) = &refit {
            refit.tell(
                contrast,
                &names,
                own,
                (unit, shift),
                wide,
                &mut out[first..],
            );
        }
    }
    out
}

/// What is known of one coefficient; `estimate` is its value and standard error.
fn told(
    feature: &str,
    level: Option<String>,
    penalised: f64,
    estimate: Option<(f64, f64)>,
    wide: f64,
) -> Coefficient {
    let finite = |x: f64| x.is_finite().then_some(x);
    let error = estimate.and_then(|(_, error)| finite(error).filter(|e| *e > 0.0));
    let value = estimate.and_then(|(value, _)| finite(value));
    let both = value.zip(error);
    Coefficient {
        feature: feature.into(),
        level,
        label: None,
        penalised,
        coefficient: value,
        standard_error: error,
        z: both.map(|(value, error)| value / error),
        p_value: None,
        low: both.map(|(value, error)| value - wide * error),
        high: both.map(|(value, error)| value + wide * error),
    }
}

/// The weights of each contrast by the places of a design: of one output itself, of several all but the first less the first.
fn contrasts(network: &Network, width: usize) -> Vec<Vec<f64>> {
    let head = &network.heads[0];
    let of = |output: usize| -> Vec<f64> {
        let inputs = (0..width - 1).map(|i| head.weights[i * head.outputs + output]);
        std::iter::once(head.bias[output])
            .chain(inputs)
            .map(f64::from)
            .collect()
    };
    if head.outputs == 1 {
        return vec![of(0)];
    }
    let first = of(0);
    let less = |own: Vec<f64>| own.iter().zip(&first).map(|(a, b)| a - b).collect();
    (1..head.outputs).map(|output| less(of(output))).collect()
}

fn refit(design: &Design<'_>, goal: &Goal<'_>, own: &[Vec<f64>]) -> Option<Refit> {
    let counts = design.counts();
    let numbers = design.matrix.inputs.numbers;
    let has = |input: &usize| own.iter().any(|b| b[input + 1] != 0.0);
    let mut inputs: Vec<usize> = (0..design.width - 1).filter(has).collect();
    // Levels of a category from rare to frequent: the last one is what the others are compared with, where all have an input.
    inputs.sort_by_key(|&input| {
        let category = design.starts.partition_point(|start| *start <= input);
        let count = if input < numbers {
            0
        } else {
            counts[input + 1]
        };
        (category, count, input)
    });
    let entries = inputs.iter().filter(|input| **input < numbers).count()
        + design.matrix.inputs.categories.len()
        + 1;
    let work = design.rows() as f64 * ((own.len() * entries) as f64).powi(2);
    if (inputs.len() + 1) * own.len() > MOST || work > MOST_WORK {
        return None;
    }
    let (inputs, stand_ins) = apart(design, goal, inputs);
    let chosen = design.only(&inputs);
    let size = chosen.width * own.len();
    // What the model predicts with lies near, the inputs that were left out being told by the others.
    let near = own.iter().flat_map(|own| {
        let each = inputs.iter().map(|input| own[input + 1]);
        let mut near: Vec<f64> = std::iter::once(own[0]).chain(each).collect();
        for (input, by) in &stand_ins {
            let each = near.iter_mut().zip(by);
            each.for_each(|(b, by)| *b += own[input + 1] * by);
        }
        near
    });
    let mut coefficients: Vec<f64> = near.collect();
    let mut is_near = true;
    let mut last = f64::INFINITY;
    let mut curvature = Vec::new();
    let mut loss = 0.0;
    for _ in 0..STEPS {
        let slope = joint(&chosen, goal, &coefficients, own.len());
        (loss, curvature) = (slope.loss, slope.curvature);
        let fell = last - loss;
        if is_near && !(fell >= -SETTLED * loss.abs()) {
            // It was not: from nothing the way is longer, and sure.
            (is_near, last) = (false, f64::INFINITY);
            coefficients.fill(0.0);
            continue;
        }
        if fell <= SETTLED * loss.abs() {
            break;
        }
        last = loss;
        let mut step: Vec<f64> = slope.gradient.iter().map(|g| -g).collect();
        // A level that decides alone drives its coefficient up until nothing is left to see; that is where it stays.
        let Some(lower) = cholesky(&curvature, size) else {
            break;
        };
        solve(&lower, &mut step);
        if !step.iter().all(|x| x.is_finite()) {
            return None;
        }
        // By how much the loss falls, if it is the parabola that it is near its end.
        let falls: f64 = step.iter().zip(&slope.gradient).map(|(s, g)| -s * g).sum();
        let each = coefficients.iter_mut().zip(step);
        each.for_each(|(b, step)| *b += step);
        if (0.0..=SETTLED * loss.abs()).contains(&(falls / 2.0)) {
            break;
        }
    }
    let mut covariance = inverse(&cholesky(&curvature, size)?, size);
    let mut freedom = f64::INFINITY;
    if goal.output == Output::Identity {
        freedom = goal.total(design.rows()) - size as f64;
        if freedom < 1.0 {
            return None;
        }
        // The loss is half the sum of squares.
        covariance
            .iter_mut()
            .for_each(|v| *v *= 2.0 * loss / freedom);
    }
    Some(Refit {
        inputs,
        coefficients,
        covariance,
        freedom,
    })
}

/// An input that others tell, and by how much of each: of the intercept, then of those that are kept.
type StandIn = (usize, Vec<f64>);

/// The inputs without those that the ones before them (and the intercept) explain, and how they do.
pub(super) fn apart(
    design: &Design<'_>,
    goal: &Goal<'_>,
    inputs: Vec<usize>,
) -> (Vec<usize>, Vec<StandIn>) {
    let all = design.only(&inputs);
    let width = all.width;
    let products = all.add_up(width * width, |row, entries, out| {
        for &(at, x) in entries {
            for &(other, y) in entries {
                out[at * width + other] += goal.weight(row) * x * y;
            }
        }
    });
    // Less the means, so that what varies little about a large mean counts by what varies.
    let mut centred = products.clone();
    let mean = &products[..width];
    let total = products[0];
    if !(total > 0.0) {
        return (Vec::new(), Vec::new());
    }
    for at in 1..width {
        for other in 1..width {
            centred[at * width + other] -= mean[at] * mean[other] / total;
        }
        centred[at] = 0.0;
        centred[at * width] = 0.0;
        // What a constant leaves are errors of rounding.
        let own = at * width + at;
        if centred[own] < ROUNDING * products[own] {
            centred[own] = 0.0;
        }
    }
    let (_, dropped) = partial(&centred, width, ALIKE);
    let kept: Vec<usize> = (0..width).filter(|at| !dropped.contains(at)).collect();
    let among = |at: usize| kept.iter().map(move |other| at * width + other);
    let own: Vec<f64> = kept
        .iter()
        .flat_map(|at| among(*at))
        .map(|at| products[at])
        .collect();
    let lower = match dropped.is_empty() {
        true => None,
        false => cholesky(&own, kept.len()),
    };
    let stand_ins = lower.iter().flat_map(|lower| {
        dropped.iter().map(|&at| {
            let mut by: Vec<f64> = among(at).map(|at| products[at]).collect();
            solve(lower, &mut by);
            (inputs[at - 1], by)
        })
    });
    let stand_ins = stand_ins.collect();
    let kept = kept.iter().filter(|at| **at > 0);
    (kept.map(|at| inputs[at - 1]).collect(), stand_ins)
}

struct Joint {
    loss: f64,
    gradient: Vec<f64>,
    curvature: Vec<f64>,
}

/// The negative log likelihood (of a number half the sum of squares) and its derivatives by the coefficients of all contrasts,
/// `[contrasts][width]`.
fn joint(design: &Design<'_>, goal: &Goal<'_>, coefficients: &[f64], contrasts: usize) -> Joint {
    let width = design.width;
    let size = width * contrasts;
    // Behind what is added up, a row's sums, then its probabilities of the labels but the first.
    let added = 1 + size + size * size;
    let mut all = design.add_up(added + contrasts, |row, entries, out| {
        let weight = goal.weight(row);
        let target = goal.targets[row];
        let (out, p) = out.split_at_mut(added);
        let (gradient, curvature) = out[1..].split_at_mut(size);
        for (sum, own) in p.iter_mut().zip(coefficients.chunks_exact(width)) {
            *sum = entries.iter().map(|(at, x)| own[*at] * x).sum();
        }
        // What pairs of entries add to the block of two contrasts, of which `b` is not the later one.
        let mut add = |a: usize, b: usize, second: f64| {
            for (count, &(at, x)) in entries.iter().enumerate() {
                let own = weight * second * x;
                if a == b {
                    // Each pair once, in the lower triangle.
                    for &(other, y) in &entries[..=count] {
                        let place = (a * width + at.max(other)) * size + b * width + at.min(other);
                        curvature[place] += own * y;
                    }
                } else {
                    let to = &mut curvature[(a * width + at) * size + b * width..][..width];
                    entries.iter().for_each(|(other, y)| to[*other] += own * y);
                }
            }
        };
        let mut slope = |a: usize, first: f64| {
            let own = &mut gradient[a * width..][..width];
            let entries = entries.iter();
            entries.for_each(|(at, x)| own[*at] += weight * first * x);
        };
        if goal.output == Output::Identity {
            let error = p[0] - f64::from(target);
            slope(0, error);
            add(0, 0, 1.0);
            out[0] += weight * error * error / 2.0;
            return;
        }
        // The first label's sum is 0.
        let own = p.iter().copied();
        let log = super::log_sum(std::iter::once(0.0).chain(own));
        let label = target as usize;
        let own = label.checked_sub(1).map_or(0.0, |at| p[at]);
        p.iter_mut().for_each(|p| *p = (*p - log).exp());
        for a in 0..contrasts {
            let truth = f64::from(u8::from(label == a + 1));
            slope(a, p[a] - truth);
            (0..a).for_each(|b| add(a, b, -p[a] * p[b]));
            add(a, a, p[a] * (1.0 - p[a]));
        }
        out[0] += weight * (log - own);
    });
    all.truncate(added);
    let mut curvature = all.split_off(1 + size);
    for row in 0..size {
        for column in 0..row {
            curvature[column * size + row] = curvature[row * size + column];
        }
    }
    Joint {
        loss: all[0],
        gradient: all.split_off(1),
        curvature,
    }
}

impl Refit {
    /// Writes down what one contrast's estimates are, in the units of the columns; `out` begins with the intercept.
    fn tell(
        &self,
        contrast: usize,
        names: &[InputName],
        penalised: &[f64],
        (unit, shift): (f64, f64),
        wide: f64,
        out: &mut [Coefficient],
    ) {
        let width = self.inputs.len() + 1;
        let size = (self.covariance.len() as f64).sqrt() as usize;
        let start = contrast * width;
        let own = &self.coefficients[start..start + width];
        let covariance = |a: usize, b: usize| self.covariance[(start + a) * size + start + b];
        // The intercept's place in the columns' units: what it loses by each shift.
        let moves: Vec<f64> = std::iter::once(1.0)
            .chain(
                self.inputs
                    .iter()
                    .map(|i| -names[*i].scale * names[*i].centre),
            )
            .collect();
        let intercept: f64 = own.iter().zip(&moves).map(|(b, m)| b * m).sum();
        let variance: f64 = (0..width)
            .map(|a| {
                let row: f64 = (0..width).map(|b| moves[b] * covariance(a, b)).sum();
                moves[a] * row
            })
            .sum();
        let mut write = |at: usize, value: f64, error: f64| {
            let known = &out[at];
            let (feature, level, label) = (
                known.feature.clone(),
                known.level.clone(),
                known.label.clone(),
            );
            let mut new = told(&feature, level, known.penalised, Some((value, error)), wide);
            new.p_value = new.z.map(|z| two_sided(z, self.freedom));
            out[at] = Coefficient { label, ..new };
        };
        write(0, unit * intercept + shift, unit * variance.sqrt());
        for (place, &input) in self.inputs.iter().enumerate() {
            let scale = unit * names[input].scale;
            let error = covariance(place + 1, place + 1).sqrt();
            write(input + 1, scale * own[place + 1], scale.abs() * error);
        }
        for (input, _) in names.iter().enumerate() {
            if penalised[input + 1] != 0.0 && !self.inputs.contains(&input) {
                write(input + 1, 0.0, f64::NAN);
            }
        }
    }
}
