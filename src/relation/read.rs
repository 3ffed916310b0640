//! Rows of a query straight into a frame, through our own DestReceiver: no SPI tuple table, no text.

use super::decode::{Buffer, Decoder};
use super::parallel::{self, plain::Plain};
use super::resolve::Source;
use crate::alloc::spill;
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
    decoders: Vec<Decoder>,
    frame: Frame,
    rows: usize,
    max_bytes: usize,
    on_rows: &'a mut dyn FnMut(u64),
    /// Takes rows as soon as there are so many; no more are kept.
    pieces: Option<(usize, &'a mut Pieces<'a>)>,
    scratch: Buffer,
    /// Detoasted copies live here until the next row.
    context: PgMemoryContexts,
    failed: Option<Error>,
}

/// What is done with each piece of a source.
pub type Pieces<'a> = dyn FnMut(&Frame) -> Result<()> + 'a;

impl<'a> Receiver<'a> {
    fn new(
        decoders: Vec<Decoder>,
        frame: Frame,
        max_bytes: usize,
        on_rows: &'a mut dyn FnMut(u64),
    ) -> Self {
        Receiver {
            head: pg_sys::DestReceiver {
                receiveSlot: Some(receive),
                rStartup: Some(startup),
                rShutdown: Some(shutdown),
                rDestroy: Some(shutdown),
                mydest: pg_sys::CommandDest::DestNone,
            },
            decoders,
            frame,
            rows: 0,
            max_bytes,
            on_rows,
            pieces: None,
            scratch: Buffer::default(),
            context: PgMemoryContexts::new("insight rows"),
            failed: None,
        }
    }

    /// Receives the rows of a query, under settings of its own.
    fn run(&mut self, sql: &str, rows: Rows, settings: &[(&str, &str)]) -> Result<()> {
        let sql = CString::new(sql)
            .map_err(|_| Error::new("22021", "the relation contains a zero byte"))?;
        let nest = Nest::new(settings);
        let dest = (&raw mut *self).cast();
        let snapshot = rows == Rows::OfStatement;
        // SAFETY: inside an SPI connection; the receiver outlives the execution.
        let status = Spi::connect(|_| unsafe { versions::select_into(&sql, snapshot, dest) });
        nest.end();
        if status < 0 {
            return Err(Error::new("42601", "the relation is not a single SELECT"));
        }
        if self.failed.is_none() {
            self.hand_on();
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        (self.on_rows)(self.rows as u64);
        Ok(())
    }

    /// Hands on the rows there are; false after an error.
    fn hand_on(&mut self) -> bool {
        if let Some((_, take)) = &mut self.pieces {
            self.failed = take(&self.frame).err();
            self.frame.columns.iter_mut().for_each(Column::clear);
        }
        self.failed.is_none()
    }
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
    // SAFETY: `this` is the head of the Receiver that `run` passed in and keeps alive.
    let receiver = unsafe { &mut *this.cast::<Receiver>() };
    // SAFETY: the executor hands over a valid slot with the query's descriptor.
    unsafe {
        let natts = receiver.decoders.len();
        if ((*slot).tts_nvalid as usize) < natts {
            pg_sys::slot_getsomeattrs_int(slot, natts as i32);
        }
        let values = std::slice::from_raw_parts((*slot).tts_values, natts);
        let nulls = std::slice::from_raw_parts((*slot).tts_isnull, natts);
        let before = pg_sys::CurrentMemoryContext;
        let context = receiver.context.value();
        pg_sys::CurrentMemoryContext = context;
        let columns = receiver.decoders.iter().zip(&mut receiver.frame.columns);
        for (i, (decoder, column)) in columns.enumerate() {
            if nulls[i] {
                column.push(Cell::Null);
            } else {
                column.push(decoder.decode(values[i], &mut receiver.scratch));
            }
        }
        pg_sys::CurrentMemoryContext = before;
        if !(*context).isReset {
            pg_sys::MemoryContextReset(context);
        }
    }
    receiver.rows += 1;
    if receiver.rows.is_multiple_of(REPORT_ROWS) {
        (receiver.on_rows)(receiver.rows as u64);
        if too_large(&receiver.frame.columns, receiver.max_bytes) {
            receiver.failed = Some(memory_error(receiver.rows, receiver.max_bytes));
            return false;
        }
    }
    match receiver.pieces {
        Some((rows, _)) if receiver.frame.rows() >= rows => receiver.hand_on(),
        _ => true,
    }
}

/// Settings for the time of one query.
pub(super) struct Nest(i32);

impl Nest {
    pub fn new(settings: &[(&str, &str)]) -> Nest {
        // SAFETY: valid C strings; the level is closed by `end`, or by the transaction's abort.
        unsafe {
            let nest = Nest(pg_sys::NewGUCNestLevel());
            for (name, value) in settings {
                let (name, value) = (
                    CString::new(*name).unwrap_or_default(),
                    CString::new(*value).unwrap_or_default(),
                );
                pg_sys::set_config_option(
                    name.as_ptr(),
                    value.as_ptr(),
                    pg_sys::GucContext::PGC_SUSET,
                    pg_sys::GucSource::PGC_S_SESSION,
                    pg_sys::GucAction::GUC_ACTION_SAVE,
                    true,
                    pg_sys::PGERROR as i32,
                    false,
                );
            }
            nest
        }
    }
    pub fn end(self) {
        // SAFETY: closes the level that `new` opened.
        unsafe { pg_sys::AtEOXact_GUC(true, self.0) };
    }
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
    read_rows(source, columns, max_bytes, on_rows, Rows::Newest)
}

/// The same; the rows are those that the calling statement sees: what answers a row of it must not see what the statement itself
/// has changed so far.
pub fn read_as_of(
    source: &Source,
    columns: &[&str],
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
) -> Result<Frame> {
    read_rows(source, columns, max_bytes, on_rows, Rows::OfStatement)
}

/// The same as [`read`], in the same order each time: parts are drawn, and data is recognised, by the place of rows.
pub fn read_in_order(
    source: &Source,
    columns: &[&str],
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
) -> Result<Frame> {
    read_rows(source, columns, max_bytes, on_rows, Rows::InOrder)
}

/// Which rows, and how.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    Newest,
    OfStatement,
    InOrder,
}

