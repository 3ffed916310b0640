//! From a trained model to an artifact, judged on the rows it has not seen.

use super::prepare::Prepared;
use super::settle::Unseen;
use super::{FitError, Progress, Request, challenge, settle, split::Parts, target::Answers};
use crate::{
    artifact::{Artifact, ArtifactError, Provenance, Seen, Target, Task},
    drift::Statistics,
    evaluate::{Evaluation, HeldOut, Outcomes, evaluate, fairness::Line},
    explain::{Kept, Sample},
    frame::{Frame, Values},
    infer::Predictor,
    models::Output,
    params::{Algorithm, ValidParams},
    privacy::pii,
    settled::Settled,
    train::{self, Device, Trained},
};
use std::time::Instant;

/// The artifact of a trained model, not judged yet.
pub(super) fn artifact(
    request: &Request,
    answers: &Answers,
    parts: &Parts,
    prepared: Prepared,
    trained: Trained,
    fit_seconds: f64,
) -> Artifact {
    let frame = &request.frame;
    let Prepared {
        matrices,
        params,
        notes,
    } = prepared;
    let device = describe(match params.algorithm {
        Algorithm::Gbdt | Algorithm::RandomForest | Algorithm::Linear => Device::Cpu,
        _ => request.device.device(),
    });
    let coefficients = match params.algorithm {
        // Effects are no outcome.
        Algorithm::Linear if answers.task != Task::Uplift => {
            matrices.coefficients(&trained.parts, &answers.labels)
        }
        _ => Vec::new(),
    };
    let trained_on: [&[u32]; 2] = [&parts.train, &parts.validation];
    let seen = || match request.start {
        // What the version that training went on from had learned is not known by its rows.
        Some(_) => Seen::default(),
        None => challenge::seen(frame, &matrices.recipe, &trained_on),
    };
    // A hash of everything is one thread's work.
    let (data_fingerprint, seen) = rayon::join(|| fingerprint(frame), seen);
    // A private model tells nothing of its rows, this neither.
    let inputs = matrices.recipe.columns().iter();
    let inputs = inputs.filter(|_| request.params.privacy.is_none());
    let personal = pii::direct(inputs.filter_map(|input| frame.column(&input.name)));
    Artifact {
        task: answers.task,
        target: Target {
            name: request.target.clone(),
            type_name: frame.columns[answers.column].type_name.clone(),
            labels: answers.labels.clone(),
            mean: matrices.scale.mean,
            scale: matrices.scale.factor,
            log: matrices.output == Output::Exp,
            ends: matrices.scale.ends.clone(),
            uplift: matrices.scale.uplift.clone(),
            companion: request.of_task.companion().cloned(),
        },
        recipe: matrices.recipe,
        parts: trained.parts,
        partition: None,
        evaluation: Evaluation::empty(answers.baseline(&parts.train, &params, &matrices.scale)),
        settled: Settled::default(),
        history: trained.history,
        trials: Vec::new(),
        sources: request.sources.clone(),
        provenance: Provenance {
            algorithm: params.algorithm.name().into(),
            params: serde_json::to_value(&params).unwrap_or_default(),
            seed: params.seed,
            device: device.0,
            device_name: device.1,
            device_given_up: request.device.given_up().map(str::to_owned),
            rows: answers.rows.len() as u64,
            train_rows: parts.train.len() as u64,
            validation_rows: parts.validation.len() as u64,
            test_rows: parts.test.len() as u64,
            null_target_rows: (frame.rows() - answers.rows.len()) as u64,
            best_epoch: trained.best_epoch,
            stopped_by: trained.stopped_by.into(),
            fit_seconds,
            predict_seconds: 0.0,
            data_fingerprint: format!("{data_fingerprint:016x}"),
            engine_version: env!("CARGO_PKG_VERSION").into(),
            evaluated_on: if parts.test.is_empty() {
                "validation"
            } else {
                "test"
            }
            .into(),
            excluded: notes.excluded,
            leaks: notes.leaks,
            cleaned: notes.cleaned,
            shared_rows: notes.shared_rows as u64,
            selection: notes.selection,
            construction: notes.construction,
            segments: Vec::new(),
            augmentation: None,
            distillation: None,
            challenge: None,
            started_from: request.start.as_ref().map(|start| start.name.clone()),
            calibration: String::new(),
            threshold: None,
            personal,
            privacy: None,
            fairness: None,
            shards: Vec::new(),
        },
        coefficients,
        kept: Kept::default(),
        statistics: Statistics::default(),
        seen,
    }
}

/// A model, the rows it was judged on, and its predictions of them, row-major as the predictor gives them.
pub(super) struct Judged {
    pub artifact: Artifact,
    pub rows: Vec<u32>,
    pub predictions: Vec<f64>,
}

