//! Models that all processes of the server share: each is copied once to memory that all of them map, where nothing of it ever changes.
//!
//! Only where insight is preloaded: the postmaster maps the memory, and the library, at the same addresses for all processes. A process
//! counts itself among the users of a model that it keeps; memory of models without users is taken for others. Nobody waits: where
//! another process is at work on the list, or there is no room, a session has a model of its own, as without all this.

use super::catalog;
use crate::alloc::arena;
use crate::error::Result;
use crate::settings;
use insight_engine::infer::{Core, Predictor};
use pgrx::prelude::*;
use pgrx::{PgXactCallbackEvent, pg_sys, register_xact_callback};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{
    AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

/// Models that there is a place for in the list.
const ENTRIES: usize = 512;
/// Copies start at pages, which can be given back; no processor has larger ones.
const PAGE: usize = 1 << 16;
/// Room beside what a model says that it takes: headers of blocks, and what it does not count.
const BESIDE: usize = 256 << 10;

const FREE: u32 = 0;
/// It can be found.
const READY: u32 = 1;
/// It is gone for those who do not use it yet.
const GONE: u32 = 2;

#[repr(C)]
struct Entry {
    state: AtomicU32,
    users: AtomicU32,
    database: AtomicU32,
    /// The catalog's table of models: another catalog counts its versions from 1.
    catalog: AtomicU32,
    version: AtomicI64,
    core: AtomicPtr<Core>,
    /// Where in the arena.
    start: AtomicUsize,
    bytes: AtomicUsize,
    used: AtomicU64,
}

#[repr(C)]
struct Table {
    /// The process that changes the list, 0 for none.
    busy: AtomicU32,
    clock: AtomicU64,
    entries: [Entry; ENTRIES],
}

static TABLE: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    /// Entries that this process uses, and how often.
    static USED: RefCell<HashMap<usize, u32>> = RefCell::new(HashMap::new());
}

fn table() -> Option<&'static Table> {
    let table = TABLE.load(Relaxed);
    // SAFETY: set once, in the postmaster, to memory that lives as long as the server; all fields are atomics.
    unsafe { table.as_ref() }
}

/// Called from `_PG_init`, in the postmaster.
pub fn register() {
    let bytes = settings::shared_models();
    // SAFETY: plain state; a new mapping.
    unsafe {
        if !pg_sys::process_shared_preload_libraries_in_progress || bytes == 0 {
            return;
        }
        let list = libc::mmap(
            std::ptr::null_mut(),
            size_of::<Table>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if list == libc::MAP_FAILED || !arena::map(bytes) {
            log!("insight: no memory for shared models: each session has its own");
            return;
        }
        TABLE.store(list.cast(), Relaxed);
    }
}

/// Empties the list: called in the postmaster when there are no other processes, at the start and after a crash.
pub fn reset() {
    if let Some(table) = table() {
        for entry in &table.entries {
            entry.users.store(0, SeqCst);
            entry.state.store(FREE, SeqCst);
        }
        arena::forget(0, arena::bytes());
        table.busy.store(0, SeqCst);
    }
}

/// The use of an entry, until it is dropped.
struct Use(usize);

impl Drop for Use {
    fn drop(&mut self) {
        // SAFETY: plain state. A child of this process has its memory, and is not counted.
        if unsafe { libc::getpid() != pg_sys::MyProcPid } {
            return;
        }
        let counted = USED.try_with(|used| {
            let Ok(mut used) = used.try_borrow_mut() else {
                return false;
            };
            match used.get_mut(&self.0) {
                Some(times) if *times > 1 => {
                    *times -= 1;
                    true
                }
                Some(_) => used.remove(&self.0).is_some(),
                // This process has ended, and uses nothing any more.
                None => false,
            }
        });
        if counted == Ok(true)
            && let Some(table) = table()
        {
            table.entries[self.0].users.fetch_sub(1, SeqCst);
        }
    }
}

/// Called when this process ends, whatever it still holds.
#[pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: i32, _argument: pg_sys::Datum) {
    let Some(table) = table() else { return };
    let me = std::process::id();
    let _ = table.busy.compare_exchange(me, 0, SeqCst, SeqCst);
    USED.with(|used| {
        if let Ok(mut used) = used.try_borrow_mut() {
            for (at, times) in used.drain() {
                table.entries[at].users.fetch_sub(times, SeqCst);
            }
        }
    });
}

