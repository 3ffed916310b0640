//! A network prepared for speed, and its forward pass for one row.

use super::{
    activation::activate,
    kernel::{LANES, blocked, dense, dot},
};
use crate::models::{Activation, Dense, Encoding, Network, NumberEmbedding};
use crate::recipe::{Features, Matrix};

/// Embeddings are multiplied with their part of the first layer once, ahead of time, while all such tables together
/// stay below this many bytes; the others are multiplied for each row.
const FOLDED_BYTES: usize = 4 << 20;

/// Inputs beyond this (in standard deviations) are cut off, so that no infinity arises and no NaN from it.
const LARGEST_INPUT: f32 = 1e12;

/// A number that may enter a model; NaN is 0.
#[inline(always)]
pub(super) fn bounded(v: f32) -> f32 {
    let v = if v > LARGEST_INPUT { LARGEST_INPUT } else { v };
    let v = if v < -LARGEST_INPUT {
        -LARGEST_INPUT
    } else {
        v
    };
    if v.is_nan() { 0.0 } else { v }
}

/// Layers with fewer outputs than this are computed output by output.
const FEW_OUTPUTS: usize = LANES;

/// How one category enters the first layer.
#[derive(Clone)]
enum Category {
    /// What each code adds to the sums: `[levels + 1][stride]`.
    Rows { levels: u32, rows: Vec<f32> },
    /// A vector per code, `[levels + 1][dim]`, that joins the dense inputs.
    Vectors {
        levels: u32,
        dim: usize,
        vectors: Vec<f32>,
    },
}

/// A bag of tokens: `[vocabulary][dim]`.
#[derive(Clone)]
struct Bag {
    dim: usize,
    vectors: Vec<f32>,
}

/// What one row brings: dense values, a code per category, and the tokens of its bags.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(super) numbers: &'a [f32],
    pub(super) codes: &'a [u32],
    pub(super) tokens: &'a [u32],
    /// Where each bag ends in `tokens`, counted from `tokens_before`.
    pub(super) token_ends: &'a [usize],
    pub(super) tokens_before: usize,
}

impl<'a> Row<'a> {
    /// A row prepared by itself.
    pub(crate) fn single(features: &'a Features) -> Row<'a> {
        Row {
            numbers: &features.numbers,
            codes: &features.codes,
            tokens: &features.tokens,
            token_ends: &features.token_ends,
            tokens_before: 0,
        }
    }

    /// A row of a matrix.
    pub(crate) fn of(matrix: &'a Matrix, row: usize) -> Row<'a> {
        let inputs = &matrix.inputs;
        let (numbers, codes, bags) = (inputs.numbers, inputs.categories.len(), inputs.bags.len());
        let before = match row * bags {
            0 => 0,
            at => matrix.token_ends[at - 1],
        };
        Row {
            numbers: &matrix.numbers[row * numbers..(row + 1) * numbers],
            codes: &matrix.codes[row * codes..(row + 1) * codes],
            tokens: &matrix.tokens[before..],
            token_ends: &matrix.token_ends[row * bags..(row + 1) * bags],
            tokens_before: before,
        }
    }
}

/// One layer after the first.
#[derive(Clone)]
enum Layer {
    /// Blocked weights; see [`dense`].
    Wide { weights: Vec<f32>, bias: Vec<f32> },
    /// Weights `[outputs][padded inputs]`.
    Few { weights: Vec<f32>, bias: Vec<f32> },
}

/// Which vector instructions this machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// The best there is.
    pub(super) fn detect() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            // AVX-512 was measured as well: it gained nothing at these sizes.
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Level::Avx2;
            }
        }
        Level::Plain
    }
}

/// The prepared form of a [`Network`] whose shapes have been checked.
#[derive(Clone)]
pub(super) struct Forward {
    level: Level,
    activation: Activation,
    numbers: usize,
    categories: Vec<Category>,
    bags: Vec<Bag>,
    number_embeddings: Vec<(NumberEmbedding, Vec<f32>)>,
    /// Of the dense inputs: the numbers, the vectors of the categories that are not folded, the bags, the number embeddings.
    first: Vec<f32>,
    /// Padded.
    first_bias: Vec<f32>,
    first_inputs: usize,
    members: usize,
    /// Padded outputs of the first layer of one member.
    first_units: usize,
    /// The shared layers after the first, which every member goes through.
    layers: Vec<Layer>,
    /// The output layer of each member; none where the first layer is the output layer.
    heads: Vec<Layer>,
    outputs: usize,
    /// The widest input or output of any layer of one member, and of the first of all members.
    widest: usize,
}

