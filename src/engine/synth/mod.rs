//! Rows that nobody is: tables imitated by generative networks.
//!
//! [`Synthesizer::fit`] learns the columns ([`schema`]) and how they hang together ([`gan`], [`vae`]);
//! [`Synthesizer::rows`] makes new rows.

mod bytes;
mod emit;
mod family;
pub mod fidelity;
mod gan;
mod generate;
mod gower;
mod invent;
mod layers;
mod layout;
mod medoids;
mod mixture;
mod personas;
mod private;
mod schema;
mod train;
mod vae;

use crate::artifact::Epoch;
use crate::evaluate::Metric;
use crate::fit::{FitError, Progress};
use crate::frame::{Frame, Kind};
use crate::privacy::Spent;
use crate::random::Random;
use crate::train::Step;
pub use bytes::MAGIC;
use family::{ChildModel, Prepared};
pub use family::{ChildRows, ChildTable, Children, KEY, MOST_CHILDREN, Parents};
use fidelity::Shape;
pub(crate) use fidelity::{is_number, text};
pub use generate::{Given, Rows};
use layout::Layout;
pub use personas::{MOST_PERSONAS, Persona};
pub(crate) use schema::number;
use schema::{Field, How};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use train::Watch;
pub use train::{Algorithm, Loss, Params};

/// Fewer rows are too few to imitate.
const MIN_ROWS: usize = 10;
/// Generated rows that a synthesizer is judged by.
const JUDGED: usize = 20_000;
/// A value of so many rows that is never generated is a sign of mode collapse.
const COMMON: f64 = 0.02;
/// Such a value comes at least so much as often as it should.
const LEAST_OF_COMMON: f64 = 0.1;

/// What a table says of its columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    /// Values must not repeat: they are made up.
    pub unique: Vec<String>,
    /// Values are those of another table: they are chosen from.
    pub foreign: Vec<String>,
    /// Numbers that are no keys, however seldom they repeat.
    #[serde(default)]
    pub amounts: Vec<String>,
}

/// The network behind a synthesizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Network {
    Gan(gan::Generator),
    Tvae(vae::Decoder),
}

/// A table that can be imitated.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Synthesizer {
    /// Behind those that are shown, one for each child's table: how many rows a parent has.
    fields: Vec<Field>,
    network: Network,
    #[serde(default)]
    children: Vec<ChildModel>,
    pub params: Params,
    /// Rows it was trained on.
    pub rows: u64,
    pub metrics: Vec<Metric>,
    pub history: Vec<Epoch>,
    /// What the user should know of the result, as plain sentences.
    pub notes: Vec<String>,
    pub stopped_by: String,
    pub fit_seconds: f64,
    /// What it has spent of its table's privacy; `None`: it was not trained under differential privacy.
    #[serde(default)]
    pub spent: Option<Spent>,
}

