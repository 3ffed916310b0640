//! Why a model answers what it does. Explaining a row is a raw call frame, because it takes any row and answers a set.

use super::{predict, rows};
use crate::error::{Error, Result, or_raise, required};
use crate::relation::explain::{Line, column, go, has_rows, lines, place};
use crate::store::rights::Right;
use crate::store::{cache, text_model};
use insight_engine::explain::{self, BACKGROUND, Explanation};
use insight_engine::infer::Predictor;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// The columns of [`insight_explain`].
const COLUMNS: [(&std::ffi::CStr, pg_sys::Oid); 7] = [
    (c"feature", pg_sys::TEXTOID),
    (c"value", pg_sys::TEXTOID),
    (c"contribution", pg_sys::FLOAT8OID),
    (c"typical", pg_sys::TEXTOID),
    (c"error", pg_sys::FLOAT8OID),
    (c"base", pg_sys::FLOAT8OID),
    (c"prediction", pg_sys::FLOAT8OID),
];

/// A store of lines, in the current memory context.
///
/// # Safety
/// The context must outlive the store.
unsafe fn store(lines: &[Line], found: &Explanation, random: bool) -> rows::Store {
    let rows = lines.iter().map(|line| {
        [
            line.feature.as_str().into_datum(),
            line.value.as_deref().into_datum(),
            line.contribution.into_datum(),
            line.typical.as_deref().into_datum(),
            line.error.into_datum(),
            found.base.into_datum(),
            found.prediction.into_datum(),
        ]
    });
    // SAFETY: promised by the caller; the datums are of these types.
    unsafe { rows::store(&COLUMNS, rows, random) }
}

/// # Safety
/// `fcinfo` must be a valid call frame of (text, row or JSON, integer, text).
unsafe fn why(fcinfo: pg_sys::FunctionCallInfo) -> Result<()> {
    // SAFETY: promised by the caller.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(4);
        let top: Option<i32> = FromDatum::from_datum(arguments[2].value, arguments[2].isnull);
        let label: Option<&str> = FromDatum::from_datum(arguments[3].value, arguments[3].isnull);
        let top = required(top, "top")?;
        if top < 1 {
            return Err(Error::new("22023", "top must be 1 or more"));
        }
        let missing = arguments[0].isnull || arguments[1].isnull;
        rows::give(fcinfo, "insight_explain('model', c)", |random| {
            if missing {
                let nothing = Explanation {
                    base: 0.0,
                    prediction: 0.0,
                    contributions: Vec::new(),
                };
                return Ok(store(&[], &nothing, random));
            }
            let found = predict::with_row(fcinfo, |predictor, cells, scratch| {
                has_rows(predictor)?;
                let label = place(predictor, label)?;
                let mut tick = || {
                    pgrx::check_for_interrupts!();
                };
                let found =
                    explain::explain(predictor, BACKGROUND, label, cells, scratch, &mut tick);
                Ok((lines(predictor, cells, &found, top as usize), found))
            });
            let (lines, found) = found.and_then(|found| found)?;
            Ok(store(&lines, &found, random))
        })
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_explain(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        or_raise(why(fcinfo));
        (*fcinfo).isnull = true;
    }
    pg_sys::Datum::from(0usize)
}
super::call::version_1!(pg_finfo_insight_explain);

/// A model that keeps rows it was judged on.
pub(super) fn with_rows(model: Option<&str>) -> Result<std::rc::Rc<Predictor>> {
    let predictor = cache::predictor(required(model, "model")?, Right::Explain)?;
    text_model::attach(&predictor)?;
    has_rows(&predictor)?;
    Ok(predictor)
}

/// What the model would lose without each column, on rows it was judged on.
#[pg_extern(stable, parallel_safe)]
fn insight_importance(
    model: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(feature, String),
        name!(importance, Option<f64>),
        name!(low, Option<f64>),
        name!(high, Option<f64>),
        name!(share, Option<f64>),
        name!(grouped_with, Vec<String>),
        name!(group_importance, Option<f64>),
    ),
