//! Ranking: rows by falling score, the ROC curve, and the areas under curves.

use super::RocPoint;

/// Marks, in an [`order`], the last row of those with equal scores.
const LAST: u32 = 1 << 31;
/// Marks, in an [`order`], a row of the positive class.
const POSITIVE: u32 = 1 << 30;
/// More rows than this cannot be told apart in an [`order`].
pub(super) const MOST_ROWS: usize = 1 << 30;

/// The row of an entry of an [`order`].
#[inline(always)]
pub(super) fn row(entry: u32) -> usize {
    (entry & !(LAST | POSITIVE)) as usize
}

/// Is it the last of those with equal scores?
#[inline(always)]
pub(super) fn last(entry: u32) -> bool {
    entry & LAST != 0
}

/// Is the row of an entry of an [`order`] of the positive class?
#[inline(always)]
pub(super) fn positive(entry: u32) -> bool {
    entry & POSITIVE != 0
}

/// Up to [`MOST_ROWS`] rows by falling score, each with its marks.
pub(super) fn order(
    rows: usize,
    score: impl Fn(usize) -> f64,
    positive: impl Fn(usize) -> bool,
) -> Vec<u32> {
    // Rising keys for falling scores: a finite double's bits order like its size, once negative ones are turned round.
    let key = |row: u32| {
        let bits = (score(row as usize) + 0.0).to_bits();
        let rising = if bits >> 63 == 0 {
            bits | 1 << 63
        } else {
            !bits
        };
        (!rising, row)
    };
    let mut keys: Vec<(u64, u32)> = (0..rows as u32).map(key).collect();
    keys.sort_unstable();
    let next = keys.iter().skip(1).map(|k| Some(k.0)).chain([None]);
    let entries = keys.iter().zip(next).map(|(&(key, row), next)| {
        let last = if next == Some(key) { 0 } else { LAST };
        let class = if positive(row as usize) { POSITIVE } else { 0 };
        row | last | class
    });
    entries.collect()
}

/// The same order with each row named by its rank, so that walking it reads memory in order.
pub(super) fn by_rank(order: &[u32]) -> Vec<u32> {
    let entries = order.iter().zip(0u32..);
    let marks = entries.map(|(entry, rank)| entry & (LAST | POSITIVE) | rank);
    marks.collect()
}

/// What lies above a threshold.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Above {
    pub positives: u64,
    pub negatives: u64,
}

/// Walks through an [`order`]; `visit` gets each threshold's row and what lies at or above it. Rows count `weight` times.
#[inline(always)]
pub(super) fn walk(
    order: &[u32],
    weight: impl Fn(usize) -> u64,
    mut visit: impl FnMut(usize, Above),
) -> Above {
    let mut above = Above::default();
    for &entry in order {
        let row = row(entry);
        let weight = weight(row);
        // Without a branch: nobody could foretell it.
        let class = u64::from(positive(entry));
        above.positives += weight * class;
        above.negatives += weight * (1 - class);
        if entry & LAST != 0 {
            visit(row, above);
        }
    }
    above
}

/// The areas under the ROC curve and under precision over recall.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Areas {
    before: Above,
    /// Twice the area, in pairs of rows: an exact integer.
    pairs: u64,
    precision: f64,
}

impl Areas {
    #[inline(always)]
    pub fn visit(&mut self, above: Above) {
        let positives = above.positives - self.before.positives;
        let negatives = above.negatives - self.before.negatives;
        // Trapezes: a positive and a negative with equal scores count half a pair in the right order.
        self.pairs += negatives * (above.positives + self.before.positives);
        let all = (above.positives + above.negatives).max(1) as f64;
        self.precision += positives as f64 * (above.positives as f64 / all);
        self.before = above;
    }

    /// NaN where a class is lacking.
    pub fn roc_auc(&self) -> f64 {
        let Above {
            positives,
            negatives,
        } = self.before;
        self.pairs as f64 / (2.0 * positives as f64 * negatives as f64)
    }

    /// Σ (R_n - R_n-1) · P_n over the thresholds, by steps; NaN without positives.
    pub fn average_precision(&self) -> f64 {
        self.precision / self.before.positives as f64
    }
}

/// The ROC curve with at most `most` points, both ends kept. Points in the middle of a straight line are left out, then
/// those are kept that lie most evenly along the curve. Empty where a class is lacking.
pub(super) fn roc(order: &[u32], score: impl Fn(usize) -> f64, most: usize) -> Vec<RocPoint> {
    let mut points: Vec<(f64, Above)> = Vec::new();
    let start = order.first().map_or(0.0, |&e| score(row(e))) + 1.0;
    points.push((start, Above::default()));
    let all = walk(
        order,
        |_| 1,
        |row, above| {
            if let [.., (_, a), (_, b)] = points[..] {
                let straight = (b.positives - a.positives) * (above.negatives - b.negatives)
                    == (above.positives - b.positives) * (b.negatives - a.negatives);
                if straight {
                    points.pop();
                }
            }
            points.push((score(row), above));
        },
    );
    if all.positives == 0 || all.negatives == 0 {
        return Vec::new();
    }
    let rates = points.into_iter().map(|(threshold, above)| RocPoint {
        threshold,
        true_positive_rate: above.positives as f64 / all.positives as f64,
        false_positive_rate: above.negatives as f64 / all.negatives as f64,
    });
    let points: Vec<RocPoint> = rates.collect();
    if points.len() <= most {
        return points;
    }
    // Along the curve the sum of both rates runs from 0 to 2; each of `most` equal stretches keeps its first point.
    let stretch = |p: &RocPoint| {
        let along = (p.true_positive_rate + p.false_positive_rate) / 2.0;
        (along * (most - 1) as f64) as usize
    };
    let mut kept: Vec<RocPoint> = Vec::with_capacity(most);
    for point in points {
        if kept
            .last()
            .is_none_or(|last| stretch(last) < stretch(&point))
        {
            kept.push(point);
        }
    }
    kept
}
