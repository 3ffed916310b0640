//! Any column as a few bins, so that numbers, categories, times and missing values can be compared with one another.

use crate::calendar;
use crate::frame::{Cell, Column, Values, tags};
use crate::random::Random;
use hashbrown::HashMap;

/// A column's rows as bin numbers.
pub struct Bins {
    /// One per asked-for row; 0 is missing.
    pub codes: Vec<u16>,
    /// Bins in all, the one for missing values included.
    pub count: usize,
}

/// Bins of the given rows, at most `most` and one for missing values. Numbers and times: one per value where there are few
/// values, else of equally many rows. Categories: the most frequent levels, and one for the rest.
pub fn bins(column: &Column, rows: &[u32], most: usize) -> Bins {
    let most = most.clamp(2, usize::from(u16::MAX) - 1);
    match &column.values {
        Values::Boolean(values) => {
            let code = |row: usize| 1 + u16::from(values[row]);
            collect(column, rows, 2, code)
        }
        Values::Number(values) => {
            let cuts = cuts(column, rows, most, |row| values[row]);
            collect(column, rows, cuts.len() + 1, |row| {
                bin_of(&cuts, values[row])
            })
        }
        Values::Time(values) => {
            let cuts = cuts(column, rows, most, |row| values[row] as f64);
            collect(column, rows, cuts.len() + 1, |row| {
                bin_of(&cuts, values[row] as f64)
            })
        }
        // Vectors and images are not compared: there is one, or there is none.
        Values::Vector { .. } | Values::Image { .. } => collect(column, rows, 1, |_| 1),
        Values::Category { codes, .. } => {
            let levels = frequent(column, rows, codes, most - 1);
            let rest = levels.len() as u16 + 1;
            collect(column, rows, levels.len() + 1, |row| {
                levels.get(&codes[row]).copied().unwrap_or(rest)
            })
        }
    }
}

fn collect(column: &Column, rows: &[u32], present: usize, code: impl Fn(usize) -> u16) -> Bins {
    let codes = rows
        .iter()
        .map(|&row| {
            let row = row as usize;
            if column.nulls.get(row) { 0 } else { code(row) }
        })
        .collect();
    Bins {
        codes,
        count: present + 1,
    }
}

/// Ascending upper bounds of all bins but the last.
fn cuts(column: &Column, rows: &[u32], most: usize, value: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sorted: Vec<f64> = rows
        .iter()
        .map(|&row| row as usize)
        .filter(|&row| !column.nulls.get(row))
        .map(value)
        .collect();
    sorted.sort_unstable_by(f64::total_cmp);
    cuts_of(sorted, most)
}

/// The same between sorted values, for at most `most` bins.
pub(crate) fn cuts_of(sorted: Vec<f64>, most: usize) -> Vec<f64> {
    let mut values = sorted.clone();
    values.dedup();
    if values.len() <= most {
        values.pop();
        return values;
    }
    let mut cuts: Vec<f64> = (1..most)
        .map(|i| sorted[i * sorted.len() / most])
        .filter(|cut| *cut < sorted[sorted.len() - 1])
        .collect();
    cuts.dedup();
    cuts
}

fn bin_of(cuts: &[f64], value: f64) -> u16 {
    1 + cuts.partition_point(|cut| *cut < value) as u16
}

/// The most frequent levels, numbered from 1.
fn frequent(column: &Column, rows: &[u32], codes: &[u32], most: usize) -> HashMap<u32, u16> {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for &row in rows {
        if !column.nulls.get(row as usize) {
            *counts.entry(codes[row as usize]).or_default() += 1;
        }
    }
    let mut levels: Vec<(u32, usize)> = counts.into_iter().collect();
    levels.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    levels
        .into_iter()
        .take(most)
        .zip(1..)
        .map(|((level, _), number)| (level, number))
        .collect()
}

/// A value as people read it.
pub fn show(cell: Cell<'_>) -> String {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => x.to_string(),
        Cell::Boolean(x) => x.to_string(),
        Cell::Text(x) | Cell::Json(x) => x.to_owned(),
        Cell::Tags(x) => tags(x).collect::<Vec<_>>().join(", "),
        Cell::Vector(x) => format!("a vector of {} numbers", x.len()),
        Cell::Image(_) => "the same image".into(),
        Cell::Time(x) => calendar::iso(x),
        Cell::Null => "NULL".into(),
    }
}

/// At most `most` rows, evenly spread over the given ones.
pub fn spread(rows: &[u32], most: usize) -> Vec<u32> {
    let places = spread_places(rows.len(), most);
    places.into_iter().map(|place| rows[place]).collect()
}

/// At most `most` of `count` places, evenly spread: one of each of as many stretches, by chance, so that rows which repeat themselves (each
/// seventh is a Monday's) are drawn like others. The same for the same numbers.
pub fn spread_places(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    let mut random = Random::new(count as u64);
    let start = |i: usize| (i as u128 * count as u128 / most as u128) as usize;
    (0..most)
        .map(|i| start(i) + random.below(start(i + 1) - start(i)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Kind;

    fn column(kind: Kind, cells: &[Cell<'_>]) -> Column {
        let mut column = Column::new("x", "any", kind);
        cells.iter().for_each(|cell| column.push(*cell));
        column
    }

    #[test]
    fn few_values_have_a_bin_each_and_missing_ones_the_first() {
        let cells = [3.0, 1.0, 2.0, 1.0].map(Cell::Number);
        let column = column(Kind::Number, &[cells.as_slice(), &[Cell::Null]].concat());
        let bins = bins(&column, &[0, 1, 2, 3, 4], 16);
        assert_eq!(bins.codes, [3, 1, 2, 1, 0]);
        assert_eq!(bins.count, 4);
    }

    #[test]
    fn many_values_share_bins_of_equal_size() {
        let cells: Vec<Cell<'_>> = (0..1000).map(|i| Cell::Number(f64::from(i))).collect();
        let rows: Vec<u32> = (0..1000).collect();
        let bins = bins(&column(Kind::Number, &cells), &rows, 10);
        assert_eq!(bins.count, 11);
        for bin in 1..=10 {
            let size = bins.codes.iter().filter(|c| **c == bin).count();
            assert!((99..=101).contains(&size), "{size}");
        }
    }

    #[test]
    fn rare_levels_share_the_last_bin() {
        let cells = ["a", "a", "a", "b", "b", "c", "d"].map(Cell::Text);
        let bins = bins(&column(Kind::Category, &cells), &[0, 1, 2, 3, 4, 5, 6], 3);
        assert_eq!(bins.codes, [1, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn a_spread_is_even_and_bounded() {
        let rows: Vec<u32> = (0..1000).collect();
        let quarters: Vec<u32> = spread(&rows, 4).iter().map(|row| row / 250).collect();
        assert_eq!(quarters, [0, 1, 2, 3]);
        assert_eq!(spread(&rows, 5000).len(), 1000);
        // What repeats itself every five rows.
        let fifth = spread(&rows, 100)
            .iter()
            .filter(|row| *row % 5 == 0)
            .count();
        assert!((10..30).contains(&fifth), "{fifth}");
    }
}
