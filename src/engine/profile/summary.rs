//! What a column holds: missing and distinct values, quantiles, outliers, the most frequent values.

use super::duplicates::cell_hashes;
use crate::frame::{Column, Kind, Values, tags};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

/// A value whose robust z-score is beyond this is an outlier (Iglewicz and Hoaglin 1993).
const OUTLIER: f64 = 3.5;
/// Characters of a frequent value that are shown.
const LONGEST: usize = 200;
/// Values listed as the most frequent.
const TOP: usize = 5;

/// Order statistics and moments of a column of numbers, times (microseconds) or durations (seconds).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    pub mean: f64,
    /// Population standard deviation.
    pub deviation: f64,
    pub minimum: f64,
    pub q05: f64,
    pub q25: f64,
    pub median: f64,
    pub q75: f64,
    pub q95: f64,
    pub maximum: f64,
    /// Values with |x − median| / (1.4826 · median absolute deviation) above 3.5; where half of the values are equal, the
    /// mean absolute deviation times 1.2533 stands in.
    pub outliers: usize,
}

/// What one column holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub rows: usize,
    pub nulls: usize,
    /// NaN and infinite values; they are among the nulls.
    pub non_finite: usize,
    /// Values that should be images and are none; they are among the nulls.
    pub unreadable: usize,
    /// Exact.
    pub distinct: usize,
    pub quantiles: Option<Quantiles>,
    /// The most frequent values with their counts, most frequent first.
    pub top: Vec<(String, usize)>,
}

/// Summarises all rows of a column.
pub fn summarise(column: &Column) -> Summary {
    let nulls = column.nulls.count();
    let present = (0..column.len()).filter(|row| !column.nulls.get(*row));
    let (distinct, quantiles, top) = match &column.values {
        Values::Number(values) => numbers(present.map(|row| values[row]).collect(), column.kind),
        Values::Time(values) => {
            numbers(present.map(|row| values[row] as f64).collect(), column.kind)
        }
        Values::Boolean(values) => {
            let yes = present.filter(|row| values[*row]).count();
            let no = column.len() - nulls - yes;
            let mut top = vec![("true".to_owned(), yes), ("false".to_owned(), no)];
            top.retain(|(_, count)| *count > 0);
            top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            (top.len(), None, top)
        }
        Values::Vector { .. } | Values::Image { .. } => {
            let all: Vec<u32> = present.map(|row| row as u32).collect();
            (distinct_cells(column, &all), None, Vec::new())
        }
        Values::Category { codes, dictionary } => {
            let mut counts: HashMap<u32, usize> = HashMap::new();
            present.for_each(|row| *counts.entry(codes[row]).or_default() += 1);
            let mut counts: Vec<(u32, usize)> = counts.into_iter().collect();
            counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            let top = counts.iter().take(TOP);
            let top = top.map(|(code, count)| (shown(column.kind, dictionary.text(*code)), *count));
            (counts.len(), None, top.collect())
        }
    };
    Summary {
        rows: column.len(),
        nulls,
        non_finite: column.non_finite,
        unreadable: column.unreadable,
        distinct,
        quantiles,
        top,
    }
}

