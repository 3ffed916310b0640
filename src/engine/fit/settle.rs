//! Settles how a trained model's answers are to be read, on rows that were held out: those of the validation part, or each
//! row in turn. Training has not learned from them, though they have decided when to stop.

use super::spread::{self, Outcome};
use super::{FitError, Progress, split::Parts, target::Answers};
use crate::{
    artifact::{Artifact, Task},
    calibrate,
    calibrate::Method,
    conformal::Conformal,
    evaluate::{Ranked, Truth},
    frame::Frame,
    params::{ClassWeight, ValidParams},
    train::HeldOut,
};

/// Rows that were held out, and what is answered for them.
pub(super) struct Unseen {
    pub rows: Vec<u32>,
    /// Row-major as the predictor gives them.
    pub predictions: Vec<f64>,
}

/// Calibrates probabilities, finds the threshold, and keeps what errors tell.
///
/// # Errors
/// 22023 for a calibration, a goal or a capacity without validation rows; 57014 where it is canceled.
pub(super) fn settle(
    artifact: Artifact,
    frame: &Frame,
    answers: &Answers,
    parts: &Parts,
    params: &ValidParams,
    held_out: Option<HeldOut>,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<(Artifact, Option<Unseen>), FitError> {
    let Some(held_out) = held_out else {
        needs_rows(params)?;
        let mut artifact = artifact;
        artifact.provenance.calibration = artifact.settled.calibration.name().into();
        if artifact.task == Task::Binary {
            // Neither a goal nor a capacity is left, but a number may have been asked for.
            let nothing = Ranked::new(Vec::new(), |_| false);
            let decision = &params.decision;
            artifact.settled.threshold = decision.threshold(&nothing, 0, 0.5);
            artifact.settled.profit = decision.profit;
            artifact.provenance.threshold = Some(artifact.settled.threshold);
        }
        return Ok((artifact, None));
    };
    let of = |row: &u32| {
        let row = *row as usize;
        match row.checked_sub(parts.train.len()) {
            Some(row) => parts.validation[row],
            None => parts.train[row],
        }
    };
    let rows: Vec<u32> = held_out.rows.iter().map(of).collect();
    // Where a row stands for more than its parts answer, the places for it come last.
    let width = artifact.width();
    let mut predictions = vec![0.0; rows.len() * width];
    let own = held_out.predictions.len() / rows.len().max(1);
    let answered = held_out.predictions.chunks_exact(own.max(1));
    for (row, answered) in predictions.chunks_exact_mut(width.max(1)).zip(answered) {
        row[..own].copy_from_slice(answered);
        artifact.read(row);
    }
    let mut artifact = artifact;
    let truth = answers.truth(&rows);
    let task = artifact.task;
    let settled = &mut artifact.settled;
    if let Truth::Classes(codes) = &truth {
        let weighted = params.class_weight != ClassWeight::None;
        settled.calibration =
            calibrate::fit(params.calibration, task, weighted, &predictions, codes);
        let calibration = &settled.calibration;
        let each = predictions.chunks_exact_mut(width.max(1));
        each.for_each(|row| calibration.apply(row));
        if task == Task::Binary {
            let decision = &params.decision;
            // Weights say that one label is to be answered more often: calibrated probabilities must not undo that.
            let usual = match params.class_weight {
                ClassWeight::None => 0.5,
                _ => calibration.of(0.5),
            };
            let ranked = Ranked::new(predictions.clone(), |row| codes[row] == 1);
            settled.threshold = decision.threshold(&ranked, answers.rows.len() as u64, usual);
            (settled.profit, settled.capacity) = (decision.profit, decision.capacity);
            artifact.provenance.threshold = Some(settled.threshold);
        }
    }
    artifact.provenance.calibration = settled.calibration.name().into();
    settled.conformal = Conformal::new(&truth, &predictions, width);
    if let Truth::Values(truth) = &truth {
        let each = held_out.rows.iter().zip(&rows);
        let each = each.zip(truth.iter().zip(&predictions));
        let outcomes = each.map(|((place, row), (truth, prediction))| Outcome {
            row: *row,
            learned: (*place as usize) < parts.train.len(),
            prediction: *prediction,
            error: truth - prediction,
        });
        let outcomes: Vec<Outcome> = outcomes.collect();
        let local = spread::local(&outcomes, frame, &artifact.recipe, params, report)?;
        if let Some(local) = local {
            settled.conformal = local;
        }
    }
    Ok((artifact, Some(Unseen { rows, predictions })))
}

fn needs_rows(params: &ValidParams) -> Result<(), FitError> {
    use crate::decision::Threshold;
    let asked = match params.calibration {
        Method::Auto | Method::None => match params.decision.threshold {
            Some(Threshold::Best(_)) => Some("threshold"),
            _ => params.decision.capacity.map(|_| "capacity"),
        },
        _ => Some("calibration"),
    };
    match asked {
        None => Ok(()),
        Some(option) => Err(FitError::new(
            "22023",
            format!("option \"{option}\" needs validation rows"),
        )
        .hint(format!(
            "Give validation_size above 0, or leave \"{option}\" out."
        ))),
    }
}