impl Synthesizer {
    /// Learns a table; `report` answers whether to go on.
    ///
    /// # Errors
    /// Too few rows, no column that can be learned, canceled, diverged.
    pub fn fit(
        frame: &Frame,
        columns: &Columns,
        params: Params,
        report: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<Synthesizer, FitError> {
        Self::learn(frame, columns, params, &[], report)
    }

    /// Learns a table and those whose rows belong to its rows, each with hyper-parameters of its own.
    ///
    /// # Errors
    /// As [`Synthesizer::fit`].
    pub fn fit_family(
        mut frame: Frame,
        columns: &Columns,
        params: Params,
        children: Vec<(ChildRows, Params)>,
        report: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<Synthesizer, FitError> {
        let mut columns = columns.clone();
        let prepared = children.into_iter().map(|(rows, params)| {
            let own = Prepared::new(rows, &mut frame);
            columns.amounts.push(own.count.clone());
            (own, params)
        });
        let prepared: Vec<(Prepared, Params)> = prepared.collect();
        Self::learn(&frame, &columns, params, &prepared, report)
    }

    /// The last columns count the rows of the children.
    fn learn(
        frame: &Frame,
        columns: &Columns,
        params: Params,
        prepared: &[(Prepared, Params)],
        report: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<Synthesizer, FitError> {
        let started = Instant::now();
        if !report(&Progress::phase("preparing")) {
            return Err(crate::train::TrainError::Canceled.into());
        }
        if let Some(privacy) = params.privacy.clone() {
            if !prepared.is_empty() {
                return Err(FitError::new(
                    "0A000",
                    "tables of children cannot be learned under differential privacy",
                )
                .hint("Leave the option children out: one table is learned."));
            }
            return private::fit(frame, columns, params, &privacy, report);
        }
        if frame.rows() < MIN_ROWS {
            return Err(FitError::new(
                "22023",
                format!("{} rows are too few to imitate", frame.rows()),
            )
            .hint(format!("At least {MIN_ROWS} rows are needed.")));
        }
        let mut random = Random::new(params.seed);
        let (fields, table) = schema::fit(frame, columns, &mut random);
        let layout = Layout::of(&fields);
        let shown = fields.len() - prepared.len();
        if layout.blocks.iter().all(|block| block.field >= shown) {
            return Err(
                FitError::new("22023", "the relation has no column that can be learned")
                    .detail(
                        "Keys, prose and columns that are always NULL are made up or left empty.",
                    )
                    .hint("Numbers, texts that repeat, booleans, dates and times can be learned."),
            );
        }
        let mut step = |step: &Step| report(&Progress::of_step(step));
        // The children's networks take the second half of the time.
        let limit = params.max_seconds;
        let share = |part: f64| limit.map(|s| s * part);
        let own = Params {
            max_seconds: if prepared.is_empty() {
                limit
            } else {
                share(0.5)
            },
            ..params.clone()
        };
        let mut watch = Watch::new(&own, table.rows, &mut step);
        let network = match params.algorithm {
            Algorithm::Gan => Network::Gan(gan::train(&params, &layout, &table, &mut watch)?),
            Algorithm::Tvae => {
                let context = &vae::Unconditional;
                Network::Tvae(vae::train(&params, &layout, &table, context, &mut watch)?)
            }
        };
        let history = std::mem::take(&mut watch.history);
        let mut out_of_time = watch.out_of_time();
        drop(table);
        let mut children = Vec::new();
        for (own, params) in prepared {
            let params = Params {
                max_seconds: share(0.5 / prepared.len() as f64),
                ..params.clone()
            };
            let mut watch = Watch::new(&params, own.rows(), &mut step);
            let shown = &fields[..shown];
            let child = ChildModel::fit(own, frame, shown, &params, &mut watch)?;
            out_of_time |= watch.out_of_time();
            children.push(child);
        }
        let mut synthesizer = Synthesizer {
            fields,
            network,
            children,
            rows: frame.rows() as u64,
            metrics: Vec::new(),
            notes: Vec::new(),
            stopped_by: if out_of_time { "max_seconds" } else { "epochs" }.into(),
            fit_seconds: started.elapsed().as_secs_f64(),
            history,
            spent: None,
            params,
        };
        if !report(&Progress::phase("evaluating")) {
            return Err(crate::train::TrainError::Canceled.into());
        }
        synthesizer.judge(frame);
        let prepared = prepared.iter().map(|(own, _)| own);
        synthesizer
            .notes
            .extend(prepared.clone().filter_map(Prepared::remarks));
        synthesizer.judge_family(frame, prepared);
        Ok(synthesizer)
    }

    /// Compares generated rows with those it was trained on, or with what was told of them.
    fn judge(&mut self, real: &Frame) {
        let count = real.rows().min(JUDGED);
        let Ok(made) = self
            .rows(self.params.seed ^ 0x3c6e_f372, &[])
            .and_then(|mut rows| rows.next(count, &mut || ()))
        else {
            return;
        };
        let shapes = fidelity::shapes(real, &made);
        let pairs = fidelity::pairs(real, &made);
        let mean = |of: Vec<f64>| of.iter().sum::<f64>() / of.len().max(1) as f64;
        let shape = mean(shapes.iter().map(|s: &Shape| s.score).collect());
        let pair = fidelity::trend(&pairs);
        let metric = |name: &str, class: Option<&str>, value: f64| Metric {
            metric: name.into(),
            class: class.map(str::to_owned),
            value,
            low: value,
            high: value,
            baseline: None,
        };
        let quality = pair.map_or(shape, |pair| (shape + pair) / 2.0);
        self.metrics = vec![metric("column_shapes", None, shape)];
        // Columns that were told one by one do not hang together.
        if !self.is_private() {
            self.metrics.insert(0, metric("quality", None, quality));
            let pair = pair.map(|pair| metric("column_pair_trends", None, pair));
            self.metrics.extend(pair);
        }
        self.metrics.extend(
            shapes
                .iter()
                .map(|s| metric("column_shape", Some(&s.column), s.score)),
        );
        self.notes = self.remarks(&made);
    }

    /// Compares made children with those that were learned; the headline is the mean over all tables.
    fn judge_family<'p>(&mut self, parents: &Frame, prepared: impl Iterator<Item = &'p Prepared>) {
        let Ok(found) = self.judge_children(parents, prepared) else {
            return;
        };
        let tables = 1.0 + found.len() as f64;
        let sum: f64 = found.iter().map(|(mean, _)| mean).sum();
        if let Some(quality) = self.metrics.first_mut() {
            let value = (quality.value + sum) / tables;
            (quality.value, quality.low, quality.high) = (value, value, value);
        }
        self.metrics
            .extend(found.into_iter().flat_map(|(_, metrics)| metrics));
    }

    /// What became of columns that were not learned, and values that are not generated.
    fn remarks(&self, made: &Frame) -> Vec<String> {
        let mut notes = Vec::new();
        for (field, column) in self.fields.iter().zip(&made.columns) {
            let name = &field.name;
            match &field.how {
                How::Nothing if !self.is_private() => notes.push(format!(
                    "column \"{name}\" is NULL in generated rows: {} cannot be imitated",
                    field.type_name
                )),
                How::Levels { values, counts, .. } => {
                    let known: u64 = counts.iter().sum();
                    let mut lost = Vec::new();
                    for (level, count) in values.iter().zip(counts) {
                        let share = *count as f64 / known.max(1) as f64;
                        if share < COMMON {
                            continue;
                        }
                        let same = (0..column.len())
                            .filter(|row| column.cell(*row) == level.cell(field.kind))
                            .count();
                        if (same as f64) < LEAST_OF_COMMON * share * column.len() as f64 {
                            lost.push(level.label());
                        }
                    }
                    if !lost.is_empty() {
                        notes.push(format!(
                            "mode collapse: column \"{name}\" hardly ever takes the value {}, which is common in the table",
                            lost.join(", ")
                        ));
                    }
                }
                _ => {}
            }
        }
        notes
    }

    /// The columns that are shown.
    fn visible(&self) -> &[Field] {
        let shown = self.fields.len().saturating_sub(self.children.len());
        &self.fields[..shown]
    }

    /// Columns of which each value that is made is remembered, so that none comes twice.
    pub fn remembered(&self) -> usize {
        let code = |f: &&Field| matches!(&f.how, How::Invented(how) if how.remembers());
        self.fields.iter().filter(code).count()
    }

    /// The columns, in order: name, SQL type, and how its values come about.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str, &'static str)> {
        self.visible().iter().map(|field| {
            let how = match &field.how {
                How::Levels { .. } | How::Number { .. } => "learned",
                How::Follows { .. } => "follows another column",
                How::Invented(_) => "made up",
                How::Nothing => "empty",
            };
            (field.name.as_str(), field.type_name.as_str(), how)
        })
    }

    /// The columns, in order, and how their values are kept.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.visible().iter().map(|f| (f.name.as_str(), f.kind))
    }
}

#[cfg(test)]
mod tests;
