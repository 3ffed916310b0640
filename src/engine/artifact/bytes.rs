//! A model as bytes.
//!
//! | part | size |
//! |---|---|
//! | `INSIGHT\0` | 8 |
//! | format version, u32 | 4 |
//! | length of everything, u64 | 8 |
//! | length of the header, u32 | 4 |
//! | header: the [`Artifact`] as JSON, without weights | |
//! | of the rows held out: truths, then predictions, as f32 | |
//! | of each part: a network's weights as f32, in the order of [`crate::models::Network::weights`], or a transformer's in that of
//! [`crate::models::Transformer::all_weights`]; the words of trees | |
//! | checksum of all the above, u64 | 8 |
//!
//! Numbers are little-endian.

use super::{Artifact, ArtifactError, check::require};
use crate::models::{Model, Network, Transformer};

const MAGIC: &[u8; 8] = b"INSIGHT\0";
/// The format written, and the newest one read.
const VERSION: u32 = 2;
/// Bytes before the header.
const PREFIX: usize = 8 + 4 + 8 + 4;
const CHECKSUM: usize = 8;
/// A longer header is taken for damage.
const LONGEST_HEADER: usize = 256 << 20;

impl Artifact {
    /// Length-checked, versioned, checksummed bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing to a Vec fails only for maps whose keys are not texts; no part of an artifact has one.
        let header = serde_json::to_vec(self).expect("an artifact is plain data");
        let words = self.all_parts().map(|part| match &part.model {
            Model::Network(network) => network.weights().map(Vec::len).sum::<usize>(),
            Model::Transformer(own) => own.all_weights().map(Vec::len).sum::<usize>(),
            Model::Trees(trees) => trees.words.len(),
        });
        let held_out = &self.settled.held_out;
        let kept = [&held_out.truth, &held_out.predictions];
        let words = words.sum::<usize>() + kept.iter().map(|k| k.len()).sum::<usize>();
        let total = PREFIX + header.len() + words * size_of::<u32>() + CHECKSUM;
        let mut out = Vec::with_capacity(total);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(total as u64).to_le_bytes());
        out.extend_from_slice(&(header.len() as u32).to_le_bytes());
        out.extend_from_slice(&header);
        let kept = kept.into_iter().flatten();
        kept.for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
        for part in self.all_parts() {
            match &part.model {
                Model::Network(network) => {
                    let weights = network.weights().flatten();
                    weights.for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
                }
                Model::Transformer(own) => {
                    let weights = own.all_weights().flatten();
                    weights.for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
                }
                Model::Trees(trees) => {
                    let words = trees.words.iter();
                    words.for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
                }
            }
        }
        let checksum = checksum(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Trusts nothing: every length is checked before it is used, and so are all shapes ([`Artifact::check`]).
    ///
    /// # Errors
    /// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that is no model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Artifact, ArtifactError> {
        let mut rest = Reader(bytes);
        require(rest.take(MAGIC.len())? == MAGIC, || {
            "the bytes are not a model of insight".into()
        })?;
        let found = u32::from_le_bytes(rest.array()?);
        if found > VERSION {
            let known = VERSION;
            return Err(ArtifactError::TooNew { found, known });
        }
        require(found == VERSION, || format!("there is no format {found}"))?;
        let total = u64::from_le_bytes(rest.array()?);
        require(total == bytes.len() as u64, || {
            format!("{} bytes where {total} are expected", bytes.len())
        })?;
        let header = u32::from_le_bytes(rest.array()?) as usize;
        require(header <= LONGEST_HEADER, || {
            format!("the header of {header} bytes is too long")
        })?;
        let header = rest.take(header)?;
        let summed = bytes.len().saturating_sub(CHECKSUM);
        let mut end = Reader(&bytes[summed..]);
        require(
            u64::from_le_bytes(end.array()?) == checksum(&bytes[..summed]),
            || "the checksum does not match".into(),
        )?;
        let mut artifact: Artifact = serde_json::from_slice(header)
            .map_err(|e| ArtifactError::Damaged(format!("the header cannot be read: {e}")))?;
        let held_out = &mut artifact.settled.held_out;
        held_out.truth = rest.floats(held_out.rows.checked_mul(held_out.told))?;
        held_out.predictions = rest.floats(held_out.rows.checked_mul(held_out.width))?;
        let segments = artifact.partition.iter_mut();
        let segments = segments.flat_map(|p| p.segments.iter_mut());
        let parts = artifact.parts.iter_mut();
        for part in parts.chain(segments.flat_map(|s| s.parts.iter_mut())) {
            match &mut part.model {
                Model::Network(network) => read_weights(network, &mut rest)?,
                Model::Transformer(own) => read_transformer(own, &mut rest)?,
                Model::Trees(trees) => trees.words = rest.words(trees.size())?,
            }
        }
        require(rest.0.len() == CHECKSUM, || {
            "there are bytes after the weights".into()
        })?;
        artifact.check()?;
        Ok(artifact)
    }
}

/// Fills in the weights in the order [`Artifact::to_bytes`] wrote them.
fn read_weights(network: &mut Network, rest: &mut Reader<'_>) -> Result<(), ArtifactError> {
    network.embeddings = network
        .inputs
        .embedded()
        .map(|(_, levels, dim)| (levels.checked_add(1), dim))
        .map(|(codes, dim)| rest.floats(codes.and_then(|c| c.checked_mul(dim))))
        .collect::<Result<_, _>>()?;
    let bags = network.inputs.bags.iter();
    network.bags = bags
        .map(|bag| rest.floats(bag.vocabulary.checked_mul(bag.dim)))
        .collect::<Result<_, _>>()?;
    for embedding in &mut network.number_embeddings {
        embedding.weights = rest.floats(embedding.size())?;
    }
    let factors = match network.members {
        0 | 1 => Some(0),
        members => network.checked_width().and_then(|w| w.checked_mul(members)),
    };
    network.factors = rest.floats(factors)?;
    for layer in network.layers.iter_mut().chain(&mut network.heads) {
        layer.weights = rest.floats(layer.inputs.checked_mul(layer.outputs))?;
        layer.bias = rest.floats(Some(layer.outputs))?;
    }
    Ok(())
}

/// The same for a transformer. Its sizes are checked first, so that what is made of them cannot overflow.
fn read_transformer(own: &mut Transformer, rest: &mut Reader<'_>) -> Result<(), ArtifactError> {
    require(own.is_sound(), || {
        "the sizes of a transformer do not fit each other".into()
    })?;
    let codes = own
        .inputs
        .categories
        .iter()
        .map(|c| c.levels.checked_add(1));
    let words = own.inputs.bags.iter().map(|bag| Some(bag.vocabulary));
    let mut tables = Vec::new();
    for rows in codes.chain(words) {
        tables.push(rest.floats(rows.and_then(|r| r.checked_mul(own.width)))?);
    }
    own.bags = tables.split_off(own.inputs.categories.len());
    own.embeddings = tables;
    for embedding in &mut own.number_embeddings {
        embedding.weights = rest.floats(embedding.size())?;
    }
    own.weights = rest.floats(Some(own.parts().len))?;
    Ok(())
}

/// The bytes not yet read.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], ArtifactError> {
        let cut = || ArtifactError::Damaged("the bytes end too early".into());
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ArtifactError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
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
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
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

#[cfg(test)]
#[path = "bytes_test.rs"]
mod tests;
