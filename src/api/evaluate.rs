//! How good a model is, on its own test rows or on a relation.

use crate::error::{Error, or_raise, required};
use crate::relation::score;
use crate::store::cache;
use crate::store::rights::Right;
use insight_engine::artifact::Task;
use pgrx::prelude::*;

/// The scores of a model with 95% intervals and the baseline's.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_evaluate(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(metric, String),
        name!(value, f64),
        name!(low, f64),
        name!(high, f64),
        name!(baseline, Option<f64>),
        name!(class, Option<String>),
    ),
> {
    let predictor = or_raise(
        required(model, "model").and_then(|model| cache::predictor(model, Right::Predict)),
    );
    let evaluation = or_raise(score::evaluation(&predictor, relation));
    TableIterator::new(
        evaluation
            .metrics
            .into_iter()
            .map(|m| (m.metric, m.value, m.low, m.high, m.baseline, m.class)),
    )
}

/// How many rows of each actual label were given each label.
#[pg_extern]
fn insight_confusion(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(actual, String),
        name!(predicted, String),
        name!(rows, i64),
    ),
> {
    let predictor = or_raise(
        required(model, "model").and_then(|model| cache::predictor(model, Right::Predict)),
    );
    if predictor.artifact().task == Task::Multilabel {
        or_raise(Err(Error::new(
            "22023",
            "a row can have several of the model's labels, so none is taken for another",
        )
        .hint("Use insight_evaluate, which scores each label.")))
    }
    or_raise(score::needs_classes(&predictor));
    let evaluation = or_raise(score::evaluation(&predictor, relation));
    let labels = predictor.artifact().target.labels.clone();
    let mut cells = Vec::new();
    for (actual, row) in labels.iter().zip(&evaluation.confusion) {
        for (predicted, count) in labels.iter().zip(row) {
            cells.push((actual.clone(), predicted.clone(), *count as i64));
        }
    }
    TableIterator::new(cells)
}

/// What treating the rows with the greatest predicted effects brings.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_qini(
    model: Option<&str>,
    relation: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(fraction, f64),
        name!(threshold, f64),
        name!(qini, f64),
        name!(random, f64),
        name!(uplift, Option<f64>),
    ),
> {
    let predictor = or_raise(
        required(model, "model").and_then(|model| cache::predictor(model, Right::Predict)),
    );
    if predictor.artifact().task != Task::Uplift {
        or_raise(Err(Error::new(
            "22023",
            "the model does not predict the effect of a treatment",
        )
        .hint(
            "Train one with {\"task\": \"uplift\", \"treatment\": \"...\"}.",
        )))
    }
    let evaluation = or_raise(score::evaluation(&predictor, relation));
    let points = evaluation.qini.into_iter();
    TableIterator::new(points.map(|p| (p.fraction, p.threshold, p.qini, p.random, p.uplift)))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_evaluate(text, text) IS
'scores of a model with 95% intervals beside the baseline: on its own test rows, or on a relation with the target';
COMMENT ON FUNCTION insight_confusion(text, text) IS 'how many rows of each actual label were given each label';
COMMENT ON FUNCTION insight_qini(text, text) IS
'what the rows with the greatest predicted effects have more by the treatment, beside as many rows drawn at random';
"#,
    name = "comment_evaluate",
    requires = [insight_evaluate, insight_confusion, insight_qini]
);
