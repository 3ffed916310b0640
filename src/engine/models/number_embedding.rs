//! Learned functions of a number.

use super::{Basis, NumberEmbedding};
use std::f32::consts::TAU;

/// Functions of a periodic number embedding (Holzmüller et al. 2024, "Better by default").
const FREQUENCIES: usize = 16;
/// Their standard deviation at first, for standardised numbers.
const FREQUENCY: f64 = 0.3;

/// The bin of a value and how far into it the value lies, from 0 to 1; there are at least two knots.
pub(crate) fn place(knots: &[f32], x: f32) -> (usize, f32) {
    let bin = knots[1..knots.len() - 1].partition_point(|&k| k <= x);
    let (low, high) = (knots[bin], knots[bin + 1]);
    (bin, ((x - low) / (high - low)).clamp(0.0, 1.0))
}

impl NumberEmbedding {
    /// Piecewise-linear and zero by knots, else periodic. `normal` draws so many numbers with a standard deviation.
    pub(super) fn init(
        input: usize,
        knots: Option<Vec<f32>>,
        dim: usize,
        mut normal: impl FnMut(usize, f64) -> Vec<f32>,
    ) -> NumberEmbedding {
        let (weights, basis) = match knots {
            Some(knots) => (
                vec![0.0; knots.len().saturating_sub(1) * dim],
                Basis::PiecewiseLinear { knots },
            ),
            None => {
                let mut weights = normal(FREQUENCIES, FREQUENCY);
                weights.extend(normal(FREQUENCIES, 0.3));
                let std = (1.0 / FREQUENCIES as f64).sqrt();
                weights.extend(normal(FREQUENCIES * dim, std));
                let frequencies = FREQUENCIES;
                (weights, Basis::Periodic { frequencies })
            }
        };
        NumberEmbedding {
            input,
            dim,
            basis,
            weights,
        }
    }

    /// A number embedding ready to be looked up: for piecewise-linear ones the sums of the bins below each knot,
    /// `[knots][dim]`; the others as they are.
    pub(crate) fn curve(&self, weights: &[f32]) -> Vec<f32> {
        match &self.basis {
            Basis::Periodic { .. } => weights.to_vec(),
            Basis::PiecewiseLinear { knots } => {
                let dim = self.dim;
                let mut sums = vec![0f32; knots.len() * dim];
                for (at, w) in weights.iter().enumerate() {
                    sums[at + dim] = sums[at] + w;
                }
                sums
            }
        }
    }

    /// The embedding of `x`.
    #[inline(always)]
    pub(crate) fn value(&self, curve: &[f32], x: f32, out: &mut [f32]) {
        out.fill(0.0);
        self.add(curve, x, out);
    }

    /// Adds the embedding of `x`.
    #[inline(always)]
    pub(crate) fn add(&self, curve: &[f32], x: f32, out: &mut [f32]) {
        let dim = self.dim;
        match &self.basis {
            Basis::PiecewiseLinear { knots } => {
                let (bin, share) = place(knots, x);
                let (low, high) = curve[bin * dim..(bin + 2) * dim].split_at(dim);
                for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                    *out += low + share * (high - low);
                }
            }
            Basis::Periodic { frequencies } => {
                let n = *frequencies;
                for i in 0..n {
                    let cos = (TAU * (curve[i] * x + curve[n + i])).cos();
                    let row = &curve[2 * n + i * dim..][..dim];
                    for (out, w) in out.iter_mut().zip(row) {
                        *out += cos * w;
                    }
                }
            }
        }
    }
}
