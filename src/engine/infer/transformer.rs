//! A transformer prepared for speed, and its forward pass for one row.

use super::attention::{mix, softmax, standardise};
use super::forward::{Buffers, Level, Row, bounded};
use super::kernel::{LANES, blocked, dense, dot};
use crate::models::{Block, Linear, NumberEmbedding, Tokens, Transformer};

/// Blocked weights of a matrix, and its bias; see [`dense`].
#[derive(Clone)]
struct Layer {
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// A block; norms are gains, then shifts.
#[derive(Clone)]
struct Prepared {
    norm: Vec<f32>,
    query: Layer,
    key_value: Layer,
    out: Layer,
    hidden_norm: Vec<f32>,
    gate: Layer,
    down: Layer,
}

/// The prepared form of a [`Transformer`] whose shapes have been checked.
#[derive(Clone)]
pub(super) struct Attending {
    level: Level,
    tokens: Tokens,
    /// Of every block.
    shape: Block,
    /// `[tokens][width]`, and `[numbers][width]`.
    starts: Vec<f32>,
    numbers: Vec<f32>,
    /// `[codes][width]` of each category, `[vocabulary][width]` of each bag.
    embeddings: Vec<Vec<f32>>,
    bags: Vec<Vec<f32>>,
    number_embeddings: Vec<(NumberEmbedding, Vec<f32>)>,
    blocks: Vec<Prepared>,
    norm: Vec<f32>,
    /// `[outputs][width]`.
    head: Vec<f32>,
    head_bias: Vec<f32>,
}

/// One row on its way through the blocks.
struct Space<'b> {
    /// `[tokens][width]`.
    x: &'b mut [f32],
    normed: &'b mut [f32],
    /// `[width]`: of one token.
    query: &'b mut [f32],
    mixed: &'b mut [f32],
    added: &'b mut [f32],
    /// `[tokens][2 width]`: keys, then values.
    key_value: &'b mut [f32],
    /// Keys, `[width][padded tokens]`.
    turned: &'b mut [f32],
    /// `[padded tokens]`.
    shares: &'b mut [f32],
    /// `[2 hidden]`: what is let through, then the gates.
    gate: &'b mut [f32],
}

impl Layer {
    fn of(weights: &[f32], of: &Linear) -> Layer {
        let outputs = of.bias.len();
        let inputs = of.weights.len() / outputs.max(1);
        Layer {
            weights: blocked(&weights[of.weights.clone()], inputs, outputs, outputs),
            bias: weights[of.bias.clone()].to_vec(),
        }
    }

    #[inline(always)]
    fn run<const FMA: bool>(&self, x: &[f32], out: &mut [f32]) {
        let start = |at: usize, sums: &mut [f32]| {
            sums.copy_from_slice(&self.bias[at..at + sums.len()]);
        };
        dense::<FMA>(x, &self.weights, start, out);
    }

    fn floats(&self) -> usize {
        self.weights.len() + self.bias.len()
    }
}

/// The norm of `x` by gains and shifts.
#[inline(always)]
fn norm<const FMA: bool>(weights: &[f32], x: &[f32], out: &mut [f32]) {
    standardise::<FMA>(x, out);
    let (gain, shift) = weights.split_at(x.len());
    for ((out, gain), shift) in out.iter_mut().zip(gain).zip(shift) {
        *out = *out * gain + shift;
    }
}

