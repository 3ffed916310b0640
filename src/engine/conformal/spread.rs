//! How large errors are, by what is known of a row.

use crate::models::Trees;
use serde::{Deserialize, Serialize};

/// An error is at most so many times larger, or smaller, than usual, as a logarithm: 100 times.
const MOST: f64 = 4.6;

/// Boosted trees whose sum is the logarithm of a row's mean absolute error, relative to that of all rows: with it intervals are
/// wide where errors are large (Papadopoulos et al. 2002; Lei et al. 2018, "Distribution-Free Predictive Inference for
/// Regression", section 5.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spread {
    pub(crate) trees: Trees,
}

impl Spread {
    /// Of a prepared row; above 0. Allocates nothing.
    pub fn of(&self, numbers: &[f32], codes: &[u32]) -> f64 {
        let mut sum = [0.0];
        self.trees.sums(numbers, codes, &mut sum);
        f64::from(sum[0]).clamp(-MOST, MOST).exp()
    }

    /// Whether [`Spread::of`] can neither fail nor loop on rows of so many numbers and codes.
    pub(crate) fn is_sound(&self, numbers: usize, categories: usize) -> bool {
        let trees = &self.trees;
        trees.is_sound()
            && trees.base.len() == 1
            && (trees.numbers, trees.categories) == (numbers, categories)
    }
}
