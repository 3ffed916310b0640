//! Gradient boosted trees (Friedman 2001; the second-order form of Chen and Guestrin 2016) with early stopping.

pub(super) mod bins;
mod grow;
mod histogram;
mod leaves;
#[cfg(test)]
pub(super) mod tests;

use super::{Examples, Objective, Step, Task, TrainError, Trained};
use crate::artifact::Epoch;
use crate::models::{Model, Node, Output, Part, Trees};
use crate::random::Random;
use grow::{Grower, Shape};
use histogram::Point;
pub(crate) use histogram::bytes_of_row;
pub(super) use leaves::chosen;
use rayon::prelude::*;
use std::time::Instant;

/// Most rounds, one tree per output each.
const ROUNDS: u32 = 2000;
/// Rounds without a lower validation loss before stopping.
const PATIENCE: u32 = 50;
/// Rounds where there is no validation part to stop them.
const BLIND: u32 = 200;

/// Outputs that begin and stop together.
#[derive(Clone)]
struct Track {
    train_loss: f64,
    /// Of the last round, or the best once it is over.
    loss: f64,
    best_loss: f64,
    best_round: u32,
    /// No more trees.
    over: bool,
}

impl Default for Track {
    fn default() -> Track {
        Track {
            train_loss: 0.0,
            loss: 0.0,
            best_loss: f64::INFINITY,
            best_round: 0,
            over: false,
        }
    }
}

impl Track {
    fn judge(&mut self, round: u32, loss: f64) {
        self.loss = loss;
        if loss < self.best_loss {
            (self.best_loss, self.best_round) = (loss, round);
        }
        if round - self.best_round >= PATIENCE {
            (self.loss, self.over) = (self.best_loss, true);
        }
    }
}

/// Leaves of a tree of hazards, and events that are likely in each, at least.
const HAZARD_LEAVES: usize = 6;
const LEAST_EVENTS: f64 = 10.0;

