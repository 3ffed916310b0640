//! How much each column tells of groups: columns that have nothing to do with the others would only blur them.

use super::source::Source;
use crate::frame::{Column, Frame, Kind};
use crate::profile::association::mutual_information;
use crate::profile::bins::{Bins, bins};
use rayon::prelude::*;

/// Rows that are looked at.
const ROWS: usize = 5000;
const BINS: usize = 8;
/// Places of a number's distribution, and the most clusters it is taken for.
const PLACES: usize = 256;
const MODES: usize = 4;
/// What a column counts at least, beside the one that counts most.
const LEAST: f64 = 0.1;
/// Where no column tells more than this, all count the same.
const SOME: f64 = 0.3;

/// Of each column from 0.1 to 1: how strongly it depends on the column that it depends on most, or how far its numbers lie in
/// clusters, whatever is more.
pub(super) fn weights(source: &Source, frame: &Frame, rows: &[u32]) -> Vec<f64> {
    let inputs = source.recipe.columns();
    let step = rows.len().div_ceil(ROWS).max(1);
    let rows: Vec<u32> = rows.iter().step_by(step).copied().collect();
    let columns: Vec<Option<&Column>> = inputs.iter().map(|i| frame.column(&i.name)).collect();
    let all: Vec<Option<Bins>> = columns
        .par_iter()
        .map(|column| column.filter(|c| is_told(c)).map(|c| bins(c, &rows, BINS)))
        .collect();
    let depends: Vec<f64> = (0..all.len())
        .into_par_iter()
        .map(|at| {
            let others = all.iter().enumerate().filter(|(other, _)| *other != at);
            let each = others.filter_map(|(_, other)| {
                Some(dependence(all[at].as_ref()?, other.as_ref()?, rows.len()))
            });
            each.fold(0.0, f64::max)
        })
        .collect();
    let clustered = clusters(source, frame, &rows);
    let each = depends.iter().zip(clustered).zip(&all);
    let told: Vec<f64> = each
        .map(|((depends, clustered), bins)| match bins {
            // Vectors and sets are not looked into.
            None => 1.0,
            Some(_) => depends.max(clustered),
        })
        .collect();
    let most = told.iter().copied().fold(0.0, f64::max);
    if most < SOME {
        return vec![1.0; told.len()];
    }
    told.iter().map(|own| (own / most).max(LEAST)).collect()
}

fn is_told(column: &Column) -> bool {
    matches!(
        column.kind,
        Kind::Number | Kind::Duration | Kind::Time | Kind::Boolean | Kind::Category
    )
}

/// The informational coefficient of correlation (Linfoot 1957), that of two normal variables with as much mutual information;
/// less what chance lets expect (Miller 1955).
fn dependence(a: &Bins, b: &Bins, rows: usize) -> f64 {
    let chance = (a.count.saturating_sub(2) * b.count.saturating_sub(2)) as f64;
    let shared = mutual_information(a, b) - chance / (2.0 * rows.max(1) as f64);
    (1.0 - (-2.0 * shared.max(0.0)).exp()).sqrt()
}

/// How far each column's prepared numbers lie in 2 to [`MODES`] clusters: the share of the variance inside as many equal parts
/// of a uniform distribution that is not there; 0 for a uniform or a normal one.
fn clusters(source: &Source, frame: &Frame, rows: &[u32]) -> Vec<f64> {
    let owners = source.owners();
    let inputs = source.recipe.columns();
    let first = |column: usize| owners.iter().position(|owner| *owner == column);
    let mut values: Vec<Vec<f32>> = vec![Vec::new(); owners.len()];
    source.of_frame(frame, rows, &mut |row, at, x| {
        values[at].resize(row + 1, 0.0);
        values[at][row] = x;
    });
    let number = |column: usize| {
        let kind = inputs[column].kind;
        let at = first(column).filter(|_| matches!(kind, Kind::Number | Kind::Duration))?;
        let mut own = values[at].clone();
        own.resize(rows.len(), 0.0);
        own.sort_unstable_by(f32::total_cmp);
        let places = PLACES.min(own.len());
        let each = (0..places).map(|i| f64::from(own[(2 * i + 1) * own.len() / (2 * places)]));
        Some(each.collect::<Vec<f64>>())
    };
    let columns = (0..inputs.len()).into_par_iter();
    columns
        .map(|column| number(column).map_or(0.0, |places| modes(&places)))
        .collect()
}

/// See [`clusters`]; of sorted values.
fn modes(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    let (mut sums, mut squares) = (vec![0.0; n + 1], vec![0.0; n + 1]);
    for (i, x) in sorted.iter().enumerate() {
        sums[i + 1] = sums[i] + x;
        squares[i + 1] = squares[i] + x * x;
    }
    // Sum of squared distances from the mean of the values from..to.
    let spread = |from: usize, to: usize| {
        let (sum, count) = (sums[to] - sums[from], (to - from) as f64);
        (squares[to] - squares[from] - sum * sum / count).max(0.0)
    };
    if n <= MODES || spread(0, n) <= 1e-9 * n as f64 {
        return 0.0;
    }
    let all = spread(0, n);
    // The least spread of the first values in k clusters, exactly (Fisher 1958).
    let mut least: Vec<f64> = (0..=n)
        .map(|to| if to == 0 { 0.0 } else { spread(0, to) })
        .collect();
    let mut best: f64 = 0.0;
    for k in 2..=MODES {
        let mut next = vec![0.0; n + 1];
        for to in k..=n {
            let cuts = (k - 1..to).map(|cut| least[cut] + spread(cut, to));
            next[to] = cuts.fold(f64::INFINITY, f64::min);
        }
        least = next;
        best = best.max(1.0 - (least[n] / all) * (k * k) as f64);
    }
    best.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn clusters_of_numbers_are_told_from_one_heap() {
        let mut random = Random::new(4);
        let mut sorted = |of: &mut dyn FnMut(&mut Random) -> f64| {
            let mut values: Vec<f64> = (0..256).map(|_| of(&mut random)).collect();
            values.sort_unstable_by(f64::total_cmp);
            modes(&values)
        };
        assert!(sorted(&mut |r| r.normal()) < 0.05);
        assert!(sorted(&mut |r| r.uniform()) < 0.15);
        assert!(sorted(&mut |r| r.below(2) as f64 * 10.0 + r.normal()) > 0.8);
        assert!(sorted(&mut |r| r.below(3) as f64 * 10.0 + r.normal()) > 0.8);
    }
}
