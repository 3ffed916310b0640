//! Looking at data before learning from it.

use super::call::given;
use super::json::Json;
use crate::error::{or_raise, required};
use crate::relation::profile;
use insight_engine::profile::{ColumnProfile, Profile};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::{Map, Value, json};

/// One row of a profile, as SQL shows it.
type Row = (
    String,
    Option<String>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<JsonB>,
    Option<JsonB>,
    Option<i64>,
    Option<String>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<String>,
    String,
);

/// What each column of a relation holds, how it goes with the target, and what to do about it; then what was found about the
/// rows as a whole.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_profile(
    relation: Option<&str>,
    target: default!(Option<&str>, "NULL"),
    time: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(type, Option<String>),
        name!(kind, Option<String>),
        name!(rows, i64),
        name!(nulls, Option<i64>),
        name!(distinct_values, Option<i64>),
        name!(quantiles, Option<JsonB>),
        name!(top_values, Option<JsonB>),
        name!(outliers, Option<i64>),
        name!(duplicate_of, Option<String>),
        name!(drift, Option<f64>),
        name!(mutual_information, Option<f64>),
        name!(p_value, Option<f64>),
        name!(leak, Option<String>),
        name!(advice, String),
    ),
> {
    let (profile, unsupported) =
        or_raise(required(relation, "relation").and_then(|r| profile::of(r, target, time)));
    TableIterator::new(rows(profile, unsupported))
}

fn rows(profile: Profile, unsupported: profile::Unsupported) -> Vec<Row> {
    let rows = profile.rows as i64;
    let mut all: Vec<Row> = profile.columns.into_iter().map(column_row).collect();
    let bare = |name: String, type_name: Option<String>, rows: i64, advice: String| {
        (
            name, type_name, None, rows, None, None, None, None, None, None, None, None, None,
            None, advice,
        )
    };
    all.extend(unsupported.into_iter().map(|(name, type_name)| {
        let advice = format!("type {type_name} is not supported: left out of training");
        bare(name, Some(type_name), rows, advice)
    }));
    let findings = profile.findings.into_iter();
    all.extend(findings.map(|f| bare(format!("({})", f.name), None, f.rows as i64, f.advice)));
    all
}

fn column_row(column: ColumnProfile) -> Row {
    let kind = format!("{:?}", column.kind).to_lowercase();
    let summary = column.summary;
    let show = |x: f64| match kind.as_str() {
        "time" => Value::from(insight_engine::calendar::iso(x as i64)),
        _ => json!(x),
    };
    let quantiles = summary.quantiles.map(|q| {
        let named = [
            ("minimum", q.minimum),
            ("q05", q.q05),
            ("q25", q.q25),
            ("median", q.median),
            ("mean", q.mean),
            ("q75", q.q75),
            ("q95", q.q95),
            ("maximum", q.maximum),
        ];
        let mut object: Map<String, Value> = named
            .into_iter()
            .map(|(name, x)| (name.to_owned(), show(x)))
            .collect();
        if kind != "time" {
            object.insert("standard_deviation".into(), json!(q.deviation));
        }
        JsonB(Value::Object(object))
    });
    let top: Vec<Value> = summary
        .top
        .into_iter()
        .map(|(value, rows)| json!({"value": value, "rows": rows}))
        .collect();
    (
        column.name,
        Some(column.type_name),
        Some(kind),
        summary.rows as i64,
        Some(summary.nulls as i64),
        Some(summary.distinct as i64),
        quantiles,
        (!top.is_empty()).then_some(JsonB(Value::Array(top))),
        summary.quantiles.map(|q| q.outliers as i64),
        column.duplicate_of,
        column.drift,
        column.association.map(|a| a.mutual_information),
        column.association.map(|a| a.p_value),
        column.leak,
        column.advice,
    )
}

/// The plain SQL that the options sources, key and as_of stand for; with `into`, it is also run into a new table.
#[pg_extern]
fn insight_features(relation: Option<&str>, options: default!(Option<Json>, "'{}'")) -> String {
    let options = given(options);
    or_raise(crate::relation::sources::show(relation, &options))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_features(text, jsonb) IS
'the plain SQL that computes the features of related tables (options sources, key, as_of); with the option into, a new table of them';
COMMENT ON FUNCTION insight_profile(text, text, text) IS
'what each column of a relation holds, how it goes with the target, what gives the target away, and what to do about it';
"#,
    name = "comment_data",
    requires = [insight_profile, insight_features]
);
