//! A network prepared for speed, and its forward pass for one row.

use super::{
    activation::activate,
    kernel::{LANES, blocked, dense, dot},
};
use crate::models::{Activation, Encoding, Network};

/// Embeddings are multiplied with their part of the first layer once, ahead of time, while all such tables together
/// stay below this many bytes; the others are multiplied for each row.
const FOLDED_BYTES: usize = 4 << 20;

/// Inputs beyond this (in standard deviations) are cut off, so that no infinity arises and no NaN from it.
const LARGEST_INPUT: f32 = 1e12;

/// Layers with fewer outputs than this are computed output by output.
const FEW_OUTPUTS: usize = LANES;

/// How one category enters the first layer.
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

/// One layer after the first.
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
pub(super) struct Forward {
    level: Level,
    activation: Activation,
    numbers: usize,
    categories: Vec<Category>,
    /// Of the dense inputs: the numbers, then the vectors of the categories that are not folded.
    first: Vec<f32>,
    /// Padded.
    first_bias: Vec<f32>,
    first_inputs: usize,
    layers: Vec<Layer>,
    outputs: usize,
    /// The widest input or output of any layer.
    widest: usize,
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
        let first = &network.layers[0];
        let stride = padded(first.outputs);
        let row = |i: usize| &first.weights[i * first.outputs..(i + 1) * first.outputs];
        // Where each category's block begins: the one-hot blocks come before the embeddings.
        let mut one_hot = inputs.numbers;
        let mut embedded = inputs.numbers;
        for c in &inputs.categories {
            if let Encoding::OneHot = c.encoding {
                embedded += c.levels;
            }
        }
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
        let layers: Vec<Layer> = network.layers[1..]
            .iter()
            .map(|l| {
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
            })
            .collect();
        let widest = network.layers.iter().map(|l| l.outputs).max();
        Forward {
            level,
            activation: network.activation,
            numbers: inputs.numbers,
            categories,
            first: blocked(&kept, first_inputs, first.outputs, stride),
            first_bias: pad(&first.bias, stride),
            first_inputs,
            layers,
            outputs: network.layers.last().map_or(0, |l| l.outputs),
            widest: padded(widest.unwrap_or(0).max(first_inputs)),
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let categories = self.categories.iter().map(|c| match c {
            Category::Rows { rows, .. } => rows.len(),
            Category::Vectors { vectors, .. } => vectors.len(),
        });
        let layers = self.layers.iter().map(|l| match l {
            Layer::Wide { weights, bias } | Layer::Few { weights, bias } => {
                weights.len() + bias.len()
            }
        });
        let floats: usize = categories.chain(layers).sum();
        (floats + self.first.len() + self.first_bias.len()) * size_of::<f32>()
    }

    /// Two buffers for [`Forward::run`].
    pub(super) fn buffers(&self) -> [Vec<f32>; 2] {
        [vec![0.0; self.widest], vec![0.0; self.widest]]
    }

    /// The output layer's sums for one row: `numbers` dense values and one code per category. Codes beyond a
    /// category's levels count as 0. Buffers of another size are replaced; otherwise nothing is allocated.
    pub(super) fn run<'b>(
        &self,
        numbers: &[f32],
        codes: &[u32],
        buffers: &'b mut [Vec<f32>; 2],
    ) -> &'b [f32] {
        if buffers.iter().any(|b| b.len() != self.widest) {
            *buffers = self.buffers();
        }
        let [a, b] = buffers;
        let in_b = match self.level {
            Level::Plain => self.pass::<false>(numbers, codes, a, b),
            // SAFETY: `detect` found these instructions on this machine.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { self.pass_avx2(numbers, codes, a, b) },
        };
        &(if in_b { b } else { a })[..self.outputs]
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn pass_avx2(&self, numbers: &[f32], codes: &[u32], a: &mut [f32], b: &mut [f32]) -> bool {
        self.pass::<true>(numbers, codes, a, b)
    }

    /// Leaves the outputs in one of the two buffers, each `widest` long; answers whether it is `b`.
    #[inline(always)]
    fn pass<const FMA: bool>(
        &self,
        numbers: &[f32],
        codes: &[u32],
        a: &mut [f32],
        b: &mut [f32],
    ) -> bool {
        for (x, &v) in a.iter_mut().zip(&numbers[..self.numbers]) {
            let v = if v > LARGEST_INPUT { LARGEST_INPUT } else { v };
            let v = if v < -LARGEST_INPUT {
                -LARGEST_INPUT
            } else {
                v
            };
            *x = if v.is_nan() { 0.0 } else { v };
        }
        let mut at = self.numbers;
        for (category, &code) in self.categories.iter().zip(codes) {
            if let Category::Vectors {
                levels,
                dim,
                vectors,
            } = category
            {
                let code = if code > *levels { 0 } else { code as usize };
                a[at..at + dim].copy_from_slice(&vectors[code * dim..(code + 1) * dim]);
                at += dim;
            }
        }
        let stride = self.first_bias.len();
        dense::<FMA>(
            &a[..self.first_inputs],
            &self.first,
            |at, sums| {
                sums.copy_from_slice(&self.first_bias[at..at + sums.len()]);
                for (category, &code) in self.categories.iter().zip(codes) {
                    if let Category::Rows { levels, rows } = category {
                        let code = if code > *levels { 0 } else { code as usize };
                        let row = &rows[code * stride + at..][..sums.len()];
                        for (sum, &w) in sums.iter_mut().zip(row) {
                            *sum += w;
                        }
                    }
                }
            },
            &mut b[..stride],
        );
        let (mut from, mut to, mut wide) = (b, a, stride);
        let mut in_b = true;
        for layer in &self.layers {
            activate::<FMA>(self.activation, &mut from[..wide]);
            match layer {
                Layer::Wide { weights, bias } => {
                    let inputs = weights.len() / bias.len();
                    dense::<FMA>(
                        &from[..inputs],
                        weights,
                        |at, sums| sums.copy_from_slice(&bias[at..at + sums.len()]),
                        &mut to[..bias.len()],
                    );
                    wide = bias.len();
                }
                Layer::Few { weights, bias } => {
                    for ((out, row), bias) in
                        to.iter_mut().zip(weights.chunks_exact(wide)).zip(bias)
                    {
                        *out = bias + dot::<FMA>(&from[..wide], row);
                    }
                    // The padding reads what an earlier layer left unless it is cleared.
                    wide = padded(bias.len());
                    to[bias.len()..wide].fill(0.0);
                }
            }
            std::mem::swap(&mut from, &mut to);
            in_b = !in_b;
        }
        in_b
    }
}

#[cfg(test)]
#[path = "forward_test.rs"]
mod tests;

#[cfg(test)]
#[path = "burn_test.rs"]
mod burn_tests;
