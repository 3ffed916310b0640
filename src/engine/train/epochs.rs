//! The training loop: epochs, learning rate, early stopping, the best weights so far.

use super::{REPORT, Step, Task, TrainError, Trained};
use crate::artifact::Epoch;
use crate::models::{Model, Part};
use crate::params::ValidParams;
use crate::random::Random;
use std::time::Instant;

/// Something that learns: a network on a device with its optimiser.
pub(super) trait Learner {
    /// One step on the given training rows: the sum of their losses times their weights, and of their weights.
    fn step(&mut self, rows: &[u32], rate: f64) -> (f64, f64);
    /// What the steps since then have not told of their losses, because a device works while others are asked for; waits for it.
    fn owed(&mut self) -> f64 {
        0.0
    }
    /// Mean loss over the validation rows, if there are any, of the weights that would be kept.
    fn validation_loss(&mut self) -> Option<f64>;
    /// Remembers the weights as they are now, or their average.
    fn keep(&mut self);
    /// The model with the weights that were kept last.
    fn finish(self) -> Model;
}

/// The learning rate of a step, `within` 0 to 1 through an epoch.
pub(super) fn learning_rate(params: &ValidParams, epoch: u32, within: f64) -> f64 {
    let schedule = params.learning.learning_rate_schedule;
    params.learning_rate * schedule.share(epoch, within, params.epochs)
}

pub(super) fn run(
    task: &Task<'_>,
    mut learner: impl Learner,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let params = task.params;
    let mut random = Random::new(params.seed ^ 0x5bd1_e995);
    let mut order: Vec<u32> = (0..task.train.matrix.rows as u32).collect();
    let started = Instant::now();
    let deadline = task.deadline(started);
    let mut best: Option<(f64, u32)> = None;
    let mut history = Vec::new();
    let mut stopped_by = "epochs";
    let mut last_report = Instant::now();
    let mut rows_done = 0usize;
    let mut steps = 0.0;
    let in_epoch = order.len().div_ceil(params.batch_size) as f64;
    let warming = params.warmup_epochs * in_epoch;
    if params.start.is_some()
        // What there is already is only replaced by what does better.
        && let Some(loss) = learner.validation_loss()
        && loss.is_finite()
    {
        best = Some((loss, 0));
        learner.keep();
    }
    for epoch in 1..=params.epochs {
        let epoch_started = Instant::now();
        let mut rate = 0.0;
        random.shuffle(&mut order);
        let (mut sum, mut weight, mut epoch_rows) = (0.0, 0.0, 0usize);
        let mut out_of_time = false;
        for (batch, rows) in order.chunks(params.batch_size).enumerate() {
            steps += 1.0;
            rate = learning_rate(params, epoch, (batch as f64 + 0.5) / in_epoch);
            // A slow start keeps the first, large gradients from throwing the weights about (Goyal et al. 2017).
            let warm = if warming > 0.0 {
                f64::min(steps / warming, 1.0)
            } else {
                1.0
            };
            let (loss, batch_weight) = learner.step(rows, rate * warm);
            if !loss.is_finite() {
                return Err(TrainError::Diverged { epoch });
            }
            sum += loss;
            weight += batch_weight;
            epoch_rows += rows.len();
            rows_done += rows.len();
            if last_report.elapsed() >= REPORT {
                last_report = Instant::now();
                sum += learner.owed();
                if !sum.is_finite() {
                    return Err(TrainError::Diverged { epoch });
                }
                let speed = epoch_rows as f64 / epoch_started.elapsed().as_secs_f64().max(1e-9);
                let left = f64::from(params.epochs) * order.len() as f64 - rows_done as f64;
                let step = Step {
                    boosting: false,
                    ended: false,
                    epoch,
                    epochs: params.epochs,
                    rows_per_second: speed,
                    loss: sum / weight.max(f64::MIN_POSITIVE),
                    validation_loss: history.last().and_then(|e: &Epoch| e.validation_loss),
                    eta_seconds: eta(left / speed, deadline),
                };
                if !report(&step) {
                    return Err(TrainError::Canceled);
                }
            }
            if deadline.is_some_and(|d| Instant::now() >= d) {
                out_of_time = true;
                break;
            }
        }
        sum += learner.owed();
        let train_seconds = epoch_started.elapsed().as_secs_f64().max(1e-9);
        let validation_loss = learner.validation_loss();
        let train_loss = sum / weight.max(f64::MIN_POSITIVE);
        let judged = validation_loss.unwrap_or(train_loss);
        if !judged.is_finite() || !train_loss.is_finite() {
            return Err(TrainError::Diverged { epoch });
        }
        history.push(Epoch {
            epoch,
            train_loss,
            validation_loss,
            learning_rate: rate,
            rows_per_second: epoch_rows as f64 / train_seconds,
            seconds: started.elapsed().as_secs_f64(),
        });
        if best.is_none_or(|(loss, _)| judged < loss) {
            best = Some((judged, epoch));
            learner.keep();
        }
        let speed = epoch_rows as f64 / train_seconds;
        let left = f64::from(params.epochs) * order.len() as f64 - rows_done as f64;
        let step = Step {
            boosting: false,
            ended: true,
            epoch,
            epochs: params.epochs,
            rows_per_second: speed,
            loss: train_loss,
            validation_loss,
            eta_seconds: eta(left / speed, deadline),
        };
        last_report = Instant::now();
        if !report(&step) {
            return Err(TrainError::Canceled);
        }
        let since = best.map_or(0, |(_, at)| epoch - at);
        if out_of_time || deadline.is_some_and(|d| Instant::now() >= d) {
            stopped_by = "max_seconds";
            break;
        }
        if params.early_stopping && task.validation.is_some() && since >= params.patience {
            stopped_by = "early_stopping";
            break;
        }
    }
    let Some((_, best_epoch)) = best else {
        return Err(TrainError::Diverged { epoch: 0 });
    };
    Ok(Trained {
        parts: vec![Part {
            share: 1.0,
            model: learner.finish(),
        }],
        history,
        best_epoch,
        stopped_by,
        held_out: None,
    })
}

pub(super) fn eta(seconds: f64, deadline: Option<Instant>) -> f64 {
    let left = deadline.map_or(f64::INFINITY, |d| {
        d.saturating_duration_since(Instant::now()).as_secs_f64()
    });
    seconds.max(0.0).min(left)
}
