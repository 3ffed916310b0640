//! Cleaning a table: a raw call frame, because the rows have the caller's own type.

use super::json::Json;
use super::rows;
use crate::error::{Result, or_raise, required};
use crate::relation::clean::Plan;
use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys};

/// # Safety
/// `fcinfo` must be a valid call frame of (anyelement, jsonb, text).
unsafe fn clean(fcinfo: pg_sys::FunctionCallInfo) -> Result<()> {
    // SAFETY: promised by the caller.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(3);
        let row_type = pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 0);
        let options: Option<Json> = FromDatum::from_datum(arguments[1].value, arguments[1].isnull);
        let relation: Option<&str> = FromDatum::from_datum(arguments[2].value, arguments[2].isnull);
        let options = required(options, "options")?;
        rows::give(fcinfo, "insight_clean(NULL::customers)", |random| {
            Plan::new(row_type, &options.0, relation).and_then(|plan| plan.run(random))
        })
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_clean(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        or_raise(clean(fcinfo));
        (*fcinfo).isnull = true;
    }
    pg_sys::Datum::from(0usize)
}

super::call::version_1!(pg_finfo_insight_clean);

extension_sql!(
    r#"
CREATE FUNCTION insight_clean("like" anyelement, options jsonb DEFAULT '{}', relation text DEFAULT NULL)
  RETURNS SETOF anyelement LANGUAGE c STABLE COST 10000 AS 'MODULE_PATHNAME', 'insight_clean';
COMMENT ON FUNCTION insight_clean(anyelement, jsonb, text) IS
'the rows of a table, cleaned: SELECT * FROM insight_clean(NULL::customers, ''{"text": {"trim": true}, "outliers": "clip"}''). A tool to prepare data: it learns medians, bounds and spellings from all rows, so a model is better given the option clean of insight_train, which learns them from the training rows';
"#,
    name = "clean"
);