/// The first layer of all members side by side: each member's outputs padded, its factors multiplied into the weights.
fn first_layer(network: &Network) -> Dense {
    let first = network.layers.first().unwrap_or(&network.heads[0]);
    if network.members == 1 {
        return first.clone();
    }
    let (units, members) = (padded(first.outputs), network.members);
    let outputs = units * members;
    let mut weights = vec![0.0; first.inputs * outputs];
    let mut bias = vec![0.0; outputs];
    for m in 0..members {
        bias[m * units..][..first.outputs].copy_from_slice(&first.bias);
        for i in 0..first.inputs {
            let factor = network.factors[m * first.inputs + i];
            let row = &first.weights[i * first.outputs..(i + 1) * first.outputs];
            let out = &mut weights[i * outputs + m * units..];
            out.iter_mut()
                .zip(row)
                .for_each(|(out, w)| *out = factor * w);
        }
    }
    Dense {
        inputs: first.inputs,
        outputs,
        weights,
        bias,
    }
}

impl Layer {
    fn of(l: &Dense) -> Layer {
        if l.outputs < FEW_OUTPUTS {
            let wide = padded(l.inputs);
            let mut weights = vec![0.0; l.outputs * wide];
            for (i, row) in l.weights.chunks_exact(l.outputs).enumerate() {
                for (o, &w) in row.iter().enumerate() {
                    weights[o * wide + i] = w;
                }
            }
            Layer::Few {
                weights,
                bias: l.bias.clone(),
            }
        } else {
            let wide = padded(l.outputs);
            Layer::Wide {
                weights: blocked(&l.weights, l.inputs, l.outputs, wide),
                bias: pad(&l.bias, wide),
            }
        }
    }

    /// Outputs, padded.
    fn width(&self) -> usize {
        match self {
            Layer::Wide { bias, .. } | Layer::Few { bias, .. } => padded(bias.len()),
        }
    }

    fn floats(&self) -> usize {
        match self {
            Layer::Wide { weights, bias } | Layer::Few { weights, bias } => {
                weights.len() + bias.len()
            }
        }
    }

    /// `from` is the padded input; the padded output goes to `to`.
    #[inline(always)]
    fn run<const FMA: bool>(&self, from: &[f32], to: &mut [f32]) {
        match self {
            Layer::Wide { weights, bias } => {
                let inputs = weights.len() / bias.len();
                dense::<FMA>(
                    &from[..inputs],
                    weights,
                    |at, sums| sums.copy_from_slice(&bias[at..at + sums.len()]),
                    to,
                );
            }
            Layer::Few { weights, bias } => {
                let rows = weights.chunks_exact(from.len());
                for ((out, row), bias) in to.iter_mut().zip(rows).zip(bias) {
                    *out = bias + dot::<FMA>(from, row);
                }
                // The padding reads what an earlier layer left unless it is cleared.
                to[bias.len()..].fill(0.0);
            }
        }
    }
}

fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

fn pad(values: &[f32], to: usize) -> Vec<f32> {
    let mut out = values.to_vec();
    out.resize(to, 0.0);
    out
}

impl Forward {
    /// Prepares a network; its shapes must have been checked.
    pub(super) fn new(network: &Network, level: Level) -> Forward {
        Self::with_budget(network, level, FOLDED_BYTES)
    }

