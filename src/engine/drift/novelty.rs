//! How unlike the rows a model was judged on a row is.

use super::statistics::{Statistics, View, view};
use crate::explain::MOST_ROWS;
use crate::frame::{Cell, Column, Frame};
use hashbrown::HashMap;

/// The nearest rows whose mean distance counts.
const NEAREST: usize = 5;

/// One column of the rows.
enum Points {
    /// NaN is missing. Distances are in units of the column's spread in training.
    Numbers {
        values: Vec<f64>,
        scale: f64,
        by_length: bool,
    },
    /// 0 is missing.
    Levels {
        values: Vec<u32>,
        codes: HashMap<Box<str>, u32>,
    },
    /// Not kept with the model, or not all of it.
    Lost,
}

/// The rows, and how far each is from its nearest others, ascending.
pub(crate) struct Novelty {
    rows: usize,
    columns: Vec<Points>,
    distances: Vec<f64>,
}

impl Novelty {
    /// `sample` has the columns of the statistics in their order; `None` where it has too few rows.
    pub fn of(
        sample: &Frame,
        hides: impl Fn(usize) -> bool,
        statistics: &Statistics,
    ) -> Option<Novelty> {
        let rows = sample.rows();
        let known = statistics.columns.len() == sample.columns.len();
        if rows <= 2 * NEAREST || rows > MOST_ROWS || !known {
            return None;
        }
        let pairs = sample.columns.iter().zip(&statistics.columns);
        let columns = pairs.enumerate().map(|(at, (column, of))| {
            if hides(at) || column.nulls.count() == rows && of.before().known() > 0 {
                return Points::Lost;
            }
            if of.are_numbers() {
                return Points::numbers(column, of.scale(), of.by_length());
            }
            Points::levels(column)
        });
        let mut novelty = Novelty {
            rows,
            columns: columns.collect(),
            distances: Vec::new(),
        };
        let own = |row: usize| novelty.distance(|at| sample.columns[at].cell(row), Some(row));
        let mut distances: Vec<f64> = (0..rows).map(own).collect();
        distances.sort_unstable_by(f64::total_cmp);
        novelty.distances = distances;
        Some(novelty)
    }

    /// The share of the rows that are nearer to their nearest others than this row is to its nearest ones: 0 for a row such
    /// as many, 1 for one unlike all.
    pub fn score(&self, cells: &[Cell<'_>]) -> f64 {
        let cell = |at: usize| cells.get(at).copied().unwrap_or(Cell::Null);
        let distance = self.distance(cell, None);
        let nearer = self.distances.partition_point(|own| *own < distance);
        nearer as f64 / self.rows as f64
    }

    /// The mean distance of a row to the nearest ones but `without`: Gower's (1971), the mean over columns of how far numbers lie
    /// apart and of whether levels differ. Numbers far outside of training count on beyond 1.
    fn distance<'c>(&self, cell: impl Fn(usize) -> Cell<'c>, without: Option<usize>) -> f64 {
        let mut sums = [0.0f64; MOST_ROWS];
        let sums = &mut sums[..self.rows];
        for (at, points) in self.columns.iter().enumerate() {
            points.add(cell(at), sums);
        }
        let mut nearest = [f64::INFINITY; NEAREST];
        for (row, sum) in sums.iter().enumerate() {
            if without != Some(row) && *sum < nearest[NEAREST - 1] {
                let place = nearest.partition_point(|near| near <= sum);
                nearest[place..].rotate_right(1);
                nearest[place] = *sum;
            }
        }
        nearest.iter().sum::<f64>() / (NEAREST * self.columns.len().max(1)) as f64
    }
}

impl Points {
    fn numbers(column: &Column, scale: f64, by_length: bool) -> Points {
        let number = |row| match view(column.cell(row), by_length) {
            View::Number(x) => x,
            _ => f64::NAN,
        };
        Points::Numbers {
            values: (0..column.len()).map(number).collect(),
            scale,
            by_length,
        }
    }

    fn levels(column: &Column) -> Points {
        let mut codes: HashMap<Box<str>, u32> = HashMap::new();
        let mut code = |row| match view(column.cell(row), false) {
            View::Level(level) => {
                let next = codes.len() as u32 + 1;
                *codes.entry_ref(level).or_insert(next)
            }
            _ => 0,
        };
        let values = (0..column.len()).map(&mut code).collect();
        Points::Levels { values, codes }
    }

    /// Adds how far each row is from a value.
    fn add(&self, cell: Cell<'_>, sums: &mut [f64]) {
        match self {
            Points::Numbers {
                values,
                scale,
                by_length,
            } => {
                let own = match view(cell, *by_length) {
                    View::Number(x) => x,
                    _ => f64::NAN,
                };
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += match (own.is_nan(), value.is_nan()) {
                        (true, true) => 0.0,
                        (false, false) => (own - value).abs() / scale,
                        _ => 1.0,
                    };
                }
            }
            Points::Levels { values, codes } => {
                let own = match view(cell, false) {
                    // A level that no row has differs from all.
                    View::Level(level) => codes.get(level).copied().unwrap_or(u32::MAX),
                    _ => 0,
                };
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += f64::from(u8::from(own != *value));
                }
            }
            Points::Lost => {}
        }
    }
}
