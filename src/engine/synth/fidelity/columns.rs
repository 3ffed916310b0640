//! How alike real and generated columns are, and how alike they hang together.

use crate::frame::{Cell, Column, Frame, Kind};
use crate::synth::schema::number;
use rayon::prelude::*;
use std::collections::HashMap;

/// Numbers beside categories are cut into so many bins of one width.
const BINS: usize = 10;

/// How alike a column's values are distributed.
pub struct Shape {
    pub column: String,
    /// `ks_complement` of numbers and times, `tv_complement` of categories.
    pub measure: &'static str,
    /// From 0 to 1.
    pub score: f64,
}

/// How alike two columns hang together.
pub struct Pair {
    pub columns: (String, String),
    /// `correlation_similarity` of two numbers, else `contingency_similarity`.
    pub measure: &'static str,
    /// From 0 to 1.
    pub score: f64,
    /// Whether the columns hang together among the real rows: only such pairs have a trend.
    pub related: bool,
}

/// Real rows hang together from so much on: SDMetrics' thresholds of correlation and of Cramér's V.
const CORRELATED: f64 = 0.5;
const ASSOCIATED: f64 = 0.3;

/// The mean score of the pairs that hang together; `None` where none does.
pub fn trend(pairs: &[Pair]) -> Option<f64> {
    let related = || pairs.iter().filter(|p| p.related);
    let count = related().count();
    (count > 0).then(|| related().map(|p| p.score).sum::<f64>() / count as f64)
}

/// Whether a column is compared as numbers.
pub(crate) fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Number | Kind::Duration | Kind::Time)
}

/// Whether a column can be compared at all: keys, and what has no values, cannot.
pub(super) fn is_compared(column: &Column) -> bool {
    let known = column.len() - column.nulls.count();
    known > 0
        && !matches!(column.kind, Kind::Vector | Kind::Image)
        && crate::synth::invent::invent(column, distinct(column), false).is_none()
}

fn distinct(column: &Column) -> Option<usize> {
    (column.kind == Kind::Category).then(|| {
        let mut seen = std::collections::HashSet::new();
        (0..column.len())
            .filter(|row| match column.cell(*row) {
                Cell::Text(text) => seen.insert(Some(text)),
                _ => seen.insert(None),
            })
            .count()
    })
}

/// The columns both frames have and that can be compared.
pub(in crate::synth) fn common<'a>(
    real: &'a Frame,
    made: &'a Frame,
) -> Vec<(&'a Column, &'a Column)> {
    let both = real.columns.iter().filter(|c| is_compared(c));
    both.filter_map(|c| {
        made.column(&c.name)
            .filter(|m| m.kind == c.kind)
            .map(|m| (c, m))
    })
    .collect()
}

/// Of each column.
pub fn shapes(real: &Frame, made: &Frame) -> Vec<Shape> {
    common(real, made)
        .into_par_iter()
        .map(|(real, made)| {
            let (measure, score) = if is_number(real.kind) {
                (
                    "ks_complement",
                    ks_complement(&numbers(real), &numbers(made)),
                )
            } else {
                ("tv_complement", tv_complement(real, made))
            };
            Shape {
                column: real.name.clone(),
                measure,
                score,
            }
        })
        .collect()
}

/// Of each two columns.
pub fn pairs(real: &Frame, made: &Frame) -> Vec<Pair> {
    let common = common(real, made);
    let codes: Vec<Codes> = common
        .par_iter()
        .map(|(real, made)| Codes::of(real, made))
        .collect();
    let count = common.len();
    let both: Vec<(usize, usize)> = (0..count)
        .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
        .collect();
    both.into_par_iter()
        .filter_map(|(a, b)| {
            let columns = (common[a].0.name.clone(), common[b].0.name.clone());
            if is_number(common[a].0.kind) && is_number(common[b].0.kind) {
                let of = |x: &Column, y: &Column| correlation(x, y);
                let (real, made) = (of(common[a].0, common[b].0)?, of(common[a].1, common[b].1)?);
                let score = 1.0 - (real - made).abs() / 2.0;
                return Some(Pair {
                    columns,
                    measure: "correlation_similarity",
                    score,
                    related: real.abs() > CORRELATED,
                });
            }
            let score = codes[a].contingency(&codes[b]);
            Some(Pair {
                columns,
                measure: "contingency_similarity",
                score,
                related: codes[a].association(&codes[b]) > ASSOCIATED,
            })
        })
        .collect()
}

pub(super) fn numbers(column: &Column) -> Vec<f64> {
    (0..column.len())
        .filter_map(|row| number(column.cell(row)))
        .collect()
}

/// 1 less the greatest distance of the two distribution functions (Kolmogorov and Smirnov).
pub(in crate::synth) fn ks_complement(real: &[f64], made: &[f64]) -> f64 {
    if real.is_empty() || made.is_empty() {
        return 0.0;
    }
    let sorted = |of: &[f64]| {
        let mut of = of.to_vec();
        of.sort_unstable_by(f64::total_cmp);
        of
    };
    let (real, made) = (sorted(real), sorted(made));
    let (mut a, mut b, mut most) = (0, 0, 0.0f64);
    while a < real.len() && b < made.len() {
        let at = real[a].min(made[b]);
        while a < real.len() && real[a] <= at {
            a += 1;
        }
        while b < made.len() && made[b] <= at {
            b += 1;
        }
        most = most.max((a as f64 / real.len() as f64 - b as f64 / made.len() as f64).abs());
    }
    1.0 - most
}

