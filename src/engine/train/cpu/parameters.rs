//! The weights of a network in one row of numbers, and the optimisers that change them.

use super::vector::vectorised;
use crate::models::{Network, WeightKind};
use crate::params::{Optimizer, RateFactors, ValidParams};
use rayon::prelude::*;
use std::ops::Range;

/// The gradient of all dense weights together is shortened to this norm: one odd batch must not throw the weights away.
pub(in crate::train) const GRADIENT_NORM: f64 = 5.0;
/// Weights that one thread takes at a time.
const PIECE: usize = 16_384;
/// How much of the first and of the second moment stays.
pub(in crate::train) const BETA: (f32, f32) = (0.9, 0.999);
pub(in crate::train) const EPSILON: f32 = 1e-8;

/// Where each part of a network lies among its dense weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    pub(crate) number_embeddings: Vec<Range<usize>>,
    pub(crate) factors: Range<usize>,
    /// Weights and bias of each hidden layer.
    pub(crate) layers: Vec<(Range<usize>, Range<usize>)>,
    /// Weights and bias of each member's output layer.
    pub(super) heads: Vec<(Range<usize>, Range<usize>)>,
    pub(super) len: usize,
}

impl Layout {
    pub(crate) fn of(network: &Network) -> Layout {
        let mut layout = Layout::default();
        let mut take = |len: usize| {
            let range = layout.len..layout.len + len;
            layout.len += len;
            range
        };
        layout.number_embeddings = network
            .number_embeddings
            .iter()
            .map(|e| take(e.weights.len()))
            .collect();
        layout.factors = take(network.factors.len());
        let mut dense = |l: &crate::models::Dense| (take(l.weights.len()), take(l.bias.len()));
        layout.layers = network.layers.iter().map(&mut dense).collect();
        layout.heads = network.heads.iter().map(&mut dense).collect();
        layout
    }

    /// The kind of each weight.
    pub(super) fn kinds(&self) -> Vec<WeightKind> {
        let mut kinds = vec![WeightKind::NumberEmbedding; self.len];
        kinds[self.factors.clone()].fill(WeightKind::Scale);
        for (weights, bias) in self.layers.iter().chain(&self.heads) {
            kinds[weights.clone()].fill(WeightKind::Weight);
            kinds[bias.clone()].fill(WeightKind::Bias);
        }
        kinds
    }

    /// All dense weights of a network in this order.
    pub(crate) fn collect(&self, network: &Network) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.len);
        network
            .number_embeddings
            .iter()
            .for_each(|e| out.extend_from_slice(&e.weights));
        out.extend_from_slice(&network.factors);
        for layer in network.layers.iter().chain(&network.heads) {
            out.extend_from_slice(&layer.weights);
            out.extend_from_slice(&layer.bias);
        }
        out
    }

    /// The way back.
    pub(crate) fn spread(&self, weights: &[f32], network: &mut Network) {
        for (e, range) in network
            .number_embeddings
            .iter_mut()
            .zip(&self.number_embeddings)
        {
            e.weights.copy_from_slice(&weights[range.clone()]);
        }
        network
            .factors
            .copy_from_slice(&weights[self.factors.clone()]);
        let layers = network.layers.iter_mut().chain(&mut network.heads);
        for (layer, (w, b)) in layers.zip(self.layers.iter().chain(&self.heads)) {
            layer.weights.copy_from_slice(&weights[w.clone()]);
            layer.bias.copy_from_slice(&weights[b.clone()]);
        }
    }
}

/// How the weights follow the gradient.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    optimizer: Optimizer,
    momentum: f32,
    l1: f32,
    /// Σw² joins the loss with this factor (sgd and adam), or weights shrink by it (adamw).
    l2: f32,
    rates: RateFactors,
}

/// One step's factors.
#[derive(Clone, Copy)]
struct Pace {
    rule: Rule,
    rate: f32,
    /// 1 / (1 - β^t) of both moments (Kingma and Ba 2015).
    correction: (f32, f32),
    scale: f32,
}

