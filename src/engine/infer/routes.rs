//! Which of the models of a partition answers for a row.

use crate::artifact::Partition;
use crate::frame::{Cell, Kind};
use crate::recipe::Recipe;

/// The way from a value of the partition's column to its segment.
#[derive(Clone)]
pub(super) struct Routes {
    /// Position among the recipe's columns.
    pub(super) column: usize,
    values: Values,
}

#[derive(Clone)]
enum Values {
    /// In order, as the segments are.
    Texts(Vec<String>),
    /// In order, each with its segment.
    Numbers(Vec<(f64, usize)>),
    /// The segments of false and true.
    Booleans([Option<usize>; 2]),
}

impl Routes {
    /// For a partition that was checked.
    pub(super) fn new(partition: &Partition, recipe: &Recipe) -> Routes {
        let columns = recipe.columns();
        let found = columns.iter().position(|c| c.name == partition.column);
        let column = found.unwrap_or_default();
        let names = || partition.segments.iter().map(|s| s.value.as_str());
        let values = match columns.get(column).map(|c| c.kind) {
            Some(Kind::Number | Kind::Duration) => {
                let parsed = names().enumerate();
                let parsed = parsed.filter_map(|(at, text)| Some((text.parse().ok()?, at)));
                let mut values: Vec<(f64, usize)> = parsed.collect();
                values.sort_by(|a, b| a.0.total_cmp(&b.0));
                Values::Numbers(values)
            }
            Some(Kind::Boolean) => {
                let of = |text: &str| names().position(|name| name == text);
                Values::Booleans([of("false"), of("true")])
            }
            _ => Values::Texts(names().map(str::to_owned).collect()),
        };
        Routes { column, values }
    }

    /// The segment of a row; `None`: the shared model answers.
    pub(super) fn of(&self, cell: Option<Cell<'_>>) -> Option<usize> {
        match (cell?, &self.values) {
            (Cell::Text(text), Values::Texts(values)) => {
                values.binary_search_by(|v| v.as_str().cmp(text)).ok()
            }
            (Cell::Number(x) | Cell::Duration(x), Values::Numbers(values)) => {
                // -0 and 0 are one value.
                let found = values.binary_search_by(|v| v.0.total_cmp(&(x + 0.0)));
                found.ok().map(|at| values[at].1)
            }
            (Cell::Boolean(x), Values::Booleans(segments)) => segments[usize::from(x)],
            _ => None,
        }
    }
}
