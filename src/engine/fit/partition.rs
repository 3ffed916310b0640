//! Models of their own for the values of a column, where they do better than the shared one.

use super::prepare::Prepared;
use super::trial::AS_GOOD;
use super::{FitError, Request, label_of, split::Parts, target::Answers};
use crate::artifact::{Partition, Segment, SegmentNote, Task};
use crate::frame::Kind;
use crate::params::ValidParams;
use crate::train::{self, HeldOut, Step, TrainError, Trained};
use std::collections::BTreeMap;

/// Fewer training rows have no model of their own, nor have fewer validation rows, or rows of a label.
const LEAST_ROWS: usize = 200;
const LEAST_VALIDATION: usize = 30;
const LEAST_OF_A_LABEL: usize = 10;
/// More values than this are no segments.
const MOST_SEGMENTS: usize = 1_000;
/// Share of the time that the shared model has.
pub(super) const SHARED: f64 = 0.5;

/// The rows of a value, as positions among the training rows and the validation rows.
#[derive(Default)]
struct Members {
    train: Vec<u32>,
    validation: Vec<u32>,
}

/// Trains a model for each value of `column` that has rows enough, and keeps it if its loss on rows that were held out is clearly
/// smaller than that of the shared model, whose answers for these rows are replaced then. `seconds` bounds all of them together.
#[allow(clippy::too_many_arguments)]
pub(super) fn train(
    column: &str,
    request: &Request,
    answers: &Answers,
    parts: &Parts,
    prepared: &Prepared,
    params: &ValidParams,
    shared: &mut HeldOut,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<(Partition, Vec<SegmentNote>), FitError> {
    let segments = segments(column, request, parts)?;
    let count = segments.values().filter(|rows| rows.enough(answers, parts));
    let seconds = params.max_seconds.map(|s| s / count.count().max(1) as f64);
    let mut partition = Partition {
        column: column.to_owned(),
        segments: Vec::new(),
    };
    let mut notes = Vec::new();
    for (value, rows) in segments {
        let mut note = SegmentNote {
            value: value.clone(),
            rows: rows.train.len() as u64,
            own: false,
            loss_shared: None,
            loss_own: None,
        };
        if rows.enough(answers, parts) {
            let mut own = request.params.check(answers.task, rows.train.len())?;
            own.preparation = params.preparation.clone();
            own.folds = own.folds.min(params.folds);
            own.max_seconds = seconds;
            match fit(prepared, request, &rows, &own, report) {
                Ok(trained) => {
                    let losses = compare(prepared, &own, &rows, shared, &trained);
                    (note.loss_shared, note.loss_own) = (Some(losses.shared), Some(losses.own));
                    if losses.own < losses.shared - AS_GOOD * losses.shared.abs() {
                        note.own = true;
                        losses.answers.into_iter().for_each(|(at, answer)| {
                            let width = answer.len();
                            shared.predictions[at * width..(at + 1) * width]
                                .copy_from_slice(&answer);
                        });
                        let parts = trained.parts;
                        partition.segments.push(Segment { value, parts });
                    }
                }
                // The shared model answers.
                Err(TrainError::Diverged { .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        notes.push(note);
    }
    Ok((partition, notes))
}

/// The rows of each value; those without one are in no segment.
fn segments(
    column: &str,
    request: &Request,
    parts: &Parts,
) -> Result<BTreeMap<String, Members>, FitError> {
    let refuse = |message: String| {
        Err(FitError::new("22023", message)
            .hint("Partition by a column of few values, such as a region or a kind of customer."))
    };
    let Some(own) = request.frame.column(column) else {
        return refuse(format!("column \"{column}\" does not exist"));
    };
    if !matches!(own.kind, Kind::Category | Kind::Boolean | Kind::Number) {
        return refuse(format!("column \"{column}\" has no values to partition by"));
    }
    let mut segments: BTreeMap<String, Members> = BTreeMap::new();
    let mut add = |rows: &[u32], train: bool| {
        for (at, &row) in rows.iter().enumerate() {
            if own.nulls.get(row as usize) {
                continue;
            }
            let entry = segments.entry(label_of(own.cell(row as usize)));
            let rows = entry.or_default();
            match train {
                true => rows.train.push(at as u32),
                false => rows.validation.push(at as u32),
            }
        }
    };
    add(&parts.train, true);
    add(&parts.validation, false);
    if segments.len() > MOST_SEGMENTS {
        let count = segments.len();
        return refuse(format!(
            "column \"{column}\" has {count} values, more than the {MOST_SEGMENTS} segments there can be"
        ));
    }
    Ok(segments)
}

impl Members {
    fn enough(&self, answers: &Answers, parts: &Parts) -> bool {
        if self.train.len() < LEAST_ROWS || self.validation.len() < LEAST_VALIDATION {
            return false;
        }
        if !answers.task.has_one_label() {
            return true;
        }
        let mut counts = vec![0; answers.labels.len()];
        for at in &self.train {
            counts[answers.code(parts.train[*at as usize]) as usize] += 1;
        }
        counts.into_iter().all(|rows| rows >= LEAST_OF_A_LABEL)
    }
}

fn fit(
    prepared: &Prepared,
    request: &Request,
    rows: &Members,
    params: &ValidParams,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let matrices = &prepared.matrices;
    let train = matrices.train.some(&rows.train);
    let validation = matrices.validation.some(&rows.validation);
    let (output, outputs) = (matrices.output, matrices.outputs);
    let examples = train.examples();
    let unseen = Some(validation.examples());
    request.device.train(params, |params, device| {
        train::train(examples, unseen, output, outputs, params, device, report)
    })
}

/// Losses on the rows that both have held out.
struct Losses {
    shared: f64,
    own: f64,
    /// The segment's answers, by place among those of the shared model.
    answers: Vec<(usize, Vec<f64>)>,
}

fn compare(
    prepared: &Prepared,
    params: &ValidParams,
    rows: &Members,
    shared: &HeldOut,
    trained: &Trained,
) -> Losses {
    let matrices = &prepared.matrices;
    let nothing = Losses {
        shared: 0.0,
        own: f64::INFINITY,
        answers: Vec::new(),
    };
    let Some(own) = &trained.held_out else {
        return nothing;
    };
    let width = own.predictions.len() / own.rows.len().max(1);
    let (first, first_own) = (matrices.train.matrix.rows as u32, rows.train.len());
    // Of the shared model's counting: training rows, then validation rows.
    let global = |row: u32| match (row as usize).checked_sub(first_own) {
        None => rows.train[row as usize],
        Some(at) => first + rows.validation[at],
    };
    let (mut both, mut answers) = (Vec::new(), Vec::new());
    for (at, row) in own.rows.iter().enumerate() {
        let row = global(*row);
        if let Ok(place) = shared.rows.binary_search(&row) {
            both.push(row);
            answers.push((
                place,
                own.predictions[at * width..(at + 1) * width].to_vec(),
            ));
        }
    }
    if both.is_empty() {
        return nothing;
    }
    let loss = |predictions: Vec<f64>| {
        let seen = Trained {
            held_out: Some(HeldOut {
                rows: both.clone(),
                predictions,
            }),
            parts: Vec::new(),
            history: Vec::new(),
            best_epoch: 0,
            stopped_by: "",
        };
        matrices.loss(&seen, params)
    };
    let of_shared = answers.iter().flat_map(|(place, _)| {
        let at = place * width;
        shared.predictions[at..at + width].iter().copied()
    });
    Losses {
        shared: loss(of_shared.collect()),
        own: loss(
            answers
                .iter()
                .flat_map(|(_, a)| a.iter().copied())
                .collect(),
        ),
        answers,
    }
}

/// What is refused before anything is trained.
pub(super) fn check(
    request: &Request,
    task: Task,
    parts: &Parts,
    prepared: &Prepared,
) -> Result<(), FitError> {
    let Some(column) = &request.partition else {
        return Ok(());
    };
    let unseen = parts.validation.len();
    if task == Task::Uplift {
        return Err(
            FitError::new("22023", "option \"partition\" is not for uplift")
                .hint("Train a model of each segment with a WHERE clause."),
        );
    }
    if unseen == 0 {
        return Err(
            FitError::new("22023", "option \"partition\" needs validation rows")
                .hint("Give validation_size above 0."),
        );
    }
    if request.target == *column {
        return Err(
            FitError::new("22023", format!("\"{column}\" is the target"))
                .hint("Partition by a feature."),
        );
    }
    let columns = prepared.matrices.recipe.columns();
    if !columns.iter().any(|c| c.name == *column) {
        return Err(FitError::new(
            "22023",
            format!("column \"{column}\" is no feature of the model, so it cannot partition it"),
        )
        .hint("Partition by a feature of few values, such as a region or a kind of customer."));
    }
    segments(column, request, parts).map(|_| ())
}
