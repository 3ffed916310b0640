//! What is known of each key whatever the step: how columns of a relation with a row per key become numbers.

use super::log::text_of;
use crate::frame::{Cell, Column, Frame, Kind};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A category with more values tells keys apart and little else.
pub(super) const MOST_LEVELS: usize = 64;

/// The columns and how each enters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Statics {
    pub columns: Vec<Static>,
    /// Columns left out and why.
    pub excluded: Vec<(String, String)>,
}

/// One column: a number as it is, or a category with an input for each value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Static {
    pub name: String,
    /// Of a category: its values, sorted.
    pub levels: Option<Vec<String>>,
}

impl Statics {
    /// Of the columns of `frame` but `key` and those in `aside`.
    pub fn of(frame: &Frame, key: &str, aside: &[&str]) -> Statics {
        let mut statics = Statics::default();
        for column in &frame.columns {
            let name = column.name.as_str();
            if name == key || aside.contains(&name) {
                continue;
            }
            let levels = match column.kind {
                Kind::Number | Kind::Duration | Kind::Boolean => None,
                Kind::Category => {
                    let mut levels: Vec<String> = Vec::new();
                    let texts = (0..column.len()).filter_map(|row| text_of(column.cell(row)));
                    for text in texts {
                        if let Err(at) = levels.binary_search_by(|l| l.as_str().cmp(&text)) {
                            levels.insert(at, text.into_owned());
                        }
                        if levels.len() > MOST_LEVELS {
                            break;
                        }
                    }
                    if levels.is_empty() || levels.len() > MOST_LEVELS {
                        let why = format!("it does not have 1 to {MOST_LEVELS} values");
                        statics.excluded.push((name.into(), why));
                        continue;
                    }
                    Some(levels)
                }
                _ => {
                    let why = format!("type {} tells nothing of a key here", column.type_name);
                    statics.excluded.push((name.into(), why));
                    continue;
                }
            };
            statics.columns.push(Static {
                name: name.into(),
                levels,
            });
        }
        statics
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Numbers of a key.
    pub fn width(&self) -> usize {
        let width = |c: &Static| c.levels.as_ref().map_or(1, Vec::len);
        self.columns.iter().map(width).sum()
    }

    /// The numbers of each key, NaN where one is missing; of several rows of a key the last counts.
    pub fn by_key(&self, frame: &Frame, key: &str) -> HashMap<String, Vec<f32>> {
        let mut out = HashMap::new();
        let Some(keys) = frame.column(key) else {
            return out;
        };
        let columns: Vec<Option<&Column>> =
            self.columns.iter().map(|c| frame.column(&c.name)).collect();
        for row in 0..frame.rows() {
            let Some(key) = text_of(keys.cell(row)) else {
                continue;
            };
            let mut values = Vec::with_capacity(self.width());
            for (own, column) in self.columns.iter().zip(&columns) {
                let cell = column.map_or(Cell::Null, |c| c.cell(row));
                match &own.levels {
                    None => values.push(match cell {
                        Cell::Number(x) | Cell::Duration(x) => x as f32,
                        Cell::Boolean(x) => f32::from(u8::from(x)),
                        _ => f32::NAN,
                    }),
                    Some(levels) => {
                        let text = text_of(cell);
                        values.extend(
                            levels
                                .iter()
                                .map(|l| f32::from(u8::from(text.as_deref() == Some(l)))),
                        );
                    }
                }
            }
            out.insert(key.into_owned(), values);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_keys_become_numbers() {
        let mut columns = vec![
            Column::new("id", "text", Kind::Category),
            Column::new("age", "integer", Kind::Number),
            Column::new("plan", "text", Kind::Category),
            Column::new("note", "text", Kind::Category),
        ];
        for row in 0..200 {
            columns[0].push(Cell::Text(&row.to_string()));
            columns[1].push(if row == 3 {
                Cell::Null
            } else {
                Cell::Number(f64::from(row))
            });
            columns[2].push(Cell::Text(["basic", "pro"][row as usize % 2]));
            columns[3].push(Cell::Text(&format!("note {row}")));
        }
        let frame = Frame { columns };
        let statics = Statics::of(&frame, "id", &[]);
        assert_eq!(
            (
                statics.columns.len(),
                statics.width(),
                statics.excluded.len()
            ),
            (2, 3, 1)
        );
        let by_key = statics.by_key(&frame, "id");
        assert_eq!(by_key["7"], [7.0, 0.0, 1.0]);
        assert!(by_key["3"][0].is_nan() && by_key["3"][1..] == [0.0, 1.0]);
        assert_eq!(by_key.len(), 200);
    }
}
