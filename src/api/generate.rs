//! New rows: a raw call frame, because they have the caller's own type.

use super::json::Json;
use super::rows;
use crate::error::{Error, Result, or_raise, required};
use crate::relation::fidelity;
use crate::relation::generate::{self, MOST_ROWS, Wanted};
use crate::store::cache;
use crate::store::rights::Right;
use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys};
use serde_json::{Map, Value};

/// # Safety
/// `fcinfo` must be a valid call frame of (text, bigint, anyelement, bigint, jsonb).
unsafe fn make(fcinfo: pg_sys::FunctionCallInfo) -> Result<()> {
    // SAFETY: promised by the caller.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(5);
        let of = |at: usize| (arguments[at].value, arguments[at].isnull);
        let model: Option<&str> = FromDatum::from_datum(of(0).0, of(0).1);
        let count: Option<i64> = FromDatum::from_datum(of(1).0, of(1).1);
        let seed: Option<i64> = FromDatum::from_datum(of(3).0, of(3).1);
        let given: Option<Json> = FromDatum::from_datum(of(4).0, of(4).1);
        let row_type = pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 2);
        let model = cache::synthesizer(required(model, "model")?, Right::Predict)?;
        let count = required(count, "rows")?;
        if !(0..=MOST_ROWS).contains(&count) {
            return Err(Error::new(
                "22023",
                format!("rows must be an integer from 0 to {MOST_ROWS}"),
            ));
        }
        let given = match given.map_or(Value::Null, |given| given.0) {
            Value::Null => Map::new(),
            Value::Object(given) => given,
            _ => {
                return Err(Error::new("22023", "given must be a JSON object")
                    .hint("For example '{\"churn\": true}'."));
            }
        };
        let wanted = Wanted {
            rows: count as usize,
            row_type,
            seed: seed.map(|seed| seed as u64),
            given: &given,
        };
        rows::give(
            fcinfo,
            "insight_generate('model', 1000, NULL::customers)",
            |random| generate::rows(&model, &wanted, random),
        )
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_generate(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        or_raise(make(fcinfo));
        (*fcinfo).isnull = true;
    }
    pg_sys::Datum::from(0usize)
}

super::call::version_1!(pg_finfo_insight_generate);

/// How true generated rows are to real ones, and how much they give away.
#[pg_extern(volatile)]
fn insight_fidelity(
    model: Option<&str>,
    real: Option<&str>,
    synthetic: default!(Option<&str>, "NULL"),
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(measure, String),
        name!(columns, Option<String>),
        name!(value, f64),
    ),
> {
    let found = || {
        let model = cache::synthesizer(required(model, "model")?, Right::Predict)?;
        let empty = Map::new();
        let options = options
            .as_ref()
            .and_then(|o| o.0.as_object())
            .unwrap_or(&empty);
        fidelity::compare(&model, required(real, "real")?, synthetic, options)
    };
    let columns = |of: Vec<String>| (!of.is_empty()).then(|| of.join(", "));
    TableIterator::new(
        or_raise(found())
            .into_iter()
            .map(move |m| (m.measure, columns(m.columns), m.value)),
    )
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_fidelity(text, text, text, jsonb) IS
'how true generated rows (of a relation, else made now) are to the real ones a model was trained on, by the definitions of SDMetrics: shapes of columns, trends of pairs, coverage, whether trees can tell them apart, what models learned from them are worth (option target), and what they give away (option holdout: rows that were not trained on)';
CREATE FUNCTION insight_generate(model text, rows bigint, "like" anyelement, seed bigint DEFAULT NULL, given jsonb DEFAULT NULL)
  RETURNS SETOF anyelement LANGUAGE c VOLATILE COST 10000 AS 'MODULE_PATHNAME', 'insight_generate';
COMMENT ON FUNCTION insight_generate(text, bigint, anyelement, bigint, jsonb) IS
'new rows like those a model was trained on (algorithm gan or tvae), in the row type of a table whose NOT NULL, CHECK, UNIQUE, EXCLUDE and FOREIGN KEY constraints hold, also beside the rows it has: SELECT * FROM insight_generate(''twins'', 1000, NULL::customers, seed => 7, given => ''{"churn": true}''); with the row type of a child''s table (option children of insight_train), the rows that belong to the parents of the same rows and seed';
"#,
    name = "generate",
    requires = [insight_fidelity]
);
