//! A random forest (Breiman 2001) whose trees average labels or values.

use super::boost::bins::{Feature, features};
use super::{REPORT, Step, Task, TrainError, Trained};
use crate::artifact::Epoch;
use crate::forest::{Averaged, Binned, Forest, Growth};
use crate::infer::answers;
use crate::models::{Model, Output, Part, Trees};
use rayon::prelude::*;
use std::time::Instant;

/// Trees grown between two looks at the clock.
const AT_A_TIME: usize = 16;
/// Rows of a leaf: so many, more on large tables, whose leaves would be too many to keep.
const LEAF: usize = 3;
const LEAVES: usize = 4_000;

/// `params.trees` trees on bootstrap samples, drawn in proportion to the rows' weights. Each split looks at the square root of
/// the features, for values at a third of them where these are more (as Breiman's forests do).
pub(super) fn forest(
    task: &Task<'_>,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let (matrix, outputs) = (task.train.matrix, task.outputs);
    let started = Instant::now();
    let deadline = task.deadline(started);
    let features = features(matrix);
    let columns = features.par_iter().enumerate();
    let ordered = columns.map(|(at, feature)| {
        let bins = feature.bins(matrix, at, 0..matrix.rows).collect();
        Ordered::of(feature, bins, task)
    });
    let (ordered, inputs): (Vec<Ordered>, Vec<Vec<u8>>) = ordered.unzip();
    let binned = Binned {
        rows: matrix.rows,
        inputs,
    };
    let values = match task.output {
        Output::Softmax => {
            let mut values = vec![0.0; matrix.rows * outputs];
            let rows = values.chunks_exact_mut(outputs).zip(task.train.targets);
            rows.for_each(|(row, code)| row[*code as usize] = 1.0);
            values
        }
        Output::Sigmoid | Output::Identity | Output::Exp => task.train.targets.to_vec(),
    };
    let target = Averaged { outputs, values };
    let wanted = task.params.trees;
    let mut growth = Growth {
        trees: 0,
        leaf: LEAF.max(matrix.rows / LEAVES),
        tried: match task.output {
            // Of few features a third would be hardly any.
            Output::Identity if features.len() > 9 => Some(features.len() / 3),
            _ => None,
        },
        seed: task.params.seed ^ 0x3c6e_f372,
    };
    let mut forest = Forest::of(outputs);
    let mut last_report: Option<Instant> = None;
    let mut stopped_by = "epochs";
    let mut grown = 0;
    while grown < wanted {
        growth.trees = AT_A_TIME.min(wanted - grown);
        forest.grow(&binned, &target, task.train.weights, growth);
        grown += growth.trees;
        let seconds = started.elapsed().as_secs_f64();
        if last_report.is_none_or(|at| at.elapsed() >= REPORT) {
            last_report = Some(Instant::now());
            let step = Step {
                boosting: true,
                ended: false,
                epoch: grown as u32,
                epochs: wanted as u32,
                rows_per_second: (matrix.rows * grown) as f64 / seconds.max(1e-9),
                loss: 0.0,
                validation_loss: None,
                eta_seconds: seconds / grown as f64 * (wanted - grown) as f64,
            };
            if !report(&step) {
                return Err(TrainError::Canceled);
            }
        }
        if grown < wanted && deadline.is_some_and(|d| Instant::now() >= d) {
            stopped_by = "max_seconds";
            break;
        }
    }
    let (numbers, categories) = (matrix.inputs.numbers, matrix.inputs.categories.len());
    let mut model = Trees::new(numbers, categories, vec![0.0; outputs]);
    model.plain = true;
    let written = forest.written(|input, last, left, right| {
        let goes_left = ordered[input].goes_left(last);
        features[input].node(input, &goes_left, left, right)
    });
    model.write(written.into_iter().map(|tree| (0, tree)).collect());
    let model = Model::Trees(model);
    let seconds = started.elapsed().as_secs_f64();
    let loss = |part: &super::Examples<'_>| {
        let all = answers(&model, task.output, outputs, part.matrix);
        task.objective().steep().mean(&all, part)
    };
    let history = vec![Epoch {
        epoch: grown as u32,
        train_loss: loss(&task.train),
        validation_loss: task.validation.as_ref().map(loss),
        learning_rate: 0.0,
        rows_per_second: (matrix.rows * grown) as f64 / seconds.max(1e-9),
        seconds,
    }];
    Ok(Trained {
        parts: vec![Part { share: 1.0, model }],
        history,
        best_epoch: grown as u32,
        stopped_by,
        held_out: None,
    })
}

/// The bins of a feature in an order in which splits cut it: a number's as they are, those of a category by the mean of the
/// target (Fisher 1958; of several labels by the share of the most frequent one), the first bin, of rare and unseen levels, last.
struct Ordered {
    /// The rank of each bin.
    ranks: Vec<u8>,
}

impl Ordered {
    /// Answers the bins by their ranks as well.
    fn of(feature: &Feature, mut bins: Vec<u8>, task: &Task<'_>) -> (Ordered, Vec<u8>) {
        let mut order: Vec<u8> = (0..feature.count).map(|bin| bin as u8).collect();
        if feature.is_category() {
            let targets = task.train.targets;
            let label = match task.output {
                Output::Softmax => Some(most_frequent(targets, task.outputs)),
                Output::Sigmoid | Output::Identity | Output::Exp => None,
            };
            let (mut sums, mut counts) = (vec![0.0; feature.count], vec![0.0f64; feature.count]);
            for (bin, target) in bins.iter().zip(targets) {
                counts[usize::from(*bin)] += 1.0;
                sums[usize::from(*bin)] += match label {
                    Some(label) => f64::from(u8::from(*target == label)),
                    None => f64::from(*target),
                };
            }
            let mean = |bin: &u8| sums[usize::from(*bin)] / counts[usize::from(*bin)].max(1.0);
            order.sort_by(|a, b| {
                let first = (*a == 0).cmp(&(*b == 0));
                first.then(mean(a).total_cmp(&mean(b))).then(a.cmp(b))
            });
        }
        let mut ranks = vec![0; feature.count];
        for (rank, bin) in order.into_iter().enumerate() {
            ranks[usize::from(bin)] = rank as u8;
        }
        bins.iter_mut()
            .for_each(|bin| *bin = ranks[usize::from(*bin)]);
        (Ordered { ranks }, bins)
    }

    /// Which bins rank at most as high.
    fn goes_left(&self, last: u8) -> Vec<bool> {
        self.ranks.iter().map(|rank| *rank <= last).collect()
    }
}

fn most_frequent(targets: &[f32], labels: usize) -> f32 {
    let mut counts = vec![0usize; labels];
    targets.iter().for_each(|code| counts[*code as usize] += 1);
    let best = counts.iter().enumerate().max_by_key(|(_, count)| **count);
    best.map_or(0.0, |(label, _)| label as f32)
}

#[cfg(test)]
#[path = "forest_test.rs"]
mod tests;
