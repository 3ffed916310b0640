use super::*;
use crate::artifact::Task;
use crate::clean::CleanParams;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::params::Params;
use crate::random::Random;
use crate::train::Device;
use serde_json::json;

/// Customers whose churn follows a known rule: p = sigmoid(2 x - 1.5 [plan = basic] + 1), with noise and gaps.
pub(super) fn customers(rows: usize) -> Frame {
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

pub(super) fn request(frame: Frame, target: &str, options: serde_json::Value) -> Request {
    Request::new(
        frame,
        target,
        Params::from_json(options.as_object().unwrap()).unwrap(),
    )
}

pub(super) fn quick() -> serde_json::Value {
    json!({"algorithm": "mlp", "epochs": 15, "hidden": [16], "learning_rate": 0.01})
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
        let crate::models::Model::Network(network) = &artifact.parts[0].model else {
            panic!("no network");
        };
        let weights = network.weights().flatten();
        weights.map(|w| w.to_bits()).collect::<Vec<u32>>()
    };
    let options =
        json!({"algorithm": "dnn", "epochs": 4, "hidden": [16, 8], "dropout": 0.2, "seed": 9});
    assert_eq!(network(options.clone()), network(options));
    assert_ne!(
        network(json!({"algorithm": "dnn", "epochs": 4, "hidden": [16, 8], "seed": 9})),
        network(json!({"algorithm": "dnn", "epochs": 4, "hidden": [16, 8], "seed": 10}))
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

/// The customers with a column that is filled in only once they have left.
fn leaking(rows: usize) -> Frame {
    let mut frame = customers(rows);
    let mut reason = Column::new("reason", "text", Kind::Category);
    for row in 0..rows {
        let left = frame.columns[4].cell(row) == Cell::Boolean(true);
        reason.push(if left {
            Cell::Text("price")
        } else {
            Cell::Null
        });
    }
    frame.columns.push(reason);
    frame
}

#[test]
fn a_leak_is_told_and_stays_by_default() {
    let artifact = fit(request(leaking(1000), "churn", quick()), &mut |_| true).unwrap();
    let leaks = &artifact.provenance.leaks;
    assert_eq!(leaks.len(), 1);
    assert_eq!(leaks[0].column, "reason");
    assert!(artifact.evaluation.headline().unwrap().value > 0.99);
}

#[test]
fn a_leak_can_be_dropped() {
    let mut request = request(leaking(2000), "churn", quick());
    request.leakage = Leakage::Drop;
    let artifact = fit(request, &mut |_| true).unwrap();
    let names: Vec<&str> = artifact
        .recipe
        .columns()
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(names, ["x", "plan"]);
    let auc = artifact.evaluation.headline().unwrap().value;
    assert!((0.85..0.97).contains(&auc), "{auc}");
}

#[test]
fn a_leak_can_stop_the_training_unless_it_was_asked_for() {
    let mut strict = request(leaking(1000), "churn", quick());
    strict.leakage = Leakage::Error;
    let error = fit(strict, &mut |_| true).unwrap_err();
    assert_eq!(error.sqlstate, "22023");
    assert!(error.detail.unwrap().contains("\"reason\""));

    let mut meant = request(leaking(1000), "churn", quick());
    meant.leakage = Leakage::Drop;
    meant.include = vec!["x".into(), "reason".into()];
    let artifact = fit(meant, &mut |_| true).unwrap();
    assert!(artifact.recipe.columns().iter().any(|c| c.name == "reason"));
}

#[test]
fn test_rows_that_were_trained_on_are_found_and_can_be_dropped() {
    let mut frame = customers(1000);
    let copies = frame.clone();
    for (column, copy) in frame.columns.iter_mut().zip(&copies.columns) {
        (0..200).for_each(|row| column.push(copy.cell(row)));
    }
    let shared = fit(request(frame.clone(), "churn", quick()), &mut |_| true).unwrap();
    assert!((30..100).contains(&shared.provenance.shared_rows));
    let mut strict = request(frame, "churn", quick());
    strict.leakage = Leakage::Drop;
    let dropped = fit(strict, &mut |_| true).unwrap().provenance;
    assert_eq!(
        dropped.test_rows + shared.provenance.shared_rows,
        shared.provenance.test_rows
    );
}

#[test]
fn the_label_that_says_yes_is_positive() {
    let mut frame = customers(300);
    let mut word = Column::new("gone", "text", Kind::Category);
    for row in 0..300 {
        let yes = frame.columns[4].cell(row) == Cell::Boolean(true);
        word.push(Cell::Text(if yes { "Yes" } else { "no" }));
    }
    frame.columns[4] = word;
    let artifact = fit(request(frame.clone(), "gone", quick()), &mut |_| true).unwrap();
    assert_eq!(artifact.target.labels, ["no", "Yes"]);
    let mut asked = request(frame, "gone", quick());
    asked.positive = Some("no".into());
    let artifact = fit(asked, &mut |_| true).unwrap();
    assert_eq!(artifact.target.labels, ["Yes", "no"]);
}

/// Customers whose numbers are written in text, with repeated rows and gaps.
fn written(rows: usize) -> Frame {
    let mut frame = customers(rows);
    let mut fee = Column::new("fee", "text", Kind::Category);
    for row in 0..rows {
        match frame.columns[0].cell(row) {
            Cell::Number(x) => fee.push(Cell::Text(&format!("€ {x:.3}"))),
            _ => fee.push(Cell::Null),
        }
    }
    frame.columns[0] = fee;
    frame
}

#[test]
fn a_model_cleans_what_it_is_given() {
    let mut request = request(written(2000), "churn", quick());
    request.clean = CleanParams::from_json(
        &json!({"numbers": true, "outliers": "clip", "missing": "median", "text": {"case": "fold"}}),
        "clean.",
    )
    .unwrap();
    let artifact = fit(request, &mut |_| true).unwrap();
    let auc = artifact.evaluation.headline().unwrap();
    assert!(
        auc.value > 0.85,
        "{auc:?}: the text is read as a number when judged, too"
    );
    let fee = &artifact.recipe.columns()[0];
    assert_eq!(
        (fee.name.as_str(), fee.kind),
        ("fee", Kind::Category),
        "as it comes"
    );
    let said: Vec<&str> = artifact
        .provenance
        .cleaned
        .iter()
        .map(|c| c.what.as_str())
        .collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].contains("unit eur") && said[2].starts_with("missing filled with"),
        "{said:?}"
    );
    let again = Artifact::from_bytes(&artifact.to_bytes()).unwrap();
    let (one, two) = (
        Predictor::new(artifact).unwrap(),
        Predictor::new(again).unwrap(),
    );
    let row = [Cell::Text("EUR 1.5"), Cell::Text("basic")];
    let predict = |p: &Predictor| p.predict(&row, &mut p.scratch())[0];
    assert_eq!(predict(&one), predict(&two));
}

