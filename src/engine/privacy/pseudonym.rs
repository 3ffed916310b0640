//! Keyed pseudonyms: the same value has the same one everywhere, and only who has the key can find out whose it is.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A keyed digest of a value, from which pseudonyms are made.
pub struct Pseudonym([u8; 32]);

/// Makes pseudonyms with one key.
#[derive(Clone)]
pub struct Pseudonyms {
    keyed: Hmac<Sha256>,
}

impl Pseudonyms {
    /// HMAC-SHA-256 (RFC 2104, FIPS 198-1).
    pub fn new(key: &[u8; 32]) -> Pseudonyms {
        // A key of 32 bytes fits into the block of 64.
        let mut block = [0u8; 64];
        block[..32].copy_from_slice(key);
        let keyed = <Hmac<Sha256> as hmac::digest::KeyInit>::new((&block).into());
        Pseudonyms { keyed }
    }

    /// The digest of a value in a domain: values of different domains have different pseudonyms.
    pub fn of(&self, domain: &str, value: &str) -> Pseudonym {
        let mut mac = self.keyed.clone();
        // Its length keeps the domain apart from the value.
        mac.update(&(domain.len() as u64).to_be_bytes());
        mac.update(domain.as_bytes());
        mac.update(value.as_bytes());
        Pseudonym(mac.finalize().into_bytes().into())
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
    fn it_is_hmac_sha_256() {
        // RFC 4231, test case 1: a key of 20 bytes 0x0b; keys are filled up with zeros.
        let mut key = [0u8; 32];
        key[..20].fill(0x0b);
        let mut mac = Pseudonyms::new(&key).keyed;
        mac.update(b"Hi There");
        let found = Pseudonym(mac.finalize().into_bytes().into()).hex(64);
        assert_eq!(
            found,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn pseudonyms_are_stable_and_apart() {
        let one = Pseudonyms::new(&[1; 32]);
        let two = Pseudonyms::new(&[2; 32]);
        let hex = |p: &Pseudonyms, domain: &str, value: &str| p.of(domain, value).hex(32);
        assert_eq!(hex(&one, "", "ann"), hex(&one.clone(), "", "ann"));
        assert_ne!(hex(&one, "", "ann"), hex(&two, "", "ann"));
        assert_ne!(hex(&one, "", "ann"), hex(&one, "x", "ann"));
        assert_ne!(hex(&one, "a", "nn"), hex(&one, "", "ann"));
        assert_eq!(hex(&one, "", "ann").len(), 32);
        let uuid = one.of("", "ann").uuid();
        assert!(uuid.len() == 36 && &uuid[14..15] == "8");
        assert!(one.of("", "ann").number() >= 0);
    }
}
