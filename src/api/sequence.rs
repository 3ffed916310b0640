//! What keys do next.

use crate::error::{Error, Result, or_raise, required};
use crate::relation::histories::{self, Answer};
use crate::store::cache;
use crate::store::rights::Right;
use pgrx::prelude::*;

const MOST: i32 = 100_000;

fn count(k: Option<i32>) -> Result<usize> {
    match required(k, "k")? {
        k if (1..=MOST).contains(&k) => Ok(k as usize),
        _ => Err(Error::new(
            "22023",
            format!("k must be an integer from 1 to {MOST}"),
        )),
    }
}

/// The most probable next steps of each key of a relation.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn insight_next(
    model: Option<&str>,
    relation: Option<&str>,
    k: default!(Option<i32>, 1),
) -> TableIterator<
    'static,
    (
        name!(key, String),
        name!(rank, i32),
        name!(label, Option<String>),
        name!(probability, Option<f64>),
        name!(value, Option<f64>),
    ),
> {
    let found = || {
        let reference = required(model, "model")?;
        let predictor = cache::foreteller(reference, Right::Predict)?;
        histories::next(
            &predictor,
            reference,
            required(relation, "relation")?,
            count(k)?,
        )
    };
    let row = |a: Answer| (a.key, a.rank, a.label, a.probability, a.value);
    TableIterator::new(or_raise(found()).into_iter().map(row))
}

/// A vector for each key of a relation: what the model knows of its history.
#[pg_extern(stable, parallel_restricted)]
fn insight_sequence_embedding(
    model: Option<&str>,
    relation: Option<&str>,
) -> TableIterator<'static, (name!(key, String), name!(embedding, Vec<f32>))> {
    let found = || {
        let reference = required(model, "model")?;
        let predictor = cache::foreteller(reference, Right::Predict)?;
        histories::embeddings(&predictor, reference, required(relation, "relation")?)
    };
    TableIterator::new(or_raise(found()))
}

/// The best next steps for one key, whose history is read from the relation the model was trained on.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn insight_recommend(
    model: Option<&str>,
    key: Option<&str>,
    k: default!(Option<i32>, 10),
    exclude_seen: default!(Option<bool>, false),
) -> TableIterator<
    'static,
    (
        name!(rank, i32),
        name!(label, String),
        name!(probability, f64),
    ),
> {
    let found = || {
        let reference = required(model, "model")?;
        let predictor = cache::foreteller(reference, Right::Predict)?;
        if !predictor.model().encoder.target.has_classes() {
            return Err(Error::new(
                "22023",
                format!(
                    "model \"{reference}\" foretells a number, so there is nothing to recommend"
                ),
            )
            .hint("Use insight_predict(model, key)."));
        }
        let unseen = exclude_seen.unwrap_or(false);
        histories::of_key(
            predictor,
            reference,
            required(key, "key")?,
            count(k)?,
            unseen,
        )
    };
    let rows = or_raise(found()).answers.into_iter();
    TableIterator::new(rows.filter_map(|a| Some((a.rank, a.label?, a.probability?))))
}

/// The same for a key that is a whole number.
#[pg_extern(name = "insight_recommend", stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn insight_recommend_number(
    model: Option<&str>,
    key: Option<i64>,
    k: default!(Option<i32>, 10),
    exclude_seen: default!(Option<bool>, false),
) -> TableIterator<
    'static,
    (
        name!(rank, i32),
        name!(label, String),
        name!(probability, f64),
    ),
> {
    let key = key.map(|key| key.to_string());
    insight_recommend(model, key.as_deref(), k, exclude_seen)
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_next(text, text, integer) IS
'the k most probable next steps of each key of a relation with the columns that a model of histories (algorithm lstm, gru or transformer with order) was trained on; value where a number is foretold, of times in seconds';
COMMENT ON FUNCTION insight_sequence_embedding(text, text) IS
'a vector for each key of a relation: what a model of histories knows of it, for segments, look-alikes and as features';
COMMENT ON FUNCTION insight_recommend(text, text, integer, boolean) IS
'the k best next steps for one key, whose history is read from the relation the model was trained on; with exclude_seen none that is in the history';
COMMENT ON FUNCTION insight_recommend(text, bigint, integer, boolean) IS
'the k best next steps for one key that is a whole number, whose history is read from the relation the model was trained on';
"#,
    name = "sequence",
    requires = [
        insight_next,
        insight_sequence_embedding,
        insight_recommend,
        insight_recommend_number
    ]
);
