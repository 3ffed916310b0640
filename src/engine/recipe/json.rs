//! JSON documents: the values found at frequent paths, each prepared like a column of its own.

use super::{category::Category, number::Number, options::Preparation};
use crate::frame::{Cell, Column, Kind};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Paths kept, the most frequent ones.
const MOST: usize = 64;
/// One in so many training rows must have the path.
const SHARE: usize = 100;
/// Different paths counted: documents can use data as keys.
const COUNTED: usize = 20_000;
/// Objects within objects that are entered.
const DEEPEST: usize = 16;
/// Stands between the keys of a path while it is looked for; jsonb cannot contain it.
const KEY_END: char = '\0';

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Found {
    Number,
    Boolean,
    Text,
    /// An array, taken by its length.
    Length,
}

const FOUND: [Found; 4] = [Found::Number, Found::Boolean, Found::Text, Found::Length];

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Leaf {
    Number(Number),
    Category(Category),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Path {
    pub(super) keys: Vec<String>,
    pub(super) found: Found,
    pub(super) leaf: Leaf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Json {
    pub(super) paths: Vec<Path>,
}

impl Found {
    fn of(value: &Value) -> Option<Found> {
        match value {
            Value::Null | Value::Object(_) => None,
            Value::Bool(_) => Some(Found::Boolean),
            Value::Number(_) => Some(Found::Number),
            Value::String(_) => Some(Found::Text),
            Value::Array(_) => Some(Found::Length),
        }
    }

    /// The value as a cell; anything else than what was found in training is missing.
    fn cell(self, value: &Value) -> Cell<'_> {
        match (self, value) {
            (Found::Number, Value::Number(x)) => x.as_f64().map_or(Cell::Null, Cell::Number),
            (Found::Boolean, Value::Bool(x)) => Cell::Boolean(*x),
            (Found::Text, Value::String(x)) => Cell::Text(x),
            (Found::Length, Value::Array(x)) => Cell::Number(x.len() as f64),
            _ => Cell::Null,
        }
    }
}

impl Path {
    fn cell<'v>(&self, document: &'v Value) -> Cell<'v> {
        let mut value = document;
        for key in &self.keys {
            match value.get(key.as_str()) {
                Some(inner) => value = inner,
                None => return Cell::Null,
            }
        }
        self.found.cell(value)
    }

    /// As people write it: `a.b`.
    pub(super) fn name(&self) -> String {
        if self.keys.is_empty() {
            "(the document)".into()
        } else {
            self.keys.join(".")
        }
    }
}

fn parse(cell: Cell<'_>) -> Value {
    match cell {
        // What cannot be read, such as numbers beyond a float, counts as missing.
        Cell::Json(text) => serde_json::from_str(text).unwrap_or_default(),
        _ => Value::Null,
    }
}

/// Counts, per path, the documents that have each kind of value there.
fn count(value: &Value, path: &mut String, depth: usize, counts: &mut HashMap<String, [usize; 4]>) {
    if let Value::Object(map) = value {
        for (key, inner) in map.iter().filter(|_| depth < DEEPEST) {
            let length = path.len();
            path.push_str(key);
            path.push(KEY_END);
            count(inner, path, depth + 1, counts);
            path.truncate(length);
        }
    } else if let Some(found) = Found::of(value) {
        if let Some(known) = counts.get_mut(path.as_str()) {
            known[found as usize] += 1;
        } else if counts.len() < COUNTED {
            let mut first = [0; 4];
            first[found as usize] = 1;
            counts.insert(path.clone(), first);
        }
    }
}

impl Json {
    pub(super) fn fit(column: &Column, rows: &[u32], how: &Preparation) -> Json {
        let mut counts = HashMap::new();
        for &row in rows {
            let document = parse(column.cell(row as usize));
            count(&document, &mut String::new(), 0, &mut counts);
        }
        let mut frequent: Vec<(String, [usize; 4])> = counts
            .into_iter()
            .filter(|(_, counts)| counts.iter().sum::<usize>() * SHARE >= rows.len().max(1))
            .collect();
        let all = |counts: &[usize; 4]| counts.iter().sum::<usize>();
        frequent.sort_by(|a, b| all(&b.1).cmp(&all(&a.1)).then(a.0.cmp(&b.0)));
        frequent.truncate(MOST);
        frequent.sort_unstable();
        let found = |counts: &[usize; 4]| {
            let most = counts
                .iter()
                .zip(FOUND)
                .rev()
                .max_by_key(|(count, _)| **count);
            most.map_or(Found::Text, |(_, found)| found)
        };
        // Empty until the values are there: what `cell` needs is the way to them.
        let mut paths: Vec<Path> = frequent
            .iter()
            .map(|(keys, counts)| Path {
                keys: keys.split_terminator(KEY_END).map(str::to_owned).collect(),
                found: found(counts),
                leaf: Leaf::Number(Number::fit(Vec::new(), 0, how.scaling())),
            })
            .collect();
        let mut values: Vec<Column> = paths
            .iter()
            .map(|path| {
                let kind = match path.found {
                    Found::Number | Found::Length => Kind::Number,
                    Found::Boolean => Kind::Boolean,
                    Found::Text => Kind::Category,
                };
                Column::new("", "", kind)
            })
            .collect();
        for &row in rows {
            let document = parse(column.cell(row as usize));
            for (path, values) in paths.iter().zip(&mut values) {
                values.push(path.cell(&document));
            }
        }
        let rows: Vec<u32> = (0..rows.len() as u32).collect();
        for (path, values) in paths.iter_mut().zip(&values) {
            path.leaf = match values.kind {
                Kind::Number => Leaf::Number(Number::fit(
                    super::present_numbers(values, &rows),
                    rows.len(),
                    how.scaling(),
                )),
                _ => Leaf::Category(Category::fit(values, &rows, how.category_encoding)),
            };
        }
        paths.retain(|path| path.leaf.tells_something());
        Json { paths }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.paths.iter().all(|path| match &path.leaf {
            Leaf::Number(number) => number.is_sound(),
            Leaf::Category(_) => true,
        })
    }

    pub(super) fn write(&self, cell: Cell<'_>, numbers: &mut [f32], codes: &mut [u32]) {
        let document = parse(cell);
        let (mut numbers, mut codes) = (numbers, codes);
        for path in &self.paths {
            let cell = path.cell(&document);
            match &path.leaf {
                Leaf::Number(number) => {
                    let (own, rest) = numbers.split_at_mut(number.width());
                    number.write(cell, own);
                    numbers = rest;
                }
                Leaf::Category(category) => {
                    let (own, rest) = codes.split_at_mut(1);
                    own[0] = category.code(cell);
                    codes = rest;
                }
            }
        }
    }
}

impl Leaf {
    fn tells_something(&self) -> bool {
        match self {
            Leaf::Number(number) => !number.is_constant(),
            Leaf::Category(category) => category.levels() > 1,
        }
    }
}
