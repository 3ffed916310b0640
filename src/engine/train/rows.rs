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
        let width = self.targets.len() / self.matrix.rows.max(1);
        let own = |row: &u32| &self.targets[*row as usize * width..(*row as usize + 1) * width];
        let weight = |row: &u32| self.weights.get(*row as usize).copied();
        Rows {
            matrix: self.matrix.some(rows),
            targets: rows.iter().flat_map(own).copied().collect(),
            weights: rows.iter().filter_map(weight).collect(),
        }
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
