//! Groups of rows by the columns that matter most: how many there are, what is answered and what was true.

use super::picture::Insight;
use crate::artifact::Task;
use crate::evaluate::Truth;
use crate::explain::{answer, told};
use crate::frame::Cell;
use crate::infer::Predictor;

const COLUMNS: usize = 3;
/// Levels of a category, or parts of a number.
const GROUPS: usize = 4;
/// Rows of which a mean can be believed at all.
const FEWEST: usize = 10;

/// Some of the rows kept with a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub column: String,
    /// A value, or from where to where.
    pub of: String,
    /// Share of the rows.
    pub share: f64,
    pub mean_answer: f64,
    pub mean_truth: f64,
}

/// Of models of two labels and of numbers; empty for others.
pub(super) fn groups(predictor: &Predictor, insight: &Insight) -> Vec<Group> {
    let artifact = predictor.artifact();
    let truth: Vec<f64> = match (artifact.task, predictor.sample().truth(artifact.task)) {
        (Task::Binary, Truth::Classes(codes)) => {
            codes.iter().map(|c| f64::from(u8::from(*c == 1))).collect()
        }
        (Task::Regression, Truth::Values(values)) => values,
        _ => return Vec::new(),
    };
    let frame = predictor.background();
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    let predictions = predictor.predict_frame(frame, &rows, 1);
    let answers: Vec<f64> = predictions
        .chunks_exact(predictor.width().max(1))
        .map(|own| answer(predictor, 0, own))
        .collect();
    if truth.len() != answers.len() {
        return Vec::new();
    }
    let inputs = artifact.recipe.columns();
    let mut out = Vec::new();
    for own in insight
        .importance
        .iter()
        .filter(|i| i.low > 0.0)
        .take(COLUMNS)
    {
        let (Some(column), Some(input)) = (frame.columns.get(own.column), inputs.get(own.column))
        else {
            continue;
        };
        let cells: Vec<Cell<'_>> = rows.iter().map(|row| column.cell(*row as usize)).collect();
        for (of, members) in parts(&cells) {
            if members.len() < FEWEST {
                continue;
            }
            let mean =
                |of: &[f64]| members.iter().map(|at| of[*at]).sum::<f64>() / members.len() as f64;
            out.push(Group {
                column: input.name.clone(),
                of,
                share: members.len() as f64 / rows.len() as f64,
                mean_answer: mean(&answers),
                mean_truth: mean(&truth),
            });
        }
    }
    out
}

/// The rows of quarters of numbers, or of the most frequent values.
fn parts(cells: &[Cell<'_>]) -> Vec<(String, Vec<usize>)> {
    let number = |cell: &Cell<'_>| match cell {
        Cell::Number(x) | Cell::Duration(x) => Some(*x),
        Cell::Time(at) => Some(*at as f64),
        _ => None,
    };
    let mut order: Vec<usize> = (0..cells.len()).collect();
    order.retain(|at| number(&cells[*at]).is_some());
    if order.is_empty() {
        let mut levels: Vec<(String, Vec<usize>)> = Vec::new();
        for (at, cell) in cells.iter().enumerate() {
            let Some(of) = told(*cell) else { continue };
            match levels.iter_mut().find(|(known, _)| *known == of) {
                Some((_, members)) => members.push(at),
                None => levels.push((of, vec![at])),
            }
        }
        levels.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
        levels.truncate(GROUPS);
        return levels;
    }
    order.sort_by(|a, b| {
        number(&cells[*a])
            .partial_cmp(&number(&cells[*b]))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut out: Vec<(String, Vec<usize>)> = Vec::new();
    let mut begin = 0;
    for part in 1..=GROUPS {
        let mut end = order.len() * part / GROUPS;
        // Equal numbers stay together.
        while end > begin
            && end < order.len()
            && number(&cells[order[end]]) == number(&cells[order[end - 1]])
        {
            end += 1;
        }
        if end <= begin {
            continue;
        }
        let members = &order[begin..end];
        let tell = |at: usize| told(cells[at]).unwrap_or_default();
        // The farthest values would tell of single rows.
        let of = match (begin, end == order.len()) {
            (0, true) => "any".into(),
            (0, false) => format!("up to {}", tell(order[end - 1])),
            (_, true) => format!("above {}", tell(order[begin - 1])),
            (_, false) if number(&cells[order[begin]]) == number(&cells[order[end - 1]]) => {
                tell(order[begin])
            }
            _ => format!(
                "above {} up to {}",
                tell(order[begin - 1]),
                tell(order[end - 1])
            ),
        };
        out.push((of, members.to_vec()));
        begin = end;
    }
    out
}
