//! What a linear model says of each input.

use crate::error::{Error, or_raise};
use crate::store::cache;
use crate::store::rights::Right;
use insight_engine::artifact::Task;
use pgrx::prelude::*;

/// The coefficients of a linear model; the odds ratio is that of one unit more, none for a number.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_coefficients(
    model: &str,
) -> TableIterator<
    'static,
    (
        name!(feature, String),
        name!(level, Option<String>),
        name!(coefficient, Option<f64>),
        name!(standard_error, Option<f64>),
        name!(z, Option<f64>),
        name!(p_value, Option<f64>),
        name!(low, Option<f64>),
        name!(high, Option<f64>),
        name!(odds_ratio, Option<f64>),
        name!(penalised, f64),
        name!(label, Option<String>),
    ),
> {
    let predictor = or_raise(cache::predictor(model, Right::Explain));
    let artifact = predictor.artifact();
    if artifact.coefficients.is_empty() {
        Error::new("22023", format!("model \"{model}\" has no coefficients"))
            .detail(format!(
                "Its algorithm is {}.",
                artifact.provenance.algorithm
            ))
            .hint("Train with {\"algorithm\": \"linear\"}.")
            .raise();
    }
    let odds = artifact.task != Task::Regression;
    let rows = artifact.coefficients.clone().into_iter();
    TableIterator::new(rows.map(move |c| {
        let ratio = c.coefficient.map(f64::exp);
        (
            c.feature,
            c.level,
            c.coefficient,
            c.standard_error,
            c.z,
            c.p_value,
            c.low,
            c.high,
            ratio.filter(|ratio| odds && ratio.is_finite()),
            c.penalised,
            c.label,
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_coefficients(text) IS
'what a linear model says of each input: coefficients by maximum likelihood with standard errors, z, p-values, 95% intervals and odds ratios, and the penalised coefficients it predicts with';
"#,
    name = "comment_coefficients",
    requires = [insight_coefficients]
);
