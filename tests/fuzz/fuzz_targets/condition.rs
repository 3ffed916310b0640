//! When a model is trained again, in words.

#![no_main]

use insight_engine::condition::Condition;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(condition) = Condition::parse(text) else {
        return;
    };
    let told = condition.to_string();
    let again = Condition::parse(&told).expect("what is told can be read");
    assert_eq!(again.to_string(), told);
    let _ = condition.holds(|_| Ok::<f64, ()>(0.3));
});
