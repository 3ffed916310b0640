//! The allocator: the system's, with three differences. Large blocks of a training job can lie in a temporary file, see [`spill`]; a model
//! can be copied to where all processes read it, see [`arena`]. And in a trainer child a failed allocation means that the memory limit was
//! reached; Rust would abort, so the child says so on its pipe and leaves.

pub mod arena;
pub mod spill;

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

/// A new block, or one in the file where there is no memory for it. Both are zeros if asked to be.
#[inline]
fn or_instead(mut pointer: *mut u8, layout: Layout) -> *mut u8 {
    if pointer.is_null() {
        pointer = spill::instead(layout);
        if pointer.is_null() {
            exhausted();
        }
    }
    pointer
}

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

// SAFETY: every call is passed on unchanged, to the system allocator or to that of large blocks, which takes back what it gave.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if arena::is_open() {
            let pointer = arena::alloc(layout);
            if !pointer.is_null() {
                return pointer;
            }
        }
        let pointer = unsafe {
            match spill::is_ours(layout.size()) {
                true => spill::alloc(layout, false),
                false => System.alloc(layout),
            }
        };
        or_instead(pointer, layout)
    }
    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if arena::holds(pointer as usize) {
            return;
        }
        unsafe {
            match spill::has(pointer, layout.size()) {
                true => spill::dealloc(pointer, layout),
                false => System.dealloc(pointer, layout),
            }
        }
    }
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if arena::is_open() {
            // SAFETY: a new block of this length, of which others may have left something.
            unsafe {
                let pointer = self.alloc(layout);
                if !pointer.is_null() {
                    pointer.write_bytes(0, layout.size());
                }
                return pointer;
            }
        }
        let pointer = unsafe {
            match spill::is_ours(layout.size()) {
                true => spill::alloc(layout, true),
                false => System.alloc_zeroed(layout),
            }
        };
        or_instead(pointer, layout)
    }
    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if arena::is_open() || arena::holds(pointer as usize) {
            return unsafe { self.moved(pointer, layout, size) };
        }
        let moved = unsafe {
            match spill::has(pointer, layout.size().max(size)) {
                true => spill::realloc(pointer, layout, size),
                false => System.realloc(pointer, layout, size),
            }
        };
        if !moved.is_null() {
            return moved;
        }
        // SAFETY: the old block is still there.
        unsafe { self.moved(pointer, layout, size) }
    }
}

impl Allocator {
    /// A new block with the bytes of an old one, which is given back.
    ///
    /// # Safety
    /// As for `GlobalAlloc::realloc`.
    #[cold]
    unsafe fn moved(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: promised by the caller.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(pointer, moved, size.min(layout.size()));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}
