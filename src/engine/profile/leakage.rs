//! Columns that give the target away: copies and codes of it, what is recorded only once the outcome is known.
//!
//! Only the rows given are looked at, so a training can ask without seeing its test rows. Every test learns on one half of
//! them and judges on the other.

use super::association::{explained_entropy, rank_correlation};
use super::bins::{Bins, bins, spread};
use crate::frame::{Cell, Column, Frame, Kind, Values};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows looked at.
const ROWS: usize = 50_000;
/// Bins of a feature.
const BINS: usize = 64;
/// One column that explains this share of the target's entropy does what no honest feature does.
const ENTROPY: f64 = 0.8;
/// A rank correlation of this size is a copy of a number in other units.
const RANKS: f64 = 0.999;
/// A value that goes with one class this often ...
const PURITY: f64 = 0.99;
/// ... in at least so many rows ...
const PURE_ROWS: usize = 30;
/// ... and so large a share of that class, gives the class away.
const PURE_SHARE: f64 = 0.05;
/// Columns of at most this many values are looked at value by value.
const FLAG: usize = 20;
/// Share of rows in which a time may lie after the outcome by mistake.
const LATE: f64 = 0.01;

/// A column that gives the target away, and how that shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    pub column: String,
    pub reason: String,
}

/// What the features are held against.
pub struct Outcome<'a> {
    pub target: &'a Column,
    /// A number to be estimated rather than classes.
    pub regression: bool,
    /// When the outcome was known: a column of times.
    pub time: Option<&'a Column>,
}

/// The leaking ones among the columns.
pub fn find(frame: &Frame, columns: &[usize], outcome: &Outcome<'_>, rows: &[u32]) -> Vec<Leak> {
    let rows: Vec<u32> = rows
        .iter()
        .copied()
        .filter(|row| !outcome.target.nulls.get(*row as usize))
        .collect();
    let rows = spread(&rows, ROWS);
    let target = bins(
        outcome.target,
        &rows,
        if outcome.regression { 16 } else { 1000 },
    );
    let reason = |column: &Column| {
        late(column, outcome.time, &rows).or_else(|| {
            if outcome.regression {
                copied_number(column, outcome.target, &rows)
            } else {
                let x = bins(column, &rows, BINS);
                given_away(&x, &target).or_else(|| pure_value(column, &x, &target, outcome, &rows))
            }
        })
    };
    columns
        .par_iter()
        .filter_map(|&position| frame.columns.get(position))
        .filter_map(|column| {
            reason(column).map(|reason| Leak {
                column: column.name.clone(),
                reason,
            })
        })
        .collect()
}

/// A time after the outcome's cannot have been known before it.
fn late(column: &Column, outcome: Option<&Column>, rows: &[u32]) -> Option<String> {
    let outcome = outcome.filter(|o| o.name != column.name)?;
    let (Values::Time(times), Values::Time(known)) = (&column.values, &outcome.values) else {
        return None;
    };
    let both = rows
        .iter()
        .map(|row| *row as usize)
        .filter(|row| !column.nulls.get(*row) && !outcome.nulls.get(*row));
    let (mut all, mut after) = (0usize, 0usize);
    for row in both {
        all += 1;
        after += usize::from(times[row] > known[row]);
    }
    (all > 0 && after as f64 > LATE * all as f64).then(|| {
        format!(
            "lies after \"{}\" in {:.0} % of the rows: it was not known before the outcome",
            outcome.name,
            100.0 * after as f64 / all as f64
        )
    })
}

fn given_away(x: &Bins, target: &Bins) -> Option<String> {
    let explained = explained_entropy(x, target);
    (explained >= ENTROPY).then(|| {
        format!(
            "by itself it explains {:.0} % of the target's entropy on rows it was not fitted to",
            100.0 * explained
        )
    })
}

/// A number that orders the rows as the target does.
fn copied_number(column: &Column, target: &Column, rows: &[u32]) -> Option<String> {
    let number = |column: &Column, row: usize| match column.cell(row) {
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        _ => None,
    };
    let pairs: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|&row| Some((number(column, row as usize)?, number(target, row as usize)?)))
        .collect();
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    if x.len() < PURE_ROWS {
        return None;
    }
    let correlation = rank_correlation(&x, &y);
    (correlation.abs() >= RANKS)
        .then(|| format!("orders the rows as the target does (rank correlation {correlation:.4})"))
}

