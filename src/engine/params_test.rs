use super::*;
use crate::artifact::Task;
use serde_json::json;

fn read(options: Value) -> Result<Params, ParamError> {
    Params::from_json(options.as_object().unwrap())
}

#[test]
fn every_key_is_read_and_checked() {
    for key in Params::KEYS {
        let error = read(json!({ *key: {"x": {}} })).unwrap_err();
        assert_eq!(error.option, *key);
        assert!(error.message.contains(key) && !error.hint.is_empty());
        assert!(read(json!({ *key: null })).is_ok());
    }
    assert!(Params::KEYS.is_sorted());
}

#[test]
fn the_textbook_options_are_understood() {
    let params = read(json!({"hidden": [64, 32], "activation": "relu", "optimizer": "adam",
        "loss": "binary_crossentropy", "epochs": 10, "batch_size": 32, "test_size": 0.2, "seed": 42}))
    .unwrap();
    let valid = params.check(Task::Binary, 800).unwrap();
    assert_eq!(
        (valid.hidden, valid.epochs, valid.batch_size, valid.seed),
        (vec![64, 32], 10, 32, 42)
    );
    assert_eq!(
        (valid.optimizer, valid.loss),
        (Optimizer::Adam, Loss::BinaryCrossentropy)
    );
}

#[test]
fn values_out_of_range_are_refused() {
    for bad in [
        json!({"dropout": 1.5}),
        json!({"hidden": []}),
        json!({"hidden": [0]}),
        json!({"epochs": 0}),
        json!({"epochs": 1.5}),
        json!({"learning_rate": -1}),
        json!({"activation": "gelu"}),
        json!({"class_weight": {"yes": -1}}),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn a_loss_must_fit_the_task() {
    let params = read(json!({"loss": "categorical_crossentropy"})).unwrap();
    assert!(
        params
            .check(Task::Binary, 100)
            .unwrap_err()
            .hint
            .contains("binary_crossentropy")
    );
    assert!(params.check(Task::Multiclass, 100).is_ok());
}

#[test]
fn trees_refuse_the_options_of_networks() {
    let check = |options: serde_json::Value| {
        let params = Params::from_json(options.as_object().unwrap()).unwrap();
        params.check(Task::Binary, 1000)
    };
    let error = check(json!({"algorithm": "gbdt", "hidden": [8]})).unwrap_err();
    assert_eq!(error.option, "hidden");
    assert!(check(json!({"algorithm": "gbdt", "select": "auto", "seed": 3})).is_ok());
    let plain = check(json!({"algorithm": "mlp"})).unwrap();
    assert_eq!((plain.members, plain.preparation.text_dim), (1, 0));
    assert_eq!(plain.number_embedding, NumberEncoding::None);
}

#[test]
fn decisions_need_what_they_decide_by() {
    let read = |text: &str, task: Task| {
        let options = serde_json::from_str::<serde_json::Value>(text).unwrap();
        let params = Params::from_json(options.as_object().unwrap())?;
        params.check(task, 1_000)
    };
    let profit = read(
        r#"{"profit": {"tp": 90, "fn": -3}, "capacity": 5}"#,
        Task::Binary,
    )
    .unwrap();
    let text = serde_json::to_value(profit.decision).unwrap();
    assert_eq!(
        text,
        serde_json::json!({"threshold": "profit", "capacity": 5,
            "profit": {"tp": 90.0, "fp": 0.0, "fn": -3.0, "tn": 0.0}})
    );
    for (options, task, option) in [
        (r#"{"threshold": 1.5}"#, Task::Binary, "threshold"),
        (r#"{"threshold": "accuracy"}"#, Task::Binary, "threshold"),
        (r#"{"threshold": "profit"}"#, Task::Binary, "threshold"),
        (r#"{"threshold": "f1"}"#, Task::Multiclass, "threshold"),
        (r#"{"capacity": 0}"#, Task::Binary, "capacity"),
        (r#"{"capacity": 5}"#, Task::Regression, "capacity"),
        (r#"{"profit": {}}"#, Task::Binary, "profit"),
        (r#"{"profit": 5}"#, Task::Binary, "profit"),
        (r#"{"profit": {"true": 5}}"#, Task::Binary, "profit"),
        (r#"{"profit": {"tp": "5"}}"#, Task::Binary, "profit"),
        (r#"{"profit": {"tp": 1e300}}"#, Task::Binary, "profit"),
        (r#"{"calibration": "platt"}"#, Task::Binary, "calibration"),
        (
            r#"{"calibration": "beta"}"#,
            Task::Multiclass,
            "calibration",
        ),
        (r#"{"calibration": "vector"}"#, Task::Binary, "calibration"),
        (
            r#"{"calibration": "temperature"}"#,
            Task::Regression,
            "calibration",
        ),
    ] {
        assert_eq!(read(options, task).unwrap_err().option, option, "{options}");
    }
}

#[test]
fn options_of_other_algorithms_are_refused() {
    for (algorithm, option, value) in [
        ("linear", "hidden", json!([8])),
        ("linear", "trees", json!(10)),
        ("random_forest", "l1", json!(0.1)),
        ("random_forest", "epochs", json!(5)),
        ("gbdt", "trees", json!(10)),
        ("dnn", "folds", json!(3)),
        ("mlp", "trees", json!(3)),
    ] {
        let params = read(json!({"algorithm": algorithm, option: value})).unwrap();
        let error = params.check(Task::Binary, 100).unwrap_err();
        assert_eq!(error.option, option, "{algorithm}");
        assert!(error.hint.contains(algorithm), "{}", error.hint);
    }
    for good in [
        json!({"algorithm": "linear", "l1": 0.1, "l2": 0}),
        json!({"algorithm": "random_forest", "trees": 10}),
        json!({"algorithm": "auto", "trees": 10, "folds": 2, "hidden": [8], "l1": 0.1}),
    ] {
        assert!(
            read(good.clone()).unwrap().check(Task::Binary, 100).is_ok(),
            "{good}"
        );
    }
    let linear = read(json!({"algorithm": "linear", "l1": 0.1})).unwrap();
    let valid = linear.check(Task::Binary, 100).unwrap();
    assert_eq!((valid.penalty, valid.folds), (Some([0.1, 0.0]), 1));
}

#[test]
fn small_tables_hold_each_part_out_in_turn() {
    let folds = |rows| {
        read(json!({}))
            .unwrap()
            .check(Task::Binary, rows)
            .unwrap()
            .folds
    };
    assert_eq!([100, 5_000, 20_000].map(folds), [5, 3, 1]);
}
