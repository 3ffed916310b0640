//! How rows of a type are read: which attribute is which of a model's columns.

use crate::error::{Error, Result};
use crate::relation::decode::Decoder;
use crate::relation::sources::single::Lookup;
use crate::versions;
use insight_engine::recipe::Input;
use pgrx::pg_sys;
use std::ffi::CStr;

/// Where one of the model's columns comes from.
pub(super) enum Place {
    Row {
        attribute: usize,
        decoder: Decoder,
    },
    /// A feature of the model's sources.
    Source(usize),
}

/// Where the row says whose it is and when to look, for the model's sources.
pub(super) struct Subject {
    pub(super) key: usize,
    pub(super) moments: [Option<usize>; 2],
    pub(super) types: Vec<pg_sys::Oid>,
}

/// How rows of one composite type are read.
pub(super) struct Plan {
    pub(super) type_oid: pg_sys::Oid,
    pub(super) typmod: i32,
    pub(super) descriptor: pg_sys::TupleDesc,
    pub(super) places: Vec<Place>,
    pub(super) subject: Option<Subject>,
    pub(super) values: Vec<pg_sys::Datum>,
    pub(super) nulls: Vec<bool>,
}

impl Plan {
    /// Finds the model's columns in a row type: by name, or by position in an anonymous `ROW(...)`.
    ///
    /// # Safety
    /// The type must be composite.
    pub(super) unsafe fn new(
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
            versions::attributes(descriptor)
                .iter()
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
