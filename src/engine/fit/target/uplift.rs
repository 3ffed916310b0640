//! The effect of a treatment: an outcome, and which rows were treated.

use super::{
    Answers, FitError, Request, classes, companion, labels_by_row, no_positive, regression,
};
use crate::artifact::Task;
use crate::evaluate::Baseline;
use crate::frame::{Column, Values};

/// Treated rows, and others, at least.
const LEAST: usize = 20;

pub(super) fn prepare(
    request: &Request,
    column: usize,
    mut rows: Vec<u32>,
) -> Result<Answers, FitError> {
    let target = &request.frame.columns[column];
    let Some(treatment) = &request.of_task.treatment else {
        return Err(
            FitError::new("22023", "task uplift needs the option treatment").hint(
                "Name the column that says which rows were treated: {\"treatment\": \"mailed\"}.",
            ),
        );
    };
    let marks = companion::marks(&request.frame, treatment)?;
    rows.retain(|row| marks[*row as usize].is_some());
    let treated = rows
        .iter()
        .filter(|row| marks[**row as usize] == Some(true));
    let (treated, others) = (treated.count(), rows.len());
    let others = others - treated;
    if treated < LEAST || others < LEAST {
        return Err(FitError::new(
            "22023",
            format!("{treated} treated and {others} other rows are too few to compare"),
        )
        .detail(format!("At least {LEAST} of each are needed.")));
    }
    let labels = labels_by_row(target, &rows);
    let distinct = labels.as_ref().map_or(0, |l| l.names.len());
    let mut answers = match &target.values {
        _ if distinct == 2 => classes(request, target, column, rows, labels)?,
        Values::Number(_) => {
            no_positive(request)?;
            regression(target, column, rows)?
        }
        _ if distinct == 1 => classes(request, target, column, rows, labels)?,
        _ => {
            return Err(FitError::new(
                "42804",
                format!(
                    "task uplift needs an outcome of two values or a number, not {} values of type {}",
                    distinct, target.type_name
                ),
            )
            .hint("Compute a boolean or a number in a SELECT."));
        }
    };
    answers.task = Task::Uplift;
    answers.marks = marks.into_iter().map(Option::unwrap_or_default).collect();
    Ok(answers)
}

/// The outcomes of rows, as numbers: 1 for the positive label.
pub(super) fn outcomes(
    target: &Column,
    labels: &[String],
    rows: &[u32],
) -> Result<Vec<f64>, FitError> {
    if let [negative, positive] = labels {
        let outcome = |row: &u32| {
            let label = super::label_of(target.cell(*row as usize));
            if label == *positive {
                return Ok(1.0);
            }
            if label == *negative {
                return Ok(0.0);
            }
            Err(FitError::new(
                "22023",
                format!(
                    "target \"{}\" has the label \"{label}\", which the model does not know",
                    target.name
                ),
            )
            .hint(format!("Known are: {negative}, {positive}.")))
        };
        return rows.iter().map(outcome).collect();
    }
    match &target.values {
        Values::Number(values) => Ok(rows.iter().map(|row| values[*row as usize]).collect()),
        _ => Err(FitError::new(
            "42804",
            format!("target \"{}\" is not a number", target.name),
        )),
    }
}

impl Answers {
    /// Which of the rows were treated.
    pub(in crate::fit) fn treated(&self, rows: &[u32]) -> Vec<bool> {
        rows.iter().map(|row| self.marks[*row as usize]).collect()
    }

    /// The outcomes of rows as numbers.
    pub(in crate::fit) fn outcomes(&self, rows: &[u32]) -> Vec<f64> {
        let outcome = |row: &u32| match self.values.get(*row as usize) {
            Some(value) => *value,
            None => f64::from(self.code(*row)),
        };
        rows.iter().map(outcome).collect()
    }

    /// The same effect for all: the difference of the mean outcomes.
    pub(super) fn average_effect(&self, rows: &[u32]) -> Baseline {
        let (mut sums, mut counts) = ([0.0; 2], [0.0; 2]);
        for (outcome, treated) in self.outcomes(rows).into_iter().zip(self.treated(rows)) {
            sums[usize::from(treated)] += outcome;
            counts[usize::from(treated)] += 1.0;
        }
        let mean = |kind: usize| sums[kind] / f64::max(counts[kind], 1.0);
        Baseline::Effect(mean(1) - mean(0))
    }
}
