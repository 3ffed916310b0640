//! Conformal prediction: intervals and sets of labels that hold the truth as often as asked, from rows that were held out of
//! training (Vovk, Gammerman and Shafer 2005; split conformal: Papadopoulos et al. 2002).

mod spread;

use crate::artifact::Task;
use crate::evaluate::Truth;
use serde::{Deserialize, Serialize};
pub use spread::Spread;

/// Scores kept at most, of all groups together.
const MOST_SCORES: usize = 4_000;
/// A group of predictions has about so many rows at least.
const GROUP_ROWS: usize = 200;
/// The same where the spread of each row is known.
const SPREAD_GROUP_ROWS: usize = 1_000;
/// Groups at most.
const MOST_GROUPS: usize = 10;

/// What rows that were held out tell about how far predictions are from the truth.
///
/// * regression: truth less prediction, in groups of about equally many rows by prediction, so that intervals are as wide as
///   errors are there (Mondrian: Boström and Johansson 2020, "Mondrian conformal regressors"); each end of an interval
///   fails in half of the cases allowed. Where a [`Spread`] is known, of errors divided by it.
/// * classes: 1 less the probability of the true label, in one group (LAC: Sadinle, Lei and Wasserman 2019, "Least ambiguous
///   set-valued classifiers with bounded error levels").
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conformal {
    groups: Vec<Group>,
    /// Where each group but the first begins, rising.
    bounds: Vec<f64>,
    /// Regression: how large errors are by what is known of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spread: Option<Spread>,
}

/// A row that was held out: what was predicted, the truth less that, and how large its error was to be expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    pub(crate) prediction: f64,
    pub(crate) error: f64,
    /// Above 0; 1 where nothing is known.
    pub(crate) spread: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Group {
    /// How many scores there were.
    rows: usize,
    /// The scores, rising; of very many those of evenly spread ranks, the first and the last among them.
    scores: Vec<f64>,
}

impl Group {
    fn new(mut scores: Vec<f64>, most: usize) -> Group {
        scores.sort_unstable_by(f64::total_cmp);
        let mut group = Group {
            rows: scores.len(),
            scores: Vec::new(),
        };
        let kept = scores.len().min(most.max(2));
        group.scores = (0..kept).map(|i| scores[group.rank(i, kept) - 1]).collect();
        group
    }

    /// The rank, from 1, of the kept score `i` of `kept`.
    fn rank(&self, i: usize, kept: usize) -> usize {
        match kept {
            0 | 1 => 1,
            _ => 1 + i * (self.rows - 1) / (kept - 1),
        }
    }

