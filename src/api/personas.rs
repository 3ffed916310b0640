//! Typical customers in words and figures.

use crate::error::{Error, Result, or_raise, required};
use crate::relation::personas;
use crate::store::cache;
use crate::store::rights::Right;
use insight_engine::synth::{MOST_PERSONAS, Persona};
use pgrx::JsonB;
use pgrx::prelude::*;

fn found(model: Option<&str>, k: Option<i32>, relation: Option<&str>) -> Result<Vec<Persona>> {
    let model = cache::synthesizer(required(model, "model")?, Right::Explain)?;
    let k = k.map(|k| {
        usize::try_from(k).map_err(|_| {
            Error::new(
                "22023",
                format!("k must be an integer from 2 to {MOST_PERSONAS}"),
            )
        })
    });
    personas::of(&model, k.transpose()?, relation)
}

/// Typical customers of a model that makes rows.
#[pg_extern(volatile)]
#[allow(clippy::type_complexity)]
fn insight_personas(
    model: Option<&str>,
    k: default!(Option<i32>, "NULL"),
    relation: default!(Option<&str>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(persona, i32),
        name!(name, String),
        name!(share, f64),
        name!(description, String),
        name!(typical, JsonB),
        name!(differs, JsonB),
    ),
> {
    let all = or_raise(found(model, k, relation)).into_iter();
    TableIterator::new((1..).zip(all).map(|(persona, own)| {
        (
            persona,
            own.name,
            own.share,
            own.description,
            JsonB(own.typical.into()),
            JsonB(own.differs.into()),
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_personas(text, integer, text) IS
'typical customers of a model that makes rows (algorithm gan or tvae), among rows it makes or those of a relation: k groups (by default as many as stand apart most) around medoids by Gower''s distance, each with its share, its typical row, and what sets it apart in words and as figures';
"#,
    name = "comment_personas",
    requires = [insight_personas]
);
