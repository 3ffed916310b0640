//! Histograms: the sums of gradient and curvature of a leaf's rows by bin, for each feature that a tree looks at.

use super::bins::Feature;
use crate::recipe::Matrix;
use rayon::prelude::*;
use std::ops::Range;

/// Gradient and curvature of a row, or their sums.
pub(super) type Pair = [f64; 2];

/// Features whose bins lie side by side.
const CELL: usize = 16;
/// Cells of a row, side by side too, that are read together: a line of the processor's cache.
const CELLS: usize = 4;
/// Features that are counted together.
const TOGETHER: usize = 4;
/// Rows whose cells are read before any is counted, so that waiting for one is waiting for many.
const AHEAD: usize = 1024;
/// Rows that are cut into bins together, feature by feature.
const BLOCK: usize = 256;

/// The bins of all features, row by row: the rows of a leaf lie anywhere.
pub(super) struct Bins {
    /// `[rows][width]`.
    cells: Vec<[u8; CELL]>,
    width: usize,
}

/// Features that are counted by one thread, and the bins they have together.
pub(super) struct Run {
    pub(super) features: Vec<usize>,
    pub(super) bins: usize,
}

impl Run {
    fn cells(&self) -> Range<usize> {
        match self.features[..] {
            [first, .., last] => first / CELL..last / CELL + 1,
            [only] => only / CELL..only / CELL + 1,
            [] => 0..0,
        }
    }
}

/// The given features, ascending, in runs that keep all threads busy.
pub(super) fn runs(used: &[usize], features: &[Feature]) -> Vec<Run> {
    let most = used.len().div_ceil(rayon::current_num_threads());
    let most = most.max(TOGETHER);
    let mut runs: Vec<Run> = Vec::new();
    for &feature in used {
        let fits = |run: &&mut Run| {
            run.features.len() < most && feature / CELL < run.cells().start + CELLS
        };
        let bins = features[feature].count;
        match runs.last_mut().filter(fits) {
            Some(run) => {
                run.features.push(feature);
                run.bins += bins;
            }
            None => runs.push(Run {
                features: vec![feature],
                bins,
            }),
        }
    }
    runs
}

impl Bins {
    pub(super) fn of(matrix: &Matrix, features: &[Feature]) -> Bins {
        let width = features.len().div_ceil(CELL).max(1);
        let mut cells = vec![[0; CELL]; matrix.rows * width];
        let blocks = cells.par_chunks_mut(BLOCK * width).enumerate();
        blocks.for_each(|(block, cells)| {
            let first = block * BLOCK;
            for (at, feature) in features.iter().enumerate() {
                let rows = first..first + cells.len() / width;
                let own = cells[at / CELL..].iter_mut().step_by(width);
                let bins = feature.bins(matrix, at, rows);
                own.zip(bins).for_each(|(cell, bin)| cell[at % CELL] = bin);
            }
        });
        Bins { cells, width }
    }