    /// A score that the next one exceeds with a probability of at most `alpha`; `None`: there are too few to tell.
    fn upper(&self, alpha: f64) -> Option<f64> {
        // The ⌈(n + 1)(1 - α)⌉-th smallest; thinned, the next kept one above it.
        let rank = ((self.rows + 1) as f64 * (1.0 - alpha) - 1e-9).ceil() as usize;
        if rank > self.rows {
            return None;
        }
        let kept = self.scores.len();
        let (mut low, mut high) = (0, kept);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.rank(middle, kept) < rank {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        self.scores.get(low).copied()
    }

    /// A score that the next one falls short of with a probability of at most `alpha`.
    fn lower(&self, alpha: f64) -> Option<f64> {
        let rank = ((self.rows + 1) as f64 * alpha + 1e-9).floor() as usize;
        let kept = self.scores.len();
        let (mut low, mut high) = (0, kept);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.rank(middle, kept) <= rank {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        self.scores.get(low.checked_sub(1)?).copied()
    }
}

impl Conformal {
    /// From the outcomes of rows that were held out, `width` predictions a row.
    pub fn new(truth: &Truth, predictions: &[f64], width: usize) -> Conformal {
        match truth {
            Truth::Classes(truth) => {
                let rows = truth.iter().zip(predictions.chunks_exact(width.max(1)));
                let scores = rows.filter_map(|(t, p)| {
                    let likelihood = match p {
                        [p] if *t == 1 => *p,
                        [p] => 1.0 - p,
                        many => *many.get(*t as usize)?,
                    };
                    Some(1.0 - likelihood).filter(|s| s.is_finite())
                });
                let scores: Vec<f64> = scores.collect();
                if scores.is_empty() {
                    return Conformal::default();
                }
                Conformal {
                    groups: vec![Group::new(scores, MOST_SCORES)],
                    ..Conformal::default()
                }
            }
            // Nothing is asked of them.
            Truth::Labels(_) | Truth::Survival { .. } | Truth::Uplift { .. } => {
                Conformal::default()
            }
            Truth::Values(truth) => {
                let rows = truth.iter().zip(predictions);
                let held = rows.map(|(t, p)| Held {
                    prediction: *p,
                    error: t - p,
                    spread: 1.0,
                });
                Conformal::of_errors(held.collect(), None)
            }
        }
    }

    /// From rows whose truth is a number, divided by the spread that is given.
    pub(crate) fn of_errors(mut rows: Vec<Held>, spread: Option<Spread>) -> Conformal {
        rows.retain(|r| r.prediction.is_finite() && (r.error / r.spread).is_finite());
        rows.sort_by(|a, b| a.prediction.total_cmp(&b.prediction));
        if rows.is_empty() {
            return Conformal::default();
        }
        // What is left where the spread is known hardly depends on the prediction, and more rows tell better.
        let least = match rows.iter().all(|r| r.spread == 1.0) {
            true => GROUP_ROWS,
            false => SPREAD_GROUP_ROWS,
        };
        let bounds = bounds(&rows, least);
        let mut scores: Vec<Vec<f64>> = vec![Vec::new(); bounds.len() + 1];
        for row in &rows {
            let group = bounds.partition_point(|b| *b <= row.prediction);
            scores[group].push(row.error / row.spread);
        }
        let most = MOST_SCORES / scores.len();
        Conformal {
            groups: scores.into_iter().map(|s| Group::new(s, most)).collect(),
            bounds,
            spread,
        }
    }

    /// Can it answer?
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How large the error of a prepared row is to be expected; 1 where nothing is known.
    pub fn spread(&self, prediction: f64, numbers: &[f32], codes: &[u32]) -> f64 {
        let spread = self.spread.as_ref();
        spread.map_or(1.0, |s| s.of(prediction, numbers, codes))
    }

    /// An interval that holds the truth with a probability of at least `coverage`; a missing end is infinite: the rows held
    /// out are too few to tell. `spread` is the row's.
    pub fn interval(
        &self,
        prediction: f64,
        spread: f64,
        coverage: f64,
    ) -> (Option<f64>, Option<f64>) {
        let group = self.bounds.partition_point(|b| *b <= prediction);
        let Some(group) = self.groups.get(group) else {
            return (None, None);
        };
        let alpha = (1.0 - coverage) / 2.0;
        let end = |error: Option<f64>| {
            error
                .map(|e| prediction + e * spread)
                .filter(|e| e.is_finite())
        };
        (end(group.lower(alpha)), end(group.upper(alpha)))
    }

    /// Labels whose 1 - p is at most this make a set that holds the true one with a probability of at least `coverage`;
    /// infinite where the rows held out are too few to tell.
    pub fn limit(&self, coverage: f64) -> f64 {
        let worst = self.groups.first().and_then(|g| g.upper(1.0 - coverage));
        worst.unwrap_or(f64::INFINITY)
    }

    /// Whether it fits a task; the spread is checked beside the recipe.
    pub(crate) fn is_sound(&self, task: Task) -> bool {
        let rises = |values: &[f64]| values.windows(2).all(|w| w[0] <= w[1]);
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        let groups = self.groups.len();
        let group = |g: &Group| {
            let kept = g.scores.len();
            kept <= g.rows
                && kept > 0
                && kept <= MOST_SCORES
                && g.rows <= u32::MAX as usize
                && rises(&g.scores)
                && finite(&g.scores)
        };
        self.bounds.len() == groups.saturating_sub(1)
            && (task == Task::Regression || groups <= 1 && self.spread.is_none())
            && rises(&self.bounds)
            && finite(&self.bounds)
            && self.groups.iter().all(group)
    }
}

/// Where groups of about equally many rows, `least` or more, begin, but for the first; the rows are sorted by prediction.
pub(crate) fn bounds(rows: &[Held], least: usize) -> Vec<f64> {
    let Some(first) = rows.first() else {
        return Vec::new();
    };
    let groups = (rows.len() / least).clamp(1, MOST_GROUPS);
    let mut bounds: Vec<f64> = (1..groups)
        .map(|g| rows[g * rows.len() / groups].prediction)
        .collect();
    bounds.dedup();
    // What is below the first bound must have rows of its own.
    bounds.retain(|b| first.prediction < *b);
    bounds
}

/// The labels of the set of a [`Conformal::limit`], the likeliest first; where there would be none, the likeliest.
pub fn members(predictions: &[f64], limit: f64) -> Vec<usize> {
    let of = |k: usize| match predictions {
        [p] if k == 0 => 1.0 - p,
        [p] => *p,
        many => many[k],
    };
    let labels = predictions.len().max(2);
    let mut order: Vec<usize> = (0..labels).collect();
    order.sort_by(|a, b| of(*b).total_cmp(&of(*a)).then(a.cmp(b)));
    let inside = order.iter().filter(|k| 1.0 - of(**k) <= limit).count();
    order.truncate(inside.max(1));
    order
}

#[cfg(test)]
#[path = "conformal_test.rs"]
mod tests;
