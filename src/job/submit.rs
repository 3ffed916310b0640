//! The caller's side: queue a job, or wait for one and store its model in the caller's own transaction.

use super::queue;
use super::shared::{Segment, State};
use super::spec::Spec;
use super::{error_of, worker};
use crate::error::{Error, Result};
use crate::messages::notice;
use crate::store::publish::{self, Publication, Published};
use crate::{settings, versions};
use insight_engine::trained::TrainedModel;
use pgrx::bgworkers::DynamicBackgroundWorker;
use pgrx::prelude::*;
use pgrx::{PgTryBuilder, pg_sys};
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const POLL_MILLISECONDS: std::ffi::c_long = 50;

thread_local! {
    /// Jobs queued by the current transaction: their workers start when it commits.
    static PENDING: RefCell<Vec<(i64, pg_sys::Oid)>> = const { RefCell::new(Vec::new()) };
    static REGISTERED: RefCell<bool> = const { RefCell::new(false) };
}

/// What a finished call answers.
pub struct Outcome {
    pub job: i64,
    pub published: Published,
    pub seconds: f64,
    pub model: TrainedModel,
}

/// What a worker hands over.
#[derive(Clone, Copy)]
pub struct Handed<'b> {
    /// What came of the training.
    pub bytes: &'b [u8],
    /// Whose rows it was trained on.
    pub seen: &'b [u8],
}

/// Queues a job that starts when the transaction commits and vanishes if it rolls back.
pub fn enqueue(spec: &Spec) -> Result<i64> {
    let job = queue::insert(spec, false)?;
    REGISTERED.with_borrow_mut(|registered| {
        if !*registered {
            // SAFETY: the callback is a static function; registered once per process.
            unsafe { pg_sys::RegisterXactCallback(Some(at_transaction_end), std::ptr::null_mut()) };
            *registered = true;
        }
    });
    PENDING.with_borrow_mut(|pending| pending.push((job, pg_sys::Oid::from(spec.session_role))));
    Ok(job)
}

/// Starts a worker that looks for queued jobs; nothing happens while no slot is free.
pub fn visit() {
    // SAFETY: a plain read.
    worker::launch_visit(unsafe { pg_sys::MyDatabaseId });
}

/// Whether the job waits for this very transaction to commit.
pub fn is_pending(job: i64) -> bool {
    PENDING.with_borrow(|pending| pending.iter().any(|(j, _)| *j == job))
}

#[pg_guard]
unsafe extern "C-unwind" fn at_transaction_end(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    if !matches!(
        event,
        XACT_EVENT_COMMIT | XACT_EVENT_ABORT | XACT_EVENT_PREPARE
    ) {
        return;
    }
    let pending = PENDING.take();
    if event == XACT_EVENT_COMMIT {
        for (job, role) in pending {
            // No free slot: the job stays queued until a worker ends, somebody waits for it, or the launcher comes by.
            worker::launch_queued(job, role);
        }
    }
}

