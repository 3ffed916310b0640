//! k-fold cross-validation of the whole pipeline: everything is learned anew for each fold, from the rows of the others.

use super::{Answers, Cleaning, Divider, FitError, Progress, Request, on, target};
use crate::distribution::quantile;
use crate::frame::Cell;
use crate::infer::{Answer, answer};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// How often, and into how many parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folds {
    pub folds: usize,
    /// Times that the rows are dealt anew.
    pub repeats: usize,
    /// Whether the predictions of the rows are wanted.
    pub predictions: bool,
}

/// What cross-validation found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CrossValidation {
    pub scores: Vec<Score>,
    /// Out-of-fold predictions, by repeat, fold and row.
    pub rows: Vec<OutOfFold>,
}

/// A metric over all folds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Score {
    pub metric: String,
    /// The label, for scores of one class of many.
    pub class: Option<String>,
    /// By repeat and fold; `None` where the metric is undefined.
    pub values: Vec<Option<f64>>,
    pub mean: f64,
    pub standard_deviation: Option<f64>,
    /// 95% interval of the mean; `None` for a single fold. Folds share training rows, so the variance of their mean is that of
    /// their scores times (1/n + test rows / training rows) (Nadeau and Bengio 2003, "Inference for the Generalization Error").
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Mean of the baseline's.
    pub baseline: Option<f64>,
}

/// The answer to a row that the model has not seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutOfFold {
    pub key: Option<String>,
    /// From 1.
    pub repeat: u32,
    /// From 1.
    pub fold: u32,
    /// The label, or the value.
    pub actual: String,
    pub answer: Answer,
}

