//! Which rows a model was trained on, to tell from rows it has never seen.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Bits for a row: one row in a hundred that was not trained on is then taken for one that was.
const BITS: usize = 10;
/// Bits at most, 1 MB. Of more rows than that is made for, more are taken for known: never one too few.
const MOST_BITS: usize = 1 << 23;
/// Bits that a row sets: the best number for so many bits a row.
const HASHES: usize = 7;
/// Rows that one thread takes at a time.
const PIECE: usize = 1 << 18;

/// A set of hashes of rows, some of which may not be in it (Bloom 1970, "Space/time trade-offs in hash coding with allowable
/// errors"); the bits of a row are found from two hashes (Kirsch and Mitzenmacher 2006, "Less hashing, same performance").
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Words of 32 bits; 0: not known.
    pub(super) words: usize,
    #[serde(skip)]
    pub(super) bits: Vec<u32>,
}

impl Seen {
    /// Of rows in one or more parts, by the hashes of some of them at a time; on all threads, of which each sets bits of its own.
    pub fn of<T: Sync>(parts: &[&[T]], hashes: impl Fn(&[T]) -> Vec<u64> + Sync) -> Seen {
        let rows = parts.iter().map(|part| part.len()).sum::<usize>();
        let words = (rows * BITS).clamp(64, MOST_BITS).div_ceil(32);
        let none = || vec![0u32; words];
        let some = |mut bits: Vec<u32>, rows: &[T]| {
            for at in hashes(rows)
                .into_iter()
                .flat_map(|hash| places(hash, words))
            {
                bits[at / 32] |= 1 << (at % 32);
            }
            bits
        };
        let either = |mut a: Vec<u32>, b: Vec<u32>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
            a
        };
        let pieces = parts.par_iter().flat_map(|part| part.par_chunks(PIECE));
        let bits = pieces.fold(none, some).reduce(none, either);
        Seen { words, bits }
    }

    /// Whether it is not known what the model was trained on, as of one that was stored by an earlier version.
    pub fn is_unknown(&self) -> bool {
        self.bits.is_empty()
    }

    /// False: the model was not trained on the row.
    pub fn contains(&self, hash: u64) -> bool {
        places(hash, self.bits.len()).all(|at| {
            let word = self.bits.get(at / 32).copied().unwrap_or(u32::MAX);
            word & 1 << (at % 32) != 0
        })
    }

    /// Words of 32 bits.
    pub(crate) fn words(&self) -> usize {
        self.words
    }

    pub(super) fn is_sound(&self) -> bool {
        self.words == self.bits.len()
    }
}

fn places(hash: u64, words: usize) -> impl Iterator<Item = usize> {
    let bits = (words as u64 * 32).max(1);
    // Odd, so that the steps do not stay at one place.
    let step = hash.rotate_left(32) | 1;
    // The set of very many rows has a power of two: there a division, the slowest of all steps, is none.
    let mask = bits.is_power_of_two().then_some(bits - 1);
    (0..HASHES as u64).map(move |i| {
        let place = hash.wrapping_add(step.wrapping_mul(i));
        mask.map_or_else(|| place % bits, |mask| place & mask) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn rows_that_were_seen_are_known_and_few_others() {
        let mut random = Random::new(3);
        let hashes: Vec<u64> = (0..20_000).map(|_| random.next_u64()).collect();
        let (seen, others) = hashes.split_at(10_000);
        let set = Seen::of(&[seen], <[u64]>::to_vec);
        assert!(seen.iter().all(|hash| set.contains(*hash)));
        let taken = others.iter().filter(|hash| set.contains(**hash)).count();
        assert!(taken < 200, "{taken} of 10000");
        assert!(!set.is_unknown() && set.is_sound());
        assert_eq!(set.words * 32, 100_000);
    }

    #[test]
    fn what_is_not_known_holds_everything() {
        assert!(Seen::default().is_unknown() && Seen::default().contains(7));
        assert!(
            Seen::of(&[], <[u64]>::to_vec)
                .bits
                .iter()
                .all(|word| *word == 0)
        );
    }

    #[test]
    fn millions_of_rows_stay_small() {
        let mut random = Random::new(4);
        let hashes: Vec<u64> = (0..2_000_000).map(|_| random.next_u64()).collect();
        let set = Seen::of(&[&hashes], <[u64]>::to_vec);
        assert_eq!(set.bits.len() * 32, MOST_BITS);
        assert!(hashes[..1000].iter().all(|hash| set.contains(*hash)));
        let taken = (0..10_000).filter(|_| set.contains(random.next_u64()));
        assert!(taken.count() < 5_000);
    }
}
