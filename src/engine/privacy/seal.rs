//! Bytes that only who has the key can read: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under keys that are derived
//! by HKDF-SHA-256 (RFC 5869) from secrets with versions.
//!
//! Sealed bytes: `insS`, 1 (the format), the secret's version (4 bytes, little endian), 4 bytes that tell the secret
//! from others, a random nonce of 24 bytes, then the ciphertext with its tag of 16 bytes.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What sealed bytes begin with.
pub const MAGIC: &[u8; 5] = b"insS\x01";
const NONCE: usize = 24;
const TAG: usize = 16;
const HEAD: usize = MAGIC.len() + 4 + 4;

/// Bytes of a secret and of a derived key.
pub const KEY: usize = 32;

/// Why a text is no list of secrets. Never holds anything of the text but the number of a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    #[error("it holds no key")]
    Empty,
    #[error("line {0} is not \"VERSION:KEY\"")]
    Line(usize),
    #[error("line {0} has no key of 64 hexadecimal digits")]
    Key(usize),
    #[error("line {0} has a version that another line has")]
    Twice(usize),
}

/// Why sealed bytes cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("it was encrypted with version {0} of the key, which is not there")]
    NoKey(u32),
    #[error("it was encrypted with another key of version {0}")]
    WrongKey(u32),
    #[error("the encrypted bytes were changed, or belong elsewhere")]
    Damaged,
    #[error("the operating system gives no random numbers")]
    NoRandom,
}

/// A secret with what it seals with.
struct Secret {
    version: u32,
    secret: Zeroizing<[u8; KEY]>,
    /// Wipes its key when dropped.
    cipher: XChaCha20Poly1305,
    /// Tells the secret from others.
    mark: [u8; 4],
}

impl Secret {
    fn new(version: u32, secret: Zeroizing<[u8; KEY]>) -> Secret {
        let (key, mark) = (expand(&secret, "seal"), expand(&secret, "mark"));
        Secret {
            version,
            secret,
            cipher: XChaCha20Poly1305::new(Key::from_slice(&key[..])),
            mark: [mark[0], mark[1], mark[2], mark[3]],
        }
    }
}

/// A key for one purpose.
fn expand(secret: &[u8; KEY], purpose: &str) -> Zeroizing<[u8; KEY]> {
    let mut key = Zeroizing::new([0; KEY]);
    let expanded =
        Hkdf::<Sha256>::new(Some(b"insight"), secret).expand(purpose.as_bytes(), &mut key[..]);
    debug_assert!(
        expanded.is_ok(),
        "32 bytes are far below the longest that HKDF gives"
    );
    key
}

/// Secrets by version, wiped from memory when dropped.
pub struct Ring {
    /// In ascending order of version; never empty.
    secrets: Vec<Secret>,
}

impl Ring {
    /// Of a text with a line `VERSION:KEY` for each secret: a number from 1 and 64 hexadecimal digits. Empty lines and
    /// those that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Ring, RingError> {
        let mut secrets: Vec<Secret> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (version, key) = line.split_once(':').ok_or(RingError::Line(number))?;
            let version = match version.trim().parse::<u32>() {
                Ok(version) if version > 0 => version,
                _ => return Err(RingError::Line(number)),
            };
            let secret = unhex(key.trim()).ok_or(RingError::Key(number))?;
            if secrets.iter().any(|other| other.version == version) {
                return Err(RingError::Twice(number));
            }
            secrets.push(Secret::new(version, secret));
        }
        secrets.sort_by_key(|secret| secret.version);
        match secrets.is_empty() {
            true => Err(RingError::Empty),
            false => Ok(Ring { secrets }),
        }
    }

    /// The version that seals.
    pub fn newest(&self) -> u32 {
        self.secrets.last().map_or(0, |secret| secret.version)
    }

    fn find(&self, version: u32) -> Option<&Secret> {
        self.secrets.iter().find(|own| own.version == version)
    }

    /// A key for one purpose, from the secret of a version; `None` where there is none.
    pub fn derive(&self, version: u32, purpose: &str) -> Option<Zeroizing<[u8; KEY]>> {
        self.find(version).map(|own| expand(&own.secret, purpose))
    }

    /// Seals bytes for one place, `context`, with the newest secret; they open in no other.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let newest = self.secrets.last().ok_or(SealError::NoKey(0))?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
        let mut sealed = Vec::with_capacity(HEAD + NONCE + plain.len() + TAG);
        sealed.extend_from_slice(MAGIC);
        sealed.extend_from_slice(&newest.version.to_le_bytes());
        sealed.extend_from_slice(&newest.mark);
        sealed.extend_from_slice(&nonce);
        let payload = Payload {
            msg: plain,
            aad: context.as_bytes(),
        };
        let text = newest
            .cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| SealError::Damaged)?;
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    /// What was sealed for `context`.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let version = sealed_with(sealed).ok_or(SealError::Damaged)?;
        let secret = self.find(version).ok_or(SealError::NoKey(version))?;
        if sealed[MAGIC.len() + 4..HEAD] != secret.mark {
            return Err(SealError::WrongKey(version));
        }
        let (nonce, text) = sealed[HEAD..].split_at(NONCE);
        let payload = Payload {
            msg: text,
            aad: context.as_bytes(),
        };
        secret
            .cipher
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| SealError::Damaged)
    }
}

