//! Generated rows beside the training rows, where a model does better with them on rows that were held out.

use super::prepare::Matrices;
use super::trial::AS_GOOD;
use super::{FitError, Progress, Request, canceled, split::Parts, target::Answers};
use crate::artifact::Task;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::params::ValidParams;
use crate::synth::Synthesizer;
use crate::train::{self, Rows, Step, TrainError, Trained};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

/// Share of the time that the training without generated rows has, and that making these may take of the rest.
pub(super) const WITHOUT: f64 = 0.4;
const MAKING: f64 = 0.3;
/// Rows made between two reports.
const SLICE: usize = 1000;

/// Where rows come from, and how many are wanted.
#[derive(Debug, Clone)]
pub struct Augment {
    /// As messages name it, such as `twins@3`.
    pub name: String,
    pub synthesizer: Arc<Synthesizer>,
    /// `None`: as many as there are training rows.
    pub rows: Option<usize>,
}

impl Augment {
    pub(super) fn rows(&self, train: usize) -> usize {
        self.rows.unwrap_or(train)
    }
}

/// What became of generated rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// The model that made them.
    pub gan: String,
    /// Those whose target is known.
    pub rows: u64,
    pub kept: bool,
    /// Mean losses on the rows that both trainings have held out; no generated row is among them.
    pub loss_without: f64,
    /// `None`: the training with them failed.
    pub loss_with: Option<f64>,
    /// Of the difference of the two.
    pub standard_error: f64,
}

/// What a comparison needs.
pub(super) struct Ground<'a> {
    pub request: &'a Request,
    pub answers: &'a Answers,
    pub parts: &'a Parts,
    pub matrices: &'a Matrices,
    pub params: &'a ValidParams,
}

/// What is refused before anything is trained.
pub(super) fn check(request: &Request, task: Task, parts: &Parts) -> Result<(), FitError> {
    let Some(augment) = &request.augment else {
        return Ok(());
    };
    let refuse = |what: &str, hint: &str| Err(FitError::new("22023", what).hint(hint));
    if task == Task::Uplift {
        return refuse(
            "option \"augment\" is not for uplift",
            "Generated rows would tell of effects that nobody has seen.",
        );
    }
    if request.params.tune.is_some() {
        return refuse(
            "options \"augment\" and \"tune\" exclude each other",
            "Tune first, then train with the options that were found, and augment.",
        );
    }
    if parts.validation.is_empty() {
        return refuse(
            "option \"augment\" needs validation rows",
            "Give validation_size above 0.",
        );
    }
    let needed = [Some(&request.target), request.of_task.companion()];
    for name in needed.into_iter().flatten() {
        let own = request.frame.column(name).map(|c| c.kind);
        let known = augment.synthesizer.kinds().find(|(n, _)| n == name);
        match known {
            Some((_, kind)) if Some(kind) == own => {}
            Some(_) => {
                return refuse(
                    &format!(
                        "column \"{name}\" of model \"{}\" is of another type than that of the relation",
                        augment.name
                    ),
                    "Train both on the same columns.",
                );
            }
            None => {
                return refuse(
                    &format!("model \"{}\" has no column \"{name}\"", augment.name),
                    "It must have learned the target: train it on the same columns.",
                );
            }
        }
    }
    Ok(())
}

