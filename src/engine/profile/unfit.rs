//! Columns that cannot be features: empty, constant, naming their rows.

use super::bins::show;
use crate::frame::{Cell, Column, Kind, Values};
use crate::recipe::is_prose;
use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

/// A text column with a larger share of different values names its rows; it says nothing about new ones.
const IDENTIFIER_SHARE: f64 = 0.9;
/// Fewer rows cannot tell an identifier from a feature.
const IDENTIFIER_ROWS: usize = 50;

/// Why a column is no feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unfit {
    #[error("no value in any row")]
    Empty,
    #[error("constant: always {0}")]
    Constant(String),
    #[error("identifier-like: {0}")]
    Identifier(String),
    #[error("mostly no images: {images} of {values} values are PNG or JPEG")]
    NoImages { images: usize, values: usize },
}

/// Judges by name and values; `None`: it can be a feature.
pub fn unfit(column: &Column) -> Option<Unfit> {
    let present = column.len() - column.nulls.count();
    if column.unreadable > present {
        return Some(Unfit::NoImages {
            images: present,
            values: present + column.unreadable,
        });
    }
    if present == 0 {
        return Some(Unfit::Empty);
    }
    let rows = (0..column.len()).filter(|row| !column.nulls.get(*row));
    let first = column.cell(rows.clone().next()?);
    if column.nulls.count() == 0 && rows.clone().all(|row| column.cell(row) == first) {
        return Some(Unfit::Constant(match first {
            Cell::Text(text) => format!("\"{text}\""),
            Cell::Time(_) => "the same time".into(),
            other => show(other),
        }));
    }
    match &column.values {
        Values::Category { dictionary, .. } if column.kind == Kind::Category => {
            let distinct = dictionary.len();
            let identifier =
                column.type_name == "uuid" || distinct as f64 > IDENTIFIER_SHARE * present as f64;
            // Nearly every free text is different, and its words are features all the same.
            let all: Vec<u32> = rows.map(|row| row as u32).collect();
            (present > IDENTIFIER_ROWS && identifier && !is_prose(column, &all)).then(|| {
                Unfit::Identifier(format!("{distinct} different values in {present} rows"))
            })
        }
        Values::Number(values) if column.kind == Kind::Number && present > IDENTIFIER_ROWS => {
            let values: Vec<f64> = rows.map(|row| values[row]).collect();
            let whole = values.iter().all(|v| v.fract() == 0.0);
            let named = named_identifier(&column.name) || consecutive(&values);
            (whole && named && all_different(&values)).then(|| {
                Unfit::Identifier(format!(
                    "{present} different whole numbers in {present} rows"
                ))
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
