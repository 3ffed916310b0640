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
    /// Exact, but of a [sample](super::whole).
    pub distinct: usize,
    pub quantiles: Option<Quantiles>,
    /// The most frequent values with their counts, most frequent first.
    pub top: Vec<(String, usize)>,
}

/// Summarises all rows of a column.
pub fn summarise(column: &Column) -> Summary {
    of_rows(column, |_| 1)
}

/// Summarises a column of which each row stands for as many as are given.
pub(super) fn of_counts(column: &Column, counts: &[usize]) -> Summary {
    of_rows(column, |row| counts[row])
}

fn of_rows(column: &Column, count: impl Fn(usize) -> usize) -> Summary {
    let rows = (0..column.len()).map(&count).sum();
    let present = (0..column.len()).filter(|row| !column.nulls.get(*row));
    let known: usize = present.clone().map(&count).sum();
    let (distinct, quantiles, top) = match &column.values {
        Values::Number(values) => numbers(
            present.map(|row| (values[row], count(row))).collect(),
            column.kind,
        ),
        Values::Time(values) => numbers(
            present
                .map(|row| (values[row] as f64, count(row)))
                .collect(),
            column.kind,
        ),
        Values::Boolean(values) => {
            let yes = present.filter(|row| values[*row]).map(&count).sum();
            let mut top = vec![("true".to_owned(), yes), ("false".to_owned(), known - yes)];
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
            present.for_each(|row| *counts.entry(codes[row]).or_default() += count(row));
            let mut counts: Vec<(u32, usize)> = counts.into_iter().collect();
            counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            let top = counts.iter().take(TOP);
            let top = top.map(|(code, count)| (shown(column.kind, dictionary.text(*code)), *count));
            (counts.len(), None, top.collect())
        }
    };
    Summary {
        rows,
        nulls: rows - known,
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

/// Of values and in how many rows they stand.
fn numbers(mut values: Vec<(f64, usize)>, kind: Kind) -> Numbers {
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Each value once.
    values.dedup_by(|again, value| {
        let same = again.0 == value.0;
        value.1 += if same { again.1 } else { 0 };
        same
    });
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return (0, None, Vec::new());
    };
    let (minimum, maximum) = (first.0, last.0);
    let rows: usize = values.iter().map(|(_, rows)| rows).sum();
    let count = rows as f64;
    let at = |share: f64| {
        let place = (rows.saturating_sub(1) as f64 * share).round() as usize;
        nth(values.iter().copied(), place)
    };
    let median = at(0.5);
    // In units of the largest value, so that no square overflows.
    let unit = minimum.abs().max(maximum.abs()).max(f64::MIN_POSITIVE);
    let sum = |of: &dyn Fn(f64) -> f64| -> f64 {
        let terms = values.iter().map(|(x, rows)| of(x / unit) * *rows as f64);
        terms.sum::<f64>()
    };
    let mean = sum(&|x| x) / count;
    let deviation = (sum(&|x| (x - mean).powi(2)) / count).sqrt() * unit;
    let summary = Quantiles {
        mean: mean * unit,
        deviation,
        minimum,
        q05: at(0.05),
        q25: at(0.25),
        median,
        q75: at(0.75),
        q95: at(0.95),
        maximum,
        outliers: outliers(&values, rows, median),
    };
    let distinct = values.len();
    // A list of values that hardly repeat says nothing.
    let frequent = values.iter().any(|(_, n)| *n as f64 >= 0.01 * count);
    let mut top = match kind != Kind::Time && frequent {
        true => values,
        false => Vec::new(),
    };
    top.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    top.truncate(TOP);
    let top = top.into_iter().map(|(x, count)| (x.to_string(), count));
    (distinct, Some(summary), top.collect())
}

/// The value of a place among rows in the order of their values.
fn nth(values: impl Iterator<Item = (f64, usize)>, place: usize) -> f64 {
    let (mut value, mut seen) = (0.0, 0);
    for (x, rows) in values {
        value = x;
        seen += rows;
        if seen > place {
            break;
        }
    }
    value
}

/// Of sorted values.
fn outliers(values: &[(f64, usize)], rows: usize, median: f64) -> usize {
    let distance = |(x, rows): &(f64, usize)| ((x - median).abs(), *rows);
    // Distances rise from the median to both sides.
    let middle = values.partition_point(|(x, _)| *x < median);
    let mut below = values[..middle].iter().rev().map(distance).peekable();
    let mut above = values[middle..].iter().map(distance).peekable();
    let rising = std::iter::from_fn(|| match (below.peek(), above.peek()) {
        (Some(a), Some(b)) if a.0 < b.0 => below.next(),
        (Some(_), None) => below.next(),
        _ => above.next(),
    });
    let absolute = nth(rising, rows / 2);
    let scale = if absolute > 0.0 {
        1.4826 * absolute
    } else {
        let sum: f64 = values.iter().map(distance).map(|(d, n)| d * n as f64).sum();
        1.2533 * sum / rows as f64
    };
    let far = values.iter().map(distance);
    let far = far.filter(|(d, _)| scale > 0.0 && *d > OUTLIER * scale);
    far.map(|(_, rows)| rows).sum()
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
