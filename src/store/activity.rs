//! How much each version predicts. Every process counts for itself, without a lock; where insight is preloaded, what was
//! counted goes to shared memory at the end of each transaction.

use super::lent;
use crate::versions;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{
    AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed},
};
use std::time::Instant;

/// Versions that shared memory has room for, of all databases; those beyond are counted by their sessions alone.
const SLOTS: usize = 4096;
/// Counters that a process keeps, where shared memory has what they counted.
const KEPT: usize = 64;
/// The first so many predictions of single rows are timed, then one in so many: to look at the clock takes a tenth of one.
const TIMED: u64 = 64;

/// What a process has counted of a version.
#[derive(Default)]
pub struct Counter {
    predictions: Cell<u64>,
    hits: Cell<u64>,
    misses: Cell<u64>,
    nanoseconds: Cell<u64>,
    /// What of it has gone to shared memory.
    shared: Cell<[u64; 4]>,
}

impl Counter {
    /// One prediction. Seconds are those of a sample of them.
    #[inline]
    pub fn one<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.predictions.get();
        self.predictions.set(before + 1);
        if before < TIMED {
            self.timed(1, work)
        } else if before.is_multiple_of(TIMED) {
            self.timed(TIMED, work)
        } else {
            work()
        }
    }

    /// Times one prediction for so many.
    #[cold]
    fn timed<T>(&self, standing_for: u64, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.add_nanoseconds(started.elapsed().as_nanos() as u64 * standing_for);
        result
    }

    fn add_nanoseconds(&self, nanoseconds: u64) {
        self.nanoseconds.set(self.nanoseconds.get() + nanoseconds);
    }

    /// Predictions of many rows at once.
    pub fn add_rows(&self, rows: u64) {
        self.predictions.set(self.predictions.get() + rows);
    }

    /// A look into the session's cache: whether the model was there.
    pub fn looked_up(&self, hit: bool) {
        let cell = if hit { &self.hits } else { &self.misses };
        cell.set(cell.get() + 1);
        TOLD.set(false);
    }

    fn numbers(&self) -> [u64; 4] {
        [
            self.predictions.get(),
            self.hits.get(),
            self.misses.get(),
            self.nanoseconds.get(),
        ]
    }
}

thread_local! {
    static COUNTERS: RefCell<HashMap<i64, Rc<Counter>>> = RefCell::new(HashMap::new());
    /// Nothing was counted since shared memory was last told.
    static TOLD: Cell<bool> = const { Cell::new(true) };
}

/// The counter of a version.
pub fn counter(version: i64) -> Rc<Counter> {
    COUNTERS.with_borrow_mut(|counters| counters.entry(version).or_default().clone())
}

/// Times predictions of many rows.
pub fn counted<T>(version: i64, work: impl FnOnce(&Counter) -> T) -> T {
    let counter = counter(version);
    let started = Instant::now();
    let result = work(&counter);
    counter.add_nanoseconds(started.elapsed().as_nanos() as u64);
    TOLD.set(false);
    result
}

/// Forgets what was counted: another catalog counts its versions from 1.
pub fn forget() {
    COUNTERS.with_borrow_mut(HashMap::clear);
}

/// A version's numbers in shared memory: predictions, hits, misses, nanoseconds. One slot more than there are for versions says
/// since when they count: a crash empties them.
struct Slot {
    /// The database and the version, 0: free; of the last slot a time.
    owner: AtomicU64,
    numbers: [AtomicU64; 4],
}

/// The slots, and one more for the time.
const SHARED_BYTES: usize = (SLOTS + 1) * size_of::<Slot>();
static SHARED: AtomicPtr<Slot> = AtomicPtr::new(std::ptr::null_mut());

fn slots() -> Option<&'static [Slot]> {
    let first = SHARED.load(Relaxed);
    // SAFETY: set once to memory of so many slots that lives as long as the server; all fields are atomics.
    (!first.is_null()).then(|| unsafe { std::slice::from_raw_parts(first, SLOTS) })
}

/// Since when is counted, in microseconds since 2000: in shared memory, else by this process.
pub fn since() -> i64 {
    let first = SHARED.load(Relaxed);
    // SAFETY: as above, of the one more; else a plain read.
    unsafe {
        match first.is_null() {
            true => pg_sys::MyStartTimestamp,
            false => (*first.add(SLOTS)).owner.load(Relaxed) as i64,
        }
    }
}

/// A database and a version in one word; versions beyond 2^32 share a slot with others, and nobody trains that many.
fn owner(version: i64) -> u64 {
    // SAFETY: a plain read of this process's state.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    u64::from(database) << 32 | (version as u64 & 0xffff_ffff)
}

