//! The background worker of one job: waits for its turn, reads as the calling role, watches the trainer, and hands over
//! or stores the model.

use super::queue::{self, Ending, Kick, Turn};
use super::shared::{Control, Segment, State};
use super::spec::Spec;
use super::trainer::{self, Message};
use super::{error_of, session};
use crate::error::{Error, Result};
use crate::relation::read;
use crate::store::catalog::{self, Publication};
use insight_engine::{artifact::Artifact, fit::Request, frame::Frame};
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, DynamicBackgroundWorker};
use pgrx::prelude::*;
use pgrx::{PgTryBuilder, pg_sys};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// How often flags are looked at while waiting; the latch wakes earlier.
const POLL: Duration = Duration::from_millis(50);

const SECURITY_LOCAL_USERID_CHANGE: i32 = 1;
const SECURITY_RESTRICTED_OPERATION: i32 = 2;

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
        pg_sys::pqsignal(libc::SIGTERM, Some(die));
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
    let argument = argument.value() as i64;
    let finished = match kind {
        "w" => serve_caller(argument as u32),
        "q" => serve_queue(argument),
        // Nothing to train: the launcher asks to look after this database.
        _ => Ok(()),
    };
    if let Err(error) = finished {
        log!("insight worker: {}", error.message);
    }
    activity(None);
    if let Err(error) = transaction(|| {
        if catalog::installed() {
            queue::kick()
        } else {
            Ok(Kick::Nothing)
        }
    }) {
        log!("insight worker: {}", error.message);
    }
}

/// Shows what the worker does in pg_stat_activity.
fn activity(what: Option<&str>) {
    let state = if what.is_some() {
        pg_sys::BackendState::STATE_RUNNING
    } else {
        pg_sys::BackendState::STATE_IDLE
    };
    let text = what.and_then(|w| std::ffi::CString::new(w).ok());
    // SAFETY: the text is copied.
    unsafe {
        pg_sys::pgstat_report_activity(
            state,
            text.as_ref().map_or(std::ptr::null(), |t| t.as_ptr()),
        )
    };
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
    };
    let outcome = run
        .wait_turn(true)
        .and_then(|_| run.train())
        .and_then(|(_, bytes)| run.hand_over(&bytes));
    let ending = match &outcome {
        Ok(()) => Ending::Succeeded { version: None },
        Err(error) => Ending::of_error(error.clone()),
    };
    finish(job, &ending)?;
    match outcome {
        Ok(()) => control.set_state(State::Done),
        Err(error) => run.answer_error(&error),
    }
    finish_if_terminated();
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
    })?;
    let Some(spec) = taken else { return Ok(()) };
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
    };
    let outcome = match run.wait_turn(false) {
        Ok(false) => return Ok(()),
        Ok(true) => run
            .train()
            .and_then(|(artifact, bytes)| run.store(&artifact, &bytes)),
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        finish(job, &Ending::of_error(error))?;
    }
    finish_if_terminated();
    Ok(())
}

/// Writes the final status even while this process is asked to end: that request is served right after.
fn finish(job: i64, ending: &Ending) -> Result<()> {
    // SAFETY: HOLD_INTERRUPTS and RESUME_INTERRUPTS, which C defines as macros; an error sets the count to 0 itself.
    unsafe { pg_sys::InterruptHoldoffCount += 1 };
    let result = transaction(|| queue::finish(job, ending));
    unsafe { pg_sys::InterruptHoldoffCount = pg_sys::InterruptHoldoffCount.saturating_sub(1) };
    result
}

/// Leaves as PostgreSQL wants after a SIGTERM, once the job row is final.
fn finish_if_terminated() {
    pgrx::check_for_interrupts!();
}

/// Tells a waiting caller how it ended.
fn answer(control: &Control, state: State, error: &Error) {
    control.write_note(&serde_json::to_vec(error).unwrap_or_default());
    control.set_state(state);
}

struct Run<'a> {
    job: i64,
    spec: Spec,
    control: &'a Control,
    handle: u32,
    caller: bool,
    started: Instant,
}

