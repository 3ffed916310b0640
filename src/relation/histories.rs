//! Histories before a model: of every key of a relation, or of one key.

use super::decode::Decoder;
use super::read;
use super::resolve::{self, Source};
use crate::error::{Error, Result};
use crate::job::again::{trusted, trusted_beside};
use crate::settings;
use crate::store::rights::Right;
use crate::store::{cache, record};
use insight_engine::sequence::{Histories, Log, Predictor, State, Target, place};
use pgrx::spi;
use std::collections::HashMap;
use std::rc::Rc;

/// An answer for a key.
pub struct Answer {
    pub key: String,
    /// From 1.
    pub rank: i32,
    pub label: Option<String>,
    pub probability: Option<f64>,
    /// Where a number is foretold; of a time to the next row, seconds.
    pub value: Option<f64>,
}

/// An answer with its texts takes so much, about.
const BYTES_OF_ANSWER: usize = 160;

/// Whether so many bytes of answers may be held.
fn bounded(bytes: usize) -> Result<()> {
    let most = settings::max_memory() / 4;
    if bytes <= most {
        return Ok(());
    }
    Err(Error::new("53200", format!("the answers need more than the {} MB they may use", most >> 20))
        .hint("Ask for fewer keys or a smaller k at a time, or have a superuser raise insight.max_memory."))
}

