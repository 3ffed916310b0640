//! How many rows per second the training loop takes at several batch sizes: a 10-64-32-1 network, relu, adam.
//!
//! `cargo run --release --package insight-engine --example train_speed`

use insight_engine::artifact::Task;
use insight_engine::models::{Inputs, Output};
use insight_engine::params::Params;
use insight_engine::random::Random;
use insight_engine::recipe::Matrix;
use insight_engine::train::{Device, Examples, train};
use serde_json::json;

const ROWS: usize = 100_000;
const NUMBERS: usize = 10;

fn main() {
    let mut random = Random::new(1);
    let numbers: Vec<f32> = (0..ROWS * NUMBERS)
        .map(|_| random.normal() as f32)
        .collect();
    let targets: Vec<f32> = numbers
        .chunks(NUMBERS)
        .map(|row| f32::from(u8::from(row[0] * row[1] + row[2] > 0.0)))
        .collect();
    let matrix = Matrix {
        rows: ROWS,
        numbers,
        singles: (0..NUMBERS).collect(),
        inputs: Inputs {
            numbers: NUMBERS,
            ..Inputs::default()
        },
        ..Matrix::default()
    };
    for dropout in [0.0, 0.1] {
        for batch_size in [32, 256, 4096] {
            let options = json!({"hidden": [64, 32], "activation": "relu", "optimizer": "adam", "dropout": dropout,
                "batch_size": batch_size, "epochs": 5, "learning_rate": 0.001});
            let Some(options) = options.as_object() else {
                return;
            };
            let params = Params::from_json(options).and_then(|p| p.check(Task::Binary, ROWS));
            let Ok(params) = params else { return };
            let part = Examples {
                matrix: &matrix,
                targets: &targets,
                weights: &[],
            };
            let trained = train(
                part,
                None,
                Output::Sigmoid,
                1,
                &params,
                Device::Cpu,
                &mut |_| true,
            );
            let Ok(trained) = trained else { return };
            let mut speeds: Vec<f64> = trained.history.iter().map(|e| e.rows_per_second).collect();
            speeds.sort_by(f64::total_cmp);
            let loss = trained.history.last().map_or(f64::NAN, |e| e.train_loss);
            println!(
                "dropout {dropout}, batch {batch_size:5}: {:9.0} rows/s, loss {loss:.4}",
                speeds[speeds.len() / 2]
            );
        }
    }
}
