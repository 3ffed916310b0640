//! The job table: who is next, who is alive, what became of each job.
//!
//! A worker holds the advisory lock (`LOCK_CLASS`, job) for its whole life. A row that says `running` while its lock is
//! free belongs to a worker that died without a word.

use super::spec::Spec;
use super::worker;
use crate::error::{Error, Result};
use crate::store::catalog::as_owner;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys, spi::SpiClient};

/// "insg": the first key of the advisory locks; the second is the job, or 0 for the queue itself.
pub const LOCK_CLASS: i32 = 0x696e_7367;

/// The worker's lock on `j.job`. Jobs of other databases have the same numbers.
macro_rules! lock_of_job {
    () => {
        "FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 1768846183 AND l.objid = j.job::oid \
         AND l.objsubid = 2 AND l.granted AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))"
    };
}

/// The pid of the worker of `j.job`, NULL where it does not live.
const WORKER: &str = concat!("(SELECT l.pid ", lock_of_job!());

/// True where the worker of `j.job` lives.
const ALIVE: &str = concat!("EXISTS (SELECT ", lock_of_job!());

/// The final word on a job.
#[derive(Debug, Clone)]
pub enum Ending {
    Succeeded { version: Option<i32> },
    Failed(Error),
    Cancelled(Error),
}

impl Ending {
    /// Cancellation by a person is not a failure.
    pub fn of_error(error: Error) -> Ending {
        if error.sqlstate == "57014" {
            Ending::Cancelled(error)
        } else {
            Ending::Failed(error)
        }
    }
}

/// Adds a job in the current transaction and answers its number.
pub fn insert(spec: &Spec, waiting: bool) -> Result<i64> {
    let json = serde_json::to_value(spec).map_err(|e| Error::new("XX000", e.to_string()))?;
    as_owner(|| {
        Spi::connect_mut(|client| {
            let row = client
                .update(
                    "INSERT INTO insight.job (model, status, role, session_role, waiting, spec) \
                     VALUES ($1, 'queued', pg_get_userbyid($2), pg_get_userbyid($3), $4, $5) RETURNING job",
                    None,
                    &[
                        spec.model.as_str().into(),
                        pg_sys::Oid::from(spec.role).into(),
                        pg_sys::Oid::from(spec.session_role).into(),
                        waiting.into(),
                        JsonB(json).into(),
                    ],
                )?
                .first();
            row.get_one::<i64>()?
                .ok_or_else(|| Error::new("XX000", "the job could not be queued"))
        })
    })
}

/// Takes the job's liveness lock for the rest of this process's life.
pub fn lock(job: i64) -> Result<bool> {
    Spi::connect(|client| {
        let row = client
            .select(
                "SELECT pg_catalog.pg_try_advisory_lock($1, $2)",
                None,
                &[LOCK_CLASS.into(), (job as i32).into()],
            )?
            .first();
        Ok(row.get_one::<bool>()?.unwrap_or(false))
    })
}

/// Gives back the liveness lock.
pub fn unlock() -> Result<()> {
    Spi::connect(|client| {
        client.select("SELECT pg_catalog.pg_advisory_unlock_all()", None, &[])?;
        Ok(())
    })
}

/// The specification of a queued job; `None` where there is none (rolled back, cancelled, or taken by another worker).
pub fn queued_spec(job: i64) -> Result<Option<Spec>> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT j.spec, r.oid, a.oid FROM insight.job j LEFT JOIN pg_authid r ON r.rolname = j.role \
                     LEFT JOIN pg_authid a ON a.rolname = j.session_role WHERE j.job = $1 AND j.status = 'queued'",
                    None,
                    &[job.into()],
                )?
                .first();
            if row.is_empty() {
                return Ok(None);
            }
            let (Some(JsonB(json)), Some(role), Some(session_role)) =
                row.get_three::<JsonB, pg_sys::Oid, pg_sys::Oid>()?
            else {
                return Ok(None);
            };
            let mut spec: Spec = serde_json::from_value(json).map_err(|e| {
                Error::new(
                    "XX001",
                    format!("the specification of job {job} is damaged: {e}"),
                )
            })?;
            // The numbers in a specification that was restored from a dump are another cluster's.
            (spec.role, spec.session_role) = (role.to_u32(), session_role.to_u32());
            Ok(Some(spec))
        })
    })
}

/// Whether the job could start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is marked running.
    Taken,
    /// Others run or stand before it.
    NotYet,
    /// It is no longer queued.
    Gone,
}

