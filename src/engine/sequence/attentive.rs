//! Transformer blocks over a window: each step looks at itself and those before it (Vaswani et al. 2017; for next items Kang and
//! McAuley 2018).

use super::layer::grown;
use super::network::AttentionLayout;
use super::packed::Packed;
use crate::models::{Block, BlockParts};
use crate::random::Random;
use crate::train::cpu::attention::{Dropped, Pass, Sequences};
use crate::train::cpu::norm::Norm;
use crate::train::cpu::vector::{View, add_bias, add_rows, product};
use std::ops::Range;

/// Where a transformer's weights lie.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blocks {
    pub(super) block: Block,
    pub(super) parts: BlockParts,
    /// Where the weights of each block begin.
    pub(super) starts: Vec<usize>,
}

/// Buffers of one lane; they grow to the largest window and stay.
#[derive(Default)]
pub(super) struct Attentive {
    /// `[places][inputs]`.
    pub(super) inputs: Vec<f32>,
    /// `[places][width]`.
    pub(super) outputs: Vec<f32>,
    /// `[rows][length][width]`: tokens, padded.
    tokens: Vec<f32>,
    passes: Vec<Pass>,
    norm: Norm,
    /// The position of the window's first step.
    first: usize,
    /// Steps of each row.
    lengths: Vec<usize>,
    spare: Vec<f32>,
    /// `[places][inputs]`: the loss's derivative by the inputs.
    pub(super) inputs_back: Vec<f32>,
}

impl Attentive {
    /// The outputs of a window from its inputs; training gives a generator for dropout.
    pub(super) fn forward(
        &mut self,
        layout: &AttentionLayout,
        weights: &[f32],
        packed: &Packed,
        dropout: Option<(&mut Random, f64)>,
    ) {
        let width = layout.blocks.block.width;
        let (places, inputs) = (packed.len(), layout.inputs);
        let x = View::new(&self.inputs, places, inputs);
        let w = View::new(&weights[layout.input.clone()], inputs, width);
        let out = grown(&mut self.outputs, places * width);
        product(out, x, w, false);
        add_bias(out, &weights[layout.bias.clone()]);
        let length = packed.starts.len();
        let rows = packed.active.first().copied().unwrap_or(0);
        self.lengths.clear();
        self.lengths.resize(rows, 0);
        let tokens = grown(&mut self.tokens, rows * length * width);
        tokens.fill(0.0);
        let (mut random, rate) = match dropout {
            Some((random, rate)) => (Some(random), (rate * 65_536.0).round() as u16),
            None => (None, 0),
        };
        // In training positions begin anywhere: those are met, too, to which histories only grow later.
        let context = layout.positions.len() / width;
        let room = (context - length).min(length.max(4));
        self.first = random.as_mut().map_or(0, |random| random.below(room + 1));
        let positions = weights[layout.positions.clone()].chunks_exact(width);
        let positions = positions.skip(self.first);
        let steps = packed.starts.iter().zip(&packed.active).zip(positions);
        for (t, ((&start, &active), position)) in steps.enumerate() {
            for row in 0..active {
                self.lengths[row] += 1;
                let own = &out[(start + row) * width..][..width];
                let to = &mut tokens[(row * length + t) * width..][..width];
                for ((to, x), p) in to.iter_mut().zip(own).zip(position) {
                    *to = x + p;
                }
            }
        }
        let sequences = Sequences {
            count: rows,
            length,
            lengths: &self.lengths,
            causal: true,
            first_alone: false,
        };
        let dropped = Dropped {
            attention: rate,
            hidden: rate,
            residual: rate,
        };
        let blocks = &layout.blocks;
        self.passes.resize_with(blocks.starts.len(), Pass::default);
        for (pass, &start) in self.passes.iter_mut().zip(&blocks.starts) {
            let own = &weights[start..start + blocks.parts.len];
            let random = random.as_deref_mut().map(|random| (random, dropped));
            pass.forward(
                &blocks.block,
                &blocks.parts,
                own,
                &mut self.tokens,
                sequences,
                random,
            );
        }
        let all = rows * length * width;
        let normed = grown(&mut self.spare, all);
        let own = &weights[layout.norm.clone()];
        self.norm.forward(own, &self.tokens[..all], normed);
        for (t, (&start, &active)) in packed.starts.iter().zip(&packed.active).enumerate() {
            for row in 0..active {
                let own = &normed[(row * length + t) * width..][..width];
                self.outputs[(start + row) * width..][..width].copy_from_slice(own);
            }
        }
    }

    /// From the loss's derivative by the outputs, `back`, to that by the weights, which is added up, and by the inputs.
    pub(super) fn backward(
        &mut self,
        layout: &AttentionLayout,
        weights: &[f32],
        packed: &Packed,
        back: &mut [f32],
        gradient: &mut [f32],
    ) {
        let blocks = &layout.blocks;
        let width = blocks.block.width;
        let (places, inputs) = (packed.len(), layout.inputs);
        let length = packed.starts.len();
        let rows = packed.active.first().copied().unwrap_or(0);
        let all = rows * length * width;
        let spare = grown(&mut self.spare, all);
        spare.fill(0.0);
        for (t, (&start, &active)) in packed.starts.iter().zip(&packed.active).enumerate() {
            for row in 0..active {
                let own = &back[(start + row) * width..][..width];
                spare[(row * length + t) * width..][..width].copy_from_slice(own);
            }
        }
        let delta = grown(&mut self.tokens, all);
        delta.fill(0.0);
        let (own, of) = (
            &weights[layout.norm.clone()],
            &mut gradient[layout.norm.clone()],
        );
        self.norm.backward(own, spare, delta, of);
        let sequences = Sequences {
            count: rows,
            length,
            lengths: &self.lengths,
            causal: true,
            first_alone: false,
        };
        for (pass, &start) in self.passes.iter_mut().zip(&blocks.starts).rev() {
            let range: Range<usize> = start..start + blocks.parts.len;
            let (own, of) = (&weights[range.clone()], &mut gradient[range]);
            pass.backward(
                &blocks.block,
                &blocks.parts,
                own,
                &mut self.tokens,
                of,
                sequences,
            );
        }
        let positions = &mut gradient[layout.positions.clone()];
        let steps = packed.starts.iter().zip(&packed.active);
        for (t, (&start, &active)) in steps.enumerate() {
            let at = (self.first + t) * width;
            let position = &mut positions[at..at + width];
            for row in 0..active {
                let own = &self.tokens[(row * length + t) * width..][..width];
                position.iter_mut().zip(own).for_each(|(p, d)| *p += d);
                back[(start + row) * width..][..width].copy_from_slice(own);
            }
        }
        let back = &back[..places * width];
        let delta = View::new(back, places, width);
        let x = View::new(&self.inputs, places, inputs).transposed();
        product(&mut gradient[layout.input.clone()], x, delta, true);
        add_rows(&mut gradient[layout.bias.clone()], back);
        let w = View::new(&weights[layout.input.clone()], inputs, width).transposed();
        let out = grown(&mut self.inputs_back, places * inputs);
        product(out, delta, w, false);
    }
}