/// A value, or the lack of one, that always goes with one class that is otherwise not the rule.
fn pure_value(
    column: &Column,
    x: &Bins,
    target: &Bins,
    outcome: &Outcome<'_>,
    rows: &[u32],
) -> Option<String> {
    let flag = matches!(column.kind, Kind::Boolean | Kind::Category) || x.count <= FLAG;
    if !flag || x.count > FLAG + 1 {
        return None;
    }
    let mut counts = vec![0usize; x.count * target.count];
    for (&x, &y) in x.codes.iter().zip(&target.codes) {
        counts[usize::from(x) * target.count + usize::from(y)] += 1;
    }
    let by_class: Vec<usize> = (0..target.count)
        .map(|class| counts.iter().skip(class).step_by(target.count).sum())
        .collect();
    for (value, counts) in counts.chunks(target.count).enumerate() {
        let all: usize = counts.iter().sum();
        for (class, &count) in counts.iter().enumerate() {
            let pure = all >= PURE_ROWS && count as f64 >= PURITY * all as f64;
            let of_class = count as f64 / by_class[class].max(1) as f64;
            let rule = by_class[class] as f64 > 0.5 * rows.len() as f64;
            if pure && of_class >= PURE_SHARE && !rule {
                let example = |codes: &[u16], code: usize| {
                    let position = codes.iter().position(|c| usize::from(*c) == code);
                    position.map_or(0, |p| rows[p] as usize)
                };
                let shown = match column.cell(example(&x.codes, value)) {
                    Cell::Null => "a missing value".to_owned(),
                    cell => format!("the value {}", super::bins::show(cell)),
                };
                let label = outcome.target.cell(example(&target.codes, class));
                return Some(format!(
                    "{shown} goes with {} in {count} of {all} rows",
                    super::bins::show(label)
                ));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn sample(rows: i64) -> Frame {
        let mut fee = Column::new("cancellation_fee", "numeric", Kind::Number);
        let mut tenure = Column::new("tenure_months", "integer", Kind::Number);
        let mut contract = Column::new("contract", "text", Kind::Category);
        let mut left = Column::new("left_reason", "text", Kind::Category);
        let mut churn = Column::new("churn", "boolean", Kind::Boolean);
        for c in sample::customers(rows, 3) {
            fee.push(Cell::Number(c.cancellation_fee as f64));
            tenure.push(Cell::Number(f64::from(c.tenure_months)));
            contract.push(Cell::Text(c.contract));
            // Asked of some of those who left, and of nobody else.
            let asked = c.churn && c.customer_id % 4 == 0;
            left.push(if asked {
                Cell::Text("moved")
            } else {
                Cell::Null
            });
            churn.push(Cell::Boolean(c.churn));
        }
        Frame {
            columns: vec![fee, tenure, contract, left, churn],
        }
    }

    #[test]
    fn what_is_known_only_afterwards_is_found_and_honest_columns_are_not() {
        let frame = sample(4000);
        let rows: Vec<u32> = (0..4000).collect();
        let outcome = Outcome {
            target: &frame.columns[4],
            regression: false,
            time: None,
        };
        let leaks = find(&frame, &[0, 1, 2, 3], &outcome, &rows);
        let names: Vec<&str> = leaks.iter().map(|l| l.column.as_str()).collect();
        assert_eq!(names, ["cancellation_fee", "left_reason"]);
        assert!(leaks[1].reason.contains("moved"), "{}", leaks[1].reason);
    }

    #[test]
    fn a_copy_in_other_units_is_found() {
        let mut dollars = Column::new("dollars", "numeric", Kind::Number);
        let mut cents = Column::new("log_cents", "numeric", Kind::Number);
        let mut other = Column::new("other", "numeric", Kind::Number);
        for i in 0..500 {
            let value = f64::from((i * 7919) % 1009);
            dollars.push(Cell::Number(value));
            cents.push(Cell::Number((value * 100.0).ln_1p()));
            other.push(Cell::Number(value + f64::from(i % 300)));
        }
        let frame = Frame {
            columns: vec![dollars, cents, other],
        };
        let rows: Vec<u32> = (0..500).collect();
        let outcome = Outcome {
            target: &frame.columns[0],
            regression: true,
            time: None,
        };
        let leaks = find(&frame, &[1, 2], &outcome, &rows);
        assert_eq!(leaks.len(), 1);
        assert_eq!(leaks[0].column, "log_cents");
    }

    #[test]
    fn a_time_after_the_outcome_is_found() {
        let mut closed = Column::new("closed_at", "date", Kind::Time);
        let mut opened = Column::new("opened_at", "date", Kind::Time);
        let mut ended = Column::new("ended_at", "date", Kind::Time);
        let mut target = Column::new("y", "boolean", Kind::Boolean);
        for i in 0..200i64 {
            opened.push(Cell::Time(i * 10));
            ended.push(Cell::Time(i * 10 + 5_000));
            closed.push(Cell::Time(i * 10 + 5_001));
            target.push(Cell::Boolean(i % 2 == 0));
        }
        let frame = Frame {
            columns: vec![closed, opened, ended, target],
        };
        let rows: Vec<u32> = (0..200).collect();
        let outcome = Outcome {
            target: &frame.columns[3],
            regression: false,
            time: Some(&frame.columns[2]),
        };
        let leaks = find(&frame, &[0, 1, 2], &outcome, &rows);
        assert_eq!(leaks.len(), 1);
        assert_eq!(leaks[0].column, "closed_at");
    }
}