/// Trains once more, with generated rows, and puts that model in the place of `without` if its loss on the rows both have held out
/// is smaller by more than a standard error (the rule of Breiman, Friedman, Olshen and Stone 1984) and than what is no difference.
pub(super) fn train(
    augment: &Augment,
    ground: &Ground<'_>,
    without: &mut Trained,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Augmentation, FitError> {
    let started = Instant::now();
    let Ground {
        request,
        matrices,
        params,
        ..
    } = ground;
    let (made, answers) = made(augment, ground, report)?;
    let mut found = Augmentation {
        gan: augment.name.clone(),
        rows: answers.as_ref().map_or(0, |a| a.rows.len() as u64),
        kept: false,
        loss_without: matrices.loss(without, params),
        loss_with: None,
        standard_error: 0.0,
    };
    let Some(answers) = answers else {
        return Ok(found);
    };
    let more = ground.prepared(&made, &answers);
    let extra = more.matrix.rows;
    let rows = joined(&matrices.train, more);
    let mut own = (*params).clone();
    own.max_seconds = own
        .max_seconds
        .map(|s| (s - started.elapsed().as_secs_f64()).max(s / 20.0));
    let with = request.device.train(&own, |own, device| {
        train::train_with_extra(
            rows.examples(),
            extra,
            Some(matrices.validation.examples()),
            matrices.output,
            matrices.outputs,
            own,
            device,
            &mut |step: &Step| report(&Progress::of_step(step)),
        )
    });
    let mut with = match with {
        Ok(with) => with,
        Err(TrainError::Diverged { .. }) => return Ok(found),
        Err(other) => return Err(other.into()),
    };
    let real = matrices.train.matrix.rows as u32;
    if let Some(held_out) = &mut with.held_out {
        // Generated rows stand between the training and the validation rows, and none of them is held out.
        let rows = held_out.rows.iter_mut();
        rows.filter(|row| **row >= real)
            .for_each(|row| *row -= extra as u32);
    }
    let Some(losses) = Losses::of(ground, without, &with) else {
        return Ok(found);
    };
    found.loss_without = losses.without;
    found.loss_with = Some(losses.with);
    found.standard_error = losses.standard_error;
    found.kept = losses.pays();
    if found.kept {
        *without = with;
    }
    Ok(found)
}

/// Generated rows in the columns of the relation, and their targets; `None` where no target is known.
fn made(
    augment: &Augment,
    ground: &Ground<'_>,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<(Frame, Option<Answers>), FitError> {
    let started = Instant::now();
    let Ground {
        request,
        answers,
        parts,
        params,
        ..
    } = ground;
    let late = || {
        let whole = params.max_seconds;
        whole.is_some_and(|s| started.elapsed().as_secs_f64() > s * MAKING)
    };
    let wanted = augment.rows(parts.train.len());
    let mut source = augment.synthesizer.rows(params.seed ^ 0x9b05_688c, &[])?;
    let columns = request.frame.columns.iter();
    let mut frame = Frame {
        columns: columns
            .map(|c| Column::new(c.name.as_str(), c.type_name.as_str(), c.kind))
            .collect(),
    };
    while frame.rows() < wanted && !(late() && frame.rows() > 0) {
        if !report(&Progress::phase("augmenting")) {
            return Err(canceled());
        }
        let slice = source.next(SLICE.min(wanted - frame.rows()), &mut || ())?;
        for column in &mut frame.columns {
            let own = slice.column(&column.name);
            for row in 0..slice.rows() {
                let cell = match (own.map_or(Cell::Null, |c| c.cell(row)), column.kind) {
                    // The synthesizer has keys of other tables as text.
                    (Cell::Text(key), Kind::Number) => key.parse().map_or(Cell::Null, Cell::Number),
                    (cell, _) => cell,
                };
                column.push(cell);
            }
        }
    }
    let own = answers.of_generated(request, &frame, params.loss.of_logarithms())?;
    Ok((frame, own))
}

impl Ground<'_> {
    /// Generated rows as the recipe, which has not learned from them, prepares them. A row weighs as others of its label do.
    fn prepared(&self, frame: &Frame, answers: &Answers) -> Rows {
        let Matrices {
            recipe,
            train,
            scale,
            ..
        } = self.matrices;
        let mut by_label = vec![1.0; self.answers.labels.len().max(1)];
        for (row, weight) in self.parts.train.iter().zip(&train.weights) {
            by_label[self.answers.code(*row) as usize] = *weight;
        }
        let weights = answers.rows.iter();
        let weights = weights.map(|row| by_label[answers.code(*row) as usize]);
        Rows {
            matrix: recipe.transform(frame, &answers.rows),
            targets: answers.network_targets(&answers.rows, scale),
            weights: match train.weights.is_empty() {
                true => Vec::new(),
                false => weights.collect(),
            },
        }
    }
}

fn joined(train: &Rows, more: Rows) -> Rows {
    Rows {
        matrix: train.matrix.with(&more.matrix),
        targets: [&train.targets[..], &more.targets].concat(),
        weights: [&train.weights[..], &more.weights].concat(),
    }
}

/// Mean losses on the rows that two trainings have held out.
struct Losses {
    without: f64,
    with: f64,
    /// Of their difference.
    standard_error: f64,
}

impl Losses {
    fn of(ground: &Ground<'_>, without: &Trained, with: &Trained) -> Option<Losses> {
        let rows = |trained: &Trained| trained.held_out.as_ref().map(|h| h.rows.clone());
        let losses = |trained: &Trained| ground.matrices.losses(trained, ground.params);
        let (own, others) = (rows(without)?, rows(with)?);
        let (of_own, of_others) = (losses(without), losses(with));
        // Where time ran out, not the same rows were held out.
        let both = own.iter().zip(of_own).filter_map(|(row, loss)| {
            let other = others.binary_search(row).ok()?;
            Some((loss, of_others[other]))
        });
        let both: Vec<(f64, f64)> = both.collect();
        let count = both.len() as f64;
        if both.len() < 2 {
            return None;
        }
        let without = both.iter().map(|b| b.0).sum::<f64>() / count;
        let with = both.iter().map(|b| b.1).sum::<f64>() / count;
        let squares = both
            .iter()
            .map(|b| (b.0 - b.1 - (without - with)).powi(2))
            .sum::<f64>();
        Some(Losses {
            without,
            with,
            standard_error: (squares / (count - 1.0) / count).sqrt(),
        })
    }

    fn pays(&self) -> bool {
        let noise = self.standard_error.max(AS_GOOD * self.without.abs());
        self.with < self.without - noise
    }
}
