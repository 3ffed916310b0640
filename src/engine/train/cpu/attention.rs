//! Transformer blocks in training: some sequences on one thread, forward and backward.

use super::heads::{self, Heads};
use super::norm::Norm;
use super::vector::{View, add_bias, add_rows, multiply, product, resize};
use crate::models::{Block, BlockParts, Linear};
use crate::random::Random;

/// The tokens of some sequences, row-major `[count][length][width]`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sequences<'a> {
    pub(crate) count: usize,
    pub(crate) length: usize,
    /// How many tokens of each sequence there are, the others only fill it up and are not looked at; empty: all.
    pub(crate) lengths: &'a [usize],
    /// Whether a token looks at itself and those before it alone.
    pub(crate) causal: bool,
    /// Whether only the first token of each sequence goes on: what comes out is `[count][width]`.
    pub(crate) first_alone: bool,
}

impl Sequences<'_> {
    /// Tokens that come in.
    pub(crate) fn tokens(&self) -> usize {
        self.count * self.length
    }

    /// Tokens of a sequence that come out.
    pub(super) fn asking(&self) -> usize {
        if self.first_alone { 1 } else { self.length }
    }

    /// How many tokens one of a sequence looks at.
    #[inline(always)]
    pub(super) fn seen(&self, sequence: usize, token: usize) -> usize {
        let all = self.lengths.get(sequence).copied().unwrap_or(self.length);
        let all = all.min(self.length);
        if self.causal { all.min(token + 1) } else { all }
    }
}

/// Where dropout strikes: a value is dropped where 16 random bits are below these.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dropped {
    pub(crate) attention: u16,
    pub(crate) hidden: u16,
    pub(crate) residual: u16,
}

/// What a block remembers from forward to backward; the buffers grow to the largest chunk and stay.
#[derive(Default)]
pub(crate) struct Pass {
    norm: Norm,
    /// `[tokens][width]`: what attention takes.
    normed: Vec<f32>,
    /// The same of the tokens that ask.
    asking: Vec<f32>,
    heads: Heads,
    hidden_norm: Norm,
    hidden_normed: Vec<f32>,
    /// `[asking][2 hidden]`: what is let through, then the gates.
    gate: Vec<f32>,
    /// `[asking][hidden]`.
    hidden: Vec<f32>,
    /// Factors of dropout, of what attention adds, of the hidden units, of what they add; empty without dropout.
    masks: [Vec<f32>; 3],
    /// Gradients, or what is added to the tokens.
    spare: Vec<f32>,
    wide: Vec<f32>,
    next: Vec<f32>,
}

/// Fills in factors of inverted dropout (Srivastava et al. 2014), or none.
pub(super) fn mask(
    random: Option<&mut Random>,
    dropped: u16,
    len: usize,
    mask: &mut Vec<f32>,
) -> bool {
    mask.clear();
    let Some(random) = random.filter(|_| dropped > 0) else {
        return false;
    };
    let scale = 1.0 / (1.0 - f32::from(dropped) / 65_536.0);
    mask.reserve(len + 3);
    while mask.len() < len {
        let bits = random.next_u64();
        let keep = |shift: u32| f32::from((bits >> shift) as u16 >= dropped) * scale;
        mask.extend([keep(0), keep(16), keep(32), keep(48)]);
    }
    mask.truncate(len);
    true
}

/// `out = x · weights + bias` for `rows` rows.
pub(super) fn forward(out: &mut [f32], x: &[f32], rows: usize, weights: &[f32], of: &Linear) {
    let (outputs, inputs) = (of.bias.len(), of.weights.len() / of.bias.len().max(1));
    let matrix = View::new(&weights[of.weights.clone()], inputs, outputs);
    product(out, View::new(x, rows, inputs), matrix, false);
    add_bias(&mut out[..rows * outputs], &weights[of.bias.clone()]);
}

/// The gradient of [`forward`] by its weights is added up; that by `x` goes to `dx`, where it is wanted.
pub(super) fn backward(
    (dx, add): (Option<&mut [f32]>, bool),
    delta: &[f32],
    x: &[f32],
    rows: usize,
    weights: &[f32],
    gradient: &mut [f32],
    of: &Linear,
) {
    let (outputs, inputs) = (of.bias.len(), of.weights.len() / of.bias.len().max(1));
    let delta = &delta[..rows * outputs];
    let view = View::new(delta, rows, outputs);
    let x = View::new(x, rows, inputs).transposed();
    product(&mut gradient[of.weights.clone()], x, view, true);
    add_rows(&mut gradient[of.bias.clone()], delta);
    if let Some(dx) = dx {
        let matrix = View::new(&weights[of.weights.clone()], inputs, outputs);
        product(dx, view, matrix.transposed(), add);
    }
}

