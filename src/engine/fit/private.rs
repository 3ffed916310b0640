//! A fit under differential privacy: everything that a model keeps of rows has noise, and what the noise costs is accounted for.
//!
//! Each unit, a row or all rows of a customer, is dealt to the training or the test part by itself, so that no unit decides where
//! another one goes. Units of both parts are asked about what columns look like; beyond that, those of the training part cost
//! what the steps of training cost, and those of the test part what the scores cost. As no unit is in both, a model costs the greater
//! of the two (parallel composition: McSherry 2009, "Privacy integrated queries").

mod columns;
mod scores;

use super::split::{Parts, grouped};
use super::target::{self, Answers};
use super::{FitError, Progress, Request, finish, prepare};
use crate::artifact::{Artifact, Provenance, Seen, Target};
use crate::drift::Statistics;
use crate::evaluate::Evaluation;
use crate::explain::Kept;
use crate::frame::Frame;
use crate::models::{Output, Part};
use crate::params::{Params, ValidParams};
use crate::privacy::noise::{Noise, NoiseError};
use crate::privacy::outcomes::Cost;
use crate::privacy::{Plan, Privacy, Spent, ask};
use crate::settled::Settled;
use crate::train::{Examples, Step, train_privately};
use columns::Columns;
pub(crate) use columns::{UNTOLD, check_given, known, of_answer, question};
use std::time::Instant;

/// Fewer units are too few to hide one among.
const MIN_UNITS: usize = 50;

impl From<NoiseError> for FitError {
    fn from(e: NoiseError) -> Self {
        FitError::new("58000", "noise for differential privacy cannot be made")
            .detail(format!("{e}."))
    }
}

/// The units of a part, their rows, and the places of the rows of each unit among them.
#[derive(Default)]
struct Dealt {
    rows: Vec<u32>,
    units: Vec<Vec<u32>>,
}

impl Dealt {
    fn add(&mut self, rows: &[u32]) {
        if rows.is_empty() {
            return;
        }
        let first = self.rows.len() as u32;
        self.units
            .push((first..first + rows.len() as u32).collect());
        self.rows.extend_from_slice(rows);
    }
}

