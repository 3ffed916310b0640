//! What is done to the values of one column: text put into one form, read as numbers or dates, spellings merged, numbers
//! brought within bounds.

use super::report::{Change, Deed, Done, Tally, figure, quote};
use super::{CleanParams, dates, missing::Fill, numbers, params::Outliers, text};
use super::{outliers::Bounds, text::Text, variants::Variants};
use crate::frame::{Cell, Column, Kind, Values};
use crate::profile::unfit::{Unfit, unfit};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// How the texts of a column are read as something else.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reading {
    Numbers(numbers::Format),
    Dates(dates::Format),
}

/// What is done to the values of one column, in this order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Steps {
    pub(super) name: String,
    /// As the column comes.
    pub(super) raw: Kind,
    /// As it leaves.
    pub(super) kind: Kind,
    pub(super) text: Text,
    pub(super) reading: Option<Reading>,
    pub(super) variants: Option<Variants>,
    pub(super) bounds: Option<Bounds>,
    pub(super) fill: Option<Fill>,
}

/// A value on its way out: as it came, or made on the way.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    Cell(Cell<'a>),
    Text(String),
}

impl Value<'_> {
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Value::Cell(cell) => *cell,
            Value::Text(text) => Cell::Text(text),
        }
    }
}

/// Whether a column of this SQL type holds text as people write it; labels of an enum and uuids are no such text.
fn is_text(column: &Column) -> bool {
    let bare = column.type_name.rsplit('.').next().unwrap_or_default();
    let known = ["text", "character", "varchar", "bpchar", "citext"];
    column.kind == Kind::Category && known.iter().any(|name| bare.starts_with(name))
}

/// Whether the options mean this column. Keys and whole numbers that name rows are left alone unless they are named: a
/// customer's number is no outlier.
pub(super) fn touched(
    column: &Column,
    rows: &[u32],
    keys: &[String],
    params: &CleanParams,
) -> bool {
    if !params.columns.is_empty() {
        return params.columns.contains(&column.name);
    }
    let named = |name: &str| {
        let lower = name.to_lowercase();
        let last = lower == "id" || lower.ends_with("_id") || lower.ends_with(" id");
        last || name.ends_with("ID") || name.ends_with("Id")
    };
    let whole = |values: &[f64]| rows.iter().all(|row| values[*row as usize].fract() == 0.0);
    !keys.contains(&column.name)
        && match &column.values {
            Values::Number(values) if column.kind == Kind::Number && whole(values) => {
                !named(&column.name) && !matches!(unfit(column, rows), Some(Unfit::Identifier(_)))
            }
            _ => true,
        }
}

/// The numbers present in the given rows.
pub(super) fn numbers_of(column: &Column, rows: &[u32]) -> Vec<f64> {
    let number = |row: &u32| match column.cell(*row as usize) {
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        _ => None,
    };
    rows.iter().filter_map(number).collect()
}

impl Steps {
    /// Learns everything but what fills gaps.
    pub(super) fn learn(
        column: &Column,
        rows: &[u32],
        keys: &[String],
        params: &CleanParams,
    ) -> Steps {
        let mut steps = Steps {
            name: column.name.clone(),
            raw: column.kind,
            kind: column.kind,
            text: Text::default(),
            reading: None,
            variants: None,
            bounds: None,
            fill: None,
        };
        if !params.changes_values() || !touched(column, rows, keys, params) {
            return steps;
        }
        if is_text(column) {
            steps.text = params.text;
            let counts = steps.counts(column, rows);
            steps.learn_text(&counts, params);
        }
        if matches!(params.outliers, Outliers::Clip(_) | Outliers::Robust(_)) {
            let values = match (column.kind, &steps.reading) {
                (Kind::Number | Kind::Duration, _) => numbers_of(column, rows),
                (_, Some(Reading::Numbers(_))) => rows
                    .iter()
                    .filter_map(|row| {
                        let value = steps.value(column.cell(*row as usize), &mut Done::default());
                        match value.cell() {
                            Cell::Number(x) => Some(x),
                            _ => None,
                        }
                    })
                    .collect(),
                _ => Vec::new(),
            };
            steps.bounds = Bounds::find(values, params.outliers);
        }
        steps
    }

    /// Each normalised text with the rows it stands in.
    fn counts(&self, column: &Column, rows: &[u32]) -> Vec<(String, usize)> {
        let Values::Category { codes, dictionary } = &column.values else {
            return Vec::new();
        };
        let mut by_code: HashMap<u32, usize> = HashMap::new();
        for row in rows.iter().map(|row| *row as usize) {
            if !column.nulls.get(row) {
                *by_code.entry(codes[row]).or_default() += 1;
            }
        }
        let mut by_text: HashMap<String, usize> = HashMap::new();
        for (code, rows) in by_code {
            let text = self.text.normalise(dictionary.text(code)).into_owned();
            *by_text.entry(text).or_default() += rows;
        }
        let mut counts: Vec<(String, usize)> = by_text.into_iter().collect();
        counts.sort_unstable();
        counts
    }

    fn learn_text(&mut self, counts: &[(String, usize)], params: &CleanParams) {
        let texts = counts.iter().map(|(text, rows)| (text.as_str(), *rows));
        let telling = texts.clone().filter(|(text, _)| !text::says_nothing(text));
        let dates = params.dates.then(|| dates::Format::find(telling.clone()));
        if let Some(format) = dates.flatten() {
            (self.reading, self.kind) = (Some(Reading::Dates(format)), Kind::Time);
            return;
        }
        let numbers = params.numbers.then(|| numbers::Format::find(telling));
        if let Some(format) = numbers.flatten() {
            (self.reading, self.kind) = (Some(Reading::Numbers(format)), Kind::Number);
            return;
        }
        if params.variants {
            self.variants = Variants::find(texts);
        }
    }

