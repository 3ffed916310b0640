//! From noise and a condition to a row: layers beside their inputs, each normalised over the batch.

use crate::random::Random;
use crate::synth::layers::{Adam, Gradient, Linear, Norm, Normed, multiply};
use crate::synth::layout::Layout;
use crate::synth::train::Params;
use crate::train::vector::View;
use serde::{Deserialize, Serialize};

/// From noise and a condition to a row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::synth) struct Generator {
    pub(in crate::synth) noise: usize,
    /// Each adds its outputs to its inputs, side by side.
    pub(in crate::synth) blocks: Vec<(Linear, Norm)>,
    pub(in crate::synth) last: Linear,
}

/// What a generator computed on the way.
#[derive(Default)]
pub(super) struct Pass {
    /// The inputs of each block and of the last layer.
    inputs: Vec<Vec<f32>>,
    /// The sums after normalisation, of which the positive count.
    sums: Vec<Vec<f32>>,
    normed: Vec<Normed>,
    pub(super) logits: Vec<f32>,
}

/// How a generator normalises.
pub(super) enum Mode {
    Train,
    Settle,
}

impl Generator {
    pub(super) fn new(params: &Params, layout: &Layout, random: &mut Random) -> Generator {
        let mut width = params.noise + layout.conditions;
        let mut blocks = Vec::new();
        for &own in &params.generator {
            blocks.push((Linear::new(width, own, random), Norm::new(own)));
            width += own;
        }
        Generator {
            noise: params.noise,
            blocks,
            last: Linear::new(width, layout.width, random),
        }
    }

    /// `input` is `[rows][noise + conditions]`.
    pub(super) fn forward(&mut self, input: &[f32], rows: usize, mode: Mode, pass: &mut Pass) {
        pass.inputs.resize_with(self.blocks.len() + 1, Vec::new);
        pass.sums.resize_with(self.blocks.len(), Vec::new);
        pass.normed.resize_with(self.blocks.len(), Normed::default);
        pass.inputs[0].clear();
        pass.inputs[0].extend_from_slice(input);
        for (at, (linear, norm)) in self.blocks.iter_mut().enumerate() {
            let sums = &mut pass.sums[at];
            linear.forward(&pass.inputs[at], rows, sums);
            match mode {
                Mode::Train => norm.train(sums, &mut pass.normed[at]),
                Mode::Settle => {
                    norm.settle(sums);
                    norm.answer(sums);
                }
            }
            let (before, after) = pass.inputs.split_at_mut(at + 1);
            beside(sums, &before[at], rows, &mut after[0]);
        }
        self.last
            .forward(&pass.inputs[self.blocks.len()], rows, &mut pass.logits);
    }

    /// Logits of rows by the settled moments.
    pub(in crate::synth) fn answer(&self, input: &[f32], rows: usize, logits: &mut Vec<f32>) {
        let (mut own, mut sums, mut next) = (input.to_vec(), Vec::new(), Vec::new());
        for (linear, norm) in &self.blocks {
            linear.answer(&own, rows, &mut sums);
            norm.answer(&mut sums);
            beside(&sums, &own, rows, &mut next);
            std::mem::swap(&mut own, &mut next);
        }
        self.last.answer(&own, rows, logits);
    }

    /// The gradients of all weights for the logits' gradient.
    pub(super) fn back(
        &self,
        pass: &Pass,
        logits: &[f32],
        rows: usize,
        out: &mut GeneratorGradient,
    ) {
        let count = self.blocks.len();
        self.last
            .gradient(&pass.inputs[count], logits, rows, &mut out.last);
        let mut all = Vec::new();
        self.last.back(logits, rows, &mut all);
        let (mut own, mut rest) = (Vec::new(), Vec::new());
        for (at, (linear, norm)) in self.blocks.iter().enumerate().rev() {
            let (width, inputs) = (linear.outputs, linear.inputs);
            own.clear();
            rest.clear();
            for (row, sums) in all
                .chunks_exact(width + inputs)
                .zip(pass.sums[at].chunks_exact(width))
            {
                let slope = |(d, s): (&f32, &f32)| if *s > 0.0 { *d } else { 0.0 };
                own.extend(row[..width].iter().zip(sums).map(slope));
                rest.extend_from_slice(&row[width..]);
            }
            norm.back(&mut own, &pass.normed[at], &mut out.blocks[at].1);
            linear.gradient(&pass.inputs[at], &own, rows, &mut out.blocks[at].0);
            if at > 0 {
                all.resize(rows * inputs, 0.0);
                multiply(
                    &mut all,
                    View::new(&own, rows, width),
                    linear.matrix().transposed(),
                    false,
                );
                all.iter_mut().zip(&rest).for_each(|(a, r)| *a += r);
            }
        }
    }

    /// Moves all weights towards those of another, by a share of the way.
    pub(super) fn approach(&mut self, other: &Generator, share: f32) {
        let to = |own: &mut [f32], other: &[f32]| {
            let both = own.iter_mut().zip(other);
            both.for_each(|(own, other)| *own += share * (other - *own));
        };
        for ((linear, norm), (l, n)) in self.blocks.iter_mut().zip(&other.blocks) {
            to(&mut linear.weights, &l.weights);
            to(&mut linear.bias, &l.bias);
            to(&mut norm.scale, &n.scale);
            to(&mut norm.shift, &n.shift);
        }
        to(&mut self.last.weights, &other.last.weights);
        to(&mut self.last.bias, &other.last.bias);
    }

    pub(super) fn zero(&self) -> GeneratorGradient {
        GeneratorGradient {
            blocks: self
                .blocks
                .iter()
                .map(|(l, n)| (l.zero(), n.zero()))
                .collect(),
            last: self.last.zero(),
        }
    }

    pub(super) fn step(&mut self, gradient: &mut GeneratorGradient, adam: &mut Adam) {
        let mut groups: Vec<(&mut [f32], &[f32])> = Vec::new();
        for ((linear, norm), (dl, dn)) in self.blocks.iter_mut().zip(&gradient.blocks) {
            groups.push((&mut linear.weights, &dl.weights));
            groups.push((&mut linear.bias, &dl.bias));
            groups.push((&mut norm.scale, &dn.weights));
            groups.push((&mut norm.shift, &dn.bias));
        }
        groups.push((&mut self.last.weights, &gradient.last.weights));
        groups.push((&mut self.last.bias, &gradient.last.bias));
        adam.step(&mut groups);
        drop(groups);
        gradient.blocks.iter_mut().for_each(|(l, n)| {
            l.clear();
            n.clear();
        });
        gradient.last.clear();
    }
}

pub(super) struct GeneratorGradient {
    pub(super) blocks: Vec<(Gradient, Gradient)>,
    pub(super) last: Gradient,
}

/// ReLU of `sums` and `inputs` side by side.
fn beside(sums: &[f32], inputs: &[f32], rows: usize, out: &mut Vec<f32>) {
    let (width, rest) = (sums.len() / rows, inputs.len() / rows);
    out.clear();
    out.reserve(rows * (width + rest));
    for (sums, inputs) in sums.chunks_exact(width).zip(inputs.chunks_exact(rest)) {
        out.extend(sums.iter().map(|s| s.max(0.0)));
        out.extend_from_slice(inputs);
    }
}
