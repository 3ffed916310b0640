//! Rows and columns that stand in a table more than once.

use crate::frame::{Cell, Column, Frame};
use crate::random::Random;
use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

/// Rows that are hashed together.
const ROWS: usize = 8192;

/// Mixes a word into a hash (the finaliser of splitmix64).
fn mix(hash: u64, word: u64) -> u64 {
    let mut z = hash ^ word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn text(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, b| {
        (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The hash of a value, or of what is left of it when small differences do not count: text without case and without
/// repeated or outer blanks, numbers to three digits, times to the day.
fn cell(cell: Cell<'_>, near: bool) -> u64 {
    match cell {
        Cell::Null => 1,
        Cell::Boolean(x) => 2 + u64::from(x),
        Cell::Number(x) | Cell::Duration(x) if near => rounded(x).to_bits(),
        Cell::Number(x) | Cell::Duration(x) => (x + 0.0).to_bits(),
        Cell::Time(x) if near => x.div_euclid(86_400_000_000) as u64,
        Cell::Time(x) => x as u64,
        Cell::Text(x) if near => {
            let words: Vec<String> = x.split_whitespace().map(str::to_lowercase).collect();
            text(&words.join(" "))
        }
        Cell::Text(x) | Cell::Tags(x) | Cell::Json(x) => text(x),
        Cell::Image(x) => x.iter().fold(4, |hash, x| mix(hash, u64::from(*x))),
        Cell::Vector(x) => x
            .iter()
            .fold(3, |hash, x| mix(hash, u64::from(x.to_bits()))),
    }
}

/// To three significant digits.
fn rounded(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(2 - x.abs().log10().floor() as i32);
    (x * scale).round() / scale
}

/// A hash per asked-for row over the given columns; equal rows have equal hashes, and others different ones but for one pair
/// in 2^64. On all threads.
pub fn row_hashes(frame: &Frame, columns: &[usize], rows: &[u32], near: bool) -> Vec<u64> {
    let mut hashes = vec![0u64; rows.len()];
    let some = hashes.par_chunks_mut(ROWS).zip(rows.par_chunks(ROWS));
    some.for_each(|(hashes, rows)| {
        for column in columns.iter().filter_map(|&c| frame.columns.get(c)) {
            for (hash, &row) in hashes.iter_mut().zip(rows) {
                *hash = mix(*hash, cell(column.cell(row as usize), near));
            }
        }
    });
    hashes
}

/// A hash per asked-for row of one column.
pub(super) fn cell_hashes(column: &Column, rows: &[u32]) -> Vec<u64> {
    rows.iter()
        .map(|&row| cell(column.cell(row as usize), false))
        .collect()
}

/// How many rows repeat an earlier one.
pub fn repeated(hashes: &[u64]) -> usize {
    let different: HashSet<u64> = hashes.iter().copied().collect();
    hashes.len() - different.len()
}

/// For each column, the first earlier column with the same values in every row.
pub fn equal_columns(frame: &Frame) -> Vec<Option<usize>> {
    let keys: Vec<u64> = {
        let mut random = Random::new(17);
        (0..frame.rows()).map(|_| random.next_u64()).collect()
    };
    let hash = |column: &Column| {
        let values = (0..column.len()).map(|row| cell(column.cell(row), false));
        values
            .zip(&keys)
            .fold(0u64, |sum, (value, key)| sum.wrapping_add(mix(*key, value)))
    };
    let mut first: HashMap<u64, usize> = HashMap::new();
    let mut equal = Vec::with_capacity(frame.columns.len());
    for (position, column) in frame.columns.iter().enumerate() {
        // An empty column equals every other empty one, which says nothing.
        let empty = column.nulls.count() == column.len();
        let earlier = *first.entry(hash(column)).or_insert(position);
        equal.push((earlier != position && !empty).then_some(earlier));
    }
    equal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Kind;

    fn frame(columns: &[(&str, Kind, &[Cell<'_>])]) -> Frame {
        let columns = columns.iter().map(|(name, kind, cells)| {
            let mut column = Column::new(*name, "any", *kind);
            cells.iter().for_each(|cell| column.push(*cell));
            column
        });
        Frame {
            columns: columns.collect(),
        }
    }

    #[test]
    fn exact_and_near_duplicates_are_counted() {
        let names = ["Ann Lee", "ann  lee ", "Ann Lee", "Bo"].map(Cell::Text);
        let amounts = [100.0, 100.4, 100.0, 7.0].map(Cell::Number);
        let frame = frame(&[
            ("name", Kind::Category, &names),
            ("amount", Kind::Number, &amounts),
        ]);
        let rows = [0, 1, 2, 3];
        assert_eq!(repeated(&row_hashes(&frame, &[0, 1], &rows, false)), 1);
        assert_eq!(repeated(&row_hashes(&frame, &[0, 1], &rows, true)), 2);
    }

    #[test]
    fn swapped_values_are_no_duplicates() {
        let (a, b) = ([1.0, 2.0].map(Cell::Number), [2.0, 1.0].map(Cell::Number));
        let frame = frame(&[("a", Kind::Number, &a), ("b", Kind::Number, &b)]);
        assert_eq!(repeated(&row_hashes(&frame, &[0, 1], &[0, 1], false)), 0);
        assert_eq!(equal_columns(&frame), [None, None]);
    }

    #[test]
    fn a_copied_column_is_found() {
        let a = [1.0, 2.0, 3.0].map(Cell::Number);
        let other = [Cell::Number(1.0), Cell::Null, Cell::Number(3.0)];
        let frame = frame(&[
            ("a", Kind::Number, &a),
            ("other", Kind::Number, &other),
            ("copy", Kind::Number, &a),
        ]);
        assert_eq!(equal_columns(&frame), [None, None, Some(0)]);
    }
}
