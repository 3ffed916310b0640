//! Histograms: the sums of gradient and curvature of a leaf's rows by bin, for each feature that a tree looks at.

use super::bins::Feature;
use crate::recipe::Matrix;
use rayon::prelude::*;

/// Gradient and curvature of a row: exact enough in four bytes each, and more of them stay in the processor's cache.
pub(super) type Point = [f32; 2];
/// Sums of them.
pub(super) type Pair = [f64; 2];

/// Bins that are copied together.
const CELL: usize = 16;
/// Such cells of a row in a group, at most: a line of the processor's cache.
const CELLS: usize = 4;
/// Features that are counted together.
const TOGETHER: usize = 4;
/// Rows whose cells are read before any is counted, so that waiting for one is waiting for many.
const AHEAD: usize = 1024;
/// Rows that are cut into bins together, feature by feature.
const BLOCK: usize = 1024;

/// The bins of all features, in groups of neighbours that one thread counts.
pub(super) struct Bins {
    groups: Vec<Group>,
    /// Features of each group but the last, which may have fewer.
    of_group: usize,
}

/// The bins of some features, twice: a leaf is counted row by row, for its rows may lie anywhere; it is parted by one feature, whose bins
/// alone stay in the processor's cache.
struct Group {
    /// Cells of a row.
    width: usize,
    /// `[rows][width]`; a feature's bin is in the byte of its place in the group.
    cells: Vec<[u8; CELL]>,
    /// `[blocks][features of the group][BLOCK]`.
    columns: Vec<u8>,
    features: usize,
}

/// Features of one group that are counted by one thread, and the bins they have together.
pub(super) struct Run {
    pub(super) features: Vec<usize>,
    pub(super) bins: usize,
}

impl Group {
    fn of(matrix: &Matrix, first: usize, features: &[Feature]) -> Group {
        let width = features.len().div_ceil(CELL);
        let blocks = matrix.rows.div_ceil(BLOCK);
        let mut cells = vec![[0; CELL]; matrix.rows * width];
        let mut columns = vec![0; blocks * features.len() * BLOCK];
        let parts = columns.par_chunks_mut(features.len() * BLOCK);
        let blocks = cells.par_chunks_mut(BLOCK * width).zip(parts).enumerate();
        blocks.for_each(|(block, (cells, columns))| {
            let rows = block * BLOCK..block * BLOCK + cells.len() / width;
            let columns = columns.chunks_exact_mut(BLOCK);
            for ((lane, feature), column) in features.iter().enumerate().zip(columns) {
                let own = cells[lane / CELL..].iter_mut().step_by(width);
                let bins = feature.bins(matrix, first + lane, rows.clone());
                for ((cell, in_column), bin) in own.zip(column).zip(bins) {
                    (cell[lane % CELL], *in_column) = (bin, bin);
                }
            }
        });
        Group {
            width,
            cells,
            columns,
            features: features.len(),
        }
    }
}

/// Into how large groups so many features go: one for each thread where that leaves few bytes of cells empty.
fn of_group(features: usize) -> usize {
    let wanted = (features / (CELL / 2)).clamp(1, rayon::current_num_threads());
    let groups = wanted.max(features.div_ceil(CELL * CELLS));
    features.div_ceil(groups).max(1)
}

/// Bytes of the bins of a row.
pub(crate) fn bytes_of_row(features: usize) -> usize {
    let of_group = of_group(features);
    let cells = |features: usize| features.div_ceil(CELL) * CELL;
    features + features / of_group * cells(of_group) + cells(features % of_group)
}

impl Bins {
    pub(super) fn of(matrix: &Matrix, features: &[Feature]) -> Bins {
        let of_group = of_group(features.len());
        let groups = features.chunks(of_group).enumerate();
        let groups = groups.map(|(at, own)| Group::of(matrix, at * of_group, own));
        Bins {
            groups: groups.collect(),
            of_group,
        }
    }

    /// The given features, ascending, in runs that keep all threads busy.
    pub(super) fn runs(&self, used: &[usize], features: &[Feature]) -> Vec<Run> {
        let most = used.len().div_ceil(rayon::current_num_threads());
        let most = most.max(TOGETHER);
        let groups = used.chunk_by(|a, b| a / self.of_group == b / self.of_group);
        let runs = groups.flat_map(|group| group.chunks(most));
        runs.map(|run| Run {
            features: run.to_vec(),
            bins: run.iter().map(|feature| features[*feature].count).sum(),
        })
        .collect()
    }