#[inline(always)]
fn add(to: &mut [f32], from: &[f32], factor: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

impl Attending {
    /// Prepares a transformer; its shapes must have been checked.
    pub(super) fn new(model: &Transformer, level: Level) -> Attending {
        let parts = model.parts();
        let weights = &model.weights;
        let blocks = parts.blocks.iter().map(|(_, own, at)| {
            let weights = &weights[*at..at + own.len];
            Prepared {
                norm: weights[own.norm.clone()].to_vec(),
                query: Layer::of(weights, &own.query),
                key_value: Layer::of(weights, &own.key_value),
                out: Layer::of(weights, &own.out),
                hidden_norm: weights[own.hidden_norm.clone()].to_vec(),
                gate: Layer::of(weights, &own.gate),
                down: Layer::of(weights, &own.down),
            }
        });
        let own = &weights[parts.head.weights.clone()];
        let outputs = model.outputs;
        let column = |o: usize| own.iter().skip(o).step_by(outputs).copied();
        let numbers = model.number_embeddings.iter();
        Attending {
            level,
            shape: model.block(0),
            tokens: model.tokens.clone(),
            starts: weights[parts.tokens.clone()].to_vec(),
            numbers: weights[parts.numbers.clone()].to_vec(),
            embeddings: model.embeddings.clone(),
            bags: model.bags.clone(),
            number_embeddings: numbers.map(|e| (e.clone(), e.curve(&e.weights))).collect(),
            blocks: blocks.collect(),
            norm: weights[parts.norm.clone()].to_vec(),
            head: (0..outputs).flat_map(column).collect(),
            head_bias: weights[parts.head.bias.clone()].to_vec(),
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let block = |b: &Prepared| {
            let layers = [&b.query, &b.key_value, &b.out, &b.gate, &b.down];
            let layers: usize = layers.map(Layer::floats).iter().sum();
            layers + b.norm.len() + b.hidden_norm.len()
        };
        let tables = self.embeddings.iter().chain(&self.bags).map(Vec::len);
        let curves = self.number_embeddings.iter();
        let curves = curves.map(|(e, curve)| e.weights.len() + curve.len());
        let all = self.blocks.iter().map(block).chain(tables).chain(curves);
        let rest = self.starts.len() + self.numbers.len() + self.head.len();
        (all.sum::<usize>() + rest) * size_of::<f32>()
    }

    fn room(&self) -> usize {
        self.tokens.count.next_multiple_of(LANES)
    }

    /// The lengths of the parts of [`Space`], in its order.
    fn lengths(&self) -> [usize; 9] {
        let (count, width) = (self.tokens.count, self.shape.width);
        let all = count * width;
        let (room, gate) = (self.room(), 2 * self.shape.hidden);
        [
            all,
            all,
            width,
            width,
            width,
            2 * all,
            width * room,
            room,
            gate,
        ]
    }

    /// The length that the first buffer needs.
    pub(super) fn widest(&self) -> usize {
        let needed: usize = self.lengths().iter().sum();
        needed.max(self.head_bias.len())
    }

    /// The sums for one row, `[outputs]`. Codes beyond a category's levels count as 0 and tokens beyond a vocabulary not at all.
    /// Buffers that are too short grow; otherwise nothing is allocated.
    pub(super) fn run<'b>(&self, row: Row<'_>, buffers: &'b mut Buffers) -> &'b [f32] {
        let outputs = self.head_bias.len();
        let [first, .., last] = buffers;
        for (buffer, len) in [(&mut *first, self.widest()), (&mut *last, outputs)] {
            if buffer.len() < len {
                buffer.resize(len, 0.0);
            }
        }
        match self.level {
            Level::Plain => self.pass::<false>(row, first, last),
            // SAFETY: `detect` found these instructions on this machine.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { self.pass_avx2(row, first, last) },
        };
        &last[..outputs]
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn pass_avx2(&self, row: Row<'_>, buffer: &mut [f32], sums: &mut [f32]) {
        self.pass::<true>(row, buffer, sums);
    }

    #[inline(always)]
    fn pass<const FMA: bool>(&self, row: Row<'_>, buffer: &mut [f32], sums: &mut [f32]) {
        let mut rest = buffer;
        let [
            x,
            normed,
            query,
            mixed,
            added,
            key_value,
            turned,
            shares,
            gate,
        ] = self.lengths().map(|len| {
            let (own, more) = std::mem::take(&mut rest).split_at_mut(len);
            rest = more;
            own
        });
        let mut space = Space {
            x,
            normed,
            query,
            mixed,
            added,
            key_value,
            turned,
            shares,
            gate,
        };
        self.tokens(row, space.x);
        for (i, block) in self.blocks.iter().enumerate() {
            let asking = match i + 1 == self.blocks.len() {
                true => 1,
                false => self.tokens.count,
            };
            self.block::<FMA>(block, asking, &mut space);
        }
        let width = self.shape.width;
        let Space { x, normed, .. } = space;
        let normed = &mut normed[..width];
        norm::<FMA>(&self.norm, &x[..width], normed);
        normed.iter_mut().for_each(|x| *x = x.max(0.0));
        let rows = self.head.chunks_exact(width).zip(&self.head_bias);
        for (sum, (weights, bias)) in sums.iter_mut().zip(rows) {
            *sum = bias + dot::<FMA>(normed, weights);
        }
    }

    /// Writes the tokens of a row.
    #[inline(always)]
    fn tokens(&self, row: Row<'_>, x: &mut [f32]) {
        let width = self.shape.width;
        x.copy_from_slice(&self.starts);
        let place = |token: usize| token * width..(token + 1) * width;
        let weights = self.numbers.chunks_exact(width);
        for ((&v, &token), weights) in row.numbers.iter().zip(&self.tokens.numbers).zip(weights) {
            let v = bounded(v);
            if v != 0.0 {
                add(&mut x[place(token)], weights, v);
            }
        }
        let codes = row.codes.iter().zip(&self.tokens.categories);
        for ((&code, &token), table) in codes.zip(&self.embeddings) {
            let mut vectors = table.chunks_exact(width);
            let code = match code as usize * width < table.len() {
                true => code as usize,
                false => 0,
            };
            add(
                &mut x[place(token)],
                vectors.nth(code).unwrap_or_default(),
                1.0,
            );
        }
        let mut start = row.tokens_before;
        let bags = row.token_ends.iter().zip(&self.tokens.bags);
        for ((&end, &token), table) in bags.zip(&self.bags) {
            let words = &row.tokens[start - row.tokens_before..end - row.tokens_before];
            start = end;
            let share = 1.0 / words.len().max(1) as f32;
            for &word in words {
                let vector = table.chunks_exact(width).nth(word as usize);
                add(&mut x[place(token)], vector.unwrap_or_default(), share);
            }
        }
        for (embedding, curve) in &self.number_embeddings {
            let token = self.tokens.numbers[embedding.input];
            let v = bounded(row.numbers[embedding.input]);
            embedding.add(curve, v, &mut x[place(token)]);
        }
    }

    /// Takes the tokens through a block, in place; only the first `asking` of them go on.
    #[inline(always)]
    fn block<const FMA: bool>(&self, block: &Prepared, asking: usize, space: &mut Space<'_>) {
        let Space {
            x,
            normed,
            query,
            mixed,
            added,
            key_value,
            turned,
            shares,
            gate,
        } = space;
        let (count, width, room) = (self.tokens.count, self.shape.width, self.room());
        let tokens = x.chunks_exact(width).zip(normed.chunks_exact_mut(width));
        for ((x, normed), key_value) in tokens.zip(key_value.chunks_exact_mut(2 * width)) {
            if block.norm.is_empty() {
                normed.copy_from_slice(x);
            } else {
                norm::<FMA>(&block.norm, x, normed);
            }
            block.key_value.run::<FMA>(normed, key_value);
        }
        for (c, row) in turned.chunks_exact_mut(room).enumerate() {
            let keys = key_value.iter().skip(c).step_by(2 * width);
            row[..count]
                .iter_mut()
                .zip(keys)
                .for_each(|(to, key)| *to = *key);
            row[count..].fill(0.0);
        }
        let wide = width / self.shape.heads;
        let scale = 1.0 / (wide as f32).sqrt();
        let tokens = x.chunks_exact_mut(width).zip(normed.chunks_exact(width));
        for (x, normed) in tokens.take(asking) {
            block.query.run::<FMA>(normed, query);
            query.iter_mut().for_each(|q| *q *= scale);
            let heads = query.chunks_exact(wide).zip(mixed.chunks_exact_mut(wide));
            for (head, (query, mixed)) in heads.enumerate() {
                let at = head * wide;
                let keys = &turned[at * room..(at + wide) * room];
                mix::<FMA>((query, 1), (keys, room), wide, shares);
                softmax::<FMA>(&mut shares[..count]);
                let values = (&key_value[width + at..], 2 * width);
                mix::<FMA>((shares, 1), values, count, mixed);
            }
            block.out.run::<FMA>(mixed, added);
            add(x, added, 1.0);
            norm::<FMA>(&block.hidden_norm, x, mixed);
            block.gate.run::<FMA>(mixed, gate);
            let (through, gates) = gate.split_at_mut(self.shape.hidden);
            through
                .iter_mut()
                .zip(gates)
                .for_each(|(a, b)| *a *= b.max(0.0));
            block.down.run::<FMA>(through, added);
            add(x, added, 1.0);
        }
    }
}

#[cfg(test)]
#[path = "transformer_test.rs"]
mod tests;