/// The version of the secret that bytes were sealed with; `None`: they are not sealed.
pub fn sealed_with(bytes: &[u8]) -> Option<u32> {
    let sealed = bytes.len() >= HEAD + NONCE + TAG && bytes.starts_with(MAGIC);
    let at = MAGIC.len();
    sealed.then(|| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]))
}

/// HMAC-SHA-256 (RFC 2104) of a text: the same for the same key and text, and told by neither alone.
pub fn keyed_hash(key: &[u8; KEY], text: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// 64 hexadecimal digits.
fn unhex(text: &str) -> Option<Zeroizing<[u8; KEY]>> {
    let digits = text.as_bytes();
    if digits.len() != 2 * KEY {
        return None;
    }
    let mut key = Zeroizing::new([0; KEY]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (
            (pair[0] as char).to_digit(16)?,
            (pair[1] as char).to_digit(16)?,
        );
        *byte = (high << 4 | low) as u8;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(lines: &[(u32, char)]) -> Ring {
        let text: Vec<String> = lines
            .iter()
            .map(|(version, digit)| format!("{version}:{}", digit.to_string().repeat(64)))
            .collect();
        Ring::parse(&text.join("\n")).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_place_only() {
        let old = ring(&[(1, 'a')]);
        let sealed = old.seal("artifact 7", b"weights").unwrap();
        assert_eq!(sealed_with(&sealed), Some(1));
        assert!(!sealed.windows(7).any(|w| w == b"weights"));
        assert_eq!(old.open("artifact 7", &sealed).unwrap(), b"weights");
        assert_eq!(old.open("artifact 8", &sealed), Err(SealError::Damaged));
        let rotated = ring(&[(2, 'b'), (1, 'a')]);
        assert_eq!(rotated.open("artifact 7", &sealed).unwrap(), b"weights");
        assert_eq!(
            sealed_with(&rotated.seal("artifact 7", b"weights").unwrap()),
            Some(2)
        );
        assert_eq!(
            ring(&[(2, 'b')]).open("artifact 7", &sealed),
            Err(SealError::NoKey(1))
        );
        assert_eq!(
            ring(&[(1, 'c')]).open("artifact 7", &sealed),
            Err(SealError::WrongKey(1))
        );
    }

    #[test]
    fn each_changed_byte_is_noticed() {
        let ring = ring(&[(1, 'a')]);
        let sealed = ring.seal("x", b"weights").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open("x", &changed).is_err(), "byte {at}");
        }
        for length in 0..sealed.len() {
            assert!(ring.open("x", &sealed[..length]).is_err());
        }
    }

    #[test]
    fn the_same_bytes_never_look_the_same() {
        let ring = ring(&[(1, 'a')]);
        assert_ne!(ring.seal("x", b"a").unwrap(), ring.seal("x", b"a").unwrap());
    }

    #[test]
    fn purposes_and_versions_have_keys_of_their_own() {
        let ring = ring(&[(1, 'a'), (2, 'b')]);
        let key = |version, purpose| *ring.derive(version, purpose).unwrap();
        assert_eq!(key(1, "pseudonym"), key(1, "pseudonym"));
        assert_ne!(key(1, "pseudonym"), key(1, "membership"));
        assert_ne!(key(1, "pseudonym"), key(2, "pseudonym"));
        assert!(ring.derive(3, "pseudonym").is_none());
    }

    #[test]
    fn what_is_no_list_of_keys_is_refused_without_telling_it() {
        let refused = |text: &str| Ring::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(refused("# none\n\n"), RingError::Empty);
        assert_eq!(refused("# one\nsecret"), RingError::Line(2));
        assert_eq!(refused("0:aa"), RingError::Line(1));
        assert_eq!(refused("1:secret"), RingError::Key(1));
        assert_eq!(refused(&format!("1:{}", "é".repeat(32))), RingError::Key(1));
        let line = format!("1:{}", "a".repeat(64));
        assert_eq!(refused(&format!("{line}\n{line}")), RingError::Twice(2));
        assert!(Ring::parse(&format!(" {line} \r\n")).is_ok());
    }

    /// RFC 4231, test case 2, with its key filled up with zeros, which HMAC does itself.
    #[test]
    fn the_keyed_hash_is_hmac() {
        let mut key = [0; KEY];
        key[..4].copy_from_slice(b"Jefe");
        let hash = keyed_hash(&key, b"what do ya want for nothing?");
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
