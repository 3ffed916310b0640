//! What was true of some rows and what the model answered; kept in a model for the rows it was scored on.

use super::Truth;
use crate::artifact::Task;
use serde::{Deserialize, Serialize};

/// Rows kept at most: curves of more look the same.
const MOST_ROWS: usize = 20_000;
/// Predictions kept at most, those of all labels together.
const MOST_PREDICTIONS: usize = 400_000;

/// Predictions are row-major, as [`crate::infer::Predictor::predict_frame`] gives them.
#[derive(Debug, Clone)]
pub struct Outcomes {
    pub truth: Truth,
    pub predictions: Vec<f64>,
}

/// The outcomes of the rows a model was scored on, or of some of them evenly spread, in single precision.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HeldOut {
    /// Rows that are kept.
    pub rows: usize,
    /// Predictions of each.
    pub width: usize,
    /// Of the positions and truths of all rows scored: equal for models that were scored on the same rows.
    pub fingerprint: String,
    /// Numbers that say what is true of each.
    pub told: usize,
    /// `[rows][told]`: a code, a value; whether each label is the row's; a time or an outcome, and a mark.
    #[serde(skip)]
    pub truth: Vec<f32>,
    /// `[rows][width]`.
    #[serde(skip)]
    pub predictions: Vec<f32>,
}

impl Truth {
    /// Numbers that say what is true of a row; `labels` are the model's.
    pub(crate) fn width(task: Task, labels: usize) -> usize {
        match task {
            Task::Multilabel => labels,
            Task::Survival | Task::Uplift => 2,
            Task::Binary | Task::Multiclass | Task::Ordinal | Task::Regression => 1,
        }
    }

    /// How many rows; `width` is that of [`Truth::width`].
    fn rows(&self, width: usize) -> usize {
        match self {
            Truth::Classes(codes) => codes.len(),
            Truth::Values(values) => values.len(),
            Truth::Labels(sets) => sets.len() / width.max(1),
            Truth::Survival { times, .. } => times.len(),
            Truth::Uplift { outcomes, .. } => outcomes.len(),
        }
    }

    /// One of the numbers that say what is true of a row.
    pub(crate) fn of(&self, row: usize, place: usize, width: usize) -> f64 {
        let mark = |mark: bool| f64::from(u8::from(mark));
        match self {
            Truth::Classes(codes) => f64::from(codes[row]),
            Truth::Values(values) => values[row],
            Truth::Labels(sets) => mark(sets[row * width + place]),
            Truth::Survival { times, .. } if place == 0 => times[row],
            Truth::Survival { events, .. } => mark(events[row]),
            Truth::Uplift { outcomes, .. } if place == 0 => outcomes[row],
            Truth::Uplift { treated, .. } => mark(treated[row]),
        }
    }

    /// What [`Truth::of`] has written down, row-major.
    pub(crate) fn read(task: Task, numbers: impl Iterator<Item = f64> + Clone) -> Truth {
        let first = || numbers.clone().step_by(2).collect();
        let marks = || {
            let second = numbers.clone().skip(1).step_by(2);
            second.map(|t| t == 1.0).collect()
        };
        match task {
            Task::Regression => Truth::Values(numbers.collect()),
            Task::Multilabel => Truth::Labels(numbers.map(|t| t == 1.0).collect()),
            Task::Survival => Truth::Survival {
                times: first(),
                events: marks(),
            },
            Task::Uplift => Truth::Uplift {
                outcomes: first(),
                treated: marks(),
            },
            // What is no code becomes one that no label has.
            Task::Binary | Task::Multiclass | Task::Ordinal => {
                let code = |t: f64| match t >= 0.0 && t < f64::from(u32::MAX) {
                    true => t as u32,
                    false => u32::MAX,
                };
                Truth::Classes(numbers.map(code).collect())
            }
        }
    }
}

impl Outcomes {
    /// The outcomes of some of the rows, `width` predictions each, of a model with so many labels.
    pub fn pick(&self, task: Task, labels: usize, rows: &[usize], width: usize) -> Outcomes {
        let predictions = rows
            .iter()
            .flat_map(|r| &self.predictions[r * width..(r + 1) * width]);
        Outcomes {
            truth: self.truth_at(task, labels, rows),
            predictions: predictions.copied().collect(),
        }
    }

    /// What was true of some of the rows.
    pub fn truth_at(&self, task: Task, labels: usize, rows: &[usize]) -> Truth {
        let told = Truth::width(task, labels);
        let truth = rows
            .iter()
            .flat_map(|row| (0..told).map(|place| self.truth.of(*row, place, told)));
        Truth::read(task, truth)
    }
}

/// FNV-1a (Fowler, Noll, Vo) over words.
fn step(hash: u64, word: u64) -> u64 {
    (hash ^ word)
        .wrapping_mul(0x0000_0100_0000_01b3)
        .rotate_left(29)
}

impl HeldOut {
    /// Keeps outcomes of `width` predictions a row; `positions` are the rows' in the relation.
    pub fn of(
        task: Task,
        labels: usize,
        outcomes: &Outcomes,
        width: usize,
        positions: &[u32],
    ) -> HeldOut {
        let told = Truth::width(task, labels);
        let all = outcomes.truth.rows(told);
        let most = MOST_ROWS.min(MOST_PREDICTIONS / width.max(1)).max(1);
        let kept: Vec<usize> = match all <= most {
            true => (0..all).collect(),
            false => (0..most).map(|i| i * all / most).collect(),
        };
        let truth = |row: usize| (0..told).map(move |place| outcomes.truth.of(row, place, told));
        let fingerprint = (0..all).fold(0xcbf2_9ce4_8422_2325, |hash, row| {
            let position = positions.get(row).copied().unwrap_or_default();
            truth(row).fold(step(hash, u64::from(position)), |hash, t| {
                step(hash, t.to_bits())
            })
        });
        let predictions = kept
            .iter()
            .flat_map(|r| &outcomes.predictions[r * width..(r + 1) * width]);
        HeldOut {
            rows: kept.len(),
            width,
            fingerprint: format!("{fingerprint:016x}"),
            predictions: predictions.map(|p| *p as f32).collect(),
            truth: kept
                .iter()
                .flat_map(|r| truth(*r))
                .map(|t| t as f32)
                .collect(),
            told,
        }
    }

    pub fn outcomes(&self, task: Task) -> Outcomes {
        Outcomes {
            truth: Truth::read(task, self.truth.iter().map(|t| f64::from(*t))),
            predictions: self.predictions.iter().map(|p| f64::from(*p)).collect(),
        }
    }

    /// Are there as many numbers as it says, `width` predictions of each row?
    pub(crate) fn is_sound(&self, task: Task, labels: usize, width: usize) -> bool {
        let told = Truth::width(task, labels);
        self.rows.checked_mul(self.told) == Some(self.truth.len())
            && (self.rows == 0 || (self.width == width && self.told == told))
            && self.rows.checked_mul(self.width) == Some(self.predictions.len())
    }
}
