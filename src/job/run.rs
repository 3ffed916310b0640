//! One job in its worker: its turn, reading as the calling role, watching the trainer.

mod deliver;

use super::duty::Duty;
use super::queue::{self, Kick, Turn};
use super::session;
use super::shared::{Control, State};
use super::spec::sequence::Sequence;
use super::spec::{Spec, Work};
use super::trainer::{self, Message};
use super::usage::{self, Usage};
use super::worker::{held, transaction};
use crate::error::{Error, Result};
use crate::relation::sources::Sources;
use crate::relation::{read, resolve};
use crate::store::budget::{self, Use};
use crate::store::{membership, record};
use insight_engine::artifact::Artifact;
use insight_engine::fit::{Augment, Progress, Request, Start};
use insight_engine::frame::Frame;
use insight_engine::privacy;
use insight_engine::segment;
use insight_engine::sequence;
use insight_engine::synth::{self, Synthesizer};
use pgrx::pg_sys;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often flags are looked at while waiting; the latch wakes earlier.
const POLL: Duration = Duration::from_millis(50);

const SECURITY_LOCAL_USERID_CHANGE: i32 = 1;
const SECURITY_RESTRICTED_OPERATION: i32 = 2;

/// Settings under which a query reads rows in the same order each time: parts are drawn, and data is recognised, by their place.
fn in_one_order() -> [(String, String); 2] {
    [
        ("max_parallel_workers_per_gather".into(), "0".into()),
        ("synchronize_seqscans".into(), "off".into()),
    ]
}

/// Shows what the worker does in pg_stat_activity.
pub fn activity(what: Option<&str>) {
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

/// Tells a waiting caller how it ended.
pub fn answer(control: &Control, state: State, error: &Error) {
    control.write_note(&serde_json::to_vec(error).unwrap_or_default());
    control.set_state(state);
}

/// Rows about the keys of histories.
#[derive(Default)]
struct Beside {
    labels: Option<Frame>,
    statics: Option<Frame>,
    children: Vec<Frame>,
    /// The relations that all rows come from.
    relations: Vec<pg_sys::Oid>,
}

/// A job from its turn to its model.
pub struct Run<'a> {
    pub job: i64,
    pub spec: Spec,
    pub control: &'a Control,
    pub handle: u32,
    pub caller: bool,
    pub started: Instant,
    pub usage: Usage,
    /// Whose rows were read, as [`insight_engine::members::Members::to_bytes`].
    pub seen: Vec<u8>,
}

