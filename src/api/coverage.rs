//! Answers that hold the truth as often as asked: intervals of numbers and sets of labels.

use super::predict::{answer, answer_prepared};
use crate::error::{Error, Result, or_raise};
use insight_engine::artifact::Task;
use insight_engine::conformal::members;
use insight_engine::infer::Predictor;
use pgrx::datum::RangeBound;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// The third argument of a call.
///
/// # Safety
/// `fcinfo` must be a valid call frame whose third argument is a float8 that is not NULL.
unsafe fn coverage(fcinfo: pg_sys::FunctionCallInfo) -> Result<f64> {
    // SAFETY: promised by the caller.
    let given = unsafe { f64::from_datum((*fcinfo).args.as_slice(3)[2].value, false) };
    given.filter(|c| *c > 0.0 && *c < 1.0).ok_or_else(|| {
        Error::new("22023", "coverage must be above 0 and below 1")
            .hint("For example 0.9 for nine in ten.")
    })
}

/// An error for models that know nothing of their errors.
fn needs_errors(predictor: &Predictor) -> Result<()> {
    if predictor.artifact().settled.conformal.is_empty() {
        return Err(Error::new(
            "55000",
            "the version was trained without validation rows, whose errors tell how far predictions are off",
        )
        .hint("Train it with validation_size above 0."));
    }
    Ok(())
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_interval(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        let coverage = or_raise(coverage(fcinfo));
        answer_prepared(fcinfo, |predictor, row| {
            if predictor.artifact().task != Task::Regression {
                let name = predictor.artifact().task.name();
                return Err(
                    Error::new("22023", format!("a model of task {name} has no interval"))
                        .hint("Use insight_classes for the labels that are to be reckoned with."),
                );
            }
            needs_errors(predictor)?;
            let (low, high) = predictor.interval(row, coverage);
            let bound = |end: Option<f64>| match end.map(AnyNumeric::try_from) {
                Some(Ok(end)) => RangeBound::Inclusive(end),
                _ => RangeBound::Infinite,
            };
            Range::<AnyNumeric>::new(bound(low), bound(high))
                .into_datum()
                .ok_or_else(|| Error::new("XX000", "the interval cannot be answered"))
        })
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_classes(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        let coverage = or_raise(coverage(fcinfo));
        answer(fcinfo, |predictor, predictions| {
            if !predictor.artifact().task.has_one_label() {
                let name = predictor.artifact().task.name();
                return Err(Error::new(
                    "22023",
                    format!("a model of task {name} has no set of labels"),
                )
                .hint(
                    "Use insight_interval for an interval, insight_probabilities for each label.",
                ));
            }
            needs_errors(predictor)?;
            let artifact = predictor.artifact();
            let limit = artifact.settled.conformal.limit(coverage);
            let labels: Vec<&str> = members(predictions, limit)
                .into_iter()
                .filter_map(|code| artifact.target.labels.get(code).map(String::as_str))
                .collect();
            labels
                .into_datum()
                .ok_or_else(|| Error::new("XX000", "the labels cannot be answered"))
        })
    }
}

super::call::version_1!(pg_finfo_insight_interval, pg_finfo_insight_classes);

extension_sql!(
    r#"
CREATE FUNCTION insight_interval(model text, "row" anyelement, coverage double precision = 0.9) RETURNS numrange
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_interval';
COMMENT ON FUNCTION insight_interval(text, anyelement, double precision) IS 'an interval that holds the value of a table row, ROW(...) or jsonb as often as asked';
CREATE FUNCTION insight_interval(model text, "row" text, coverage double precision = 0.9) RETURNS numrange
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_interval';
COMMENT ON FUNCTION insight_interval(text, text, double precision) IS 'an interval that holds the value of a row that is JSON in text as often as asked';
CREATE FUNCTION insight_classes(model text, "row" anyelement, coverage double precision = 0.9) RETURNS text[]
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_classes';
COMMENT ON FUNCTION insight_classes(text, anyelement, double precision) IS 'the labels among which that of a table row, ROW(...) or jsonb is as often as asked, the likeliest first';
CREATE FUNCTION insight_classes(model text, "row" text, coverage double precision = 0.9) RETURNS text[]
  LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'insight_classes';
COMMENT ON FUNCTION insight_classes(text, text, double precision) IS 'the labels among which that of a row that is JSON in text is as often as asked, the likeliest first';
"#,
    name = "coverage"
);
