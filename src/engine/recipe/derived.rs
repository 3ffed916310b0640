//! Numbers made of two columns: ratios, differences and products.

use super::number::Number;
use super::options::Scaling;
use crate::frame::{Cell, Column};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Ratio,
    Difference,
    Product,
}

/// Two of a recipe's columns, by position, and what is made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub operation: Operation,
    pub left: usize,
    pub right: usize,
}

impl Pair {
    /// As people write it.
    pub fn name(&self, left: &str, right: &str) -> String {
        let sign = match self.operation {
            Operation::Ratio => '/',
            Operation::Difference => '-',
            Operation::Product => '*',
        };
        format!("{left} {sign} {right}")
    }

    /// `None` where a value is missing, or the result is no finite number.
    #[inline]
    pub fn value(&self, left: Cell<'_>, right: Cell<'_>) -> Option<f64> {
        let number = |cell| match cell {
            // Frames know no other numbers; a single row may bring one.
            Cell::Number(x) | Cell::Duration(x) if x.is_finite() => Some(x),
            _ => None,
        };
        let (left, right) = (number(left)?, number(right)?);
        let value = match self.operation {
            Operation::Ratio => left / right,
            Operation::Difference => left - right,
            Operation::Product => left * right,
        };
        value.is_finite().then_some(value)
    }
}

/// What is made of a recipe's columns, by their positions in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constructed {
    /// Numbers made of two numbers.
    pub pairs: Vec<Pair>,
    /// Two columns taken as one category: categories, or numbers in bins.
    pub crosses: Vec<(usize, usize)>,
}

/// A pair as an input of the network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Derived {
    pub(super) pair: Pair,
    pub(super) number: Number,
}

impl Derived {
    /// Learns from the training rows; `columns` are the recipe's, in its order.
    pub(super) fn fit(pair: Pair, columns: &[&Column], rows: &[u32], how: Scaling) -> Derived {
        let cell = |position: usize, row: u32| {
            columns
                .get(position)
                .map_or(Cell::Null, |column| column.cell(row as usize))
        };
        let values = rows
            .iter()
            .filter_map(|&row| pair.value(cell(pair.left, row), cell(pair.right, row)))
            .collect();
        Derived {
            pair,
            number: Number::fit(values, rows.len(), how),
        }
    }

    #[inline]
    pub(super) fn write<'a>(&self, cell: impl Fn(usize) -> Cell<'a>, out: &mut [f32]) {
        let value = self.pair.value(cell(self.pair.left), cell(self.pair.right));
        self.number
            .write(value.map_or(Cell::Null, Cell::Number), out);
    }

    pub(super) fn is_sound(&self, columns: usize) -> bool {
        self.pair.left < columns && self.pair.right < columns && self.number.is_sound()
    }
}
