//! Everything learned about preparing data, stored in the model and replayed at prediction.

mod category;
mod number;
mod time;

use crate::{
    frame::{Cell, Column, Frame, Kind},
    models::{CategoryInput, Inputs},
};
use category::Category;
use number::Number;
use serde::{Deserialize, Serialize};
use time::Time;

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

/// How one column becomes inputs of the network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Number(Number),
    Category(Category),
    Time(Time),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recipe {
    columns: Vec<Input>,
    steps: Vec<Step>,
}

impl Recipe {
    /// Learns from the training `rows` of the given `columns` (indices into the frame), in that order.
    pub fn fit(frame: &Frame, columns: &[usize], rows: &[u32]) -> Recipe {
        let (mut inputs, mut steps) = (Vec::new(), Vec::new());
        for column in columns.iter().filter_map(|&i| frame.columns.get(i)) {
            inputs.push(Input {
                name: column.name.clone(),
                type_name: column.type_name.clone(),
                kind: column.kind,
            });
            steps.push(match column.kind {
                Kind::Number | Kind::Duration => {
                    Step::Number(Number::fit(present_numbers(column, rows), rows.len()))
                }
                Kind::Boolean | Kind::Category => Step::Category(Category::fit(column, rows)),
                Kind::Time => Step::Time(Time::fit(column, rows)),
            });
        }
        Recipe {
            columns: inputs,
            steps,
        }
    }

    /// The columns the model takes, in feature order.
    pub fn columns(&self) -> &[Input] {
        &self.columns
    }

    /// Whether every column has its step: what `apply` relies on for bytes from a table.
    pub fn is_sound(&self) -> bool {
        self.columns.len() == self.steps.len()
    }

    pub fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::default();
        for step in &self.steps {
            match step {
                Step::Number(number) => inputs.numbers += number.width(),
                Step::Time(time) => inputs.numbers += time.width(),
                Step::Category(category) => {
                    inputs.categories.push(CategoryInput {
                        levels: category.levels(),
                        encoding: category.encoding(),
                    });
                }
            }
        }
        inputs
    }

    /// A scratch row of the right size.
    pub fn scratch(&self) -> Features {
        let inputs = self.inputs();
        Features {
            numbers: vec![0.0; inputs.numbers],
            codes: vec![0; inputs.categories.len()],
        }
    }

    /// Prepares one row, cells in feature order; a cell that is not there counts as missing. Allocates nothing.
    pub fn apply(&self, cells: &[Cell<'_>], out: &mut Features) {
        self.write(
            |i| cells.get(i).copied().unwrap_or(Cell::Null),
            &mut out.numbers,
            &mut out.codes,
        );
    }

    fn write<'a>(&self, cell: impl Fn(usize) -> Cell<'a>, numbers: &mut [f32], codes: &mut [u32]) {
        let (mut numbers, mut codes) = (numbers, codes);
        for (i, step) in self.steps.iter().enumerate() {
            match step {
                Step::Number(number) => {
                    let (own, rest) = numbers.split_at_mut(number.width());
                    number.write(cell(i), own);
                    numbers = rest;
                }
                Step::Time(time) => {
                    let (own, rest) = numbers.split_at_mut(time.width());
                    time.write(cell(i), own);
                    numbers = rest;
                }
                Step::Category(category) => {
                    let (own, rest) = codes.split_at_mut(1);
                    own[0] = category.code(cell(i));
                    codes = rest;
                }
            }
        }
    }

    /// Prepares rows of a frame; columns are found by name, and one that is not there counts as missing.
    pub fn transform(&self, frame: &Frame, rows: &[u32]) -> Matrix {
        let inputs = self.inputs();
        let columns: Vec<Option<&Column>> = self
            .columns
            .iter()
            .map(|input| frame.column(&input.name))
            .collect();
        let (width, categories) = (inputs.numbers, inputs.categories.len());
        let mut numbers = vec![0f32; rows.len() * width];
        let mut codes = vec![0u32; rows.len() * categories];
        for (i, &row) in rows.iter().enumerate() {
            self.write(
                |c| columns[c].map_or(Cell::Null, |column| column.cell(row as usize)),
                &mut numbers[i * width..(i + 1) * width],
                &mut codes[i * categories..(i + 1) * categories],
            );
        }
        Matrix {
            rows: rows.len(),
            numbers,
            codes,
            inputs,
        }
    }
}

/// The values of the rows that have one.
fn present_numbers(column: &Column, rows: &[u32]) -> Vec<f64> {
    let value = |&row: &u32| match column.cell(row as usize) {
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        Cell::Time(x) => Some(x as f64),
        _ => None,
    };
    rows.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests;
