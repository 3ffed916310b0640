//! The split into training, validation and test rows, and into folds, fixed before anything is fitted.

mod groups;

use super::{FitError, target::Answers};
use crate::artifact::Task;
use crate::frame::{Cell, Column, Frame};
use crate::params::ValidParams;
use crate::random::Random;
pub(super) use groups::grouped;
use groups::{Key, by_time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More validation rows than this tell no more about when to stop.
const MAX_VALIDATION: usize = 50_000;

/// Folds that a column may make.
const MOST_FOLDS: usize = 1_000;

/// How rows come to stand in a part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// At random, every class with its share in each part.
    #[default]
    Random,
    /// By a column of times or numbers: what is later is judged by what was earlier. Rows of one time stay together; those
    /// without a time are trained on.
    Time(String),
    /// Rows with the same value of a column stay together; those without a value stand for themselves.
    Group(String),
    /// As a column says: `train`, `validation`, `test`, or true for test.
    Column(String),
}

impl Split {
    /// The column it goes by.
    pub fn column(&self) -> Option<&str> {
        match self {
            Split::Random => None,
            Split::Time(name) | Split::Group(name) | Split::Column(name) => Some(name),
        }
    }
}

/// Rows of the frame, each in one part, ascending.
#[derive(Default)]
pub(super) struct Parts {
    pub train: Vec<u32>,
    pub validation: Vec<u32>,
    pub test: Vec<u32>,
}

impl Parts {
    fn sorted(mut self) -> Parts {
        for part in [&mut self.train, &mut self.validation, &mut self.test] {
            part.sort_unstable();
        }
        self
    }
}

/// What a split is drawn from.
pub(super) struct Divider<'a> {
    answers: &'a Answers,
    how: &'a Split,
    /// The column of the split; `None` for a random one.
    column: Option<&'a Column>,
    validation_size: f64,
    test_size: f64,
    seed: u64,
}

