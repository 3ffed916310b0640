//! Scores of parts of the rows: where is a model good, and for whom is it not?

use super::{Baseline, Evaluation, Outcomes, Resampling, evaluate};
use crate::artifact::Task;
use crate::frame::{Column, Kind, Values};
use std::collections::HashMap;

/// Values shown by themselves at most; the others are one slice.
const MOST_VALUES: usize = 20;
/// Numbers of at most so many different values are not cut into quarters.
const FEW_NUMBERS: usize = 10;

/// The scores of the rows of each value of a column, or of each quarter of a number's values; NULLs apart. `rows` are the
/// column's rows that the outcomes belong to. Slices by falling number of rows, quarters by value. `None` for a column that
/// has neither.
#[allow(clippy::too_many_arguments)]
pub fn slices<'a>(
    task: Task,
    labels: &[String],
    threshold: f64,
    baseline: &Baseline,
    outcomes: &Outcomes,
    column: &Column,
    rows: &[u32],
    draws: impl Into<Resampling<'a>>,
) -> Option<Vec<(String, Evaluation)>> {
    let told_apart = [Kind::Number, Kind::Duration, Kind::Boolean, Kind::Category];
    if !told_apart.contains(&column.kind) {
        return None;
    }
    let draws = draws.into();
    let width = outcomes.predictions.len() / rows.len().max(1);
    let parts = parts(column, rows)?.into_iter().map(|(name, part)| {
        let own = outcomes.pick(task, labels.len(), &part, width);
        let scores = evaluate(
            task,
            labels,
            &own.truth,
            &own.predictions,
            threshold,
            baseline,
            draws,
        );
        (name, scores)
    });
    Some(parts.collect())
}

/// Names of the slices, with positions in `rows`.
fn parts(column: &Column, rows: &[u32]) -> Option<Vec<(String, Vec<usize>)>> {
    let (nulls, known): (Vec<usize>, Vec<usize>) =
        (0..rows.len()).partition(|i| column.nulls.get(rows[*i] as usize));
    let row = |i: usize| rows[i] as usize;
    let mut parts = match &column.values {
        Values::Number(values) => {
            let mut sorted: Vec<f64> = known.iter().map(|i| values[row(*i)]).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let mut distinct = sorted.clone();
            distinct.dedup();
            if distinct.len() <= FEW_NUMBERS {
                by_value(known, |i| (values[row(i)] + 0.0).to_string())
            } else {
                quarters(known, &sorted, |i| values[row(i)])
            }
        }
        Values::Boolean(values) => by_value(known, |i| values[row(i)].to_string()),
        Values::Category { codes, dictionary } => {
            by_value(known, |i| dictionary.text(codes[row(i)]).to_owned())
        }
        _ => return None,
    };
    if !nulls.is_empty() {
        parts.push(("NULL".into(), nulls));
    }
    Some(parts)
}

fn by_value(rows: Vec<usize>, name: impl Fn(usize) -> String) -> Vec<(String, Vec<usize>)> {
    let mut found: HashMap<String, Vec<usize>> = HashMap::new();
    for row in rows {
        found.entry(name(row)).or_default().push(row);
    }
    let mut parts: Vec<(String, Vec<usize>)> = found.into_iter().collect();
    parts.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    if parts.len() > MOST_VALUES {
        let mut rest: Vec<usize> = parts.drain(MOST_VALUES..).flat_map(|(_, r)| r).collect();
        rest.sort_unstable();
        parts.push(("(others)".into(), rest));
    }
    parts
}

/// Four parts of about equally many rows; equal values share a part.
fn quarters(
    rows: Vec<usize>,
    sorted: &[f64],
    value: impl Fn(usize) -> f64,
) -> Vec<(String, Vec<usize>)> {
    let mut bounds: Vec<f64> = (0..4).map(|q| sorted[q * sorted.len() / 4]).collect();
    bounds.dedup();
    let mut parts: Vec<(String, Vec<usize>)> = Vec::new();
    for (i, low) in bounds.iter().enumerate() {
        parts.push(match bounds.get(i + 1) {
            Some(high) => (format!("[{low},{high})"), Vec::new()),
            None => (format!("[{low},{}]", sorted[sorted.len() - 1]), Vec::new()),
        });
    }
    for row in rows {
        let at = bounds.partition_point(|low| *low <= value(row));
        parts[at.saturating_sub(1)].1.push(row);
    }
    parts
}
