//! What enters the first layer: one row of numbers for each row of the matrix, and the way of a gradient back from it.

use super::parameters::{Layout, Table};
use crate::models::{Basis, Encoding, Inputs, NumberEmbedding, place};
use crate::recipe::Matrix;
use std::f32::consts::TAU;

/// How the inputs of a network are laid out.
pub(super) struct Front<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) number_embeddings: &'a [NumberEmbedding],
    pub(super) width: usize,
    /// Inputs before this are given; from here on they are learned.
    pub(super) learned: usize,
}

/// The part of a matrix that says which vectors a row takes: `(table, codes)` in the order of the inputs.
fn vectors<'a>(
    inputs: &'a Inputs,
    matrix: &'a Matrix,
    row: usize,
) -> impl Iterator<Item = (usize, &'a [u32])> + 'a {
    let codes = &matrix.codes[row * inputs.categories.len()..];
    let embedded = inputs
        .embedded()
        .enumerate()
        .map(move |(table, (c, ..))| (table, &codes[c..=c]));
    let first_bag = inputs.embedded().count();
    let bags = (0..inputs.bags.len()).map(move |b| (first_bag + b, matrix.bag(row, b)));
    embedded.chain(bags)
}

impl Front<'_> {
    /// Writes row `row` of the matrix into `x`. `curves` are the number embeddings as [`NumberEmbedding::curve`] prepares them.
    pub(super) fn write(
        &self,
        matrix: &Matrix,
        row: usize,
        tables: &[Table],
        curves: &[Vec<f32>],
        x: &mut [f32],
    ) {
        let inputs = self.inputs;
        let numbers = &matrix.numbers[row * inputs.numbers..(row + 1) * inputs.numbers];
        x[..inputs.numbers].copy_from_slice(numbers);
        x[inputs.numbers..].fill(0.0);
        let codes = &matrix.codes[row * inputs.categories.len()..];
        let mut at = inputs.numbers;
        for (category, &code) in inputs.categories.iter().zip(codes) {
            if category.encoding == Encoding::OneHot {
                if code > 0 {
                    x[at + code as usize - 1] = 1.0;
                }
                at += category.levels;
            }
        }
        for (table, codes) in vectors(inputs, matrix, row) {
            let table = &tables[table];
            let factor = 1.0 / codes.len().max(1) as f32;
            let out = &mut x[at..at + table.dim()];
            for &code in codes {
                for (x, v) in out.iter_mut().zip(table.vector(code)) {
                    *x += factor * v;
                }
            }
            at += out.len();
        }
        for (embedding, curve) in self.number_embeddings.iter().zip(curves) {
            let out = &mut x[at..at + embedding.dim];
            embedding.value(curve, numbers[embedding.input], out);
            at += embedding.dim;
        }
    }

    /// Adds the gradient of a row's learned inputs, `[learned..width]`, to the gradient of the number embeddings.
    /// [`Front::settle`] ends it.
    pub(super) fn back(
        &self,
        matrix: &Matrix,
        row: usize,
        dx: &[f32],
        weights: &[f32],
        layout: &Layout,
        gradient: &mut [f32],
    ) {
        let numbers = &matrix.numbers[row * self.inputs.numbers..];
        let mut at = dx.len() - self.number_embeddings.iter().map(|e| e.dim).sum::<usize>();
        for (embedding, range) in self.number_embeddings.iter().zip(&layout.number_embeddings) {
            let g = &dx[at..at + embedding.dim];
            at += embedding.dim;
            let (x, own) = (numbers[embedding.input], &mut gradient[range.clone()]);
            back_number(embedding, &weights[range.clone()], x, g, own);
        }
    }

    /// Ends the gradient of the number embeddings after the last row of a batch.
    pub(super) fn settle(&self, layout: &Layout, gradient: &mut [f32]) {
        for (embedding, range) in self.number_embeddings.iter().zip(&layout.number_embeddings) {
            settle_number(embedding, &mut gradient[range.clone()]);
        }
    }

    /// Adds the gradient of a row's embeddings and bags to their tables.
    pub(super) fn back_tables(
        &self,
        matrix: &Matrix,
        row: usize,
        dx: &[f32],
        tables: &mut [Table],
    ) {
        let mut at = 0;
        for (table, codes) in vectors(self.inputs, matrix, row) {
            let table = &mut tables[table];
            let g = &dx[at..at + table.dim()];
            at += table.dim();
            let factor = 1.0 / codes.len().max(1) as f32;
            codes.iter().for_each(|&code| table.add(code, g, factor));
        }
    }
}

/// Adds the gradient `g` by the embedding of `x` to that by its weights; [`settle_number`] ends it.
pub(super) fn back_number(
    embedding: &NumberEmbedding,
    weights: &[f32],
    x: f32,
    g: &[f32],
    own: &mut [f32],
) {
    let dim = embedding.dim;
    match &embedding.basis {
        Basis::PiecewiseLinear { knots } => {
            let (bin, share) = place(knots, x);
            // All bins below count in full: that is added up once for the batch, in `settle_number`.
            if bin > 0 {
                add(&mut own[(bin - 1) * dim..bin * dim], g, 1.0);
            }
            // What the bin itself gets must not flow to those below it.
            add(&mut own[bin * dim..(bin + 1) * dim], g, share);
            if bin > 0 {
                add(&mut own[(bin - 1) * dim..bin * dim], g, -share);
            }
        }
        Basis::Periodic { frequencies } => {
            let n = *frequencies;
            for i in 0..n {
                let angle = TAU * (weights[i] * x + weights[n + i]);
                let (sin, cos) = angle.sin_cos();
                let row = 2 * n + i * dim..2 * n + (i + 1) * dim;
                let products = weights[row.clone()].iter().zip(g);
                let d = -TAU * sin * products.map(|(w, g)| w * g).sum::<f32>();
                own[i] += d * x;
                own[n + i] += d;
                add(&mut own[row], g, cos);
            }
        }
    }
}

/// Ends the gradient of a piecewise-linear embedding after the last row: what was noted at a bin belongs to all bins below it as
/// well.
pub(super) fn settle_number(embedding: &NumberEmbedding, own: &mut [f32]) {
    if let Basis::PiecewiseLinear { .. } = embedding.basis {
        let dim = embedding.dim;
        for bin in (1..embedding.functions()).rev() {
            let (below, this) = own.split_at_mut(bin * dim);
            add(&mut below[(bin - 1) * dim..], &this[..dim], 1.0);
        }
    }
}

pub(super) fn add(to: &mut [f32], g: &[f32], factor: f32) {
    for (to, g) in to.iter_mut().zip(g) {
        *to += factor * g;
    }
}
