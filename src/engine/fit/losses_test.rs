//! Each loss finds what it is for, with networks and with trees.

use super::tests::request;
use super::*;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::random::Random;
use serde_json::{Value, json};

/// Visits are counts of mean e^(0.5 + x); waits are 10 x plus noise whose tail is long to one side; some waits are absurd.
fn visitors(rows: usize, absurd: bool) -> Frame {
    let mut random = Random::new(3);
    let mut x = Column::new("x", "real", Kind::Number);
    let mut visits = Column::new("visits", "integer", Kind::Number);
    let mut wait = Column::new("wait", "real", Kind::Number);
    for _ in 0..rows {
        let value = random.normal();
        x.push(Cell::Number(value));
        let (limit, mut product, mut count) = ((-(0.5 + value).exp()).exp(), 1.0f64, -1.0f64);
        while product > limit {
            product *= random.uniform();
            count += 1.0;
        }
        visits.push(Cell::Number(count.max(0.0)));
        let noise = -(1.0 - random.uniform()).ln();
        let far = absurd && random.uniform() < 0.02;
        wait.push(Cell::Number(
            10.0 * value + noise + if far { 500.0 } else { 0.0 },
        ));
    }
    Frame {
        columns: vec![x, visits, wait],
    }
}

fn model(target: &str, absurd: bool, options: Value) -> Artifact {
    let mut frame = visitors(3000, absurd);
    frame.columns.retain(|c| c.name == "x" || c.name == target);
    fit(request(frame, target, options), &mut |_| true).unwrap()
}

fn metric(artifact: &Artifact, name: &str) -> (f64, f64) {
    let found = artifact
        .evaluation
        .metrics
        .iter()
        .find(|m| m.metric == name);
    let found = found.unwrap_or_else(|| panic!("no {name}"));
    (found.value, found.baseline.unwrap())
}

const WAYS: [&str; 2] = ["mlp", "gbdt"];

#[test]
fn counts_have_their_own_losses() {
    for (loss, name) in [
        ("poisson", "mean_poisson_deviance"),
        ("tweedie", "mean_tweedie_deviance"),
    ] {
        for algorithm in WAYS {
            let options = json!({"algorithm": algorithm, "loss": loss});
            let artifact = model("visits", false, options);
            assert_eq!(artifact.evaluation.headline().unwrap().metric, name);
            let (value, baseline) = metric(&artifact, name);
            assert!(
                value < 0.5 * baseline,
                "{loss} {algorithm}: {value}, {baseline}"
            );
            // The mean at 0 and at 1.5, however far the row.
            let predictor = Predictor::new(artifact).unwrap();
            let mut scratch = predictor.scratch();
            for (x, want) in [(0.0, 0.5f64.exp()), (1.5, 2f64.exp())] {
                let found = predictor.predict(&[Cell::Number(x)], &mut scratch)[0];
                assert!(
                    (found / want - 1.0).abs() < 0.25,
                    "{loss} {algorithm}: {found}"
                );
            }
            assert!(predictor.predict(&[Cell::Number(-50.0)], &mut scratch)[0] >= 0.0);
        }
    }
}

#[test]
fn a_quantile_lies_above_its_share() {
    for algorithm in WAYS {
        let options = json!({"algorithm": algorithm, "loss": "quantile", "quantile": 0.9});
        let artifact = model("wait", false, options);
        let (value, baseline) = metric(&artifact, "mean_pinball_loss");
        assert!(value < 0.3 * baseline, "{algorithm}: {value}, {baseline}");
        let predictor = Predictor::new(artifact).unwrap();
        let frame = visitors(3000, false);
        let rows: Vec<u32> = (0..3000).collect();
        let predictions = predictor.predict_frame(&frame, &rows, 1);
        let above = |row: &&u32| match frame.columns[2].cell(**row as usize) {
            Cell::Number(wait) => wait <= predictions[**row as usize],
            _ => false,
        };
        let share = rows.iter().filter(above).count() as f64 / 3000.0;
        assert!((share - 0.9).abs() < 0.03, "{algorithm}: {share}");
    }
}

#[test]
fn absurd_values_move_absolute_and_huber_losses_little() {
    // Noise has the median ln 2 and the mean 1; 2 in 100 absurd values move the mean by 10.
    for (loss, algorithm) in [
        ("mean_absolute_error", "mlp"),
        ("mean_absolute_error", "gbdt"),
        ("huber", "mlp"),
        ("huber", "gbdt"),
    ] {
        let options = json!({"algorithm": algorithm, "loss": loss, "huber_delta": null});
        let options = match loss {
            "huber" => json!({"algorithm": algorithm, "loss": loss, "huber_delta": 0.05}),
            _ => options,
        };
        let predictor = Predictor::new(model("wait", true, options)).unwrap();
        let mut scratch = predictor.scratch();
        for x in [-1.0, 0.0, 1.0] {
            let found = predictor.predict(&[Cell::Number(x)], &mut scratch)[0] - 10.0 * x;
            assert!(
                (0.0..2.5).contains(&found),
                "{loss} {algorithm} at {x}: {found}"
            );
        }
    }
}

#[test]
fn auto_blends_by_the_loss_asked_for() {
    let options = json!({"loss": "poisson", "epochs": 20});
    let artifact = model("visits", false, options);
    let (value, baseline) = metric(&artifact, "mean_poisson_deviance");
    assert!(value < 0.5 * baseline, "{value}, {baseline}");
    let focal = json!({"loss": "focal", "epochs": 10, "focal_gamma": 1});
    let request = request(super::tests::customers(1500), "churn", focal);
    let artifact = fit(request, &mut |_| true).unwrap();
    assert!(metric(&artifact, "roc_auc").0 > 0.85);
}

#[test]
fn what_a_loss_cannot_learn_is_said() {
    let refused = |target: &str, options: Value| {
        let frame = visitors(200, false);
        fit(request(frame, target, options), &mut |_| true).unwrap_err()
    };
    let negative = refused("wait", json!({"loss": "poisson"}));
    assert_eq!(negative.sqlstate, "22023");
    assert!(negative.message.contains("is negative in "), "{negative}");
    let other = refused("wait", json!({"quantile": 0.9}));
    assert_eq!(other.message, "option \"quantile\" needs the loss quantile");
    let classes = refused("wait", json!({"loss": "focal"}));
    assert_eq!(
        classes.message,
        "loss focal does not fit a regression target"
    );
}
