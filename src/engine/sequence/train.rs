//! The training loop: batches of histories of similar length, windows, the learning rate, the best weights so far.

use super::encode::Histories;
use super::lane::{Lane, Shared};
use super::network::{Layout, Network, Output};
use super::packed::Stretch;
use super::params::ValidParams;
use super::sample::Sampler;
use crate::artifact::Epoch;
use crate::models::WeightKind;
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

/// A trained network and how it came about.
pub(super) struct Trained {
    pub(super) network: Network,
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

/// Deals a batch, sorted by falling length, out to lanes, and answers how many these are.
fn begin(
    lanes: &mut Vec<Lane>,
    shared: &Shared<'_>,
    batch: &[Stretch],
    seed: Option<u64>,
) -> usize {
    let count = batch.len().div_ceil(LANE).max(1);
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

/// Trains a network. The same seed and data give the same weights, whatever the threads.
pub(super) fn train(
    task: &Task<'_>,
    mut network: Network,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let params = task.params;
    let Some(layout) = network.layout() else {
        return Err(TrainError::Diverged { epoch: 0 });
    };
    let started = Instant::now();
    let deadline = params
        .max_seconds
        .map(|s| started + std::time::Duration::from_secs_f64(s.min(1e9)));
    let rule = Rule::adamw(params.l2);
    let weights = std::mem::take(&mut network.weights);
    let mut kinds = vec![WeightKind::Bias; weights.len()];
    layout
        .decayed()
        .into_iter()
        .for_each(|range| kinds[range].fill(WeightKind::Weight));
    let mut dense = Dense::new(weights, kinds, rule, false).clipped(params.gradient_clip);
    let mut random = Random::new(params.seed ^ 0x6c73_746d);
    let sampled = matches!(network.output, Output::Softmax { classes, .. } if params.negatives > 0 && params.negatives < classes);
    let mut sampler = sampled.then(|| Sampler::new(task.counts, params.negatives));
    let stride = stride(&network, params.window);
    let judged = sample_of(task.validation, params.seed, JUDGED);
    let mut lanes: Vec<Lane> = Vec::new();
    let mut batches: Vec<Vec<Stretch>>;
    let mut order = task.train.to_vec();
    let steps_in_epoch: usize = order.iter().map(|s| s.len as usize).sum();
    let mut best: Option<(f64, u32, Vec<f32>)> = None;
    let (mut history, mut stopped_by) = (Vec::<Epoch>::new(), "epochs");
    let (mut rate, mut worse) = (params.learning_rate, 0u32);
    let mut last_report = Instant::now();
    let mut done = 0usize;
    for epoch in 1..=params.epochs {
        let epoch_started = Instant::now();
        random.shuffle(&mut order);
        batches = order
            .chunks_mut(params.batch_size * POOL)
            .flat_map(|pool| {
                pool.sort_by_key(|s| std::cmp::Reverse(s.len));
                pool.chunks(params.batch_size).map(<[Stretch]>::to_vec)
            })
            .collect();
        random.shuffle(&mut batches);
        let (mut sum, mut answers, mut steps) = (0.0, 0usize, 0usize);
        let mut out_of_time = false;
        'batches: for batch in &batches {
            let longest = batch.first().map_or(0, |s| s.len as usize);
            let seed = random.next_u64();
            let mut count = 0;
            for from in (0..longest).step_by(stride) {
                if let Some(sampler) = &mut sampler {
                    sampler.draw(&mut random, &dense.weights, &layout, network.class_dim());
                }
                let shared = Shared {
                    network: &network,
                    layout: &layout,
                    weights: &dense.weights,
                    histories: task.histories,
                    of_key: task.of_key,
                    dropout: params.dropout,
                    sampler: sampler.as_ref(),
                    stride,
                };
                if from == 0 {
                    count = begin(&mut lanes, &shared, batch, Some(seed));
                }
                let own = &mut lanes[..count];
                let known = |step: usize, key: usize| shared.is_known(step, key);
                let asked: usize = own
                    .iter_mut()
                    .map(|lane| lane.lay_out(&shared, from, known))
                    .sum();
                let scale = 1.0 / asked.max(1) as f32;
                own.par_iter_mut().for_each(|lane| {
                    lane.loss = 0.0;
                    if asked > 0 || network.context == 0 {
                        lane.forward(&shared);
                    }
                    if asked > 0 {
                        lane.backward(&shared, scale);
                    }
                    // The way back began where the window did.
                    lane.carry(&shared);
                });
                steps += own.iter().map(|lane| lane.packed.len()).sum::<usize>();
                let loss: f64 = own.iter().map(|lane| lane.loss).sum();
                if !loss.is_finite() {
                    return Err(TrainError::Diverged { epoch });
                }
                sum += loss;
                answers += asked;
                if asked > 0 {
                    let mut gradients: Vec<&mut Vec<f32>> =
                        own.iter_mut().map(|lane| &mut lane.gradient).collect();
                    dense.step(&mut gradients, rate, 0.0);
                }
                if last_report.elapsed() >= REPORT {
                    last_report = Instant::now();
                    let speed = steps as f64 / epoch_started.elapsed().as_secs_f64().max(1e-9);
                    let all = f64::from(params.epochs) * steps_in_epoch as f64;
                    let left = (all - (done + steps) as f64).max(0.0) / speed;
                    let until =
                        deadline.map(|d| d.saturating_duration_since(Instant::now()).as_secs_f64());
                    let step = Step {
                        epoch,
                        epochs: params.epochs,
                        rows_per_second: speed,
                        loss: sum / answers.max(1) as f64,
                        validation_loss: history.last().and_then(|e| e.validation_loss),
                        eta_seconds: until.map_or(left, |u| u.min(left)),
                        ..Step::default()
                    };
                    if !report(&step) {
                        return Err(TrainError::Canceled);
                    }
                }
                if deadline.is_some_and(|d| Instant::now() >= d) {
                    out_of_time = true;
                    break 'batches;
                }
            }
        }
        done += steps;
        let train_seconds = epoch_started.elapsed().as_secs_f64().max(1e-9);
        let speed = steps as f64 / train_seconds;
        let train_loss = sum / answers.max(1) as f64;
        network.weights = std::mem::take(&mut dense.weights);
        let validation_loss = match judged.is_empty() {
            true => None,
            false => {
                let mut go = || {
                    report(&Step {
                        epoch,
                        epochs: params.epochs,
                        rows_per_second: speed,
                        loss: train_loss,
                        ..Step::default()
                    })
                };
                Some(loss(task, &network, &layout, &judged, &mut go)?)
            }
        };
        dense.weights = std::mem::take(&mut network.weights);
        let judgement = validation_loss.unwrap_or(train_loss);
        if !judgement.is_finite() {
            return Err(TrainError::Diverged { epoch });
        }
        history.push(Epoch {
            epoch,
            train_loss,
            validation_loss,
            learning_rate: rate,
            rows_per_second: speed,
            seconds: started.elapsed().as_secs_f64(),
        });
        if best.as_ref().is_none_or(|(loss, ..)| judgement < *loss) {
            best = Some((judgement, epoch, dense.weights.clone()));
            worse = 0;
        } else {
            worse += 1;
            rate *= SLOWER;
        }
        let step = Step {
            ended: true,
            epoch,
            epochs: params.epochs,
            rows_per_second: speed,
            loss: train_loss,
            validation_loss,
            eta_seconds: f64::from(params.epochs - epoch) * epoch_started.elapsed().as_secs_f64(),
            ..Step::default()
        };
        if !report(&step) {
            return Err(TrainError::Canceled);
        }
        if out_of_time || deadline.is_some_and(|d| Instant::now() >= d) {
            stopped_by = "max_seconds";
            break;
        }
        if params.early_stopping && worse >= params.patience {
            stopped_by = "early_stopping";
            break;
        }
        // Go on from the best so far, more slowly.
        if let (true, Some((_, _, weights))) = (worse > 0, &best) {
            dense.weights.copy_from_slice(weights);
        }
    }
    let (_, best_epoch, weights) = best.unwrap_or((0.0, 0, dense.weights));
    network.weights = weights;
    Ok(Trained {
        network,
        history,
        best_epoch,
        stopped_by,
    })
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

/// Mean loss of the answers of some stretches.
fn loss(
    task: &Task<'_>,
    network: &Network,
    layout: &Layout,
    stretches: &[Stretch],
    go: &mut dyn FnMut() -> bool,
) -> Result<f64, TrainError> {
    let runner = Runner {
        histories: task.histories,
        of_key: task.of_key,
        window: task.params.window,
        batch: task.params.batch_size,
    };
    let visit =
        |shared: &Shared<'_>, lane: &mut Lane| (lane.losses(shared), lane.packed.asked.len());
    let asks = |shared: &Shared<'_>, step, key| shared.is_known(step, key);
    let losses = runner
        .run(network, layout, stretches, asks, visit, go)
        .ok_or(TrainError::Canceled)?;
    let (sum, answers) = losses
        .iter()
        .fold((0.0, 0), |(s, n), (loss, asked)| (s + loss, n + asked));
    Ok(sum / answers.max(1) as f64)
}