/// What tells values apart, NULL among them.
fn label(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "\0".into(),
        cell => crate::fit::label_of(cell),
    }
}

/// 1 less half the sum of the differences of the shares of all values; NULL is none.
fn tv_complement(real: &Column, made: &Column) -> f64 {
    let mut shares: HashMap<String, (f64, f64)> = HashMap::new();
    let known = |column: &Column| {
        let nulls = column.nulls.clone();
        (0..column.len()).filter(move |row| !nulls.get(*row))
    };
    let share = |column: &Column| 1.0 / (column.len() - column.nulls.count()).max(1) as f64;
    if made.len() == made.nulls.count() {
        return 0.0;
    }
    for row in known(real) {
        shares.entry(text(real.cell(row))).or_default().0 += share(real);
    }
    for row in known(made) {
        shares.entry(text(made.cell(row))).or_default().1 += share(made);
    }
    // In one order: sums of floats depend on it.
    let mut gaps: Vec<f64> = shares.into_values().map(|(a, b)| (a - b).abs()).collect();
    gaps.sort_unstable_by(f64::total_cmp);
    1.0 - 0.5 * gaps.iter().sum::<f64>()
}

pub(crate) fn text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Tags(x) | Cell::Json(x) => x.to_owned(),
        cell => label(cell),
    }
}

/// Of rows in which both are known; `None` where one is constant.
fn correlation(x: &Column, y: &Column) -> Option<f64> {
    let both: Vec<(f64, f64)> = (0..x.len())
        .filter_map(|row| Some((number(x.cell(row))?, number(y.cell(row))?)))
        .collect();
    let n = both.len() as f64;
    let (mx, my) = both
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in both {
        xx += (x - mx) * (x - mx);
        yy += (y - my) * (y - my);
        xy += (x - mx) * (y - my);
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// Both frames' values of a column as numbers of categories or bins.
struct Codes {
    real: Vec<u32>,
    made: Vec<u32>,
}

/// Where bins of one width begin, and the last one ends (NumPy's `histogram_bin_edges`).
fn edges(values: &[f64]) -> Vec<f64> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low == high {
        (low - 0.5, high + 0.5)
    } else {
        (low, high)
    };
    let step = (high - low) / BINS as f64;
    let edge = |i| {
        if i == BINS {
            high
        } else {
            i as f64 * step + low
        }
    };
    (0..=BINS).map(edge).collect()
}

impl Codes {
    fn of(real: &Column, made: &Column) -> Codes {
        if is_number(real.kind) {
            // Each by its own range, as SDMetrics does: what lies too narrow is seen.
            let bin = |column: &Column| -> Vec<u32> {
                let edges = edges(&numbers(column));
                let of = |row| match number(column.cell(row)) {
                    None => edges.len() as u32,
                    Some(x) => edges.partition_point(|e| *e <= x) as u32,
                };
                (0..column.len()).map(of).collect()
            };
            return Codes {
                real: bin(real),
                made: bin(made),
            };
        }
        let mut places: HashMap<String, u32> = HashMap::new();
        let mut code = |column: &Column| -> Vec<u32> {
            let mut out = Vec::with_capacity(column.len());
            for row in 0..column.len() {
                let next = places.len() as u32;
                out.push(*places.entry(text(column.cell(row))).or_insert(next));
            }
            out
        };
        Codes {
            real: code(real),
            made: code(made),
        }
    }

    /// Cramér's V of the real rows (1946): 0 where the columns do not depend on each other, 1 where one follows from the other.
    fn association(&self, other: &Codes) -> f64 {
        let (mut rows, mut columns) = (HashMap::new(), HashMap::new());
        let mut cells: HashMap<(u32, u32), f64> = HashMap::new();
        for (a, b) in self.real.iter().zip(&other.real) {
            *rows.entry(*a).or_insert(0.0) += 1.0;
            *columns.entry(*b).or_insert(0.0) += 1.0;
            *cells.entry((*a, *b)).or_default() += 1.0;
        }
        let n = self.real.len() as f64;
        // χ²/n = Σ observed² / (row · column) - 1.
        let mut terms: Vec<f64> = cells
            .iter()
            .map(|((a, b), o)| o * o / (rows[a] * columns[b]))
            .collect();
        terms.sort_unstable_by(f64::total_cmp);
        let least = rows.len().min(columns.len());
        if n == 0.0 || least < 2 {
            return 0.0;
        }
        ((terms.iter().sum::<f64>() - 1.0).max(0.0) / (least - 1) as f64).sqrt()
    }

    /// 1 less half the sum of the differences of the shares of all pairs of values.
    fn contingency(&self, other: &Codes) -> f64 {
        let mut cells: HashMap<(u32, u32), (u64, u64)> = HashMap::new();
        self.real
            .iter()
            .zip(&other.real)
            .for_each(|(a, b)| cells.entry((*a, *b)).or_default().0 += 1);
        self.made
            .iter()
            .zip(&other.made)
            .for_each(|(a, b)| cells.entry((*a, *b)).or_default().1 += 1);
        let (real, made) = (self.real.len().max(1) as f64, self.made.len().max(1) as f64);
        let mut gaps: Vec<f64> = cells
            .into_values()
            .map(|(a, b)| (a as f64 / real - b as f64 / made).abs())
            .collect();
        gaps.sort_unstable_by(f64::total_cmp);
        1.0 - 0.5 * gaps.iter().sum::<f64>()
    }
}
