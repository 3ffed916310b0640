//! The allocator's temporary file, of which the source is taken as it is: blocks keep what was written into them, whatever becomes longer,
//! shorter or free meanwhile, and what is given back can be had again.

#[allow(dead_code)]
#[path = "../../../src/alloc/spill.rs"]
mod spill;

use std::alloc::Layout;
use std::os::fd::IntoRawFd;

/// Sizes about those at which a block goes elsewhere.
const SIZES: [usize; 12] = [
    spill::PAGE,
    spill::PAGE + 1,
    9_000,
    16_384,
    40_000,
    100_000,
    200_000,
    spill::LARGE - 1,
    spill::LARGE,
    spill::LARGE + 1,
    700_000,
    3_000_000,
];

/// What may be in a block: its number, again and again.
fn fill(block: *mut u8, size: usize, number: u64) {
    let words = block.cast::<u64>();
    (0..size / 8).for_each(|at| unsafe { words.add(at).write(number ^ at as u64) });
}

fn check(block: *mut u8, size: usize, number: u64) {
    let words = block.cast::<u64>();
    let at = (0..size / 8).find(|at| unsafe { words.add(*at).read() } != number ^ *at as u64);
    assert_eq!(at, None, "a block of {size} bytes");
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

/// Takes, changes and gives back blocks; all are given back at the end.
fn churn(thread: u64) {
    let mut state = thread + 1;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut held: Vec<(*mut u8, usize, u64)> = Vec::new();
    for step in 0..3_000u64 {
        let number = thread << 32 | step;
        match random(4) {
            0 | 1 if held.len() < 40 => {
                let (size, zeroed) = (SIZES[random(SIZES.len())], random(2) == 0);
                let block = unsafe { spill::alloc(layout(size), zeroed) };
                assert!(!block.is_null());
                let bytes = unsafe { std::slice::from_raw_parts(block, size) };
                assert!(!zeroed || bytes.iter().all(|byte| *byte == 0));
                fill(block, size, number);
                held.push((block, size, number));
            }
            2 if !held.is_empty() => {
                let at = random(held.len());
                let (block, size, own) = held[at];
                let new = SIZES[random(SIZES.len())];
                let moved = unsafe { spill::realloc(block, layout(size), new) };
                check(moved, size.min(new), own);
                fill(moved, new, own);
                held[at] = (moved, new, own);
            }
            _ if !held.is_empty() => {
                let (block, size, own) = held.swap_remove(random(held.len()));
                check(block, size, own);
                unsafe { spill::dealloc(block, layout(size)) };
            }
            _ => {}
        }
    }
    for (block, size, own) in held {
        check(block, size, own);
        unsafe { spill::dealloc(block, layout(size)) };
    }
}

#[test]
fn blocks_in_memory_and_in_the_file_keep_what_they_hold() {
    let file = tempfile::tempfile().unwrap().into_raw_fd();
    let most = 2 << 30;
    // Some blocks fit into memory, most do not.
    assert!(spill::open(file, 16 << 20, most));
    assert!(spill::is_ours(spill::PAGE) && !spill::is_ours(spill::PAGE - 1));
    for _ in 0..2 {
        std::thread::scope(|scope| {
            (0..4).for_each(|thread| drop(scope.spawn(move || churn(thread))));
        });
        assert!(spill::is_used());
        assert_eq!(spill::memory(), 0);
        // Pieces of larger blocks stay for others, large ones do not.
        assert!(spill::room() > most - (64 << 20), "{}", spill::room());
    }
    let before = spill::room();
    for size in SIZES {
        for _ in 0..20 {
            let block = unsafe { spill::alloc(layout(size), false) };
            assert!(!block.is_null());
            unsafe { spill::dealloc(block, layout(size)) };
        }
    }
    assert_eq!(spill::room(), before);
    // Without the file there is still memory.
    spill::leave();
    let block = unsafe { spill::alloc(layout(100_000_000), true) };
    assert!(!block.is_null() && !spill::holds(block as usize));
    unsafe { spill::dealloc(block, layout(100_000_000)) };
}
