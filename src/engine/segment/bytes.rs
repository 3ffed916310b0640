//! A clustering as bytes: see [`crate::artifact::container`]; all of it is in the header.

use super::{Clustering, NONE};
use crate::artifact::ArtifactError;
use crate::artifact::check::require;
use crate::artifact::container::{Magic, pack, unpack};

pub const MAGIC: &Magic = b"INSIGHTC";

impl Clustering {
    /// Length-checked, versioned, checksummed bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        pack(MAGIC, self, 0, std::iter::empty())
    }

    /// Trusts nothing: every length is checked before it is used.
    ///
    /// # Errors
    /// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that is no clustering.
    pub fn from_bytes(bytes: &[u8]) -> Result<Clustering, ArtifactError> {
        let (found, rest): (Clustering, _) = unpack(MAGIC, bytes)?;
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

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.embedding.bytes() + self.rule.bytes() + 4096 * self.segments.len()
    }
}
