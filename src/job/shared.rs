//! Shared memory of one job: its specification, its live progress, and the hand-over of the result to a waiting caller.

use pgrx::pg_sys;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::atomic::{Ordering::Acquire, Ordering::Release};

const MAGIC: u64 = 0x696e_7369_6768_7402;

/// Where the hand-over stands. Only the side named moves to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Caller: the worker has not reported yet.
    Starting = 0,
    /// Worker: the job row is committed and waits for its turn.
    Queued = 1,
    /// Worker: reading or training.
    Running = 2,
    /// Worker: the artifact can be attached at `payload`.
    Result = 3,
    /// Caller: the artifact is stored in the caller's transaction.
    Stored = 4,
    /// Caller: it could not be stored.
    NotStored = 5,
    /// Worker: the note holds the error.
    Failed = 6,
    /// Worker: the job row has its final status.
    Done = 7,
}

/// Names of phases, in order; `phase` is an index.
pub const PHASES: [&str; 8] = [
    "starting",
    "queued",
    "reading",
    "preparing",
    "boosting",
    "training",
    "evaluating",
    "storing",
];

/// Lives at the start of a dynamic shared memory segment; the specification's JSON follows.
#[repr(C)]
pub struct Control {
    magic: AtomicU64,
    pub job: AtomicI64,
    /// The waiting caller; 0 for a job nobody waits for.
    pub caller_pid: AtomicI32,
    /// Set by the caller when it stops waiting.
    pub cancel: AtomicU32,
    state: AtomicU32,
    pub payload: AtomicU32,
    pub payload_bytes: AtomicU64,
    /// Of what follows the artifact: whose rows it was trained on.
    pub seen_bytes: AtomicU64,
    pub worker_pid: AtomicI32,
    spec_bytes: AtomicU64,
    pub phase: AtomicU32,
    pub epoch: AtomicU32,
    pub epochs: AtomicU32,
    fold: AtomicU32,
    folds: AtomicU32,
    pub rows: AtomicU64,
    rows_per_second: AtomicU64,
    loss: AtomicU64,
    validation_loss: AtomicU64,
    eta_seconds: AtomicU64,
    /// Microseconds since 2000-01-01.
    updated_at: AtomicI64,
    note_bytes: AtomicU32,
    /// An error as JSON, written before the state that announces it.
    note: [AtomicU8; 2048],
}

/// A snapshot of a job's progress.
#[derive(Debug, Clone)]
pub struct View {
    pub phase: &'static str,
    pub epoch: u32,
    pub epochs: u32,
    /// Of a cross-validation.
    pub fold: Option<(u32, u32)>,
    pub rows: u64,
    pub rows_per_second: Option<f64>,
    pub loss: Option<f64>,
    pub validation_loss: Option<f64>,
    pub eta_seconds: Option<f64>,
    pub updated_at: i64,
}

/// A mapped segment; detached when dropped, unless an error is unwinding, when PostgreSQL does it.
pub struct Segment {
    segment: *mut pg_sys::dsm_segment,
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: attached by this process and not yet detached.
            unsafe { pg_sys::dsm_detach(self.segment) };
        }
    }
}

impl Segment {
    /// A new segment holding the bytes.
    pub fn with_bytes(bytes: &[u8]) -> Segment {
        // SAFETY: the segment is at least as large as what is copied.
        unsafe {
            let segment = pg_sys::dsm_create(bytes.len().max(1), 0);
            let address = pg_sys::dsm_segment_address(segment).cast::<u8>();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), address, bytes.len());
            Segment { segment }
        }
    }

    /// A new control segment for a specification.
    pub fn control(spec: &[u8], caller_pid: i32) -> Segment {
        let size = std::mem::size_of::<Control>();
        let mut bytes = vec![0u8; size + spec.len()];
        bytes[size..].copy_from_slice(spec);
        let segment = Segment::with_bytes(&bytes);
        let control = segment.as_control();
        control.caller_pid.store(caller_pid, Relaxed);
        control.spec_bytes.store(spec.len() as u64, Relaxed);
        control.magic.store(MAGIC, Release);
        segment
    }

    /// Maps a segment of another process; `None` where it is gone.
    pub fn attach(handle: u32) -> Option<Segment> {
        // SAFETY: an unknown handle answers NULL.
        let segment = unsafe {
            if !pg_sys::dsm_find_mapping(handle).is_null() {
                return None;
            }
            pg_sys::dsm_attach(handle)
        };
        // Lazily: a Segment that is dropped detaches.
        (!segment.is_null()).then(|| Segment { segment })
    }

    pub fn handle(&self) -> u32 {
        // SAFETY: the segment is mapped.
        unsafe { pg_sys::dsm_segment_handle(self.segment) }
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping lives as long as self; its length is PostgreSQL's.
        unsafe {
            let address = pg_sys::dsm_segment_address(self.segment).cast::<u8>();
            std::slice::from_raw_parts(address, pg_sys::dsm_segment_map_length(self.segment))
        }
    }

    /// The control block; only for segments made by [`Segment::control`].
    pub fn as_control(&self) -> &Control {
        // SAFETY: segments are page-aligned and control segments are large enough; all fields are atomics.
        unsafe { &*pg_sys::dsm_segment_address(self.segment).cast::<Control>() }
    }

    /// The control block, if this is one.
    pub fn checked_control(&self) -> Option<&Control> {
        (self.bytes().len() >= std::mem::size_of::<Control>())
            .then(|| self.as_control())
            .filter(|control| control.magic.load(Acquire) == MAGIC)
    }

    pub fn spec(&self) -> &[u8] {
        let size = std::mem::size_of::<Control>();
        let length = self.as_control().spec_bytes.load(Relaxed) as usize;
        self.bytes().get(size..size + length).unwrap_or_default()
    }
}

