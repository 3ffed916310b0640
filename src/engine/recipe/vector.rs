//! Vectors: each dimension standardised; very long ones by the means of runs of neighbours.

use crate::frame::{Cell, Column};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Longer vectors (plain images, sound) are averaged over runs of neighbours.
const LONGEST: usize = 4096;
/// As for numbers: what one odd value can do is bounded.
const BOUND: f32 = 8.0;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Vector {
    /// Elements of a row; a row of another length counts as missing.
    pub(super) dimension: usize,
    /// Neighbours that become one input.
    pub(super) run: usize,
    /// Of each input over the training rows, and 1 / standard deviation, 0 for a constant one.
    mean: Vec<f32>,
    scale: Vec<f32>,
    /// An extra input says whether the vector was missing.
    pub(super) flag: bool,
    /// Training rows of another length.
    pub(super) other_lengths: usize,
}

/// The mean of the elements that are numbers; NaN without any.
#[inline]
fn mean_of(run: &[f32]) -> f32 {
    if let [single] = run {
        return *single;
    }
    let (mut sum, mut count) = (0.0f64, 0u32);
    for x in run.iter().filter(|x| x.is_finite()) {
        sum += f64::from(*x);
        count += 1;
    }
    (sum / f64::from(count)) as f32
}

impl Vector {
    pub(super) fn fit(column: &Column, rows: &[u32]) -> Vector {
        let vectors = || {
            rows.iter()
                .filter_map(|&row| match column.cell(row as usize) {
                    Cell::Vector(x) => Some(x),
                    _ => None,
                })
        };
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        vectors().for_each(|v| *lengths.entry(v.len()).or_default() += 1);
        // The most frequent; the longer one where two are as frequent.
        let dimension = lengths
            .iter()
            .map(|(length, count)| (*count, *length))
            .max()
            .map_or(0, |(_, length)| length);
        let run = dimension.div_ceil(LONGEST).max(1);
        let inputs = dimension.div_ceil(run);
        // Welford's way: exact also where the mean is large.
        let (mut count, mut fitting) = (vec![0f64; inputs], 0);
        let (mut mean, mut squares) = (vec![0f64; inputs], vec![0f64; inputs]);
        for vector in vectors().filter(|v| v.len() == dimension) {
            fitting += 1;
            for (i, x) in vector.chunks(run).map(mean_of).enumerate() {
                if x.is_finite() {
                    count[i] += 1.0;
                    let off = f64::from(x) - mean[i];
                    mean[i] += off / count[i];
                    squares[i] += off * (f64::from(x) - mean[i]);
                }
            }
        }
        let scale = (0..inputs).map(|i| {
            let deviation = (squares[i] / count[i]).sqrt();
            let scale = (1.0 / deviation) as f32;
            let varies = deviation > 1e-7 * mean[i].abs() && scale.is_finite();
            if varies { scale } else { 0.0 }
        });
        Vector {
            dimension,
            run,
            scale: scale.collect(),
            mean: mean.iter().map(|m| *m as f32).collect(),
            flag: fitting < rows.len(),
            other_lengths: vectors().count() - fitting,
        }
    }

    /// Without the flag: something else says that the value was missing.
    pub(super) fn without_flag(self) -> Vector {
        Vector {
            flag: false,
            ..self
        }
    }

    pub(super) fn width(&self) -> usize {
        self.mean.len() + usize::from(self.flag)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.run > 0
            && self.mean.len() == self.scale.len()
            && self.dimension.div_ceil(self.run) == self.mean.len()
            && self.mean.iter().chain(&self.scale).all(|x| x.is_finite())
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let (inputs, flag) = out.split_at_mut(self.mean.len());
        let vector = match cell {
            Cell::Vector(x) if x.len() == self.dimension => Some(x),
            _ => None,
        };
        match vector {
            None => inputs.fill(0.0),
            Some(vector) => {
                let runs = vector.chunks(self.run).map(mean_of);
                let learned = self.mean.iter().zip(&self.scale);
                for ((out, x), (mean, scale)) in inputs.iter_mut().zip(runs).zip(learned) {
                    let z = (x - mean) * scale;
                    *out = if z.is_finite() {
                        z.clamp(-BOUND, BOUND)
                    } else {
                        0.0
                    };
                }
            }
        }
        if let [flag] = flag {
            *flag = if vector.is_none() { 1.0 } else { 0.0 };
        }
    }
}
