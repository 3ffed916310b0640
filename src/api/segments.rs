//! Customers in segments that nobody named before.

use super::call::given;
use super::json::Json;
use crate::error::{Error, Result, must_write, or_raise, required};
use crate::job::options::{boolean, text};
use crate::job::{notices, spec, submit};
use crate::relation::segments;
use crate::store::cache;
use crate::store::rights::Right;
use insight_engine::segment::Clustering;
use insight_engine::trained::TrainedModel;
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value;

/// Trains a model of segments and answers the segment of each row.
fn trained(
    relation: Option<&str>,
    options: Value,
) -> Result<(Vec<(Option<String>, usize)>, Box<Clustering>)> {
    let Value::Object(mut options) = options else {
        return Err(
            Error::new("22023", "options must be a JSON object").hint("For example '{\"k\": 4}'.")
        );
    };
    let relation = required(relation, "relation")?;
    let key = text(&options, "key")?;
    if boolean(&options, "wait")? == Some(false) {
        return Err(Error::new("22023", "insight_segments answers segments, so it waits")
            .hint("Use insight_train(relation, NULL, model, '{\"algorithm\": \"kmeans\", \"wait\": false}')."));
    }
    options
        .entry("algorithm")
        .or_insert_with(|| "kmeans".into());
    let options = Value::Object(options);
    let call = spec::segment::check(Some(relation), None, None, &options)?;
    let outcome = submit::run(&call.spec)?;
    notices::tell(&outcome.model, &call.spec.excluded, false);
    let TrainedModel::Clustering(clustering) = outcome.model else {
        return Err(Error::new("XX000", "the worker's model tells no segments"));
    };
    let rows = segments::of(&clustering, relation, key.as_deref())?;
    Ok((rows, clustering))
}

/// Finds segments of a relation's rows, stores them as a model, and answers each row's.
#[pg_extern]
fn insight_segments(
    relation: Option<&str>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(key, Option<String>),
        name!(segment, i32),
        name!(name, String),
    ),
> {
    must_write("insight_segments()");
    let options = given(options);
    let (rows, clustering) = or_raise(trained(relation, options));
    TableIterator::new(
        rows.into_iter()
            .map(move |(key, segment)| (key, segment as i32, clustering.name(segment).to_owned())),
    )
}

/// What the segments of a model are like.
#[pg_extern(stable, parallel_safe)]
#[allow(clippy::type_complexity)]
fn insight_segment_profiles(
    model: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(segment, i32),
        name!(name, String),
        name!(rows, i64),
        name!(share, f64),
        name!(description, String),
        name!(target_rate, Option<f64>),
        name!(target_shares, Option<JsonB>),
        name!(typical, JsonB),
        name!(differs, JsonB),
    ),
> {
    let clustering = or_raise(
        required(model, "model").and_then(|model| cache::clustering(model, Right::Explain)),
    );
    let lines: Vec<_> = clustering
        .segments()
        .map(|(number, own)| {
            let shares = own.target.as_ref().map(|rate| &rate.shares);
            let shares = shares.filter(|shares| !shares.is_empty());
            (
                number as i32,
                own.name.clone(),
                own.rows as i64,
                own.share,
                own.description.clone(),
                own.target.as_ref().and_then(|rate| rate.value),
                shares.map(|shares| JsonB(serde_json::json!(shares))),
                JsonB(own.typical.clone().into()),
                JsonB(own.differs.clone().into()),
            )
        })
        .collect();
    TableIterator::new(lines)
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_segments(text, jsonb) IS
'finds segments of the rows of a relation (algorithm kmeans, gmm or hdbscan; as many as stand apart and come again, or k), stores them as a model (option name, <relation>_segments by default) and answers the segment of each row, called by its key; insight_classify and insight_predict assign new rows';
COMMENT ON FUNCTION insight_segment_profiles(text) IS
'the segments of a model: size, a name, what sets it apart in words and as figures, its typical row, and the rate of the target; segment 0 are rows that have none';
"#,
    name = "comment_segments",
    requires = [insight_segments, insight_segment_profiles]
);
