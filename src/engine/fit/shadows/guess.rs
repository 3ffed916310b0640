//! What shadows let somebody guess of rows they have seen, and of rows they have not.

use super::{Shadows, looked_at};
use crate::evaluate::Truth;
use crate::explain::told;
use crate::fit::FitError;
use crate::frame::{Column, Frame, Kind};
use crate::infer::Predictor;
use crate::privacy::leak::likeliest;
use std::collections::{BTreeMap, HashMap};

/// Rows whose columns are guessed, at most.
const GUESSED: usize = 1_000;
/// Columns that are guessed where none are named.
const COLUMNS: usize = 3;
/// Values of a column that is guessed, at most.
const VALUES: usize = 20;

impl Shadows<'_> {
    /// Guesses a column of rows by what a shadow says of their labels.
    pub(super) fn guess(
        &mut self,
        predictor: &Predictor,
        frame: &Frame,
        name: &str,
        members: &[bool],
        losses: &[f64],
        side: usize,
    ) {
        let Some(column) = frame.column(name) else {
            return;
        };
        let values = values(column, self.rows);
        let place: HashMap<&str, usize> = values.iter().map(|v| v.text.as_str()).zip(0..).collect();
        let value = |row: u32| Some(*place.get(told(column.cell(row as usize))?.as_str())?);
        let known: Vec<usize> = (0..self.rows.len())
            .filter(|at| value(self.rows[*at]).is_some())
            .collect();
        let total = values.iter().map(|v| v.rows as f64).sum::<f64>();
        let shares: Vec<f64> = values.iter().map(|v| v.rows as f64 / total).collect();
        // Who has no model goes by the label alone.
        let mut sorted = match &self.truth {
            Truth::Values(values) => values.clone(),
            _ => Vec::new(),
        };
        sorted.sort_unstable_by(f64::total_cmp);
        let group = |at: usize| self.group(at, &sorted);
        let mut by_group: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in &known {
            let counts = by_group.entry(group(*at)).or_insert(vec![0; values.len()]);
            counts[value(self.rows[*at]).unwrap_or(0)] += 1;
        }
        let most = |at: usize| {
            let counts = by_group.get(&group(at));
            counts.and_then(|own| (0..own.len()).max_by_key(|v| (own[*v], usize::MAX - v)))
        };
        // The same rows for both shadows, which see different halves of them.
        let every = known.len().div_ceil(GUESSED).max(1);
        let asked: Vec<usize> = known.into_iter().step_by(every).collect();
        let picked: Vec<u32> = asked.iter().map(|at| self.rows[*at]).collect();
        let mut small = some_rows(predictor, frame, &picked);
        let unseen: Vec<f64> = (members.iter().zip(losses))
            .filter(|(member, _)| !**member)
            .map(|(_, loss)| *loss)
            .collect();
        let variance = (unseen.iter().sum::<f64>() / unseen.len().max(1) as f64).max(1e-12);
        let every: Vec<u32> = (0..picked.len() as u32).collect();
        let width = predictor.width().max(1);
        let mut likelihoods = Vec::new();
        for candidate in &values {
            if let Some(own) = small.columns.iter_mut().find(|c| c.name == name) {
                let mut all = Column::new(name, column.type_name.as_str(), column.kind);
                let cell = column.cell(candidate.row as usize);
                every.iter().for_each(|_| all.push(cell));
                *own = all;
            }
            let answered = predictor.predict_frame(&small, &every, 1);
            let each = answered.chunks_exact(width).zip(&asked);
            let likelihood = each.map(|(answered, at)| {
                let (loss, _) = looked_at(&self.truth, *at, answered);
                match self.truth {
                    Truth::Values(_) => (-loss / (2.0 * variance)).exp().max(f64::MIN_POSITIVE),
                    _ => (-loss).exp(),
                }
            });
            likelihoods.push(likelihood.collect::<Vec<f64>>());
        }
        let guessed = likeliest(&likelihoods, &shares);
        let right: Vec<(usize, bool)> = (asked.iter().zip(guessed))
            .map(|(at, guess)| (*at, value(self.rows[*at]) == Some(guess)))
            .collect();
        let without: Vec<bool> = (asked.iter())
            .map(|at| most(*at) == value(self.rows[*at]))
            .collect();
        let own = self.guesses.entry(name.to_owned()).or_default();
        if side == 0 {
            own.without = without;
            own.seen = vec![false; right.len()];
            own.unseen = vec![false; right.len()];
        }
        // Of each row one of both shadows is a model that has seen it.
        for (place, (at, right)) in right.into_iter().enumerate() {
            let part = if members[at] {
                &mut own.seen
            } else {
                &mut own.unseen
            };
            if let Some(own) = part.get_mut(place) {
                *own = right;
            }
        }
    }

    /// What is known of a row's label without a model: the class, or the quarter of all numbers, `sorted`, it is in.
    fn group(&self, at: usize, sorted: &[f64]) -> usize {
        match &self.truth {
            Truth::Classes(codes) => codes[at] as usize,
            Truth::Values(values) => {
                let less = sorted.partition_point(|v| *v < values[at]);
                4 * less / sorted.len().max(1)
            }
            _ => 0,
        }
    }
}