    fn with_budget(network: &Network, level: Level, mut budget: usize) -> Forward {
        let inputs = &network.inputs;
        let first = &first_layer(network);
        let stride = padded(first.outputs);
        let row = |i: usize| &first.weights[i * first.outputs..(i + 1) * first.outputs];
        // Where each category's block begins: the one-hot blocks come before the embeddings.
        let mut one_hot = inputs.numbers;
        let mut embedded = inputs.numbers + inputs.one_hot();
        let mut tables = network.embeddings.iter();
        let mut kept: Vec<f32> = first.weights[..inputs.numbers * first.outputs].to_vec();
        let mut first_inputs = inputs.numbers;
        let mut categories = Vec::with_capacity(inputs.categories.len());
        for c in &inputs.categories {
            let levels = c.levels as u32;
            match (c.encoding, tables.as_slice()) {
                (Encoding::OneHot, _) => {
                    let mut rows = vec![0.0; (c.levels + 1) * stride];
                    for (code, out) in rows.chunks_exact_mut(stride).enumerate().skip(1) {
                        out[..first.outputs].copy_from_slice(row(one_hot + code - 1));
                    }
                    one_hot += c.levels;
                    categories.push(Category::Rows { levels, rows });
                }
                (Encoding::Embedding { dim }, [vectors, ..]) => {
                    tables.next();
                    let bytes = (c.levels + 1) * stride * size_of::<f32>();
                    if dim > 0 && bytes <= budget {
                        budget -= bytes;
                        let block = (0..dim).map(|d| row(embedded + d));
                        let mut rows = Vec::with_capacity((c.levels + 1) * stride);
                        let mut sums = vec![0.0f64; stride];
                        for vector in vectors.chunks_exact(dim) {
                            sums.fill(0.0);
                            for (&v, weights) in vector.iter().zip(block.clone()) {
                                for (sum, &w) in sums.iter_mut().zip(weights) {
                                    *sum += f64::from(v) * f64::from(w);
                                }
                            }
                            rows.extend(sums.iter().map(|&s| s as f32));
                        }
                        categories.push(Category::Rows { levels, rows });
                    } else {
                        let block = embedded * first.outputs..(embedded + dim) * first.outputs;
                        kept.extend_from_slice(&first.weights[block]);
                        first_inputs += dim;
                        categories.push(Category::Vectors {
                            levels,
                            dim,
                            vectors: vectors.clone(),
                        });
                    }
                    embedded += dim;
                }
                // Checked shapes have a table for each embedding.
                (Encoding::Embedding { .. }, []) => {}
            }
        }
        // The rest of the inputs, bags and number embeddings, lies in the order in which it is multiplied.
        kept.extend_from_slice(&first.weights[embedded * first.outputs..]);
        first_inputs += first.inputs - embedded;
        let bags = network.bags.iter().zip(&inputs.bags);
        let bags = bags.map(|(vectors, bag)| Bag {
            dim: bag.dim,
            vectors: vectors.clone(),
        });
        let numbers = network.number_embeddings.iter();
        let later = network.layers.iter().skip(1);
        let heads = match network.layers.is_empty() {
            true => &[],
            false => &network.heads[..],
        };
        let layers: Vec<Layer> = later.map(Layer::of).collect();
        let heads: Vec<Layer> = heads.iter().map(Layer::of).collect();
        let widths = layers.iter().chain(&heads).map(Layer::width);
        let widest = widths
            .max()
            .unwrap_or(0)
            .max(stride)
            .max(padded(first_inputs));
        Forward {
            level,
            activation: network.activation,
            numbers: inputs.numbers,
            categories,
            bags: bags.collect(),
            number_embeddings: numbers.map(|e| (e.clone(), e.curve(&e.weights))).collect(),
            first: blocked(&kept, first_inputs, first.outputs, stride),
            first_bias: pad(&first.bias, stride),
            first_inputs,
            members: network.members,
            first_units: stride / network.members.max(1),
            layers,
            heads,
            outputs: network.outputs(),
            widest: widest.max(network.members * network.outputs()),
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let categories = self.categories.iter().map(|c| match c {
            Category::Rows { rows, .. } => rows.len(),
            Category::Vectors { vectors, .. } => vectors.len(),
        });
        let layers = self.layers.iter().chain(&self.heads).map(Layer::floats);
        let bags = self.bags.iter().map(|b| b.vectors.len());
        let curves = self.number_embeddings.iter();
        let curves = curves.map(|(e, curve)| e.weights.len() + curve.len());
        let floats: usize = categories.chain(layers).chain(bags).chain(curves).sum();
        (floats + self.first.len() + self.first_bias.len()) * size_of::<f32>()
    }

    /// The length that buffers need.
    pub(super) fn widest(&self) -> usize {
        self.widest
    }

    /// The members' sums for one row, `[members][outputs]`. Codes beyond a category's levels count as 0 and tokens
    /// beyond a vocabulary not at all. Buffers that are too short grow; otherwise nothing is allocated.
    pub(super) fn run<'b>(&self, row: Row<'_>, buffers: &'b mut Buffers) -> &'b [f32] {
        for buffer in buffers.iter_mut().filter(|b| b.len() < self.widest) {
            buffer.resize(self.widest, 0.0);
        }
        match self.level {
            Level::Plain => self.pass::<false>(row, buffers),
            // SAFETY: `detect` found these instructions on this machine.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { self.pass_avx2(row, buffers) },
        };
        &buffers[3][..self.members * self.outputs]
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn pass_avx2(&self, row: Row<'_>, buffers: &mut Buffers) {
        self.pass::<true>(row, buffers);
    }

    /// Writes the dense inputs of the first layer into `x`.
    #[inline(always)]
    fn dense_inputs(&self, row: Row<'_>, x: &mut [f32]) {
        for (x, &v) in x.iter_mut().zip(&row.numbers[..self.numbers]) {
            *x = bounded(v);
        }
        let mut at = self.numbers;
        for (category, &code) in self.categories.iter().zip(row.codes) {
            if let Category::Vectors {
                levels,
                dim,
                vectors,
            } = category
            {
                let code = if code > *levels { 0 } else { code as usize };
                x[at..at + dim].copy_from_slice(&vectors[code * dim..(code + 1) * dim]);
                at += dim;
            }
        }
        let mut start = row.tokens_before;
        for (bag, &end) in self.bags.iter().zip(row.token_ends) {
            let tokens = &row.tokens[start - row.tokens_before..end - row.tokens_before];
            start = end;
            let out = &mut x[at..at + bag.dim];
            at += bag.dim;
            out.fill(0.0);
            let share = 1.0 / tokens.len().max(1) as f32;
            for &token in tokens {
                let vector = bag.vectors.chunks_exact(bag.dim).nth(token as usize);
                for (out, v) in out.iter_mut().zip(vector.unwrap_or_default()) {
                    *out += share * v;
                }
            }
        }
        for (embedding, curve) in &self.number_embeddings {
            let (given, out) = x.split_at_mut(at);
            embedding.value(curve, given[embedding.input], &mut out[..embedding.dim]);
            at += embedding.dim;
        }
    }

    /// Leaves the sums in the last buffer.
    #[inline(always)]
    fn pass<const FMA: bool>(&self, row: Row<'_>, buffers: &mut Buffers) {
        let [x, first, spare, sums] = buffers;
        self.dense_inputs(row, x);
        let stride = self.first_bias.len();
        dense::<FMA>(
            &x[..self.first_inputs],
            &self.first,
            |at, sums| {
                sums.copy_from_slice(&self.first_bias[at..at + sums.len()]);
                for (category, &code) in self.categories.iter().zip(row.codes) {
                    if let Category::Rows { levels, rows } = category {
                        let code = if code > *levels { 0 } else { code as usize };
                        let row = &rows[code * stride + at..][..sums.len()];
                        for (sum, &w) in sums.iter_mut().zip(row) {
                            *sum += w;
                        }
                    }
                }
            },
            &mut first[..stride],
        );
        if self.heads.is_empty() {
            sums[..self.outputs].copy_from_slice(&first[..self.outputs]);
            return;
        }
        activate::<FMA>(self.activation, &mut first[..stride]);
        for (m, head) in self.heads.iter().enumerate() {
            // `x` is done with: it and the spare take turns.
            let (mut from, mut to) = (&mut *x, &mut *spare);
            let mut units = self.first_units;
            from[..units].copy_from_slice(&first[m * units..(m + 1) * units]);
            for layer in self.layers.iter() {
                let width = layer.width();
                layer.run::<FMA>(&from[..units], &mut to[..width]);
                activate::<FMA>(self.activation, &mut to[..width]);
                units = width;
                std::mem::swap(&mut from, &mut to);
            }
            head.run::<FMA>(&from[..units], &mut to[..head.width()]);
            sums[m * self.outputs..(m + 1) * self.outputs].copy_from_slice(&to[..self.outputs]);
        }
    }
}

/// Scratch space of [`Forward::run`].
pub(super) type Buffers = [Vec<f32>; 4];

#[cfg(test)]
#[path = "forward_test.rs"]
mod tests;

#[cfg(test)]
#[path = "burn_test.rs"]
mod burn_tests;
