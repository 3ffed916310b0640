//! Keyed pseudonyms: the same value has the same one everywhere, and only who has the key can find out whose it is.

use super::seal::keyed_hash;
use zeroize::Zeroizing;

/// A keyed digest of a value, from which pseudonyms are made.
pub struct Pseudonym([u8; 32]);

/// Makes pseudonyms with one key, which is wiped from memory when it is dropped.
pub struct Pseudonyms {
    key: Zeroizing<[u8; 32]>,
}

impl Pseudonyms {
    pub fn new(key: Zeroizing<[u8; 32]>) -> Pseudonyms {
        Pseudonyms { key }
    }

    /// HMAC-SHA-256 (RFC 2104, FIPS 198-1) of a value in a domain: values of different domains have different pseudonyms.
    pub fn of(&self, domain: &str, value: &str) -> Pseudonym {
        let mut message = Vec::with_capacity(8 + domain.len() + value.len());
        // Its length keeps the domain apart from the value.
        message.extend((domain.len() as u64).to_be_bytes());
        message.extend(domain.as_bytes());
        message.extend(value.as_bytes());
        Pseudonym(keyed_hash(&self.key, &message))
    }
}

impl Pseudonym {
    /// So many hexadecimal digits, 64 at most.
    pub fn hex(&self, digits: usize) -> String {
        let all: String = self.0.iter().map(|b| format!("{b:02x}")).collect();
        all[..digits.min(64)].to_owned()
    }

    /// From 0 to 2^63 - 1.
    pub fn number(&self) -> i64 {
        let first = self.0.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_be_bytes(first) & i64::MAX
    }

    /// A UUID of version 8 (RFC 9562).
    pub fn uuid(&self) -> String {
        let mut bytes = self.0;
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = Pseudonym(bytes).hex(32);
        [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ]
        .join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_are_stable_and_apart() {
        let one = Pseudonyms::new([1; 32].into());
        let two = Pseudonyms::new([2; 32].into());
        let hex = |p: &Pseudonyms, domain: &str, value: &str| p.of(domain, value).hex(32);
        assert_eq!(
            hex(&one, "", "ann"),
            hex(&Pseudonyms::new([1; 32].into()), "", "ann")
        );
        assert_ne!(hex(&one, "", "ann"), hex(&two, "", "ann"));
        assert_ne!(hex(&one, "", "ann"), hex(&one, "x", "ann"));
        assert_ne!(hex(&one, "a", "nn"), hex(&one, "", "ann"));
        assert_eq!(hex(&one, "", "ann").len(), 32);
        let uuid = one.of("", "ann").uuid();
        assert!(uuid.len() == 36 && &uuid[14..15] == "8");
        assert!(one.of("", "ann").number() >= 0);
    }
}
