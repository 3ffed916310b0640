//! Short trainings, to see on the validation rows what features are worth. The test rows are not looked at.

use super::{FitError, Request, canceled, prepare::Matrices, split::Parts, target::Answers};
use crate::params::{Algorithm, ValidParams};
use crate::recipe::{Constructed, Recipe};
use crate::train::Step;

/// Longest trial, in epochs.
const EPOCHS: u32 = 30;
/// A validation loss that differs by less than this share is the same: smaller models are worth it.
pub(super) const AS_GOOD: f64 = 0.001;
/// All trials together, five at most, may take about half of the time there is.
const TIME: f64 = 0.1;

/// What trials need.
pub(super) struct Trials<'a> {
    pub request: &'a Request,
    pub answers: &'a Answers,
    pub parts: &'a Parts,
    pub params: &'a ValidParams,
}

impl Trials<'_> {
    /// The best validation loss of a short training on some columns and what is made of them.
    pub(super) fn loss(
        &self,
        columns: &[usize],
        made: &Constructed,
        report: &mut dyn FnMut(&Step) -> bool,
    ) -> Result<f64, FitError> {
        let Trials {
            request,
            answers,
            parts,
            params,
        } = self;
        let mut params = (*params).clone();
        // A small network tells; several members would only take longer.
        params.algorithm = Algorithm::Dnn;
        params.members = 1;
        params.epochs = params.epochs.min(EPOCHS);
        params.patience = params.patience.min(5);
        params.max_seconds = params.max_seconds.map(|seconds| seconds * TIME);
        let frame = &request.frame;
        let truth = answers.guide(&parts.train);
        let how = &params.preparation;
        let recipe = Recipe::fit_with(frame, columns, &parts.train, Some(&truth), how)
            .with_constructed(made, frame, &parts.train, Some(&truth), how);
        let matrices = Matrices::of(recipe, frame, answers, parts, &params)?;
        let trained = matrices.train(&params, &request.device, report)?;
        let losses = trained.history.iter().filter_map(|e| e.validation_loss);
        let best = losses.fold(f64::INFINITY, f64::min);
        if best.is_finite() {
            Ok(best)
        } else {
            Err(canceled())
        }
    }
}
