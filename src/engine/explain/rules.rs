//! A model in a few rules: a small tree that imitates it, in the user's columns, and how far it does.

use super::interactions::answers;
use super::phrase::words;
use super::surrogate::{Lesson, Question, Tree};
use crate::artifact::Task;
use crate::evaluate::Truth;
use crate::frame::{Column, Frame, Kind};
use crate::infer::{Predictor, decide};
use crate::random::Random;
use serde::{Deserialize, Serialize};

/// Parts of the rows, each of which is answered by a tree that was learned from the others.
const PARTS: usize = 5;
/// Fewer rows are too few to learn rules from.
pub const FEWEST_ROWS: usize = 50;

/// What holds for some rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// In words, such as `tenure < 6 and contract = month-to-month`.
    pub rule: String,
    /// Of the rows kept with the model.
    pub rows: usize,
    pub share: f64,
    /// The model's mean answer: a value, the probability of the positive label or that of `label`.
    pub prediction: f64,
    /// The middle 80% of its answers.
    pub low: f64,
    pub high: f64,
    /// What is answered for these rows; none of numbers.
    pub label: Option<String>,
    /// What was true of them: the mean, or the share of that label; none where it is no single number.
    pub actual: Option<f64>,
}

/// Rules and how far they are what the model does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// By falling prediction.
    pub rules: Vec<Rule>,
    /// The share of the variance of the model's answers that rules explain on rows they were not learned from.
    pub fidelity: f64,
    /// The share of such rows for which they come to the model's label; none of numbers.
    pub agreement: Option<f64>,
}

/// Rules of at most `depth` conditions; of several labels those of `label`'s probability, or of all together. `None` where
/// `go` says to stop; without rules where the model keeps fewer than [`FEWEST_ROWS`] rows.
pub fn rules(
    predictor: &Predictor,
    label: Option<usize>,
    depth: usize,
    go: &mut dyn FnMut() -> bool,
) -> Option<Rules> {
    let frame = predictor.background();
    let rows = frame.rows();
    let mut found = Rules {
        rules: Vec::new(),
        fidelity: 0.0,
        agreement: None,
    };
    if rows < FEWEST_ROWS {
        return Some(found);
    }
    let all: Vec<u32> = (0..rows as u32).collect();
    let predictions = predictor.predict_frame(frame, &all, 1);
    let width = predictor.width().max(1);
    let each = predictions.chunks_exact(width);
    let told: Vec<f64> = each
        .flat_map(|own| answers(predictor, label, own))
        .collect();
    let columns = comparable(frame);
    let lesson = Lesson::new(&columns, &told, told.len() / rows);
    if !go() {
        return None;
    }
    let decided = |answers: &[f64]| decide_by(predictor, label, answers);
    // Rows answered by trees that have not seen them.
    let mut order: Vec<usize> = (0..rows).collect();
    Random::new(0x7275_6c65).shuffle(&mut order);
    let mut unseen: Vec<Vec<f64>> = vec![Vec::new(); rows];
    for part in 0..PARTS {
        let (judged, learned): (Vec<_>, Vec<_>) = order
            .iter()
            .enumerate()
            .partition(|(i, _)| i % PARTS == part);
        let mut learned: Vec<usize> = learned.into_iter().map(|(_, row)| *row).collect();
        learned.sort_unstable();
        let tree = Tree::learn(&lesson, learned, depth, go)?;
        for (_, row) in judged {
            unseen[*row] = tree.answer(lesson.columns, *row).to_vec();
        }
        if !go() {
            return None;
        }
    }
    found.fidelity = explained(&lesson, &unseen);
    found.agreement = decided(&told[..lesson.width]).map(|_| {
        let own = told.chunks_exact(lesson.width);
        let same = own
            .zip(&unseen)
            .filter(|(own, other)| decided(own) == decided(other));
        same.count() as f64 / rows as f64
    });
    let tree = Tree::learn(&lesson, (0..rows).collect(), depth, go)?;
    let truth = predictor.sample().truth(predictor.artifact().task);
    for (path, answers, own) in tree.paths() {
        let place = match label {
            Some(_) => 0,
            // Of all labels the one that is answered.
            None if lesson.width > 1 => decided(answers).unwrap_or(0),
            None => 0,
        };
        let mut sorted: Vec<f64> = own
            .iter()
            .map(|row| told[row * lesson.width + place])
            .collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
            sorted.get(place).copied().unwrap_or(f64::NAN)
        };
        let code = decided(answers);
        let of = label.unwrap_or(if lesson.width > 1 { place } else { 1 });
        found.rules.push(Rule {
            rule: say(predictor, lesson.columns, &path),
            rows: own.len(),
            share: own.len() as f64 / rows as f64,
            prediction: answers.get(place).copied().unwrap_or(f64::NAN),
            low: at(0.1),
            high: at(0.9),
            label: code.and_then(|code| predictor.artifact().target.labels.get(code).cloned()),
            actual: actual(&truth, own, of),
        });
    }
    found.rules.sort_by(|a, b| {
        b.prediction
            .total_cmp(&a.prediction)
            .then(a.rule.cmp(&b.rule))
    });
    Some(found)
}

