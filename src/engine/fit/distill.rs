//! A small network in the place of a large model: it learns what that one answers, instead of what is true (Hinton, Vinyals and Dean
//! 2015, "Distilling the knowledge in a neural network"), and predicts as fast as small networks do.

use super::prepare::Matrices;
use super::{FitError, Request};
use crate::artifact::Task;
use crate::infer::answers;
use crate::models::Output;
use crate::params::{Algorithm, NumberEncoding, Params, ValidParams};
use crate::train::{self, Rows, Step, Trained};
use serde::{Deserialize, Serialize};

/// Share of the time that the large model has.
pub(super) const TEACHING: f64 = 0.7;
/// Layers of the network that learns from it.
const HIDDEN: [usize; 2] = [64, 32];
/// A label that is less likely than this is none of those that a row teaches.
const LEAST: f64 = 0.01;

/// What a small network learned of a large model. Losses are means on rows that both have held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distillation {
    pub hidden: Vec<usize>,
    /// `None` where no rows were held out.
    pub loss_before: Option<f64>,
    pub loss_after: Option<f64>,
}

/// Whether it is asked for.
///
/// # Errors
/// 22023 where it cannot be, before anything is trained.
pub(super) fn wanted(request: &Request, task: Task) -> Result<bool, FitError> {
    if !request.params.distill.unwrap_or(false) {
        return Ok(false);
    }
    let refuse = |what: &str| {
        let message = format!("option \"distill\" is not for {what}");
        Err(FitError::new("22023", message).hint("Leave \"distill\" out, or that."))
    };
    if task == Task::Uplift {
        return refuse("uplift");
    }
    if request.partition.is_some() {
        return refuse("models with a \"partition\"");
    }
    if request.start.is_some() {
        return refuse("a warm start");
    }
    if request.params.algorithm == Some(Algorithm::Linear) {
        return refuse("a linear model, which is small");
    }
    Ok(true)
}

/// Trains a small network on the answers of `large`, puts it in its place, and says what that costs.
pub(super) fn train(
    request: &Request,
    task: Task,
    matrices: &Matrices,
    params: &ValidParams,
    large: &mut Trained,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Distillation, FitError> {
    let taught = Taught::of(matrices, large);
    let rows = taught.rows();
    let own = student(request, task, params, rows.matrix.rows)?;
    let validation = &matrices.validation;
    let held_out = !validation.targets.is_empty();
    let small = request.device.train(&own, |own, device| {
        train::train(
            rows.examples(),
            held_out.then(|| validation.examples()),
            matrices.output,
            matrices.outputs,
            own,
            device,
            report,
        )
    })?;
    let mut small = Trained {
        // Among the rows of the matrices, not those of a row for each label.
        held_out: small.held_out.map(|mut held_out| {
            let more = (rows.matrix.rows - matrices.train.matrix.rows) as u32;
            held_out.rows.iter_mut().for_each(|row| *row -= more);
            held_out
        }),
        ..small
    };
    std::mem::swap(large, &mut small);
    let found = Distillation {
        hidden: own.hidden,
        loss_before: loss(matrices, &small, params),
        loss_after: loss(matrices, large, params),
    };
    Ok(found)
}

/// Mean loss on the validation rows.
fn loss(matrices: &Matrices, trained: &Trained, params: &ValidParams) -> Option<f64> {
    let first = matrices.train.matrix.rows as u32;
    let rows = trained.held_out.as_ref().map(|h| &h.rows[..]);
    let each = rows.unwrap_or_default().iter();
    let each = each.zip(matrices.losses(trained, params));
    let own: Vec<f64> = each
        .filter_map(|(row, loss)| (*row >= first).then_some(loss))
        .collect();
    (!own.is_empty()).then(|| own.iter().sum::<f64>() / own.len() as f64)
}

/// Hyper-parameters of the small network.
fn student(
    request: &Request,
    task: Task,
    params: &ValidParams,
    rows: usize,
) -> Result<ValidParams, FitError> {
    let given = Params {
        algorithm: Some(Algorithm::Mlp),
        hidden: Some(HIDDEN.to_vec()),
        number_embedding: Some(NumberEncoding::None),
        // What it learns is smooth already.
        dropout: Some(0.0),
        ..Params::default()
    };
    let mut own = given.check(task, rows)?;
    own.loss = params.loss;
    own.huber_delta = params.huber_delta;
    own.quantile = params.quantile;
    own.tweedie_power = params.tweedie_power;
    own.focal_gamma = params.focal_gamma;
    own.seed = params.seed;
    let whole = request.params.max_seconds;
    own.max_seconds = whole.map(|s| s * (1.0 - TEACHING));
    own.preparation = params.preparation.clone();
    Ok(own)
}

/// The training rows, and what a model answers to them.
struct Taught<'a> {
    matrices: &'a Matrices,
    /// Row-major `[rows][outputs]`.
    answers: Vec<f64>,
}

impl<'a> Taught<'a> {
    fn of(matrices: &'a Matrices, model: &Trained) -> Taught<'a> {
        let (output, outputs) = (matrices.output, matrices.outputs);
        let matrix = &matrices.train.matrix;
        let mut sums = vec![0.0; matrix.rows * outputs];
        for part in &model.parts {
            let own = answers(&part.model, output, outputs, matrix);
            let both = sums.iter_mut().zip(own);
            both.for_each(|(sum, answer)| *sum += part.share * answer);
        }
        // What a model says of a row it was not trained on is what it knows of such rows.
        if let Some(held_out) = &model.held_out {
            let each = held_out.predictions.chunks_exact(outputs);
            for (row, answer) in held_out.rows.iter().zip(each) {
                if let Some(own) = sums.chunks_exact_mut(outputs).nth(*row as usize) {
                    own.copy_from_slice(answer);
                }
            }
        }
        Taught {
            matrices,
            answers: sums,
        }
    }

    fn rows(&self) -> Rows {
        let train = &self.matrices.train;
        if self.matrices.output == Output::Softmax {
            return self.by_label();
        }
        let both = train.targets.iter().zip(&self.answers);
        // What does not count of a row still does not.
        let target = |(truth, answer): (&f32, &f64)| match truth.is_nan() {
            true => f32::NAN,
            false => *answer as f32,
        };
        Rows {
            matrix: train.matrix.clone(),
            targets: both.map(target).collect(),
            weights: train.weights.clone(),
        }
    }

    /// A row for each label that it may have, which counts as much as the label is likely.
    fn by_label(&self) -> Rows {
        let train = &self.matrices.train;
        let (mut rows, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let each = self.answers.chunks_exact(self.matrices.outputs);
        for (row, shares) in each.enumerate() {
            let weight = train.weights.get(row).copied().unwrap_or(1.0);
            for (label, share) in shares.iter().enumerate().filter(|(_, s)| **s >= LEAST) {
                rows.push(row as u32);
                targets.push(label as f32);
                weights.push(weight * *share as f32);
            }
        }
        Rows {
            matrix: train.matrix.some(&rows),
            targets,
            weights,
        }
    }
}