    pub(super) fn does_nothing(&self) -> bool {
        let values = self.text.is_off() && self.reading.is_none() && self.variants.is_none();
        values && self.bounds.is_none() && self.fill.is_none()
    }

    /// Puts one value right; gaps are filled later.
    pub(super) fn value<'a>(&'a self, cell: Cell<'a>, done: &mut Done) -> Value<'a> {
        match cell {
            Cell::Number(x) => Value::Cell(Cell::Number(self.bounded(x, done))),
            Cell::Duration(x) => Value::Cell(Cell::Duration(self.bounded(x, done))),
            Cell::Text(raw) => self.written(raw, done),
            other => Value::Cell(other),
        }
    }

    fn bounded(&self, x: f64, done: &mut Done) -> f64 {
        match &self.bounds {
            Some(bounds) if !bounds.holds(x) => {
                done.add(Deed::Clipped);
                bounds.bring(x)
            }
            _ => x,
        }
    }

    fn written<'a>(&'a self, raw: &'a str, done: &mut Done) -> Value<'a> {
        let text = self.text.normalise(raw);
        if let Some(reading) = &self.reading {
            let read = match reading {
                Reading::Numbers(format) => format
                    .read(&text)
                    .map(|x| Cell::Number(self.bounded(x, done))),
                Reading::Dates(format) => format.read(&text).map(Cell::Time),
            };
            if read.is_some() {
                done.add(Deed::Read);
            } else if !text::says_nothing(&text) {
                done.add(Deed::Unread);
            }
            return Value::Cell(read.unwrap_or(Cell::Null));
        }
        if let Some(level) = self.variants.as_ref().and_then(|v| v.level(&text)) {
            done.add(Deed::Merged);
            return Value::Cell(Cell::Text(level));
        }
        if *text != *raw {
            done.add(Deed::Normalised);
        }
        match text {
            std::borrow::Cow::Borrowed(text) => Value::Cell(Cell::Text(text)),
            std::borrow::Cow::Owned(text) => Value::Text(text),
        }
    }

    /// A column's values put right, for the given rows; each different text is looked at once. Counts those of `counted` rows.
    pub(super) fn column(
        &self,
        column: &Column,
        rows: &[u32],
        mut tally: Option<(&mut Tally, &[bool])>,
    ) -> Column {
        let mut clean = Column::new(&*column.name, &*column.type_name, self.kind);
        let mut seen: HashMap<u32, (Value<'_>, Done)> = HashMap::new();
        for row in rows.iter().map(|row| *row as usize) {
            let cell = column.cell(row);
            let mut done = Done::default();
            let made;
            let value = match (&column.values, cell) {
                (Values::Category { codes, .. }, Cell::Text(_)) => {
                    let known = seen.entry(codes[row]).or_insert_with(|| {
                        let mut done = Done::default();
                        let value = self.value(cell, &mut done);
                        (value, done)
                    });
                    done = known.1;
                    &known.0
                }
                _ => {
                    made = self.value(cell, &mut done);
                    &made
                }
            };
            if let Some((tally, counted)) = &mut tally
                && done != Done::default()
                && counted.get(row) == Some(&true)
            {
                tally.count(done, 1);
                tally.example(done, &show(cell), after(done, value.cell()));
            }
            clean.push(value.cell());
        }
        clean.non_finite = column.non_finite;
        clean.unreadable = column.unreadable;
        clean
    }

    pub(super) fn changes(&self, mut tally: Tally) -> Vec<Change> {
        let mut of = |deed, what| tally.change(&self.name, deed, what);
        let all = [
            of(Deed::Normalised, "text normalised".into()),
            of(Deed::Read, self.reading_words()),
            of(Deed::Unread, "not readable".into()),
            of(Deed::Merged, "spellings merged".into()),
            of(Deed::Clipped, self.bounds_words()),
        ];
        all.into_iter().flatten().collect()
    }

    /// What is done to each value, in words.
    pub(super) fn words(&self) -> Vec<String> {
        let done = [
            (!self.text.is_off(), "text normalised".to_owned()),
            (self.reading.is_some(), self.reading_words()),
            (self.variants.is_some(), "spellings merged".to_owned()),
            (self.bounds.is_some(), self.bounds_words()),
        ];
        let done = done.into_iter().filter(|(is, _)| *is);
        done.map(|(_, words)| words).collect()
    }

    fn reading_words(&self) -> String {
        match &self.reading {
            Some(Reading::Numbers(format)) => {
                format!("text read as numbers ({})", format.describe())
            }
            Some(Reading::Dates(format)) => format!("text read as dates ({})", format.describe()),
            None => String::new(),
        }
    }

    fn bounds_words(&self) -> String {
        let bounds = self.bounds.as_ref();
        bounds.map_or(String::new(), |b| {
            format!(
                "outliers brought to {} to {}",
                figure(b.low),
                figure(b.high)
            )
        })
    }
}

/// A value as examples show it.
fn show(cell: Cell<'_>) -> String {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => figure(x),
        Cell::Boolean(x) => x.to_string(),
        Cell::Text(text) => quote(text),
        Cell::Time(t) => crate::calendar::iso(t),
        _ => "NULL".into(),
    }
}

/// What became of a value; of an unreadable one it goes without saying.
fn after(done: Done, cell: Cell<'_>) -> Option<String> {
    (!done.has(Deed::Unread)).then(|| show(cell))
}
