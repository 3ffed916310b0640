//! Everything learned about preparing data, stored in the model and replayed at prediction.

mod category;
mod cross;
mod derived;
pub mod describe;
mod forecast;
mod hashed;
mod json;
mod matrix;
mod names;
mod number;
mod onnx;
mod options;
mod owners;
mod patches;
mod picture;
mod power;
pub(crate) mod principal;
mod quantiles;
mod sentence;
mod shape;
mod step;
mod tags;
mod target_mean;
mod terms;
mod text;
mod time;
mod told;
mod transform;
mod vector;
mod words;

use crate::{
    clean::{self, Clean},
    embed::Encoder,
    evaluate::Truth,
    frame::{Cell, Column, Frame, Kind},
    models::Inputs,
};
use cross::Cross;
use derived::Derived;
pub use derived::{Constructed, Operation, Pair};
use forecast::Forecast;
pub use forecast::Purchases;
pub use matrix::{FeatureOf, Matrix};
pub use names::InputName;
pub(crate) use onnx::OnnxInputs;
pub use options::{CategoryEncoding, Construct, Preparation, Scaling, Standardise, Transform};
use rayon::prelude::*;
use sentence::Sentence;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use step::Step;
pub use told::Told;
pub use words::is_prose;

/// One prepared row; reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct Features {
    pub numbers: Vec<f32>,
    pub codes: Vec<u32>,
    /// The tokens of all bags, bag by bag.
    pub tokens: Vec<u32>,
    /// Where each bag ends among them.
    pub token_ends: Vec<usize>,
}

/// One column a model takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub type_name: String,
    pub kind: Kind,
}

/// Columns of a narrow table that are learned at a time, at most.
const LANES: usize = 4;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recipe {
    columns: Vec<Input>,
    steps: Vec<Step>,
    /// Numbers made of two columns; their inputs follow those of the columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    derived: Vec<Derived>,
    /// Categories made of two columns; their inputs follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    crosses: Vec<Cross>,
    /// What the purchases of a source let expect; their inputs come last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    forecasts: Vec<Forecast>,
    /// What is done to the values first; nothing where the frame it was learned from came clean.
    #[serde(default, skip_serializing_if = "Clean::is_nothing")]
    clean: Clean,
}

impl Recipe {
    /// Learns from the training `rows` of the given `columns` (indices into the frame), in that order, without a target and
    /// with every choice left open.
    pub fn fit(frame: &Frame, columns: &[usize], rows: &[u32]) -> Recipe {
        Recipe::fit_with(frame, columns, rows, None, &Preparation::default())
    }

    /// Learns from the training rows, on all threads; `truth` is the target of those rows, in their order.
    pub fn fit_with(
        frame: &Frame,
        columns: &[usize],
        rows: &[u32],
        truth: Option<&Truth>,
        how: &Preparation,
    ) -> Recipe {
        let columns = columns.iter().filter_map(|&i| frame.columns.get(i));
        let columns: Vec<&Column> = columns.collect();
        let input = |column: &&Column| Input {
            name: column.name.clone(),
            type_name: column.type_name.clone(),
            kind: column.kind,
        };
        // A column's values are copied a few times while it is learned: of so few at a time that they take no more room than the
        // prepared rows will.
        let lanes = (columns.len() / 8).max(LANES).min(columns.len());
        let fit = |lane: usize| -> Vec<Step> {
            let own = columns.iter().skip(lane).step_by(lanes);
            own.map(|column| Step::fit(column, rows, truth, how))
                .collect()
        };
        let fitted: Vec<Vec<Step>> = (0..lanes).into_par_iter().map(fit).collect();
        let mut fitted: Vec<_> = fitted.into_iter().map(Vec::into_iter).collect();
        let steps = (0..columns.len()).filter_map(|at| fitted[at % lanes].next());
        Recipe {
            steps: steps.collect(),
            columns: columns.iter().map(input).collect(),
            derived: Vec::new(),
            crosses: Vec::new(),
            forecasts: Vec::new(),
            clean: Clean::default(),
        }
    }

