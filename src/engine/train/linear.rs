//! A linear model: the penalty that does best on the validation rows.

use super::{REPORT, Step, Task, TrainError, Trained};
use crate::artifact::Epoch;
use crate::infer::answers;
use crate::linear::{Design, Goal, Penalty, Solver, smallest_without};
use crate::models::{
    Activation, BagInput, CategoryInput, Dense, Encoding, Inputs, Model, Network, Part,
};
use std::time::Instant;

/// Shares of the L1 penalty in the whole (scikit-learn's `l1_ratio`); none is ridge regression.
const RATIOS: [f64; 3] = [0.0, 0.5, 1.0];
/// Penalties tried for each share, from the largest down to this share of it.
const PENALTIES: u32 = 25;
const LEAST: f64 = 1e-4;
/// The largest penalty without L1, per standardised input.
const LARGEST_RIDGE: f64 = 1.0;
/// A path ends when the validation loss has not fallen for so many penalties.
const PATIENCE: u32 = 4;
/// Without validation rows.
const BLIND: Penalty = Penalty { l1: 0.0, l2: 1e-3 };

/// Mean loss + l1 · Σ|w| + l2 · Σw² made small, as given or along paths of falling penalties, of which the one with the lowest
/// validation loss is taken (Zou and Hastie 2005).
pub(super) fn linear(
    task: &Task<'_>,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let started = Instant::now();
    let deadline = task.deadline(started);
    let design = Design::all(task.train.matrix);
    let goal = Goal {
        output: task.output,
        outputs: task.outputs,
        targets: task.train.targets,
        weights: task.train.weights,
        until: deadline,
    };
    let paths: Vec<Vec<Penalty>> = match (task.params.penalty, &task.validation) {
        (Some([l1, l2]), _) => vec![vec![Penalty { l1, l2 }]],
        (None, None) => vec![vec![BLIND]],
        (None, Some(_)) => {
            let largest = smallest_without(&design, &goal).max(f64::MIN_POSITIVE);
            RATIOS.map(|ratio| path(ratio, largest)).to_vec()
        }
    };
    let tried = paths.iter().map(Vec::len).sum::<usize>() as u32;
    let mut history: Vec<Epoch> = Vec::new();
    let mut best: Option<(f64, u32, Network)> = None;
    let mut stopped_by = "epochs";
    let mut solver = Solver::new(&design, &goal);
    let mut step = Step {
        epochs: tried,
        ..Step::default()
    };
    'paths: for path in paths {
        solver.restart();
        let (mut least, mut since) = (f64::INFINITY, 0);
        for by in path {
            let at = Instant::now();
            let mut reported = at;
            step.ended = false;
            let go_on = &mut || {
                if reported.elapsed() < REPORT {
                    return true;
                }
                reported = Instant::now();
                report(&step)
            };
            if !solver.fit(by, go_on) {
                return Err(TrainError::Canceled);
            }
            let network = network(task, &solver.coefficients);
            let loss = |part: &super::Examples<'_>| {
                let model = Model::Network(network.clone());
                let all = answers(&model, task.output, task.outputs, part.matrix);
                task.objective().steep().mean(&all, part)
            };
            let train_loss = loss(&task.train);
            let validation_loss = task.validation.as_ref().map(loss);
            let judged = validation_loss.unwrap_or(train_loss);
            let epoch = history.len() as u32 + 1;
            if !judged.is_finite() || !network.weights().flatten().all(|w| w.is_finite()) {
                return Err(TrainError::Diverged { epoch });
            }
            history.push(Epoch {
                epoch,
                train_loss,
                validation_loss,
                learning_rate: by.l1 + by.l2,
                rows_per_second: task.train.matrix.rows as f64
                    / at.elapsed().as_secs_f64().max(1e-9),
                seconds: started.elapsed().as_secs_f64(),
            });
            if best.as_ref().is_none_or(|(loss, ..)| judged < *loss) {
                best = Some((judged, epoch, network));
            }
            step = Step {
                ended: true,
                epoch,
                rows_per_second: history.last().map_or(0.0, |e| e.rows_per_second),
                loss: train_loss,
                validation_loss,
                eta_seconds: started.elapsed().as_secs_f64() / f64::from(epoch)
                    * f64::from(tried.saturating_sub(epoch)),
                ..step
            };
            if !report(&step) {
                return Err(TrainError::Canceled);
            }
            if deadline.is_some_and(|d| Instant::now() >= d) {
                stopped_by = "max_seconds";
                break 'paths;
            }
            since = if judged < least { 0 } else { since + 1 };
            least = least.min(judged);
            if since >= PATIENCE {
                break;
            }
        }
    }
    let Some((_, best_epoch, network)) = best else {
        return Err(TrainError::Diverged { epoch: 0 });
    };
    Ok(Trained {
        parts: vec![Part {
            share: 1.0,
            model: Model::Network(network),
        }],
        history,
        best_epoch,
        stopped_by,
        held_out: None,
    })
}

/// Falling penalties with a share of L1, which `largest` alone leaves nothing of.
fn path(ratio: f64, largest: f64) -> Vec<Penalty> {
    let start = if ratio > 0.0 {
        largest / ratio
    } else {
        LARGEST_RIDGE
    };
    let step = LEAST.powf(1.0 / f64::from(PENALTIES - 1));
    (0..PENALTIES)
        .map(|i| start * step.powi(i as i32))
        .map(|whole| Penalty {
            l1: whole * ratio,
            // Half a square, as glmnet and scikit-learn have it.
            l2: whole * (1.0 - ratio) / 2.0,
        })
        .collect()
}

/// The coefficients as a network without hidden layers: an input for each level, no vectors of tokens.
fn network(task: &Task<'_>, coefficients: &[Vec<f64>]) -> Network {
    let own = &task.train.matrix.inputs;
    let inputs = Inputs {
        numbers: own.numbers,
        categories: own
            .categories
            .iter()
            .map(|c| CategoryInput {
                levels: c.levels,
                encoding: Encoding::OneHot,
            })
            .collect(),
        bags: own.bags.iter().map(|b| BagInput { dim: 1, ..*b }).collect(),
    };
    let outputs = task.outputs;
    // The vectors of tokens, one number wide, are 0.
    let width = inputs.width();
    let mut weights = vec![0.0; width * outputs];
    for (output, own) in coefficients.iter().enumerate() {
        for (input, b) in own[1..].iter().enumerate() {
            weights[input * outputs + output] = *b as f32;
        }
    }
    Network {
        bags: own.bags.iter().map(|b| vec![0.0; b.vocabulary]).collect(),
        inputs,
        activation: Activation::Relu,
        output: task.output,
        embeddings: Vec::new(),
        number_embeddings: Vec::new(),
        members: 1,
        factors: Vec::new(),
        layers: Vec::new(),
        heads: vec![Dense {
            inputs: width,
            outputs,
            weights,
            bias: coefficients.iter().map(|own| own[0] as f32).collect(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fall_from_where_nothing_is_left() {
        let lasso = path(1.0, 0.5);
        assert_eq!(lasso[0], Penalty { l1: 0.5, l2: 0.0 });
        assert!(lasso.windows(2).all(|pair| pair[1].l1 < pair[0].l1));
        assert!((lasso[24].l1 / 0.5 / LEAST - 1.0).abs() < 1e-9);
        let ridge = path(0.0, 0.5);
        assert_eq!((ridge[0].l1, ridge[0].l2), (0.0, LARGEST_RIDGE / 2.0));
    }
}
