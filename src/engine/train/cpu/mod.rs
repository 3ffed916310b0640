//! Training on the CPU: forward, backward and optimiser written out for this one family of networks, each batch cut into chunks
//! of rows that run side by side. How it is cut depends on the shapes alone, so the result does not depend on the threads.

pub(crate) mod attention;
mod attentive;
mod chunk;
mod features;
mod heads;
mod inputs;
pub(crate) mod norm;
pub(crate) mod parameters;
pub(crate) mod private;
#[cfg(test)]
mod tests;
pub(crate) mod vector;

pub(super) use attentive::Attentive;

use super::averaging::Average;
use super::epochs::Learner;
use super::{Examples, Task};
use crate::models::{Model, Network};
use crate::random::Random;
use chunk::{Chunk, Shared};
use inputs::Front;
use parameters::{Dense, Layout, Rule, Table, kept, swap};
use rayon::prelude::*;

/// Rows times members that one chunk takes at least.
const CHUNK: usize = 256;
/// More chunks would cost more in adding up gradients than they gain.
const MOST_CHUNKS: usize = 16;

pub(super) struct Cpu<'a> {
    task: &'a Task<'a>,
    /// The shapes; its weights are those of the start.
    network: Network,
    layout: Layout,
    dense: Dense,
    tables: Vec<Table>,
    chunks: Vec<Chunk>,
    seed: u64,
    steps: u64,
    average: Option<Average>,
    best: Option<(Vec<f32>, Vec<Vec<f32>>)>,
}

impl<'a> Cpu<'a> {
    pub(super) fn new(task: &'a Task<'a>, network: Network) -> Cpu<'a> {
        let layout = Layout::of(&network);
        let rule = Rule::new(task.params);
        let average = Average::new(task);
        let averaged = average.is_some();
        let dims = network.inputs.embedded().map(|(_, _, dim)| dim);
        let dims = dims.chain(network.inputs.bags.iter().map(|b| b.dim));
        let tables = network.embeddings.iter().chain(&network.bags);
        let tables = tables
            .zip(dims)
            .map(|(table, dim)| Table::new(table.clone(), dim, rule, averaged))
            .collect();
        Cpu {
            dense: Dense::new(layout.collect(&network), layout.kinds(), rule, averaged),
            layout,
            tables,
            network,
            task,
            chunks: Vec::new(),
            seed: task.params.seed ^ 0x2545_f491,
            steps: 0,
            average,
            best: None,
        }
    }

    /// Runs `work` on chunks of the rows; `work` is given the chunk's number.
    fn in_chunks<R: Send>(
        &mut self,
        rows: &[u32],
        work: impl Fn(&Shared<'_>, &mut Chunk, usize, &[u32]) -> R + Sync,
    ) -> Vec<R> {
        let network = &self.network;
        let count = (rows.len() * network.members / CHUNK).clamp(1, MOST_CHUNKS);
        let size = rows.len().div_ceil(count).max(1);
        let count = rows.len().div_ceil(size);
        if self.chunks.len() < count {
            self.chunks.resize_with(count, Chunk::default);
        }
        let ranges = &self.layout.number_embeddings;
        let embeddings = network.number_embeddings.iter().zip(ranges);
        let curves: Vec<Vec<f32>> = embeddings
            .map(|(e, range)| e.curve(&self.dense.weights[range.clone()]))
            .collect();
        let shared = Shared {
            front: Front {
                inputs: &network.inputs,
                number_embeddings: &network.number_embeddings,
                width: network.width(),
                learned: network.inputs.numbers + network.inputs.one_hot(),
            },
            layout: &self.layout,
            weights: &self.dense.weights,
            tables: &self.tables,
            curves: &curves,
            activation: network.activation,
            members: network.members,
            objective: self
                .task
                .objective()
                .smoothed(self.task.params.label_smoothing),
            dropped: (self.task.params.dropout * 65_536.0).round() as u16,
        };
        let parts = self.chunks.iter_mut().zip(rows.chunks(size)).enumerate();
        let parts: Vec<_> = parts.collect();
        if let [_] = parts[..] {
            return parts
                .into_iter()
                .map(|(i, (chunk, rows))| work(&shared, chunk, i, rows))
                .collect();
        }
        parts
            .into_par_iter()
            .map(|(i, (chunk, rows))| work(&shared, chunk, i, rows))
            .collect()
    }
}

