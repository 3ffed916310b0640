//! Rows that take turns to be held out (cross-fitting), so that every row teaches and every row judges.

use super::{Examples, Rows, Task};
use crate::models::Output;
use crate::random::Random;

/// The training and the validation rows together, and which part each is in.
pub(super) struct Folds {
    all: Rows,
    /// `NEVER` for rows that are not held out.
    of: Vec<usize>,
}

const NEVER: usize = usize::MAX;

impl Folds {
    /// Deals the rows of both parts, those of a label as evenly as they go.
    pub(super) fn deal(task: &Task<'_>, validation: &Examples<'_>, count: usize) -> Folds {
        let train = &task.train;
        let targets = [train.targets, validation.targets].concat();
        let matrix = train.matrix.with(validation.matrix);
        let width = task.objective().width();
        let weights = if train.weights.is_empty() {
            Vec::new()
        } else {
            // What a label weighs, a validation row has not been told.
            let alike = |target: &[f32]| {
                let mut known = train.targets.chunks_exact(width);
                let found = known.position(|known| known == target);
                found.map_or(1.0, |row| train.weights[row])
            };
            let more = validation.targets.chunks_exact(width).map(alike);
            train.weights.iter().copied().chain(more).collect()
        };
        let mut random = Random::new(task.params.seed ^ 0x1b87_3593);
        let extra = train.matrix.rows - task.extra..train.matrix.rows;
        let mut rows: Vec<usize> = (0..matrix.rows)
            .filter(|row| !extra.contains(row))
            .collect();
        random.shuffle(&mut rows);
        if width == 1 && matches!(task.output, Output::Sigmoid | Output::Softmax) {
            rows.sort_by(|a, b| targets[*a].total_cmp(&targets[*b]));
        }
        let mut of = vec![NEVER; matrix.rows];
        for (place, row) in rows.into_iter().enumerate() {
            of[row] = place % count;
        }
        let all = Rows {
            matrix,
            targets,
            weights,
        };
        Folds { all, of }
    }

    /// The rows to train on, those held out, and which of all these are, ascending.
    pub(super) fn fold(&self, fold: usize) -> (Rows, Rows, Vec<u32>) {
        let (held, train): (Vec<u32>, Vec<u32>) =
            (0..self.of.len() as u32).partition(|row| self.of[*row as usize] == fold);
        (self.all.some(&train), self.all.some(&held), held)
    }

    pub(super) fn targets(&self, rows: &[u32]) -> Rows {
        self.all.some(rows)
    }
}
