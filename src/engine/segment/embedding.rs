//! Rows as points: prepared, every column brought to the same weight, and reduced to the principal components that tell most.

use crate::frame::{Cell, Frame};
use crate::recipe::{Features, Recipe, principal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Of the variance so much is kept.
const EXPLAINED: f64 = 0.9;
/// Components, at most: distances say little where there are many.
const MOST: usize = 32;
/// Of those that densities are looked for in.
const FEWEST: usize = 2;
const MOST_DENSE: usize = 10;
/// Inputs that components are made of, at most, those that vary most; the time grows with the cube.
const MOST_INPUTS: usize = 256;
/// Numbers that components are learned from, at most: of wide rows fewer do.
const MOST_NUMBERS: usize = 1 << 25;
/// Rows prepared at a time.
const CHUNK: usize = 16_384;

/// Which components are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Those that explain most of the variance.
    Explaining,
    /// Those that explain more than the mean one does (Kaiser 1960): fewer, and none of the steps between the levels of a category
    /// alone, which densities would take for gaps.
    Greater,
}

impl Keep {
    /// How many, by falling variances and their sum.
    fn count(self, variances: &[f64], total: f64) -> usize {
        let there = variances.iter().filter(|v| **v > 1e-9 * total).count();
        if self == Keep::Greater {
            let mean = total / there.max(1) as f64;
            let greater = variances.iter().filter(|v| **v > mean).count();
            return greater.clamp(there.clamp(1, FEWEST), MOST_DENSE);
        }
        let (mut width, mut sum) = (0, 0.0);
        while width < there.clamp(1, MOST) && sum < EXPLAINED * total {
            sum += variances[width];
            width += 1;
        }
        width
    }
}

/// What makes a point of a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Embedding {
    pub recipe: Recipe,
    /// Components.
    pub width: usize,
    /// The point of a row of zeros.
    offset: Vec<f32>,
    /// What each input adds: `[inputs][width]`, the numbers, then the levels of the categories.
    weights: Vec<f32>,
    /// Of each category, how many levels have an input.
    levels: Vec<usize>,
    /// The share of the variance that the components keep.
    pub explained: f64,
}

impl Embedding {
    /// Learns from `rows` of a frame as `recipe` prepares them. `weight` is how much each column of the recipe counts. `None`
    /// where all rows are the same.
    pub fn fit(
        recipe: Recipe,
        weight: &[f64],
        keep: Keep,
        frame: &Frame,
        rows: &[u32],
    ) -> Option<Embedding> {
        let levels = levels(&recipe);
        let owners = owners(&recipe, &levels);
        let inputs = owners.len();
        let some = (MOST_NUMBERS / inputs.max(1)).max(MOST_INPUTS);
        let rows: Vec<u32> = rows
            .iter()
            .step_by(rows.len().div_ceil(some).max(1))
            .copied()
            .collect();
        let mut dense = Vec::with_capacity(rows.len() * inputs);
        for chunk in rows.chunks(CHUNK) {
            expand(&recipe, frame, chunk, &mut dense);
        }
        let (mean, variance) = moments(&dense, inputs);
        // A column of many inputs, or one of few far values, would rule all others.
        let mut of_column = vec![0.0; recipe.columns().len()];
        owners
            .iter()
            .zip(&variance)
            .for_each(|(column, v)| of_column[*column] += v);
        let factor = |column: usize| {
            let whole: f64 = of_column[column];
            let weight = weight.get(column).copied().unwrap_or(1.0);
            weight.max(0.0).sqrt() / whole.max(1.0).sqrt()
        };
        let factors: Vec<f64> = owners.iter().map(|column| factor(*column)).collect();
        let spread = |i: usize| variance[i] * factors[i] * factors[i];
        let mut kept: Vec<usize> = (0..inputs).filter(|i| spread(*i) > 1e-12).collect();
        kept.sort_by(|a, b| spread(*b).total_cmp(&spread(*a)).then(a.cmp(b)));
        kept.truncate(MOST_INPUTS);
        kept.sort_unstable();
        if kept.is_empty() {
            return None;
        }
        let scaled: Vec<f32> = dense
            .par_chunks_exact(inputs)
            .flat_map_iter(|row| {
                kept.iter()
                    .map(|i| ((f64::from(row[*i]) - mean[*i]) * factors[*i]) as f32)
            })
            .collect();
        let (_, covariance) = principal::covariance(&scaled, kept.len());
        let (values, vectors) = principal::eigen(covariance, kept.len());
        let total: f64 = values.iter().map(|v| v.max(0.0)).sum();
        let width = keep.count(&values, total);
        let sum: f64 = values[..width].iter().sum();
        let mut weights = vec![0f32; inputs * width];
        let mut offset = vec![0f64; width];
        for (at, input) in kept.iter().enumerate() {
            for component in 0..width {
                let w = vectors[component * kept.len() + at] * factors[*input];
                weights[input * width + component] = w as f32;
                offset[component] -= w * mean[*input];
            }
        }
        Some(Embedding {
            recipe,
            width,
            offset: offset.into_iter().map(|x| x as f32).collect(),
            weights,
            levels,
            explained: if total > 0.0 { sum / total } else { 1.0 },
        })
    }