fn read_rows(
    source: &Source,
    columns: &[&str],
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
    rows: Rows,
) -> Result<Frame> {
    let (decoders, frame) = empty(source, columns)?;
    let plain = match rows {
        Rows::OfStatement => None,
        _ => Plain::of(source, columns)?,
    };
    if let Some(plain) = &plain
        && let Some(leaves) = parallel::leaves(plain)
        && let Some(frame) = parallel::read(plain, &leaves, &frame, max_bytes, on_rows)?
    {
        return Ok(frame);
    }
    let mut settings = Vec::new();
    if rows == Rows::InOrder {
        settings.push(("max_parallel_workers_per_gather", "0"));
        settings.push(("synchronize_seqscans", "off"));
    }
    // An index has another order, and is only used while most pages are all visible.
    if rows == Rows::InOrder && plain.is_some() {
        settings.push(("enable_indexonlyscan", "off"));
    }
    let mut receiver = Receiver::new(decoders, frame, max_bytes, on_rows);
    receiver.run(&source.select(columns), rows, &settings)?;
    Ok(receiver.frame)
}

/// Reads the named columns of a source as the current role, and hands them on in pieces of so many rows; the last has fewer. Nothing
/// is kept.
pub fn read_in_pieces(
    source: &Source,
    columns: &[&str],
    rows: usize,
    take: &mut Pieces<'_>,
) -> Result<()> {
    let (decoders, frame) = empty(source, columns)?;
    let on_rows = &mut |_: u64| {
        pgrx::check_for_interrupts!();
    };
    let mut receiver = Receiver::new(decoders, frame, usize::MAX, on_rows);
    receiver.pieces = Some((rows, take));
    receiver.run(&source.select(columns), Rows::Newest, &[])
}

/// What decodes the named columns, and a frame for them. Every column must have a decoder.
fn empty(source: &Source, columns: &[&str]) -> Result<(Vec<Decoder>, Frame)> {
    let (mut decoders, mut frame) = (Vec::with_capacity(columns.len()), Frame::default());
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
        frame.columns.push(values);
        decoders.push(decoder);
    }
    Ok((decoders, frame))
}

/// Whether columns take more than they may: memory, and what a job's temporary file may hold beside it, where short texts do not go.
pub(super) fn too_large(columns: &[Column], max_bytes: usize) -> bool {
    let sum = |bytes: fn(&Column) -> usize| -> usize { columns.iter().map(bytes).sum() };
    let in_memory = spill::memory() + sum(Column::short_text_bytes);
    sum(Column::bytes) > spill::with_room(max_bytes) || in_memory > max_bytes
}

/// The frame outgrew the limit.
pub(super) fn memory_error(rows: usize, max_bytes: usize) -> Error {
    Error::new(
        "53200",
        format!(
            "the data needs more than the {} MB a training job may use",
            max_bytes / (1 << 20)
        ),
    )
    .detail(format!("{rows} rows were read."))
    .hint(match spill::file() {
        Some(_) => "Train on fewer rows or columns, or have a superuser raise insight.max_memory or temp_file_limit.",
        None => "Train on fewer rows or columns, or have a superuser raise insight.max_memory.",
    })
}
