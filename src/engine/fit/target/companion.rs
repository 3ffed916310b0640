//! The column that goes with the target and says yes or no of each row.

use super::{FitError, YES, label_of};
use crate::frame::{Column, Frame, Kind, Values};
use std::collections::BTreeSet;

/// Words for no, beside which another label means yes.
const NO: [&str; 12] = [
    "0",
    "censored",
    "control",
    "f",
    "false",
    "n",
    "negative",
    "no",
    "none",
    "null",
    "placebo",
    "untreated",
];

/// What the column says of each row of the frame; `None` where it is NULL.
///
/// # Errors
/// A column that is not there, or says neither yes nor no.
pub(super) fn marks(frame: &Frame, name: &str) -> Result<Vec<Option<bool>>, FitError> {
    let Some(column) = frame.column(name) else {
        return Err(FitError::new(
            "42703",
            format!("column \"{name}\" does not exist"),
        ));
    };
    let yes = says_yes(column)?;
    let mark = |row: usize| {
        let known = !column.nulls.get(row);
        known.then(|| yes(row))
    };
    Ok((0..column.len()).map(mark).collect())
}

/// Which rows say yes.
fn says_yes(column: &Column) -> Result<Box<dyn Fn(usize) -> bool + '_>, FitError> {
    let refuse = |detail: String| {
        FitError::new(
            "42804",
            format!("column \"{}\" does not say yes or no", column.name),
        )
        .detail(detail)
        .hint("Give a boolean, or 0 and 1: compute it in a SELECT.")
    };
    match &column.values {
        Values::Boolean(values) => Ok(Box::new(|row| values[row])),
        Values::Number(values) if column.kind == Kind::Number => {
            let rows = (0..column.len()).filter(|row| !column.nulls.get(*row));
            let mut odd = rows
                .map(|row| values[row])
                .filter(|v| *v != 0.0 && *v != 1.0);
            match odd.next() {
                Some(value) => Err(refuse(format!("It has the value {value}."))),
                None => Ok(Box::new(|row| values[row] == 1.0)),
            }
        }
        Values::Category { .. } if column.kind == Kind::Category => {
            let rows = (0..column.len()).filter(|row| !column.nulls.get(*row));
            let mut labels: BTreeSet<String> = BTreeSet::new();
            for row in rows {
                labels.insert(label_of(column.cell(row)));
                if labels.len() > 2 {
                    return Err(refuse("It has more than two values.".into()));
                }
            }
            let word =
                |words: &[&str], label: &String| words.contains(&label.to_lowercase().as_str());
            let yes = labels
                .iter()
                .find(|l| word(&YES, l) || labels.iter().any(|o| o != *l && word(&NO, o)))
                .filter(|l| !word(&NO, l))
                .cloned();
            let only_no = labels.iter().all(|l| word(&NO, l));
            match yes {
                None if !only_no => {
                    let list: Vec<String> = labels.into_iter().collect();
                    Err(refuse(format!("Its values are {}.", list.join(" and "))))
                }
                yes => Ok(Box::new(move |row| Some(label_of(column.cell(row))) == yes)),
            }
        }
        _ => Err(refuse(format!("It is of type {}.", column.type_name))),
    }
}
