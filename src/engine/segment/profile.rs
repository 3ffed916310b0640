//! What segments are like: their sizes, names, typical rows, and the target among them.

use super::rule::NONE;
use super::words::{Judged, Told, json_of, of_number};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::synth::{is_number, number, text};
use hashbrown::HashMap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Nothing is told of a segment of fewer rows, and no text that fewer of its rows have: it could say who somebody is.
const FEWEST_ROWS: usize = 5;
/// Labels of a target whose shares are told, at most.
const LABELS: usize = 20;
/// The name of rows that belong to no segment.
const NO_SEGMENT: &str = "none";

/// A group of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Short, and no other's.
    pub name: String,
    /// Of those it was learned from.
    pub rows: u64,
    pub share: f64,
    /// What sets it apart, in words.
    pub description: String,
    /// The median of numbers and times, the most frequent value of others, by column.
    pub typical: Map<String, Value>,
    /// What sets it apart, as figures; see [`Told`].
    pub differs: Vec<Value>,
    pub target: Option<Rate>,
}

/// What is true of a target in a segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The mean of numbers; of two labels, or where one is asked for, its share.
    pub value: Option<f64>,
    /// The share of each label, of the most frequent ones; of numbers none.
    pub shares: BTreeMap<String, f64>,
}

/// What segments are described by.
pub(super) struct Described<'a> {
    /// Rows that segments were learned from, with the columns that count.
    pub sample: &'a Frame,
    /// The segment of each, from 1.
    pub of_sample: &'a [usize],
    /// The segment of every row.
    pub of: &'a [usize],
    pub target: Option<&'a Column>,
    pub positive: Option<&'a str>,
}

impl Described<'_> {
    /// Segments from 1 to `count`, and last, where there are such rows, those that have none.
    pub fn segments(&self, count: usize) -> Vec<Segment> {
        let mut sizes = vec![0u64; count + 1];
        self.of.iter().for_each(|own| sizes[*own] += 1);
        let told = self
            .sample
            .columns
            .iter()
            .filter(|c| !matches!(c.kind, Kind::Vector | Kind::Image));
        let columns: Vec<&Column> = told.collect();
        let judged: Vec<Judged<'_>> = columns.par_iter().map(|c| Judged::of(c)).collect();
        let mut rates = self.rates(count);
        let mut names: Vec<String> = Vec::new();
        let mut segments = Vec::new();
        let last = (sizes[NONE] > 0).then_some(NONE);
        for segment in (1..=count).chain(last) {
            let inside: Vec<bool> = self.of_sample.iter().map(|own| *own == segment).collect();
            let rows: Vec<usize> = (0..inside.len()).filter(|row| inside[*row]).collect();
            let few = rows.len() < FEWEST_ROWS;
            let judged = if few { &[][..] } else { &judged[..] };
            let told = Told::of(judged, &inside, &names);
            let name = match segment {
                NONE => NO_SEGMENT.to_owned(),
                _ => told.name,
            };
            names.push(name.clone());
            let typical = columns.iter().map(|c| {
                let value = if few { Value::Null } else { typical(c, &rows) };
                (c.name.clone(), value)
            });
            segments.push(Segment {
                name,
                rows: sizes[segment],
                share: sizes[segment] as f64 / self.of.len().max(1) as f64,
                description: match segment {
                    NONE => "rows that lie near no segment".into(),
                    _ if few => "too few rows to say".into(),
                    _ => told.description,
                },
                typical: typical.collect(),
                differs: told.differs,
                target: rates
                    .get_mut(segment)
                    .and_then(Option::take)
                    .filter(|_| !few),
            });
        }
        segments
    }

    /// The target in each segment, the rows without one first.
    fn rates(&self, count: usize) -> Vec<Option<Rate>> {
        let Some(target) = self.target else {
            return Vec::new();
        };
        if is_number(target.kind) {
            let mut sums = vec![(0.0, 0u64); count + 1];
            for (row, own) in self.of.iter().enumerate() {
                if let Some(x) = number(target.cell(row)).filter(|x| x.is_finite()) {
                    sums[*own].0 += x;
                    sums[*own].1 += 1;
                }
            }
            let mean = |(sum, rows): (f64, u64)| Rate {
                value: (rows > 0).then(|| sum / rows as f64),
                shares: BTreeMap::new(),
            };
            return sums.into_iter().map(mean).map(Some).collect();
        }
        let mut labels: Vec<String> = Vec::new();
        let mut codes: HashMap<String, usize> = HashMap::new();
        let mut counts: Vec<Vec<u64>> = vec![Vec::new(); count + 1];
        for (row, own) in self.of.iter().enumerate() {
            let cell = target.cell(row);
            if cell == Cell::Null {
                continue;
            }
            let label = text(cell);
            let code = *codes.entry_ref(label.as_str()).or_insert_with(|| {
                labels.push(label.clone());
                labels.len() - 1
            });
            let own = &mut counts[*own];
            own.resize(own.len().max(code + 1), 0);
            own[code] += 1;
        }
        // Of two labels the later one, such as true or yes, as where a model is trained.
        let positive = match self.positive {
            Some(positive) => Some(positive.to_owned()),
            None if labels.len() == 2 => labels.iter().max().cloned(),
            None => None,
        };
        let rate = |own: Vec<u64>| {
            let known: u64 = own.iter().sum();
            let share =
                |code: usize| own.get(code).copied().unwrap_or(0) as f64 / known.max(1) as f64;
            let mut order: Vec<usize> = (0..labels.len()).collect();
            order.sort_by(|a, b| {
                share(*b)
                    .total_cmp(&share(*a))
                    .then(labels[*a].cmp(&labels[*b]))
            });
            order.truncate(LABELS);
            let place = positive.as_ref().and_then(|label| codes.get(label));
            Rate {
                value: place.filter(|_| known > 0).map(|code| share(*code)),
                shares: order
                    .into_iter()
                    .map(|code| (labels[code].clone(), share(code)))
                    .collect(),
            }
        };
        counts.into_iter().map(rate).map(Some).collect()
    }
}

/// What is usual of a column among some rows; null where it is missing more often than not, or tells who somebody is.
fn typical(column: &Column, rows: &[usize]) -> Value {
    let known = |row: &&usize| !column.nulls.get(**row);
    let known: Vec<usize> = rows.iter().filter(known).copied().collect();
    if 2 * known.len() < rows.len() || known.is_empty() {
        return Value::Null;
    }
    if is_number(column.kind) {
        let values = known.iter().filter_map(|row| number(column.cell(*row)));
        let mut values: Vec<f64> = values.collect();
        let middle = values.len() / 2;
        return match values.is_empty() {
            true => Value::Null,
            false => of_number(
                column,
                *values.select_nth_unstable_by(middle, f64::total_cmp).1,
            ),
        };
    }
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for row in known {
        counts.entry(text(column.cell(row))).or_insert((0, row)).0 += 1;
    }
    // Of equally many the first.
    let most = counts
        .into_values()
        .reduce(|a, b| if b.0 > a.0 { b } else { a });
    match most {
        Some((count, _)) if count < FEWEST_ROWS && column.kind != Kind::Boolean => Value::Null,
        Some((_, row)) => json_of(column, row),
        None => Value::Null,
    }
}
