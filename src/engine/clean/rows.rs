//! Whole rows that go: repeated ones, those with gaps, those with a number far from the others.

use super::params::{CleanParams, Duplicates, Missing, Outliers};
use super::steps::{numbers_of as numbers, touched};
use super::{outliers::Bounds, report::Change, report::ROWS, report::figure};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::profile::duplicates::row_hashes;
use crate::profile::unfit::{Unfit, unfit};
use hashbrown::HashSet;

/// Keeps the first of rows that repeat one another. Identifiers are ignored, and so are the columns named in `keys`, unless
/// rows repeat by their nature without them, because few columns have few values.
pub fn repeated(
    frame: &Frame,
    keys: &[String],
    rows: &mut Vec<u32>,
    wanted: Duplicates,
) -> Option<Change> {
    if wanted == Duplicates::Keep || rows.is_empty() {
        return None;
    }
    let near = wanted == Duplicates::Near;
    let is_key = |column: &Column| {
        keys.contains(&column.name) || matches!(unfit(column, rows), Some(Unfit::Identifier(_)))
    };
    let all: Vec<usize> = (0..frame.columns.len()).collect();
    let (ignored, compared): (Vec<usize>, Vec<usize>) = all
        .iter()
        .partition(|position| is_key(&frame.columns[**position]));
    let mut hashes = row_hashes(frame, &compared, rows, near);
    let mut ignored: Vec<String> = ignored
        .iter()
        .map(|position| format!("{} ignored", frame.columns[*position].name))
        .collect();
    let different = hashes.iter().collect::<HashSet<_>>().len();
    if compared.is_empty() || (!ignored.is_empty() && different * 2 < rows.len()) {
        hashes = row_hashes(frame, &all, rows, near);
        ignored.clear();
    }
    let before = rows.len();
    let mut seen = HashSet::with_capacity(before);
    let mut hashes = hashes.into_iter();
    rows.retain(|_| hashes.next().is_none_or(|hash| seen.insert(hash)));
    let dropped = before - rows.len();
    let what = if near {
        "rows that nearly repeat another left out"
    } else {
        "rows that repeat another left out"
    };
    (dropped > 0).then(|| Change {
        column: ROWS.into(),
        what: what.into(),
        rows: dropped as u64,
        examples: ignored,
    })
}

/// Leaves out rows of a clean frame with gaps or outliers in the given columns, where that was asked for.
pub fn unwanted(
    frame: &Frame,
    columns: &[usize],
    keys: &[String],
    rows: &mut Vec<u32>,
    params: &CleanParams,
) -> Vec<Change> {
    let columns = columns.iter().filter_map(|c| frame.columns.get(*c));
    // Bounds of all columns first: what one column leaves out must not move those of another.
    let columns: Vec<(&Column, Option<Bounds>)> = columns
        .filter(|column| touched(column, rows, keys, params))
        .map(|column| (column, bounds(column, rows, params)))
        .collect();
    let mut changes = Vec::new();
    let mut leave_out = |column: &Column, what: String, goes: &dyn Fn(Cell<'_>) -> bool| {
        let before = rows.len();
        rows.retain(|row| !goes(column.cell(*row as usize)));
        if rows.len() < before {
            changes.push(Change {
                column: column.name.clone(),
                what,
                rows: (before - rows.len()) as u64,
                examples: Vec::new(),
            });
        }
    };
    for (column, bounds) in columns {
        if params.missing == Missing::Drop {
            let what = "rows without a value left out".to_owned();
            leave_out(column, what, &|cell| cell == Cell::Null);
        }
        if let Some(bounds) = bounds {
            let what = format!(
                "rows beyond {} to {} left out",
                figure(bounds.low),
                figure(bounds.high)
            );
            leave_out(column, what, &|cell| match cell {
                Cell::Number(x) | Cell::Duration(x) => !bounds.holds(x),
                _ => false,
            });
        }
    }
    changes
}

fn bounds(column: &Column, rows: &[u32], params: &CleanParams) -> Option<Bounds> {
    let number = matches!(column.kind, Kind::Number | Kind::Duration);
    match params.outliers {
        Outliers::Drop(_) if number => Bounds::find(numbers(column, rows), params.outliers),
        _ => None,
    }
}
