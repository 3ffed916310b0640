//! A synthesizer as bytes: see [`crate::artifact::container`]; the words are the weights, layer by layer.

use super::layers::{Linear, Norm};
use super::layout::Layout;
use super::schema::{Field, How};
use super::vae::Decoder;
use super::{MOST_CHILDREN, Network, Synthesizer};
use crate::artifact::ArtifactError;
use crate::artifact::check::require;
use crate::artifact::container::{Magic, Reader, pack, unpack};

pub const MAGIC: &Magic = b"INSIGHTG";

/// Wider layers are taken for damage.
const WIDEST: usize = 1 << 24;

impl Synthesizer {
    /// Length-checked, versioned, checksummed bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut words: Vec<u32> = Vec::new();
        let mut add = |values: &[f32]| words.extend(values.iter().map(|v| v.to_bits()));
        match &self.network {
            Network::Gan(generator) => {
                for (linear, norm) in &generator.blocks {
                    add(&linear.weights);
                    add(&linear.bias);
                    [&norm.scale, &norm.shift, &norm.mean, &norm.variance]
                        .into_iter()
                        .for_each(|v| add(v));
                }
                add(&generator.last.weights);
                add(&generator.last.bias);
            }
            Network::Tvae(decoder) => {
                add_decoder(decoder, &mut add);
            }
        }
        for child in &self.children {
            add_decoder(&child.decoder, &mut add);
        }
        pack(MAGIC, self, words.len(), words.iter().copied())
    }

    /// Trusts nothing: every length is checked before it is used.
    ///
    /// # Errors
    /// [`ArtifactError::TooNew`] for a later format, [`ArtifactError::Damaged`] for anything else that is no synthesizer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Synthesizer, ArtifactError> {
        let (mut found, mut rest): (Synthesizer, _) = unpack(MAGIC, bytes)?;
        check_fields(&found.fields)?;
        for child in &found.children {
            check_fields(&child.fields)?;
        }
        require(
            found.children.len() <= MOST_CHILDREN && found.children.len() < found.fields.len(),
            || "the tables of the children cannot be".into(),
        )?;
        let layout = Layout::of(&found.fields);
        let noise = match &found.network {
            Network::Gan(generator) => generator.noise,
            Network::Tvae(decoder) => decoder.noise,
        };
        require(layout.width > 0 && (1..=4096).contains(&noise), || {
            "the network's sizes cannot be".into()
        })?;
        match &mut found.network {
            Network::Gan(generator) => {
                let mut width = generator.noise.saturating_add(layout.conditions);
                for (linear, norm) in &mut generator.blocks {
                    require(norm.width == linear.outputs, || {
                        "a normalisation has another width".into()
                    })?;
                    width = linear_of(linear, width, &mut rest)?.saturating_add(width);
                    norm_of(norm, &mut rest)?;
                }
                linear_of(&mut generator.last, width, &mut rest)?;
                require(generator.last.outputs == layout.width, || {
                    "the rows have another width".into()
                })?;
            }
            Network::Tvae(decoder) => {
                require(decoder.context == 0, || "nothing is known of a row".into())?;
                decoder_of(decoder, layout.width, &mut rest)?;
            }
        }
        let shown = found.fields.len() - found.children.len();
        for child in &mut found.children {
            let layout = Layout::of(&child.fields);
            require(
                layout.width > 0
                    && (1..=4096).contains(&child.decoder.noise)
                    && child.is_sound(&found.fields[..shown]),
                || "the table of a child cannot be".into(),
            )?;
            decoder_of(&mut child.decoder, layout.width, &mut rest)?;
        }
        rest.end()?;
        Ok(found)
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        let weights = |l: &Linear| l.weights.len() + l.bias.len();
        let decoder = |d: &Decoder| d.layers.iter().map(weights).sum::<usize>() + weights(&d.last);
        let words: usize = match &self.network {
            Network::Gan(g) => {
                g.blocks.iter().map(|(l, _)| weights(l)).sum::<usize>() + weights(&g.last)
            }
            Network::Tvae(d) => decoder(d),
        };
        let words = words
            + self
                .children
                .iter()
                .map(|c| decoder(&c.decoder))
                .sum::<usize>();
        let levels = |f: &Field| match &f.how {
            How::Levels { values, .. } | How::Follows { values, .. } => values.len() * 64,
            _ => 256,
        };
        let of_children = self.children.iter().flat_map(|c| &c.fields);
        words * 4
            + self
                .fields
                .iter()
                .chain(of_children)
                .map(levels)
                .sum::<usize>()
    }
}

