//! What stands in for values that are missing: one value for all, or a number predicted from the other numbers of the row.

use super::dates;
use super::params::{Constant, Missing};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::profile::unfit::{Unfit, unfit};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rows a regression is fitted on at most, evenly spread.
const ROWS: usize = 20_000;
/// Columns it predicts from at most, the most correlated first.
const PREDICTORS: usize = 20;
/// Fewer rows than this give the median.
const FEW: usize = 10;
/// The penalty on the weights of standardised columns, as scikit-learn's Ridge has it by default.
const PENALTY: f64 = 1.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    Number(f64),
    Time(i64),
    Boolean(bool),
    Text(String),
    Ridge(Ridge),
}

/// y = mean + Σ weight · (x − mean of x); a missing x counts as its mean. Hoerl and Kennard 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ridge {
    mean: f64,
    /// What is predicted stays within what was seen.
    low: f64,
    high: f64,
    /// Position of the column, mean, weight.
    pub(super) terms: Vec<(usize, f64, f64)>,
}

impl Ridge {
    pub fn predict<'a>(&self, cell: impl Fn(usize) -> Cell<'a>) -> f64 {
        let term = |&(column, mean, weight): &(usize, f64, f64)| {
            number(cell(column)).map_or(0.0, |x| weight * (x - mean))
        };
        let value = self.mean + self.terms.iter().map(term).sum::<f64>();
        value.max(self.low).min(self.high)
    }
}

fn number(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        _ => None,
    }
}

impl Fill {
    /// Learns from the rows of a clean frame what fills the column at a position; `None`: nothing fits. `predictors` are the
    /// columns a regression may use.
    pub fn find(
        frame: &Frame,
        position: usize,
        predictors: &[usize],
        rows: &[u32],
        wanted: &Missing,
    ) -> Option<Fill> {
        let column = frame.columns.get(position)?;
        let numeric = matches!(column.kind, Kind::Number | Kind::Duration | Kind::Time);
        match wanted {
            Missing::Keep | Missing::Drop => None,
            Missing::Auto if numeric => median(column, rows),
            Missing::Auto | Missing::Mode => mode(column, rows),
            Missing::Median => numeric.then(|| median(column, rows)).flatten(),
            Missing::Mean => numeric.then(|| mean(column, rows)).flatten(),
            Missing::Constant(constant) => fixed(column, constant),
            Missing::Model => match column.kind {
                Kind::Number | Kind::Duration => {
                    ridge(frame, position, predictors, rows).or_else(|| median(column, rows))
                }
                Kind::Time => median(column, rows),
                _ => None,
            },
        }
    }

    /// With other positions for its columns; one without a new position is left out.
    pub(super) fn moved(self, to: impl Fn(usize) -> Option<usize>) -> Fill {
        match self {
            Fill::Ridge(mut ridge) => {
                let moved = ridge
                    .terms
                    .iter()
                    .filter_map(|t| Some((to(t.0)?, t.1, t.2)));
                ridge.terms = moved.collect();
                Fill::Ridge(ridge)
            }
            other => other,
        }
    }

    /// In words, as in "filled with median 3"; columns by name.
    pub fn describe(&self, name: impl Fn(usize) -> String) -> String {
        match self {
            Fill::Number(x) => super::report::figure(*x),
            Fill::Time(t) => crate::calendar::iso(*t),
            Fill::Boolean(x) => x.to_string(),
            Fill::Text(text) => super::report::quote(text),
            Fill::Ridge(ridge) => {
                let names: Vec<String> = ridge.terms.iter().map(|t| name(t.0)).collect();
                format!("what is predicted from {}", names.join(", "))
            }
        }
    }

