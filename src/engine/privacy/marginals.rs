//! What columns look like, told under differential privacy: histograms with Gaussian noise, each unit in a few cells of each.
//!
//! All histograms of a round are one Gaussian mechanism: with k columns and m rows of a unit, their counts together move by at most
//! m √k. Texts are not known beforehand: those that few rows have are left out (Korolova and others 2009, "Releasing search queries and
//! clicks privately"; the bound for Gaussian noise is that of Wilkins and others 2024), which is what the delta of [`Cost`] is for.
//! Numbers are counted by powers of two first, and where that says little, in even bins between what was found.

use super::noise::{Noise, NoiseError};
use crate::fit::label_of;
use crate::frame::{Cell, Column as Values};
use std::collections::BTreeMap;

/// Powers of two that are told apart, of both signs; what is beyond counts as the last.
const LEAST_POWER: i32 = -40;
const MOST_POWER: i32 = 63;
const POWERS: usize = (MOST_POWER - LEAST_POWER + 1) as usize;
/// A bin of times, in microseconds, and how many there are on either side of 2000-01-01.
const QUARTER: i64 = 91 * 86_400_000_000;
const QUARTERS: i64 = 400;
/// Even bins of the second round, for numbers in so few powers of two.
const BINS: usize = 32;
const NARROW: usize = 4;
/// A count below so many standard deviations of its noise is taken for noise: of the cells of a column one in thousands is not.
const SIGNIFICANT: f64 = 4.5;
/// Values that stand for a column.
const MOST_VALUES: f64 = 2048.0;

/// What is asked of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Which texts or labels occur.
    Levels,
    /// How numbers are distributed.
    Numbers,
    Times,
}

/// A column and what is asked of it.
pub struct Column<'a> {
    pub column: &'a Values,
    pub asked: Asked,
    /// The levels there can be, where they are known: each is counted, however rare, and no other. Empty where they are not.
    pub listed: &'a [String],
}

impl Column<'_> {
    /// Whether texts are asked for that are not known beforehand.
    pub fn is_open(&self) -> bool {
        self.asked == Asked::Levels && self.listed.is_empty()
    }
}

/// What the answers may cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Standard deviation of the noise of all answers together, where a unit moves them by 1.
    pub noise_multiplier: f64,
    /// Probability that a text is told which units have that should not be known by it.
    pub delta: f64,
    /// Rows of a unit among those that are counted, at most.
    pub rows_per_unit: usize,
}

/// What was found out about a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marginals {
    /// Texts that are common, with about how many rows have each.
    pub levels: Vec<(String, f64)>,
    /// Values that are distributed about as those of the column, ascending.
    pub values: Vec<f64>,
    /// Rows without a value, about; 0 where they are not clearly some.
    pub missing: f64,
}

