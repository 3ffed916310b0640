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
    /// Class codes or values, `[rows]`.
    #[serde(skip)]
    pub truth: Vec<f32>,
    /// `[rows][width]`.
    #[serde(skip)]
    pub predictions: Vec<f32>,
}

impl Truth {
    pub fn len(&self) -> usize {
        match self {
            Truth::Classes(codes) => codes.len(),
            Truth::Values(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of(&self, row: usize) -> f64 {
        match self {
            Truth::Classes(codes) => f64::from(codes[row]),
            Truth::Values(values) => values[row],
        }
    }

    /// The truth of some of the rows.
    pub fn pick(&self, rows: &[usize]) -> Truth {
        match self {
            Truth::Classes(codes) => Truth::Classes(rows.iter().map(|r| codes[*r]).collect()),
            Truth::Values(values) => Truth::Values(rows.iter().map(|r| values[*r]).collect()),
        }
    }
}

impl Outcomes {
    /// The outcomes of some of the rows; `width` predictions each.
    pub fn pick(&self, rows: &[usize], width: usize) -> Outcomes {
        let predictions = rows
            .iter()
            .flat_map(|r| &self.predictions[r * width..(r + 1) * width]);
        Outcomes {
            truth: self.truth.pick(rows),
            predictions: predictions.copied().collect(),
        }
    }
}

impl HeldOut {
    /// Keeps outcomes of `width` predictions a row; `positions` are the rows' in the relation.
    pub fn of(outcomes: &Outcomes, width: usize, positions: &[u32]) -> HeldOut {
        let all = outcomes.truth.len();
        let most = MOST_ROWS.min(MOST_PREDICTIONS / width.max(1)).max(1);
        let kept: Vec<usize> = match all <= most {
            true => (0..all).collect(),
            false => (0..most).map(|i| i * all / most).collect(),
        };
        let kept = outcomes.pick(&kept, width);
        // FNV-1a (Fowler, Noll, Vo) over words.
        let step = |hash: u64, word: u64| {
            (hash ^ word)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(29)
        };
        let fingerprint = (0..all).fold(0xcbf2_9ce4_8422_2325, |hash, row| {
            let position = positions.get(row).copied().unwrap_or_default();
            step(
                step(hash, u64::from(position)),
                outcomes.truth.of(row).to_bits(),
            )
        });
        let rows = kept.truth.len();
        HeldOut {
            rows,
            width,
            fingerprint: format!("{fingerprint:016x}"),
            truth: (0..rows).map(|row| kept.truth.of(row) as f32).collect(),
            predictions: kept.predictions.iter().map(|p| *p as f32).collect(),
        }
    }

    pub fn outcomes(&self, task: Task) -> Outcomes {
        let truth = self.truth.iter();
        Outcomes {
            truth: match task {
                Task::Regression => Truth::Values(truth.map(|t| f64::from(*t)).collect()),
                // What is no code becomes one that no label has.
                _ => Truth::Classes(
                    truth
                        .map(|t| match *t >= 0.0 {
                            true => *t as u32,
                            false => u32::MAX,
                        })
                        .collect(),
                ),
            },
            predictions: self.predictions.iter().map(|p| f64::from(*p)).collect(),
        }
    }

    /// Are there as many numbers as it says, `outputs` of each row?
    pub(crate) fn is_sound(&self, outputs: usize) -> bool {
        self.truth.len() == self.rows
            && (self.rows == 0 || self.width == outputs)
            && self.rows.checked_mul(self.width) == Some(self.predictions.len())
    }
}