fn register_exit() {
    thread_local!(static REGISTERED: Cell<bool> = const { Cell::new(false) });
    if !REGISTERED.replace(true) {
        // SAFETY: a static function.
        unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0usize)) };
    }
}

impl Use {
    /// Of an entry among whose users this process has been counted.
    fn counted(at: usize) -> Use {
        register_exit();
        USED.with_borrow_mut(|used| *used.entry(at).or_default() += 1);
        Use(at)
    }
}

impl Table {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Relaxed)
    }
}

impl Entry {
    fn is_of(&self, key: Key) -> bool {
        key == (
            self.database.load(SeqCst),
            self.catalog.load(SeqCst),
            self.version.load(SeqCst),
        )
    }

    fn place(&self) -> (usize, usize) {
        let start = self.start.load(SeqCst);
        (start, start + self.bytes.load(SeqCst))
    }

    /// Takes its memory back, if it has no users; only by who is at work on the list.
    fn free(&self) -> bool {
        // Who finds it from here on sees that it is gone, and steps back.
        self.state.store(GONE, SeqCst);
        if self.users.load(SeqCst) > 0 {
            return false;
        }
        let (start, end) = self.place();
        arena::forget(start, end);
        self.state.store(FREE, SeqCst);
        true
    }
}

/// Database, catalog and version.
type Key = (u32, u32, i64);

fn key(version: i64) -> Key {
    // SAFETY: a plain read of this process's state.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    (database, catalog::model_relation().to_u32(), version)
}

/// The shared model of a version, if there is one.
pub fn find(version: i64) -> Option<Predictor> {
    let table = table()?;
    find_by(table, key(version))
}

fn find_by(table: &'static Table, key: Key) -> Option<Predictor> {
    for (at, entry) in table.entries.iter().enumerate() {
        if entry.state.load(SeqCst) != READY || !entry.is_of(key) {
            continue;
        }
        entry.users.fetch_add(1, SeqCst);
        // It may have gone, and another have come, before this process was counted.
        if entry.state.load(SeqCst) == READY && entry.is_of(key) {
            entry.used.store(table.now(), Relaxed);
            return Some(lend(at, entry));
        }
        entry.users.fetch_sub(1, SeqCst);
    }
    None
}

fn lend(at: usize, entry: &Entry) -> Predictor {
    // SAFETY: a core that was copied to the arena, and stays there while this process is among its users.
    let core: &'static Core = unsafe { &*entry.core.load(SeqCst).cast_const() };
    Predictor::lent(core, Box::new(Use::counted(at)))
}

