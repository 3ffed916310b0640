//! What a private fit learns, what it states, and what it must not keep.

use super::*;
use crate::artifact::Task;
use crate::fit::fit as fit_any;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::random::Random;
use serde_json::{Value, json};

const DAY: i64 = 86_400_000_000;

/// Customers with two rows each; one of them lives in a place that nobody else does.
fn customers(rows: usize) -> Frame {
    let mut random = Random::new(4);
    let mut columns = vec![
        Column::new("customer", "bigint", Kind::Number),
        Column::new("age", "integer", Kind::Number),
        Column::new("since", "date", Kind::Time),
        Column::new("land", "text", Kind::Category),
        Column::new("vip", "boolean", Kind::Boolean),
        Column::new("tags", "text[]", Kind::Tags),
        Column::new("churn", "text", Kind::Category),
        Column::new("left", "integer", Kind::Number),
        Column::new("spend", "double precision", Kind::Number),
        Column::new("tier", "text", Kind::Category),
    ];
    for row in 0..rows {
        let age = 18.0 + (60.0 * random.uniform()).floor();
        let land = ["DE", "FR", "IT"][random.below(3)];
        let vip = random.uniform() < 0.2;
        let sum = (age - 48.0) / 9.0 + if land == "FR" { 1.5 } else { -0.5 };
        let churn = random.uniform() < 1.0 / (1.0 + (-sum).exp());
        let tier = match sum {
            s if s < -1.0 => "low",
            s if s < 1.0 => "mid",
            _ => "high",
        };
        let spend = 100.0 + 20.0 * sum + 5.0 * random.normal();
        let cells = [
            Cell::Number((row / 2) as f64),
            Cell::Number(age),
            Cell::Time(DAY * (6000 + random.below(900) as i64)),
            Cell::Text(if row == 17 { "canary island" } else { land }),
            if row % 50 == 3 {
                Cell::Null
            } else {
                Cell::Boolean(vip)
            },
            Cell::Tags("a\0"),
            Cell::Text(if churn { "yes" } else { "no" }),
            Cell::Number(f64::from(u8::from(churn))),
            Cell::Number(spend),
            Cell::Text(tier),
        ];
        columns
            .iter_mut()
            .zip(cells)
            .for_each(|(c, cell)| c.push(cell));
    }
    Frame { columns }
}

fn request(rows: usize, target: &str, options: Value) -> Request {
    let params = Params::from_json(options.as_object().expect("an object")).expect("sound");
    let mut frame = customers(rows);
    let others = ["churn", "left", "spend", "tier"];
    frame
        .columns
        .retain(|c| c.name == target || !others.contains(&c.name.as_str()));
    Request::new(frame, target, params)
}

fn fitted(rows: usize, target: &str, options: Value) -> Artifact {
    let artifact = fit_any(request(rows, target, options), &mut |_| true);
    artifact.expect("it can be fitted")
}

fn score(artifact: &Artifact, name: &str) -> f64 {
    let metrics = &artifact.evaluation.metrics;
    metrics.iter().find(|m| m.metric == name).expect(name).value
}

#[test]
fn a_private_model_learns_states_what_it_spent_and_keeps_nothing_of_rows() {
    let artifact = fitted(
        8000,
        "churn",
        json!({"privacy": {"epsilon": 4, "delta": 1e-5, "unit": "customer", "rows_per_unit": 2}}),
    );
    assert_eq!(
        (artifact.task, artifact.provenance.algorithm.as_str()),
        (Task::Binary, "dnn")
    );
    assert!(
        score(&artifact, "roc_auc") > 0.85,
        "{}",
        score(&artifact, "roc_auc")
    );
    assert_eq!(
        (score(&artifact, "epsilon"), score(&artifact, "delta")),
        (4.0, 1e-5)
    );
    let last: Vec<&str> = artifact
        .evaluation
        .metrics
        .iter()
        .rev()
        .take(2)
        .map(|m| m.metric.as_str())
        .collect();
    assert_eq!(last, ["delta", "epsilon"]);
    let spent = artifact.provenance.privacy.clone().expect("stated");
    assert_eq!(spent.prepared, ["age", "since", "land", "churn"]);
    assert!(
        spent.noise_multiplier > 0.5 && spent.scores_epsilon < 4.0 && spent.warnings.is_empty()
    );
    // Two rows each.
    assert!(
        (spent.units as f64 - 3200.0).abs() < 200.0,
        "{}",
        spent.units
    );
    assert!(artifact.history.is_empty() && artifact.statistics.is_empty());
    assert!(artifact.seen.is_unknown() && artifact.sample().rows == 0);
    assert_eq!(artifact.provenance.data_fingerprint, "");
    assert_eq!(artifact.target.labels, ["no", "yes"]);
    assert!(artifact.check().is_ok());
    let bytes = artifact.to_bytes();
    let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("FR") && !holds("canary"));
    let excluded: Vec<&str> = artifact
        .provenance
        .excluded
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(excluded, ["customer", "tags"]);
    let again = Artifact::from_bytes(&bytes).expect("it can be read");
    assert_eq!(again.provenance.privacy, Some(spent));
}