impl Pass {
    /// Takes tokens through a block, in place. `weights` are the block's; training gives a generator for dropout.
    pub(crate) fn forward(
        &mut self,
        block: &Block,
        parts: &BlockParts,
        weights: &[f32],
        x: &mut [f32],
        sequences: Sequences<'_>,
        mut dropout: Option<(&mut Random, Dropped)>,
    ) {
        let width = block.width;
        let (tokens, asking) = (sequences.tokens(), sequences.count * sequences.asking());
        let normed = resize(&mut self.normed, tokens * width);
        if block.norm {
            let own = &weights[parts.norm.clone()];
            self.norm.forward(own, &x[..tokens * width], normed);
        } else {
            normed.copy_from_slice(&x[..tokens * width]);
        }
        if sequences.first_alone {
            first_of(&mut self.asking, &self.normed, sequences, width);
            for s in 1..sequences.count {
                let from = s * sequences.length * width;
                x.copy_within(from..from + width, s * width);
            }
        }
        let rates = dropout.as_ref().map(|(_, rates)| *rates);
        let rates = rates.unwrap_or_default();
        let queries = match sequences.first_alone {
            true => &self.asking,
            false => &self.normed,
        };
        let heads = &mut self.heads;
        forward(
            resize(&mut heads.query, asking * width),
            queries,
            asking,
            weights,
            &parts.query,
        );
        forward(
            resize(&mut heads.key_value, 2 * tokens * width),
            &self.normed,
            tokens,
            weights,
            &parts.key_value,
        );
        let random = dropout.as_mut().map(|(random, _)| &mut **random);
        let len = block.heads * asking * heads::padded(sequences.length);
        mask(random, rates.attention, len, &mut heads.mask);
        heads.forward(block, sequences);
        // What attention adds.
        let spare = resize(&mut self.spare, asking * width);
        forward(spare, &heads.mixed, asking, weights, &parts.out);
        let random = dropout.as_mut().map(|(random, _)| &mut **random);
        if mask(random, rates.residual, asking * width, &mut self.masks[0]) {
            multiply(spare, &self.masks[0]);
        }
        add(&mut x[..asking * width], spare);
        // The feed-forward layer.
        let own = &weights[parts.hidden_norm.clone()];
        let normed = resize(&mut self.hidden_normed, asking * width);
        self.hidden_norm.forward(own, &x[..asking * width], normed);
        let gate = resize(&mut self.gate, 2 * asking * block.hidden);
        forward(gate, normed, asking, weights, &parts.gate);
        let hidden = resize(&mut self.hidden, asking * block.hidden);
        let rows = gate.chunks_exact(2 * block.hidden);
        for (out, row) in hidden.chunks_exact_mut(block.hidden).zip(rows) {
            let (through, gates) = row.split_at(block.hidden);
            for ((out, a), b) in out.iter_mut().zip(through).zip(gates) {
                *out = a * b.max(0.0);
            }
        }
        let random = dropout.as_mut().map(|(random, _)| &mut **random);
        let len = asking * block.hidden;
        if mask(random, rates.hidden, len, &mut self.masks[1]) {
            multiply(hidden, &self.masks[1]);
        }
        let spare = resize(&mut self.spare, asking * width);
        forward(spare, hidden, asking, weights, &parts.down);
        let random = dropout.as_mut().map(|(random, _)| &mut **random);
        if mask(random, rates.residual, asking * width, &mut self.masks[2]) {
            multiply(spare, &self.masks[2]);
        }
        add(&mut x[..asking * width], spare);
    }

