//! A transformer in training: each batch is cut into chunks of rows that run side by side. How it is cut depends on the shapes
//! alone, so the result does not depend on the threads.

use super::attention::{Dropped, Pass, Sequences, backward, forward};
use super::features::Features;
use super::norm::Norm;
use super::parameters::{Dense, Rule, Table, kept, swap};
use super::vector::resize;
use crate::models::{Model, Transformer, TransformerParts, WeightKind};
use crate::random::Random;
use crate::recipe::Matrix;
use crate::train::averaging::Average;
use crate::train::epochs::Learner;
use crate::train::loss::Objective;
use crate::train::{Examples, Task};
use rayon::prelude::*;
use std::ops::Range;

/// Tokens that one chunk takes at least: fewer would not keep the products of matrices busy, many more would not stay in a core's
/// cache.
const CHUNK: usize = 192;
/// More chunks would cost more in adding up gradients than they gain.
const MOST_CHUNKS: usize = 16;
/// Tokens that a chunk takes at a time: what a block remembers of each is kept no longer.
const SLICE: usize = 2 * CHUNK;

pub(in crate::train) struct Attentive<'a> {
    task: &'a Task<'a>,
    /// The shapes; its weights are those of the start.
    model: Transformer,
    parts: TransformerParts,
    /// Where the weights of each number embedding lie behind the others.
    embeddings: Vec<Range<usize>>,
    dense: Dense,
    tables: Vec<Table>,
    chunks: Vec<Chunk>,
    seed: u64,
    steps: u64,
    average: Option<Average>,
    best: Option<(Vec<f32>, Vec<Vec<f32>>)>,
}

/// What all chunks share during a step.
struct Shared<'a> {
    features: Features<'a>,
    objective: Objective,
    dropped: Dropped,
}

/// Some rows on one thread; the buffers grow to the largest chunk and stay.
#[derive(Default)]
struct Chunk {
    /// `[rows][tokens][width]`: the tokens, at last `[rows][width]`; then the loss's derivatives by them.
    x: Vec<f32>,
    blocks: Vec<Pass>,
    norm: Norm,
    /// `[rows][width]`: what the output layer takes.
    normed: Vec<f32>,
    spare: Vec<f32>,
    /// `[rows][outputs]`: sums, then the loss's derivatives by them.
    sums: Vec<f32>,
    gradient: Vec<f32>,
    /// `[rows][tokens][width]`: the loss's derivatives by the tokens; empty where no table wants them.
    deltas: Vec<f32>,
}

/// The tokens of so many rows; after the last block only the first of each row is wanted.
fn sequences(model: &Transformer, rows: usize, block: usize) -> Sequences<'static> {
    Sequences {
        count: rows,
        length: model.tokens.count,
        first_alone: block + 1 == model.blocks,
        ..Sequences::default()
    }
}

impl Chunk {
    /// The sums for the given rows.
    fn forward(
        &mut self,
        shared: &Shared<'_>,
        matrix: &Matrix,
        rows: &[u32],
        mut dropout: Option<&mut Random>,
    ) {
        let Features {
            model,
            parts,
            weights,
            ..
        } = shared.features;
        let (count, width) = (model.tokens.count, model.width);
        let x = resize(&mut self.x, rows.len() * count * width);
        for (&row, x) in rows.iter().zip(x.chunks_exact_mut(count * width)) {
            shared.features.write(matrix, row as usize, x);
        }
        self.blocks.resize_with(model.blocks, Pass::default);
        for (i, (pass, (block, own, at))) in self.blocks.iter_mut().zip(&parts.blocks).enumerate() {
            let random = dropout.as_deref_mut();
            pass.forward(
                block,
                own,
                &weights[*at..at + own.len],
                &mut self.x,
                sequences(model, rows.len(), i),
                random.map(|random| (random, shared.dropped)),
            );
        }
        let normed = resize(&mut self.normed, rows.len() * width);
        let x = &self.x[..rows.len() * width];
        self.norm.forward(&weights[parts.norm.clone()], x, normed);
        normed.iter_mut().for_each(|x| *x = x.max(0.0));
        let sums = resize(&mut self.sums, rows.len() * model.outputs);
        forward(sums, normed, rows.len(), weights, &parts.head);
    }

    /// The loss of the rows, and its gradient, slice by slice. `scale` is what a row with weight 1 counts in the mean over the batch.
    fn learn(
        &mut self,
        shared: &Shared<'_>,
        part: &Examples<'_>,
        rows: &[u32],
        mut random: Random,
        scale: f64,
    ) -> f64 {
        let features = &shared.features;
        let row = features.model.tokens.count * features.model.width;
        let len = features.embeddings.last().map(|range| range.end);
        self.gradient.resize(len.unwrap_or(features.parts.len), 0.0);
        self.deltas.clear();
        let mut loss = 0.0;
        for rows in rows.chunks((SLICE / features.model.tokens.count).max(1)) {
            self.forward(shared, part.matrix, rows, Some(&mut random));
            loss += self.backward(shared, part, rows, scale);
            if !features.tables.is_empty() {
                self.deltas.extend_from_slice(&self.x[..rows.len() * row]);
            }
        }
        features.settle(&mut self.gradient);
        loss
    }

