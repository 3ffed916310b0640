//! How far two counts of the same cells lie apart.

use crate::distribution::{chi_squared_tail, kolmogorov_tail};
use crate::profile::association::stability_of;

/// Rows that are expected in a cell, at least; cells with fewer are counted together (Cochran 1954).
const EXPECTED: f64 = 5.0;

/// Cells of enough rows, as counts before and now. Cells in an order are joined with their neighbours, others with one
/// another.
pub(super) fn pooled(before: &[u64], now: &[u64], ordered: bool) -> Vec<[f64; 2]> {
    let sum = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
    let (all_before, all_now) = (sum(before), sum(now));
    let share = all_before.min(all_now) / (all_before + all_now).max(1.0);
    let is_enough = |cell: &[f64; 2]| (cell[0] + cell[1]) * share >= EXPECTED;
    let add = |to: &mut [f64; 2], cell: [f64; 2]| {
        to[0] += cell[0];
        to[1] += cell[1];
    };
    let mut out: Vec<[f64; 2]> = Vec::new();
    let mut open = [0.0; 2];
    for (old, new) in before.iter().zip(now) {
        let cell = [*old as f64, *new as f64];
        match (ordered, is_enough(&cell)) {
            (false, true) => out.push(cell),
            (false, false) => add(&mut open, cell),
            (true, _) => {
                add(&mut open, cell);
                if is_enough(&open) {
                    out.push(std::mem::take(&mut open));
                }
            }
        }
    }
    if open[0] + open[1] > 0.0 {
        let least = |a: &&mut [f64; 2], b: &&mut [f64; 2]| (a[0] + a[1]).total_cmp(&(b[0] + b[1]));
        let joined = match ordered {
            true => out.last_mut(),
            false => out.iter_mut().min_by(least),
        };
        match joined {
            Some(cell) if !is_enough(&open) => add(cell, open),
            _ => out.push(open),
        }
    }
    out
}

/// Population stability index; empty cells count as half a row.
pub(super) fn stability(cells: &[[f64; 2]]) -> f64 {
    let side = |side: usize| cells.iter().map(|cell| cell[side] + 0.5).collect();
    stability_of(side(0), side(1))
}

/// Jensen-Shannon distance in base 2 (Lin 1991; Endres and Schindelin 2003), from 0 to 1.
pub(super) fn jensen_shannon(cells: &[[f64; 2]]) -> f64 {
    let sum = |side: usize| cells.iter().map(|cell| cell[side]).sum::<f64>().max(1.0);
    let (before, now) = (sum(0), sum(1));
    let term = |p: f64, middle: f64| {
        if p > 0.0 {
            p * (p / middle).log2()
        } else {
            0.0
        }
    };
    let each = cells.iter().map(|cell| {
        let (p, q) = (cell[0] / before, cell[1] / now);
        let middle = (p + q) / 2.0;
        (term(p, middle) + term(q, middle)) / 2.0
    });
    each.sum::<f64>().clamp(0.0, 1.0).sqrt()
}

/// A test statistic and the probability of one as large where nothing has changed.
pub(super) type Test = (f64, f64);

/// Kolmogorov and Smirnov's: the greatest distance of the two distribution functions, looked at where cells end.
pub(super) fn kolmogorov_smirnov(before: &[u64], now: &[u64]) -> Option<Test> {
    let sum = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
    let (all_before, all_now) = (sum(before), sum(now));
    if all_before == 0.0 || all_now == 0.0 {
        return None;
    }
    let (mut below, mut most) = ([0; 2], 0.0f64);
    for (old, new) in before.iter().zip(now) {
        below = [below[0] + old, below[1] + new];
        most = most.max((below[0] as f64 / all_before - below[1] as f64 / all_now).abs());
    }
    let rows = (all_before * all_now / (all_before + all_now)).sqrt();
    // Stephens (1970).
    let p = kolmogorov_tail((rows + 0.12 + 0.11 / rows) * most);
    Some((most, p))
}

/// Pearson's chi-square of the table of cells and sides.
pub(super) fn chi_square(cells: &[[f64; 2]]) -> Option<Test> {
    let sum = |side: usize| cells.iter().map(|cell| cell[side]).sum::<f64>();
    let (before, now) = (sum(0), sum(1));
    if before == 0.0 || now == 0.0 {
        return None;
    }
    let term = |cell: &[f64; 2], side: usize, all: f64| {
        let expected = (cell[0] + cell[1]) * all / (before + now);
        if expected > 0.0 {
            (cell[side] - expected).powi(2) / expected
        } else {
            0.0
        }
    };
    let terms = cells.iter().map(|c| term(c, 0, before) + term(c, 1, now));
    let statistic = terms.sum::<f64>();
    let freedom = cells.len().saturating_sub(1);
    Some((statistic, chi_squared_tail(statistic, freedom as f64)))
}

/// Corrects the p-values of several tests for there being several (Holm 1979).
pub(super) fn holm(p_values: &mut [&mut f64]) {
    p_values.sort_unstable_by(|a, b| a.total_cmp(b));
    let (tests, mut most) = (p_values.len(), 0.0f64);
    for (at, p) in p_values.iter_mut().enumerate() {
        most = most.max((**p * (tests - at) as f64).min(1.0));
        **p = most;
    }
}
