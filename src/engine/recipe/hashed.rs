//! Categories of very many levels by hashing: a level, also one that is rare or was never seen, adds 1 or -1 to one of a fixed
//! number of inputs (Weinberger et al. 2009, "Feature hashing for large scale multitask learning").

use super::category::ONE_HOT;
use crate::frame::{Cell, Column};
use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

/// Inputs: about as many as there are levels, within these.
const FEWEST: usize = 32;
const MOST: usize = 256;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hashed {
    pub(super) buckets: usize,
    /// Different levels of the training rows.
    pub(super) levels: usize,
    /// An extra input says whether the value was missing.
    pub(super) flag: bool,
}

/// FNV-1a, then the finaliser of splitmix64. Part of every stored model: it must never change.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let z = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Hashed {
    /// `None` where the levels are so few that each can have an input of its own.
    pub(super) fn fit(column: &Column, rows: &[u32]) -> Option<Hashed> {
        let mut levels: HashSet<&str> = HashSet::new();
        let mut flag = false;
        for &row in rows {
            match column.cell(row as usize) {
                Cell::Text(text) => drop(levels.insert(text)),
                _ => flag = true,
            }
        }
        (levels.len() > ONE_HOT).then(|| Hashed {
            buckets: levels.len().next_power_of_two().clamp(FEWEST, MOST),
            levels: levels.len(),
            flag,
        })
    }

    pub(super) fn width(&self) -> usize {
        self.buckets + usize::from(self.flag)
    }

    pub(super) fn is_sound(&self) -> bool {
        (FEWEST..=MOST).contains(&self.buckets)
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        out.fill(0.0);
        match cell {
            Cell::Text(text) => {
                let hash = hash(text);
                // The sign is another bit than those of the place: what collides cancels out on average.
                let sign = if hash >> 63 == 1 { -1.0 } else { 1.0 };
                out[(hash % self.buckets as u64) as usize] = sign;
            }
            _ if self.flag => out[self.buckets] = 1.0,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Kind;

    fn cities(count: usize) -> Column {
        let mut column = Column::new("city", "text", Kind::Category);
        (0..count).for_each(|i| column.push(Cell::Text(&format!("city {i}"))));
        column.push(Cell::Null);
        column
    }

    fn rows(column: &Column) -> Vec<u32> {
        (0..column.len() as u32).collect()
    }

    #[test]
    fn every_level_has_one_place_and_a_sign() {
        let column = cities(1000);
        let hashed = Hashed::fit(&column, &rows(&column)).unwrap();
        assert_eq!(
            (hashed.buckets, hashed.levels, hashed.width()),
            (256, 1000, 257)
        );
        let mut out = vec![9.0; hashed.width()];
        let (mut used, mut sum) = (vec![0.0f32; 256], 0.0);
        for i in 0..1000 {
            hashed.write(Cell::Text(&format!("never seen {i}")), &mut out);
            let set: Vec<usize> = (0..257).filter(|i| out[*i] != 0.0).collect();
            let [place] = set[..] else {
                panic!("{set:?}");
            };
            assert!(place < 256 && out[place].abs() == 1.0);
            used[place] += 1.0;
            sum += out[place];
        }
        assert!(used.iter().filter(|n| **n > 0.0).count() > 240);
        assert!(sum.abs() < 120.0, "signs are even: {sum}");
        hashed.write(Cell::Null, &mut out);
        assert_eq!((out.iter().sum::<f32>(), out[256]), (1.0, 1.0));
    }

    #[test]
    fn few_levels_are_not_hashed() {
        let column = cities(16);
        assert!(Hashed::fit(&column, &rows(&column)).is_none());
        assert_eq!(
            Hashed::fit(&cities(17), &rows(&cities(17)))
                .unwrap()
                .buckets,
            32
        );
    }

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash("Rome"), 0xaafb_153d_5a20_9f3a);
        assert_eq!(hash(""), 0xf52a_15e9_a9b5_e89b);
        assert_ne!(hash("Rome"), hash("rome"));
    }
}