> {
    let predictor = or_raise(with_rows(model));
    let inputs = predictor.artifact().recipe.columns();
    let name = |at: usize| inputs[at].name.clone();
    let found = explain::importance(&predictor, &mut go).unwrap_or_default();
    let all: f64 = found.iter().map(|own| own.importance.max(0.0)).sum();
    // What cannot be told comes last, as NULL.
    let told = |at: &usize| found.iter().any(|own| own.column == *at);
    let untold = (0..inputs.len()).filter(|at| !found.is_empty() && !told(at));
    let untold: Vec<_> = untold
        .map(|at| (name(at), None, None, None, None, Vec::new(), None))
        .collect();
    let lines: Vec<_> = found
        .into_iter()
        .map(|own| {
            (
                name(own.column),
                Some(own.importance),
                Some(own.low),
                Some(own.high),
                (all > 0.0).then_some(own.importance.max(0.0) / all),
                own.with.iter().map(|at| name(*at)).collect(),
                Some(own.of_group),
            )
        })
        .chain(untold)
        .collect();
    TableIterator::new(lines)
}

/// How the model's answers follow a column.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn insight_dependence(
    model: Option<&str>,
    feature: Option<&str>,
    label: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(value, String),
        name!(number, Option<f64>),
        name!(partial, f64),
        name!(low, f64),
        name!(high, f64),
        name!(accumulated, Option<f64>),
        name!(share, f64),
    ),
> {
    let predictor = or_raise(with_rows(model));
    let column = or_raise(required(feature, "feature").and_then(|f| column(&predictor, f)));
    let label = or_raise(place(&predictor, label));
    if label.is_none()
        && predictor
            .artifact()
            .value(&vec![0.0; predictor.width()])
            .is_none()
    {
        let labels = &predictor.artifact().target.labels;
        Error::new(
            "22023",
            "the model has several labels: which one's probability?",
        )
        .hint(format!(
            "Name one: label => '{}'.",
            labels.first().map_or("", String::as_str)
        ))
        .raise();
    }
    let found = explain::dependence(&predictor, column, label.unwrap_or(0), &mut go);
    TableIterator::new(found.unwrap_or_default().into_iter().map(|own| {
        (
            own.value,
            own.number,
            own.partial,
            own.low,
            own.high,
            own.accumulated,
            own.share,
        )
    }))
}

extension_sql!(
    r#"
CREATE FUNCTION insight_explain(model text, "row" anyelement, top integer DEFAULT 5, label text DEFAULT NULL)
  RETURNS TABLE (feature text, value text, contribution double precision, typical text, error double precision, base double precision, prediction double precision)
  LANGUAGE c STABLE PARALLEL SAFE COST 10000 ROWS 6 AS 'MODULE_PATHNAME', 'insight_explain';
COMMENT ON FUNCTION insight_explain(text, anyelement, integer, text) IS
'why a row is answered as it is: what each column adds (Shapley values); all add up to prediction - base, the mean answer';
CREATE FUNCTION insight_explain(model text, "row" text, top integer DEFAULT 5, label text DEFAULT NULL)
  RETURNS TABLE (feature text, value text, contribution double precision, typical text, error double precision, base double precision, prediction double precision)
  LANGUAGE c STABLE PARALLEL SAFE COST 10000 ROWS 6 AS 'MODULE_PATHNAME', 'insight_explain';
COMMENT ON FUNCTION insight_explain(text, text, integer, text) IS
'why a row that is JSON in text is answered as it is: what each column adds; all add up to prediction - base, the mean answer';
COMMENT ON FUNCTION insight_importance(text) IS
'by how much the loss on held-out rows grows when a column is put into random order, with 95% intervals, and together with the columns that say much the same';
COMMENT ON FUNCTION insight_dependence(text, text, text) IS
'the answers along a column: partial dependence, the middle half of the rows, and accumulated local effects';
"#,
    name = "explain",
    requires = [insight_importance, insight_dependence]
);