    /// The bin of a row, by its number.
    pub(super) fn of_rows(&self, feature: usize) -> impl Fn(u32) -> u8 + '_ {
        let (cell, lane) = (feature / CELL, feature % CELL);
        move |row| self.cells[row as usize * self.width + cell][lane]
    }

    /// Appends some cells of each row. Copies of known length need no call.
    fn read<const N: usize>(&self, rows: &[u32], start: usize, out: &mut Vec<[u8; CELL]>) {
        for &row in rows {
            let own = self.cells[row as usize * self.width + start..].first_chunk::<N>();
            own.into_iter().for_each(|own| out.extend_from_slice(own));
        }
    }

    /// Writes the histograms of a run, one after the other; `pairs` are those of the rows.
    pub(super) fn count(
        &self,
        run: &Run,
        features: &[Feature],
        (rows, pairs): (&[u32], &[Pair]),
        out: &mut [Pair],
    ) {
        out.fill([0.0; 2]);
        let own = run.cells();
        let mut read = Vec::with_capacity(rows.len().min(AHEAD) * own.len());
        for (rows, pairs) in rows.chunks(AHEAD).zip(pairs.chunks(AHEAD)) {
            read.clear();
            match own.len() {
                0 => {}
                1 => self.read::<1>(rows, own.start, &mut read),
                2 => self.read::<2>(rows, own.start, &mut read),
                3 => self.read::<3>(rows, own.start, &mut read),
                _ => self.read::<CELLS>(rows, own.start, &mut read),
            }
            let mut rest = &mut out[..];
            for some in run.features.chunk_by(|a, b| a / CELL == b / CELL) {
                let cells = read[some[0] / CELL - own.start..].iter();
                let cells = || cells.clone().step_by(own.len()).zip(pairs);
                for some in some.chunks(TOGETHER) {
                    rest = match *some {
                        [a] => add([a], features, cells(), rest),
                        [a, b] => add([a, b], features, cells(), rest),
                        [a, b, c] => add([a, b, c], features, cells(), rest),
                        [a, b, c, d] => add([a, b, c, d], features, cells(), rest),
                        _ => rest,
                    };
                }
            }
        }
    }
}

/// Adds rows to the first histograms, those of features of one cell; answers the others.
fn add<'a, 'o, const N: usize>(
    own: [usize; N],
    features: &[Feature],
    rows: impl Iterator<Item = (&'a [u8; CELL], &'a Pair)>,
    out: &'o mut [Pair],
) -> &'o mut [Pair] {
    let mut rest = out;
    let mut sums = own.map(|feature| {
        let (own, more) = std::mem::take(&mut rest).split_at_mut(features[feature].count);
        rest = more;
        own
    });
    let lanes = own.map(|feature| feature % CELL);
    for (cell, pair) in rows {
        for (sums, lane) in sums.iter_mut().zip(lanes) {
            let sum = &mut sums[usize::from(cell[lane % CELL])];
            *sum = [sum[0] + pair[0], sum[1] + pair[1]];
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::super::bins::features;
    use super::*;
    use crate::models::Inputs;
    use crate::random::Random;

    #[test]
    fn bins_have_the_sums_of_their_rows() {
        let (rows, numbers) = (2_500, 90);
        let mut random = Random::new(4);
        let values = (0..rows * numbers).map(|_| random.below(40) as f32);
        let matrix = Matrix {
            rows,
            numbers: values.collect(),
            inputs: Inputs {
                numbers,
                ..Inputs::default()
            },
            ..Matrix::default()
        };
        let features = features(&matrix);
        let bins = Bins::of(&matrix, &features);
        let mut some: Vec<u32> = (0..rows as u32).collect();
        random.shuffle(&mut some);
        some.truncate(2_100);
        let pairs: Vec<Pair> = some.iter().map(|_| [random.normal(), 1.0]).collect();
        let used: Vec<usize> = (0..numbers).filter(|at| at % 3 != 1).collect();
        let mut seen = Vec::new();
        for run in runs(&used, &features) {
            let mut counted = vec![[f64::NAN; 2]; run.bins];
            bins.count(&run, &features, (&some, &pairs), &mut counted);
            let mut counted = &counted[..];
            for feature in run.features {
                let mut sums = vec![[0.0; 2]; features[feature].count];
                for (&row, pair) in some.iter().zip(&pairs) {
                    // Few values have a bin each.
                    let bin = matrix.numbers[row as usize * numbers + feature] as usize;
                    assert_eq!(usize::from(bins.of_rows(feature)(row)), bin);
                    sums[bin] = [sums[bin][0] + pair[0], sums[bin][1] + pair[1]];
                }
                assert_eq!(counted[..sums.len()], sums);
                counted = &counted[sums.len()..];
                seen.push(feature);
            }
        }
        assert_eq!(seen, used);
    }
}
