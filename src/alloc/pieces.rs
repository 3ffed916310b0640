//! Blocks of a few pages in the file: pieces of larger blocks, which are used again once they are given back.

use std::ptr::null_mut;

/// Bytes of the larger blocks.
pub const WHOLE: usize = 1 << 20;
/// Kilobytes of a piece.
const KILOBYTES: [usize; 12] = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];

/// Pieces that are free.
pub struct Pieces {
    /// Of each size the first one, which holds the address of the next.
    free: [*mut u8; KILOBYTES.len()],
    /// What is left of the last larger block.
    rest: *mut u8,
    left: usize,
}

// SAFETY: the addresses are of blocks that are nobody else's.
unsafe impl Send for Pieces {}

/// The size that a block of so many bytes has, at most 256 kB.
fn size_of(bytes: usize) -> usize {
    let fits = |size: &usize| bytes <= size << 10;
    KILOBYTES
        .iter()
        .position(fits)
        .unwrap_or(KILOBYTES.len() - 1)
}

/// Whether blocks of so many bytes are of the same size.
pub fn are_alike(bytes: usize, others: usize) -> bool {
    size_of(bytes) == size_of(others)
}

impl Pieces {
    pub const fn none() -> Pieces {
        Pieces {
            free: [null_mut(); KILOBYTES.len()],
            rest: null_mut(),
            left: 0,
        }
    }

    /// A piece, null without a larger block, of [`WHOLE`] zeros, and whether it is zeros.
    pub fn take(&mut self, bytes: usize, larger: impl FnOnce() -> *mut u8) -> (*mut u8, bool) {
        let size = size_of(bytes);
        let first = self.free[size];
        if !first.is_null() {
            // SAFETY: it holds the next one's address, and begins at a page.
            self.free[size] = unsafe { first.cast::<*mut u8>().read() };
            return (first, false);
        }
        let bytes = KILOBYTES[size] << 10;
        if self.left < bytes {
            let whole = larger();
            if whole.is_null() {
                return (whole, true);
            }
            (self.rest, self.left) = (whole, WHOLE);
        }
        let piece = self.rest;
        // SAFETY: the larger block has so many bytes left.
        self.rest = unsafe { piece.add(bytes) };
        self.left -= bytes;
        (piece, true)
    }

    /// Gives a piece back.
    ///
    /// # Safety
    /// It was taken for so many bytes, or such as [`are_alike`], and nobody uses it.
    pub unsafe fn give(&mut self, piece: *mut u8, bytes: usize) {
        let size = size_of(bytes);
        // SAFETY: promised by the caller.
        unsafe { piece.cast::<*mut u8>().write(self.free[size]) };
        self.free[size] = piece;
    }
}
