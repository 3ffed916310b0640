//! A matrix cut into bins: what trees look at while they grow.

use crate::models::Node;
use crate::recipe::Matrix;
use rayon::prelude::*;
use std::ops::Range;

/// Most bins of a feature, so that one fits a byte.
const BINS: usize = 255;
/// Rows that the cuts are learned from, evenly spread; more would hardly move them.
const ROWS: usize = 200_000;

/// Features whose values are copied out of the rows together: neighbours in a row lie in one line of the processor's cache.
const TOGETHER: usize = 16;

/// How one feature is cut.
pub(in crate::train) struct Feature {
    /// How many bins there are.
    pub(in crate::train) count: usize,
    kind: Kind,
}

enum Kind {
    /// A value is in bin b if it is at least as large as b of these; ascending.
    Number { cuts: Vec<f32> },
    /// The codes of each bin but the first, which holds all others; and the bin of each code.
    Category { codes: Vec<u32>, bins: Vec<u8> },
}

/// All features of a matrix: its numbers, then its categories.
pub(in crate::train) fn features(matrix: &Matrix) -> Vec<Feature> {
    let (numbers, categories) = (matrix.inputs.numbers, matrix.inputs.categories.len());
    let groups = numbers.div_ceil(TOGETHER);
    let numbers = (0..groups).into_par_iter().flat_map_iter(|group| {
        let own = group * TOGETHER..numbers.min((group + 1) * TOGETHER);
        self::numbers(matrix, own)
    });
    let categories = (0..categories).into_par_iter();
    numbers
        .chain(categories.map(|category| self::category(matrix, category)))
        .collect()
}

fn numbers(matrix: &Matrix, own: Range<usize>) -> Vec<Feature> {
    let step = matrix.rows.div_ceil(ROWS).max(1);
    let mut values = vec![Vec::with_capacity(matrix.rows.div_ceil(step)); own.len()];
    let rows = matrix.numbers.chunks_exact(matrix.inputs.numbers);
    for row in rows.step_by(step) {
        let each = values.iter_mut().zip(&row[own.clone()]);
        each.for_each(|(values, x)| values.push(*x));
    }
    let feature = |mut values: Vec<f32>| {
        values.sort_unstable_by(f32::total_cmp);
        let cuts = cuts(&values);
        Feature {
            count: cuts.len() + 1,
            kind: Kind::Number { cuts },
        }
    };
    values.into_iter().map(feature).collect()
}

/// Cuts between sorted values, each bin with about as many rows as the others where there are more values than bins.
fn cuts(values: &[f32]) -> Vec<f32> {
    let mut cuts: Vec<f32> = Vec::new();
    let distinct = 1 + values.windows(2).filter(|pair| pair[0] < pair[1]).count();
    let (mut in_bin, mut left) = (0, values.len());
    for (i, pair) in values.windows(2).enumerate() {
        in_bin += 1;
        let full = distinct <= BINS || in_bin * (BINS - cuts.len()) >= left;
        if pair[0] < pair[1] && full && cuts.len() + 1 < BINS {
            let middle = pair[0] / 2.0 + pair[1] / 2.0;
            let between = middle > pair[0] && middle <= pair[1];
            cuts.push(if between { middle } else { pair[1] });
            left = values.len() - i - 1;
            in_bin = 0;
        }
    }
    cuts
}

fn category(matrix: &Matrix, category: usize) -> Feature {
    let levels = matrix.inputs.categories[category].levels;
    let mut frequency = vec![0usize; levels + 1];
    let rows = matrix.codes.chunks_exact(matrix.inputs.categories.len());
    rows.for_each(|row| frequency[row[category] as usize] += 1);
    // Code 0 is rare and unseen values: they stay with what does not get a bin.
    let mut codes: Vec<u32> = (1..=levels as u32).collect();
    codes.sort_by_key(|&code| std::cmp::Reverse(frequency[code as usize]));
    codes.truncate(BINS - 1);
    let mut bins = vec![0u8; levels + 1];
    for (code, bin) in codes.iter().zip(1..) {
        bins[*code as usize] = bin;
    }
    Feature {
        count: codes.len() + 1,
        kind: Kind::Category { codes, bins },
    }
}

impl Feature {
    pub(in crate::train) fn is_category(&self) -> bool {
        matches!(self.kind, Kind::Category { .. })
    }

    /// The bins of some rows; `feature` is its own position.
    pub(in crate::train) fn bins<'a>(
        &'a self,
        matrix: &'a Matrix,
        feature: usize,
        rows: Range<usize>,
    ) -> impl Iterator<Item = u8> + 'a {
        let (numbers, categories) = (matrix.inputs.numbers, matrix.inputs.categories.len());
        rows.map(move |row| match &self.kind {
            Kind::Number { cuts } => {
                let x = matrix.numbers[row * numbers + feature];
                cuts.partition_point(|&cut| cut <= x) as u8
            }
            Kind::Category { bins, .. } => {
                bins[matrix.codes[row * categories + feature - numbers] as usize]
            }
        })
    }

    /// The node that sends rows of the given bins left; for a number these are all up to the last of them. `feature` is its
    /// own position.
    pub(in crate::train) fn node(
        &self,
        feature: usize,
        goes_left: &[bool],
        left: usize,
        right: usize,
    ) -> Node {
        match &self.kind {
            Kind::Number { cuts } => Node::Number {
                feature,
                threshold: cuts[goes_left.iter().take_while(|left| **left).count() - 1],
                left,
                right,
            },
            Kind::Category { codes, .. } => {
                // Codes without a bin of their own go with the first bin, which is never in the set.
                let chosen = codes.iter().zip(&goes_left[1..]).filter(|(_, left)| **left);
                let mut set = Vec::new();
                for (&code, _) in chosen {
                    let (byte, bit) = (code as usize / 8, code % 8);
                    if set.len() <= byte {
                        set.resize(byte + 1, 0u8);
                    }
                    set[byte] |= 1 << bit;
                }
                Node::Category {
                    feature,
                    codes: set,
                    left,
                    right,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_a_bin_each_and_many_share_evenly() {
        assert_eq!(cuts(&[1.0, 1.0, 2.0, 4.0]), [1.5, 3.0]);
        assert!(cuts(&[1.0, 1.0]).is_empty() && cuts(&[]).is_empty());
        let next = 1.0f32.next_up();
        assert_eq!(cuts(&[1.0, next]), [next]);
        let many: Vec<f32> = (0..10_000).map(|i| (i as f32 / 1000.0).exp()).collect();
        let cuts = cuts(&many);
        assert!(cuts.len() > 200 && cuts.len() < BINS);
        let mut counts = vec![0; cuts.len() + 1];
        many.iter()
            .for_each(|x| counts[cuts.partition_point(|c| c <= x)] += 1);
        assert!(counts.iter().all(|c| (20..=80).contains(c)), "{counts:?}");
    }
}