impl Learner for Cpu<'_> {
    fn step(&mut self, rows: &[u32], rate: f64) -> (f64, f64) {
        let part = &self.task.train;
        let weight = part.weight(rows);
        let members = self.network.members as f64;
        let scale = 1.0 / (weight.max(f64::MIN_POSITIVE) * members);
        let first_seed = self.seed.wrapping_add(self.steps << 8);
        self.steps += 1;
        let losses = self.in_chunks(rows, |shared, chunk, i, rows| {
            let mut random = Random::new(first_seed.wrapping_add(i as u64));
            chunk.forward(shared, part.matrix, rows, Some(&mut random));
            chunk.backward(shared, part.matrix, rows, part.targets, part.weights, scale);
            chunk.loss
        });
        let loss = losses.iter().sum::<f64>();
        if !loss.is_finite() {
            return (loss, weight);
        }
        let used = losses.len();
        let mut gradients: Vec<&mut Vec<f32>> = self.chunks[..used]
            .iter_mut()
            .map(|c| &mut c.gradient)
            .collect();
        let share = self.average.as_mut().map_or(1.0, Average::next);
        self.dense.step(&mut gradients, rate, share as f32);
        if !self.tables.is_empty() {
            let network = &self.network;
            let learned = network.inputs.numbers + network.inputs.one_hot();
            let front = Front {
                inputs: &network.inputs,
                number_embeddings: &network.number_embeddings,
                width: network.width(),
                learned,
            };
            let size = rows.len().div_ceil(used).max(1);
            for (chunk, rows) in self.chunks.iter().zip(rows.chunks(size)) {
                let dx = chunk.dx.chunks_exact(front.width - learned);
                for (&row, dx) in rows.iter().zip(dx) {
                    front.back_tables(part.matrix, row as usize, dx, &mut self.tables);
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
        let mut network = self.network;
        let (weights, tables) = self.best.unwrap_or_default();
        self.layout.spread(&weights, &mut network);
        let embeddings = network.embeddings.iter_mut().chain(&mut network.bags);
        for (own, table) in embeddings.zip(tables) {
            *own = table;
        }
        Model::Network(network)
    }
}

impl Cpu<'_> {
    /// Mean loss over all rows of a part, of the weights as they are.
    fn mean_loss(&mut self, part: &Examples<'_>) -> f64 {
        let rows: Vec<u32> = (0..part.matrix.rows as u32).collect();
        let objective = self.task.objective();
        let (members, outputs) = (self.network.members, objective.outputs);
        let block = (MOST_CHUNKS * CHUNK / members).max(1);
        let mut sum = 0.0;
        for rows in rows.chunks(block) {
            let losses = self.in_chunks(rows, |shared, chunk, _, rows| {
                chunk.forward(shared, part.matrix, rows, None);
                let (mut answer, mut mean) = (vec![0f64; outputs], vec![0f32; outputs]);
                let mut sum = 0.0;
                for (r, &row) in rows.iter().enumerate() {
                    let of = |m: usize| (m * rows.len() + r) * outputs;
                    if members == 1 {
                        mean.copy_from_slice(&chunk.sums[of(0)..of(0) + outputs]);
                    } else {
                        // The sums that stand for the mean of the members' answers.
                        answer.fill(0.0);
                        for m in 0..members {
                            let sums = &chunk.sums[of(m)..of(m) + outputs];
                            let share = 1.0 / members as f64;
                            objective.output.add(sums, share, &mut answer);
                        }
                        for (mean, answer) in mean.iter_mut().zip(&answer) {
                            *mean = objective.output.sum_of(*answer) as f32;
                        }
                    }
                    let weight = part
                        .weights
                        .get(row as usize)
                        .map_or(1.0, |w| f64::from(*w));
                    let targets = objective.of(part.targets, row as usize);
                    sum += weight * objective.derive(&mut mean, targets);
                }
                sum
            });
            sum += losses.iter().sum::<f64>();
        }
        sum / part.weight(&rows).max(f64::MIN_POSITIVE)
    }
}
