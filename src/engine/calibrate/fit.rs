//! Fitting and choosing a calibration.

use super::vector::vector;
use super::{Calibration, Method, logarithms};
use crate::artifact::Task;

/// With fewer rows nothing is learned unless it is asked for.
const FEWEST: usize = 100;
/// Parts of the rows, each judged by what the others teach.
const FOLDS: usize = 5;
/// A calibration must have a smaller loss by so many standard errors of the difference.
const CLEARLY: f64 = 2.0;
/// Probabilities looked at at most, all labels together.
const MOST: usize = 2_000_000;

/// More labels have one temperature: a vector would learn more than their rows tell.
const MOST_LABELS: usize = 100;
/// Nor is one tried with fewer rows than this for each label: sets of labels are measured on the rows that taught it.
const ROWS_OF_LABEL: usize = 50;

/// Rows that were held out: predictions `[rows][width]` and class codes.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) width: usize,
    predictions: &'a [f64],
    pub(super) truth: &'a [u32],
}

impl Rows<'_> {
    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.predictions[row * self.width..(row + 1) * self.width]
    }

    fn positive(&self, row: usize) -> bool {
        self.truth[row] == 1
    }
}

/// Fits what `method` asks for to rows that were held out of training, `predictions` row-major as a predictor without
/// calibration gives them. With `auto`, the method whose log loss over five folds, each predicted by what the other four
/// teach, is smallest, if it is smaller than without by two standard errors of the paired difference.
///
/// Where labels were weighted (`weighted`), of many labels only a temperature is tried by `auto`: a vector would undo what was
/// asked for.
pub fn fit(
    method: Method,
    task: Task,
    weighted: bool,
    predictions: &[f64],
    truth: &[u32],
) -> Calibration {
    let width = predictions.len() / truth.len().max(1);
    let all = Rows {
        width,
        predictions,
        truth,
    };
    let step = predictions.len().div_ceil(MOST).max(1);
    let rows: Vec<usize> = (0..truth.len()).step_by(step).collect();
    let candidates: &[Method] = match (method, task) {
        (Method::None, _) => return Calibration::None,
        (_, task) if !task.has_one_label() => return Calibration::None,
        (Method::Auto, _) if rows.len() < FEWEST => return Calibration::None,
        (Method::Auto, Task::Binary) => &[Method::Temperature, Method::Beta, Method::Isotonic],
        (Method::Auto, Task::Multiclass)
            if !weighted && width <= MOST_LABELS && rows.len() >= ROWS_OF_LABEL * width =>
        {
            &[Method::Temperature, Method::Vector]
        }
        (Method::Auto, _) => &[Method::Temperature],
        _ => return one(method, &all, &rows),
    };
    let plain: Vec<f64> = rows
        .iter()
        .map(|r| loss(&Calibration::None, &all, *r))
        .collect();
    let gains = candidates.iter().map(|method| {
        let mut gains = plain.clone();
        for fold in 0..FOLDS {
            let others = rows.iter().enumerate().filter(|(i, _)| i % FOLDS != fold);
            let others: Vec<usize> = others.map(|(_, row)| *row).collect();
            let fitted = one(*method, &all, &others);
            for i in (fold..rows.len()).step_by(FOLDS) {
                gains[i] -= loss(&fitted, &all, rows[i]);
            }
        }
        let n = gains.len() as f64;
        let mean = gains.iter().sum::<f64>() / n;
        let variance = gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, (variance / n).sqrt(), *method)
    });
    let best = gains.max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((mean, error, method)) if mean > CLEARLY * error => one(method, &all, &rows),
        _ => Calibration::None,
    }
}

/// Log loss of one row.
fn loss(calibration: &Calibration, all: &Rows<'_>, row: usize) -> f64 {
    let likelihood = match all.row(row) {
        [p] if all.positive(row) => calibration.of(*p),
        [p] => 1.0 - calibration.of(*p),
        many => {
            let mut many = many.to_vec();
            calibration.apply(&mut many);
            many.get(all.truth[row] as usize)
                .copied()
                .unwrap_or_default()
        }
    };
    -likelihood.max(super::EDGE).ln()
}

