//! Whether a device computes what the CPU does. Kernels are made and chosen on the machine they run on, for each shape anew, and for
//! some shapes on some devices Burn has had wrong ones: their training seems to run, and learns less.

use super::{Burn, held};
use crate::models::Model;
use crate::models::network::Trainable;
use crate::params::{Averaging, Optimizer, RateFactors, ValidParams};
use crate::train::cpu::{Attentive, Cpu};
use crate::train::epochs::Learner;
use crate::train::{Task, TrainError};
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;

/// Numbers that the step may hold, about.
const NUMBERS: usize = 1 << 24;
/// Shares within which sums of products with ten bits behind the point, such as GPUs make, lie well: of the loss, and of the step.
const LOSS_APART: f64 = 0.01;
const STEP_APART: f64 = 0.05;

/// Takes one plain step from a model's weights on both, on as many rows as a batch has where that is not much work. `net` is the model on
/// the device, whose name it is given. Says what is different, if anything is.
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
    let most = (NUMBERS / held(model)).clamp(1, task.params.batch_size);
    let rows: Vec<u32> = (0..task.train.matrix.rows.min(most) as u32).collect();
    let some = task.train.some(&rows);
    let params = plain(task.params);
    let task = Task {
        train: some.examples(),
        validation: None,
        params: &params,
        extra: 0,
        ..*task
    };
    let (loss, after) = match model {
        Model::Network(own) => step(Cpu::new(&task, own.clone()), &rows),
        Model::Transformer(own) => step(Attentive::new(&task, own.clone()), &rows),
        // They train on the CPU.
        Model::Trees(_) => return Ok(()),
    };
    let theirs = Burn::new(&task, model.clone(), net, device, u64::MAX);
    let (their_loss, theirs) = step(theirs, &rows);
    if !loss.is_finite() {
        // The training says so itself.
        return Ok(());
    }
    let wrong = |detail: String| TrainError::Wrong {
        device: name.into(),
        detail,
    };
    let weight = task.train.weight(&rows);
    // Also false of what is no number.
    let within = |x: f64, most: f64| x <= most;
    if !within(
        (loss - their_loss).abs(),
        LOSS_APART * (loss.abs() + weight),
    ) {
        return Err(wrong(format!(
            "Before the first step the loss is {:.6} there, and {:.6} on the CPU.",
            their_loss / weight,
            loss / weight
        )));
    }
    let (moved, apart) = (distance(model, &after), distance(&after, &theirs));
    // Of numbers around 1 the last bits.
    if !within(apart, STEP_APART * moved + 1e-4) {
        return Err(wrong(format!(
            "A first step changes the weights by {:.6} there, and by {moved:.6} on the CPU, which are {apart:.6} apart.",
            distance(model, &theirs)
        )));
    }
    Ok(())
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

/// The sum of the losses before a step, and what the model is after it.
fn step(mut learner: impl Learner, rows: &[u32]) -> (f64, Model) {
    let (loss, _) = learner.step(rows, 1.0);
    (loss + learner.owed(), learner.finish())
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