/// Starts the job if it is the first in the queue and fewer than `max_jobs` run. Call with the job's lock held. With
/// `overtake`, jobs that have no worker do not count: where none can be had for them, waiting would be for ever.
pub fn take_turn(job: i64, max_jobs: i64, progress: u32, overtake: bool) -> Result<Turn> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "SELECT pg_advisory_xact_lock($1, 0)",
                None,
                &[LOCK_CLASS.into()],
            )?;
            mark_dead(client)?;
            let row = client
                .update(
                    &format!(
                        "SELECT (SELECT count(*) FROM insight.job j WHERE j.status = 'running'), \
                         (SELECT min(j.job) FROM insight.job j WHERE j.status = 'queued' AND ({ALIVE} OR NOT j.waiting AND NOT $2)), \
                         (SELECT j.status FROM insight.job j WHERE j.job = $1)"
                    ),
                    None,
                    &[job.into(), overtake.into()],
                )?
                .first();
            let (running, first, status) = row.get_three::<i64, i64, String>()?;
            if status.as_deref() != Some("queued") {
                return Ok(Turn::Gone);
            }
            if running.unwrap_or(0) >= max_jobs || first != Some(job) {
                return Ok(Turn::NotYet);
            }
            // Somebody may have cancelled it since it was looked at.
            let taken = client.update(
                "UPDATE insight.job SET status = 'running', phase = 'reading', pid = pg_backend_pid(), \
                 started_at = clock_timestamp(), progress = $2 WHERE job = $1 AND status = 'queued' RETURNING job",
                None,
                &[job.into(), i64::from(progress).into()],
            )?;
            Ok(if taken.is_empty() {
                Turn::Gone
            } else {
                Turn::Taken
            })
        })
    })
}

/// Notes what reading took, for benchmarks and the curious.
pub fn note_reading(job: i64, rows: i64, seconds: f64) -> Result<()> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "UPDATE insight.job SET phase = 'training', read_rows = $2, read_seconds = $3 WHERE job = $1",
                None,
                &[job.into(), rows.into(), seconds.into()],
            )?;
            Ok(())
        })
    })
}

/// Notes what a job took: seconds by phase, the most memory of its trainer, the device it was given.
pub fn note_usage(
    job: i64,
    phases: serde_json::Value,
    peak_bytes: Option<i64>,
    device: Option<&str>,
) -> Result<()> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "UPDATE insight.job SET phases = $2, peak_bytes = $3, device = $4 WHERE job = $1",
                None,
                &[
                    job.into(),
                    JsonB(phases).into(),
                    peak_bytes.into(),
                    device.into(),
                ],
            )?;
            Ok(())
        })
    })
}

/// Writes the final status.
pub fn finish(job: i64, ending: &Ending) -> Result<()> {
    let (status, version, error) = match ending {
        Ending::Succeeded { version } => ("succeeded", *version, None),
        Ending::Failed(error) => ("failed", None, Some(error)),
        Ending::Cancelled(error) => ("cancelled", None, Some(error)),
    };
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "UPDATE insight.job SET status = $2, phase = 'done', version = $3, finished_at = clock_timestamp(), \
                 progress = NULL, error = $4, detail = $5, hint = $6, sqlstate = $7, spec = spec - 'settings' \
                 WHERE job = $1 AND status IN ('queued', 'running')",
                None,
                &[
                    job.into(),
                    status.into(),
                    version.into(),
                    error.map(|e| e.message.as_str()).into(),
                    error.and_then(|e| e.detail.as_deref()).into(),
                    error.and_then(|e| e.hint.as_deref()).into(),
                    error.map(|e| e.sqlstate.as_str()).into(),
                ],
            )?;
            Ok(())
        })
    })
}

/// Cancels the job if it still waits for its turn; its worker, if it has one, finds it gone.
pub fn cancel_queued(job: i64) -> Result<bool> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            let cancelled = client.update(
                "UPDATE insight.job SET status = 'cancelled', phase = 'done', finished_at = clock_timestamp(), \
                 error = 'canceling training due to user request', sqlstate = '57014' \
                 WHERE job = $1 AND status = 'queued' RETURNING job",
                None,
                &[job.into()],
            )?;
            Ok(!cancelled.is_empty())
        })
    })
}

/// Marks jobs whose worker is gone as failed. Whoever looks first does it.
fn mark_dead(client: &mut SpiClient<'_>) -> Result<()> {
    client.update(
        &format!(
            "UPDATE insight.job j SET status = 'failed', phase = 'done', finished_at = clock_timestamp(), progress = NULL, \
             error = 'the worker ended without a report', \
             hint = 'It was terminated, or the server was shut down or crashed. Call insight_train again.', \
             sqlstate = '57P01' \
             WHERE (j.status = 'running' OR j.status = 'queued' AND j.waiting) AND NOT {ALIVE}"
        ),
        None,
        &[],
    )?;
    Ok(())
}

/// A job that trains a model or will.
pub fn busy(model: &str) -> Result<Option<i64>> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    &format!(
                        "SELECT min(j.job) FROM insight.job j WHERE j.model = $1 AND \
                         (j.status IN ('queued', 'running') AND {ALIVE} OR j.status = 'queued' AND NOT j.waiting)"
                    ),
                    None,
                    &[model.into()],
                )?
                .first();
            Ok(row.get_one::<i64>()?)
        })
    })
}