    /// This recipe with features made of two of its columns each, learned from the same frame, rows and target.
    pub fn with_constructed(
        mut self,
        made: &Constructed,
        frame: &Frame,
        rows: &[u32],
        truth: Option<&Truth>,
        how: &Preparation,
    ) -> Recipe {
        let found = self.columns.iter().map(|input| frame.column(&input.name));
        let Some(columns) = found.collect::<Option<Vec<&Column>>>() else {
            return self;
        };
        let fit = |pair: &Pair| Derived::fit(*pair, &columns, rows, how.scaling());
        self.derived = made.pairs.iter().map(fit).collect();
        let cross = |of: &(usize, usize)| Cross::fit(*of, &columns, rows, truth, how);
        self.crosses = made.crosses.iter().filter_map(cross).collect();
        self
    }

    /// This recipe with forecasts of purchases, learned from the same frame and rows; also those that could not be made, and
    /// why.
    pub fn with_forecasts(
        mut self,
        purchases: &[Purchases],
        frame: &Frame,
        rows: &[u32],
        how: &Preparation,
    ) -> (Recipe, Vec<(String, String)>) {
        let found = self.columns.iter().map(|input| frame.column(&input.name));
        let Some(columns) = found.collect::<Option<Vec<&Column>>>() else {
            return (self, Vec::new());
        };
        let mut left_out = Vec::new();
        for one in purchases {
            match Forecast::fit(one, &self.columns, &columns, rows, how.scaling()) {
                Ok(forecast) => self.forecasts.push(forecast),
                Err(why) => left_out.push((one.name.clone(), why)),
            }
        }
        (self, left_out)
    }

    /// This recipe, learned from clean values, for values as they come: from here on each row is cleaned first. `clean` has the
    /// recipe's columns in its order, or none.
    pub fn after(mut self, clean: Clean) -> Recipe {
        for (i, input) in self.columns.iter_mut().enumerate() {
            input.kind = clean.raw_kind(i).unwrap_or(input.kind);
        }
        self.clean = clean;
        self
    }

    /// The columns the model takes, in feature order.
    pub fn columns(&self) -> &[Input] {
        &self.columns
    }

    /// The fingerprint of the text model the recipe needs; one that does not have it must [`Recipe::attach`] it first.
    pub fn text_model(&self) -> Option<&str> {
        self.sentences().map(Sentence::model).next()
    }

    /// Gives the recipe its text model; one with another fingerprint is not taken.
    pub fn attach(&self, encoder: &Arc<Encoder>) {
        self.sentences().for_each(|s| s.attach(encoder));
    }

    fn sentences(&self) -> impl Iterator<Item = &Sentence> {
        self.steps.iter().filter_map(|step| match step {
            Step::Text(text) => text.sentence.as_ref(),
            _ => None,
        })
    }

    /// Columns of images with values that are none, and how many of the rows read had one.
    pub fn unreadable(&self) -> impl Iterator<Item = (&str, usize)> {
        let count = |step: &Step| match step {
            Step::Picture(picture) => picture.unreadable,
            _ => 0,
        };
        let counted = self.columns.iter().zip(&self.steps);
        counted
            .map(move |(input, step)| (input.name.as_str(), count(step)))
            .filter(|(_, count)| *count > 0)
    }

    /// Whether every column has its step and every step what it needs: what `apply` relies on for bytes from a table.
    pub fn is_sound(&self) -> bool {
        self.columns.len() == self.steps.len()
            && self.steps.iter().all(Step::is_sound)
            && self.derived.iter().all(|d| d.is_sound(self.columns.len()))
            && self.crosses.iter().all(|c| c.is_sound(self.columns.len()))
            && self
                .forecasts
                .iter()
                .all(|f| f.is_sound(self.columns.len()))
            && self.clean.is_sound(self.columns.len())
    }

    /// Whether a row may take a millisecond or more.
    pub fn is_slow(&self) -> bool {
        let slow = |step: &Step| match step {
            Step::Picture(_) => true,
            Step::Text(text) => text.sentence.is_some(),
            _ => false,
        };
        self.steps.iter().any(slow)
    }

