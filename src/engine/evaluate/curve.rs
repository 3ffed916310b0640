//! Ranking: rows by falling score, the ROC curve, and the areas under curves.

use super::RocPoint;

/// Marks, in an [`order`], the last row of those with equal scores.
const LAST: u32 = 1 << 31;

/// The row of an entry of an [`order`].
#[inline(always)]
pub(super) fn row(entry: u32) -> usize {
    (entry & !LAST) as usize
}

/// The same order with each row named by its rank, so that walking it reads memory in order.
pub(super) fn by_rank(order: &[u32]) -> Vec<u32> {
    let entries = order.iter().zip(0u32..);
    entries.map(|(entry, rank)| entry & LAST | rank).collect()
}

/// Rows by falling score, with [`LAST`] set where a run of equal scores ends.
pub(super) fn order(rows: usize, score: impl Fn(usize) -> f64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    order.sort_unstable_by(|&a, &b| score(b as usize).total_cmp(&score(a as usize)));
    for i in 0..order.len() {
        let next = order.get(i + 1);
        if next.is_none_or(|&next| score(next as usize) != score(order[i] as usize)) {
            order[i] |= LAST;
        }
    }
    order
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
    positive: impl Fn(usize) -> bool,
    weight: impl Fn(usize) -> u64,
    mut visit: impl FnMut(usize, Above),
) -> Above {
    let mut above = Above::default();
    for &entry in order {
        let row = row(entry);
        let weight = weight(row);
        if positive(row) {
            above.positives += weight;
        } else {
            above.negatives += weight;
        }
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
        if positives > 0 {
            let all = (above.positives + above.negatives) as f64;
            self.precision += positives as f64 * (above.positives as f64 / all);
        }
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
pub(super) fn roc(
    order: &[u32],
    score: impl Fn(usize) -> f64,
    positive: impl Fn(usize) -> bool,
    most: usize,
) -> Vec<RocPoint> {
    let mut points: Vec<(f64, Above)> = Vec::new();
    let start = order.first().map_or(0.0, |&e| score(row(e))) + 1.0;
    points.push((start, Above::default()));
    let all = walk(
        order,
        positive,
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
