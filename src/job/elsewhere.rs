//! A statement in another database of the cluster, by a background worker that logs in there as the session's role and acts as
//! the calling one. It commits at once: the caller's transaction has no part in it.

use super::access;
use super::shared::{Segment, State};
use super::worker::{self, transaction};
use crate::error::{Error, Result};
use pgrx::bgworkers::DynamicBackgroundWorker;
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::time::{Duration, Instant};

const SECURITY_LOCAL_USERID_CHANGE: i32 = 1;

/// A worker needs moments; more than that means that none is free.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Question {
    role: u32,
    sql: String,
    arguments: Vec<String>,
}

/// Runs a statement with texts as arguments and answers the text it gives. A message of another database's error comes back as
/// it would here.
pub fn ask(database: pg_sys::Oid, sql: &str, arguments: &[&str]) -> Result<Option<String>> {
    // SAFETY: a plain read of this process's identity.
    let role = unsafe { pg_sys::GetUserId() };
    let question = Question {
        role: role.to_u32(),
        sql: sql.into(),
        arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
    };
    let session = access::session_role()?;
    let ended = || {
        Error::new("08006", "the other database could not be reached")
            .hint("The role needs CONNECT on it; the server log may tell more.")
    };
    converse(
        &question,
        |handle| worker::launch_elsewhere(handle, database, session),
        ended,
    )
}

/// Asks a worker that `launch` starts, given a handle of shared memory with the question, and waits for its answer or its error;
/// `ended` is the error for a worker that ended without either.
pub(super) fn converse<T: DeserializeOwned>(
    question: &impl Serialize,
    launch: impl Fn(u32) -> Option<DynamicBackgroundWorker>,
    ended: impl Fn() -> Error,
) -> Result<T> {
    let json = serde_json::to_vec(question).map_err(|e| Error::new("XX000", e.to_string()))?;
    // SAFETY: a plain read of this process's identity.
    let segment = Segment::control(&json, unsafe { pg_sys::MyProcPid });
    let started = Instant::now();
    let worker = loop {
        if let Some(worker) = launch(segment.handle()) {
            break worker;
        }
        if started.elapsed() > PATIENCE {
            return Err(Error::new("53400", "no background worker is free")
                .hint("Raise max_worker_processes, or try again later."));
        }
        pause();
    };
    let control = segment.as_control();
    let mut gone = false;
    loop {
        match control.state() {
            State::Done => {
                return serde_json::from_slice(&control.note())
                    .map_err(|e| Error::new("XX000", e.to_string()));
            }
            State::Failed => {
                let error: Option<Error> = serde_json::from_slice(&control.note()).ok();
                return Err(error.unwrap_or_else(|| Error::new("XX000", "the worker failed")));
            }
            // It may have answered between the two looks.
            _ if gone => return Err(ended()),
            _ => {
                use pgrx::bgworkers::BackgroundWorkerStatus::Stopped;
                gone = matches!(worker.pid(), Err(Stopped));
            }
        }
        pause();
    }
}

fn pause() {
    // SAFETY: our own latch.
    unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
            20,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}

/// The worker's side.
pub fn answer(handle: u32) -> Result<()> {
    let Some(segment) = Segment::attach(handle) else {
        return Ok(());
    };
    let Some(control) = segment.checked_control() else {
        return Ok(());
    };
    let answered = serde_json::from_slice(segment.spec())
        .map_err(|e| Error::new("XX000", e.to_string()))
        .and_then(|question: Question| transaction(|| run(&question)));
    let (state, note) = match &answered {
        Ok(answer) => (State::Done, serde_json::to_vec(answer)),
        Err(error) => (State::Failed, serde_json::to_vec(error)),
    };
    control.write_note(&note.unwrap_or_default());
    control.set_state(state);
    answered.map(|_| ())
}

fn run(question: &Question) -> Result<Option<String>> {
    // SAFETY: takes on the calling role until the transaction ends: set back below, or by the abort.
    let before = unsafe {
        let mut before = (pg_sys::InvalidOid, 0);
        pg_sys::GetUserIdAndSecContext(&mut before.0, &mut before.1);
        pg_sys::SetUserIdAndSecContext(question.role.into(), SECURITY_LOCAL_USERID_CHANGE);
        before
    };
    let answer = Spi::connect_mut(|client| -> Result<_> {
        let arguments: Vec<_> = question
            .arguments
            .iter()
            .map(|a| a.as_str().into())
            .collect();
        let row = client
            .update(question.sql.as_str(), None, &arguments)?
            .first();
        Ok(if row.is_empty() {
            None
        } else {
            row.get_one::<String>()?
        })
    });
    // SAFETY: the identity that was there before.
    unsafe { pg_sys::SetUserIdAndSecContext(before.0, before.1) };
    answer
}
