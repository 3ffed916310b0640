//! Pairs of columns that say together what neither says by itself and both do not say in sum: they interact.
//!
//! A model in which each column has its own effect is the log-linear model without the interaction of all three (Bishop,
//! Fienberg and Holland 1975, "Discrete Multivariate Analysis"); what it leaves unexplained is the deviance G².

use super::association::mutual_information;
use super::bins::{Bins, bins, spread};
use super::leakage::Outcome;
use crate::frame::{Column, Frame, Kind};
use crate::recipe::is_prose;
use rayon::prelude::*;

/// Rows looked at.
const ROWS: usize = 20_000;
/// Levels of a category told apart, and bins of a number.
const LEVELS: usize = 16;
const BINS: usize = 8;
/// Classes of the target told apart, or bins of a number.
const CLASSES: usize = 6;
/// Columns that are paired: those that tell most by themselves.
const COLUMNS: usize = 40;
/// Crosses proposed.
const PROPOSED: usize = 6;
/// Pairs of values in fewer rows are left out of the test: they get no level of their own, and small counts inflate G².
const CELL_ROWS: u32 = 5;
/// The deviance must lie this many standard deviations above what chance makes of it: about 3 in a million, so that all 780
/// pairs of 40 columns together are wrong once in 400 tables.
const SIGNIFICANT: f64 = 4.5;
/// The interaction must tell so much, in nats.
const GAIN: f64 = 0.001;
/// Rounds of fitting, at most, and when it is done.
const ROUNDS: usize = 30;
const FITTED: f64 = 1e-3;

/// Crosses to try, best first, as positions in `columns`, at least one of each a category; only the given rows are looked at.
pub fn propose(
    frame: &Frame,
    columns: &[usize],
    outcome: &Outcome<'_>,
    rows: &[u32],
) -> Vec<(usize, usize)> {
    let rows = spread(rows, ROWS);
    let target = bins(outcome.target, &rows, CLASSES);
    let mut candidates: Vec<(usize, bool, Bins, f64)> = columns
        .par_iter()
        .enumerate()
        .filter_map(|(position, &c)| {
            let column = frame.columns.get(c)?;
            let category = is_category(column, &rows)?;
            let binned = bins(column, &rows, if category { LEVELS } else { BINS });
            let information = mutual_information(&binned, &target);
            Some((position, category, binned, information))
        })
        .collect();
    candidates.sort_by(|a, b| b.3.total_cmp(&a.3).then(a.0.cmp(&b.0)));
    candidates.truncate(COLUMNS);
    let places = 0..candidates.len();
    let pairs: Vec<(usize, usize)> = places
        .clone()
        .flat_map(|i| (i + 1..candidates.len()).map(move |j| (i, j)))
        .filter(|&(i, j)| candidates[i].1 || candidates[j].1)
        .collect();
    let mut gains: Vec<(f64, (usize, usize))> = pairs
        .into_par_iter()
        .filter_map(|(i, j)| {
            let (left, right) = (&candidates[i], &candidates[j]);
            let (gain, deviation) = interaction(&left.2, &right.2, &target);
            let positions = (left.0.min(right.0), left.0.max(right.0));
            (deviation >= SIGNIFICANT && gain >= GAIN).then_some((gain, positions))
        })
        .collect();
    gains.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    gains
        .into_iter()
        .take(PROPOSED)
        .map(|(_, pair)| pair)
        .collect()
}

/// Whether the column is a category rather than a number; `None`: neither.
fn is_category(column: &Column, rows: &[u32]) -> Option<bool> {
    match column.kind {
        Kind::Boolean => Some(true),
        Kind::Category => (!is_prose(column, rows)).then_some(true),
        Kind::Number | Kind::Duration => Some(false),
        _ => None,
    }
}

/// What the interaction tells about the target in nats a row, less what chance would make of it, and by how many standard
/// deviations G² exceeds chance (Wilson and Hilferty 1931).
fn interaction(x: &Bins, y: &Bins, target: &Bins) -> (f64, f64) {
    let (a, b, c) = (x.count, y.count, target.count);
    let mut counts = vec![0u32; a * b * c];
    for ((&i, &j), &k) in x.codes.iter().zip(&y.codes).zip(&target.codes) {
        counts[(usize::from(i) * b + usize::from(j)) * c + usize::from(k)] += 1;
    }
    let mut found: Vec<f64> = Vec::with_capacity(counts.len());
    for cell in counts.chunks(c) {
        let enough = cell.iter().sum::<u32>() >= CELL_ROWS;
        found.extend(
            cell.iter()
                .map(|n| if enough { f64::from(*n) } else { 0.0 }),
        );
    }
    let total: f64 = found.iter().sum();
    let filled = |count: usize, of: &dyn Fn(usize) -> usize| {
        let mut seen = vec![false; count];
        let cells = found.iter().enumerate().filter(|(_, n)| **n > 0.0);
        cells.for_each(|(place, _)| seen[of(place)] = true);
        seen.into_iter().filter(|seen| *seen).count() as f64
    };
    let pairs = filled(a * b, &|place| place / c);
    let free = (pairs - filled(a, &|p| p / (b * c)) - filled(b, &|p| p / c % b) + 1.0)
        * (filled(c, &|p| p % c) - 1.0);
    if free < 1.0 || total < 1.0 {
        return (0.0, 0.0);
    }
    let expected = without_interaction(&found, (a, b, c));
    let deviance: f64 = found
        .iter()
        .zip(&expected)
        .filter(|(n, m)| **n > 0.0 && **m > 0.0)
        .map(|(n, m)| 2.0 * n * (n / m).ln())
        .sum();
    let ninth = 2.0 / (9.0 * free);
    let deviation = ((deviance.max(0.0) / free).cbrt() - (1.0 - ninth)) / ninth.sqrt();
    ((deviance - free) / (2.0 * total), deviation)
}

