//! The pipeline: choose columns, split, prepare, train, evaluate.

mod cleaning;
mod columns;
mod construct;
mod features;
mod guard;
mod split;
mod target;
mod trial;

use crate::{
    artifact::{Artifact, ArtifactError, Provenance, Target, Task},
    clean::CleanParams,
    evaluate::{Evaluation, evaluate},
    frame::{Frame, Values},
    infer::Predictor,
    models::Output,
    params::{Algorithm, ParamError, Params},
    recipe::{Construct, Purchases, Recipe},
    select::Select,
    train::{self, Device, Examples, Step, TrainError},
};
use cleaning::Cleaning;
pub use construct::Construction;
pub use features::Choice;
pub use guard::Leakage;
use serde::{Deserialize, Serialize};
use split::Parts;
use std::time::Instant;
use target::Answers;
pub use target::label_of;
use trial::Trials;

/// What to fit.
pub struct Request {
    /// Features and target. Rows with a NULL target are left out and counted.
    pub frame: Frame,
    pub target: String,
    /// `None`: inferred from the target's type and values.
    pub task: Option<Task>,
    /// Columns named by the user: never left out as identifier-like.
    pub include: Vec<String>,
    /// Columns already left out by the reader, and why.
    pub excluded: Vec<(String, String)>,
    pub params: Params,
    pub device: Device,
    /// The positive label of a binary target; `None`: the last in sorted order (true, 1, yes).
    pub positive: Option<String>,
    /// What is done to the values of the features, and which rows are left out.
    pub clean: CleanParams,
    pub leakage: Leakage,
    /// A column of times when the outcome was known; not a feature.
    pub outcome_time: Option<String>,
    /// Where some of the columns come from, for who predicts; kept in the model and not looked at.
    pub sources: Option<serde_json::Value>,
    /// Columns that tell of purchases, from which forecasts are made.
    pub purchases: Vec<Purchases>,
    /// What the frame and the prepared rows may take; `None`: anything.
    pub max_bytes: Option<usize>,
}

/// Where a fit stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// `preparing`, `boosting`, `training`, `evaluating`.
    pub phase: String,
    pub epoch: u32,
    pub epochs: u32,
    pub rows_per_second: f64,
    pub loss: f64,
    pub validation_loss: Option<f64>,
    pub eta_seconds: f64,
}

impl Progress {
    pub fn of_step(step: &Step) -> Progress {
        Progress {
            phase: if step.boosting {
                "boosting"
            } else {
                "training"
            }
            .into(),
            epoch: step.epoch,
            epochs: step.epochs,
            rows_per_second: step.rows_per_second,
            loss: step.loss,
            validation_loss: step.validation_loss,
            eta_seconds: step.eta_seconds,
        }
    }
}

