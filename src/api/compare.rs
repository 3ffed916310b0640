//! Is one model better than another, for whom is a model good, and what do its decisions earn?

use super::json::Json;
use crate::error::{Error, or_raise, required};
use crate::relation::{compare, score};
use crate::store::cache;
use crate::store::rights::Right;
use pgrx::prelude::*;

/// Compares two models on the same rows, metric by metric.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_compare(
    model_a: Option<&str>,
    model_b: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(metric, String),
        name!(a, f64),
        name!(b, f64),
        name!(difference, f64),
        name!(low, f64),
        name!(high, f64),
        name!(p_value, f64),
        name!(better, Option<String>),
    ),
> {
    let names = [
        or_raise(required(model_a, "model_a")),
        or_raise(required(model_b, "model_b")),
    ];
    let [a, b] = names.map(|name| or_raise(cache::predictor(name, Right::Predict)));
    let names = names.map(str::to_owned);
    let differences = or_raise(compare::compare(&a, &b, relation));
    TableIterator::new(differences.into_iter().map(move |d| {
        let better = d.better.map(|b| names[usize::from(b)].clone());
        (
            d.metric,
            d.a,
            d.b,
            d.difference,
            d.low,
            d.high,
            d.p_value,
            better,
        )
    }))
}

/// The scores of a relation's rows by the values of a column.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_slices(
    model: Option<&str>,
    by: Option<&str>,
    relation: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(slice, String),
        name!(rows, i64),
        name!(metric, String),
        name!(value, f64),
        name!(low, f64),
        name!(high, f64),
        name!(baseline, Option<f64>),
    ),
> {
    let predictor = or_raise(
        required(model, "model").and_then(|model| cache::predictor(model, Right::Predict)),
    );
    let by = or_raise(required(by, "by"));
    let relation = or_raise(required(relation, "relation").map_err(|e| {
        e.hint("A model keeps no values of its test rows: give rows it was not trained on.")
    }));
    let slices = or_raise(compare::slices(&predictor, by, relation));
    TableIterator::new(slices.into_iter().flat_map(|(slice, scores)| {
        let rows = scores.rows as i64;
        let overall = scores.metrics.into_iter().filter(|m| m.class.is_none());
        let lines = overall.map(move |m| {
            (
                slice.clone(),
                rows,
                m.metric,
                m.value,
                m.low,
                m.high,
                m.baseline,
            )
        });
        lines.collect::<Vec<_>>()
    }))
}

/// What decisions earn at every threshold.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_profit(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
    profit: default!(Option<Json>, "NULL"),
    capacity: default!(Option<i64>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(threshold, f64),
        name!(contacted, i64),
        name!(share, f64),
        name!(true_positives, i64),
        name!(false_positives, i64),
        name!(false_negatives, i64),
        name!(true_negatives, i64),
        name!(profit, f64),
        name!(best, bool),
    ),
> {
    let predictor = or_raise(
        required(model, "model").and_then(|model| cache::predictor(model, Right::Predict)),
    );
    if capacity.is_some_and(|c| c < 1) {
        Error::new("22023", "capacity must be 1 or more").raise();
    }
    let capacity = capacity.map(|c| c as u64);
    let profit = profit.map(|p| p.0);
    let curve = or_raise(score::profit(
        &predictor,
        relation,
        profit.as_ref(),
        capacity,
    ));
    TableIterator::new(curve.into_iter().map(|(best, cut, profit)| {
        (
            cut.threshold,
            cut.contacted() as i64,
            cut.share(),
            cut.true_positives as i64,
            cut.false_positives as i64,
            cut.false_negatives as i64,
            cut.true_negatives as i64,
            profit,
            best,
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_compare(text, text, text) IS
'whether one model is better than another on the same rows: the difference of each metric with its 95% interval and p-value';
COMMENT ON FUNCTION insight_slices(text, text, text) IS
'the scores of a relation''s rows by the values of a column, or by quarters of a number';
COMMENT ON FUNCTION insight_profit(text, text, jsonb, bigint) IS
'what decisions earn at every threshold, and which earns most';
"#,
    name = "comment_compare",
    requires = [insight_compare, insight_slices, insight_profit]
);
