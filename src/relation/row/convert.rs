//! Values of other types than a model was trained on.

use crate::error::{Error, Result};
use crate::relation::decode::{Buffer, Decoder};
use crate::relation::nested::{self, Converted};
use insight_engine::frame::{Cell, Kind};
use insight_engine::recipe::Input;
use pgrx::pg_sys;
use std::ffi::CString;

/// Whether a cell is of a column's kind.
pub(super) fn fits(cell: Cell<'_>, kind: Kind) -> bool {
    matches!(
        (cell, kind),
        (Cell::Null, _)
            | (Cell::Number(_), Kind::Number)
            | (Cell::Boolean(_), Kind::Boolean)
            | (Cell::Text(_), Kind::Category)
            | (Cell::Time(_), Kind::Time)
            | (Cell::Duration(_), Kind::Duration)
            | (Cell::Vector(_), Kind::Vector)
            | (Cell::Tags(_), Kind::Tags)
            | (Cell::Json(_), Kind::Json)
            | (Cell::Image(_), Kind::Image)
    )
}

/// A value of another type than the model was trained on, as that type.
///
/// # Errors
/// 22P02 for what cannot be that type.
pub(super) fn convert<'a>(
    cell: Cell<'_>,
    input: &Input,
    buffer: &'a mut Converted,
) -> Result<Cell<'a>> {
    if let (Cell::Text(text), true) = (cell, nested::has_parts(input.kind)) {
        return nested::from_text(text, input, buffer);
    }
    let buffer = &mut buffer.text;
    let wrong = |shown: &str| {
        Error::new(
            "22P02",
            format!("invalid value for column \"{}\": {shown}", input.name),
        )
        .detail(format!("The model was trained on {}.", input.type_name))
    };
    let write = |buffer: &'a mut String, text: std::fmt::Arguments<'_>| {
        use std::fmt::Write;
        buffer.clear();
        // Writing into a String cannot fail.
        let _ = buffer.write_fmt(text);
        Cell::Text(buffer.as_str())
    };
    Ok(match (cell, input.kind) {
        (Cell::Boolean(value), Kind::Number) => Cell::Number(f64::from(u8::from(value))),
        (Cell::Duration(value), Kind::Number) => Cell::Number(value),
        (Cell::Number(value), Kind::Duration) => Cell::Duration(value),
        (Cell::Text(text), Kind::Number) => Cell::Number(
            text.trim()
                .parse()
                .map_err(|_| wrong(&format!("\"{text}\"")))?,
        ),
        (Cell::Text(text), Kind::Boolean) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Cell::Boolean(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Cell::Boolean(false),
            _ => return Err(wrong(&format!("\"{text}\""))),
        },
        (Cell::Number(value), Kind::Boolean) => Cell::Boolean(value != 0.0),
        (Cell::Number(value), Kind::Category) => write(buffer, format_args!("{value}")),
        (Cell::Boolean(value), Kind::Category) => write(buffer, format_args!("{value}")),
        (Cell::Text(text), Kind::Time) => parse_time(text, input)?,
        (Cell::Text(text), Kind::Duration) => Cell::Duration(parse_duration(text)?),
        (Cell::Number(value), _) => return Err(wrong(&value.to_string())),
        (Cell::Boolean(value), _) => return Err(wrong(&value.to_string())),
        (Cell::Time(_), _) => return Err(wrong("a date or timestamp")),
        (Cell::Duration(value), _) => return Err(wrong(&format!("{value} seconds"))),
        (Cell::Text(text), _) => return Err(wrong(&format!("\"{text}\""))),
        (Cell::Vector(_) | Cell::Tags(_), _) => return Err(wrong("an array")),
        (Cell::Json(_), _) => return Err(wrong("a JSON document")),
        (Cell::Image(_), _) => return Err(wrong("bytes")),
        (Cell::Null, _) => Cell::Null,
    })
}

/// By PostgreSQL's own input functions; their errors say what is wrong.
fn parse_time(text: &str, input: &Input) -> Result<Cell<'static>> {
    let (function, oid) = match input.type_name.as_str() {
        "date" => (pg_sys::F_DATE_IN, pg_sys::DATEOID),
        "timestamp with time zone" => (pg_sys::F_TIMESTAMPTZ_IN, pg_sys::TIMESTAMPTZOID),
        _ => (pg_sys::F_TIMESTAMP_IN, pg_sys::TIMESTAMPOID),
    };
    match parse(text, function, oid)? {
        Cell::Time(microseconds) => Ok(Cell::Time(microseconds)),
        // Infinity, as in a row.
        _ => Ok(Cell::Null),
    }
}

fn parse_duration(text: &str) -> Result<f64> {
    match parse(text, pg_sys::F_INTERVAL_IN, pg_sys::INTERVALOID)? {
        Cell::Duration(seconds) => Ok(seconds),
        _ => Err(Error::new("22P02", "invalid interval")),
    }
}

/// The cell that a type's input function makes of a text; for types whose cells borrow nothing.
fn parse(text: &str, function: u32, type_oid: pg_sys::Oid) -> Result<Cell<'static>> {
    let text =
        CString::new(text).map_err(|_| Error::new("22P02", "the text contains a zero byte"))?;
    let decoder = Decoder::for_type(type_oid)
        .ok_or_else(|| Error::new("XX000", "the type cannot be decoded"))?;
    let mut unused = Buffer::default();
    // SAFETY: an input function with a C string answers a datum of its type.
    let cell = unsafe {
        let datum = pg_sys::OidInputFunctionCall(
            pg_sys::Oid::from(function),
            text.as_ptr().cast_mut(),
            pg_sys::InvalidOid,
            -1,
        );
        decoder.decode(datum, &mut unused)
    };
    Ok(match cell {
        Cell::Time(microseconds) => Cell::Time(microseconds),
        Cell::Duration(seconds) => Cell::Duration(seconds),
        _ => Cell::Null,
    })
}
