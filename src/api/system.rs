//! The machine and the extension themselves.

use crate::job::{shared::Segment, trainer};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

/// What this machine can train on, the CPU first.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_devices() -> TableIterator<
    'static,
    (
        name!(device, String),
        name!(name, String),
        name!(memory_bytes, Option<i64>),
        name!(available, bool),
        name!(note, Option<String>),
    ),
> {
    let devices = crate::error::or_raise(trainer::devices());
    TableIterator::new(devices.into_iter().map(|d| {
        (
            d.device,
            d.name,
            d.memory_bytes.map(|b| b as i64),
            d.available,
            d.note,
        )
    }))
}

/// The version of the extension.
#[pg_extern(immutable, parallel_safe)]
fn insight_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The live progress of a running job, from its shared memory; no row where it is gone.
#[pg_extern(sql = r#"
CREATE FUNCTION insight.job_progress("handle" bigint, "job" bigint) RETURNS TABLE (
  "phase" text, "epoch" integer, "epochs" integer, "rows" bigint, "rows_per_second" double precision,
  "loss" double precision, "validation_loss" double precision, "eta_seconds" double precision, "updated_at" timestamptz,
  "fold" integer, "folds" integer)
STRICT VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#)]
#[allow(clippy::type_complexity)]
fn insight_job_progress(
    handle: i64,
    job: i64,
) -> TableIterator<
    'static,
    (
        name!(phase, String),
        name!(epoch, i32),
        name!(epochs, i32),
        name!(rows, i64),
        name!(rows_per_second, Option<f64>),
        name!(loss, Option<f64>),
        name!(validation_loss, Option<f64>),
        name!(eta_seconds, Option<f64>),
        name!(updated_at, Option<TimestampWithTimeZone>),
        name!(fold, Option<i32>),
        name!(folds, Option<i32>),
    ),
> {
    let view = u32::try_from(handle)
        .ok()
        .and_then(Segment::attach)
        .and_then(|segment| {
            let control = segment.checked_control()?;
            (control.job.load(Relaxed) == job).then(|| control.view())
        });
    TableIterator::new(view.into_iter().map(|v| {
        let updated_at = TimestampWithTimeZone::try_from(v.updated_at).ok();
        (
            v.phase.to_owned(),
            v.epoch as i32,
            v.epochs as i32,
            v.rows as i64,
            v.rows_per_second,
            v.loss,
            v.validation_loss,
            v.eta_seconds,
            updated_at,
            v.fold.map(|(fold, _)| fold as i32),
            v.fold.map(|(_, folds)| folds as i32),
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_devices() IS 'what this machine can train on, the CPU first';
COMMENT ON FUNCTION insight_version() IS 'the version of the extension';
COMMENT ON FUNCTION insight.job_progress(bigint, bigint) IS 'the live progress of a running job; used by the view insight.progress';
"#,
    name = "comment_system",
    requires = [insight_devices, insight_version, insight_job_progress]
);
