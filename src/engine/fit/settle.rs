//! Settles how a trained model's answers are to be read, on the validation rows: training has not learned from them, though
//! they have decided when to stop.

use super::{FitError, finish::predictor, split::Parts, target::Answers};
use crate::{
    artifact::{Artifact, Task},
    calibrate,
    calibrate::Method,
    conformal::Conformal,
    evaluate::{Ranked, Truth},
    frame::Frame,
    params::{ClassWeight, ValidParams},
};

/// Calibrates probabilities, finds the threshold, and keeps what errors tell.
///
/// # Errors
/// 22023 for a calibration, a goal or a capacity without validation rows.
pub(super) fn settle(
    artifact: Artifact,
    frame: &Frame,
    answers: &Answers,
    parts: &Parts,
    params: &ValidParams,
) -> Result<Artifact, FitError> {
    let rows = &parts.validation;
    if rows.is_empty() {
        needs_rows(params)?;
    }
    let predictor = predictor(artifact)?;
    let mut predictions = predictor.predict_frame(frame, rows, 1);
    let width = predictor.width();
    let mut artifact = predictor.into_artifact();
    let truth = answers.truth(rows);
    let task = artifact.task;
    let settled = &mut artifact.settled;
    if let Truth::Classes(codes) = &truth {
        settled.calibration = calibrate::fit(params.calibration, task, &predictions, codes);
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
    Ok(artifact)
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
