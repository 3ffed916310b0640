//! The target: which task it is, its labels, and what the network should answer.

mod answers;
mod companion;
mod known;
mod multilabel;
mod ordinal;
mod survival;
mod told;
mod uplift;

use super::fairness::Fair;
use super::{FitError, Request};
use crate::artifact::{Task, Uplift};
use crate::frame::{Cell, Column, Kind, Values};
pub use known::{known_truth_of, truth_of};
use std::collections::{BTreeMap, HashMap};
pub(super) use told::{Told, of_told};

/// More labels than this are no classes.
pub(crate) const MAX_CLASSES: usize = 1000;
/// Integers with at most this many values are classes.
const FEW_INTEGERS: usize = 10;
/// A model needs at least this many rows.
const MIN_ROWS: usize = 10;

/// The target of every usable row.
#[derive(Clone)]
pub(super) struct Answers {
    /// The target's position in the frame.
    pub column: usize,
    pub task: Task,
    pub labels: Vec<String>,
    /// Rows of the frame with a target, ascending.
    pub rows: Vec<u32>,
    /// Class codes by row of the frame (classification).
    codes: Vec<u32>,
    /// Values by row of the frame (regression).
    values: Vec<f64>,
    /// Whether each label is the row's, by row of the frame `[rows][labels]` (multilabel).
    sets: Vec<bool>,
    /// How many rows have each label (multilabel).
    label_rows: Vec<usize>,
    /// What the column that goes with the target says, by row of the frame: whether the event happened (survival), or the row
    /// was treated (uplift).
    marks: Vec<bool>,
    /// The groups of sensitive columns, if there are any.
    pub fair: Option<Fair>,
}

/// How targets become what a model learns.
#[derive(Clone)]
pub(super) struct Scale {
    /// Of the target (regression), else 0 and 1. With logarithms the factor is the mean.
    pub mean: f64,
    pub factor: f64,
    pub log: bool,
    /// Where intervals end (survival).
    pub ends: Vec<f64>,
    pub uplift: Option<Uplift>,
}

/// Reads the target and decides the task.
///
/// # Errors
/// A target that is missing, empty, constant, not finite, of too many classes, or with a class of one row.
pub(super) fn prepare(request: &Request) -> Result<Answers, FitError> {
    let mut answers = read(request)?;
    answers.fair = Fair::new(request, &answers)?;
    Ok(answers)
}

fn read(request: &Request) -> Result<Answers, FitError> {
    let frame = &request.frame;
    let position = frame.columns.iter().position(|c| c.name == request.target);
    let Some(column) = position else {
        return Err(FitError::new(
            "42703",
            format!("target column \"{}\" does not exist", request.target),
        ));
    };
    let target = &frame.columns[column];
    if target.is_empty() {
        return Err(FitError::new("22023", "the relation has no rows")
            .hint("Load data first, or relax the filter."));
    }
    if target.non_finite > 0 {
        return Err(FitError::new(
            "22003",
            format!(
                "target \"{}\" is NaN or infinite in {} rows",
                target.name, target.non_finite
            ),
        )
        .hint("Leave these rows out with a WHERE clause, or set them to NULL."));
    }
    let rows: Vec<u32> = (0..target.len())
        .filter(|row| !target.nulls.get(*row))
        .map(|row| row as u32)
        .collect();
    if rows.is_empty() {
        return Err(FitError::new(
            "22023",
            format!("target \"{}\" is NULL in every row", target.name),
        )
        .detail(format!("{} rows were read.", target.len()))
        .hint("A model learns from rows whose target is known."));
    }
    if rows.len() < MIN_ROWS {
        return Err(FitError::new(
            "22023",
            format!("{} rows are too few to train on", rows.len()),
        )
        .detail(format!(
            "At least {MIN_ROWS} rows with a target that is not NULL are needed."
        )));
    }
    if request.task == Some(Task::Uplift) {
        return uplift::prepare(request, column, rows);
    }
    let labels = labels_by_row(target, &rows);
    let task = task(request, target, &rows, &labels)?;
    if matches!(task, Task::Survival | Task::Multilabel | Task::Regression) {
        no_positive(request)?;
    }
    if task == Task::Survival {
        return survival::prepare(request, column, rows);
    }
    if task == Task::Multilabel {
        return multilabel::prepare(request, column, rows);
    }
    if task == Task::Regression {
        return regression(target, column, rows);
    }
    classes(request, target, column, rows, labels)
}

/// A positive label was not asked for where there is none.
fn no_positive(request: &Request) -> Result<(), FitError> {
    match &request.positive {
        None => Ok(()),
        Some(_) => Err(FitError::new(
            "22023",
            "option \"positive\" needs a target of two values",
        )),
    }
}

