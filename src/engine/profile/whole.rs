//! A table of which a frame holds a sample, while counts of all its rows were made where they are.

use super::duplicates::cell_hashes;
use super::summary::{Summary, of_counts, summarise};
use super::unfit::{Unfit, unfit_among};
use crate::frame::{Cell, Column, Kind};
use hashbrown::HashMap;

/// Different values up to which a column's values are counted one by one.
const FEW: usize = 1000;

/// A value that stands in a sample more often is one of those that all rows have many of.
const FREQUENT: usize = 20;

/// What was counted.
#[derive(Default)]
pub struct Whole {
    pub rows: usize,
    /// Tables that have them; rows of one are not compared with those of another.
    pub tables: usize,
    /// Of each of the frame's columns.
    pub columns: Vec<Told>,
    /// Rows that repeat another but for identifiers, where that was counted.
    pub repeated: Option<usize>,
}

/// What was counted of one column.
#[derive(Default)]
pub struct Told {
    pub moments: Option<Moments>,
    pub counts: Option<Counts>,
}

/// Figures of all values of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// Values that are neither missing, NaN nor infinite.
    pub present: usize,
    /// NaN and infinite values.
    pub non_finite: usize,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub mean: Option<f64>,
    /// Population standard deviation.
    pub deviation: Option<f64>,
}

/// Each value of a column, and in how many rows it stands; a value may be listed more than once.
pub struct Counts {
    pub values: Column,
    pub rows: Vec<usize>,
}

impl Moments {
    /// Of the rows of both: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
    pub fn with(self, other: Moments) -> Moments {
        let (a, b) = (self.present as f64, other.present as f64);
        let of_both = |own: Option<f64>, others: Option<f64>, join: &dyn Fn(f64, f64) -> f64| match (
            self.present > 0,
            other.present > 0,
        ) {
            (true, true) => own.zip(others).map(|(x, y)| join(x, y)),
            (true, false) => own,
            _ => others,
        };
        let apart = self
            .mean
            .zip(other.mean)
            .map_or(0.0, |(mean, others)| others - mean);
        let deviation = |x: f64, y: f64| {
            let within = (a * x * x + b * y * y) / (a + b);
            (within + (apart * (a / (a + b))) * (apart * (b / (a + b)))).sqrt()
        };
        Moments {
            present: self.present + other.present,
            non_finite: self.non_finite + other.non_finite,
            minimum: of_both(self.minimum, other.minimum, &f64::min),
            maximum: of_both(self.maximum, other.maximum, &f64::max),
            mean: of_both(self.mean, other.mean, &|x, y| x + (y - x) * (b / (a + b))),
            deviation: of_both(self.deviation, other.deviation, &deviation),
        }
    }
}

/// Whether a sample of a column says that it has few values in so many rows, which can be counted one by one.
pub fn has_few_values(sample: &Column, rows: usize) -> bool {
    let countable = !matches!(sample.kind, Kind::Vector | Kind::Image | Kind::Json);
    let missing = sample.nulls.count() as f64 / sample.len().max(1) as f64;
    countable && distinct(sample, (rows as f64 * (1.0 - missing)) as usize) <= FEW
}

/// Whether a sample of a column says that its values name the rows, of which there are so many.
pub fn is_identifier(sample: &Column, rows: usize) -> bool {
    let all: Vec<u32> = (0..sample.len() as u32).collect();
    matches!(unfit_among(sample, &all, rows), Some(Unfit::Identifier(_)))
}

/// Different values in a sample of a column.
pub fn different_values(sample: &Column) -> usize {
    frequencies(sample).len()
}

/// How often each value stands in a column, by its hash.
fn frequencies(column: &Column) -> HashMap<u64, usize> {
    let known: Vec<u32> = (0..column.len() as u32)
        .filter(|row| !column.nulls.get(*row as usize))
        .collect();
    let mut found = HashMap::new();
    for hash in cell_hashes(column, &known) {
        *found.entry(hash).or_default() += 1;
    }
    found
}

/// Different values among `all`, by those in a sample: the estimator Duj1 of Haas and Stokes ("Estimating the Number of Classes in a Finite
/// Population", 1998), as PostgreSQL's ANALYZE uses it, but of rare values alone, as their Duj2a does.
fn distinct(sample: &Column, all: usize) -> usize {
    let found = frequencies(sample);
    let drawn = found.values().sum::<usize>() as f64;
    let (frequent, rare): (Vec<usize>, Vec<usize>) =
        found.values().partition(|count| **count > FREQUENT);
    let own = rare.iter().sum::<usize>() as f64;
    if own == 0.0 {
        return frequent.len();
    }
    let once = rare.iter().filter(|count| **count == 1).count() as f64;
    let share = drawn / (all as f64).max(drawn);
    let estimate = own * rare.len() as f64 / (own - once + once * share);
    let estimate = frequent.len() + estimate.round() as usize;
    estimate.clamp(found.len(), all.max(found.len()))
}

