//! Pairs of columns that may tell more together than each does alone.

use super::association::mutual_information;
use super::bins::{bins, spread};
use super::leakage::Outcome;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::recipe::{Operation, Pair};
use rayon::prelude::*;

/// Rows looked at.
const ROWS: usize = 20_000;
const BINS: usize = 16;
/// Columns of numbers that are paired: those that tell most by themselves.
const COLUMNS: usize = 12;
/// Pairs proposed.
const PROPOSED: usize = 8;
/// A pair must tell this much more than the better of its columns, in nats, whatever the target.
const GAIN: f64 = 0.004;
/// Bins say so much by chance alone for each row (the plug-in estimate's bias is cells / 2n; several times that).
const CHANCE: f64 = 3.0;

/// Ratios, differences and products to try, best first. Positions are those in `columns`; only the given rows are looked at.
pub fn propose(frame: &Frame, columns: &[usize], outcome: &Outcome<'_>, rows: &[u32]) -> Vec<Pair> {
    let rows = spread(rows, ROWS);
    let target = bins(
        outcome.target,
        &rows,
        if outcome.regression { BINS } else { 200 },
    );
    let mut numbers: Vec<(usize, &Column, f64)> = columns
        .iter()
        .enumerate()
        .filter_map(|(position, &c)| Some((position, frame.columns.get(c)?)))
        .filter(|(_, column)| matches!(column.kind, Kind::Number | Kind::Duration))
        .map(|(position, column)| {
            let information = mutual_information(&bins(column, &rows, BINS), &target);
            (position, column, information)
        })
        .collect();
    numbers.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    numbers.truncate(COLUMNS);
    let mut pairs: Vec<(Pair, &Column, &Column, f64)> = Vec::new();
    for (i, left) in numbers.iter().enumerate() {
        for (j, right) in numbers.iter().enumerate() {
            let best = left.2.max(right.2);
            for operation in [Operation::Ratio, Operation::Difference, Operation::Product] {
                // Only a ratio depends on the order.
                if i < j || (operation == Operation::Ratio && i != j) {
                    let pair = Pair {
                        operation,
                        left: left.0,
                        right: right.0,
                    };
                    pairs.push((pair, left.1, right.1, best));
                }
            }
        }
    }
    let needed = GAIN.max(CHANCE * (BINS * target.count) as f64 / (2.0 * rows.len().max(1) as f64));
    let mut gains: Vec<(f64, Pair)> = pairs
        .into_par_iter()
        .filter_map(|(pair, left, right, best)| {
            let made = made(&pair, left, right, &rows);
            let places: Vec<u32> = (0..rows.len() as u32).collect();
            let gain = mutual_information(&bins(&made, &places, BINS), &target) - best;
            (gain >= needed).then_some((gain, pair))
        })
        .collect();
    gains.sort_by(|a, b| b.0.total_cmp(&a.0));
    // A ratio and its inverse say the same to bins.
    let mut proposed: Vec<Pair> = Vec::new();
    for (_, pair) in gains {
        let inverse = |p: &Pair| {
            p.operation == pair.operation && p.left == pair.right && p.right == pair.left
        };
        if proposed.len() < PROPOSED && !proposed.iter().any(inverse) {
            proposed.push(pair);
        }
    }
    proposed
}

fn made(pair: &Pair, left: &Column, right: &Column, rows: &[u32]) -> Column {
    let mut column = Column::new("made", "double precision", Kind::Number);
    for &row in rows {
        let value = pair.value(left.cell(row as usize), right.cell(row as usize));
        column.push(value.map_or(Cell::Null, Cell::Number));
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_ratio_that_rules_the_target_is_proposed() {
        let mut random = Random::new(9);
        let columns = ["debt", "income", "noise"].map(|n| Column::new(n, "float8", Kind::Number));
        let [mut debt, mut income, mut noise] = columns;
        let mut y = Column::new("y", "boolean", Kind::Boolean);
        for _ in 0..4000 {
            let (a, b) = (random.normal().exp(), random.normal().exp());
            debt.push(Cell::Number(a));
            income.push(Cell::Number(b));
            noise.push(Cell::Number(random.normal()));
            y.push(Cell::Boolean(a / b > 1.0));
        }
        let frame = Frame {
            columns: vec![debt, income, noise, y],
        };
        let rows: Vec<u32> = (0..4000).collect();
        let outcome = Outcome {
            target: &frame.columns[3],
            regression: false,
            time: None,
        };
        let proposed = propose(&frame, &[0, 1, 2], &outcome, &rows);
        assert!(!proposed.is_empty());
        let found = proposed
            .iter()
            .any(|p| p.operation == Operation::Ratio && p.left + p.right == 1);
        assert!(found, "{proposed:?}");
        assert!(
            proposed.iter().all(|p| p.left != 2 && p.right != 2),
            "{proposed:?}"
        );
    }
}
