//! What every stored model looks like as bytes, whatever its kind.
//!
//! | part | size |
//! |---|---|
//! | the kind, such as `INSIGHT\0` | 8 |
//! | format version, u32 | 4 |
//! | length of everything, u64 | 8 |
//! | length of the header, u32 | 4 |
//! | header: JSON, without weights | |
//! | weights, words of four bytes | |
//! | checksum of all the above, u64 | 8 |
//!
//! Numbers are little-endian.

use super::{ArtifactError, check::require};
use serde::{Serialize, de::DeserializeOwned};

/// A kind of model: the first bytes.
pub(crate) type Magic = [u8; 8];

/// The format written, and the newest one read.
pub(super) const VERSION: u32 = 3;
/// The oldest one read.
pub(super) const OLDEST: u32 = 2;
/// Bytes before the header.
pub(super) const PREFIX: usize = 8 + 4 + 8 + 4;
pub(super) const CHECKSUM: usize = 8;
/// A longer header is taken for damage.
const LONGEST_HEADER: usize = 256 << 20;

/// Length-checked, versioned, checksummed bytes. `count` words are expected of `words`.
pub(crate) fn pack<H: Serialize>(
    magic: &Magic,
    header: &H,
    count: usize,
    words: impl Iterator<Item = u32>,
) -> Vec<u8> {
    // Writing to a Vec fails only for maps whose keys are not texts; no part of a model has one.
    let header = serde_json::to_vec(header).expect("a model is plain data");
    let total = PREFIX + header.len() + count * size_of::<u32>() + CHECKSUM;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(magic);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(total as u64).to_le_bytes());
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    words.for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
    let checksum = checksum(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// Stored bytes taken apart, with nothing of them read.
pub(crate) struct Sealed<'b> {
    pub(crate) magic: Magic,
    pub(crate) version: u32,
    pub(crate) header: &'b [u8],
    pub(crate) words: &'b [u8],
    pub(crate) checksum: u64,
}

impl<'b> Sealed<'b> {
    /// Trusts nothing: every length is checked before it is used, and the checksum.
    ///
    /// # Errors
    /// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that cannot be taken apart.
    pub(crate) fn open(bytes: &'b [u8]) -> Result<Sealed<'b>, ArtifactError> {
        let mut rest = Reader(bytes);
        let magic: Magic = rest.array()?;
        let version = u32::from_le_bytes(rest.array()?);
        if version > VERSION {
            let (found, known) = (version, VERSION);
            return Err(ArtifactError::TooNew { found, known });
        }
        require(version >= OLDEST, || {
            format!("there is no format {version}")
        })?;
        let total = u64::from_le_bytes(rest.array()?);
        require(total == bytes.len() as u64, || {
            format!("{} bytes where {total} are expected", bytes.len())
        })?;
        let header = u32::from_le_bytes(rest.array()?) as usize;
        require(header <= LONGEST_HEADER, || {
            format!("the header of {header} bytes is too long")
        })?;
        let header = rest.take(header)?;
        let words = rest.take(rest.0.len().saturating_sub(CHECKSUM))?;
        let found = u64::from_le_bytes(rest.array()?);
        let summed = bytes.len().saturating_sub(CHECKSUM);
        require(found == checksum(&bytes[..summed]), || {
            "the checksum does not match".into()
        })?;
        Ok(Sealed {
            magic,
            version,
            header,
            words,
            checksum: found,
        })
    }

    /// The bytes that were taken apart, with a checksum of their own.
    pub(crate) fn close(&self) -> Vec<u8> {
        let total = PREFIX + self.header.len() + self.words.len() + CHECKSUM;
        let mut out = Vec::with_capacity(total);
        out.extend_from_slice(&self.magic);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&(total as u64).to_le_bytes());
        out.extend_from_slice(&(self.header.len() as u32).to_le_bytes());
        out.extend_from_slice(self.header);
        out.extend_from_slice(self.words);
        let checksum = checksum(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }
}

/// The header, and the words that follow it.
///
/// # Errors
/// Those of [`Sealed::open`], and [`ArtifactError::Damaged`] for what is not of this kind.
pub(crate) fn unpack<'b, H: DeserializeOwned>(
    magic: &Magic,
    bytes: &'b [u8],
) -> Result<(H, Reader<'b>), ArtifactError> {
    require(bytes.starts_with(magic), || {
        "the bytes are not a model of this kind".into()
    })?;
    let sealed = Sealed::open(bytes)?;
    let header = serde_json::from_slice(sealed.header)
        .map_err(|e| ArtifactError::Damaged(format!("the header cannot be read: {e}")))?;
    Ok((header, Reader(sealed.words)))
}

/// The bytes not yet read.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ArtifactError> {
        let cut = || ArtifactError::Damaged("the bytes end too early".into());
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ArtifactError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// Nothing is left.
    pub(crate) fn end(&self) -> Result<(), ArtifactError> {
        require(self.0.is_empty(), || {
            "there are bytes after the weights".into()
        })
    }

    /// So many words; `None` is a number too large to count.
    pub(crate) fn words(&mut self, count: Option<usize>) -> Result<Vec<u32>, ArtifactError> {
        let bytes = count.and_then(|c| c.checked_mul(size_of::<u32>()));
        let bytes = self.take(bytes.unwrap_or(usize::MAX))?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|&b| u32::from_le_bytes(b)).collect())
    }

    /// So many floats; `None` is a number too large to count.
    pub(crate) fn floats(&mut self, count: Option<usize>) -> Result<Vec<f32>, ArtifactError> {
        let bytes = count.and_then(|c| c.checked_mul(size_of::<f32>()));
        let bytes = self.take(bytes.unwrap_or(usize::MAX))?;
        let (floats, _) = bytes.as_chunks::<4>();
        Ok(floats.iter().map(|&b| f32::from_le_bytes(b)).collect())
    }
}

/// FNV-1a (Fowler, Noll, Vo) with 64 bits, over words of 8 bytes, the last filled up with zeros. Each step is
/// one-to-one in the word read, so a change within a single word always changes the result.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
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