    /// From the loss's derivative by what came out to that by what came in, in place; that by the weights is added to `gradient`.
    pub(crate) fn backward(
        &mut self,
        block: &Block,
        parts: &BlockParts,
        weights: &[f32],
        delta: &mut Vec<f32>,
        gradient: &mut [f32],
        sequences: Sequences<'_>,
    ) {
        let (width, hidden) = (block.width, block.hidden);
        let (tokens, asking) = (sequences.tokens(), sequences.count * sequences.asking());
        // The feed-forward layer.
        let spare = resize(&mut self.spare, asking * width);
        spare.copy_from_slice(&delta[..asking * width]);
        if !self.masks[2].is_empty() {
            multiply(spare, &self.masks[2]);
        }
        let next = resize(&mut self.next, asking * hidden);
        backward(
            (Some(&mut *next), false),
            spare,
            &self.hidden,
            asking,
            weights,
            gradient,
            &parts.down,
        );
        if !self.masks[1].is_empty() {
            multiply(next, &self.masks[1]);
        }
        let wide = resize(&mut self.wide, 2 * asking * hidden);
        let rows = self.gate.chunks_exact(2 * hidden);
        let rows = rows.zip(next.chunks_exact(hidden));
        for (out, (row, next)) in wide.chunks_exact_mut(2 * hidden).zip(rows) {
            let (d_through, d_gates) = out.split_at_mut(hidden);
            let (through, gates) = row.split_at(hidden);
            let values = through.iter().zip(gates).zip(next);
            for ((da, db), ((a, b), d)) in d_through.iter_mut().zip(d_gates).zip(values) {
                *da = d * b.max(0.0);
                *db = if *b > 0.0 { d * a } else { 0.0 };
            }
        }
        let spare = resize(&mut self.spare, asking * width);
        backward(
            (Some(&mut *spare), false),
            wide,
            &self.hidden_normed,
            asking,
            weights,
            gradient,
            &parts.gate,
        );
        let own = &weights[parts.hidden_norm.clone()];
        let of = &mut gradient[parts.hidden_norm.clone()];
        self.hidden_norm.backward(own, spare, delta, of);
        // Attention.
        spare.copy_from_slice(&delta[..asking * width]);
        if !self.masks[0].is_empty() {
            multiply(spare, &self.masks[0]);
        }
        let heads = &mut self.heads;
        let d_mixed = resize(&mut heads.d_mixed, asking * width);
        backward(
            (Some(d_mixed), false),
            spare,
            &heads.mixed,
            asking,
            weights,
            gradient,
            &parts.out,
        );
        resize(&mut heads.d_query, asking * width);
        resize(&mut heads.d_key_value, 2 * tokens * width);
        heads.backward(block, sequences);
        let next = resize(&mut self.next, tokens * width);
        backward(
            (Some(&mut *next), false),
            &heads.d_key_value,
            &self.normed,
            tokens,
            weights,
            gradient,
            &parts.key_value,
        );
        if sequences.first_alone {
            let spare = resize(&mut self.spare, asking * width);
            let dx = (Some(&mut *spare), false);
            let query = &parts.query;
            backward(
                dx,
                &heads.d_query,
                &self.asking,
                asking,
                weights,
                gradient,
                query,
            );
            let rows = next.chunks_exact_mut(sequences.length.max(1) * width);
            for (row, own) in rows.zip(spare.chunks_exact(width)) {
                add(&mut row[..width], own);
            }
            spread_first(delta, sequences, width);
        } else {
            let dx = (Some(&mut *next), true);
            let query = &parts.query;
            backward(
                dx,
                &heads.d_query,
                &self.normed,
                asking,
                weights,
                gradient,
                query,
            );
        }
        if block.norm {
            let own = &weights[parts.norm.clone()];
            let of = &mut gradient[parts.norm.clone()];
            self.norm.backward(own, next, delta, of);
        } else {
            add(&mut delta[..tokens * width], next);
        }
    }
}

/// The first token of each sequence.
fn first_of(out: &mut Vec<f32>, x: &[f32], sequences: Sequences<'_>, width: usize) {
    let rows = x.chunks_exact(sequences.length.max(1) * width);
    let out = resize(out, sequences.count * width);
    for (out, row) in out.chunks_exact_mut(width).zip(rows) {
        out.copy_from_slice(&row[..width]);
    }
}

/// The way back: each first token to its place, zeros to the others.
fn spread_first(delta: &mut Vec<f32>, sequences: Sequences<'_>, width: usize) {
    let stride = sequences.length * width;
    resize(delta, sequences.count * stride);
    for s in (0..sequences.count).rev() {
        delta.copy_within(s * width..(s + 1) * width, s * stride);
        delta[s * stride + width..(s + 1) * stride].fill(0.0);
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
}

#[cfg(test)]
#[path = "attention_test.rs"]
mod tests;
