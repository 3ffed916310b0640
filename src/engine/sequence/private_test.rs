//! What a private sequence model learns, what it states, and what it must not keep.

use super::*;
use crate::frame::{Cell, Column, Kind};
use crate::random::Random;
use crate::sequence::encode::Target;
use crate::sequence::tests::{baseline, frame, log, score};
use serde_json::{Value, json};

/// Each item follows its own predecessor nine times in ten, and costs as much as it says; one key has an item of its own.
fn walks(keys: usize) -> Frame {
    let mut random = Random::new(21);
    let mut rows = Vec::new();
    for key in 0..keys {
        let mut item = random.below(5);
        let (steps, hours) = (2 + random.below(12), if key % 2 == 0 { 1 } else { 24 });
        let mut at = random.below(1_000_000) as i64;
        for _ in 0..steps {
            let name = match key {
                7 => "canary".to_owned(),
                _ => format!("item{item}"),
            };
            let cost = 10.0 * item as f64 + random.normal();
            rows.push((format!("customer-{key}"), at, Some(name), cost));
            at += 3600 * hours + random.below(600) as i64;
            item = match random.uniform() < 0.9 {
                true => (item + 1) % 5,
                false => random.below(5),
            };
        }
    }
    frame(rows.into_iter())
}

fn params(options: Value) -> Params {
    Params::from_json(options.as_object().expect("an object")).expect("sound")
}

fn next(column: &str) -> TargetOf {
    TargetOf::Next {
        column: column.into(),
        category: column == "item",
    }
}

fn try_fit(log: &Log<'_>, target: &TargetOf, options: Value) -> Result<SequenceModel, FitError> {
    crate::sequence::fit(log, target, &[], &params(options), &mut |_| true)
}

fn fitted(log: &Log<'_>, target: &TargetOf, options: Value) -> SequenceModel {
    try_fit(log, target, options).expect("it can be fitted")
}

#[test]
fn a_private_model_learns_states_what_it_spent_and_keeps_nothing_of_keys() {
    let frame = walks(4000);
    let log = log(&frame);
    let options = json!({"privacy": {"epsilon": 8, "delta": 1e-5}, "epochs": 12});
    let model = fitted(&log, &next("item"), options);
    let hits = score(&model, "hit_rate_at_1");
    assert!(hits.value > 0.7, "{hits:?}");
    assert!(
        (baseline(hits, "most_popular") - 0.2).abs() < 0.06,
        "{hits:?}"
    );
    assert!(model.scores.iter().all(|s| s.metric != "perplexity"));
    let spent = model.privacy.clone().expect("stated");
    assert_eq!((spent.epsilon, spent.delta), (8.0, 1e-5));
    assert_eq!(spent.unit.as_deref(), Some("customer"));
    assert_eq!(spent.prepared, ["item", "amount", "at"]);
    assert!(
        (spent.units as f64 - 3200.0).abs() < 150.0,
        "{}",
        spent.units
    );
    assert!(model.history.is_empty() && model.mixture.is_none());
    assert_eq!((model.steps, model.dropped, model.keys), (0, 0, 4000));
    let mut items = model.encoder.categories[0].labels.clone();
    items.sort_unstable();
    assert_eq!(items, ["item0", "item1", "item2", "item3", "item4"]);
    let bytes = model.to_bytes();
    let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("item3") && !holds("canary") && !holds("customer-"));
    let again = SequenceModel::from_bytes(&bytes).expect("it can be read");
    assert_eq!(again.privacy, Some(spent));
}

#[test]
fn numbers_times_and_labels_are_learned_too() {
    let frame = walks(4000);
    let log = log(&frame);
    let privacy = json!({"epsilon": 8, "delta": 1e-5});
    let better = |model: &SequenceModel, metric: &str, by: f64| {
        let found = score(model, metric);
        let (_, other) = &found.baselines[0];
        assert!(found.value < by * other, "{found:?}");
    };
    let model = fitted(&log, &next("amount"), json!({"privacy": privacy}));
    assert_eq!(model.encoder.target, Target::Value(0));
    better(&model, "rmse", 0.8);
    let model = fitted(&log, &TargetOf::Gap, json!({"privacy": privacy}));
    better(&model, "mae", 0.8);
    let mut keys = Column::new("customer", "text", Kind::Category);
    let mut slow = Column::new("slow", "text", Kind::Category);
    let mut gap = Column::new("gap", "integer", Kind::Number);
    for key in 0..4000 {
        keys.push(Cell::Text(&format!("customer-{key}")));
        slow.push(Cell::Text(if key % 2 == 0 { "no" } else { "yes" }));
        gap.push(Cell::Number(if key % 2 == 0 { 1.0 } else { 24.0 }));
    }
    for (labels, classes) in [(&slow, true), (&gap, false)] {
        let log = crate::sequence::tests::log(&frame)
            .with_labels(&keys, labels, classes)
            .expect("labels");
        let model = fitted(&log, &TargetOf::Key, json!({"privacy": privacy}));
        if classes {
            assert_eq!(model.encoder.labels, ["no", "yes"]);
            assert!(score(&model, "roc_auc").value > 0.9);
            assert!(score(&model, "accuracy").value > 0.85);
        } else {
            better(&model, "rmse", 0.7);
        }
    }
}

