//! What the processes of a parallel scan share: counts of what was read, and the set of their temporary files, which is gone with the
//! last of them.

use crate::alloc::spill;
use crate::error::{Error, Result};
use crate::settings;
use pgrx::pg_sys;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

const MAGIC: u64 = 0x696e_7369_6768_7403;
/// Of dsm.h: a macro in C.
const DSM_CREATE_NULL_IF_MAXSEGMENTS: i32 = 1;

/// Text that stands in every part is counted in every part: so much more than the frame may lie in the files.
const TIMES: usize = 4;

#[repr(C)]
pub struct Shared {
    magic: u64,
    rows: AtomicU64,
    bytes: AtomicU64,
    most: u64,
    stopped: AtomicBool,
    files: pg_sys::SharedFileSet,
}

/// The leader's hold on it. Where an error unwinds, PostgreSQL lets go of it with the transaction.
pub struct Leader {
    segment: *mut pg_sys::dsm_segment,
}

impl Leader {
    /// `None` where the server has no place for it.
    pub fn new(max_bytes: usize) -> Option<Leader> {
        // SAFETY: the segment is large enough; nobody else knows of it before it is filled.
        unsafe {
            let segment = pg_sys::dsm_create(size_of::<Shared>(), DSM_CREATE_NULL_IF_MAXSEGMENTS);
            if segment.is_null() {
                return None;
            }
            let shared = pg_sys::dsm_segment_address(segment).cast::<Shared>();
            (*shared).magic = MAGIC;
            (*shared).rows = AtomicU64::new(0);
            (*shared).bytes = AtomicU64::new(0);
            (*shared).most = spill::with_room(max_bytes).saturating_mul(TIMES) as u64;
            (*shared).stopped = AtomicBool::new(false);
            pg_sys::SharedFileSetInit(&raw mut (*shared).files, segment);
            Some(Leader { segment })
        }
    }

    /// What [`Shared::current`] finds it by.
    pub fn handle(&self) -> u32 {
        // SAFETY: the segment is attached.
        unsafe { pg_sys::dsm_segment_handle(self.segment) }
    }

    pub fn shared(&self) -> &Shared {
        // SAFETY: the segment is attached and starts with a Shared.
        unsafe { &*pg_sys::dsm_segment_address(self.segment).cast::<Shared>() }
    }

    /// Deletes the files.
    pub fn end(self) {
        // SAFETY: attached by `new`, and nobody uses it any more.
        unsafe { pg_sys::dsm_detach(self.segment) };
    }
}

impl Shared {
    /// That of the scan that this process takes part in: the setting `insight.reading`, which PostgreSQL hands to parallel workers, names it.
    pub fn current() -> Result<&'static Shared> {
        let handle = settings::reading().ok_or_else(|| {
            Error::new(
                "55000",
                "insight.read_rows is for the reading of tables by insight itself",
            )
        })?;
        // SAFETY: only the leader, or a superuser, can name a segment; what it holds is checked.
        unsafe {
            let known = pg_sys::dsm_find_mapping(handle);
            let segment = match known.is_null() {
                true => pg_sys::dsm_attach(handle),
                false => known,
            };
            let fits = !segment.is_null()
                && pg_sys::dsm_segment_map_length(segment) >= size_of::<Shared>();
            if !fits || (*pg_sys::dsm_segment_address(segment).cast::<Shared>()).magic != MAGIC {
                return Err(Error::new("55000", "the scan of insight.reading is over"));
            }
            let shared = pg_sys::dsm_segment_address(segment).cast::<Shared>();
            if known.is_null() {
                // For as long as this process lives, which is no longer than the scan.
                pg_sys::dsm_pin_mapping(segment);
                pg_sys::SharedFileSetAttach(&raw mut (*shared).files, segment);
            }
            Ok(&*shared)
        }
    }

    pub fn files(&self) -> *mut pg_sys::SharedFileSet {
        (&raw const self.files).cast_mut()
    }

    /// Counts rows; answers how many there are.
    pub fn add_rows(&self, rows: u64) -> u64 {
        self.rows.fetch_add(rows, Relaxed) + rows
    }

    /// Counts bytes that a process that has written `own` of them is about to write. False: there are too many.
    pub fn add_bytes(&self, bytes: usize, own: u64) -> bool {
        let all = self.bytes.fetch_add(bytes as u64, Relaxed) + bytes as u64;
        // SAFETY: a plain setting of this process.
        let on_disk = unsafe { pg_sys::temp_file_limit };
        let fits = on_disk < 0 || own + bytes as u64 <= on_disk as u64 * 1024;
        if all > self.most || !fits {
            self.stopped.store(true, Relaxed);
        }
        !self.is_stopped()
    }

    /// Whether the processes gave up: the table is for one of them to read.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }
}
