//! Steps that hide keys: each key's gradient is made by itself and shortened before they are added up, and every weight's sum gets noise
//! (Abadi and others 2016, "Deep learning with differential privacy").

use super::super::histories::Histories;
use super::super::lane::{Lane, Shared};
use super::super::network::{Layout, Network};
use super::super::packed::Stretch;
use super::super::params::ValidParams;
use super::super::train::stride;
use crate::privacy::noise::Noise;
use crate::train::averaging::Average;
use crate::train::cpu::parameters::{Dense, Rule};
use crate::train::cpu::private::{Cover, norm_squared, shortening};
use crate::train::{Course, Step, TrainError, take_steps};
use rayon::prelude::*;

/// Epochs that the average of the weights goes back.
const AVERAGED: f64 = 1.0;

/// What to train on.
pub(super) struct Task<'a> {
    pub(super) histories: &'a Histories,
    pub(super) of_key: bool,
    /// One for each key, whether it has anything to be learned or not.
    pub(super) keys: &'a [Stretch],
    pub(super) params: &'a ValidParams,
    pub(super) cover: Cover,
}

/// One thread's part of a sample: a lane that has one key at a time.
#[derive(Default)]
struct Worker {
    lane: Lane,
    /// Σ of the shortened gradients.
    sum: Vec<f32>,
}

impl Worker {
    fn begin(&mut self, len: usize) {
        self.sum.clear();
        self.sum.resize(len, 0.0);
    }

    /// Adds the gradient of the mean loss of a key's answers, no longer than `clip` over all weights.
    fn add(&mut self, shared: &Shared<'_>, key: Stretch, clip: f64) {
        let first = shared.histories.offsets[key.key as usize];
        let known = |step: usize, key: usize| shared.is_known(step, key);
        let asked = (key.asked_from..key.len).map(|at| first + at as usize);
        let count = asked.filter(|step| known(*step, key.key as usize)).count();
        if count == 0 {
            return;
        }
        let lane = &mut self.lane;
        lane.gradient.clear();
        lane.start(shared, std::iter::once(key), None);
        for from in (0..key.len as usize).step_by(shared.stride) {
            let asked = lane.lay_out(shared, from, known);
            if asked > 0 || shared.network.context == 0 {
                lane.forward(shared);
            }
            if asked > 0 {
                lane.backward(shared, 1.0 / count as f32);
            }
            lane.carry(shared);
        }
        if let Some(factor) = shortening(norm_squared(&lane.gradient), clip) {
            let both = self.sum.iter_mut().zip(&lane.gradient);
            both.for_each(|(sum, g)| *sum += factor * g);
        }
    }
}

/// A network that learns.
struct Trainer<'a> {
    task: &'a Task<'a>,
    /// Its weights are those of `dense`.
    network: Network,
    layout: Layout,
    dense: Dense,
    average: Average,
    stride: usize,
    workers: Vec<Worker>,
}

impl<'a> Trainer<'a> {
    /// `averaged`: steps that the average of the weights goes back.
    fn new(
        task: &'a Task<'a>,
        mut network: Network,
        averaged: f64,
    ) -> Result<Trainer<'a>, TrainError> {
        // Sizes that cannot be counted cannot be trained.
        let layout = network.layout().ok_or(TrainError::Diverged { epoch: 0 })?;
        let weights = std::mem::take(&mut network.weights);
        let mut workers = Vec::new();
        workers.resize_with(rayon::current_num_threads().max(1), Worker::default);
        Ok(Trainer {
            task,
            // The noise makes a sum long; shortening it to a length made for others would only slow learning.
            dense: Dense::new(weights, layout.kinds(), Rule::adamw(task.params.l2), true)
                .clipped(f64::INFINITY),
            average: Average::over(averaged),
            stride: stride(&network, task.params.window),
            layout,
            network,
            workers,
        })
    }

    /// The sum of the shortened gradients of some keys, by weight.
    fn sum(&mut self, keys: &[Stretch]) {
        let shared = Shared {
            network: &self.network,
            layout: &self.layout,
            weights: &self.dense.weights,
            histories: self.task.histories,
            of_key: self.task.of_key,
            dropout: 0.0,
            sampler: None,
            stride: self.stride,
        };
        let (len, count, clip) = (self.layout.len, self.workers.len(), self.task.cover.clip);
        self.workers
            .par_iter_mut()
            .enumerate()
            .for_each(|(i, worker)| {
                worker.begin(len);
                for key in keys.iter().skip(i).step_by(count) {
                    worker.add(&shared, *key, clip);
                }
            });
        let (first, others) = self.workers.split_at_mut(1);
        for other in others.iter() {
            let both = first[0].sum.iter_mut().zip(&other.sum);
            both.for_each(|(sum, own)| *sum += own);
        }
    }

    /// Hides the sum in noise, by weight, whatever the sample was.
    fn cover(&mut self, noise: &mut Noise) {
        let cover = self.task.cover;
        let sum = self.workers[0].sum.iter_mut();
        sum.for_each(|sum| *sum = cover.covered(*sum, noise));
    }

    /// One step on a sample of the keys, which may be empty.
    fn step(&mut self, keys: &[Stretch], noise: &mut Noise) {
        self.sum(keys);
        self.cover(noise);
        let sum = &mut self.workers[0].sum;
        let share = self.average.next() as f32;
        self.dense
            .step(&mut [sum], self.task.params.learning_rate, share);
    }
}

/// Trains a network; answers it, how many steps there were, and what ended them. Nothing of the keys is told but the weights.
///
/// # Errors
/// [`TrainError::Canceled`] where `report` says so, [`TrainError::Diverged`] where weights are no numbers any more.
pub(super) fn train(
    task: &Task<'_>,
    network: Network,
    course: &Course<'_>,
    noise: &mut Noise,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<(Network, u32, &'static str), TrainError> {
    let mut trainer = Trainer::new(task, network, AVERAGED / course.plan.rate)?;
    let mut sample = Vec::new();
    let mut take = |drawn: &[u32], _: f64, noise: &mut Noise| {
        sample.clear();
        sample.extend(drawn.iter().map(|key| task.keys[*key as usize]));
        trainer.step(&sample, noise);
        // How many rows they have is theirs.
        sample.len()
    };
    let (steps, stopped_by) = take_steps(course, noise, &mut take, report)?;
    let mut network = trainer.network;
    network.weights = trainer.dense.into_kept();
    if network.weights.iter().any(|w| !w.is_finite()) {
        return Err(TrainError::Diverged { epoch: 0 });
    }
    Ok((network, steps, stopped_by))
}

#[cfg(test)]
#[path = "train_test.rs"]
mod tests;
