//! A whole table cleaned for its own sake: which values of which rows change, and which rows go.

use super::report::Change;
use super::steps::{Reading, Steps};
use super::{Clean, CleanParams, rows, text};
use crate::calendar;
use crate::frame::{Cell, Column, Frame, Kind};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// A table and what is known about its columns.
pub struct Table {
    pub frame: Frame,
    /// Columns of keys: left alone unless they are named in the options.
    pub keys: Vec<String>,
    /// Columns that tell rows apart and nothing else: ignored when rows are compared.
    pub identifiers: Vec<String>,
    /// Columns of types that cannot be cleaned, as text or a filler: compared when rows are.
    pub opaque: Vec<String>,
}

/// A new value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Edit {
    Number(f64),
    /// Seconds.
    Duration(f64),
    Time(i64),
    Boolean(bool),
    Text(String),
}

/// The new values of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnEdits {
    pub column: usize,
    /// Each different value once.
    pub values: Vec<Edit>,
    /// Rows, ascending, and the value each gets.
    pub rows: Vec<u32>,
    pub picks: Vec<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cleaned {
    pub columns: Vec<ColumnEdits>,
    /// Rows left out, ascending.
    pub dropped: Vec<u32>,
    pub changes: Vec<Change>,
}

impl Table {
    /// Learns from all rows and says what changes. A column keeps its type: numbers and dates in text stay text, in one form
    /// (12.5, 2024-02-29), what cannot be read stays as it is, and whole numbers stay whole.
    pub fn clean(self, params: &CleanParams) -> Cleaned {
        let Table {
            mut frame,
            keys,
            identifiers,
            opaque,
        } = self;
        let all = frame.rows();
        let mut kept: Vec<u32> = (0..all as u32).collect();
        let mut changes = Vec::new();
        changes.extend(rows::repeated(
            &frame,
            &identifiers,
            &mut kept,
            params.duplicates,
        ));
        let columns: Vec<usize> = (0..frame.columns.len())
            .filter(|c| !opaque.contains(&frame.columns[*c].name))
            .collect();
        let mut clean = Clean::learn(&frame, &columns, &kept, &keys, params);
        let (mut before, told) = clean.replace(&mut frame, &marks(&kept, all));
        changes.extend(told);
        changes.extend(rows::unwanted(&frame, &columns, &keys, &mut kept, params));
        clean.learn_fills(&frame, &kept, &keys, params);
        let told = clean.fill(&mut frame, &marks(&kept, all), &mut before);
        changes.extend(told);
        before.sort_by_key(|(place, _)| *place);
        let columns = before.iter().filter_map(|(place, before)| {
            let after = &frame.columns[*place];
            let steps = clean.columns.iter().find(|s| s.name == before.name)?;
            let edits = edits(steps, *place, before, after, &kept);
            (!edits.rows.is_empty()).then_some(edits)
        });
        let columns = columns.collect();
        let keeps = marks(&kept, all);
        let dropped = (0..all as u32).filter(|row| !keeps[*row as usize]);
        Cleaned {
            columns,
            dropped: dropped.collect(),
            changes,
        }
    }
}

/// True for the given rows.
fn marks(rows: &[u32], all: usize) -> Vec<bool> {
    let mut marks = vec![false; all];
    rows.iter().for_each(|row| marks[*row as usize] = true);
    marks
}

fn edits(
    steps: &Steps,
    place: usize,
    before: &Column,
    after: &Column,
    rows: &[u32],
) -> ColumnEdits {
    let mut edits = ColumnEdits {
        column: place,
        values: Vec::new(),
        rows: Vec::new(),
        picks: Vec::new(),
    };
    let whole = ["smallint", "integer", "bigint"].contains(&&*before.type_name);
    let mut numbers: HashMap<u64, u32> = HashMap::new();
    let mut texts: HashMap<String, u32> = HashMap::new();
    for &row in rows {
        let raw = before.cell(row as usize);
        let Some(edit) = edit(steps, raw, after.cell(row as usize), whole) else {
            continue;
        };
        let next = edits.values.len() as u32;
        let pick = match &edit {
            Edit::Number(x) | Edit::Duration(x) => *numbers.entry(x.to_bits()).or_insert(next),
            Edit::Time(t) => *numbers.entry(*t as u64).or_insert(next),
            Edit::Boolean(x) => *numbers.entry(u64::from(*x)).or_insert(next),
            Edit::Text(text) => *texts.entry_ref(text.as_str()).or_insert(next),
        };
        if pick == next {
            edits.values.push(edit);
        }
        edits.rows.push(row);
        edits.picks.push(pick);
    }
    edits
}

/// What a value is changed to; `None`: it stays.
fn edit(steps: &Steps, before: Cell<'_>, after: Cell<'_>, whole: bool) -> Option<Edit> {
    let written = steps.raw == Kind::Category;
    if let (Cell::Text(raw), Some(reading)) = (before, &steps.reading) {
        let normal = steps.text.normalise(raw);
        let readable = match reading {
            Reading::Numbers(format) => format.read(&normal).is_some(),
            Reading::Dates(format) => format.read(&normal).is_some(),
        };
        // What cannot be read is not filled in either: it may mean something.
        if !readable && (!text::says_nothing(&normal) || after == Cell::Null) {
            return (*normal != *raw).then(|| Edit::Text(normal.into_owned()));
        }
    }
    let edit = match after {
        Cell::Null | Cell::Vector(_) | Cell::Tags(_) | Cell::Json(_) | Cell::Image(_) => {
            return None;
        }
        Cell::Number(x) if written => Edit::Text(x.to_string()),
        Cell::Time(t) if written => Edit::Text(calendar::iso(t)),
        Cell::Number(x) if whole => Edit::Number(x.round()),
        Cell::Number(x) => Edit::Number(x),
        Cell::Duration(x) => Edit::Duration(x),
        Cell::Time(t) => Edit::Time(t),
        Cell::Boolean(x) => Edit::Boolean(x),
        Cell::Text(text) => Edit::Text(text.to_owned()),
    };
    let same = match (&edit, before) {
        (Edit::Number(x), Cell::Number(y)) | (Edit::Duration(x), Cell::Duration(y)) => *x == y,
        (Edit::Text(x), Cell::Text(y)) => x == y,
        (Edit::Time(x), Cell::Time(y)) => *x == y,
        (Edit::Boolean(x), Cell::Boolean(y)) => *x == y,
        _ => false,
    };
    (!same).then_some(edit)
}
