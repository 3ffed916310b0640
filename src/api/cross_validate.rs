//! How good models of a relation are, by cross-validation.

use super::call::given;
use super::json::Json;
use crate::error::{must_write, or_raise};
use crate::job::cross_validate;
use pgrx::prelude::*;

/// Trains and judges a model once per fold, by rows it has not seen; a row per metric.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_cross_validate(
    relation: Option<&str>,
    target: Option<&str>,
    folds: default!(Option<i32>, "5"),
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(metric, String),
        name!(mean, f64),
        name!(standard_deviation, Option<f64>),
        name!(low, Option<f64>),
        name!(high, Option<f64>),
        name!(baseline, Option<f64>),
        name!(class, Option<String>),
        name!(folds, Vec<Option<f64>>),
    ),
> {
    must_write("insight_cross_validate()");
    let options = given(options);
    let found = or_raise(cross_validate::cross_validate(
        relation, target, folds, options,
    ));
    TableIterator::new(found.scores.into_iter().map(|s| {
        (
            s.metric,
            s.mean,
            s.standard_deviation,
            s.low,
            s.high,
            s.baseline,
            s.class,
            s.values,
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_cross_validate(text, text, integer, jsonb) IS
'k-fold cross-validation of a training: each metric''s mean over the folds with a 95% interval; the option into keeps the out-of-fold predictions in a new table';
"#,
    name = "comment_cross_validate",
    requires = [insight_cross_validate]
);
