//! How a model prepares its columns.

use crate::error::or_raise;
use crate::store::cache::{self, Loaded};
use crate::store::rights::Right;
use pgrx::JsonB;
use pgrx::prelude::*;

/// What becomes of each column a model takes, in feature order.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_recipe(
    model: &str,
) -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(kind, String),
        name!(steps, String),
        name!(parameters, JsonB),
        name!(inputs, i32),
    ),
> {
    let described = match or_raise(cache::model(model, Right::Explain)) {
        Loaded::Predictor(predictor) => predictor.artifact().recipe.describe(),
        Loaded::Clustering(clustering) => clustering.describe(),
        other => other.is_another(model, "prepare single rows").raise(),
    };
    TableIterator::new(described.into_iter().map(|d| {
        (
            d.column,
            d.kind,
            d.steps,
            JsonB(d.parameters),
            i32::try_from(d.inputs).unwrap_or(i32::MAX),
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_recipe(text) IS
'how a model prepares each of its columns: in words, the learned numbers behind them, and how many inputs of the network come of it';
"#,
    name = "comment_recipe",
    requires = [insight_recipe]
);
