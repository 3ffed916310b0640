//! One row for a model: a composite value or jsonb, matched to the model's columns by name.

mod convert;
mod plan;

use super::decode::Buffer;
use super::nested::{self, Converted};
use super::sources::single::{self, Lookup};
use crate::error::{Error, Result};
use convert::{convert, fits};
use insight_engine::frame::Cell;
use insight_engine::recipe::Input;
use pgrx::pg_sys;
use plan::{Place, Plan};
use serde_json::{Map, Value};

/// Reads rows for one model; buffers are kept from row to row.
#[derive(Default)]
pub struct RowReader {
    plan: Option<Plan>,
    /// One of each per column: what a cell borrows from.
    buffers: Vec<Buffer>,
    converted: Vec<Converted>,
    cells: Vec<Cell<'static>>,
    lookup: Option<Lookup>,
    features: Vec<single::Value>,
}

impl RowReader {
    /// Of a model that takes the columns `inputs`, some of them features of its `sources`.
    pub fn new(inputs: &[Input], sources: Option<&Value>) -> Result<RowReader> {
        let names: Vec<&str> = inputs.iter().map(|c| c.name.as_str()).collect();
        let lookup = sources.map(|s| Lookup::new(s, &names)).transpose()?;
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
        })
    }

    /// Reads a composite value, and lets `then` do something with its cells, in the model's order.
    ///
    /// # Safety
    /// `row` must be a valid composite datum. `context` must live as long as this reader.
    pub unsafe fn with_composite<R>(
        &mut self,
        inputs: &[Input],
        row: pg_sys::Datum,
        context: pg_sys::MemoryContext,
        then: impl FnOnce(&[Cell<'_>]) -> R,
    ) -> Result<R> {
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
        Ok(then(&self.cells))
    }

    /// The same with a JSON object; a key that is not there is a missing value.
    pub fn with_json<R>(
        &mut self,
        inputs: &[Input],
        row: &Map<String, Value>,
        then: impl FnOnce(&[Cell<'_>]) -> R,
    ) -> Result<R> {
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
        Ok(then(&cells))
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
