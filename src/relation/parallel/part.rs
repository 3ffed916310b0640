//! What one process of a parallel scan does: rows into columns, columns into its own temporary file, part by part.

use super::shared::Shared;
use crate::error::{Error, Result};
use crate::relation::decode::{Buffer, Decoder};
use crate::versions::{self, Place};
use insight_engine::frame::{Cell, Column};
use pgrx::pg_sys;
use std::cell::Cell as Slot;
use std::ffi::CString;

/// A part is written once it has so many rows or bytes, at the end of a block.
const MOST_ROWS: u32 = 1 << 16;
const MOST_BYTES: usize = 16 << 20;
/// Rows between two reports.
const REPORT_ROWS: u64 = 4096;

/// Where some rows are, which stand in blocks of one table that follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Of the process that wrote it; -1 is the leader.
    pub worker: i32,
    pub place: Place,
    pub bytes: u64,
    pub rows: u32,
    /// The table: partitions have blocks of the same numbers.
    pub table: pg_sys::Oid,
    pub first_block: u32,
    pub last_block: u32,
}

impl Part {
    pub const BYTES: usize = 40;

    pub fn to_bytes(self) -> [u8; Part::BYTES] {
        let mut bytes = [0; Part::BYTES];
        let words = [
            self.worker as u32,
            self.place.file as u32,
            self.rows,
            self.first_block,
            self.last_block,
            self.table.to_u32(),
        ];
        for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes[24..32].copy_from_slice(&self.place.offset.to_le_bytes());
        bytes[32..].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8; Part::BYTES]) -> Part {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        Part {
            worker: word(0) as i32,
            place: Place {
                file: word(4) as i32,
                offset: long(24) as i64,
            },
            rows: word(8),
            first_block: word(12),
            last_block: word(16),
            table: pg_sys::Oid::from(word(20)),
            bytes: long(32),
        }
    }
}

/// The rows of this process that are not written yet, and its file.
struct Writer {
    columns: Vec<(Decoder, Column)>,
    scratch: Buffer,
    shared: &'static Shared,
    file: *mut pg_sys::BufFile,
    worker: i32,
    rows: u32,
    table: pg_sys::Oid,
    first_block: u32,
    last_block: u32,
    /// Rows that the others do not know of yet.
    unreported: u64,
    bytes: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    /// There is too much: nobody writes any more.
    idle: bool,
}

/// The state of the aggregate: what was written, by whichever process, and what is still to be written by this one.
#[derive(Default)]
pub struct State {
    pub parts: Vec<Part>,
    writer: Option<Writer>,
}

thread_local! {
    /// What the leader calls every few thousand rows, with their number in all processes.
    static ON_ROWS: Slot<Option<*mut dyn FnMut(u64)>> = const { Slot::new(None) };
}

/// Lets `on_rows` be called from the leader's own share of a scan while `scan` runs.
pub fn reporting<R>(on_rows: &mut dyn FnMut(u64), scan: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            ON_ROWS.set(None);
        }
    }
    let _reset = Reset;
    // SAFETY: only the lifetime changes; the pointer is gone before the borrow ends, also where an error unwinds.
    let on_rows: *mut dyn FnMut(u64) =
        unsafe { std::mem::transmute(on_rows as *mut dyn FnMut(u64)) };
    ON_ROWS.set(Some(on_rows));
    scan()
}

