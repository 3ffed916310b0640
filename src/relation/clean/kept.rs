//! The rows of a query, kept as they are, in memory or on disk, to be looked at twice.

use crate::error::{Error, Result};
use crate::versions;
use pgrx::prelude::*;
use pgrx::{PgMemoryContexts, pg_sys};
use std::ffi::CString;

/// Our receiver: PostgreSQL sees its first field.
#[repr(C)]
struct Receiver {
    head: pg_sys::DestReceiver,
    store: *mut pg_sys::Tuplestorestate,
    /// The context the rows and their descriptor live in.
    context: pg_sys::MemoryContext,
    descriptor: pg_sys::TupleDesc,
}

#[pg_guard]
unsafe extern "C-unwind" fn startup(
    this: *mut pg_sys::DestReceiver,
    _operation: i32,
    descriptor: pg_sys::TupleDesc,
) {
    // SAFETY: `this` is the head of the Receiver that `read` passed in; the copy outlives the query.
    unsafe {
        let receiver = &mut *this.cast::<Receiver>();
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = receiver.context;
        receiver.descriptor = pg_sys::CreateTupleDescCopy(descriptor);
        pg_sys::CurrentMemoryContext = before;
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn shutdown(_this: *mut pg_sys::DestReceiver) {}

#[pg_guard]
unsafe extern "C-unwind" fn receive(
    slot: *mut pg_sys::TupleTableSlot,
    this: *mut pg_sys::DestReceiver,
) -> bool {
    // SAFETY: `this` is the head of the Receiver that `read` passed in; the store copies the row.
    unsafe {
        let receiver = &*this.cast::<Receiver>();
        pg_sys::tuplestore_puttupleslot(receiver.store, slot);
    }
    true
}

/// Rows of a query.
pub struct Kept {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
}

impl Kept {
    /// Runs the query as the current role, in the current snapshot.
    pub fn read(select: &str) -> Result<Kept> {
        let sql = CString::new(select)
            .map_err(|_| Error::new("22021", "the relation contains a zero byte"))?;
        // SAFETY: a store of the current memory context that can be read twice.
        let mut receiver = unsafe {
            Receiver {
                head: pg_sys::DestReceiver {
                    receiveSlot: Some(receive),
                    rStartup: Some(startup),
                    rShutdown: Some(shutdown),
                    rDestroy: Some(shutdown),
                    mydest: pg_sys::CommandDest::DestNone,
                },
                store: pg_sys::tuplestore_begin_heap(true, false, pg_sys::work_mem),
                context: pg_sys::CurrentMemoryContext,
                descriptor: std::ptr::null_mut(),
            }
        };
        let dest = (&raw mut receiver).cast();
        // SAFETY: inside an SPI connection; the receiver outlives the execution.
        let status = Spi::connect(|_| unsafe { versions::select_into(&sql, true, dest) });
        if status < 0 || receiver.descriptor.is_null() {
            return Err(Error::new("42601", "the relation is not a single SELECT"));
        }
        Ok(Kept {
            store: receiver.store,
            descriptor: receiver.descriptor,
        })
    }

    /// Looks at every row, of which the first `columns` values are wanted, in the order they came.
    pub fn each(
        &self,
        columns: usize,
        mut look: impl FnMut(&Slot<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut context = PgMemoryContexts::new("insight rows");
        // SAFETY: the store and the descriptor are those of `read`; the slot is dropped below, or with the query's memory
        // where an error is raised in between.
        unsafe {
            let slot = pg_sys::MakeSingleTupleTableSlot(
                self.descriptor,
                &raw const pg_sys::TTSOpsMinimalTuple,
            );
            pg_sys::tuplestore_rescan(self.store);
            let mut outcome = Ok(());
            while outcome.is_ok() && pg_sys::tuplestore_gettupleslot(self.store, true, false, slot)
            {
                pgrx::check_for_interrupts!();
                pg_sys::slot_getsomeattrs_int(slot, columns as i32);
                let row = Slot {
                    values: std::slice::from_raw_parts((*slot).tts_values, columns),
                    nulls: std::slice::from_raw_parts((*slot).tts_isnull, columns),
                };
                outcome = context.switch_to(|_| look(&row));
                context.reset();
            }
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            outcome
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: made by `read`, ended once. Where an error is being raised, the transaction's end frees it.
        if !std::thread::panicking() {
            unsafe { pg_sys::tuplestore_end(self.store) };
        }
    }
}

/// The values of one row.
pub struct Slot<'a> {
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl Slot<'_> {
    /// The value of a column; `None` for NULL.
    pub fn get(&self, column: usize) -> Option<pg_sys::Datum> {
        (!self.nulls[column]).then(|| self.values[column])
    }
}
