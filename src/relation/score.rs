//! A whole relation before a model: its rows as a frame, its predictions, its scores.

use super::decode::Decoder;
use super::read;
use super::resolve::{self, Source};
use super::sources::Sources;
use crate::error::{Error, Result};
use crate::settings;
use crate::store::cache;
use insight_engine::artifact::Task;
use insight_engine::evaluate::{Evaluation, evaluate};
use insight_engine::fit::truth_of;
use insight_engine::frame::{Cell, Frame};
use insight_engine::infer::Predictor;

/// Predictions of a relation's rows, row-major as the predictor gives them.
pub struct Scored {
    pub keys: Vec<Option<String>>,
    pub predictions: Vec<f64>,
}

/// The model's columns in the source; missing ones are an error that names them.
fn columns<'a>(predictor: &'a Predictor, source: &Source) -> Result<Vec<&'a str>> {
    let names: Vec<&str> = predictor
        .artifact()
        .recipe
        .columns()
        .iter()
        .map(|c| c.name.as_str())
        .collect();
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
    for (name, input) in names.iter().zip(predictor.artifact().recipe.columns()) {
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
    cache::with_text_model(predictor)?;
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
    let key = match key {
        Some(key) => Some(base.require(key)?.name.clone()),
        None => base.relation.and_then(resolve::primary_key),
    };
    let others: Vec<&str> = key.iter().map(String::as_str).collect();
    let mut source = joined(predictor, base, &others)?;
    let names = columns(predictor, &source)?;
    let mut wanted = names.clone();
    if let Some(key) = &key {
        wanted.push(source.add_text(key, &names));
    }
    let frame = read::read(&source, &wanted, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })?;
    let rows: Vec<u32> = (0..frame.rows() as u32).collect();
    let keys = match key.and(frame.columns.last()) {
        Some(column) => rows
            .iter()
            .map(|row| match column.cell(*row as usize) {
                Cell::Text(text) => Some(text.to_owned()),
                _ => None,
            })
            .collect(),
        None => rows.iter().map(|row| Some((row + 1).to_string())).collect(),
    };
    Ok(Scored {
        keys,
        predictions: predict_all(predictor, &frame, &rows),
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

/// The stored scores of the model on its test rows, or its scores on the rows of a relation whose target is known.
pub fn evaluation(predictor: &Predictor, relation: Option<&str>) -> Result<Evaluation> {
    let artifact = predictor.artifact();
    let Some(relation) = relation else {
        return Ok(artifact.evaluation.clone());
    };
    let base = resolve::resolve(relation)?;
    let target = base.require(&artifact.target.name)?.name.clone();
    let mut beside = vec![target.as_str()];
    if let Some(companion) = &artifact.target.companion {
        base.require(companion)?;
        beside.push(companion);
    }
    let source = joined(predictor, base, &beside)?;
    let mut wanted = columns(predictor, &source)?;
    wanted.extend(beside);
    let frame = read::read(&source, &wanted, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })?;
    let (rows, truth) = truth_of(artifact.task, &artifact.target, &frame)?;
    let predictions = predict_all(predictor, &frame, &rows);
    let seed = artifact.provenance.seed;
    Ok(evaluate(
        artifact.task,
        &artifact.target.labels,
        &truth,
        &predictions,
        &artifact.evaluation.baseline,
        seed,
    ))
}

/// The evaluation of a model of classes.
pub fn class_evaluation(predictor: &Predictor, relation: Option<&str>) -> Result<Evaluation> {
    if matches!(
        predictor.artifact().task,
        Task::Regression | Task::Survival | Task::Uplift
    ) {
        return Err(
            Error::new("22023", "the model predicts a number and has no classes")
                .hint("Use insight_evaluate."),
        );
    }
    evaluation(predictor, relation)
}
