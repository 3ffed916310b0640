//! The pipeline: choose columns, split, prepare, train, evaluate.

mod augment;
mod challenge;
mod cleaning;
mod columns;
mod construct;
mod cross_validate;
mod distill;
mod fairness;
mod features;
mod finish;
mod guard;
mod partition;
mod prepare;
mod private;
mod request;
mod settle;
mod shadows;
mod shards;
mod split;
mod spread;
mod target;
mod trial;
mod tuned;
mod uplift;
mod warm;

use crate::artifact::{Artifact, Task};
use crate::train::Step;
pub use augment::{Augment, Augmentation};
pub use challenge::Challenge;
use cleaning::Cleaning;
pub use construct::Construction;
pub use cross_validate::{CrossValidation, Folds, OutOfFold, Score, cross_validate};
pub use distill::Distillation;
pub use fairness::Sensitive;
pub use features::Choice;
use finish::Judged;
pub use guard::Leakage;
pub(crate) use private::{
    UNTOLD, check_given, enough, known, no_noise, of_answer, question, units_of,
};
pub(crate) use request::canceled;
pub use request::{FitError, Progress, Request, TaskOptions};
pub use shadows::leak_test;
pub use shards::Shards;
pub use split::Split;
use split::{Divider, Parts};
use std::time::Instant;
use target::Answers;
pub(crate) use target::MAX_CLASSES;
pub use target::{known_truth_of, label_of, truth_of};
pub use warm::Start;

/// The share of the time there is that is left for scoring, and the most seconds.
const SCORING: f64 = 0.1;
const MOST_SCORING: f64 = 1.0;

