//! Scores of labels of which a row can have several.

use super::{
    Baseline, Evaluation,
    bootstrap::{Name, Resampling, Scores, summarise},
    classes::log_loss,
    counts::Counts,
    curve::{Areas, order, walk},
};

/// Beyond so many labels they have no scores of their own: there would be too many to read.
const MOST_SHOWN: usize = 50;

struct Labels {
    labels: usize,
    /// `[rows][labels]`.
    actual: Vec<bool>,
    answered: Vec<bool>,
    /// Of each row: its mean log loss, the share of labels answered wrongly, and F1 of its labels.
    losses: Vec<f64>,
    wrong: Vec<f64>,
    f1: Vec<f64>,
    /// The labels that some rows have and some have not, each with the rows by its falling probability.
    ranked: Vec<(usize, Vec<u32>)>,
}

impl Labels {
    fn new(
        labels: usize,
        actual: &[bool],
        draws: Resampling<'_>,
        score: impl Fn(usize, usize) -> f64 + Sync + Send,
    ) -> Labels {
        let rows = actual.len() / labels;
        let cells = || (0..rows).flat_map(|r| (0..labels).map(move |k| (r, k)));
        let answered: Vec<bool> = cells().map(|(r, k)| score(r, k) >= 0.5).collect();
        let both = actual
            .chunks_exact(labels)
            .zip(answered.chunks_exact(labels));
        let (mut wrong, mut f1) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for (actual, answered) in both {
            let count = |of: fn(bool, bool) -> bool| {
                let pairs = actual.iter().zip(answered);
                pairs.filter(|(a, b)| of(**a, **b)).count() as f64
            };
            wrong.push(count(|a, b| a != b) / labels as f64);
            let (hits, all) = (count(|a, b| a && b), count(|a, _| a) + count(|_, b| b));
            f1.push(if all > 0.0 { 2.0 * hits / all } else { 0.0 });
        }
        let loss = |(r, k): (usize, usize)| {
            let p = score(r, k);
            log_loss(if actual[r * labels + k] { p } else { 1.0 - p }) / labels as f64
        };
        let mut losses = vec![0.0; rows];
        cells().for_each(|cell| losses[cell.0] += loss(cell));
        let has = |k: usize| move |r: usize| actual[r * labels + k];
        let told = (0..labels).filter(|&k| {
            let count = (0..rows).filter(|r| has(k)(*r)).count();
            count > 0 && count < rows
        });
        Labels {
            ranked: told
                .map(|k| {
                    draws.look();
                    (k, order(rows, |r| score(r, k), has(k)))
                })
                .collect(),
            labels,
            actual: actual.to_vec(),
            answered,
            losses,
            wrong,
            f1,
        }
    }

    fn shown(&self) -> usize {
        if self.labels <= MOST_SHOWN {
            self.labels
        } else {
            0
        }
    }
}

impl Scores for Labels {
    fn rows(&self) -> usize {
        self.losses.len()
    }
    fn visits(&self) -> usize {
        self.losses.len() * (self.labels + self.ranked.len())
    }
    fn names(&self) -> Vec<Name> {
        let overall = [
            "loss",
            "accuracy",
            "hamming_loss",
            "f1",
            "f1_micro",
            "f1_samples",
            "precision",
            "recall",
            "roc_auc",
            "average_precision",
            "log_loss",
        ];
        let of_label = ["precision", "recall", "f1", "roc_auc", "average_precision"];
        let each = (0..self.shown()).flat_map(|k| of_label.map(|name| (name, Some(k))));
        overall
            .map(|name| (name, None))
            .into_iter()
            .chain(each)
            .collect()
    }
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let mut counts = vec![Counts::default(); self.labels];
        let (mut n, mut loss, mut exact, mut wrong, mut f1) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let rows = self.actual.chunks_exact(self.labels);
        let rows = rows.zip(self.answered.chunks_exact(self.labels));
        for (i, (actual, answered)) in rows.enumerate() {
            let (count, w) = (u64::from(weights[i]), f64::from(weights[i]));
            if count == 0 {
                continue;
            }
            n += w;
            loss += w * self.losses[i];
            wrong += w * self.wrong[i];
            exact += if self.wrong[i] == 0.0 { w } else { 0.0 };
            f1 += w * self.f1[i];
            for (c, (&a, &b)) in counts.iter_mut().zip(actual.iter().zip(answered)) {
                c.actual += count * u64::from(a);
                c.predicted += count * u64::from(b);
                c.hit += count * u64::from(a && b);
            }
        }
        let mut areas = vec![[f64::NAN; 2]; self.labels];
        for (label, order) in &self.ranked {
            let mut under = Areas::default();
            walk(
                order,
                |r| u64::from(weights[r]),
                |_, above| under.visit(above),
            );
            areas[*label] = [under.roc_auc(), under.average_precision()];
        }
        let mean = |which: usize| {
            let defined = || areas.iter().map(|a| a[which]).filter(|a| !a.is_nan());
            defined().sum::<f64>() / defined().count() as f64
        };
        let known = |x: f64| if x.is_nan() { 0.0 } else { x };
        let macros = |which: usize| {
            let sum: f64 = counts.iter().map(|c| known(c.scores()[which])).sum();
            sum / self.labels as f64
        };
        let all = counts.iter().fold(Counts::default(), |a, b| Counts {
            actual: a.actual + b.actual,
            predicted: a.predicted + b.predicted,
            hit: a.hit + b.hit,
        });
        let mut out = vec![
            loss / n,
            exact / n,
            wrong / n,
            macros(2),
            known(all.scores()[2]),
            f1 / n,
            macros(0),
            macros(1),
            mean(0),
            mean(1),
            loss / n,
        ];
        for k in 0..self.shown() {
            out.extend(counts[k].scores());
            out.extend(areas[k]);
        }
        out
    }
}

pub(super) fn evaluate(
    labels: &[String],
    truth: &[bool],
    predictions: &[f64],
    draws: Resampling<'_>,
    out: &mut Evaluation,
) {
    let width = labels.len();
    if width == 0 {
        return;
    }
    let rows = truth
        .chunks_exact(width)
        .zip(predictions.chunks_exact(width));
    let rows: Vec<_> = rows
        .filter(|(_, p)| p.iter().all(|p| p.is_finite()))
        .collect();
    out.rows = rows.len() as u64;
    if rows.is_empty() {
        return;
    }
    let truth: Vec<bool> = rows.iter().flat_map(|(t, _)| t.iter().copied()).collect();
    let scores = Labels::new(width, &truth, draws, |r, k| rows[r].1[k]);
    let rates = match &out.baseline {
        Baseline::Rates(rates) if rates.len() == width => Some(rates),
        _ => None,
    };
    let baseline = rates.map(|rates| Labels::new(width, &truth, draws, |_, k| rates[k]));
    let baseline = baseline.as_ref().map(|b| b as &dyn Scores);
    out.metrics = summarise(&scores, baseline, labels, draws);
}
