//! Scores in a table, for dashboards.

use super::call::given;
use super::json::Json;
use crate::error::{must_write, or_raise};
use crate::relation::scores::{self, Call};
use pgrx::prelude::*;

/// Predicts the rows of a relation into a table.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_score(
    model: Option<&str>,
    relation: Option<&str>,
    into: Option<&str>,
    key: default!(Option<&str>, "NULL"),
    refresh: default!(Option<&str>, "'full'"),
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(scores, String),
        name!(model, String),
        name!(version, i32),
        name!(rows, i64),
        name!(inserted, i64),
        name!(updated, i64),
        name!(deleted, i64),
        name!(seconds, f64),
    ),
> {
    must_write("insight_score()");
    let options = given(options);
    let done = or_raise(scores::refresh(&Call {
        model,
        relation,
        into,
        key,
        refresh,
        options: &options,
    }));
    TableIterator::once((
        done.table,
        done.model,
        done.version,
        done.scored,
        done.inserted,
        done.updated,
        done.deleted,
        done.seconds,
    ))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_score(text, text, text, text, text, jsonb) IS
'predicts the rows of a relation into a table of the caller''s, which is made where there is none: all of them (refresh full; rows that are gone are deleted), or those that are new, were changed (option since: a time column) or were scored by another version (refresh incremental)';
"#,
    name = "comment_score",
    requires = [insight_score]
);
