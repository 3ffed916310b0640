//! Which columns are features: identifiers and constants are left out, with the reason.

use super::{FitError, Request};
use crate::frame::{Cell, Column, Kind, Values};
use hashbrown::HashSet;

/// A text column with a larger share of different values names its rows; it says nothing about new ones.
const IDENTIFIER_SHARE: f64 = 0.9;
/// Fewer rows cannot tell an identifier from a feature.
const IDENTIFIER_ROWS: usize = 50;

/// Positions of the feature columns, and the columns left out with the reason.
pub(super) type Chosen = (Vec<usize>, Vec<(String, String)>);

/// Chooses by names and values of the features alone; the target is not looked at.
pub(super) fn choose(request: &Request, target: usize) -> Result<Chosen, FitError> {
    let (mut columns, mut excluded) = (Vec::new(), Vec::new());
    for (position, column) in request.frame.columns.iter().enumerate() {
        if position == target {
            continue;
        }
        let asked_for = request.include.contains(&column.name);
        match reason(column)
            .filter(|r| !asked_for || r.starts_with("constant") || r.starts_with("no value"))
        {
            Some(reason) => excluded.push((column.name.clone(), reason)),
            None => columns.push(position),
        }
    }
    if columns.is_empty() {
        let list: Vec<String> = excluded
            .iter()
            .map(|(name, reason)| format!("\"{name}\" ({reason})"))
            .collect();
        return Err(FitError::new("22023", "no usable feature column is left")
            .detail(if list.is_empty() {
                "The target is the only column.".into()
            } else {
                format!("Left out: {}.", list.join(", "))
            })
            .hint("Name columns in the option include to use them all the same."));
    }
    Ok((columns, excluded))
}

/// Why a column is no feature.
fn reason(column: &Column) -> Option<String> {
    let present = column.len() - column.nulls.count();
    if present == 0 {
        return Some("no value in any row".into());
    }
    let rows = (0..column.len()).filter(|row| !column.nulls.get(*row));
    let first = column.cell(rows.clone().next()?);
    if column.nulls.count() == 0 && rows.clone().all(|row| column.cell(row) == first) {
        return Some(format!("constant: always {}", show(first)));
    }
    match &column.values {
        Values::Category { dictionary, .. } => {
            let distinct = dictionary.len();
            let identifier =
                column.type_name == "uuid" || distinct as f64 > IDENTIFIER_SHARE * present as f64;
            (present > IDENTIFIER_ROWS && identifier)
                .then(|| format!("identifier-like: {distinct} different values in {present} rows"))
        }
        Values::Number(values) if column.kind == Kind::Number && present > IDENTIFIER_ROWS => {
            let values: Vec<f64> = rows.map(|row| values[row]).collect();
            let whole = values.iter().all(|v| v.fract() == 0.0);
            (whole
                && (named_identifier(&column.name) || consecutive(&values))
                && all_different(&values))
            .then(|| {
                format!("identifier-like: {present} different whole numbers in {present} rows")
            })
        }
        _ => None,
    }
}

/// `id`, `customer_id`, `customerID`, `userId`; not `paid`.
fn named_identifier(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower == "id"
        || lower.ends_with("_id")
        || lower.ends_with(" id")
        || name.ends_with("ID")
        || name.ends_with("Id")
}

fn consecutive(values: &[f64]) -> bool {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    high - low + 1.0 == values.len() as f64
}

fn all_different(values: &[f64]) -> bool {
    let mut seen = HashSet::with_capacity(values.len());
    values.iter().all(|v| seen.insert(v.to_bits()))
}

fn show(cell: Cell<'_>) -> String {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => x.to_string(),
        Cell::Boolean(x) => x.to_string(),
        Cell::Text(x) => format!("\"{x}\""),
        Cell::Time(_) => "the same time".into(),
        Cell::Null => "NULL".into(),
    }
}