    pub fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::default();
        self.steps.iter().for_each(|step| step.add_to(&mut inputs));
        inputs.numbers += self.derived.iter().map(|d| d.number.width()).sum::<usize>();
        inputs.numbers += self.crosses.iter().map(Cross::numbers).sum::<usize>();
        let codes = self.crosses.iter().filter_map(Cross::category);
        inputs.categories.extend(codes);
        inputs.numbers += self.forecasts.iter().map(Forecast::inputs).sum::<usize>();
        inputs
    }

    /// Whether every input is made of one column, see [`Recipe::owners`].
    pub(crate) fn is_of_single_columns(&self) -> bool {
        self.derived.is_empty() && self.crosses.is_empty() && self.forecasts.is_empty()
    }

    /// A scratch row of the right size.
    pub fn scratch(&self) -> Features {
        let inputs = self.inputs();
        Features {
            numbers: vec![0.0; inputs.numbers],
            codes: vec![0; inputs.categories.len()],
            tokens: Vec::new(),
            token_ends: Vec::with_capacity(inputs.bags.len()),
        }
    }

    /// Which of the numbers are numbers by themselves.
    fn singles(&self) -> Vec<usize> {
        let (mut singles, mut at) = (Vec::new(), 0);
        for step in &self.steps {
            singles.extend(step.singles().into_iter().map(|own| at + own));
            at += step.numbers();
        }
        for derived in &self.derived {
            singles.push(at);
            at += derived.number.width();
        }
        for cross in &self.crosses {
            singles.extend(at..at + cross.numbers());
            at += cross.numbers();
        }
        for (_, number) in self.forecasts.iter().flat_map(Forecast::each) {
            singles.push(at);
            at += number.width();
        }
        singles
    }

    /// Prepares one row, cells in feature order; a cell that is not there counts as missing. Allocates
    /// nothing, except to read a JSON document, to look at a picture, to turn
    /// a text into a vector or to clean.
    pub fn apply(&self, cells: &[Cell<'_>], out: &mut Features) {
        if !self.clean.is_nothing() {
            let clean = self.clean.row(cells);
            let cell = |i: usize| clean.get(i).map_or(Cell::Null, clean::Value::cell);
            return self.write_row(cell, out);
        }
        self.write_row(|i| cells.get(i).copied().unwrap_or(Cell::Null), out);
    }

    fn write_row<'a>(&self, cell: impl Fn(usize) -> Cell<'a>, out: &mut Features) {
        out.tokens.clear();
        out.token_ends.clear();
        self.write_tokens(&cell, &mut out.tokens, &mut out.token_ends);
        self.write(cell, &mut out.numbers, &mut out.codes);
    }

    fn write_tokens<'a>(
        &self,
        cell: impl Fn(usize) -> Cell<'a>,
        tokens: &mut Vec<u32>,
        ends: &mut Vec<usize>,
    ) {
        for (i, step) in self.steps.iter().enumerate() {
            step.write_tokens(cell(i), tokens, ends);
        }
    }

    fn write<'a>(&self, cell: impl Fn(usize) -> Cell<'a>, numbers: &mut [f32], codes: &mut [u32]) {
        let (mut numbers, mut codes) = (numbers, codes);
        for (i, step) in self.steps.iter().enumerate() {
            let (own_numbers, more_numbers) = numbers.split_at_mut(step.numbers());
            let (own_codes, more_codes) = codes.split_at_mut(step.codes());
            step.write(cell(i), own_numbers, own_codes);
            (numbers, codes) = (more_numbers, more_codes);
        }
        self.write_made(cell, numbers, codes);
    }

    /// What is made of several columns: inputs that follow those of the columns.
    fn write_made<'a>(
        &self,
        cell: impl Fn(usize) -> Cell<'a>,
        numbers: &mut [f32],
        codes: &mut [u32],
    ) {
        let (mut numbers, mut codes) = (numbers, codes);
        for derived in &self.derived {
            let (own, more) = numbers.split_at_mut(derived.number.width());
            derived.write(&cell, own);
            numbers = more;
        }
        for cross in &self.crosses {
            let (own_numbers, more_numbers) = numbers.split_at_mut(cross.numbers());
            let (own_codes, more_codes) = codes.split_at_mut(cross.codes());
            cross.write(&cell, own_numbers, own_codes);
            (numbers, codes) = (more_numbers, more_codes);
        }
        for forecast in &self.forecasts {
            let (own, more) = numbers.split_at_mut(forecast.inputs());
            forecast.write(&cell, own);
            numbers = more;
        }
    }
}

/// The values of the rows that have one.
fn present_numbers(column: &Column, rows: &[u32]) -> Vec<f64> {
    let value = |&row: &u32| match column.cell(row as usize) {
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        Cell::Time(x) => Some(x as f64),
        _ => None,
    };
    rows.iter().filter_map(value).collect()
}

#[cfg(test)]
mod kinds_test;
#[cfg(test)]
mod picture_test;
#[cfg(test)]
mod same_test;
#[cfg(test)]
mod tests;