    /// The value for a row; numbers take the column's kind.
    pub(super) fn cell<'a, 'r>(&'a self, kind: Kind, row: impl Fn(usize) -> Cell<'r>) -> Cell<'a> {
        let number = |x| match kind {
            Kind::Duration => Cell::Duration(x),
            _ => Cell::Number(x),
        };
        match self {
            Fill::Number(x) => number(*x),
            Fill::Ridge(ridge) => number(ridge.predict(row)),
            Fill::Time(t) => Cell::Time(*t),
            Fill::Boolean(x) => Cell::Boolean(*x),
            Fill::Text(text) => Cell::Text(text),
        }
    }
}

fn numbers(column: &Column, rows: &[u32]) -> Vec<f64> {
    let value = |row: &u32| match column.cell(*row as usize) {
        Cell::Time(t) => Some(t as f64),
        cell => number(cell),
    };
    rows.iter().filter_map(value).collect()
}

fn of_kind(column: &Column, value: f64) -> Fill {
    match column.kind {
        Kind::Time => Fill::Time(value as i64),
        _ => Fill::Number(value),
    }
}

/// The middle value; of two middle ones the lower, so that it is one that occurs.
fn median(column: &Column, rows: &[u32]) -> Option<Fill> {
    let mut values = numbers(column, rows);
    let middle = values.len().checked_sub(1)? / 2;
    let value = *values.select_nth_unstable_by(middle, f64::total_cmp).1;
    Some(of_kind(column, value))
}

fn mean(column: &Column, rows: &[u32]) -> Option<Fill> {
    let mut values = numbers(column, rows);
    // Times without end would make all others vanish.
    values.retain(|x| column.kind != Kind::Time || x.abs() < i64::MAX as f64);
    let count = values.len() as f64;
    // Each part divided first: a sum of large values is no number.
    let mean = values.iter().map(|x| x / count).sum::<f64>();
    (!values.is_empty() && mean.is_finite()).then(|| of_kind(column, mean))
}

/// The most frequent value; of several the least.
fn mode(column: &Column, rows: &[u32]) -> Option<Fill> {
    let cells = rows.iter().map(|row| column.cell(*row as usize));
    match column.kind {
        Kind::Category => {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            for cell in cells {
                if let Cell::Text(text) = cell {
                    *counts.entry(text).or_default() += 1;
                }
            }
            let most = counts
                .into_iter()
                .max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
            // One customer's address is not another's.
            let shared = most.filter(|(_, count)| *count > 1 && !names_rows(column, rows));
            shared.map(|(text, _)| Fill::Text(text.to_owned()))
        }
        Kind::Boolean => {
            let (mut yes, mut no) = (0, 0);
            for cell in cells {
                yes += usize::from(cell == Cell::Boolean(true));
                no += usize::from(cell == Cell::Boolean(false));
            }
            (yes + no > 0).then_some(Fill::Boolean(yes > no))
        }
        Kind::Number | Kind::Duration | Kind::Time => {
            let mut values = numbers(column, rows);
            values.sort_unstable_by(f64::total_cmp);
            let runs = values
                .chunk_by(|a, b| a == b)
                .map(|run| (run.len(), run[0]));
            let most = runs.max_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
            most.map(|(_, value)| of_kind(column, value))
        }
        _ => None,
    }
}

fn names_rows(column: &Column, rows: &[u32]) -> bool {
    column.type_name == "uuid" || matches!(unfit(column, rows), Some(Unfit::Identifier(_)))
}

/// The given value where it is of the column's kind.
pub(super) fn fixed(column: &Column, constant: &Constant) -> Option<Fill> {
    match (column.kind, constant.of(&column.name)?) {
        (Kind::Number | Kind::Duration, Value::Number(x)) => x.as_f64().map(Fill::Number),
        (Kind::Boolean, Value::Bool(x)) => Some(Fill::Boolean(*x)),
        (Kind::Category, Value::String(text)) => Some(Fill::Text(text.clone())),
        (Kind::Time, Value::String(text)) => {
            let format = dates::Format {
                order: dates::Order::DayFirst,
                ambiguous: false,
            };
            format.read(text).map(Fill::Time)
        }
        _ => None,
    }
}

