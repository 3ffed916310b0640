//! How much each version predicts. Every process counts for itself, without a lock; where insight is preloaded, what was
//! counted goes to shared memory at the end of each transaction.

use super::{catalog, lent};
use crate::versions;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{
    AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Instant;

/// Versions that shared memory has room for, of all databases; one more takes the place of that which was not used for longest.
const SLOTS: usize = 4096;
/// As the owner of a slot: it is being emptied.
const NOBODY: u64 = u64::MAX;
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
    /// The slot where it went last.
    slot: Cell<usize>,
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
    /// Of which versions are counted.
    static CATALOG: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
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

/// Forgets what was counted: the versions that come are of another catalog, which counts from 1. `catalog` is its table of models.
pub fn begin(catalog: pg_sys::Oid) {
    COUNTERS.with_borrow_mut(HashMap::clear);
    CATALOG.set(catalog);
}

/// A version's numbers in shared memory: predictions, hits, misses, nanoseconds. One slot more than there are for versions says
/// since when they count: a crash empties them.
struct Slot {
    /// As [`owner`], 0: free; of the last slot a time.
    owner: AtomicU64,
    numbers: [AtomicU64; 4],
    /// When something was added last, in microseconds since 2000.
    used: AtomicU64,
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

/// A catalog and a version in one word. Versions beyond 2^32 share a slot with others, and nobody trains that many; two catalogs do that
/// have the same of 2^32 marks.
fn owner(catalog: pg_sys::Oid, version: i64) -> u64 {
    // SAFETY: a plain read of this process's state.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    let mark = database ^ catalog.to_u32().wrapping_mul(0x9e37_79b9);
    u64::from(mark) << 32 | (version as u64 & 0xffff_ffff)
}

/// The slot of a version. Sessions that take one for the same version at the same time may take two.
fn slot<'s>(slots: &'s [Slot], version: i64, counter: &Counter, now: u64) -> Option<&'s Slot> {
    let wanted = owner(CATALOG.get(), version);
    let is_its = |at: usize| {
        let slot = &slots[at];
        // Most are another's: to look is cheaper than to try.
        match slot.owner.load(Relaxed) {
            0 => {
                let taken = slot.owner.compare_exchange(0, wanted, Relaxed, Relaxed);
                taken.is_ok() || taken == Err(wanted)
            }
            owner => owner == wanted,
        }
    };
    let known = counter.slot.get();
    if slots[known].owner.load(Relaxed) == wanted {
        return Some(&slots[known]);
    }
    // Fibonacci hashing (Knuth 1973, 6.4), then the next free one.
    let start = (wanted.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
    let at = (0..SLOTS)
        .map(|i| (start + i) % SLOTS)
        .find(|at| is_its(*at))
        .or_else(|| in_place_of_oldest(slots, wanted, now))?;
    counter.slot.set(at);
    Some(&slots[at])
}

/// Takes the slot that was not used for longest; `None` where another session was faster.
fn in_place_of_oldest(slots: &[Slot], wanted: u64, now: u64) -> Option<usize> {
    let uses = slots.iter().map(|slot| slot.used.load(Relaxed));
    let (at, used) = uses.enumerate().min_by_key(|(_, used)| *used)?;
    let oldest = &slots[at];
    // Whoever says that it was used just now has it.
    let taken = oldest.used.compare_exchange(used, now, Relaxed, Relaxed);
    taken.ok()?;
    oldest.owner.store(NOBODY, Relaxed);
    let numbers = oldest.numbers.iter();
    numbers.for_each(|number| number.store(0, Relaxed));
    oldest.owner.store(wanted, Release);
    Some(at)
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
    // SAFETY: reads the clock.
    let now = unsafe { pg_sys::GetCurrentTimestamp() } as u64;
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
            let Some(slot) = slot(slots, *version, counter, now) else {
                // Next time.
                TOLD.set(false);
                continue;
            };
            slot.used.store(now, Relaxed);
            for (cell, (own, before)) in slot.numbers.iter().zip(numbers.iter().zip(told)) {
                cell.fetch_add(own - before, Relaxed);
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

/// What was counted in this database, and whether by all sessions since the server's start or by this one alone.
pub fn all() -> (bool, Vec<Activity>) {
    let mut found: HashMap<i64, [u64; 4]> = HashMap::new();
    let mut add = |version: i64, numbers: [u64; 4]| {
        let sums = found.entry(version).or_default().iter_mut();
        sums.zip(numbers).for_each(|(sum, number)| *sum += number);
    };
    let catalog = catalog::model_relation();
    let here = owner(catalog, 0) >> 32;
    for slot in slots().unwrap_or_default() {
        let owner = slot.owner.load(Acquire);
        if owner != 0 && owner >> 32 == here {
            let numbers = slot.numbers.each_ref().map(|cell| cell.load(Relaxed));
            add((owner & 0xffff_ffff) as i64, numbers);
        }
    }
    // What this transaction has counted is not there yet.
    COUNTERS.with_borrow(|counters| {
        for (version, counter) in counters.iter().filter(|_| CATALOG.get() == catalog) {
            let (now, told) = (counter.numbers(), counter.shared.get());
            add(*version, std::array::from_fn(|i| now[i] - told[i]));
        }
    });
    let found = found.into_iter();
    let found = found.map(
        |(version, [predictions, hits, misses, nanoseconds])| Activity {
            version,
            predictions,
            hits,
            misses,
            seconds: nanoseconds as f64 / 1e9,
        },
    );
    (slots().is_some(), found.collect())
}
