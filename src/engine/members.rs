//! Whose rows a model was trained on, as a set of fingerprints of their keys.
//!
//! A fingerprint is a 64-bit hash that the caller makes of a key, with a secret, so that the set tells nothing to who has not the
//! secret. Up to [`MOST_EXACT`] of them are kept as they are; of more, a Bloom filter (Bloom 1970, "Space/time trade-offs in hash
//! coding with allowable errors") of [`BITS`] bits for each, which takes a key in 15,000 that is not in it for one that is.

/// Fingerprints that are kept one by one: 8 MB.
pub const MOST_EXACT: usize = 1 << 20;
/// Bits for a fingerprint, and those it sets: the best number for so many bits.
const BITS: usize = 20;
const HASHES: usize = 14;

/// First byte of the two forms.
const EXACT: u8 = 1;
const BLOOM: u8 = 2;

/// A set of fingerprints.
#[derive(Debug, Clone, PartialEq)]
pub enum Members {
    /// Rising, each once.
    Exact(Vec<u64>),
    Bloom {
        count: u64,
        bits: Vec<u64>,
    },
}

impl Members {
    /// The set of all `fingerprints`, which may repeat.
    pub fn of(fingerprints: Vec<u64>) -> Members {
        Members::within(fingerprints, MOST_EXACT)
    }

    fn within(mut fingerprints: Vec<u64>, most: usize) -> Members {
        fingerprints.sort_unstable();
        fingerprints.dedup();
        if fingerprints.len() <= most {
            return Members::Exact(fingerprints);
        }
        let mut bits = vec![0u64; (fingerprints.len() * BITS).div_ceil(64)];
        for fingerprint in &fingerprints {
            for at in places(*fingerprint, bits.len()) {
                bits[at / 64] |= 1 << (at % 64);
            }
        }
        Members::Bloom {
            count: fingerprints.len() as u64,
            bits,
        }
    }

    /// False: it is not in the set. True: it is, or one in [`Members::false_positive_rate`] is not.
    pub fn contains(&self, fingerprint: u64) -> bool {
        match self {
            Members::Exact(all) => all.binary_search(&fingerprint).is_ok(),
            Members::Bloom { bits, .. } => places(fingerprint, bits.len()).all(|at| {
                bits.get(at / 64)
                    .is_some_and(|word| word >> (at % 64) & 1 == 1)
            }),
        }
    }

    /// How many fingerprints are in the set.
    pub fn count(&self) -> u64 {
        match self {
            Members::Exact(all) => all.len() as u64,
            Members::Bloom { count, .. } => *count,
        }
    }

    pub fn is_exact(&self) -> bool {
        matches!(self, Members::Exact(_))
    }

    /// The probability that a key which is not in the set is taken for one that is: two keys have the same fingerprint, or the
    /// bits of one are set by others, (1 - e^(-kn/m))^k for k bits of each of n in m.
    pub fn false_positive_rate(&self) -> f64 {
        match self {
            Members::Exact(all) => all.len() as f64 / 2f64.powi(64),
            Members::Bloom { count, bits } => {
                let filled = HASHES as f64 * *count as f64 / (bits.len() as f64 * 64.0);
                (1.0 - (-filled).exp()).powi(HASHES as i32)
            }
        }
    }

    /// A form, a count, and words; all little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (form, words) = match self {
            Members::Exact(all) => (EXACT, all),
            Members::Bloom { bits, .. } => (BLOOM, bits),
        };
        let mut out = Vec::with_capacity(9 + words.len() * 8);
        out.push(form);
        out.extend_from_slice(&self.count().to_le_bytes());
        words
            .iter()
            .for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out
    }

    /// `None` for bytes that are no set.
    pub fn from_bytes(bytes: &[u8]) -> Option<Members> {
        let (form, rest) = bytes.split_first()?;
        let (count, rest) = rest.split_at_checked(8)?;
        let count = u64::from_le_bytes(count.try_into().ok()?);
        let (words, rest) = rest.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let rises = || words.is_sorted_by(|a, b| a < b);
        match *form {
            EXACT if rest.is_empty() && count == words.len() as u64 && rises() => {
                Some(Members::Exact(words))
            }
            BLOOM if rest.is_empty() && !words.is_empty() => {
                Some(Members::Bloom { count, bits: words })
            }
            _ => None,
        }
    }
}

/// The bits of a fingerprint, from two hashes (Kirsch and Mitzenmacher 2006, "Less hashing, same performance").
fn places(fingerprint: u64, words: usize) -> impl Iterator<Item = usize> {
    let bits = (words as u64 * 64).max(1);
    // Odd, so that the steps do not stay at one place.
    let step = fingerprint.rotate_left(32) | 1;
    (0..HASHES as u64)
        .map(move |i| (fingerprint.wrapping_add(step.wrapping_mul(i)) % bits) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn fingerprints(count: usize) -> Vec<u64> {
        let mut random = Random::new(11);
        (0..count).map(|_| random.next_u64()).collect()
    }

    #[test]
    fn few_are_known_for_certain() {
        let all = fingerprints(2_000);
        let (own, others) = all.split_at(1_000);
        let mut given = own.to_vec();
        given.extend(own);
        let set = Members::of(given);
        assert!(set.is_exact() && set.count() == 1_000);
        assert!(own.iter().all(|f| set.contains(*f)));
        assert!(!others.iter().any(|f| set.contains(*f)));
        assert!(set.false_positive_rate() < 1e-15);
    }

    #[test]
    fn of_many_as_few_others_are_taken_for_members_as_is_said() {
        let all = fingerprints(400_000);
        let (own, others) = all.split_at(20_000);
        let set = Members::within(own.to_vec(), 1_000);
        assert!(!set.is_exact() && set.count() == 20_000);
        assert!(own.iter().all(|f| set.contains(*f)));
        let taken = others.iter().filter(|f| set.contains(**f)).count() as f64;
        let told = set.false_positive_rate();
        assert!((5e-5..1e-4).contains(&told), "{told}");
        // Poisson: 25 expected.
        let expected = told * others.len() as f64;
        assert!(
            (taken - expected).abs() < 5.0 * expected.sqrt(),
            "{taken} of {expected}"
        );
    }

    #[test]
    fn bytes_bring_the_same_set_back_and_others_are_refused() {
        let all = fingerprints(5_000);
        for set in [
            Members::of(all.clone()),
            Members::within(all, 10),
            Members::of(Vec::new()),
        ] {
            let bytes = set.to_bytes();
            assert_eq!(Members::from_bytes(&bytes).as_ref(), Some(&set));
            for cut in [0, 1, 5, bytes.len() - 1] {
                assert_eq!(Members::from_bytes(&bytes[..cut]), None, "{cut}");
            }
        }
        let mut falling = Members::of(vec![1, 2]).to_bytes();
        falling[9] = 7;
        assert_eq!(Members::from_bytes(&falling), None);
        assert_eq!(Members::from_bytes(&[3, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
