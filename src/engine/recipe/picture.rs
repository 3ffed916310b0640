//! Pictures: what their patches look like, by a learned dictionary, and their colours on a coarse grid, brought down to a few
//! principal components.

use super::patches::{Patches, QUARTERS};
use super::principal::{covariance, eigen};
use crate::frame::{Cell, Column};
use crate::picture::{BYTES, SIDE};
use crate::profile::bins::spread;
use serde::{Deserialize, Serialize};

/// Training rows that are learned from, evenly spread.
const ROWS: usize = 2000;
/// Cells of a side of the grid of colours; the patches know nothing of brightness.
const GRID: usize = 4;
const COLOURS: usize = GRID * GRID * 3;
/// Numbers a picture becomes, at most, and pictures there must be for each.
const COMPONENTS: usize = 48;
const ROWS_PER_COMPONENT: usize = 8;
/// Components of a smaller share of the first one's variance say nothing.
const LEAST: f64 = 1e-4;
/// As for numbers: what one odd value can do is bounded.
const BOUND: f32 = 8.0;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Picture {
    patches: Patches,
    /// Of the pooled activations and the colours over the training rows, and 1 / standard deviation, 0 for a constant one.
    mean: Vec<f32>,
    scale: Vec<f32>,
    /// `[components][mean.len()]`; what comes out has variance 1.
    components: Vec<f32>,
    /// An extra input says whether the picture was missing or unreadable.
    pub(super) flag: bool,
    /// Values read that were no PNG or JPEG.
    #[serde(default)]
    pub(super) unreadable: usize,
}

/// The pixels of a picture; `None` for what cannot be read, and anything else.
fn pixels(cell: Cell<'_>) -> Option<&[u8; BYTES]> {
    match cell {
        Cell::Image(bytes) => bytes.try_into().ok(),
        _ => None,
    }
}

impl Picture {
    pub(super) fn fit(column: &Column, rows: &[u32]) -> Picture {
        let there = |row: &&u32| pixels(column.cell(**row as usize)).is_some();
        let present: Vec<u32> = rows.iter().filter(there).copied().collect();
        let sample = spread(&present, ROWS);
        let pictures: Vec<&[u8; BYTES]> = sample
            .iter()
            .filter_map(|&row| pixels(column.cell(row as usize)))
            .collect();
        let patches = Patches::fit(&pictures);
        let width = patches.words() * QUARTERS + COLOURS;
        let mut picture = Picture {
            patches,
            mean: vec![0.0; width],
            scale: vec![1.0; width],
            components: Vec::new(),
            flag: present.len() < rows.len(),
            unreadable: column.unreadable,
        };
        let mut seen = vec![0f32; pictures.len() * width];
        for (pixels, out) in pictures.iter().zip(seen.chunks_exact_mut(width)) {
            picture.look(pixels, out);
        }
        picture.standardise(&mut seen);
        let (_, covariance) = covariance(&seen, width);
        let (values, vectors) = eigen(covariance, width);
        let most = COMPONENTS.min(pictures.len() / ROWS_PER_COMPONENT);
        let kept = values
            .iter()
            .zip(vectors.chunks_exact(width))
            .take(most)
            .filter(|(value, _)| **value > LEAST * values[0].max(1e-12));
        picture.components = kept
            .flat_map(|(value, vector)| {
                let scale = 1.0 / value.sqrt();
                vector.iter().map(move |x| (x * scale) as f32)
            })
            .collect();
        picture
    }

    /// Learns means and scales of rows of what was seen, and brings the rows to mean 0 and standard deviation 1.
    fn standardise(&mut self, seen: &mut [f32]) {
        let width = self.mean.len();
        let count = (seen.len() / width).max(1) as f64;
        for i in 0..width {
            let own = || seen.iter().skip(i).step_by(width).map(|x| f64::from(*x));
            let mean = own().sum::<f64>() / count;
            let deviation = (own().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
            self.mean[i] = mean as f32;
            self.scale[i] = if deviation > 1e-5 {
                (1.0 / deviation) as f32
            } else {
                0.0
            };
        }
        for row in seen.chunks_exact_mut(width) {
            self.bring_to_scale(row);
        }
    }

    fn bring_to_scale(&self, row: &mut [f32]) {
        for (x, (mean, scale)) in row.iter_mut().zip(self.mean.iter().zip(&self.scale)) {
            *x = (*x - mean) * scale;
        }
    }

    pub(super) fn components(&self) -> usize {
        self.components.len() / self.mean.len().max(1)
    }

    pub(super) fn words(&self) -> usize {
        self.patches.words()
    }

    pub(super) fn width(&self) -> usize {
        self.components() + usize::from(self.flag)
    }

    pub(super) fn is_sound(&self) -> bool {
        let width = self.mean.len();
        self.patches.is_sound()
            && width == self.words() * QUARTERS + COLOURS
            && self.scale.len() == width
            && self.components.len().is_multiple_of(width)
            && self.components() <= COMPONENTS
            && [&self.mean, &self.scale, &self.components]
                .iter()
                .all(|list| list.iter().all(|x| x.is_finite()))
    }

    /// The activations of the patches, then the mean colours of the grid, from 0 to 1.
    fn look(&self, pixels: &[u8; BYTES], out: &mut [f32]) {
        let (activations, colours) = out.split_at_mut(out.len() - COLOURS);
        self.patches.write(pixels, activations);
        const CELL: usize = SIDE / GRID;
        colours.fill(0.0);
        for (i, pixel) in pixels.chunks_exact(3).enumerate() {
            let (x, y) = (i % SIDE / CELL, i / SIDE / CELL);
            let at = (y * GRID + x) * 3;
            for (out, byte) in colours[at..at + 3].iter_mut().zip(pixel) {
                *out += f32::from(*byte) / (255 * CELL * CELL) as f32;
            }
        }
    }

    /// Allocates once a picture.
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let (components, flag) = out.split_at_mut(self.components());
        let pixels = pixels(cell);
        match pixels {
            None => components.fill(0.0),
            Some(pixels) => {
                let width = self.mean.len();
                let mut seen = vec![0f32; width];
                self.look(pixels, &mut seen);
                self.bring_to_scale(&mut seen);
                for (out, vector) in components
                    .iter_mut()
                    .zip(self.components.chunks_exact(width))
                {
                    let z: f32 = vector.iter().zip(&seen).map(|(v, x)| v * x).sum();
                    *out = if z.is_finite() {
                        z.clamp(-BOUND, BOUND)
                    } else {
                        0.0
                    };
                }
            }
        }
        if let [flag] = flag {
            *flag = f32::from(u8::from(pixels.is_none()));
        }
    }
}
