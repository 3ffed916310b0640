//! The training loop: batches of histories of similar length, windows, the learning rate, the best weights so far.

use super::histories::Histories;
use super::lane::{Lane, Shared};
use super::network::{Layout, Network, Output};
use super::packed::Stretch;
use super::params::ValidParams;
use super::sample::Sampler;
use crate::artifact::Epoch;
use crate::random::Random;
use crate::train::cpu::parameters::{Dense, Rule};
use crate::train::{REPORT, Step, TrainError};
use rayon::prelude::*;
use std::time::Instant;

/// Histories of one lane. How a batch is cut depends on its size alone, so the result does not depend on the threads.
const LANE: usize = 16;
/// Batches whose histories are sorted by length together.
const POOL: usize = 32;
/// The most answers by which epochs are judged; more would only cost time.
pub(super) const JUDGED: usize = 20_000;
/// The learning rate shrinks by this where an epoch was no better.
const SLOWER: f64 = 0.4;
/// So much of the learning rate is for steps that are learned from later.
const LATER: f64 = 0.3;

/// How a trained network came about.
pub(super) struct Trained {
    pub(super) history: Vec<Epoch>,
    pub(super) best_epoch: u32,
    pub(super) stopped_by: &'static str,
}

/// What to train on.
pub(super) struct Task<'a> {
    pub(super) histories: &'a Histories,
    pub(super) of_key: bool,
    pub(super) train: &'a [Stretch],
    pub(super) validation: &'a [Stretch],
    /// Training steps of each class.
    pub(super) counts: &'a [usize],
    pub(super) params: &'a ValidParams,
}

/// Runs a network over histories.
pub(super) struct Runner<'a> {
    pub(super) histories: &'a Histories,
    pub(super) of_key: bool,
    pub(super) window: usize,
    pub(super) batch: usize,
}

