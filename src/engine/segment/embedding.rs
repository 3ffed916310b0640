//! Rows as points: prepared, every column brought to the same weight, and reduced to the principal components that tell most.

use super::source::{Buffers, Source};
use crate::frame::{Cell, Frame};
use crate::recipe::principal;
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
const CHUNK: usize = 4096;

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
    pub source: Source,
    /// Components.
    pub width: usize,
    /// The point of a row of zeros.
    offset: Vec<f32>,
    /// What each number adds: `[numbers][width]`.
    weights: Vec<f32>,
    /// The share of the variance that the components keep.
    pub explained: f64,
}

impl Embedding {
    /// Learns from `rows` of a frame. `weight` is how much each column of the recipe counts, 1 where it is not said; what a
    /// network makes of a row counts as it is. `None` where all rows are the same.
    pub fn fit(
        source: Source,
        weight: &[f64],
        keep: Keep,
        frame: &Frame,
        rows: &[u32],
    ) -> Option<Embedding> {
        let owners = source.owners();
        let inputs = source.width();
        let some = (MOST_NUMBERS / inputs.max(1)).max(MOST_INPUTS);
        let rows: Vec<u32> = rows
            .iter()
            .step_by(rows.len().div_ceil(some).max(1))
            .copied()
            .collect();
        let mut dense = vec![0f32; rows.len() * inputs];
        let pieces = dense.par_chunks_mut((CHUNK * inputs).max(1));
        rows.par_chunks(CHUNK).zip(pieces).for_each(|(rows, out)| {
            source.of_frame(frame, rows, &mut |row, at, x| out[row * inputs + at] = x);
        });
        let gaps = fill(&mut dense, inputs, &source.gaps());
        let (mean, variance) = moments(&dense, inputs);
        // A column of many inputs, or one of few far values, would rule all others.
        let mut of_column = vec![0.0; source.recipe.columns().len()];
        owners
            .iter()
            .zip(&variance)
            .for_each(|(column, v)| of_column[*column] += v);
        let factor = |input: usize| {
            let Some(column) = owners.get(input) else {
                return 1.0;
            };
            let whole: f64 = of_column[*column];
            let weight = weight.get(*column).copied().unwrap_or(1.0);
            weight.max(0.0).sqrt() / whole.max(1.0).sqrt()
        };
        let factors: Vec<f64> = (0..inputs).map(factor).collect();
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
        // What is added where a number is missing.
        for (number, flag, more) in gaps {
            for component in 0..width {
                weights[flag * width + component] += more * weights[number * width + component];
            }
        }
        Some(Embedding {
            source,
            width,
            offset: offset.into_iter().map(|x| x as f32).collect(),
            weights,
            explained: if total > 0.0 { sum / total } else { 1.0 },
        })
    }

    /// Whether bytes from a table hold what the others rely on.
    pub fn is_sound(&self) -> bool {
        let finite = |all: &[f32]| all.iter().all(|x| x.is_finite());
        self.source.is_sound()
            && (1..=MOST).contains(&self.width)
            && self.offset.len() == self.width
            && self.weights.len() == self.source.width().saturating_mul(self.width)
            && finite(&self.offset)
            && finite(&self.weights)
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        4 * self.weights.len() + self.source.bytes()
    }

    /// Writes the point of one row, cells in the recipe's order.
    pub fn point(&self, cells: &[Cell<'_>], buffers: &mut Buffers, out: &mut [f32]) {
        out.copy_from_slice(&self.offset);
        let mut add = |at: usize, x: f32| self.add(at, x, out);
        self.source.numbers(cells, buffers, &mut add);
    }

    #[inline]
    fn add(&self, at: usize, x: f32, out: &mut [f32]) {
        let weights = &self.weights[at * self.width..(at + 1) * self.width];
        out.iter_mut()
            .zip(weights)
            .for_each(|(out, w)| *out += x * w);
    }

    /// The points of rows of a frame, row-major `[rows][width]`; starts no threads.
    pub fn points(&self, frame: &Frame, rows: &[u32]) -> Vec<f32> {
        let width = self.width;
        let mut out = vec![0f32; rows.len() * width];
        let pieces = out.chunks_mut(CHUNK * width);
        for (rows, out) in rows.chunks(CHUNK).zip(pieces) {
            for out in out.chunks_exact_mut(width) {
                out.copy_from_slice(&self.offset);
            }
            let mut add = |row: usize, at: usize, x: f32| {
                self.add(at, x, &mut out[row * width..(row + 1) * width]);
            };
            self.source.of_frame(frame, rows, &mut add);
        }
        out
    }
}

/// Missing numbers become the mean of the others, not the median, which may lie inside a group. Answers each number, what says that
/// it is missing, and what was added to it.
fn fill(rows: &mut [f32], width: usize, gaps: &[(usize, usize)]) -> Vec<(usize, usize, f32)> {
    let mut filled = Vec::new();
    for (number, flag) in gaps {
        let (mut sum, mut count, mut median) = (0f64, 0f64, None);
        for row in rows.chunks_exact(width) {
            match row[*flag] {
                0.0 => {
                    sum += f64::from(row[*number]);
                    count += 1.0;
                }
                _ => median = Some(row[*number]),
            }
        }
        let Some(median) = median.filter(|_| count > 0.0) else {
            continue;
        };
        let more = (sum / count) as f32 - median;
        let missing = rows.chunks_exact_mut(width).filter(|row| row[*flag] != 0.0);
        missing.for_each(|row| row[*number] += more);
        filled.push((*number, *flag, more));
    }
    filled
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
