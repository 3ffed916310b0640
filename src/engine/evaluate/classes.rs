//! Scores of predicted probabilities (classification, of two classes and of many).

use super::{
    Baseline, Evaluation,
    bootstrap::{Name, Resampling, Scores, summarise},
    counts::{Counts, overall},
    curve::{Above, Areas, Gains, MOST_ROWS, by_rank, order, positive, row, walk},
    ranked::bins_of,
    threads::each,
};
use crate::{artifact::Task, infer::decide};

/// Bins of the expected calibration error.
const BINS: usize = 10;

/// Beyond this many classes no confusion matrix is kept: it would be larger than the model.
const MOST_CONFUSED: usize = 1_000;

/// -ln p with p kept off 0 and 1 by the precision of a double, as scikit-learn does.
pub(super) fn log_loss(p: f64) -> f64 {
    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// What the predictions stand for.
pub(super) struct How<'a> {
    pub task: Task,
    pub labels: &'a [String],
    /// From which probability the positive label is answered.
    pub threshold: f64,
}

/// The expected calibration error (Naeini, Cooper and Hauskrecht 2015) over bins of about equally many rows.
struct Calibration {
    /// Where each bin ends.
    ends: Vec<usize>,
    /// By row: what was promised, less what came true.
    surplus: Vec<f64>,
}

impl Calibration {
    /// Rows in order of falling probability.
    fn new(order: &[u32], promised: impl Fn(usize) -> f64 + Sync + Send) -> Calibration {
        let ends = bins_of(order, BINS).into_iter().map(|(_, end)| end);
        Calibration {
            ends: ends.collect(),
            surplus: each(order.len(), |i| {
                promised(i) - f64::from(u8::from(positive(order[i])))
            }),
        }
    }

    fn error(&self, rows: f64, weight: impl Fn(usize) -> u8) -> f64 {
        let mut start = 0;
        let gaps = self.ends.iter().map(|&end| {
            let own = (start..end).map(|i| f64::from(weight(i)) * self.surplus[i]);
            start = end;
            own.fold(0.0, |sum, x| sum + x).abs()
        });
        gaps.sum::<f64>() / rows
    }
}

/// Two classes. Rows are in order of falling score.
pub(super) struct Binary {
    /// `0..rows` with their marks.
    order: Vec<u32>,
    /// Which row each is.
    rows: Vec<u32>,
    answered: Vec<bool>,
    losses: Vec<f64>,
    squares: Vec<f64>,
    calibration: Calibration,
}

impl Binary {
    /// Rows as `by_score` orders them, the truth marked in it.
    pub fn new(
        by_score: &[u32],
        score: impl Fn(usize) -> f64 + Sync + Send,
        threshold: f64,
    ) -> Binary {
        let rows = by_score.len();
        // Brought together once: they lie anywhere.
        let scores = each(rows, |i| score(row(by_score[i])));
        let yes = |i: usize| positive(by_score[i]);
        Binary {
            order: by_rank(by_score),
            rows: each(rows, |i| row(by_score[i]) as u32),
            answered: each(rows, |i| {
                decide(Task::Binary, threshold, &scores[i..=i]) == 1
            }),
            losses: each(rows, |i| {
                log_loss(if yes(i) { scores[i] } else { 1.0 - scores[i] })
            }),
            squares: each(rows, |i| (scores[i] - f64::from(u8::from(yes(i)))).powi(2)),
            calibration: Calibration::new(by_score, |i| scores[i]),
        }
    }
}

impl Scores for Binary {
    fn rows(&self) -> usize {
        self.order.len()
    }
    fn visits(&self) -> usize {
        3 * self.order.len()
    }
    fn names(&self) -> Vec<Name> {
        [
            "loss",
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "specificity",
            "f1",
            "roc_auc",
            "average_precision",
            "log_loss",
            "brier",
            "mcc",
            "ks",
            "top_decile_lift",
            "ece",
        ]
        .map(|name| (name, None))
        .to_vec()
    }
    fn row_order(&self) -> Option<&[u32]> {
        Some(&self.rows)
    }
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let mut cells = [[0u64; 2]; 2];
        let (mut loss, mut square) = (0.0, 0.0);
        for (i, &w) in weights.iter().enumerate() {
            let actual = usize::from(positive(self.order[i]));
            cells[actual][usize::from(self.answered[i])] += u64::from(w);
            loss += f64::from(w) * self.losses[i];
            square += f64::from(w) * self.squares[i];
        }
        let classes = [0, 1].map(|c| Counts {
            actual: cells[c][0] + cells[c][1],
            predicted: cells[0][c] + cells[1][c],
            hit: cells[c][c],
        });
        let mut areas = Areas::default();
        let mut gains = Gains::new(Above {
            positives: classes[1].actual,
            negatives: classes[0].actual,
        });
        walk(
            &self.order,
            |i| u64::from(weights[i]),
            |_, above| {
                areas.visit(above);
                gains.visit(above);
            },
        );
        let n = (classes[0].actual + classes[1].actual) as f64;
        let all = overall(&classes);
        let [precision, recall, f1] = classes[1].scores();
        let [_, specificity, _] = classes[0].scores();
        vec![
            loss / n,
            all.accuracy,
            all.balanced_accuracy,
            precision,
            recall,
            specificity,
            f1,
            areas.roc_auc(),
            areas.average_precision(),
            loss / n,
            square / n,
            all.mcc,
            gains.ks(),
            gains.top_decile_lift(),
            self.calibration.error(n, |i| weights[i]),
        ]
    }
}

