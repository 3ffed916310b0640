//! What is done for each of very many rows, on the threads of the pool it is called in. Outside of one rayon would start one; a
//! server process must stay without threads.

use rayon::prelude::*;

pub(super) fn in_pool() -> bool {
    rayon::current_thread_index().is_some()
}

/// What `of` answers for each number below `count`.
pub(super) fn each<T: Send>(count: usize, of: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    match in_pool() {
        true => (0..count).into_par_iter().map(of).collect(),
        false => (0..count).map(of).collect(),
    }
}

/// Sorts values of which no two are equal: there is one order, whatever the number of threads.
pub(super) fn sort<T: Ord + Send>(values: &mut [T]) {
    match in_pool() {
        true => values.par_sort_unstable(),
        false => values.sort_unstable(),
    }
}
