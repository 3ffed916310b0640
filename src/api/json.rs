//! Arguments of type jsonb. PostgreSQL's numbers may be larger than a double, and its values nested deeper than a reader follows: that is
//! the caller's error, said in words.

use crate::error::{Error, Result, or_raise};
use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, direct_function_call, pg_sys};
use serde_json::Value;
use std::ffi::CStr;

/// A jsonb as it was given.
#[derive(Debug)]
pub(in crate::api) struct Json(pub(in crate::api) Value);

/// Reads JSON that PostgreSQL has written.
///
/// # Errors
/// 22003 for a number that is no double, 54000 for what is nested too deeply.
fn read(text: &CStr) -> Result<Value> {
    let text = text
        .to_str()
        .map_err(|e| Error::new("22021", "the JSON is no UTF-8").detail(e.to_string()))?;
    serde_json::from_str(text).map_err(|e| {
        let said = e.to_string();
        match said {
            _ if said.starts_with("number out of range") => {
                Error::new("22003", "a number of the JSON is out of range")
                    .hint("Numbers go from -1.8e308 to 1.8e308.")
            }
            _ if said.starts_with("recursion limit") => {
                Error::new("54000", "the JSON is nested too deeply")
                    .hint("Objects and arrays may be nested 127 deep.")
            }
            _ => Error::new("22P02", "the JSON cannot be read").detail(said),
        }
    })
}

impl FromDatum for Json {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Json> {
        if is_null {
            return None;
        }
        // SAFETY: the caller promises a jsonb, of which PostgreSQL's own function makes a string; it detoasts what it is given.
        let value = unsafe {
            let text = direct_function_call::<&CStr>(pg_sys::jsonb_out, &[Some(datum)])?;
            let value = or_raise(read(text));
            pg_sys::pfree(text.as_ptr().cast_mut().cast());
            value
        };
        Some(Json(value))
    }
}

// SAFETY: in SQL it is a jsonb, and read as one.
unsafe impl SqlTranslatable for Json {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Json);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> =
        Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

// SAFETY: an argument of that type is read as its datum is.
unsafe impl<'fcx> ArgAbi<'fcx> for Json {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Json {
        // SAFETY: promised by the caller. NULL is for `Option<Json>`.
        let given = unsafe { arg.unbox_arg_using_from_datum::<Json>() };
        given.unwrap_or(Json(Value::Null))
    }
}