/// Fits the regression on rows where the column is present; `None` where there is too little to learn from.
fn ridge(frame: &Frame, position: usize, predictors: &[usize], rows: &[u32]) -> Option<Fill> {
    let target = &frame.columns[position];
    let known: Vec<u32> = rows
        .iter()
        .copied()
        .filter(|row| !target.nulls.get(*row as usize))
        .collect();
    if known.len() < FEW || known.len() == rows.len() {
        return None;
    }
    let step = known.len().div_ceil(ROWS);
    let known: Vec<u32> = known.into_iter().step_by(step).collect();
    let y = standardise(target, &known)?;
    let mut inputs: Vec<(usize, Standard, f64)> = predictors
        .iter()
        .filter(|p| **p != position)
        .filter_map(|&p| Some((p, standardise(frame.columns.get(p)?, &known)?)))
        .map(|(p, x)| {
            let with = dot(&x.values, &y.values);
            (p, x, with)
        })
        .collect();
    inputs.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
    inputs.truncate(PREDICTORS);
    let size = inputs.len();
    let mut gram = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..=i {
            gram[i * size + j] = dot(&inputs[i].1.values, &inputs[j].1.values);
        }
        gram[i * size + i] += PENALTY;
    }
    let weights = solve(&mut gram, inputs.iter().map(|i| i.2).collect())?;
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for x in known
        .iter()
        .filter_map(|row| number(target.cell(*row as usize)))
    {
        (low, high) = (low.min(x), high.max(x));
    }
    let terms: Vec<(usize, f64, f64)> = inputs
        .iter()
        .zip(weights)
        .map(|((column, x, _), weight)| (*column, x.mean, weight * y.deviation / x.deviation))
        .collect();
    let finite = terms.iter().all(|t| t.1.is_finite() && t.2.is_finite());
    (finite && !terms.is_empty()).then_some(Fill::Ridge(Ridge {
        mean: y.mean,
        low,
        high,
        terms,
    }))
}

struct Standard {
    mean: f64,
    deviation: f64,
    /// Standardised; 0 where missing.
    values: Vec<f64>,
}

