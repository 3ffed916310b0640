//! Sets of rows of the caller's own type: call frames are raw for them.

use crate::error::{Error, Result};
use pgrx::pg_sys;

/// A store of rows and their descriptor.
pub type Store = (*mut pg_sys::Tuplestorestate, pg_sys::TupleDesc);

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
