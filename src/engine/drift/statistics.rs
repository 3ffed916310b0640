//! What the training rows looked like, in a few counts per column that are kept with the model.

use super::count::{COUNTED, KNOWN, hash, levels, numbers};
use crate::artifact::{Artifact, Task};
use crate::frame::{Cell, Column, Frame, Kind, Values};
use crate::recipe::{Input, is_prose};
use hashbrown::HashMap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Most bins of a number, and of the model's answers.
const BINS: usize = 20;
const DECILES: usize = 10;

/// A value as it is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum View<'a> {
    Missing,
    Number(f64),
    Level(&'a str),
}

/// Prose and JSON are compared by their length, vectors by their norm, images by their brightness.
pub(super) fn view(cell: Cell<'_>, by_length: bool) -> View<'_> {
    let number = match cell {
        Cell::Null => return View::Missing,
        Cell::Boolean(true) => return View::Level("true"),
        Cell::Boolean(false) => return View::Level("false"),
        Cell::Text(x) | Cell::Tags(x) if !by_length => return View::Level(x),
        Cell::Text(x) | Cell::Tags(x) | Cell::Json(x) => x.chars().count() as f64,
        Cell::Number(x) | Cell::Duration(x) => x,
        Cell::Time(at) => at as f64,
        Cell::Vector(x) => {
            let known = x.iter().filter(|x| x.is_finite());
            known.map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
        }
        Cell::Image(x) => x.iter().map(|x| f64::from(*x)).sum::<f64>() / x.len().max(1) as f64,
    };
    match number.is_finite() {
        true => View::Number(number),
        false => View::Missing,
    }
}

/// How the values of a column were distributed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Distribution {
    missing: u64,
    values: Counts,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Counts {
    Numbers {
        /// Ascending upper bounds of all bins but the last.
        cuts: Vec<f64>,
        counts: Vec<u64>,
        /// The least and the greatest value.
        range: Option<(f64, f64)>,
        /// Texts of which only the length is looked at.
        by_length: bool,
    },
    Levels {
        /// Hashes of the most frequent levels, and how many rows had each.
        frequent: Vec<(u32, u64)>,
        /// Hashes of further levels, and rows that had one of these or one that is not known any more.
        others: Vec<u32>,
        rest: u64,
        /// Every level that occurred is known.
        complete: bool,
    },
}

/// Rows by cell. Of numbers the first cell lies below the range of training and the last above it; of levels the last but
/// one are the rest, and the last were never seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tally {
    pub missing: u64,
    pub cells: Vec<u64>,
}

impl Tally {
    pub fn known(&self) -> u64 {
        self.cells.iter().sum()
    }
}

impl Distribution {
    /// Counts `rows` of a column; numbers in at most `most` bins.
    pub fn of(column: &Column, rows: &[u32], most: usize) -> Distribution {
        let by_length = column.kind == Kind::Category && is_prose(column, rows);
        let (missing, values) = match column.kind {
            Kind::Boolean | Kind::Category | Kind::Tags if !by_length => levels(column, rows),
            _ => {
                let missing = rows.iter().filter(|row| column.nulls.get(**row as usize));
                let values = numbers(column, rows, most, by_length);
                (missing.count() as u64, values)
            }
        };
        Distribution { missing, values }
    }

    pub fn are_numbers(&self) -> bool {
        matches!(self.values, Counts::Numbers { .. })
    }

    pub fn by_length(&self) -> bool {
        matches!(&self.values, Counts::Numbers { by_length, .. } if *by_length)
    }

    /// Whether what is new can be told from what is not.
    pub fn knows_all(&self) -> bool {
        match &self.values {
            Counts::Numbers { .. } => true,
            Counts::Levels { complete, .. } => *complete,
        }
    }

    /// How wide numbers spread: nine tenths of them, or all where they are few different ones.
    pub fn scale(&self) -> f64 {
        let Counts::Numbers { cuts, range, .. } = &self.values else {
            return 1.0;
        };
        let width = match (cuts.first(), cuts.last(), range) {
            (Some(first), Some(last), _) if cuts.len() + 1 >= BINS => last - first,
            (_, _, Some((low, high))) => high - low,
            _ => 1.0,
        };
        if width > 0.0 && width.is_finite() {
            width
        } else {
            1.0
        }
    }

