//! What a model would lose without a column.

use crate::artifact::Task;
use crate::evaluate::Truth;
use crate::frame::{Column, Frame};
use crate::infer::Predictor;
use crate::profile::association::mutual_information;
use crate::profile::bins::{Bins, bins};
use crate::random::Random;

/// Times that a column is put into a random order.
const REPEATS: usize = 5;
/// Columns that share so much of what they say belong together: of the smaller of their entropies.
const TOGETHER: f64 = 0.5;
const BINS: usize = 8;

/// What the loss on held-out rows grows by when a column's values are those of other rows (Breiman 2001; Fisher, Rudin and Dominici
/// 2019).
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// Which of the recipe's columns.
    pub column: usize,
    /// Mean growth of the loss: log loss of classes, squared error of values.
    pub importance: f64,
    /// 95% interval over the rows.
    pub low: f64,
    pub high: f64,
    /// Other columns that say much the same: alone each may seem useless, because the others stand in.
    pub with: Vec<usize>,
    /// The growth where the column and these are put into one random order together.
    pub of_group: f64,
}

/// Importance of every column, the greatest first, but for those whose values are not kept with the model; empty where the model keeps no rows, or its task has no loss of single
/// rows (uplift). `go` says whether to go on.
pub fn importance(predictor: &Predictor, go: &mut dyn FnMut() -> bool) -> Option<Vec<Importance>> {
    let artifact = predictor.artifact();
    let frame = predictor.background();
    let truth = predictor.sample().truth(artifact.task);
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    let losses = |frame: &Frame| -> Vec<f64> {
        let predictions = predictor.predict_frame(frame, &rows, 1);
        let width = predictor.width();
        let each = predictions.chunks_exact(width.max(1)).enumerate();
        each.map(|(row, own)| loss(predictor, &truth, row, own))
            .collect()
    };
    if rows.is_empty() || artifact.task == Task::Uplift {
        return Some(Vec::new());
    }
    let whole = losses(frame);
    let groups = groups(frame, &rows);
    let mut random = Random::new(0x696d_706f);
    let mut grown = |columns: &[usize], go: &mut dyn FnMut() -> bool| -> Option<Vec<f64>> {
        let mut sums = vec![0.0; rows.len()];
        let mut mixed = frame.clone();
        for _ in 0..REPEATS {
            let mut order = rows.clone();
            random.shuffle(&mut order);
            for column in columns {
                mixed.columns[*column] = in_order(&frame.columns[*column], &order);
            }
            let losses = losses(&mixed);
            for ((sum, loss), before) in sums.iter_mut().zip(&losses).zip(&whole) {
                *sum += (loss - before) / REPEATS as f64;
            }
            if !go() {
                return None;
            }
        }
        Some(sums)
    };
    // Such as texts: no order of what is not there tells anything.
    let lost = |column: usize| {
        let missing = frame.columns[column].nulls.count() == rows.len();
        missing && artifact.statistics.was_known(column)
    };
    let mut out = Vec::with_capacity(frame.columns.len());
    for (column, with) in groups.iter().enumerate().filter(|(at, _)| !lost(*at)) {
        let own = grown(&[column], go)?;
        let n = own.len() as f64;
        let mean = own.iter().sum::<f64>() / n;
        let squares: f64 = own.iter().map(|x| (x - mean) * (x - mean)).sum();
        let half = 1.96 * (squares / (n - 1.0).max(1.0) / n).sqrt();
        let of_group = if with.is_empty() {
            mean
        } else {
            let together: Vec<usize> = with.iter().copied().chain([column]).collect();
            grown(&together, go)?.iter().sum::<f64>() / n
        };
        out.push(Importance {
            column,
            importance: mean,
            low: mean - half,
            high: mean + half,
            with: with.clone(),
            of_group,
        });
    }
    out.sort_by(|a, b| b.importance.total_cmp(&a.importance));
    Some(out)
}

/// A column with its rows in another order.
fn in_order(column: &Column, order: &[u32]) -> Column {
    let mut out = Column::new(&column.name, &column.type_name, column.kind);
    for row in order {
        out.push(column.cell(*row as usize));
    }
    out
}

/// The loss of one row's predictions.
fn loss(predictor: &Predictor, truth: &Truth, row: usize, predictions: &[f64]) -> f64 {
    let log = |p: f64| -p.clamp(1e-9, 1.0).ln();
    let of_event = |p: f64, happens: bool| log(if happens { p } else { 1.0 - p });
    match truth {
        Truth::Classes(codes) => {
            let code = codes[row] as usize;
            match predictor.artifact().task {
                Task::Binary => of_event(predictions[0], code == 1),
                _ => predictions.get(code).map_or(0.0, |p| log(*p)),
            }
        }
        Truth::Values(values) => {
            let error = predictions[0] - values[row];
            error * error
        }
        Truth::Labels(labels) => {
            let own = &labels[row * predictions.len()..];
            let each = predictions.iter().zip(own);
            each.map(|(p, there)| of_event(*p, *there)).sum()
        }
        Truth::Survival { times, events } => {
            // The likelihood of hazards: of those before the last interval that nothing happened.
            let ends = &predictor.artifact().target.ends;
            let last = ends.iter().position(|end| times[row] <= *end);
            let seen = predictions.iter().enumerate();
            let lived = seen.take(last.unwrap_or(predictions.len()));
            let lived: f64 = lived.map(|(_, hazard)| log(1.0 - hazard)).sum();
            lived + last.map_or(0.0, |at| of_event(predictions[at], events[row]))
        }
        Truth::Uplift { .. } => 0.0,
    }
}

/// Of each column the others that say much the same.
fn groups(frame: &Frame, rows: &[u32]) -> Vec<Vec<usize>> {
    let all: Vec<Bins> = frame.columns.iter().map(|c| bins(c, rows, BINS)).collect();
    let entropies: Vec<f64> = all.iter().map(|b| mutual_information(b, b)).collect();
    let together = |a: usize, b: usize| {
        let least = entropies[a].min(entropies[b]);
        least > 0.05 && mutual_information(&all[a], &all[b]) > TOGETHER * least
    };
    (0..all.len())
        .map(|a| {
            (0..all.len())
                .filter(|b| *b != a && together(a, *b))
                .collect()
        })
        .collect()
}
