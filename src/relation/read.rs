//! Rows of a query straight into a frame, through our own DestReceiver: no SPI tuple table, no text.

use super::decode::{Buffer, Decoder};
use super::resolve::Source;
use crate::error::{Error, Result};
use crate::versions;
use insight_engine::frame::{Cell, Column, Frame};
use pgrx::prelude::*;
use pgrx::{PgMemoryContexts, pg_sys};
use std::ffi::CString;

/// Rows between two looks at the frame's size and two progress reports.
const REPORT_ROWS: usize = 4096;

/// Our receiver: PostgreSQL sees its first field.
#[repr(C)]
struct Receiver<'a> {
    head: pg_sys::DestReceiver,
    columns: Vec<(Decoder, Column)>,
    rows: usize,
    max_bytes: usize,
    on_rows: &'a mut dyn FnMut(u64),
    scratch: Buffer,
    /// Detoasted copies live here until the next row.
    context: pg_sys::MemoryContext,
    exceeded: bool,
}

#[pg_guard]
unsafe extern "C-unwind" fn startup(
    _this: *mut pg_sys::DestReceiver,
    _operation: i32,
    _type: pg_sys::TupleDesc,
) {
}

#[pg_guard]
unsafe extern "C-unwind" fn shutdown(_this: *mut pg_sys::DestReceiver) {}

#[pg_guard]
unsafe extern "C-unwind" fn receive(
    slot: *mut pg_sys::TupleTableSlot,
    this: *mut pg_sys::DestReceiver,
) -> bool {
    // SAFETY: `this` is the head of the Receiver that `read` passed in and keeps alive.
    let receiver = unsafe { &mut *this.cast::<Receiver>() };
    // SAFETY: the executor hands over a valid slot with the query's descriptor.
    unsafe {
        let natts = receiver.columns.len();
        if ((*slot).tts_nvalid as usize) < natts {
            pg_sys::slot_getsomeattrs_int(slot, natts as i32);
        }
        let values = std::slice::from_raw_parts((*slot).tts_values, natts);
        let nulls = std::slice::from_raw_parts((*slot).tts_isnull, natts);
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = receiver.context;
        for (i, (decoder, column)) in receiver.columns.iter_mut().enumerate() {
            if nulls[i] {
                column.push(Cell::Null);
            } else {
                column.push(decoder.decode(values[i], &mut receiver.scratch));
            }
        }
        pg_sys::CurrentMemoryContext = before;
        if !(*receiver.context).isReset {
            pg_sys::MemoryContextReset(receiver.context);
        }
    }
    receiver.rows += 1;
    if receiver.rows.is_multiple_of(REPORT_ROWS) {
        (receiver.on_rows)(receiver.rows as u64);
        if receiver
            .columns
            .iter()
            .map(|(_, c)| c.bytes())
            .sum::<usize>()
            > receiver.max_bytes
        {
            receiver.exceeded = true;
            return false;
        }
    }
    true
}

/// Reads the named columns of a source as the current role.
///
/// `max_bytes` bounds the frame; `on_rows` is called every few thousand rows with their number.
/// Every column must have a decoder.
pub fn read(
    source: &Source,
    columns: &[&str],
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
) -> Result<Frame> {
    read_as_of(source, columns, max_bytes, on_rows, false)
}

/// The same; with `snapshot` the rows are those that the calling statement sees: what answers a row of it must not see what the
/// statement itself has changed so far.
pub fn read_as_of(
    source: &Source,
    columns: &[&str],
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
    snapshot: bool,
) -> Result<Frame> {
    let mut decoders = Vec::with_capacity(columns.len());
    for name in columns {
        let column = source.require(name)?;
        let decoder = Decoder::for_type(column.type_oid).ok_or_else(|| {
            Error::new(
                "0A000",
                format!(
                    "column \"{name}\" has the unsupported type {}",
                    column.type_name
                ),
            )
        })?;
        let values = Column::new(*name, column.type_name.as_str(), decoder.kind);
        decoders.push((decoder, values));
    }
    let sql = CString::new(source.select(columns))
        .map_err(|_| Error::new("22021", "the relation contains a zero byte"))?;
    let context = PgMemoryContexts::new("insight rows");
    let mut receiver = Receiver {
        head: pg_sys::DestReceiver {
            receiveSlot: Some(receive),
            rStartup: Some(startup),
            rShutdown: Some(shutdown),
            rDestroy: Some(shutdown),
            mydest: pg_sys::CommandDest::DestNone,
        },
        columns: decoders,
        rows: 0,
        max_bytes,
        on_rows,
        scratch: Buffer::default(),
        context: context.value(),
        exceeded: false,
    };
    let dest = (&raw mut receiver).cast();
    // SAFETY: inside an SPI connection; the receiver outlives the execution.
    let status = Spi::connect(|_| unsafe { versions::select_into(&sql, snapshot, dest) });
    if status < 0 {
        return Err(Error::new("42601", "the relation is not a single SELECT"));
    }
    if receiver.exceeded {
        return Err(memory_error(receiver.rows, max_bytes));
    }
    (receiver.on_rows)(receiver.rows as u64);
    let columns = receiver
        .columns
        .into_iter()
        .map(|(_, column)| column)
        .collect();
    Ok(Frame { columns })
}

/// The frame outgrew the limit.
fn memory_error(rows: usize, max_bytes: usize) -> Error {
    Error::new(
        "53200",
        format!(
            "the data needs more than the {} MB a training job may use",
            max_bytes / (1 << 20)
        ),
    )
    .detail(format!("{rows} rows were read."))
    .hint("Train on fewer rows or columns, or have a superuser raise insight.max_memory.")
}