#[test]
fn scores_are_near_those_without_noise() {
    let artifact = fitted(
        6000,
        "churn",
        json!({"privacy": {"epsilon": 8}, "test_size": 0.5}),
    );
    let told = score(&artifact, "roc_auc");
    let frame = customers(12_000);
    let fresh: Vec<u32> = (6000..12_000).collect();
    let predictor = crate::infer::Predictor::new(artifact).expect("sound");
    let predictions = predictor.predict_frame(&frame, &fresh, 1);
    let churn = frame.column("churn").expect("there");
    let truth: Vec<bool> = fresh
        .iter()
        .map(|r| churn.cell(*r as usize) == Cell::Text("yes"))
        .collect();
    let exact = crate::evaluate::roc_auc(&predictions, &truth);
    assert!((told - exact).abs() < 0.03, "{told} {exact}");
}

#[test]
fn numbers_and_several_labels_are_learned_too() {
    let given = json!({"age": [18, 78], "spend": [0, 200]});
    let artifact = fitted(
        8000,
        "spend",
        json!({"privacy": {"epsilon": 6, "bounds": given}}),
    );
    assert_eq!(artifact.task, Task::Regression);
    assert!(score(&artifact, "r2") > 0.7, "{}", score(&artifact, "r2"));
    let prepared = artifact.provenance.privacy.expect("stated").prepared;
    assert!(!prepared.contains(&"age".to_owned()));
    let artifact = fitted(8000, "tier", json!({"privacy": {"epsilon": 6}}));
    assert_eq!(
        (artifact.task, artifact.target.labels.len()),
        (Task::Multiclass, 3)
    );
    assert!(
        score(&artifact, "accuracy") > 0.7,
        "{}",
        score(&artifact, "accuracy")
    );
    assert!(
        artifact
            .evaluation
            .metrics
            .iter()
            .all(|m| m.metric != "log_loss")
    );
    // Whole numbers of few values are labels.
    let artifact = fitted(4000, "left", json!({"privacy": {"epsilon": 6}}));
    assert_eq!(
        (artifact.task, artifact.target.labels.as_slice()),
        (Task::Binary, &["0".to_owned(), "1".to_owned()][..])
    );
}

#[test]
fn more_privacy_means_more_noise_and_no_test_rows_no_scores() {
    let noise = |epsilon: f64| {
        let artifact = fitted(
            3000,
            "churn",
            json!({"privacy": {"epsilon": epsilon}, "test_size": 0, "epochs": 2}),
        );
        assert_eq!(artifact.provenance.evaluated_on, "nothing");
        assert_eq!(artifact.evaluation.metrics.len(), 2);
        let spent = artifact.provenance.privacy.expect("stated");
        assert!(
            spent.epsilon <= epsilon && spent.epsilon > 0.98 * epsilon,
            "{}",
            spent.epsilon
        );
        spent.noise_multiplier
    };
    assert!(noise(1.0) > 1.5 * noise(4.0));
}

#[test]
fn progress_without_a_loss_can_be_sent() {
    let progress = Progress {
        loss: f64::NAN,
        ..Progress::phase("training")
    };
    let text = serde_json::to_string(&progress).expect("it can be written");
    let read: Progress = serde_json::from_str(&text).expect("it can be read");
    assert!(read.loss.is_nan());
}

#[test]
fn a_unit_has_no_more_rows_than_it_may() {
    let request = request(
        600,
        "churn",
        json!({"privacy": {"epsilon": 1, "unit": "customer"}}),
    );
    let privacy = request.params.privacy.clone().expect("given");
    let found = units(&request, &privacy, None, &mut Noise::from_seed(1)).expect("enough");
    assert_eq!(found.len(), 300);
    assert!(found.iter().all(|unit| unit.len() == 1));
    // Either of the two rows of a customer.
    let even = found.iter().filter(|unit| unit[0] % 2 == 0).count();
    assert!((110..190).contains(&even), "{even}");
}

#[test]
fn what_cannot_be_private_is_refused_with_a_way_out() {
    let refused = |rows: usize, target: &str, options: Value, task: Option<Task>| {
        let mut request = request(rows, target, options);
        request.task = task;
        fit_any(request, &mut |_| true).expect_err("refused")
    };
    let eps = |epsilon: f64| json!({"privacy": {"epsilon": epsilon}});
    let ordinal = refused(2000, "tier", eps(3.0), Some(Task::Ordinal));
    assert!(ordinal.message.contains("ordinal"), "{}", ordinal.message);
    let few = refused(40, "churn", eps(3.0), None);
    assert!(few.message.contains("too few"), "{}", few.message);
    let column = refused(
        2000,
        "churn",
        json!({"privacy": {"epsilon": 3, "bounds": {"land": [0, 1]}}}),
        None,
    );
    assert!(
        column.message.contains("columns of numbers"),
        "{}",
        column.message
    );
    let absent = refused(
        2000,
        "churn",
        json!({"privacy": {"epsilon": 3, "categories": {"x": ["a"]}}}),
        None,
    );
    assert_eq!(absent.sqlstate, "42703");
    let tight = refused(
        2000,
        "churn",
        json!({"privacy": {"epsilon": 0.02, "delta": 1e-9}}),
        None,
    );
    assert!(tight.hint.is_some(), "{}", tight.message);
}