impl Run<'_> {
    /// Whether somebody wants this job to end; SIGINT and SIGTERM are consumed.
    fn interrupted(&self) -> Option<Error> {
        // SAFETY: flags set by signal handlers of this process; BackendPidGetProc looks a pid up.
        unsafe {
            // Whoever drops a database waits until every process has done this; CHECK_FOR_INTERRUPTS would do it too, but
            // also end this process before the job's row is true.
            if pg_sys::ProcSignalBarrierPending != 0 {
                pg_sys::ProcessProcSignalBarrier();
            }
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
    pub fn wait_turn(&mut self, patient: bool) -> Result<bool> {
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

    /// Reads and trains; answers what came of it, as bytes.
    pub fn train(&mut self) -> Result<Vec<u8>> {
        self.started = Instant::now();
        self.control.set_state(State::Running);
        self.control.enter("reading");
        self.usage.enter("reading");
        activity(Some(&format!(
            "insight: reading {} for model {}",
            self.spec.relation, self.spec.model
        )));
        let (mut frame, mut beside) = self.read()?;
        self.take_keys(&mut frame, &mut beside)?;
        self.charge(frame.rows(), &beside.relations)?;
        let rows = frame.rows() as i64;
        let read_seconds = self.started.elapsed().as_secs_f64();
        transaction(|| queue::note_reading(self.job, rows, read_seconds))?;
        activity(Some(&format!(
            "insight: training model {}",
            self.spec.model
        )));
        let fitted = self.fit(frame, beside);
        self.control.enter("storing");
        let (phases, peak) = (self.usage.seconds(), usage::peak_bytes(self.spec.isolate));
        let device = self.usage.device.take();
        // What came of the training counts more than what it took.
        let noted =
            held(|| transaction(|| queue::note_usage(self.job, phases, peak, device.as_deref())));
        if let Err(error) = noted {
            pgrx::log!("insight: what the job took is not known: {}", error.message);
        }
        fitted
    }

    /// Leaves out the rows of forgotten keys, and notes whose are left.
    fn take_keys(&mut self, frame: &mut Frame, beside: &mut Beside) -> Result<()> {
        let Some(member) = &self.spec.member else {
            return Ok(());
        };
        let model = &self.spec.model;
        let asked = &self.spec.forgotten;
        let (members, left_out) = transaction(|| {
            // Somebody may have been forgotten since the call.
            let mut all = membership::forgotten(model)?;
            all.extend(asked);
            // What is told of a key beside its history goes with it.
            for own in [&mut beside.labels, &mut beside.statics]
                .into_iter()
                .flatten()
            {
                membership::take(own, &member.column, &all)?;
            }
            membership::take(frame, &member.column, &all)
        })?;
        if left_out > 0 {
            pgrx::log!("insight: {left_out} rows of forgotten keys are left out of model {model}");
        }
        if member.aside {
            frame.columns.retain(|column| column.name != member.column);
        }
        self.seen = members.to_bytes();
        Ok(())
    }

    /// Reads the relation, and that of labels if there is one, as the calling role, in a read-only transaction.
    fn read(&self) -> Result<(Frame, Beside)> {
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
                session::apply(&in_one_order(), false);
                pg_sys::SetUserIdAndSecContext(
                    spec.role.into(),
                    SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION,
                );
            }
            let names: Vec<&str> = spec.columns.iter().map(String::as_str).collect();
            let mut on_rows = |rows| {
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
            };
            let source = spec.source()?;
            let frame = read::read(&source, &names, spec.max_bytes, &mut on_rows)?;
            let mut beside = Beside {
                relations: source.relations,
                ..Beside::default()
            };
            if let Work::Sequence(Sequence {
                key,
                labels,
                statics,
                ..
            }) = &spec.work
            {
                let mut left = spec.max_bytes.saturating_sub(frame.bytes());
                if let Some(labels) = labels {
                    let source = resolve::resolve_from(&labels.relation, &labels.from)?;
                    let own = read::read(&source, &[key, &labels.target], left, &mut on_rows)?;
                    beside.relations.extend(source.relations);
                    left = left.saturating_sub(own.bytes());
                    beside.labels = Some(own);
                }
                if let Some(statics) = statics {
                    let source = resolve::resolve_from(&statics.relation, &statics.from)?;
                    let names: Vec<&str> = statics.columns.iter().map(String::as_str).collect();
                    beside.statics = Some(read::read(&source, &names, left, &mut on_rows)?);
                    beside.relations.extend(source.relations);
                }
            }
            if let Work::Generate(work) = &spec.work {
                let mut left = spec.max_bytes.saturating_sub(frame.bytes());
                for child in &work.children {
                    let source = resolve::resolve_from(&child.table.relation, &child.from)?;
                    let names: Vec<&str> = child.columns.iter().map(String::as_str).collect();
                    let own = read::read(&source, &names, left, &mut on_rows)?;
                    left = left.saturating_sub(own.bytes());
                    beside.children.push(own);
                    beside.relations.extend(source.relations);
                }
            }
            // SAFETY: the identity that was there before.
            unsafe { pg_sys::SetUserIdAndSecContext(before.0, before.1) };
            Ok((frame, beside))
        })
    }

    /// Spends from the budgets of the relations what a training under differential privacy was asked to cost, before it looks at the
    /// rows: one that fails or is cancelled then cannot be repeated for nothing.
    fn charge(&mut self, rows: usize, relations: &[pg_sys::Oid]) -> Result<()> {
        let Some(options) = self.spec.options.as_object_mut() else {
            return Ok(());
        };
        // What attackers learn of models is not told privately, whatever the models are.
        let given = privacy::given(options)?;
        let Some(given) = given.filter(|_| !matches!(self.spec.work, Work::Leak(_))) else {
            let role = self.spec.role.into();
            return transaction(|| budget::check_plain_of(relations, role));
        };
        let delta = given.delta.unwrap_or(0.1 / rows.max(1) as f64);
        if let Some(own) = options.get_mut("privacy") {
            // What is spent is what the trainer goes by.
            own["delta"] = delta.into();
        }
        let what = format!("model {}", self.spec.model);
        let of = Use {
            epsilon: given.epsilon,
            delta,
            what: &what,
            job: Some(self.job),
            role: self.spec.role.into(),
        };
        transaction(|| budget::charge(relations, &of))
    }

    /// The version from which training goes on, or by which rows are alike.
    fn start(&self) -> Result<Option<Start>> {
        let Some((name, id)) = &self.spec.start else {
            return Ok(None);
        };
        let bytes = transaction(|| record::artifact(*id))?;
        let artifact = Artifact::from_bytes(&bytes).map_err(|e| {
            Error::new("XX001", format!("model {name} cannot be read")).detail(e.to_string())
        })?;
        Ok(Some(Start {
            name: name.clone(),
            artifact: Box::new(artifact),
        }))
    }

    /// The deployed version, to be compared with. One that is gone or cannot be read is no reason not to train.
    fn champion(&self) -> Result<Option<Start>> {
        let Some(champion) = &self.spec.champion else {
            return Ok(None);
        };
        let bytes = match transaction(|| record::artifact(champion.id)) {
            Ok(bytes) => bytes,
            // It was dropped.
            Err(error) if error.sqlstate == "42704" => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Artifact::from_bytes(&bytes).ok().map(|artifact| Start {
            name: champion.name.clone(),
            artifact: Box::new(artifact),
        }))
    }

    /// The model that makes rows to train with, too.
    fn augment(&self) -> Result<Option<Augment>> {
        let Some(wanted) = &self.spec.augment else {
            return Ok(None);
        };
        let bytes = transaction(|| record::artifact(wanted.id))?;
        let synthesizer = Synthesizer::from_bytes(&bytes).map_err(|e| {
            Error::new("XX001", format!("model {} cannot be read", wanted.name))
                .detail(e.to_string())
        })?;
        Ok(Some(Augment {
            name: wanted.name.clone(),
            synthesizer: Arc::new(synthesizer),
            rows: wanted.rows,
        }))
    }

    /// What the trainer is to do with the rows.
    fn duty(&self, frame: Frame, beside: Beside) -> Result<Duty> {
        let spec = &self.spec;
        // Reading counts.
        let left = |limit: f64| (limit - self.started.elapsed().as_secs_f64()).max(0.1);
        if let Work::Generate(work) = &spec.work {
            let options = spec.options.as_object().cloned().unwrap_or_default();
            let mut params = synth::Params::from_json(&options, frame.rows())?;
            params.max_seconds = params.max_seconds.map(left);
            return Ok(Duty::Generate {
                frame,
                children: beside.children,
                work: work.clone(),
                params,
                options,
            });
        }
        if let Work::Segment(wanted) = &spec.work {
            let options = spec.options.as_object().cloned().unwrap_or_default();
            let mut params = segment::Params::from_json(&options)?;
            params.max_seconds = params.max_seconds.map(left);
            return Ok(Duty::Segment {
                frame,
                wanted: wanted.clone(),
                params,
                model: self.start()?.map(|start| start.artifact),
            });
        }
        if let Work::Sequence(work) = &spec.work {
            let mut options = spec.options.as_object().cloned().unwrap_or_default();
            options.retain(|key, value| key != "algorithm" || value != "auto");
            let mut params = sequence::Params::from_json(&options)?;
            params.max_seconds = params.max_seconds.map(left);
            let work = work.clone();
            let Beside {
                labels, statics, ..
            } = beside;
            return Ok(Duty::Foretell {
                frame,
                labels,
                statics,
                work,
                params,
            });
        }
        let mut params = spec.params()?;
        params.max_seconds = params.max_seconds.map(left);
        let request = Request {
            frame,
            target: spec.target.clone(),
            task: spec.task,
            // It must not be taken for an identifier.
            include: spec
                .include
                .iter()
                .chain(&spec.partition)
                .cloned()
                .collect(),
            excluded: spec.excluded.clone(),
            params,
            device: trainer::resolve_device(&spec.device)?,
            positive: spec.positive.clone(),
            of_task: spec.of_task.clone(),
            clean: spec.clean()?,
            leakage: spec.leakage,
            outcome_time: spec.outcome_time.clone(),
            sensitive: spec.sensitive.clone(),
            split: spec.split.clone(),
            key: spec.key.clone(),
            start: self.start()?,
            champion: self.champion()?,
            augment: self.augment()?,
            partition: spec.partition.clone(),
            sources: spec.sources.clone(),
            max_bytes: Some(spec.max_bytes),
            purchases: match &spec.sources {
                Some(stored) => Sources::from_json(stored)?.purchases(),
                None => Vec::new(),
            },
        };
        Ok(Duty::Predict {
            request: Box::new(request),
            work: spec.work.clone(),
            text_model: spec.text_model.clone(),
        })
    }

    /// Works in the isolated child and relays its progress.
    fn fit(&self, frame: Frame, beside: Beside) -> Result<Vec<u8>> {
        let spec = &self.spec;
        self.usage.enter("preparing");
        let duty = self.duty(frame, beside)?;
        self.usage
            .device
            .replace(Some(usage::device_name(duty.device())));
        self.control.enter("preparing");
        if !spec.isolate {
            let mut report = |progress: &Progress| {
                self.control.report(progress);
                self.usage.enter(&progress.phase);
                self.interrupted().is_none()
            };
            return trainer::work_here(duty, &mut report);
        }
        let mut child = trainer::start(duty, spec.threads, spec.max_bytes)?;
        loop {
            for message in child.receive() {
                match message {
                    Message::Progress(progress) => {
                        self.usage.enter(&progress.phase);
                        self.control.report(&progress);
                    }
                    Message::Artifact(bytes) => return Ok(bytes),
                    // A trainer that was ended together with its worker is not to blame.
                    Message::Failed(error) => {
                        return Err(self.interrupted().unwrap_or(error));
                    }
                }
            }
            if let Some(error) = self.interrupted() {
                return Err(error);
            }
            self.sleep(Some(child.descriptor()));
        }
    }
}
