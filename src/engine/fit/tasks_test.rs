//! Tasks beyond classes and values find the rule the data was made by.

use super::tests::request;
use super::*;
use crate::artifact::{Task, UpliftMethod};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::random::Random;
use serde_json::{Value, json};

fn fitted(
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

fn metric(artifact: &Artifact, name: &str) -> f64 {
    let mut metrics = artifact.evaluation.metrics.iter();
    let found = metrics.find(|m| m.metric == name && m.class.is_none());
    found.unwrap_or_else(|| panic!("no {name}")).value
}

fn numbers<const N: usize>(names: [&str; N]) -> [Column; N] {
    names.map(|name| Column::new(name, "double precision", Kind::Number))
}

const WAYS: [&str; 3] = ["mlp", "gbdt", "auto"];

fn quick(algorithm: &str) -> Value {
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

/// Customers leave at a rate of 0.1 e^x a month; they are watched for up to 24 months.
fn leaving(rows: usize) -> Frame {
    let mut random = Random::new(21);
    let [mut x, mut noise, mut months] = numbers(["x", "noise", "months"]);
    let mut left = Column::new("left", "boolean", Kind::Boolean);
    for row in 0..rows {
        let value = random.normal();
        x.push(Cell::Number(value));
        noise.push(Cell::Number(random.normal()));
        let time = -(1.0 - random.uniform()).ln() / (0.1 * value.exp());
        let watched = 24.0 * random.uniform().sqrt();
        months.push(match row {
            3 => Cell::Null,
            _ => Cell::Number(time.min(watched)),
        });
        left.push(match row {
            4 => Cell::Null,
            _ => Cell::Boolean(time <= watched),
        });
    }
    Frame {
        columns: vec![x, noise, months, left],
    }
}

fn event(name: &str) -> TaskOptions {
    TaskOptions {
        event: Some(name.into()),
        ..TaskOptions::default()
    }
}

#[test]
fn times_until_an_event_are_learned_although_some_are_cut_short() {
    for algorithm in WAYS {
        let task = Task::Survival;
        let artifact = fitted(
            leaving(3000),
            "months",
            task,
            event("left"),
            quick(algorithm),
        );
        assert_eq!(artifact.provenance.null_target_rows, 2);
        let columns: Vec<&str> = artifact
            .recipe
            .columns()
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        assert_eq!(columns, ["x", "noise"]);
        // What knowing x allows is about 0.735.
        let headline = artifact.evaluation.headline().unwrap();
        assert_eq!(headline.metric, "concordance_index");
        assert!(headline.value > 0.70, "{algorithm}: {headline:?}");
        let brier = artifact
            .evaluation
            .metrics
            .iter()
            .find(|m| m.metric == "integrated_brier_score");
        let brier = brier.unwrap();
        assert!(
            brier.value < 0.9 * brier.baseline.unwrap(),
            "{algorithm}: {brier:?}"
        );
        let (_, truth) = truth_of(task, &artifact.target, &leaving(100)).unwrap();
        assert!(
            matches!(truth, crate::evaluate::Truth::Survival { times, .. } if times.len() == 98)
        );
        let predictor = Predictor::new(artifact).unwrap();
        let mut scratch = predictor.scratch();
        let mut last = f64::INFINITY;
        for x in [-1.0f64, 0.0, 1.0] {
            let cells = [Cell::Number(x), Cell::Number(0.0)];
            let hazards = predictor.predict(&cells, &mut scratch);
            let curve = predictor.artifact().curve(hazards);
            for time in [3.0, 10.0] {
                let want = (-0.1 * x.exp() * time).exp();
                let found = curve.at(time).unwrap().survival;
                // Trees learn each interval by itself, from the few events in it.
                let far = if algorithm == "gbdt" { 0.17 } else { 0.1 };
                assert!(
                    (found - want).abs() < far,
                    "{algorithm} {x} {time}: {found}, not {want}"
                );
            }
            let mean = predictor.artifact().value(hazards).unwrap();
            assert!(mean < last);
            last = mean;
        }
    }
}

#[test]
fn survival_needs_events_and_times() {
    let refused = |change: &dyn Fn(&mut Frame), target: &str, of_task: TaskOptions| {
        let mut frame = leaving(200);
        change(&mut frame);
        let mut request = request(frame, target, quick("mlp"));
        request.task = Some(Task::Survival);
        request.of_task = of_task;
        fit(request, &mut |_| true).unwrap_err().message
    };
    let none = TaskOptions::default();
    let as_it_is = |_: &mut Frame| {};
    assert_eq!(
        refused(&as_it_is, "months", none),
        "task survival needs the option event"
    );
    assert_eq!(
        refused(&as_it_is, "months", event("noise")),
        "column \"noise\" does not say yes or no"
    );
    let never = |frame: &mut Frame| {
        let mut left = Column::new("left", "boolean", Kind::Boolean);
        (0..200).for_each(|_| left.push(Cell::Boolean(false)));
        frame.columns[3] = left;
    };
    assert_eq!(
        refused(&never, "months", event("left")),
        "the event of \"left\" happened in 0 rows"
    );
    let negative = refused(&as_it_is, "x", event("left"));
    assert!(negative.contains("is negative in "), "{negative}");
}

/// Whether a customer buys depends on `taste`; a mailing adds 0.3 where x > 0 and takes 0.1 else; it adds 20 x to what is spent.
/// With `chosen`, customers of good taste were mailed more often.
fn mailed(rows: usize, chosen: bool) -> Frame {
    let mut random = Random::new(33);
    let [mut x, mut taste, mut spent] = numbers(["x", "taste", "spent"]);
    let mut got = Column::new("got_mail", "integer", Kind::Number);
    let mut bought = Column::new("bought", "boolean", Kind::Boolean);
    for row in 0..rows {
        let (a, b) = (random.normal(), random.normal());
        let mail = random.uniform()
            < if chosen {
                1.0 / (1.0 + (-b).exp())
            } else {
                0.4
            };
        let effect = if a > 0.0 { 0.3 } else { -0.1 };
        let p = 0.2 + 0.4 / (1.0 + (-b).exp()) + if mail { effect } else { 0.0 };
        x.push(Cell::Number(a));
        taste.push(Cell::Number(b));
        got.push(match row {
            3 => Cell::Null,
            _ => Cell::Number(f64::from(u8::from(mail))),
        });
        bought.push(Cell::Boolean(random.uniform() < p));
        let more = if mail { 20.0 * a } else { 0.0 };
        spent.push(Cell::Number(
            100.0 + 10.0 * b + more + 10.0 * random.normal(),
        ));
    }
    Frame {
        columns: vec![x, taste, got, bought, spent],
    }
}

fn treatment(method: Option<UpliftMethod>) -> TaskOptions {
    TaskOptions {
        treatment: Some("got_mail".into()),
        uplift_method: method,
        ..TaskOptions::default()
    }
}

fn effects(target: &str, method: Option<UpliftMethod>, algorithm: &str) -> (Artifact, Vec<f64>) {
    let mut frame = mailed(6000, false);
    let other = if target == "spent" { "bought" } else { "spent" };
    frame.columns.retain(|c| c.name != other);
    let artifact = fitted(
        frame,
        target,
        Task::Uplift,
        treatment(method),
        quick(algorithm),
    );
    let predictor = Predictor::new(artifact.clone()).unwrap();
    let mut scratch = predictor.scratch();
    let mut mean = |x: f64| {
        let tastes = [-1.0, -0.3, 0.3, 1.0];
        let sum: f64 = tastes
            .iter()
            .map(|taste| {
                let cells = [Cell::Number(x), Cell::Number(*taste)];
                predictor.predict(&cells, &mut scratch)[0]
            })
            .sum();
        sum / 4.0
    };
    let found = [-1.2, -0.7, 0.7, 1.2].map(&mut mean);
    (artifact, found.to_vec())
}

#[test]
fn effects_of_a_treatment_are_found_by_both_methods() {
    for method in [UpliftMethod::TwoModel, UpliftMethod::Transformed] {
        for algorithm in ["mlp", "gbdt"] {
            let (artifact, found) = effects("bought", Some(method), algorithm);
            let uplift = artifact.target.uplift.clone().unwrap();
            assert_eq!(uplift.method, method);
            assert!(!uplift.confounded && (uplift.treated - 0.4).abs() < 0.03);
            for (effect, want) in found.iter().zip([-0.1, -0.1, 0.3, 0.3]) {
                assert!(
                    (effect - want).abs() < 0.13,
                    "{method:?} {algorithm}: {found:?}"
                );
            }
            let qini = artifact.evaluation.headline().unwrap();
            assert!(
                qini.metric == "qini_coefficient" && qini.low > 0.0,
                "{qini:?}"
            );
            assert_eq!(qini.baseline.map(|b| b.abs() < 1e-9), Some(true));
            assert!((metric(&artifact, "average_treatment_effect") - 0.1).abs() < 0.06);
            assert!(metric(&artifact, "uplift_at_top_decile") > 0.15);
            let curve = &artifact.evaluation.qini;
            let ends = (curve.first().unwrap(), curve.last().unwrap());
            assert!(ends.0.fraction == 0.0 && ends.1.fraction == 1.0 && ends.0.qini == 0.0);
            assert!((ends.1.qini - ends.1.random).abs() < 1e-9);
        }
    }
}

#[test]
fn effects_on_a_number_are_in_its_units() {
    for method in [
        Some(UpliftMethod::TwoModel),
        Some(UpliftMethod::Transformed),
        None,
    ] {
        let (artifact, found) = effects("spent", method, "gbdt");
        for (effect, x) in found.iter().zip([-1.2, -0.7, 0.7, 1.2]) {
            assert!((effect - 20.0 * x).abs() < 7.0, "{method:?}: {found:?}");
        }
        let (_, truth) = truth_of(Task::Uplift, &artifact.target, &mailed(50, false)).unwrap();
        assert!(
            matches!(truth, crate::evaluate::Truth::Uplift { outcomes, .. } if outcomes.len() == 49)
        );
        let answers = artifact.evaluation.metrics.len();
        assert_eq!(answers, 4);
    }
}

#[test]
fn auto_blends_within_each_arm() {
    let (artifact, found) = effects("bought", None, "auto");
    assert!(artifact.evaluation.headline().unwrap().low > 0.0);
    assert!(found[3] - found[0] > 0.2, "{found:?}");
}

#[test]
fn a_treatment_that_was_not_at_random_is_noticed() {
    let mut frame = mailed(3000, true);
    frame.columns.pop();
    let options = treatment(Some(UpliftMethod::TwoModel));
    let artifact = fitted(frame, "bought", Task::Uplift, options, quick("mlp"));
    let uplift = artifact.target.uplift.unwrap();
    assert!(
        uplift.confounded && uplift.treatment_auc.unwrap() > 0.6,
        "{uplift:?}"
    );
}

#[test]
fn uplift_needs_both_kinds_of_rows() {
    let mut frame = mailed(300, false);
    let mut got = Column::new("got_mail", "text", Kind::Category);
    (0..300).for_each(|row| got.push(Cell::Text(if row < 10 { "mail" } else { "control" })));
    frame.columns[2] = got;
    let mut few = request(frame, "bought", quick("mlp"));
    few.task = Some(Task::Uplift);
    few.of_task = treatment(None);
    let e = fit(few, &mut |_| true).unwrap_err();
    assert_eq!(
        e.message,
        "10 treated and 290 other rows are too few to compare"
    );
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
