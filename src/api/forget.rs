//! Whom versions saw, and forgetting somebody.

use super::lifecycle::caller;
use crate::error::{must_write, or_raise};
use crate::job::forget;
use pgrx::prelude::*;

/// Says which versions of a model were trained on rows of a key.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_contains(
    model: Option<&str>,
    key: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(version, i32),
        name!(contained, Option<bool>),
        name!(false_positive_rate, Option<f64>),
        name!(keyed, Option<bool>),
    ),
> {
    let found = or_raise(forget::contains(model, key, caller()));
    let row = |own: crate::store::membership::Contained| {
        (
            own.version,
            own.contained,
            own.false_positive_rate,
            own.keyed,
        )
    };
    TableIterator::new(found.into_iter().map(row).collect::<Vec<_>>())
}

/// Forgets a key: its rows are left out of every later training, and what saw them is trained again and dropped.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_forget(
    key: Option<&str>,
    model: default!(Option<&str>, "NULL"),
    retrain: default!(bool, "true"),
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(version, Option<i32>),
        name!(action, String),
        name!(proof, String),
    ),
> {
    must_write("insight_forget()");
    let done = or_raise(forget::forget(key, model, retrain, caller()));
    let row = |own: forget::Done| (own.model, own.version, own.action.to_owned(), own.proof);
    TableIterator::new(done.into_iter().map(row).collect::<Vec<_>>())
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_contains(text, text) IS
'says of each version of a model whether it was trained on rows of a key (option key); NULL where that is not known';
COMMENT ON FUNCTION insight_forget(text, text, boolean) IS
'forgets a key in a model, or in all models of the caller that were trained with the option key: its rows are left out of every later training, deployed versions that saw it are trained again without it, what saw it is dropped, and its kept predictions are deleted; answers what was done';
"#,
    name = "comment_forget",
    requires = [insight_contains, insight_forget]
);
