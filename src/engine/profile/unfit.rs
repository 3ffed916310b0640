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

/// Judges by name and by the values of the given rows; `None`: it can be a feature.
pub fn unfit(column: &Column, rows: &[u32]) -> Option<Unfit> {
    unfit_among(column, rows, column.len())
}

/// The same where the rows are some of so many.
pub(super) fn unfit_among(column: &Column, rows: &[u32], total: usize) -> Option<Unfit> {
    let present = column.len() - column.nulls.count();
    if column.unreadable > present {
        return Some(Unfit::NoImages {
            images: present,
            values: present + column.unreadable,
        });
    }
    let has_value = |row: &&u32| !column.nulls.get(**row as usize);
    let known: Vec<u32> = rows.iter().filter(has_value).copied().collect();
    let Some(&first) = known.first() else {
        return Some(Unfit::Empty);
    };
    let first = column.cell(first as usize);
    let same = |row: &u32| column.cell(*row as usize) == first;
    if known.len() == rows.len() && known.iter().all(same) {
        return Some(Unfit::Constant(match first {
            Cell::Text(text) => format!("\"{text}\""),
            Cell::Time(_) => "the same time".into(),
            other => show(other),
        }));
    }
    let present = known.len();
    if present <= IDENTIFIER_ROWS {
        return None;
    }
    match &column.values {
        Values::Category { codes, .. } if column.kind == Kind::Category => {
            let different: HashSet<u32> = known.iter().map(|row| codes[*row as usize]).collect();
            let distinct = different.len();
            let identifier =
                column.type_name == "uuid" || distinct as f64 > IDENTIFIER_SHARE * present as f64;
            // Nearly every free text is different, and its words are features all the same.
            (identifier && !is_prose(column, &known)).then(|| {
                Unfit::Identifier(format!("{distinct} different values in {present} rows"))
            })
        }
        Values::Number(values) if column.kind == Kind::Number => {
            if !known.iter().all(|row| values[*row as usize].fract() == 0.0) {
                return None;
            }
            let values: Vec<f64> = known.iter().map(|row| values[*row as usize]).collect();
            // Some of the rows of a counter have some of its numbers.
            let all = present as f64 * total as f64 / rows.len() as f64;
            let named = named_identifier(&column.name) || consecutive(&values, all);
            (named && all_different(&values)).then(|| {
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

/// Whether the values lie among `all` consecutive numbers.
fn consecutive(values: &[f64], all: f64) -> bool {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    high - low < all
}

fn all_different(values: &[f64]) -> bool {
    let mut seen = HashSet::with_capacity(values.len());
    values.iter().all(|v| seen.insert(v.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, values: impl Iterator<Item = f64>) -> Column {
        let mut column = Column::new(name, "integer", Kind::Number);
        values.for_each(|x| column.push(Cell::Number(x)));
        column
    }

    #[test]
    fn some_rows_of_a_counter_tell_that_it_is_one() {
        let counter = column("row", (0..300).map(|i| f64::from((i * 7) % 300 + 1)));
        let wide = column("amount", (0..300).map(|i| f64::from(i * 3)));
        let named = column("order_id", (0..300).map(|i| f64::from(i * 3)));
        for rows in [
            (0..300).collect::<Vec<u32>>(),
            (0..300).step_by(3).collect(),
        ] {
            assert!(matches!(unfit(&counter, &rows), Some(Unfit::Identifier(_))));
            assert!(matches!(unfit(&named, &rows), Some(Unfit::Identifier(_))));
            assert_eq!(unfit(&wide, &rows), None);
        }
    }

    #[test]
    fn only_the_given_rows_count() {
        let mut text = Column::new("t", "text", Kind::Category);
        for row in 0..300 {
            let odd = format!("only here {row}");
            text.push(Cell::Text(if row < 100 { "same" } else { &odd }));
        }
        let rows = |from, to| (from..to).collect::<Vec<u32>>();
        assert!(matches!(
            unfit(&text, &rows(0, 100)),
            Some(Unfit::Constant(_))
        ));
        assert_eq!(unfit(&text, &rows(0, 150)), None);
        assert!(matches!(
            unfit(&text, &rows(100, 300)),
            Some(Unfit::Identifier(_))
        ));
        assert_eq!(unfit(&text, &[]), Some(Unfit::Empty));
    }
}
