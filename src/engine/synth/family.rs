//! Tables whose rows belong to those of the table that is imitated, such as the orders of customers.
//!
//! How many rows a parent has is one more column of the parent's table. A child's row is drawn given the parent's columns, the
//! row before it and its place, by a conditional variational autoencoder (Sohn, Lee and Yan 2015).

mod children;
mod judge;
mod running;
mod signals;

use super::layout::Layout;
use super::schema::{self, Field};
use super::train::{Params, Watch};
use super::vae::{self, Context, Decoder};
use super::{Columns, MIN_ROWS};
use crate::fit::FitError;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::random::Random;
pub use children::{Children, Parents};
use running::{ChildColumn, Part, Sorted};
use serde::{Deserialize, Serialize};
use signals::{Signals, Told};
use std::collections::HashMap;

/// The column of a child's rows, and of their parents', that says as text which rows belong together.
pub const KEY: &str = "insight key";
/// So many tables can have the same parent.
pub const MOST_CHILDREN: usize = 16;
/// What is told of a row's place: whether it is the first, how many came before and are still to come, its share of the way.
const PLACES: usize = 4;

/// A table whose rows refer to the table that is imitated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChildTable {
    /// As metrics and messages call it.
    pub name: String,
    /// With its schema, or a query.
    pub relation: String,
    pub is_relation: bool,
    /// The parent's table with its schema; none for a query.
    pub parent: Option<String>,
    /// Its column that refers to the parent, and the parent's that it refers to.
    pub key: String,
    pub parent_key: String,
    /// What puts a parent's rows in order.
    pub order: Option<String>,
    pub columns: Columns,
}

/// Its rows, and the parent of each.
pub struct ChildRows {
    pub(super) table: ChildTable,
    pub(super) frame: Frame,
    /// By row; `None` where there is no such parent.
    pub(super) owners: Vec<Option<u32>>,
}

impl ChildRows {
    /// Finds the parent of each row by the texts of the child's column [`KEY`], which is taken away, among those of the parents.
    ///
    /// # Errors
    /// Parents that cannot be told apart; fewer rows with a parent than can be learned from.
    pub fn new(
        table: ChildTable,
        mut frame: Frame,
        parent_keys: &Column,
    ) -> Result<ChildRows, FitError> {
        let mut places: HashMap<&str, u32> = HashMap::with_capacity(parent_keys.len());
        for row in 0..parent_keys.len() {
            let why = match parent_keys.cell(row) {
                Cell::Text(text) => places
                    .insert(text, row as u32)
                    .map(|_| format!("Several rows have {text}.")),
                _ => Some("It is NULL in some rows.".into()),
            };
            if let Some(why) = why {
                return Err(FitError::new(
                    "22023",
                    format!(
                        "column \"{}\", to which \"{}\" refers, does not tell parents apart",
                        table.parent_key, table.name
                    ),
                )
                .detail(why)
                .hint("Option \"parent_key\" names a column that has another value in each row."));
            }
        }
        let own = frame.columns.iter().position(|c| c.name == KEY);
        let own = own.map(|at| frame.columns.remove(at));
        let owner = |keys: &Column, row| match keys.cell(row) {
            Cell::Text(text) => places.get(text).copied(),
            _ => None,
        };
        let owners: Vec<Option<u32>> = own.as_ref().map_or_else(Vec::new, |keys| {
            (0..keys.len()).map(|row| owner(keys, row)).collect()
        });
        let belonging = owners.iter().flatten().count();
        if belonging < MIN_ROWS {
            return Err(FitError::new(
                "22023",
                format!(
                    "{belonging} rows of \"{}\" that belong to a parent are too few to imitate",
                    table.name
                ),
            )
            .detail(format!(
                "It has {} rows; those whose \"{}\" is no \"{}\" of a parent are left out.",
                owners.len(),
                table.key,
                table.parent_key
            ))
            .hint(format!("At least {MIN_ROWS} rows are needed.")));
        }
        Ok(ChildRows {
            table,
            frame,
            owners,
        })
    }

    pub fn rows(&self) -> usize {
        self.owners.len()
    }
}

/// What was learned of a child's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ChildModel {
    pub(super) table: ChildTable,
    /// The place of the parent's key among its columns.
    parent: usize,
    pub(super) fields: Vec<Field>,
    columns: Vec<ChildColumn>,
    pub(super) decoder: Decoder,
    pub(super) rows: u64,
}

/// A child's table before and after it is learned.
pub(super) struct Prepared {
    rows: ChildRows,
    sorted: Sorted,
    /// What the column that counts a parent's rows is called.
    pub(super) count: String,
}

impl Prepared {
    /// Puts the rows in order; adds to the parents how many rows each has.
    pub(super) fn new(rows: ChildRows, parents: &mut Frame) -> Prepared {
        let sorted = Sorted::new(&rows, parents.rows());
        let mut count = format!("number of {}", rows.table.name);
        while parents.column(&count).is_some() {
            count.push('\'');
        }
        let mut column = Column::new(count.as_str(), "integer", Kind::Number);
        let counts = sorted.counts(parents.rows());
        counts
            .iter()
            .for_each(|n| column.push(Cell::Number(f64::from(*n))));
        parents.columns.push(column);
        Prepared {
            rows,
            sorted,
            count,
        }
    }

    /// Rows that are learned from.
    pub(super) fn rows(&self) -> usize {
        self.sorted.rows.len()
    }

    /// Rows that are left out, in words.
    pub(super) fn remarks(&self) -> Option<String> {
        let left_out = self.rows.owners.len() - self.sorted.rows.len();
        let table = &self.rows.table;
        let order = table
            .order
            .as_ref()
            .map_or(String::new(), |order| format!(", or no \"{order}\""));
        (left_out > 0).then(|| {
            format!(
                "{left_out} rows of \"{}\" left out: they have no parent{order}",
                table.name
            )
        })
    }
}

