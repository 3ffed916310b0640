//! Columns that can be left out of a model: those that hardly vary, say what another column says, or tell nothing about the
//! target by themselves. Only a screening: whether leaving them out pays must be seen on held-out rows.

use super::association::{Permutations, correlation, mutual_information, ranks};
use super::bins::{Bins, bins, spread};
use super::leakage::Outcome;
use crate::frame::{Cell, Column, Frame, Kind};
use rayon::prelude::*;

/// Rows looked at.
const ROWS: usize = 20_000;
/// Rows by which two columns are compared: every pair of columns is.
const PAIR_ROWS: usize = 2_000;
/// Bins of a column.
const BINS: usize = 16;
/// A column whose most frequent value has this share hardly varies.
const NEARLY_CONSTANT: f64 = 0.999;
/// Numbers whose ranks agree this well say the same.
const SAME_RANKS: f64 = 0.99;
/// Categories of which one explains this share of the other's information say the same.
const SAME_INFORMATION: f64 = 0.99;
/// Above this p-value of independence a column is taken to tell nothing.
const IRRELEVANT: f64 = 0.1;

/// A column with what speaks against it, if anything does.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Position in the frame.
    pub position: usize,
    /// Mutual information with the target, in nats.
    pub information: f64,
    pub against: Option<String>,
}

/// Judges each of the columns by the given rows.
pub fn screen(
    frame: &Frame,
    columns: &[usize],
    outcome: &Outcome<'_>,
    rows: &[u32],
) -> Vec<Verdict> {
    let rows = spread(rows, ROWS);
    let most = if outcome.regression { BINS } else { 1000 };
    let target = bins(outcome.target, &rows, most);
    let permutations = Permutations::new(&target, 7);
    let known: Vec<(usize, &Column)> = columns
        .iter()
        .filter_map(|&position| Some((position, frame.columns.get(position)?)))
        .collect();
    let mut verdicts: Vec<(Verdict, Bins)> = known
        .par_iter()
        .map(|&(position, column)| {
            let x = bins(column, &rows, BINS);
            let information = mutual_information(&x, &target);
            let against = alone(column, &x, information, &permutations);
            let verdict = Verdict {
                position,
                information,
                against,
            };
            (verdict, x)
        })
        .collect();
    redundant(&known, &mut verdicts, &rows);
    verdicts.into_iter().map(|(verdict, _)| verdict).collect()
}

fn alone(
    column: &Column,
    x: &Bins,
    information: f64,
    permutations: &Permutations,
) -> Option<String> {
    // Bins say little about long texts, vectors and documents.
    if !comparable(column.kind) {
        return None;
    }
    let mut counts = vec![0usize; x.count];
    x.codes.iter().for_each(|c| counts[usize::from(*c)] += 1);
    let most = counts.into_iter().max().unwrap_or(0) as f64;
    if most > NEARLY_CONSTANT * x.codes.len() as f64 {
        return Some("hardly varies".into());
    }
    let p = permutations.p_value(x, information);
    (p > IRRELEVANT).then(|| format!("no relation with the target is seen by itself (p = {p:.2})"))
}

fn comparable(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Number | Kind::Duration | Kind::Time | Kind::Boolean | Kind::Category
    )
}

/// Of columns that say the same, the one that tells most about the target stays; of equals, the first.
fn redundant(known: &[(usize, &Column)], verdicts: &mut [(Verdict, Bins)], rows: &[u32]) {
    let step = rows.len().div_ceil(PAIR_ROWS).max(1);
    let some: Vec<u32> = rows.iter().copied().step_by(step).collect();
    let by_rank = |(_, column): &(usize, &Column)| numbers(column, &some).map(|n| ranks(&n));
    let ranked: Vec<Option<Vec<f64>>> = known.par_iter().map(by_rank).collect();
    let fewer = |bins: &Bins| Bins {
        codes: bins.codes.iter().copied().step_by(step).collect(),
        count: bins.count,
    };
    let binned: Vec<Bins> = verdicts.iter().map(|(_, bins)| fewer(bins)).collect();
    let mut order: Vec<usize> = (0..known.len()).collect();
    order.sort_by(|a, b| {
        let information = |i: &usize| verdicts[*i].0.information;
        information(b).total_cmp(&information(a)).then(a.cmp(b))
    });
    let mut kept: Vec<usize> = Vec::new();
    for i in order {
        if verdicts[i].0.against.is_some() || !comparable(known[i].1.kind) {
            continue;
        }
        let twin = kept
            .iter()
            .copied()
            .find(|&k| match (&ranked[i], &ranked[k]) {
                (Some(a), Some(b)) => correlation(a, b).abs() >= SAME_RANKS,
                (None, None) => same(&binned[i], &binned[k]),
                _ => false,
            });
        match twin {
            Some(k) => {
                verdicts[i].0.against = Some(format!("says what \"{}\" says", known[k].1.name));
            }
            None => kept.push(i),
        }
    }
}

/// The values of a column of numbers without gaps.
fn numbers(column: &Column, rows: &[u32]) -> Option<Vec<f64>> {
    rows.iter()
        .map(|&row| match column.cell(row as usize) {
            Cell::Number(x) | Cell::Duration(x) => Some(x),
            Cell::Time(x) => Some(x as f64),
            _ => None,
        })
        .collect()
}

fn same(a: &Bins, b: &Bins) -> bool {
    let (own, other) = (mutual_information(a, a), mutual_information(b, b));
    let shared = mutual_information(a, b);
    own > 0.0 && shared >= SAME_INFORMATION * own.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn column(name: &str, values: impl Iterator<Item = f64>) -> Column {
        let mut column = Column::new(name, "float8", Kind::Number);
        values.for_each(|x| column.push(Cell::Number(x)));
        column
    }

    #[test]
    fn noise_copies_and_constants_are_told_from_what_matters() {
        let mut random = Random::new(12);
        let x: Vec<f64> = (0..2000).map(|_| random.normal()).collect();
        let noise: Vec<f64> = (0..2000).map(|_| random.normal()).collect();
        let mut y = Column::new("y", "boolean", Kind::Boolean);
        x.iter()
            .for_each(|x| y.push(Cell::Boolean(*x + 0.5 * random.normal() > 0.0)));
        let frame = Frame {
            columns: vec![
                column("x", x.iter().copied()),
                column("noise", noise.into_iter()),
                column("copy", x.iter().map(|x| x.exp())),
                column("rare", (0..2000).map(|i| f64::from(u8::from(i == 7)))),
                y,
            ],
        };
        let rows: Vec<u32> = (0..2000).collect();
        let outcome = Outcome {
            target: &frame.columns[4],
            regression: false,
            time: None,
        };
        let verdicts = screen(&frame, &[0, 1, 2, 3], &outcome, &rows);
        assert_eq!(verdicts[0].against, None);
        assert!(
            verdicts[1]
                .against
                .as_ref()
                .unwrap()
                .contains("no relation")
        );
        assert_eq!(verdicts[2].against.as_deref(), Some("says what \"x\" says"));
        assert_eq!(verdicts[3].against.as_deref(), Some("hardly varies"));
    }
}
