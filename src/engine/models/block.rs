//! A transformer block: its sizes, where its weights lie, and how they begin.

use super::WeightKind;
use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Widths are multiples of this, so that rows fill vector registers.
pub const WIDTH_STEP: usize = 8;
/// The widest token and the widest feed-forward layer; sizes made of them cannot overflow.
const WIDEST: usize = 1 << 12;

/// A transformer block: multi-head self-attention (Vaswani et al. 2017) and a feed-forward layer with a ReGLU (Shazeer 2020, "GLU
/// variants improve transformer"), each taking a layer norm of what comes in and adding to it (pre-norm, Xiong et al. 2020).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Of a token; a multiple of [`WIDTH_STEP`] and of `heads`.
    pub width: usize,
    pub heads: usize,
    /// Of the feed-forward layer; a multiple of [`WIDTH_STEP`].
    pub hidden: usize,
    /// Whether attention takes a layer norm of what comes in; the feed-forward layer always does.
    pub norm: bool,
}

/// A matrix `[inputs][outputs]`, row-major, and its bias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linear {
    pub weights: Range<usize>,
    pub bias: Range<usize>,
}

/// Where the weights of a block lie, counted from its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockParts {
    /// Gain, then shift, of the norm before attention; empty without one.
    pub norm: Range<usize>,
    /// `[width][width]`.
    pub query: Linear,
    /// `[width][2 width]`: keys, then values.
    pub key_value: Linear,
    /// `[width][width]`.
    pub out: Linear,
    /// Gain, then shift, of the norm before the feed-forward layer.
    pub hidden_norm: Range<usize>,
    /// `[width][2 hidden]`: what is let through, then the gates.
    pub gate: Linear,
    /// `[hidden][width]`.
    pub down: Linear,
    pub len: usize,
}

impl Block {
    /// Whether the sizes fit each other; a block from bytes must be asked.
    pub fn is_sound(&self) -> bool {
        let fits = |n: usize| n > 0 && n <= WIDEST && n.is_multiple_of(WIDTH_STEP);
        fits(self.width)
            && fits(self.hidden)
            && self.heads > 0
            && self.width.is_multiple_of(self.heads)
    }

    pub fn parts(&self) -> BlockParts {
        let (width, hidden) = (self.width, self.hidden);
        let mut len = 0;
        let mut take = |count: usize| {
            len += count;
            len - count..len
        };
        let norm = take(if self.norm { 2 * width } else { 0 });
        let mut linear = |inputs: usize, outputs: usize| Linear {
            weights: take(inputs * outputs),
            bias: take(outputs),
        };
        let query = linear(width, width);
        let key_value = linear(width, 2 * width);
        let out = linear(width, width);
        let gate = linear(width, 2 * hidden);
        let down = linear(hidden, width);
        let hidden_norm = take(2 * width);
        BlockParts {
            norm,
            query,
            key_value,
            out,
            hidden_norm,
            gate,
            down,
            len,
        }
    }

    /// Weights to begin with: uniform within 1 / √inputs; biases of attention are zero, norms change nothing.
    pub fn init(&self, random: &mut Random) -> Vec<f32> {
        let parts = self.parts();
        let mut weights = vec![0.0; parts.len];
        for norm in [&parts.norm, &parts.hidden_norm] {
            weights[norm.start..norm.start + norm.len() / 2].fill(1.0);
        }
        for linear in [&parts.query, &parts.key_value, &parts.out] {
            uniform(&mut weights[linear.weights.clone()], self.width, random);
        }
        for (linear, inputs) in [(&parts.gate, self.width), (&parts.down, self.hidden)] {
            uniform(&mut weights[linear.weights.clone()], inputs, random);
            uniform(&mut weights[linear.bias.clone()], inputs, random);
        }
        weights
    }
}

impl BlockParts {
    /// The matrices, whose weights may be penalised.
    pub fn matrices(&self) -> [&Range<usize>; 5] {
        let all = [
            &self.query,
            &self.key_value,
            &self.out,
            &self.gate,
            &self.down,
        ];
        all.map(|linear| &linear.weights)
    }

    /// The kind of each weight.
    pub fn kinds(&self) -> Vec<WeightKind> {
        let mut kinds = vec![WeightKind::Bias; self.len];
        for norm in [&self.norm, &self.hidden_norm] {
            kinds[norm.start..norm.start + norm.len() / 2].fill(WeightKind::Scale);
        }
        for matrix in self.matrices() {
            kinds[matrix.clone()].fill(WeightKind::Weight);
        }
        kinds
    }
}

/// Uniform within 1 / √inputs.
pub(super) fn uniform(weights: &mut [f32], inputs: usize, random: &mut Random) {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    for w in weights {
        *w = (bound * (2.0 * random.uniform() - 1.0)) as f32;
    }
}
