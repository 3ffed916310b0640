//! Blocks of a training job beyond its memory: in a temporary file that the kernel can write out and read back as it needs the room.
//!
//! The file is mapped once, as a whole, with far more addresses than it has bytes; a block's place in the mapping is its place in the
//! file, and no place of a large block is used twice but at the very end. Its bytes are reserved on disk before they are used, so that a full disk is an
//! allocation that fails and no signal. A trainer child shares the mapping and goes on with the file, its worker only looks on.

// Beside this file also where a test takes it as it is.
#[path = "pieces.rs"]
mod pieces;

use pieces::{Pieces, WHOLE, are_alike};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicIsize, AtomicUsize, Ordering::Relaxed};

/// Smaller blocks have some memory that these leave to them, and share what they take of the file.
pub const LARGE: usize = 1 << 18;
/// Smaller blocks than a page stay in memory.
pub const PAGE: usize = 4096;
/// Addresses, of which processes have 128 TB; ext4 ends files at 16 TB.
const ADDRESSES: usize = 8 << 40;

/// Where the mapping begins; 0 without one.
static BASE: AtomicUsize = AtomicUsize::new(0);
/// The file, -1 where this process takes no more of it.
static FILE: AtomicI32 = AtomicI32::new(-1);
/// Bytes of the file that have been given away, ever.
static TOP: AtomicUsize = AtomicUsize::new(0);
/// Bytes of the file in use, and the most there may be.
static USED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
/// Bytes of memory that blocks of pages take, and may take before a large one goes to the file, or any.
static MEMORY: AtomicIsize = AtomicIsize::new(0);
static BUDGET: AtomicIsize = AtomicIsize::new(isize::MAX);
static BUDGET_OF_ALL: AtomicIsize = AtomicIsize::new(isize::MAX);
/// Blocks of the file that are not large.
static PIECES: Mutex<Pieces> = Mutex::new(Pieces::none());
/// The C library keeps no large block for itself.
static FRUGAL: AtomicBool = AtomicBool::new(false);

/// Whether blocks of this size are looked after here.
#[inline]
pub fn is_ours(size: usize) -> bool {
    size >= PAGE && BASE.load(Relaxed) != 0
}

/// From here on large blocks take at most a quarter of `bytes` of memory, and all blocks of pages a half; others go to the file, of which
/// there may be `most` bytes. The descriptor is this module's.
pub fn open(file: i32, bytes: usize, most: usize) -> bool {
    // Some file systems cannot reserve.
    if !allocate(file, 0, PAGE) {
        // SAFETY: ours.
        unsafe { libc::close(file) };
        return false;
    }
    // SAFETY: a new mapping, of a file that nobody else knows; no byte of it is touched before it is reserved.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            ADDRESSES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_NORESERVE,
            file,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        // SAFETY: ours.
        unsafe { libc::close(file) };
        return false;
    }
    FILE.store(file, Relaxed);
    MOST.store(most, Relaxed);
    let up_to = |share: usize| isize::try_from(share).unwrap_or(isize::MAX);
    BUDGET.store(up_to(bytes / 4), Relaxed);
    BUDGET_OF_ALL.store(up_to(bytes / 2), Relaxed);
    BASE.store(base as usize, Relaxed);
    true
}

/// Bytes that the file may still get.
pub fn room() -> usize {
    match FILE.load(Relaxed) {
        -1 => 0,
        _ => MOST.load(Relaxed).saturating_sub(USED.load(Relaxed)),
    }
}

/// So many bytes of memory and what the file may still get.
pub fn with_room(bytes: usize) -> usize {
    bytes.saturating_add(room())
}

/// Whether anything lies in the file, or has lain.
pub fn is_used() -> bool {
    TOP.load(Relaxed) > 0
}

/// Bytes of memory that blocks of pages take.
pub fn memory() -> usize {
    usize::try_from(MEMORY.load(Relaxed)).unwrap_or(0)
}

/// Called in a trainer child that may take so many bytes of memory more: large blocks take a half of it, those of pages three quarters.
/// What is smaller has to fit in, too.
pub fn allow(more: usize) {
    let up_to =
        |share: usize| isize::try_from(memory().saturating_add(share)).unwrap_or(isize::MAX);
    BUDGET.store(up_to(more / 2), Relaxed);
    BUDGET_OF_ALL.store(up_to(more - more / 4), Relaxed);
}