/// Why a fit failed, as the user should read it (PostgreSQL style).
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct FitError {
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl FitError {
    fn new(sqlstate: &str, message: impl Into<String>) -> FitError {
        FitError {
            sqlstate: sqlstate.into(),
            message: message.into(),
            detail: None,
            hint: None,
        }
    }
    fn detail(mut self, detail: impl Into<String>) -> FitError {
        self.detail = Some(detail.into());
        self
    }
    fn hint(mut self, hint: impl Into<String>) -> FitError {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ParamError> for FitError {
    fn from(e: ParamError) -> Self {
        FitError::new("22023", e.message).hint(e.hint)
    }
}

impl From<TrainError> for FitError {
    fn from(e: TrainError) -> Self {
        let message = e.to_string();
        match e {
            TrainError::Device { detail, .. } => FitError::new("22023", message)
                .detail(detail)
                .hint("insight_devices() lists what there is; \"cpu\" always works."),
            TrainError::Diverged { epoch } => FitError::new("22023", message)
                .detail(format!("It happened in epoch {epoch}."))
                .hint("Use a smaller learning_rate."),
            TrainError::Canceled => canceled(),
        }
    }
}

fn canceled() -> FitError {
    FitError::new("57014", "canceling training due to user request")
}

/// Fits a model; `report` answers whether to go on.
pub fn fit(
    mut request: Request,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Artifact, FitError> {
    let started = Instant::now();
    let phase = |name: &str| Progress {
        phase: name.into(),
        ..Progress::default()
    };
    let go = |ok: bool| if ok { Ok(()) } else { Err(canceled()) };
    go(report(&phase("preparing")))?;
    let mut answers = target::prepare(&request)?;
    let mut cleaning = Cleaning::start(&request, &mut answers)?;
    // The sizes of the parts do not depend on how many rows are left for training; the other defaults do.
    let sizes = request.params.check(answers.task, answers.rows.len())?;
    let mut parts = split::split(&answers, &sizes)?;
    cleaning.values(&mut request, &answers, &parts);
    let (mut columns, mut excluded) = columns::choose(&request, answers.column, &parts.train)?;
    excluded.splice(0..0, request.excluded.iter().cloned());
    let (leaks, shared_rows) =
        guard::watch(&request, &answers, &mut columns, &mut excluded, &mut parts)?;
    let selection = if sizes.select != Select::None {
        let params = request.params.check(answers.task, parts.train.len())?;
        let mut step = |step: &Step| report(&Progress::of_step(step));
        let trials = Trials {
            request: &request,
            answers: &answers,
            parts: &parts,
            params: &params,
        };
        features::select(&trials, &mut columns, &mut step)?
    } else {
        Vec::new()
    };
    let dropped = selection.iter().filter(|choice| !choice.kept);
    excluded.extend(dropped.map(|c| (c.column.clone(), format!("not selected: {}", c.reason))));
    cleaning.rows_and_gaps(&mut request, &columns, &answers, &mut parts)?;
    let frame = &request.frame;
    let params = request.params.check(answers.task, parts.train.len())?;
    let (made, construction) = if params.construct == Construct::None {
        Default::default()
    } else {
        let mut step = |step: &Step| report(&Progress::of_step(step));
        let trials = Trials {
            request: &request,
            answers: &answers,
            parts: &parts,
            params: &params,
        };
        construct::construct(&trials, &columns, &mut step)?
    };
    let truth = answers.truth(&parts.train);
    let how = &params.preparation;
    let recipe = Recipe::fit_with(frame, &columns, &parts.train, Some(&truth), how)
        .with_constructed(&made, frame, &parts.train, Some(&truth), how);
    let (recipe, not_made) = recipe.with_forecasts(&request.purchases, frame, &parts.train, how);
    excluded.extend(not_made);
    check_memory(&recipe, frame, &parts, request.max_bytes)?;
    let (mean, scale) = answers.moments(&parts.train);
    let weights = answers.weights(&parts.train, &params.class_weight)?;
    let train_targets = answers.network_targets(&parts.train, mean, scale);
    let validation_targets = answers.network_targets(&parts.validation, mean, scale);
    let train_matrix = recipe.transform_training(frame, &parts.train);
    let validation_matrix = recipe.transform(frame, &parts.validation);
    // The model is judged on the values as they were read: that is how it will meet them.
    let (clean, cleaned) = cleaning.finish(&mut request);
    let recipe = recipe.after(clean);
    let frame = &request.frame;
    let (output, outputs) = Output::of(answers.task, answers.labels.len());
    let train_part = Examples {
        matrix: &train_matrix,
        targets: &train_targets,
        weights: &weights,
    };
    let validation_part = (!parts.validation.is_empty()).then_some(Examples {
        matrix: &validation_matrix,
        targets: &validation_targets,
        weights: &[],
    });
    go(report(&phase("training")))?;
    // What was tried so far took of the time, but something must be trained.
    let gone = started.elapsed().as_secs_f64();
    let mut training = params.clone();
    training.max_seconds = params.max_seconds.map(|s| (s - gone).max(s / 4.0));
    let trained = train::train(
        train_part,
        validation_part,
        output,
        outputs,
        &training,
        request.device,
        &mut |step| report(&Progress::of_step(step)),
    )?;
    let fit_seconds = started.elapsed().as_secs_f64();
    go(report(&phase("evaluating")))?;
    let device = describe(match params.algorithm {
        Algorithm::Gbdt => Device::Cpu,
        _ => request.device,
    });
    let target_column = &frame.columns[answers.column];
    let artifact = Artifact {
        task: answers.task,
        target: Target {
            name: request.target.clone(),
            type_name: target_column.type_name.clone(),
            labels: answers.labels.clone(),
            mean,
            scale,
        },
        recipe,
        parts: trained.parts,
        evaluation: Evaluation::empty(answers.baseline(&parts.train)),
        history: trained.history,
        sources: request.sources.clone(),
        provenance: Provenance {
            algorithm: params.algorithm.name().into(),
            params: serde_json::to_value(&params).unwrap_or_default(),
            seed: params.seed,
            device: device.0,
            device_name: device.1,
            rows: answers.rows.len() as u64,
            train_rows: parts.train.len() as u64,
            validation_rows: parts.validation.len() as u64,
            test_rows: parts.test.len() as u64,
            null_target_rows: (frame.rows() - answers.rows.len()) as u64,
            best_epoch: trained.best_epoch,
            stopped_by: trained.stopped_by.into(),
            fit_seconds,
            predict_seconds: 0.0,
            data_fingerprint: format!("{:016x}", fingerprint(frame)),
            engine_version: env!("CARGO_PKG_VERSION").into(),
            evaluated_on: if parts.test.is_empty() {
                "validation"
            } else {
                "test"
            }
            .into(),
            excluded,
            leaks,
            cleaned,
            shared_rows: shared_rows as u64,
            selection,
            construction,
        },
    };
    judge(artifact, frame, &answers, &parts, params.seed)
}

/// Whether the prepared rows fit in, before they are prepared: a free text alone takes some 258 numbers a row.
fn check_memory(
    recipe: &Recipe,
    frame: &Frame,
    parts: &Parts,
    max_bytes: Option<usize>,
) -> Result<(), FitError> {
    let Some(limit) = max_bytes else {
        return Ok(());
    };
    let inputs = recipe.inputs();
    let width = inputs.numbers + inputs.categories.len();
    let rows = parts.train.len() + parts.validation.len();
    // A byte more for the bins of trees.
    let prepared = rows
        .saturating_mul(width)
        .saturating_mul(size_of::<f32>() + 1);
    if frame.bytes().saturating_add(prepared) <= limit {
        return Ok(());
    }
    let widest = recipe.describe().into_iter().max_by_key(|d| d.inputs);
    let widest = widest.map_or(String::new(), |d| {
        format!(", {} of them of column \"{}\"", d.inputs, d.column)
    });
    Err(FitError::new(
        "53200",
        format!("training needs more than the {} MB it may use", limit >> 20),
    )
    .detail(format!(
        "The data takes {} MB, and {rows} prepared rows of {width} numbers{widest} take {} MB.",
        frame.bytes() >> 20,
        prepared >> 20
    ))
    .hint(
        "Train on fewer rows or columns, lower text_features, or have a superuser raise insight.max_memory.",
    ))
}

/// Scores the model on the rows it has not seen.
fn judge(
    artifact: Artifact,
    frame: &Frame,
    answers: &Answers,
    parts: &Parts,
    seed: u64,
) -> Result<Artifact, FitError> {
    let rows = if parts.test.is_empty() {
        &parts.validation
    } else {
        &parts.test
    };
    let broken = |e: ArtifactError| {
        FitError::new("XX000", "the trained network cannot be used").detail(e.to_string())
    };
    let predictor = Predictor::new(artifact).map_err(broken)?;
    let started = Instant::now();
    let predictions = predictor.predict_frame(frame, rows, 1);
    let predict_seconds = started.elapsed().as_secs_f64();
    let mut artifact = predictor.into_artifact();
    let truth = answers.truth(rows);
    let baseline = artifact.evaluation.baseline.clone();
    artifact.evaluation = evaluate(
        artifact.task,
        &artifact.target.labels,
        &truth,
        &predictions,
        &baseline,
        seed,
    );
    artifact.provenance.predict_seconds = predict_seconds;
    Ok(artifact)
}

fn describe(device: Device) -> (String, String) {
    let name = match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
    };
    let known = match device {
        // Asking for the CPU must not load a GPU's driver.
        Device::Cpu => None,
        Device::Cuda(_) => train::devices()
            .into_iter()
            .find(|d| d.device == name)
            .map(|d| d.name),
    };
    (name.clone(), known.unwrap_or(name))
}

/// A 64-bit hash of every value (FNV-1a over words), to tell whether two models saw the same data.
fn fingerprint(frame: &Frame) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |word: u64| {
        hash = (hash ^ word)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(29)
    };
    for column in &frame.columns {
        column.name.bytes().for_each(|b| add(u64::from(b)));
        match &column.values {
            Values::Number(values) => values.iter().for_each(|v| add(v.to_bits())),
            Values::Boolean(values) => values.iter().for_each(|v| add(u64::from(*v))),
            Values::Time(values) => values.iter().for_each(|v| add(*v as u64)),
            Values::Vector { values, ends } => {
                values.iter().for_each(|v| add(u64::from(v.to_bits())));
                ends.iter().for_each(|end| add(*end as u64));
            }
            Values::Image { pixels, ends } => {
                pixels.iter().for_each(|v| add(u64::from(*v)));
                ends.iter().for_each(|end| add(*end as u64));
            }
            Values::Category { codes, dictionary } => {
                (0..dictionary.len() as u32)
                    .for_each(|c| dictionary.text(c).bytes().for_each(|b| add(u64::from(b))));
                codes.iter().for_each(|c| add(u64::from(*c)));
            }
        }
        (0..column.len())
            .filter(|row| column.nulls.get(*row))
            .for_each(|row| add(row as u64));
    }
    hash
}

#[cfg(test)]
mod features_test;
#[cfg(test)]
mod tests;
