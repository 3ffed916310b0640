//! A whole relation before a model: its rows as a frame, its predictions, its scores.

use super::decode::Decoder;
use super::read;
use super::resolve::{self, Source};
use super::sources::Sources;
use crate::error::{Error, Result};
use crate::settings;
use crate::store::text_model;
use insight_engine::artifact::{Artifact, Task};
use insight_engine::decision::{allowed, most_profitable};
use insight_engine::evaluate::{
    Cut, Evaluation, Outcomes, Ranked, Resampling, Truth, evaluate, ranked,
};
use insight_engine::fit::truth_of;
use insight_engine::frame::{Cell, Column, Frame};
use insight_engine::infer::Predictor;
use insight_engine::params;
use insight_engine::recipe::Input;

/// Rows that are read before they are predicted: their columns stay in the processor's caches.
const PIECE: usize = 1 << 13;

/// Predictions of a relation's rows, row-major as the predictor gives them.
#[derive(Default)]
pub struct Scored {
    pub keys: Vec<Option<String>>,
    pub predictions: Vec<f64>,
}

/// A model's columns in the source; missing ones are an error that names them.
pub fn columns<'a>(inputs: &'a [Input], source: &Source) -> Result<Vec<&'a str>> {
    let names: Vec<&str> = inputs.iter().map(|c| c.name.as_str()).collect();
    let missing: Vec<String> = names
        .iter()
        .filter(|n| source.column(n).is_none())
        .map(|n| format!("\"{n}\""))
        .collect();
    if !missing.is_empty() {
        return Err(Error::new(
            "42703",
            format!(
                "{} lacks columns of the model: {}",
                source.label(),
                missing.join(", ")
            ),
        )
        .hint("Give a relation with the columns the model was trained on."));
    }
    for (name, input) in names.iter().zip(inputs) {
        let column = source.require(name)?;
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        if kind != Some(input.kind) {
            return Err(Error::new(
                "42804",
                format!(
                    "column \"{name}\" is {} but the model was trained on {}",
                    column.type_name, input.type_name
                ),
            )
            .hint("Cast it in a SELECT."));
        }
    }
    Ok(names)
}

/// The relation with the features of the model's sources, if it has any, once the model is ready to predict; of its own columns,
/// those of the model and `others`.
fn joined(predictor: &Predictor, base: Source, others: &[&str]) -> Result<Source> {
    text_model::attach(predictor)?;
    let Some(stored) = &predictor.artifact().sources else {
        return Ok(base);
    };
    let relation = base.relation;
    let sources = Sources::from_json(stored)?;
    sources.check_trust()?;
    let inputs = predictor.artifact().recipe.columns().iter();
    let mut wanted: Vec<&str> = inputs.map(|c| c.name.as_str()).collect();
    wanted.extend(others);
    let mut joined = sources.join(&base, Some(&wanted))?;
    joined.relation = relation;
    Ok(joined)
}

/// Predicts every row. `key` names the column that tells rows apart; by default the primary key, else the row's number.
pub fn predict(predictor: &Predictor, relation: &str, key: Option<&str>) -> Result<Scored> {
    let base = resolve::resolve(relation)?;
    let key = named_key(&base, key)?;
    let others: Vec<&str> = key.iter().map(String::as_str).collect();
    let source = joined(predictor, base, &others)?;
    let (source, wanted) = with_key(predictor.artifact().recipe.columns(), source, &key)?;
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let mut scored = Scored::default();
    let (most, mut bytes) = (settings::max_memory(), 0);
    read::read_in_pieces(&source, &wanted, PIECE, &mut |frame| {
        let rows: Vec<u32> = (0..frame.rows() as u32).collect();
        scored
            .predictions
            .extend(predict_all(predictor, frame, &rows));
        let before = scored.keys.len();
        scored.keys.extend(keys(frame, key.is_some(), before));
        let keys = scored.keys[before..].iter().flatten();
        bytes += keys
            .map(|key| size_of::<Option<String>>() + key.len())
            .sum::<usize>();
        match bytes + scored.predictions.len() * size_of::<f64>() > most {
            true => Err(read::memory_error(scored.keys.len(), most)),
            false => Ok(()),
        }
    })?;
    Ok(scored)
}

/// The column that tells rows apart: the one named, else the primary key.
pub fn named_key(base: &Source, key: Option<&str>) -> Result<Option<String>> {
    match key {
        Some(key) => Ok(Some(base.require(key)?.name.clone())),
        None => Ok(base.relation.and_then(resolve::primary_key)),
    }
}

/// The source with a key as text, if there is one, and a model's columns and that key by their names.
fn with_key(
    inputs: &[Input],
    mut source: Source,
    key: &Option<String>,
) -> Result<(Source, Vec<String>)> {
    let names = columns(inputs, &source)?;
    let mut wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    if let Some(key) = key {
        wanted.push(source.add_text(key, &names).to_owned());
    }
    Ok((source, wanted))
}

