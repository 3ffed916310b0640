//! Reading the option `as_of`.

use super::AsOf;
use super::parse::{invalid, text};
use crate::error::{Error, Result};
use crate::relation::decode::Decoder;
use crate::relation::resolve::Source;
use insight_engine::calendar;
use insight_engine::frame::Kind;
use pgrx::pg_sys;
use serde_json::{Map, Value};

pub(super) fn as_of(options: &Map<String, Value>, base: &Source) -> Result<AsOf> {
    let wrong = || {
        invalid(
            "option \"as_of\" must be a column, a time, or {\"column\": ..., \"lag\": \"30 days\"}",
        )
    };
    match options.get("as_of") {
        None | Some(Value::Null) => Ok(AsOf::Now),
        Some(Value::String(text)) if base.column(text).is_some() => time_column(text, None, base),
        Some(Value::String(text)) => {
            let datum = input(text, pg_sys::F_TIMESTAMPTZ_IN)?;
            Ok(AsOf::At(absolute(datum.value() as i64)?))
        }
        Some(Value::Object(object)) => {
            let column = text(object, "column")?.ok_or_else(wrong)?;
            let lag = text(object, "lag")?;
            if let Some(lag) = &lag {
                input(lag, pg_sys::F_INTERVAL_IN)?;
            }
            if object.len() > 2 || object.keys().any(|k| k != "column" && k != "lag") {
                return Err(wrong());
            }
            time_column(&column, lag, base)
        }
        Some(_) => Err(wrong()),
    }
}

fn time_column(name: &str, lag: Option<String>, base: &Source) -> Result<AsOf> {
    let column = base.require(name)?;
    if Decoder::for_type(column.type_oid).is_none_or(|d| d.kind != Kind::Time) {
        return Err(Error::new(
            "42804",
            format!(
                "as_of \"{name}\" is {}, not a date or timestamp",
                column.type_name
            ),
        ));
    }
    Ok(AsOf::Column {
        name: name.to_owned(),
        lag,
    })
}

/// What a type's input function makes of a text; raises PostgreSQL's own error where it is no value of the type.
fn input(text: &str, function: u32) -> Result<pg_sys::Datum> {
    let text = std::ffi::CString::new(text)
        .map_err(|_| Error::new("22P02", "the text contains a zero byte"))?;
    // SAFETY: an input function with a C string.
    Ok(unsafe {
        pg_sys::OidInputFunctionCall(
            pg_sys::Oid::from(function),
            text.as_ptr().cast_mut(),
            pg_sys::InvalidOid,
            -1,
        )
    })
}

/// A time with its zone: the same in every session, whatever its time zone and however it writes dates.
fn absolute(microseconds: i64) -> Result<String> {
    if matches!(microseconds, i64::MIN | i64::MAX) {
        return Err(Error::new("22008", "as_of must not be infinite"));
    }
    let (year, month, day) = calendar::date(microseconds.div_euclid(86_400_000_000));
    if year < 1 {
        return Err(Error::new("22008", "as_of must not lie before Christ"));
    }
    let (seconds, fraction) = (
        microseconds.rem_euclid(86_400_000_000) / 1_000_000,
        microseconds.rem_euclid(1_000_000),
    );
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Ok(format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:06}+00"
    ))
}
