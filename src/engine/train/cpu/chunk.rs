//! Some rows of a batch on one thread: forward, loss, backward. All members of the ensemble run as one tall matrix, member by
//! member.

use super::inputs::Front;
use super::parameters::{Layout, Table};
use super::vector::{View, activate, add_bias, add_rows, multiply, product, resize};
use crate::models::Activation;
use crate::random::Random;
use crate::recipe::Matrix;
use crate::train::loss::Objective;

/// What all chunks share during a step.
pub(super) struct Shared<'a> {
    pub(super) front: Front<'a>,
    pub(super) layout: &'a Layout,
    pub(super) weights: &'a [f32],
    pub(super) tables: &'a [Table],
    /// Number embeddings prepared for look-up.
    pub(super) curves: &'a [Vec<f32>],
    pub(super) activation: Activation,
    pub(super) members: usize,
    pub(super) objective: Objective,
    /// A unit is dropped where 16 random bits are below this.
    pub(super) dropped: u16,
}

/// Buffers of one chunk; all grow to the largest chunk and stay.
#[derive(Default)]
pub(super) struct Chunk {
    /// `[rows][width]`.
    pub(super) x: Vec<f32>,
    /// `[members][rows][width]`; unused with one member.
    scaled: Vec<f32>,
    /// Per hidden layer `[members][rows][units]`: values, and the derivative of activation and dropout.
    pub(super) values: Vec<Vec<f32>>,
    pub(super) slopes: Vec<Vec<f32>>,
    /// `[members][rows][outputs]`: sums, then the loss's derivative by them.
    pub(super) sums: Vec<f32>,
    pub(super) delta: Vec<f32>,
    next_delta: Vec<f32>,
    /// `[rows][width - learned]`: the loss's derivative by the learned inputs.
    pub(super) dx: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    /// Σ of the rows' losses times their weights.
    pub(super) loss: f64,
    /// Of private steps: each layer's derivatives `[rows][units]`, and the squared norm of each row's gradient.
    pub(super) deltas: Vec<Vec<f32>>,
    pub(super) squares: Vec<f64>,
}

impl Chunk {
    /// The members' sums for the given rows.
    pub(super) fn forward(
        &mut self,
        shared: &Shared<'_>,
        matrix: &Matrix,
        rows: &[u32],
        mut dropout: Option<&mut Random>,
    ) {
        let Shared {
            front,
            layout,
            weights,
            ..
        } = shared;
        let (n, width, members) = (rows.len(), front.width, shared.members);
        let x = resize(&mut self.x, n * width);
        for (&row, x) in rows.iter().zip(x.chunks_exact_mut(width.max(1))) {
            front.write(matrix, row as usize, shared.tables, shared.curves, x);
        }
        if members > 1 {
            let scaled = resize(&mut self.scaled, members * n * width);
            let factors = weights[layout.factors.clone()].chunks_exact(width.max(1));
            for (part, factors) in scaled.chunks_exact_mut((n * width).max(1)).zip(factors) {
                part.copy_from_slice(x);
                part.chunks_exact_mut(width.max(1))
                    .for_each(|row| multiply(row, factors));
            }
        }
        let tall = members * n;
        self.values.resize_with(layout.layers.len(), Vec::new);
        self.slopes.resize_with(layout.layers.len(), Vec::new);
        let mut units = width;
        for (i, (w, b)) in layout.layers.iter().enumerate() {
            let (before, from_here) = self.values.split_at_mut(i);
            let input = match before.last() {
                Some(values) => values,
                None if members > 1 => &self.scaled,
                None => &self.x,
            };
            let out = resize(&mut from_here[0], tall * b.len());
            let w = View::new(&weights[w.clone()], units, b.len());
            product(out, View::new(input, tall, units), w, false);
            add_bias(out, &weights[b.clone()]);
            units = b.len();
            let slopes = resize(&mut self.slopes[i], tall * units);
            activate(shared.activation, out, slopes);
            if let Some(random) = dropout.as_deref_mut()
                && shared.dropped > 0
            {
                drop_units(random, shared.dropped, out, slopes);
            }
        }
        let input = match self.values.last() {
            Some(values) => values,
            None => &self.x,
        };
        let outputs = shared.objective.outputs;
        let sums = resize(&mut self.sums, tall * outputs);
        for (m, (w, b)) in layout.heads.iter().enumerate() {
            let out = &mut sums[m * n * outputs..(m + 1) * n * outputs];
            let w = View::new(&weights[w.clone()], units, outputs);
            product(out, View::new(&input[m * n * units..], n, units), w, false);
            add_bias(out, &weights[b.clone()]);
        }
    }

