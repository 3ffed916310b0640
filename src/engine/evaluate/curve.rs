//! Ranking: rows by falling score, and the areas under curves.

use super::threads::{each, sort};

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
    score: impl Fn(usize) -> f64 + Sync + Send,
    positive: impl Fn(usize) -> bool + Sync + Send,
) -> Vec<u32> {
    // Rising keys for falling scores: a finite double's bits order like its size, once negative ones are turned round. The mark stands
    // behind the row, so that it is there when the row is, and changes no order.
    let key = |row: usize| {
        let bits = (score(row) + 0.0).to_bits();
        let rising = if bits >> 63 == 0 {
            bits | 1 << 63
        } else {
            !bits
        };
        (!rising, (row as u32) << 1 | u32::from(positive(row)))
    };
    let mut keys: Vec<(u64, u32)> = each(rows, key);
    sort(&mut keys);
    each(rows, |at| {
        let (key, row) = keys[at];
        let same = keys.get(at + 1).is_some_and(|next| next.0 == key);
        let last = if same { 0 } else { LAST };
        row >> 1 | last | ((row & 1) * POSITIVE)
    })
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

/// What a campaign looks at: how far apart the classes are at best, and how many positives are on top.
pub(super) struct Gains {
    all: Above,
    before: Above,
    /// Rows of the first tenth.
    tenth: f64,
    apart: u64,
    /// Positives among the first tenth.
    top: Option<f64>,
}

impl Gains {
    /// Of rows of which `all` are to be visited.
    pub fn new(all: Above) -> Gains {
        Gains {
            all,
            before: Above::default(),
            tenth: (all.positives + all.negatives) as f64 / 10.0,
            apart: 0,
            top: None,
        }
    }

    #[inline(always)]
    pub fn visit(&mut self, above: Above) {
        let (found, raised) = (
            above.positives * self.all.negatives,
            above.negatives * self.all.positives,
        );
        self.apart = self.apart.max(found.abs_diff(raised));
        let rows = (above.positives + above.negatives) as f64;
        if self.top.is_none() && rows > 0.0 && rows >= self.tenth {
            // Straight between two thresholds: what is to be expected of rows of equal score in any order.
            let before = (self.before.positives + self.before.negatives) as f64;
            let part = (self.tenth - before) / (rows - before);
            let positives = (above.positives - self.before.positives) as f64;
            self.top = Some(self.before.positives as f64 + part * positives);
        }
        self.before = above;
    }

    /// The statistic of Kolmogorov and Smirnov: the largest difference of the classes' shares above a threshold. NaN where a
    /// class is lacking.
    pub fn ks(&self) -> f64 {
        self.apart as f64 / (self.all.positives as f64 * self.all.negatives as f64)
    }

    /// Share of positives among the tenth of the rows with the highest scores, by that among all. NaN without positives.
    pub fn top_decile_lift(&self) -> f64 {
        let rows = (self.all.positives + self.all.negatives) as f64;
        let base = self.all.positives as f64 / rows;
        self.top.unwrap_or(f64::NAN) / self.tenth / base
    }
}
