//! The target: which task it is, its labels, and what the network should answer.

mod companion;
mod known;
mod multilabel;
mod ordinal;
mod survival;
mod uplift;

use super::{FitError, Request};
use crate::artifact::{Task, Uplift};
use crate::evaluate::{Baseline, Gauge, Truth};
use crate::frame::{Cell, Column, Kind, Values};
use crate::infer::array_literal;
use crate::models::Output;
use crate::params::{ClassWeight, Loss, ValidParams};
pub use known::truth_of;
use std::collections::{BTreeMap, HashMap};

/// More labels than this are no classes.
const MAX_CLASSES: usize = 1000;
/// Integers with at most this many values are classes.
const FEW_INTEGERS: usize = 10;
/// A model needs at least this many rows.
const MIN_ROWS: usize = 10;

/// The target of every usable row.
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
}

/// How targets become what a model learns.
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

impl Answers {
    pub(super) fn code(&self, row: u32) -> u32 {
        self.codes.get(row as usize).copied().unwrap_or(0)
    }

    /// Mean and standard deviation of the values of rows; 0 and the mean for logarithms.
    fn moments(&self, rows: &[u32], log: bool) -> (f64, f64) {
        let count = rows.len().max(1) as f64;
        let values = || rows.iter().map(|row| self.values[*row as usize]);
        let mean = values().sum::<f64>() / count;
        let or_one = |scale: f64| match scale > 0.0 && scale.is_finite() {
            true => scale,
            false => 1.0,
        };
        if log {
            return (0.0, or_one(mean));
        }
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        (mean, or_one(variance.sqrt()))
    }

    /// How the training rows say that targets become what a model learns.
    pub(super) fn scale(&self, rows: &[u32], params: &ValidParams) -> Result<Scale, FitError> {
        let log = params.loss.of_logarithms();
        let (mean, factor) = match self.task {
            Task::Regression => self.moments(rows, log),
            Task::Uplift if self.labels.is_empty() => self.moments(rows, false),
            _ => (0.0, 1.0),
        };
        let ends = match self.task {
            Task::Survival => self.intervals(rows)?,
            _ => Vec::new(),
        };
        Ok(Scale {
            mean,
            factor,
            log,
            ends,
            uplift: None,
        })
    }

    /// What the outputs mean, and how many there are.
    pub(super) fn output(&self, scale: &Scale) -> (Output, usize) {
        let count = match self.task {
            Task::Survival => scale.ends.len(),
            _ => self.labels.len(),
        };
        Output::of(self.task, count, scale.log)
    }

    /// # Errors
    /// A loss of logarithms with negative targets.
    pub(super) fn check_loss(&self, target: &str, params: &ValidParams) -> Result<(), FitError> {
        let negative = |row: &&u32| self.values.get(**row as usize).is_some_and(|v| *v < 0.0);
        let negative = self.rows.iter().filter(negative).count();
        if !params.loss.of_logarithms() || negative == 0 {
            return Ok(());
        }
        let loss = params.loss.name();
        Err(FitError::new(
            "22023",
            format!("target \"{target}\" is negative in {negative} rows, which loss {loss} cannot learn"),
        )
        .hint("Leave these rows out with a WHERE clause, or use the loss huber or mean_squared_error."))
    }

    /// What the outputs should be, as [`crate::train::Examples`] has it.
    pub(super) fn network_targets(&self, rows: &[u32], scale: &Scale) -> Vec<f32> {
        let each = |of: &dyn Fn(u32) -> f32| rows.iter().map(|row| of(*row)).collect();
        let flag = |of: bool| f32::from(u8::from(of));
        match self.task {
            Task::Regression => {
                each(&|row| ((self.values[row as usize] - scale.mean) / scale.factor) as f32)
            }
            Task::Uplift if self.labels.is_empty() => {
                each(&|row| ((self.values[row as usize] - scale.mean) / scale.factor) as f32)
            }
            Task::Binary | Task::Multiclass | Task::Uplift => each(&|row| self.code(row) as f32),
            Task::Survival => self.survived(rows, &scale.ends),
            Task::Multilabel => {
                let sets = rows.iter().flat_map(|row| self.set(*row));
                sets.map(|has| flag(*has)).collect()
            }
            Task::Ordinal => {
                let above = 0..self.labels.len() as u32 - 1;
                let cells = rows
                    .iter()
                    .flat_map(|row| above.clone().map(move |k| (*row, k)));
                cells.map(|(row, k)| flag(self.code(row) > k)).collect()
            }
        }
    }

    /// What is true of rows, to score a model by.
    pub(super) fn truth(&self, rows: &[u32]) -> Truth {
        match self.task {
            Task::Regression => {
                Truth::Values(rows.iter().map(|row| self.values[*row as usize]).collect())
            }
            Task::Binary | Task::Multiclass | Task::Ordinal => {
                Truth::Classes(rows.iter().map(|row| self.code(*row)).collect())
            }
            Task::Multilabel => {
                let sets = rows.iter().flat_map(|row| self.set(*row));
                Truth::Labels(sets.copied().collect())
            }
            Task::Uplift => Truth::Uplift {
                outcomes: self.outcomes(rows),
                treated: self.treated(rows),
            },
            Task::Survival => Truth::Survival {
                times: rows.iter().map(|row| self.values[*row as usize]).collect(),
                events: rows.iter().map(|row| self.marks[*row as usize]).collect(),
            },
        }
    }

    /// What is true of a row, in words; a time that was cut short ends in `+`.
    pub(super) fn actual(&self, row: u32) -> String {
        let at = row as usize;
        match self.task {
            Task::Multilabel => {
                let own = self
                    .labels
                    .iter()
                    .zip(self.set(row))
                    .filter(|(_, has)| **has);
                array_literal(own.map(|(label, _)| label.as_str()))
            }
            Task::Survival if !self.marks[at] => format!("{}+", self.values[at]),
            _ if self.labels.is_empty() => self.values[at].to_string(),
            _ => self.labels[self.code(row) as usize].clone(),
        }
    }

