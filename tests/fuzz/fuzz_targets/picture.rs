//! Pictures in a column of bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = insight_engine::picture::read(data);
});
