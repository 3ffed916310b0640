//! A sequence model under differential privacy: the unit is the key, with all its rows.
//!
//! Each key is dealt to the training or the test part by itself, and of each at most the last steps are learned from, one window of them, so
//! that it has one gradient in a step. All keys are asked about what columns look like; beyond that, those of the training part cost what the
//! steps of training cost, and those of the test part what the scores cost, as in [`crate::fit`]'s private models.

mod columns;
mod options;
mod scores;
mod train;

use super::encode::TargetOf;
use super::log::Log;
use super::model::SequenceModel;
use super::network::Network;
use super::packed::Stretch;
use super::params::Params;
use super::statics::Statics;
use crate::fit::{FitError, Progress, canceled, enough, no_noise};
use crate::frame::Frame;
use crate::privacy::noise::Noise;
use crate::privacy::{Asked, Plan, Privacy, Spent, ask};
use crate::train::cpu::private::Cover;
use crate::train::{Course, Step};
use columns::Columns;
pub(super) use options::check_beside;
use scores::Judge;
use std::time::{Duration, Instant};

/// Of the time there may be, the share that is for training.
const FOR_TRAINING: f64 = 0.9;

/// Fits a model as `privacy` asks. `statics` has a row for each key with what is known of it; columns named in `aside` are not read;
/// `report` answers whether to go on.
///
/// # Errors
/// 0A000 for counts, which are not made private; 42703 and 42804 for a target that is not there or cannot be one; 22023 for options
/// that cannot be used, for too few keys, and for a target of which too little can be told; 57014 where `report` says to stop;
/// 58000 where there is no noise.
pub fn fit(
    log: &Log<'_>,
    statics: Option<&Frame>,
    target: &TargetOf,
    aside: &[String],
    params: &Params,
    privacy: &Privacy,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<SequenceModel, FitError> {
    let started = Instant::now();
    let phase = |name: &str, report: &mut dyn FnMut(&Progress) -> bool| {
        let go = report(&Progress::phase(name));
        go.then_some(()).ok_or_else(canceled)
    };
    if matches!(target, TargetOf::Count { .. }) {
        return Err(no_counts());
    }
    let privacy = privacy.of_key(&log.key)?;
    enough(log.keys.len())?;
    phase("preparing", report)?;
    let mut noise = Noise::from_system()?;
    let of_key = *target == TargetOf::Key;
    let delta = privacy.delta.unwrap_or(0.1 / log.keys.len() as f64);
    let test_size = params.test_size.unwrap_or(options::TEST_SIZE);
    let is_test: Vec<bool> = log.keys.iter().map(|_| noise.chance(test_size)).collect();
    let (test, training): (Vec<usize>, Vec<usize>) =
        (0..log.keys.len()).partition(|key| is_test[*key]);
    if training.is_empty() {
        return Err(
            FitError::new("22023", "no key is left to train on").hint("Give a smaller test_size.")
        );
    }
    let params = options::complete(params, &privacy, training.len());
    let valid = params.check(log.calendar, 1.0, 0)?;
    // What a sample is and how often each key is drawn must be known before anything is asked.
    let rate = (valid.batch_size as f64 / training.len().max(1) as f64).min(1.0);
    // The step after the last one that is read is only answered.
    let recent = log.last(valid.window + usize::from(!of_key));
    let columns = Columns::of(&recent, statics, target, aside, &privacy, &mut noise)?;
    let questions = columns.questions();
    let texts = questions.iter().any(|q| q.asked == Asked::Levels);
    let epochs = f64::from(valid.epochs);
    let plan = Plan::new(&privacy, delta, (questions.len(), texts), (rate, epochs))
        .ok_or_else(|| no_noise(&privacy, delta))?;
    let rows: Vec<u32> = (0..log.keys.len() as u32).collect();
    let found = match &plan.preparation {
        Some(cost) => ask(&questions, &rows, cost, &mut noise)?,
        None => Vec::new(),
    };
    let prepared = columns.prepared();
    let mut told = columns.told(found, &privacy, valid.max_items)?;
    let histories = told
        .encoder
        .encode(&with_statics(recent, statics, &told.statics));
    let keys: Vec<Stretch> = training
        .iter()
        .map(|key| {
            stretch(
                *key,
                histories.offsets[key + 1] - histories.offsets[*key],
                of_key,
            )
        })
        .collect();
    let network = Network::new(&told.encoder, &valid, &told.counts);
    phase("training", report)?;
    let task = train::Task {
        histories: &histories,
        of_key,
        keys: &keys,
        params: &valid,
        cover: Cover::of(&privacy, &plan, rate * training.len() as f64),
    };
    let left = |s: f64| started + Duration::from_secs_f64((FOR_TRAINING * s).min(1e9));
    let course = Course {
        plan: &plan,
        units: keys.len(),
        epochs: valid.epochs,
        deadline: valid.max_seconds.map(left),
    };
    let mut step = |step: &Step| report(&Progress::of_step(step));
    let (network, steps, stopped_by) =
        train::train(&task, network, &course, &mut noise, &mut step)?;
    phase("evaluating", report)?;
    let mut scores = Vec::new();
    if !test.is_empty() {
        let whole =
            told.encoder
                .encode(&with_statics(log.last(usize::MAX), statics, &told.statics));
        let judge = Judge {
            encoder: &told.encoder,
            histories: &whole,
            network: &network,
            params: &valid,
            counts: &told.counts,
            keys: log.keys.len(),
            values: &told.values,
            epsilon: plan.left_without_training(),
        };
        let mut go = || report(&Progress::phase("evaluating"));
        scores = judge.scores(&test, &mut noise, &mut go)?;
    }
    let spent = Spent {
        rows_per_unit: valid.window,
        ..plan.spending(
            &privacy,
            steps,
            (training.len(), log.keys.len()),
            prepared,
            !test.is_empty(),
        )
    };
    told.encoder.excluded.extend(told.statics.excluded.clone());
    told.encoder.static_columns = told.statics;
    Ok(SequenceModel {
        encoder: told.encoder,
        network,
        mixture: None,
        purchases: None,
        scores,
        evaluated_on: if test.is_empty() { "none" } else { "test" }.into(),
        history: Vec::new(),
        best_epoch: valid.epochs,
        stopped_by: stopped_by.into(),
        keys: log.keys.len() as u64,
        // How many rows the keys have is theirs.
        steps: 0,
        dropped: 0,
        train_answers: training.len() as u64,
        validation_answers: 0,
        test_answers: test.len() as u64,
        seconds: started.elapsed().as_secs_f64(),
        params: valid,
        privacy: Some(spent),
    })
}

/// Adds what is known of each key.
fn with_statics<'a>(log: Log<'a>, frame: Option<&Frame>, statics: &Statics) -> Log<'a> {
    let Some(frame) = frame else {
        return log;
    };
    let by_key = statics.by_key(frame, &log.key);
    log.with_statics(statics.width(), |key| by_key.get(key).map(Vec::as_slice))
}

/// What is learned of a key with so many recent steps: the answers after each but the last, or the one after the last.
fn stretch(key: usize, steps: usize, of_key: bool) -> Stretch {
    let len = if of_key {
        steps
    } else {
        steps.saturating_sub(1)
    };
    Stretch {
        key: key as u32,
        len: len as u32,
        asked_from: if of_key {
            len.saturating_sub(1) as u32
        } else {
            0
        },
    }
}

fn no_counts() -> FitError {
    FitError::new(
        "0A000",
        "differential privacy is not done for counts of what is to come (option \"horizon\")",
    )
    .hint("The next row's value, the time to it, and labels of keys can be learned with the option \"privacy\".")
}

#[cfg(test)]
#[path = "private_test.rs"]
mod tests;
