//! The background worker of a job: how it is started, where it gets its specification, how it ends.

use super::queue::{self, Ending, Kick};
use super::run::{Run, activity, answer};
use super::shared::{Segment, State};
use super::spec::Spec;
use super::usage::Usage;
use super::{elsewhere, error_of, ledger};
use crate::error::{Error, Result};
use crate::store::catalog;
use crate::versions;
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, DynamicBackgroundWorker};
use pgrx::prelude::*;
use pgrx::{PgTryBuilder, pg_sys};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

unsafe extern "C-unwind" {
    /// PostgreSQL's own SIGTERM handler: pgrx's does not interrupt a running query.
    fn die(signal: std::ffi::c_int);
}

fn builder(extra: &str, argument: i64) -> BackgroundWorkerBuilder {
    BackgroundWorkerBuilder::new("insight worker")
        .set_type("insight worker")
        .set_library("$libdir/insight")
        .set_function("insight_worker_main")
        .enable_spi_access()
        .set_restart_time(None)
        .set_argument(Some(pg_sys::Datum::from(argument)))
        .set_extra(extra)
}

/// A worker for a caller that waits; `None` while no slot is free.
pub fn launch_waiting(control: u32, session_role: pg_sys::Oid) -> Option<DynamicBackgroundWorker> {
    // SAFETY: plain reads of this process's identity.
    let (database, pid) = unsafe { (pg_sys::MyDatabaseId, pg_sys::MyProcPid) };
    let extra = format!("w {} {}", database.to_u32(), session_role.to_u32());
    builder(&extra, i64::from(control))
        .set_notify_pid(pid)
        .load_dynamic()
        .ok()
}

/// A worker for a queued job; false while no slot is free: the job stays queued.
pub fn launch_queued(job: i64, session_role: pg_sys::Oid) -> bool {
    // SAFETY: a plain read.
    let database = unsafe { pg_sys::MyDatabaseId };
    let extra = format!("q {} {}", database.to_u32(), session_role.to_u32());
    builder(&extra, job).load_dynamic().is_ok()
}

/// A worker that asks another database something; `None` while no slot is free.
pub fn launch_elsewhere(
    question: u32,
    database: pg_sys::Oid,
    session_role: pg_sys::Oid,
) -> Option<DynamicBackgroundWorker> {
    // SAFETY: a plain read of this process's identity.
    let pid = unsafe { pg_sys::MyProcPid };
    let extra = format!("e {} {}", database.to_u32(), session_role.to_u32());
    builder(&extra, i64::from(question))
        .set_notify_pid(pid)
        .load_dynamic()
        .ok()
}

/// A worker that notes what is spent of privacy budgets; `None` while no slot is free.
pub fn launch_ledger(
    charge: u32,
    database: pg_sys::Oid,
    session_role: pg_sys::Oid,
) -> Option<DynamicBackgroundWorker> {
    // SAFETY: a plain read of this process's identity.
    let pid = unsafe { pg_sys::MyProcPid };
    let extra = format!("l {} {}", database.to_u32(), session_role.to_u32());
    builder(&extra, i64::from(charge))
        .set_notify_pid(pid)
        .load_dynamic()
        .ok()
}

/// A worker that looks after one database and leaves: it starts jobs that nobody else started.
pub fn launch_visit(database: pg_sys::Oid) -> bool {
    builder(&format!("v {} 0", database.to_u32()), 0)
        .load_dynamic()
        .is_ok()
}

/// Runs `work` in a transaction of its own: committed when it answers Ok, else rolled back.
pub fn transaction<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: the worker is outside any transaction here.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            // Whatever the role's defaults are: the queue is written, and looked at anew after each lock.
            pg_sys::XactReadOnly = pg_sys::RecoveryInProgress();
            pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let result = work();
        if result.is_ok() {
            // SAFETY: undoes the two calls above.
            unsafe {
                pg_sys::PopActiveSnapshot();
                pg_sys::CommitTransactionCommand();
            }
        }
        result
    }))
    .catch_others(|caught| Err(error_of(&caught)))
    .execute();
    if outcome.is_err() {
        // SAFETY: ends whatever is left of the failed transaction.
        unsafe { pg_sys::AbortCurrentTransaction() };
    }
    outcome
}

/// Entry point of the background worker.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn insight_worker_main(argument: pg_sys::Datum) {
    // SAFETY: called once by PostgreSQL at the start of this process; `die` is PostgreSQL's own handler.
    let extra = unsafe {
        versions::on_signal(libc::SIGTERM, die);
        pg_sys::BackgroundWorkerUnblockSignals();
        BackgroundWorker::get_extra().to_owned()
    };
    let fields: Vec<&str> = extra.split(' ').collect();
    let [kind, database, role] = fields[..] else {
        return;
    };
    let (Ok(database), Ok(role)) = (database.parse::<u32>(), role.parse::<u32>()) else {
        return;
    };
    // SAFETY: the first database access of this process.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database.into(), role.into(), 0);
        pg_sys::pgstat_report_appname(c"insight worker".as_ptr());
    }
    // A visit that fails would only send the next.
    IN_ORDER.store(kind == "v", Relaxed);
    // SAFETY: registered once, for the life of this process, by a static function.
    unsafe { pg_sys::on_shmem_exit(Some(send_another), pg_sys::Datum::from(0)) };
    let argument = argument.value() as i64;
    let finished = match kind {
        "w" => serve_caller(argument as u32),
        "q" => serve_queue(argument),
        "e" => elsewhere::answer(argument as u32),
        "l" => ledger::answer(argument as u32),
        // Nothing to train: the launcher asks to look after this database.
        _ => Ok(()),
    };
    if let Err(error) = finished {
        log!("insight worker: {}", error.message);
    }
    activity(None);
    if let Err(error) = hand_on() {
        log!("insight worker: {}", error.message);
    } else {
        IN_ORDER.store(true, Relaxed);
    }
    pgrx::check_for_interrupts!();
}

