//! Learned functions of a number.

use super::{Basis, NumberEmbedding};
use std::f32::consts::TAU;

/// The bin of a value and how far into it the value lies, from 0 to 1; there are at least two knots.
pub(crate) fn place(knots: &[f32], x: f32) -> (usize, f32) {
    let bin = knots[1..knots.len() - 1].partition_point(|&k| k <= x);
    let (low, high) = (knots[bin], knots[bin + 1]);
    (bin, ((x - low) / (high - low)).clamp(0.0, 1.0))
}

impl NumberEmbedding {
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
        let dim = self.dim;
        match &self.basis {
            Basis::PiecewiseLinear { knots } => {
                let (bin, share) = place(knots, x);
                let (low, high) = curve[bin * dim..(bin + 2) * dim].split_at(dim);
                for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                    *out = low + share * (high - low);
                }
            }
            Basis::Periodic { frequencies } => {
                let n = *frequencies;
                out.fill(0.0);
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