/// The columns a tree can ask about; the others are missing everywhere.
fn comparable(frame: &Frame) -> Vec<Column> {
    let usable = |column: &Column| {
        if matches!(column.kind, Kind::Vector | Kind::Image | Kind::Json) {
            let mut none = Column::new(&column.name, &column.type_name, column.kind);
            (0..column.len()).for_each(|_| none.push(crate::frame::Cell::Null));
            return none;
        }
        column.clone()
    };
    frame.columns.iter().map(usable).collect()
}

/// The label that answers stand for; `None` where they are a number, or one label's probability of several.
fn decide_by(predictor: &Predictor, label: Option<usize>, answers: &[f64]) -> Option<usize> {
    let artifact = predictor.artifact();
    match artifact.task {
        Task::Binary => Some(decide(Task::Binary, artifact.settled.threshold, answers)),
        Task::Multiclass | Task::Ordinal if label.is_none() => {
            Some(decide(artifact.task, artifact.settled.threshold, answers))
        }
        _ => None,
    }
}

/// 1 less the share of the variance that is left.
fn explained(lesson: &Lesson<'_>, unseen: &[Vec<f64>]) -> f64 {
    let rows = unseen.len() as f64;
    let (mut left, mut all) = (0.0, 0.0);
    for answer in 0..lesson.width {
        let own = |row: usize| lesson.answers[row * lesson.width + answer];
        let mean = (0..unseen.len()).map(own).sum::<f64>() / rows;
        for (row, other) in unseen.iter().enumerate() {
            left += (own(row) - other[answer]).powi(2);
            all += (own(row) - mean).powi(2);
        }
    }
    if all > 0.0 { 1.0 - left / all } else { 1.0 }
}

/// What was true of some rows: the mean, or the share of a label.
fn actual(truth: &Truth, rows: &[usize], label: usize) -> Option<f64> {
    let mean = |of: &dyn Fn(usize) -> f64| {
        rows.iter().map(|row| of(*row)).sum::<f64>() / rows.len().max(1) as f64
    };
    match truth {
        Truth::Values(values) => Some(mean(&|row| values[row])),
        Truth::Classes(codes) => Some(mean(&|row| {
            f64::from(u8::from(codes[row] as usize == label))
        })),
        Truth::Labels(_) | Truth::Survival { .. } | Truth::Uplift { .. } => None,
    }
}

/// The conditions of a path in words, a column at a time, in the order they are met.
fn say(predictor: &Predictor, columns: &[Column], path: &[(usize, &Question, bool)]) -> String {
    let mut told: Vec<usize> = Vec::new();
    for (column, ..) in path {
        if !told.contains(column) {
            told.push(*column);
        }
    }
    if told.is_empty() {
        return "all rows".into();
    }
    let sample = predictor.sample();
    let each = told.iter().map(|at| {
        let own = path.iter().filter(|(column, ..)| column == at);
        let own: Vec<(&Question, bool)> = own
            .map(|(_, question, holds)| (*question, *holds))
            .collect();
        words(&columns[*at], &own, sample.hides(*at))
    });
    each.collect::<Vec<_>>().join(" and ")
}
