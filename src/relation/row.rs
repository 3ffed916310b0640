//! One row of a prediction: a composite value or jsonb, matched to a model's columns by name.

use super::decode::Decoder;
use crate::error::{Error, Result};
use insight_engine::frame::{Cell, Kind};
use insight_engine::infer::{Predictor, Scratch};
use insight_engine::recipe::Input;
use pgrx::pg_sys;
use serde_json::{Map, Value};
use std::ffi::{CStr, CString};

/// Where one of the model's columns stands in the row.
struct Place {
    attribute: usize,
    decoder: Decoder,
}

/// How rows of one composite type are read.
struct Plan {
    type_oid: pg_sys::Oid,
    typmod: i32,
    descriptor: pg_sys::TupleDesc,
    places: Vec<Place>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

/// Reads rows for one model and predicts; buffers are kept from row to row.
#[derive(Default)]
pub struct RowReader {
    plan: Option<Plan>,
    /// One buffer per column: what a text cell borrows from.
    texts: Vec<Vec<u8>>,
    converted: Vec<String>,
    cells: Vec<Cell<'static>>,
    scratch: Scratch,
}

impl RowReader {
    pub fn new(predictor: &Predictor) -> RowReader {
        let columns = predictor.artifact().recipe.columns().len();
        RowReader {
            plan: None,
            texts: vec![Vec::new(); columns],
            converted: vec![String::new(); columns],
            cells: Vec::with_capacity(columns),
            scratch: predictor.scratch(),
        }
    }

    /// Predicts for a composite value.
    ///
    /// # Safety
    /// `row` must be a valid composite datum. `context` must live as long as this reader.
    pub unsafe fn predict_composite(
        &mut self,
        predictor: &Predictor,
        row: pg_sys::Datum,
        context: pg_sys::MemoryContext,
    ) -> Result<&[f64]> {
        let inputs = predictor.artifact().recipe.columns();
        // SAFETY: the caller promises a composite datum: its header names its type, and its length is its varlena size.
        unsafe {
            let header =
                pg_sys::pg_detoast_datum(row.cast_mut_ptr()).cast::<pg_sys::HeapTupleHeaderData>();
            let fields = (*header).t_choice.t_datum;
            let known = self.plan.as_ref().is_some_and(|p| {
                p.type_oid == fields.datum_typeid && p.typmod == fields.datum_typmod
            });
            if !known {
                self.plan = Some(Plan::new(
                    inputs,
                    fields.datum_typeid,
                    fields.datum_typmod,
                    context,
                )?);
            }
            let Some(plan) = &mut self.plan else {
                return Err(Error::new("XX000", "the row cannot be read"));
            };
            let mut tuple = pg_sys::HeapTupleData {
                t_len: pgrx::varsize(header.cast()) as u32,
                t_data: header,
                ..Default::default()
            };
            pg_sys::heap_deform_tuple(
                &mut tuple,
                plan.descriptor,
                plan.values.as_mut_ptr(),
                plan.nulls.as_mut_ptr(),
            );
            self.cells.clear();
            for (i, (place, input)) in plan.places.iter().zip(inputs).enumerate() {
                let cell = if plan.nulls[place.attribute] {
                    Cell::Null
                } else {
                    place
                        .decoder
                        .decode(plan.values[place.attribute], &mut self.texts[i])
                };
                let cell = if fits(cell, input.kind) {
                    cell
                } else {
                    convert(cell, input, &mut self.converted[i])?
                };
                // The cell borrows from buffers of this reader that are not touched until the next row.
                self.cells
                    .push(std::mem::transmute::<Cell<'_>, Cell<'static>>(cell));
            }
        }
        Ok(predictor.predict(&self.cells, &mut self.scratch))
    }

