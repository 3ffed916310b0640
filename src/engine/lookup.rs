//! Maps that answer alike in every process that has them in its memory.

use foldhash::fast::FixedState;
use std::hash::{BuildHasher, RandomState};

/// A map for what models keep. The hashes of hashbrown's own maps depend on a number that each process draws for itself; these depend
/// on one that each map draws, so that nobody can choose texts that collide, and keeps.
pub type Lookup<K, V> = hashbrown::HashMap<K, V, Seeded>;

/// The same as a set.
pub type Known<T> = hashbrown::HashSet<T, Seeded>;

/// A way to hash, drawn at random and then fixed.
#[derive(Debug, Clone)]
pub struct Seeded(FixedState);

impl Default for Seeded {
    fn default() -> Seeded {
        Seeded(FixedState::with_seed(RandomState::new().hash_one(0)))
    }
}

impl BuildHasher for Seeded {
    type Hasher = <FixedState as BuildHasher>::Hasher;
    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_finds_what_the_original_holds() {
        let map: Lookup<Box<str>, u32> = ["a", "b"].into_iter().map(Box::from).zip(0..).collect();
        let copy = map.clone();
        assert_eq!(
            (copy.get("a"), copy.get("b"), copy.get("c")),
            (Some(&0), Some(&1), None)
        );
        // Two maps have two ways.
        assert_ne!(Seeded::default().hash_one(1), Seeded::default().hash_one(1));
    }
}
