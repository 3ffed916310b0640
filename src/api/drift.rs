//! Whether rows still look like those a model was trained on. Novelty is a raw call frame, because it takes any row.

use super::predict;
use crate::error::{Error, or_raise, required};
use crate::relation::drift;
use crate::store::cache;
use crate::store::rights::Right;
use insight_engine::drift::Of;
use pgrx::pg_sys;
use pgrx::prelude::*;

/// How far a relation has moved from the rows a model was trained on.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_drift(
    model: Option<&str>,
    relation: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(feature, String),
        name!(psi, Option<f64>),
        name!(js, Option<f64>),
        name!(statistic, Option<f64>),
        name!(p_value, Option<f64>),
        name!(novel, Option<f64>),
        name!(missing, Option<f64>),
        name!(missing_change, Option<f64>),
        name!(test, Option<String>),
        name!(share, Option<f64>),
    ),
> {
    let predictor = or_raise(
        required(model, "model").and_then(|model| cache::predictor(model, Right::Explain)),
    );
    let relation = required(relation, "relation");
    let found = or_raise(relation.and_then(|relation| drift::of(&predictor, relation)));
    let inputs = predictor.artifact().recipe.columns();
    let lines: Vec<_> = found
        .into_iter()
        .map(|shift| {
            let feature = match shift.of {
                Of::Column(at) => inputs.get(at).map_or("", |input| input.name.as_str()),
                Of::Answers => "(prediction)",
                Of::Rows => "(rows)",
            };
            (
                feature.to_owned(),
                shift.psi,
                shift.js,
                shift.statistic,
                shift.p_value,
                shift.novel,
                shift.missing,
                shift.missing_change,
                shift.test,
                shift.share,
            )
        })
        .collect();
    TableIterator::new(lines)
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_novelty(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below; STRICT: both arguments are there.
    let novelty = unsafe {
        predict::with_row(fcinfo, |predictor, cells, _| {
            drift::needs_statistics(predictor)?;
            predictor.novelty(cells).ok_or_else(|| {
                Error::new("55000", "the version keeps too few rows to compare with")
                    .detail("More than 10 rows must have been held out when it was trained.")
                    .hint("Train it on more rows.")
            })
        })
    };
    let novelty = or_raise(novelty.and_then(|novelty| novelty));
    pg_sys::Datum::from(novelty.to_bits())
}
super::call::version_1!(pg_finfo_insight_novelty);

extension_sql!(
    r#"
CREATE FUNCTION insight_novelty(model text, "row" anyelement) RETURNS double precision
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'insight_novelty';
COMMENT ON FUNCTION insight_novelty(text, anyelement) IS
'how unlike the rows a model was judged on a row is: the share of them that are nearer to one another than the row is to its nearest ones';
CREATE FUNCTION insight_novelty(model text, "row" text) RETURNS double precision
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 AS 'MODULE_PATHNAME', 'insight_novelty';
COMMENT ON FUNCTION insight_novelty(text, text) IS
'how unlike the rows a model was judged on a row that is JSON in text is: the share of them that are nearer to one another than the row is to its nearest ones';
COMMENT ON FUNCTION insight_drift(text, text) IS
'how far the columns of a relation, the predictions and all columns together have moved since training; the columns that moved most first';
"#,
    name = "drift",
    requires = [insight_drift]
);
