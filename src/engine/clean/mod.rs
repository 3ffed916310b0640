//! Cleaning: what is wrong with the values of a table, learned once and put right in the same way ever after.
//!
//! A [`Clean`] is learned from the training rows, stored in the model's recipe, and replayed before the recipe on every row
//! that is predicted, be it one of a table or one by itself: both go through [`Steps::value`] and [`Fill`]. Leaving rows out
//! ([`rows`]) concerns training alone.

pub mod dates;
mod missing;
pub mod numbers;
mod outliers;
mod params;
pub mod report;
pub mod rows;
mod steps;
pub mod table;
mod text;
mod variants;

use crate::frame::{Cell, Column, Frame, Kind};
use missing::Fill;
use params::Missing;
pub use params::{CleanParams, Duplicates};
use report::{Change, Done, Tally};
use serde::{Deserialize, Serialize};
pub use steps::Value;
use steps::{Steps, touched};

/// What is done to the values of each column; nothing where there are no columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Clean {
    columns: Vec<Steps>,
}

impl Clean {
    /// Learns from the training `rows` of the given columns everything but what fills gaps.
    pub fn learn(
        frame: &Frame,
        columns: &[usize],
        rows: &[u32],
        keys: &[String],
        params: &CleanParams,
    ) -> Clean {
        let columns = columns.iter().filter_map(|c| frame.columns.get(*c));
        Clean {
            columns: columns
                .map(|column| Steps::learn(column, rows, keys, params))
                .collect(),
        }
    }

    /// Puts the frame's values right in place; answers the columns that were there and what was done in the rows `counted`.
    pub fn replace(
        &self,
        frame: &mut Frame,
        counted: &[bool],
    ) -> (Vec<(usize, Column)>, Vec<Change>) {
        let (mut before, mut changes) = (Vec::new(), Vec::new());
        let rows: Vec<u32> = (0..frame.rows() as u32).collect();
        for steps in self.columns.iter().filter(|steps| !steps.does_nothing()) {
            let place = frame.columns.iter().position(|c| c.name == steps.name);
            let Some(place) = place else { continue };
            let mut tally = Tally::default();
            let clean = steps.column(&frame.columns[place], &rows, Some((&mut tally, counted)));
            changes.extend(steps.changes(tally));
            before.push((place, std::mem::replace(&mut frame.columns[place], clean)));
        }
        (before, changes)
    }

    /// Keeps the steps of the named columns, in that order.
    pub fn keep(&mut self, names: &[&str]) {
        let mut columns = std::mem::take(&mut self.columns);
        for name in names {
            if let Some(at) = columns.iter().position(|steps| steps.name == *name) {
                self.columns.push(columns.swap_remove(at));
            }
        }
    }

    /// Learns what fills gaps from the training `rows` of a clean frame. A model predicts with all kept columns, so a
    /// regression may use them all.
    pub fn learn_fills(
        &mut self,
        frame: &Frame,
        rows: &[u32],
        keys: &[String],
        params: &CleanParams,
    ) {
        if matches!(params.missing, Missing::Keep | Missing::Drop) {
            return;
        }
        let places = self.places(frame);
        let meant = |place: &Option<usize>| {
            let column = place.and_then(|p| frame.columns.get(p));
            column.is_some_and(|c| touched(c, rows, keys, params) || params.fixes(&c.name))
        };
        let predictors: Vec<usize> = places
            .iter()
            .filter(|p| meant(p))
            .flatten()
            .copied()
            .collect();
        let fills: Vec<Option<Fill>> = places
            .iter()
            .map(|place| {
                let place = place.filter(|_| meant(place))?;
                let fill = Fill::find(frame, place, &predictors, rows, &params.missing)?;
                Some(fill.moved(|column| places.iter().position(|p| *p == Some(column))))
            })
            .collect();
        for (steps, fill) in self.columns.iter_mut().zip(fills) {
            steps.fill = fill;
        }
    }

