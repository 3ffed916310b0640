//! Steps that hide rows: the gradient of each row is shortened before they are added up, and noise is added to the sum (Abadi and
//! others 2016, "Deep learning with differential privacy").
//!
//! No row's gradient is written out. A layer's gradient of one row is the product of its input and of its delta, so that its norm is
//! the product of theirs (Goodfellow 2015, "Efficient per-example gradient computations"); the deltas of all layers are kept, shortened by
//! row, and only then multiplied with the inputs (Bu and others 2022, "Differentially private optimization on large model at small cost").

use super::chunk::{Chunk, Shared};
use super::inputs::Front;
use super::vector::{View, add_rows, multiply, product, resize};
use super::{Cpu, Task};
use crate::models::Network;
use crate::privacy::noise::Noise;
use crate::privacy::{Plan, Privacy};
use crate::random::Random;
use rayon::prelude::*;

/// Norms are computed in single precision: gradients are made this much shorter than they may be.
const MARGIN: f64 = 1.0 - 1e-5;

/// What hides a row, or a unit, in a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cover {
    /// The norm to which a row's gradient is shortened.
    pub clip: f64,
    /// Standard deviation of the noise in each number of the sum.
    pub noise: f64,
    /// Rows of a sample on average: what the sum is divided by. How many there are in truth would tell something.
    pub expected: f64,
}

impl Cover {
    /// Of steps on `expected` units on average.
    pub fn of(privacy: &Privacy, plan: &Plan, expected: f64) -> Cover {
        Cover {
            clip: privacy.clip / privacy.rows_per_unit as f64,
            noise: plan.noise_multiplier * privacy.clip,
            expected: expected.max(1.0),
        }
    }

    /// A number of a sum of gradients as it is learned from.
    pub(crate) fn covered(&self, sum: f32, noise: &mut Noise) -> f32 {
        ((f64::from(sum) + self.noise * noise.gaussian()) / self.expected) as f32
    }
}

impl<'a> Cpu<'a> {
    /// A network whose steps are [`Cpu::private_step`]s: one member, numbers as they are, no texts.
    pub(in crate::train) fn private(task: &'a Task<'a>, network: Network) -> Cpu<'a> {
        debug_assert!(
            network.members == 1
                && network.number_embeddings.is_empty()
                && network.inputs.bags.is_empty()
        );
        let mut cpu = Cpu::new(task, network);
        // The noise makes a sum long; shortening it to a length made for others would only slow learning.
        cpu.dense = cpu.dense.clipped(f64::INFINITY);
        cpu
    }

    /// Averages weights over so many steps, where they are averaged: by the number of rows it would tell how many have labels.
    pub(in crate::train) fn average_over(&mut self, steps: f64) {
        self.average = self.average.map(|_| super::Average::over(steps));
    }

    /// One step on a sample, which may be empty.
    pub(in crate::train) fn private_step(
        &mut self,
        rows: &[u32],
        cover: &Cover,
        noise: &mut Noise,
        rate: f64,
    ) {
        let part = &self.task.train;
        let first_seed = self.seed.wrapping_add(self.steps << 8);
        self.steps += 1;
        let used = self
            .in_chunks(rows, |shared, chunk, i, rows| {
                let mut random = Random::new(first_seed.wrapping_add(i as u64));
                chunk.forward(shared, part.matrix, rows, Some(&mut random));
                chunk.backward_clipped(shared, rows, part.targets, part.weights, cover.clip);
            })
            .len();
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::default());
        }
        let share = self.average.as_mut().map_or(1.0, super::Average::next);
        let mut covered = |sum: f32| cover.covered(sum, noise);
        let (first, others) = self.chunks.split_at_mut(1);
        let sum = &mut first[0].gradient;
        if used == 0 {
            sum.clear();
        }
        sum.resize(self.layout.len, 0.0);
        for other in others.iter_mut().take(used.saturating_sub(1)) {
            for (sum, own) in sum.iter_mut().zip(&mut other.gradient) {
                *sum += std::mem::take(own);
            }
        }
        sum.iter_mut().for_each(|sum| *sum = covered(*sum));
        self.dense.step(&mut [sum], rate, share as f32);
        if self.tables.is_empty() {
            return;
        }
        let network = &self.network;
        let front = Front {
            inputs: &network.inputs,
            number_embeddings: &network.number_embeddings,
            width: network.width(),
            learned: network.inputs.numbers + network.inputs.one_hot(),
        };
        let size = rows.len().div_ceil(used.max(1)).max(1);
        for (chunk, rows) in self.chunks.iter().zip(rows.chunks(size)) {
            let dx = chunk.dx.chunks_exact((front.width - front.learned).max(1));
            for (&row, dx) in rows.iter().zip(dx) {
                front.back_tables(part.matrix, row as usize, dx, &mut self.tables);
            }
        }
        // Vectors that no row of the sample has get noise as all others: which ones do would be told by those that rest.
        self.tables
            .iter_mut()
            .for_each(|table| table.change_all(&mut covered));
        self.tables
            .par_iter_mut()
            .for_each(|table| table.step(rate, share));
    }
}

