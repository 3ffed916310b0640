//! What would have to be different for another answer: a raw call frame, because it takes any row and answers a set.

use super::json::Json;
use super::{predict, rows};
use crate::error::{Error, Result, or_raise, required};
use crate::relation::explain::{go, goal, has_rows, ways};
use insight_engine::explain;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};
use serde_json::{Map, Value};

/// The columns of [`insight_counterfactual`].
const CHANGES: [(&std::ffi::CStr, pg_sys::Oid); 6] = [
    (c"alternative", pg_sys::INT4OID),
    (c"feature", pg_sys::TEXTOID),
    (c"from", pg_sys::TEXTOID),
    (c"to", pg_sys::TEXTOID),
    (c"cost", pg_sys::FLOAT8OID),
    (c"prediction", pg_sys::FLOAT8OID),
];

/// # Safety
/// `fcinfo` must be a valid call frame of (text, row or JSON, text, jsonb).
unsafe fn how(fcinfo: pg_sys::FunctionCallInfo) -> Result<()> {
    // SAFETY: promised by the caller.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(4);
        let aim: Option<&str> = FromDatum::from_datum(arguments[2].value, arguments[2].isnull);
        let given: Option<Json> = FromDatum::from_datum(arguments[3].value, arguments[3].isnull);
        let aim = required(aim, "goal")?;
        let given = match given.map_or(Value::Null, |given| given.0) {
            Value::Null => Map::new(),
            Value::Object(given) => given,
            _ => return Err(Error::new("22023", "options must be a JSON object")),
        };
        let missing = arguments[0].isnull || arguments[1].isnull;
        rows::give(
            fcinfo,
            "insight_counterfactual('model', c, '< 0.2')",
            |random| {
                if missing {
                    return Ok(rows::store(&CHANGES, std::iter::empty(), random));
                }
                let found = predict::with_row(fcinfo, |predictor, cells, scratch| {
                    let goal = goal(predictor, aim)?;
                    let ways = ways(predictor, &given)?;
                    has_rows(predictor)?;
                    let found =
                        explain::counterfactuals(predictor, cells, goal, &ways, scratch, &mut go);
                    let inputs = predictor.artifact().recipe.columns();
                    let mut lines = Vec::new();
                    for (way, alternative) in found.unwrap_or_default().iter().zip(1i32..) {
                        for change in &way.changes {
                            lines.push([
                                alternative.into_datum(),
                                inputs[change.column].name.as_str().into_datum(),
                                change.from.as_deref().into_datum(),
                                change.to.as_str().into_datum(),
                                way.cost.into_datum(),
                                way.prediction.into_datum(),
                            ]);
                        }
                    }
                    Ok(lines)
                });
                let lines: Vec<_> = found.and_then(|found: Result<_>| found)?;
                Ok(rows::store(&CHANGES, lines.into_iter(), random))
            },
        )
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_counterfactual(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        or_raise(how(fcinfo));
        (*fcinfo).isnull = true;
    }
    pg_sys::Datum::from(0usize)
}
super::call::version_1!(pg_finfo_insight_counterfactual);

extension_sql!(
    r#"
CREATE FUNCTION insight_counterfactual(model text, "row" anyelement, goal text, options jsonb DEFAULT '{}')
  RETURNS TABLE (alternative integer, feature text, "from" text, "to" text, cost double precision, prediction double precision)
  LANGUAGE c STABLE PARALLEL SAFE COST 100000 ROWS 4 AS 'MODULE_PATHNAME', 'insight_counterfactual';
COMMENT ON FUNCTION insight_counterfactual(text, anyelement, text, jsonb) IS
'the cheapest changes of a row, to values that were seen, for which the model answers the goal: a label, or a bound such as ''< 0.2''';
CREATE FUNCTION insight_counterfactual(model text, "row" text, goal text, options jsonb DEFAULT '{}')
  RETURNS TABLE (alternative integer, feature text, "from" text, "to" text, cost double precision, prediction double precision)
  LANGUAGE c STABLE PARALLEL SAFE COST 100000 ROWS 4 AS 'MODULE_PATHNAME', 'insight_counterfactual';
COMMENT ON FUNCTION insight_counterfactual(text, text, text, jsonb) IS
'the cheapest changes of a row that is JSON in text, to values that were seen, for which the model answers the goal: a label, or a bound such as ''< 0.2''';
"#,
    name = "counterfactual"
);
