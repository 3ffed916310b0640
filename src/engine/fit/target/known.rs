//! What is true of the rows of a relation, for a model that is there already.

use super::{Answers, FitError, Request, companion, label_of, multilabel, survival, uplift};
use crate::artifact::{Target, Task};
use crate::evaluate::Truth;
use crate::frame::{Frame, Values};

/// The rows of a frame whose target is known, and what is true of them.
///
/// # Errors
/// A target of another type than the model's, a label that the model does not know, no row.
pub fn truth_of(task: Task, target: &Target, frame: &Frame) -> Result<(Vec<u32>, Truth), FitError> {
    truth(task, target, frame, |_| true)
}

/// The same without the rows of labels that the model does not know; how many those are comes last.
///
/// # Errors
/// A target of another type than the model's, no row.
pub fn known_truth_of(
    task: Task,
    target: &Target,
    frame: &Frame,
) -> Result<(Vec<u32>, Truth, usize), FitError> {
    let Some(column) = frame
        .column(&target.name)
        .filter(|_| !target.labels.is_empty() && task != Task::Survival)
    else {
        let (rows, truth) = truth_of(task, target, frame)?;
        return Ok((rows, truth, 0));
    };
    let mut unknown = 0;
    let mut set = vec![false; target.labels.len()];
    let has_label = |row: u32| {
        let cell = column.cell(row as usize);
        let known = match task {
            Task::Multilabel => multilabel::set(cell, &target.labels, &mut set).is_none(),
            _ => {
                let label = label_of(cell);
                target.labels.contains(&label)
            }
        };
        unknown += usize::from(!known);
        known
    };
    match truth(task, target, frame, has_label) {
        Ok((rows, truth)) => Ok((rows, truth, unknown)),
        Err(error) if unknown == 0 => Err(error),
        Err(_) => Err(FitError::new(
            "22023",
            format!(
                "target \"{}\" has no label that the model knows",
                target.name
            ),
        )
        .hint(format!("Known are: {}.", target.labels.join(", ")))),
    }
}

/// The truth of the rows whose target is known and that are wanted.
fn truth(
    task: Task,
    target: &Target,
    frame: &Frame,
    mut wanted: impl FnMut(u32) -> bool,
) -> Result<(Vec<u32>, Truth), FitError> {
    let name = &target.name;
    let Some(column) = frame.column(name) else {
        return Err(FitError::new(
            "42703",
            format!("target column \"{name}\" does not exist"),
        ));
    };
    let marks = match &target.companion {
        Some(companion) => Some(companion::marks(frame, companion)?),
        None => None,
    };
    let known = |row: &u32| match &marks {
        Some(marks) => marks[*row as usize].is_some(),
        None => true,
    };
    let rows: Vec<u32> = (0..frame.rows() as u32)
        .filter(|row| !column.nulls.get(*row as usize) && known(row) && wanted(*row))
        .collect();
    let marked = || {
        let mark = |row: &u32| {
            let marks = marks.as_ref()?;
            marks[*row as usize]
        };
        rows.iter()
            .map(|row| mark(row).unwrap_or_default())
            .collect()
    };
    if rows.is_empty() {
        return Err(FitError::new(
            "22023",
            format!("there is no row whose target \"{name}\" is known"),
        ));
    }
    let unknown = |label: &str| {
        FitError::new(
            "22023",
            format!("target \"{name}\" has the label \"{label}\", which the model does not know"),
        )
        .hint(format!("Known are: {}.", target.labels.join(", ")))
    };
    let truth = match task {
        Task::Regression => {
            let Values::Number(values) = &column.values else {
                return Err(FitError::new(
                    "42804",
                    format!("target \"{name}\" is not a number"),
                ));
            };
            Truth::Values(rows.iter().map(|row| values[*row as usize]).collect())
        }
        Task::Binary | Task::Multiclass | Task::Ordinal => {
            let code = |row: &u32| {
                let label = label_of(column.cell(*row as usize));
                let code = target.labels.iter().position(|l| *l == label);
                code.map(|code| code as u32).ok_or_else(|| unknown(&label))
            };
            Truth::Classes(rows.iter().map(code).collect::<Result<_, _>>()?)
        }
        Task::Uplift => Truth::Uplift {
            outcomes: uplift::outcomes(column, &target.labels, &rows)?,
            treated: marked(),
        },
        Task::Survival => Truth::Survival {
            times: survival::durations(column, &rows)?,
            events: marked(),
        },
        Task::Multilabel => {
            let width = target.labels.len();
            let mut sets = vec![false; rows.len() * width];
            for (row, out) in rows.iter().zip(sets.chunks_exact_mut(width.max(1))) {
                let cell = column.cell(*row as usize);
                if let Some(label) = multilabel::set(cell, &target.labels, out) {
                    return Err(unknown(label));
                }
            }
            Truth::Labels(sets)
        }
    };
    Ok((rows, truth))
}

impl Answers {
    /// The targets of generated rows, read as these were; a negative one counts as unknown where logarithms are learned. `None`
    /// where no target is known.
    ///
    /// # Errors
    /// As [`truth_of`].
    pub(in crate::fit) fn of_generated(
        &self,
        request: &Request,
        frame: &Frame,
        logarithms: bool,
    ) -> Result<Option<Answers>, FitError> {
        let known = frame.columns[self.column].nulls.count() < frame.rows();
        if !known {
            return Ok(None);
        }
        let target = Target {
            name: request.target.clone(),
            type_name: String::new(),
            labels: self.labels.clone(),
            mean: 0.0,
            scale: 1.0,
            log: logarithms,
            ends: Vec::new(),
            uplift: None,
            companion: request.of_task.companion().cloned(),
        };
        // Rows of labels that are not learned here, or of other values that cannot be, are no help.
        let Ok((mut rows, truth)) = truth_of(self.task, &target, frame) else {
            return Ok(None);
        };
        let count = frame.rows();
        let mut own = Answers {
            column: self.column,
            task: self.task,
            labels: self.labels.clone(),
            rows: Vec::new(),
            codes: Vec::new(),
            values: Vec::new(),
            sets: Vec::new(),
            label_rows: Vec::new(),
            marks: Vec::new(),
            fair: None,
        };
        match truth {
            Truth::Values(values) => {
                own.values = by_row(&rows, &values, 1, count);
                rows.retain(|row| !logarithms || own.values[*row as usize] >= 0.0);
            }
            Truth::Classes(codes) => own.codes = by_row(&rows, &codes, 1, count),
            Truth::Labels(sets) => own.sets = by_row(&rows, &sets, self.labels.len(), count),
            Truth::Survival { times, events } => {
                own.values = by_row(&rows, &times, 1, count);
                own.marks = by_row(&rows, &events, 1, count);
            }
            Truth::Uplift { .. } => return Ok(None),
        }
        own.rows = rows;
        Ok((!own.rows.is_empty()).then_some(own))
    }
}

/// What is true of some rows, `width` values each, by row of a frame of `count` rows.
fn by_row<T: Copy + Default>(rows: &[u32], values: &[T], width: usize, count: usize) -> Vec<T> {
    let mut all = vec![T::default(); count * width];
    for (row, own) in rows.iter().zip(values.chunks_exact(width.max(1))) {
        all[*row as usize * width..(*row as usize + 1) * width].copy_from_slice(own);
    }
    all
}
