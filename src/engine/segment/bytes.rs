//! A clustering as bytes: see [`crate::artifact::container`]; the words are the weights of its network, if it has one.

use super::{Clustering, NONE, rule::Rule};
use crate::artifact::ArtifactError;
use crate::artifact::bytes::read_weights;
use crate::artifact::check::require;
use crate::artifact::container::{Magic, pack, unpack};

pub const MAGIC: &Magic = b"INSIGHTC";

impl Clustering {
    /// Length-checked, versioned, checksummed bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let weights = self.embedding.source.network.iter();
        let weights: Vec<&Vec<f32>> = weights.flat_map(|network| network.weights()).collect();
        let count = weights.iter().map(|w| w.len()).sum();
        let words = weights.into_iter().flatten().map(|w| w.to_bits());
        pack(MAGIC, self, count, words)
    }

    /// Trusts nothing: every length is checked before it is used.
    ///
    /// # Errors
    /// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that is no clustering.
    pub fn from_bytes(bytes: &[u8]) -> Result<Clustering, ArtifactError> {
        let (mut found, mut rest): (Clustering, _) = unpack(MAGIC, bytes)?;
        if let Some(network) = &mut found.embedding.source.network {
            read_weights(network, &mut rest)?;
        }
        rest.end()?;
        require(!found.segments.is_empty() && found.count() > NONE, || {
            "there are no segments".into()
        })?;
        require(found.chosen < found.counts.len(), || {
            "the chosen number of segments is not there".into()
        })?;
        require(found.embedding.is_sound(), || {
            "rows cannot become points".into()
        })?;
        let (count, width) = (found.count(), found.embedding.width);
        require(
            found.rule.is_sound(found.params.algorithm, count, width),
            || "the segments of points cannot be told".into(),
        )?;
        Ok(found)
    }

    /// Whether it holds rows it was learned from.
    pub fn keeps_rows(&self) -> bool {
        matches!(self.rule, Rule::Density { .. })
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.embedding.bytes() + self.rule.bytes() + 4096 * self.segments.len()
    }
}
