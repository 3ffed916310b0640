//! The pipeline: choose columns, split, prepare, train, evaluate.

mod cleaning;
mod columns;
mod construct;
mod cross_validate;
mod features;
mod finish;
mod guard;
mod prepare;
mod request;
mod settle;
mod split;
mod target;
mod trial;

use crate::artifact::Artifact;
use cleaning::Cleaning;
pub use construct::Construction;
pub use cross_validate::{CrossValidation, Folds, OutOfFold, Score, cross_validate};
pub use features::Choice;
use finish::Judged;
pub use guard::Leakage;
use request::canceled;
pub use request::{FitError, Progress, Request};
pub use split::Split;
use split::{Divider, Parts};
use std::time::Instant;
use target::Answers;
pub use target::label_of;

/// Fits a model; `report` answers whether to go on.
pub fn fit(
    mut request: Request,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Artifact, FitError> {
    let started = Instant::now();
    go(report(&Progress::phase("preparing")))?;
    let mut answers = target::prepare(&request)?;
    let cleaning = Cleaning::start(&request, &mut answers)?;
    // The sizes of the parts do not depend on how many rows are left for training; the other defaults do.
    let sizes = request.params.check(answers.task, answers.rows.len())?;
    let parts = Divider::new(&request.frame, &answers, &request.split, &sizes)?.parts()?;
    let judged = on(&mut request, &answers, parts, cleaning, started, report)?;
    Ok(judged.artifact)
}

/// Fits a model to a split.
fn on(
    request: &mut Request,
    answers: &Answers,
    mut parts: Parts,
    cleaning: Cleaning,
    started: Instant,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Judged, FitError> {
    let prepared = prepare::prepare(request, answers, &mut parts, cleaning, report)?;
    go(report(&Progress::phase("training")))?;
    let mut params = prepared.params.clone();
    // What was tried so far took of the time, but something must be trained.
    let gone = started.elapsed().as_secs_f64();
    params.max_seconds = params.max_seconds.map(|s| (s - gone).max(s / 4.0));
    let trained = prepared
        .matrices
        .train(&params, request.device, &mut |step| {
            report(&Progress::of_step(step))
        })?;
    let seconds = started.elapsed().as_secs_f64();
    go(report(&Progress::phase("evaluating")))?;
    let artifact = finish::artifact(request, answers, &parts, prepared, trained, seconds);
    finish::judge(artifact, &request.frame, answers, parts, &params)
}

fn go(ok: bool) -> Result<(), FitError> {
    if ok { Ok(()) } else { Err(canceled()) }
}

#[cfg(test)]
mod features_test;
#[cfg(test)]
mod settle_test;
#[cfg(test)]
mod tests;