    /// From the sums of [`Chunk::forward`] to the loss and its gradient, which is added up. `scale` is what a row with
    /// weight 1 counts in the mean over batch and members.
    pub(super) fn backward(
        &mut self,
        shared: &Shared<'_>,
        matrix: &Matrix,
        rows: &[u32],
        targets: &[f32],
        row_weights: &[f32],
        scale: f64,
    ) {
        let Shared {
            front,
            layout,
            weights,
            ..
        } = shared;
        let objective = shared.objective;
        let (n, width, members, outputs) =
            (rows.len(), front.width, shared.members, objective.outputs);
        let tall = members * n;
        self.gradient.resize(layout.len, 0.0);
        self.loss = 0.0;
        for (i, sums) in self.sums[..tall * outputs]
            .chunks_exact_mut(outputs)
            .enumerate()
        {
            let row = rows[i % n] as usize;
            let weight = row_weights.get(row).map_or(1.0, |w| f64::from(*w));
            let loss = objective.derive(sums, objective.of(targets, row));
            self.loss += weight * loss / members as f64;
            let factor = (weight * scale) as f32;
            sums.iter_mut().for_each(|d| *d *= factor);
        }
        // The output layers.
        let last = layout.layers.len();
        let units = layout.layers.last().map_or(width, |(_, b)| b.len());
        let delta = resize(&mut self.delta, tall * units);
        for (m, (w, b)) in layout.heads.iter().enumerate() {
            let d = &self.sums[m * n * outputs..(m + 1) * n * outputs];
            let input = match last {
                0 => &self.x[..],
                _ => &self.values[last - 1][m * n * units..],
            };
            let d_view = View::new(d, n, outputs);
            let input = View::new(input, n, units).transposed();
            product(&mut self.gradient[w.clone()], input, d_view, true);
            add_rows(&mut self.gradient[b.clone()], d);
            let w = View::new(&weights[w.clone()], units, outputs).transposed();
            product(
                &mut delta[m * n * units..(m + 1) * n * units],
                d_view,
                w,
                false,
            );
        }
        // The hidden layers, last to first; `delta` is by their values.
        let mut units = units;
        for i in (0..last).rev() {
            let (w, b) = &layout.layers[i];
            let delta = &mut self.delta[..tall * units];
            multiply(delta, &self.slopes[i]);
            let (input, before) = match i {
                0 if members > 1 => (&self.scaled, width),
                0 => (&self.x, width),
                _ => (&self.values[i - 1], layout.layers[i - 1].1.len()),
            };
            let d_view = View::new(delta, tall, units);
            let input = View::new(input, tall, before).transposed();
            product(&mut self.gradient[w.clone()], input, d_view, true);
            add_rows(&mut self.gradient[b.clone()], delta);
            // With one member only the learned inputs want their gradient.
            let from = if i == 0 && members == 1 {
                front.learned
            } else {
                0
            };
            let w = &weights[w.start + from * units..w.end];
            let w = View::new(w, before - from, units).transposed();
            let next = resize(&mut self.next_delta, tall * (before - from));
            product(next, d_view, w, false);
            units = before - from;
            std::mem::swap(&mut self.delta, &mut self.next_delta);
        }
        // The inputs.
        let learned = width - front.learned;
        let dx = resize(&mut self.dx, n * learned);
        if members > 1 {
            dx.fill(0.0);
            let factors = &weights[layout.factors.clone()];
            let own = &mut self.gradient[layout.factors.clone()];
            for (m, delta) in self.delta[..tall * width]
                .chunks_exact((n * width).max(1))
                .enumerate()
            {
                let range = m * width..(m + 1) * width;
                let (factors, own) = (&factors[range.clone()], &mut own[range]);
                for (r, delta) in delta.chunks_exact(width).enumerate() {
                    let x = &self.x[r * width..(r + 1) * width];
                    for ((own, d), x) in own.iter_mut().zip(delta).zip(x) {
                        *own += d * x;
                    }
                    let dx = &mut dx[r * learned..(r + 1) * learned];
                    let both = delta.iter().zip(factors).skip(front.learned);
                    for (dx, (d, f)) in dx.iter_mut().zip(both) {
                        *dx += d * f;
                    }
                }
            }
        } else if last == 0 {
            for (dx, d) in dx
                .chunks_exact_mut(learned.max(1))
                .zip(self.delta.chunks_exact(width.max(1)))
            {
                dx.copy_from_slice(&d[front.learned..]);
            }
        } else {
            dx.copy_from_slice(&self.delta[..n * learned]);
        }
        if learned > 0 {
            for (&row, dx) in rows.iter().zip(dx.chunks_exact(learned)) {
                front.back(
                    matrix,
                    row as usize,
                    dx,
                    weights,
                    layout,
                    &mut self.gradient,
                );
            }
            front.settle(layout, &mut self.gradient);
        }
    }
}

/// Inverted dropout (Srivastava et al. 2014).
fn drop_units(random: &mut Random, dropped: u16, values: &mut [f32], slopes: &mut [f32]) {
    let scale = 1.0 / (1.0 - f32::from(dropped) / 65_536.0);
    let (values, last_values) = values.as_chunks_mut::<4>();
    let (slopes, last_slopes) = slopes.as_chunks_mut::<4>();
    let mut mask = || -> [f32; 4] {
        let bits = random.next_u64();
        std::array::from_fn(|i| {
            if (bits >> (16 * i)) as u16 >= dropped {
                scale
            } else {
                0.0
            }
        })
    };
    for (v, s) in values.iter_mut().zip(slopes) {
        let mask = mask();
        for i in 0..4 {
            v[i] *= mask[i];
            s[i] *= mask[i];
        }
    }
    let mask = mask();
    for ((v, s), m) in last_values.iter_mut().zip(last_slopes).zip(mask) {
        *v *= m;
        *s *= m;
    }
}