/// What is known of each row that is learned from.
struct Known<'a> {
    parents: &'a Signals<'a>,
    own: &'a Signals<'a>,
    /// By parent, and by row in the sorted order.
    told_parents: Vec<Told>,
    told: Vec<Told>,
    /// By row: where each running column goes on from, from -1 to 1.
    bases: Vec<f32>,
    running: usize,
    sorted: &'a Sorted,
}

impl Context for Known<'_> {
    fn width(&self) -> usize {
        self.parents.width + self.own.width + self.running + PLACES
    }

    fn write(&self, row: usize, out: &mut [f32]) {
        let (parents, own) = out.split_at_mut(self.parents.width);
        let owner = self.sorted.owners[row] as usize;
        self.parents
            .write(some(&self.told_parents, owner, self.parents.len()), parents);
        let (own, rest) = own.split_at_mut(self.own.width);
        let (at, of) = (self.sorted.at[row], self.sorted.of[row]);
        if at > 0 {
            self.own
                .write(some(&self.told, row - 1, self.own.len()), own);
        }
        let (bases, place) = rest.split_at_mut(self.running);
        bases.copy_from_slice(&self.bases[row * self.running..][..self.running]);
        write_place(at, of, place);
    }
}

/// What is told of one row.
fn some(told: &[Told], row: usize, signals: usize) -> &[Told] {
    &told[row * signals..][..signals]
}

/// Of a row the first is told, and how far the parent's rows have come.
fn write_place(at: u32, of: u32, out: &mut [f32]) {
    let log = |n: u32| (1.0 + n as f32).ln() / 5.0;
    out[0] = f32::from(u8::from(at == 0));
    out[1] = log(at);
    out[2] = log(of.saturating_sub(at + 1));
    out[3] = at as f32 / of.max(1) as f32;
}

impl ChildModel {
    /// Learns a child's rows; `parents` and `parent_fields` without what is not shown.
    pub(super) fn fit(
        prepared: &Prepared,
        parents: &Frame,
        parent_fields: &[Field],
        params: &Params,
        watch: &mut Watch<'_>,
    ) -> Result<ChildModel, FitError> {
        let Prepared { rows, sorted, .. } = prepared;
        let table = &rows.table;
        let mut random = Random::new(params.seed ^ 0x510e_527f);
        let mut known = table.columns.clone();
        let (columns, frame) = running::plan(table, &rows.frame, sorted, parents, &mut known);
        let (fields, encoded) = schema::fit(&frame, &known, &mut random);
        let layout = Layout::of(&fields);
        if layout.width == 0 {
            return Err(FitError::new(
                "22023",
                format!("\"{}\" has no column that can be learned", table.name),
            )
            .hint("Numbers, texts that repeat, booleans, dates and times can be learned."));
        }
        let parent = parent_fields
            .iter()
            .position(|f| f.name == table.parent_key);
        let parent = parent.ok_or_else(|| {
            FitError::new(
                "42703",
                format!("column \"{}\" is not learned", table.parent_key),
            )
        })?;
        let (told_by_parents, own) = (Signals::of(parent_fields), Signals::of(&fields));
        let context = Known {
            told_parents: told_by_parents.read_all(&parents.columns),
            told: own.read_all(&frame.columns),
            bases: bases(&columns, rows, sorted, parents),
            running: columns.iter().filter(|c| c.part.is_running()).count(),
            parents: &told_by_parents,
            own: &own,
            sorted,
        };
        let decoder = vae::train(params, &layout, &encoded, &context, watch)?;
        drop(context);
        Ok(ChildModel {
            table: table.clone(),
            parent,
            columns,
            decoder,
            rows: sorted.rows.len() as u64,
            fields,
        })
    }

    /// Whether all places and sizes fit together.
    pub(super) fn is_sound(&self, parent_fields: &[Field]) -> bool {
        let fields = self.fields.len();
        let part = |column: &ChildColumn| match &column.part {
            Part::Own { field } => *field < fields,
            Part::Running {
                first,
                gap,
                anchor,
                low,
                high,
                step,
            } => {
                *first < fields
                    && *gap < fields
                    && anchor.is_none_or(|at| at < parent_fields.len())
                    && low <= high
                    && *step >= 0.0
            }
            Part::After { field, column } => {
                *field < fields
                    && self
                        .columns
                        .get(*column)
                        .is_some_and(|c| c.part.is_running())
            }
        };
        self.parent < parent_fields.len()
            && self.columns.iter().all(part)
            && self.decoder.context == self.context(parent_fields)
    }

    /// Width of what is known of a row.
    fn context(&self, parent_fields: &[Field]) -> usize {
        let running = self.columns.iter().filter(|c| c.part.is_running()).count();
        Signals::of(parent_fields).width + Signals::of(&self.fields).width + running + PLACES
    }
}

/// By row and running column: where it goes on from.
fn bases(columns: &[ChildColumn], rows: &ChildRows, sorted: &Sorted, parents: &Frame) -> Vec<f32> {
    let mut out = Vec::new();
    for place in 0..sorted.rows.len() {
        for (column, own) in columns.iter().zip(&rows.frame.columns) {
            let Part::Running { anchor, .. } = &column.part else {
                continue;
            };
            let base = match (sorted.at[place], anchor) {
                (0, Some(at)) => parents.columns[*at].cell(sorted.owners[place] as usize),
                (0, None) => Cell::Null,
                _ => own.cell(sorted.rows[place - 1] as usize),
            };
            out.push(schema::number(base).map_or(0.0, |x| column.scaled(x)));
        }
    }
    out
}

#[cfg(test)]
#[path = "family_test.rs"]
mod tests;