/// Fits a model as `privacy` asks, on some rows, ascending, or on all; `report` answers whether to go on.
pub(super) fn fit(
    request: &Request,
    privacy: &Privacy,
    rows: Option<&[u32]>,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Artifact, FitError> {
    let started = Instant::now();
    let mut noise = Noise::from_system()?;
    let units = units(request, privacy, rows, &mut noise)?;
    let delta = privacy.delta.unwrap_or(0.1 / units.len() as f64);
    let test_size = request.params.test_size.unwrap_or(0.2);
    let is_test: Vec<bool> = units.iter().map(|_| noise.chance(test_size)).collect();
    let to_train = is_test.iter().filter(|test| !**test).count();
    // What a sample is and how often each is drawn must be known before anything is asked.
    let sizes = privacy.complete(&request.params, to_train);
    let batch = sizes.batch_size.unwrap_or(1) as f64;
    let rate = (batch / to_train.max(1) as f64).min(1.0);
    let epochs = f64::from(sizes.epochs.unwrap_or(1));
    let columns = Columns::of(request, privacy)?;
    let plan = Plan::new(
        privacy,
        delta,
        (columns.asked.len(), columns.texts()),
        (rate, epochs),
    )
    .ok_or_else(|| no_noise(privacy, delta))?;
    let counted: Vec<u32> = units.iter().flatten().copied().collect();
    let found = match &plan.preparation {
        Some(cost) => ask(&columns.questions(request), &counted, cost, &mut noise)?,
        None => Vec::new(),
    };
    let prepared = columns.prepared();
    let told = columns.told(request, privacy, found, counted.len())?;
    let mut answers = target::of_told(request, told.target, counted)?;
    let (mut train, mut test) = (Dealt::default(), Dealt::default());
    let known = answers.known(request.frame.rows());
    for (unit, is_test) in units.iter().zip(&is_test) {
        let own: Vec<u32> = unit
            .iter()
            .filter(|row| known[**row as usize])
            .copied()
            .collect();
        if *is_test { &mut test } else { &mut train }.add(&own);
    }
    if train.units.is_empty() {
        return Err(
            FitError::new("22023", "no row to train on has a label that is told")
                .hint("Give the labels that there are: \"privacy\": {\"categories\": ...}."),
        );
    }
    let params = request.params.check(answers.task, to_train)?;
    if params.loss.of_logarithms() {
        // To refuse them would tell that there are some.
        answers.raise_negatives();
    }
    let scale = told.scale.scale(&params);
    let (output, outputs) = answers.output(&scale);
    let recipe = crate::recipe::Recipe::of_told(told.columns, &params.preparation);
    let parts = Parts {
        train: train.rows,
        validation: Vec::new(),
        test: test.rows,
    };
    prepare::check_memory(&recipe, request, &answers, &parts)?;
    super::go(report(&Progress::phase("training")))?;
    let matrix = recipe.transform(&request.frame, &parts.train);
    let targets = answers.network_targets(&parts.train, &scale);
    let weights = answers.weights(&parts.train, &params.class_weight)?;
    let examples = Examples {
        matrix: &matrix,
        targets: &targets,
        weights: &weights,
    };
    let mut step = |step: &Step| report(&Progress::of_step(step));
    let learned = train_privately(
        examples,
        &train.units,
        (output, outputs),
        &params,
        (privacy, &plan, rate * to_train as f64),
        &mut noise,
        &mut step,
    )?;
    super::go(report(&Progress::phase("evaluating")))?;
    let spent = plan.spending(
        privacy,
        learned.steps,
        (to_train, units.len()),
        prepared,
        !parts.test.is_empty(),
    );
    let artifact = artifact(Made {
        request,
        answers: &answers,
        parts: &parts,
        params: &params,
        scale: &scale,
        recipe,
        model: learned.model,
        log: output == Output::Exp,
        evaluation: Evaluation::empty(told.scale.baseline(&answers)),
        excluded: told.excluded,
        units: (to_train, units.len() - to_train),
        stopped_by: learned.stopped_by,
        seconds: started.elapsed().as_secs_f64(),
        spent,
    });
    let mut predictor = finish::predictor(artifact)?;
    if !parts.test.is_empty() {
        let begun = Instant::now();
        let predictions =
            predictor.predict_frame(&request.frame, &parts.test, rayon::current_num_threads());
        let seconds = begun.elapsed().as_secs_f64();
        let cost = Cost {
            epsilon: plan.left_without_training(),
            rows_per_unit: privacy.rows_per_unit,
        };
        let truth = answers.truth(&parts.test);
        let mut artifact = predictor.into_artifact();
        scores::score(
            &mut artifact,
            &truth,
            &predictions,
            &told.scale,
            cost,
            &mut noise,
        )?;
        artifact.provenance.predict_seconds = seconds;
        predictor = finish::predictor(artifact)?;
    }
    let mut artifact = predictor.into_artifact();
    if let Some(spent) = &artifact.provenance.privacy {
        artifact.evaluation.metrics.extend(spent.metrics());
    }
    Ok(artifact)
}

/// The rows of each unit that has a target, so many of them at most, chosen at random.
fn units(
    request: &Request,
    privacy: &Privacy,
    rows: Option<&[u32]>,
    noise: &mut Noise,
) -> Result<Vec<Vec<u32>>, FitError> {
    let frame = &request.frame;
    let target = frame.column(&request.target);
    let target = target.ok_or_else(|| missing(&request.target))?;
    let known = |row: &u32| !target.nulls.get(*row as usize);
    let rows: Vec<u32> = match rows {
        Some(rows) => rows.iter().copied().filter(known).collect(),
        None => (0..target.len() as u32).filter(known).collect(),
    };
    units_of(frame, rows, privacy, noise)
}

/// The units that some rows belong to, and so many rows of each at most, chosen at random.
///
/// # Errors
/// 42703 for a column that is not there, 22023 for too few units.
pub(crate) fn units_of(
    frame: &Frame,
    rows: Vec<u32>,
    privacy: &Privacy,
    noise: &mut Noise,
) -> Result<Vec<Vec<u32>>, FitError> {
    let mut units = match &privacy.unit {
        None => rows.into_iter().map(|row| vec![row]).collect(),
        Some(name) => grouped(frame.column(name).ok_or_else(|| missing(name))?, &rows),
    };
    enough(units.len())?;
    for unit in &mut units {
        noise.choose(unit, privacy.rows_per_unit);
    }
    Ok(units)
}

fn missing(name: &str) -> FitError {
    FitError::new("42703", format!("column \"{name}\" does not exist"))
}

/// Whether there are units enough.
///
/// # Errors
/// 22023 where there are too few.
pub(crate) fn enough(units: usize) -> Result<(), FitError> {
    if units >= MIN_UNITS {
        return Ok(());
    }
    Err(FitError::new(
        "22023",
        format!("{units} units are too few to train on under differential privacy"),
    )
    .detail(format!(
        "At least {MIN_UNITS} rows, or values of the column that says whose rows they are, are needed; without a known target they do not count."
    )))
}

pub(crate) fn no_noise(privacy: &Privacy, delta: f64) -> FitError {
    FitError::new(
        "22023",
        format!(
            "no noise keeps to an epsilon of {} with a delta of {delta:e}",
            privacy.epsilon
        ),
    )
    .hint("Give a larger epsilon or delta.")
}

/// What an artifact is made of.
struct Made<'a> {
    request: &'a Request,
    answers: &'a Answers,
    parts: &'a Parts,
    params: &'a ValidParams,
    scale: &'a target::Scale,
    recipe: crate::recipe::Recipe,
    model: crate::models::Model,
    log: bool,
    evaluation: Evaluation,
    excluded: Vec<(String, String)>,
    /// Of the training and the test part, whatever labels they have.
    units: (usize, usize),
    stopped_by: &'static str,
    seconds: f64,
    spent: Spent,
}

