//! The allocator: the system's, with one difference in a trainer child. There a failed allocation means that the
//! memory limit was reached; Rust would abort, so the child says so on its pipe and leaves.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI32, Ordering};

/// The pipe of the trainer child; -1 in every other process.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// What the child writes when memory runs out; the worker turns it into an error.
pub const EXHAUSTED: &[u8; 5] = b"M\0\0\0\0";

/// Called once in the trainer child.
pub fn report_exhaustion_to(pipe: i32) {
    PIPE.store(pipe, Ordering::Relaxed);
}

struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

#[cold]
fn exhausted() {
    let pipe = PIPE.load(Ordering::Relaxed);
    if pipe >= 0 {
        // SAFETY: write and _exit are async-signal-safe and allocate nothing; the buffer is static.
        unsafe {
            libc::write(pipe, EXHAUSTED.as_ptr().cast(), EXHAUSTED.len());
            libc::_exit(3);
        }
    }
}

// SAFETY: every call is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let pointer = unsafe { System.alloc(layout) };
        if pointer.is_null() {
            exhausted();
        }
        pointer
    }
    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if pointer.is_null() {
            exhausted();
        }
        pointer
    }
    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let moved = unsafe { System.realloc(pointer, layout, size) };
        if moved.is_null() {
            exhausted();
        }
        moved
    }
}