#[test]
fn rows_left_out_by_cleaning_are_counted() {
    let clean = |options: serde_json::Value| CleanParams::from_json(&options, "clean.").unwrap();
    let mut twice = request(customers(600), "churn", quick());
    for column in &mut twice.frame.columns {
        let copy = column.clone();
        (0..600).for_each(|row| column.push(copy.cell(row)));
    }
    twice.clean = clean(json!({"duplicates": "exact", "missing": "drop"}));
    let provenance = fit(twice, &mut |_| true).unwrap().provenance;
    assert_eq!(provenance.rows, 599);
    assert_eq!(
        (
            provenance.cleaned[0].column.as_str(),
            provenance.cleaned[0].rows
        ),
        ("(rows)", 599)
    );
    assert!(provenance.cleaned[1].what.contains("left out of training"));
    let mut empty = request(customers(600), "churn", quick());
    empty.frame.columns[0] = Column::new("x", "integer", Kind::Number);
    (0..600).for_each(|row| {
        empty.frame.columns[0].push(if row > 590 {
            Cell::Number(f64::from(row))
        } else {
            Cell::Null
        })
    });
    empty.clean = clean(json!({"missing": "drop"}));
    assert!(
        fit(empty, &mut |_| true)
            .unwrap_err()
            .message
            .contains("too few to train on")
    );
}

#[test]
fn free_text_is_a_feature_although_every_text_is_different() {
    let mut random = Random::new(5);
    let mut note = Column::new("note", "text", Kind::Category);
    let mut code = Column::new("code", "text", Kind::Category);
    let mut y = Column::new("y", "boolean", Kind::Boolean);
    for row in 0..800 {
        let angry = random.uniform() < 0.4;
        let said = if angry { "was NOT good" } else { "was good" };
        note.push(Cell::Text(&format!("The service {said} in shop {row}")));
        code.push(Cell::Text(&format!("C-{row}")));
        y.push(Cell::Boolean(angry));
    }
    let frame = Frame {
        columns: vec![note, code, y],
    };
    let artifact = fit(request(frame, "y", quick()), &mut |_| true).unwrap();
    let left_out = &artifact.provenance.excluded;
    assert!(
        left_out.len() == 1 && left_out[0].0 == "code",
        "{left_out:?}"
    );
    assert!(artifact.evaluation.headline().unwrap().value > 0.99);
    assert_eq!(artifact.recipe.describe()[0].kind, "text");
}

#[test]
fn the_numbers_of_a_text_count_before_they_are_there() {
    let mut review = Column::new("review", "text", Kind::Category);
    let mut late = Column::new("late", "boolean", Kind::Boolean);
    for i in 0..2000u32 {
        let words = ["room", "lift", "food", "staff", "price", "view", "noise"];
        let [a, b] = [i as usize % 7, i as usize / 7 % 7].map(|w| words[w]);
        review.push(Cell::Text(&format!(
            "the {a} and the {b} of visit number {i} were as they were"
        )));
        late.push(Cell::Boolean(i % 7 == 0));
    }
    let frame = Frame {
        columns: vec![review, late],
    };
    let mut options = quick();
    options["epochs"] = json!(1);
    let mut all = request(frame.clone(), "late", options.clone());
    all.max_bytes = Some(frame.bytes() + 1600 * 4 * 300);
    assert!(fit(all, &mut |_| true).is_ok());
    let mut few = request(frame.clone(), "late", options);
    few.max_bytes = Some(frame.bytes() + 1600 * 4 * 8);
    let error = fit(few, &mut |_| true).unwrap_err();
    assert_eq!(error.sqlstate, "53200");
    assert!(error.detail.unwrap().contains("of column \"review\""));
}
