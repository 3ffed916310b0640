//! Generated rows in a table's own row type, within what the table declares.

mod checks;
mod index;
mod keys;

use super::attributes::{Attribute, attributes};
use super::datum::Writer;
use crate::error::{Error, Result};
use checks::Checks;
use insight_engine::clean::table::Edit;
use insight_engine::frame::{Cell, Frame, tags};
use insight_engine::infer::array_literal;
use insight_engine::synth::{Given, Rows, Synthesizer};
use keys::Refusal;
use pgrx::{PgMemoryContexts, pg_sys};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Rows made between two looks at interrupts.
const BATCH: usize = 256;
/// After so many rows in a row that a constraint refuses, no row is believed to satisfy it.
const HOPELESS: usize = 50_000;
pub const MOST_ROWS: i64 = 1_000_000_000;

/// What rows are wanted.
pub struct Wanted<'a> {
    pub rows: usize,
    pub row_type: pg_sys::Oid,
    pub seed: u64,
    pub given: &'a serde_json::Map<String, Value>,
}

/// Rows in a tuple store of the current memory context, and their descriptor.
pub fn rows(
    model: &Synthesizer,
    wanted: &Wanted<'_>,
    random: bool,
) -> Result<(*mut pg_sys::Tuplestorestate, pg_sys::TupleDesc)> {
    // SAFETY: syscache look-ups.
    let relation = unsafe { pg_sys::get_typ_typrelid(wanted.row_type) };
    if relation == pg_sys::InvalidOid {
        // SAFETY: a syscache look-up.
        let name = unsafe { std::ffi::CStr::from_ptr(pg_sys::format_type_be(wanted.row_type)) };
        let name = name.to_string_lossy();
        return Err(
            Error::new("42804", format!("a table's row type is needed, not {name}")).hint(
                "For example SELECT * FROM insight_generate('model', 1000, NULL::customers).",
            ),
        );
    }
    // SAFETY: the relation of a row type; it is locked before it is looked at and until the transaction ends, so that the
    // descriptor stays true; the copy belongs to the current context.
    let (descriptor, attributes) = unsafe {
        let table = pg_sys::relation_open(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let descriptor = pg_sys::CreateTupleDescCopyConstr((*table).rd_att);
        pg_sys::relation_close(table, pg_sys::NoLock as pg_sys::LOCKMODE);
        (descriptor, attributes(descriptor))
    };
    let names: Vec<&str> = model.columns().map(|(name, ..)| name).collect();
    let places: Vec<Option<usize>> = attributes
        .iter()
        .map(|a| names.iter().position(|n| *n == a.name && !a.computed))
        .collect();
    if places.iter().all(Option::is_none) {
        return Err(
            Error::new("42804", "the row type has none of the model's columns")
                .hint(format!("The model knows {}.", names.join(", "))),
        );
    }
    let own = attributes.iter().zip(&places);
    let mut unknown = own.filter(|(a, place)| place.is_none() && !a.computed);
    if let Some((column, _)) = unknown.find(|(a, _)| a.not_null) {
        return Err(Error::new(
            "23502",
            format!(
                "column \"{}\" must not be NULL, and the model does not know it",
                column.name
            ),
        )
        .hint("Give the row type of a table or view without it, or train the model again."));
    }
    let mut computed = attributes.iter().filter(|a| a.computed);
    if let Some(column) = computed.find(|a| wanted.given.contains_key(&a.name)) {
        let name = &column.name;
        return Err(
            Error::new("22023", format!("column \"{name}\" cannot be given"))
                .detail("It is computed of other columns."),
        );
    }
    let given: Vec<Given<'_>> = wanted
        .given
        .iter()
        .map(|(column, value)| Given { column, value })
        .collect();
    let mut maker = Maker {
        source: model.rows(wanted.seed, &given)?,
        writers: attributes
            .iter()
            .map(|a| Writer::unchecked(a.type_oid, a.typmod))
            .collect(),
        checks: Checks::of(
            relation,
            descriptor,
            &attributes,
            wanted.rows,
            model.remembered(),
        )?,
        attributes,
        places,
        descriptor,
    };
    // SAFETY: a store of the current memory context; rows spill to disk beyond work_mem.
    let store = unsafe { pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem) };
    maker.fill(wanted.rows, store)?;
    maker.checks.free();
    Ok((store, descriptor))
}

