//! Gradient boosted trees (Friedman 2001; the second-order form of Chen and Guestrin 2016) with early stopping.

mod bins;
mod grow;
#[cfg(test)]
mod tests;

use super::{Examples, Objective, REPORT, Step, Task, TrainError, Trained};
use crate::artifact::Epoch;
use crate::models::{Model, Node, Output, Part, Trees};
use crate::random::Random;
use grow::{Grower, Pair, Shape};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// Most rounds, one tree per output each.
const ROUNDS: u32 = 2000;
/// Rounds without a lower validation loss before stopping.
const PATIENCE: u32 = 50;
/// Rounds where there is no validation part to stop them.
const BLIND: u32 = 200;
/// Share of the features that a tree looks at.
const FEATURES: f64 = 0.7;

/// Boosted trees on the training rows: log-odds, one sum per label beyond two, or values.
pub(super) fn boost(
    task: &Task<'_>,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let (matrix, outputs) = (task.train.matrix, task.outputs);
    let started = Instant::now();
    let deadline = task.params.max_seconds;
    let deadline = deadline.map(|s| started + Duration::from_secs_f64(s.min(1e9)));
    let features = bins::bin(matrix);
    let shape = Shape {
        leaves: 31,
        least_rows: 20,
        l2: 1.0,
        learning_rate: if matrix.rows < 200_000 { 0.05 } else { 0.1 },
    };
    let mut grower = Grower::new(&features, matrix.rows, shape);
    let objective = task.objective().steep();
    let base = objective.start(&task.train);
    let mut scores: Vec<Vec<f32>> = base.iter().map(|b| vec![*b; matrix.rows]).collect();
    let validation = task.validation.as_ref();
    let mut unseen: Vec<f32> = validation.map_or(Vec::new(), |part| {
        (0..part.matrix.rows)
            .flat_map(|_| base.iter().copied())
            .collect()
    });
    let mut pairs = vec![[0.0; 2]; matrix.rows];
    let mut random = Random::new(task.params.seed ^ 0x7f4a_7c15);
    let mut trees: Vec<(usize, Vec<Node>)> = Vec::new();
    let mut history: Vec<Epoch> = Vec::new();
    let mut best: Option<(f64, u32)> = None;
    let mut last_report: Option<Instant> = None;
    let rounds = if validation.is_some() { ROUNDS } else { BLIND };
    let mut stopped_by = "epochs";
    for round in 1..=rounds {
        let round_started = Instant::now();
        let mut train_loss = 0.0;
        // The labels of a softmax start a round from the same scores; other outputs know nothing of each other.
        let before = (task.output == Output::Softmax).then(|| scores.clone());
        for output in 0..outputs {
            let from = before.as_ref().unwrap_or(&scores);
            let loss = derive(&task.train, &objective, from, output, &mut pairs);
            // A softmax has one loss, whichever the output.
            train_loss = match task.output {
                Output::Softmax => loss,
                _ => train_loss + loss,
            };
            let mut used: Vec<usize> = (0..features.len()).collect();
            random.shuffle(&mut used);
            used.truncate(((features.len() as f64 * FEATURES).ceil() as usize).max(1));
            used.sort_unstable();
            trees.push((output, grower.tree(&pairs, &used, &mut scores[output])));
        }
        let validation_loss = validation.map(|part| {
            let new = &trees[trees.len() - outputs..];
            judge(part, &objective, new, &mut unseen)
        });
        history.push(Epoch {
            epoch: round,
            train_loss,
            validation_loss,
            learning_rate: shape.learning_rate,
            rows_per_second: matrix.rows as f64 / round_started.elapsed().as_secs_f64().max(1e-9),
            seconds: started.elapsed().as_secs_f64(),
        });
        let judged = validation_loss.unwrap_or(-f64::from(round));
        if !judged.is_finite() {
            return Err(TrainError::Diverged { epoch: round });
        }
        if best.is_none_or(|(loss, _)| judged < loss) {
            best = Some((judged, round));
        }
        let since = round - best.map_or(0, |(_, at)| at);
        if last_report.is_none_or(|at| at.elapsed() >= REPORT) {
            last_report = Some(Instant::now());
            let step = Step {
                boosting: true,
                epoch: round,
                epochs: rounds,
                rows_per_second: history.last().map_or(0.0, |e| e.rows_per_second),
                loss: train_loss,
                validation_loss,
                eta_seconds: started.elapsed().as_secs_f64() / f64::from(round)
                    * f64::from(rounds - round),
            };
            if !report(&step) {
                return Err(TrainError::Canceled);
            }
        }
        if deadline.is_some_and(|d| Instant::now() >= d) {
            stopped_by = "max_seconds";
            break;
        }
        if since >= PATIENCE {
            stopped_by = "early_stopping";
            break;
        }
    }
    let best_epoch = best.map_or(0, |(_, at)| at);
    trees.truncate(best_epoch as usize * outputs);
    let mut model = Trees::new(matrix.inputs.numbers, matrix.inputs.categories.len(), base);
    model.write(trees);
    Ok(Trained {
        parts: vec![Part {
            share: 1.0,
            model: Model::Trees(model),
        }],
        history,
        best_epoch,
        stopped_by,
    })
}

/// Gradient and curvature of each training row by one output's score; answers the mean loss of that output.
fn derive(
    part: &Examples<'_>,
    objective: &Objective,
    scores: &[Vec<f32>],
    output: usize,
    pairs: &mut [Pair],
) -> f64 {
    let losses: Vec<(f64, f64)> = pairs
        .par_chunks_mut(4096)
        .enumerate()
        .map(|(chunk, pairs)| {
            let (mut sum, mut total) = (0.0, 0.0);
            for (i, pair) in pairs.iter_mut().enumerate() {
                let row = chunk * 4096 + i;
                let weight = part.weights.get(row).map_or(1.0, |w| f64::from(*w));
                let targets = objective.of(part.targets, row);
                let point = objective.pair(scores, row, output, targets);
                *pair = [weight * point.slope, weight * point.curve.max(1e-12)];
                sum += weight * point.loss;
                total += weight;
            }
            (sum, total)
        })
        .collect();
    let (sum, total) = losses
        .into_iter()
        .fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    sum / f64::max(total, f64::MIN_POSITIVE)
}

/// Adds what the new trees say of the unseen rows to their scores, `[rows][outputs]`; answers the mean loss.
fn judge(
    part: &Examples<'_>,
    objective: &Objective,
    new: &[(usize, Vec<Node>)],
    scores: &mut [f32],
) -> f64 {
    let (matrix, outputs) = (part.matrix, objective.outputs);
    let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
    let losses: Vec<Vec<f64>> = scores
        .par_chunks_mut(outputs * 1024)
        .enumerate()
        .map(|(chunk, scores)| {
            let mut sums = vec![0.0; outputs];
            let rows = scores.chunks_exact_mut(outputs).enumerate();
            rows.map(|(i, scores)| {
                let row = chunk * 1024 + i;
                let own_numbers = &matrix.numbers[row * numbers..(row + 1) * numbers];
                let own_codes = &matrix.codes[row * codes..(row + 1) * codes];
                for (score, (_, tree)) in scores.iter_mut().zip(new) {
                    *score += Node::value(tree, own_numbers, own_codes);
                }
                sums.copy_from_slice(scores);
                objective.derive(&mut sums, objective.of(part.targets, row))
            })
            .collect()
        })
        .collect();
    part.mean(losses.into_iter().flatten())
}