    /// From the sums of [`Chunk::forward`] to the loss and its gradient, which is added up; [`Features::settle`] ends it.
    fn backward(
        &mut self,
        shared: &Shared<'_>,
        part: &Examples<'_>,
        rows: &[u32],
        scale: f64,
    ) -> f64 {
        let Features {
            model,
            parts,
            weights,
            ..
        } = shared.features;
        let (count, width) = (model.tokens.count, model.width);
        let objective = shared.objective;
        let mut loss = 0.0;
        let sums = &mut self.sums[..rows.len() * model.outputs];
        for (&row, sums) in rows.iter().zip(sums.chunks_exact_mut(model.outputs)) {
            let row = row as usize;
            let weight = part.weights.get(row).map_or(1.0, |w| f64::from(*w));
            loss += weight * objective.derive(sums, objective.of(part.targets, row));
            let factor = (weight * scale) as f32;
            sums.iter_mut().for_each(|d| *d *= factor);
        }
        let spare = resize(&mut self.spare, rows.len() * width);
        backward(
            (Some(&mut *spare), false),
            sums,
            &self.normed,
            rows.len(),
            weights,
            &mut self.gradient,
            &parts.head,
        );
        for (d, x) in spare.iter_mut().zip(&self.normed) {
            *d = if *x > 0.0 { *d } else { 0.0 };
        }
        let delta = resize(&mut self.x, rows.len() * width);
        delta.fill(0.0);
        let own = &mut self.gradient[parts.norm.clone()];
        self.norm
            .backward(&weights[parts.norm.clone()], spare, delta, own);
        let blocks = self.blocks.iter_mut().zip(&parts.blocks).enumerate();
        for (i, (pass, (block, own, at))) in blocks.rev() {
            let range = *at..at + own.len;
            pass.backward(
                block,
                own,
                &weights[range.clone()],
                &mut self.x,
                &mut self.gradient[range],
                sequences(model, rows.len(), i),
            );
        }
        let deltas = self.x.chunks_exact(count * width);
        for (&row, delta) in rows.iter().zip(deltas) {
            let (row, gradient) = (row as usize, &mut self.gradient);
            shared.features.back(part.matrix, row, delta, gradient);
        }
        loss
    }
}

impl<'a> Attentive<'a> {
    pub(in crate::train) fn new(task: &'a Task<'a>, model: Transformer) -> Attentive<'a> {
        let parts = model.parts();
        let rule = Rule::new(task.params);
        let mut weights = model.weights.clone();
        let mut embeddings = Vec::new();
        for embedding in &model.number_embeddings {
            let start = weights.len();
            weights.extend_from_slice(&embedding.weights);
            embeddings.push(start..weights.len());
        }
        let mut kinds = parts.kinds();
        kinds.resize(weights.len(), WeightKind::NumberEmbedding);
        let average = Average::new(task);
        let averaged = average.is_some();
        let tables = model.embeddings.iter().chain(&model.bags);
        let tables = tables.map(|table| Table::new(table.clone(), model.width, rule, averaged));
        Attentive {
            dense: Dense::new(weights, kinds, rule, averaged),
            tables: tables.collect(),
            embeddings,
            parts,
            model,
            task,
            chunks: Vec::new(),
            seed: task.params.seed ^ 0x2545_f491,
            steps: 0,
            average,
            best: None,
        }
    }

    /// Rows of each chunk.
    fn chunk_rows(&self, rows: usize) -> usize {
        let count = (rows * self.model.tokens.count / CHUNK).clamp(1, MOST_CHUNKS);
        rows.div_ceil(count).max(1)
    }

    /// Runs `work` on chunks of the rows; `work` is given the chunk's number.
    fn in_chunks<R: Send>(
        &mut self,
        rows: &[u32],
        smoothing: f64,
        work: impl Fn(&Shared<'_>, &mut Chunk, usize, &[u32]) -> R + Sync,
    ) -> Vec<R> {
        let size = self.chunk_rows(rows.len());
        let count = rows.len().div_ceil(size);
        if self.chunks.len() < count {
            self.chunks.resize_with(count, Chunk::default);
        }
        let own = self.model.number_embeddings.iter().zip(&self.embeddings);
        let curves: Vec<Vec<f32>> = own
            .map(|(e, range)| e.curve(&self.dense.weights[range.clone()]))
            .collect();
        let params = self.task.params;
        let of = params.attention.unwrap_or_default();
        let bits = |rate: f64| (rate * 65_536.0).round() as u16;
        let shared = Shared {
            features: Features {
                model: &self.model,
                parts: &self.parts,
                embeddings: &self.embeddings,
                weights: &self.dense.weights,
                tables: &self.tables,
                curves: &curves,
            },
            objective: self.task.objective().smoothed(smoothing),
            dropped: Dropped {
                attention: bits(of.dropout),
                hidden: bits(params.dropout),
                residual: bits(of.residual_dropout),
            },
        };
        let parts: Vec<_> = self
            .chunks
            .iter_mut()
            .zip(rows.chunks(size))
            .enumerate()
            .collect();
        let own = |(i, (chunk, rows)): (usize, (&mut Chunk, &[u32]))| work(&shared, chunk, i, rows);
        match parts.len() {
            0 | 1 => parts.into_iter().map(own).collect(),
            _ => parts.into_par_iter().map(own).collect(),
        }
    }
}

