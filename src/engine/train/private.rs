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
    let course = Course {
        plan,
        units: units.len(),
        epochs: params.epochs,
        deadline: task.deadline(Instant::now()),
    };
    let mut sample = Vec::new();
    let mut take = |drawn: &[u32], done: f64, noise: &mut Noise| {
        sample.clear();
        let rows = drawn.iter().map(|unit| &units[*unit as usize]);
        rows.for_each(|unit| sample.extend_from_slice(unit));
        let epoch = course.epoch(done);
        let within = (done - f64::from(epoch - 1)).clamp(0.0, 1.0);
        let warm = match params.warmup_epochs > 0.0 {
            true => ((done + plan.rate) / params.warmup_epochs).min(1.0),
            false => 1.0,
        };
        let rate = warm * learning_rate(params, epoch, within);
        learner.private_step(&sample, &cover, noise, rate);
        sample.len()
    };
    let (steps, stopped_by) = take_steps(&course, noise, &mut take, report)?;
    learner.keep();
    Ok(Learned {
        model: learner.finish(),
        steps,
        stopped_by,
    })
}

/// How far a private training goes.
pub(crate) struct Course<'a> {
    pub plan: &'a Plan,
    pub units: usize,
    pub epochs: u32,
    /// No step is begun from then on.
    pub deadline: Option<Instant>,
}

impl Course<'_> {
    /// The epoch, from 1, after so many are done.
    fn epoch(&self, done: f64) -> u32 {
        (done.floor() as u32 + 1).min(self.epochs)
    }
}

/// Takes the steps that are planned: `take` learns from a sample of the units, with so many epochs done, and answers how many rows it
/// has read, or how many units. Answers how many steps there were, and what ended them: `epochs` or `max_seconds`.
///
/// # Errors
/// [`TrainError::Canceled`] where `report` says so.
pub(crate) fn take_steps(
    course: &Course<'_>,
    noise: &mut Noise,
    take: &mut dyn FnMut(&[u32], f64, &mut Noise) -> usize,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<(u32, &'static str), TrainError> {
    let plan = course.plan;
    let started = Instant::now();
    let mut last_report = started;
    let (mut sample, mut rows_done, mut step) = (Vec::new(), 0usize, 0);
    while step < plan.steps {
        sample.clear();
        sample.extend((0..course.units as u32).filter(|_| noise.chance(plan.rate)));
        let done = f64::from(step) * plan.rate;
        rows_done += take(&sample, done, noise);
        step += 1;
        if last_report.elapsed() >= REPORT {
            last_report = Instant::now();
            let seconds = started.elapsed().as_secs_f64().max(1e-9);
            let left = seconds / f64::from(step) * f64::from(plan.steps - step);
            let told = Step {
                epoch: course.epoch(done),
                epochs: course.epochs,
                rows_per_second: rows_done as f64 / seconds,
                loss: f64::NAN,
                eta_seconds: eta(left, course.deadline),
                ..Step::default()
            };
            if !report(&told) {
                return Err(TrainError::Canceled);
            }
        }
        if course.deadline.is_some_and(|d| Instant::now() >= d) && step < plan.steps {
            return Ok((step, "max_seconds"));
        }
    }
    Ok((step, "epochs"))
}