/// The artifact, which keeps nothing of rows: no sample, no statistics, no hashes, and no numbers of rows but those that do not
/// depend on what is in them.
fn artifact(made: Made<'_>) -> Artifact {
    let Made {
        request,
        answers,
        parts,
        params,
        scale,
        units,
        ..
    } = made;
    let threshold = match params.decision.threshold {
        Some(crate::decision::Threshold::At(at)) => at,
        _ => 0.5,
    };
    Artifact {
        task: answers.task,
        target: Target {
            name: request.target.clone(),
            type_name: request.frame.columns[answers.column].type_name.clone(),
            labels: answers.labels.clone(),
            mean: scale.mean,
            scale: scale.factor,
            log: made.log,
            ..Target::default()
        },
        recipe: made.recipe,
        parts: vec![Part {
            share: 1.0,
            model: made.model,
        }],
        partition: None,
        evaluation: made.evaluation,
        settled: Settled {
            threshold,
            ..Settled::default()
        },
        history: Vec::new(),
        trials: Vec::new(),
        sources: None,
        provenance: Provenance {
            algorithm: params.algorithm.name().into(),
            params: serde_json::to_value(params).unwrap_or_default(),
            seed: params.seed,
            device: "cpu".into(),
            device_name: "cpu".into(),
            device_given_up: None,
            rows: request.frame.rows() as u64,
            train_rows: units.0 as u64,
            test_rows: units.1 as u64,
            best_epoch: params.epochs,
            stopped_by: made.stopped_by.into(),
            fit_seconds: made.seconds,
            engine_version: env!("CARGO_PKG_VERSION").into(),
            evaluated_on: match parts.test.is_empty() {
                true => "nothing",
                false => "test",
            }
            .into(),
            excluded: made.excluded,
            calibration: "none".into(),
            threshold: (answers.task == crate::artifact::Task::Binary).then_some(threshold),
            privacy: Some(made.spent),
            ..Provenance::default()
        },
        coefficients: Vec::new(),
        kept: Kept::default(),
        statistics: Statistics::default(),
        seen: Seen::default(),
    }
}

/// Whether privacy is asked for with what has none.
///
/// # Errors
/// 22023 for a task that is not made private.
pub(super) fn check_task(
    params: &Params,
    task: Option<crate::artifact::Task>,
) -> Result<(), FitError> {
    use crate::artifact::Task;
    match task.filter(|_| params.privacy.is_some()) {
        None | Some(Task::Binary | Task::Multiclass | Task::Regression) => Ok(()),
        Some(other) => Err(FitError::new(
            "22023",
            format!(
                "the task {} cannot be trained under differential privacy",
                other.name()
            ),
        )
        .hint("Use binary, multiclass or regression.")),
    }
}

#[cfg(test)]
#[path = "private_test.rs"]
mod tests;
