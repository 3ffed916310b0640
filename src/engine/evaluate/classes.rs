//! Scores of predicted probabilities (classification, of two classes and of many).

use super::{
    Baseline, Evaluation,
    bootstrap::{Name, Scores, summarise},
    counts::{Counts, overall},
    curve::{Areas, MOST_ROWS, by_rank, order, positive, roc, row, walk},
};
use crate::{artifact::Task, infer::decide};

/// Beyond this many classes no confusion matrix is kept: it would be larger than the model.
const MOST_CONFUSED: usize = 1_000;

/// -ln p with p kept off 0 and 1 by the precision of a double, as scikit-learn does.
pub(super) fn log_loss(p: f64) -> f64 {
    -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Two classes. Rows are in order of falling score.
struct Binary {
    /// `0..rows` with their marks.
    order: Vec<u32>,
    answered: Vec<bool>,
    losses: Vec<f64>,
    squares: Vec<f64>,
}

impl Binary {
    /// Rows as `by_score` orders them, the truth marked in it.
    fn new(by_score: &[u32], score: impl Fn(usize) -> f64) -> Binary {
        let rows = || by_score.iter().map(|&e| (score(row(e)), positive(e)));
        Binary {
            order: by_rank(by_score),
            answered: rows()
                .map(|(p, _)| decide(Task::Binary, &[p]) == 1)
                .collect(),
            losses: rows()
                .map(|(p, yes)| log_loss(if yes { p } else { 1.0 - p }))
                .collect(),
            squares: rows()
                .map(|(p, yes)| (p - f64::from(u8::from(yes))).powi(2))
                .collect(),
        }
    }
}

impl Scores for Binary {
    fn rows(&self) -> usize {
        self.order.len()
    }
    fn visits(&self) -> usize {
        2 * self.order.len()
    }
    fn names(&self) -> Vec<Name> {
        [
            "loss",
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "f1",
            "roc_auc",
            "average_precision",
            "log_loss",
            "brier",
            "mcc",
        ]
        .map(|name| (name, None))
        .to_vec()
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
        walk(
            &self.order,
            |i| u64::from(weights[i]),
            |_, above| areas.visit(above),
        );
        let n = (classes[0].actual + classes[1].actual) as f64;
        let all = overall(&classes);
        let [precision, recall, f1] = classes[1].scores();
        vec![
            loss / n,
            all.accuracy,
            all.balanced_accuracy,
            precision,
            recall,
            f1,
            areas.roc_auc(),
            areas.average_precision(),
            loss / n,
            square / n,
            all.mcc,
        ]
    }
}

/// Many classes.
struct Multiclass {
    classes: usize,
    actual: Vec<u32>,
    predicted: Vec<u32>,
    losses: Vec<f64>,
    /// The classes with scores of their own: they occur or are answered.
    shown: Vec<usize>,
    /// Those that can be told from the rest, each with the rows by its falling probability.
    ranked: Vec<(usize, Vec<u32>)>,
}

impl Multiclass {
    fn new(truth: &[u32], classes: usize, score: impl Fn(usize, usize) -> f64) -> Multiclass {
        let mut row = vec![0.0; classes];
        let mut answer = |r: usize| {
            for (k, p) in row.iter_mut().enumerate() {
                *p = score(r, k);
            }
            decide(Task::Multiclass, &row) as u32
        };
        let predicted: Vec<u32> = (0..truth.len()).map(&mut answer).collect();
        let mut counts = vec![[0usize; 2]; classes];
        for (&t, &p) in truth.iter().zip(&predicted) {
            counts[t as usize][0] += 1;
            counts[p as usize][1] += 1;
        }
        let with = |keep: &dyn Fn(&[usize; 2]) -> bool| -> Vec<usize> {
            (0..classes).filter(|&k| keep(&counts[k])).collect()
        };
        let shown = with(&|[actual, predicted]| actual + predicted > 0);
        let ranked = with(&|[actual, _]| *actual > 0 && *actual < truth.len());
        let rank = |k: usize| {
            let of_class = |r: usize| truth[r] as usize == k;
            (k, order(truth.len(), |r| score(r, k), of_class))
        };
        Multiclass {
            classes,
            losses: (0..truth.len())
                .map(|r| log_loss(score(r, truth[r] as usize)))
                .collect(),
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
        self.actual.len() * (1 + self.ranked.len())
    }
    fn names(&self) -> Vec<Name> {
        let overall = [
            "loss",
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "f1",
            "roc_auc",
            "log_loss",
            "mcc",
        ];
        let of_class = ["precision", "recall", "f1", "roc_auc"];
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
        let (mut loss, mut n) = (0.0, 0.0);
        for (i, &w) in weights.iter().enumerate() {
            let (actual, predicted) = (self.actual[i] as usize, self.predicted[i] as usize);
            let rows = u64::from(w);
            counts[actual].actual += rows;
            counts[predicted].predicted += rows;
            counts[actual].hit += if actual == predicted { rows } else { 0 };
            loss += f64::from(w) * self.losses[i];
            n += f64::from(w);
        }
        let mut areas = vec![f64::NAN; self.classes];
        for (class, order) in &self.ranked {
            let mut under = Areas::default();
            walk(
                order,
                |i| u64::from(weights[i]),
                |_, above| under.visit(above),
            );
            areas[*class] = under.roc_auc();
        }
        let defined = || areas.iter().filter(|a| !a.is_nan());
        let area = defined().sum::<f64>() / defined().count() as f64;
        let all = overall(&counts);
        let [precision, recall, f1] = all.macro_scores;
        let mut out = vec![
            loss / n,
            all.accuracy,
            all.balanced_accuracy,
            precision,
            recall,
            f1,
            area,
            loss / n,
            all.mcc,
        ];
        for &k in &self.shown {
            out.extend(counts[k].scores());
            out.push(areas[k]);
        }
        out
    }
}

/// Most points of each of `curves` ROC curves: fewer where there are very many.
pub(super) fn most_points(curves: usize) -> usize {
    (4_000 / curves.max(1)).clamp(16, 200)
}

pub(super) fn evaluate(
    task: Task,
    labels: &[String],
    truth: &[u32],
    predictions: &[f64],
    seed: u64,
    out: &mut Evaluation,
) {
    let binary = task == Task::Binary;
    let classes = if binary { 2 } else { labels.len() };
    let width = if binary { 1 } else { classes };
    if width == 0 {
        return;
    }
    let usable =
        |(t, p): &(&u32, &[f64])| (**t as usize) < classes && p.iter().all(|p| p.is_finite());
    let rows: Vec<(&u32, &[f64])> = truth
        .iter()
        .zip(predictions.chunks_exact(width))
        .filter(usable)
        .take(MOST_ROWS)
        .collect();
    let truth: Vec<u32> = rows.iter().map(|(t, _)| **t).collect();
    out.rows = rows.len() as u64;
    if classes <= MOST_CONFUSED {
        out.confusion = vec![vec![0; classes]; classes];
        for (t, p) in &rows {
            out.confusion[**t as usize][decide(task, p)] += 1;
        }
    }
    if rows.is_empty() {
        return;
    }
    let shares = match &out.baseline {
        Baseline::Shares(s) if s.len() == classes && s.iter().all(|p| p.is_finite()) => Some(s),
        _ => None,
    };
    if binary {
        let (score, yes) = (|r: usize| rows[r].1[0], |r: usize| truth[r] == 1);
        let by_score = order(rows.len(), score, yes);
        let scores = Binary::new(&by_score, score);
        let baseline = shares.map(|s| Binary::new(&order(rows.len(), |_| s[1], yes), |_| s[1]));
        let baseline = baseline.as_ref().map(|b| b as &dyn Scores);
        out.metrics = summarise(&scores, baseline, labels, seed);
        out.roc = vec![roc(&by_score, score, most_points(1))];
    } else {
        let scores = Multiclass::new(&truth, classes, |r, k| rows[r].1[k]);
        let baseline = shares.map(|s| Multiclass::new(&truth, classes, |_, k| s[k]));
        let baseline = baseline.as_ref().map(|b| b as &dyn Scores);
        out.metrics = summarise(&scores, baseline, labels, seed);
        out.roc = vec![Vec::new(); classes];
        let most = most_points(scores.ranked.len());
        for (k, by_score) in &scores.ranked {
            out.roc[*k] = roc(by_score, |r| rows[r].1[*k], most);
        }
    }
}
