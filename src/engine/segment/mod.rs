//! Rows in groups that were not known before: segments.
//!
//! [`Clustering::fit`] makes points of rows ([`embedding`]), finds how many groups they form ([`choose`]), learns a rule that
//! assigns any row ([`learn`], [`rule`]) and says what each group is like ([`profile`], [`words`]).

mod by_model;
mod bytes;
mod choose;
mod embedding;
mod learn;
mod params;
mod profile;
mod rule;
mod silhouette;
mod source;
mod weights;
pub(crate) mod words;

use crate::artifact::Artifact;
use crate::fit::{FitError, Progress};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::profile::unfit::unfit;
use crate::random::Random;
use crate::recipe::describe::Description;
use crate::recipe::{CategoryEncoding, Input, Preparation, Recipe, Transform, is_prose};
use crate::train::TrainError;
pub use bytes::MAGIC;
pub use choose::Count;
use embedding::{Embedding, Keep};
pub use params::{Algorithm, Params};
use profile::Described;
pub use profile::{Rate, Segment};
use rayon::prelude::*;
pub use rule::NONE;
use rule::Rule;
use serde::{Deserialize, Serialize};
pub(crate) use silhouette::silhouette;
use source::{Buffers, Source};
use std::time::{Duration, Instant};

/// Fewer rows are no groups.
const MIN_ROWS: usize = 10;
/// Rows that are learned from, at most; all are assigned.
const LEARNED: usize = 20_000;
/// Rows assigned between two reports.
const CHUNK: usize = 1 << 16;
/// Of which a thread takes so many at a time.
const PIECE: usize = 1 << 12;
/// A category with more levels says nothing of likeness.
const LEVELS: usize = 100;
/// Of the time there is so much is for finding how many groups there are.
const CHOOSING: f64 = 0.7;

/// What is grouped, beside hyper-parameters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// A column that does not count and whose rate in each segment is told.
    pub target: Option<String>,
    /// The label whose rate it is.
    pub positive: Option<String>,
    /// Columns that count even if they look like identifiers.
    pub include: Vec<String>,
    /// The name of the model that says what is alike, such as `customers_churn@2`.
    pub model: Option<String>,
}

/// Segments of rows, and the rule by which any row has one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Clustering {
    embedding: Embedding,
    rule: Rule,
    /// In the order of their numbers, which count from 1; last, where `none`, the rows that have no segment.
    segments: Vec<Segment>,
    none: bool,
    /// What was found of each number of segments, and which was taken.
    pub counts: Vec<Count>,
    pub chosen: usize,
    pub params: Params,
    pub wanted: Wanted,
    pub rows: u64,
    pub excluded: Vec<(String, String)>,
    pub stopped_by: String,
    pub fit_seconds: f64,
}

/// Buffers for one caller; reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    buffers: Buffers,
    point: Vec<f32>,
    weights: Vec<f64>,
}

/// How long there is, and whether to go on.
struct Watch<'a> {
    report: &'a mut dyn FnMut(&Progress) -> bool,
    started: Instant,
    limit: Option<f64>,
    late: bool,
}

impl Watch<'_> {
    fn enter(&mut self, phase: &str, done: usize, all: usize) -> Result<(), FitError> {
        let progress = Progress {
            epoch: done as u32,
            epochs: all as u32,
            ..Progress::phase(phase)
        };
        match (self.report)(&progress) {
            true => Ok(()),
            false => Err(TrainError::Canceled.into()),
        }
    }

    fn has_time(&mut self) -> bool {
        let limit = self.limit.map(|s| Duration::from_secs_f64(CHOOSING * s));
        self.late |= limit.is_some_and(|limit| self.started.elapsed() > limit);
        !self.late
    }
}