/// Many classes.
pub(super) struct Multiclass {
    classes: usize,
    actual: Vec<u32>,
    predicted: Vec<u32>,
    losses: Vec<f64>,
    squares: Vec<f64>,
    /// Is the truth among the two likeliest labels?
    second: Vec<bool>,
    /// Of the answered labels, rows in `surest`'s order.
    calibration: Calibration,
    /// Rows by falling probability of the answered label.
    surest: Vec<u32>,
    /// The classes with scores of their own: they occur or are answered.
    shown: Vec<usize>,
    /// Those that can be told from the rest, each with the rows by its falling probability.
    ranked: Vec<(usize, Vec<u32>)>,
}

impl Multiclass {
    /// `answer` has the probabilities of each class for a row.
    pub fn new<'a>(
        truth: &[u32],
        classes: usize,
        answer: impl Fn(usize) -> &'a [f64] + Sync + Send,
    ) -> Multiclass {
        let rows = truth.len();
        let score = |r: usize, k: usize| answer(r)[k];
        let predicted = each(rows, |r| decide(Task::Multiclass, 0.5, answer(r)) as u32);
        let mut counts = vec![[0usize; 2]; classes];
        for (&t, &p) in truth.iter().zip(&predicted) {
            counts[t as usize][0] += 1;
            counts[p as usize][1] += 1;
        }
        let with = |keep: &dyn Fn(&[usize; 2]) -> bool| -> Vec<usize> {
            (0..classes).filter(|&k| keep(&counts[k])).collect()
        };
        let shown = with(&|[actual, predicted]| actual + predicted > 0);
        let ranked = with(&|[actual, _]| *actual > 0 && *actual < rows);
        let rank = |k: usize| {
            let of_class = |r: usize| truth[r] as usize == k;
            (k, order(rows, |r| score(r, k), of_class))
        };
        let square = |r: usize| -> f64 {
            let of = |k: usize| score(r, k) - f64::from(u8::from(truth[r] as usize == k));
            (0..classes).map(|k| of(k).powi(2)).sum()
        };
        // Of labels of equal probability, scikit-learn prefers the later.
        let second = |r: usize| {
            let own = truth[r] as usize;
            let before = |k: &usize| {
                score(r, *k) > score(r, own) || score(r, *k) == score(r, own) && *k > own
            };
            (0..classes).filter(before).count() < 2
        };
        let sure = |r: usize| score(r, predicted[r] as usize);
        let surest = order(rows, sure, |r| truth[r] == predicted[r]);
        Multiclass {
            classes,
            squares: each(rows, square),
            second: each(rows, second),
            calibration: Calibration::new(&surest, |i| sure(row(surest[i]))),
            surest: surest.iter().map(|e| row(*e) as u32).collect(),
            losses: each(rows, |r| log_loss(score(r, truth[r] as usize))),
            actual: truth.to_vec(),
            predicted,
            shown,
            ranked: ranked.into_iter().map(rank).collect(),
        }
    }
}