impl Run<'_> {
    /// Whether somebody wants this job to end; SIGINT and SIGTERM are consumed.
    fn interrupted(&self) -> Option<Error> {
        // SAFETY: flags set by signal handlers of this process; BackendPidGetProc looks a pid up.
        unsafe {
            if pg_sys::ProcDiePending != 0 {
                return Some(
                    Error::new("57P01", "terminating training due to administrator command")
                        .hint("Call insight_train again."),
                );
            }
            if pg_sys::QueryCancelPending != 0 {
                pg_sys::QueryCancelPending = 0;
                return Some(Error::new(
                    "57014",
                    "canceling training due to user request",
                ));
            }
            if !self.caller {
                return None;
            }
            if self
                .control
                .cancel
                .load(std::sync::atomic::Ordering::Relaxed)
                != 0
            {
                return Some(Error::new(
                    "57014",
                    "canceling training because the waiting call was canceled",
                ));
            }
            let pid = self
                .control
                .caller_pid
                .load(std::sync::atomic::Ordering::Relaxed);
            if pg_sys::BackendPidGetProc(pid).is_null() {
                return Some(Error::new(
                    "57014",
                    "canceling training because the waiting session ended",
                ));
            }
        }
        None
    }

    /// Sleeps until the latch is set, the descriptor can be read, or the poll interval is over.
    fn sleep(&self, descriptor: Option<i32>) {
        let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
        let readable = if descriptor.is_some() {
            pg_sys::WL_SOCKET_READABLE
        } else {
            0
        };
        // SAFETY: our own latch; the descriptor is open.
        unsafe {
            pg_sys::WaitLatchOrSocket(
                pg_sys::MyLatch,
                (events | readable) as i32,
                descriptor.unwrap_or(-1),
                POLL.as_millis() as std::ffi::c_long,
                pg_sys::PG_WAIT_EXTENSION,
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
    }

    /// Waits until the job is first in the queue and there is room. A worker of a queued job does not wait: a finishing
    /// one starts it again. False: leave without a word.
    fn wait_turn(&mut self, patient: bool) -> Result<bool> {
        activity(Some("insight: waiting for other jobs"));
        let (max_jobs, mut overtake) = (self.spec.max_jobs, false);
        loop {
            match transaction(|| queue::take_turn(self.job, max_jobs, self.handle, overtake))? {
                Turn::Taken => {
                    // There may be room for the next one too.
                    transaction(queue::kick)?;
                    return Ok(true);
                }
                Turn::Gone if patient => {
                    return Err(Error::new(
                        "57014",
                        "canceling training due to user request",
                    ));
                }
                Turn::Gone => return Ok(false),
                Turn::NotYet if !patient => return Ok(false),
                Turn::NotYet => {
                    if let Some(error) = self.interrupted() {
                        return Err(error);
                    }
                    overtake = transaction(queue::kick)? == Kick::NoSlot;
                    self.sleep(None);
                    self.sleep(None);
                }
            }
        }
    }

    /// Reads and trains; answers the artifact and its bytes.
    fn train(&mut self) -> Result<(Artifact, Vec<u8>)> {
        self.started = Instant::now();
        self.control.set_state(State::Running);
        self.control.enter("reading");
        activity(Some(&format!(
            "insight: reading {} for model {}",
            self.spec.relation, self.spec.model
        )));
        let frame = self.read()?;
        let rows = frame.rows() as i64;
        let read_seconds = self.started.elapsed().as_secs_f64();
        transaction(|| queue::note_reading(self.job, rows, read_seconds))?;
        activity(Some(&format!(
            "insight: training model {}",
            self.spec.model
        )));
        let bytes = self.fit(frame)?;
        self.control.enter("storing");
        let artifact = Artifact::from_bytes(&bytes).map_err(|e| {
            Error::new("XX000", "the trainer's model cannot be read").detail(e.to_string())
        })?;
        Ok((artifact, bytes))
    }

    /// Reads the relation as the calling role, in a read-only transaction.
    fn read(&self) -> Result<Frame> {
        let spec = &self.spec;
        let control = self.control;
        let started = Instant::now();
        transaction(|| {
            // SAFETY: sets this transaction read-only and takes on the calling role; both end with the transaction,
            // the identity below or by the abort.
            let mut before = (pg_sys::InvalidOid, 0);
            unsafe {
                pg_sys::XactReadOnly = true;
                pg_sys::GetUserIdAndSecContext(&mut before.0, &mut before.1);
                session::apply(
                    &spec.settings,
                    pg_sys::superuser_arg(spec.session_role.into()),
                );
                pg_sys::SetUserIdAndSecContext(
                    spec.role.into(),
                    SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION,
                );
            }
            let names: Vec<&str> = spec.columns.iter().map(String::as_str).collect();
            let frame = read::read(&spec.source()?, &names, spec.max_bytes, &mut |rows| {
                control.report_rows(
                    rows,
                    rows as f64 / started.elapsed().as_secs_f64().max(1e-9),
                );
                if self.caller && (control.cancel.load(std::sync::atomic::Ordering::Relaxed) != 0) {
                    // SAFETY: asks PostgreSQL to cancel this query at its next check.
                    unsafe {
                        pg_sys::QueryCancelPending = 1;
                        pg_sys::InterruptPending = 1;
                    }
                }
                pgrx::check_for_interrupts!();
            })?;
            // SAFETY: the identity that was there before.
            unsafe { pg_sys::SetUserIdAndSecContext(before.0, before.1) };
            Ok(frame)
        })
    }

    /// Fits in the isolated child and relays its progress.
    fn fit(&self, frame: Frame) -> Result<Vec<u8>> {
        let spec = &self.spec;
        let mut params = spec.params()?;
        if let Some(limit) = params.max_seconds {
            // Reading counts.
            params.max_seconds = Some((limit - self.started.elapsed().as_secs_f64()).max(0.1));
        }
        let request = Request {
            frame,
            target: spec.target.clone(),
            task: spec.task,
            include: spec.include.clone(),
            excluded: spec.excluded.clone(),
            params,
            device: trainer::resolve_device(&spec.device)?,
            positive: spec.positive.clone(),
        };
        self.control.enter("preparing");
        if !spec.isolate {
            return trainer::fit_here(request, &mut |progress| {
                self.control.report(progress);
                self.interrupted().is_none()
            });
        }
        let mut child = trainer::start(request, spec.threads, spec.max_bytes)?;
        loop {
            for message in child.receive() {
                match message {
                    Message::Progress(progress) => self.control.report(&progress),
                    Message::Artifact(bytes) => return Ok(bytes),
                    Message::Failed(error) => return Err(error),
                }
            }
            if let Some(error) = self.interrupted() {
                return Err(error);
            }
            self.sleep(Some(child.descriptor()));
        }
    }

    /// Gives the artifact to the waiting caller, who stores it in its own transaction.
    fn hand_over(&self, bytes: &[u8]) -> Result<()> {
        let payload = Segment::with_bytes(bytes);
        self.control
            .payload_bytes
            .store(bytes.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.control
            .payload
            .store(payload.handle(), std::sync::atomic::Ordering::Relaxed);
        self.control.set_state(State::Result);
        self.wake_caller();
        loop {
            match self.control.state() {
                State::Stored => return Ok(()),
                State::NotStored => {
                    let stated = serde_json::from_slice(&self.control.note()).ok();
                    return Err(stated
                        .unwrap_or_else(|| Error::new("58000", "the model could not be stored")));
                }
                _ => {}
            }
            if let Some(error) = self.interrupted() {
                return Err(error);
            }
            self.sleep(None);
        }
    }

    /// Stores the model and the job's success in one transaction.
    fn store(&self, artifact: &Artifact, bytes: &[u8]) -> Result<()> {
        transaction(|| {
            let publication = Publication {
                model: &self.spec.model,
                role: self.spec.role.into(),
                job: self.job,
                relation: &self.spec.relation,
                options: &self.spec.options,
                deploy: self.spec.deploy,
                seconds: self.started.elapsed().as_secs_f64(),
            };
            let published = catalog::publish(&publication, artifact, bytes)?;
            queue::finish(
                self.job,
                &Ending::Succeeded {
                    version: Some(published.version),
                },
            )
        })
    }

    fn answer_error(&self, error: &Error) {
        answer(self.control, State::Failed, error);
        self.wake_caller();
    }

    fn wake_caller(&self) {
        let pid = self
            .control
            .caller_pid
            .load(std::sync::atomic::Ordering::Relaxed);
        // SAFETY: the latch of a PGPROC that was just looked up; PGPROCs live as long as the server.
        unsafe {
            let process = pg_sys::BackendPidGetProc(pid);
            if !process.is_null() {
                pg_sys::SetLatch(&raw mut (*process).procLatch);
            }
        }
    }
}
