//! Options of every kind of model, read and checked.

#![no_main]

use insight_engine::artifact::Task;
use insight_engine::clean::CleanParams;
use insight_engine::params::Params;
use insight_engine::{segment, sequence, synth};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let _ = CleanParams::from_json(&value, "clean.");
    let Value::Object(options) = value else {
        return;
    };
    if let Ok(params) = Params::from_json(&options) {
        for task in Task::ALL {
            for rows in [0, 1, 100, 10_000_000] {
                let _ = params.check(task, rows);
            }
        }
        let _ = params.with(&options);
    }
    if let Ok(params) = sequence::Params::from_json(&options) {
        for classes in [0, 1, 100_000] {
            let _ = params.check(true, 3.5, classes);
            let _ = params.check(false, 0.0, classes);
        }
    }
    for rows in [0, 1, 10_000_000] {
        let _ = synth::Params::from_json(&options, rows);
        let _ = synth::Params::of_children(&options, rows);
    }
    let _ = segment::Params::from_json(&options);
});
