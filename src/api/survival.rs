//! The curve of a time until an event.

use super::predict::answer;
use crate::error::Error;
use insight_engine::artifact::Task;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// Time, survival and hazard of each place on a row's curve, one after the other; NaN where nothing is known.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_survival_points(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below, with three arguments; the first two are checked here, as the function is
    // not STRICT, and the third is an array or NULL.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(3);
        if arguments[0].isnull || arguments[1].isnull {
            (*fcinfo).isnull = true;
            return pg_sys::Datum::from(0);
        }
        let times: Option<Vec<Option<f64>>> =
            FromDatum::from_datum(arguments[2].value, arguments[2].isnull);
        answer(fcinfo, |predictor, hazards| {
            let artifact = predictor.artifact();
            if artifact.task != Task::Survival {
                return Err(Error::new(
                    "22023",
                    "the model does not predict the time until an event",
                )
                .hint("Train one with {\"task\": \"survival\", \"event\": \"...\"}."));
            }
            let curve = artifact.curve(hazards);
            let times = times.unwrap_or_else(|| {
                let ends = artifact.target.ends.iter();
                ends.map(|end| Some(*end)).collect()
            });
            let mut points = Vec::with_capacity(3 * times.len());
            for time in times.into_iter().flatten() {
                let point = curve.at(time);
                points.push(time);
                points.push(point.map_or(f64::NAN, |p| p.survival));
                points.push(point.map_or(f64::NAN, |p| p.hazard));
            }
            points
                .into_datum()
                .ok_or_else(|| Error::new("XX000", "the curve cannot be answered"))
        })
    }
}

super::call::version_1!(pg_finfo_insight_survival_points);

extension_sql!(
    r#"
CREATE FUNCTION insight_survival_points(model text, "row" anyelement, times float8[]) RETURNS float8[]
  LANGUAGE c STABLE PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_survival_points';
COMMENT ON FUNCTION insight_survival_points(text, anyelement, float8[]) IS 'used by insight_survival';
CREATE FUNCTION insight_survival_points(model text, "row" text, times float8[]) RETURNS float8[]
  LANGUAGE c STABLE PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_survival_points';
COMMENT ON FUNCTION insight_survival_points(text, text, float8[]) IS 'used by insight_survival';
CREATE FUNCTION insight_survival(model text, "row" anyelement, times float8[] = NULL)
  RETURNS TABLE ("time" float8, survival float8, hazard float8)
  LANGUAGE sql STABLE PARALLEL SAFE ROWS 20 AS $$
  SELECT p[3 * i - 2], NULLIF(p[3 * i - 1], 'NaN'), NULLIF(p[3 * i], 'NaN')
  FROM @extschema@.insight_survival_points(model, "row", times) p, pg_catalog.generate_series(1, pg_catalog.cardinality(p) / 3) i
$$;
COMMENT ON FUNCTION insight_survival(text, anyelement, float8[]) IS
'the probability that the event has not happened by each time, and its rate then, for a table row, ROW(...) or jsonb';
CREATE FUNCTION insight_survival(model text, "row" text, times float8[] = NULL)
  RETURNS TABLE ("time" float8, survival float8, hazard float8)
  LANGUAGE sql STABLE PARALLEL SAFE ROWS 20 AS $$
  SELECT p[3 * i - 2], NULLIF(p[3 * i - 1], 'NaN'), NULLIF(p[3 * i], 'NaN')
  FROM @extschema@.insight_survival_points(model, "row", times) p, pg_catalog.generate_series(1, pg_catalog.cardinality(p) / 3) i
$$;
COMMENT ON FUNCTION insight_survival(text, text, float8[]) IS
'the probability that the event has not happened by each time, and its rate then, for a row that is JSON in text';
"#,
    name = "survival"
);