impl Runner<'_> {
    /// Calls `visit` for each window of each lane after its forward pass, and answers what it gave, in a fixed order. Stops
    /// early where `go` says so.
    pub(super) fn run<R: Send>(
        &self,
        network: &Network,
        layout: &Layout,
        stretches: &[Stretch],
        asks: impl Fn(&Shared<'_>, usize, usize) -> bool + Sync,
        visit: impl Fn(&Shared<'_>, &mut Lane) -> R + Sync,
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Vec<R>> {
        let shared = Shared {
            network,
            layout,
            weights: &network.weights,
            histories: self.histories,
            of_key: self.of_key,
            dropout: 0.0,
            sampler: None,
            stride: stride(network, self.window),
        };
        let mut sorted = stretches.to_vec();
        sorted.sort_by_key(|s| (std::cmp::Reverse(s.len), s.key));
        let mut lanes: Vec<Lane> = Vec::new();
        let mut out = Vec::new();
        for batch in sorted.chunks(self.batch.max(1)) {
            let count = begin(&mut lanes, &shared, batch, None);
            let longest = batch.first().map_or(0, |s| s.len as usize);
            for from in (0..longest).step_by(shared.stride) {
                let work = |lane: &mut Lane| {
                    let asked = lane.lay_out(&shared, from, |step, key| asks(&shared, step, key));
                    if asked > 0 || network.context == 0 {
                        lane.forward(&shared);
                    }
                    let answer = visit(&shared, lane);
                    lane.carry(&shared);
                    answer
                };
                let own: Vec<R> = lanes[..count].par_iter_mut().map(work).collect();
                out.extend(own);
                if !go() {
                    return None;
                }
            }
        }
        Some(out)
    }
}

/// How many lanes a batch takes.
fn lanes_of(batch: &[Stretch]) -> usize {
    batch.len().div_ceil(LANE).max(1)
}

/// Deals a batch, sorted by falling length, out to lanes, and answers how many these are.
fn begin(
    lanes: &mut Vec<Lane>,
    shared: &Shared<'_>,
    batch: &[Stretch],
    seed: Option<u64>,
) -> usize {
    let count = lanes_of(batch);
    if lanes.len() < count {
        lanes.resize_with(count, Lane::default);
    }
    lanes[..count]
        .par_iter_mut()
        .enumerate()
        .for_each(|(i, lane)| {
            // Every lane gets long ones and short ones.
            let own = batch.iter().skip(i).step_by(count).copied();
            let random = seed.map(|seed| Random::new(seed.wrapping_add(i as u64 + 1)));
            lane.start(shared, own, random);
        });
    count
}

/// Steps from one window to the next: a transformer's second half of a window is asked, its first is there to be looked at.
pub(super) fn stride(network: &Network, window: usize) -> usize {
    match network.context {
        0 => window,
        context => context.div_ceil(2),
    }
}

/// A network that learns.
struct Trainer<'a> {
    task: &'a Task<'a>,
    /// Its weights are those of `dense`.
    network: Network,
    layout: Layout,
    dense: Dense,
    sampler: Option<Sampler>,
    lanes: Vec<Lane>,
    random: Random,
    stride: usize,
}

/// What an epoch has come to.
#[derive(Default)]
struct Pass {
    /// Of the answers' losses.
    sum: f64,
    answers: usize,
    steps: usize,
    /// It was ended before its time.
    cut: bool,
}

impl Pass {
    fn loss(&self) -> f64 {
        self.sum / self.answers.max(1) as f64
    }
}

/// What to do after a batch.
enum After {
    GoOn,
    /// End the epoch.
    Cut,
    Cancel,
}

impl<'a> Trainer<'a> {
    fn new(task: &'a Task<'a>, mut network: Network, seed: u64) -> Result<Trainer<'a>, TrainError> {
        let params = task.params;
        // Sizes that cannot be counted cannot be trained.
        let layout = network.layout().ok_or(TrainError::Diverged { epoch: 0 })?;
        let weights = std::mem::take(&mut network.weights);
        let rule = Rule::adamw(params.l2);
        let sampled = match network.output {
            Output::Softmax { classes, .. } => (1..classes).contains(&params.negatives),
            Output::Value | Output::Intensity => false,
        };
        Ok(Trainer {
            task,
            dense: Dense::new(weights, layout.kinds(), rule, false).clipped(params.gradient_clip),
            sampler: sampled.then(|| Sampler::new(task.counts, params.negatives)),
            stride: stride(&network, params.window),
            layout,
            network,
            lanes: Vec::new(),
            random: Random::new(seed),
        })
    }

    /// Batches of histories of similar length, in random order.
    fn batches(&mut self, stretches: &[Stretch]) -> Vec<Vec<Stretch>> {
        let size = self.task.params.batch_size;
        let mut order = stretches.to_vec();
        self.random.shuffle(&mut order);
        let pools = order.chunks_mut(size * POOL);
        let mut batches: Vec<Vec<Stretch>> = pools
            .flat_map(|pool| {
                pool.sort_by_key(|s| std::cmp::Reverse(s.len));
                pool.chunks(size).map(<[Stretch]>::to_vec)
            })
            .collect();
        self.random.shuffle(&mut batches);
        batches
    }

    /// Learns from all stretches once. `after` is asked after each update.
    fn pass(
        &mut self,
        epoch: u32,
        stretches: &[Stretch],
        rate: f64,
        after: &mut dyn FnMut(&Pass) -> After,
    ) -> Result<Pass, TrainError> {
        let mut pass = Pass::default();
        for batch in self.batches(stretches) {
            let longest = batch.first().map_or(0, |s| s.len as usize);
            let seed = self.random.next_u64();
            for from in (0..longest).step_by(self.stride) {
                self.update(&batch, from, seed, rate, &mut pass);
                if !pass.sum.is_finite() {
                    return Err(TrainError::Diverged { epoch });
                }
                match after(&pass) {
                    After::GoOn => {}
                    After::Cancel => return Err(TrainError::Canceled),
                    After::Cut => {
                        pass.cut = true;
                        return Ok(pass);
                    }
                }
            }
        }
        Ok(pass)
    }

    /// One window of a batch.
    fn update(&mut self, batch: &[Stretch], from: usize, seed: u64, rate: f64, pass: &mut Pass) {
        if let Some(sampler) = &mut self.sampler {
            let dim = self.network.class_dim();
            sampler.draw(&mut self.random, &self.dense.weights, &self.layout, dim);
        }
        let shared = Shared {
            network: &self.network,
            layout: &self.layout,
            weights: &self.dense.weights,
            histories: self.task.histories,
            of_key: self.task.of_key,
            dropout: self.task.params.dropout,
            sampler: self.sampler.as_ref(),
            stride: self.stride,
        };
        if from == 0 {
            begin(&mut self.lanes, &shared, batch, Some(seed));
        }
        let lanes = &mut self.lanes[..lanes_of(batch)];
        let known = |step: usize, key: usize| shared.is_known(step, key);
        let laid_out = lanes
            .iter_mut()
            .map(|lane| lane.lay_out(&shared, from, known));
        let asked: usize = laid_out.sum();
        let scale = 1.0 / asked.max(1) as f32;
        lanes.par_iter_mut().for_each(|lane| {
            lane.loss = 0.0;
            if asked > 0 || shared.network.context == 0 {
                lane.forward(&shared);
            }
            if asked > 0 {
                lane.backward(&shared, scale);
            }
            // The way back began where the window did.
            lane.carry(&shared);
        });
        pass.steps += lanes.iter().map(|lane| lane.packed.len()).sum::<usize>();
        pass.sum += lanes.iter().map(|lane| lane.loss).sum::<f64>();
        pass.answers += asked;
        if asked > 0 && pass.sum.is_finite() {
            let mut gradients: Vec<&mut Vec<f32>> =
                lanes.iter_mut().map(|lane| &mut lane.gradient).collect();
            self.dense.step(&mut gradients, rate, 0.0);
        }
    }

    /// Mean loss of the answers of some stretches.
    fn loss(
        &mut self,
        stretches: &[Stretch],
        go: &mut dyn FnMut() -> bool,
    ) -> Result<f64, TrainError> {
        let runner = Runner {
            histories: self.task.histories,
            of_key: self.task.of_key,
            window: self.task.params.window,
            batch: self.task.params.batch_size,
        };
        let visit =
            |shared: &Shared<'_>, lane: &mut Lane| (lane.losses(shared), lane.packed.asked.len());
        let asks = |shared: &Shared<'_>, step, key| shared.is_known(step, key);
        self.network.weights = std::mem::take(&mut self.dense.weights);
        let losses = runner.run(&self.network, &self.layout, stretches, asks, visit, go);
        self.dense.weights = std::mem::take(&mut self.network.weights);
        let (mut sum, mut answers) = (0.0, 0);
        for (loss, asked) in losses.ok_or(TrainError::Canceled)? {
            sum += loss;
            answers += asked;
        }
        Ok(sum / answers.max(1) as f64)
    }
}

