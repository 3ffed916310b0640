//! What a class of rows tells about a column that must stay secret: its l-diversity and its distance t from the table.

use crate::frame::{Column, Values};
use serde::{Deserialize, Serialize};

/// How diversity is counted (Machanavajjhala and others, "l-diversity", 2007).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diversity {
    /// Different values.
    #[default]
    Distinct,
    /// exp of the entropy of the values: as many values, were all equally frequent.
    Entropy,
}

/// A column by rank of value: NULL is a value, the lowest.
#[derive(Debug, Clone)]
pub struct Sensitive {
    pub name: String,
    codes: Vec<u32>,
    /// Rows of each value in the table.
    totals: Vec<u32>,
    /// Numbers and times lie nearer to or farther from one another; other values are all equally far.
    ordered: bool,
    /// The shares of values up to each, and the sums of those up to each.
    cumulative: Vec<f64>,
    sums: Vec<f64>,
}

/// Room for counting the values of a class, cleaned after use.
#[derive(Debug, Default)]
pub struct Scratch {
    values: Vec<u32>,
}

impl Sensitive {
    pub fn of(column: &Column) -> Sensitive {
        let rows = column.len();
        let ordered = matches!(column.values, Values::Number(_) | Values::Time(_));
        let codes = ranks(column);
        let mut totals = vec![0u32; codes.iter().max().map_or(0, |most| *most as usize + 1)];
        codes.iter().for_each(|code| totals[*code as usize] += 1);
        let (mut share, mut sum) = (0.0, 0.0);
        let (mut cumulative, mut sums) = (Vec::new(), Vec::new());
        for total in totals.iter().filter(|_| ordered) {
            share += f64::from(*total) / rows as f64;
            sum += share;
            cumulative.push(share);
            sums.push(sum);
        }
        Sensitive {
            name: column.name.clone(),
            codes,
            totals,
            ordered,
            cumulative,
            sums,
        }
    }

    /// The codes of some rows, sorted, and how often each comes.
    fn counts<'s>(
        &self,
        rows: &[u32],
        scratch: &'s mut Scratch,
    ) -> impl Iterator<Item = (u32, usize)> + 's {
        scratch.values.clear();
        scratch
            .values
            .extend(rows.iter().map(|row| self.codes[*row as usize]));
        scratch.values.sort_unstable();
        scratch
            .values
            .chunk_by(|a, b| a == b)
            .map(|run| (run[0], run.len()))
    }

    /// How diverse the values of some rows are, at least 1.
    pub fn diversity(&self, rows: &[u32], how: Diversity, scratch: &mut Scratch) -> f64 {
        let counts = self.counts(rows, scratch);
        match how {
            Diversity::Distinct => counts.count() as f64,
            Diversity::Entropy => {
                let entropy = |(_, count): (u32, usize)| {
                    let share = count as f64 / rows.len() as f64;
                    -share * share.ln()
                };
                counts.map(entropy).sum::<f64>().exp()
            }
        }
    }

    /// The earth mover's distance between the values of some rows and of all, from 0 to 1: by rank for numbers and times, by equal
    /// distances for other values (Li, Li and Venkatasubramanian, "t-Closeness", 2007).
    pub fn distance(&self, rows: &[u32], scratch: &mut Scratch) -> f64 {
        let (own, all) = (rows.len() as f64, self.codes.len() as f64);
        let values = self.totals.len();
        let counts = self.counts(rows, scratch);
        if !self.ordered {
            let more = |(code, count): (u32, usize)| {
                let total = f64::from(self.totals[code as usize]);
                (count as f64 / own - total / all).max(0.0)
            };
            return counts.map(more).sum();
        }
        if values < 2 {
            return 0.0;
        }
        // Between two values of the class its own cumulative share stays as it is.
        let (mut from, mut share, mut moved) = (0usize, 0.0, 0.0);
        for (code, count) in counts {
            moved += self.between(from, code as usize, share);
            share += count as f64 / own;
            from = code as usize;
        }
        moved += self.between(from, values, share);
        moved / (values - 1) as f64
    }

    /// The sum over values `from..to` of how far the table's cumulative share is from `share`.
    fn between(&self, from: usize, to: usize, share: f64) -> f64 {
        let below = from + self.cumulative[from..to].partition_point(|own| *own < share);
        let sum = |from: usize, to: usize| {
            let up_to = |n: usize| if n == 0 { 0.0 } else { self.sums[n - 1] };
            up_to(to) - up_to(from)
        };
        share * (below - from) as f64 - sum(from, below) + sum(below, to)
            - share * (to - below) as f64
    }
}

