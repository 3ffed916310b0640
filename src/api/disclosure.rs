//! What a table tells about people, and rows and figures that tell less.

use super::call::given;
use super::json::Json;
use super::rows;
use crate::error::{Result, must_be_primary, or_raise, required};
use crate::relation::{aggregates, anonymize, pii, risk};
use pgrx::prelude::*;
use pgrx::{FromDatum, JsonB, pg_sys};
use serde_json::{Map, Value};

/// What the columns of a relation hold about people.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_find_pii(
    relation: Option<&str>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(kind, String),
        name!(identifier, String),
        name!(confidence, f64),
        name!(share, f64),
        name!(looked_at, i64),
        name!(evidence, String),
    ),
> {
    let options = given(options);
    let found = or_raise(required(relation, "relation").and_then(|r| pii::find(r, &options)));
    TableIterator::new(found.into_iter().map(|found| {
        let kind = found.finding.kind;
        (
            found.column,
            kind.name().to_owned(),
            if kind.is_direct() { "direct" } else { "quasi" }.to_owned(),
            found.finding.confidence,
            found.finding.share,
            found.values as i64,
            found.finding.evidence,
        )
    }))
}

/// How easily the rows of a relation are found again.
#[pg_extern]
fn insight_risk(
    relation: Option<&str>,
    quasi_identifiers: Option<Vec<String>>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(measure, String),
        name!(sensitive, Option<String>),
        name!(value, f64),
    ),
> {
    let options = given(options);
    let found = || {
        let quasi = required(quasi_identifiers, "quasi_identifiers")?;
        risk::of(required(relation, "relation")?, &quasi, &options)
    };
    let found = or_raise(found()).into_iter();
    TableIterator::new(found.map(|m| (m.measure, m.sensitive, m.value)))
}

/// Figures of a relation that hide each customer.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_private_profile(
    relation: Option<&str>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(name, Option<String>),
        name!(by, Option<JsonB>),
        name!(category, Option<String>),
        name!(statistic, String),
        name!(value, f64),
        name!(low, Option<f64>),
        name!(high, Option<f64>),
        name!(epsilon, f64),
    ),
> {
    must_be_primary("insight_private_profile()");
    let options = given(options);
    let (found, by) =
        or_raise(required(relation, "relation").and_then(|r| aggregates::of(r, &options)));
    TableIterator::new(found.figures.into_iter().map(move |figure| {
        let group: Map<String, Value> = by
            .iter()
            .cloned()
            .zip(figure.by.into_iter().map(Value::from))
            .collect();
        (
            figure.column,
            (!group.is_empty()).then_some(JsonB(Value::Object(group))),
            figure.category,
            figure.statistic,
            figure.value,
            figure.within.map(|(low, _)| low),
            figure.within.map(|(_, high)| high),
            figure.epsilon,
        )
    }))
}

/// # Safety
/// `fcinfo` must be a valid call frame of (text, jsonb, anyelement).
unsafe fn make(fcinfo: pg_sys::FunctionCallInfo) -> Result<()> {
    // SAFETY: promised by the caller.
    unsafe {
        let arguments = (*fcinfo).args.as_slice(3);
        let relation: Option<&str> = FromDatum::from_datum(arguments[0].value, arguments[0].isnull);
        let given: Option<Json> = FromDatum::from_datum(arguments[1].value, arguments[1].isnull);
        let row_type = pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 2);
        let (relation, given) = (required(relation, "relation")?, given.map(|given| given.0));
        rows::give(
            fcinfo,
            "insight_anonymize('customers', '{\"columns\": {\"email\": \"pseudonym\"}}', NULL::customers)",
            |random| {
                let plan = anonymize::Plan::new(relation, given.as_ref(), row_type)?;
                anonymize::rows(plan, random)
            },
        )
    }
}

#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_anonymize(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: called by PostgreSQL as declared below.
    unsafe {
        or_raise(make(fcinfo));
        (*fcinfo).isnull = true;
    }
    pg_sys::Datum::from(0usize)
}

super::call::version_1!(pg_finfo_insight_anonymize);

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_find_pii(text, jsonb) IS
'which columns of a relation seem to hold names, e-mail addresses, telephone numbers, cards, IBANs, national numbers, addresses and the like, told by a sample of rows (option rows, 10000) and by the column''s name, with a confidence from 0 to 1; values are never shown';
COMMENT ON FUNCTION insight_risk(text, text[], jsonb) IS
'how easily rows are found again by what others may know (the quasi-identifiers): k, uniques, prosecutor, journalist and marketer risk, and the l-diversity and t-closeness of columns that must stay secret (option sensitive)';
COMMENT ON FUNCTION insight_private_profile(text, jsonb) IS
'counts, sums, means and quantiles of a relation with differential privacy: noise hides each row, or all rows of each unit (option unit)';
CREATE FUNCTION insight_anonymize(relation text, rules jsonb, "like" anyelement)
  RETURNS SETOF anyelement LANGUAGE c VOLATILE COST 10000 AS 'MODULE_PATHNAME', 'insight_anonymize';
COMMENT ON FUNCTION insight_anonymize(text, jsonb, anyelement) IS
'the rows of a relation without people, in a row type and in no order: keyed pseudonyms, masks, generalization, top coding, suppression, shuffling and noise by column, and k-anonymity, l-diversity and t-closeness over quasi-identifiers: SELECT * FROM insight_anonymize(''customers'', ''{"columns": {"email": "pseudonym"}, "k": 5, "quasi_identifiers": ["age", "zip"]}'', NULL::customers)';
"#,
    name = "comment_disclosure",
    requires = [insight_find_pii, insight_risk, insight_private_profile]
);