/// Notes that a run of a schedule failed, unless a job of its own says so: what fails before anything is queued has none.
pub fn note_failure(model: &str, error: &Error) -> Result<()> {
    // SAFETY: plain reads of this process's identity.
    let (role, session) = unsafe { (pg_sys::GetUserId(), pg_sys::GetSessionUserId()) };
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "INSERT INTO insight.job (model, status, phase, role, session_role, waiting, spec, started_at, finished_at, error, \
                     detail, hint, sqlstate) \
                 SELECT $1, 'failed', 'done', pg_get_userbyid($2), pg_get_userbyid($3), false, '{}', now(), clock_timestamp(), $4, \
                     $5, $6, $7 \
                 WHERE NOT EXISTS (SELECT FROM insight.job j WHERE j.model = $1 AND j.status = 'failed' AND j.finished_at >= now() \
                     AND j.error = $4)",
                None,
                &[
                    model.into(),
                    role.into(),
                    session.into(),
                    error.message.as_str().into(),
                    error.detail.as_deref().into(),
                    error.hint.as_deref().into(),
                    error.sqlstate.as_str().into(),
                ],
            )?;
            Ok(())
        })
    })
}

/// A queued job that should have a worker by now.
pub struct Next {
    pub job: i64,
    session_role: pg_sys::Oid,
    /// `None` where the role is gone.
    may_login: Option<bool>,
}

impl Next {
    /// Starts its worker; `None` where no worker may ever be started.
    pub fn launch(&self) -> Option<Kick> {
        if self.may_login != Some(true) {
            return None;
        }
        let launched = worker::launch_queued(self.job, self.session_role);
        Some(if launched {
            Kick::Started
        } else {
            Kick::NoSlot
        })
    }
}

/// The first job of the queue, if it has no worker and there is room for one more.
pub fn next() -> Result<Option<Next>> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    &format!(
                        "SELECT j.job, a.oid, CASE WHEN EXISTS (SELECT FROM pg_authid r WHERE r.rolname = j.role) \
                           THEN a.rolcanlogin AND has_database_privilege(a.oid, current_database(), 'CONNECT') END \
                         FROM insight.job j LEFT JOIN pg_authid a ON a.rolname = j.session_role \
                         WHERE j.job = (SELECT min(j.job) FROM insight.job j WHERE j.status = 'queued' AND (NOT j.waiting OR {ALIVE})) \
                         AND NOT j.waiting AND NOT {ALIVE} AND (j.spec->>'max_jobs')::bigint > \
                           (SELECT count(*) FROM insight.job j WHERE j.status = 'running' AND {ALIVE})"
                    ),
                    None,
                    &[],
                )?
                .first();
            if row.is_empty() {
                return Ok(None);
            }
            let (job, role, may_login) = row.get_three::<i64, pg_sys::Oid, bool>()?;
            Ok(job.map(|job| Next {
                job,
                session_role: role.unwrap_or(pg_sys::InvalidOid),
                may_login,
            }))
        })
    })
}

/// What became of the attempt to start a worker for the first queued job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kick {
    Started,
    NoSlot,
    /// No job needs a worker now.
    Nothing,
}

/// Marks dead jobs and starts a worker for the first queued job if there is room.
pub fn kick() -> Result<Kick> {
    as_owner(|| {
        Spi::connect_mut(|client| -> Result<_> {
            client.update(
                "SELECT pg_advisory_xact_lock($1, 0)",
                None,
                &[LOCK_CLASS.into()],
            )?;
            mark_dead(client)
        })
    })?;
    while let Some(next) = next()? {
        if let Some(kick) = next.launch() {
            return Ok(kick);
        }
        let why = match next.may_login {
            None => "does not exist any more",
            Some(_) => "may no longer log in",
        };
        let error = Error::new("28000", format!("the role that asked for this job {why}"));
        finish(next.job, &Ending::Failed(error))?;
    }
    Ok(Kick::Nothing)
}

/// What `insight_wait` and `insight_cancel` need to know of a job.
#[derive(Debug, Clone)]
pub struct Status {
    pub status: String,
    pub role: pg_sys::Oid,
    /// The worker, while it lives.
    pub pid: Option<i32>,
}

/// The job's true status; `None` where there is no such job. A standby sees no locks of its primary and believes the row.
pub fn status(job: i64) -> Result<Option<Status>> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    &format!(
                        "SELECT CASE WHEN j.status = 'running' AND NOT pg_is_in_recovery() AND NOT {ALIVE} THEN 'failed' \
                         ELSE j.status END, (SELECT r.oid FROM pg_authid r WHERE r.rolname = j.role), \
                         {WORKER} FROM insight.job j WHERE j.job = $1"
                    ),
                    None,
                    &[job.into()],
                )?
                .first();
            if row.is_empty() {
                return Ok(None);
            }
            let (status, role, pid) = row.get_three::<String, pg_sys::Oid, i32>()?;
            // Nobody but a superuser has the rights of a role that is gone.
            let role = role.unwrap_or(pg_sys::InvalidOid);
            Ok(status.map(|status| Status { status, role, pid }))
        })
    })
}
