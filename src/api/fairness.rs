//! Whom a model treats how.

use crate::error::{or_raise, required};
use crate::relation::fairness;
use crate::store::cache;
use crate::store::rights::Right;
use pgrx::prelude::*;

/// Rates and errors of the groups of a model's sensitive columns, and how far groups are apart.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_fairness(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(feature, String),
        name!(group, Option<String>),
        name!(rows, i64),
        name!(metric, String),
        name!(value, f64),
        name!(low, Option<f64>),
        name!(high, Option<f64>),
    ),
> {
    let predictor = or_raise(
        required(model, "model").and_then(|model| cache::predictor(model, Right::Explain)),
    );
    let found = or_raise(fairness::lines(&predictor, relation));
    TableIterator::new(found.into_iter().map(|line| {
        let rows = line.rows as i64;
        (
            line.feature,
            line.group,
            rows,
            line.metric,
            line.value,
            line.low,
            line.high,
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_fairness(text, text) IS
'rates and errors of the groups of the columns that a model was trained with as sensitive, with 95% intervals, and how far groups are apart (group NULL): on its test rows, or on a relation with the target and these columns';
"#,
    name = "comment_fairness",
    requires = [insight_fairness]
);
