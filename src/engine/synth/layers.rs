//! Fully connected layers, batch normalisation and Adam, written out for networks that train each other.
//!
//! Batches are row-major `[rows][width]`. Products are cut into pieces that do not depend on the number of threads, so a
//! seed gives one result.

use crate::random::Random;
use crate::train::vector::{View, add_bias, add_rows, product};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A product of less work than this is not worth a second thread.
const WORTH: usize = 1 << 18;
/// A product is cut into so many pieces.
const PIECES: usize = 4;
/// Of batch normalisation, as in PyTorch.
const EPSILON: f32 = 1e-5;

/// `out = left · right`, or `out += left · right`, by all threads.
pub(super) fn multiply(out: &mut [f32], left: View<'_>, right: View<'_>, add: bool) {
    let (rows, columns) = (left.rows(), right.columns());
    if rows * columns * left.columns() < WORTH || columns == 0 {
        return product(out, left, right, add);
    }
    let piece = rows.div_ceil(PIECES).max(1);
    out[..rows * columns]
        .par_chunks_mut(piece * columns)
        .enumerate()
        .for_each(|(i, out)| product(out, left.some(i * piece, out.len() / columns), right, add));
}

/// A row-major matrix of weights `[inputs][outputs]` and a bias.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Linear {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    #[serde(skip)]
    pub(super) weights: Vec<f32>,
    #[serde(skip)]
    pub(super) bias: Vec<f32>,
}

impl Linear {
    /// Uniform up to 1/√inputs, as in PyTorch.
    pub(super) fn new(inputs: usize, outputs: usize, random: &mut Random) -> Linear {
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        let mut draw = |n: usize| -> Vec<f32> {
            (0..n)
                .map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32)
                .collect()
        };
        Linear {
            inputs,
            outputs,
            weights: draw(inputs * outputs),
            bias: draw(outputs),
        }
    }

    pub(super) fn matrix(&self) -> View<'_> {
        View::new(&self.weights, self.inputs, self.outputs)
    }

    /// `out = x · weights + bias`; `x` is `[rows][inputs]`.
    pub(super) fn forward(&self, x: &[f32], rows: usize, out: &mut Vec<f32>) {
        out.resize(rows * self.outputs, 0.0);
        multiply(out, View::new(x, rows, self.inputs), self.matrix(), false);
        add_bias(out, &self.bias);
    }

    /// The same by this thread alone: a backend of a server starts no others.
    pub(super) fn answer(&self, x: &[f32], rows: usize, out: &mut Vec<f32>) {
        out.resize(rows * self.outputs, 0.0);
        product(out, View::new(x, rows, self.inputs), self.matrix(), false);
        add_bias(out, &self.bias);
    }

    /// Adds the gradients of weights and bias for inputs `x` and the outputs' gradient `dy`.
    pub(super) fn gradient(&self, x: &[f32], dy: &[f32], rows: usize, out: &mut Gradient) {
        let x = View::new(x, rows, self.inputs).transposed();
        multiply(&mut out.weights, x, View::new(dy, rows, self.outputs), true);
        add_rows(&mut out.bias, &dy[..rows * self.outputs]);
    }

    /// The inputs' gradient: `dx = dy · weightsᵀ`.
    pub(super) fn back(&self, dy: &[f32], rows: usize, dx: &mut Vec<f32>) {
        dx.resize(rows * self.inputs, 0.0);
        multiply(
            dx,
            View::new(dy, rows, self.outputs),
            self.matrix().transposed(),
            false,
        );
    }

    pub(super) fn zero(&self) -> Gradient {
        Gradient {
            weights: vec![0.0; self.weights.len()],
            bias: vec![0.0; self.bias.len()],
        }
    }
}

/// Of a layer's weights and bias.
#[derive(Debug, Clone, Default)]
pub(super) struct Gradient {
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Gradient {
    pub(super) fn clear(&mut self) {
        self.weights.fill(0.0);
        self.bias.fill(0.0);
    }
}

/// Batch normalisation (Ioffe and Szegedy 2015) of `width` columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Norm {
    pub(super) width: usize,
    #[serde(skip)]
    pub(super) scale: Vec<f32>,
    #[serde(skip)]
    pub(super) shift: Vec<f32>,
    /// What answers are normalised by once training is over.
    #[serde(skip)]
    pub(super) mean: Vec<f32>,
    #[serde(skip)]
    pub(super) variance: Vec<f32>,
}

/// What the way back through a normalisation needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Normed {
    /// `[rows][width]`, of mean 0 and variance 1.
    pub(super) values: Vec<f32>,
    inverse: Vec<f32>,
}

impl Norm {
    pub(super) fn new(width: usize) -> Norm {
        Norm {
            width,
            scale: vec![1.0; width],
            shift: vec![0.0; width],
            mean: vec![0.0; width],
            variance: vec![1.0; width],
        }
    }

    /// Normalises by the batch's own moments, in place.
    pub(super) fn train(&self, x: &mut [f32], kept: &mut Normed) {
        let (mean, variance) = moments(x, self.width);
        self.apply(x, &mean, &variance, Some(kept));
    }