impl Whole {
    /// What a column holds in all rows: exact where it was counted, else as the sample says.
    pub(super) fn summary(&self, position: usize, sample: &Column) -> Summary {
        let none = Told::default();
        let told = self.columns.get(position).unwrap_or(&none);
        let (mut summary, scale) = match &told.counts {
            Some(own) => (of_counts(&own.values, &own.rows), 1.0),
            None => {
                let scale = self.rows as f64 / sample.len().max(1) as f64;
                (summarise(sample), scale)
            }
        };
        let scaled = |count: usize| (count as f64 * scale).round() as usize;
        summary.rows = self.rows;
        (summary.nulls, summary.non_finite) = match told.moments {
            Some(own) => (self.rows.saturating_sub(own.present), own.non_finite),
            None => (scaled(summary.nulls), scaled(summary.non_finite)),
        };
        if told.counts.is_some() {
            return summary;
        }
        let moments = told.moments.unwrap_or_default();
        summary.unreadable = scaled(summary.unreadable);
        // The sample need not have seen what there is.
        let present = self.rows.saturating_sub(summary.nulls);
        let least = match moments.minimum < moments.maximum {
            true => 2,
            false => present.min(1),
        };
        summary.distinct = distinct(sample, present).max(least);
        // Once in a sample says nothing.
        summary.top.retain(|(_, rows)| *rows > 1);
        let top = summary.top.iter_mut();
        top.for_each(|(_, rows)| *rows = scaled(*rows));
        if let Some(quantiles) = &mut summary.quantiles {
            quantiles.outliers = scaled(quantiles.outliers);
            quantiles.minimum = moments.minimum.unwrap_or(quantiles.minimum);
            quantiles.maximum = moments.maximum.unwrap_or(quantiles.maximum);
            quantiles.mean = moments.mean.unwrap_or(quantiles.mean);
            quantiles.deviation = moments.deviation.unwrap_or(quantiles.deviation);
        }
        summary
    }

    /// What a sample says against a column, unless other rows have other values.
    pub(super) fn unfit(
        &self,
        position: usize,
        found: Option<Unfit>,
        summary: &Summary,
    ) -> Option<Unfit> {
        let told = self.columns.get(position);
        let counted = told.is_some_and(|own| own.counts.is_some());
        let moments = told.and_then(|own| own.moments);
        let one_value =
            moments.is_some_and(|own| own.minimum.is_some() && own.minimum == own.maximum);
        found
            .filter(|unfit| match unfit {
                Unfit::Empty => summary.nulls == self.rows,
                Unfit::Constant(_) => {
                    summary.nulls == 0 && summary.distinct == 1 && (counted || one_value)
                }
                _ => true,
            })
            .map(|unfit| match unfit {
                Unfit::Identifier(why) => Unfit::Identifier(format!("{why} of a sample")),
                unfit => unfit,
            })
    }

    /// Whether two columns that are equal in the sample may be so in all rows.
    pub(super) fn may_be_equal(&self, one: usize, other: usize) -> bool {
        let of = |position: usize| self.columns.get(position)?.moments;
        let (Some(a), Some(b)) = (of(one), of(other)) else {
            return true;
        };
        let near = |x: Option<f64>, y: Option<f64>| match (x, y) {
            (Some(x), Some(y)) => (x - y).abs() <= 1e-9 * x.abs().max(y.abs()),
            _ => true,
        };
        (a.present, a.non_finite, a.minimum, a.maximum)
            == (b.present, b.non_finite, b.minimum, b.maximum)
            && near(a.mean, b.mean)
            && near(a.deviation, b.deviation)
    }