/// The rank of each row's value among the different ones of its column, NULL first.
pub(super) fn ranks(column: &Column) -> Vec<u32> {
    let rows = 0..column.len();
    let null = |row: usize| column.nulls.get(row);
    let floor = u32::from(column.nulls.count() > 0);
    match &column.values {
        Values::Category { codes, .. } => {
            // In the order they are met: the order of texts means nothing here.
            rows.map(|row| if null(row) { 0 } else { codes[row] + floor })
                .collect()
        }
        Values::Boolean(v) => rows
            .map(|row| {
                if null(row) {
                    0
                } else {
                    u32::from(v[row]) + floor
                }
            })
            .collect(),
        Values::Number(v) => ranked(column, |row| order(v[row])),
        Values::Time(v) => ranked(column, |row| v[row]),
        Values::Vector { .. } | Values::Image { .. } => vec![0; column.len()],
    }
}

/// A whole number in the order of floats.
pub(super) fn order(x: f64) -> i64 {
    let bits = (x + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn ranked(column: &Column, value: impl Fn(usize) -> i64) -> Vec<u32> {
    let known = |row: &usize| !column.nulls.get(*row);
    let mut sorted: Vec<i64> = (0..column.len()).filter(known).map(&value).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let floor = usize::from(column.nulls.count() > 0);
    let rank = |row: usize| match known(&row) {
        true => (sorted.partition_point(|own| *own < value(row)) + floor) as u32,
        false => 0,
    };
    (0..column.len()).map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Cell, Kind};

    fn numbers(values: &[f64]) -> Sensitive {
        let mut column = Column::new("x", "integer", Kind::Number);
        values.iter().for_each(|x| column.push(Cell::Number(*x)));
        Sensitive::of(&column)
    }

    fn texts(values: &[&str]) -> Sensitive {
        let mut column = Column::new("x", "text", Kind::Category);
        values.iter().for_each(|x| column.push(Cell::Text(x)));
        Sensitive::of(&column)
    }

    #[test]
    fn the_example_of_the_paper_on_t_closeness() {
        // Section 4.1: incomes {3k,4k,5k} of {3k,...,11k}: 0.375; {6k,8k,11k}: 0.167.
        let all = numbers(&[3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        let scratch = &mut Scratch::default();
        assert!((all.distance(&[0, 1, 2], scratch) - 0.375).abs() < 1e-9);
        assert!((all.distance(&[3, 5, 8], scratch) - 1.0 / 6.0).abs() < 1e-3);
        assert!(all.distance(&(0..9).collect::<Vec<_>>(), scratch).abs() < 1e-9);
    }

    #[test]
    fn distances_of_numbers_agree_with_the_plain_sum() {
        let mut random = crate::random::Random::new(3);
        let values: Vec<f64> = (0..300).map(|_| random.below(40) as f64).collect();
        let all = numbers(&values);
        for _ in 0..50 {
            let rows: Vec<u32> = (0..12).map(|_| random.below(300) as u32).collect();
            let (mut p, mut q, mut sum) = (0.0, 0.0, 0.0);
            let m = all.totals.len();
            for code in 0..m {
                p += rows
                    .iter()
                    .filter(|r| all.codes[**r as usize] == code as u32)
                    .count() as f64
                    / 12.0;
                q += f64::from(all.totals[code]) / 300.0;
                sum += f64::abs(p - q);
            }
            let found = all.distance(&rows, &mut Scratch::default());
            assert!((found - sum / (m - 1) as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn categories_are_equally_far() {
        let all = texts(&["flu", "flu", "cancer", "cancer"]);
        let scratch = &mut Scratch::default();
        assert!((all.distance(&[0, 1], scratch) - 0.5).abs() < 1e-9);
        assert!(all.distance(&[0, 2], scratch).abs() < 1e-9);
    }

    #[test]
    fn diversity_counts_values() {
        let all = texts(&["a", "a", "a", "b"]);
        let scratch = &mut Scratch::default();
        assert_eq!(
            all.diversity(&[0, 1, 2, 3], Diversity::Distinct, scratch),
            2.0
        );
        let entropy = all.diversity(&[0, 1, 2, 3], Diversity::Entropy, scratch);
        assert!(entropy > 1.5 && entropy < 2.0);
        assert!((all.diversity(&[0, 3], Diversity::Entropy, scratch) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_keep_their_order() {
        let mut column = Column::new("x", "float8", Kind::Number);
        for x in [
            Cell::Number(-2.0),
            Cell::Null,
            Cell::Number(5.0),
            Cell::Number(-3.0),
            Cell::Number(0.0),
        ] {
            column.push(x);
        }
        assert_eq!(ranks(&column), [2, 0, 4, 1, 3]);
    }
}
