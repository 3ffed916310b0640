//! The parts of a scan put together: several threads read columns from the files and append them, each of which is one thread's at a time. So
//! the columns do not depend on the threads.

use super::part::{self, Part};
use super::shared::Leader;
use crate::error::{Error, Result};
use crate::relation::read::{memory_error, too_large};
use crate::versions::{self, Place};
use insight_engine::frame::Column;
use pgrx::pg_sys;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

/// After so many bytes the columns are measured, and cancelling is seen to.
const BATCH: u64 = 16 << 20;

/// The file of a process: its pieces, and how long they are.
struct Pieces(Vec<(File, u64)>);

impl Pieces {
    fn open(leader: &Leader, name: &str) -> Result<Pieces> {
        // SAFETY: the leader is attached to the set.
        let files = unsafe { versions::open_shared_file(leader.shared().files(), name) };
        let pieces = files.into_iter().map(|file| {
            let bytes = file.metadata().ok()?.len();
            Some((file, bytes))
        });
        pieces
            .collect::<Option<_>>()
            .map(Pieces)
            .ok_or_else(damaged)
    }

    /// Fills the bytes from `skipped` bytes behind a place; `None` where the file ends before.
    fn read(&self, place: Place, skipped: u64, mut bytes: &mut [u8]) -> Option<()> {
        let mut at = u64::try_from(place.offset).ok()?.checked_add(skipped)?;
        for (file, length) in self.0.get(usize::try_from(place.file).ok()?..)? {
            let here = length.saturating_sub(at).min(bytes.len() as u64);
            let (now, rest) = bytes.split_at_mut(here as usize);
            file.read_exact_at(now, at).ok()?;
            bytes = rest;
            at = at.saturating_sub(*length);
        }
        bytes.is_empty().then_some(())
    }
}

type Files = BTreeMap<i32, Pieces>;

/// Parts that follow each other, and of each where its columns begin, and the last one ends.
struct Batch<'a> {
    files: &'a Files,
    parts: &'a [Part],
    starts: Vec<Vec<u64>>,
}

impl<'a> Batch<'a> {
    /// The first of the parts: one, and more as long as they are small.
    fn first(files: &'a Files, parts: &'a [Part], columns: usize) -> Option<Batch<'a>> {
        let mut bytes = 0;
        let fits = |part: &&Part| {
            bytes += part.bytes;
            bytes <= BATCH
        };
        let count = parts.iter().take_while(fits).count().max(1);
        let parts = parts.get(..count)?;
        let starts = |part: &Part| {
            let mut head = vec![0; columns * part::START];
            files.get(&part.worker)?.read(part.place, 0, &mut head)?;
            let starts = head.as_chunks().0.iter().copied().map(u64::from_le_bytes);
            Some(starts.chain([part.bytes]).collect())
        };
        let starts = parts.iter().map(starts).collect::<Option<_>>()?;
        Some(Batch {
            files,
            parts,
            starts,
        })
    }

    /// Appends the rows of the parts to the column of this number, by way of `bytes`.
    fn append(&self, number: usize, column: &mut Column, bytes: &mut Vec<u8>) -> Option<()> {
        for (part, starts) in self.parts.iter().zip(&self.starts) {
            let (start, end) = (*starts.get(number)?, *starts.get(number + 1)?);
            let length = end.min(part.bytes).checked_sub(start)? as usize;
            if bytes.len() < length {
                bytes.resize(length, 0);
            }
            let bytes = &mut bytes[..length];
            self.files
                .get(&part.worker)?
                .read(part.place, start, bytes)?;
            column.append_part(&mut &*bytes, part.rows as usize)?;
        }
        Some(())
    }
}

/// Appends parts, in their order, to the columns of a group; answers how many rows there are.
pub fn join(
    leader: &Leader,
    group: i32,
    mut parts: &[Part],
    columns: &mut [Column],
    max_bytes: usize,
) -> Result<usize> {
    let rows = parts.iter().map(|part| part.rows as usize).sum();
    columns.iter_mut().for_each(|column| column.reserve(rows));
    let mut files = Files::new();
    for part in parts {
        if let Entry::Vacant(own) = files.entry(part.worker) {
            own.insert(Pieces::open(leader, &part::name(part.worker, group))?);
        }
    }
    // The processes that have read have ended: as many threads have their cores. A session starts none.
    // SAFETY: plain state of this process.
    let is_worker = unsafe { !pg_sys::MyBgworkerEntry.is_null() };
    let threads = if is_worker {
        files.len().min(columns.len())
    } else {
        1
    };
    while !parts.is_empty() {
        pgrx::check_for_interrupts!();
        let batch = Batch::first(&files, parts, columns.len()).ok_or_else(damaged)?;
        append(&batch, columns, threads).ok_or_else(damaged)?;
        // Room was made for all rows: where there is none it shows with the first of them.
        if too_large(columns, max_bytes) {
            return Err(memory_error(rows, max_bytes));
        }
        parts = &parts[batch.parts.len()..];
    }
    Ok(rows)
}

/// Appends a batch to the columns; `None` where it cannot be read. No thread is left when this returns: a job forks.
fn append(batch: &Batch, columns: &mut [Column], threads: usize) -> Option<()> {
    let queue = Mutex::new(columns.iter_mut().enumerate());
    let next = || queue.lock().ok()?.next();
    let work = || {
        let mut bytes = Vec::new();
        while let Some((number, column)) = next() {
            batch.append(number, column, &mut bytes)?;
        }
        Some(())
    };
    std::thread::scope(|scope| {
        let helpers = without_signals(|| {
            // Where no thread can be had, there is one less.
            let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
            (1..threads).filter_map(start).collect::<Vec<_>>()
        });
        let mut whole = work();
        for helper in helpers {
            whole = helper.join().ok().flatten().and(whole);
        }
        whole
    })
}

/// Starts threads that take no signals: PostgreSQL's handlers are for its own thread.
fn without_signals<R>(start: impl FnOnce() -> R) -> R {
    // SAFETY: plain system calls on masks of this thread, which new threads get a copy of.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let started = start();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        started
    }
}

fn damaged() -> Error {
    Error::new("58030", "a temporary file could not be read")
}