impl<'a> Divider<'a> {
    pub(super) fn new(
        frame: &'a Frame,
        answers: &'a Answers,
        how: &'a Split,
        params: &ValidParams,
    ) -> Result<Divider<'a>, FitError> {
        let column = match how.column() {
            None => None,
            Some(name) => Some(frame.column(name).ok_or_else(|| {
                FitError::new("42703", format!("column \"{name}\" does not exist"))
            })?),
        };
        Ok(Divider {
            answers,
            how,
            column,
            validation_size: params.validation_size,
            test_size: params.test_size,
            seed: params.seed,
        })
    }

    /// The three parts.
    ///
    /// # Errors
    /// No row to judge by, a class without training rows, a split column with other values than it may have.
    pub(super) fn parts(&self) -> Result<Parts, FitError> {
        let mut random = Random::new(self.seed);
        let parts = match self.how {
            Split::Column(_) => self.as_said(&mut random)?,
            _ => self.deal(&self.answers.rows, self.test_size, &mut random),
        };
        if parts.test.is_empty() && parts.validation.is_empty() {
            return Err(self.nothing_to_judge_by());
        }
        self.check(&parts)?;
        Ok(parts)
    }

    /// One split for each fold, whose rows are its test part; every row is in the test part of one fold (by time: of one at
    /// most, and it is judged by earlier rows). The validation rows are drawn from the others as for a single training.
    ///
    /// Sources: stratified k-fold (Kohavi 1995), rolling origin for times (Tashman 2000).
    pub(super) fn folds(&self, count: usize, repeat: u64) -> Result<Vec<Parts>, FitError> {
        let mut random = Random::new(self.seed.wrapping_add(repeat));
        let rows = &self.answers.rows;
        let folds: Vec<Vec<u32>> = match (self.how, self.column) {
            (Split::Time(name), Some(column)) => {
                let blocks = by_time(column, rows, &vec![1.0; count + 1]);
                if blocks.iter().any(Vec::is_empty) {
                    return Err(FitError::new(
                        "22023",
                        format!("column \"{name}\" has too few different times for {count} folds"),
                    )
                    .hint("Use fewer folds."));
                }
                let mut earlier = Vec::new();
                let mut all = Vec::new();
                for (i, block) in blocks.into_iter().enumerate() {
                    if i > 0 {
                        let mut parts = self.deal(&earlier, 0.0, &mut random);
                        parts.test = block.clone();
                        all.push(parts.sorted());
                    }
                    earlier.extend(block);
                }
                for parts in &all {
                    self.check(parts)?;
                }
                return Ok(all);
            }
            (Split::Group(_), Some(column)) => {
                let groups = grouped(column, rows);
                if groups.len() < count {
                    return Err(self.too_few_groups(groups.len(), count));
                }
                self.spread(groups, &vec![1.0; count], &mut random)
            }
            (Split::Column(_), Some(column)) => {
                let name = self.how.column().unwrap_or_default();
                let mut folds: BTreeMap<Key, Vec<u32>> = BTreeMap::new();
                for &row in rows {
                    if column.nulls.get(row as usize) {
                        return Err(unknown_part(name, "NULL"));
                    }
                    folds.entry(Key::of(column, row)).or_default().push(row);
                    if folds.len() > MOST_FOLDS {
                        return Err(FitError::new(
                            "22023",
                            format!("column \"{name}\" has more than {MOST_FOLDS} values to make folds of"),
                        )
                        .hint("Each value of a split column is a fold: name one with few values."));
                    }
                }
                folds.into_values().collect()
            }
            _ => self.stratified(rows, count, &mut random),
        };
        let empty = folds.len() < 2 || folds.iter().any(Vec::is_empty);
        if empty {
            return Err(FitError::new(
                "22023",
                format!("{} rows are too few for {count} folds", rows.len()),
            )
            .hint("Use fewer folds."));
        }
        let mut all = Vec::with_capacity(folds.len());
        for fold in folds {
            let mut held = vec![false; self.answers.rows.last().map_or(0, |r| *r as usize + 1)];
            fold.iter().for_each(|row| held[*row as usize] = true);
            let others: Vec<u32> = rows
                .iter()
                .copied()
                .filter(|r| !held[*r as usize])
                .collect();
            let mut parts = self.deal(&others, 0.0, &mut random);
            parts.test = fold;
            let parts = parts.sorted();
            self.check(&parts)?;
            all.push(parts);
        }
        Ok(all)
    }

    /// Two halves of rows by chance, each with its share of every class; what belongs together stays so.
    pub(super) fn halves(&self, rows: &[u32], random: &mut Random) -> [Vec<u32>; 2] {
        let parts = match (self.how, self.column) {
            (Split::Group(_), Some(column)) => {
                self.spread(grouped(column, rows), &[1.0, 1.0], random)
            }
            _ => self.stratified(rows, 2, random),
        };
        <[Vec<u32>; 2]>::try_from(parts).unwrap_or_default()
    }

    /// About so many of the rows, ascending, with the share of every class that there is; groups are whole.
    pub(super) fn share(&self, rows: &[u32], wanted: usize, random: &mut Random) -> Vec<u32> {
        let share = wanted as f64 / rows.len().max(1) as f64;
        let mut some = match (self.how, self.column) {
            (Split::Group(_), Some(column)) => {
                let shares = [share, 1.0 - share];
                self.spread(grouped(column, rows), &shares, random)
                    .swap_remove(0)
            }
            _ => self.drawn(rows, share, 0.0, random).swap_remove(2),
        };
        some.sort_unstable();
        some
    }

    /// Rows for training and validation.
    pub(super) fn dealt(&self, rows: &[u32], random: &mut Random) -> Parts {
        self.deal(rows, 0.0, random)
    }

    /// Deals rows out, so many of them for testing, and of the others for validation.
    fn deal(&self, rows: &[u32], test_size: f64, random: &mut Random) -> Parts {
        let kept = rows.len() as f64 * (1.0 - test_size);
        let validation_size = self
            .validation_size
            .min(MAX_VALIDATION as f64 / kept.max(1.0));
        let shares = [
            (1.0 - test_size) * (1.0 - validation_size),
            (1.0 - test_size) * validation_size,
            test_size,
        ];
        let parts = match (self.how, self.column) {
            (Split::Time(_), Some(column)) => by_time(column, rows, &shares),
            (Split::Group(_), Some(column)) => self.spread(grouped(column, rows), &shares, random),
            _ => self.drawn(rows, test_size, validation_size, random),
        };
        let [train, validation, test] = <[Vec<u32>; 3]>::try_from(parts).unwrap_or_default();
        let mut parts = Parts {
            train,
            validation,
            test,
        };
        if self.column.is_none() {
            self.answers.cover(&mut parts);
        }
        parts.sorted()
    }

    /// By label, so that every class has its share in each (regression: at random).
    fn drawn(
        &self,
        rows: &[u32],
        test_size: f64,
        validation_size: f64,
        random: &mut Random,
    ) -> Vec<Vec<u32>> {
        let mut parts = vec![Vec::new(); 3];
        for mut rows in self.by_class(rows) {
            random.shuffle(&mut rows);
            // At least one row of each class is left to learn from.
            let test = share(rows.len(), test_size).min(rows.len().saturating_sub(1));
            let rest = rows.len() - test;
            let validation = share(rest, validation_size).min(rest.saturating_sub(1));
            parts[2].extend(&rows[..test]);
            parts[1].extend(&rows[test..test + validation]);
            parts[0].extend(&rows[test + validation..]);
        }
        parts
    }

    /// Folds of the same size, of each class.
    fn stratified(&self, rows: &[u32], count: usize, random: &mut Random) -> Vec<Vec<u32>> {
        let mut folds = vec![Vec::new(); count];
        let mut next = 0;
        for mut rows in self.by_class(rows) {
            random.shuffle(&mut rows);
            for row in rows {
                folds[next % count].push(row);
                next += 1;
            }
        }
        folds
    }

    fn by_class(&self, rows: &[u32]) -> Vec<Vec<u32>> {
        let mut classes = vec![Vec::new(); self.answers.strata()];
        for &row in rows {
            classes[self.class(row)].push(row);
        }
        classes
    }

    fn class(&self, row: u32) -> usize {
        self.answers.stratum(row)
    }

    /// Deals whole groups out, each to the part that it leaves least full, judged by the classes it has (after Sechidis and
    /// others 2011, "On the stratification of multi-label data").
    fn spread(
        &self,
        mut groups: Vec<Vec<u32>>,
        shares: &[f64],
        random: &mut Random,
    ) -> Vec<Vec<u32>> {
        let classes = self.answers.strata();
        let mut counts = vec![0.0f64; classes];
        for &row in groups.iter().flatten() {
            counts[self.class(row)] += 1.0;
        }
        let total: f64 = shares.iter().sum();
        let wanted: Vec<f64> = shares.iter().map(|s| s / total).collect();
        random.shuffle(&mut groups);
        // Large ones first: small ones level out what they leave.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let mut filled = vec![vec![0.0f64; classes]; shares.len()];
        let mut parts = vec![Vec::new(); shares.len()];
        for group in groups {
            let mut own: BTreeMap<usize, f64> = BTreeMap::new();
            for &row in &group {
                *own.entry(self.class(row)).or_default() += 1.0;
            }
            let fullness = |part: usize| -> f64 {
                let of_class = |(class, rows): (&usize, &f64)| {
                    rows / counts[*class] * (filled[part][*class] + rows)
                        / (wanted[part] * counts[*class])
                };
                own.iter().map(of_class).sum()
            };
            let open = (0..shares.len()).filter(|part| wanted[*part] > 0.0);
            let best = open.min_by(|a, b| fullness(*a).total_cmp(&fullness(*b)));
            let part = best.unwrap_or(0);
            own.iter()
                .for_each(|(class, rows)| filled[part][*class] += rows);
            parts[part].extend(group);
        }
        parts
    }

    /// The parts that the split's column names; validation rows are drawn where it names none.
    fn as_said(&self, random: &mut Random) -> Result<Parts, FitError> {
        let (Some(column), Some(name)) = (self.column, self.how.column()) else {
            return Ok(Parts::default());
        };
        let mut parts = Parts::default();
        for &row in &self.answers.rows {
            let part = match column.cell(row as usize) {
                Cell::Boolean(true) => &mut parts.test,
                Cell::Boolean(false) => &mut parts.train,
                Cell::Text(text) => match text.to_lowercase().as_str() {
                    "train" | "training" => &mut parts.train,
                    "validation" | "valid" | "val" => &mut parts.validation,
                    "test" | "testing" => &mut parts.test,
                    _ => return Err(unknown_part(name, &format!("'{text}'"))),
                },
                Cell::Null => return Err(unknown_part(name, "NULL")),
                _ => return Err(unknown_part(name, "another value")),
            };
            part.push(row);
        }
        if parts.validation.is_empty() {
            let validation_size = self
                .validation_size
                .min(MAX_VALIDATION as f64 / parts.train.len().max(1) as f64);
            let mut drawn = self.drawn(&parts.train, 0.0, validation_size, random);
            parts.validation = std::mem::take(&mut drawn[1]);
            parts.train = std::mem::take(&mut drawn[0]);
        }
        Ok(parts.sorted())
    }

    fn check(&self, parts: &Parts) -> Result<(), FitError> {
        let hint = "Give more rows to training, or use another split.";
        if parts.train.len() < 2 {
            return Err(FitError::new("22023", "the split leaves no rows to train on").hint(hint));
        }
        if self.answers.task == Task::Uplift {
            let treated = self.answers.treated(&parts.train);
            if treated.iter().all(|t| *t) || !treated.contains(&true) {
                return Err(FitError::new(
                    "22023",
                    "the split leaves no training rows with, or none without, the treatment",
                )
                .hint(hint));
            }
        }
        match self.answers.lacking(&parts.train) {
            None => Ok(()),
            Some(class) => Err(FitError::new(
                "22023",
                format!(
                    "the split leaves no training row of class \"{}\"",
                    self.answers.labels[class]
                ),
            )
            .hint(hint)),
        }
    }

    fn nothing_to_judge_by(&self) -> FitError {
        let error = FitError::new("22023", "no row is left to judge the model by");
        match self.how {
            Split::Random => error.hint("Give test_size or validation_size above 0."),
            Split::Group(_) => error.hint("Each group stands in one part: there must be several."),
            Split::Time(_) => error.hint("Rows of one time stay together: there must be several."),
            Split::Column(_) => {
                error.hint("The split column must name rows to test or validate on.")
            }
        }
    }

    fn too_few_groups(&self, groups: usize, count: usize) -> FitError {
        let name = self.how.column().unwrap_or_default();
        FitError::new(
            "22023",
            format!("column \"{name}\" has {groups} groups, too few for {count} folds"),
        )
        .hint("Use fewer folds.")
    }
}

fn unknown_part(column: &str, value: &str) -> FitError {
    FitError::new(
        "22023",
        format!("split column \"{column}\" says {value} of a row"),
    )
    .hint("It must be train, validation or test, or a boolean that is true for test rows.")
}

fn share(rows: usize, fraction: f64) -> usize {
    let exact = rows as f64 * fraction;
    if fraction > 0.0 && rows > 1 {
        (exact.round() as usize).max(1)
    } else {
        0
    }
}

#[cfg(test)]
#[path = "split_test.rs"]
mod tests;
