//! The tokens of rows: one for each feature, after one that stands for the row; and the way of a gradient back from them.

use super::inputs::{add, back_number, settle_number};
use super::parameters::Table;
use crate::models::{Transformer, TransformerParts};
use crate::recipe::Matrix;
use std::ops::Range;

/// What a transformer's tokens are made of.
pub(super) struct Features<'a> {
    pub(super) model: &'a Transformer,
    pub(super) parts: &'a TransformerParts,
    /// Where the weights of each number embedding lie among the dense weights.
    pub(super) embeddings: &'a [Range<usize>],
    pub(super) weights: &'a [f32],
    /// Of the categories, then of the bags.
    pub(super) tables: &'a [Table],
    /// Number embeddings prepared for look-up.
    pub(super) curves: &'a [Vec<f32>],
}

impl Features<'_> {
    /// The codes of a row and the tokens they join: `(table, token, codes)`.
    fn codes<'m>(
        &'m self,
        matrix: &'m Matrix,
        row: usize,
    ) -> impl Iterator<Item = (usize, usize, &'m [u32])> + 'm {
        let tokens = &self.model.tokens;
        let categories = tokens.categories.len();
        let codes = &matrix.codes[row * categories..(row + 1) * categories];
        let own = tokens.categories.iter().enumerate();
        let own = own.map(move |(c, token)| (c, *token, &codes[c..=c]));
        let bags = tokens.bags.iter().enumerate();
        own.chain(bags.map(move |(b, token)| (categories + b, *token, matrix.bag(row, b))))
    }

    /// Writes the tokens of a row, `[tokens][width]`.
    pub(super) fn write(&self, matrix: &Matrix, row: usize, out: &mut [f32]) {
        let (model, width) = (self.model, self.model.width);
        out.copy_from_slice(&self.weights[self.parts.tokens.clone()]);
        let numbers = model.inputs.numbers;
        let numbers = &matrix.numbers[row * numbers..(row + 1) * numbers];
        let weights = self.weights[self.parts.numbers.clone()].chunks_exact(width);
        for ((x, token), weights) in numbers.iter().zip(&model.tokens.numbers).zip(weights) {
            if *x != 0.0 {
                add(&mut out[token * width..(token + 1) * width], weights, *x);
            }
        }
        for (table, token, codes) in self.codes(matrix, row) {
            let factor = 1.0 / codes.len().max(1) as f32;
            let out = &mut out[token * width..(token + 1) * width];
            for code in codes {
                add(out, self.tables[table].vector(*code), factor);
            }
        }
        for (embedding, curve) in model.number_embeddings.iter().zip(self.curves) {
            let token = model.tokens.numbers[embedding.input];
            let out = &mut out[token * width..(token + 1) * width];
            embedding.add(curve, numbers[embedding.input], out);
        }
    }

    /// Adds the gradient by the tokens of a row to that by all but the tables. [`Features::settle`] ends it.
    pub(super) fn back(&self, matrix: &Matrix, row: usize, delta: &[f32], gradient: &mut [f32]) {
        let (model, width) = (self.model, self.model.width);
        add(&mut gradient[self.parts.tokens.clone()], delta, 1.0);
        let numbers = model.inputs.numbers;
        let numbers = &matrix.numbers[row * numbers..(row + 1) * numbers];
        let own = gradient[self.parts.numbers.clone()].chunks_exact_mut(width);
        for ((x, token), own) in numbers.iter().zip(&model.tokens.numbers).zip(own) {
            if *x != 0.0 {
                add(own, &delta[token * width..(token + 1) * width], *x);
            }
        }
        for (embedding, range) in model.number_embeddings.iter().zip(self.embeddings) {
            let token = model.tokens.numbers[embedding.input];
            let g = &delta[token * width..(token + 1) * width];
            let (x, own) = (numbers[embedding.input], &mut gradient[range.clone()]);
            back_number(embedding, &self.weights[range.clone()], x, g, own);
        }
    }

    /// Ends the gradient of the number embeddings after the last row.
    pub(super) fn settle(&self, gradient: &mut [f32]) {
        for (embedding, range) in self.model.number_embeddings.iter().zip(self.embeddings) {
            settle_number(embedding, &mut gradient[range.clone()]);
        }
    }

    /// Adds the gradient by the tokens of a row to the tables, which are those of [`Features::tables`].
    pub(super) fn back_tables(
        &self,
        matrix: &Matrix,
        row: usize,
        delta: &[f32],
        tables: &mut [Table],
    ) {
        let width = self.model.width;
        for (table, token, codes) in self.codes(matrix, row) {
            let factor = 1.0 / codes.len().max(1) as f32;
            let g = &delta[token * width..(token + 1) * width];
            codes
                .iter()
                .for_each(|code| tables[table].add(*code, g, factor));
        }
    }
}