/// Scores the model on the rows it has not seen.
pub(super) fn judge(
    artifact: Artifact,
    frame: &Frame,
    answers: &Answers,
    parts: Parts,
    params: &ValidParams,
    held_out: Option<train::HeldOut>,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Judged, FitError> {
    let in_turn = held_out
        .as_ref()
        .is_some_and(|h| h.in_turn(parts.train.len()));
    let (artifact, held_out) =
        settle::settle(artifact, frame, answers, &parts, params, held_out, report)?;
    // Inside the pool: there what is done for many rows is done on all threads.
    rayon::scope(|_| on_unseen(artifact, frame, answers, parts, params, (held_out, in_turn)))
}

/// Scores a model that is settled; `in_turn`: it comes of models that held each part of the rows out in turn.
fn on_unseen(
    artifact: Artifact,
    frame: &Frame,
    answers: &Answers,
    parts: Parts,
    params: &ValidParams,
    (held_out, in_turn): (Option<Unseen>, bool),
) -> Result<Judged, FitError> {
    let apart = parts.test.is_empty();
    let thresholds = fair_thresholds(&artifact, frame, answers, held_out.as_ref());
    let rows = if apart { parts.validation } else { parts.test };
    let predictor = predictor(artifact)?;
    let started = Instant::now();
    let predictions = predictor.predict_frame(frame, &rows, rayon::current_num_threads());
    let mut predict_seconds = started.elapsed().as_secs_f64();
    let mut artifact = predictor.into_artifact();
    let (mut rows, mut predictions) = (rows, predictions);
    // Models that held each part of the rows out in turn have seen the validation rows: they are judged by their answers then.
    if let Some(own) = held_out.filter(|_| apart && in_turn) {
        predict_seconds *= own.rows.len() as f64 / rows.len().max(1) as f64;
        (rows, predictions) = (own.rows, own.predictions);
        artifact.provenance.evaluated_on = "out_of_fold".into();
    }
    let truth = answers.truth(&rows);
    let baseline = artifact.evaluation.baseline.clone();
    artifact.evaluation = evaluate(
        artifact.task,
        &artifact.target.labels,
        &truth,
        &predictions,
        artifact.settled.threshold,
        &baseline,
        params.seed,
    );
    let width = predictions.len() / rows.len().max(1);
    let outcomes = Outcomes { truth, predictions };
    if let Some(fairness) = &mut artifact.provenance.fairness {
        let names = fairness.groupings.iter().map(|own| &own.column);
        let columns: Vec<_> = names.filter_map(|name| frame.column(name)).collect();
        let threshold = artifact.settled.threshold;
        let (task, seed) = (artifact.task, params.seed);
        let lines = fairness.lines(task, threshold, &outcomes, &columns, &rows, seed);
        fairness.lines.splice(0..0, lines);
        fairness.lines.extend(thresholds);
    }
    let labels = artifact.target.labels.len();
    artifact.settled.held_out = HeldOut::of(artifact.task, labels, &outcomes, width, &rows);
    let of = (artifact.task, labels);
    let sample = Sample::of(frame, artifact.recipe.columns(), &rows, &outcomes, of);
    artifact.kept = Kept::new(&sample);
    let answered = (&artifact, outcomes.predictions.as_slice());
    artifact.statistics = Statistics::of(frame, artifact.recipe.columns(), &parts.train, answered);
    artifact.provenance.predict_seconds = predict_seconds;
    Ok(Judged {
        artifact,
        rows,
        predictions: outcomes.predictions,
    })
}

/// Thresholds by group, of the rows that calibration and the threshold come from.
fn fair_thresholds(
    artifact: &Artifact,
    frame: &Frame,
    answers: &Answers,
    held_out: Option<&Unseen>,
) -> Vec<Line> {
    let (Some(fairness), Some(own)) = (&artifact.provenance.fairness, held_out) else {
        return Vec::new();
    };
    let outcomes = Outcomes {
        truth: answers.truth(&own.rows),
        predictions: own.predictions.clone(),
    };
    let names = fairness.groupings.iter().map(|own| &own.column);
    let columns: Vec<_> = names.filter_map(|name| frame.column(name)).collect();
    let threshold = artifact.settled.threshold;
    fairness.thresholds(artifact.task, threshold, &outcomes, &columns, &own.rows)
}

/// Makes a trained model ready to answer.
pub(super) fn predictor(artifact: Artifact) -> Result<Predictor, FitError> {
    let broken = |e: ArtifactError| {
        FitError::new("XX000", "the trained network cannot be used").detail(e.to_string())
    };
    Predictor::new(artifact).map_err(broken)
}

fn describe(device: Device) -> (String, String) {
    let name = match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(gpu) => format!("cuda:{}", gpu.index),
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
        if column.nulls.count() > 0 {
            let rows = (0..column.len()).filter(|row| column.nulls.get(*row));
            rows.for_each(|row| add(row as u64));
        }
    }
    hash
}
