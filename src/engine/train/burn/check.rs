//! Whether a device computes what the CPU does. Kernels are made and chosen on the machine they run on, for each shape anew, and for
//! some shapes on some devices Burn has had wrong ones: their training seems to run, and learns less.

use super::{Burn, at_once};
use crate::models::Model;
use crate::models::network::Trainable;
use crate::params::{Averaging, Optimizer, RateFactors, ValidParams};
use crate::train::cpu::{Attentive, Cpu};
use crate::train::epochs::Learner;
use crate::train::{Task, TrainError};
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;

/// Shares within which sums of products with ten bits behind the point, such as GPUs make, lie well: of the loss, and of the step.
const LOSS_APART: f64 = 0.01;
const STEP_APART: f64 = 0.05;

/// Takes plain steps from a model's weights on both, and the losses of validation rows, for each number of rows that the training will have
/// at once: that of a batch and of the last batch, of a chunk of validation rows and of the last one; fewer where a batch is too much
/// work. `net` is the model on the device, whose name it is given. Says what is different, if anything is.
pub(in crate::train) fn check<B, N>(
    task: &Task<'_>,
    model: &Model,
    net: N,
    device: &B::Device,
    name: &str,
) -> Result<(), TrainError>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Trainable<B>,
    N::InnerModule: Trainable<B::InnerBackend>,
{
    let params = plain(task.params);
    let most = at_once(model);
    let parts = [
        (Some(task.train), task.params.batch_size.min(most), true),
        (task.validation, most, false),
    ];
    for (part, at_once, learns) in parts {
        let Some(part) = part else { continue };
        for size in sizes(part.matrix.rows, at_once) {
            let rows: Vec<u32> = (0..size as u32).collect();
            let some = part.some(&rows);
            let some = some.examples();
            let task = Task {
                train: some,
                validation: (!learns).then_some(some),
                params: &params,
                extra: 0,
                ..*task
            };
            let (loss, after) = match model {
                Model::Network(own) => look(Cpu::new(&task, own.clone()), &rows),
                Model::Transformer(own) => look(Attentive::new(&task, own.clone()), &rows),
                // They train on the CPU.
                Model::Trees(_) => return Ok(()),
            };
            let theirs = Burn::new(&task, model.clone(), net.clone(), device, u64::MAX);
            let (their_loss, theirs) = look(theirs, &rows);
            let wrong = |detail: String| TrainError::Wrong {
                device: name.into(),
                detail,
            };
            // Also false of what is no number; where the CPU's is none, the training says so itself.
            let within = |x: f64, most: f64| x <= most;
            if loss.is_finite()
                && !within((loss - their_loss).abs(), LOSS_APART * (loss.abs() + 1.0))
            {
                return Err(wrong(format!(
                    "Before the first step the loss of {size} rows is {their_loss:.6} there, and {loss:.6} on the CPU."
                )));
            }
            let (moved, apart) = (distance(model, &after), distance(&after, &theirs));
            // Of numbers around 1 the last bits.
            if loss.is_finite() && !within(apart, STEP_APART * moved + 1e-4) {
                return Err(wrong(format!(
                    "A first step with {size} rows changes the weights by {:.6} there, and by {moved:.6} on the CPU, which are {apart:.6} apart.",
                    distance(model, &theirs)
                )));
            }
        }
    }
    Ok(())
}

/// How many rows there are at once where so many are taken in pieces: in all pieces, and in the last one if that is smaller.
pub(in crate::train) fn sizes(rows: usize, at_once: usize) -> impl Iterator<Item = usize> {
    let whole = (rows >= at_once).then_some(at_once);
    let rest = rows % at_once;
    whole.into_iter().chain((rest > 0).then_some(rest))
}

/// Gradient descent without chance.
fn plain(params: &ValidParams) -> ValidParams {
    let mut params = params.clone();
    params.optimizer = Optimizer::Sgd;
    (params.momentum, params.dropout) = (0.0, 0.0);
    (params.l1, params.l2) = (0.0, 0.0);
    params.learning.weight_averaging = Averaging::None;
    params.learning.learning_rate_factors = RateFactors::default();
    if let Some(attention) = &mut params.attention {
        (attention.dropout, attention.residual_dropout) = (0.0, 0.0);
    }
    params
}

/// The mean loss, and what the model is after a step; without one where there are validation rows.
fn look(mut learner: impl Learner, rows: &[u32]) -> (f64, Model) {
    let loss = learner.validation_loss().unwrap_or_else(|| {
        let (loss, weight) = learner.step(rows, 1.0);
        (loss + learner.owed()) / weight.max(f64::MIN_POSITIVE)
    });
    (loss, learner.finish())
}

/// Between the weights of two models of the same shapes.
fn distance(a: &Model, b: &Model) -> f64 {
    let all = |model: &Model| -> Vec<f32> {
        match model {
            Model::Network(own) => own.weights().flatten().copied().collect(),
            Model::Transformer(own) => own.all_weights().flatten().copied().collect(),
            Model::Trees(_) => Vec::new(),
        }
    };
    let both = all(a).into_iter().zip(all(b));
    let squares = both.map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>().sqrt()
}
