//! Tasks beyond classes and values find the rule the data was made by.

use super::tests::request;
use super::*;
use crate::artifact::Task;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::random::Random;
use serde_json::{Value, json};

pub(super) fn fitted(
    frame: Frame,
    target: &str,
    task: Task,
    of_task: TaskOptions,
    options: Value,
) -> Artifact {
    let mut request = request(frame, target, options);
    request.task = Some(task);
    request.of_task = of_task;
    let artifact = fit(request, &mut |_| true).unwrap();
    // What is stored is what was trained.
    let bytes = artifact.to_bytes();
    Artifact::from_bytes(&bytes).unwrap()
}

pub(super) fn metric(artifact: &Artifact, name: &str) -> f64 {
    let mut metrics = artifact.evaluation.metrics.iter();
    let found = metrics.find(|m| m.metric == name && m.class.is_none());
    found.unwrap_or_else(|| panic!("no {name}")).value
}

pub(super) fn numbers<const N: usize>(names: [&str; N]) -> [Column; N] {
    names.map(|name| Column::new(name, "double precision", Kind::Number))
}

pub(super) const WAYS: [&str; 3] = ["mlp", "gbdt", "auto"];

pub(super) fn quick(algorithm: &str) -> Value {
    match algorithm {
        "gbdt" => json!({"algorithm": "gbdt"}),
        _ => json!({"algorithm": algorithm, "epochs": 15, "hidden": [16], "learning_rate": 0.01}),
    }
}

/// Interests: sports where x > 0, books where y > 0.5, both often; rare in a single row.
fn interested() -> Frame {
    let mut random = Random::new(4);
    let [mut x, mut y] = numbers(["x", "y"]);
    let mut interests = Column::new("interests", "text[]", Kind::Tags);
    for row in 0..1500 {
        let (a, b) = (random.normal(), random.normal());
        x.push(Cell::Number(a));
        y.push(Cell::Number(b));
        let mut own = String::new();
        let wrong = random.uniform() < 0.05;
        for (label, has) in [
            ("sports", (a > 0.0) ^ wrong),
            ("books", b > 0.5),
            ("rare", row == 7),
        ] {
            if has {
                own.push_str(label);
                own.push('\0');
            }
        }
        interests.push(match row {
            3 => Cell::Null,
            _ => Cell::Tags(&own),
        });
    }
    Frame {
        columns: vec![x, y, interests],
    }
}

