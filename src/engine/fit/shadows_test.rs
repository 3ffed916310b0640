use super::tests::{customers, request};
use super::*;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::privacy::leak::{Findings, Plan};
use crate::random::Random;
use serde_json::json;

/// Rows whose label is chance: who tells it has learned it by heart.
fn chance(rows: usize) -> Frame {
    let mut random = Random::new(8);
    let mut columns: Vec<Column> = (0..6)
        .map(|i| Column::new(format!("x{i}"), "real", Kind::Number))
        .collect();
    let mut plan = Column::new("plan", "text", Kind::Category);
    let mut label = Column::new("label", "boolean", Kind::Boolean);
    for _ in 0..rows {
        columns
            .iter_mut()
            .for_each(|c| c.push(Cell::Number(random.normal())));
        plan.push(Cell::Text(["a", "b", "c"][random.below(3)]));
        label.push(Cell::Boolean(random.uniform() < 0.5));
    }
    columns.extend([plan, label]);
    Frame { columns }
}

fn tested(
    frame: Frame,
    target: &str,
    options: serde_json::Value,
    own: serde_json::Value,
) -> Findings {
    let plan = Plan::from_json(own.as_object().unwrap()).unwrap();
    leak_test(request(frame, target, options), &plan, &mut |_| true).unwrap()
}

fn figure(found: &Findings, attack: &str, metric: &str) -> f64 {
    let own = found
        .findings
        .iter()
        .find(|f| f.attack == attack && f.metric == metric);
    own.unwrap_or_else(|| panic!("no {metric} of {attack}"))
        .value
        .unwrap()
}

#[test]
fn a_model_that_learned_by_heart_is_found_out() {
    let by_heart = json!({"algorithm": "mlp", "hidden": [64], "epochs": 150, "early_stopping": false, "dropout": 0,
        "l2": 0, "learning_rate": 0.01, "validation_size": 0, "calibration": "none"});
    let found = tested(
        chance(300),
        "label",
        by_heart,
        json!({"shadows": 6, "canaries": 20}),
    );
    assert_eq!((found.shadows, found.rows), (6, 300));
    // Of the labels it has not seen it guesses half, and is as sure of them: a threshold on the loss cannot reach 0.75.
    for (attack, bound) in [
        ("loss_threshold", 0.65),
        ("lira", 0.65),
        ("canary_loss_threshold", 0.6),
    ] {
        let auc = figure(&found, attack, "roc_auc");
        assert!(auc > bound, "{attack}: {auc}");
    }
    let bits = figure(&found, "canary_loss_threshold", "exposure");
    assert!(bits > 1.7, "{bits}");
    // It gives what it knows of a row to who knows the rest.
    let own = |metric| figure(&found, "attribute:plan", metric);
    assert!(
        own("accuracy_members") > own("accuracy_non_members") + 0.05,
        "{found:?}"
    );
    assert!(own("advantage") > 0.05 && own("accuracy_without_model") < 0.5);
}

#[test]
fn a_model_that_learned_nothing_reveals_nothing() {
    let constant = json!({"algorithm": "linear", "l1": 10, "calibration": "none"});
    let found = tested(
        chance(600),
        "label",
        constant,
        json!({"shadows": 8, "canaries": 0}),
    );
    for attack in ["loss_threshold", "lira"] {
        let auc = figure(&found, attack, "roc_auc");
        assert!((auc - 0.5).abs() < 0.06, "{attack}: {auc}");
    }
    assert!(
        found
            .findings
            .iter()
            .all(|f| !f.attack.starts_with("canary"))
    );
    assert!(found.notes.iter().any(|note| note.contains("too few")));
}

#[test]
fn models_like_a_private_one_are_private_and_learn_nothing_by_heart() {
    let mut frame = chance(400);
    let mut customer = Column::new("customer", "integer", Kind::Number);
    (0..400).for_each(|row| customer.push(Cell::Number(f64::from(row / 2))));
    frame.columns.push(customer);
    // So few rows tell too little of columns within the budget.
    let bounds: serde_json::Map<_, _> = (0..6).map(|i| (format!("x{i}"), json!([-3, 3]))).collect();
    let known = json!({"epsilon": 2, "delta": 0.001, "bounds": bounds, "categories": {"plan": ["a", "b", "c"]}});
    let mut of_customers = known.clone();
    of_customers["unit"] = "customer".into();
    of_customers["rows_per_unit"] = 2.into();
    for privacy in [known, of_customers] {
        let options =
            json!({"algorithm": "mlp", "hidden": [64], "epochs": 100, "privacy": privacy});
        let own = json!({"shadows": 6, "canaries": 20});
        let found = tested(frame.clone(), "label", options, own);
        assert_eq!((found.shadows, found.rows), (6, 400));
        for attack in ["loss_threshold", "lira"] {
            let auc = figure(&found, attack, "roc_auc");
            assert!((auc - 0.5).abs() < 0.08, "{attack}: {auc}");
        }
        // Of 21 places in a line, each as likely.
        let bits = figure(&found, "canary_loss_threshold", "exposure");
        assert!((0.8..2.2).contains(&bits), "{bits}");
    }
}

#[test]
fn numbers_and_groups_are_tested_and_columns_are_checked() {
    let linear = json!({"algorithm": "linear"});
    let found = tested(
        customers(400),
        "x",
        linear.clone(),
        json!({"shadows": 6, "rows": 200, "columns": ["plan"]}),
    );
    assert!(found.rows <= 205 && figure(&found, "lira", "roc_auc") < 0.7);
    let mut grouped = request(customers(400), "churn", linear.clone());
    grouped.split = Split::Group("plan".into());
    let plan = |own: serde_json::Value| Plan::from_json(own.as_object().unwrap()).unwrap();
    // Two groups stand in one half each.
    let found = leak_test(grouped, &plan(json!({"shadows": 6})), &mut |_| true).unwrap();
    assert_eq!(found.shadows, 6);
    for (columns, words) in [(json!(["country"]), "no input"), (json!(["x"]), "2 to 20")] {
        let wanted = plan(json!({"shadows": 6, "columns": columns}));
        let own = request(customers(400), "churn", linear.clone());
        let error = leak_test(own, &wanted, &mut |_| true).unwrap_err();
        assert!(error.message.contains(words), "{}", error.message);
    }
}
