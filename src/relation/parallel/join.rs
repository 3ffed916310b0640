//! The parts of a scan put together: the leader reads them from their files, and several threads append them to the columns, of which
//! each is one thread's at a time. So the columns do not depend on the threads.

use super::part::{self, Part};
use super::shared::Leader;
use crate::error::{Error, Result};
use crate::relation::read::{memory_error, too_large};
use crate::versions;
use insight_engine::frame::Column;
use pgrx::pg_sys;
use std::sync::Mutex;

/// Parts are read together until there are so many bytes: what is read beside it, two times a part's most.
const BATCH: u64 = part::MOST_BYTES as u64;

/// Parts in memory.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where each begins, and its rows.
    parts: Vec<(usize, usize)>,
}

impl Batch {
    /// Appends the rows of the parts to the column of this number.
    fn append(&self, number: usize, column: &mut Column) -> Option<()> {
        for &(start, rows) in &self.parts {
            let part = &self.bytes[start..];
            let at = part::start_of(part, number)?;
            column.append_part(&mut part.get(at..)?, rows)?;
        }
        Some(())
    }
}

/// The files of one group of columns, each opened when it is first needed.
struct Files<'a> {
    leader: &'a Leader,
    group: i32,
    open: Vec<(i32, *mut pg_sys::BufFile)>,
}

impl Files<'_> {
    fn of(&mut self, worker: i32) -> *mut pg_sys::BufFile {
        if let Some((_, file)) = self.open.iter().find(|(of, _)| *of == worker) {
            return *file;
        }
        let name = part::name(worker, self.group);
        // SAFETY: the file was exported by its process, and is closed by `close`, or by the transaction's abort.
        let file = unsafe { versions::open_shared_file(self.leader.shared().files(), &name) };
        self.open.push((worker, file));
        file
    }

    /// Reads the first parts into the batch, and takes them off; an empty batch where there are none.
    fn read(&mut self, parts: &mut &[Part], batch: &mut Batch) -> Result<()> {
        batch.bytes.clear();
        batch.parts.clear();
        while let Some((part, rest)) = parts.split_first() {
            let start = batch.bytes.len();
            if start > 0 && start as u64 + part.bytes > BATCH {
                break;
            }
            batch.bytes.resize(start + part.bytes as usize, 0);
            let file = self.of(part.worker);
            // SAFETY: the file is open.
            if !unsafe { versions::read_shared_file(file, part.place, &mut batch.bytes[start..]) } {
                return Err(damaged());
            }
            batch.parts.push((start, part.rows as usize));
            *parts = rest;
        }
        Ok(())
    }

    fn close(self) {
        for (_, file) in self.open {
            // SAFETY: opened by `of`.
            unsafe { pg_sys::BufFileClose(file) };
        }
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
    let all = parts.iter().map(|part| part.rows as usize).sum();
    columns.iter_mut().for_each(|column| column.reserve(all));
    // The processes that have read have ended: as many threads have their cores.
    let mut workers: Vec<i32> = parts.iter().map(|part| part.worker).collect();
    workers.sort_unstable();
    workers.dedup();
    let threads = workers.len().min(columns.len());
    let mut files = Files {
        leader,
        group,
        open: Vec::new(),
    };
    let (mut batch, mut next, mut rows) = (Batch::default(), Batch::default(), 0);
    files.read(&mut parts, &mut batch)?;
    while !batch.parts.is_empty() {
        pgrx::check_for_interrupts!();
        append(&batch, columns, threads, || {
            files.read(&mut parts, &mut next)
        })?;
        rows += batch.parts.iter().map(|(_, rows)| rows).sum::<usize>();
        if too_large(columns, max_bytes) {
            return Err(memory_error(rows, max_bytes));
        }
        std::mem::swap(&mut batch, &mut next);
    }
    files.close();
    Ok(rows)
}

/// Appends a batch to the columns while the leader does something else first. No thread is left when this returns: a job forks.
fn append(
    batch: &Batch,
    columns: &mut [Column],
    threads: usize,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let queue = Mutex::new(columns.iter_mut().enumerate());
    let work = || {
        while let Some((number, column)) = next(&queue) {
            batch.append(number, column)?;
        }
        Some(())
    };
    std::thread::scope(|scope| {
        let helpers = without_signals(|| {
            // Where no thread can be had, there is one less.
            let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
            (1..threads).filter_map(start).collect::<Vec<_>>()
        });
        let read = meanwhile();
        let mut whole = work().is_some();
        for helper in helpers {
            whole &= helper.join().is_ok_and(|own| own.is_some());
        }
        match whole {
            true => read,
            false => Err(damaged()),
        }
    })
}

fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().ok()?.next()
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