/// Asks the worker to stop when the wait ends early, and gives it a moment to say so in the job row.
struct Waiting {
    segment: Segment,
    worker: Option<DynamicBackgroundWorker>,
    finished: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let control = self.segment.as_control();
        if self.finished || self.worker.is_none() {
            return;
        }
        control.cancel.store(1, Relaxed);
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until && !matches!(control.state(), State::Done | State::Failed) {
            let pid = control.worker_pid.load(Relaxed);
            // SAFETY: looks a pid up, sets the latch of a process that lives, sleeps.
            unsafe {
                let process = pg_sys::BackendPidGetProc(pid);
                if pid != 0 && process.is_null() {
                    break;
                }
                if !process.is_null() {
                    pg_sys::SetLatch(&raw mut (*process).procLatch);
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Waiting {
    /// Sleeps a little; cancellation and a lost client end the wait here.
    fn pause(&self, last_check: &mut Instant) {
        // SAFETY: our own latch, and our own client.
        unsafe {
            pg_sys::WaitLatch(
                pg_sys::MyLatch,
                (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
                POLL_MILLISECONDS,
                pg_sys::PG_WAIT_EXTENSION,
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
            if last_check.elapsed() > Duration::from_millis(500) && !pg_sys::MyProcPort.is_null() {
                *last_check = Instant::now();
                if !versions::client_is_there() {
                    pg_sys::ClientConnectionLost = 1;
                    pg_sys::InterruptPending = 1;
                }
            }
        }
        pgrx::check_for_interrupts!();
    }

    fn worker_ended(&self) -> bool {
        use pgrx::bgworkers::BackgroundWorkerStatus::Stopped;
        self.worker
            .as_ref()
            .is_some_and(|worker| matches!(worker.pid(), Err(Stopped)))
    }
}

/// Trains while the caller waits; the version is stored in the caller's transaction.
pub fn run(spec: &Spec) -> Result<Outcome> {
    let started = Instant::now();
    let (job, (published, model)) = ask(spec, |job, handed| store(spec, job, handed, started))?;
    Ok(Outcome {
        job,
        published,
        seconds: started.elapsed().as_secs_f64(),
        model,
    })
}

/// Lets a worker do what the specification says and waits; `receive` is given the job and the bytes that came of it, in the
/// caller's transaction. Answers the job and what `receive` does.
pub fn ask<T>(spec: &Spec, receive: impl Fn(i64, Handed<'_>) -> Result<T>) -> Result<(i64, T)> {
    let json = serde_json::to_vec(spec).map_err(|e| Error::new("XX000", e.to_string()))?;
    // SAFETY: a plain read.
    let segment = Segment::control(&json, unsafe { pg_sys::MyProcPid });
    let mut waiting = Waiting {
        segment,
        worker: None,
        finished: false,
    };
    let (mut last_check, mut last_notice) = (Instant::now(), Instant::now());
    let mut noticed = false;
    loop {
        if let Some(worker) =
            worker::launch_waiting(waiting.segment.handle(), spec.session_role.into())
        {
            waiting.worker = Some(worker);
            break;
        }
        if !noticed {
            notice("waiting for a free background worker (max_worker_processes)");
            noticed = true;
        }
        waiting.pause(&mut last_check);
    }
    let mut received = None;
    loop {
        let control = waiting.segment.as_control();
        match control.state() {
            State::Result if received.is_none() => {
                let job = control.job.load(Relaxed);
                received = Some(take(&waiting.segment, |handed| receive(job, handed))?);
                continue;
            }
            State::Failed => {
                waiting.finished = true;
                let error: Option<Error> = serde_json::from_slice(&control.note()).ok();
                return Err(error.unwrap_or_else(|| Error::new("XX000", "the worker failed")));
            }
            State::Done => break,
            _ if waiting.worker_ended()
                && !matches!(control.state(), State::Done | State::Failed) =>
            {
                waiting.finished = true;
                if received.is_some() {
                    break;
                }
                return Err(Error::new("57P01", "the worker ended without a report")
                    .detail(format!("Job {}.", control.job.load(Relaxed)))
                    .hint("It was terminated, or could not start (see the server log). Call insight_train again."));
            }
            _ => {}
        }
        if settings::verbose() && last_notice.elapsed() >= Duration::from_secs(1) {
            last_notice = Instant::now();
            show_progress(&waiting.segment);
        }
        waiting.pause(&mut last_check);
    }
    waiting.finished = true;
    let received = received.ok_or_else(|| Error::new("XX000", "the worker answered nothing"))?;
    let job = waiting.segment.as_control().job.load(Relaxed);
    Ok((job, received))
}

/// Stores the version.
fn store(
    spec: &Spec,
    job: i64,
    Handed { bytes, seen }: Handed<'_>,
    started: Instant,
) -> Result<(Published, TrainedModel)> {
    let model = TrainedModel::from_bytes(bytes).map_err(|e| {
        Error::new("XX000", "the worker's model cannot be read").detail(e.to_string())
    })?;
    let publication = Publication {
        model: &spec.model,
        role: spec.role.into(),
        job: Some(job),
        relation: &spec.relation,
        source: &spec.again,
        options: &spec.options,
        target: &spec.target,
        deploy: spec.deploy,
        reason: "trained",
        promote: spec.promote,
        champion: spec.champion.as_ref(),
        seconds: started.elapsed().as_secs_f64(),
        seen,
    };
    let published = publish::publish(&publication, &model.card(), bytes)?;
    Ok((published, model))
}

/// Takes the bytes the worker left; a failure of `receive` is told to the worker, so that the job row is true, and raised again.
fn take<T>(segment: &Segment, receive: impl Fn(Handed<'_>) -> Result<T>) -> Result<T> {
    let control = segment.as_control();
    let work = || {
        let payload = Segment::attach(control.payload.load(Relaxed))
            .ok_or_else(|| Error::new("58000", "the worker's result is gone"))?;
        let length = control.payload_bytes.load(Relaxed) as usize;
        let seen = control.seen_bytes.load(Relaxed) as usize;
        let all = payload.bytes();
        receive(Handed {
            bytes: all.get(..length).unwrap_or_default(),
            seen: all.get(length..length + seen).unwrap_or_default(),
        })
    };
    let refuse = |error: &Error| {
        control.write_note(&serde_json::to_vec(error).unwrap_or_default());
        control.set_state(State::NotStored);
    };
    let taken = PgTryBuilder::new(AssertUnwindSafe(work))
        .catch_others(|caught| {
            refuse(&error_of(&caught));
            caught.rethrow()
        })
        .execute();
    match &taken {
        Ok(_) => control.set_state(State::Stored),
        Err(error) => refuse(error),
    }
    taken
}

fn show_progress(segment: &Segment) {
    let view = segment.as_control().view();
    let mut text = match view.fold {
        Some((fold, folds)) => format!("fold {fold} of {folds}: {}", view.phase),
        None => view.phase.to_owned(),
    };
    if view.phase == "reading" {
        text += &format!(": {} rows", view.rows);
    } else if view.epoch > 0 {
        text += &format!(": epoch {} of {}", view.epoch, view.epochs);
        if let Some(loss) = view.loss {
            text += &format!(", loss {loss:.4}");
        }
        if let Some(loss) = view.validation_loss {
            text += &format!(", validation loss {loss:.4}");
        }
        if let Some(speed) = view.rows_per_second {
            text += &format!(", {speed:.0} rows/s");
        }
        if let Some(eta) = view.eta_seconds {
            text += &format!(", at most {eta:.0} s left");
        }
    }
    notice(text);
}
