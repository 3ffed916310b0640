//! Files of models: what `insight_import` reads.

#![no_main]

use insight_engine::export;
use insight_fuzz::work;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(imported) = export::read(data) {
        work::with_bytes(&imported.bytes);
    }
});
