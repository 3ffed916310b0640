//! The rows of many keys, each key's in order of time: what a sequence model reads.

use crate::fit::FitError;
use crate::frame::{Cell, Column, Frame, Kind};
use hashbrown::HashMap;
use std::borrow::Cow;

/// Microseconds of a second.
const SECOND: f64 = 1e6;

/// A frame of events with the order in which they are read: key by key (by the key's text), and within a key by the columns of
/// the order; rows that are equal in all of these stay as they came.
pub struct Log<'a> {
    pub frame: &'a Frame,
    /// Columns of the key and of the order.
    pub key: String,
    pub order: Vec<String>,
    /// Each key as text, sorted.
    pub keys: Vec<String>,
    /// Where each key's steps begin, and where the last one's end: `keys.len() + 1`.
    pub offsets: Vec<usize>,
    /// The frame's row of each step.
    pub rows: Vec<u32>,
    /// When each step was, in seconds since 2000-01-01 where the order is a time, else in the order's own unit. Never falls
    /// within a key.
    pub times: Vec<f64>,
    /// Whether the order is a time, so that hours and weekdays mean something.
    pub calendar: bool,
    /// Rows left out, because their key or their place in the order is NULL.
    pub dropped: usize,
    /// What is known of each key whatever the step, row-major `[keys][statics_width]`; NaN where it is missing.
    pub statics: Vec<f32>,
    pub statics_width: usize,
    /// What is to be learned of each key as a whole, if that is the target.
    pub labels: Option<Labels>,
    /// The column that the labels are from.
    pub label: String,
}

/// What is to be learned of each key.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Texts; `None` where there is none.
    Classes(Vec<Option<String>>),
    /// NaN where there is none.
    Values(Vec<f64>),
}

impl<'a> Log<'a> {
    /// Sorts the rows of `frame`. The first column of `order` is the time.
    ///
    /// # Errors
    /// 42703 for a column that is not there, 42804 for an order that is neither a number nor a time, 54000 for more than
    /// 2^32 rows.
    pub fn new(frame: &'a Frame, key: &str, order: &[String]) -> Result<Log<'a>, FitError> {
        let find = |name: &str| {
            let missing = || FitError::new("42703", format!("column \"{name}\" does not exist"));
            frame.column(name).ok_or_else(missing)
        };
        if u32::try_from(frame.rows()).is_err() {
            return Err(FitError::new("54000", "there are too many rows"));
        }
        let keys = find(key)?;
        let columns = order.iter().map(|name| find(name));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = columns.first() else {
            return Err(FitError::new("22023", "option \"order\" is missing")
                .hint("It names the column that tells when each row was."));
        };
        for column in &columns {
            if !matches!(column.kind, Kind::Time | Kind::Number | Kind::Duration) {
                let message = format!("column \"{}\" is neither a time nor a number", column.name);
                return Err(FitError::new("42804", message)
                    .detail(format!("Its type is {}.", column.type_name))
                    .hint("Option \"order\" names the columns that put a key's rows in order."));
            }
        }
        let (texts, own) = texts(keys);
        let mut ranks: Vec<u32> = (0..texts.len() as u32).collect();
        ranks.sort_unstable_by(|a, b| texts[*a as usize].cmp(&texts[*b as usize]));
        let mut place = vec![0u32; texts.len()];
        for (at, &text) in ranks.iter().enumerate() {
            place[text as usize] = at as u32;
        }
        let places: Vec<Vec<f64>> = columns.iter().map(|c| places(c)).collect();
        let complete = |row: &u32| {
            let row = *row as usize;
            own[row] != MISSING && places.iter().all(|p| !p[row].is_nan())
        };
        let mut rows: Vec<u32> = (0..frame.rows() as u32).filter(complete).collect();
        let rank = |row: u32| place[own[row as usize] as usize];
        rows.sort_by(|&a, &b| {
            let by_place = || {
                let each = places
                    .iter()
                    .map(|p| p[a as usize].total_cmp(&p[b as usize]));
                each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            };
            rank(a).cmp(&rank(b)).then_with(by_place)
        });
        let (mut names, mut offsets) = (Vec::new(), Vec::new());
        let mut last = None;
        for (at, &row) in rows.iter().enumerate() {
            if last != Some(rank(row)) {
                last = Some(rank(row));
                names.push(texts[own[row as usize] as usize].clone().into_owned());
                offsets.push(at);
            }
        }
        offsets.push(rows.len());
        Ok(Log {
            frame,
            key: key.into(),
            order: order.to_vec(),
            keys: names,
            offsets,
            times: rows.iter().map(|r| places[0][*r as usize]).collect(),
            calendar: first.kind == Kind::Time,
            dropped: frame.rows() - rows.len(),
            rows,
            statics: Vec::new(),
            statics_width: 0,
            labels: None,
            label: String::new(),
        })
    }

    /// Steps of all keys.
    pub fn steps(&self) -> usize {
        self.rows.len()
    }

    /// The same keys with the last `most` steps of each.
    pub(super) fn last(&self, most: usize) -> Log<'a> {
        let (mut offsets, mut steps) = (vec![0], Vec::new());
        for range in self.offsets.windows(2) {
            steps.extend(range[1].saturating_sub(most).max(range[0])..range[1]);
            offsets.push(steps.len());
        }
        Log {
            frame: self.frame,
            key: self.key.clone(),
            order: self.order.clone(),
            keys: self.keys.clone(),
            offsets,
            rows: steps.iter().map(|step| self.rows[*step]).collect(),
            times: steps.iter().map(|step| self.times[*step]).collect(),
            calendar: self.calendar,
            dropped: self.dropped,
            statics: self.statics.clone(),
            statics_width: self.statics_width,
            labels: self.labels.clone(),
            label: self.label.clone(),
        }
    }

