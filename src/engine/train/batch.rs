//! Rows of a matrix as tensors: one-hot blocks are written out here, so memory holds only codes.

use super::Examples;
use crate::models::{Encoding, Inputs};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

/// A batch on its device.
pub struct Batch<B: Backend> {
    /// `[rows, numbers + one-hot]`.
    pub dense: Tensor<B, 2>,
    /// `[rows, embeddings]`; `None` without embeddings.
    pub codes: Option<Tensor<B, 2, Int>>,
    /// Per bag: `[rows, longest]` tokens, and what each counts, 1 / length or 0 beyond the end.
    pub bags: Vec<(Tensor<B, 2, Int>, Tensor<B, 2>)>,
    /// `[rows][targets of a row]`.
    pub targets: Vec<f32>,
    /// `[rows]`; empty: all 1.
    pub weights: Vec<f32>,
}

/// Gathers the given rows for a model that takes them as `inputs` says.
pub fn gather<B: Backend>(
    examples: &Examples<'_>,
    inputs: &Inputs,
    rows: &[u32],
    device: &B::Device,
) -> Batch<B> {
    let matrix = examples.matrix;
    let categories = inputs.categories.len();
    let width = inputs.numbers + inputs.one_hot();
    let embeddings: Vec<usize> = inputs.embedded().map(|(c, ..)| c).collect();
    let mut dense = vec![0f32; rows.len() * width];
    let mut codes = Vec::with_capacity(rows.len() * embeddings.len());
    for (i, &row) in rows.iter().enumerate() {
        let row = row as usize;
        let out = &mut dense[i * width..(i + 1) * width];
        out[..inputs.numbers]
            .copy_from_slice(&matrix.numbers[row * inputs.numbers..(row + 1) * inputs.numbers]);
        let row_codes = &matrix.codes[row * categories..(row + 1) * categories];
        let mut offset = inputs.numbers;
        for (category, &code) in inputs.categories.iter().zip(row_codes) {
            if category.encoding == Encoding::OneHot {
                if code > 0 {
                    out[offset + code as usize - 1] = 1.0;
                }
                offset += category.levels;
            }
        }
        codes.extend(embeddings.iter().map(|&c| row_codes[c] as i32));
    }
    let pick = |values: &[f32]| -> Vec<f32> {
        let width = values.len() / matrix.rows.max(1);
        let own = |&row: &u32| &values[row as usize * width..(row as usize + 1) * width];
        rows.iter().flat_map(own).copied().collect()
    };
    let bags = (0..inputs.bags.len()).map(|b| {
        let of = |&row: &u32| matrix.bag(row as usize, b);
        let longest = rows
            .iter()
            .map(|row| of(row).len())
            .max()
            .unwrap_or(0)
            .max(1);
        let mut tokens = vec![0i32; rows.len() * longest];
        let mut shares = vec![0f32; rows.len() * longest];
        for (i, bag) in rows.iter().map(of).enumerate() {
            for (j, &token) in bag.iter().enumerate() {
                tokens[i * longest + j] = token as i32;
                shares[i * longest + j] = 1.0 / bag.len() as f32;
            }
        }
        let shape = [rows.len(), longest];
        (
            Tensor::from_data(TensorData::new(tokens, shape), device),
            Tensor::from_data(TensorData::new(shares, shape), device),
        )
    });
    Batch {
        bags: bags.collect(),
        dense: Tensor::from_data(TensorData::new(dense, [rows.len(), width]), device),
        codes: (!embeddings.is_empty()).then(|| {
            Tensor::from_data(
                TensorData::new(codes, [rows.len(), embeddings.len()]),
                device,
            )
        }),
        targets: pick(examples.targets),
        weights: pick(examples.weights),
    }
}
