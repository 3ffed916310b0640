//! Percentile bootstrap intervals (Efron 1979) of many metrics at once.

use super::{Metric, draw::Draws, threads::in_pool};
use rayon::prelude::*;

/// How many resamples, where time allows.
const RESAMPLES: usize = 500;
/// How many at least: fewer would leave nothing at the ends of the interval.
const FEWEST: usize = 40;
/// Visits of a row, over all resamples, that are worth about a second.
const VISITS: usize = 100_000_000;

/// How rows are drawn again and again: the same seed gives the same draws.
#[derive(Clone, Copy)]
pub struct Resampling<'a> {
    seed: u64,
    /// Called before each draw where no thread helps, and on the way there: it may unwind, which a server process does to be
    /// interrupted.
    interrupt: Option<&'a dyn Fn()>,
}

impl<'a> Resampling<'a> {
    pub fn interruptible(seed: u64, interrupt: &'a dyn Fn()) -> Resampling<'a> {
        Resampling {
            seed,
            interrupt: Some(interrupt),
        }
    }
}

impl Resampling<'_> {
    /// Where work on very many rows has been done, and more is to come.
    pub(super) fn look(&self) {
        if let Some(interrupt) = self.interrupt {
            interrupt();
        }
    }
}

impl From<u64> for Resampling<'_> {
    fn from(seed: u64) -> Self {
        Resampling {
            seed,
            interrupt: None,
        }
    }
}

/// The name of a metric and the class it is about.
pub(super) type Name = (&'static str, Option<usize>);

/// Metrics of a fixed set of rows, each row counted so many times.
pub(super) trait Scores: Sync {
    fn rows(&self) -> usize;
    /// Rows visited by one call of [`Scores::score`].
    fn visits(&self) -> usize;
    fn names(&self) -> Vec<Name>;
    /// Which row each weight belongs to, where they are not in order.
    fn row_order(&self) -> Option<&[u32]> {
        None
    }
    /// In the order of [`Scores::names`]; NaN where undefined.
    fn score(&self, weights: &[u8]) -> Vec<f64>;
}

/// The value of each metric on the rows as they are; `None` where undefined.
pub(super) fn values(scores: &dyn Scores) -> Vec<Option<f64>> {
    let values = scores.score(&vec![1; scores.rows()]);
    let named = scores.names().into_iter().zip(values);
    named
        .map(|((name, _), value)| {
            // `zero_division=0`, as in scikit-learn.
            let ratio = matches!(name, "precision" | "recall" | "f1" | "specificity");
            let value = if ratio && value.is_nan() { 0.0 } else { value };
            value.is_finite().then_some(value)
        })
        .collect()
}

/// Every defined metric with its interval and that of `baseline` beside it.
pub(super) fn summarise(
    scores: &dyn Scores,
    baseline: Option<&dyn Scores>,
    labels: &[String],
    how: Resampling<'_>,
) -> Vec<Metric> {
    let names = scores.names();
    let drawn = resample(scores.rows(), scores.visits(), RESAMPLES, how, |weights| {
        scores.score(weights)
    });
    let against: Vec<(Name, Option<f64>)> = baseline
        .map(|b| b.names().into_iter().zip(values(b)).collect())
        .unwrap_or_default();
    let mut metrics = Vec::new();
    for (i, (name, value)) in names.into_iter().zip(values(scores)).enumerate() {
        let Some(value) = value else { continue };
        let mut all: Vec<f64> = drawn
            .iter()
            .map(|d| d[i])
            .filter(|v| v.is_finite())
            .collect();
        all.sort_unstable_by(f64::total_cmp);
        let beside = against.iter().find(|(other, _)| *other == name);
        metrics.push(Metric {
            metric: name.0.to_string(),
            class: name.1.and_then(|c| labels.get(c).cloned()),
            value,
            low: percentile(&all, 0.025).map_or(value, |low| low.min(value)),
            high: percentile(&all, 0.975).map_or(value, |high| high.max(value)),
            baseline: beside.and_then(|(_, value)| *value),
        });
    }
    metrics
}

/// What `score` answers for each of so many draws of the rows; fewer where one visits very many.
pub(super) fn resample(
    rows: usize,
    visits: usize,
    most: usize,
    how: Resampling<'_>,
    score: impl Fn(&[u8]) -> Vec<f64> + Sync,
) -> Vec<Vec<f64>> {
    let resamples = (VISITS / (visits + rows).max(1)).clamp(FEWEST, most);
    let seed = how.seed;
    let one = |i: usize, draws: &mut Draws| score(draws.draw(rows, seed, i as u64));
    if in_pool() {
        (0..resamples)
            .into_par_iter()
            .map_init(Draws::default, |draws, i| one(i, draws))
            .collect()
    } else {
        let mut draws = Draws::default();
        let all = (0..resamples).map(|i| {
            how.look();
            one(i, &mut draws)
        });
        all.collect()
    }
}

/// The quantile `q` of sorted values, interpolated linearly.
pub(super) fn percentile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q * (sorted.len().checked_sub(1)?) as f64;
    let below = sorted[at.floor() as usize];
    let above = sorted[at.ceil() as usize];
    Some(below + (above - below) * at.fract())
}