struct Maker<'a> {
    source: Rows<'a>,
    descriptor: pg_sys::TupleDesc,
    attributes: Vec<Attribute>,
    /// The model's column for each attribute.
    places: Vec<Option<usize>>,
    writers: Vec<Writer>,
    checks: Checks,
}

impl Maker<'_> {
    fn fill(&mut self, count: usize, store: *mut pg_sys::Tuplestorestate) -> Result<()> {
        // SAFETY: the descriptor has `natts` attributes.
        let natts = unsafe { (*self.descriptor).natts } as usize;
        let mut values = vec![pg_sys::Datum::from(0usize); natts];
        let mut nulls = vec![true; natts];
        let mut context = PgMemoryContexts::new("insight generated rows");
        // What has refused rows since the last that was put, and how many.
        let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
        let (mut made, mut in_vain) = (0, 0);
        while made < count {
            let before = made;
            // Model columns of which the table has the values already.
            let mut taken = BTreeSet::new();
            let frame = self.source.next(BATCH, &mut || {
                pgrx::check_for_interrupts!();
            })?;
            for row in 0..frame.rows() {
                if made == count {
                    break;
                }
                // SAFETY: the context is ours; what the row needed is copied before it is reset.
                let refused = unsafe {
                    let refused = context
                        .switch_to(|_| self.put(&frame, row, &mut values, &mut nulls, store));
                    context.reset();
                    refused
                };
                let Some(why) = refused? else {
                    (made, in_vain) = (made + 1, 0);
                    refusals.clear();
                    continue;
                };
                let own = self.attributes.iter().zip(&self.places);
                let own = own.filter(|(a, _)| why.taken.contains(&a.place));
                taken.extend(own.filter_map(|(_, place)| *place));
                *refusals.entry(why.by).or_default() += 1;
                in_vain += 1;
                if in_vain == HOPELESS {
                    let most = refusals.iter().max_by_key(|(_, rows)| **rows);
                    let most = most.map_or("the constraints", |(why, _)| why.as_str());
                    return Err(Error::new(
                        "23514",
                        format!("generated rows do not satisfy {most}"),
                    )
                    .detail(format!(
                        "{made} rows were made before {in_vain} in a row were refused."
                    ))
                    .hint(
                        "Give fewer conditions, or the row type of a view without the constraint.",
                    ));
                }
            }
            if made == before {
                // The table has grown since the model was trained.
                taken.iter().for_each(|column| self.source.leap(*column));
            }
            pgrx::check_for_interrupts!();
        }
        Ok(())
    }

    /// Adds a row to the store, or answers what refuses it.
    fn put(
        &mut self,
        frame: &Frame,
        row: usize,
        values: &mut [pg_sys::Datum],
        nulls: &mut [bool],
        store: *mut pg_sys::Tuplestorestate,
    ) -> Result<Option<Refusal>> {
        let columns = self.attributes.iter().zip(&self.places);
        for ((attribute, place), writer) in columns.zip(&self.writers) {
            let refused = |what| {
                Ok(Some(Refusal::by(format!(
                    "the {what} of column \"{}\"",
                    attribute.name
                ))))
            };
            let edit = place.and_then(|at| edit(frame.columns[at].cell(row)));
            let datum = match &edit {
                Some(edit) => match writer.datum(edit)? {
                    None => return refused("type"),
                    datum => datum,
                },
                None if attribute.not_null && !attribute.computed => return refused("NOT NULL"),
                None => None,
            };
            nulls[attribute.place] = datum.is_none();
            values[attribute.place] = datum.unwrap_or(pg_sys::Datum::from(0usize));
        }
        // SAFETY: values and nulls have the descriptor's length.
        if let Some(why) = unsafe { self.checks.refuse(values, nulls) } {
            return Ok(Some(why));
        }
        // SAFETY: as above; the store copies them.
        unsafe {
            pg_sys::tuplestore_putvalues(
                store,
                self.descriptor,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
        }
        Ok(None)
    }
}

/// A cell as a new value; `None` for NULL.
fn edit(cell: Cell<'_>) -> Option<Edit> {
    Some(match cell {
        Cell::Number(x) => Edit::Number(x),
        Cell::Boolean(x) => Edit::Boolean(x),
        Cell::Text(text) | Cell::Json(text) => Edit::Text(text.to_owned()),
        Cell::Tags(packed) => Edit::Text(array_literal(tags(packed))),
        Cell::Time(at) => Edit::Time(at),
        Cell::Duration(seconds) => Edit::Duration(seconds),
        Cell::Null | Cell::Vector(_) | Cell::Image(_) => return None,
    })
}
