//! Everything learned about preparing data, stored in the model and replayed at prediction.

use crate::{
    frame::{Cell, Frame, Kind},
    models::Inputs,
};
use serde::{Deserialize, Serialize};

/// Prepared rows, as the networks take them.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    pub rows: usize,
    /// Row-major `[rows][inputs.numbers]`.
    pub numbers: Vec<f32>,
    /// Row-major `[rows][inputs.categories.len()]`.
    pub codes: Vec<u32>,
    pub inputs: Inputs,
}

/// One prepared row; reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct Features {
    pub numbers: Vec<f32>,
    pub codes: Vec<u32>,
}

/// One column a model takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub type_name: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recipe {
    columns: Vec<Input>,
}

impl Recipe {
    /// Learns from the training `rows` of the given `columns` (indices into the frame), in that order.
    pub fn fit(_frame: &Frame, _columns: &[usize], _rows: &[u32]) -> Recipe {
        todo!()
    }
    /// The columns the model takes, in feature order.
    pub fn columns(&self) -> &[Input] {
        &self.columns
    }
    pub fn inputs(&self) -> Inputs {
        todo!()
    }
    /// A scratch row of the right size.
    pub fn scratch(&self) -> Features {
        todo!()
    }
    /// Prepares one row, cells in feature order. Allocates nothing.
    pub fn apply(&self, _cells: &[Cell<'_>], _out: &mut Features) {
        todo!()
    }
    /// Prepares rows of a frame; columns are found by name.
    pub fn transform(&self, _frame: &Frame, _rows: &[u32]) -> Matrix {
        todo!()
    }
}