    /// Predicts for a JSON object; a key that is not there is a missing value.
    pub fn predict_json(
        &mut self,
        predictor: &Predictor,
        row: &Map<String, Value>,
    ) -> Result<&[f64]> {
        let inputs = predictor.artifact().recipe.columns();
        let mut cells: Vec<Cell<'_>> = Vec::with_capacity(inputs.len());
        for (input, buffer) in inputs.iter().zip(&mut self.converted) {
            let cell = match row.get(&input.name) {
                None | Some(Value::Null) => Cell::Null,
                Some(Value::Bool(value)) => Cell::Boolean(*value),
                Some(Value::Number(number)) => number.as_f64().map_or(Cell::Null, Cell::Number),
                Some(Value::String(text)) => Cell::Text(text),
                Some(Value::Array(_) | Value::Object(_)) => {
                    return Err(Error::new(
                        "22023",
                        format!("column \"{}\" must be a single value", input.name),
                    ));
                }
            };
            cells.push(if fits(cell, input.kind) {
                cell
            } else {
                convert(cell, input, buffer)?
            });
        }
        Ok(predictor.predict(&cells, &mut self.scratch))
    }
}

fn fits(cell: Cell<'_>, kind: Kind) -> bool {
    matches!(
        (cell, kind),
        (Cell::Null, _)
            | (Cell::Number(_), Kind::Number)
            | (Cell::Boolean(_), Kind::Boolean)
            | (Cell::Text(_), Kind::Category)
            | (Cell::Time(_), Kind::Time)
            | (Cell::Duration(_), Kind::Duration)
    )
}

/// A value of another type than the model was trained on, as that type.
fn convert<'a>(cell: Cell<'_>, input: &Input, buffer: &'a mut String) -> Result<Cell<'a>> {
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
        (Cell::Text(text), Kind::Time) => Cell::Time(parse_time(text, input)?),
        (Cell::Text(text), Kind::Duration) => Cell::Duration(parse_duration(text)?),
        (Cell::Number(value), _) => return Err(wrong(&value.to_string())),
        (Cell::Boolean(value), _) => return Err(wrong(&value.to_string())),
        (Cell::Time(_), _) => return Err(wrong("a date or timestamp")),
        (Cell::Duration(value), _) => return Err(wrong(&format!("{value} seconds"))),
        (Cell::Text(text), _) => return Err(wrong(&format!("\"{text}\""))),
        (Cell::Null, _) => Cell::Null,
    })
}

/// By PostgreSQL's own input functions; their errors say what is wrong.
fn parse_time(text: &str, input: &Input) -> Result<i64> {
    let function = if input.type_name.contains("with time zone") {
        pg_sys::F_TIMESTAMPTZ_IN
    } else {
        pg_sys::F_TIMESTAMP_IN
    };
    let text =
        CString::new(text).map_err(|_| Error::new("22P02", "the text contains a zero byte"))?;
    // SAFETY: an input function with a C string; it answers eight bytes by value.
    let datum = unsafe {
        pg_sys::OidInputFunctionCall(
            pg_sys::Oid::from(function),
            text.as_ptr().cast_mut(),
            pg_sys::InvalidOid,
            -1,
        )
    };
    Ok(datum.value() as i64)
}

fn parse_duration(text: &str) -> Result<f64> {
    let text =
        CString::new(text).map_err(|_| Error::new("22P02", "the text contains a zero byte"))?;
    // SAFETY: an input function with a C string; it answers an interval, which the decoder of intervals reads.
    unsafe {
        let oid = pg_sys::Oid::from(pg_sys::F_INTERVAL_IN);
        let datum =
            pg_sys::OidInputFunctionCall(oid, text.as_ptr().cast_mut(), pg_sys::InvalidOid, -1);
        let mut unused = Vec::new();
        let invalid = || Error::new("22P02", "invalid interval");
        let decoder = Decoder::for_type(pg_sys::INTERVALOID).ok_or_else(invalid)?;
        match decoder.decode(datum, &mut unused) {
            Cell::Duration(seconds) => Ok(seconds),
            _ => Err(invalid()),
        }
    }
}

