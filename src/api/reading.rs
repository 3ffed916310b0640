//! The aggregate by which parallel workers read tables: raw call frames, because it is called once per row.

use super::call::version_1;
use crate::error::{Error, or_raise};
use crate::relation::parallel::part::State;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// Frees a state with the aggregate's memory.
#[pg_guard]
unsafe extern "C-unwind" fn free_state(state: *mut std::ffi::c_void) {
    // SAFETY: made by Box::into_raw in `keep`, freed once by the context's reset.
    drop(unsafe { Box::from_raw(state.cast::<State>()) });
}

/// Keeps a state as long as the aggregate needs it.
///
/// # Safety
/// `fcinfo` must be a valid call frame.
unsafe fn keep(fcinfo: pg_sys::FunctionCallInfo, state: State) -> *mut State {
    // SAFETY: promised by the caller; outside of an aggregate there is an error.
    unsafe {
        let mut context = std::ptr::null_mut();
        if pg_sys::AggCheckCallContext(fcinfo, &mut context) == 0 {
            Error::new(
                "55000",
                "the function is a part of the aggregate insight.read_rows",
            )
            .raise();
        }
        let callback =
            pg_sys::MemoryContextAllocZero(context, size_of::<pg_sys::MemoryContextCallback>())
                .cast::<pg_sys::MemoryContextCallback>();
        let state = Box::into_raw(Box::new(state));
        (*callback).func = Some(free_state);
        (*callback).arg = state.cast();
        pg_sys::MemoryContextRegisterResetCallback(context, callback);
        state
    }
}

/// An argument that is a state, or none.
///
/// # Safety
/// `fcinfo` must be a valid call frame whose argument of this number has the type `internal`.
unsafe fn state(fcinfo: pg_sys::FunctionCallInfo, argument: usize) -> *mut State {
    // SAFETY: promised by the caller.
    let argument = unsafe { (*fcinfo).args.as_slice(argument + 1)[argument] };
    match argument.isnull {
        true => std::ptr::null_mut(),
        false => argument.value.cast_mut_ptr(),
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_read_step(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        let mut own = state(fcinfo, 0);
        if own.is_null() {
            own = keep(fcinfo, State::default());
        }
        or_raise((*own).step(fcinfo));
        pg_sys::Datum::from(own)
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_read_join(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        let (own, other) = (state(fcinfo, 0), state(fcinfo, 1));
        let joined = match (own.is_null(), other.is_null()) {
            (true, _) => other,
            (_, true) => own,
            _ => {
                (*own).parts.append(&mut (*other).parts);
                own
            }
        };
        (*fcinfo).isnull = joined.is_null();
        pg_sys::Datum::from(joined)
    }
}

/// Ends what this process reads, and says where its rows are.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_read_end(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        let own = state(fcinfo, 0);
        let bytes = match own.is_null() {
            true => None,
            false => {
                (*own).finish();
                (*own).to_bytes().into_datum()
            }
        };
        (*fcinfo).isnull = bytes.is_none();
        bytes.unwrap_or(pg_sys::Datum::from(0usize))
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_read_take(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below; STRICT: the bytes are there.
    unsafe {
        let bytes = (*fcinfo).args.as_slice(1)[0].value;
        let bytes: &[u8] = FromDatum::from_datum(bytes, false).unwrap_or_default();
        pg_sys::Datum::from(keep(fcinfo, State::from_bytes(bytes)))
    }
}

version_1!(
    pg_finfo_insight_read_step,
    pg_finfo_insight_read_join,
    pg_finfo_insight_read_end,
    pg_finfo_insight_read_take
);

extension_sql!(
    r#"
CREATE FUNCTION insight.read_step(internal, part integer, "table" oid, place tid, VARIADIC "any") RETURNS internal
  LANGUAGE c PARALLEL SAFE COST 20 AS 'MODULE_PATHNAME', 'insight_read_step';
COMMENT ON FUNCTION insight.read_step(internal, integer, oid, tid, VARIADIC "any") IS 'part of insight.read_rows';
CREATE FUNCTION insight.read_join(internal, internal) RETURNS internal
  LANGUAGE c PARALLEL SAFE AS 'MODULE_PATHNAME', 'insight_read_join';
COMMENT ON FUNCTION insight.read_join(internal, internal) IS 'part of insight.read_rows';
CREATE FUNCTION insight.read_end(internal) RETURNS bytea
  LANGUAGE c PARALLEL SAFE AS 'MODULE_PATHNAME', 'insight_read_end';
COMMENT ON FUNCTION insight.read_end(internal) IS 'part of insight.read_rows';
CREATE FUNCTION insight.read_take(bytea, internal) RETURNS internal
  LANGUAGE c STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'insight_read_take';
COMMENT ON FUNCTION insight.read_take(bytea, internal) IS 'part of insight.read_rows';
CREATE AGGREGATE insight.read_rows(part integer, "table" oid, place tid, VARIADIC "any") (
  SFUNC = insight.read_step, STYPE = internal, FINALFUNC = insight.read_end, FINALFUNC_MODIFY = READ_WRITE,
  COMBINEFUNC = insight.read_join, SERIALFUNC = insight.read_end, DESERIALFUNC = insight.read_take, PARALLEL = SAFE);
COMMENT ON AGGREGATE insight.read_rows(integer, oid, tid, VARIADIC "any") IS 'how insight itself reads a table by parallel workers';
"#,
    name = "reading",
    requires = ["catalog"]
);
