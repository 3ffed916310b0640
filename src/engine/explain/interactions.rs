//! Which columns tell more together than each by itself.

use super::importance::importance;
use crate::frame::Cell;
use crate::infer::Predictor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows at which answers are compared, and over which they are averaged: an answer of a pair is asked for at each of the one with each
/// of the other.
const POINTS: usize = 64;

/// What two columns do together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// Which of the recipe's columns, the more important one first.
    pub columns: [usize; 2],
    /// The squared H statistic (Friedman and Popescu 2008, 8.1): of the variance of their common partial dependence the share
    /// that is not that of the sum of both; 0 where they add up. Of columns that hardly matter it says little.
    pub h_squared: f64,
    /// How far the common partial dependence is from the sum of both: the root of the mean square, in the unit of the answer.
    pub strength: f64,
}

/// Interactions of all pairs of the `most` most important columns, the strongest first. Of several labels that of `label`, or of
/// all probabilities together. Uses the threads of the pool it is called in; `None` where `go` says to stop.
pub fn interactions(
    predictor: &Predictor,
    label: Option<usize>,
    most: usize,
    go: &mut dyn FnMut() -> bool,
) -> Option<Vec<Interaction>> {
    let frame = predictor.background();
    let rows = frame.rows();
    let ranked = importance(predictor, go)?;
    let mut columns: Vec<usize> = match ranked.is_empty() {
        // Its task has no loss of single rows.
        true => (0..frame.columns.len()).collect(),
        false => ranked.iter().map(|own| own.column).collect(),
    };
    let missing = |column: &usize| frame.columns[*column].nulls.count() == rows;
    columns.retain(|column| !missing(column));
    columns.truncate(most);
    if rows < 2 || columns.len() < 2 {
        return Some(Vec::new());
    }
    let some: Vec<usize> = (0..POINTS.min(rows))
        .map(|i| i * rows / POINTS.min(rows))
        .collect();
    let alone: Vec<Vec<f64>> = columns
        .par_iter()
        .map(|column| dependence(predictor, label, &[*column], &some))
        .collect();
    if !go() {
        return None;
    }
    let pairs: Vec<(usize, usize)> = (0..columns.len())
        .flat_map(|a| (a + 1..columns.len()).map(move |b| (a, b)))
        .collect();
    let mut found = Vec::with_capacity(pairs.len());
    for some_pairs in pairs.chunks(rayon::current_num_threads().max(1)) {
        let own = some_pairs.par_iter().map(|(a, b)| {
            let together = dependence(predictor, label, &[columns[*a], columns[*b]], &some);
            let (mut apart, mut all) = (0.0, 0.0);
            for (i, both) in together.iter().enumerate() {
                let more = both - alone[*a][i] - alone[*b][i];
                apart += more * more;
                all += both * both;
            }
            Interaction {
                columns: [columns[*a], columns[*b]],
                // Rounding of answers that are all the same is no interaction.
                h_squared: if all > 1e-18 * some.len() as f64 {
                    apart / all
                } else {
                    0.0
                },
                strength: (apart / some.len() as f64).sqrt(),
            }
        });
        found.extend(own.collect::<Vec<_>>());
        if !go() {
            return None;
        }
    }
    found.sort_by(|a, b| {
        b.strength
            .total_cmp(&a.strength)
            .then(a.columns.cmp(&b.columns))
    });
    Some(found)
}

/// Partial dependence on some columns at the values of each of `some` rows, over these rows; each answer less its mean,
/// row-major `[rows][answers]`.
fn dependence(
    predictor: &Predictor,
    label: Option<usize>,
    columns: &[usize],
    some: &[usize],
) -> Vec<f64> {
    let frame = predictor.background();
    let mut scratch = predictor.scratch();
    let mut out = Vec::new();
    let mut cells: Vec<Cell<'_>> = vec![Cell::Null; frame.columns.len()];
    for at in some {
        let mut sums: Vec<f64> = Vec::new();
        for row in some {
            for (column, cell) in cells.iter_mut().enumerate() {
                let from = if columns.contains(&column) { at } else { row };
                *cell = frame.columns[column].cell(*from);
            }
            let predictions = predictor.predict(&cells, &mut scratch);
            let answers = answers(predictor, label, predictions);
            sums.resize(answers.clone().count(), 0.0);
            sums.iter_mut().zip(answers).for_each(|(sum, x)| *sum += x);
        }
        out.extend(sums.into_iter().map(|sum| sum / some.len() as f64));
    }
    let width = out.len() / some.len();
    for answer in 0..width {
        let own = out.iter().skip(answer).step_by(width);
        let mean = own.sum::<f64>() / some.len() as f64;
        let own = out.iter_mut().skip(answer).step_by(width);
        own.for_each(|x| *x -= mean);
    }
    out
}

/// The numbers that a model's predictions stand for: one, that of a label, or one for each label.
pub(super) fn answers(
    predictor: &Predictor,
    label: Option<usize>,
    predictions: &[f64],
) -> impl Iterator<Item = f64> + Clone {
    let single = match label {
        Some(label) => Some(super::answer(predictor, label, predictions)),
        None => predictor.artifact().value(predictions),
    };
    let several = match single {
        Some(_) => Vec::new(),
        None => predictions.to_vec(),
    };
    single.into_iter().chain(several)
}
