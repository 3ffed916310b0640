//! One job in its worker: its turn, reading as the calling role, watching the trainer.

mod deliver;
mod rows;

use super::duty::Duty;
use super::queue::{self, Kick, Turn};
use super::shared::{Control, State};
use super::spec::{Spec, Work};
use super::trainer::{self, Message};
use super::usage::{self, Usage};
use super::worker::{held, transaction};
use crate::alloc::spill;
use crate::error::{Error, Result};
use crate::relation::sources::Sources;
use crate::store::record;
use insight_engine::artifact::Artifact;
use insight_engine::fit::{Augment, Progress, Request, Shards, Start};
use insight_engine::frame::Frame;
use insight_engine::segment;
use insight_engine::sequence;
use insight_engine::synth::{self, Synthesizer};
use insight_engine::train::Place;
use pgrx::pg_sys;
use rows::Beside;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often flags are looked at while waiting; the latch wakes earlier.
const POLL: Duration = Duration::from_millis(50);

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

/// Where to train: by `auto` the CPU stands in for a GPU that fails.
fn place(device: &str, room: Option<u64>) -> Result<Place> {
    let found = trainer::resolve_device(device, room)?;
    Ok(match device {
        "auto" => Place::preferably(found),
        _ => Place::on(found),
    })
}

/// Tells a waiting caller how it ended.
pub fn answer(control: &Control, state: State, error: &Error) {
    control.write_note(&serde_json::to_vec(error).unwrap_or_default());
    control.set_state(state);
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
        self.charge(&frame, &beside.relations)?;
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
        let device = match &fitted {
            Ok(bytes) => self.usage.device_of(bytes),
            Err(_) => self.usage.device.take(),
        };
        // What came of the training counts more than what it took.
        let noted =
            held(|| transaction(|| queue::note_usage(self.job, phases, peak, device.as_deref())));
        if let Err(error) = noted {
            pgrx::log!("insight: what the job took is not known: {}", error.message);
        }
        fitted
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
            let mut params = synth::Params::from_json(&options, self.units(&frame)?)?;
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
            device: place(&spec.device, spec.max_gpu_bytes)?,
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
            shards: spec.shards.map(|count| Shards {
                count,
                keys: beside.keys,
            }),
            sources: spec.sources.clone(),
            max_bytes: Some(spill::with_room(spec.max_bytes)),
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