/// Who is at work on the list; nobody else is.
struct Work(&'static Table);

impl Work {
    fn begin() -> Option<Work> {
        let table = table()?;
        register_exit();
        let me = std::process::id();
        let free = table.busy.compare_exchange(0, me, SeqCst, SeqCst);
        free.ok().map(|_| Work(table))
    }

    /// The largest gap between copies.
    fn gap(&self) -> (usize, usize) {
        let entries = self.0.entries.iter();
        let mut taken: Vec<_> = entries
            .filter(|entry| entry.state.load(SeqCst) != FREE)
            .map(Entry::place)
            .collect();
        taken.push((arena::bytes(), arena::bytes()));
        taken.sort_unstable();
        let mut from = 0;
        let gaps = taken.into_iter().map(|(start, end)| {
            let gap = (from, start);
            from = end;
            gap
        });
        gaps.max_by_key(|(from, to)| to - from).unwrap_or((0, 0))
    }

    /// Makes a gap of so many bytes and a free entry, by what was not used for longest; `None` where users are in the way.
    fn make_room(&self, bytes: usize) -> Option<(usize, (usize, usize))> {
        loop {
            let entries = self.0.entries.iter().enumerate();
            // What went while it had users may have none now.
            for (_, entry) in entries.clone() {
                if entry.state.load(SeqCst) == GONE {
                    entry.free();
                }
            }
            let gap = self.gap();
            let free = entries
                .clone()
                .find(|(_, entry)| entry.state.load(SeqCst) == FREE);
            if let Some((at, _)) = free
                && gap.1 - gap.0 >= bytes
            {
                return Some((at, gap));
            }
            let idle = entries.filter(|(_, entry)| {
                entry.state.load(SeqCst) == READY && entry.users.load(SeqCst) == 0
            });
            let (_, oldest) = idle.min_by_key(|(_, entry)| entry.used.load(Relaxed))?;
            oldest.free();
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.busy.store(0, SeqCst);
    }
}

/// Shares a model; answers it as it is shared. `None`: the process has to keep its own. `is_there` says whether the version is there at
/// this moment, whatever the caller's snapshot shows.
pub fn share(
    version: i64,
    predictor: &Predictor,
    is_there: impl FnOnce() -> Result<bool>,
) -> Result<Option<Predictor>> {
    let Some(table) = table() else {
        return Ok(None);
    };
    // Taken away again unless it is there, also where looking for it fails.
    struct Unsure(&'static Table, Key);
    impl Drop for Unsure {
        fn drop(&mut self) {
            forget_by(self.0, self.1);
        }
    }
    let key = key(version);
    let Some(shared) = copy(key, predictor) else {
        return Ok(None);
    };
    let unsure = Unsure(table, key);
    if is_there()? {
        std::mem::forget(unsure);
    }
    Ok(Some(shared))
}

fn copy(key: Key, predictor: &Predictor) -> Option<Predictor> {
    let core = predictor.core()?;
    let room = predictor.bytes() + predictor.bytes() / 2 + BESIDE;
    if room > arena::bytes() {
        return None;
    }
    let work = Work::begin()?;
    // Nothing of PostgreSQL is called from here on: an interrupt would end the work unfinished. Somebody may just have done it.
    if let Some(shared) = find_by(work.0, key) {
        return Some(shared);
    }
    let (at, (start, end)) = work.make_room(room)?;
    // SAFETY: nobody else is at work, and the gap has no users; a core has nothing that changes, and is never dropped.
    let Some((copy, bytes)) = (unsafe { arena::copy(start, end, || core.clone()) }) else {
        arena::forget(start, end);
        return None;
    };
    let entry = &work.0.entries[at];
    let (database, catalog, version) = key;
    entry.database.store(database, SeqCst);
    entry.catalog.store(catalog, SeqCst);
    entry.version.store(version, SeqCst);
    entry.core.store(copy.cast_mut(), SeqCst);
    entry.start.store(start, SeqCst);
    entry.bytes.store(bytes.next_multiple_of(PAGE), SeqCst);
    entry.used.store(work.0.now(), Relaxed);
    // Others that look at it may have counted themselves for a moment.
    entry.users.fetch_add(1, SeqCst);
    entry.state.store(READY, SeqCst);
    Some(lend(at, entry))
}

/// Takes away the shared models of versions that are dropped: nobody finds them any more, and their memory goes with their last users or
/// soon after. At once, and again once the drop is committed, for until then others see the versions, and can share them. Who shares one
/// later than that does not find it there, and takes it away.
pub fn forget(versions: &[i64]) {
    let Some(table) = table() else { return };
    let keys: Vec<Key> = versions.iter().map(|version| key(*version)).collect();
    let forget = move || keys.iter().for_each(|key| forget_by(table, *key));
    forget();
    register_xact_callback(PgXactCallbackEvent::Commit, forget);
}

/// Does no catalog work: a transaction may be ending.
fn forget_by(table: &Table, key: Key) {
    let work = Work::begin();
    for entry in &table.entries {
        let ready = entry.is_of(key)
            && entry
                .state
                .compare_exchange(READY, GONE, SeqCst, SeqCst)
                .is_ok();
        if ready && work.is_some() {
            entry.free();
        }
    }
}
