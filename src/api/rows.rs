//! Sets of rows of the caller's own type: call frames are raw for them.

use crate::error::{Error, Result};
use pgrx::pg_sys;
use std::ffi::CStr;

/// A store of rows and their descriptor.
pub type Store = (*mut pg_sys::Tuplestorestate, pg_sys::TupleDesc);

/// A store of rows of so many columns, in the current memory context.
///
/// # Safety
/// The context must outlive the store, and the datums must be of the columns' types.
pub unsafe fn store<const N: usize>(
    columns: &[(&CStr, pg_sys::Oid); N],
    rows: impl Iterator<Item = [Option<pg_sys::Datum>; N]>,
    random: bool,
) -> Store {
    // SAFETY: a descriptor of so many columns; values and nulls have one for each.
    unsafe {
        let descriptor = pg_sys::CreateTemplateTupleDesc(N as i32);
        for (i, (name, type_oid)) in columns.iter().enumerate() {
            pg_sys::TupleDescInitEntry(descriptor, i as i16 + 1, name.as_ptr(), *type_oid, -1, 0);
        }
        let store = pg_sys::tuplestore_begin_heap(random, false, pg_sys::work_mem);
        for row in rows {
            let mut nulls = row.map(|value| value.is_none());
            let mut values = row.map(|value| value.unwrap_or(pg_sys::Datum::from(0usize)));
            pg_sys::tuplestore_putvalues(
                store,
                descriptor,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
        }
        (store, descriptor)
    }
}

/// Answers a call with the rows that `make` puts into a store; it is told whether they may be read in any order. `example` is a call
/// as it should be.
///
/// # Safety
/// `fcinfo` must be a valid call frame of a function that returns a set.
pub unsafe fn give(
    fcinfo: pg_sys::FunctionCallInfo,
    example: &str,
    make: impl FnOnce(bool) -> Result<Store>,
) -> Result<()> {
    // SAFETY: promised by the caller; a set-returning function is called with a ReturnSetInfo, whose per-query context
    // outlives this call.
    unsafe {
        let info = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
        let materialize = pg_sys::SetFunctionReturnMode::SFRM_Materialize as i32;
        if info.is_null()
            || (*info).type_ != pg_sys::NodeTag::T_ReturnSetInfo
            || (*info).allowedModes & materialize == 0
        {
            let name = example.split('(').next().unwrap_or_default();
            return Err(Error::new("0A000", format!("{name} returns a set of rows"))
                .hint(format!("Use it in FROM: SELECT * FROM {example}.")));
        }
        let random = pg_sys::SetFunctionReturnMode::SFRM_Materialize_Random as i32;
        let random = (*info).allowedModes & random != 0;
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*(*info).econtext).ecxt_per_query_memory;
        let made = make(random);
        pg_sys::CurrentMemoryContext = before;
        let (store, descriptor) = made?;
        (*info).returnMode = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
        (*info).setResult = store;
        (*info).setDesc = descriptor;
        Ok(())
    }
}
