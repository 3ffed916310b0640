//! Prepared rows of a part, with what is true of them.

use super::Examples;
use crate::recipe::Matrix;

/// Prepared rows, their targets as in [`Examples`], and their weights or none.
pub struct Rows {
    pub matrix: Matrix,
    pub targets: Vec<f32>,
    pub weights: Vec<f32>,
}

impl Rows {
    /// Some of them.
    pub(crate) fn some(&self, rows: &[u32]) -> Rows {
        self.examples().some(rows)
    }

    pub(crate) fn examples(&self) -> Examples<'_> {
        Examples {
            matrix: &self.matrix,
            targets: &self.targets,
            weights: &self.weights,
        }
    }

    /// As rows to judge by, which count alike.
    pub(super) fn judges(&self) -> Examples<'_> {
        Examples {
            weights: &[],
            ..self.examples()
        }
    }
}