fn check_fields(fields: &[Field]) -> Result<(), ArtifactError> {
    let odd = |what: &str, name: &str| format!("{what} of column \"{name}\" cannot be");
    for (at, field) in fields.iter().enumerate() {
        let name = field.name.as_str();
        match &field.how {
            How::Levels {
                values,
                counts,
                rare,
            } => {
                require(
                    !values.is_empty()
                        && values.len() == counts.len()
                        && *rare > 0
                        && *rare <= usize::from(u16::MAX),
                    || odd("the values", name),
                )?;
            }
            How::Number {
                modes,
                spikes,
                null,
                low,
                high,
                step,
            } => {
                let sound =
                    *low <= *high && *step >= 0.0 && modes.iter().all(|m| m.deviation > 0.0);
                require(sound, || odd("the range", name))?;
                let some = modes.len() + spikes.len() + usize::from(*null);
                require((1..1000).contains(&some), || odd("the modes", name))?;
            }
            How::Follows { field, values, by } => {
                let from = fields.get(*field).map(|f| &f.how);
                let count = match from {
                    Some(How::Levels { values, .. }) if *field != at => values.len(),
                    _ => usize::MAX,
                };
                require(
                    by.len() == count && by.iter().all(|b| (*b as usize) < values.len()),
                    || odd("the dependence", name),
                )?;
            }
            How::Invented(how) => require(how.is_sound(), || odd("the invention", name))?,
            How::Nothing => {}
        }
    }
    Ok(())
}

fn add_decoder(decoder: &Decoder, add: &mut impl FnMut(&[f32])) {
    for linear in decoder.layers.iter().chain([&decoder.last]) {
        add(&linear.weights);
        add(&linear.bias);
    }
    add(&decoder.deviations);
}

/// Reads a decoder's weights; its rows are so wide.
fn decoder_of(
    decoder: &mut Decoder,
    rows: usize,
    rest: &mut Reader<'_>,
) -> Result<(), ArtifactError> {
    let mut width = decoder.noise.saturating_add(decoder.context);
    for linear in &mut decoder.layers {
        width = linear_of(linear, width, rest)?;
    }
    linear_of(&mut decoder.last, width, rest)?;
    require(decoder.last.outputs == rows, || {
        "the rows have another width".into()
    })?;
    decoder.deviations = rest.floats(Some(rows))?;
    Ok(())
}

/// Reads a layer's weights; answers its outputs.
fn linear_of(
    linear: &mut Linear,
    inputs: usize,
    rest: &mut Reader<'_>,
) -> Result<usize, ArtifactError> {
    require(
        linear.inputs == inputs
            && (1..WIDEST).contains(&linear.inputs)
            && (1..WIDEST).contains(&linear.outputs),
        || "the layers do not fit together".into(),
    )?;
    linear.weights = rest.floats(linear.inputs.checked_mul(linear.outputs))?;
    linear.bias = rest.floats(Some(linear.outputs))?;
    Ok(linear.outputs)
}

fn norm_of(norm: &mut Norm, rest: &mut Reader<'_>) -> Result<(), ArtifactError> {
    for values in [
        &mut norm.scale,
        &mut norm.shift,
        &mut norm.mean,
        &mut norm.variance,
    ] {
        *values = rest.floats(Some(norm.width))?;
    }
    Ok(())
}
