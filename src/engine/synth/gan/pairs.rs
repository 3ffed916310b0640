//! The critic's gradient of pairs of a generated and a real row, each shortened by itself (Xie et al. 2018, "Differentially private
//! generative adversarial network").
//!
//! No pair's gradient is written out. What a layer has of it is a sum of products of an input and a delta: of the generated row, of the
//! real row, and of the penalty of the point between them. Its norm follows from their inner products; the deltas are shortened by pair,
//! and only then multiplied with the inputs, of all pairs at once.

use super::critic::{Critic, Seen};
use super::judge;
use crate::synth::layers::{Gradient, multiply};
use crate::train::cpu::private::shortening;
use crate::train::vector::View;
use rayon::prelude::*;

impl Critic {
    /// Adds up the gradients of the critic's loss on each of `pairs` pairs, shortened to the norm `clip` over all weights and biases.
    /// `x` is `[generated, real, between][pairs][inputs]` as `seen` has it; the points between are for Wasserstein's distance alone.
    pub(super) fn add_clipped(
        &self,
        x: &[f32],
        pairs: usize,
        wasserstein: bool,
        clip: f64,
        seen: &Seen,
        out: &mut [Gradient],
    ) {
        let (_, mut slopes) = judge(&seen.answers[..2 * pairs], pairs, wasserstein);
        // Of each pair by itself, not of their mean.
        slopes.iter_mut().for_each(|s| *s *= pairs as f32);
        let mut deltas = self.deltas(2 * pairs, &slopes, seen);
        deltas.push(slopes);
        let mut steepness = wasserstein.then(|| {
            let mut own = self.steepness(2 * pairs, pairs, seen, 1.0);
            own.down.push(vec![1.0; pairs]);
            own
        });
        let layers = || self.layers.iter().chain([&self.last]).enumerate();
        let mut squares = vec![0.0f64; pairs];
        for (at, layer) in layers() {
            let (inputs, outputs) = (layer.inputs, layer.outputs);
            let (input, delta) = (self.input(at, x, seen), &deltas[at]);
            squares
                .par_iter_mut()
                .enumerate()
                .for_each(|(pair, square)| {
                    let of = |all: &'_ [f32], place: usize, width: usize| -> Vec<f64> {
                        let own = &all[place * width..(place + 1) * width];
                        own.iter().map(|v| f64::from(*v)).collect()
                    };
                    let mut products = vec![
                        (of(input, pair, inputs), of(delta, pair, outputs)),
                        (
                            of(input, pairs + pair, inputs),
                            of(delta, pairs + pair, outputs),
                        ),
                    ];
                    let bias = products[0].1.iter().zip(&products[1].1);
                    *square += bias.map(|(a, b)| (a + b) * (a + b)).sum::<f64>();
                    if let Some(own) = &steepness {
                        products.push((
                            of(&own.up[at], pair, inputs),
                            of(&own.down[at], pair, outputs),
                        ));
                    }
                    for (i, (a, da)) in products.iter().enumerate() {
                        *square += dot(a, a) * dot(da, da);
                        for (b, db) in &products[..i] {
                            *square += 2.0 * dot(a, b) * dot(da, db);
                        }
                    }
                });
        }
        let factor = |square: &f64| {
            // What inner products leave of nothing may be less than nothing.
            let square = if *square < 0.0 { 0.0 } else { *square };
            // A pair that makes numbers too large to hold teaches nothing, and must not stop the others from it.
            shortening(square, clip).unwrap_or(0.0)
        };
        let factors: Vec<f32> = squares.iter().map(factor).collect();
        let shorten = |values: &mut [f32], width: usize| {
            let rows = values.chunks_exact_mut(width);
            for (row, factor) in rows.zip(factors.iter().cycle()) {
                let shorter = |v: &mut f32| *v = if *factor > 0.0 { *v * factor } else { 0.0 };
                row.iter_mut().for_each(shorter);
            }
        };
        for (at, layer) in layers() {
            let (inputs, outputs) = (layer.inputs, layer.outputs);
            shorten(&mut deltas[at], outputs);
            layer.gradient(
                self.input(at, x, seen),
                &deltas[at],
                2 * pairs,
                &mut out[at],
            );
            if let Some(own) = &mut steepness {
                shorten(&mut own.down[at], outputs);
                let up = View::new(&own.up[at], pairs, inputs).transposed();
                let down = View::new(&own.down[at], pairs, outputs);
                multiply(&mut out[at].weights, up, down, true);
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
#[path = "pairs_test.rs"]
mod tests;
