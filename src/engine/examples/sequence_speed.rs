//! How many steps per second an LSTM learns from: embeddings of 64, 128 units, a softmax over 1,000 items, 64 histories of 50 steps
//! side by side. `tests/bench/run sequences` measures PyTorch's nn.LSTM with the same sizes.
//!
//! `cargo run --release --package insight-engine --example sequence_speed`

use insight_engine::frame::{Cell, Column, Frame, Kind};
use insight_engine::random::Random;
use insight_engine::sequence::{Log, Params, TargetOf, fit};
use serde_json::json;

const HISTORIES: usize = 2_000;
const STEPS: usize = 50;
const ITEMS: usize = 1_000;

fn main() {
    let mut key = Column::new("key", "integer", Kind::Number);
    let mut place = Column::new("place", "integer", Kind::Number);
    let mut item = Column::new("item", "integer", Kind::Number);
    let mut random = Random::new(1);
    for history in 0..HISTORIES {
        let mut at = random.below(ITEMS);
        for step in 0..STEPS {
            key.push(Cell::Number(history as f64));
            place.push(Cell::Number(step as f64));
            item.push(Cell::Number(at as f64));
            at = match random.uniform() < 0.7 {
                true => (7 * at + 3) % ITEMS,
                false => random.below(ITEMS),
            };
        }
    }
    let frame = Frame {
        columns: vec![key, place, item],
    };
    let target = TargetOf::Next {
        column: "item".into(),
        category: true,
    };
    for algorithm in ["lstm", "gru", "transformer"] {
        let hidden = if algorithm == "transformer" {
            json!([64, 64])
        } else {
            json!([128])
        };
        let options = json!({"algorithm": algorithm, "hidden": hidden, "embedding_dim": 64, "dropout": 0,
            "tied": false, "mixture": false, "batch_size": 64, "window": 64, "epochs": 3,
            "early_stopping": false, "validation_size": 0, "test_size": 0});
        let Some(options) = options.as_object() else {
            return;
        };
        let fitted = Params::from_json(options)
            .map_err(Into::into)
            .and_then(|params| {
                let log = Log::new(&frame, "key", &["place".into()])?;
                fit(&log, &target, &[], &params, &mut |_| true)
            });
        match fitted {
            Ok(model) => {
                let mut speeds: Vec<f64> =
                    model.history.iter().map(|e| e.rows_per_second).collect();
                speeds.sort_by(f64::total_cmp);
                let loss = model.history.last().map_or(f64::NAN, |e| e.train_loss);
                let speed = speeds[speeds.len() / 2];
                println!("{algorithm:11}: {speed:9.0} steps/s, loss {loss:.4}");
            }
            Err(error) => println!("{algorithm}: {error}"),
        }
    }
}