/// What rows are called: by their key, the last column, else by their number.
fn keys(frame: &Frame, keyed: bool, before: usize) -> Vec<Option<String>> {
    let key = frame.columns.last().filter(|_| keyed);
    let name = |row: usize| match key {
        Some(column) => text(column, row).map(str::to_owned),
        None => Some((before + row + 1).to_string()),
    };
    (0..frame.rows()).map(name).collect()
}

/// A model's columns of every row, and what the row is called: by the key, else by its number.
pub fn keyed(
    inputs: &[Input],
    source: Source,
    key: Option<String>,
) -> Result<(Frame, Vec<Option<String>>)> {
    let (source, wanted) = with_key(inputs, source, &key)?;
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let frame = read::read(&source, &wanted, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })?;
    let keys = keys(&frame, key.is_some(), 0);
    Ok((frame, keys))
}

/// Predicts every row of a source; answers the model's columns and `others`, which must be texts, and the predictions.
pub fn predict_source(
    predictor: &Predictor,
    base: Source,
    others: &[&str],
) -> Result<(Frame, Vec<f64>)> {
    let source = joined(predictor, base, others)?;
    let mut wanted = columns(predictor.artifact().recipe.columns(), &source)?;
    wanted.extend(others);
    let frame = read::read(&source, &wanted, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })?;
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    let predictions = predict_all(predictor, &frame, &rows);
    Ok((frame, predictions))
}

/// A cell of a column of texts.
pub fn text(column: &Column, row: usize) -> Option<&str> {
    match column.cell(row) {
        Cell::Text(text) => Some(text),
        _ => None,
    }
}

/// The model's columns of every row.
pub fn rows(predictor: &Predictor, relation: &str) -> Result<Frame> {
    let source = joined(predictor, resolve::resolve(relation)?, &[])?;
    let names = columns(predictor.artifact().recipe.columns(), &source)?;
    read::read(&source, &names, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })
}

/// In pieces, so that a cancel is served soon.
fn predict_all(predictor: &Predictor, frame: &Frame, rows: &[u32]) -> Vec<f64> {
    let mut predictions = Vec::with_capacity(rows.len() * predictor.width());
    // Texts and pictures take milliseconds each.
    let piece = if predictor.artifact().recipe.is_slow() {
        64
    } else {
        1 << 14
    };
    for chunk in rows.chunks(piece) {
        pgrx::check_for_interrupts!();
        predictions.extend(predictor.predict_frame(frame, chunk, 1));
    }
    predictions
}

/// Rows of a relation whose target is known.
pub struct Known {
    pub frame: Frame,
    pub rows: Vec<u32>,
    pub truth: Truth,
}

impl Known {
    /// What a model answers for the rows.
    pub fn predictions(&self, predictor: &Predictor) -> Vec<f64> {
        predict_all(predictor, &self.frame, &self.rows)
    }

    /// A column that was read.
    pub fn column(&self, name: &str) -> Result<&Column> {
        let found = self.frame.columns.iter().find(|c| c.name == name);
        found.ok_or_else(|| Error::new("XX000", format!("column \"{name}\" was not read")))
    }
}

/// Reads, in one pass, what one model or two with the same target and labels need of a relation, and other columns of it.
pub fn known(predictors: &[&Predictor], relation: &str, others: &[&str]) -> Result<Known> {
    let Some(first) = predictors.first() else {
        return Err(Error::new("XX000", "no model was given"));
    };
    let target = &first.artifact().target;
    let base = resolve::resolve(relation)?;
    let name = base.require(&target.name)?.name.clone();
    let mut beside = vec![name.as_str()];
    if let Some(companion) = &target.companion {
        base.require(companion)?;
        beside.push(companion);
    }
    for other in others {
        let column = base.require(other)?;
        if Decoder::for_type(column.type_oid).is_none() {
            return Err(Error::new(
                "42804",
                format!(
                    "column \"{other}\" is {}, which is not read",
                    column.type_name
                ),
            )
            .hint("Cast it in a SELECT."));
        }
        beside.push(other);
    }
    // Of models with related tables, what the other one needs is beside.
    let joining = predictors
        .iter()
        .position(|p| p.artifact().sources.is_some())
        .unwrap_or(0);
    for (i, predictor) in predictors.iter().enumerate() {
        text_model::attach(predictor)?;
        let recipe = &predictor.artifact().recipe;
        let of_base = |name: &&str| base.column(name).is_some();
        if i != joining {
            let names = recipe.columns().iter().map(|c| c.name.as_str());
            beside.extend(names.filter(of_base));
        }
    }
    let source = joined(predictors[joining], base.clone(), &beside)?;
    let mut wanted: Vec<&str> = Vec::new();
    for predictor in predictors {
        wanted.extend(columns(predictor.artifact().recipe.columns(), &source)?);
    }
    wanted.push(&name);
    wanted.extend(target.companion.as_deref());
    wanted.extend(others);
    let mut seen = std::collections::HashSet::new();
    wanted.retain(|name| seen.insert(*name));
    let frame = read::read(&source, &wanted, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })?;
    let (rows, truth) = truth_of(first.artifact().task, target, &frame)?;
    Ok(Known { frame, rows, truth })
}

