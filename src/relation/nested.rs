//! Values with parts, as JSON or as text: arrays, vectors, documents and images of a row to be predicted.

use super::decode;
use crate::error::{Error, Result};
use insight_engine::frame::{Cell, Kind, TAG_END};
use insight_engine::recipe::Input;
use pgrx::pg_sys;
use serde_json::Value;
use std::ffi::CString;

/// What a converted cell borrows from; reused from row to row.
#[derive(Default)]
pub struct Converted {
    pub text: String,
    pub floats: Vec<f32>,
    pub bytes: Vec<u8>,
}

/// Whether values of this kind have parts.
pub fn has_parts(kind: Kind) -> bool {
    matches!(kind, Kind::Vector | Kind::Tags | Kind::Json | Kind::Image)
}

/// The cell of a JSON value for a column whose values have parts.
pub fn from_json<'a>(
    value: Option<&Value>,
    input: &Input,
    buffer: &'a mut Converted,
) -> Result<Cell<'a>> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(Cell::Null);
    };
    buffer.text.clear();
    buffer.floats.clear();
    match (input.kind, value) {
        (Kind::Vector, Value::String(text)) => vector(text, input, buffer),
        (Kind::Vector, Value::Array(_)) => {
            numbers(value, input, &mut buffer.floats)?;
            Ok(Cell::Vector(&buffer.floats))
        }
        (Kind::Vector, _) => Err(wrong(input, "a JSON array of numbers is needed")),
        (Kind::Tags, Value::Array(_)) => {
            texts(value, input, &mut buffer.text)?;
            Ok(Cell::Tags(&buffer.text))
        }
        (Kind::Tags, _) => Err(wrong(input, "a JSON array of texts is needed")),
        (Kind::Image, Value::String(text)) => image(text, &mut buffer.bytes),
        (Kind::Image, _) => Err(wrong(input, "bytes in hexadecimal are needed")),
        _ => {
            buffer.text = value.to_string();
            Ok(Cell::Json(&buffer.text))
        }
    }
}

/// The cell of a text, such as a literal in `ROW(...)`, for a column whose values have parts.
pub fn from_text<'a>(text: &str, input: &Input, buffer: &'a mut Converted) -> Result<Cell<'a>> {
    match input.kind {
        Kind::Vector => vector(text, input, buffer),
        Kind::Json => {
            buffer.text.clear();
            buffer.text.push_str(text);
            Ok(Cell::Json(&buffer.text))
        }
        Kind::Image => image(text, &mut buffer.bytes),
        _ => Err(wrong(input, "an array is needed, such as ARRAY['a', 'b']")),
    }
}

fn wrong(input: &Input, needed: &str) -> Error {
    Error::new(
        "22P02",
        format!("invalid value for column \"{}\": {needed}", input.name),
    )
    .detail(format!("The model was trained on {}.", input.type_name))
}

/// Bytes as PostgreSQL writes them, read by its own input function, whose errors say what is wrong.
fn image<'a>(text: &str, bytes: &'a mut Vec<u8>) -> Result<Cell<'a>> {
    let text =
        CString::new(text).map_err(|_| Error::new("22P02", "the text contains a zero byte"))?;
    // SAFETY: byteain of a C string answers a bytea of our own, which is not used after it is freed.
    unsafe {
        let datum = pg_sys::OidInputFunctionCall(
            pg_sys::Oid::from(pg_sys::F_BYTEAIN),
            text.as_ptr().cast_mut(),
            pg_sys::InvalidOid,
            -1,
        );
        let cell = decode::image(datum, bytes);
        pg_sys::pfree(datum.cast_mut_ptr());
        Ok(cell)
    }
}

/// `[1, 2]` or `{1, 2}`.
fn vector<'a>(text: &str, input: &Input, buffer: &'a mut Converted) -> Result<Cell<'a>> {
    let error = || wrong(input, "numbers in brackets are needed, such as [1, 2]");
    let inner = text.trim();
    let inner = inner
        .strip_prefix('[')
        .and_then(|i| i.strip_suffix(']'))
        .or_else(|| inner.strip_prefix('{').and_then(|i| i.strip_suffix('}')))
        .ok_or_else(error)?;
    buffer.floats.clear();
    if !inner.trim().is_empty() {
        for part in inner.split(',').map(str::trim) {
            let missing = part.eq_ignore_ascii_case("null");
            let number = if missing { Ok(f32::NAN) } else { part.parse() };
            buffer.floats.push(number.map_err(|_| error())?);
        }
    }
    Ok(Cell::Vector(&buffer.floats))
}

/// Arrays of more than one dimension row by row, as in a table's row.
fn numbers(value: &Value, input: &Input, floats: &mut Vec<f32>) -> Result<()> {
    match value {
        Value::Array(items) => {
            for item in items {
                numbers(item, input, floats)?;
            }
        }
        Value::Null => floats.push(f32::NAN),
        Value::Bool(x) => floats.push(f32::from(u8::from(*x))),
        Value::Number(x) => floats.push(x.as_f64().map_or(f32::NAN, |x| x as f32)),
        // How to_jsonb writes NaN and infinities.
        Value::String(text) => floats.push(
            text.parse()
                .map_err(|_| wrong(input, "its elements must be numbers"))?,
        ),
        Value::Object(_) => return Err(wrong(input, "its elements must be numbers")),
    }
    Ok(())
}

/// NULL elements are left out, as in a table's row.
fn texts(value: &Value, input: &Input, packed: &mut String) -> Result<()> {
    match value {
        Value::Array(items) => {
            for item in items {
                texts(item, input, packed)?;
            }
            return Ok(());
        }
        Value::Null => return Ok(()),
        Value::String(text) => packed.extend(text.chars().filter(|c| *c != TAG_END)),
        Value::Object(_) => return Err(wrong(input, "its elements must be texts")),
        other => packed.push_str(&other.to_string()),
    }
    packed.push(TAG_END);
    Ok(())
}