/// Called in the worker once its child goes on with the file: what the worker drops is still the child's.
pub fn leave() {
    let file = FILE.swap(-1, Relaxed);
    if file >= 0 {
        // SAFETY: ours; the mapping stays.
        unsafe { libc::close(file) };
    }
}

/// The file, for those who close what a child should not have.
pub fn file() -> Option<i32> {
    Some(FILE.load(Relaxed)).filter(|file| *file >= 0)
}

/// Whether an address is in the mapping.
pub fn holds(address: usize) -> bool {
    let base = BASE.load(Relaxed);
    base != 0 && address.wrapping_sub(base) < ADDRESSES
}

fn pages(size: usize) -> usize {
    size.next_multiple_of(PAGE)
}

/// The memory that blocks may take, one of this size being among them.
fn budget(size: usize) -> isize {
    match size >= LARGE {
        true => BUDGET.load(Relaxed),
        false => BUDGET_OF_ALL.load(Relaxed),
    }
}

/// Takes memory from the budget.
fn budgeted(size: usize) -> bool {
    let (size, budget) = (size as isize, budget(size));
    if MEMORY.fetch_add(size, Relaxed).saturating_add(size) <= budget {
        return true;
    }
    MEMORY.fetch_sub(size, Relaxed);
    false
}

/// Reserves bytes of the file. Where the disk has none left, the file has reached its end for good.
fn reserve(at: usize, bytes: usize) -> bool {
    let file = FILE.load(Relaxed);
    let allowed = USED.fetch_add(bytes, Relaxed).saturating_add(bytes) <= MOST.load(Relaxed);
    if allowed && at + bytes <= ADDRESSES && file >= 0 {
        if leaves_room(file, bytes) && allocate(file, at, bytes) {
            return true;
        }
        let used = USED.load(Relaxed).saturating_sub(bytes);
        MOST.fetch_min(used, Relaxed);
    }
    USED.fetch_sub(bytes, Relaxed);
    false
}

fn allocate(file: i32, at: usize, bytes: usize) -> bool {
    // SAFETY: a system call on our own file.
    unsafe { libc::fallocate(file, 0, at as libc::off_t, bytes as libc::off_t) == 0 }
}

/// Whether the disk has a twentieth of itself left afterwards: the write-ahead log may lie on it, too.
fn leaves_room(file: i32, bytes: usize) -> bool {
    // SAFETY: fstatvfs fills the structure it is given.
    unsafe {
        let mut disk: libc::statvfs = std::mem::zeroed();
        libc::fstatvfs(file, &mut disk) == 0
            && (bytes as u64).div_ceil(disk.f_frsize.max(1)) + disk.f_blocks / 20 <= disk.f_bavail
    }
}

/// Gives bytes of the file back, which then are zeros.
fn give_back(at: usize, bytes: usize) {
    let file = FILE.load(Relaxed);
    if bytes == 0 || file < 0 {
        return;
    }
    USED.fetch_sub(bytes, Relaxed);
    let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: a system call on our own file.
    let given =
        unsafe { libc::fallocate(file, punch, at as libc::off_t, bytes as libc::off_t) } == 0;
    if given {
        let _ = TOP.compare_exchange(at + bytes, at, Relaxed, Relaxed);
    }
}

/// A large block of zeros in the file, or null.
fn spilled(size: usize) -> *mut u8 {
    if FILE.load(Relaxed) < 0 {
        return std::ptr::null_mut();
    }
    #[cfg(target_env = "gnu")]
    if !FRUGAL.swap(true, Relaxed) {
        // Memory is short: what a large block leaves there is the kernel's again, and no hole among small ones.
        // SAFETY: a setting of the C library.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE as libc::c_int) };
    }
    let bytes = pages(size);
    let at = TOP.fetch_add(bytes, Relaxed);
    if reserve(at, bytes) {
        return (BASE.load(Relaxed) + at) as *mut u8;
    }
    let _ = TOP.compare_exchange(at + bytes, at, Relaxed, Relaxed);
    std::ptr::null_mut()
}