/// Fits a model; `report` answers whether to go on.
pub fn fit(
    mut request: Request,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Artifact, FitError> {
    let started = Instant::now();
    go(report(&Progress::phase("preparing")))?;
    if let Some(privacy) = &request.params.privacy {
        let mut artifact = private::fit(&request, privacy, None, report)?;
        artifact.provenance.challenge = request.champion.as_ref().map(|champion| {
            let reason = "a private model keeps no rows to be compared on".into();
            Challenge::refused(&champion.name, reason)
        });
        return Ok(artifact);
    }
    let mut answers = target::prepare(&request)?;
    let cleaning = Cleaning::start(&request, &mut answers)?;
    // The sizes of the parts do not depend on how many rows are left for training; the other defaults do.
    let sizes = request.params.check(answers.task, answers.rows.len())?;
    answers.check_loss(&request.target, &sizes)?;
    let mut judged = match request.shards.take() {
        Some(shards) => shards::on(&mut request, &answers, &shards, cleaning, started, report)?,
        None => {
            let parts = Divider::new(&request.frame, &answers, &request.split, &sizes)?.parts()?;
            on(&mut request, &answers, parts, cleaning, started, report)?
        }
    };
    if let Some(champion) = request.champion.take() {
        if let Some(encoder) = &request.params.text_model {
            champion.artifact.recipe.attach(encoder);
        }
        let known = request.params.text_model.as_ref().map(|e| e.fingerprint());
        let needed = champion.artifact.recipe.text_model();
        let challenge = if needed.is_some() && needed != known {
            let reason = "it needs the text model it was trained with";
            Challenge::refused(&champion.name, reason.into())
        } else {
            // Inside the pool, as the new version is judged.
            let frame = &request.frame;
            rayon::scope(|_| challenge::against(champion, frame, &answers, &judged))
        };
        judged.artifact.provenance.challenge = Some(challenge);
    }
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
    let mut prepared = prepare::prepare(request, answers, &mut parts, cleaning, report)?;
    go(report(&Progress::phase("training")))?;
    let mut params = prepared.params.clone();
    // What was tried so far took of the time, but something must be trained.
    let gone = started.elapsed().as_secs_f64();
    let left = |s: f64| (s - gone - f64::min(s * SCORING, MOST_SCORING)).max(s / 4.0);
    params.max_seconds = params.max_seconds.map(left);
    partition::check(request, answers.task, &parts, &prepared)?;
    augment::check(request, answers.task, &parts)?;
    let distills = distill::wanted(request, answers.task)?;
    let whole = params.max_seconds;
    if request.partition.is_some() {
        params.max_seconds = whole.map(|s| s * partition::SHARED);
    }
    if distills {
        params.max_seconds = params.max_seconds.map(|s| s * distill::TEACHING);
    }
    let training = params.max_seconds;
    if request.augment.is_some() {
        params.max_seconds = training.map(|s| s * augment::WITHOUT);
    }
    let mut step = |step: &Step| report(&Progress::of_step(step));
    let (mut trained, trials) = match &request.params.tune {
        None if answers.task == Task::Uplift => (
            uplift::train(&mut prepared, request, answers, &parts, &params, &mut step)?,
            Vec::new(),
        ),
        Some(_) if answers.task == Task::Uplift => {
            return Err(FitError::new("22023", "option \"tune\" is not for uplift")
                .hint("Leave it out: two models, or one of a transformed outcome, are trained."));
        }
        None => (
            prepared
                .matrices
                .train(&params, &request.device, &mut step)?,
            Vec::new(),
        ),
        Some(tune) => {
            let (task, matrices) = (answers.task, &prepared.matrices);
            let (trained, chosen, trials) =
                tuned::tuned(tune, request, task, matrices, &params, &mut step)?;
            params = chosen;
            (trained, trials)
        }
    };
    let mut augmentation = None;
    if let Some(augment) = &request.augment {
        let spent = started.elapsed().as_secs_f64() - gone;
        params.max_seconds = training.map(|s| (s - spent).max(s / 20.0));
        let ground = augment::Ground {
            request,
            answers,
            parts: &parts,
            matrices: &prepared.matrices,
            params: &params,
        };
        augmentation = Some(augment::train(augment, &ground, &mut trained, report)?);
        params.max_seconds = training;
    }
    let mut step = |step: &Step| report(&Progress::of_step(step));
    let distillation = match distills {
        true => {
            let (task, matrices) = (answers.task, &prepared.matrices);
            let found = distill::train(request, task, matrices, &params, &mut trained, &mut step)?;
            Some(found)
        }
        false => None,
    };
    let proxies = fairness::proxies(request, answers, &parts, &prepared, &params, &mut step)?;
    let mut own = None;
    if let (Some(column), Some(shared)) = (&request.partition, &mut trained.held_out) {
        let gone = started.elapsed().as_secs_f64() - gone;
        let mut rest = params.clone();
        rest.max_seconds = whole.map(|s| (s - gone).max(s / 20.0));
        let (parts, prepared) = (&parts, &prepared);
        own = Some(partition::train(
            column, request, answers, parts, prepared, &rest, shared, &mut step,
        )?);
    }
    let seconds = started.elapsed().as_secs_f64();
    go(report(&Progress::phase("evaluating")))?;
    // Models of one arm have answers for the rows of that arm alone.
    let held_out = trained.held_out.take();
    let held_out = held_out.filter(|_| answers.task != Task::Uplift);
    prepared.params = params.clone();
    let mut artifact = finish::artifact(request, answers, &parts, prepared, trained, seconds);
    artifact.trials = trials;
    artifact.provenance.augmentation = augmentation;
    artifact.provenance.distillation = distillation;
    artifact.provenance.fairness = fairness::beside(answers, proxies);
    if let Some((partition, notes)) = own {
        artifact.partition = Some(partition);
        artifact.provenance.segments = notes;
    }
    finish::judge(
        artifact,
        &request.frame,
        answers,
        parts,
        &params,
        held_out,
        report,
    )
}

fn go(ok: bool) -> Result<(), FitError> {
    if ok { Ok(()) } else { Err(canceled()) }
}

#[cfg(test)]
mod augment_test;
#[cfg(test)]
mod challenge_test;
#[cfg(test)]
mod distill_test;
#[cfg(test)]
mod fairness_test;
#[cfg(test)]
mod features_test;
#[cfg(test)]
mod losses_test;
#[cfg(test)]
mod partition_test;
#[cfg(test)]
mod settle_test;
#[cfg(test)]
mod shadows_test;
#[cfg(test)]
mod survival_test;
#[cfg(test)]
mod tasks_test;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tuned_test;
#[cfg(test)]
mod uplift_test;