impl Rule {
    pub(crate) fn new(params: &ValidParams) -> Rule {
        Rule {
            optimizer: params.optimizer,
            momentum: params.momentum as f32,
            l1: params.l1 as f32,
            l2: params.l2 as f32,
            rates: params.learning.learning_rate_factors,
        }
    }

    /// AdamW with this weight decay.
    pub(crate) fn adamw(l2: f64) -> Rule {
        Rule {
            optimizer: Optimizer::Adamw,
            momentum: 0.0,
            l1: 0.0,
            l2: l2 as f32,
            rates: RateFactors::default(),
        }
    }

    fn pace(self, rate: f64, step: u32, scale: f64) -> Pace {
        let rest = |beta: f32| (1.0 / (1.0 - f64::from(beta).powf(f64::from(step)))) as f32;
        Pace {
            rule: self,
            rate: rate as f32,
            correction: (rest(BETA.0), rest(BETA.1)),
            scale: scale as f32,
        }
    }
}

impl Pace {
    /// Moves weights by their gradient; the moments are the optimiser's memory.
    #[inline(always)]
    fn apply<const DECAY: bool>(self, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        let Rule {
            optimizer,
            momentum,
            l1,
            l2,
            ..
        } = self.rule;
        let (l1, l2) = if DECAY { (l1, l2) } else { (0.0, 0.0) };
        let decoupled = optimizer == Optimizer::Adamw;
        let (shrink, l2) = if decoupled {
            (l2, 0.0)
        } else {
            (0.0, 2.0 * l2)
        };
        let all = w.iter_mut().zip(g).zip(m.iter_mut().zip(v));
        if optimizer == Optimizer::Sgd {
            for ((w, g), (m, _)) in all {
                let g = g * self.scale + l1 * sign(*w) + l2 * *w;
                *m = momentum * *m + g;
                *w -= self.rate * *m;
            }
        } else {
            for ((w, g), (m, v)) in all {
                let g = g * self.scale + l1 * sign(*w) + l2 * *w;
                *m += (1.0 - BETA.0) * (g - *m);
                *v += (1.0 - BETA.1) * (g * g - *v);
                let step = *m * self.correction.0 / ((*v * self.correction.1).sqrt() + EPSILON);
                *w -= self.rate * (step + shrink * *w);
            }
        }
    }
}