fn regression(target: &Column, column: usize, rows: Vec<u32>) -> Result<Answers, FitError> {
    let Values::Number(values) = &target.values else {
        return Err(FitError::new(
            "42804",
            format!(
                "task regression needs a numeric target, not {}",
                target.type_name
            ),
        )
        .hint("Cast the target to a number in a SELECT, or leave the option task out."));
    };
    let first = values[rows[0] as usize];
    if rows.iter().all(|row| values[*row as usize] == first) {
        return Err(constant(target, &number_label(first)));
    }
    Ok(Answers {
        column,
        task: Task::Regression,
        labels: Vec::new(),
        rows,
        codes: Vec::new(),
        values: values.clone(),
        sets: Vec::new(),
        label_rows: Vec::new(),
        marks: Vec::new(),
        fair: None,
    })
}

fn constant(target: &Column, value: &str) -> FitError {
    FitError::new(
        "22023",
        format!("target \"{}\" is always {value}", target.name),
    )
    .hint("There is nothing to learn from a constant target.")
}

/// Labels as the user wrote them, with how often they occur; a number's label sorts by value.
struct Labels {
    names: Vec<String>,
    counts: Vec<usize>,
    codes: Vec<u32>,
}

/// The label a target's value stands for, as the user wrote it; empty for NULL.
pub fn label_of(cell: Cell<'_>) -> String {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => number_label(x + 0.0),
        Cell::Boolean(x) => x.to_string(),
        Cell::Text(x) => x.to_owned(),
        Cell::Time(_)
        | Cell::Vector(_)
        | Cell::Tags(_)
        | Cell::Json(_)
        | Cell::Image(_)
        | Cell::Null => String::new(),
    }
}

fn number_label(value: f64) -> String {
    // Rust prints the shortest text that reads back the same, and integers without a point.
    format!("{value}")
}

/// `None` for a target that has no labels (a time).
fn labels_by_row(target: &Column, rows: &[u32]) -> Option<Labels> {
    let mut codes = vec![0u32; target.len()];
    let (names, counts): (Vec<String>, Vec<usize>);
    if let Values::Number(values) = &target.values {
        let mut seen: HashMap<u64, u32> = HashMap::new();
        let mut distinct: Vec<f64> = Vec::new();
        let mut count: Vec<usize> = Vec::new();
        for &row in rows {
            // -0 and 0 are one label.
            let value = values[row as usize] + 0.0;
            let code = *seen.entry(value.to_bits()).or_insert_with(|| {
                distinct.push(value);
                count.push(0);
                distinct.len() as u32 - 1
            });
            count[code as usize] += 1;
            codes[row as usize] = code;
        }
        let mut order: Vec<usize> = (0..distinct.len()).collect();
        order.sort_by(|a, b| distinct[*a].total_cmp(&distinct[*b]));
        recode(&mut codes, rows, &order);
        names = order.iter().map(|i| number_label(distinct[*i])).collect();
        counts = order.iter().map(|i| count[*i]).collect();
    } else {
        let mut seen: BTreeMap<&str, (u32, usize)> = BTreeMap::new();
        for &row in rows {
            let text = match target.cell(row as usize) {
                Cell::Text(text) => text,
                Cell::Boolean(true) => "true",
                Cell::Boolean(false) => "false",
                _ => return None,
            };
            let next = seen.len() as u32;
            let entry = seen.entry(text).or_insert((next, 0));
            entry.1 += 1;
            codes[row as usize] = entry.0;
        }
        let order: Vec<usize> = seen.values().map(|(code, _)| *code as usize).collect();
        recode(&mut codes, rows, &order);
        names = seen.keys().map(|name| (*name).to_owned()).collect();
        counts = seen.values().map(|(_, count)| *count).collect();
    }
    Some(Labels {
        names,
        counts,
        codes,
    })
}

/// `order[new] = old`.
fn recode(codes: &mut [u32], rows: &[u32], order: &[usize]) {
    let mut new = vec![0u32; order.len()];
    order
        .iter()
        .zip(0..)
        .for_each(|(old, code)| new[*old] = code);
    rows.iter()
        .for_each(|row| codes[*row as usize] = new[codes[*row as usize] as usize]);
}