#[test]
fn what_is_known_of_keys_is_asked_too() {
    let frame = walks(3000);
    let log = log(&frame);
    let mut columns = vec![
        Column::new("customer", "text", Kind::Category),
        Column::new("age", "integer", Kind::Number),
        Column::new("plan", "text", Kind::Category),
        Column::new("vip", "boolean", Kind::Boolean),
        Column::new("note", "text", Kind::Category),
    ];
    for key in 0..2900 {
        let plan = match key {
            5 => "secret",
            key => ["basic", "pro"][key % 2],
        };
        columns[0].push(Cell::Text(&format!("customer-{key}")));
        columns[1].push(Cell::Number((18 + key % 60) as f64));
        columns[2].push(Cell::Text(plan));
        columns[3].push(Cell::Boolean(key % 3 == 0));
        columns[4].push(Cell::Text(&format!("note {key}")));
    }
    let statics = Frame { columns };
    let given = params(json!({"privacy": {"epsilon": 8}, "epochs": 2, "test_size": 0}));
    let privacy = given.privacy.clone().expect("given");
    let target = next("item");
    let model = fit(
        &log,
        Some(&statics),
        &target,
        &[],
        &given,
        &privacy,
        &mut |_| true,
    );
    let model = model.expect("it can be fitted");
    let own = &model.encoder.static_columns;
    let names: Vec<&str> = own.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["age", "plan", "vip"]);
    assert_eq!(
        own.columns[1].levels.as_deref(),
        Some(&["basic".to_owned(), "pro".to_owned()][..])
    );
    assert_eq!(own.excluded.len(), 1);
    assert_eq!(model.encoder.statics.len(), own.width());
    assert!(model.scores.is_empty() && model.evaluated_on == "none");
    let spent = model.privacy.as_ref().expect("stated");
    assert!(spent.scores_epsilon == 0.0 && spent.epsilon <= 8.0 && spent.epsilon > 7.8);
    assert!(SequenceModel::from_bytes(&model.to_bytes()).is_ok());
}

#[test]
fn what_is_given_needs_not_be_asked() {
    let frame = walks(200);
    let log = log(&frame);
    let items: Vec<String> = (0..9).map(|i| format!("item{i}")).collect();
    let privacy =
        json!({"epsilon": 2, "categories": {"item": items}, "bounds": {"amount": [0, 50]}});
    let options = json!({"privacy": privacy, "epochs": 2});
    let model = fitted(&log, &next("item"), options);
    assert_eq!(model.encoder.categories[0].labels.len(), 9);
    let prepared = model.privacy.expect("stated").prepared;
    // How common items are is asked all the same.
    assert_eq!(prepared, ["item", "at"]);
}

#[test]
fn of_long_histories_the_last_steps_are_read() {
    let rows = (0..60).flat_map(|key| {
        (0..20 + key).map(move |at| (format!("{key}"), at, Some(format!("i{}", at % 2)), 0.0))
    });
    let frame = frame(rows);
    let log = log(&frame);
    let recent = log.last(5);
    assert_eq!((recent.steps(), recent.keys.len()), (300, 60));
    let last = |log: &Log<'_>, key: usize| log.times[log.offsets[key + 1] - 1];
    assert!((0..60).all(|key| last(&recent, key) == last(&log, key)));
    assert_eq!(log.last(usize::MAX).offsets, log.offsets);
}

#[test]
fn what_cannot_be_private_is_refused_with_a_way_out() {
    let frame = walks(200);
    let log = log(&frame);
    let refused = |log: &Log<'_>, target: &TargetOf, privacy: Value| {
        let error = try_fit(log, target, json!({"privacy": privacy})).expect_err("refused");
        assert!(error.hint.is_some() || error.detail.is_some(), "{error:?}");
        (error.sqlstate.to_string(), error.message)
    };
    let count = TargetOf::Count { horizon: 86_400.0 };
    assert_eq!(refused(&log, &count, json!({"epsilon": 1})).0, "0A000");
    let unit = refused(&log, &next("item"), json!({"epsilon": 1, "unit": "item"}));
    assert!(unit.1.contains("privacy.unit"), "{unit:?}");
    let unit = json!({"epsilon": 1, "unit": "customer", "rows_per_unit": 3});
    let rows = refused(&log, &next("item"), unit);
    assert!(rows.1.contains("rows_per_unit"), "{rows:?}");
    let tight = refused(&log, &next("item"), json!({"epsilon": 0.05}));
    assert_eq!(tight.0, "22023");
    let few = walks(30);
    let few = refused(
        &super::super::tests::log(&few),
        &next("item"),
        json!({"epsilon": 3}),
    );
    assert!(few.1.contains("too few"), "{few:?}");
    for beside in [
        json!({"mixture": true}),
        json!({"early_stopping": true}),
        json!({"dropout": 0.1}),
        json!({"validation_size": 0.1}),
        json!({"negatives": 5}),
        json!({"split": "time"}),
    ] {
        let mut options = beside.clone();
        options["privacy"] = json!({"epsilon": 1});
        let error = Params::from_json(options.as_object().expect("an object"));
        let error = error.expect_err("refused");
        assert!(beside.get(&error.option).is_some() && !error.hint.is_empty());
    }
    let off = json!({"privacy": {"epsilon": 1}, "mixture": false, "early_stopping": false});
    assert!(Params::from_json(off.as_object().expect("an object")).is_ok());
}
