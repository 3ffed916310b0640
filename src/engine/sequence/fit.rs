//! From a log to a model: split, read, train, mix, judge.

use super::counts::Counts;
use super::encode::{Encoder, Histories, Target, TargetOf};
use super::judge::{self, Judge};
use super::log::Log;
use super::mixture::Mixture;
use super::model::SequenceModel;
use super::network::Network;
use super::packed::Stretch;
use super::params::{Params, ValidParams};
use super::split::{Part, by_key, by_step};
use super::train::{Task, Trained, train};
use crate::fit::{FitError, Progress};
use crate::train::Step;
use std::time::Instant;

/// What is learned from, chosen by and judged on.
pub(super) struct Stretches {
    train: Vec<Stretch>,
    validation: Vec<Stretch>,
    test: Vec<Stretch>,
}

/// Fits a model. Columns named in `aside` are not read; `report` answers whether to go on.
///
/// # Errors
/// Those of [`Encoder::fit`]; 22023 for options that cannot be used and for a log without anything to learn; 57014 where
/// `report` says to stop.
pub fn fit(
    log: &Log<'_>,
    target: &TargetOf,
    aside: &[String],
    params: &Params,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<SequenceModel, FitError> {
    let started = Instant::now();
    let phase = |name: &str, report: &mut dyn FnMut(&Progress) -> bool| {
        let go = report(&Progress::phase(name));
        go.then_some(()).ok_or_else(crate::fit::canceled)
    };
    phase("preparing", report)?;
    let of_key = *target == TargetOf::Key;
    let mean_steps = log.steps() as f64 / log.keys.len().max(1) as f64;
    let sizes = params.check(log.calendar, mean_steps, 0)?;
    let parts = if of_key {
        by_key(
            log.keys.len(),
            sizes.validation_size,
            sizes.test_size,
            sizes.seed,
        )
    } else {
        by_step(log, sizes.split, sizes.validation_size, sizes.test_size)
    };
    let encoder = Encoder::fit(log, &parts, target, aside, sizes.max_items)?;
    let mut params = params.check(log.calendar, mean_steps, encoder.classes())?;
    let histories = encoder.encode(log);
    let stretches = cut(&histories, &parts, of_key);
    if stretches.train.is_empty() {
        return Err(FitError::new("22023", "there is nothing to learn from")
            .detail("No key has two rows in the part that is learned from.")
            .hint("Option \"key\" names the column that tells whose rows they are."));
    }
    let counts = class_counts(&encoder, &histories, &parts);
    let network = Network::new(&encoder, &params, &counts);
    let whole = params.max_seconds;
    // Something must be learned, and what comes after takes its time, too.
    params.max_seconds = whole.map(|s| (0.85 * s - started.elapsed().as_secs_f64()).max(s / 4.0));
    phase("training", report)?;
    let task = Task {
        histories: &histories,
        of_key,
        train: &stretches.train,
        validation: &stretches.validation,
        counts: &counts,
        params: &params,
    };
    let mut step = |step: &Step| report(&Progress::of_step(step));
    let trained = train(&task, network, &mut step)?;
    params.max_seconds = whole;
    phase("evaluating", report)?;
    let mut go = || report(&Progress::phase("evaluating"));
    finish(
        log, encoder, &histories, &parts, &stretches, params, trained, started, &mut go,
    )
}

#[allow(clippy::too_many_arguments)]
fn finish(
    log: &Log<'_>,
    encoder: Encoder,
    histories: &Histories,
    parts: &[Part],
    stretches: &Stretches,
    params: ValidParams,
    trained: Trained,
    started: Instant,
    go: &mut dyn FnMut() -> bool,
) -> Result<SequenceModel, FitError> {
    let judge = Judge::new(&encoder, histories, &trained.network, &params);
    let counted = |to: Part| {
        let Target::Category(at) = encoder.target else {
            return Counts::default();
        };
        let until = |step: usize| match to {
            Part::Train => parts[step] == Part::Train,
            Part::Validation => parts[step] != Part::Test,
            Part::Test => true,
        };
        Counts::new(
            histories,
            &histories.codes[at],
            encoder.classes() - 1,
            until,
        )
    };
    let mut mixture = None;
    if matches!(encoder.target, Target::Category(_))
        && params.mixture
        && !stretches.validation.is_empty()
    {
        let counts = counted(Part::Train);
        let given = judge.given(&counts, &stretches.validation, go);
        let given = given.ok_or_else(crate::fit::canceled)?;
        let mut own = Mixture::fit(counts, &given);
        let exponents = judge.exponents(&own, &stretches.validation, go);
        own.exponents = exponents.ok_or_else(crate::fit::canceled)?;
        mixture = Some(own);
    }
    let (evaluated_on, own) = match (stretches.test.is_empty(), stretches.validation.is_empty()) {
        (false, _) => ("test", &stretches.test),
        (true, false) => ("validation", &stretches.validation),
        (true, true) => ("none", &stretches.test),
    };
    let counts = match evaluated_on {
        "test" => counted(Part::Validation),
        _ => counted(Part::Train),
    };
    // What lies before the steps that are judged may be counted; the shares stay as they are.
    let before = mixture.as_ref().map(|m| m.recounted(counts.clone()));
    let shares = judge::label_shares(&encoder, histories, parts);
    let scores = judge
        .scores(&counts, before.as_ref(), own, &shares, go)
        .ok_or_else(crate::fit::canceled)?;
    let mixture = mixture.map(|m| m.recounted(counted(Part::Test)));
    let answers =
        |part: &[Stretch]| -> u64 { part.iter().map(|s| u64::from(s.len - s.asked_from)).sum() };
    Ok(SequenceModel {
        mixture,
        scores,
        evaluated_on: evaluated_on.into(),
        history: trained.history,
        best_epoch: trained.best_epoch,
        stopped_by: trained.stopped_by.into(),
        keys: log.keys.len() as u64,
        steps: log.steps() as u64,
        dropped: log.dropped as u64,
        train_answers: answers(&stretches.train),
        validation_answers: answers(&stretches.validation),
        test_answers: answers(&stretches.test),
        seconds: started.elapsed().as_secs_f64(),
        encoder,
        network: trained.network,
        params,
    })
}

/// Cuts histories into what is learned from, chosen by and judged on. A stretch begins with its key's first step.
pub(super) fn cut(histories: &Histories, parts: &[Part], of_key: bool) -> Stretches {
    let mut out = Stretches {
        train: Vec::new(),
        validation: Vec::new(),
        test: Vec::new(),
    };
    for (key, range) in histories.offsets.windows(2).enumerate() {
        let mut add = |part: Part, len: usize, asked_from: usize| {
            let own = match part {
                Part::Train => &mut out.train,
                Part::Validation => &mut out.validation,
                Part::Test => &mut out.test,
            };
            if len > asked_from {
                own.push(Stretch {
                    key: key as u32,
                    len: len as u32,
                    asked_from: asked_from as u32,
                });
            }
        };
        if of_key {
            let len = range[1] - range[0];
            add(parts[key], len, len - 1);
            continue;
        }
        let own = &parts[range[0]..range[1]];
        let until = |part: fn(&Part) -> bool| own.iter().take_while(|p| part(p)).count();
        let train = until(|p| *p == Part::Train);
        let validation = until(|p| *p != Part::Test);
        // The last step of a stretch is asked about the step after it.
        let before = |end: usize| end.saturating_sub(1);
        add(Part::Train, before(train), 0);
        add(Part::Validation, before(validation), before(train));
        add(Part::Test, before(own.len()), before(validation));
    }
    out
}

/// Training steps, or keys, of each class.
fn class_counts(encoder: &Encoder, histories: &Histories, parts: &[Part]) -> Vec<usize> {
    let mut counts = vec![0; encoder.classes().saturating_sub(1)];
    let seen = histories.classes.iter().zip(parts);
    for (class, _) in seen.filter(|(class, part)| **class > 0 && **part == Part::Train) {
        counts[*class as usize - 1] += 1;
    }
    counts
}