fn one(method: Method, all: &Rows<'_>, rows: &[usize]) -> Calibration {
    match method {
        Method::Auto | Method::None => Calibration::None,
        Method::Temperature if all.width == 1 => {
            let odds = |row: usize| {
                let (yes, no) = logarithms(all.row(row)[0]);
                [yes - no]
            };
            let [inverse] = logistic(all, rows, odds, [1.0]);
            if inverse > 0.0 {
                Calibration::Temperature { inverse }
            } else {
                Calibration::None
            }
        }
        Method::Temperature => temperature_of_many(all, rows),
        Method::Vector => vector(all, rows),
        Method::Beta => beta(all, rows),
        Method::Isotonic => isotonic(all, rows),
    }
}

/// As the authors do, a slope that would be negative is left out.
fn beta(all: &Rows<'_>, rows: &[usize]) -> Calibration {
    let logs = |row: usize| logarithms(all.row(row)[0]);
    let [mut a, mut b, mut c] =
        logistic(all, rows, |r| [logs(r).0, -logs(r).1, 1.0], [1.0, 1.0, 0.0]);
    if a < 0.0 {
        ([b, c], a) = (logistic(all, rows, |r| [-logs(r).1, 1.0], [1.0, 0.0]), 0.0);
    } else if b < 0.0 {
        ([a, c], b) = (logistic(all, rows, |r| [logs(r).0, 1.0], [1.0, 0.0]), 0.0);
    }
    if a >= 0.0 && b >= 0.0 && a + b > 0.0 {
        Calibration::Beta { a, b, c }
    } else {
        Calibration::None
    }
}

