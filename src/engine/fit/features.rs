//! Selecting and constructing features: what the screening speaks against is left out if a model without it does as well on
//! the validation rows, and numbers made of two columns enter if a model with them does better.

use super::{FitError, Request, canceled, split::Parts, target::Answers};
use crate::artifact::Task;
use crate::models::Output;
use crate::params::{Algorithm, ValidParams};
use crate::profile::leakage::Outcome;
use crate::profile::{construction::propose, selection::screen};
use crate::recipe::{Pair, Recipe};
use crate::train::{self, Examples, Step};
use serde::{Deserialize, Serialize};

/// Longest trial, in epochs.
const EPOCHS: u32 = 30;
/// A validation loss that is larger by this share is no worse: smaller models are worth it.
const AS_GOOD: f64 = 0.001;

/// What became of a feature, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub column: String,
    pub kept: bool,
    /// Mutual information with the target, in nats.
    pub information: f64,
    pub reason: String,
}

/// Leaves columns out where that pays; answers what became of each. The test rows are not looked at.
pub(super) fn select(
    request: &Request,
    answers: &Answers,
    columns: &mut Vec<usize>,
    parts: &Parts,
    params: &ValidParams,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Vec<Choice>, FitError> {
    let frame = &request.frame;
    let outcome = Outcome {
        target: &frame.columns[answers.column],
        regression: answers.task == Task::Regression,
        time: None,
    };
    let verdicts = screen(frame, columns, &outcome, &parts.train);
    let kept: Vec<usize> = verdicts
        .iter()
        .filter(|v| {
            v.against.is_none() || request.include.contains(&frame.columns[v.position].name)
        })
        .map(|v| v.position)
        .collect();
    let judged = !parts.validation.is_empty() && !kept.is_empty() && kept.len() < columns.len();
    let losses = if judged {
        let all = trial(request, answers, columns, &[], parts, params, report)?;
        let fewer = trial(request, answers, &kept, &[], parts, params, report)?;
        Some((all, fewer))
    } else {
        None
    };
    let pays = losses.is_some_and(|(all, fewer)| fewer <= all + AS_GOOD * all.abs());
    let choices = verdicts
        .iter()
        .map(|verdict| {
            let stays = !pays || kept.contains(&verdict.position);
            let reason = match (&verdict.against, losses) {
                (None, _) => "tells about the target".to_owned(),
                (Some(against), Some((all, fewer))) => format!(
                    "{against}; without all such columns the validation loss goes from {all:.4} to {fewer:.4}"
                ),
                (Some(against), None) => format!("{against}; there is no validation part to try it on"),
            };
            Choice {
                column: frame.columns[verdict.position].name.clone(),
                kept: stays,
                information: verdict.information,
                reason,
            }
        })
        .collect();
    if pays {
        *columns = kept;
    }
    Ok(choices)
}

/// Ratios, differences and products of columns that a model does better with; also what was tried, in words. The test rows
/// are not looked at.
pub(super) fn construct(
    request: &Request,
    answers: &Answers,
    columns: &[usize],
    parts: &Parts,
    params: &ValidParams,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<(Vec<Pair>, Option<Construction>), FitError> {
    let frame = &request.frame;
    let outcome = Outcome {
        target: &frame.columns[answers.column],
        regression: answers.task == Task::Regression,
        time: None,
    };
    let pairs = propose(frame, columns, &outcome, &parts.train);
    if pairs.is_empty() || parts.validation.is_empty() {
        return Ok((Vec::new(), None));
    }
    let without = trial(request, answers, columns, &[], parts, params, report)?;
    let with = trial(request, answers, columns, &pairs, parts, params, report)?;
    let name = |position: usize| frame.columns[columns[position]].name.as_str();
    let construction = Construction {
        features: pairs
            .iter()
            .map(|p| p.name(name(p.left), name(p.right)))
            .collect(),
        kept: with < without,
        loss_without: without,
        loss_with: with,
    };
    let kept = if construction.kept { pairs } else { Vec::new() };
    Ok((kept, Some(construction)))
}

/// What became of constructed features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Construction {
    pub features: Vec<String>,
    pub kept: bool,
    /// Validation losses of short trainings.
    pub loss_without: f64,
    pub loss_with: f64,
}

/// The best validation loss of a short training on some columns and pairs of them.
fn trial(
    request: &Request,
    answers: &Answers,
    columns: &[usize],
    pairs: &[Pair],
    parts: &Parts,
    params: &ValidParams,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<f64, FitError> {
    let mut params = params.clone();
    // A small network tells; several members would only take longer.
    params.algorithm = Algorithm::Dnn;
    params.members = 1;
    params.epochs = params.epochs.min(EPOCHS);
    params.patience = params.patience.min(5);
    // Both trials together may take half of the time there is.
    params.max_seconds = params.max_seconds.map(|s| s / 4.0);
    let frame = &request.frame;
    let truth = answers.truth(&parts.train);
    let how = &params.preparation;
    let recipe = Recipe::fit_with(frame, columns, &parts.train, Some(&truth), how).with_pairs(
        pairs,
        frame,
        &parts.train,
        how,
    );
    let (mean, scale) = answers.moments(&parts.train);
    let weights = answers.weights(&parts.train, &params.class_weight)?;
    let targets = answers.network_targets(&parts.train, mean, scale);
    let held_out = answers.network_targets(&parts.validation, mean, scale);
    let matrix = recipe.transform_training(frame, &parts.train);
    let validation = recipe.transform(frame, &parts.validation);
    let (output, outputs) = Output::of(answers.task, answers.labels.len());
    let trained = train::train(
        Examples {
            matrix: &matrix,
            targets: &targets,
            weights: &weights,
        },
        Some(Examples {
            matrix: &validation,
            targets: &held_out,
            weights: &[],
        }),
        output,
        outputs,
        &params,
        request.device,
        report,
    )?;
    let losses = trained.history.iter().filter_map(|e| e.validation_loss);
    let best = losses.fold(f64::INFINITY, f64::min);
    if best.is_finite() {
        Ok(best)
    } else {
        Err(canceled())
    }
}
