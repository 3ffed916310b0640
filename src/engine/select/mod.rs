//! Selecting columns by a model of its own: each method judges all of them, on training and validation rows only.

mod boruta;
mod design;
mod l1;
mod permutation;

use crate::evaluate::Truth;
use crate::frame::Frame;
use crate::recipe::Preparation;
pub use boruta::boruta;
pub use design::Design;
pub use l1::l1;
pub use permutation::permutation;
use serde::{Deserialize, Serialize};

/// Which method speaks against features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    #[default]
    None,
    /// Variance, correlation with others, mutual information with the target.
    Auto,
    /// A linear model with an L1 penalty.
    L1,
    /// Permutation importance of a random forest.
    Permutation,
    /// Shadow features in random forests.
    Boruta,
}

/// What a method says about a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// By the method's own measure; larger is better.
    pub score: f64,
    pub keep: bool,
    pub reason: String,
}

/// What a method looks at.
pub struct Sample<'a> {
    pub frame: &'a Frame,
    /// Positions in the frame; one judgement for each.
    pub columns: &'a [usize],
    pub train: &'a [u32],
    pub validation: &'a [u32],
    /// The target of the training rows and of the validation rows, in their order.
    pub truth: &'a Truth,
    pub held_out: &'a Truth,
    /// Of a target of classes; 0 for a number.
    pub classes: usize,
    pub how: &'a Preparation,
    pub seed: u64,
}

#[cfg(test)]
mod tests;