/// Logistic regression by Newton's method, drawn to `start` (no calibration) as by half a squared distance: a unit of log
/// loss in all, nothing beside the rows unless they can be told apart without error.
fn logistic<const N: usize>(
    all: &Rows<'_>,
    rows: &[usize],
    inputs: impl Fn(usize) -> [f64; N],
    start: [f64; N],
) -> [f64; N] {
    let sum = |x: &[f64; N], by: &[f64; N]| x.iter().zip(by).map(|(x, b)| x * b).sum::<f64>();
    let objective = |by: &[f64; N]| {
        let pull: f64 = by.iter().zip(&start).map(|(b, s)| (b - s).powi(2)).sum();
        let loss = rows.iter().map(|&row| {
            let odds = sum(&inputs(row), by);
            let odds = if all.positive(row) { -odds } else { odds };
            // ln(1 + e^x) without overflow.
            odds.max(0.0) + (-odds.abs()).exp().ln_1p()
        });
        pull / 2.0 + loss.sum::<f64>()
    };
    let mut by = start;
    let mut now = objective(&by);
    for _ in 0..50 {
        let mut slope = [0.0; N];
        let mut curve = [[0.0; N]; N];
        for i in 0..N {
            slope[i] = by[i] - start[i];
            curve[i][i] = 1.0;
        }
        for &row in rows {
            let x = inputs(row);
            let p = crate::infer::sigmoid(sum(&x, &by));
            let over = p - f64::from(u8::from(all.positive(row)));
            for i in 0..N {
                slope[i] += over * x[i];
                for j in 0..N {
                    curve[i][j] += p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        let step = solve(curve, slope);
        let halves = (0..30).map(|halvings| 0.5f64.powi(halvings));
        let better = halves
            .map(|size| std::array::from_fn(|i| by[i] - size * step[i]))
            .map(|next| (objective(&next), next))
            .find(|(loss, _)| *loss < now);
        let Some((loss, next)) = better else { break };
        let done = now - loss < 1e-10 * now.abs().max(1.0);
        (now, by) = (loss, next);
        if done {
            break;
        }
    }
    by
}

/// Solves a positive definite system by elimination.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for i in 0..N {
        for j in i + 1..N {
            let factor = matrix[j][i] / matrix[i][i];
            let (above, below) = matrix.split_at_mut(j);
            let pairs = below[0].iter_mut().zip(&above[i]);
            pairs.for_each(|(own, other)| *own -= factor * other);
            right[j] -= factor * right[i];
        }
    }
    for i in (0..N).rev() {
        for k in i + 1..N {
            right[i] -= matrix[i][k] * right[k];
        }
        right[i] /= matrix[i][i];
    }
    right
}

/// The log loss is convex in the inverse temperature; Newton's method, drawn to 1 as [`logistic`] is.
fn temperature_of_many(all: &Rows<'_>, rows: &[usize]) -> Calibration {
    let mut inverse = 1.0;
    let mut powers = vec![0.0; all.width];
    for _ in 0..30 {
        let (mut slope, mut curve) = (inverse - 1.0, 1.0);
        for &row in rows {
            let logs = |p: &f64| p.max(super::EDGE).ln();
            powers.copy_from_slice(all.row(row));
            Calibration::Temperature { inverse }.apply(&mut powers);
            let (mut mean, mut square) = (0.0, 0.0);
            for (power, p) in powers.iter().zip(all.row(row)) {
                let log = logs(p);
                mean += power * log;
                square += power * log * log;
            }
            let own = all.row(row).get(all.truth[row] as usize).map_or(mean, logs);
            slope += mean - own;
            curve += square - mean * mean;
        }
        // Steps that would leave the range are cut short; the loss is convex and the next one goes on.
        let next = (inverse - slope / curve).clamp(inverse / 4.0, inverse * 4.0);
        let next = next.clamp(0.05, 20.0);
        let done = (next - inverse).abs() < 1e-9;
        inverse = next;
        if done {
            break;
        }
    }
    Calibration::Temperature { inverse }
}

/// Pools adjacent rows until shares rise with the probability (Ayer et al. 1955), then joins the middles of the pools by
/// straight lines, so that no two probabilities become one. A pool without, or with only, positives counts half a row of the other
/// kind; beyond the outermost middles the lines go half way to 0 and to 1.
fn isotonic(all: &Rows<'_>, rows: &[usize]) -> Calibration {
    /// Rows, positives, sum of probabilities.
    type Pool = (f64, f64, f64);
    let join = |a: Pool, b: Pool| (a.0 + b.0, a.1 + b.1, a.2 + b.2);
    let mut order: Vec<usize> = rows.to_vec();
    order.sort_by(|a, b| all.row(*a)[0].total_cmp(&all.row(*b)[0]));
    let equal = order.chunk_by(|a, b| all.row(*a)[0] == all.row(*b)[0]);
    let mut pools: Vec<Pool> = Vec::new();
    for rows in equal {
        let positives = rows.iter().filter(|r| all.positive(**r)).count() as f64;
        let sum = rows.len() as f64 * all.row(rows[0])[0];
        let mut own = (rows.len() as f64, positives, sum);
        while let Some(before) = pools.pop_if(|b| b.1 * own.0 >= own.1 * b.0) {
            own = join(before, own);
        }
        pools.push(own);
    }
    let n = rows.len() as f64;
    let least = 0.5 / (n + 1.0);
    let (mut from, mut to) = (Vec::new(), Vec::new());
    for (rows, positives, sum) in pools {
        from.push(sum / rows);
        to.push((positives / rows).clamp(least, 1.0 - least));
    }
    let (Some(first), Some(end)) = (to.first().copied(), to.last().copied()) else {
        return Calibration::None;
    };
    if from.first().is_some_and(|x| *x > 0.0) {
        from.insert(0, 0.0);
        to.insert(0, first / 2.0);
    }
    if from.last().is_some_and(|x| *x < 1.0) {
        from.push(1.0);
        to.push((1.0 + end) / 2.0);
    }
    let fitted = Calibration::Isotonic { from, to };
    if fitted.is_sound(Task::Binary) {
        fitted
    } else {
        Calibration::None
    }
}
