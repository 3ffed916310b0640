//! Rows of any values against a model with a column of every kind: predicted, explained, told new, cleaned, learned from.

#![no_main]

use insight_engine::frame::Kind;
use insight_engine::infer::Predictor;
use insight_fuzz::rows::{frame, rows};
use insight_fuzz::{models, work};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static MODEL: LazyLock<Predictor> =
    LazyLock::new(|| Predictor::new(models::every_kind()).expect("a fitted model fits together"));

fuzz_target!(|data: &[u8]| {
    let rows = rows(data, MODEL.artifact().recipe.columns().len());
    for row in &rows {
        work::row_of(&MODEL, &row.cells());
    }
    let own = MODEL.artifact().recipe.columns().iter();
    let columns: Vec<(String, String, Kind)> = own
        .map(|c| (c.name.clone(), c.type_name.clone(), c.kind))
        .collect();
    let frame = frame(&columns, &rows);
    let all: Vec<u32> = (0..frame.rows() as u32).collect();
    let _ = MODEL.predict_frame(&frame, &all, 1);
});
