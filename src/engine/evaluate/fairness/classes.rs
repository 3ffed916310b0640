//! Rates of groups where rows have one of several labels.

use super::super::bootstrap::{Resampling, resample};
use super::super::curve::{Areas, order, walk};
use super::{FEWEST, Groups, Line, RESAMPLES, apart, interval};
use crate::artifact::Task;
use crate::distribution::wilson;
use crate::infer::decide;

const RATES: [&str; 6] = [
    "base_rate",
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "precision",
    "accuracy",
];
const BETWEEN: [&str; 5] = [
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "accuracy_difference",
];

/// Of the rows of a group: how many there are, are positive, are answered so, are both.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    rows: u64,
    actual: u64,
    selected: u64,
    hit: u64,
    /// Probabilities less truths.
    surplus: f64,
}

impl Counts {
    /// Hits and rows of each of [`RATES`].
    fn rates(&self) -> [(u64, u64); 6] {
        let right = self.rows + 2 * self.hit - self.actual - self.selected;
        [
            (self.actual, self.rows),
            (self.selected, self.rows),
            (self.hit, self.actual),
            (self.selected - self.hit, self.rows - self.actual),
            (self.hit, self.selected),
            (right, self.rows),
        ]
    }
}

struct Binary<'a> {
    groups: &'a [u32],
    /// Groups that count in what is said of all.
    counted: Vec<bool>,
    positive: Vec<bool>,
    selected: Vec<bool>,
    surplus: Vec<f64>,
    /// Of each group its rows, and their order by probability.
    ranked: Vec<(Vec<u32>, Vec<u32>)>,
}

impl Binary<'_> {
    fn counts(&self, weights: &[u8]) -> Vec<Counts> {
        let mut counts = vec![Counts::default(); self.ranked.len()];
        for (row, weight) in weights.iter().enumerate() {
            let own = &mut counts[self.groups[row] as usize];
            let weight = u64::from(*weight);
            own.rows += weight;
            own.actual += weight * u64::from(self.positive[row]);
            own.selected += weight * u64::from(self.selected[row]);
            own.hit += weight * u64::from(self.positive[row] && self.selected[row]);
            own.surplus += weight as f64 * self.surplus[row];
        }
        counts
    }

    /// Of each group `roc_auc` and `calibration`, then [`BETWEEN`].
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let counts = self.counts(weights);
        let mut out = Vec::with_capacity(2 * counts.len() + BETWEEN.len());
        for (own, (rows, by_score)) in counts.iter().zip(&self.ranked) {
            let mut areas = Areas::default();
            let weight = |at: usize| u64::from(weights[rows[at] as usize]);
            walk(by_score, weight, |_, above| areas.visit(above));
            out.extend([areas.roc_auc(), own.surplus / own.rows as f64]);
        }
        let rate = |which: usize| {
            let groups = counts.iter().zip(&self.counted).filter(|(_, c)| **c);
            apart(groups.map(move |(own, _)| {
                let (hits, rows) = own.rates()[which];
                hits as f64 / rows as f64
            }))
        };
        let (parity, ratio) = rate(1);
        // NaN where one of both is unknown, which max would hide.
        let odds = match (rate(2).0, rate(3).0) {
            (a, b) if a.is_nan() || b.is_nan() => f64::NAN,
            (a, b) => a.max(b),
        };
        out.extend([parity, ratio, rate(2).0, odds, rate(5).0]);
        out
    }
}

/// Whether each group has rows enough to be compared with others.
pub(super) fn counted(groups: &[u32], count: usize) -> Vec<bool> {
    let mut rows = vec![0; count];
    groups.iter().for_each(|group| rows[*group as usize] += 1);
    rows.iter().map(|rows| *rows >= FEWEST).collect()
}