/// Boosted trees on the training rows: log-odds, one sum per label beyond two, or values.
pub(super) fn boost(
    task: &Task<'_>,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let (matrix, outputs) = (task.train.matrix, task.outputs);
    let started = Instant::now();
    let deadline = task.deadline(started);
    let features = bins::features(matrix);
    let wanted = task.params.boosting;
    let shape = Shape {
        leaves: wanted.max_leaf_nodes,
        least_rows: wanted.min_samples_leaf,
        l2: wanted.l2,
        learning_rate: wanted.learning_rate,
    };
    // Some outputs do not count for some rows: hazards, whose events are few in each interval. Trees of many leaves would learn
    // them by heart before they have learned what they have in common.
    let hazards = outputs > 1 && task.train.targets.iter().any(|y| y.is_nan());
    let shape = Shape {
        leaves: shape
            .leaves
            .min(if hazards { HAZARD_LEAVES } else { usize::MAX }),
        ..shape
    };
    let mut grower = Grower::new(&features, matrix, shape);
    let objective = task.objective().steep();
    let base = objective.start(&task.train);
    let mut scores: Vec<Vec<f32>> = base.iter().map(|b| vec![*b; matrix.rows]).collect();
    let validation = task.validation.as_ref();
    let mut unseen: Vec<f32> = validation.map_or(Vec::new(), |part| {
        (0..part.matrix.rows)
            .flat_map(|_| base.iter().copied())
            .collect()
    });
    let mut points = vec![[0.0; 2]; matrix.rows];
    let mut random = Random::new(task.params.seed ^ 0x7f4a_7c15);
    // Of each tree the round, the output and the nodes.
    let mut trees: Vec<(u32, usize, Vec<Node>)> = Vec::new();
    let mut history: Vec<Epoch> = Vec::new();
    // Outputs that know nothing of each other stop by themselves; those of a softmax together.
    let mut tracks = vec![
        Track::default();
        if task.output == Output::Softmax {
            1
        } else {
            outputs
        }
    ];
    let of = |output: usize, tracks: usize| output.min(tracks - 1);
    let rounds = if validation.is_some() { ROUNDS } else { BLIND };
    let mut stopped_by = "epochs";
    for round in 1..=rounds {
        let round_started = Instant::now();
        // The labels of a softmax start a round from the same scores; other outputs know nothing of each other.
        let before = (task.output == Output::Softmax).then(|| scores.clone());
        for output in 0..outputs {
            let track = of(output, tracks.len());
            if tracks[track].over {
                continue;
            }
            let from = before.as_ref().unwrap_or(&scores);
            let loss = derive(&task.train, &objective, from, output, &mut points);
            tracks[track].train_loss = loss;
            if hazards {
                // So many rows as are likely to meet as many events.
                let events = points.iter().map(|p| f64::from(p[1])).sum::<f64>() / LEAST_EVENTS;
                let least = matrix.rows as f64 / events.max(f64::MIN_POSITIVE);
                let most = (matrix.rows / 8).max(shape.least_rows);
                grower.shape.least_rows = (least as usize).clamp(shape.least_rows, most);
            }
            let mut used: Vec<usize> = (0..features.len()).collect();
            random.shuffle(&mut used);
            used.truncate(((features.len() as f64 * wanted.max_features).ceil() as usize).max(1));
            used.sort_unstable();
            let scores = &mut scores[output];
            // In one of the threads that share the work: going there once costs less than for each leaf.
            let tree = rayon::scope(|_| grower.tree(&points, &used, scores));
            trees.push((round, output, tree));
        }
        let train_loss = tracks.iter().map(|t| t.train_loss).sum();
        let losses = validation.map(|part| {
            let new = trees.partition_point(|(at, ..)| *at < round);
            judge(part, &objective, &trees[new..], &mut unseen, tracks.len())
        });
        for (i, track) in tracks.iter_mut().enumerate().filter(|(_, t)| !t.over) {
            let loss = losses.as_ref().map_or(-f64::from(round), |all| all[i]);
            if !loss.is_finite() {
                return Err(TrainError::Diverged { epoch: round });
            }
            track.judge(round, loss);
        }
        let validation_loss = losses.map(|_| tracks.iter().map(|t| t.loss).sum());
        history.push(Epoch {
            epoch: round,
            train_loss,
            validation_loss,
            learning_rate: shape.learning_rate,
            rows_per_second: matrix.rows as f64 / round_started.elapsed().as_secs_f64().max(1e-9),
            seconds: started.elapsed().as_secs_f64(),
        });
        let step = Step {
            boosting: true,
            ended: true,
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
        if deadline.is_some_and(|d| Instant::now() >= d) {
            stopped_by = "max_seconds";
            break;
        }
        if tracks.iter().all(|t| t.over) {
            stopped_by = "early_stopping";
            break;
        }
    }
    let best_epoch = tracks.iter().map(|t| t.best_round).max().unwrap_or(0);
    trees.retain(|(round, output, _)| *round <= tracks[of(*output, tracks.len())].best_round);
    let trees = trees
        .into_iter()
        .map(|(_, output, tree)| (output, tree))
        .collect();
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

/// Gradient and curvature of each training row by one output's score; answers the mean loss of that output.
fn derive(
    part: &Examples<'_>,
    objective: &Objective,
    scores: &[Vec<f32>],
    output: usize,
    points: &mut [Point],
) -> f64 {
    let losses: Vec<(f64, f64)> = points
        .par_chunks_mut(4096)
        .enumerate()
        .map(|(chunk, points)| {
            let (mut sum, mut total) = (0.0, 0.0);
            for (i, own) in points.iter_mut().enumerate() {
                let row = chunk * 4096 + i;
                let weight = part.weights.get(row).map_or(1.0, |w| f64::from(*w));
                let targets = objective.of(part.targets, row);
                let point = objective.pair(scores, row, output, targets);
                let exact = [weight * point.slope, weight * point.curve.max(1e-12)];
                *own = exact.map(|x| x as f32);
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

/// Adds what the new trees say of the unseen rows to their scores, `[rows][outputs]`; answers the mean loss of each track.
fn judge(
    part: &Examples<'_>,
    objective: &Objective,
    new: &[(u32, usize, Vec<Node>)],
    scores: &mut [f32],
    tracks: usize,
) -> Vec<f64> {
    let (matrix, outputs) = (part.matrix, objective.outputs);
    let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
    let losses: Vec<Vec<f64>> = scores
        .par_chunks_mut(outputs * 1024)
        .enumerate()
        .map(|(chunk, scores)| {
            let (mut sums, mut losses) = (vec![0.0; outputs], vec![0.0; tracks]);
            for (i, scores) in scores.chunks_exact_mut(outputs).enumerate() {
                let row = chunk * 1024 + i;
                let own_numbers = &matrix.numbers[row * numbers..(row + 1) * numbers];
                let own_codes = &matrix.codes[row * codes..(row + 1) * codes];
                for (_, output, tree) in new {
                    scores[*output] += Node::value(tree, own_numbers, own_codes);
                }
                sums.copy_from_slice(scores);
                let weight = part.weights.get(row).map_or(1.0, |w| f64::from(*w));
                objective.add_losses(
                    &mut sums,
                    objective.of(part.targets, row),
                    weight,
                    &mut losses,
                );
            }
            losses
        })
        .collect();
    let rows: Vec<u32> = (0..matrix.rows as u32).collect();
    let total = part.weight(&rows).max(f64::MIN_POSITIVE);
    let mean = |track: usize| losses.iter().map(|l| l[track]).sum::<f64>() / total;
    (0..tracks).map(mean).collect()
}
