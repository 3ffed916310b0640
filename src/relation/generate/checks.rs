//! What a table declares about its rows: CHECK and UNIQUE constraints.

use crate::error::Result;
use insight_engine::fit::label_of;
use insight_engine::frame::{Cell, Frame};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::HashSet;
use std::ffi::CStr;

/// A table's constraints, ready to look at rows.
pub struct Checks {
    /// Name and prepared expression of each CHECK.
    expressions: Vec<(String, *mut pg_sys::ExprState)>,
    /// Where the expressions run; null without any.
    context: *mut pg_sys::ExprContext,
    slot: *mut pg_sys::TupleTableSlot,
    /// Of each unique key: its name, the model's columns, and the values that rows have had.
    keys: Vec<(String, Vec<usize>, HashSet<Vec<String>>)>,
}

impl Checks {
    /// The constraints of a relation. `columns` are the model's; keys with others are not looked at.
    pub fn of(relation: pg_sys::Oid, columns: &[&str]) -> Result<Checks> {
        let mut checks = Checks {
            expressions: Vec::new(),
            context: std::ptr::null_mut(),
            slot: std::ptr::null_mut(),
            keys: keys(relation, columns)?,
        };
        // SAFETY: the relation of a row type is there while we hold the lock; everything lives in the current memory context.
        unsafe {
            let table =
                pg_sys::relation_open(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
            let constraints = (*(*table).rd_att).constr;
            let count = if constraints.is_null() {
                0
            } else {
                (*constraints).num_check as usize
            };
            if count > 0 {
                let state = pg_sys::CreateExecutorState();
                checks.context = pg_sys::MakePerTupleExprContext(state);
                let descriptor = pg_sys::CreateTupleDescCopy((*table).rd_att);
                checks.slot =
                    pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsVirtual);
                for check in std::slice::from_raw_parts((*constraints).check, count) {
                    let name = CStr::from_ptr(check.ccname).to_string_lossy().into_owned();
                    let expression = pg_sys::stringToNode(check.ccbin).cast::<pg_sys::Expr>();
                    checks
                        .expressions
                        .push((name, pg_sys::ExecPrepareExpr(expression, state)));
                }
            }
            pg_sys::relation_close(table, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        }
        Ok(checks)
    }

    /// What refuses a row; its keys are remembered if nothing does.
    ///
    /// # Safety
    /// `values` and `nulls` must be a row of the relation's row type.
    pub unsafe fn refuse(
        &mut self,
        frame: &Frame,
        row: usize,
        descriptor: pg_sys::TupleDesc,
        values: &[pg_sys::Datum],
        nulls: &[bool],
    ) -> Option<String> {
        // SAFETY: promised by the caller; the slot has the relation's descriptor.
        unsafe {
            let count = (*descriptor).natts as usize;
            if !self.context.is_null() {
                pg_sys::MemoryContextReset((*self.context).ecxt_per_tuple_memory);
                pg_sys::ExecClearTuple(self.slot);
                std::ptr::copy_nonoverlapping(values.as_ptr(), (*self.slot).tts_values, count);
                std::ptr::copy_nonoverlapping(nulls.as_ptr(), (*self.slot).tts_isnull, count);
                pg_sys::ExecStoreVirtualTuple(self.slot);
                (*self.context).ecxt_scantuple = self.slot;
                for (name, expression) in &self.expressions {
                    if !pg_sys::ExecCheck(*expression, self.context) {
                        return Some(format!("the check \"{name}\""));
                    }
                }
            }
        }
        let own = |columns: &[usize]| -> Option<Vec<String>> {
            let cells = columns.iter().map(|at| match frame.columns[*at].cell(row) {
                Cell::Null => None,
                Cell::Time(at) => Some(at.to_string()),
                cell => Some(label_of(cell)),
            });
            cells.collect()
        };
        let found: Vec<Option<Vec<String>>> = self
            .keys
            .iter()
            .map(|(_, columns, _)| own(columns))
            .collect();
        for ((name, _, seen), own) in self.keys.iter().zip(&found) {
            if own.as_ref().is_some_and(|own| seen.contains(own)) {
                return Some(format!("the unique key \"{name}\""));
            }
        }
        for ((_, _, seen), own) in self.keys.iter_mut().zip(found) {
            seen.extend(own);
        }
        None
    }
}

/// Unique keys of which the model knows every column.
fn keys(
    relation: pg_sys::Oid,
    columns: &[&str],
) -> Result<Vec<(String, Vec<usize>, HashSet<Vec<String>>)>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT c.relname::pg_catalog.text, ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a \
               WHERE a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey)) \
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
            keys.extend(places.map(|places| (name, places, HashSet::new())));
        }
        Ok(keys)
    })
}
