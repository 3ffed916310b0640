//! A stored model taken apart and put together again with true lengths and a true checksum, so that mutations get past both. The
//! format is told in `src/engine/artifact/container.rs`.

use serde::de::IgnoredAny;
use serde_json::Deserializer;

const PREFIX: usize = 8 + 4 + 8 + 4;

/// Magic and version; the header, which ends where its JSON does; the words after it.
pub struct Parts<'b> {
    pub start: &'b [u8],
    pub header: &'b [u8],
    pub words: &'b [u8],
}

/// `None` where there is no JSON at the header's place.
pub fn open(bytes: &[u8]) -> Option<Parts<'_>> {
    let (start, rest) = (bytes.get(..12)?, bytes.get(PREFIX..)?);
    let mut values = Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let (header, words) = rest.split_at(values.byte_offset());
    let words = words
        .get(..words.len().saturating_sub(8))
        .unwrap_or_default();
    Some(Parts {
        start,
        header,
        words,
    })
}

/// Bytes whose lengths and checksum are right.
pub fn close(start: &[u8], header: &[u8], words: &[u8]) -> Vec<u8> {
    let total = PREFIX + header.len() + words.len() + 8;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(start);
    out.extend_from_slice(&(total as u64).to_le_bytes());
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(header);
    out.extend_from_slice(words);
    let checksum = checksum(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// FNV-1a over words of eight bytes, as the engine has it.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, word: [u8; 8]| {
        (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3)
    };
    let (words, tail) = bytes.as_chunks::<8>();
    let sum = words
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &word| step(sum, word));
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    step(sum, last)
}
