//! Targets of which a row can have several labels: an array of text, or of 0 and 1.

use super::{Answers, FitError, MAX_CLASSES, Request};
use crate::artifact::Task;
use crate::fit::split::Parts;
use crate::frame::{Cell, Column, Kind, tags};
use std::collections::BTreeMap;

/// Multilabel, where the target is an array; `None` for other targets.
pub(super) fn task(request: &Request, target: &Column) -> Result<Option<Task>, FitError> {
    let array = matches!(target.kind, Kind::Tags | Kind::Vector);
    match (request.task, array) {
        (None, true) if target.kind == Kind::Tags => Ok(Some(Task::Multilabel)),
        (Some(Task::Multilabel), true) => Ok(Some(Task::Multilabel)),
        (None, true) => Err(FitError::new(
            "0A000",
            format!(
                "target \"{}\" has the unsupported type {}",
                target.name, target.type_name
            ),
        )
        .hint("Cast it to an array of text, or set \"task\": \"multilabel\" if each element is 0 or 1.")),
        (Some(Task::Multilabel), false) => Err(FitError::new(
            "42804",
            format!(
                "task multilabel needs an array of text as its target, not {}",
                target.type_name
            ),
        )
        .hint("Build one in a SELECT, such as string_to_array(labels, ',').")),
        (Some(task), true) => Err(FitError::new(
            "42804",
            format!("task {} cannot have an array as its target", task.name()),
        )
        .hint("Leave the option task out: an array of text is a set of labels.")),
        _ => Ok(None),
    }
}

pub(super) fn prepare(
    request: &Request,
    column: usize,
    rows: Vec<u32>,
) -> Result<Answers, FitError> {
    let target = &request.frame.columns[column];
    let labels = match target.kind {
        Kind::Tags => occurring(target, &rows),
        _ => positions(target, &rows)?,
    };
    if labels.is_empty() {
        return Err(FitError::new(
            "22023",
            format!("target \"{}\" has no label in any row", target.name),
        )
        .hint("A label is an element of the array that is not NULL."));
    }
    if labels.len() > MAX_CLASSES {
        return Err(FitError::new(
            "22023",
            format!("target \"{}\" has too many labels", target.name),
        )
        .detail(format!(
            "{} different labels; at most {MAX_CLASSES} can be told apart.",
            labels.len()
        ))
        .hint("Leave rare labels out of the arrays in a SELECT."));
    }
    // Each label of each row is a byte here, and a number where it is learned.
    let bytes = target.len().saturating_mul(labels.len()).saturating_mul(5);
    if let Some(limit) = request.max_bytes.filter(|limit| bytes > *limit) {
        return Err(FitError::new(
            "53200",
            format!("training needs more than the {} MB it may use", limit >> 20),
        )
        .detail(format!(
            "{} labels of {} rows take {} MB.",
            labels.len(),
            target.len(),
            bytes >> 20
        ))
        .hint("Train on fewer rows, or leave rare labels out of the arrays in a SELECT."));
    }
    let mut sets = vec![false; target.len() * labels.len()];
    for &row in &rows {
        let own = &mut sets[row as usize * labels.len()..][..labels.len()];
        set(target.cell(row as usize), &labels, own);
    }
    if rows.iter().all(|row| {
        let of = |row: u32| &sets[row as usize * labels.len()..][..labels.len()];
        of(*row) == of(rows[0])
    }) {
        let own: Vec<&str> = labels.iter().map(String::as_str).collect();
        return Err(super::constant(target, &format!("{{{}}}", own.join(","))));
    }
    let mut answers = Answers {
        column,
        task: Task::Multilabel,
        labels,
        rows,
        codes: Vec::new(),
        values: Vec::new(),
        sets,
        label_rows: Vec::new(),
        marks: Vec::new(),
        fair: None,
    };
    answers.label_rows = answers.counts(&answers.rows);
    Ok(answers)
}

/// The labels that occur, by bytes.
fn occurring(target: &Column, rows: &[u32]) -> Vec<String> {
    let mut found: BTreeMap<&str, ()> = BTreeMap::new();
    for &row in rows {
        if let Cell::Tags(packed) = target.cell(row as usize) {
            found.extend(tags(packed).map(|tag| (tag, ())));
        }
    }
    found.into_keys().map(str::to_owned).collect()
}

/// The positions, from 1, of arrays of 0 and 1.
fn positions(target: &Column, rows: &[u32]) -> Result<Vec<String>, FitError> {
    let mut length = None;
    for &row in rows {
        let Cell::Vector(values) = target.cell(row as usize) else {
            continue;
        };
        // NaN stands for NULL, which is no label.
        let odd = values
            .iter()
            .find(|v| **v != 0.0 && **v != 1.0 && !v.is_nan());
        if odd.is_some() || length.is_some_and(|length| length != values.len()) {
            return Err(FitError::new(
                "22023",
                format!(
                    "target \"{}\" is not an array of 0 and 1 of one length",
                    target.name
                ),
            )
            .detail(match odd {
                Some(value) => format!("An element is {value}."),
                None => "The arrays have different lengths.".into(),
            })
            .hint("Cast it to an array of text: its elements are the labels then."));
        }
        length = Some(values.len());
    }
    Ok((1..=length.unwrap_or(0)).map(|i| i.to_string()).collect())
}

/// Notes which of the labels a value has; answers one that is not among them.
pub(super) fn set<'c>(cell: Cell<'c>, labels: &[String], out: &mut [bool]) -> Option<&'c str> {
    let mut unknown = None;
    match cell {
        Cell::Tags(packed) => {
            for tag in tags(packed) {
                match labels.binary_search_by(|label| label.as_str().cmp(tag)) {
                    Ok(label) => out[label] = true,
                    Err(_) => unknown = Some(tag),
                }
            }
        }
        Cell::Vector(values) => {
            for (out, value) in out.iter_mut().zip(values) {
                *out = *value == 1.0;
            }
        }
        _ => {}
    }
    unknown
}

impl Answers {
    /// Which labels a row has (multilabel).
    pub(super) fn set(&self, row: u32) -> &[bool] {
        let labels = self.labels.len();
        &self.sets[row as usize * labels..][..labels]
    }

    /// Which of its labels the fewest rows have; one more than there are for none.
    pub(super) fn rarest(&self, row: u32) -> usize {
        let own = self.set(row).iter().enumerate().filter(|(_, has)| **has);
        let rarest = own.min_by_key(|(label, _)| self.label_rows[*label]);
        rarest.map_or(self.labels.len(), |(label, _)| label)
    }

    /// Sees to it that each label that occurs is in the training part (multilabel).
    pub(in crate::fit) fn cover(&self, parts: &mut Parts) {
        if self.task != Task::Multilabel {
            return;
        }
        let counts = self.counts(&parts.train);
        for label in (0..self.labels.len()).filter(|label| counts[*label] == 0) {
            for part in [&mut parts.validation, &mut parts.test] {
                let has = |row: &u32| self.set(*row)[label];
                if let Some(at) = part.iter().position(has) {
                    parts.train.push(part.swap_remove(at));
                    break;
                }
            }
        }
    }
}
