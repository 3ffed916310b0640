//! The test of DeLong, DeLong and Clarke-Pearson (1988), "Comparing the areas under two or more correlated receiver operating
//! characteristic curves: a nonparametric approach", by midranks (Sun and Xu 2014, "Fast implementation of DeLong's
//! algorithm").

use crate::distribution::{NORMAL_975, two_sided};

pub(super) struct Test {
    /// 95% interval of the second area less the first.
    pub low: f64,
    pub high: f64,
    pub p_value: f64,
}

/// Compares the areas of two scores of the same rows. `None` with fewer than two rows of a class.
pub(super) fn test(positive: &[bool], a: &[f64], b: &[f64]) -> Option<Test> {
    let (area_a, [yes_a, no_a]) = components(positive, a)?;
    let (area_b, [yes_b, no_b]) = components(positive, b)?;
    // Of the difference: that of the components' differences.
    let variance = |a: &[f64], b: &[f64]| {
        let n = a.len() as f64;
        let apart: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        let mean = apart.iter().sum::<f64>() / n;
        apart.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
    };
    let deviation = (variance(&yes_a, &yes_b) + variance(&no_a, &no_b)).sqrt();
    let difference = area_b - area_a;
    let half = NORMAL_975 * deviation;
    let p_value = match (difference == 0.0, deviation == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        _ => two_sided(difference / deviation, f64::INFINITY),
    };
    Some(Test {
        low: difference - half,
        high: difference + half,
        p_value,
    })
}

/// The area, and of each positive row the share of negatives below it, of each negative that of positives above it; equal
/// scores count half. `None` with fewer than two rows of a class.
#[allow(clippy::type_complexity)]
pub(crate) fn components(positive: &[bool], scores: &[f64]) -> Option<(f64, [Vec<f64>; 2])> {
    let of = |class: bool| -> Vec<f64> {
        let rows = positive.iter().zip(scores);
        rows.filter(|(p, _)| **p == class)
            .map(|(_, s)| *s)
            .collect()
    };
    let (yes, no) = (of(true), of(false));
    let (m, n) = (yes.len(), no.len());
    if m < 2 || n < 2 {
        return None;
    }
    let all = midranks(&[&yes[..], &no[..]].concat());
    let (among_yes, among_no) = (midranks(&yes), midranks(&no));
    let above: Vec<f64> = (0..m).map(|i| (all[i] - among_yes[i]) / n as f64).collect();
    let below = (0..n).map(|j| 1.0 - (all[m + j] - among_no[j]) / m as f64);
    let area = above.iter().sum::<f64>() / m as f64;
    Some((area, [above, below.collect()]))
}

/// The rank of each value from 1, the mean of their ranks for equal ones.
fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let same = |i: &u32| values[*i as usize] == values[order[first] as usize];
        let last = first + order[first..].iter().take_while(|i| same(i)).count().max(1);
        for row in &order[first..last] {
            ranks[*row as usize] = (first + 1 + last) as f64 / 2.0;
        }
        first = last;
    }
    ranks
}

#[cfg(test)]
#[path = "delong_test.rs"]
mod tests;
