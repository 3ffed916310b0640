//! Linear and logistic models with an elastic net penalty (Zou and Hastie 2005), and what can be said about their coefficients.
//!
//! Inputs are those of a matrix: its numbers, and one of 0 or 1 for each level of a category. They stay as they are, mostly
//! zeros, so that a row costs as much as it has other values.

mod cholesky;
mod coefficients;
mod curvature;
mod quadratic;
mod slope;
mod solve;
#[cfg(test)]
mod tests;

use crate::models::Output;
use crate::recipe::Matrix;
pub use coefficients::Coefficient;
pub(crate) use coefficients::coefficients;
use rayon::prelude::*;
pub(crate) use solve::{Penalty, Solver, smallest_without};
use std::ops::Range;

/// No input.
const NONE: u32 = u32::MAX;
/// Rows that are added up at a time, at least; and the most such parts, so that their sums stay small.
const PART: usize = 2048;
const MOST_PARTS: usize = 16;

/// Rows as the inputs of a linear model. Place 0 is the intercept.
pub(crate) struct Design<'a> {
    matrix: &'a Matrix,
    /// The place of each number, then of each level (from code 1) of each category.
    places: Vec<u32>,
    /// Where the levels of each category begin among the places.
    starts: Vec<usize>,
    /// So many numbers, the first ones, have the places from 1 on in their order.
    dense: usize,
    /// Places in all.
    pub(crate) width: usize,
}

/// What a model should answer for the rows of a design.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a> {
    pub(crate) output: Output,
    pub(crate) outputs: usize,
    /// Class codes or values, one a row.
    pub(crate) targets: &'a [f32],
    /// One a row, or none: all 1.
    pub(crate) weights: &'a [f32],
    /// When to stop with what there is.
    pub(crate) until: Option<std::time::Instant>,
}

impl Goal<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.get(row).map_or(1.0, |w| f64::from(*w))
    }

    fn total(&self, rows: usize) -> f64 {
        match self.weights {
            [] => rows as f64,
            weights => weights.iter().map(|w| f64::from(*w)).sum(),
        }
    }
}

impl<'a> Design<'a> {
    /// All inputs of the matrix, in order.
    pub(crate) fn all(matrix: &'a Matrix) -> Design<'a> {
        let inputs = &matrix.inputs;
        let mut count = inputs.numbers;
        let starts = inputs.categories.iter().map(|category| {
            count += category.levels;
            count - category.levels
        });
        let starts: Vec<usize> = starts.collect();
        Design {
            matrix,
            starts,
            places: (1..=count as u32).collect(),
            dense: inputs.numbers,
            width: count + 1,
        }
    }

    /// Some of the inputs (by their order in [`Design::all`], from 0), which get the places from 1 in the order given.
    pub(crate) fn only(&self, inputs: &[usize]) -> Design<'a> {
        let mut places = vec![NONE; self.places.len()];
        for (place, input) in inputs.iter().enumerate() {
            places[*input] = place as u32 + 1;
        }
        Design {
            matrix: self.matrix,
            starts: self.starts.clone(),
            places,
            dense: 0,
            width: inputs.len() + 1,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.matrix.rows
    }

    /// What a row brings, at most: numbers, categories and the intercept.
    fn looked_at(&self) -> usize {
        self.matrix.inputs.numbers + self.starts.len() + 1
    }

    /// The places of a row that are not 0, and their values.
    fn entries(&self, row: usize, out: &mut Vec<(usize, f64)>) {
        self.others(row, 0, out);
        out.push((0, 1.0));
    }

    /// The numbers of a row.
    fn numbers(&self, row: usize) -> &[f32] {
        let numbers = self.matrix.inputs.numbers;
        &self.matrix.numbers[row * numbers..(row + 1) * numbers]
    }

    /// The same without the intercept and the first numbers.
    fn others(&self, row: usize, without: usize, out: &mut Vec<(usize, f64)>) {
        out.clear();
        let values = self.numbers(row).iter().zip(&self.places).skip(without);
        let values = values.filter(|(x, place)| **x != 0.0 && **place != NONE);
        out.extend(values.map(|(x, place)| (*place as usize, f64::from(*x))));
        let categories = self.starts.len();
        let codes = &self.matrix.codes[row * categories..(row + 1) * categories];
        for (code, start) in codes.iter().zip(&self.starts) {
            let place = match code.checked_sub(1) {
                None => NONE,
                Some(level) => self.places[start + level as usize],
            };
            if place != NONE {
                out.push((place as usize, 1.0));
            }
        }
    }

    /// In how many rows each input is not 0.
    fn counts(&self) -> Vec<usize> {
        let count = |_, entries: &[(usize, f64)], counts: &mut [f64]| {
            entries.iter().for_each(|(place, _)| counts[*place] += 1.0);
        };
        let counts = self.add_up(self.width, count);
        counts.into_iter().map(|count| count as usize).collect()
    }

    /// The sums of `coefficients` (`[width]`) times inputs, for each row.
    fn sums(&self, coefficients: &[f64]) -> Vec<f64> {
        let part = |rows: Range<usize>| -> Vec<f64> {
            let mut entries = Vec::new();
            let sum = |row| {
                self.entries(row, &mut entries);
                entries.iter().map(|(at, x)| coefficients[*at] * x).sum()
            };
            rows.map(sum).collect()
        };
        let parts: Vec<Vec<f64>> = self.parts(PART).map(part).collect();
        parts.concat()
    }

    /// The rows, so many at a time.
    fn parts(&self, size: usize) -> impl IndexedParallelIterator<Item = Range<usize>> + use<> {
        let rows = self.rows();
        let parts = (0..rows.div_ceil(size)).into_par_iter();
        parts.map(move |at| at * size..((at + 1) * size).min(rows))
    }

    /// Adds up something of all rows in fixed parts, so that threads change nothing: `add` is given a row, its entries and
    /// the sums so far, `size` of them.
    fn add_up(
        &self,
        size: usize,
        add: impl Fn(usize, &[(usize, f64)], &mut [f64]) + Sync,
    ) -> Vec<f64> {
        let part = self.rows().div_ceil(MOST_PARTS).max(PART);
        let sums: Vec<Vec<f64>> = self
            .parts(part)
            .map(|rows| {
                let (mut entries, mut sums) = (Vec::new(), vec![0.0; size]);
                for row in rows {
                    self.entries(row, &mut entries);
                    add(row, &entries, &mut sums);
                }
                sums
            })
            .collect();
        let mut sums = sums.into_iter();
        let mut all = sums.next().unwrap_or_else(|| vec![0.0; size]);
        sums.for_each(|part| all.iter_mut().zip(part).for_each(|(all, own)| *all += own));
        all
    }
}

/// ln Σ e^x, without overflow.
fn log_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + values.map(|x| (x - largest).exp()).sum::<f64>().ln()
}
