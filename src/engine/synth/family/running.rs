//! Columns that go on from row to row of a parent, such as dates and running numbers: learned as gaps.

use super::{ChildRows, ChildTable};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::random::Random;
use crate::synth::Columns;
use crate::synth::invent::invent;
use crate::synth::schema::{number, step, whole};
use serde::{Deserialize, Serialize};

/// So many rows must agree before a column is believed to run, or to follow a date.
const LEAST_ROWS: usize = 20;

/// A column of the child's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ChildColumn {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) kind: Kind,
    pub(super) part: Part,
}

/// How it comes about from the fields that the network speaks of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// As the field says.
    Own { field: usize },
    /// A parent's first row has a value of its own, or one after a date of the parent; the next go on from the row before.
    Running {
        first: usize,
        gap: usize,
        /// The parent's date, by its place among the parent's columns.
        anchor: Option<usize>,
        low: f64,
        high: f64,
        step: f64,
    },
    /// So much after another column, which runs.
    After { field: usize, column: usize },
}

impl Part {
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Part::Running { .. })
    }
}

/// Rows of one parent after the other, each parent's in their order.
pub(super) struct Sorted {
    /// Their places in the frame.
    pub(super) rows: Vec<u32>,
    /// The parent of each.
    pub(super) owners: Vec<u32>,
    /// Which row of the parent it is, from 0.
    pub(super) at: Vec<u32>,
    /// How many the parent has.
    pub(super) of: Vec<u32>,
}

