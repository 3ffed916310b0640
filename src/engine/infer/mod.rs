//! Prediction: our own forward pass, SIMD-friendly, allocating nothing per row.

use crate::{
    artifact::Artifact,
    frame::{Cell, Frame},
    recipe::Features,
};

/// Buffers for one caller; reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    pub features: Features,
    pub layers: [Vec<f32>; 2],
    pub outputs: Vec<f64>,
}

/// A model ready to answer.
pub struct Predictor {
    artifact: Artifact,
}

impl Predictor {
    pub fn new(artifact: Artifact) -> Predictor {
        Predictor { artifact }
    }
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }
    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        todo!()
    }
    pub fn scratch(&self) -> Scratch {
        todo!()
    }
    /// Values per row: binary 1 (probability of the positive class), multiclass one probability per label, regression 1 (the value).
    pub fn width(&self) -> usize {
        todo!()
    }
    /// Cells in the recipe's feature order.
    pub fn predict<'s>(&self, _cells: &[Cell<'_>], _scratch: &'s mut Scratch) -> &'s [f64] {
        todo!()
    }
    /// Row-major `[rows.len()][width]`; columns are found by name; `threads` > 1 uses rayon.
    pub fn predict_frame(&self, _frame: &Frame, _rows: &[u32], _threads: usize) -> Vec<f64> {
        todo!()
    }
    /// The class code for one row's predictions (classification).
    pub fn class(&self, _predictions: &[f64]) -> usize {
        todo!()
    }
}