impl Scores for Multiclass {
    fn rows(&self) -> usize {
        self.actual.len()
    }
    fn visits(&self) -> usize {
        self.actual.len() * (2 + self.ranked.len())
    }
    fn names(&self) -> Vec<Name> {
        let overall = [
            "loss",
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "f1",
            "precision_weighted",
            "recall_weighted",
            "f1_weighted",
            "roc_auc",
            "average_precision",
            "log_loss",
            "brier",
            "mcc",
            "top_2_accuracy",
            "ece",
        ];
        let of_class = ["precision", "recall", "f1", "roc_auc", "average_precision"];
        let each = self
            .shown
            .iter()
            .flat_map(|&k| of_class.map(|name| (name, Some(k))));
        overall
            .map(|name| (name, None))
            .into_iter()
            .chain(each)
            .collect()
    }
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let mut counts = vec![Counts::default(); self.classes];
        let (mut loss, mut square, mut second, mut n) = (0.0, 0.0, 0.0, 0.0);
        for (i, &w) in weights.iter().enumerate() {
            let (actual, predicted) = (self.actual[i] as usize, self.predicted[i] as usize);
            let rows = u64::from(w);
            counts[actual].actual += rows;
            counts[predicted].predicted += rows;
            counts[actual].hit += if actual == predicted { rows } else { 0 };
            loss += f64::from(w) * self.losses[i];
            square += f64::from(w) * self.squares[i];
            second += f64::from(w) * f64::from(u8::from(self.second[i]));
            n += f64::from(w);
        }
        let mut areas = vec![[f64::NAN; 2]; self.classes];
        for (class, order) in &self.ranked {
            let mut under = Areas::default();
            walk(
                order,
                |i| u64::from(weights[i]),
                |_, above| under.visit(above),
            );
            areas[*class] = [under.roc_auc(), under.average_precision()];
        }
        let mean = |which: usize| {
            let defined = || areas.iter().map(|a| a[which]).filter(|a| !a.is_nan());
            defined().sum::<f64>() / defined().count() as f64
        };
        let all = overall(&counts);
        let [precision, recall, f1] = all.macro_scores;
        let [precision_weighted, recall_weighted, f1_weighted] = all.weighted_scores;
        let mut out = vec![
            loss / n,
            all.accuracy,
            all.balanced_accuracy,
            precision,
            recall,
            f1,
            precision_weighted,
            recall_weighted,
            f1_weighted,
            mean(0),
            mean(1),
            loss / n,
            square / n,
            all.mcc,
            if self.classes > 2 {
                second / n
            } else {
                f64::NAN
            },
            self.calibration
                .error(n, |i| weights[self.surest[i] as usize]),
        ];
        for &k in &self.shown {
            out.extend(counts[k].scores());
            out.extend(areas[k]);
        }
        out
    }
}

/// The rows with a usable truth and prediction.
pub(super) fn usable<'a>(
    task: Task,
    labels: usize,
    truth: &'a [u32],
    predictions: &'a [f64],
) -> Vec<(u32, &'a [f64])> {
    let binary = task == Task::Binary;
    let classes = if binary { 2 } else { labels };
    let width = if binary { 1 } else { classes };
    if width == 0 {
        return Vec::new();
    }
    truth
        .iter()
        .copied()
        .zip(predictions.chunks_exact(width))
        .filter(|(t, p)| (*t as usize) < classes && p.iter().all(|p| p.is_finite()))
        .take(MOST_ROWS)
        .collect()
}

/// The scores of usable rows, each answered with what `answer` says.
pub(super) fn scores<'a>(
    how: &How<'_>,
    rows: &[(u32, &[f64])],
    answer: impl Fn(usize) -> &'a [f64] + Sync + Send,
) -> Box<dyn Scores> {
    if how.task == Task::Binary {
        let score = |r: usize| answer(r)[0];
        let by_score = order(rows.len(), score, |r| rows[r].0 == 1);
        Box::new(Binary::new(&by_score, score, how.threshold))
    } else {
        let truth: Vec<u32> = rows.iter().map(|(t, _)| *t).collect();
        let classes = how.labels.len();
        Box::new(Multiclass::new(&truth, classes, answer))
    }
}

pub(super) fn evaluate(
    how: &How<'_>,
    truth: &[u32],
    predictions: &[f64],
    draws: Resampling<'_>,
    out: &mut Evaluation,
) {
    let binary = how.task == Task::Binary;
    let classes = if binary { 2 } else { how.labels.len() };
    let rows = usable(how.task, how.labels.len(), truth, predictions);
    out.rows = rows.len() as u64;
    if classes <= MOST_CONFUSED {
        out.confusion = vec![vec![0; classes]; classes];
        for (t, p) in &rows {
            out.confusion[*t as usize][decide(how.task, how.threshold, p)] += 1;
        }
    }
    if rows.is_empty() {
        return;
    }
    let shares = match &out.baseline {
        Baseline::Shares(s) if s.len() == classes && s.iter().all(|p| p.is_finite()) => Some(s),
        _ => None,
    };
    let baseline = shares.map(|shares| {
        let guess: &[f64] = if binary { &shares[1..] } else { shares };
        let how = How {
            threshold: 0.5,
            ..*how
        };
        scores(&how, &rows, |_| guess)
    });
    let scores = scores(how, &rows, |r| rows[r].1);
    out.metrics = summarise(&*scores, baseline.as_deref(), how.labels, draws);
}
