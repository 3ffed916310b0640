//! Memory that the server's processes share, at the same addresses in all of them: what is copied into it once, all can use.
//!
//! The postmaster maps it before it starts any process. What lies in it is written by one process at a time, which copies a value whose
//! blocks then all lie in a window of it, and is read-only ever after, in every process.

use std::alloc::Layout;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

static BASE: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// The window that blocks are taken from; nothing without one.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);
static OVERFLOWED: AtomicBool = AtomicBool::new(false);

/// Maps so many bytes; called once, in the postmaster. False: they cannot be had.
pub fn map(bytes: usize) -> bool {
    // SAFETY: a new mapping that nobody else knows.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return false;
    }
    BASE.store(base as usize, Relaxed);
    BYTES.store(bytes, Relaxed);
    true
}

/// How much there is.
pub fn bytes() -> usize {
    BYTES.load(Relaxed)
}

/// Whether an address lies in it.
#[inline]
pub fn holds(address: usize) -> bool {
    address.wrapping_sub(BASE.load(Relaxed)) < BYTES.load(Relaxed)
}

#[inline]
pub fn is_open() -> bool {
    NEXT.load(Relaxed) != 0
}

/// Lets this process write.
fn protect(writable: bool) -> bool {
    let rights = match writable {
        true => libc::PROT_READ | libc::PROT_WRITE,
        false => libc::PROT_READ,
    };
    // SAFETY: the mapping is ours.
    unsafe { libc::mprotect(BASE.load(Relaxed) as *mut libc::c_void, bytes(), rights) == 0 }
}

/// Copies a value into the window: all that `copy` allocates must be part of what it answers. `None` where the window is too small, else
/// where the value is and how many bytes of the window it takes.
///
/// # Safety
/// Nobody else writes to or reads from the window; this process has one thread; nothing of the value may ever change, or be dropped.
pub unsafe fn copy<T>(
    start: usize,
    end: usize,
    copy: impl FnOnce() -> T,
) -> Option<(*const T, usize)> {
    let base = BASE.load(Relaxed);
    if end > bytes() || !protect(true) {
        return None;
    }
    OVERFLOWED.store(false, Relaxed);
    END.store(base + end, Relaxed);
    NEXT.store(base + start, Relaxed);
    /// Closes the window also where `copy` panics.
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            NEXT.store(0, Relaxed);
        }
    }
    let close = Close;
    let root = Box::into_raw(Box::new(copy()));
    let next = NEXT.load(Relaxed);
    drop(close);
    let whole = !OVERFLOWED.load(Relaxed) && holds(root as usize);
    if !whole {
        // SAFETY: just made; those of its blocks that lie in the window are given up.
        drop(unsafe { Box::from_raw(root) });
    }
    protect(false);
    whole.then_some((root.cast_const(), next - base - start))
}

/// A block of the window, or null.
pub fn alloc(layout: Layout) -> *mut u8 {
    let start = NEXT.load(Relaxed).next_multiple_of(layout.align());
    let end = start.saturating_add(layout.size());
    if end > END.load(Relaxed) {
        OVERFLOWED.store(true, Relaxed);
        return std::ptr::null_mut();
    }
    NEXT.store(end, Relaxed);
    start as *mut u8
}

/// Gives the memory of a range back: it then is zeros.
pub fn forget(start: usize, end: usize) {
    if end > bytes() || !protect(true) {
        return;
    }
    let place = (BASE.load(Relaxed) + start) as *mut libc::c_void;
    // SAFETY: a range of our own mapping that nobody uses.
    unsafe { libc::madvise(place, end - start, libc::MADV_REMOVE) };
    protect(false);
}