#[test]
fn a_row_can_have_several_labels() {
    for algorithm in WAYS {
        let task = Task::Multilabel;
        let artifact = fitted(
            interested(),
            "interests",
            task,
            TaskOptions::default(),
            quick(algorithm),
        );
        assert_eq!(artifact.target.labels, ["books", "rare", "sports"]);
        assert_eq!(artifact.provenance.null_target_rows, 1);
        assert_eq!(artifact.evaluation.headline().unwrap().metric, "roc_auc");
        assert!(metric(&artifact, "hamming_loss") < 0.06, "{algorithm}");
        assert!(metric(&artifact, "accuracy") > 0.85, "{algorithm}");
        let predictor = Predictor::new(artifact).unwrap();
        let mut scratch = predictor.scratch();
        let mut labels = |x: f64, y: f64| {
            let cells = [Cell::Number(x), Cell::Number(y)];
            let predictions = predictor.predict(&cells, &mut scratch);
            assert_eq!(predictor.artifact().value(predictions), None);
            let own = predictor.artifact().labels(predictions);
            own.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(labels(1.0, 1.5), ["books", "sports"]);
        assert_eq!(labels(1.0, -1.0), ["sports"]);
        assert!(labels(-1.0, -1.0).is_empty());
        let (rows, truth) = truth_of(task, &predictor.artifact().target, &interested()).unwrap();
        assert!(rows.len() == 1499 && matches!(truth, crate::evaluate::Truth::Labels(_)));
    }
}

#[test]
fn flags_are_labels_by_position() {
    let mut frame = interested();
    let mut flags = Column::new("flags", "integer[]", Kind::Vector);
    for row in 0..frame.rows() {
        let own = |column: usize, least: f64| match frame.columns[column].cell(row) {
            Cell::Number(x) => f32::from(u8::from(x > least)),
            _ => f32::NAN,
        };
        flags.push(Cell::Vector(&[own(0, 0.0), own(1, 0.5)]));
    }
    frame.columns[2] = flags;
    let task = Task::Multilabel;
    let artifact = fitted(frame, "flags", task, TaskOptions::default(), quick("mlp"));
    assert_eq!(artifact.target.labels, ["1", "2"]);
    assert!(metric(&artifact, "f1_micro") > 0.9);
}

/// Satisfaction rises with x, in five steps.
fn satisfied(rows: usize) -> Frame {
    let mut random = Random::new(8);
    let [mut x, mut noise] = numbers(["x", "noise"]);
    let mut level = Column::new("level", "text", Kind::Category);
    for _ in 0..rows {
        let value = random.normal();
        x.push(Cell::Number(value));
        noise.push(Cell::Number(random.normal()));
        let step = (2.0 + 1.2 * value + 0.5 * random.normal())
            .round()
            .clamp(0.0, 4.0);
        level.push(Cell::Text(
            ["awful", "bad", "fair", "good", "great"][step as usize],
        ));
    }
    Frame {
        columns: vec![x, noise, level],
    }
}

fn order() -> TaskOptions {
    TaskOptions {
        order: ["never", "awful", "bad", "fair", "good", "great"]
            .map(str::to_owned)
            .to_vec(),
        ..TaskOptions::default()
    }
}

#[test]
fn labels_in_an_order_are_told_apart_by_it() {
    for algorithm in WAYS {
        let artifact = fitted(
            satisfied(1500),
            "level",
            Task::Ordinal,
            order(),
            quick(algorithm),
        );
        assert_eq!(
            artifact.target.labels,
            ["awful", "bad", "fair", "good", "great"]
        );
        assert!(
            metric(&artifact, "quadratic_weighted_kappa") > 0.8,
            "{algorithm}"
        );
        assert!(metric(&artifact, "mae") < 0.5, "{algorithm}");
        let predictor = Predictor::new(artifact).unwrap();
        let mut scratch = predictor.scratch();
        let mut last = 0;
        for x in [-2.5, -0.9, 0.0, 0.9, 2.5] {
            let p = predictor.predict(&[Cell::Number(x), Cell::Number(0.0)], &mut scratch);
            assert!(p.iter().all(|p| *p >= 0.0) && (p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let class = predictor.class(p);
            assert!(class >= last, "{algorithm}: {class} after {last}");
            last = class;
        }
        assert_eq!(last, 4);
    }
}

#[test]
fn what_a_task_cannot_learn_is_said() {
    let refused = |frame: Frame, target: &str, task: Option<Task>, of_task: TaskOptions| {
        let mut request = request(frame, target, quick("mlp"));
        request.task = task;
        request.of_task = of_task;
        fit(request, &mut |_| true).unwrap_err()
    };
    let none = TaskOptions::default();
    let e = refused(satisfied(100), "level", Some(Task::Ordinal), none.clone());
    assert_eq!(
        e.message,
        "task ordinal needs to know the order of the labels"
    );
    let mut short = order();
    short.order.truncate(4);
    let e = refused(satisfied(100), "level", Some(Task::Ordinal), short);
    assert!(e.message.contains("is not in the option order"), "{e}");
    let mut twice = order();
    twice.order.push("awful".into());
    let e = refused(satisfied(100), "level", Some(Task::Ordinal), twice);
    assert_eq!(e.message, "option \"order\" names \"awful\" twice");
    let e = refused(
        satisfied(100),
        "level",
        Some(Task::Multilabel),
        none.clone(),
    );
    assert_eq!(e.sqlstate, "42804");
    let e = refused(
        interested(),
        "interests",
        Some(Task::Regression),
        none.clone(),
    );
    assert_eq!(
        e.message,
        "task regression cannot have an array as its target"
    );
    let mut frame = interested();
    let mut same = Column::new("interests", "text[]", Kind::Tags);
    (0..1500).for_each(|_| same.push(Cell::Tags("a\0")));
    frame.columns[2] = same;
    let e = refused(frame, "interests", None, none.clone());
    assert_eq!(e.message, "target \"interests\" is always {a}");
    let mut frame = interested();
    let mut empty = Column::new("interests", "text[]", Kind::Tags);
    (0..1500).for_each(|_| empty.push(Cell::Tags("")));
    frame.columns[2] = empty;
    let e = refused(frame, "interests", None, none);
    assert_eq!(e.message, "target \"interests\" has no label in any row");
}

#[test]
fn models_of_one_output_do_not_learn_many() {
    for algorithm in ["linear", "random_forest"] {
        let many = request(interested(), "interests", json!({"algorithm": algorithm}));
        let e = fit(many, &mut |_| true).unwrap_err();
        let want = format!("the algorithm {algorithm} cannot learn the task multilabel");
        assert_eq!((e.sqlstate.as_str(), e.message), ("22023", want));
    }
}

#[test]
fn only_two_labels_have_a_positive_one() {
    let mut of_sets = request(interested(), "interests", quick("mlp"));
    of_sets.positive = Some("sports".into());
    let e = fit(of_sets, &mut |_| true).unwrap_err();
    assert_eq!(
        e.message,
        "option \"positive\" needs a target of two values"
    );
}

#[test]
fn sets_of_labels_stay_within_memory() {
    let mut small = request(interested(), "interests", quick("mlp"));
    small.max_bytes = Some(20_000);
    assert_eq!(fit(small, &mut |_| true).unwrap_err().sqlstate, "53200");
}
