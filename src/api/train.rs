//! `insight_train` and what goes with its jobs.

use super::call::given;
use super::json::Json;
use super::lifecycle::caller;
use crate::error::{must_be_primary, must_write, or_raise};
use crate::job::spec::{Call, check_name};
use crate::job::{self, again, submit, targets};
use crate::messages::{notice, translated};
use crate::store::catalog;
use insight_engine::fit::Leakage;
use pgrx::prelude::*;

/// Trains a model and answers one row about it; one for each where the option `targets` names several.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_train(
    relation: Option<&str>,
    target: Option<&str>,
    model: default!(Option<&str>, "NULL"),
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(version, Option<i32>),
        name!(status, String),
        name!(task, Option<String>),
        name!(algorithm, Option<String>),
        name!(metric, Option<String>),
        name!(score, Option<f64>),
        name!(deployed, Option<bool>),
        name!(rows, Option<i64>),
        name!(seconds, Option<f64>),
        name!(job, i64),
    ),
> {
    must_write("insight_train()");
    let options = given(options);
    let calls = or_raise(targets::calls(relation, target, model, &options));
    TableIterator::new(calls.into_iter().map(train).collect::<Vec<Row>>())
}

/// Trains a model again, as its deployed version was, from the rows there are now; answers one row about the new version.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_retrain(
    model: Option<&str>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(version, Option<i32>),
        name!(status, String),
        name!(task, Option<String>),
        name!(algorithm, Option<String>),
        name!(metric, Option<String>),
        name!(score, Option<f64>),
        name!(deployed, Option<bool>),
        name!(rows, Option<i64>),
        name!(seconds, Option<f64>),
        name!(job, i64),
    ),
> {
    must_write("insight_retrain()");
    let options = given(options);
    TableIterator::once(train(or_raise(again::retrain(model, &options))))
}

/// Trains a version again from its record and says whether the result is the same; stores nothing.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_reproduce(
    model: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(model, String),
        name!(version, i32),
        name!(same, bool),
        name!(metric, Option<String>),
        name!(score, Option<f64>),
        name!(score_again, Option<f64>),
        name!(detail, String),
    ),
> {
    must_write("insight_reproduce()");
    let r = or_raise(again::reproduce(model));
    TableIterator::once((
        r.model,
        r.version,
        r.same,
        r.metric,
        r.score,
        r.score_again,
        r.detail,
    ))
}

/// The row about a new version, or about a job that was queued.
pub(super) type Row = (
    String,
    Option<i32>,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<f64>,
    Option<bool>,
    Option<i64>,
    Option<f64>,
    i64,
);

pub(super) fn train(call: Call) -> Row {
    let model = call.spec.model.clone();
    if !call.wait {
        let job = or_raise(submit::enqueue(&call.spec));
        let status = "queued".to_owned();
        return (
            model, None, status, None, None, None, None, None, None, None, job,
        );
    }
    let outcome = or_raise(submit::run(&call.spec));
    let dropped = call.spec.leakage == Leakage::Drop;
    job::notices::tell(&outcome.model, &call.spec.excluded, dropped);
    let p = outcome.published;
    if let Some(verdict) = &p.verdict {
        notice(verdict);
    }
    (
        model,
        Some(p.version),
        "succeeded".to_owned(),
        Some(p.task.to_owned()),
        Some(p.algorithm),
        p.metric,
        p.score,
        Some(p.deployed),
        Some(p.rows),
        Some(outcome.seconds),
        outcome.job,
    )
}

/// Whether the caller may add a version to a model of this name: insight_train_on would otherwise know only after the training.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.check_may_train("model" text) RETURNS void
STRICT STABLE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION insight.check_may_train(text) IS 'an error where the caller may not add versions to a model, for insight_train_on';
"#)]
fn insight_check_may_train(model: &str) {
    or_raise(check_name(model));
    or_raise(catalog::check_may_train(model, caller()));
}

/// A message of a function that is written in SQL, see sql/po/sql_source.py.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.translated("message" text) RETURNS text
STRICT STABLE PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION insight.translated(text) IS 'a message in the language of lc_messages, for insight_train_on';
"#)]
fn insight_translated(message: &str) -> String {
    translated(message.to_owned())
}

/// Waits until a job has ended, at most `timeout` seconds; answers its status then.
#[pg_extern(sql = r#"
CREATE FUNCTION "insight_wait"("job" bigint, "timeout" double precision DEFAULT NULL, OUT "status" text)
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
fn insight_wait(job: Option<i64>, timeout: Option<f64>) -> Option<String> {
    job.map(|job| or_raise(job::control::wait(job, timeout)))
}

/// Cancels a queued or running job; false where it had already ended.
#[pg_extern(strict)]
fn insight_cancel(job: i64) -> bool {
    must_be_primary("insight_cancel()");
    or_raise(job::control::cancel(job))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_train(text, text, text, jsonb) IS
'trains a model that predicts the column target of a relation (table, view or SELECT), or one for each column of the option targets; answers one row about each new version';
COMMENT ON FUNCTION insight_retrain(text, jsonb) IS
'trains a model again, as its deployed version was, from the rows there are now, with some options replaced; answers one row about the new version';
COMMENT ON FUNCTION insight_reproduce(text) IS
'trains a version again from its record, stores nothing, and says whether the result is the same and, if not, why';
COMMENT ON FUNCTION insight_wait(bigint, double precision) IS
'waits until a job has ended, at most timeout seconds, and answers its status';
COMMENT ON FUNCTION insight_cancel(bigint) IS 'cancels a queued or running job; false where it had already ended';
"#,
    name = "comment_train",
    requires = [
        insight_train,
        insight_retrain,
        insight_reproduce,
        insight_wait,
        insight_cancel
    ]
);