    /// Adds what is known of each key: `of` gives `width` numbers for a key, NaN where one is missing, or nothing.
    pub fn with_statics<'b>(
        mut self,
        width: usize,
        of: impl Fn(&str) -> Option<&'b [f32]>,
    ) -> Log<'a> {
        self.statics = vec![f32::NAN; self.keys.len() * width];
        self.statics_width = width;
        for (key, out) in self
            .keys
            .iter()
            .zip(self.statics.chunks_exact_mut(width.max(1)))
        {
            if let Some(values) = of(key).filter(|values| values.len() == width) {
                out.copy_from_slice(values);
            }
        }
        self
    }

    /// Adds what is to be learned of each key, from a relation with a row per key. Numbers are values unless `classes`. Of
    /// several rows of a key the last counts.
    ///
    /// # Errors
    /// 42804 where the labels are neither texts, booleans nor numbers.
    pub fn with_labels(
        mut self,
        keys: &Column,
        labels: &Column,
        classes: bool,
    ) -> Result<Log<'a>, FitError> {
        let (texts, own) = texts(keys);
        let mut row_of: HashMap<&str, usize> = HashMap::new();
        for (row, &code) in own.iter().enumerate().filter(|(_, code)| **code != MISSING) {
            row_of.insert(&texts[code as usize], row);
        }
        let cell = |key: &String| {
            row_of
                .get(key.as_str())
                .map_or(Cell::Null, |row| labels.cell(*row))
        };
        let cells = self.keys.iter().map(cell);
        self.label.clone_from(&labels.name);
        self.labels = Some(match labels.kind {
            Kind::Number | Kind::Duration if !classes => {
                let value = |cell| match cell {
                    Cell::Number(x) | Cell::Duration(x) => x,
                    _ => f64::NAN,
                };
                Labels::Values(cells.map(value).collect())
            }
            Kind::Number | Kind::Category | Kind::Boolean => Labels::Classes(
                cells
                    .map(|cell| text_of(cell).map(Cow::into_owned))
                    .collect(),
            ),
            _ => {
                let message = format!("column \"{}\" cannot be a label", labels.name);
                return Err(FitError::new("42804", message)
                    .detail(format!("Its type is {}.", labels.type_name)));
            }
        });
        Ok(self)
    }
}

/// Stands for a text that is missing.
const MISSING: u32 = u32::MAX;

/// The different texts of a column, and each row's number among them or [`MISSING`].
pub(super) fn texts(column: &Column) -> (Vec<Cow<'_, str>>, Vec<u32>) {
    let (mut texts, mut codes) = (Vec::new(), HashMap::new());
    let own = (0..column.len()).map(|row| {
        let Some(text) = text_of(column.cell(row)) else {
            return MISSING;
        };
        if let Some(code) = codes.get(&text) {
            return *code;
        }
        let code = texts.len() as u32;
        texts.push(text.clone());
        codes.insert(text, code);
        code
    });
    let own = own.collect();
    (texts, own)
}

/// A key or a category as the user knows it.
pub(super) fn text_of(cell: Cell<'_>) -> Option<Cow<'_, str>> {
    match cell {
        Cell::Text(text) => Some(Cow::Borrowed(text)),
        Cell::Boolean(true) => Some(Cow::Borrowed("true")),
        Cell::Boolean(false) => Some(Cow::Borrowed("false")),
        // Whole numbers are written without a point by Rust, too.
        Cell::Number(x) | Cell::Duration(x) => Some(Cow::Owned(format!("{x}"))),
        Cell::Time(at) => Some(Cow::Owned(format!("{at}"))),
        _ => None,
    }
}

/// Where each row stands in the order; NaN where that is missing.
fn places(column: &Column) -> Vec<f64> {
    let each = (0..column.len()).map(|row| place(column, row).unwrap_or(f64::NAN));
    each.collect()
}

/// Where a row stands in the order, as in [`Log::times`].
pub fn place(column: &Column, row: usize) -> Option<f64> {
    match column.cell(row) {
        Cell::Time(at) => Some(at as f64 / SECOND),
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        _ => None,
    }
}
