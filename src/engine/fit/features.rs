//! Selecting features: what a method speaks against is left out if a model without it does as well on the validation rows.

use super::trial::{AS_GOOD, Trials};
use super::{FitError, canceled};
use crate::profile::leakage::Outcome;
use crate::profile::selection::screen;
use crate::recipe::Constructed;
use crate::select::{Judgement, Sample, Select, boruta, l1, permutation};
use crate::train::Step;
use serde::{Deserialize, Serialize};

/// What became of a feature, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub column: String,
    pub kept: bool,
    /// By the method's measure: mutual information with the target in nats (auto), the largest standardised coefficient (l1), the
    /// rise of the error (permutation), the share of rounds won (boruta).
    pub score: f64,
    pub reason: String,
}

/// Leaves columns out where that pays; answers what became of each. The test rows are not looked at.
pub(super) fn select(
    trials: &Trials<'_>,
    columns: &mut Vec<usize>,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Vec<Choice>, FitError> {
    let frame = &trials.request.frame;
    let name = |position: &usize| &frame.columns[*position].name;
    let judged = judge(trials, columns, report)?;
    let kept: Vec<usize> = columns
        .iter()
        .zip(&judged)
        .filter(|(position, j)| j.keep || trials.request.include.contains(name(position)))
        .map(|(position, _)| *position)
        .collect();
    let tried =
        !trials.parts.validation.is_empty() && !kept.is_empty() && kept.len() < columns.len();
    let losses = if tried {
        let all = trials.loss(columns, &Constructed::default(), report)?;
        let fewer = trials.loss(&kept, &Constructed::default(), report)?;
        Some((all, fewer))
    } else {
        None
    };
    let pays = losses.is_some_and(|(all, fewer)| fewer <= all + AS_GOOD * all.abs());
    let choices = columns
        .iter()
        .zip(judged)
        .map(|(position, judgement)| {
            let said = judgement.reason;
            let reason = match losses {
                _ if judgement.keep => said,
                Some((all, fewer)) => format!(
                    "{said}; without all such columns the validation loss goes from {all:.4} to {fewer:.4}"
                ),
                None if trials.parts.validation.is_empty() => {
                    format!("{said}; there is no validation part to try it on")
                }
                None => said,
            };
            Choice {
                column: name(position).clone(),
                kept: !pays || kept.contains(position),
                score: judgement.score,
                reason,
            }
        })
        .collect();
    if pays {
        *columns = kept;
    }
    Ok(choices)
}

/// What the method asked for says about each of the columns.
fn judge(
    trials: &Trials<'_>,
    columns: &[usize],
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Vec<Judgement>, FitError> {
    let (answers, parts) = (trials.answers, trials.parts);
    let wanted = trials.params.select;
    if matches!(wanted, Select::None | Select::Auto) {
        return Ok(screened(trials, columns));
    }
    // Both methods are judged by these rows.
    let needed = matches!(wanted, Select::L1 | Select::Permutation);
    if needed && parts.validation.is_empty() {
        return Err(
            FitError::new("22023", "this way to select features needs validation rows")
                .hint("Give validation_size above 0, or use \"select\": \"boruta\"."),
        );
    }
    let sample = Sample {
        frame: &trials.request.frame,
        columns,
        train: &parts.train,
        validation: &parts.validation,
        truth: &answers.guide(&parts.train),
        held_out: &answers.guide(&parts.validation),
        classes: answers.guide_classes(),
        how: &trials.params.preparation,
        seed: trials.params.seed,
    };
    let mut going = true;
    let judged = match wanted {
        Select::L1 => l1(&sample),
        Select::Permutation => permutation(&sample),
        _ => boruta(&sample, &mut || {
            going = report(&Step::default());
            going
        }),
    };
    if going && report(&Step::default()) {
        Ok(judged)
    } else {
        Err(canceled())
    }
}

/// By variance, correlation and information.
fn screened(trials: &Trials<'_>, columns: &[usize]) -> Vec<Judgement> {
    let frame = &trials.request.frame;
    let outcome = Outcome {
        target: &frame.columns[trials.answers.column],
        regression: trials.answers.is_number(),
        time: None,
    };
    let verdicts = screen(frame, columns, &outcome, &trials.parts.train);
    verdicts
        .into_iter()
        .map(|verdict| Judgement {
            score: verdict.information,
            keep: verdict.against.is_none(),
            reason: verdict.against.unwrap_or_else(|| {
                format!("tells {:.3} nats about the target", verdict.information)
            }),
        })
        .collect()
}