/// Trains a network. The same seed and data give the same weights, whatever the threads.
pub(super) fn train(
    task: &Task<'_>,
    network: Network,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<(Network, Trained), TrainError> {
    let params = task.params;
    let started = Instant::now();
    let deadline = params
        .max_seconds
        .map(|s| started + std::time::Duration::from_secs_f64(s.min(1e9)));
    let late = || deadline.is_some_and(|d| Instant::now() >= d);
    let mut trainer = Trainer::new(task, network, params.seed ^ 0x6c73_746d)?;
    let judged = sample_of(task.validation, params.seed, JUDGED);
    let steps_in_epoch: usize = task.train.iter().map(|s| s.len as usize).sum();
    let mut best: Option<(f64, u32, Vec<f32>)> = None;
    let (mut history, mut stopped_by) = (Vec::<Epoch>::new(), "epochs");
    let (mut rate, mut worse) = (params.learning_rate, 0u32);
    let mut last_report = Instant::now();
    for epoch in 1..=params.epochs {
        let epoch_started = Instant::now();
        let last_loss = history.last().and_then(|e| e.validation_loss);
        let step = |pass: &Pass| {
            let speed = pass.steps as f64 / epoch_started.elapsed().as_secs_f64().max(1e-9);
            let all = f64::from(params.epochs + 1 - epoch) * steps_in_epoch as f64;
            let left = (all - pass.steps as f64).max(0.0) / speed.max(1e-9);
            let until = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            Step {
                epoch,
                epochs: params.epochs,
                rows_per_second: speed,
                loss: pass.loss(),
                validation_loss: last_loss,
                eta_seconds: until.map_or(left, |u| u.as_secs_f64().min(left)),
                ..Step::default()
            }
        };
        let mut after = |pass: &Pass| {
            if last_report.elapsed() >= REPORT {
                last_report = Instant::now();
                if !report(&step(pass)) {
                    return After::Cancel;
                }
            }
            if late() { After::Cut } else { After::GoOn }
        };
        let pass = trainer.pass(epoch, task.train, rate, &mut after)?;
        let mut step = step(&pass);
        if !judged.is_empty() {
            let mut go = || report(&step);
            step.validation_loss = Some(trainer.loss(&judged, &mut go)?);
        }
        let judgement = step.validation_loss.unwrap_or(step.loss);
        if !judgement.is_finite() {
            return Err(TrainError::Diverged { epoch });
        }
        history.push(Epoch {
            epoch,
            train_loss: step.loss,
            validation_loss: step.validation_loss,
            learning_rate: rate,
            rows_per_second: step.rows_per_second,
            seconds: started.elapsed().as_secs_f64(),
        });
        if best.as_ref().is_none_or(|(loss, ..)| judgement < *loss) {
            best = Some((judgement, epoch, trainer.dense.weights.clone()));
            worse = 0;
        } else {
            worse += 1;
            rate *= SLOWER;
        }
        step.ended = true;
        if !report(&step) {
            return Err(TrainError::Canceled);
        }
        if pass.cut || late() {
            stopped_by = "max_seconds";
            break;
        }
        if params.early_stopping && worse >= params.patience {
            stopped_by = "early_stopping";
            break;
        }
        // Go on from the best so far, more slowly.
        if let (true, Some((_, _, weights))) = (worse > 0, &best) {
            trainer.dense.weights.copy_from_slice(weights);
        }
    }
    let (_, best_epoch, weights) = best.unwrap_or((0.0, 0, trainer.dense.weights));
    let mut network = trainer.network;
    network.weights = weights;
    let trained = Trained {
        history,
        best_epoch,
        stopped_by,
    };
    Ok((network, trained))
}

/// Lets a trained network learn from later steps, once and slowly, until `deadline`. One that diverges stays as it was.
pub(super) fn go_on(
    task: &Task<'_>,
    network: Network,
    stretches: &[Stretch],
    deadline: Option<Instant>,
    go: &mut dyn FnMut() -> bool,
) -> Result<Network, TrainError> {
    let params = task.params;
    let before = network.clone();
    let mut trainer = Trainer::new(task, network, params.seed ^ 0x6c61_7465)?;
    let mut after = |_: &Pass| match (go(), deadline) {
        (false, _) => After::Cancel,
        (true, Some(deadline)) if Instant::now() >= deadline => After::Cut,
        _ => After::GoOn,
    };
    let passed = trainer.pass(0, stretches, LATER * params.learning_rate, &mut after);
    let sound = trainer.dense.weights.iter().all(|w| w.is_finite());
    match passed {
        Err(TrainError::Canceled) => Err(TrainError::Canceled),
        Ok(_) if sound => {
            let mut network = trainer.network;
            network.weights = trainer.dense.weights;
            Ok(network)
        }
        _ => Ok(before),
    }
}

/// Enough of the stretches, drawn by the seed, for so many answers.
pub(super) fn sample_of(stretches: &[Stretch], seed: u64, most: usize) -> Vec<Stretch> {
    let mut order = stretches.to_vec();
    Random::new(seed ^ 0x6a75_6467).shuffle(&mut order);
    let mut asked = 0;
    let few = |stretch: &Stretch| {
        let enough = asked >= most;
        asked += (stretch.len - stretch.asked_from) as usize;
        !enough
    };
    order.into_iter().take_while(few).collect()
}