    /// Each value of a column with its rows, where they were counted.
    pub(super) fn values(
        &self,
        position: usize,
    ) -> Option<impl Iterator<Item = (Cell<'_>, usize)>> {
        let counts = self.columns.get(position)?.counts.as_ref()?;
        let rows = counts.rows.iter().enumerate();
        Some(rows.map(|(row, count)| (counts.values.cell(row), *count)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{profile, profile_of};
    use super::*;
    use crate::frame::Frame;
    use crate::sample;

    fn moments(values: &[f64]) -> Moments {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        Moments {
            present: values.len(),
            non_finite: 1,
            minimum: values.iter().copied().reduce(f64::min),
            maximum: values.iter().copied().reduce(f64::max),
            mean: (count > 0.0).then_some(mean),
            deviation: (count > 0.0).then(|| (squares / count).sqrt()),
        }
    }

    #[test]
    fn moments_of_parts_are_those_of_all() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * i % 23) * 1e6 + 3.0).collect();
        let whole = moments(&values);
        for at in [0, 1, 7, 39, 40] {
            let both = moments(&values[..at]).with(moments(&values[at..]));
            assert_eq!((both.present, both.non_finite), (40, 2));
            assert_eq!((both.minimum, both.maximum), (whole.minimum, whole.maximum));
            for (own, want) in [(both.mean, whole.mean), (both.deviation, whole.deviation)] {
                let (own, want) = (own.unwrap(), want.unwrap());
                assert!((own - want).abs() <= 1e-12 * want, "{at}: {own} {want}");
            }
        }
    }

    #[test]
    fn different_values_are_estimated() {
        let sample = |values: &mut dyn Iterator<Item = usize>| {
            let mut column = Column::new("x", "bigint", Kind::Number);
            values.for_each(|x| column.push(Cell::Number(x as f64)));
            column
        };
        assert_eq!(distinct(&sample(&mut (0..1000)), 100_000), 100_000, "a key");
        assert_eq!(distinct(&sample(&mut (0..1000).map(|i| i % 7)), 100_000), 7);
        // One value in half of the rows, and one for each of the others.
        let mut half = (0..1000).map(|i| if i % 2 == 0 { 0 } else { i });
        assert_eq!(distinct(&sample(&mut half), 100_000), 50_001);
        // 5,000 values, each in 20 of 100,000 rows, of which every tenth is looked at.
        let mut random = crate::random::Random::new(5);
        let mut drawn = (0..10_000).map(|_| (random.next_u64() % 5000) as usize);
        let found = distinct(&sample(&mut drawn), 100_000);
        assert!((4500..5500).contains(&found), "{found}");
    }

    #[test]
    fn what_a_sample_has_not_seen_is_not_denied() {
        let moments = |present, minimum, maximum| Moments {
            present,
            minimum: Some(minimum),
            maximum: Some(maximum),
            mean: Some(3.0),
            ..Moments::default()
        };
        let known = [
            ("two", Cell::Number(3.0), moments(1000, 3.0, 7.0)),
            ("three", Cell::Number(3.0), moments(1000, 3.0, 3.0)),
            ("third", Cell::Number(3.0), moments(1000, 3.0, 3.0)),
            ("few", Cell::Null, moments(4, 1.5, 1.5)),
            ("none", Cell::Null, Moments::default()),
            (
                "flag",
                Cell::Boolean(false),
                Moments {
                    present: 1000,
                    ..Moments::default()
                },
            ),
        ];
        let (mut sample, mut whole) = (Frame::default(), Whole::default());
        whole.rows = 1000;
        for (name, cell, moments) in known {
            let kind = match cell {
                Cell::Boolean(_) => Kind::Boolean,
                _ => Kind::Number,
            };
            let mut column = Column::new(name, "any", kind);
            (0..100).for_each(|_| column.push(cell));
            sample.columns.push(column);
            whole.columns.push(Told {
                moments: Some(moments),
                counts: None,
            });
        }
        let found = profile_of(&sample, &whole, None, None);
        let of = |name: &str| found.columns.iter().find(|c| c.name == name).unwrap();
        for name in ["two", "few", "flag"] {
            assert_eq!(of(name).unfit, None, "{name}");
        }
        assert!(matches!(of("three").unfit, Some(Unfit::Constant(_))));
        assert_eq!(of("none").unfit, Some(Unfit::Empty));
        assert_eq!(
            (of("two").summary.distinct, of("few").summary.distinct),
            (2, 1)
        );
        assert_eq!(of("few").summary.nulls, 996);
        let outliers = |moments: Option<Moments>| {
            let mut column = Column::new("x", "money", Kind::Number);
            (0..100)
                .for_each(|i| column.push(Cell::Number(if i == 0 { 1e6 } else { f64::from(i) })));
            let told = Told {
                moments,
                counts: None,
            };
            let whole = Whole {
                rows: 1000,
                columns: vec![told],
                ..Whole::default()
            };
            whole.summary(0, &column).quantiles.unwrap().outliers
        };
        assert_eq!(outliers(None), 10, "one in a hundred of them");
        assert_eq!(outliers(Some(moments(1000, 0.0, 1e6))), 10);
        assert_eq!(of("three").duplicate_of, None);
        assert_eq!(of("third").duplicate_of, None, "the first has other values");
    }

