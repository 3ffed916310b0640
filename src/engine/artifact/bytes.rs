//! A model of a table as bytes: see [`super::container`]; the header is the [`Artifact`] without weights. The words are
//!
//! * of the rows held out: truths, then predictions, as f32;
//! * of each part: a network's weights as f32, in the order of [`crate::models::Network::weights`], or a transformer's in that of
//!   [`crate::models::Transformer::all_weights`]; the words of trees;
//! * the words of the trees that tell how large errors are (from format 3);
//! * the bits of the rows it was trained on.

use super::check::require;
use super::container::{Magic, Reader, pack, unpack};
use super::{Artifact, ArtifactError};
use crate::models::{Model, Network, Transformer};

pub(super) const MAGIC: &Magic = b"INSIGHT\0";

impl Artifact {
    /// Length-checked, versioned, checksummed bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = self.all_parts().map(|part| match &part.model {
            Model::Network(network) => network.weights().map(Vec::len).sum::<usize>(),
            Model::Transformer(own) => own.all_weights().map(Vec::len).sum::<usize>(),
            Model::Trees(trees) => trees.words.len(),
        });
        let held_out = &self.settled.held_out;
        let kept = [&held_out.truth, &held_out.predictions];
        let count = count.sum::<usize>() + kept.iter().map(|k| k.len()).sum::<usize>();
        let kept = kept.into_iter().flatten().map(|v| v.to_bits());
        let parts = self
            .all_parts()
            .flat_map(|part| -> Box<dyn Iterator<Item = u32>> {
                match &part.model {
                    Model::Network(network) => {
                        Box::new(network.weights().flatten().map(|w| w.to_bits()))
                    }
                    Model::Transformer(own) => {
                        Box::new(own.all_weights().flatten().map(|w| w.to_bits()))
                    }
                    Model::Trees(trees) => Box::new(trees.words.iter().copied()),
                }
            });
        let spread = self.settled.conformal.spread.iter();
        let spread = || spread.clone().flat_map(|s| &s.trees.words).copied();
        let seen = self.seen.bits.iter().copied();
        let count = count + spread().count() + seen.len();
        let words = kept.chain(parts).chain(spread()).chain(seen);
        pack(MAGIC, self, count, words)
    }

    /// Trusts nothing: every length is checked before it is used, and so are all shapes ([`Artifact::check`]).
    ///
    /// # Errors
    /// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that is no model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Artifact, ArtifactError> {
        let (mut artifact, mut rest): (Artifact, _) = unpack(MAGIC, bytes)?;
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
        if let Some(spread) = &mut artifact.settled.conformal.spread {
            spread.trees.words = rest.words(spread.trees.size())?;
        }
        artifact.seen.bits = rest.words(Some(artifact.seen.words))?;
        rest.end()?;
        artifact.check()?;
        Ok(artifact)
    }
}

/// Fills in the weights in the order [`Artifact::to_bytes`] wrote them.
pub(crate) fn read_weights(
    network: &mut Network,
    rest: &mut Reader<'_>,
) -> Result<(), ArtifactError> {
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

#[cfg(test)]
#[path = "bytes_test.rs"]
mod tests;