/// A frequent value as people read it; a long text by its beginning.
fn shown(kind: Kind, text: &str) -> String {
    let text = match kind {
        Kind::Tags => tags(text).collect::<Vec<_>>().join(", "),
        _ => text.to_owned(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Different values, told apart by a hash of 64 bits.
fn distinct_cells(column: &Column, rows: &[u32]) -> usize {
    cell_hashes(column, rows)
        .into_iter()
        .collect::<HashSet<u64>>()
        .len()
}

type Numbers = (usize, Option<Quantiles>, Vec<(String, usize)>);

fn numbers(mut values: Vec<f64>, kind: Kind) -> Numbers {
    if values.is_empty() {
        return (0, None, Vec::new());
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    let count = values.len() as f64;
    // In units of the largest value, so that no square overflows.
    let unit = values[0]
        .abs()
        .max(values[values.len() - 1].abs())
        .max(f64::MIN_POSITIVE);
    let mean = values.iter().map(|x| x / unit).sum::<f64>() / count;
    let squares = values.iter().map(|x| (x / unit - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt() * unit;
    let mean = mean * unit;
    let runs = runs(&values);
    let distinct = runs.len();
    let quantiles = Quantiles {
        mean,
        deviation,
        minimum: values[0],
        q05: at(0.05),
        q25: at(0.25),
        median: at(0.5),
        q75: at(0.75),
        q95: at(0.95),
        maximum: values[values.len() - 1],
        outliers: outliers(&values, at(0.5)),
    };
    // A list of values that hardly repeat says nothing.
    let mut top = if kind == Kind::Time || runs.iter().all(|(_, n)| (*n as f64) < 0.01 * count) {
        Vec::new()
    } else {
        runs
    };
    top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    top.truncate(TOP);
    let top = top.into_iter().map(|(x, count)| (x.to_string(), count));
    (distinct, Some(quantiles), top.collect())
}

/// Each value of a sorted list with how often it occurs.
fn runs(sorted: &[f64]) -> Vec<(f64, usize)> {
    sorted
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .collect()
}

fn outliers(values: &[f64], median: f64) -> usize {
    let mut distances: Vec<f64> = values.iter().map(|x| (x - median).abs()).collect();
    let middle = distances.len() / 2;
    let absolute = *distances.select_nth_unstable_by(middle, f64::total_cmp).1;
    let scale = if absolute > 0.0 {
        1.4826 * absolute
    } else {
        1.2533 * distances.iter().sum::<f64>() / distances.len() as f64
    };
    if scale > 0.0 {
        distances.iter().filter(|d| **d > OUTLIER * scale).count()
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Cell;

    fn column(kind: Kind, cells: &[Cell<'_>]) -> Column {
        let mut column = Column::new("x", "any", kind);
        cells.iter().for_each(|cell| column.push(*cell));
        column
    }

    #[test]
    fn numbers_have_quantiles_and_outliers() {
        let mut cells: Vec<Cell<'_>> = (0..=100).map(|i| Cell::Number(f64::from(i))).collect();
        cells.push(Cell::Number(10_000.0));
        cells.push(Cell::Null);
        cells.push(Cell::Number(f64::NAN));
        let summary = summarise(&column(Kind::Number, &cells));
        let quantiles = summary.quantiles.unwrap();
        assert_eq!(
            (summary.rows, summary.nulls, summary.non_finite),
            (104, 2, 1)
        );
        assert_eq!(summary.distinct, 102);
        assert_eq!((quantiles.minimum, quantiles.maximum), (0.0, 10_000.0));
        assert!((50.0..=51.0).contains(&quantiles.median));
        assert_eq!(quantiles.outliers, 1);
        assert!(summary.top.is_empty(), "no value repeats");
    }

    #[test]
    fn a_column_of_mostly_one_value_still_has_outliers() {
        let mut cells = vec![Cell::Number(0.0); 99];
        cells.push(Cell::Number(5.0));
        let quantiles = summarise(&column(Kind::Number, &cells)).quantiles.unwrap();
        assert_eq!(quantiles.outliers, 1);
    }

    #[test]
    fn categories_have_their_most_frequent_values() {
        let cells = ["a", "b", "b", "c", "b"].map(Cell::Text);
        let summary = summarise(&column(Kind::Category, &cells));
        assert_eq!(summary.distinct, 3);
        assert_eq!(summary.top[0], ("b".to_owned(), 3));
    }

    #[test]
    fn an_empty_column_is_summarised_too() {
        for kind in [Kind::Number, Kind::Category, Kind::Boolean, Kind::Time] {
            let summary = summarise(&column(kind, &[Cell::Null]));
            assert_eq!((summary.distinct, summary.nulls), (0, 1));
            assert_eq!(summary.quantiles, None);
        }
    }
}