impl Sorted {
    pub(super) fn new(rows: &ChildRows, parents: usize) -> Sorted {
        let order = rows.table.order.as_deref();
        let order = order.and_then(|name| rows.frame.column(name));
        let when = |row: usize| order.and_then(|c| number(c.cell(row)));
        let mut all: Vec<(u32, f64, u32)> = Vec::new();
        for (row, owner) in rows.owners.iter().enumerate() {
            // Rows without a place in the order are left out.
            if let (Some(owner), Some(when)) = (
                owner,
                if order.is_some() {
                    when(row)
                } else {
                    Some(0.0)
                },
            ) {
                all.push((*owner, when, row as u32));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut counts = vec![0u32; parents];
        let at = all.iter().map(|(owner, ..)| {
            let count = &mut counts[*owner as usize];
            *count += 1;
            *count - 1
        });
        let at: Vec<u32> = at.collect();
        Sorted {
            of: all
                .iter()
                .map(|(owner, ..)| counts[*owner as usize])
                .collect(),
            rows: all.iter().map(|(.., row)| *row).collect(),
            owners: all.iter().map(|(owner, ..)| *owner).collect(),
            at,
        }
    }

    /// How many rows each parent has.
    pub(super) fn counts(&self, parents: usize) -> Vec<u32> {
        let mut counts = vec![0u32; parents];
        self.owners.iter().for_each(|o| counts[*o as usize] += 1);
        counts
    }

    fn numbers(&self, column: &Column) -> Vec<Option<f64>> {
        self.rows
            .iter()
            .map(|row| number(column.cell(*row as usize)))
            .collect()
    }
}

/// The columns of the child's rows and the fields they are made of, row by row in the sorted order; `amounts` are named as such.
pub(super) fn plan(
    table: &ChildTable,
    frame: &Frame,
    sorted: &Sorted,
    parents: &Frame,
    known: &mut Columns,
) -> (Vec<ChildColumn>, Frame) {
    let mut fields: Vec<Column> = Vec::new();
    let mut columns: Vec<ChildColumn> = Vec::new();
    let order = frame
        .columns
        .iter()
        .position(|c| Some(&c.name) == table.order.as_ref());
    let order_values = order.map(|at| sorted.numbers(&frame.columns[at]));
    for (at, column) in frame.columns.iter().enumerate() {
        let values = match order {
            Some(order) if may_run(column, known) || at == order => sorted.numbers(column),
            _ => Vec::new(),
        };
        // Numbers that are keys go on by themselves.
        let is_order = Some(at) == order && (column.kind == Kind::Time || may_run(column, known));
        let part = if is_order || Some(at) != order && runs(&values, sorted) {
            running(column, &values, sorted, parents, &mut fields, known)
        } else if let (Some(order), Some(from), Kind::Time) = (order, &order_values, column.kind)
            && frame.columns[order].kind == Kind::Time
            && comes_after(&values, from)
        {
            let name = format!("{} after {}", column.name, frame.columns[order].name);
            let gaps = values.iter().zip(from).map(|(x, y)| Some((*x)? - (*y)?));
            known.amounts.push(name.clone());
            fields.push(numbers(name, column.kind, gaps));
            Part::After {
                field: fields.len() - 1,
                column: order,
            }
        } else {
            let mut own = Column::new(column.name.as_str(), column.type_name.as_str(), column.kind);
            sorted
                .rows
                .iter()
                .for_each(|row| own.push(column.cell(*row as usize)));
            fields.push(own);
            Part::Own {
                field: fields.len() - 1,
            }
        };
        columns.push(ChildColumn {
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            kind: column.kind,
            part,
        });
    }
    (columns, Frame { columns: fields })
}

/// Whether a column is a number or time, and no key.
fn may_run(column: &Column, known: &Columns) -> bool {
    let counted = match column.kind {
        Kind::Number => invent(column, None, false).is_none(),
        kind => kind == Kind::Time,
    };
    counted && !known.unique.contains(&column.name) && !known.foreign.contains(&column.name)
}

/// Whether a column never goes down from one row of a parent to the next.
fn runs(values: &[Option<f64>], sorted: &Sorted) -> bool {
    let mut pairs = 0;
    for (at, x) in values.iter().enumerate() {
        let Some(x) = x else { return false };
        if sorted.at[at] > 0 {
            if values[at - 1].is_none_or(|before| before > *x) {
                return false;
            }
            pairs += 1;
        }
    }
    pairs >= LEAST_ROWS
}

/// Whether a date is never before another.
fn comes_after(values: &[Option<f64>], from: &[Option<f64>]) -> bool {
    let both = || {
        values
            .iter()
            .zip(from)
            .filter_map(|(x, y)| Some(((*x)?, (*y)?)))
    };
    both().count() >= LEAST_ROWS && both().all(|(x, y)| x >= y)
}

/// A field of numbers that is not shown.
fn numbers(name: String, kind: Kind, values: impl Iterator<Item = Option<f64>>) -> Column {
    let mut column = Column::new(name, "", kind);
    values.for_each(|x| column.push(x.map_or(Cell::Null, |x| cell(kind, x))));
    column
}

fn running(
    column: &Column,
    values: &[Option<f64>],
    sorted: &Sorted,
    parents: &Frame,
    fields: &mut Vec<Column>,
    known: &mut Columns,
) -> Part {
    let anchor = (column.kind == Kind::Time)
        .then(|| anchor(values, sorted, parents))
        .flatten();
    let from = |at: usize| {
        let owner = sorted.owners[at] as usize;
        anchor.map_or(Some(0.0), |a| number(parents.columns[a].cell(owner)))
    };
    let first = (0..values.len()).map(|at| match sorted.at[at] {
        0 => Some(values[at]? - from(at)?),
        _ => None,
    });
    let gap = (0..values.len()).map(|at| match sorted.at[at] {
        0 => None,
        _ => Some(values[at]? - values[at - 1]?),
    });
    for (name, values) in [
        (
            format!("first of {}", column.name),
            first.collect::<Vec<_>>(),
        ),
        (format!("gap of {}", column.name), gap.collect()),
    ] {
        known.amounts.push(name.clone());
        fields.push(numbers(name, column.kind, values.into_iter()));
    }
    let all: Vec<f64> = values.iter().copied().flatten().collect();
    Part::Running {
        first: fields.len() - 2,
        gap: fields.len() - 1,
        anchor,
        low: all.iter().copied().fold(f64::INFINITY, f64::min),
        high: all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        step: step(&all, column.kind),
    }
}

/// The parent's date after which first rows come: never before, and by the shortest time.
fn anchor(values: &[Option<f64>], sorted: &Sorted, parents: &Frame) -> Option<usize> {
    let firsts: Vec<(f64, usize)> = (0..values.len())
        .filter(|at| sorted.at[*at] == 0)
        .filter_map(|at| Some((values[at]?, sorted.owners[at] as usize)))
        .collect();
    let mut best: Option<(f64, usize)> = None;
    for (at, column) in parents.columns.iter().enumerate() {
        if column.kind != Kind::Time || column.nulls.count() > 0 || firsts.len() < LEAST_ROWS {
            continue;
        }
        let gaps = firsts
            .iter()
            .filter_map(|(x, owner)| Some(x - number(column.cell(*owner))?));
        let (mut sum, mut least) = (0.0, f64::INFINITY);
        for gap in gaps {
            (sum, least) = (sum + gap, least.min(gap));
        }
        if least >= 0.0 && best.is_none_or(|(most, _)| sum < most) {
            best = Some((sum, at));
        }
    }
    best.map(|(_, at)| at)
}

/// A number as a cell of its kind.
pub(super) fn cell(kind: Kind, x: f64) -> Cell<'static> {
    match kind {
        Kind::Time => Cell::Time(x as i64),
        Kind::Duration => Cell::Duration(x),
        _ => Cell::Number(x),
    }
}

impl ChildColumn {
    /// The value of a running column, which goes on from `base` by `gap`. A time that no row has reached lies between the base and
    /// the last one: there the rows that were learned from end.
    pub(super) fn go_on(&self, base: f64, gap: f64, random: &mut Random) -> f64 {
        let Part::Running { high, step, .. } = &self.part else {
            return gap;
        };
        let x = base + gap;
        if self.kind == Kind::Time && x > *high {
            let room = (high - base).max(0.0);
            let step = step.max(1.0);
            return base + ((room / step + 1.0).floor() * random.uniform()).floor() * step;
        }
        if *step > 0.0 && self.kind == Kind::Number {
            whole(x, *step)
        } else {
            x
        }
    }

    /// Where a value of a running column lies in its range, from -1 to 1.
    pub(super) fn scaled(&self, x: f64) -> f32 {
        match &self.part {
            Part::Running { low, high, .. } if high > low => {
                (2.0 * (x - low) / (high - low) - 1.0).clamp(-1.5, 1.5) as f32
            }
            _ => 0.0,
        }
    }
}
