//! How the inputs of a linear model go together, from a sample of rows where there are many (Erdogdu and Montanari 2015, "Convergence
//! rates of sub-sampled Newton methods"): what it costs does not grow faster than a pass over all rows.

use super::Design;
use super::quadratic::Products;
use crate::random::Random;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, Axis, s};
use rayon::prelude::*;

/// Rows of a sample for each input, at least.
const ROWS_PER_INPUT: usize = 20;
/// A product of two inputs costs so much less than to look at one in a pass.
const CHEAPER: usize = 16;
/// Work that takes a few milliseconds.
const LITTLE: usize = 10_000_000;
/// Rows that are multiplied at a time, and inputs of each thread's share.
const ROWS: usize = 1024;
const BAND: usize = 64;
/// An input that is told by fewer rows of the sample than this is told apart from the others by less.
const FEW: f64 = 4.0;
/// With so many times more inputs than rows, the rows are kept in place of the products.
const WIDE: usize = 4;
/// The most places of which all products are kept.
pub(super) const MOST_PLACES: usize = 2000;

/// The second derivatives by some coefficients, each divided by the roots of those by the two alone.
pub(super) struct Curvature {
    /// The places of the coefficients; ascending.
    pub(super) places: Vec<usize>,
    /// On the diagonal there is more than 1 where the sample says little.
    pub(super) products: Products,
    /// Work done since, in inputs looked at.
    pub(super) spent: usize,
}

/// Rows that are looked at, and the work, in inputs looked at in a pass.
fn cost(design: &Design<'_>, places: usize) -> (usize, usize) {
    let rows = design.rows();
    let each = places * places / CHEAPER + design.looked_at();
    let cheap = rows * design.looked_at() / each;
    let sample = cheap.max(ROWS_PER_INPUT * places).min(rows);
    (sample, sample * each)
}

/// Whether what is kept of so many places together is not more than `room` numbers, nor slow to find.
pub(super) fn fits(design: &Design<'_>, places: usize, room: usize) -> bool {
    match is_wide(design, places) {
        true => design.rows() * places <= room,
        false => places * places <= room && places <= MOST_PLACES,
    }
}

fn is_wide(design: &Design<'_>, places: usize) -> bool {
    design.rows() <= places / WIDE
}

impl Curvature {
    /// Whether it is time to look again.
    pub(super) fn is_old(&self, design: &Design<'_>) -> bool {
        let (_, work) = cost(design, self.places.len());
        work <= LITTLE || work <= self.spent
    }

    /// `second` is the second derivative by a row's sum, times its weight.
    pub(super) fn new(
        design: &Design<'_>,
        places: Vec<usize>,
        second: &(impl Fn(usize) -> f64 + Sync),
    ) -> Curvature {
        let size = places.len();
        let inputs: Vec<usize> = places[1..].iter().map(|place| place - 1).collect();
        let (count, _) = cost(design, size);
        let is_wide = is_wide(design, size);
        let design = design.only(&inputs);
        if is_wide {
            return Curvature {
                products: Products::Rows(columns(&design, second)),
                places,
                spent: 0,
            };
        }
        let sample = sample(design.rows(), count);
        let mut products = Array2::<f64>::zeros((size, size));
        let mut fourths = vec![0.0; size];
        let mut block = Array2::<f64>::zeros((ROWS, size));
        for rows in sample.chunks(ROWS) {
            let used = block.as_slice_mut().unwrap_or_default();
            let used = &mut used[..rows.len() * size];
            let fill = |entries: &mut Vec<(usize, f64)>, (out, row): (&mut [f64], &usize)| {
                let weight = second(*row).sqrt();
                out.fill(0.0);
                design.entries(*row, entries);
                entries.iter().for_each(|(at, x)| out[*at] = weight * x);
            };
            used.par_chunks_mut(size)
                .zip(rows)
                .for_each_init(Vec::new, fill);
            for own in used.chunks_exact(size) {
                let own = own.iter().map(|x| x.powi(4));
                fourths.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
            }
            let block = block.slice(s![..rows.len(), ..]);
            let bands: Vec<_> = products
                .axis_chunks_iter_mut(Axis(0), BAND)
                .enumerate()
                .collect();
            bands.into_par_iter().for_each(|(band, mut out)| {
                // The lower triangle, and what else of it the band has.
                let (start, end) = (band * BAND, band * BAND + out.nrows());
                let (left, right) = (block.slice(s![.., start..end]), block.slice(s![.., ..end]));
                general_mat_mul(
                    1.0,
                    &left.t(),
                    &right,
                    1.0,
                    &mut out.slice_mut(s![.., ..end]),
                );
            });
        }
        let mut matrix = products.into_raw_vec_and_offset().0;
        let whole = count == design.rows();
        let squares: Vec<f64> = (0..size).map(|at| matrix[at * size + at]).collect();
        for row in 0..size {
            for column in 0..row {
                let both = (squares[row] * squares[column]).sqrt();
                let own = matrix[row * size + column];
                let own = if both > 0.0 { own / both } else { 0.0 };
                matrix[row * size + column] = own;
                matrix[column * size + row] = own;
            }
            // So many rows of equal weight would say as much of the input.
            let told = match fourths[row] {
                0.0 => 0.0,
                fourths => squares[row] * squares[row] / fourths,
            };
            matrix[row * size + row] = if whole { 1.0 } else { 1.0 + FEW / (FEW + told) };
        }
        Curvature {
            places,
            products: Products::All(matrix),
            spent: 0,
        }
    }
}

/// The inputs of all rows times the roots of the second derivatives, each input of length 1; `[width][rows]`.
fn columns(design: &Design<'_>, second: &impl Fn(usize) -> f64) -> Vec<f64> {
    let rows = design.rows();
    let mut columns = vec![0.0; design.width * rows];
    let mut entries = Vec::new();
    for row in 0..rows {
        let weight = second(row).sqrt();
        design.entries(row, &mut entries);
        entries
            .iter()
            .for_each(|(at, x)| columns[at * rows + row] = weight * x);
    }
    for column in columns.chunks_exact_mut(rows) {
        let length = column.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 0.0 {
            column.iter_mut().for_each(|x| *x /= length);
        }
    }
    columns
}

/// Rows at random, one of each of `count` even stretches.
fn sample(rows: usize, count: usize) -> Vec<usize> {
    if count == rows {
        return (0..rows).collect();
    }
    let mut random = Random::new(0);
    let stretch = rows as f64 / count as f64;
    let row = |k: usize| ((k as f64 + random.uniform()) * stretch) as usize;
    (0..count).map(row).map(|row| row.min(rows - 1)).collect()
}
