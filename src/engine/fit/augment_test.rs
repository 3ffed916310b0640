//! Generated rows beside the training rows.

use super::tests::{customers, request};
use super::*;
use crate::clean::CleanParams;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::synth::{self, Synthesizer};
use serde_json::json;
use std::sync::Arc;

fn some(frame: &Frame, rows: impl Iterator<Item = usize> + Clone) -> Frame {
    let columns = frame.columns.iter().map(|column| {
        let mut own = Column::new(column.name.as_str(), column.type_name.as_str(), column.kind);
        rows.clone().for_each(|row| own.push(column.cell(row)));
        own
    });
    Frame {
        columns: columns.collect(),
    }
}

fn twins(frame: &Frame, epochs: u32) -> Arc<Synthesizer> {
    let options = json!({"algorithm": "tvae", "epochs": epochs, "batch_size": 100, "seed": 5});
    let params = synth::Params::from_json(options.as_object().unwrap(), frame.rows()).unwrap();
    let columns = synth::Columns::default();
    Arc::new(Synthesizer::fit(frame, &columns, params, &mut |_| true).unwrap())
}

fn augment(synthesizer: &Arc<Synthesizer>, rows: usize) -> Option<Augment> {
    Some(Augment {
        name: "twins@1".into(),
        synthesizer: synthesizer.clone(),
        rows: Some(rows),
    })
}

/// The same customers, who churn where the others stay.
fn contrary(frame: &Frame) -> Frame {
    let mut other = frame.clone();
    let churn = &frame.columns[4];
    let mut turned = Column::new("churn", "boolean", Kind::Boolean);
    (0..frame.rows()).for_each(|row| {
        turned.push(match churn.cell(row) {
            Cell::Boolean(x) => Cell::Boolean(!x),
            other => other,
        });
    });
    other.columns[4] = turned;
    other
}

#[test]
fn rows_are_kept_where_they_help_and_only_there() {
    let all = customers(6000);
    // The model is trained on 40 customers, the generator has met others.
    let mut few = some(&all, 0..1000);
    let mut part = Column::new("part", "text", Kind::Category);
    (0..1000).for_each(|row| {
        part.push(Cell::Text(match row {
            0..40 => "train",
            40..700 => "validation",
            _ => "test",
        }));
    });
    few.columns.push(part);
    let others = some(&all, 3000..6000);
    let fitted = |augment: Option<Augment>| {
        let mut request = request(few.clone(), "churn", json!({"algorithm": "gbdt"}));
        request.split = Split::Column("part".into());
        request.augment = augment;
        fit(request, &mut |_| true).unwrap()
    };
    let good = fitted(augment(&twins(&others, 200), 3000));
    let found = good.provenance.augmentation.clone().unwrap();
    assert!(found.kept && found.rows > 2900, "{found:?}");
    assert!(
        found.loss_with.unwrap() < found.loss_without - found.standard_error,
        "{found:?}"
    );
    // Parts, rows and scores are of real rows.
    let p = &good.provenance;
    assert_eq!((p.train_rows, p.validation_rows), (39, 660));
    assert_eq!(good.evaluation.rows, 300);
    // The log loss of customers whom neither has met.
    let unseen = |artifact: Artifact| {
        let predictor = Predictor::new(artifact).unwrap();
        let rows: Vec<u32> = (1000..3000).collect();
        let answers = predictor.predict_frame(&all, &rows, 1);
        let loss = |(row, p): (&u32, &f64)| match all.columns[4].cell(*row as usize) {
            Cell::Boolean(true) => -p.ln(),
            _ => -(1.0 - p).ln(),
        };
        rows.iter().zip(answers.iter()).map(loss).sum::<f64>() / 2000.0
    };
    let (plain, with) = (unseen(fitted(None)), unseen(good));
    assert!(with < plain, "{with} beside {plain}");

    let bad = fitted(augment(&twins(&contrary(&others), 200), 3000));
    let found = bad.provenance.augmentation.clone().unwrap();
    assert!(!found.kept, "{found:?}");
    assert!(found.loss_with.unwrap() > found.loss_without, "{found:?}");
    // The model is that without.
    assert_eq!(unseen(bad), plain);
}

#[test]
fn no_generated_row_is_held_out() {
    let all = customers(3000);
    let synthesizer = twins(&some(&all, 1000..3000), 40);
    let mut request = request(
        some(&all, 0..300),
        "churn",
        json!({"algorithm": "auto", "epochs": 5, "trees": 50, "folds": 3, "test_size": 0}),
    );
    request.augment = augment(&synthesizer, 1500);
    let artifact = fit(request, &mut |_| true).unwrap();
    let p = &artifact.provenance;
    assert!(p.augmentation.is_some());
    // Each real row, and none else, is judged once.
    assert_eq!(p.evaluated_on, "out_of_fold");
    assert_eq!((artifact.evaluation.rows, p.rows), (299, 299));
}

#[test]
fn other_tasks_and_prepared_values_go_along() {
    let mut all = customers(1500);
    let mut amount = Column::new("amount", "numeric", Kind::Number);
    let mut random = crate::random::Random::new(3);
    for row in 0..all.rows() {
        amount.push(match all.columns[0].cell(row) {
            Cell::Number(x) => Cell::Number((50.0 + 20.0 * x + random.normal()).max(0.0)),
            _ => Cell::Number(50.0),
        });
    }
    all.columns.push(amount);
    let synthesizer = twins(&all, 60);
    for (target, options) in [
        ("amount", json!({"algorithm": "mlp", "epochs": 5})),
        ("amount", json!({"algorithm": "gbdt", "loss": "poisson"})),
        ("plan", json!({"algorithm": "linear"})),
        (
            "churn",
            json!({"algorithm": "gbdt", "class_weight": "balanced"}),
        ),
    ] {
        let mut request = request(some(&all, 0..400), target, options);
        request.augment = augment(&synthesizer, 500);
        let clean = json!({"missing": "median"});
        request.clean = CleanParams::from_json(&clean, "clean.").unwrap();
        let artifact = fit(request, &mut |_| true).unwrap();
        let found = artifact.provenance.augmentation.unwrap();
        assert!(found.rows > 400, "{target} {found:?}");
        assert!(found.loss_with.is_some_and(f64::is_finite), "{found:?}");
    }
}

#[test]
fn what_cannot_be_augmented_is_refused() {
    let all = customers(600);
    let synthesizer = twins(&some(&all, 0..300), 10);
    let error = |target: &str, options: serde_json::Value, frame: Frame| {
        let mut request = request(frame, target, options);
        request.augment = augment(&synthesizer, 100);
        fit(request, &mut |_| true).unwrap_err()
    };
    let quick = json!({"algorithm": "gbdt"});
    let validation = json!({"algorithm": "gbdt", "validation_size": 0});
    let found = error("churn", validation, all.clone());
    assert!(found.message.contains("validation"), "{found}");
    let found = error("churn", json!({"tune": {"trials": 2}}), all.clone());
    assert!(found.message.contains("tune"), "{found}");
    let mut renamed = all.clone();
    renamed.columns[4].name = "gone".into();
    let found = error("gone", quick.clone(), renamed);
    assert!(found.message.contains("no column \"gone\""), "{found}");
    let mut number = all.clone();
    let mut churn = Column::new("churn", "integer", Kind::Number);
    (0..600).for_each(|row| churn.push(Cell::Number(f64::from(row % 3 == 0))));
    number.columns[4] = churn;
    let found = error("churn", quick, number);
    assert!(found.message.contains("another type"), "{found}");
}