fn task(
    request: &Request,
    target: &Column,
    rows: &[u32],
    labels: &Option<Labels>,
) -> Result<Task, FitError> {
    let distinct = labels.as_ref().map_or(0, |l| l.names.len());
    if let Some(task) = multilabel::task(request, target)? {
        return Ok(task);
    }
    if target.kind == Kind::Time {
        return Err(FitError::new(
            "42804",
            format!(
                "target \"{}\" is a {}, which cannot be predicted",
                target.name, target.type_name
            ),
        )
        .hint("Predict a number of days or a boolean instead: compute it in a SELECT."));
    }
    if let Some(task) = request.task {
        if task == Task::Binary && distinct != 2 {
            return Err(FitError::new(
                "22023",
                format!("task binary needs a target of two values, not {distinct}"),
            )
            .hint("Leave the option task out, or use multiclass."));
        }
        return Ok(task);
    }
    Ok(match target.kind {
        Kind::Duration => Task::Regression,
        Kind::Number => {
            let Values::Number(values) = &target.values else {
                return Ok(Task::Regression);
            };
            let whole = rows.iter().all(|row| values[*row as usize].fract() == 0.0);
            match distinct {
                0..=2 => Task::Binary,
                n if whole && n <= FEW_INTEGERS && n * 20 <= rows.len() => Task::Multiclass,
                _ => Task::Regression,
            }
        }
        _ if distinct <= 2 => Task::Binary,
        _ => Task::Multiclass,
    })
}

fn classes(
    request: &Request,
    target: &Column,
    column: usize,
    rows: Vec<u32>,
    labels: Option<Labels>,
) -> Result<Answers, FitError> {
    let Some(Labels {
        mut names,
        counts,
        mut codes,
    }) = labels
    else {
        return Err(FitError::new(
            "42804",
            format!("target \"{}\" has no classes", target.name),
        ));
    };
    if names.len() == 1 {
        return Err(constant(target, &names[0]));
    }
    if names.len() > MAX_CLASSES || (names.len() > 20 && names.len() * 2 > rows.len()) {
        return Err(FitError::new(
            "22023",
            format!("target \"{}\" has too many classes", target.name),
        )
        .detail(format!(
            "{} different values in {} rows; at most {MAX_CLASSES} classes can be told apart.",
            names.len(),
            rows.len()
        ))
        .hint("Group the values in a SELECT, or give a numeric target for regression."));
    }
    if let Some(lonely) = counts.iter().position(|count| *count < 2) {
        return Err(FitError::new("22023", format!("class \"{}\" of target \"{}\" has a single row", names[lonely], target.name))
            .hint("A class needs rows to learn from and to test on: leave it out or join it with another in a SELECT."));
    }
    let task = match request.task {
        Some(Task::Ordinal) => Task::Ordinal,
        Some(Task::Multiclass) => Task::Multiclass,
        _ if names.len() == 2 => Task::Binary,
        _ => Task::Multiclass,
    };
    if task == Task::Ordinal {
        ordinal::arrange(request, target, &rows, &mut names, &mut codes)?;
    }
    let positive = positive(request, target, task, &names)?;
    if positive == Some(0) {
        names.swap(0, 1);
        rows.iter().for_each(|row| codes[*row as usize] ^= 1);
    }
    Ok(Answers {
        column,
        task,
        labels: names,
        rows,
        codes,
        values: Vec::new(),
        sets: Vec::new(),
        label_rows: Vec::new(),
        marks: Vec::new(),
        fair: None,
    })
}

/// Words for yes; the last label in sorted order is positive where neither, or both, are one.
const YES: [&str; 6] = ["1", "positive", "t", "true", "y", "yes"];

/// The position of the positive label of a binary target: the one asked for, or the one that says yes.
fn positive(
    request: &Request,
    target: &Column,
    task: Task,
    names: &[String],
) -> Result<Option<usize>, FitError> {
    let Some(wanted) = &request.positive else {
        let says_yes = |name: &String| YES.contains(&name.to_lowercase().as_str());
        let found = names.iter().position(says_yes);
        let only = names.iter().filter(|name| says_yes(name)).count() == 1;
        return Ok(found.filter(|_| only && task == Task::Binary));
    };
    if task != Task::Binary {
        return Err(FitError::new(
            "22023",
            "option \"positive\" needs a target of two values",
        ));
    }
    // 1.0 and 1 are one number.
    let same = |name: &String| match (name.parse::<f64>(), wanted.parse::<f64>()) {
        (Ok(a), Ok(b)) if target.kind == Kind::Number => a == b,
        _ => name == wanted,
    };
    match names.iter().position(same) {
        Some(index) => Ok(Some(index)),
        None => Err(FitError::new(
            "22023",
            format!(
                "positive label \"{wanted}\" does not occur in target \"{}\"",
                target.name
            ),
        )
        .hint(format!("Known are: {}.", names.join(", ")))),
    }
}
