//! Rows of a frame to a matrix.

use super::target_mean::Means;
use super::{Matrix, Recipe, step::Step};
use crate::frame::{Cell, Column, Frame};
use rayon::prelude::*;

/// Rows that are prepared together, column by column: their inputs stay in the processor's cache.
const TOGETHER: usize = 256;

impl Recipe {
    /// Prepares rows of a frame; columns are found by name, and one that is not there counts as missing.
    pub fn transform(&self, frame: &Frame, rows: &[u32]) -> Matrix {
        self.prepare(frame, rows, false)
    }

    /// The same on all threads.
    pub fn transform_in_parallel(&self, frame: &Frame, rows: &[u32]) -> Matrix {
        self.prepare(frame, rows, true)
    }

    fn prepare(&self, frame: &Frame, rows: &[u32], in_parallel: bool) -> Matrix {
        if !self.clean.is_nothing() {
            let clean = self.clean.frame(frame, rows);
            let rows: Vec<u32> = (0..rows.len() as u32).collect();
            return self.prepare_clean(&clean, &rows, in_parallel);
        }
        self.prepare_clean(frame, rows, in_parallel)
    }

    fn prepare_clean(&self, frame: &Frame, rows: &[u32], in_parallel: bool) -> Matrix {
        let inputs = self.inputs();
        let columns: Vec<Option<&Column>> = self
            .columns
            .iter()
            .map(|input| frame.column(&input.name))
            .collect();
        let (width, categories) = (inputs.numbers, inputs.categories.len());
        let mut numbers = vec![0f32; rows.len() * width];
        let mut codes = vec![0u32; rows.len() * categories];
        let (mut tokens, mut token_ends) = (Vec::new(), Vec::new());
        if !inputs.bags.is_empty() {
            for &row in rows {
                let cell = |c: usize| cell_of(columns[c], row);
                self.write_tokens(cell, &mut tokens, &mut token_ends);
            }
        }
        let mut rest = (&mut numbers[..], &mut codes[..]);
        let blocks = rows.chunks(TOGETHER).map(|rows| {
            let (numbers, more_numbers) =
                std::mem::take(&mut rest.0).split_at_mut(rows.len() * width);
            let (codes, more_codes) =
                std::mem::take(&mut rest.1).split_at_mut(rows.len() * categories);
            rest = (more_numbers, more_codes);
            (rows, numbers, codes)
        });
        let write = |(rows, numbers, codes): (&[u32], &mut [f32], &mut [u32])| {
            let (mut at, mut shares) = ((0, 0), Vec::new());
            for (step, column) in self.steps.iter().zip(&columns) {
                let next = (at.0 + step.numbers(), at.1 + step.codes());
                if let Step::Number(number) = step {
                    let cells = rows.iter().map(|&row| cell_of(*column, row));
                    number.write_rows(cells, &mut numbers[at.0..], width, &mut shares);
                } else {
                    for (i, &row) in rows.iter().enumerate() {
                        let numbers = &mut numbers[i * width..][at.0..next.0];
                        let codes = &mut codes[i * categories..][at.1..next.1];
                        step.write(cell_of(*column, row), numbers, codes);
                    }
                }
                at = next;
            }
            for (i, &row) in rows.iter().enumerate() {
                let numbers = &mut numbers[i * width..(i + 1) * width][at.0..];
                let codes = &mut codes[i * categories..(i + 1) * categories][at.1..];
                self.write_made(|c| cell_of(columns[c], row), numbers, codes);
            }
        };
        match in_parallel {
            true => blocks.collect::<Vec<_>>().into_par_iter().for_each(write),
            false => blocks.for_each(write),
        }
        Matrix {
            rows: rows.len(),
            numbers,
            codes,
            tokens,
            token_ends,
            singles: self.singles(),
            features: self.features(),
            inputs,
        }
    }

    /// Prepares the rows this recipe was fitted to, in their order: what was learned from the target enters a row only from
    /// the other rows. On all threads.
    pub fn transform_training(&self, frame: &Frame, rows: &[u32]) -> Matrix {
        let mut matrix = self.transform_in_parallel(frame, rows);
        let (width, mut start) = (matrix.inputs.numbers, 0);
        let mut replace = |start: usize, means: &Means| {
            for (position, row) in matrix.numbers.chunks_exact_mut(width).enumerate() {
                if let Some(means) = means.of_training_row(position) {
                    row[start..start + means.len()].copy_from_slice(means);
                }
            }
        };
        for step in &self.steps {
            if let Step::TargetMean(mean) = step {
                replace(start, &mean.means);
            }
            start += step.numbers();
        }
        start += self.derived.iter().map(|d| d.number.width()).sum::<usize>();
        for cross in &self.crosses {
            if let Some(means) = cross.means() {
                replace(start, means);
            }
            start += cross.numbers();
        }
        matrix
    }
}

/// A column that is not there is missing in every row.
#[inline]
fn cell_of(column: Option<&Column>, row: u32) -> Cell<'_> {
    column.map_or(Cell::Null, |column| column.cell(row as usize))
}
