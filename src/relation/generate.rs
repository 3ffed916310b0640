//! Generated rows in a table's own row type, within what the table declares.

mod checks;
mod family;
mod foreign;
mod form;
mod index;
mod keys;

use crate::error::{Error, Result};
use form::{Form, Refusals};
use insight_engine::synth::{Given, Parents, Rows, Synthesizer};
use keys::Scope;
use pgrx::pg_sys;
use serde_json::Value;
use std::collections::BTreeSet;

/// Rows made between two looks at interrupts.
const BATCH: usize = 256;
pub const MOST_ROWS: i64 = 1_000_000_000;

/// What rows are wanted.
pub struct Wanted<'a> {
    pub rows: usize,
    pub row_type: pg_sys::Oid,
    /// Without one each call makes other rows.
    pub seed: Option<u64>,
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
    // SAFETY: a store of the current memory context; rows spill to disk beyond work_mem.
    let store = unsafe { pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem) };
    let descriptor = match family::child(model, relation)? {
        Some(table) => family::rows(model, table, wanted, relation, store)?,
        None => parents(model, wanted, relation, store)?,
    };
    Ok((store, descriptor))
}

/// Rows of the table that was learned.
fn parents(
    model: &Synthesizer,
    wanted: &Wanted<'_>,
    relation: pg_sys::Oid,
    store: *mut pg_sys::Tuplestorestate,
) -> Result<pg_sys::TupleDesc> {
    let names: Vec<&str> = model.columns().map(|(name, ..)| name).collect();
    let (rows, remembered) = (wanted.rows, model.remembered());
    let mut form = Form::of(relation, &names, rows, remembered, |_| scope(model))?;
    form.fits(&names)?;
    let mut computed = form.attributes.iter().filter(|a| a.computed);
    if let Some(column) = computed.find(|a| wanted.given.contains_key(&a.name)) {
        let name = &column.name;
        return Err(
            Error::new("22023", format!("column \"{name}\" cannot be given"))
                .detail("It is computed of other columns."),
        );
    }
    // SAFETY: reads the clock.
    let now = || unsafe { pg_sys::GetCurrentTimestamp() } as u64;
    let mut source = source(model, wanted, wanted.seed.unwrap_or_else(now))?;
    fill(
        &mut source,
        Some(&mut form),
        rows,
        Some(store),
        &mut |_, _| Ok(()),
    )?;
    Ok(form.free())
}

/// Parents must be the same when their children are made, whatever has come into the tables since; and rows of a private model would
/// tell of those that are in the tables.
fn scope(model: &Synthesizer) -> Scope {
    Scope {
        tables: model.children().next().is_none() && !model.is_private(),
        except: None,
    }
}

fn source<'m>(model: &'m Synthesizer, wanted: &Wanted<'_>, seed: u64) -> Result<Rows<'m>> {
    let given: Vec<Given<'_>> = wanted
        .given
        .iter()
        .map(|(column, value)| Given { column, value })
        .collect();
    Ok(model.rows(seed, &given)?)
}

/// Makes so many rows that nothing refuses, and puts them into a store; `each` is given them, batch by batch, and which are among
/// those that count.
fn fill(
    source: &mut Rows<'_>,
    mut form: Option<&mut Form>,
    count: usize,
    store: Option<*mut pg_sys::Tuplestorestate>,
    each: &mut dyn FnMut(Parents, &[bool]) -> Result<()>,
) -> Result<()> {
    let mut refusals = Refusals::default();
    while refusals.made < count {
        let before = refusals.made;
        // Model columns of which the table has the values already.
        let mut taken = BTreeSet::new();
        let batch = source.family(BATCH, &mut || {
            pgrx::check_for_interrupts!();
        })?;
        let mut accepted = vec![false; batch.frame.rows()];
        for (row, accepted) in accepted.iter_mut().enumerate() {
            if refusals.made == count {
                break;
            }
            let refused = match &mut form {
                Some(form) => form.put(&batch.frame, row, store)?,
                None => None,
            };
            match (refused, &form) {
                (Some(why), Some(form)) => {
                    taken.extend(form.columns_of(&why.taken));
                    refusals.refused(why.by)?;
                }
                _ => {
                    refusals.accepted();
                    *accepted = true;
                }
            }
        }
        if refusals.made == before {
            // The table has grown since the model was trained.
            taken.iter().for_each(|column| source.leap(*column));
        }
        each(batch, &accepted)?;
        pgrx::check_for_interrupts!();
    }
    Ok(())
}
