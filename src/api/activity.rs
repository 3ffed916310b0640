//! How much is predicted.

use crate::store::activity;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

/// What was counted of each version in this database.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.activity_counters() RETURNS TABLE (
  "version" bigint, "predictions" bigint, "cache_hits" bigint, "cache_misses" bigint, "seconds" double precision,
  "scope" text, "since" timestamptz)
VOLATILE PARALLEL RESTRICTED LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
#[allow(clippy::type_complexity)]
fn insight_activity_counters() -> TableIterator<
    'static,
    (
        name!(version, i64),
        name!(predictions, i64),
        name!(cache_hits, i64),
        name!(cache_misses, i64),
        name!(seconds, f64),
        name!(scope, String),
        name!(since, Option<TimestampWithTimeZone>),
    ),
> {
    let (of_all, found) = activity::all();
    let since = activity::since();
    let scope = if of_all { "server" } else { "session" };
    TableIterator::new(found.into_iter().map(move |own| {
        (
            own.version,
            own.predictions as i64,
            own.hits as i64,
            own.misses as i64,
            own.seconds,
            scope.to_owned(),
            TimestampWithTimeZone::try_from(since).ok(),
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight.activity_counters() IS
'predictions by the version''s id; used by the view insight.activity';
"#,
    name = "comment_activity",
    requires = [insight_activity_counters]
);
