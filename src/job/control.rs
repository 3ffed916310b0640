//! Waiting for jobs and cancelling them from any session.

use super::queue::{self, Status};
use super::submit;
use crate::error::{Error, Result};
use crate::store::catalog::role_name;
use pgrx::pg_sys;
use std::time::{Duration, Instant};

const POLL_MILLISECONDS: std::ffi::c_long = 100;
/// A queued job that no worker slot was free for is tried again this often.
const KICK: Duration = Duration::from_secs(1);

fn known(job: i64) -> Result<Status> {
    queue::status(job)?.ok_or_else(|| {
        Error::new("42704", format!("job {job} does not exist"))
            .hint("The view insight.jobs lists them.")
    })
}

/// The job's role, or a member of it.
fn check_role(job: i64, status: &Status) -> Result<()> {
    // SAFETY: a membership look-up of two role oids.
    if unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), status.role) } {
        return Ok(());
    }
    Err(
        Error::new("42501", format!("permission denied for job {job}"))
            .detail(format!("It belongs to \"{}\".", role_name(status.role))),
    )
}

/// Waits until the job has ended or the time is over; answers the status then.
pub fn wait(job: i64, timeout: Option<f64>) -> Result<String> {
    let started = Instant::now();
    if timeout.is_some_and(|t| !t.is_finite() || t < 0.0) {
        return Err(Error::new(
            "22023",
            "timeout must be a number of seconds, 0 or more",
        ));
    }
    if submit::is_pending(job) {
        return Err(Error::new(
            "55000",
            format!("job {job} starts when this transaction commits"),
        )
        .hint("COMMIT first, then wait for it."));
    }
    check_role(job, &known(job)?)?;
    let mut last_kick: Option<Instant> = None;
    loop {
        let status = latest(job)?.status;
        let over = timeout.is_some_and(|t| started.elapsed().as_secs_f64() >= t);
        if over || !matches!(status.as_str(), "queued" | "running") {
            return Ok(status);
        }
        // SAFETY: a plain read; a standby starts no jobs.
        let primary = !unsafe { pg_sys::RecoveryInProgress() };
        if status == "queued" && primary && last_kick.is_none_or(|k| k.elapsed() >= KICK) {
            last_kick = Some(Instant::now());
            start_next()?;
        }
        // SAFETY: our own latch.
        unsafe {
            pg_sys::WaitLatch(
                pg_sys::MyLatch,
                (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
                POLL_MILLISECONDS,
                pg_sys::PG_WAIT_EXTENSION,
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        pgrx::check_for_interrupts!();
    }
}

/// The status by a snapshot of this moment. A worker that ends after the snapshot is taken and gives its lock back before that is
/// looked at seems to have died: a later snapshot has what it wrote before it gave the lock back.
fn latest(job: i64) -> Result<Status> {
    let status = now(|| known(job))?;
    match status.status == "failed" {
        true => now(|| known(job)),
        false => Ok(status),
    }
}

/// Starts a worker for the first queued job that has none; where its role may not start one, a worker that says so.
fn start_next() -> Result<()> {
    let next = now(queue::next)?;
    if next.is_some_and(|next| next.launch().is_none()) {
        submit::visit();
    }
    Ok(())
}

/// Reads by a snapshot of this moment, whatever the transaction's isolation.
fn now<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: pushed and popped in pairs; on an error the transaction's abort pops it.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let answer = read();
    unsafe { pg_sys::PopActiveSnapshot() };
    answer
}

/// Cancels a job: a queued one in its row, a running one by interrupting its worker.
pub fn cancel(job: i64) -> Result<bool> {
    let status = known(job)?;
    check_role(job, &status)?;
    if status.status == "queued" && queue::cancel_queued(job)? {
        return Ok(true);
    }
    // It may have begun since.
    let status = latest(job)?;
    match (status.status.as_str(), status.pid) {
        ("running", Some(pid)) => {
            // SAFETY: the pid holds the job's lock at this moment, so it is the worker.
            Ok(unsafe { libc::kill(pid, libc::SIGINT) } == 0)
        }
        _ => Ok(false),
    }
}
