//! A model in a few rules, and what columns tell together.

use super::explain::with_rows;
use crate::error::{Error, Result, or_raise, required};
use crate::job::trainer;
use crate::relation::explain::{go, place};
use crate::settings;
use insight_engine::explain::{self, FEWEST_ROWS, Interaction, Rules};
use pgrx::prelude::*;

const DEEPEST: i32 = 6;
const MOST_FEATURES: i32 = 50;

fn count(value: Option<i32>, name: &str, low: i32, high: i32) -> Result<usize> {
    match required(value, name)? {
        n if (low..=high).contains(&n) => Ok(n as usize),
        _ => Err(Error::new(
            "22023",
            format!("{name} must be an integer from {low} to {high}"),
        )),
    }
}

fn found_rules(model: Option<&str>, depth: Option<i32>, named: Option<&str>) -> Result<Rules> {
    let depth = count(depth, "depth", 1, DEEPEST)?;
    let predictor = with_rows(model)?;
    let label = place(&predictor, named)?;
    let rows = predictor.background().rows();
    if rows < FEWEST_ROWS {
        return Err(Error::new(
            "55000",
            format!("the model keeps {rows} rows, too few to learn rules from"),
        )
        .hint("Train it on more rows, or on a larger share of them with a greater test_size."));
    }
    let found = explain::rules(&predictor, label, depth, &mut go);
    Ok(found.unwrap_or_else(|| Rules {
        rules: Vec::new(),
        fidelity: 0.0,
        agreement: None,
    }))
}

/// What the model does in a few rules, by falling prediction, and how far they do the same.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn insight_rules(
    model: Option<&str>,
    depth: default!(Option<i32>, 3),
    label: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(rule, String),
        name!(rows, i64),
        name!(share, f64),
        name!(prediction, f64),
        name!(low, f64),
        name!(high, f64),
        name!(label, Option<String>),
        name!(actual, Option<f64>),
        name!(fidelity, f64),
        name!(agreement, Option<f64>),
    ),
> {
    let found = or_raise(found_rules(model, depth, label));
    let (fidelity, agreement) = (found.fidelity, found.agreement);
    TableIterator::new(found.rules.into_iter().map(move |own| {
        (
            own.rule,
            own.rows as i64,
            own.share,
            own.prediction,
            own.low,
            own.high,
            own.label,
            own.actual,
            fidelity,
            agreement,
        )
    }))
}

/// Asked in a child, which can be cancelled and may use every core.
fn found_interactions(
    model: Option<&str>,
    features: Option<i32>,
    named: Option<&str>,
) -> Result<Vec<(String, String, f64, f64)>> {
    let features = count(features, "features", 2, MOST_FEATURES)?;
    let predictor = with_rows(model)?;
    let label = place(&predictor, named)?;
    let found: Vec<Interaction> = trainer::ask(settings::threads(), || {
        explain::interactions(&predictor, label, features, &mut || true).unwrap_or_default()
    })?;
    let inputs = predictor.artifact().recipe.columns();
    let each = found.into_iter().map(|own| {
        let [first, second] = own.columns.map(|at| inputs[at].name.clone());
        (first, second, own.strength, own.h_squared)
    });
    Ok(each.collect())
}

/// Which columns tell more together than each by itself, the strongest pairs first.
#[pg_extern(stable, parallel_restricted)]
fn insight_interactions(
    model: Option<&str>,
    features: default!(Option<i32>, 8),
    label: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(feature, String),
        name!(with_feature, String),
        name!(strength, f64),
        name!(h_squared, f64),
    ),
> {
    TableIterator::new(or_raise(found_interactions(model, features, label)))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_rules(text, integer, text) IS
'what a model does in a few rules of at most depth conditions: a small tree fitted to its answers on rows it was judged on, with the share of rows, the mean answer, the middle 80% of answers, what was true, and how far the rules do the same as the model on rows they were not learned from (fidelity: R2; agreement: same label)';
COMMENT ON FUNCTION insight_interactions(text, integer, text) IS
'pairs of the most important columns that tell more together than each by itself: strength in the unit of the answer, and the squared H statistic of Friedman and Popescu';
"#,
    name = "comment_rules",
    requires = [insight_rules, insight_interactions]
);