    /// Whether bytes from a table hold what the others rely on.
    pub fn is_sound(&self) -> bool {
        let finite = |all: &[f32]| all.iter().all(|x| x.is_finite());
        self.recipe.is_sound()
            && self.recipe.is_of_single_columns()
            && (1..=MOST).contains(&self.width)
            && self.offset.len() == self.width
            && self.levels == levels(&self.recipe)
            && self.weights.len()
                == owners(&self.recipe, &self.levels)
                    .len()
                    .saturating_mul(self.width)
            && finite(&self.offset)
            && finite(&self.weights)
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        4 * self.weights.len() + 256 * self.recipe.columns().len()
    }

    /// The point of one row, cells in the recipe's order.
    pub fn point(&self, cells: &[Cell<'_>], features: &mut Features, out: &mut [f32]) {
        self.recipe.apply(cells, features);
        self.project(&features.numbers, &features.codes, out);
    }

    fn project(&self, numbers: &[f32], codes: &[u32], out: &mut [f32]) {
        let width = self.width;
        out.copy_from_slice(&self.offset);
        let (of_numbers, mut of_levels) = self.weights.split_at(numbers.len() * width);
        for (x, weights) in numbers.iter().zip(of_numbers.chunks_exact(width)) {
            if *x != 0.0 {
                out.iter_mut()
                    .zip(weights)
                    .for_each(|(out, w)| *out += x * w);
            }
        }
        for (code, levels) in codes.iter().zip(&self.levels) {
            let (own, more) = of_levels.split_at(levels * width);
            of_levels = more;
            let place = (*code as usize).checked_sub(1).map(|at| at * width);
            if let Some(weights) = place.and_then(|at| own.get(at..at + width)) {
                out.iter_mut().zip(weights).for_each(|(out, w)| *out += w);
            }
        }
    }

    /// The points of rows of a frame, row-major `[rows][width]`; starts no threads.
    pub fn points(&self, frame: &Frame, rows: &[u32]) -> Vec<f32> {
        let mut out = vec![0f32; rows.len() * self.width];
        let pieces = out.chunks_mut(CHUNK * self.width);
        for (rows, out) in rows.chunks(CHUNK).zip(pieces) {
            let matrix = self.recipe.transform(frame, rows);
            let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
            for (row, out) in out.chunks_exact_mut(self.width).enumerate() {
                let numbers = &matrix.numbers[row * numbers..(row + 1) * numbers];
                self.project(numbers, &matrix.codes[row * codes..(row + 1) * codes], out);
            }
        }
        out
    }
}

/// The column of each input: the numbers, then the levels of the categories.
fn owners(recipe: &Recipe, levels: &[usize]) -> Vec<usize> {
    let (mut all, codes) = recipe.owners();
    for (column, levels) in codes.into_iter().zip(levels) {
        all.extend(std::iter::repeat_n(column, *levels));
    }
    all
}

fn levels(recipe: &Recipe) -> Vec<usize> {
    let categories = recipe.inputs().categories.into_iter();
    categories.map(|category| category.levels).collect()
}

/// Adds prepared rows with an input for every level.
fn expand(recipe: &Recipe, frame: &Frame, rows: &[u32], out: &mut Vec<f32>) {
    let matrix = recipe.transform(frame, rows);
    let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
    for row in 0..rows.len() {
        out.extend(&matrix.numbers[row * numbers..(row + 1) * numbers]);
        let own = &matrix.codes[row * codes..(row + 1) * codes];
        for (code, category) in own.iter().zip(&matrix.inputs.categories) {
            let at = out.len();
            out.resize(at + category.levels, 0.0);
            if let Some(level) = (*code as usize).checked_sub(1)
                && level < category.levels
            {
                out[at + level] = 1.0;
            }
        }
    }
}

/// Mean and variance of each column of rows, row-major.
fn moments(rows: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let count = (rows.len() / width.max(1)).max(1) as f64;
    let (mut mean, mut variance) = (vec![0f64; width], vec![0f64; width]);
    for row in rows.chunks_exact(width.max(1)) {
        mean.iter_mut()
            .zip(row)
            .for_each(|(m, x)| *m += f64::from(*x) / count);
    }
    for row in rows.chunks_exact(width.max(1)) {
        let each = variance.iter_mut().zip(row).zip(&mean);
        each.for_each(|((v, x), m)| *v += (f64::from(*x) - m) * (f64::from(*x) - m) / count);
    }
    (mean, variance)
}
