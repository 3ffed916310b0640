//! Training under differential privacy: samples of units drawn at random, one by one, and as many steps as were planned.

use super::cpu::Cpu;
use super::cpu::private::Cover;
use super::epochs::{Learner, eta, learning_rate};
use super::{Examples, REPORT, Step, Task, TrainError, start};
use crate::models::{Model, Output};
use crate::params::ValidParams;
use crate::privacy::{Plan, Privacy, noise::Noise};
use std::time::Instant;

/// What came of a private training.
pub(crate) struct Learned {
    pub model: Model,
    pub steps: u32,
    /// `epochs` or `max_seconds`.
    pub stopped_by: &'static str,
}

/// Trains a network on `train`, a step on `expected` units on average, whose rows belong to `units` (their positions, at most `privacy.rows_per_unit` of each). Nothing of the
/// rows is told but the weights: no loss, and whether training went well is for the scores to say.
pub(crate) fn train_privately(
    train: Examples<'_>,
    units: &[Vec<u32>],
    (output, outputs): (Output, usize),
    params: &ValidParams,
    (privacy, plan, expected): (&Privacy, &Plan, f64),
    noise: &mut Noise,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Learned, TrainError> {
    let task = Task {
        train,
        validation: None,
        output,
        outputs,
        params,
        extra: 0,
    };
    let cover = Cover::of(privacy, plan, expected);
    let mut learner = Cpu::private(&task, start::network(&task));
    learner.average_over(params.learning.averaging_epochs / plan.rate);
    let started = Instant::now();
    let deadline = task.deadline(started);
    let mut last_report = started;
    let (mut sample, mut rows_done, mut stopped_by) = (Vec::new(), 0usize, "epochs");
    let mut step = 0;
    while step < plan.steps {
        sample.clear();
        let drawn = units.iter().filter(|_| noise.chance(plan.rate));
        drawn.for_each(|unit| sample.extend_from_slice(unit));
        let done = f64::from(step) * plan.rate;
        let epoch = (done.floor() as u32 + 1).min(params.epochs);
        let within = (done - f64::from(epoch - 1)).clamp(0.0, 1.0);
        let warm = match params.warmup_epochs > 0.0 {
            true => ((done + plan.rate) / params.warmup_epochs).min(1.0),
            false => 1.0,
        };
        let rate = warm * learning_rate(params, epoch, within);
        learner.private_step(&sample, &cover, noise, rate);
        rows_done += sample.len();
        step += 1;
        if last_report.elapsed() >= REPORT {
            last_report = Instant::now();
            let seconds = started.elapsed().as_secs_f64().max(1e-9);
            let left = seconds / f64::from(step) * f64::from(plan.steps - step);
            let told = Step {
                epoch,
                epochs: params.epochs,
                rows_per_second: rows_done as f64 / seconds,
                loss: f64::NAN,
                eta_seconds: eta(left, deadline),
                ..Step::default()
            };
            if !report(&told) {
                return Err(TrainError::Canceled);
            }
        }
        if deadline.is_some_and(|d| Instant::now() >= d) && step < plan.steps {
            stopped_by = "max_seconds";
            break;
        }
    }
    learner.keep();
    Ok(Learned {
        model: learner.finish(),
        steps: step,
        stopped_by,
    })
}
