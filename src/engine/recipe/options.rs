//! How columns are prepared, as far as it can be chosen.

use crate::embed::Encoder;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How numbers are brought to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standardise {
    /// By column: the mean and the standard deviation, or the median and the interquartile range where few far values would
    /// rule the standard deviation.
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

/// How the shape of numbers is changed before they are brought to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// By column: the simplest of the others that comes close to a normal distribution; as it is where another scale than auto
    /// is asked for.
    #[default]
    Auto,
    None,
    /// sign(x) · ln(1 + |x|).
    Log,
    /// Yeo and Johnson's (2000), of the likeliest power.
    Power,
    /// A normal distribution, by the quantiles of the training rows; it has its own scale.
    Quantile,
}

/// What is done to numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scaling {
    pub transform: Transform,
    pub standardise: Standardise,
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

/// Which features made of two columns are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Construct {
    #[default]
    None,
    /// Ratios, differences and products of numbers.
    Pairs,
    /// Two columns taken as one category.
    Crosses,
    /// Both.
    Auto,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// Words and pairs of words kept of a column of free text, at most.
    pub text_features: usize,
    /// Width of the vectors that the network learns for the tokens of a free text; 0: none.
    #[serde(default)]
    pub text_dim: usize,
    pub standardise: Standardise,
    pub transform: Transform,
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
            transform: Transform::Auto,
            category_encoding: CategoryEncoding::Auto,
            text_model: None,
        }
    }
}

impl Preparation {
    pub(super) fn scaling(&self) -> Scaling {
        Scaling {
            transform: self.transform,
            standardise: self.standardise,
        }
    }
}