/// Asks about columns; `rows` has at most [`Cost::rows_per_unit`] of each unit.
///
/// # Errors
/// Noise that cannot be had.
pub fn ask(
    columns: &[Column<'_>],
    rows: &[u32],
    cost: &Cost,
    noise: &mut Noise,
) -> Result<Vec<Marginals>, NoiseError> {
    let numbers = columns.iter().any(|c| c.asked == Asked::Numbers);
    let each = cost.rows_per_unit as f64;
    // Two rounds of this noise cost as much as one of the noise that is paid for.
    let round = cost.noise_multiplier * if numbers { 2f64.sqrt() } else { 1.0 };
    let first = round * each * (columns.len() as f64).sqrt();
    let texts = columns.iter().filter(|c| c.is_open()).count();
    let rare = each + 1.0 + first * upper_quantile(cost.delta / (each * texts.max(1) as f64));
    let mut found = Vec::with_capacity(columns.len());
    let mut narrow: Vec<(usize, Range)> = Vec::new();
    for (place, of) in columns.iter().enumerate() {
        found.push(match of.asked {
            Asked::Levels => levels(of, rows, first, rare, noise)?,
            Asked::Times => times(of.column, rows, first, noise)?,
            Asked::Numbers => {
                let (marginals, range) = powers(of.column, rows, first, noise)?;
                narrow.extend(range.map(|range| (place, range)));
                marginals
            }
        });
    }
    let second = round * each * (narrow.len() as f64).sqrt();
    for (place, range) in narrow {
        let column = columns[place].column;
        found[place].values = even(column, rows, range, second, noise)?;
    }
    Ok(found)
}

/// Where numbers lie.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

/// A cell of a histogram of numbers, with its noisy count.
struct Bin {
    low: f64,
    high: f64,
    count: f64,
}

fn noisy(counts: &[i64], sigma: f64, noise: &mut Noise) -> Result<Vec<f64>, NoiseError> {
    counts
        .iter()
        .map(|count| Ok((count + noise.discrete_gaussian(sigma)?) as f64))
        .collect()
}

fn significant(count: f64, sigma: f64) -> f64 {
    if count > SIGNIFICANT * sigma.max(0.2) {
        count
    } else {
        0.0
    }
}

fn levels(
    of: &Column<'_>,
    rows: &[u32],
    sigma: f64,
    rare: f64,
    noise: &mut Noise,
) -> Result<Marginals, NoiseError> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let mut missing = 0;
    for &row in rows {
        match of.column.cell(row as usize) {
            Cell::Null => missing += 1,
            cell => *counts.entry(label_of(cell)).or_default() += 1,
        }
    }
    let missing = noisy(&[missing], sigma, noise)?[0];
    let mut levels = Vec::new();
    if !of.listed.is_empty() {
        let known = |level| counts.get(level).copied().unwrap_or(0);
        let known: Vec<i64> = of.listed.iter().map(known).collect();
        let told = projected(&noisy(&known, sigma, noise)?);
        levels = of.listed.iter().cloned().zip(told).collect();
        counts.clear();
    }
    for (level, count) in counts {
        let count = (count + noise.discrete_gaussian(sigma)?) as f64;
        if count >= rare {
            levels.push((level, count));
        }
    }
    Ok(Marginals {
        levels,
        values: Vec::new(),
        missing: significant(missing, sigma),
    })
}

fn number(column: &Values, row: u32) -> Option<f64> {
    match column.cell(row as usize) {
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        _ => None,
    }
}

/// Which power of two a number belongs to: 0, then the positive ones, then the negative ones.
fn power(x: f64) -> usize {
    if x == 0.0 {
        return 0;
    }
    let power = x.abs().log2().floor() as i32;
    let place = (power.clamp(LEAST_POWER, MOST_POWER) - LEAST_POWER) as usize;
    1 + place + if x < 0.0 { POWERS } else { 0 }
}

/// The numbers of a cell of [`power`].
fn of_power(cell: usize) -> (f64, f64) {
    if cell == 0 {
        return (0.0, 0.0);
    }
    let place = (cell - 1) % POWERS;
    let low = 2f64.powi(place as i32 + LEAST_POWER);
    match cell > POWERS {
        false => (low, 2.0 * low),
        true => (-2.0 * low, -low),
    }
}

/// By powers of two; also the range, where it is worth another look.
fn powers(
    column: &Values,
    rows: &[u32],
    sigma: f64,
    noise: &mut Noise,
) -> Result<(Marginals, Option<Range>), NoiseError> {
    let missing = 1 + 2 * POWERS;
    let mut counts = vec![0i64; missing + 1];
    for &row in rows {
        counts[number(column, row).map_or(missing, power)] += 1;
    }
    let counts = noisy(&counts, sigma, noise)?;
    let mut bins: Vec<Bin> = Vec::new();
    for (cell, count) in counts[..missing].iter().enumerate() {
        let count = significant(*count, sigma);
        if count > 0.0 {
            let (low, high) = of_power(cell);
            bins.push(Bin { low, high, count });
        }
    }
    bins.sort_by(|a, b| a.low.total_cmp(&b.low));
    let range = match (bins.first(), bins.last()) {
        (Some(first), Some(last))
            if bins.iter().filter(|b| b.low < b.high).count() <= NARROW
                && first.low < last.high =>
        {
            Some(Range {
                low: first.low,
                high: last.high,
            })
        }
        _ => None,
    };
    let marginals = Marginals {
        levels: Vec::new(),
        values: spread(&bins, is_whole(column)),
        missing: significant(counts[missing], sigma),
    };
    Ok((marginals, range))
}

