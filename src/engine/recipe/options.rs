//! How columns are prepared, as far as it can be chosen.

use crate::embed::Encoder;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How numbers are brought to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standardise {
    /// By column: a logarithm for long tails, then the mean and the standard deviation, or the median and the
    /// interquartile range where few far values would rule the standard deviation.
    #[default]
    Auto,
    /// Mean 0, standard deviation 1.
    Standard,
    /// Median 0; the interquartile range of a normal distribution, 1.349, is that of the column.
    Robust,
    /// The training rows reach from 0 to 1.
    Minmax,
    /// A normal distribution, by the quantiles of the training rows.
    Quantile,
    /// As it is.
    None,
}

/// How categories enter the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CategoryEncoding {
    /// An input per level where there are few, else a learned vector.
    #[default]
    Auto,
    /// A learned vector per level.
    Embedding,
    /// The target's mean among the rows of the level, where there are many levels.
    Target,
    /// An input per level.
    OneHot,
    /// Where there are many levels, a fixed number of inputs that they share by a hash.
    Hash,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// Words and pairs of words kept of a column of free text, at most.
    pub text_features: usize,
    /// Width of the vectors that the network learns for the tokens of a free text; 0: none.
    #[serde(default)]
    pub text_dim: usize,
    pub standardise: Standardise,
    pub category_encoding: CategoryEncoding,
    /// Turns free texts into sentence vectors; stored by its fingerprint alone.
    #[serde(skip)]
    pub text_model: Option<Arc<Encoder>>,
}

impl Default for Preparation {
    fn default() -> Self {
        Preparation {
            text_features: 256,
            text_dim: 16,
            standardise: Standardise::Auto,
            category_encoding: CategoryEncoding::Auto,
            text_model: None,
        }
    }
}