/// The slot of a version; `None` where none is free.
fn slot(slots: &[Slot], version: i64) -> Option<&Slot> {
    let wanted = owner(version);
    // Fibonacci hashing (Knuth 1973, 6.4), then the next free one.
    let start = (wanted.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
    (0..SLOTS)
        .map(|i| &slots[(start + i) % SLOTS])
        .find(|slot| {
            let taken = slot.owner.compare_exchange(0, wanted, Relaxed, Relaxed);
            taken.is_ok() || taken == Err(wanted)
        })
}

static mut BEFORE_STARTUP: pg_sys::shmem_startup_hook_type = None;

/// Called from `_PG_init`.
pub fn register() {
    // SAFETY: the documented way to have shared memory, only while the server preloads libraries, on its only thread.
    unsafe {
        if !pg_sys::process_shared_preload_libraries_in_progress {
            return;
        }
        versions::request_shared_memory(SHARED_BYTES);
        BEFORE_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(startup);
        // Inherited by every backend and worker.
        pg_sys::RegisterXactCallback(Some(at_end), std::ptr::null_mut());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called by PostgreSQL once shared memory is there; the lock is released on errors by their abort.
    unsafe {
        if let Some(before) = BEFORE_STARTUP {
            before();
        }
        if !pg_sys::IsUnderPostmaster {
            lent::reset();
        }
        let lock = &raw mut (*pg_sys::MainLWLockArray.add(ADDIN_SHMEM_INIT_LOCK)).lock;
        pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
        let mut found = false;
        let memory =
            pg_sys::ShmemInitStruct(c"insight activity".as_ptr(), SHARED_BYTES, &mut found);
        if !found {
            std::ptr::write_bytes(memory.cast::<u8>(), 0, SHARED_BYTES);
            let last = &*memory.cast::<Slot>().add(SLOTS);
            last.owner
                .store(pg_sys::GetCurrentTimestamp() as u64, Relaxed);
        }
        SHARED.store(memory.cast(), Relaxed);
        pg_sys::LWLockRelease(lock);
    }
}

/// `AddinShmemInitLock` of lwlocknames.h: a macro in C.
const ADDIN_SHMEM_INIT_LOCK: usize = 21;

/// Tells shared memory what was counted, whether or not the transaction took effect: predictions were made.
#[pg_guard]
unsafe extern "C-unwind" fn at_end(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PARALLEL_ABORT, XACT_EVENT_PARALLEL_COMMIT,
        XACT_EVENT_PREPARE,
    };
    let ends = [
        XACT_EVENT_COMMIT,
        XACT_EVENT_ABORT,
        XACT_EVENT_PARALLEL_COMMIT,
        XACT_EVENT_PARALLEL_ABORT,
        XACT_EVENT_PREPARE,
    ];
    if TOLD.get() || !ends.contains(&event) {
        return;
    }
    let Some(slots) = slots() else { return };
    TOLD.set(true);
    // Never in the middle of a change of the map: a transaction ends between statements, or by an error that has unwound.
    COUNTERS.with(|counters| {
        let Ok(mut counters) = counters.try_borrow_mut() else {
            return;
        };
        for (version, counter) in counters.iter() {
            let (numbers, told) = (counter.numbers(), counter.shared.get());
            if numbers == told {
                continue;
            }
            let Some(slot) = slot(slots, *version) else {
                continue;
            };
            for (cell, (now, before)) in slot.numbers.iter().zip(numbers.iter().zip(told)) {
                cell.fetch_add(now - before, Relaxed);
            }
            counter.shared.set(numbers);
        }
        // A session that stays sees versions come and go.
        if counters.len() > KEPT {
            counters.retain(|_, counter| {
                Rc::strong_count(counter) > 1 || counter.numbers() != counter.shared.get()
            });
        }
    });
}

/// A version's activity.
pub struct Activity {
    pub version: i64,
    pub predictions: u64,
    pub hits: u64,
    pub misses: u64,
    pub seconds: f64,
}

impl Activity {
    fn new(version: i64, [predictions, hits, misses, nanoseconds]: [u64; 4]) -> Activity {
        Activity {
            version,
            predictions,
            hits,
            misses,
            seconds: nanoseconds as f64 / 1e9,
        }
    }
}

/// What was counted in this database, and whether by all sessions since the server's start or by this one alone.
pub fn all() -> (bool, Vec<Activity>) {
    let Some(slots) = slots() else {
        let own = COUNTERS.with_borrow(|counters| {
            let own = counters.iter();
            own.map(|(version, counter)| Activity::new(*version, counter.numbers()))
                .collect()
        });
        return (false, own);
    };
    let here = owner(0) >> 32;
    let found = slots.iter().filter_map(|slot| {
        let owner = slot.owner.load(Acquire);
        let mut numbers = [0; 4];
        for (number, cell) in numbers.iter_mut().zip(&slot.numbers) {
            *number = cell.load(Relaxed);
        }
        (owner != 0 && owner >> 32 == here)
            .then(|| Activity::new((owner & 0xffff_ffff) as i64, numbers))
    });
    // What this transaction has counted is not there yet.
    let mut found: Vec<Activity> = found.collect();
    COUNTERS.with_borrow(|counters| {
        for (version, counter) in counters {
            let (now, told) = (counter.numbers(), counter.shared.get());
            let mut more = [0; 4];
            for (more, (now, told)) in more.iter_mut().zip(now.iter().zip(told)) {
                *more = now - told;
            }
            let more = Activity::new(*version, more);
            match found.iter_mut().find(|own| own.version == *version) {
                Some(own) => {
                    own.predictions += more.predictions;
                    own.hits += more.hits;
                    own.misses += more.misses;
                    own.seconds += more.seconds;
                }
                None => found.push(more),
            }
        }
    });
    (true, found)
}