/// Whether the queue has been looked after before this process ends.
static IN_ORDER: AtomicBool = AtomicBool::new(false);

/// A worker that is terminated, or leaves by an error, looks after nobody: another one does. It comes after PostgreSQL has given
/// back the locks by which a worker is known to live.
#[pg_guard]
unsafe extern "C-unwind" fn send_another(_code: i32, _argument: pg_sys::Datum) {
    if !IN_ORDER.load(Relaxed) {
        // SAFETY: a plain read.
        launch_visit(unsafe { pg_sys::MyDatabaseId });
    }
}

/// Starts the next job. One that still waits for its turn has no worker now: whoever ended while this one lived left it to this one.
fn hand_on() -> Result<()> {
    loop {
        // A request to cancel was for a job that is over.
        forget_cancel();
        let looked = transaction(|| {
            if catalog::installed() {
                queue::unlock()?;
                queue::kick()
            } else {
                Ok(Kick::Nothing)
            }
        });
        match looked {
            Err(error) if error.sqlstate == "57014" => {}
            other => return other.map(|_| ()),
        }
    }
}

fn forget_cancel() {
    // SAFETY: a flag of this process that a signal handler sets.
    unsafe { pg_sys::QueryCancelPending = 0 };
}

/// Makes an answer of any error: one that PostgreSQL raises outside a transaction, as it does when a request to cancel is seen
/// there, would end this process before the job's row is true.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    PgTryBuilder::new(AssertUnwindSafe(work))
        .catch_others(|caught| Err(error_of(&caught)))
        .execute()
}

/// A job somebody waits for: the specification comes through shared memory.
fn serve_caller(handle: u32) -> Result<()> {
    let Some(segment) = Segment::attach(handle) else {
        return Ok(());
    };
    let Some(control) = segment.checked_control() else {
        return Ok(());
    };
    let spec: Spec = serde_json::from_slice(segment.spec()).map_err(|e| {
        Error::new(
            "XX000",
            format!("the job's specification cannot be read: {e}"),
        )
    })?;
    // SAFETY: a plain read.
    control.worker_pid.store(
        unsafe { pg_sys::MyProcPid },
        std::sync::atomic::Ordering::Relaxed,
    );
    let job = match transaction(|| {
        let job = queue::insert(&spec, true)?;
        queue::lock(job)?;
        Ok(job)
    }) {
        Ok(job) => job,
        Err(error) => {
            answer(control, State::Failed, &error);
            return Err(error);
        }
    };
    control.job.store(job, std::sync::atomic::Ordering::Relaxed);
    control.enter("queued");
    control.set_state(State::Queued);
    let mut run = Run {
        job,
        spec,
        control,
        handle,
        caller: true,
        started: Instant::now(),
        usage: Usage::default(),
        seen: Vec::new(),
    };
    let outcome = caught(|| {
        run.wait_turn(true)?;
        let bytes = run.train()?;
        run.hand_over(&bytes)
    });
    let ending = match &outcome {
        Ok(()) => Ending::Succeeded { version: None },
        Err(error) => Ending::of_error(error.clone()),
    };
    finish(job, &ending)?;
    match outcome {
        Ok(()) => control.set_state(State::Done),
        Err(error) => run.answer_error(&error),
    }
    Ok(())
}

/// A queued job: the specification comes from the job row.
fn serve_queue(job: i64) -> Result<()> {
    let taken = transaction(|| {
        Ok(if queue::lock(job)? {
            queue::queued_spec(job)?
        } else {
            None
        })
    });
    let spec = match taken {
        Ok(Some(spec)) => spec,
        Ok(None) => return Ok(()),
        // It would be the first of the queue for ever.
        Err(error) if error.sqlstate == "XX001" => {
            return finish(job, &Ending::of_error(error));
        }
        Err(error) => return Err(error),
    };
    let segment = Segment::control(b"", 0);
    let control = segment.as_control();
    control.job.store(job, std::sync::atomic::Ordering::Relaxed);
    let mut run = Run {
        job,
        spec,
        control,
        handle: segment.handle(),
        caller: false,
        started: Instant::now(),
        usage: Usage::default(),
        seen: Vec::new(),
    };
    let outcome = caught(|| {
        if run.wait_turn(false)? {
            let bytes = run.train()?;
            run.store(&bytes)?;
        }
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(error) => finish(job, &Ending::of_error(error)),
    }
}

/// Writes the final status even while this process is asked to end: that request is served right after.
fn finish(job: i64, ending: &Ending) -> Result<()> {
    held(|| transaction(|| queue::finish(job, ending)))
}

/// Works undisturbed by requests to end.
pub fn held<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: HOLD_INTERRUPTS and RESUME_INTERRUPTS, which C defines as macros; an error sets the count to 0 itself.
    unsafe { pg_sys::InterruptHoldoffCount += 1 };
    let result = work();
    unsafe { pg_sys::InterruptHoldoffCount = pg_sys::InterruptHoldoffCount.saturating_sub(1) };
    result
}