    /// Fills the gaps of a clean frame in place; `before` gets the columns that were there unless it has them.
    pub fn fill(
        &self,
        frame: &mut Frame,
        counted: &[bool],
        before: &mut Vec<(usize, Column)>,
    ) -> Vec<Change> {
        let places = self.places(frame);
        let rows = frame.rows();
        let (mut filled, mut changes) = (Vec::new(), Vec::new());
        for (steps, place) in self.columns.iter().zip(&places) {
            let (Some(fill), Some(place)) = (&steps.fill, *place) else {
                continue;
            };
            let column = &frame.columns[place];
            if column.nulls.count() == 0 {
                continue;
            }
            let mut clean = Column::new(&*column.name, &*column.type_name, column.kind);
            let mut count = 0u64;
            for row in 0..rows {
                let mut cell = column.cell(row);
                if cell == Cell::Null {
                    cell = fill.cell(steps.kind, |c| {
                        let place = places.get(c).copied().flatten();
                        place.map_or(Cell::Null, |p| frame.columns[p].cell(row))
                    });
                    count += u64::from(counted.get(row) == Some(&true));
                }
                clean.push(cell);
            }
            clean.non_finite = column.non_finite;
            clean.unreadable = column.unreadable;
            filled.push((place, clean));
            if count > 0 {
                let name = |c: usize| self.columns.get(c).map_or("", |s| &s.name).to_owned();
                changes.push(Change {
                    column: steps.name.clone(),
                    what: format!("missing filled with {}", fill.describe(name)),
                    rows: count,
                    examples: Vec::new(),
                });
            }
        }
        // All at once: no prediction is made from another.
        for (place, clean) in filled {
            let old = std::mem::replace(&mut frame.columns[place], clean);
            if before.iter().all(|(known, _)| *known != place) {
                before.push((place, old));
            }
        }
        changes
    }

    /// Where each column stands in a frame.
    fn places(&self, frame: &Frame) -> Vec<Option<usize>> {
        let place = |steps: &Steps| frame.columns.iter().position(|c| c.name == steps.name);
        self.columns.iter().map(place).collect()
    }

    /// Nothing, where nothing is done to any column.
    pub fn or_nothing(self) -> Clean {
        if self.columns.iter().all(Steps::does_nothing) {
            return Clean::default();
        }
        self
    }

    pub fn is_nothing(&self) -> bool {
        self.columns.is_empty()
    }

    /// The kind a column comes in, by position.
    pub fn raw_kind(&self, column: usize) -> Option<Kind> {
        self.columns.get(column).map(|steps| steps.raw)
    }

    /// What is done to a column, by position, in words and as learned; nothing where nothing is done.
    pub fn describe(&self, column: usize) -> Option<(String, serde_json::Value)> {
        let steps = self.columns.get(column).filter(|s| !s.does_nothing())?;
        let mut said = steps.words();
        if let Some(fill) = &steps.fill {
            let name = |c: usize| self.columns.get(c).map_or("", |s| &s.name).to_owned();
            said.push(format!("missing filled with {}", fill.describe(name)));
        }
        let learned = serde_json::to_value(steps).unwrap_or_default();
        Some((said.join(", "), learned))
    }

    /// Whether it can be used on rows of so many columns: what the recipe relies on for bytes from a table.
    pub fn is_sound(&self, columns: usize) -> bool {
        let finite = |steps: &Steps| {
            let bounds = steps.bounds.as_ref();
            bounds.is_none_or(|b| b.low.is_finite() && b.high.is_finite())
        };
        self.columns.is_empty()
            || (self.columns.len() == columns && self.columns.iter().all(finite))
    }

    /// One row put right, cells in the order of the columns; a cell that is not there counts as missing.
    pub fn row<'a>(&'a self, cells: &[Cell<'a>]) -> Vec<Value<'a>> {
        // A frame counts NaN and infinity as missing when it reads them.
        let at = |i: usize| match cells.get(i).copied().unwrap_or(Cell::Null) {
            Cell::Number(x) | Cell::Duration(x) if !x.is_finite() => Cell::Null,
            cell => cell,
        };
        let steps = self.columns.iter().enumerate();
        let mut values: Vec<Value<'a>> = steps
            .map(|(i, steps)| steps.value(at(i), &mut Done::default()))
            .collect();
        let mut filled: Vec<(usize, Value<'a>)> = Vec::new();
        for (i, steps) in self.columns.iter().enumerate() {
            if let Some(fill) = &steps.fill
                && values[i].cell() == Cell::Null
            {
                let of_row = |c: usize| values.get(c).map_or(Cell::Null, Value::cell);
                filled.push((i, Value::Cell(fill.cell(steps.kind, of_row))));
            }
        }
        for (i, value) in filled {
            values[i] = value;
        }
        values
    }

    /// Rows of a frame put right: a frame of these columns, found by name, and of these rows only.
    pub fn frame(&self, frame: &Frame, rows: &[u32]) -> Frame {
        let column = |steps: &Steps| match frame.column(&steps.name) {
            Some(column) => steps.column(column, rows, None),
            None => {
                let mut column = Column::new(&*steps.name, "", steps.kind);
                rows.iter().for_each(|_| column.push(Cell::Null));
                column
            }
        };
        let mut clean = Frame {
            columns: self.columns.iter().map(column).collect(),
        };
        self.fill(&mut clean, &[], &mut Vec::new());
        clean
    }
}

#[cfg(test)]
mod tests;
