//! Options of calls about privacy: objects read key by key, with errors that say what is allowed.

use crate::params::{ParamError, reader::Reader};
use serde_json::{Map, Value};

/// The options as an object whose keys are all known. `at` is what messages call it, such as `columns.age.`; nothing for the whole.
pub(super) fn object<'a>(
    options: &'a Value,
    at: &str,
    keys: &[&str],
) -> Result<Reader<'a>, ParamError> {
    let known = || format!("Known are: {}.", keys.join(", "));
    let Value::Object(options) = options else {
        let name = at.trim_end_matches('.');
        let what = if name.is_empty() { "the options" } else { name };
        return Err(error(
            name,
            format!("{what} must be a JSON object"),
            known(),
        ));
    };
    match options.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(error(key, format!("unknown option \"{at}{key}\""), known())),
        None => Ok(Reader { options }),
    }
}

pub(super) fn error(
    option: &str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> ParamError {
    ParamError {
        option: option.into(),
        message: message.into(),
        hint: hint.into(),
    }
}

/// An array of names of columns; empty where it is left out.
pub(super) fn names(reader: &Reader<'_>, option: &str) -> Result<Vec<String>, ParamError> {
    let wrong = || {
        let example = format!("For example {{\"{option}\": [\"age\", \"zip\"]}}.");
        let message = format!("option \"{option}\" must be an array of different column names");
        error(option, message, example)
    };
    let Some(value) = reader.get(option) else {
        return Ok(Vec::new());
    };
    let Value::Array(items) = value else {
        return Err(wrong());
    };
    let mut names: Vec<String> = Vec::new();
    for item in items {
        let name = item.as_str().ok_or_else(wrong)?;
        if names.iter().any(|own| own == name) {
            return Err(wrong());
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// An object by column.
pub(super) fn by_column<'a>(
    reader: &Reader<'a>,
    option: &str,
    example: &str,
) -> Result<Option<&'a Map<String, Value>>, ParamError> {
    // The reader's map outlives the reader.
    match reader.options.get(option) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(error(
            option,
            format!("option \"{option}\" must be an object by column"),
            format!("For example {{\"{option}\": {example}}}."),
        )),
    }
}

pub(super) fn text(reader: &Reader<'_>, option: &str) -> Result<Option<String>, ParamError> {
    match reader.get(option) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Reader::wrong(option, "a text")),
    }
}
