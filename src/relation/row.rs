//! One row of a prediction: a composite value or jsonb, matched to a model's columns by name.

use super::decode::{Buffer, Decoder};
use super::nested::{self, Converted};
use super::sources::single::{self, Lookup};
use crate::error::{Error, Result};
use crate::store::cache;
use insight_engine::frame::{Cell, Kind};
use insight_engine::infer::{Predictor, Scratch};
use insight_engine::recipe::Input;
use pgrx::pg_sys;
use serde_json::{Map, Value};
use std::ffi::{CStr, CString};

/// Where one of the model's columns comes from.
enum Place {
    Row {
        attribute: usize,
        decoder: Decoder,
    },
    /// A feature of the model's sources.
    Source(usize),
}

/// Where the row says whose it is and when to look, for the model's sources.
struct Subject {
    key: usize,
    moments: [Option<usize>; 2],
    types: Vec<pg_sys::Oid>,
}

/// How rows of one composite type are read.
struct Plan {
    type_oid: pg_sys::Oid,
    typmod: i32,
    descriptor: pg_sys::TupleDesc,
    places: Vec<Place>,
    subject: Option<Subject>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

/// Reads rows for one model and predicts; buffers are kept from row to row.
#[derive(Default)]
pub struct RowReader {
    plan: Option<Plan>,
    /// One of each per column: what a cell borrows from.
    buffers: Vec<Buffer>,
    converted: Vec<Converted>,
    cells: Vec<Cell<'static>>,
    scratch: Scratch,
    lookup: Option<Lookup>,
    features: Vec<single::Value>,
}

impl RowReader {
    pub fn new(predictor: &Predictor) -> Result<RowReader> {
        cache::with_text_model(predictor)?;
        let artifact = predictor.artifact();
        let inputs = artifact.recipe.columns();
        let names: Vec<&str> = inputs.iter().map(|c| c.name.as_str()).collect();
        let lookup = artifact.sources.as_ref();
        let lookup = lookup.map(|s| Lookup::new(s, &names)).transpose()?;
        let columns = inputs.len();
        Ok(RowReader {
            lookup,
            features: Vec::new(),
            plan: None,
            buffers: std::iter::repeat_with(Buffer::default)
                .take(columns)
                .collect(),
            converted: std::iter::repeat_with(Converted::default)
                .take(columns)
                .collect(),
            cells: Vec::with_capacity(columns),
            scratch: predictor.scratch(),
        })
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
                    self.lookup.as_ref(),
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
            if let (Some(lookup), Some(subject)) = (&mut self.lookup, &plan.subject) {
                let text = |attribute: usize| {
                    let there = !plan.nulls[attribute];
                    there.then(|| single::text_of(plan.values[attribute], subject.types[attribute]))
                };
                let moments = subject.moments.map(|m| m.and_then(text));
                self.features = lookup.features(text(subject.key).as_deref(), &moments)?;
            }
            self.cells.clear();
            for (i, (place, input)) in plan.places.iter().zip(inputs).enumerate() {
                let cell = match place {
                    Place::Source(position) => self
                        .features
                        .get(*position)
                        .map_or(Cell::Null, single::Value::cell),
                    Place::Row { attribute, .. } if plan.nulls[*attribute] => Cell::Null,
                    Place::Row { attribute, decoder } => {
                        decoder.decode(plan.values[*attribute], &mut self.buffers[i])
                    }
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
        match &self.lookup {
            None => check_keys(row, inputs)?,
            Some(lookup) if !row.contains_key(lookup.key()) => {
                return Err(Error::new(
                    "42703",
                    format!("the row lacks \"{}\", which says whose it is", lookup.key()),
                )
                .hint("The model looks the customer's rows up in other tables by it."));
            }
            Some(_) => {}
        }
        if let Some(lookup) = &mut self.lookup {
            let text = |name: &str| match row.get(name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            };
            let key = text(lookup.key());
            let moments = lookup.moments().map(|name| name.and_then(text));
            self.features = lookup.features(key.as_deref(), &moments)?;
        }
        let mut cells: Vec<Cell<'_>> = Vec::with_capacity(inputs.len());
        for (input, buffer) in inputs.iter().zip(&mut self.converted) {
            if let Some(position) = self.lookup.as_ref().and_then(|l| l.position(&input.name)) {
                cells.push(
                    self.features
                        .get(position)
                        .map_or(Cell::Null, single::Value::cell),
                );
                continue;
            }
            if nested::has_parts(input.kind) {
                cells.push(nested::from_json(row.get(&input.name), input, buffer)?);
                continue;
            }
            let cell = match row.get(&input.name) {
                None | Some(Value::Null) => Cell::Null,
                Some(Value::Bool(value)) => Cell::Boolean(*value),
                Some(Value::Number(number)) => number.as_f64().map_or(Cell::Null, |x| {
                    Cell::Number(match input.type_name.as_str() {
                        "real" => f64::from(x as f32),
                        _ => x,
                    })
                }),
                Some(Value::String(text)) => Cell::Text(match input.type_name.as_str() {
                    "character" => text.trim_end_matches(' '),
                    _ => text,
                }),
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

/// A row without a single column of the model is a mistake, such as names in another case; one without any column is not.
fn check_keys(row: &Map<String, Value>, inputs: &[Input]) -> Result<()> {
    if row.is_empty() || inputs.iter().any(|input| row.contains_key(&input.name)) {
        return Ok(());
    }
    let names: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
    Err(Error::new("22023", "the row has no column of the model")
        .hint(format!("The model takes: {}.", names.join(", "))))
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
            | (Cell::Vector(_), Kind::Vector)
            | (Cell::Tags(_), Kind::Tags)
            | (Cell::Json(_), Kind::Json)
            | (Cell::Image(_), Kind::Image)
    )
}

/// A value of another type than the model was trained on, as that type.
fn convert<'a>(cell: Cell<'_>, input: &Input, buffer: &'a mut Converted) -> Result<Cell<'a>> {
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

impl Plan {
    /// Finds the model's columns in a row type: by name, or by position in an anonymous `ROW(...)`.
    ///
    /// # Safety
    /// The type must be composite.
    unsafe fn new(
        inputs: &[Input],
        lookup: Option<&Lookup>,
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
            if lookup.is_some() {
                return Err(Error::new(
                    "22023",
                    "a model with sources needs a row with column names",
                )
                .hint("Pass a table row, which names the customer, or jsonb."));
            }
            by_position(inputs, attributes.len())?
        } else {
            by_name(inputs, lookup, &attributes)?
        };
        let mut places = Vec::with_capacity(inputs.len());
        for (input, position) in inputs.iter().zip(positions) {
            let Some(attribute) = position else {
                let position = lookup.and_then(|l| l.position(&input.name));
                places.push(Place::Source(position.unwrap_or(usize::MAX)));
                continue;
            };
            let decoder = Decoder::for_type(attributes[attribute].1).ok_or_else(|| {
                Error::new(
                    "42804",
                    format!("column \"{}\" has a type that cannot be used", input.name),
                )
                .detail(format!("The model was trained on {}.", input.type_name))
                .hint("Cast it in the row.")
            })?;
            places.push(Place::Row { attribute, decoder });
        }
        let find = |name: &str| position_of(&attributes, name);
        let subject = lookup.and_then(|lookup| {
            Some(Subject {
                key: find(lookup.key())?,
                moments: lookup.moments().map(|name| name.and_then(find)),
                types: attributes.iter().map(|a| a.1).collect(),
            })
        });
        let count = attributes.len();
        Ok(Plan {
            type_oid,
            typmod,
            descriptor,
            places,
            subject,
            values: vec![pg_sys::Datum::from(0usize); count],
            nulls: vec![true; count],
        })
    }
}

fn by_position(inputs: &[Input], count: usize) -> Result<Vec<Option<usize>>> {
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
    Ok((0..count).map(Some).collect())
}

fn position_of(attributes: &[(Option<String>, pg_sys::Oid)], name: &str) -> Option<usize> {
    attributes
        .iter()
        .position(|(known, _)| known.as_deref() == Some(name))
}

/// The attribute of each input; `None` for a feature of the model's sources.
fn by_name(
    inputs: &[Input],
    lookup: Option<&Lookup>,
    attributes: &[(Option<String>, pg_sys::Oid)],
) -> Result<Vec<Option<usize>>> {
    let from_sources = |name: &str| lookup.is_some_and(|l| l.position(name).is_some());
    let needed = inputs
        .iter()
        .map(|i| i.name.as_str())
        .filter(|name| !from_sources(name))
        .chain(lookup.map(Lookup::key));
    let missing: Vec<String> = needed
        .filter(|name| position_of(attributes, name).is_none())
        .map(|name| format!("\"{name}\""))
        .collect();
    if !missing.is_empty() {
        let plural = if missing.len() == 1 {
            "column"
        } else {
            "columns"
        };
        return Err(Error::new(
            "42703",
            format!("the row lacks {plural} {} of the model", missing.join(", ")),
        )
        .hint("Pass a row with these columns, or jsonb, where a missing key counts as NULL."));
    }
    Ok(inputs
        .iter()
        .map(|input| {
            let own = position_of(attributes, &input.name);
            own.filter(|_| !from_sources(&input.name))
        })
        .collect())
}
