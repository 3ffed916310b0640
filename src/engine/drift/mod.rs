//! Do rows still look like those a model was trained on? Column by column from counts kept with the model, all columns together
//! by whether they can be told apart, and row by row.

mod apart;
mod count;
mod measures;
mod novelty;
mod statistics;

use crate::frame::{Column, Frame};
use crate::infer::Predictor;
use crate::profile::bins::spread;
use apart::apart;
pub(crate) use novelty::Novelty;
use serde::{Deserialize, Serialize};
pub use statistics::Statistics;
use statistics::{Distribution, answers};

/// Rows that are predicted, and where a row takes milliseconds.
const PREDICTED: usize = 20_000;
const PREDICTED_SLOWLY: usize = 500;

/// What a shift is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Of {
    /// Which of the recipe's columns.
    Column(usize),
    /// The model's answers, against those to rows it was judged on.
    Answers,
    /// All columns together.
    Rows,
}

/// How far something has moved since training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    pub of: Of,
    /// Population stability index over at most 20 bins or 100 levels, with one for what is missing.
    pub psi: Option<f64>,
    /// Jensen-Shannon distance over the same, in base 2.
    pub js: Option<f64>,
    /// Of the values that are there: `ks` (numbers), `chi2` (categories); of all columns together `auc`.
    pub test: Option<String>,
    pub statistic: Option<f64>,
    /// Of columns and answers corrected for their number (Holm 1979).
    pub p_value: Option<f64>,
    /// Share of the values that are there which lie outside of the range of training, or whose level did not occur in it;
    /// `None` where training had too many levels to know them all.
    pub novel: Option<f64>,
    /// Share of the rows without a value, and by how much it has risen.
    pub missing: Option<f64>,
    pub missing_change: Option<f64>,
    /// The column's share of what tells the rows apart; `None` where they cannot be told apart.
    pub share: Option<f64>,
}

/// Compares a table with what the model was trained on: first the columns that moved most, then the answers and all columns
/// together. `frame` has the model's columns; `None` where the model keeps no statistics.
pub fn drift(predictor: &Predictor, frame: &Frame) -> Option<Vec<Shift>> {
    let artifact = predictor.artifact();
    let statistics = &artifact.statistics;
    if statistics.is_empty() {
        return None;
    }
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    let columns = artifact.recipe.columns().iter().zip(&statistics.columns);
    let mut shifts: Vec<Shift> = columns
        .enumerate()
        .filter_map(|(at, (input, of))| {
            let column = frame.column(&input.name)?;
            Some(shift(Of::Column(at), of, column, &rows))
        })
        .collect();
    let hides = |column| predictor.sample().hides(column);
    let apart = apart(predictor.background(), hides, frame, &statistics.columns);
    if let Some(shares) = apart.as_ref().and_then(|a| a.shares.as_ref()) {
        for shift in &mut shifts {
            if let Of::Column(at) = shift.of {
                shift.share = shares.get(at).copied();
            }
        }
    }
    let first = |a: &Shift, b: &Shift| {
        let order =
            |x: Option<f64>, y: Option<f64>| y.unwrap_or(-1.0).total_cmp(&x.unwrap_or(-1.0));
        order(a.share, b.share).then(order(a.psi, b.psi))
    };
    shifts.sort_by(first);
    if let Some(of) = &statistics.answers {
        let most = match artifact.recipe.is_slow() {
            true => PREDICTED_SLOWLY,
            false => PREDICTED,
        };
        let some = spread(&rows, most);
        let threads = rayon::current_num_threads();
        let answers = answers(artifact, &predictor.predict_frame(frame, &some, threads));
        let all: Vec<u32> = (0..some.len() as u32).collect();
        shifts.push(shift(Of::Answers, of, &answers, &all));
    }
    let mut p_values: Vec<&mut f64> = shifts
        .iter_mut()
        .filter_map(|s| s.p_value.as_mut())
        .collect();
    measures::holm(&mut p_values);
    shifts.push(Shift {
        of: Of::Rows,
        psi: None,
        js: None,
        test: apart.as_ref().map(|_| "auc".into()),
        statistic: apart.as_ref().map(|a| a.auc),
        p_value: apart.as_ref().map(|a| a.p_value),
        novel: None,
        missing: None,
        missing_change: None,
        share: None,
    });
    Some(shifts)
}

/// How far one column has moved.
fn shift(what: Of, of: &Distribution, column: &Column, rows: &[u32]) -> Shift {
    let (before, now) = (of.before(), of.now(column, rows.iter().copied()));
    let (known_before, known) = (before.known(), now.known());
    let (old, new) = (of.open_ended(&before), of.open_ended(&now));
    let mut cells = measures::pooled(&old, &new, of.are_numbers());
    let (test, found) = match of.are_numbers() {
        true => (
            "ks",
            measures::kolmogorov_smirnov(&before.cells, &now.cells),
        ),
        false => ("chi2", measures::chi_square(&cells)),
    };
    if before.missing + now.missing > 0 {
        cells.push([before.missing as f64, now.missing as f64]);
    }
    let compared = known_before + before.missing > 0 && !rows.is_empty();
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let missing = share(now.missing, known + now.missing);
    let missing_before = share(before.missing, known_before + before.missing);
    Shift {
        of: what,
        psi: compared.then(|| measures::stability(&cells)),
        js: compared.then(|| measures::jensen_shannon(&cells)),
        test: found.map(|_| test.into()),
        statistic: found.map(|(statistic, _)| statistic),
        p_value: found.map(|(_, p_value)| p_value),
        novel: (of.knows_all() && known > 0).then(|| share(of.novel(&now), known)),
        missing: compared.then_some(missing),
        missing_change: compared.then_some(missing - missing_before),
        share: None,
    }
}

#[cfg(test)]
mod tests;
