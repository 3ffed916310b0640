//! Stored models: bytes that are read and, where they are a model, used for everything a model is for.

#![no_main]

use insight_fuzz::mutate::{Choices, mutate};
use insight_fuzz::{container, work};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| {
    work::with_bytes(data);
    if let Some(parts) = container::open(data) {
        work::with_bytes(&container::close(parts.start, parts.header, parts.words));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut choices = Choices(u64::from(seed));
    let changed = (choices.below(4) > 0)
        .then(|| {
            let parts = container::open(&data[..size])?;
            let mut header = serde_json::from_slice(parts.header).ok()?;
            mutate(&mut header, &mut choices);
            let header = serde_json::to_vec(&header).ok()?;
            let mut words = parts.words.to_vec();
            if choices.below(3) == 0 {
                words.truncate(choices.below(words.len() + 1));
            }
            Some(container::close(parts.start, &header, &words))
        })
        .flatten()
        .filter(|bytes| bytes.len() <= max_size);
    match changed {
        Some(bytes) => {
            data[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});
