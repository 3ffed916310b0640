use super::*;
use crate::frame::{Cell, Column, Kind};
use crate::random::Random;
use serde_json::json;

/// Customers whose churn follows a known rule: p = sigmoid(2 x - 1.5 [plan = basic] + 1), with noise and gaps.
fn customers(rows: usize) -> Frame {
    let mut random = Random::new(11);
    let mut x = Column::new("x", "double precision", Kind::Number);
    let mut plan = Column::new("plan", "text", Kind::Category);
    let mut id = Column::new("customer_id", "integer", Kind::Number);
    let mut fixed = Column::new("country", "text", Kind::Category);
    let mut churn = Column::new("churn", "boolean", Kind::Boolean);
    for row in 0..rows {
        let value = random.normal();
        let basic = random.uniform() < 0.5;
        let p = 1.0 / (1.0 + (-(2.0 * value - 1.5 * f64::from(u8::from(basic)) + 1.0)).exp());
        x.push(if random.uniform() < 0.05 {
            Cell::Null
        } else {
            Cell::Number(value)
        });
        plan.push(Cell::Text(if basic { "basic" } else { "premium" }));
        id.push(Cell::Number(row as f64 * 3.0));
        fixed.push(Cell::Text("IT"));
        churn.push(if row == 5 {
            Cell::Null
        } else {
            Cell::Boolean(random.uniform() < p)
        });
    }
    Frame {
        columns: vec![x, plan, id, fixed, churn],
    }
}

fn request(frame: Frame, target: &str, options: serde_json::Value) -> Request {
    Request {
        frame,
        target: target.into(),
        task: None,
        include: Vec::new(),
        excluded: Vec::new(),
        params: Params::from_json(options.as_object().unwrap()).unwrap(),
        device: Device::Cpu,
        positive: None,
    }
}

fn quick() -> serde_json::Value {
    json!({"epochs": 15, "hidden": [16], "learning_rate": 0.01})
}

#[test]
fn a_known_rule_is_found_and_the_useless_is_left_out() {
    let artifact = fit(request(customers(2000), "churn", quick()), &mut |_| true).unwrap();
    assert_eq!(artifact.task, Task::Binary);
    assert_eq!(artifact.target.labels, ["false", "true"]);
    let auc = artifact.evaluation.headline().unwrap();
    assert!(auc.metric == "roc_auc" && auc.value > 0.85, "{auc:?}");
    let left_out: Vec<&str> = artifact
        .provenance
        .excluded
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(left_out, ["customer_id", "country"]);
    let p = &artifact.provenance;
    assert_eq!((p.null_target_rows, p.rows), (1, 1999));
    assert_eq!(p.train_rows + p.validation_rows + p.test_rows, p.rows);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let network = |options| {
        let artifact = fit(request(customers(600), "churn", options), &mut |_| true).unwrap();
        let layers: Vec<Vec<u32>> = artifact
            .network
            .layers
            .iter()
            .map(|l| l.weights.iter().map(|w| w.to_bits()).collect())
            .collect();
        layers
    };
    let options = json!({"epochs": 4, "hidden": [16, 8], "dropout": 0.2, "seed": 9});
    assert_eq!(network(options.clone()), network(options));
    assert_ne!(
        network(json!({"epochs": 4, "hidden": [16, 8], "seed": 9})),
        network(json!({"epochs": 4, "hidden": [16, 8], "seed": 10}))
    );
}

#[test]
fn regression_explains_a_line() {
    let mut random = Random::new(5);
    let mut x = Column::new("x", "real", Kind::Number);
    let mut y = Column::new("y", "real", Kind::Number);
    for _ in 0..1500 {
        let value = random.normal();
        x.push(Cell::Number(value));
        y.push(Cell::Number(
            1000.0 + 50.0 * value * value + random.normal(),
        ));
    }
    let artifact = fit(
        request(
            Frame {
                columns: vec![x, y],
            },
            "y",
            json!({"epochs": 60, "learning_rate": 0.01}),
        ),
        &mut |_| true,
    )
    .unwrap();
    assert_eq!(artifact.task, Task::Regression);
    let r2 = artifact
        .evaluation
        .metrics
        .iter()
        .find(|m| m.metric == "r2")
        .unwrap()
        .value;
    assert!(r2 > 0.95, "{r2}");
}

#[test]
fn three_labels_are_told_apart() {
    let mut random = Random::new(6);
    let mut x = Column::new("x", "real", Kind::Number);
    let mut y = Column::new("y", "text", Kind::Category);
    for _ in 0..900 {
        let value = random.normal();
        x.push(Cell::Number(value));
        y.push(Cell::Text(if value < -0.5 {
            "low"
        } else if value < 0.5 {
            "mid"
        } else {
            "high"
        }));
    }
    let artifact = fit(
        request(
            Frame {
                columns: vec![x, y],
            },
            "y",
            quick(),
        ),
        &mut |_| true,
    )
    .unwrap();
    assert_eq!(
        (artifact.task, artifact.target.labels.len()),
        (Task::Multiclass, 3)
    );
    assert!(artifact.evaluation.headline().unwrap().value > 0.9);
}

#[test]
fn hopeless_targets_are_refused_with_a_way_out() {
    let text = |values: Vec<Option<String>>| {
        let mut x = Column::new("x", "real", Kind::Number);
        let mut y = Column::new("y", "text", Kind::Category);
        for (i, value) in values.iter().enumerate() {
            x.push(Cell::Number(i as f64 * 1.5));
            y.push(value.as_deref().map_or(Cell::Null, Cell::Text));
        }
        Frame {
            columns: vec![x, y],
        }
    };
    let some =
        |n: usize, f: &dyn Fn(usize) -> String| (0..n).map(|i| Some(f(i))).collect::<Vec<_>>();
    let cases = [
        (text(vec![]), "no rows"),
        (text(vec![None; 30]), "NULL in every row"),
        (text(some(1, &|_| "a".into())), "too few"),
        (text(some(30, &|_| "a".into())), "always a"),
        (text(some(300, &|i| format!("v{i}"))), "too many classes"),
        (
            text(some(30, &|i| if i == 3 { "b" } else { "a" }.into())),
            "single row",
        ),
    ];
    for (frame, message) in cases {
        let error = fit(request(frame, "y", json!({})), &mut |_| true).unwrap_err();
        assert!(
            error.message.contains(message),
            "{} / {message}",
            error.message
        );
        assert!(error.hint.is_some() || error.detail.is_some());
    }
    let unknown = fit(request(customers(100), "nothing", json!({})), &mut |_| true).unwrap_err();
    assert_eq!(unknown.sqlstate, "42703");
}

#[test]
fn training_can_be_canceled_and_keeps_to_its_time() {
    let canceled = fit(request(customers(500), "churn", json!({})), &mut |p| {
        p.phase != "training"
    })
    .unwrap_err();
    assert_eq!(canceled.sqlstate, "57014");
    let options = json!({"epochs": 100_000, "early_stopping": false, "max_seconds": 0.5});
    let started = Instant::now();
    let artifact = fit(request(customers(500), "churn", options), &mut |_| true).unwrap();
    assert_eq!(artifact.provenance.stopped_by, "max_seconds");
    assert!(started.elapsed().as_secs_f64() < 5.0);
}
