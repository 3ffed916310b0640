//! The options of a transformer.

use super::{ParamError, reader::Reader};
use crate::models::{Block, WIDTH_STEP};
use serde::{Deserialize, Serialize};

/// As given.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttentionParams {
    pub blocks: Option<usize>,
    pub heads: Option<usize>,
    pub width: Option<usize>,
    pub dropout: Option<f64>,
    pub residual_dropout: Option<f64>,
}

/// What a transformer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    pub blocks: usize,
    pub heads: usize,
    /// Of a token.
    pub width: usize,
    /// Of the feed-forward layers.
    pub hidden: usize,
    /// Share of attention that is dropped, and of what each layer adds.
    pub dropout: f64,
    pub residual_dropout: f64,
}

impl Default for Attention {
    fn default() -> Attention {
        Attention {
            blocks: 2,
            heads: 8,
            width: 64,
            hidden: 88,
            dropout: 0.15,
            residual_dropout: 0.0,
        }
    }
}

impl AttentionParams {
    pub(super) fn read(reader: &Reader<'_>) -> Result<AttentionParams, ParamError> {
        let count = |option: &str, low, high| -> Result<Option<usize>, ParamError> {
            Ok(reader.integer(option, low, high)?.map(|n| n as usize))
        };
        Ok(AttentionParams {
            blocks: count("n_blocks", 1, 16)?,
            heads: count("attention_heads", 1, 64)?,
            width: count("d_token", 8, 1024)?,
            dropout: reader.number("attention_dropout", 0.0, 0.95)?,
            residual_dropout: reader.number("residual_dropout", 0.0, 0.95)?,
        })
    }

    /// The first option that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            ("n_blocks", self.blocks.is_some()),
            ("attention_heads", self.heads.is_some()),
            ("d_token", self.width.is_some()),
            ("attention_dropout", self.dropout.is_some()),
            ("residual_dropout", self.residual_dropout.is_some()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }

    /// Fills in defaults for a table of `rows` training rows.
    ///
    /// The authors' defaults are 3 blocks of tokens of 192 numbers, 8 heads and 4/3 of the width between; narrower tokens do as
    /// well on tables of this size and train several times faster on a CPU.
    pub(super) fn check(&self, rows: usize) -> Result<Attention, ParamError> {
        let width = self.width.unwrap_or(match rows {
            0..200_000 => 64,
            _ => 96,
        });
        let blocks = self.blocks.unwrap_or(Attention::default().blocks);
        let heads = match self.heads {
            Some(heads) => heads,
            None => (1..=8)
                .rev()
                .find(|h| width.is_multiple_of(*h))
                .unwrap_or(1),
        };
        let block = Block {
            width,
            heads,
            hidden: (width * 4 / 3).next_multiple_of(WIDTH_STEP),
            norm: true,
        };
        if !block.is_sound() {
            let narrow = !width.is_multiple_of(WIDTH_STEP);
            let (option, message) = if narrow {
                let message = format!("option \"d_token\" must be a multiple of {WIDTH_STEP}");
                ("d_token", message)
            } else {
                let message = format!("{heads} attention heads cannot share tokens of {width}");
                ("attention_heads", message)
            };
            return Err(ParamError {
                option: option.into(),
                message,
                hint: "For example \"d_token\": 64, \"attention_heads\": 8.".into(),
            });
        }
        Ok(Attention {
            blocks,
            heads,
            width,
            hidden: block.hidden,
            dropout: self.dropout.unwrap_or(by_blocks(0.1, blocks)),
            residual_dropout: self.residual_dropout.unwrap_or(0.0),
        })
    }
}

/// The authors' dropout: so much with one block, and 0.05 more with each up to the sixth.
fn by_blocks(first: f64, blocks: usize) -> f64 {
    first + 0.05 * (blocks.clamp(1, 6) - 1) as f64
}

impl Attention {
    /// Share of the hidden units that is dropped by default.
    pub(super) fn hidden_dropout(&self) -> f64 {
        by_blocks(0.0, self.blocks)
    }
}
