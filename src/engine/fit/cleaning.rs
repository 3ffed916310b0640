//! Cleaning on the way to a model: what is learned comes from the training rows, what is counted from all rows used.

use super::{FitError, Request, split::Parts, target::Answers};
use crate::clean::{Clean, report::Change, rows};
use crate::frame::Column;

/// Fewer rows are too few to train on.
const MIN_ROWS: usize = 10;

/// Where the cleaning of a frame stands.
pub(super) struct Cleaning {
    clean: Clean,
    /// The columns as they were read, by position.
    before: Vec<(usize, Column)>,
    changes: Vec<Change>,
}

impl Cleaning {
    /// Leaves out rows that repeat another, before they can come to stand in two parts.
    pub(super) fn start(request: &Request, answers: &mut Answers) -> Result<Cleaning, FitError> {
        let wanted = request.clean.duplicates();
        let change = rows::repeated(&request.frame, &[], &mut answers.rows, wanted);
        if answers.rows.len() < MIN_ROWS {
            return Err(too_few(answers.rows.len()));
        }
        Ok(Cleaning {
            clean: Clean::default(),
            before: Vec::new(),
            changes: change.into_iter().collect(),
        })
    }

    /// Puts the values of all features right, all but the gaps.
    pub(super) fn values(&mut self, request: &mut Request, answers: &Answers, parts: &Parts) {
        request.clean = std::mem::take(&mut request.clean).for_model();
        let columns = request.frame.columns.iter().enumerate();
        let features: Vec<usize> = columns
            .filter(|(i, c)| *i != answers.column && request.aside(&c.name).is_none())
            .map(|(i, _)| i)
            .collect();
        let (frame, params) = (&mut request.frame, &request.clean);
        self.clean = Clean::learn(frame, &features, &parts.train, &[], params);
        let counted = used(answers, frame.rows());
        let (before, changes) = self.clean.replace(frame, &counted);
        self.before = before;
        self.changes.extend(changes);
    }

    /// Leaves out training rows with gaps or outliers in the chosen columns, then fills the gaps that are left.
    pub(super) fn rows_and_gaps(
        &mut self,
        request: &mut Request,
        columns: &[usize],
        answers: &Answers,
        parts: &mut Parts,
    ) -> Result<(), FitError> {
        let (frame, params) = (&mut request.frame, &request.clean);
        let names: Vec<&str> = columns
            .iter()
            .map(|c| frame.columns[*c].name.as_str())
            .collect();
        // What was done to a column that is no feature does not matter.
        self.changes
            .retain(|c| c.column == crate::clean::report::ROWS || names.contains(&&*c.column));
        self.clean.keep(&names);
        let left_out = rows::unwanted(frame, columns, &[], &mut parts.train, params);
        if !left_out.is_empty() {
            check(answers, parts)?;
        }
        self.changes.extend(left_out.into_iter().map(|mut change| {
            change.what = change.what.replace("left out", "left out of training");
            change
        }));
        self.clean.learn_fills(frame, &parts.train, &[], params);
        let counted = used(answers, frame.rows());
        let filled = self.clean.fill(frame, &counted, &mut self.before);
        self.changes.extend(filled);
        Ok(())
    }

    /// Puts the columns back as they were read; answers what to do with the next ones, and what was done to these.
    pub(super) fn finish(self, request: &mut Request) -> (Clean, Vec<Change>) {
        for (place, column) in self.before {
            request.frame.columns[place] = column;
        }
        (self.clean.or_nothing(), self.changes)
    }
}

/// The rows of the model, as opposed to those without a target.
fn used(answers: &Answers, rows: usize) -> Vec<bool> {
    let mut used = vec![false; rows];
    answers
        .rows
        .iter()
        .for_each(|row| used[*row as usize] = true);
    used
}

/// Enough rows, and rows of every class, must be left.
fn check(answers: &Answers, parts: &Parts) -> Result<(), FitError> {
    if parts.train.len() < MIN_ROWS {
        return Err(too_few(parts.train.len()));
    }
    match answers.lacking(&parts.train) {
        None => Ok(()),
        Some(class) => Err(FitError::new(
            "22023",
            format!(
                "cleaning leaves no training row of class \"{}\"",
                answers.labels[class]
            ),
        )
        .hint("Fill gaps and clip outliers instead of leaving rows out.")),
    }
}

fn too_few(rows: usize) -> FitError {
    FitError::new(
        "22023",
        format!("cleaning leaves {rows} rows, too few to train on"),
    )
    .hint("Fill gaps and clip outliers instead of leaving rows out.")
}