/// The table with the same sums over each of its three sides and no interaction of all three, by iterative proportional
/// fitting (Deming and Stephan 1940).
fn without_interaction(found: &[f64], (a, b, c): (usize, usize, usize)) -> Vec<f64> {
    /// How many sums a side has, and to which a place adds.
    type Side = (usize, Box<dyn Fn(usize) -> usize>);
    let sides: [Side; 3] = [
        (a * b, Box::new(move |p| p / c)),
        (a * c, Box::new(move |p| p / (b * c) * c + p % c)),
        (b * c, Box::new(move |p| p % (b * c))),
    ];
    let sums = |table: &[f64], size: usize, of: &dyn Fn(usize) -> usize| {
        let mut sums = vec![0.0; size];
        table.iter().enumerate().for_each(|(p, n)| sums[of(p)] += n);
        sums
    };
    let wanted: Vec<Vec<f64>> = sides
        .iter()
        .map(|(size, of)| sums(found, *size, of))
        .collect();
    let mut fitted = vec![1.0; found.len()];
    for _ in 0..ROUNDS {
        let mut off = 0f64;
        for ((size, of), wanted) in sides.iter().zip(&wanted) {
            let have = sums(&fitted, *size, of);
            for (place, value) in fitted.iter_mut().enumerate() {
                let (wanted, have) = (wanted[of(place)], have[of(place)]);
                off = off.max((wanted - have).abs());
                *value *= if have > 0.0 { wanted / have } else { 0.0 };
            }
        }
        if off < FITTED {
            break;
        }
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Cell;
    use crate::random::Random;

    /// Two categories, a number and noise; `rule` says how likely the target is.
    fn frame(rows: usize, rule: impl Fn(usize, usize, f64) -> f64) -> Frame {
        let mut random = Random::new(31);
        let text = |name: &str| Column::new(name, "text", Kind::Category);
        let (mut a, mut b, mut noise) = (text("a"), text("b"), text("noise"));
        let mut x = Column::new("x", "float8", Kind::Number);
        let mut y = Column::new("y", "boolean", Kind::Boolean);
        for _ in 0..rows {
            let (i, j, z) = (random.below(4), random.below(5), random.normal());
            a.push(Cell::Text(&format!("a{i}")));
            b.push(Cell::Text(&format!("b{j}")));
            noise.push(Cell::Text(&format!("n{}", random.below(30))));
            x.push(Cell::Number(z));
            y.push(Cell::Boolean(random.uniform() < rule(i, j, z)));
        }
        Frame {
            columns: vec![a, b, x, noise, y],
        }
    }

    fn proposed(frame: &Frame) -> Vec<(usize, usize)> {
        let rows: Vec<u32> = (0..frame.rows() as u32).collect();
        let outcome = Outcome {
            target: &frame.columns[4],
            regression: false,
            time: None,
        };
        propose(frame, &[0, 1, 2, 3], &outcome, &rows)
    }

    #[test]
    fn columns_that_only_tell_together_are_proposed() {
        let checkered = frame(3000, |i, j, _| if (i + j) % 2 == 0 { 0.7 } else { 0.3 });
        assert_eq!(proposed(&checkered), [(0, 1)]);
        let turning = frame(
            3000,
            |i, _, z| if (i % 2 == 0) == (z > 0.0) { 0.8 } else { 0.2 },
        );
        assert_eq!(proposed(&turning), [(0, 2)]);
    }

    #[test]
    fn strong_effects_that_add_up_are_not() {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let sum = frame(8000, |i, j, z| {
            logistic(i as f64 - 1.5 + 0.7 * (j as f64 - 2.0) + z)
        });
        assert_eq!(proposed(&sum), []);
        assert_eq!(proposed(&frame(8000, |_, _, _| 0.5)), []);
    }
}