/// Of two labels. Intervals of rates are Wilson's (1927), the others percentiles of a bootstrap of the rows (Efron 1979).
pub(super) fn binary(
    truth: &[u32],
    predictions: &[f64],
    threshold: f64,
    groups: &Groups,
    draws: Resampling<'_>,
) -> Vec<Line> {
    let usable: Vec<usize> = (0..truth.len())
        .filter(|row| truth[*row] <= 1 && predictions[*row].is_finite())
        .collect();
    let of: Vec<u32> = usable.iter().map(|row| groups.of[*row]).collect();
    let p = |at: usize| predictions[usable[at]];
    let positive: Vec<bool> = usable.iter().map(|row| truth[*row] == 1).collect();
    let count = groups.names.len();
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (at, group) in of.iter().enumerate() {
        members[*group as usize].push(at as u32);
    }
    let ranked = members.into_iter().map(|rows| {
        let by_score = order(
            rows.len(),
            |at| p(rows[at] as usize),
            |at| positive[rows[at] as usize],
        );
        (rows, by_score)
    });
    let scores = Binary {
        counted: counted(&of, count),
        ranked: ranked.collect(),
        groups: &of,
        selected: (0..usable.len())
            .map(|at| decide(Task::Binary, threshold, &[p(at)]) == 1)
            .collect(),
        surplus: (0..usable.len())
            .map(|at| p(at) - f64::from(u8::from(positive[at])))
            .collect(),
        positive,
    };
    let rows = usable.len();
    let once = vec![1; rows];
    let (counts, found) = (scores.counts(&once), scores.score(&once));
    let drawn = resample(rows, 2 * rows, RESAMPLES, draws, |w| scores.score(w));
    let mut lines = Vec::new();
    for (group, own) in counts.iter().enumerate().filter(|(_, c)| c.rows > 0) {
        let line = |metric: &str, value: f64, ends: (Option<f64>, Option<f64>)| Line {
            feature: groups.feature.clone(),
            group: Some(groups.names[group].clone()),
            rows: own.rows,
            metric: metric.into(),
            value,
            low: ends.0,
            high: ends.1,
        };
        for (metric, (hits, rows)) in RATES.into_iter().zip(own.rates()) {
            if rows > 0 {
                let (low, high) = wilson(hits, rows);
                let value = hits as f64 / rows as f64;
                lines.push(line(metric, value, (Some(low), Some(high))));
            }
        }
        for (place, metric) in ["roc_auc", "calibration"].into_iter().enumerate() {
            let place = 2 * group + place;
            if found[place].is_finite() {
                lines.push(line(
                    metric,
                    found[place],
                    interval(&drawn, place, found[place]),
                ));
            }
        }
    }
    let first = 2 * counts.len();
    lines.extend(between(groups, rows, &BETWEEN, first, &found, &drawn));
    lines
}

/// What is said of all groups, from place `first` of the scores.
pub(super) fn between(
    groups: &Groups,
    rows: usize,
    names: &[&str],
    first: usize,
    found: &[f64],
    drawn: &[Vec<f64>],
) -> Vec<Line> {
    let known = names.iter().enumerate().map(|(i, name)| (first + i, name));
    known
        .filter(|(place, _)| found[*place].is_finite())
        .map(|(place, name)| {
            let (low, high) = interval(drawn, place, found[place]);
            Line {
                feature: groups.feature.clone(),
                group: None,
                rows: rows as u64,
                metric: (*name).to_owned(),
                value: found[place],
                low,
                high,
            }
        })
        .collect()
}

/// Of more than two labels: how often the answer is right.
pub(super) fn several(
    task: Task,
    truth: &[u32],
    predictions: &[f64],
    groups: &Groups,
    draws: Resampling<'_>,
) -> Vec<Line> {
    let width = predictions.len() / truth.len().max(1);
    let own = |row: usize| &predictions[row * width..(row + 1) * width];
    let usable: Vec<usize> = (0..truth.len())
        .filter(|row| (truth[*row] as usize) < width && own(*row).iter().all(|p| p.is_finite()))
        .collect();
    let of: Vec<u32> = usable.iter().map(|row| groups.of[*row]).collect();
    let right: Vec<bool> = usable
        .iter()
        .map(|row| decide(task, 0.5, own(*row)) == truth[*row] as usize)
        .collect();
    let count = groups.names.len();
    let counted = counted(&of, count);
    let hits = |weights: &[u8]| {
        let mut hits = vec![(0u64, 0u64); count];
        for (at, weight) in weights.iter().enumerate() {
            let own = &mut hits[of[at] as usize];
            own.0 += u64::from(*weight) * u64::from(right[at]);
            own.1 += u64::from(*weight);
        }
        hits
    };
    let score = |weights: &[u8]| {
        let hits = hits(weights);
        let groups = hits.iter().zip(&counted).filter(|(_, c)| **c);
        vec![apart(groups.map(|((hits, rows), _)| *hits as f64 / *rows as f64)).0]
    };
    let rows = usable.len();
    let once = vec![1; rows];
    let drawn = resample(rows, rows, RESAMPLES, draws, score);
    let each = hits(&once).into_iter().enumerate();
    let mut lines: Vec<Line> = each
        .filter(|(_, (_, rows))| *rows > 0)
        .map(|(group, (hits, rows))| {
            let (low, high) = wilson(hits, rows);
            Line {
                feature: groups.feature.clone(),
                group: Some(groups.names[group].clone()),
                rows,
                metric: "accuracy".into(),
                value: hits as f64 / rows as f64,
                low: Some(low),
                high: Some(high),
            }
        })
        .collect();
    let names = ["accuracy_difference"];
    lines.extend(between(groups, rows, &names, 0, &score(&once), &drawn));
    lines
}