    /// The same as one class or one value for each row, for what prepares and chooses features.
    pub(super) fn guide(&self, rows: &[u32]) -> Truth {
        let values =
            |of: &dyn Fn(u32) -> f64| Truth::Values(rows.iter().map(|row| of(*row)).collect());
        match self.task {
            Task::Ordinal => values(&|row| f64::from(self.code(row))),
            Task::Survival => Truth::Values(self.residuals(rows)),
            Task::Uplift if self.labels.is_empty() => Truth::Values(self.outcomes(rows)),
            Task::Uplift => Truth::Classes(rows.iter().map(|row| self.code(*row)).collect()),
            Task::Multilabel => {
                values(&|row| self.set(row).iter().filter(|has| **has).count() as f64)
            }
            _ => self.truth(rows),
        }
    }

    /// Classes of [`Answers::guide`]; 0 for values.
    pub(super) fn guide_classes(&self) -> usize {
        match self.task {
            Task::Binary | Task::Multiclass | Task::Uplift => self.labels.len(),
            _ => 0,
        }
    }

    /// Whether the target is a number to be estimated rather than classes.
    pub(super) fn is_number(&self) -> bool {
        self.guide_classes() == 0
            && matches!(self.task, Task::Regression | Task::Survival | Task::Uplift)
    }

    /// Rows that should have their share in each part, by number.
    pub(super) fn stratum(&self, row: u32) -> usize {
        match self.task {
            Task::Regression => 0,
            Task::Multilabel => self.rarest(row),
            Task::Survival => usize::from(self.marks[row as usize]),
            Task::Uplift => 2 * self.code(row) as usize + usize::from(self.marks[row as usize]),
            _ => self.code(row) as usize,
        }
    }

    /// How many strata there are.
    pub(super) fn strata(&self) -> usize {
        // One more for rows without a label, twice as many by treatment.
        2 * self.labels.len().max(1) + 1
    }

    /// A class that none of the rows has. A label of many may be lacking.
    pub(super) fn lacking(&self, rows: &[u32]) -> Option<usize> {
        if self.labels.is_empty() || self.task == Task::Multilabel {
            return None;
        }
        self.counts(rows).iter().position(|count| *count == 0)
    }

    fn counts(&self, rows: &[u32]) -> Vec<usize> {
        let mut counts = vec![0usize; self.labels.len()];
        for &row in rows {
            if self.task == Task::Multilabel {
                let set = counts.iter_mut().zip(self.set(row));
                set.for_each(|(count, has)| *count += usize::from(*has));
            } else {
                counts[self.code(row) as usize] += 1;
            }
        }
        counts
    }

    pub(super) fn baseline(&self, rows: &[u32], params: &ValidParams, scale: &Scale) -> Baseline {
        if self.task == Task::Survival {
            return self.kaplan_meier(rows, &scale.ends);
        }
        if self.task == Task::Uplift {
            return self.average_effect(rows);
        }
        if self.task == Task::Regression {
            let quantile = |q: f64| {
                let mut values: Vec<f64> = rows.iter().map(|r| self.values[*r as usize]).collect();
                values.sort_unstable_by(f64::total_cmp);
                let at = (values.len().saturating_sub(1) as f64 * q).round() as usize;
                values.get(at).copied().unwrap_or(0.0)
            };
            let mean = self.moments(rows, false).0;
            let (value, gauge) = match params.loss {
                Loss::MeanAbsoluteError => (quantile(0.5), Gauge::Absolute),
                Loss::Quantile => (quantile(params.quantile), Gauge::Pinball(params.quantile)),
                Loss::Poisson => (mean, Gauge::Poisson),
                Loss::Tweedie => (mean, Gauge::Tweedie(params.tweedie_power)),
                _ => return Baseline::Mean(mean),
            };
            return Baseline::Value { value, gauge };
        }
        let count = rows.len().max(1) as f64;
        let counts = self.counts(rows).into_iter();
        let shares = counts.map(|c| c as f64 / count).collect();
        match self.task {
            Task::Multilabel => Baseline::Rates(shares),
            _ => Baseline::Shares(shares),
        }
    }

    /// Row weights of the training rows; empty where all are 1. Balanced: n / (classes · rows of the class).
    pub(super) fn weights(&self, rows: &[u32], wanted: &ClassWeight) -> Result<Vec<f32>, FitError> {
        let by_class: Vec<f64> = match wanted {
            ClassWeight::None => return Ok(Vec::new()),
            _ if !matches!(self.task, Task::Binary | Task::Multiclass | Task::Ordinal) => {
                return Err(FitError::new(
                    "22023",
                    "option \"class_weight\" needs a target of classes",
                ));
            }
            ClassWeight::Balanced => {
                let share = rows.len() as f64 / self.labels.len() as f64;
                self.counts(rows)
                    .into_iter()
                    .map(|count| share / count.max(1) as f64)
                    .collect()
            }
            ClassWeight::PerLabel(weights) => {
                if let Some(unknown) = weights.keys().find(|label| !self.labels.contains(label)) {
                    return Err(FitError::new(
                        "22023",
                        format!("class_weight names the unknown label \"{unknown}\""),
                    )
                    .hint(format!("Known are: {}.", self.labels.join(", "))));
                }
                self.labels
                    .iter()
                    .map(|label| weights.get(label).copied().unwrap_or(1.0))
                    .collect()
            }
        };
        Ok(rows
            .iter()
            .map(|row| by_class[self.code(*row) as usize] as f32)
            .collect())
    }
}