/// `None` for a column that is no number or does not vary.
fn standardise(column: &Column, rows: &[u32]) -> Option<Standard> {
    let values: Vec<Option<f64>> = rows
        .iter()
        .map(|row| number(column.cell(*row as usize)))
        .collect();
    let count = values.iter().flatten().count() as f64;
    let mean = values.iter().flatten().map(|x| x / count).sum::<f64>();
    let squares = values.iter().flatten().map(|x| (x - mean).powi(2) / count);
    let deviation = squares.sum::<f64>().sqrt();
    let usable = deviation.is_finite() && deviation > 1e-12 * mean.abs().max(1e-300);
    usable.then(|| Standard {
        mean,
        deviation,
        values: values
            .into_iter()
            .map(|x| x.map_or(0.0, |x| (x - mean) / deviation))
            .collect(),
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Solves A x = b by Cholesky's decomposition; A is positive definite, row-major, its lower half filled in.
fn solve(a: &mut [f64], mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let sum = a[i * n + j] - (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum::<f64>();
            if i == j {
                if !(sum > 0.0 && sum.is_finite()) {
                    return None;
                }
                a[i * n + i] = sum.sqrt();
            } else {
                a[i * n + j] = sum / a[j * n + j];
            }
        }
    }
    for i in 0..n {
        let known = (0..i).map(|k| a[i * n + k] * b[k]).sum::<f64>();
        b[i] = (b[i] - known) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let known = (i + 1..n).map(|k| a[k * n + i] * b[k]).sum::<f64>();
        b[i] = (b[i] - known) / a[i * n + i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: Kind, cells: &[Cell<'_>]) -> Column {
        let mut column = Column::new(name, "any", kind);
        cells.iter().for_each(|cell| column.push(*cell));
        column
    }

    fn fill(kind: Kind, cells: &[Cell<'_>], wanted: Missing) -> Option<Fill> {
        let frame = Frame {
            columns: vec![column("x", kind, cells)],
        };
        let rows: Vec<u32> = (0..cells.len() as u32).collect();
        Fill::find(&frame, 0, &[0], &rows, &wanted)
    }

    #[test]
    fn one_value_fills_all() {
        let cells = [1.0, 1.0, 3.0, 9.0].map(Cell::Number);
        let cells = [&cells[..], &[Cell::Null]].concat();
        for (wanted, value) in [
            (Missing::Auto, Some(1.0)),
            (Missing::Median, Some(1.0)),
            (Missing::Mean, Some(3.5)),
            (Missing::Mode, Some(1.0)),
            (Missing::Constant(Constant::One(7.into())), Some(7.0)),
            (Missing::Constant(Constant::One("7".into())), None),
            (Missing::Keep, None),
            (Missing::Drop, None),
        ] {
            assert_eq!(fill(Kind::Number, &cells, wanted), value.map(Fill::Number));
        }
        let texts = ["b", "a", "b"].map(Cell::Text);
        assert_eq!(
            fill(Kind::Category, &texts, Missing::Auto),
            Some(Fill::Text("b".into()))
        );
        assert_eq!(fill(Kind::Category, &texts, Missing::Median), None);
        let times = [5, 6, 7].map(Cell::Time);
        assert_eq!(
            fill(Kind::Time, &times, Missing::Model),
            Some(Fill::Time(6))
        );
        let date = Missing::Constant(Constant::One("2000-01-02".into()));
        assert_eq!(
            fill(Kind::Time, &times, date),
            Some(Fill::Time(86_400_000_000))
        );
    }

    #[test]
    fn nothing_fills_a_column_without_values() {
        for kind in [Kind::Number, Kind::Category, Kind::Boolean, Kind::Time] {
            for cells in [&[][..], &[Cell::Null]] {
                for wanted in [Missing::Auto, Missing::Mode, Missing::Mean, Missing::Model] {
                    assert_eq!(fill(kind, cells, wanted), None);
                }
            }
        }
    }

    #[test]
    fn a_number_is_predicted_from_the_others() {
        let (mut a, mut b, mut y) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..400 {
            let (x, z) = (f64::from(i % 20), f64::from(i % 7));
            a.push(Cell::Number(x));
            b.push(if i % 11 == 0 {
                Cell::Null
            } else {
                Cell::Number(z)
            });
            y.push(if i % 5 == 0 {
                Cell::Null
            } else {
                Cell::Number(3.0 * x - 2.0 * z + 10.0)
            });
        }
        let frame = Frame {
            columns: vec![
                column("a", Kind::Number, &a),
                column("b", Kind::Number, &b),
                column("y", Kind::Number, &y),
            ],
        };
        let rows: Vec<u32> = (0..400).collect();
        let Some(Fill::Ridge(ridge)) = Fill::find(&frame, 2, &[0, 1, 2], &rows, &Missing::Model)
        else {
            panic!("no regression");
        };
        let predict = |x: f64, z: f64| ridge.predict(|c| Cell::Number(if c == 0 { x } else { z }));
        assert!(
            (predict(8.0, 3.0) - 28.0).abs() < 1.0,
            "{}",
            predict(8.0, 3.0)
        );
        assert!(predict(1e9, 0.0) <= 67.0, "within what was seen");
        assert!(ridge.predict(|_| Cell::Null).is_finite());
    }

    #[test]
    fn huge_numbers_are_survived() {
        let cells = [1e308, -1e308, 1e308, 1e308].map(Cell::Number);
        let fill = fill(Kind::Number, &cells, Missing::Mean);
        assert!(matches!(fill, Some(Fill::Number(x)) if x.is_finite()));
    }
}
