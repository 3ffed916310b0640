//! The option `warm_start`.

use super::{Map, Result, Value, store, wrong_type};

/// The version that the option `warm_start` stands for: true is the model's deployed one.
pub(super) fn warm_start(
    options: &Map<String, Value>,
    model: &str,
) -> Result<Option<(String, i64)>> {
    let reference = match options.get("warm_start") {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => model,
        Some(Value::String(reference)) => reference,
        Some(_) => {
            return Err(wrong_type(
                "warm_start",
                "true or a model reference such as \"m@3\"",
            ));
        }
    };
    let record = store::record::record(store::cache::version(
        reference,
        store::rights::Right::Manage,
    )?)?;
    let name = format!("{}@{}", record.model, record.version);
    Ok(Some((name, record.id)))
}