impl Control {
    pub fn state(&self) -> State {
        match self.state.load(Acquire) {
            1 => State::Queued,
            2 => State::Running,
            3 => State::Result,
            4 => State::Stored,
            5 => State::NotStored,
            6 => State::Failed,
            7 => State::Done,
            _ => State::Starting,
        }
    }

    pub fn set_state(&self, state: State) {
        self.state.store(state as u32, Release);
    }

    /// Leaves an error for the other side; call before the state that announces it.
    pub fn write_note(&self, text: &[u8]) {
        let text = if text.len() <= self.note.len() {
            text
        } else {
            &[]
        };
        for (cell, byte) in self.note.iter().zip(text) {
            cell.store(*byte, Relaxed);
        }
        self.note_bytes.store(text.len() as u32, Relaxed);
    }

    pub fn note(&self) -> Vec<u8> {
        let length = self.note_bytes.load(Relaxed) as usize;
        self.note
            .iter()
            .take(length)
            .map(|cell| cell.load(Relaxed))
            .collect()
    }

    /// Enters a phase named in [`PHASES`].
    pub fn enter(&self, phase: &str) {
        if let Some(index) = PHASES.iter().position(|p| *p == phase) {
            self.phase.store(index as u32, Relaxed);
        }
        self.touch();
    }

    pub fn touch(&self) {
        // SAFETY: reads the clock.
        self.updated_at
            .store(unsafe { pg_sys::GetCurrentTimestamp() }, Relaxed);
    }

    pub fn report(&self, progress: &insight_engine::fit::Progress) {
        self.epoch.store(progress.epoch, Relaxed);
        self.epochs.store(progress.epochs, Relaxed);
        self.fold.store(progress.fold, Relaxed);
        self.folds.store(progress.folds, Relaxed);
        let training = progress.epoch > 0;
        let or_nan = |value: f64| if training { value } else { f64::NAN }.to_bits();
        self.rows_per_second
            .store(or_nan(progress.rows_per_second), Relaxed);
        self.loss.store(or_nan(progress.loss), Relaxed);
        self.validation_loss.store(
            progress.validation_loss.unwrap_or(f64::NAN).to_bits(),
            Relaxed,
        );
        self.eta_seconds
            .store(or_nan(progress.eta_seconds), Relaxed);
        self.enter(&progress.phase);
    }

    pub fn report_rows(&self, rows: u64, rows_per_second: f64) {
        self.rows.store(rows, Relaxed);
        self.rows_per_second
            .store(rows_per_second.to_bits(), Relaxed);
        self.touch();
    }

    pub fn view(&self) -> View {
        let phase = self.phase.load(Relaxed) as usize;
        let started = phase >= 2;
        let trained = self.epoch.load(Relaxed) > 0;
        let number = |cell: &AtomicU64, known: bool| {
            Some(f64::from_bits(cell.load(Relaxed))).filter(|v| known && v.is_finite())
        };
        View {
            phase: PHASES.get(phase).copied().unwrap_or("training"),
            epoch: self.epoch.load(Relaxed),
            epochs: self.epochs.load(Relaxed),
            fold: Some((self.fold.load(Relaxed), self.folds.load(Relaxed)))
                .filter(|(fold, _)| *fold > 0),
            rows: self.rows.load(Relaxed),
            rows_per_second: number(&self.rows_per_second, started),
            loss: number(&self.loss, trained),
            validation_loss: number(&self.validation_loss, trained),
            eta_seconds: number(&self.eta_seconds, trained),
            updated_at: self.updated_at.load(Relaxed),
        }
    }
}
