//! Loss, gradient and squares of the inputs at given coefficients, in one pass over the rows.

use super::{Design, MOST_PARTS, PART};
use crate::train::vector::vectorised;
use rayon::prelude::*;

/// Rows at a time, so that what is added up for an input is read and written once for all of them.
const ROWS: usize = 4;

/// A row's loss, and its derivatives by the row's sum, times the row's weight.
pub(super) type Derivatives = (f64, f64, f64);

/// What is added up over the rows.
#[derive(Clone)]
pub(super) struct Slope {
    pub(super) loss: f64,
    /// By the coefficients, the intercept's first.
    pub(super) gradient: Vec<f64>,
    /// The second derivatives by each coefficient alone.
    pub(super) squares: Vec<f64>,
}

impl Slope {
    fn new(width: usize) -> Slope {
        Slope {
            loss: 0.0,
            gradient: vec![0.0; width],
            squares: vec![0.0; width],
        }
    }

    fn add(&mut self, other: &Slope) {
        self.loss += other.loss;
        let own = self.gradient.iter_mut().chain(&mut self.squares);
        own.zip(other.gradient.iter().chain(&other.squares))
            .for_each(|(all, own)| *all += own);
    }

    pub(super) fn scale(&mut self, by: f64) {
        self.loss *= by;
        let own = self.gradient.iter_mut().chain(&mut self.squares);
        own.for_each(|x| *x *= by);
    }
}

impl Design<'_> {
    /// Writes `coefficients` (`[width]`) times inputs of each row to `sums`, and adds up what `derive` says of a row and its sum. The
    /// parts are fixed, so that threads change nothing.
    pub(super) fn pass(
        &self,
        coefficients: &[f64],
        sums: &mut [f64],
        derive: &(impl Fn(usize, f64) -> Derivatives + Sync),
    ) -> Slope {
        let part = self.rows().div_ceil(MOST_PARTS).max(PART);
        let parts: Vec<Slope> = sums
            .par_chunks_mut(part)
            .enumerate()
            .map(|(i, sums)| {
                let mut slope = Slope::new(self.width);
                let mut entries = std::array::from_fn(|_| Vec::new());
                let first = i * part;
                let (blocks, rest) = sums.as_chunks_mut::<ROWS>();
                let single = first + blocks.len() * ROWS;
                for (block, sums) in blocks.iter_mut().enumerate() {
                    let row = first + block * ROWS;
                    self.some(row, coefficients, sums, derive, &mut entries, &mut slope);
                }
                let [entries, ..] = &mut entries;
                let mut one = [std::mem::take(entries)];
                for (row, sum) in rest.iter_mut().enumerate() {
                    let sum = std::array::from_mut(sum);
                    self.some(
                        single + row,
                        coefficients,
                        sum,
                        derive,
                        &mut one,
                        &mut slope,
                    );
                }
                slope
            })
            .collect();
        let mut all = Slope::new(self.width);
        parts.iter().for_each(|part| all.add(part));
        all
    }

    /// The same of `N` rows.
    fn some<const N: usize>(
        &self,
        row: usize,
        coefficients: &[f64],
        sums: &mut [f64; N],
        derive: &impl Fn(usize, f64) -> Derivatives,
        entries: &mut [Vec<(usize, f64)>; N],
        slope: &mut Slope,
    ) {
        let dense = self.dense;
        let rows: [&[f32]; N] = std::array::from_fn(|k| &self.numbers(row + k)[..dense]);
        let weights = &coefficients[1..=dense];
        times(weights, &rows, sums);
        let (mut first, mut second) = ([0.0; N], [0.0; N]);
        for k in 0..N {
            self.others(row + k, dense, &mut entries[k]);
            sums[k] += coefficients[0];
            sums[k] += entries[k]
                .iter()
                .map(|(at, x)| coefficients[*at] * x)
                .sum::<f64>();
            let (loss, one, two) = derive(row + k, sums[k]);
            slope.loss += loss;
            (first[k], second[k]) = (one, two);
            slope.gradient[0] += one;
            slope.squares[0] += two;
            for (at, x) in &entries[k] {
                slope.gradient[*at] += one * x;
                slope.squares[*at] += two * x * x;
            }
        }
        let (gradient, squares) = (
            &mut slope.gradient[1..=dense],
            &mut slope.squares[1..=dense],
        );
        add(gradient, squares, &rows, &first, &second);
    }
}

/// The products of each row with the weights.
fn times<const N: usize>(weights: &[f64], rows: &[&[f32]; N], out: &mut [f64; N]) {
    const LANES: usize = 8;
    #[inline(always)]
    fn work<const N: usize>(weights: &[f64], rows: &[&[f32]; N], out: &mut [f64; N]) {
        let (own, rest) = weights.as_chunks::<LANES>();
        for (row, out) in rows.iter().zip(out) {
            let (values, last) = row.as_chunks::<LANES>();
            let mut lanes = [0.0; LANES];
            for (own, values) in own.iter().zip(values) {
                for lane in 0..LANES {
                    lanes[lane] += own[lane] * f64::from(values[lane]);
                }
            }
            let last: f64 = rest.iter().zip(last).map(|(w, x)| w * f64::from(*x)).sum();
            *out = lanes.iter().sum::<f64>() + last;
        }
    }
    let to: *mut [f64; N] = out;
    // SAFETY: only one of the two closures runs, so there is one user of what is written.
    vectorised(
        || work(weights, rows, unsafe { &mut *to }),
        || work(weights, rows, unsafe { &mut *to }),
    );
}

/// Adds the rows times `first` to the gradient, and their squares times `second`.
fn add<const N: usize>(
    gradient: &mut [f64],
    squares: &mut [f64],
    rows: &[&[f32]; N],
    first: &[f64; N],
    second: &[f64; N],
) {
    #[inline(always)]
    fn work<const N: usize>(
        gradient: &mut [f64],
        squares: &mut [f64],
        rows: &[&[f32]; N],
        first: &[f64; N],
        second: &[f64; N],
    ) {
        let count = gradient.len();
        let squares = &mut squares[..count];
        let rows: [&[f32]; N] = std::array::from_fn(|k| &rows[k][..count]);
        for at in 0..count {
            let (mut one, mut two) = (gradient[at], squares[at]);
            for k in 0..N {
                let x = f64::from(rows[k][at]);
                one += first[k] * x;
                two += second[k] * x * x;
            }
            (gradient[at], squares[at]) = (one, two);
        }
    }
    let (g, s): (*mut [f64], *mut [f64]) = (gradient, squares);
    // SAFETY: only one of the two closures runs, so there is one user of each slice.
    vectorised(
        || work(unsafe { &mut *g }, unsafe { &mut *s }, rows, first, second),
        || work(unsafe { &mut *g }, unsafe { &mut *s }, rows, first, second),
    );
}