    /// The bin of a row, by its number.
    pub(super) fn of_rows(&self, feature: usize) -> impl Fn(u32) -> u8 + Sync + '_ {
        let group = &self.groups[feature / self.of_group];
        let lane = feature % self.of_group;
        move |row| {
            let (block, at) = (row as usize / BLOCK, row as usize % BLOCK);
            group.columns[(block * group.features + lane) * BLOCK + at]
        }
    }

    /// Writes the histograms of a run, one after the other; `points` are those of the rows.
    pub(super) fn count(
        &self,
        run: &Run,
        features: &[Feature],
        (rows, points): (&[u32], &[Point]),
        out: &mut [Pair],
    ) {
        out.fill([0.0; 2]);
        let Some(first) = run.features.first() else {
            return;
        };
        let group = &self.groups[first / self.of_group];
        let own = run.features.iter();
        let own: Vec<(usize, usize)> = own
            .map(|feature| (feature % self.of_group, features[*feature].count))
            .collect();
        // Copies of known length need no call.
        match group.width {
            1 => count::<1>(group, &own, rows, points, out),
            2 => count::<2>(group, &own, rows, points, out),
            3 => count::<3>(group, &own, rows, points, out),
            _ => count::<CELLS>(group, &own, rows, points, out),
        }
    }
}

/// `own` are the features' places in the group, and their bins.
fn count<const WIDTH: usize>(
    group: &Group,
    own: &[(usize, usize)],
    rows: &[u32],
    points: &[Point],
    out: &mut [Pair],
) {
    let (cells, _) = group.cells.as_chunks::<WIDTH>();
    let mut read = Vec::with_capacity(rows.len().min(AHEAD));
    for (rows, points) in rows.chunks(AHEAD).zip(points.chunks(AHEAD)) {
        read.clear();
        read.extend(rows.iter().map(|row| cells[*row as usize]));
        let mut rest = &mut out[..];
        for some in own.chunks(TOGETHER) {
            rest = match *some {
                [a] => add([a], &read, points, rest),
                [a, b] => add([a, b], &read, points, rest),
                [a, b, c] => add([a, b, c], &read, points, rest),
                [a, b, c, d] => add([a, b, c, d], &read, points, rest),
                _ => rest,
            };
        }
    }
}

/// Adds rows to the first histograms; answers the others.
fn add<'o, const N: usize, const WIDTH: usize>(
    own: [(usize, usize); N],
    rows: &[[[u8; CELL]; WIDTH]],
    points: &[Point],
    out: &'o mut [Pair],
) -> &'o mut [Pair] {
    let mut rest = out;
    let mut sums = own.map(|(_, bins)| {
        let (own, more) = std::mem::take(&mut rest).split_at_mut(bins);
        rest = more;
        own
    });
    let lanes = own.map(|(lane, _)| (lane / CELL % WIDTH, lane % CELL));
    for (cells, point) in rows.iter().zip(points) {
        let point = point.map(f64::from);
        for (sums, (cell, lane)) in sums.iter_mut().zip(lanes) {
            let sum = &mut sums[usize::from(cells[cell][lane])];
            *sum = [sum[0] + point[0], sum[1] + point[1]];
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
        let point = |_: &u32| [random.normal() as f32, 1.0];
        let points: Vec<Point> = some.iter().map(point).collect();
        let used: Vec<usize> = (0..numbers).filter(|at| at % 3 != 1).collect();
        let mut seen = Vec::new();
        for run in bins.runs(&used, &features) {
            let mut counted = vec![[f64::NAN; 2]; run.bins];
            bins.count(&run, &features, (&some, &points), &mut counted);
            let mut counted = &counted[..];
            for feature in run.features {
                let mut sums = vec![[0.0; 2]; features[feature].count];
                for (&row, point) in some.iter().zip(&points) {
                    // Few values have a bin each.
                    let bin = matrix.numbers[row as usize * numbers + feature] as usize;
                    assert_eq!(usize::from(bins.of_rows(feature)(row)), bin);
                    sums[bin] = [0, 1].map(|at| sums[bin][at] + f64::from(point[at]));
                }
                assert_eq!(counted[..sums.len()], sums);
                counted = &counted[sums.len()..];
                seen.push(feature);
            }
        }
        assert_eq!(seen, used);
    }
}