    /// Notes the moments of a batch as those of all.
    pub(super) fn settle(&mut self, x: &[f32]) {
        (self.mean, self.variance) = moments(x, self.width);
    }

    /// Normalises by the moments that were settled, in place.
    pub(super) fn answer(&self, x: &mut [f32]) {
        self.apply(x, &self.mean, &self.variance, None);
    }

    fn apply(&self, x: &mut [f32], mean: &[f32], variance: &[f32], kept: Option<&mut Normed>) {
        let inverse: Vec<f32> = variance
            .iter()
            .map(|v| 1.0 / (v + EPSILON).sqrt())
            .collect();
        for row in x.chunks_exact_mut(self.width) {
            for ((x, m), i) in row.iter_mut().zip(mean).zip(&inverse) {
                *x = (*x - m) * i;
            }
        }
        if let Some(kept) = kept {
            kept.values.clear();
            kept.values.extend_from_slice(x);
            kept.inverse = inverse;
        }
        for row in x.chunks_exact_mut(self.width) {
            for ((x, s), b) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
                *x = *x * s + b;
            }
        }
    }

    /// From the outputs' gradient to the inputs', in place; adds the gradients of scale and shift.
    pub(super) fn back(&self, dy: &mut [f32], kept: &Normed, out: &mut Gradient) {
        let rows = (dy.len() / self.width) as f32;
        let (mut sums, mut products) = (vec![0.0; self.width], vec![0.0; self.width]);
        for (dy, x) in dy
            .chunks_exact(self.width)
            .zip(kept.values.chunks_exact(self.width))
        {
            for (((s, p), d), x) in sums.iter_mut().zip(&mut products).zip(dy).zip(x) {
                *s += d;
                *p += d * x;
            }
        }
        for (own, sum) in out.weights.iter_mut().zip(&products) {
            *own += sum;
        }
        for (own, sum) in out.bias.iter_mut().zip(&sums) {
            *own += sum;
        }
        for (dy, x) in dy
            .chunks_exact_mut(self.width)
            .zip(kept.values.chunks_exact(self.width))
        {
            for (at, (d, x)) in dy.iter_mut().zip(x).enumerate() {
                *d = self.scale[at] * kept.inverse[at] / rows
                    * (rows * *d - sums[at] - x * products[at]);
            }
        }
    }

    pub(super) fn zero(&self) -> Gradient {
        Gradient {
            weights: vec![0.0; self.width],
            bias: vec![0.0; self.width],
        }
    }
}

/// Mean and (biased) variance of each column.
fn moments(x: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = (x.len() / width.max(1)).max(1) as f32;
    let mut mean = vec![0.0f32; width];
    add_rows(&mut mean, x);
    mean.iter_mut().for_each(|m| *m /= rows);
    let mut variance = vec![0.0f32; width];
    for row in x.chunks_exact(width) {
        for ((v, x), m) in variance.iter_mut().zip(row).zip(&mean) {
            *v += (x - m) * (x - m);
        }
    }
    variance.iter_mut().for_each(|v| *v /= rows);
    (mean, variance)
}

/// Adam (Kingma and Ba 2015) with a penalty of squares that joins the gradient, as PyTorch's `weight_decay`.
#[derive(Debug, Clone)]
pub(super) struct Adam {
    pub(super) rate: f32,
    betas: (f32, f32),
    decay: f32,
    step: i32,
    moments: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Adam {
    pub(super) fn new(rate: f64, betas: (f32, f32), decay: f32) -> Adam {
        Adam {
            rate: rate as f32,
            betas,
            decay,
            step: 0,
            moments: Vec::new(),
        }
    }

    /// One step; always with the same groups of weights in the same order.
    pub(super) fn step(&mut self, groups: &mut [(&mut [f32], &[f32])]) {
        self.step = self.step.saturating_add(1);
        if self.moments.is_empty() {
            let zeros = |(w, _): &(&mut [f32], &[f32])| (vec![0.0; w.len()], vec![0.0; w.len()]);
            self.moments = groups.iter().map(zeros).collect();
        }
        let ((b1, b2), rate, decay) = (self.betas, self.rate, self.decay);
        let (c1, c2) = (1.0 - b1.powi(self.step), 1.0 - b2.powi(self.step));
        for ((weights, gradient), (first, second)) in groups.iter_mut().zip(&mut self.moments) {
            const PIECE: usize = 1 << 14;
            weights
                .par_chunks_mut(PIECE)
                .zip(gradient.par_chunks(PIECE))
                .zip(
                    first
                        .par_chunks_mut(PIECE)
                        .zip(second.par_chunks_mut(PIECE)),
                )
                .for_each(|((w, g), (m, v))| {
                    for ((w, g), (m, v)) in w.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
                        let g = g + decay * *w;
                        *m += (1.0 - b1) * (g - *m);
                        *v += (1.0 - b2) * (g * g - *v);
                        *w -= rate * (*m / c1) / ((*v / c2).sqrt() + 1e-8);
                    }
                });
        }
    }
}
