//! A sequence model as bytes: see [`crate::artifact::container`]; the header is the [`SequenceModel`] without weights and counts.
//! The words are the network's weights; then, of a mixture, popularity, recent popularity, and of both kinds of followers how many
//! there are, offsets, items and weights, and of the pieces of histories how many offsets and items there are, and these.

use super::counts::Followers;
use super::mixture::Mixture;
use super::model::SequenceModel;
use super::network::Output;
use super::params::{Cell, MOST_ATTENTION};
use crate::artifact::ArtifactError;
use crate::artifact::check::require;
use crate::artifact::container::{Magic, pack, unpack};

const MAGIC: &Magic = b"INSIGHTS";
/// The most units of a layer, width of an embedding, and codes of a table that can be asked for.
const MOST_UNITS: usize = 4096;
const MOST_CODES: usize = 1_000_001;

impl SequenceModel {
    /// Whether bytes begin as those of a sequence model do.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Length-checked, versioned, checksummed bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words: Vec<u32> = self.network.weights.iter().map(|w| w.to_bits()).collect();
        if let Some(mixture) = &self.mixture {
            let counts = &mixture.counts;
            let floats = |words: &mut Vec<u32>, own: &[f32]| {
                words.extend(own.iter().map(|w| w.to_bits()));
            };
            floats(&mut words, &counts.popularity);
            floats(&mut words, &counts.recent);
            for followers in [&counts.next, &counts.later] {
                words.push(followers.items.len() as u32);
                words.extend(&followers.offsets);
                words.extend(&followers.items);
                floats(&mut words, &followers.weights);
            }
            let neighbours = &counts.neighbours;
            words.push(neighbours.offsets.len() as u32);
            words.push(neighbours.items.len() as u32);
            words.extend(&neighbours.offsets);
            words.extend(&neighbours.items);
        }
        pack(MAGIC, self, words.len(), words.iter().copied())
    }

    /// Trusts nothing: every length is checked before it is used, and so are all shapes.
    ///
    /// # Errors
    /// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that is no sequence model.
    pub fn from_bytes(bytes: &[u8]) -> Result<SequenceModel, ArtifactError> {
        let (mut model, mut rest): (SequenceModel, _) = unpack(MAGIC, bytes)?;
        require(
            model.mixture.as_ref().is_none_or(Mixture::is_current),
            || "it was trained by an earlier build of insight: train it again".into(),
        )?;
        model.check_shapes()?;
        let len = model.network.layout().map(|layout| layout.len);
        model.network.weights = rest.floats(len)?;
        let classes = model.network.outputs();
        if let Some(mixture) = &mut model.mixture {
            let counts = &mut mixture.counts;
            counts.popularity = rest.floats(Some(classes))?;
            counts.recent = rest.floats(Some(classes))?;
            for followers in [&mut counts.next, &mut counts.later] {
                let items = rest.words(Some(1))?.first().map_or(0, |n| *n as usize);
                *followers = Followers {
                    offsets: rest.words(classes.checked_add(1))?,
                    items: rest.words(Some(items))?,
                    weights: rest.floats(Some(items))?,
                };
            }
            let lengths = rest.words(Some(2))?;
            let length = |at: usize| lengths.get(at).map_or(0, |n| *n as usize);
            counts.neighbours.offsets = rest.words(Some(length(0)))?;
            counts.neighbours.items = rest.words(Some(length(1)))?;
        }
        rest.end()?;
        model.encoder.index();
        if let Some(mixture) = &mut model.mixture {
            mixture.counts.index();
        }
        model.check()?;
        Ok(model)
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        let labels = self.encoder.categories.iter().flat_map(|v| &v.labels);
        // Each label is held twice, with what finds it.
        let labels: usize = labels.map(|label| 2 * label.len() + 64).sum();
        let counts = self.mixture.as_ref().map_or(0, |mixture| {
            let of = |f: &Followers| f.offsets.len() + 2 * f.items.len();
            let counts = &mixture.counts;
            2 * counts.popularity.len()
                + of(&counts.next)
                + of(&counts.later)
                + counts.neighbours.len()
        });
        labels + (self.network.weights.len() + counts) * size_of::<f32>()
    }

    /// Checks every shape: what is prepared against what the network reads, and its outputs against the target.
    ///
    /// # Errors
    /// [`ArtifactError::Damaged`] names the first part that does not fit.
    pub(super) fn check(&self) -> Result<(), ArtifactError> {
        self.check_shapes()?;
        let network = &self.network;
        let len = network.layout().map(|layout| layout.len);
        require(len == Some(network.weights.len()), || {
            format!("the network has {} weights", network.weights.len())
        })?;
        require(network.weights.iter().all(|w| w.is_finite()), || {
            "a weight is not a finite number".into()
        })?;
        let Some(mixture) = &self.mixture else {
            return Ok(());
        };
        require(
            mixture.is_sound() && mixture.counts.classes() == network.outputs(),
            || "the counts do not hold together".into(),
        )
    }

    /// What a transformer looks at at once, and what it reads, is bounded.
    fn attends_within_bounds(&self) -> bool {
        let (heads, context) = (self.params.heads, self.network.context);
        self.params.cell != Cell::Transformer
            || heads <= 64 && heads * context * context <= MOST_ATTENTION
    }

    fn check_shapes(&self) -> Result<(), ArtifactError> {
        let (encoder, network) = (&self.encoder, &self.network);
        require(encoder.is_sound(), || {
            "the encoder does not hold together".into()
        })?;
        let codes = network.tables.iter().map(|t| t.codes);
        let in_bounds = |units: &usize| (1..=MOST_UNITS).contains(units);
        require(
            codes.eq(encoder.categories.iter().map(super::Vocabulary::codes))
                && network
                    .tables
                    .iter()
                    .all(|t| in_bounds(&t.dim) && t.codes <= MOST_CODES)
                && network.numbers == encoder.width() + encoder.statics_width()
                && (1..=8).contains(&network.hidden.len())
                && network.hidden.iter().all(in_bounds)
                && network.context <= MOST_UNITS
                && self.attends_within_bounds()
                && network.layout().is_some(),
            || "the network reads other steps than are prepared".into(),
        )?;
        let fits = match network.output {
            Output::Softmax { classes, tied } => {
                encoder.target.has_classes()
                    && classes > 0
                    && classes + 1 == encoder.classes()
                    && (!tied || matches!(encoder.target, super::Target::Category(0)))
            }
            Output::Value => !encoder.target.has_classes() && encoder.periods.is_none(),
            Output::Intensity => encoder.periods.is_some(),
        };
        let buys = match &self.purchases {
            Some(own) => own.is_sound() && encoder.periods.is_some(),
            None => true,
        };
        let mixes = self.mixture.is_none() || matches!(encoder.target, super::Target::Category(_));
        require(fits && mixes && buys, || {
            "the network answers something else".into()
        })
    }
}