fn pieces<T>(act: impl FnOnce(&mut Pieces) -> T) -> T {
    act(&mut PIECES.lock().unwrap_or_else(|broken| broken.into_inner()))
}

/// A block, in memory while the budget lasts.
///
/// # Safety
/// As for `GlobalAlloc::alloc`.
pub unsafe fn alloc(layout: Layout, zeroed: bool) -> *mut u8 {
    let system = || {
        // SAFETY: promised by the caller.
        unsafe {
            match zeroed {
                true => System.alloc_zeroed(layout),
                false => System.alloc(layout),
            }
        }
    };
    if budgeted(layout.size()) {
        let block = system();
        if !block.is_null() {
            return block;
        }
        MEMORY.fetch_sub(layout.size() as isize, Relaxed);
    }
    if layout.align() <= PAGE {
        let (block, is_zero) = match layout.size() >= LARGE {
            true => (spilled(layout.size()), true),
            false => pieces(|pieces| pieces.take(layout.size(), || spilled(WHOLE))),
        };
        if !block.is_null() {
            if zeroed && !is_zero {
                // SAFETY: a block of this size.
                unsafe { block.write_bytes(0, layout.size()) };
            }
            return block;
        }
    }
    // In a child the limit on its memory speaks the last word; elsewhere there must be one.
    let block = system();
    if !block.is_null() {
        MEMORY.fetch_add(layout.size() as isize, Relaxed);
    }
    block
}

/// Gives a block back.
///
/// # Safety
/// As for `GlobalAlloc::dealloc`; the block is one that [`is_ours`] names.
pub unsafe fn dealloc(block: *mut u8, layout: Layout) {
    if holds(block as usize) {
        if layout.size() >= LARGE {
            give_back(block as usize - BASE.load(Relaxed), pages(layout.size()));
        } else if FILE.load(Relaxed) >= 0 {
            // SAFETY: promised by the caller.
            pieces(|pieces| unsafe { pieces.give(block, layout.size()) });
        }
    } else {
        MEMORY.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(block, layout) };
    }
}

/// Makes a block longer or shorter.
///
/// # Safety
/// As for `GlobalAlloc::realloc`; before or after, the block is one that [`is_ours`] names.
pub unsafe fn realloc(block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    let counted = |bytes: usize| if bytes >= PAGE { bytes as isize } else { 0 };
    if !holds(block as usize) {
        let more = counted(size) - counted(layout.size());
        if more <= 0 || MEMORY.load(Relaxed).saturating_add(more) <= budget(size) {
            // SAFETY: promised by the caller.
            let moved = unsafe { System.realloc(block, layout, size) };
            if !moved.is_null() {
                MEMORY.fetch_add(more, Relaxed);
                return moved;
            }
        }
    } else if (PAGE..LARGE).contains(&size) {
        if layout.size() < LARGE && are_alike(layout.size(), size) {
            return block;
        }
    } else if size >= LARGE && layout.size() >= LARGE {
        let (at, old, new) = (
            block as usize - BASE.load(Relaxed),
            pages(layout.size()),
            pages(size),
        );
        if new <= old {
            give_back(at + new, old - new);
            return block;
        }
        // The last block grows where it is.
        if TOP
            .compare_exchange(at + old, at + new, Relaxed, Relaxed)
            .is_ok()
        {
            if reserve(at + old, new - old) {
                return block;
            }
            let _ = TOP.compare_exchange(at + new, at + old, Relaxed, Relaxed);
        }
    }
    // SAFETY: a new block, into which the old one's bytes fit as far as both go.
    unsafe {
        let layout_of_new = Layout::from_size_align_unchecked(size, layout.align());
        let new = match size >= PAGE {
            true => alloc(layout_of_new, false),
            false => System.alloc(layout_of_new),
        };
        if !new.is_null() {
            std::ptr::copy_nonoverlapping(block, new, size.min(layout.size()));
            match layout.size() >= PAGE {
                true => dealloc(block, layout),
                false => System.dealloc(block, layout),
            }
        }
        new
    }
}
