//! What a table declares about its rows: CHECK and UNIQUE constraints.

use crate::error::{Error, Result};
use crate::settings;
use insight_engine::fit::label_of;
use insight_engine::frame::{Cell, Frame};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::HashSet;
use std::ffi::CStr;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Bytes that a row takes in the memory of a unique key, about.
const BYTES_OF_KEY: usize = 40;

/// A table's constraints, ready to look at rows.
pub struct Checks {
    /// Name and prepared expression of each CHECK.
    expressions: Vec<(String, *mut pg_sys::ExprState)>,
    /// Where the expressions run; null without any.
    state: *mut pg_sys::EState,
    context: *mut pg_sys::ExprContext,
    slot: *mut pg_sys::TupleTableSlot,
    /// Columns of the row type.
    width: usize,
    keys: Vec<Key>,
}

/// A unique key, and what rows have had in it.
struct Key {
    name: String,
    /// The model's columns.
    columns: Vec<usize>,
    /// Whether a NULL equals another.
    nulls_equal: bool,
    /// Hashes of 128 bits: two keys that share one are not to be met.
    seen: HashSet<u128>,
}

impl Checks {
    /// The constraints of a relation that is locked, whose rows `descriptor` describes. `columns` are the model's; keys with
    /// others are not looked at. So many `rows` are to come, with
    /// so many columns of which each value is `invented` and remembered.
    pub fn of(
        relation: pg_sys::Oid,
        descriptor: pg_sys::TupleDesc,
        columns: &[&str],
        rows: usize,
        invented: usize,
    ) -> Result<Checks> {
        let keys = keys(relation, columns)?;
        let bytes = rows.saturating_mul((keys.len() + invented) * BYTES_OF_KEY);
        if bytes > settings::max_memory() {
            return Err(Error::new(
                "53200",
                format!(
                    "{rows} rows of keys need more than the {} MB that may be used",
                    settings::max_memory() >> 20
                ),
            )
            .hint("Make fewer rows at a time, or have a superuser raise insight.max_memory."));
        }
        let mut checks = Checks {
            expressions: Vec::new(),
            state: std::ptr::null_mut(),
            context: std::ptr::null_mut(),
            slot: std::ptr::null_mut(),
            // SAFETY: a valid descriptor.
            width: unsafe { (*descriptor).natts } as usize,
            keys,
        };
        // SAFETY: the descriptor holds its own copy of the constraints; everything lives in the current memory context.
        unsafe {
            let constraints = (*descriptor).constr;
            let count = if constraints.is_null() {
                0
            } else {
                (*constraints).num_check as usize
            };
            if count > 0 {
                checks.state = pg_sys::CreateExecutorState();
                checks.context = pg_sys::MakePerTupleExprContext(checks.state);
                checks.slot =
                    pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsVirtual);
                for check in std::slice::from_raw_parts((*constraints).check, count) {
                    let name = CStr::from_ptr(check.ccname).to_string_lossy().into_owned();
                    let expression = pg_sys::stringToNode(check.ccbin).cast::<pg_sys::Expr>();
                    let prepared = pg_sys::ExecPrepareExpr(expression, checks.state);
                    checks.expressions.push((name, prepared));
                }
            }
        }
        Ok(checks)
    }

    /// What refuses a row; its keys are remembered if nothing does.
    ///
    /// # Safety
    /// `values` and `nulls` must be a row of the row type.
    pub unsafe fn refuse(
        &mut self,
        frame: &Frame,
        row: usize,
        values: &[pg_sys::Datum],
        nulls: &[bool],
    ) -> Option<String> {
        // SAFETY: promised by the caller; the slot has the row type's descriptor.
        unsafe {
            if !self.context.is_null() {
                pg_sys::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
                pg_sys::ExecClearTuple(self.slot);
                let (to, to_null) = ((*self.slot).tts_values, (*self.slot).tts_isnull);
                std::ptr::copy_nonoverlapping(values[..self.width].as_ptr(), to, self.width);
                std::ptr::copy_nonoverlapping(nulls[..self.width].as_ptr(), to_null, self.width);
                pg_sys::ExecStoreVirtualTuple(self.slot);
                (*self.context).ecxt_scantuple = self.slot;
                for (name, expression) in &self.expressions {
                    if !pg_sys::ExecCheck(*expression, self.context) {
                        return Some(format!("the check \"{name}\""));
                    }
                }
            }
        }
        let found: Vec<Option<u128>> = self.keys.iter().map(|key| key.hash(frame, row)).collect();
        for (key, own) in self.keys.iter().zip(&found) {
            if own.is_some_and(|own| key.seen.contains(&own)) {
                return Some(format!("the unique key \"{}\"", key.name));
            }
        }
        for (key, own) in self.keys.iter_mut().zip(found) {
            key.seen.extend(own);
        }
        None
    }

    /// Frees what the expressions needed. Where an error is raised instead, the query's memory frees it.
    pub fn free(self) {
        if !self.state.is_null() {
            // SAFETY: made by `of`, freed once.
            unsafe {
                pg_sys::ExecDropSingleTupleTableSlot(self.slot);
                pg_sys::FreeExecutorState(self.state);
            }
        }
    }
}

impl Key {
    /// Of the row's values; `None` where one is NULL, which equals nothing.
    fn hash(&self, frame: &Frame, row: usize) -> Option<u128> {
        let mut hashers = [DefaultHasher::new(), DefaultHasher::new()];
        1u8.hash(&mut hashers[1]);
        for at in &self.columns {
            let text = match frame.columns[*at].cell(row) {
                Cell::Null if !self.nulls_equal => return None,
                Cell::Null => None,
                Cell::Time(at) => Some(at.to_string()),
                Cell::Tags(text) | Cell::Json(text) => Some(text.to_owned()),
                cell => Some(label_of(cell)),
            };
            hashers.iter_mut().for_each(|hasher| text.hash(hasher));
        }
        let [a, b] = hashers.map(|hasher| u128::from(hasher.finish()));
        Some(a << 64 | b)
    }
}

/// Unique keys of which the model knows every column.
fn keys(relation: pg_sys::Oid, columns: &[&str]) -> Result<Vec<Key>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT c.relname::pg_catalog.text, ARRAY(SELECT a.attname::pg_catalog.text \
               FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY k (attnum, place) JOIN pg_catalog.pg_attribute a \
               ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k.attnum \
               WHERE k.place OPERATOR(pg_catalog.<=) i.indnkeyatts), i.indnullsnotdistinct \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
             WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL",
            None,
            &[relation.into()],
        )?;
        let mut keys = Vec::new();
        for row in rows {
            let (Some(name), Some(own)) = (row.get::<String>(1)?, row.get::<Vec<String>>(2)?)
            else {
                continue;
            };
            let places: Option<Vec<usize>> = own
                .iter()
                .map(|own| columns.iter().position(|c| c == own))
                .collect();
            let nulls_equal = row.get::<bool>(3)?.unwrap_or(false);
            keys.extend(places.map(|columns| Key {
                name,
                columns,
                nulls_equal,
                seen: HashSet::new(),
            }));
        }
        Ok(keys)
    })
}
