//! Small networks that learn from large models.

use super::tasks_test::{metric, numbers};
use super::tests::{customers, request};
use super::*;
use crate::artifact::Task;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::models::Model;
use crate::random::Random;
use serde_json::{Value, json};

fn distilled(frame: Frame, target: &str, options: Value) -> (Artifact, Distillation) {
    let artifact = fit(request(frame, target, options), &mut |_| true).unwrap();
    let [part] = &artifact.parts[..] else {
        panic!("{} parts", artifact.parts.len());
    };
    let Model::Network(network) = &part.model else {
        panic!("no network");
    };
    let widths: Vec<usize> = network.layers.iter().map(|l| l.outputs).collect();
    assert_eq!((&widths[..], network.members), (&[64, 32][..], 1));
    let found = artifact.provenance.distillation.clone().unwrap();
    assert_eq!(found.hidden, [64, 32]);
    (artifact, found)
}

/// A value with a step and a bend, and three labels by where it lies.
fn bent(rows: usize) -> Frame {
    let mut random = Random::new(3);
    let [mut x, mut y, mut value] = numbers(["x", "y", "value"]);
    let mut label = Column::new("label", "text", Kind::Category);
    for _ in 0..rows {
        let (a, b) = (random.normal(), random.normal());
        let z = a.abs() + if b > 0.5 { 1.0 } else { 0.0 } + 0.2 * random.normal();
        x.push(Cell::Number(a));
        y.push(Cell::Number(b));
        value.push(Cell::Number(100.0 * z));
        label.push(Cell::Text(match z {
            ..0.6 => "low",
            0.6..1.4 => "middle",
            _ => "high",
        }));
    }
    Frame {
        columns: vec![x, y, value, label],
    }
}

#[test]
fn a_small_network_answers_as_an_ensemble_does() {
    let options = json!({"epochs": 20, "folds": 2, "distill": true});
    let (artifact, found) = distilled(customers(2000), "churn", options);
    assert!(metric(&artifact, "roc_auc") > 0.85);
    let (before, after) = (found.loss_before.unwrap(), found.loss_after.unwrap());
    assert!(after < before + 0.02, "{found:?}");
    assert_eq!(artifact.provenance.algorithm, "auto");
}

#[test]
fn trees_teach_values_and_labels() {
    let options =
        |left_out: &str| json!({"algorithm": "gbdt", "distill": true, "seed": left_out.len()});
    let frame = bent(3000);
    let some = |left_out: &str| Frame {
        columns: frame
            .columns
            .iter()
            .filter(|c| c.name != left_out)
            .cloned()
            .collect(),
    };
    let (artifact, _) = distilled(some("label"), "value", options("label"));
    assert!(
        metric(&artifact, "r2") > 0.85,
        "{}",
        metric(&artifact, "r2")
    );
    let (artifact, found) = distilled(some("value"), "label", options("value"));
    assert_eq!(artifact.task, Task::Multiclass);
    assert!(metric(&artifact, "accuracy") > 0.8, "{found:?}");
    assert!(
        found.loss_after.unwrap() < found.loss_before.unwrap() + 0.05,
        "{found:?}"
    );
}

#[test]
fn what_cannot_be_distilled_is_refused() {
    let linear = json!({"algorithm": "linear", "distill": true});
    let error = fit(request(customers(200), "churn", linear), &mut |_| true).unwrap_err();
    assert_eq!(error.sqlstate, "22023");
    assert!(error.message.contains("\"distill\""), "{}", error.message);
    // Without rows to compare on there are no losses.
    let (_, found) = distilled(
        customers(500),
        "churn",
        json!({"algorithm": "gbdt", "distill": true, "validation_size": 0}),
    );
    assert_eq!((found.loss_before, found.loss_after), (None, None));
}