/// What came of the model's test rows (of at most 20,000 of them), or of the rows of a relation whose target is known.
pub fn outcomes(predictor: &Predictor, relation: Option<&str>) -> Result<Outcomes> {
    let artifact = predictor.artifact();
    let Some(relation) = relation else {
        let held_out = &artifact.settled.held_out;
        if held_out.rows == 0 {
            return Err(
                Error::new("55000", "the version keeps no predictions of its test rows")
                    .hint("Give a relation with the target to score, or train the model again."),
            );
        }
        return Ok(held_out.outcomes(artifact.task));
    };
    let known = known(&[predictor], relation, &[])?;
    Ok(Outcomes {
        predictions: known.predictions(predictor),
        truth: known.truth,
    })
}

/// How rows are drawn for intervals: many rows take long, so a cancel is served between two draws.
pub fn draws(artifact: &Artifact) -> Resampling<'static> {
    Resampling::interruptible(artifact.provenance.seed, &|| {
        pgrx::check_for_interrupts!();
    })
}

/// The stored scores of the model on its test rows, or its scores on the rows of a relation whose target is known.
pub fn evaluation(predictor: &Predictor, relation: Option<&str>) -> Result<Evaluation> {
    let artifact = predictor.artifact();
    if relation.is_none() {
        return Ok(artifact.evaluation.clone());
    }
    Ok(evaluate_outcomes(
        predictor,
        &outcomes(predictor, relation)?,
    ))
}

/// The scores of what a model answered.
pub fn evaluate_outcomes(predictor: &Predictor, outcomes: &Outcomes) -> Evaluation {
    let artifact = predictor.artifact();
    evaluate(
        artifact.task,
        &artifact.target.labels,
        &outcomes.truth,
        &outcomes.predictions,
        artifact.settled.threshold,
        &artifact.evaluation.baseline,
        draws(artifact),
    )
}

/// The rows of each label against the rest, by falling probability; binary: of the positive label.
pub fn curves(predictor: &Predictor, relation: Option<&str>) -> Result<Vec<(String, Ranked)>> {
    needs_classes(predictor)?;
    let outcomes = outcomes(predictor, relation)?;
    let artifact = predictor.artifact();
    let labels = &artifact.target.labels;
    let curves = ranked(artifact.task, labels.len(), &outcomes).into_iter();
    Ok(curves
        .filter_map(|curve| Some((labels.get(curve.label)?.clone(), curve)))
        .collect())
}

/// An error for models of numbers.
pub fn needs_classes(predictor: &Predictor) -> Result<()> {
    if matches!(
        predictor.artifact().task,
        Task::Regression | Task::Survival | Task::Uplift
    ) {
        return Err(
            Error::new("22023", "the model predicts a number and has no classes")
                .hint("Use insight_evaluate."),
        );
    }
    Ok(())
}

/// What decisions earn at each of about 200 thresholds: whether it is the best within the capacity, what comes of it, the
/// profit. What is not said is as the model was trained with.
pub fn profit(
    predictor: &Predictor,
    relation: Option<&str>,
    profit: Option<&serde_json::Value>,
    capacity: Option<u64>,
) -> Result<Vec<(bool, Cut, f64)>> {
    let artifact = predictor.artifact();
    if artifact.task != Task::Binary {
        return Err(
            Error::new("22023", "profit needs a model of two labels")
                .hint("Train one for a label against the rest: the target may be an expression in a SELECT."),
        );
    }
    let settled = &artifact.settled;
    let profit = match (profit, settled.profit) {
        (Some(given), _) => params::profit(given)?,
        (None, Some(stored)) => stored,
        (None, None) => {
            return Err(Error::new(
                "22023",
                "the model was trained without the option \"profit\"",
            )
            .hint("Say what decisions earn: profit => '{\"tp\": 90, \"fp\": -10}'."));
        }
    };
    let mut out = Vec::new();
    for (_, curve) in curves(predictor, relation)? {
        let cuts = curve.cuts();
        // Test rows stand for the relation trained on; a relation for itself.
        let rows = match relation {
            Some(_) => curve.rows() as u64,
            None => artifact.provenance.rows,
        };
        let allowed = allowed(&cuts, capacity.or(settled.capacity), rows);
        let best = most_profitable(&cuts, allowed, &profit);
        let cuts = curve.thin_cuts(cuts, best).into_iter();
        out.extend(cuts.map(|(best, cut)| (best, cut, profit.of(&cut))));
    }
    Ok(out)
}