impl Writer {
    /// # Safety
    /// `fcinfo` must be the call frame of the transition function: (state, part, table, tid, columns).
    unsafe fn new(fcinfo: pg_sys::FunctionCallInfo, part: i32) -> Result<Writer> {
        let shared = Shared::current()?;
        // SAFETY: promised by the caller; the file set is shared with this process by now.
        unsafe {
            let mut columns = Vec::new();
            for argument in 4..i32::from((*fcinfo).nargs) {
                let of = pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, argument);
                let decoder = Decoder::for_type(of)
                    .ok_or_else(|| Error::new("0A000", "a column has an unsupported type"))?;
                let column = Column::new("", "", decoder.kind);
                columns.push((decoder, column));
            }
            let worker = pg_sys::ParallelWorkerNumber;
            // The file is used for more than this row.
            let mut context = std::ptr::null_mut();
            pg_sys::AggCheckCallContext(fcinfo, &mut context);
            let before = pg_sys::MemoryContextSwitchTo(context);
            let name = CString::new(name(worker, part)).unwrap_or_default();
            let file = versions::create_shared_file(shared.files(), &name);
            pg_sys::MemoryContextSwitchTo(before);
            Ok(Writer {
                columns,
                scratch: Buffer::default(),
                shared,
                file,
                worker,
                rows: 0,
                table: pg_sys::InvalidOid,
                first_block: 0,
                last_block: 0,
                unreported: 0,
                bytes: Vec::new(),
                written: 0,
                idle: false,
            })
        }
    }

    fn report(&mut self) {
        let rows = self.shared.add_rows(std::mem::take(&mut self.unreported));
        self.idle |= self.shared.is_stopped();
        if self.worker < 0
            && let Some(on_rows) = ON_ROWS.get()
        {
            // SAFETY: set by `reporting`, whose borrow lasts as long as the scan.
            unsafe { (*on_rows)(rows) };
        }
    }

    /// Writes what there is as a part.
    fn flush(&mut self, parts: &mut Vec<Part>) {
        if self.rows == 0 {
            return;
        }
        self.bytes.clear();
        self.bytes.resize(self.columns.len() * START, 0);
        for (number, (_, column)) in self.columns.iter_mut().enumerate() {
            let start = self.bytes.len() as u64;
            self.bytes[number * START..][..START].copy_from_slice(&start.to_le_bytes());
            column.write_part(&mut self.bytes);
            column.clear();
        }
        self.idle |= !self.shared.add_bytes(self.bytes.len(), self.written);
        if self.idle {
            return;
        }
        self.written += self.bytes.len() as u64;
        // SAFETY: our own open file.
        let place = unsafe { versions::write_shared_file(self.file, &self.bytes) };
        parts.push(Part {
            worker: self.worker,
            place,
            bytes: self.bytes.len() as u64,
            rows: self.rows,
            table: self.table,
            first_block: self.first_block,
            last_block: self.last_block,
        });
        self.rows = 0;
    }
}

/// Bytes that say where a column begins; a part begins with those of all its columns.
pub const START: usize = 8;

/// The name of a process's file.
pub fn name(worker: i32, part: i32) -> String {
    format!("w{worker}p{part}")
}

impl State {
    /// Takes a row.
    ///
    /// # Safety
    /// `fcinfo` must be the call frame of the transition function: (state, part, table, tid, columns).
    #[inline]
    pub unsafe fn step(&mut self, fcinfo: pg_sys::FunctionCallInfo) -> Result<()> {
        // SAFETY: promised by the caller.
        unsafe {
            let arguments = (*fcinfo).args.as_slice((*fcinfo).nargs as usize);
            if arguments[1..4].iter().any(|argument| argument.isnull) {
                return Err(Error::new(
                    "22004",
                    "part, table and place must not be NULL",
                ));
            }
            let State { parts, writer } = self;
            let writer = match writer {
                Some(writer) => writer,
                None => writer.insert(Writer::new(fcinfo, arguments[1].value.value() as i32)?),
            };
            if writer.idle {
                return Ok(());
            }
            let table = pg_sys::Oid::from(arguments[2].value.value() as u32);
            let tid = &*arguments[3].value.cast_mut_ptr::<pg_sys::ItemPointerData>();
            let block = u32::from(tid.ip_blkid.bi_hi) << 16 | u32::from(tid.ip_blkid.bi_lo);
            if block != writer.last_block || table != writer.table || writer.rows == 0 {
                // Rows of others may stand between blocks that do not follow each other.
                let breaks = table != writer.table
                    || block != writer.last_block.wrapping_add(1)
                    || writer.rows >= MOST_ROWS
                    || writer
                        .columns
                        .iter()
                        .map(|(_, own)| own.bytes())
                        .sum::<usize>()
                        > MOST_BYTES;
                if breaks {
                    writer.flush(parts);
                }
                if writer.rows == 0 {
                    (writer.table, writer.first_block) = (table, block);
                }
                writer.last_block = block;
            }
            for ((decoder, column), argument) in writer.columns.iter_mut().zip(&arguments[4..]) {
                column.push(match argument.isnull {
                    true => Cell::Null,
                    false => decoder.decode(argument.value, &mut writer.scratch),
                });
            }
            writer.rows += 1;
            writer.unreported += 1;
            if writer.unreported >= REPORT_ROWS {
                writer.report();
            }
        }
        Ok(())
    }

    /// Writes what is left, and lets others read the file. There is nothing to be added after this.
    pub fn finish(&mut self) {
        let Some(mut writer) = self.writer.take() else {
            return;
        };
        writer.flush(&mut self.parts);
        writer.report();
        // SAFETY: our own open file, which is not used after this.
        unsafe { versions::export_shared_file(writer.file) };
    }

    /// What was written, for another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| part.to_bytes()).collect()
    }

    pub fn from_bytes(bytes: &[u8]) -> State {
        State {
            parts: bytes.as_chunks().0.iter().map(Part::from_bytes).collect(),
            writer: None,
        }
    }
}
