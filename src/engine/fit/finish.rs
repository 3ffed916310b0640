//! From a trained model to an artifact, judged on the rows it has not seen.

use super::prepare::Prepared;
use super::{FitError, Request, split::Parts, target::Answers};
use crate::{
    artifact::{Artifact, ArtifactError, Provenance, Target, Task},
    evaluate::{Evaluation, evaluate},
    frame::{Frame, Values},
    infer::Predictor,
    params::Algorithm,
    train::{self, Device, HeldOut, Trained},
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
        _ => request.device,
    });
    let coefficients = match params.algorithm {
        Algorithm::Linear => matrices.coefficients(&trained.parts, &answers.labels),
        _ => Vec::new(),
    };
    Artifact {
        task: answers.task,
        target: Target {
            name: request.target.clone(),
            type_name: frame.columns[answers.column].type_name.clone(),
            labels: answers.labels.clone(),
            mean: matrices.mean,
            scale: matrices.scale,
        },
        recipe: matrices.recipe,
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
            excluded: notes.excluded,
            leaks: notes.leaks,
            cleaned: notes.cleaned,
            shared_rows: notes.shared_rows as u64,
            selection: notes.selection,
            construction: notes.construction,
        },
        coefficients,
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
    held_out: Option<HeldOut>,
    seed: u64,
) -> Result<Judged, FitError> {
    let apart = parts.test.is_empty();
    let rows = if apart { parts.validation } else { parts.test };
    let broken = |e: ArtifactError| {
        FitError::new("XX000", "the trained network cannot be used").detail(e.to_string())
    };
    let predictor = Predictor::new(artifact).map_err(broken)?;
    let started = Instant::now();
    let predictions = predictor.predict_frame(frame, &rows, 1);
    let mut predict_seconds = started.elapsed().as_secs_f64();
    let mut artifact = predictor.into_artifact();
    let (mut rows, mut predictions) = (rows, predictions);
    // Models that held each part of the rows out in turn have seen the validation rows: they are judged by their answers then.
    if let Some(held_out) = held_out.filter(|held_out| apart && held_out.in_turn(parts.train.len()))
    {
        let all = [parts.train, rows.clone()].concat();
        let seconds = predict_seconds / rows.len().max(1) as f64;
        rows = held_out.rows.iter().map(|row| all[*row as usize]).collect();
        predict_seconds = seconds * rows.len() as f64;
        predictions = held_out.predictions;
        if artifact.task == Task::Regression {
            let Target { mean, scale, .. } = artifact.target;
            predictions.iter_mut().for_each(|y| *y = *y * scale + mean);
        }
        artifact.provenance.evaluated_on = "out_of_fold".into();
    }
    let truth = answers.truth(&rows);
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
    Ok(Judged {
        artifact,
        rows,
        predictions,
    })
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