/// The columns that a model reads, the key first.
fn columns(predictor: &Predictor) -> Vec<String> {
    let encoder = &predictor.model().encoder;
    let mut names = vec![encoder.key.clone()];
    let others = encoder
        .order
        .iter()
        .chain(encoder.categories.iter().map(|c| &c.name));
    for name in others.chain(encoder.numbers.iter().map(|n| &n.name)) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The relation with the columns of a model, the key as text; `only` is the one key that is wanted.
fn source(
    predictor: &Predictor,
    base: &Source,
    only: Option<&str>,
) -> Result<(Source, Vec<String>)> {
    let names = columns(predictor);
    for name in &names {
        let column = base.require(name)?;
        if Decoder::for_type(column.type_oid).is_none() {
            return Err(Error::new(
                "42804",
                format!(
                    "column \"{name}\" has the unsupported type {}",
                    column.type_name
                ),
            ));
        }
    }
    let mut base = base.clone();
    restrict(&mut base, &names[0], only);
    Ok((base.keyed(&names[0], &names), names))
}

/// Reads histories and looks at each key's, in the order of the keys.
fn each(
    predictor: &Predictor,
    reference: &str,
    base: &Source,
    only: Option<&str>,
    mut look: impl FnMut(&str, &mut State, &Histories, usize) -> Result<()>,
) -> Result<usize> {
    let (source, names) = source(predictor, base, only)?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // The log and the histories take as much again each, and are held at once.
    let most = settings::max_memory() / 4;
    let mut tick = |_| {
        pgrx::check_for_interrupts!();
    };
    let frame = read::read_as_of(&source, &names, most, &mut tick)?;
    let encoder = &predictor.model().encoder;
    let mut log = Log::new(&frame, &encoder.key, &encoder.order)?;
    let known = statics(predictor, reference, only)?;
    if let Some(known) = &known {
        let width = encoder.static_columns.width();
        log = log.with_statics(width, |key| known.get(key).map(Vec::as_slice));
    }
    let mut state = predictor.state();
    if encoder.reads_keys() {
        let mut now = encoder.now(&log);
        if only.is_some() {
            now = latest(base, &encoder.order[0])?.map_or(now, |at| now.max(at));
        }
        for (at, key) in log.keys.iter().enumerate() {
            pgrx::check_for_interrupts!();
            let histories = encoder.encode_key(&log, at, now);
            predictor.read(&mut state, &histories, 0);
            look(key, &mut state, &histories, 0)?;
        }
        return Ok(log.keys.len());
    }
    let histories = encoder.encode(&log);
    for (at, key) in log.keys.iter().enumerate() {
        pgrx::check_for_interrupts!();
        predictor.read(&mut state, &histories, at);
        look(key, &mut state, &histories, at)?;
    }
    Ok(log.keys.len())
}

/// The last moment that a column of a relation has, in seconds or units of the order.
fn latest(base: &Source, column: &str) -> Result<Option<f64>> {
    let mut source = base.clone();
    let name = spi::quote_identifier(column);
    source.from = format!(
        "(SELECT pg_catalog.max({name}) AS {name} FROM {}) AS latest",
        base.from
    );
    let mut tick = |_| {
        pgrx::check_for_interrupts!();
    };
    let most = settings::max_memory() / 4;
    let frame = read::read_as_of(&source, &[column], most, &mut tick)?;
    Ok(frame.column(column).and_then(|own| place(own, 0)))
}

/// What is known of keys, where the model was told: from the relation of its training.
fn statics(
    predictor: &Predictor,
    reference: &str,
    only: Option<&str>,
) -> Result<Option<HashMap<String, Vec<f32>>>> {
    let encoder = &predictor.model().encoder;
    if encoder.static_columns.is_empty() {
        return Ok(None);
    }
    let record = record::record(cache::version(reference, Right::Predict)?)?;
    let Some(mut source) = trusted_beside(&record, "static_relation")? else {
        return Ok(None);
    };
    let mut names = vec![encoder.key.clone()];
    names.extend(
        encoder
            .static_columns
            .columns
            .iter()
            .map(|c| c.name.clone()),
    );
    for name in &names {
        source.require(name)?;
    }
    restrict(&mut source, &encoder.key, only);
    let source = source.keyed(&encoder.key, &names);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut tick = |_| {
        pgrx::check_for_interrupts!();
    };
    let frame = read::read_as_of(&source, &names, settings::max_memory() / 4, &mut tick)?;
    Ok(Some(encoder.static_columns.by_key(&frame, &encoder.key)))
}

/// To the rows of one key, if it is the only one that is wanted.
fn restrict(source: &mut Source, column: &str, only: Option<&str>) {
    if let Some(key) = only {
        // A literal without a type takes the column's, so that an index can be used.
        let condition = format!(
            "{} OPERATOR(pg_catalog.=) {}",
            spi::quote_identifier(column),
            spi::quote_literal(key)
        );
        source.from = format!("{} WHERE {condition}", source.from);
    }
}

/// What a class is called; `None` for values that are not told apart.
fn label(predictor: &Predictor, code: u32) -> Option<String> {
    predictor
        .model()
        .encoder
        .class_label(code)
        .map(str::to_owned)
}

fn answers(
    predictor: &Predictor,
    key: &str,
    k: usize,
    state: &mut State,
    out: &mut Vec<Answer>,
    leave_out: impl Fn(u32) -> bool,
) {
    if !predictor.model().encoder.target.has_classes() {
        out.push(Answer {
            key: key.into(),
            rank: 1,
            label: None,
            probability: None,
            value: Some(predictor.value(state)),
        });
        return;
    }
    let top: Vec<(u32, f32)> = predictor.top(state, k, leave_out).collect();
    for ((code, probability), rank) in top.into_iter().zip(1..) {
        out.push(Answer {
            key: key.into(),
            rank,
            label: label(predictor, code),
            probability: Some(f64::from(probability)),
            value: None,
        });
    }
}

/// The `k` most probable next steps of every key, or the number that is foretold.
pub fn next(
    predictor: &Predictor,
    reference: &str,
    relation: &str,
    k: usize,
) -> Result<Vec<Answer>> {
    let base = resolve::resolve(relation)?;
    let mut out = Vec::new();
    each(predictor, reference, &base, None, |key, state, _, _| {
        answers(predictor, key, k, state, &mut out, |_| false);
        bounded(out.len() * BYTES_OF_ANSWER)
    })?;
    Ok(out)
}

/// What the model knows of every key's history, as a vector.
pub fn embeddings(
    predictor: &Predictor,
    reference: &str,
    relation: &str,
) -> Result<Vec<(String, Vec<f32>)>> {
    let base = resolve::resolve(relation)?;
    let mut out = Vec::new();
    each(predictor, reference, &base, None, |key, state, _, _| {
        out.push((key.to_owned(), predictor.embedding(state).to_vec()));
        bounded(out.len() * (predictor.width() * size_of::<f32>() + BYTES_OF_ANSWER))
    })?;
    Ok(out)
}

/// The relation that a model was trained on, if it may be read with the caller's rights.
fn own_relation(reference: &str) -> Result<Source> {
    let record = trusted(record::record(cache::version(reference, Right::Predict)?)?)?;
    resolve::resolve(&record.relation)
}

/// Of one key of the relation that the model was trained on: the `k` best answers, without those that its history has if
/// `unseen`. A key without a history is answered what is most popular.
pub fn of_key(
    predictor: Rc<Predictor>,
    reference: &str,
    key: &str,
    k: usize,
    unseen: bool,
) -> Result<Foretold> {
    let model = &*predictor;
    let base = own_relation(reference)?;
    let mut out = Vec::new();
    let found = each(
        model,
        reference,
        &base,
        Some(key),
        |key, state, histories, at| {
            let seen: Vec<u32> = match model.model().encoder.target {
                Target::Category(of) if unseen => {
                    let steps = histories.offsets[at]..histories.offsets[at + 1];
                    let mut seen = histories.codes[of][steps].to_vec();
                    seen.sort_unstable();
                    seen
                }
                _ => Vec::new(),
            };
            answers(model, key, k, state, &mut out, |code| {
                seen.binary_search(&code).is_ok()
            });
            Ok(())
        },
    )?;
    if found == 0 && model.model().encoder.target.has_classes() {
        let mut state = model.state();
        answers(model, key, k, &mut state, &mut out, |_| false);
    }
    Ok(Foretold {
        predictor,
        answers: out,
        known: found > 0,
    })
}

/// What is foretold of one key.
pub struct Foretold {
    predictor: Rc<Predictor>,
    pub answers: Vec<Answer>,
    /// Whether it has a history.
    pub known: bool,
}

impl Foretold {
    /// The number, or the probability of the second of two labels; `None` for a key without a history.
    pub fn value(self) -> Result<Option<f64>> {
        if !self.known {
            return Ok(None);
        }
        let encoder = &self.predictor.model().encoder;
        match encoder.target {
            Target::Label if encoder.labels.len() == 2 => {
                let second = self.answers.iter().find(|a| a.label.as_ref() == encoder.labels.last());
                Ok(second.and_then(|a| a.probability))
            }
            target if target.has_classes() => Err(Error::new("22023", "the model foretells one of many labels, so there is no single probability")
                .hint("Use insight_classify(model, key), insight_probabilities(model, key) or insight_recommend(model, key, k).")),
            _ => Ok(self.answers.first().and_then(|a| a.value)),
        }
    }

    /// # Errors
    /// A model of numbers.
    pub fn needs_classes(&self) -> Result<()> {
        if self.predictor.model().encoder.target.has_classes() {
            return Ok(());
        }
        Err(
            Error::new("22023", "the model foretells a number and has no classes")
                .hint("Use insight_predict."),
        )
    }
}
