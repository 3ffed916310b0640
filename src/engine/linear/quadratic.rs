//! The least of a quadratic function with an elastic net penalty.

use rayon::prelude::*;

/// Rounds of coordinate descent, at most.
const ROUNDS: usize = 1000;
/// Added to the squares where nothing else keeps them apart, as a share of them.
const RIDGE: f64 = 1e-9;
/// Smaller products are not worth a thread.
const SPLIT: usize = 256;

/// `slope` · (x - x0) + (x - x0)ᵀ · M · (x - x0) / 2 + Σ (l1 |x| + l2 x²), to be made small from x0 on.
pub(super) struct Quadratic {
    pub(super) slope: Vec<f64>,
    /// Of each coordinate.
    pub(super) l1: Vec<f64>,
    pub(super) l2: Vec<f64>,
}

impl Quadratic {
    /// Coordinate descent (Friedman, Hastie and Tibshirani 2010): all, then those that are not 0 until they settle, and again until
    /// none joins or could gain more than `settled`.
    pub(super) fn descend(mut self, products: &Products, x: &mut [f64], settled: f64) {
        let size = x.len();
        let mut sums = match products {
            Products::All(_) => Vec::new(),
            Products::Rows(columns) => vec![0.0; columns.len() / size],
        };
        let mut all = true;
        for _ in 0..ROUNDS {
            let mut moved: f64 = 0.0;
            for at in 0..size {
                if !all && x[at] == 0.0 && self.l1[at] > 0.0 {
                    continue;
                }
                let (own, slope) = match products {
                    Products::All(matrix) => (matrix[at * size + at], self.slope[at]),
                    Products::Rows(columns) => {
                        let column = of(columns, at, sums.len());
                        (1.0, self.slope[at] + dot(column, &sums))
                    }
                };
                let curve = own + 2.0 * self.l2[at];
                let pull = own * x[at] - slope;
                let new = pull.signum() * (pull.abs() - self.l1[at]).max(0.0) / curve;
                let change = new - x[at];
                if change == 0.0 || !change.is_finite() {
                    continue;
                }
                x[at] = new;
                match products {
                    Products::All(matrix) => add(&mut self.slope, of(matrix, at, size), change),
                    Products::Rows(columns) => {
                        let count = sums.len();
                        add(&mut sums, of(columns, at, count), change);
                    }
                }
                moved = moved.max(curve * change * change);
            }
            let quiet = moved <= settled;
            if quiet && all {
                break;
            }
            all = quiet;
        }
    }

    /// Conjugate gradients (Hestenes and Stiefel 1952), without an L1 penalty, until the slope is this share of what it was. `times`
    /// multiplies with M.
    pub(super) fn conjugate(
        self,
        times: &dyn Fn(&[f64]) -> Vec<f64>,
        x: &mut [f64],
        share: f64,
        steps: usize,
    ) {
        let size = x.len();
        let added: Vec<f64> = self.l2.iter().map(|l2| 2.0 * l2 + RIDGE).collect();
        let left = |at: usize| -self.slope[at] - 2.0 * self.l2[at] * x[at];
        let mut rest: Vec<f64> = (0..size).map(left).collect();
        // Each coordinate scaled by its own curve.
        let scaled = |rest: &[f64]| -> Vec<f64> {
            let both = rest.iter().zip(&added);
            both.map(|(rest, added)| rest / (1.0 + added)).collect()
        };
        let mut direction = scaled(&rest);
        let mut length = dot(&rest, &direction);
        let end = share * share * length;
        for _ in 0..steps {
            if length.is_nan() || length <= end {
                break;
            }
            let mut turned = times(&direction);
            let own = turned.iter_mut().zip(&added).zip(&direction);
            own.for_each(|((turned, added), d)| *turned += added * d);
            let curve = dot(&direction, &turned);
            if curve.is_nan() || curve <= 0.0 {
                break;
            }
            let by = length / curve;
            for at in 0..size {
                x[at] += by * direction[at];
                rest[at] -= by * turned[at];
            }
            let next = scaled(&rest);
            let left = dot(&rest, &next);
            let keep = left / length;
            let own = direction.iter_mut().zip(next);
            own.for_each(|(d, own)| *d = own + keep * *d);
            length = left;
        }
    }
}

/// M, symmetric, with 1 or a little more on its diagonal.
pub(super) enum Products {
    /// `[size][size]`.
    All(Vec<f64>),
    /// Where there are few rows: A, of which M is Aᵀ · A, column by column, `[size][rows]`.
    Rows(Vec<f64>),
}

impl Products {
    /// M · x.
    pub(super) fn times(&self, x: &[f64]) -> Vec<f64> {
        let products = |lines: &[f64], x: &[f64]| -> Vec<f64> {
            let lines = lines.par_chunks_exact(x.len()).with_min_len(SPLIT);
            lines.map(|line| dot(line, x)).collect()
        };
        match self {
            Products::All(matrix) => products(matrix, x),
            Products::Rows(columns) => {
                let mut sums = vec![0.0; columns.len() / x.len()];
                let each = columns.chunks_exact(sums.len()).zip(x);
                each.for_each(|(column, x)| add(&mut sums, column, *x));
                products(columns, &sums)
            }
        }
    }
}

/// One of lines of this length.
fn of(lines: &[f64], at: usize, length: usize) -> &[f64] {
    &lines[at * length..(at + 1) * length]
}

/// Adds `times` a line.
fn add(to: &mut [f64], line: &[f64], times: f64) {
    to.iter_mut()
        .zip(line)
        .for_each(|(to, own)| *to += times * own);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (left, left_rest) = a.as_chunks::<8>();
    let (right, right_rest) = b.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for (a, b) in left.iter().zip(right) {
        (0..8).for_each(|lane| lanes[lane] += a[lane] * b[lane]);
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + rest
}
