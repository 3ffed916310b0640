//! Inputs in a few bins each, so that a tree looks at few places to split.

use rayon::prelude::*;

/// Bins of an input.
const BINS: usize = 64;
/// Rows by which bins are found.
const BIN_ROWS: usize = 10_000;

/// Inputs as bin numbers, column-major.
#[derive(Debug, Clone)]
pub struct Binned {
    pub rows: usize,
    pub inputs: Vec<Vec<u8>>,
}

/// Ascending upper bounds of all bins but the last, by input.
#[derive(Debug, Clone)]
pub struct Cuts(Vec<Vec<f32>>);

impl Cuts {
    /// Bins of about equally many rows; few values have one each. Inputs are columns of finite numbers.
    pub fn of(inputs: &[Vec<f32>]) -> Cuts {
        let cuts = |input: &Vec<f32>| {
            let step = input.len().div_ceil(BIN_ROWS).max(1);
            let mut sorted: Vec<f32> = input.iter().copied().step_by(step).collect();
            sorted.sort_unstable_by(f32::total_cmp);
            let mut values = sorted.clone();
            values.dedup();
            let mut cuts: Vec<f32> = if values.len() <= BINS {
                values
            } else {
                (1..=BINS)
                    .map(|i| sorted[i * sorted.len() / BINS - 1])
                    .collect()
            };
            cuts.dedup();
            cuts.pop();
            cuts
        };
        Cuts(inputs.par_iter().map(cuts).collect())
    }

    pub fn bin(&self, inputs: &[Vec<f32>]) -> Binned {
        let binned = |(input, cuts): (&Vec<f32>, &Vec<f32>)| {
            let bin = |x: &f32| cuts.partition_point(|cut| cut < x) as u8;
            input.iter().map(bin).collect()
        };
        Binned {
            rows: inputs.first().map_or(0, Vec::len),
            inputs: inputs.par_iter().zip(&self.0).map(binned).collect(),
        }
    }
}