/// Trains and judges once per fold.
///
/// # Errors
/// Those of a fit, and too few rows, groups or times for so many folds.
pub fn cross_validate(
    mut request: Request,
    folds: &Folds,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<CrossValidation, FitError> {
    let mut answers = target::prepare(&request)?;
    Cleaning::start(&request, &mut answers)?;
    let params = request.params.check(answers.task, answers.rows.len())?;
    answers.check_loss(&request.target, &params)?;
    let deal = |request: &Request, answers: &Answers, repeat: usize| {
        let divider = Divider::new(&request.frame, answers, &request.split, &params)?;
        divider.folds(folds.folds, repeat as u64)
    };
    let mut first = Some(deal(&request, &answers, 0)?);
    let all = first.iter().map(Vec::len).sum::<usize>() * folds.repeats;
    request.params.max_seconds = params.max_seconds.map(|s| s / all as f64);
    let mut collected = CrossValidation {
        scores: Vec::new(),
        rows: Vec::new(),
    };
    let (mut done, mut test_to_train) = (0, 0.0);
    for repeat in 1..=folds.repeats as u32 {
        // One repeat at a time: the rows of all would be many.
        let splits = match first.take() {
            Some(splits) => splits,
            None => deal(&request, &answers, repeat as usize - 1)?,
        };
        for (fold, parts) in (1..).zip(splits) {
            let (train, test) = (parts.train.len(), parts.test.len());
            test_to_train += test as f64 / (train + parts.validation.len()) as f64 / all as f64;
            let cleaning = Cleaning::start(&request, &mut answers)?;
            let started = Instant::now();
            let mut of_fold = |progress: &Progress| {
                report(&Progress {
                    fold: done as u32 + 1,
                    folds: all as u32,
                    ..progress.clone()
                })
            };
            let judged = on(
                &mut request,
                &answers,
                parts,
                cleaning,
                started,
                &mut of_fold,
            )?;
            let artifact = judged.artifact;
            for metric in &artifact.evaluation.metrics {
                collected.add(metric, done, all);
            }
            done += 1;
            if !folds.predictions {
                continue;
            }
            let keys = request.key.as_ref().and_then(|k| request.frame.column(k));
            let width = judged.predictions.len() / judged.rows.len().max(1);
            for (i, &row) in judged.rows.iter().enumerate() {
                let key = match keys.map(|column| column.cell(row as usize)) {
                    Some(Cell::Text(text)) => Some(text.to_owned()),
                    Some(_) => None,
                    None => Some((row + 1).to_string()),
                };
                let predicted = &judged.predictions[i * width..(i + 1) * width];
                collected.rows.push(OutOfFold {
                    key,
                    repeat,
                    fold,
                    actual: answers.actual(row),
                    answer: answer(&artifact, predicted),
                });
            }
        }
    }
    collected
        .scores
        .iter_mut()
        .for_each(|s| s.summarise(test_to_train));
    Ok(collected)
}

impl CrossValidation {
    fn add(&mut self, metric: &crate::evaluate::Metric, fold: usize, all: usize) {
        let same = |s: &&mut Score| s.metric == metric.metric && s.class == metric.class;
        let score = match self.scores.iter_mut().find(same) {
            Some(score) => score,
            None => {
                self.scores.push(Score {
                    metric: metric.metric.clone(),
                    class: metric.class.clone(),
                    values: vec![None; all],
                    mean: 0.0,
                    standard_deviation: None,
                    low: None,
                    high: None,
                    baseline: metric.baseline.map(|_| 0.0),
                });
                let last = self.scores.len() - 1;
                &mut self.scores[last]
            }
        };
        score.values[fold] = Some(metric.value);
        // A sum until it is divided.
        score.baseline = score.baseline.zip(metric.baseline).map(|(sum, b)| sum + b);
    }
}

impl Score {
    /// Fills in what follows from the values. `test_to_train`: test rows per training row.
    fn summarise(&mut self, test_to_train: f64) {
        let values: Vec<f64> = self.values.iter().flatten().copied().collect();
        let count = values.len() as f64;
        self.mean = values.iter().sum::<f64>() / count;
        self.baseline = self.baseline.map(|sum| sum / count);
        if values.len() < 2 {
            return;
        }
        let squares: f64 = values.iter().map(|v| (v - self.mean).powi(2)).sum();
        let variance = squares / (count - 1.0);
        self.standard_deviation = Some(variance.sqrt());
        let error = (variance * (1.0 / count + test_to_train)).sqrt();
        let wide = quantile(0.05, count - 1.0) * error;
        self.low = Some(self.mean - wide);
        self.high = Some(self.mean + wide);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{customers, quick, request};
    use super::*;

    #[test]
    fn every_row_is_predicted_once_by_a_model_that_has_not_seen_it() {
        let how = Folds {
            folds: 4,
            repeats: 2,
            predictions: true,
        };
        let mut seen: Vec<(u32, u32)> = Vec::new();
        let found = cross_validate(request(customers(800), "churn", quick()), &how, &mut |p| {
            seen.push((p.fold, p.folds));
            true
        });
        let found = found.unwrap();
        seen.dedup();
        assert_eq!(seen, (1..=8).map(|fold| (fold, 8)).collect::<Vec<_>>());
        assert_eq!(found.rows.len(), 2 * 799);
        let mut first: Vec<&str> = found.rows[..799]
            .iter()
            .filter_map(|r| r.key.as_deref())
            .collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 799);
        let auc = found.scores.iter().find(|s| s.metric == "roc_auc").unwrap();
        assert_eq!(auc.values.len(), 8);
        assert!(auc.mean > 0.85 && auc.low.unwrap() < auc.mean && auc.high.unwrap() > auc.mean);
        assert_eq!(auc.baseline, Some(0.5));
        // The scores are those of the predictions.
        let hits = |rows: &[OutOfFold]| {
            let hit = |r: &&OutOfFold| r.answer.label.as_deref() == Some(&r.actual);
            rows.iter().filter(hit).count() as f64 / rows.len() as f64
        };
        let accuracy = found
            .scores
            .iter()
            .find(|s| s.metric == "accuracy")
            .unwrap();
        assert!((accuracy.mean - hits(&found.rows)).abs() < 0.002);
    }
}