    /// A table's profile from every tenth row and counts of all is that of all rows, where it is exact, and else close to it.
    #[test]
    fn a_sample_with_counts_is_profiled_like_all_rows() {
        let mut id = Column::new("customer_id", "bigint", Kind::Number);
        let mut row = Column::new("counter", "bigint", Kind::Number);
        let mut tenure = Column::new("tenure_months", "integer", Kind::Number);
        let mut colour = Column::new("favourite_colour", "text", Kind::Category);
        let mut income = Column::new("income", "double precision", Kind::Number);
        let mut rare = Column::new("rare", "boolean", Kind::Boolean);
        let mut churn = Column::new("churn", "boolean", Kind::Boolean);
        for (at, c) in sample::customers(20_000, 42).enumerate() {
            id.push(Cell::Number(c.customer_id as f64));
            row.push(Cell::Number(at as f64));
            tenure.push(Cell::Number(f64::from(c.tenure_months)));
            colour.push(Cell::Text(c.favourite_colour));
            income.push(match (c.income, at % 1000) {
                (_, 3) => Cell::Number(f64::NAN),
                (Some(x), _) => Cell::Number(x),
                (None, _) => Cell::Null,
            });
            rare.push(Cell::Boolean(at == 4711));
            churn.push(Cell::Boolean(c.churn));
        }
        let all = Frame {
            columns: vec![id, row, tenure, colour, income, rare, churn],
        };
        let mut some = all.clone();
        some.retain(|row| row % 10 == 0);
        let mut whole = Whole {
            rows: all.rows(),
            repeated: Some(17),
            tables: 2,
            ..Whole::default()
        };
        for (column, sample) in all.columns.iter().zip(&some.columns) {
            let known = (0..column.len()).filter(|row| !column.nulls.get(*row));
            let numbers: Vec<f64> = known
                .filter_map(|row| match column.cell(row) {
                    Cell::Number(x) => Some(x),
                    _ => None,
                })
                .collect();
            whole.columns.push(Told {
                moments: Some(match column.kind {
                    Kind::Number => Moments {
                        non_finite: column.non_finite,
                        ..moments(&numbers)
                    },
                    _ => Moments {
                        present: column.len(),
                        ..Moments::default()
                    },
                }),
                // Each row by itself, as if it were a group.
                counts: has_few_values(sample, all.rows()).then(|| Counts {
                    values: column.clone(),
                    rows: vec![1; column.len()],
                }),
            });
        }
        let (want, found) = (
            profile(&all, Some(6), None),
            profile_of(&some, &whole, Some(6), None),
        );
        assert_eq!(found.rows, 20_000);
        for (want, found) in want.columns.iter().zip(&found.columns) {
            let name = &want.name;
            assert_eq!(found.unfit.is_some(), want.unfit.is_some(), "{name}");
            let (a, b) = (&found.summary, &want.summary);
            assert_eq!(
                (a.rows, a.nulls, a.non_finite, &a.top),
                (b.rows, b.nulls, b.non_finite, &b.top),
                "{name}"
            );
            let near = a.distinct.abs_diff(b.distinct) as f64 / b.distinct as f64;
            assert!(near < 0.2, "{name}: {} {}", a.distinct, b.distinct);
            let (Some(a), Some(b)) = (a.quantiles, b.quantiles) else {
                continue;
            };
            assert_eq!((a.minimum, a.maximum), (b.minimum, b.maximum), "{name}");
            for (a, b, tolerance) in [
                (a.mean, b.mean, 1e-9),
                (a.deviation, b.deviation, 1e-9),
                (a.median, b.median, 0.1),
                (a.q95, b.q95, 0.1),
            ] {
                assert!((a - b).abs() <= tolerance * b.abs(), "{name}: {a} {b}");
            }
        }
        let rows = |name: &str| found.findings.iter().find(|f| f.name == name).unwrap().rows;
        assert_eq!(rows("duplicate rows"), 17);
        let balance = want.findings.iter().find(|f| f.name == "class balance");
        assert_eq!(rows("class balance"), balance.unwrap().rows);
    }
}