    /// The rows that were trained on, by cell.
    pub fn before(&self) -> Tally {
        let mut cells = Vec::new();
        match &self.values {
            Counts::Numbers { counts, .. } => {
                cells.push(0);
                cells.extend(counts);
                cells.push(0);
            }
            Counts::Levels { frequent, rest, .. } => {
                cells.extend(frequent.iter().map(|(_, count)| *count));
                cells.extend([*rest, 0]);
            }
        }
        Tally {
            missing: self.missing,
            cells,
        }
    }

    /// Rows of another table, by the same cells.
    pub fn now(&self, column: &Column, rows: impl Iterator<Item = u32>) -> Tally {
        let placing = Placing::new(self, column);
        let mut tally = self.before();
        tally.missing = 0;
        tally.cells.fill(0);
        for row in rows {
            match placing.cell(column, row as usize) {
                None => tally.missing += 1,
                Some(cell) => tally.cells[cell] += 1,
            }
        }
        tally
    }

    /// The cells that shares are compared over: bins at the ends of quantiles are open, so that a few rows beyond the range weigh as
    /// few; where every value has its own bin, what lies outside is another value.
    pub fn open_ended(&self, tally: &Tally) -> Vec<u64> {
        let mut cells = tally.cells.clone();
        if self.are_numbers() && cells.len() >= DECILES + 2 {
            let above = cells.pop().unwrap_or(0);
            let below = cells.remove(0);
            if let Some(last) = cells.last_mut() {
                *last += above;
            }
            cells[0] += below;
        }
        cells
    }

    /// Rows of a tally that are like none of training.
    pub fn novel(&self, tally: &Tally) -> u64 {
        let last = tally.cells.last().copied().unwrap_or(0);
        match self.are_numbers() {
            true => last + tally.cells.first().copied().unwrap_or(0),
            false => last,
        }
    }

    fn is_sound(&self) -> bool {
        match &self.values {
            Counts::Numbers {
                cuts,
                counts,
                range,
                ..
            } => {
                cuts.len() < BINS
                    && counts.len() == cuts.len() + 1
                    && cuts.windows(2).all(|pair| pair[0] < pair[1])
                    && range.is_none_or(|(low, high)| low <= high)
            }
            Counts::Levels {
                frequent, others, ..
            } => frequent.len() <= COUNTED && others.len() <= KNOWN,
        }
    }
}

/// Where the rows of a column belong.
pub(super) struct Placing<'a> {
    of: &'a Distribution,
    /// Of levels: the cell of each code of the column's dictionary.
    cells: Vec<usize>,
}

impl<'a> Placing<'a> {
    pub fn new(of: &'a Distribution, column: &Column) -> Placing<'a> {
        let mut cells = Vec::new();
        if let (
            Counts::Levels {
                frequent,
                others,
                complete,
                ..
            },
            Values::Category { dictionary, .. },
        ) = (&of.values, &column.values)
        {
            let places = places(frequent, others);
            let level = |code| hash(dictionary.text(code));
            let codes = 0..dictionary.len() as u32;
            cells = codes
                .map(|code| of_level(&places, unknown(frequent.len(), *complete), level(code)))
                .collect();
        }
        Placing { of, cells }
    }

    /// The cell of a row; `None` where its value is missing.
    #[inline]
    pub fn cell(&self, column: &Column, row: usize) -> Option<usize> {
        if let (Values::Category { codes, .. }, false) = (&column.values, self.cells.is_empty()) {
            let known = !column.nulls.get(row);
            return known.then(|| self.cells[codes[row] as usize]);
        }
        match (view(column.cell(row), self.of.by_length()), &self.of.values) {
            (View::Missing, _) => None,
            (View::Number(x), Counts::Numbers { cuts, range, .. }) => Some(match range {
                Some((low, _)) if x < *low => 0,
                Some((_, high)) if x <= *high => 1 + cuts.partition_point(|cut| *cut < x),
                _ => cuts.len() + 2,
            }),
            // Booleans, and what is of another kind than it was, which a table with the model's columns has not.
            (
                View::Level(level),
                Counts::Levels {
                    frequent,
                    others,
                    complete,
                    ..
                },
            ) => {
                let at = |own: &u32| *own == hash(level);
                let frequent_at = frequent.iter().position(|(own, _)| at(own));
                let other = match others.iter().any(at) {
                    true => frequent.len(),
                    false => unknown(frequent.len(), *complete),
                };
                Some(frequent_at.unwrap_or(other))
            }
            (View::Number(_), Counts::Levels { frequent, .. }) => Some(frequent.len() + 1),
            (View::Level(_), Counts::Numbers { cuts, .. }) => Some(cuts.len() + 2),
        }
    }
}

fn places(frequent: &[(u32, u64)], others: &[u32]) -> HashMap<u32, usize> {
    let others = others.iter().map(|level| (*level, frequent.len()));
    let frequent = frequent.iter().enumerate();
    others
        .chain(frequent.map(|(at, (level, _))| (*level, at)))
        .collect()
}

/// The cell of a level that is not known: its own, or that of the rest where some that were seen are not kept.
fn unknown(frequent: usize, complete: bool) -> usize {
    frequent + usize::from(complete)
}

fn of_level(places: &HashMap<u32, usize>, unknown: usize, level: u32) -> usize {
    places.get(&level).copied().unwrap_or(unknown)
}

/// What the training rows and the model's answers looked like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Of each column of the recipe.
    pub(super) columns: Vec<Distribution>,
    /// Of the answers to rows that were held out.
    pub(super) answers: Option<Distribution>,
}