impl Plan {
    /// Finds the model's columns in a row type: by name, or by position in an anonymous `ROW(...)`.
    ///
    /// # Safety
    /// The type must be composite.
    unsafe fn new(
        inputs: &[Input],
        type_oid: pg_sys::Oid,
        typmod: i32,
        context: pg_sys::MemoryContext,
    ) -> Result<Plan> {
        // SAFETY: the descriptor is copied into a context that outlives the plan, and the shared one is released.
        let descriptor = unsafe {
            let shared = pg_sys::lookup_rowtype_tupdesc(type_oid, typmod);
            let before = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = context;
            let copy = pg_sys::CreateTupleDescCopy(shared);
            pg_sys::CurrentMemoryContext = before;
            if (*shared).tdrefcount >= 0 {
                pg_sys::DecrTupleDescRefCount(shared);
            }
            copy
        };
        // SAFETY: a descriptor has `natts` attributes.
        let attributes: Vec<(Option<String>, pg_sys::Oid)> = unsafe {
            let list = std::slice::from_raw_parts(
                (*descriptor).attrs.as_ptr(),
                (*descriptor).natts as usize,
            );
            list.iter()
                .map(|a| {
                    let name = CStr::from_ptr(a.attname.data.as_ptr())
                        .to_string_lossy()
                        .into_owned();
                    ((!a.attisdropped).then_some(name), a.atttypid)
                })
                .collect()
        };
        let anonymous = type_oid == pg_sys::RECORDOID
            && attributes
                .iter()
                .zip(1..)
                .all(|((name, _), i)| name.as_deref() == Some(&format!("f{i}")));
        let positions = if anonymous {
            by_position(inputs, attributes.len())?
        } else {
            by_name(inputs, &attributes)?
        };
        let mut places = Vec::with_capacity(inputs.len());
        for (input, attribute) in inputs.iter().zip(positions) {
            let type_oid = attributes[attribute].1;
            // A literal in ROW(...) has no type of its own yet: it is stored as a C string's text.
            let decoder = Decoder::for_type(type_oid).ok_or_else(|| {
                Error::new(
                    "42804",
                    format!("column \"{}\" has a type that cannot be used", input.name),
                )
                .detail(format!("The model was trained on {}.", input.type_name))
                .hint("Cast it in the row.")
            })?;
            places.push(Place { attribute, decoder });
        }
        let count = attributes.len();
        Ok(Plan {
            type_oid,
            typmod,
            descriptor,
            places,
            values: vec![pg_sys::Datum::from(0usize); count],
            nulls: vec![true; count],
        })
    }
}

fn by_position(inputs: &[Input], count: usize) -> Result<Vec<usize>> {
    if count != inputs.len() {
        let names: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
        return Err(Error::new(
            "22023",
            format!(
                "ROW has {count} values but the model takes {}",
                inputs.len()
            ),
        )
        .detail(format!("In order: {}.", names.join(", ")))
        .hint(
            "Give the values in this order, or a table row or jsonb, which are matched by name.",
        ));
    }
    Ok((0..count).collect())
}

fn by_name(inputs: &[Input], attributes: &[(Option<String>, pg_sys::Oid)]) -> Result<Vec<usize>> {
    let find = |input: &Input| {
        attributes
            .iter()
            .position(|(name, _)| name.as_deref() == Some(&input.name))
    };
    let missing: Vec<&str> = inputs
        .iter()
        .filter(|i| find(i).is_none())
        .map(|i| i.name.as_str())
        .collect();
    if !missing.is_empty() {
        let quoted: Vec<String> = missing.iter().map(|m| format!("\"{m}\"")).collect();
        let plural = if missing.len() == 1 {
            "column"
        } else {
            "columns"
        };
        return Err(Error::new(
            "42703",
            format!("the row lacks {plural} {} of the model", quoted.join(", ")),
        )
        .hint("Pass a row with these columns, or jsonb, where a missing key counts as NULL."));
    }
    Ok(inputs.iter().filter_map(find).collect())
}
