//! Gradient boosted trees (Friedman 2001; the second-order form of Chen and Guestrin 2016) with early stopping.

pub(super) mod bins;
mod grow;
#[cfg(test)]
pub(super) mod tests;

use super::blend::mean_loss;
use super::{REPORT, Step, Task, TrainError, Trained};
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
        leaves: match (task.output, matrix.rows) {
            // A label tells less than a value does.
            (Output::Sigmoid | Output::Softmax, 0..5_000) => 8,
            (Output::Sigmoid | Output::Softmax, 5_000..12_000) => 15,
            _ => 31,
        },
        least_rows: 20,
        l2: 1.0,
        learning_rate: match matrix.rows {
            // The models of several turns steady each other.
            0..200_000 if task.params.folds > 1 => 0.07,
            0..200_000 => 0.05,
            _ => 0.1,
        },
    };
    let mut grower = Grower::new(&features, matrix.rows, shape);
    let base = base(task);
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
        // All outputs of a round start from the same scores.
        let before: Option<Vec<Vec<f32>>> = (outputs > 1).then(|| scores.clone());
        for output in 0..outputs {
            let from = before.as_ref().unwrap_or(&scores);
            let loss = derive(task, from, output, &mut pairs);
            train_loss = if output == 0 { loss } else { train_loss };
            let mut used: Vec<usize> = (0..features.len()).collect();
            random.shuffle(&mut used);
            used.truncate(((features.len() as f64 * FEATURES).ceil() as usize).max(1));
            used.sort_unstable();
            trees.push((output, grower.tree(&pairs, &used, &mut scores[output])));
        }
        let validation_loss = validation.map(|part| {
            let new = &trees[trees.len() - outputs..];
            let matrix = part.matrix;
            let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
            unseen
                .par_chunks_mut(outputs * 1024)
                .enumerate()
                .for_each(|(chunk, scores)| {
                    for (i, scores) in scores.chunks_exact_mut(outputs).enumerate() {
                        let row = chunk * 1024 + i;
                        let own_numbers = &matrix.numbers[row * numbers..(row + 1) * numbers];
                        let own_codes = &matrix.codes[row * codes..(row + 1) * codes];
                        for (score, (_, tree)) in scores.iter_mut().zip(new) {
                            *score += Node::value(tree, own_numbers, own_codes);
                        }
                    }
                });
            mean_loss(
                task.output,
                &probabilities(task.output, outputs, &unseen),
                part,
            )
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
        held_out: None,
    })
}

/// What the sums begin with: log-odds or logarithms of the shares of the labels, or the mean.
fn base(task: &Task<'_>) -> Vec<f32> {
    let part = &task.train;
    let weight = |row: usize| part.weights.get(row).map_or(1.0, |w| f64::from(*w));
    let mut sums = vec![0.0; task.outputs];
    let mut total = 0.0;
    for (row, target) in part.targets.iter().enumerate() {
        let weight = weight(row);
        total += weight;
        match task.output {
            Output::Softmax => sums[*target as usize] += weight,
            _ => sums[0] += weight * f64::from(*target),
        }
    }
    let start = |sum: f64| {
        let mean = sum / total.max(f64::MIN_POSITIVE);
        let p = mean.clamp(1e-6, 1.0 - 1e-6);
        match task.output {
            Output::Identity => mean,
            Output::Sigmoid => (p / (1.0 - p)).ln(),
            Output::Softmax => p.ln(),
        }
    };
    sums.into_iter().map(|sum| start(sum) as f32).collect()
}

/// Gradient and curvature of each training row by one output's score; answers the mean loss.
fn derive(task: &Task<'_>, scores: &[Vec<f32>], output: usize, pairs: &mut [Pair]) -> f64 {
    let part = &task.train;
    let labels = scores.len() as f64;
    let losses: Vec<(f64, f64)> = pairs
        .par_chunks_mut(4096)
        .enumerate()
        .map(|(chunk, pairs)| {
            let (mut sum, mut total) = (0.0, 0.0);
            for (i, pair) in pairs.iter_mut().enumerate() {
                let row = chunk * 4096 + i;
                let target = part.targets[row];
                let weight = part.weights.get(row).map_or(1.0, |w| f64::from(*w));
                let score = f64::from(scores[output][row]);
                let (loss, g, h) = match task.output {
                    Output::Identity => {
                        let error = score - f64::from(target);
                        (error * error, error, 1.0)
                    }
                    Output::Sigmoid => {
                        let p = 1.0 / (1.0 + (-score).exp());
                        let own = if target == 1.0 { p } else { 1.0 - p };
                        (-own.max(1e-15).ln(), p - f64::from(target), p * (1.0 - p))
                    }
                    Output::Softmax => {
                        let all = || scores.iter().map(|s| f64::from(s[row]));
                        let largest = all().fold(f64::NEG_INFINITY, f64::max);
                        let sum: f64 = all().map(|s| (s - largest).exp()).sum();
                        let p = (score - largest).exp() / sum;
                        let own = f64::from(scores[target as usize][row]) - largest;
                        let truth = f64::from(u8::from(target as usize == output));
                        // Friedman's factor makes one step of all outputs as long as one of two labels.
                        let factor = labels / (labels - 1.0);
                        (sum.ln() - own, p - truth, factor * p * (1.0 - p))
                    }
                };
                *pair = [weight * g, weight * h.max(1e-12)];
                sum += weight * loss;
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

/// What the sums stand for, `[rows][outputs]`.
fn probabilities(output: Output, outputs: usize, sums: &[f32]) -> Vec<f64> {
    match output {
        Output::Identity => sums.iter().map(|s| f64::from(*s)).collect(),
        Output::Sigmoid => sums
            .iter()
            .map(|s| crate::infer::sigmoid(f64::from(*s)))
            .collect(),
        Output::Softmax => {
            let mut out = vec![0.0; sums.len()];
            let rows = sums
                .chunks_exact(outputs)
                .zip(out.chunks_exact_mut(outputs));
            rows.for_each(|(sums, out)| crate::infer::softmax(sums, 1.0, out));
            out
        }
    }
}