impl Clustering {
    /// Finds segments; `report` answers whether to go on. With a `model` rows are alike where it is about to say the same of them:
    /// they are compared by the last hidden layer of its network, or, where it has none, by its columns, which count as much as it
    /// needs them ([`crate::explain::importance`]).
    ///
    /// # Errors
    /// 22023: too few rows, no column that can be compared, rows that are all alike, no groups. Canceled.
    pub fn fit(
        frame: &Frame,
        wanted: &Wanted,
        params: Params,
        model: Option<Artifact>,
        report: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<Clustering, FitError> {
        let mut watch = Watch {
            report,
            started: Instant::now(),
            limit: params.max_seconds,
            late: false,
        };
        watch.enter("preparing", 0, 0)?;
        let rows = frame.rows();
        if rows < MIN_ROWS {
            return Err(
                FitError::new("22023", format!("{rows} rows are too few for segments"))
                    .hint(format!("At least {MIN_ROWS} rows are needed.")),
            );
        }
        let sample = some(rows, LEARNED, params.seed);
        let (source, weight, excluded) = match model {
            Some(model) => by_model::source(model, frame, wanted, &sample)?,
            None => {
                let (recipe, excluded) = prepare(frame, wanted, None, &sample)?;
                let source = Source::prepared(recipe);
                let weight = weights::weights(&source, frame, &sample);
                (source, weight, excluded)
            }
        };
        let alike = || {
            FitError::new("22023", "the rows are all alike").hint("Name more columns in include.")
        };
        let keep = match params.algorithm {
            Algorithm::Hdbscan => Keep::Greater,
            Algorithm::Kmeans | Algorithm::Gmm => Keep::Explaining,
        };
        let embedding = Embedding::fit(source, &weight, keep, frame, &sample).ok_or_else(alike)?;
        let width = embedding.width;
        let points = embedding.points(frame, &sample);
        let least = params.k.unwrap_or(2);
        if !learn::at_least(&points, width, least) {
            return Err(match least {
                2 => alike(),
                _ => FitError::new("22023", format!("there are no {least} different rows"))
                    .hint("Ask for fewer segments, or leave k out."),
            });
        }
        watch.enter("training", 0, 0)?;
        let few = thinned(&points, width, choose::JUDGED);
        let mut canceled = None;
        let mut go = || {
            let entered = watch.enter("training", 0, 0);
            canceled = entered.err();
            canceled.is_none() && watch.has_time()
        };
        let found = choose::choose(&few, width, &params, &mut go);
        if let Some(canceled) = canceled {
            return Err(canceled);
        }
        let (counts, chosen) = found.ok_or_else(|| no_groups(&params))?;
        let dense = thinned(&points, width, learn::MOST_DENSE);
        let learned = match params.algorithm {
            Algorithm::Hdbscan => &dense,
            Algorithm::Kmeans | Algorithm::Gmm => &points,
        };
        let k = counts[chosen].segments;
        let rule = learn::learn(learned, width, k, &params, params.seed);
        let mut rule = rule.ok_or_else(|| no_groups(&params))?;
        // In order of size, the largest first.
        let groups = learn::groups(&rule, width);
        let all: Vec<u32> = (0..rows as u32).collect();
        let mut of: Vec<usize> = Vec::with_capacity(rows);
        for chunk in all.chunks(CHUNK) {
            watch.enter("evaluating", of.len(), rows)?;
            let pieces = chunk.par_chunks(PIECE).map(|rows| {
                let points = embedding.points(frame, rows);
                learn::assign(&rule, &points, width, groups)
            });
            of.extend(pieces.collect::<Vec<_>>().concat());
        }
        let mut sizes = vec![0usize; groups + 1];
        of.iter().for_each(|own| sizes[*own] += 1);
        let mut order: Vec<usize> = (0..groups).filter(|g| sizes[g + 1] > 0).collect();
        order.sort_by_key(|group| (std::cmp::Reverse(sizes[group + 1]), *group));
        rule.reorder(&order, width);
        let mut place = vec![NONE; groups + 1];
        order
            .iter()
            .zip(1..)
            .for_each(|(group, number)| place[group + 1] = number);
        of.iter_mut().for_each(|own| *own = place[*own]);
        watch.enter("evaluating", rows, rows)?;
        let described = Described {
            sample: &copy(frame, embedding.source.recipe.columns(), &sample),
            of_sample: &sample
                .iter()
                .map(|row| of[*row as usize])
                .collect::<Vec<_>>(),
            of: &of,
            target: wanted.target.as_deref().and_then(|name| frame.column(name)),
            positive: wanted.positive.as_deref(),
        };
        let segments = described.segments(order.len());
        Ok(Clustering {
            none: segments.len() > order.len(),
            embedding,
            rule,
            segments,
            counts,
            chosen,
            params,
            wanted: wanted.clone(),
            rows: rows as u64,
            excluded,
            stopped_by: if watch.late { "max_seconds" } else { "done" }.into(),
            fit_seconds: watch.started.elapsed().as_secs_f64(),
        })
    }

    /// How rows are prepared.
    pub fn recipe(&self) -> &Recipe {
        &self.embedding.source.recipe
    }

    /// What becomes of each column, in words and figures.
    pub fn describe(&self) -> Vec<Description> {
        let mut all = self.recipe().describe();
        if !self.is_learned() {
            // See [`Embedding`].
            for column in &mut all {
                column.steps = column.steps.replace("become the median", "become the mean");
            }
        }
        all
    }

    /// The columns a row needs, in order.
    pub fn columns(&self) -> &[Input] {
        self.recipe().columns()
    }

    /// Segments, each with its number, by falling size; the rows that have none come last, with number 0.
    pub fn segments(&self) -> impl Iterator<Item = (usize, &Segment)> {
        let count = self.count();
        let numbered = self.segments.iter().zip(1..);
        numbered.map(move |(segment, at)| (if at > count { NONE } else { at }, segment))
    }

    /// How many segments there are.
    pub fn count(&self) -> usize {
        self.segments.len() - usize::from(self.none)
    }

    /// What a segment is called; the number may be [`NONE`].
    pub fn name(&self, number: usize) -> &str {
        match number.checked_sub(1) {
            Some(at) => self.segments.get(at).map_or("", |s| s.name.as_str()),
            None => "none",
        }
    }

    pub fn scratch(&self) -> Scratch {
        Scratch {
            buffers: self.embedding.source.buffers(),
            point: vec![0.0; self.embedding.width],
            weights: vec![0.0; self.count()],
        }
    }

    /// The number of a row's segment, from 1, or [`NONE`]; cells in the order of [`Clustering::columns`]. Allocates nothing
    /// that the recipe does not.
    pub fn assign(&self, cells: &[Cell<'_>], scratch: &mut Scratch) -> usize {
        self.fit_room(scratch);
        let Scratch {
            buffers,
            point,
            weights,
        } = scratch;
        self.embedding.point(cells, buffers, point);
        self.rule.of(point, weights)
    }

    /// How likely a row is of each segment, from the first; `None` where the algorithm does not say.
    pub fn probabilities<'s>(
        &self,
        cells: &[Cell<'_>],
        scratch: &'s mut Scratch,
    ) -> Option<&'s [f64]> {
        let Rule::Mixture(mixture) = &self.rule else {
            return None;
        };
        self.fit_room(scratch);
        let Scratch {
            buffers,
            point,
            weights,
        } = scratch;
        self.embedding.point(cells, buffers, point);
        mixture.weigh(point, weights);
        Some(weights)
    }

    /// The segments of rows of a frame, whose columns are found by name; starts no threads.
    pub fn assign_frame(&self, frame: &Frame, rows: &[u32]) -> Vec<usize> {
        let points = self.embedding.points(frame, rows);
        learn::assign(&self.rule, &points, self.embedding.width, self.count())
    }

    /// Whether rows are compared by what a network learned.
    pub fn is_learned(&self) -> bool {
        self.embedding.source.network.is_some()
    }

    /// Components that rows are compared by, and the share of the variance they keep.
    pub fn components(&self) -> (usize, f64) {
        (self.embedding.width, self.embedding.explained)
    }

    /// Scratch of another model does not fit.
    fn fit_room(&self, scratch: &mut Scratch) {
        if scratch.point.len() != self.embedding.width || scratch.weights.len() != self.count() {
            *scratch = self.scratch();
        }
    }
}

fn no_groups(params: &Params) -> FitError {
    let error = FitError::new("22023", "the rows form no groups");
    match params.algorithm {
        Algorithm::Hdbscan => error
            .detail("No rows lie closer together than the others do.")
            .hint("Lower min_rows, or use the algorithm kmeans."),
        Algorithm::Gmm => error.hint("Use the algorithm kmeans, or fewer segments (option k)."),
        Algorithm::Kmeans => error.hint("Ask for fewer segments, or leave k out."),
    }
}

/// Some of the rows, in order.
fn some(rows: usize, most: usize, seed: u64) -> Vec<u32> {
    let mut all: Vec<u32> = (0..rows as u32).collect();
    if rows > most {
        Random::new(seed ^ 0x7365_676d).shuffle(&mut all);
        all.truncate(most);
        all.sort_unstable();
    }
    all
}

/// Points, evenly spread over those given, at most so many.
fn thinned(points: &[f32], width: usize, most: usize) -> Vec<f32> {
    let rows = points.len() / width;
    let kept = most.min(rows);
    let each = (0..kept).map(|i| i * rows / kept);
    each.flat_map(|row| &points[row * width..(row + 1) * width])
        .copied()
        .collect()
}

/// Some rows of some columns.
fn copy(frame: &Frame, columns: &[Input], rows: &[u32]) -> Frame {
    let own = columns.iter().filter_map(|input| frame.column(&input.name));
    let copy = |column: &Column| {
        let mut out = Column::new(&column.name, &column.type_name, column.kind);
        rows.iter()
            .for_each(|row| out.push(column.cell(*row as usize)));
        out
    };
    Frame {
        columns: own.map(copy).collect(),
    }
}

/// How rows are prepared to be compared, by the columns `among` those of the frame, and the columns that are left out.
fn prepare(
    frame: &Frame,
    wanted: &Wanted,
    among: Option<&[Input]>,
    rows: &[u32],
) -> Result<(Recipe, Vec<(String, String)>), FitError> {
    let mut excluded: Vec<(String, String)> = Vec::new();
    let mut columns: Vec<usize> = Vec::new();
    for (position, column) in frame.columns.iter().enumerate() {
        if wanted.target.as_ref() == Some(&column.name) {
            continue;
        }
        if among.is_some_and(|own| own.iter().all(|input| input.name != column.name)) {
            continue;
        }
        let asked_for = wanted.include.contains(&column.name);
        let why = match unfit(column, rows) {
            Some(crate::profile::unfit::Unfit::Identifier(_)) if asked_for => None,
            Some(why) => Some(why.to_string()),
            None if column.kind == Kind::Image => Some("images are not compared".into()),
            None if is_prose(column, rows) => Some("free text is not compared".into()),
            None => None,
        };
        match why {
            Some(why) => excluded.push((column.name.clone(), why)),
            None => columns.push(position),
        }
    }
    let how = Preparation {
        text_features: 0,
        text_dim: 0,
        category_encoding: CategoryEncoding::OneHot,
        // Less skewed; quantiles would fill the gaps between groups.
        transform: Transform::Power,
        ..Preparation::default()
    };
    let recipe = Recipe::fit_with(frame, &columns, rows, None, &how);
    // A level of a category that hardly repeats would be a group of its own.
    let (_, owners) = recipe.owners();
    let inputs = recipe.inputs().categories;
    let many = |at: usize| {
        let own = owners
            .iter()
            .zip(&inputs)
            .filter(|(owner, _)| **owner == at);
        own.map(|(_, category)| category.levels).max() > Some(LEVELS)
    };
    let (kept, dropped): (Vec<_>, Vec<_>) = (0..columns.len()).partition(|at| !many(*at));
    excluded.extend(dropped.iter().map(|at| {
        let name = frame.columns[columns[*at]].name.clone();
        (name, format!("more than {LEVELS} different values"))
    }));
    if kept.is_empty() {
        let list: Vec<String> = excluded
            .iter()
            .map(|(name, why)| format!("\"{name}\" ({why})"))
            .collect();
        let error = FitError::new("22023", "there is no column to compare rows by");
        return Err(match list.is_empty() {
            true => error,
            false => error.detail(format!("Left out: {}.", list.join(", "))),
        });
    }
    if dropped.is_empty() {
        return Ok((recipe, excluded));
    }
    let columns: Vec<usize> = kept.into_iter().map(|at| columns[at]).collect();
    let recipe = Recipe::fit_with(frame, &columns, rows, None, &how);
    Ok((recipe, excluded))
}

#[cfg(test)]
mod tests;
