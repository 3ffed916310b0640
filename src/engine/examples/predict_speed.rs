//! Rows per second of one thread: a 64-32 network on 20 numbers.
//!
//! `cargo run --release -p insight-engine --example predict_speed`

use insight_engine::{
    artifact::Artifact,
    fit::{Request, fit},
    frame::{Cell, Column, Frame, Kind},
    infer::Predictor,
    params::Params,
};
use std::time::Instant;

const ROWS: usize = 20_000;
const COLUMNS: usize = 20;

/// Numbers from a linear congruential generator, and a target that depends on two of them.
fn frame() -> Frame {
    let mut state = 1u64;
    let mut number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let feature = |i| Column::new(format!("x{i}"), "double precision", Kind::Number);
    let mut columns: Vec<Column> = (0..COLUMNS).map(feature).collect();
    let mut target = Column::new("y", "boolean", Kind::Boolean);
    for _ in 0..ROWS {
        let row: Vec<f64> = (0..COLUMNS).map(|_| number()).collect();
        target.push(Cell::Boolean(row[0] + row[1] * row[1] > 0.8));
        for (column, x) in columns.iter_mut().zip(row) {
            column.push(Cell::Number(x));
        }
    }
    columns.push(target);
    Frame { columns }
}

fn model(frame: Frame) -> Artifact {
    let params = Params {
        hidden: Some(vec![64, 32]),
        epochs: Some(1),
        ..Params::default()
    };
    let request = Request::new(frame, "y", params);
    fit(request, &mut |_| true).expect("the example's data can be fitted")
}

fn report(what: &str, mut run: impl FnMut() -> f64) {
    run();
    let (start, mut rows, mut sum) = (Instant::now(), 0, 0.0);
    while start.elapsed().as_secs_f64() < 2.0 {
        sum += run();
        rows += ROWS;
    }
    let rate = rows as f64 / start.elapsed().as_secs_f64();
    println!(
        "{what}: {:.2} million rows per second (sum {sum:.3e})",
        rate / 1e6
    );
}

fn main() {
    let frame = frame();
    let predictor = Predictor::new(model(frame.clone())).expect("a fitted model fits together");
    let columns = &frame.columns[..COLUMNS];
    let row = |r| columns.iter().map(|c| c.cell(r)).collect();
    let rows: Vec<Vec<Cell>> = (0..ROWS).map(row).collect();
    let mut scratch = predictor.scratch();
    report("single rows from cells", || {
        rows.iter()
            .map(|cells| predictor.predict(cells, &mut scratch)[0])
            .sum()
    });
    let all: Vec<u32> = (0..ROWS as u32).collect();
    for threads in [1, 2] {
        report(&format!("a frame, {threads} thread(s)"), || {
            predictor.predict_frame(&frame, &all, threads).iter().sum()
        });
    }
}
