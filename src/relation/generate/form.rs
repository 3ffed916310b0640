//! A table's row type, what it declares about its rows, and rows of a model put into it.

use super::checks::Checks;
use super::keys::{Refusal, Scope};
use crate::error::{Error, Result};
use crate::relation::attributes::{Attribute, attributes};
use crate::relation::datum::Writer;
use insight_engine::clean::table::Edit;
use insight_engine::frame::{Cell, Frame, tags};
use insight_engine::infer::array_literal;
use pgrx::{PgMemoryContexts, pg_sys};
use std::collections::BTreeMap;

/// After so many rows in a row that a constraint refuses, no row is believed to satisfy it.
const HOPELESS: usize = 50_000;

pub struct Form {
    descriptor: pg_sys::TupleDesc,
    pub attributes: Vec<Attribute>,
    /// The model's column for each attribute.
    places: Vec<Option<usize>>,
    writers: Vec<Writer>,
    checks: Checks,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    context: PgMemoryContexts,
}

impl Form {
    /// The row type of a relation for rows with the columns `names`. So many `rows` are to come, with so many columns of which each
    /// value is `invented` and remembered.
    pub fn of(
        relation: pg_sys::Oid,
        names: &[&str],
        rows: usize,
        invented: usize,
        scope: impl FnOnce(&[Attribute]) -> Scope,
    ) -> Result<Form> {
        // SAFETY: the relation of a row type; it is locked before it is looked at and until the transaction ends, so that the
        // descriptor stays true; the copy belongs to the current context.
        let (descriptor, attributes) = unsafe {
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let table = pg_sys::relation_open(relation, lock);
            let descriptor = pg_sys::CreateTupleDescCopyConstr((*table).rd_att);
            pg_sys::relation_close(table, pg_sys::NoLock as pg_sys::LOCKMODE);
            (descriptor, attributes(descriptor))
        };
        let places = attributes.iter().map(|a| {
            let place = names.iter().position(|n| *n == a.name);
            place.filter(|_| !a.computed)
        });
        let writers = attributes
            .iter()
            .map(|a| Writer::unchecked(a.type_oid, a.typmod));
        let scope = scope(&attributes);
        // SAFETY: the descriptor has `natts` attributes.
        let natts = unsafe { (*descriptor).natts } as usize;
        Ok(Form {
            checks: Checks::of(relation, descriptor, &attributes, rows, invented, scope)?,
            places: places.collect(),
            writers: writers.collect(),
            attributes,
            descriptor,
            values: vec![pg_sys::Datum::from(0usize); natts],
            nulls: vec![true; natts],
            context: PgMemoryContexts::new("insight generated rows"),
        })
    }

    /// How many of the columns `names` the row type of a relation has.
    pub fn known(relation: pg_sys::Oid, names: &[&str]) -> usize {
        let known = |name: &&&str| {
            let Ok(name) = std::ffi::CString::new(**name) else {
                return false;
            };
            // SAFETY: a syscache look-up.
            unsafe { pg_sys::get_attnum(relation, name.as_ptr()) > 0 }
        };
        names.iter().filter(known).count()
    }

    /// Whether rows with the columns `names` can be put into it at all.
    pub fn fits(&self, names: &[&str]) -> Result<()> {
        if self.places.iter().all(Option::is_none) {
            return Err(
                Error::new("42804", "the row type has none of the model's columns")
                    .hint(format!("The model knows {}.", names.join(", "))),
            );
        }
        let own = self.attributes.iter().zip(&self.places);
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
        Ok(())
    }

    /// The model's columns that attributes are filled from.
    pub fn columns_of(&self, attributes: &[usize]) -> impl Iterator<Item = usize> {
        let own = self.attributes.iter().zip(&self.places);
        let own = own.filter(|(a, _)| attributes.contains(&a.place));
        own.filter_map(|(_, place)| *place)
    }

    /// Adds a row to the store, if there is one, or answers what refuses it.
    pub fn put(
        &mut self,
        frame: &Frame,
        row: usize,
        store: Option<*mut pg_sys::Tuplestorestate>,
    ) -> Result<Option<Refusal>> {
        // SAFETY: the context is ours; what the row needs is copied by the store before it is reset.
        unsafe {
            let context = self.context.value();
            let before = pg_sys::MemoryContextSwitchTo(context);
            let refused = self.put_here(frame, row, store);
            pg_sys::MemoryContextSwitchTo(before);
            pg_sys::MemoryContextReset(context);
            refused
        }
    }

    fn put_here(
        &mut self,
        frame: &Frame,
        row: usize,
        store: Option<*mut pg_sys::Tuplestorestate>,
    ) -> Result<Option<Refusal>> {
        let (values, nulls) = (&mut self.values, &mut self.nulls);
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
        if let Some(store) = store {
            // SAFETY: as above; the store copies them.
            unsafe {
                let (values, nulls) = (values.as_mut_ptr(), nulls.as_mut_ptr());
                pg_sys::tuplestore_putvalues(store, self.descriptor, values, nulls);
            }
        }
        Ok(None)
    }

    /// Frees what the checks needed; answers the descriptor.
    pub fn free(self) -> pg_sys::TupleDesc {
        self.checks.free();
        self.descriptor
    }
}

/// What has refused rows since the last that was put.
#[derive(Default)]
pub struct Refusals {
    pub made: usize,
    in_vain: usize,
    by: BTreeMap<String, usize>,
}

impl Refusals {
    pub fn accepted(&mut self) {
        (self.made, self.in_vain) = (self.made + 1, 0);
        self.by.clear();
    }

    /// The same of a row that need not be: an error only if none was made at all.
    ///
    /// # Errors
    /// As [`Refusals::refused`].
    pub fn refused_child(&mut self, by: String) -> Result<()> {
        if self.made == 0 {
            self.refused(by)
        } else {
            Ok(())
        }
    }

    /// # Errors
    /// 23514 after so many rows that no row is believed to satisfy all.
    pub fn refused(&mut self, by: String) -> Result<()> {
        *self.by.entry(by).or_default() += 1;
        self.in_vain += 1;
        if self.in_vain < HOPELESS {
            return Ok(());
        }
        let most = self.by.iter().max_by_key(|(_, rows)| **rows);
        let most = most.map_or("the constraints", |(why, _)| why.as_str());
        Err(
            Error::new("23514", format!("generated rows do not satisfy {most}"))
                .detail(format!(
                    "{} rows were made before {} in a row were refused.",
                    self.made, self.in_vain
                ))
                .hint("Give fewer conditions, or the row type of a view without the constraint."),
        )
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
