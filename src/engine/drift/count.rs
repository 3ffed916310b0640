//! Counting the values of a column, by bins of numbers or by level.

use super::statistics::{Counts, View, view};
use crate::frame::{Column, Values};
use crate::profile::bins::{cuts_of, spread};
use hashbrown::{HashMap, HashSet};

/// Rows that the cuts between bins are found by; all are counted.
const CUT_ROWS: usize = 100_000;
/// Levels of a category that are counted each, and that are known at all.
pub(super) const COUNTED: usize = 100;
pub(super) const KNOWN: usize = 2_000;

pub(super) fn numbers(column: &Column, rows: &[u32], most: usize, by_length: bool) -> Counts {
    let number = |row: &u32| match view(column.cell(*row as usize), by_length) {
        View::Number(x) => Some(x),
        _ => None,
    };
    let mut sorted: Vec<f64> = spread(rows, CUT_ROWS).iter().filter_map(number).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let cuts = cuts_of(sorted, most);
    let mut counts = vec![0; cuts.len() + 1];
    let mut range: Option<(f64, f64)> = None;
    for x in rows.iter().filter_map(number) {
        counts[cuts.partition_point(|cut| *cut < x)] += 1;
        let (low, high) = range.unwrap_or((x, x));
        range = Some((low.min(x), high.max(x)));
    }
    Counts::Numbers {
        cuts,
        counts,
        range,
        by_length,
    }
}

/// Counts of levels, and the missing values among the rows that were counted. Of more levels than are counted each, the most
/// frequent ones of every other row are counted in the rows between: in the very rows that they were chosen by they would seem
/// more frequent than they are.
pub(super) fn levels(column: &Column, rows: &[u32]) -> (u64, Counts) {
    let mut halves = [0, 1].map(|half| count(column, rows.iter().skip(half).step_by(2)));
    let known: HashSet<u32> = halves
        .iter()
        .flat_map(|h| h.levels.keys().copied())
        .collect();
    let [chosen_by, counted] = &mut halves;
    let many = known.len() > COUNTED;
    if !many {
        counted.missing += chosen_by.missing;
        for (level, count) in &chosen_by.levels {
            *counted.levels.entry(*level).or_default() += count;
        }
    }
    let of = |half: &Half, level: &u32| half.levels.get(level).copied().unwrap_or(0);
    let mut order: Vec<u32> = known.into_iter().collect();
    let by = if many { &*chosen_by } else { &*counted };
    order.sort_unstable_by_key(|level| (std::cmp::Reverse(of(by, level)), *level));
    let complete = order.len() <= KNOWN;
    let mut others = order.split_off(order.len().min(COUNTED));
    let rest = others.iter().map(|level| of(counted, level)).sum();
    others.truncate(KNOWN - COUNTED);
    let counts = Counts::Levels {
        frequent: order
            .into_iter()
            .map(|level| (level, of(counted, &level)))
            .collect(),
        others,
        rest,
        complete,
    };
    (counted.missing, counts)
}

/// Half of the rows.
struct Half {
    missing: u64,
    levels: HashMap<u32, u64>,
}

fn count<'r>(column: &Column, rows: impl Iterator<Item = &'r u32>) -> Half {
    let mut half = Half {
        missing: 0,
        levels: HashMap::new(),
    };
    if let Values::Category { codes, dictionary } = &column.values {
        let mut by_code = vec![0u64; dictionary.len()];
        for &row in rows {
            match column.nulls.get(row as usize) {
                true => half.missing += 1,
                false => by_code[codes[row as usize] as usize] += 1,
            }
        }
        for (code, count) in (0..).zip(by_code).filter(|(_, count)| *count > 0) {
            *half.levels.entry(hash(dictionary.text(code))).or_default() += count;
        }
        return half;
    }
    for &row in rows {
        match view(column.cell(row as usize), false) {
            View::Level(level) => *half.levels.entry(hash(level)).or_default() += 1,
            _ => half.missing += 1,
        }
    }
    half
}

/// FNV-1a (Fowler, Noll, Vo), folded to 32 bits. Part of every stored model: it must never change.
pub(super) fn hash(text: &str) -> u32 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    (hash >> 32) as u32 ^ hash as u32
}