/// A value of a column, a row that has it, and how many have.
struct Candidate {
    text: String,
    row: u32,
    rows: usize,
}

fn values(column: &Column, rows: &[u32]) -> Vec<Candidate> {
    let mut found: BTreeMap<String, (u32, usize)> = BTreeMap::new();
    for row in rows {
        if let Some(text) = told(column.cell(*row as usize)) {
            found.entry(text).or_insert((*row, 0)).1 += 1;
            if found.len() > VALUES {
                break;
            }
        }
    }
    let each = found.into_iter();
    each.map(|(text, (row, rows))| Candidate { text, row, rows })
        .collect()
}

/// The columns to guess: those named, which must be inputs of few values, or the first categories among the inputs.
pub(super) fn guessable(
    predictor: &Predictor,
    frame: &Frame,
    rows: &[u32],
    named: Option<&[String]>,
) -> Result<Vec<String>, FitError> {
    let inputs = predictor.artifact().recipe.columns();
    let few = |column: &Column| {
        let simple = [Kind::Number, Kind::Boolean, Kind::Category].contains(&column.kind);
        simple && (2..=VALUES).contains(&values(column, rows).len())
    };
    let Some(named) = named else {
        let found = inputs.iter().filter(|input| input.kind != Kind::Number);
        let found = found.filter(|input| frame.column(&input.name).is_some_and(few));
        return Ok(found.take(COLUMNS).map(|own| own.name.clone()).collect());
    };
    for name in named {
        let column = frame
            .column(name)
            .filter(|_| inputs.iter().any(|i| i.name == *name));
        let refuse = |what: String, hint: &str| Err(FitError::new("22023", what).hint(hint));
        match column {
            None => {
                return refuse(
                    format!("column \"{name}\" is no input of the model"),
                    "What the model does not know it cannot reveal: name one of its inputs.",
                );
            }
            Some(column) if !few(column) => {
                return refuse(
                    format!("column \"{name}\" does not have 2 to {VALUES} different values"),
                    "Attackers try each value in turn: name a column of few values.",
                );
            }
            Some(_) => {}
        }
    }
    Ok(named.to_vec())
}

/// The model's columns of some rows.
fn some_rows(predictor: &Predictor, frame: &Frame, rows: &[u32]) -> Frame {
    let inputs = predictor.artifact().recipe.columns();
    let columns = inputs.iter().filter_map(|input| frame.column(&input.name));
    let pick = |column: &Column| {
        let mut own = Column::new(column.name.as_str(), column.type_name.as_str(), column.kind);
        rows.iter()
            .for_each(|row| own.push(column.cell(*row as usize)));
        own
    };
    Frame {
        columns: columns.map(pick).collect(),
    }
}
