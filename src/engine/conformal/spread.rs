//! How large errors are, by what is known of a row.

use crate::models::Trees;
use serde::{Deserialize, Serialize};

/// An error is at most so many times larger, or smaller, than usual for the prediction, as a logarithm: 100 times.
const MOST: f64 = 4.6;

/// How large a row's error is to be expected: the mean absolute error of rows of about equal prediction, times e to the sum of
/// boosted trees on what is known of the row. With it intervals are wide where errors are large (Papadopoulos et al. 2002; Lei
/// et al. 2018, "Distribution-Free Predictive Inference for Regression", section 5.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Where each group of predictions but the first begins, rising, and the mean absolute error of each group.
    pub(crate) bounds: Vec<f64>,
    pub(crate) means: Vec<f64>,
    pub(crate) trees: Trees,
}

impl Spread {
    /// Of a prepared row; above 0. Allocates nothing.
    pub fn of(&self, prediction: f64, numbers: &[f32], codes: &[u32]) -> f64 {
        let mut sum = [0.0];
        self.trees.sums(numbers, codes, &mut sum);
        self.usual(prediction) * f64::from(sum[0]).clamp(-MOST, MOST).exp()
    }

    /// The mean absolute error of rows of about such a prediction.
    pub(crate) fn usual(&self, prediction: f64) -> f64 {
        let group = self.bounds.partition_point(|b| *b <= prediction);
        self.means.get(group).copied().unwrap_or(1.0)
    }

    /// Whether [`Spread::of`] can neither fail nor loop on rows of so many numbers and codes.
    pub(crate) fn is_sound(&self, numbers: usize, categories: usize) -> bool {
        let trees = &self.trees;
        trees.is_sound()
            && trees.base.len() == 1
            && (trees.numbers, trees.categories) == (numbers, categories)
            && self.means.len() == self.bounds.len() + 1
            && self.means.iter().all(|m| m.is_finite() && *m > 0.0)
            && self.bounds.iter().all(|b| b.is_finite())
            && self.bounds.windows(2).all(|w| w[0] < w[1])
    }
}
