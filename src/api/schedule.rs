//! Training again by a condition, and schedules of pg_cron.

use super::call::given;
use super::json::Json;
use super::train::{Row, train};
use crate::error::{must_write, or_raise, required};
use crate::job::{cron, due};
use pgrx::prelude::*;

/// Trains a model again where a condition holds and no job trains it already; answers one row that says why.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_retrain_if(
    model: Option<&str>,
    condition: Option<&str>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(version, Option<i32>),
        name!(status, String),
        name!(reason, String),
        name!(metric, Option<String>),
        name!(score, Option<f64>),
        name!(deployed, Option<bool>),
        name!(seconds, Option<f64>),
        name!(job, Option<i64>),
    ),
> {
    must_write("insight_retrain_if()");
    let condition = or_raise(required(condition, "condition"));
    let due = or_raise(due::due(model, Some(condition), &given(options)));
    TableIterator::once(match due.call {
        None => {
            let status = "skipped".to_owned();
            (
                due.model, None, status, due.reason, None, None, None, None, None,
            )
        }
        Some(call) => {
            let (model, version, status, _, _, metric, score, deployed, _, seconds, job): Row =
                train(call);
            (
                model,
                version,
                status,
                due.reason,
                metric,
                score,
                deployed,
                seconds,
                Some(job),
            )
        }
    })
}

/// A run of a schedule; its failure is a failed job and no error.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.run_schedule("model" text, "condition" text, "options" jsonb) RETURNS text
VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn insight_run_schedule(
    model: Option<&str>,
    condition: Option<&str>,
    options: Option<Json>,
) -> String {
    must_write("insight.run_schedule()");
    or_raise(due::scheduled(model, condition, &given(options)))
}

/// Registers with pg_cron that a model is trained again by the calling role.
#[pg_extern]
fn insight_schedule(
    model: Option<&str>,
    schedule: Option<&str>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(job, i64),
        name!(name, String),
        name!(schedule, String),
        name!(command, String),
    ),
> {
    must_write("insight_schedule()");
    let made = or_raise(cron::schedule(model, schedule, &given(options)));
    TableIterator::once((made.job, made.name, made.schedule, made.command))
}

/// Takes the caller's schedule of a model away; false where there is none.
#[pg_extern]
fn insight_unschedule(model: Option<&str>) -> bool {
    must_write("insight_unschedule()");
    or_raise(cron::unschedule(model))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_retrain_if(text, text, jsonb) IS
'trains a model again where a condition such as drift > 0.2 or new_rows > 10% holds and no job trains it already; answers one row that says why';
COMMENT ON FUNCTION insight.run_schedule(text, text, jsonb) IS
'a run of a schedule of insight_schedule: its failure is a failed job and a warning, no error';
COMMENT ON FUNCTION insight_schedule(text, text, jsonb) IS
'registers with pg_cron that a model is trained again by the calling role: at the times of a cron text, or {"when": condition, "check": cron text}';
COMMENT ON FUNCTION insight_unschedule(text) IS
'takes the schedule of a model away; false where there is none of a role the caller may act for';
"#,
    name = "comment_schedule",
    requires = [
        insight_retrain_if,
        insight_run_schedule,
        insight_schedule,
        insight_unschedule
    ]
);
