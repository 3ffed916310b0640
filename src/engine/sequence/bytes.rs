//! A sequence model as bytes.
//!
//! | part | size |
//! |---|---|
//! | `INSIGHTS` | 8 |
//! | format version, u32 | 4 |
//! | length of everything, u64 | 8 |
//! | length of the header, u32 | 4 |
//! | header: the [`SequenceModel`] as JSON, without weights and counts | |
//! | the network's weights as f32 | |
//! | of a mixture: popularity, recent popularity; of both kinds of followers: how many, u32, offsets, items, weights | |
//! | checksum of all the above, u64 | 8 |
//!
//! Numbers are little-endian.

use super::counts::Followers;
use super::model::SequenceModel;
use super::network::Output;
use crate::artifact::{ArtifactError, Reader, checksum, require};

const MAGIC: &[u8; 8] = b"INSIGHTS";
/// The format written, and the newest one read.
const VERSION: u32 = 1;
const CHECKSUM: usize = 8;
/// A longer header is taken for damage.
const LONGEST_HEADER: usize = 256 << 20;
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
        // Writing to a Vec fails only for maps whose keys are not texts; no part of a model has one.
        let header = serde_json::to_vec(self).expect("a sequence model is plain data");
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
        }
        let total = MAGIC.len() + 4 + 8 + 4 + header.len() + words.len() * 4 + CHECKSUM;
        let mut out = Vec::with_capacity(total);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(total as u64).to_le_bytes());
        out.extend_from_slice(&(header.len() as u32).to_le_bytes());
        out.extend_from_slice(&header);
        words
            .iter()
            .for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
        let sum = checksum(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Trusts nothing: every length is checked before it is used, and so are all shapes.
    ///
    /// # Errors
    /// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that is no sequence model.
    pub fn from_bytes(bytes: &[u8]) -> Result<SequenceModel, ArtifactError> {
        let mut rest = Reader::new(bytes);
        require(rest.take(MAGIC.len())? == MAGIC, || {
            "the bytes are not a sequence model of insight".into()
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
        let (summed, sum) = bytes.split_at(bytes.len().saturating_sub(CHECKSUM));
        require(sum == checksum(summed).to_le_bytes(), || {
            "the checksum does not match".into()
        })?;
        let unreadable = |e| ArtifactError::Damaged(format!("the header cannot be read: {e}"));
        let mut model: SequenceModel = serde_json::from_slice(header).map_err(unreadable)?;
        model.check_shapes()?;
        let len = model.network.layout().map(|layout| layout.len);
        model.network.weights = rest.floats(len)?;
        let classes = model.network.outputs();
        if let Some(mixture) = &mut model.mixture {
            let counts = &mut mixture.counts;
            counts.popularity = rest.floats(Some(classes))?;
            counts.recent = rest.floats(Some(classes))?;
            for followers in [&mut counts.next, &mut counts.later] {
                let items = u32::from_le_bytes(rest.array()?) as usize;
                *followers = Followers {
                    offsets: rest.words(classes.checked_add(1))?,
                    items: rest.words(Some(items))?,
                    weights: rest.floats(Some(items))?,
                };
            }
        }
        require(rest.left() == CHECKSUM, || {
            "there are bytes after the weights".into()
        })?;
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
            2 * counts.popularity.len() + of(&counts.next) + of(&counts.later)
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
            Output::Value => !encoder.target.has_classes(),
        };
        let mixes = self.mixture.is_none() || matches!(encoder.target, super::Target::Category(_));
        require(fits && mixes, || {
            "the network answers something else".into()
        })
    }
}