impl Statistics {
    /// Whether some of the training rows had a value in one of the recipe's columns.
    pub(crate) fn was_known(&self, column: usize) -> bool {
        let of = self.columns.get(column);
        of.is_some_and(|of| of.before().known() > 0)
    }

    /// `rows` of the frame were trained on, and others were held out and given `predictions`.
    pub(crate) fn of(
        frame: &Frame,
        inputs: &[Input],
        rows: &[u32],
        (artifact, predictions): (&Artifact, &[f64]),
    ) -> Statistics {
        let of = |input: &Input| {
            let missing = Column::new(&input.name, &input.type_name, input.kind);
            match frame.column(&input.name) {
                Some(column) => Distribution::of(column, rows, BINS),
                None => Distribution::of(&missing, &[], BINS),
            }
        };
        // Texts one column after the other: their counts may take as much memory as they do.
        let are_texts = |input: &Input| matches!(input.kind, Kind::Category | Kind::Tags);
        let others = inputs
            .par_iter()
            .map(|input| (!are_texts(input)).then(|| of(input)));
        let others: Vec<Option<Distribution>> = others.collect();
        let columns = others.into_iter().zip(inputs);
        let columns = columns.map(|(other, input)| other.unwrap_or_else(|| of(input)));
        let columns = columns.collect();
        let answers = answers(artifact, predictions);
        let all: Vec<u32> = (0..answers.len() as u32).collect();
        Statistics {
            columns,
            answers: (!all.is_empty()).then(|| Distribution::of(&answers, &all, DECILES)),
        }
    }

    /// Whether there are any: models of earlier builds have none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The share of the training rows without a value of a column.
    pub fn missing_share(&self, column: usize) -> Option<f64> {
        let own = self.columns.get(column)?.before();
        let rows = own.missing + own.known();
        (rows > 0).then(|| own.missing as f64 / rows as f64)
    }

    pub(crate) fn is_sound(&self, columns: usize) -> bool {
        (self.columns.is_empty() || self.columns.len() == columns)
            && self
                .columns
                .iter()
                .chain(&self.answers)
                .all(Distribution::is_sound)
    }
}

/// A model's answers as a column: the number, or the label, that rows are answered with.
pub(super) fn answers(artifact: &Artifact, predictions: &[f64]) -> Column {
    let labelled = matches!(
        artifact.task,
        Task::Multiclass | Task::Multilabel | Task::Ordinal
    );
    let kind = if labelled {
        Kind::Category
    } else {
        Kind::Number
    };
    let mut column = Column::new("(prediction)", "", kind);
    for row in predictions.chunks_exact(artifact.width().max(1)) {
        match artifact.value(row) {
            Some(value) => column.push(Cell::Number(value)),
            None => match artifact.label(row) {
                Some(label) => column.push(Cell::Text(&label)),
                None => column.push(Cell::Null),
            },
        }
    }
    column
}