/// In even bins of a range; what is beyond it counts at its ends.
fn even(
    column: &Values,
    rows: &[u32],
    range: Range,
    sigma: f64,
    noise: &mut Noise,
) -> Result<Vec<f64>, NoiseError> {
    let width = (range.high - range.low) / BINS as f64;
    let mut counts = vec![0i64; BINS];
    for x in rows.iter().filter_map(|row| number(column, *row)) {
        let bin = ((x - range.low) / width).floor();
        counts[bin.clamp(0.0, (BINS - 1) as f64) as usize] += 1;
    }
    let counts = projected(&noisy(&counts, sigma, noise)?);
    let bin = |(i, count): (usize, f64)| Bin {
        low: range.low + width * i as f64,
        high: range.low + width * (i + 1) as f64,
        count,
    };
    let bins: Vec<Bin> = counts.into_iter().enumerate().map(bin).collect();
    Ok(spread(&bins, is_whole(column)))
}

fn times(
    column: &Values,
    rows: &[u32],
    sigma: f64,
    noise: &mut Noise,
) -> Result<Marginals, NoiseError> {
    let missing = 2 * QUARTERS as usize;
    let mut counts = vec![0i64; missing + 1];
    for &row in rows {
        let cell = match column.cell(row as usize) {
            Cell::Time(at) => {
                let quarter = at.div_euclid(QUARTER).clamp(-QUARTERS, QUARTERS - 1);
                (quarter + QUARTERS) as usize
            }
            _ => missing,
        };
        counts[cell] += 1;
    }
    let counts = noisy(&counts, sigma, noise)?;
    let at = |cell: usize| (cell as i64 - QUARTERS) as f64 * QUARTER as f64;
    let bin = |(cell, count): (usize, &f64)| Bin {
        low: at(cell),
        high: at(cell + 1),
        count: significant(*count, sigma),
    };
    let bins: Vec<Bin> = counts[..missing].iter().enumerate().map(bin).collect();
    Ok(Marginals {
        levels: Vec::new(),
        values: spread(&bins, false),
        missing: significant(counts[missing], sigma),
    })
}

/// Whether a column holds whole numbers, by its type.
fn is_whole(column: &Values) -> bool {
    matches!(column.type_name.as_str(), "integer" | "bigint" | "smallint")
}

/// Values spread evenly over bins, as many in each as its count says, ascending where the bins are.
fn spread(bins: &[Bin], whole: bool) -> Vec<f64> {
    let total: f64 = bins.iter().map(|b| b.count).sum();
    let mut values = Vec::new();
    for bin in bins.iter().filter(|_| total > 0.0) {
        let own = (bin.count / total * MOST_VALUES).round();
        for i in 0..own as usize {
            let x = bin.low + (bin.high - bin.low) * (i as f64 + 0.5) / own;
            values.push(if whole { x.floor() } else { x });
        }
    }
    values
}

/// The counts from 0 that are nearest to noisy ones and have their sum: to cut what is below 0 alone would make rows out of
/// noise (the projection on a simplex: Duchi and others 2008).
pub fn projected(counts: &[f64]) -> Vec<f64> {
    let total: f64 = counts.iter().sum();
    if total <= 0.0 {
        return vec![0.0; counts.len()];
    }
    let mut sorted = counts.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (i, count) in sorted.iter().enumerate() {
        sum += count;
        let own = (sum - total) / (i + 1) as f64;
        if count - own > 0.0 {
            shift = own;
        }
    }
    counts.iter().map(|c| (c - shift).max(0.0)).collect()
}

/// What a standard normal number exceeds with a probability; by halving, for it is far out.
fn upper_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        let beyond = 0.5 * libm::erfc(middle / std::f64::consts::SQRT_2);
        if beyond > probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
#[path = "marginals_test.rs"]
mod tests;