impl Learner for Attentive<'_> {
    fn step(&mut self, rows: &[u32], rate: f64) -> (f64, f64) {
        let task = self.task;
        let part = &task.train;
        let weight = part.weight(rows);
        let scale = 1.0 / weight.max(f64::MIN_POSITIVE);
        let first_seed = self.seed.wrapping_add(self.steps << 8);
        self.steps += 1;
        let losses = self.in_chunks(
            rows,
            task.params.label_smoothing,
            |shared, chunk, i, rows| {
                let random = Random::new(first_seed.wrapping_add(i as u64));
                chunk.learn(shared, part, rows, random, scale)
            },
        );
        let loss = losses.iter().sum::<f64>();
        if !loss.is_finite() {
            return (loss, weight);
        }
        let chunks = &mut self.chunks[..losses.len()];
        let mut gradients: Vec<&mut Vec<f32>> =
            chunks.iter_mut().map(|c| &mut c.gradient).collect();
        let share = self.average.as_mut().map_or(1.0, Average::next);
        self.dense.step(&mut gradients, rate, share as f32);
        if !self.tables.is_empty() {
            let size = self.chunk_rows(rows.len());
            let features = Features {
                model: &self.model,
                parts: &self.parts,
                embeddings: &self.embeddings,
                weights: &self.dense.weights,
                tables: &[],
                curves: &[],
            };
            let row_size = self.model.tokens.count * self.model.width;
            for (chunk, rows) in self.chunks.iter().zip(rows.chunks(size)) {
                for (&row, delta) in rows.iter().zip(chunk.deltas.chunks_exact(row_size)) {
                    let (row, tables) = (row as usize, &mut self.tables);
                    features.back_tables(part.matrix, row, delta, tables);
                }
            }
            self.tables
                .par_iter_mut()
                .for_each(|table| table.step(rate, share));
        }
        (loss, weight)
    }

    fn validation_loss(&mut self) -> Option<f64> {
        let part = self.task.validation?;
        swap(&mut self.dense, &mut self.tables);
        let loss = self.mean_loss(&part);
        swap(&mut self.dense, &mut self.tables);
        Some(loss)
    }

    fn keep(&mut self) {
        self.best = Some(kept(&self.dense, &mut self.tables));
    }

    fn finish(mut self) -> Model {
        if self.best.is_none() {
            self.keep();
        }
        let mut model = self.model;
        let (mut weights, tables) = self.best.unwrap_or_default();
        for (embedding, range) in model.number_embeddings.iter_mut().zip(self.embeddings) {
            embedding.weights.copy_from_slice(&weights[range]);
        }
        weights.truncate(self.parts.len);
        model.weights = weights;
        let own = model.embeddings.iter_mut().chain(&mut model.bags);
        for (own, table) in own.zip(tables) {
            *own = table;
        }
        Model::Transformer(model)
    }
}

impl Attentive<'_> {
    /// Mean loss over all rows of a part, of the weights as they are.
    fn mean_loss(&mut self, part: &Examples<'_>) -> f64 {
        let rows: Vec<u32> = (0..part.matrix.rows as u32).collect();
        let objective = self.task.objective();
        let block = (MOST_CHUNKS * CHUNK / self.model.tokens.count).max(1);
        let mut sum = 0.0;
        for rows in rows.chunks(block) {
            let losses = self.in_chunks(rows, 0.0, |shared, chunk, _, rows| {
                chunk.forward(shared, part.matrix, rows, None);
                let sums = chunk.sums.chunks_exact_mut(objective.outputs);
                let each = |(&row, sums): (&u32, &mut [f32])| {
                    let row = row as usize;
                    let weight = part.weights.get(row).map_or(1.0, |w| f64::from(*w));
                    weight * objective.derive(sums, objective.of(part.targets, row))
                };
                rows.iter().zip(sums).map(each).sum::<f64>()
            });
            sum += losses.iter().sum::<f64>();
        }
        sum / part.weight(&rows).max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
#[path = "attentive_test.rs"]
mod tests;
