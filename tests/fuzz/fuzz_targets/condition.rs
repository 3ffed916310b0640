//! When a model is trained again, in words.

#![no_main]

use insight_engine::condition::{Condition, Quantity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(condition) = Condition::parse(text) else {
        return;
    };
    let _ = condition.asks_for(Quantity::Drift);
    let _ = condition.holds(|comparison| {
        // What is told can be read again.
        let told = comparison.to_string();
        assert!(Condition::parse(&told).is_ok(), "{told}");
        Ok::<f64, ()>(0.3)
    });
});