#[inline(always)]
fn sign(w: f32) -> f32 {
    if w > 0.0 {
        1.0
    } else if w < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// The dense weights with the optimiser's memory.
pub(crate) struct Dense {
    pub(crate) weights: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    kinds: Vec<WeightKind>,
    /// Of the weights over the steps, where it is kept.
    average: Option<Vec<f32>>,
    rule: Rule,
    /// The gradient of all weights together is shortened to this norm.
    norm: f64,
    step: u32,
}

impl Dense {
    /// `kinds` has the kind of each weight.
    pub(crate) fn new(
        weights: Vec<f32>,
        kinds: Vec<WeightKind>,
        rule: Rule,
        averaged: bool,
    ) -> Dense {
        Dense {
            kinds,
            average: averaged.then(|| weights.clone()),
            first: vec![0.0; weights.len()],
            second: vec![0.0; weights.len()],
            weights,
            rule,
            norm: GRADIENT_NORM,
            step: 0,
        }
    }

    /// With another norm that a gradient has at most.
    pub(crate) fn clipped(self, norm: f64) -> Dense {
        Dense { norm, ..self }
    }

    /// The weights that would be kept: their average, where there is one.
    pub(crate) fn into_kept(self) -> Vec<f32> {
        self.average.unwrap_or(self.weights)
    }

    /// One step along the sum of `gradients`, which are cleared; `share` is that of the step in the average.
    pub(crate) fn step(&mut self, gradients: &mut [&mut Vec<f32>], rate: f64, share: f32) {
        self.step = self.step.saturating_add(1);
        let Some((sum, others)) = gradients.split_first_mut() else {
            return;
        };
        let others: Vec<&[f32]> = others.iter().map(|g| g.as_slice()).collect();
        let squares: Vec<f64> = sum
            .par_chunks_mut(PIECE)
            .enumerate()
            .map(|(i, sum)| {
                for other in &others {
                    let other = &other[i * PIECE..i * PIECE + sum.len()];
                    sum.iter_mut().zip(other).for_each(|(s, o)| *s += o);
                }
                sum.chunks(256)
                    .map(|c| f64::from(c.iter().map(|g| g * g).sum::<f32>()))
                    .sum()
            })
            .collect();
        let norm = squares.iter().sum::<f64>().sqrt();
        let scale = if norm > self.norm {
            self.norm / norm
        } else {
            1.0
        };
        let (rule, step) = (self.rule, self.step);
        self.weights
            .par_chunks_mut(PIECE)
            .zip(self.first.par_chunks_mut(PIECE))
            .zip(self.second.par_chunks_mut(PIECE))
            .zip(sum.par_chunks(PIECE).zip(self.kinds.par_chunks(PIECE)))
            .for_each(|(((w, m), v), (g, kinds))| {
                let mut at = 0;
                // Weights of one kind that lie together change together.
                for run in kinds.chunk_by(|a, b| a == b) {
                    let kind = run[0];
                    let pace = rule.pace(rate * rule.rates.of(kind), step, scale);
                    let range = at..at + run.len();
                    at += run.len();
                    let (w, g) = (&mut w[range.clone()], &g[range.clone()]);
                    let decayed = kind == WeightKind::Weight;
                    change(pace, decayed, w, g, &mut m[range.clone()], &mut v[range]);
                }
            });
        if let Some(average) = &mut self.average {
            let pieces = average.par_chunks_mut(PIECE);
            pieces
                .zip(self.weights.par_chunks(PIECE))
                .for_each(|(average, weights)| draw(average, weights, share));
        }
        gradients.par_iter_mut().for_each(|g| g.fill(0.0));
    }
}

fn change(pace: Pace, decayed: bool, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    let (w, m, v): (*mut [f32], *mut [f32], *mut [f32]) = (w, m, v);
    let work = || {
        // SAFETY: the closure runs once, so there is one user of each slice.
        let (w, m, v) = unsafe { (&mut *w, &mut *m, &mut *v) };
        if decayed {
            pace.apply::<true>(w, g, m, v);
        } else {
            pace.apply::<false>(w, g, m, v);
        }
    };
    vectorised(work, work);
}

/// Draws an average towards the weights.
fn draw(average: &mut [f32], weights: &[f32], share: f32) {
    for (average, w) in average.iter_mut().zip(weights) {
        *average += share * (w - *average);
    }
}

/// A table of vectors of which a step changes few: only those move, with a memory of their own (Adam "lazily").
pub(crate) struct Table {
    pub(crate) vectors: Vec<f32>,
    dim: usize,
    gradient: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    touched: Vec<u32>,
    is_touched: Vec<bool>,
    average: Option<LazyAverage>,
    rule: Rule,
    step: u32,
}

/// The average of vectors of which a step changes few: the others catch up when they are needed.
struct LazyAverage {
    vectors: Vec<f32>,
    /// Σ ln(1 - share) of the steps from the second on: what is left of a difference after them.
    now: f64,
    /// Of each vector, how far it has been caught up.
    at: Vec<f64>,
}

impl LazyAverage {
    /// Catches up with the steps to `until` (see `now`) in which a vector stayed as it is.
    fn catch_up(&mut self, code: usize, own: &[f32], until: f64) {
        let left = (until - self.at[code]).exp();
        let dim = own.len();
        let average = &mut self.vectors[code * dim..(code + 1) * dim];
        draw(average, own, (1.0 - left) as f32);
        self.at[code] = until;
    }
}

impl Table {
    pub(super) fn new(vectors: Vec<f32>, dim: usize, rule: Rule, averaged: bool) -> Table {
        let len = vectors.len();
        Table {
            average: averaged.then(|| LazyAverage {
                vectors: vectors.clone(),
                now: 0.0,
                at: vec![0.0; len / dim.max(1)],
            }),
            gradient: vec![0.0; len],
            first: vec![0.0; len],
            second: vec![0.0; len],
            touched: Vec::new(),
            is_touched: vec![false; len / dim.max(1)],
            vectors,
            dim,
            rule,
            step: 0,
        }
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn vector(&self, code: u32) -> &[f32] {
        &self.vectors[code as usize * self.dim..][..self.dim]
    }

    pub(crate) fn add(&mut self, code: u32, gradient: &[f32], factor: f32) {
        let at = code as usize;
        if !self.is_touched[at] {
            self.is_touched[at] = true;
            self.touched.push(code);
        }
        let own = &mut self.gradient[at * self.dim..(at + 1) * self.dim];
        for (own, g) in own.iter_mut().zip(gradient) {
            *own += factor * g;
        }
    }

    /// Changes the gradient of every number, whether anything was added to it or not.
    pub(super) fn change_all(&mut self, change: &mut impl FnMut(f32) -> f32) {
        self.gradient.iter_mut().for_each(|g| *g = change(*g));
        self.touched.clear();
        self.touched.extend(0..self.is_touched.len() as u32);
        self.is_touched.fill(true);
    }

    /// The vectors that would be kept.
    fn kept(&mut self) -> &[f32] {
        let Some(average) = &mut self.average else {
            return &self.vectors;
        };
        for (code, own) in self.vectors.chunks_exact(self.dim.max(1)).enumerate() {
            average.catch_up(code, own, average.now);
        }
        &average.vectors
    }

    /// Changes places with the average, and back.
    fn swap(&mut self) {
        self.kept();
        if let Some(average) = &mut self.average {
            std::mem::swap(&mut self.vectors, &mut average.vectors);
        }
    }

    /// Moves what was touched; `share` is that of the step in the average.
    pub(super) fn step(&mut self, rate: f64, share: f64) {
        self.step = self.step.saturating_add(1);
        let rate = rate * self.rule.rates.embedding;
        let pace = self.rule.pace(rate, self.step, 1.0);
        // Of the first step nothing is left of what was before.
        let rest = if share < 1.0 { (-share).ln_1p() } else { 0.0 };
        for code in self.touched.drain(..) {
            let range = code as usize * self.dim..(code as usize + 1) * self.dim;
            if let Some(average) = &mut self.average {
                let own = &self.vectors[range.clone()];
                average.catch_up(code as usize, own, average.now);
            }
            let g = &mut self.gradient[range.clone()];
            pace.apply::<false>(
                &mut self.vectors[range.clone()],
                g,
                &mut self.first[range.clone()],
                &mut self.second[range.clone()],
            );
            g.fill(0.0);
            self.is_touched[code as usize] = false;
            if let Some(average) = &mut self.average {
                let own = &self.vectors[range.clone()];
                draw(&mut average.vectors[range], own, share as f32);
                average.at[code as usize] = average.now + rest;
            }
        }
        if let Some(average) = &mut self.average {
            average.now += rest;
        }
    }
}

/// The weights that would be kept: their average, where there is one.
pub(super) fn kept(dense: &Dense, tables: &mut [Table]) -> (Vec<f32>, Vec<Vec<f32>>) {
    let weights = dense.average.as_ref().unwrap_or(&dense.weights);
    let tables = tables.iter_mut().map(|t| t.kept().to_vec());
    (weights.clone(), tables.collect())
}

/// The weights and their average, where there is one, change places.
pub(super) fn swap(dense: &mut Dense, tables: &mut [Table]) {
    if let Some(average) = &mut dense.average {
        std::mem::swap(average, &mut dense.weights);
        tables.iter_mut().for_each(Table::swap);
    }
}
