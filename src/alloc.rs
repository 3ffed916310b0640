//! The allocator: the system's, with three differences. Blocks of a training job can lie in a temporary file, see [`spill`]; a model
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
    // SAFETY: the handler calls nothing but what is async-signal-safe.
    unsafe { libc::signal(libc::SIGABRT, on_abort as *const () as libc::sighandler_t) };
}

/// The C library and Rust's threads abort where there is no memory for what they keep of a thread. Any other abort goes on; where next to
/// no memory is left it is told as want of it, too.
extern "C" fn on_abort(_: libc::c_int) {
    /// What the C library asks for when it has none left for a small block.
    const LEAST: usize = 2 << 20;
    // SAFETY: a new mapping, of a process that ends.
    unsafe {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let block = libc::mmap(std::ptr::null_mut(), LEAST, rights, flags, -1, 0);
        if block == libc::MAP_FAILED {
            exhausted();
        }
        libc::signal(libc::SIGABRT, libc::SIG_DFL);
        libc::raise(libc::SIGABRT);
    }
}

struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// A new block; the child ends where there is none.
#[inline]
fn there_is(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() {
        exhausted();
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
        there_is(pointer)
    }
    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if arena::holds(pointer as usize) {
            return;
        }
        unsafe {
            match spill::is_ours(layout.size()) {
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
        there_is(pointer)
    }
    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if arena::is_open() || arena::holds(pointer as usize) {
            return unsafe { self.moved(pointer, layout, size) };
        }
        let moved = unsafe {
            match spill::is_ours(layout.size().max(size)) {
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