impl Chunk {
    /// From the sums of [`Chunk::forward`] to the gradient, added up over the rows: that of each row shortened to the norm `clip` if it
    /// is longer, over all weights and vectors of tables together.
    pub(super) fn backward_clipped(
        &mut self,
        shared: &Shared<'_>,
        rows: &[u32],
        targets: &[f32],
        row_weights: &[f32],
        clip: f64,
    ) {
        let Shared {
            front,
            layout,
            weights,
            ..
        } = shared;
        let objective = shared.objective;
        let (n, width, outputs) = (rows.len(), front.width, objective.outputs);
        let last = layout.layers.len();
        let learned = width - front.learned;
        self.gradient.resize(layout.len, 0.0);
        self.squares.clear();
        self.squares.resize(n, 0.0);
        for (row, sums) in rows.iter().zip(self.sums.chunks_exact_mut(outputs)) {
            let row = *row as usize;
            let weight = row_weights.get(row).copied().unwrap_or(1.0);
            objective.derive(sums, objective.of(targets, row));
            sums.iter_mut().for_each(|d| *d *= weight);
        }
        // From the output layer to the first, each layer's deltas and what they say of the norms.
        self.deltas.resize_with(last, Vec::new);
        let (w, _) = &layout.heads[0];
        let units = layout.layers.last().map_or(width, |(_, b)| b.len());
        let input = match last {
            0 => &self.x[..n * width],
            _ => &self.values[last - 1][..n * units],
        };
        add_squares(&mut self.squares, (input, units), (&self.sums, outputs));
        let delta = resize(&mut self.delta, n * units);
        let back = View::new(&weights[w.clone()], units, outputs).transposed();
        product(delta, View::new(&self.sums, n, outputs), back, false);
        for i in (0..last).rev() {
            let (w, b) = &layout.layers[i];
            let units = b.len();
            let own = resize(&mut self.deltas[i], n * units);
            own.copy_from_slice(&self.delta[..n * units]);
            multiply(own, &self.slopes[i]);
            let (input, before) = match i {
                0 => (&self.x, width),
                _ => (&self.values[i - 1], layout.layers[i - 1].1.len()),
            };
            add_squares(&mut self.squares, (input, before), (own, units));
            let from = if i == 0 { front.learned } else { 0 };
            let w = &weights[w.start + from * units..w.end];
            let back = View::new(w, before - from, units).transposed();
            let next = resize(&mut self.delta, n * (before - from));
            product(next, View::new(own, n, units), back, false);
        }
        let dx = resize(&mut self.dx, n * learned);
        if last == 0 {
            let all = self.delta.chunks_exact(width.max(1));
            for (dx, d) in dx.chunks_exact_mut(learned.max(1)).zip(all) {
                dx.copy_from_slice(&d[front.learned..]);
            }
        } else {
            dx.copy_from_slice(&self.delta[..n * learned]);
        }
        // A row takes one vector of each table: the gradient by it is that by the inputs it becomes.
        for (square, dx) in self.squares.iter_mut().zip(dx.chunks_exact(learned.max(1))) {
            *square += norm_squared(dx);
        }
        for (r, square) in self.squares.iter().enumerate() {
            let factor = shortening(*square, clip);
            let shorten = |values: &mut [f32], width: usize| {
                shorten(&mut values[r * width..(r + 1) * width], factor);
            };
            shorten(&mut self.sums, outputs);
            for (delta, (_, b)) in self.deltas.iter_mut().zip(&layout.layers) {
                shorten(delta, b.len());
            }
            shorten(&mut self.dx, learned);
        }
        let mut add = |(w, b): &(std::ops::Range<usize>, std::ops::Range<usize>),
                       (input, before): (&[f32], usize),
                       delta: &[f32]| {
            let delta = &delta[..n * b.len()];
            let input = View::new(input, n, before).transposed();
            let out = &mut self.gradient[w.clone()];
            product(out, input, View::new(delta, n, b.len()), true);
            add_rows(&mut self.gradient[b.clone()], delta);
        };
        let input = match last {
            0 => &self.x,
            _ => &self.values[last - 1],
        };
        add(&layout.heads[0], (input, units), &self.sums);
        for (i, layer) in layout.layers.iter().enumerate() {
            let input: (&[f32], usize) = match i {
                0 => (&self.x, width),
                _ => (&self.values[i - 1], layout.layers[i - 1].1.len()),
            };
            add(layer, input, &self.deltas[i]);
        }
    }
}

/// Adds to each row's square what a layer's weights and bias have of it: (|input|² + 1) |delta|².
fn add_squares(
    squares: &mut [f64],
    (input, inputs): (&[f32], usize),
    (delta, outputs): (&[f32], usize),
) {
    let inputs = input.chunks_exact(inputs.max(1));
    let deltas = delta.chunks_exact(outputs.max(1));
    for (square, (input, delta)) in squares.iter_mut().zip(inputs.zip(deltas)) {
        *square += (norm_squared(input) + 1.0) * norm_squared(delta);
    }
}

/// What a gradient with this square of its norm is multiplied by to be no longer than `clip`; `None` where it is too large to hold.
pub(crate) fn shortening(square: f64, clip: f64) -> Option<f32> {
    let factor = (clip * MARGIN / square.sqrt()).min(1.0) as f32;
    square.is_finite().then_some(factor)
}

fn shorten(values: &mut [f32], factor: Option<f32>) {
    match factor {
        Some(factor) if factor < 1.0 => values.iter_mut().for_each(|v| *v *= factor),
        Some(_) => {}
        // What makes numbers too large to hold teaches nothing, and must not stop the others from it.
        None => values.fill(0.0),
    }
}

/// The square of the norm of numbers.
pub(crate) fn norm_squared(values: &[f32]) -> f64 {
    let each = values.chunks(64);
    each.map(|c| f64::from(c.iter().map(|v| v * v).sum::<f32>()))
        .sum()
}

#[cfg(test)]
#[path = "private_test.rs"]
mod tests;
