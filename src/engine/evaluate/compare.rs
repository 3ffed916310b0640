//! Is one model better than another? Both are scored on the same rows.

use super::{
    Outcomes, Truth,
    bootstrap::{Name, Resampling, Scores, percentile, resample, values},
    classes::{self, How},
    delong, values as numbers,
};
use crate::artifact::Task;

/// Draws of the rows, where time allows: a p-value is at least two in so many.
const RESAMPLES: usize = 2_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub metric: String,
    pub a: f64,
    pub b: f64,
    /// `b - a`.
    pub difference: f64,
    /// 95% interval of the difference.
    pub low: f64,
    pub high: f64,
    /// Two-sided, of no difference.
    pub p_value: f64,
    /// Is `b` the better one? `None` where the interval holds 0.
    pub better: Option<bool>,
}

/// Metrics that are better when they are smaller.
const ERRORS: [&str; 9] = [
    "loss",
    "log_loss",
    "brier",
    "ece",
    "rmse",
    "mae",
    "mse",
    "median_absolute_error",
    "mape",
];

/// Compares two models' outcomes of the same rows, in the same order, metric by metric, by a paired bootstrap (Efron and
/// Tibshirani 1993, chapter 16); `roc_auc` by the test of DeLong, DeLong and Clarke-Pearson (1988). `thresholds` are those
/// of the two models. Rows that are not usable for both are left out.
pub fn compare<'a>(
    task: Task,
    labels: &[String],
    thresholds: [f64; 2],
    truth: &Truth,
    predictions: [&[f64]; 2],
    draws: impl Into<Resampling<'a>>,
) -> Vec<Difference> {
    let width = match task {
        Task::Multiclass | Task::Ordinal => labels.len(),
        _ => 1,
    };
    let finite = |row: usize| {
        predictions.iter().all(|p| {
            p.get(row * width..(row + 1) * width)
                .is_some_and(|p| p.iter().all(|p| p.is_finite()))
        })
    };
    let known = |row: usize| match truth {
        Truth::Classes(codes) => (codes[row] as usize) < labels.len(),
        Truth::Values(values) => values[row].is_finite(),
        // What else there is to know has no scores of its own here.
        _ => false,
    };
    let rows: Vec<usize> = (0..predictions[0].len() / width.max(1))
        .filter(|row| finite(*row) && known(*row))
        .collect();
    let both: [Outcomes; 2] = [0, 1].map(|i| {
        let all = Outcomes {
            truth: truth.clone(),
            predictions: predictions[i].to_vec(),
        };
        all.pick(task, labels.len(), &rows, width)
    });
    if rows.is_empty() {
        return Vec::new();
    }
    let scores: [Box<dyn Scores>; 2] = [0, 1].map(|i| {
        let Outcomes { truth, predictions } = &both[i];
        match truth {
            Truth::Values(truth) => {
                Box::new(numbers::Values::new(truth, |r| predictions[r], None)) as Box<dyn Scores>
            }
            Truth::Classes(truth) => {
                let how = How {
                    task,
                    labels,
                    threshold: thresholds[i],
                };
                let rows = classes::usable(task, labels.len(), truth, predictions);
                classes::scores(&how, &rows, |r| rows[r].1)
            }
            _ => Box::new(numbers::Values::new(&[], |_| 0.0, None)),
        }
    });
    let mut differences = bootstrap(&scores, draws.into());
    if let (Task::Binary, Truth::Classes(codes)) = (task, &both[0].truth)
        && let Some(auc) = differences.iter_mut().find(|d| d.metric == "roc_auc")
    {
        let positive: Vec<bool> = codes.iter().map(|c| *c == 1).collect();
        let [a, b] = [0, 1].map(|i| &both[i].predictions[..]);
        if let Some(test) = delong::test(&positive, a, b) {
            (auc.low, auc.high, auc.p_value) = (test.low, test.high, test.p_value);
            auc.better = better("roc_auc", test.low, test.high);
        }
    }
    differences
}

/// Whether a smaller value of a metric is a better one: an error or a loss.
pub fn smaller_is_better(metric: &str) -> bool {
    ERRORS.contains(&metric)
        || metric.ends_with("_loss")
        || metric.ends_with("_deviance")
        || metric == "integrated_brier_score"
}

fn better(metric: &str, low: f64, high: f64) -> Option<bool> {
    let larger = match (low > 0.0, high < 0.0) {
        (true, _) => true,
        (_, true) => false,
        _ => return None,
    };
    Some(larger != ERRORS.contains(&metric))
}

fn bootstrap(scores: &[Box<dyn Scores>; 2], draws: Resampling<'_>) -> Vec<Difference> {
    let names = scores[0].names();
    let overall: Vec<(usize, Name)> = (names.into_iter().enumerate())
        .filter(|(_, (_, class))| class.is_none())
        .collect();
    let score = |weights: &[u8]| -> Vec<f64> {
        let [a, b] = [0, 1].map(|i| match scores[i].row_order() {
            None => scores[i].score(weights),
            Some(order) => {
                let own: Vec<u8> = order.iter().map(|row| weights[*row as usize]).collect();
                scores[i].score(&own)
            }
        });
        overall.iter().map(|(i, _)| b[*i] - a[*i]).collect()
    };
    let visits = scores[0].visits() + scores[1].visits();
    let drawn = resample(scores[0].rows(), visits, RESAMPLES, draws, score);
    let [a, b] = [0, 1].map(|i| values(&*scores[i]));
    let mut out = Vec::new();
    for (at, (i, (name, _))) in overall.iter().enumerate() {
        let (Some(a), Some(b)) = (a[*i], b[*i]) else {
            continue;
        };
        let mut all: Vec<f64> = drawn
            .iter()
            .map(|d| d[at])
            .filter(|d| d.is_finite())
            .collect();
        all.sort_unstable_by(f64::total_cmp);
        let difference = b - a;
        let low = percentile(&all, 0.025).map_or(difference, |low| low.min(difference));
        let high = percentile(&all, 0.975).map_or(difference, |high| high.max(difference));
        let beyond = |side: &dyn Fn(&f64) -> bool| all.iter().filter(|d| side(d)).count() + 1;
        let least = beyond(&|d| *d <= 0.0).min(beyond(&|d| *d >= 0.0));
        out.push(Difference {
            metric: (*name).to_owned(),
            a,
            b,
            difference,
            low,
            high,
            p_value: (2.0 * least as f64 / (all.len() + 1) as f64).min(1.0),
            better: better(name, low, high),
        });
    }
    out
}
