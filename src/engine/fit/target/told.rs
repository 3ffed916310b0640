//! The target where its labels are told, not read off the rows.

use super::{Answers, FitError, Request, label_of, positive};
use crate::artifact::Task;
use crate::frame::Values;
use hashbrown::HashMap;

/// What is told of a target.
pub(in crate::fit) enum Told {
    /// The labels there are; rows with others are left out.
    Labels {
        task: Task,
        names: Vec<String>,
    },
    Values,
}

/// The answers of `rows` with a target that is not NULL.
///
/// # Errors
/// A positive label that is none of two.
pub(in crate::fit) fn of_told(
    request: &Request,
    told: Told,
    mut rows: Vec<u32>,
) -> Result<Answers, FitError> {
    let frame = &request.frame;
    let column = frame.columns.iter().position(|c| c.name == request.target);
    let column = column.unwrap_or_default();
    let target = &frame.columns[column];
    rows.sort_unstable();
    let (task, mut labels) = match told {
        Told::Labels { task, names } => (task, names),
        Told::Values => (Task::Regression, Vec::new()),
    };
    let mut values = Vec::new();
    let mut codes = Vec::new();
    if let (Task::Regression, Values::Number(own)) = (task, &target.values) {
        super::no_positive(request)?;
        values.clone_from(own);
    } else {
        let place: HashMap<String, u32> = labels.iter().cloned().zip(0..).collect();
        codes = vec![0u32; target.len()];
        rows.retain(|row| {
            let code = place.get(&label_of(target.cell(*row as usize)));
            codes[*row as usize] = code.copied().unwrap_or(0);
            code.is_some()
        });
        if positive(request, target, task, &labels)? == Some(0) {
            labels.swap(0, 1);
            rows.iter().for_each(|row| codes[*row as usize] ^= 1);
        }
    }
    Ok(Answers {
        column,
        task,
        labels,
        rows,
        codes,
        values,
        sets: Vec::new(),
        label_rows: Vec::new(),
        marks: Vec::new(),
        fair: None,
    })
}

impl Answers {
    /// Makes 0 of what is negative.
    pub(in crate::fit) fn raise_negatives(&mut self) {
        self.values.iter_mut().for_each(|v| *v = v.max(0.0));
    }

    /// Which of so many rows of the frame have an answer.
    pub(in crate::fit) fn known(&self, rows: usize) -> Vec<bool> {
        let mut known = vec![false; rows];
        self.rows.iter().for_each(|row| known[*row as usize] = true);
        known
    }
}
