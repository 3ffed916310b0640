//! Rows by the values of a column, and by its times.

use crate::frame::{Column, Values};
use std::collections::BTreeMap;

/// A value by which rows are grouped. A row without one has itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bits(u64),
    Code(u32),
    Row(u32),
}

impl Key {
    pub(super) fn of(column: &Column, row: u32) -> Key {
        let at = row as usize;
        if column.nulls.get(at) {
            return Key::Row(row);
        }
        match &column.values {
            Values::Number(values) => Key::Bits((values[at] + 0.0).to_bits()),
            Values::Boolean(values) => Key::Bits(u64::from(values[at])),
            Values::Time(values) => Key::Bits(values[at] as u64),
            Values::Category { codes, .. } => Key::Code(codes[at]),
            Values::Vector { .. } | Values::Image { .. } => Key::Row(row),
        }
    }
}

/// Rows by the value of a column, in the order of the rows.
pub(in crate::fit) fn grouped(column: &Column, rows: &[u32]) -> Vec<Vec<u32>> {
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<u32>> = Vec::new();
    for &row in rows {
        let place = *places.entry(Key::of(column, row)).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(row);
    }
    groups
}

/// Rows cut by time into parts of about the given shares, the earliest first; rows of one time stand in one part.
pub(super) fn by_time(column: &Column, rows: &[u32], shares: &[f64]) -> Vec<Vec<u32>> {
    let time = |row: u32| {
        let at = row as usize;
        match &column.values {
            _ if column.nulls.get(at) => f64::NEG_INFINITY,
            Values::Number(values) => values[at],
            Values::Time(values) => values[at] as f64,
            _ => f64::NEG_INFINITY,
        }
    };
    let mut order = rows.to_vec();
    order.sort_by(|a, b| time(*a).total_cmp(&time(*b)));
    let total: f64 = shares.iter().sum();
    let mut parts = Vec::with_capacity(shares.len());
    let (mut from, mut share) = (0, 0.0);
    for wanted in shares {
        share += wanted / total;
        let mut to = ((order.len() as f64 * share).round() as usize).max(from);
        // The whole of a time goes to the later part.
        while to > from && to < order.len() && time(order[to]) == time(order[to - 1]) {
            to -= 1;
        }
        if *wanted == 0.0 {
            to = from;
        }
        parts.push(order[from..to].to_vec());
        from = to;
    }
    // Rounding may leave rows over; they are the latest.
    if let Some(last) = shares.iter().rposition(|s| *s > 0.0) {
        parts[last].extend(&order[from..]);
    }
    parts
}
