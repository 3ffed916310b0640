//! Typed look-ups in the options of a call that are not hyper-parameters.

use crate::error::{Error, Result};
use crate::relation::{decode::Decoder, resolve::Source};
use crate::settings;
use insight_engine::{
    clean::CleanParams,
    fit::{Leakage, Split},
    frame::Kind,
};
use serde_json::{Map, Value};

pub fn wrong_type(key: &str, expected: &str) -> Error {
    Error::new("22023", format!("option \"{key}\" must be {expected}"))
}

pub fn text(options: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match options.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong_type(key, "a text")),
    }
}

pub fn scalar_text(options: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match options.get(key) {
        Some(Value::Bool(_) | Value::Number(_)) => Ok(options.get(key).map(Value::to_string)),
        _ => text(options, key).map_err(|_| wrong_type(key, "a text, number or boolean")),
    }
}

pub fn boolean(options: &Map<String, Value>, key: &str) -> Result<Option<bool>> {
    match options.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(wrong_type(key, "true or false")),
    }
}

pub fn names(options: &Map<String, Value>, key: &str) -> Result<Vec<String>> {
    let error = || {
        wrong_type(key, "an array of column names")
            .hint(format!("For example {{\"{key}\": [\"age\", \"income\"]}}."))
    };
    match options.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(error))
            .collect(),
        Some(_) => Err(error()),
    }
}

pub fn threads(options: &Map<String, Value>) -> Result<usize> {
    match options.get("threads") {
        None | Some(Value::Null) => Ok(settings::threads()),
        Some(value) => value
            .as_u64()
            .filter(|n| *n <= 1024)
            .map(|n| n as usize)
            .ok_or_else(|| wrong_type("threads", "an integer from 0 to 1024")),
    }
}

pub fn clean_params(options: &Map<String, Value>) -> Result<CleanParams> {
    match options.get("clean") {
        None | Some(Value::Null) => Ok(CleanParams::default()),
        Some(options) => Ok(CleanParams::from_json(options, "clean.")?),
    }
}

pub fn leakage(options: &Map<String, Value>) -> Result<Leakage> {
    match text(options, "leakage")?.as_deref() {
        None | Some("warn") => Ok(Leakage::Warn),
        Some("drop") => Ok(Leakage::Drop),
        Some("error") => Ok(Leakage::Error),
        Some(_) => Err(wrong_type("leakage", "one of warn, drop, error")),
    }
}

/// The column that says when the outcome was known: read, but no feature.
pub fn outcome_time(
    options: &Map<String, Value>,
    source: &Source,
    target: &str,
) -> Result<Option<String>> {
    let Some(name) = text(options, "outcome_time")? else {
        return Ok(None);
    };
    let column = source.require(&name)?;
    let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
    if name == target || kind != Some(Kind::Time) {
        return Err(
            wrong_type("outcome_time", "the name of a date or timestamp column")
                .hint(format!("\"{name}\" is of type {}.", column.type_name)),
        );
    }
    Ok(Some(name))
}

/// How rows come to stand in the parts: one of the options `time`, `group`, `split`, the name of a column.
pub fn split(options: &Map<String, Value>, source: &Source, target: &str) -> Result<Split> {
    let given = [
        ("time", text(options, "time")?),
        ("group", text(options, "group")?),
        ("split", text(options, "split")?),
    ];
    let mut given = given
        .into_iter()
        .filter_map(|(key, name)| name.map(|name| (key, name)));
    let Some((key, name)) = given.next() else {
        return Ok(Split::Random);
    };
    if let Some((other, _)) = given.next() {
        return Err(Error::new(
            "22023",
            format!("options \"{key}\" and \"{other}\" exclude each other"),
        )
        .hint("Rows are split by time, by group, or as a column says: give one of them."));
    }
    let column = source.require(&name)?;
    let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
    let (fits, must) = match key {
        "time" => (
            matches!(kind, Some(Kind::Time | Kind::Number)),
            "the name of a date, timestamp or numeric column",
        ),
        "group" => (
            matches!(
                kind,
                Some(Kind::Number | Kind::Category | Kind::Boolean | Kind::Time)
            ),
            "the name of a column of numbers, texts, booleans or dates",
        ),
        _ => (
            matches!(kind, Some(Kind::Category | Kind::Boolean)),
            "the name of a column that says train, validation or test, or is true for test rows",
        ),
    };
    if name == target || !fits {
        let of = format!("\"{name}\" is of type {}.", column.type_name);
        let target = format!("\"{name}\" is the target.");
        return Err(wrong_type(key, must).hint(if fits { target } else { of }));
    }
    Ok(match key {
        "time" => Split::Time(name),
        "group" => Split::Group(name),
        _ => Split::Column(name),
    })
}
