//! Searching for hyper-parameters on the way to a model.

use super::tests::{customers, request};
use super::*;
use crate::tune::Trial;
use serde_json::json;

fn with(options: serde_json::Value) -> Result<Artifact, FitError> {
    fit(request(customers(900), "churn", options), &mut |_| true)
}

fn best(trials: &[Trial]) -> &Trial {
    let kept: Vec<&Trial> = trials.iter().filter(|t| t.best).collect();
    assert_eq!(kept.len(), 1);
    kept[0]
}

#[test]
fn the_best_of_a_search_by_validation_loss_is_kept() {
    let options = |strategy: &str| {
        json!({"algorithm": "mlp", "epochs": 12, "hidden": [8], "tune": {"strategy": strategy, "trials": 9,
            "space": {"learning_rate": {"min": 1e-5, "max": 0.05, "log": true}, "hidden": [[4], [16], [16, 8]]}}})
    };
    for strategy in ["random", "tpe"] {
        let artifact = with(options(strategy)).unwrap();
        let trials = &artifact.trials;
        assert_eq!(trials.len(), 9);
        assert!(trials[0].options.is_empty());
        let kept = best(trials);
        let losses = trials
            .iter()
            .filter(|t| t.status == "complete")
            .filter_map(|t| t.loss);
        assert_eq!(kept.loss, Some(losses.fold(f64::INFINITY, f64::min)));
        for (option, value) in &kept.options {
            assert_eq!(&artifact.provenance.params[option], value);
        }
        // What is tried depends on nothing but the seed.
        let again = with(options(strategy)).unwrap();
        let told = |t: &Trial| (t.options.clone(), t.loss, t.status.clone());
        let (a, b): (Vec<_>, Vec<_>) = (
            trials.iter().map(told).collect(),
            again.trials.iter().map(told).collect(),
        );
        assert_eq!(a, b);
        assert!(artifact.same_model(&again));
    }
}

#[test]
fn a_grid_tries_every_combination_and_what_falls_behind_is_stopped() {
    let artifact = with(json!({"algorithm": "mlp", "hidden": [16], "epochs": 40, "learning_rate": 0.01,
        "early_stopping": false, "tune": {"strategy": "grid",
        "space": {"learning_rate": [1e-6, 1e-5, 1e-4, 0.01], "activation": ["relu", "silu"], "dropout": [0, 0.1]}}}))
    .unwrap();
    // The defaults and 16 combinations.
    assert_eq!(artifact.trials.len(), 17);
    let stopped = artifact.trials.iter().filter(|t| t.status == "stopped");
    assert!(stopped.clone().count() >= 3);
    assert!(
        stopped
            .clone()
            .all(|t| t.epochs < 40 && t.options["learning_rate"] != json!(0.01))
    );
}

#[test]
fn auto_searches_for_trees_and_for_the_network() {
    let artifact =
        with(json!({"epochs": 8, "hidden": [8], "members": 1, "folds": 1, "tune": {"trials": 6}}))
            .unwrap();
    let kinds = |name: &str| {
        let of = artifact
            .trials
            .iter()
            .filter(|t| t.options["algorithm"] == json!(name));
        of.count()
    };
    assert_eq!((kinds("gbdt"), kinds("dnn")), (3, 3));
    assert!(!artifact.parts.is_empty() && artifact.evaluation.headline().unwrap().value > 0.85);
}

#[test]
fn a_search_that_makes_no_sense_is_refused() {
    let refused = |tune: serde_json::Value| {
        let options = json!({"tune": tune});
        crate::params::Params::from_json(options.as_object().unwrap()).unwrap_err()
    };
    for (tune, says) in [
        (json!(7), "must be an object or true"),
        (json!({"trails": 7}), "unknown option \"trails\""),
        (json!({"trials": 0}), "tune.trials"),
        (json!({"strategy": "bayes"}), "tune.strategy"),
        (json!({"strategy": "grid"}), "strategy grid"),
        (json!({"space": {}}), "tune.space"),
        (
            json!({"space": {"seed": [1, 2]}}),
            "\"seed\" cannot be tuned",
        ),
        (
            json!({"space": {"dropout": {"min": 0.5, "max": 0.1}}}),
            "\"dropout\" must be an array",
        ),
        (
            json!({"space": {"dropout": [0.1, 2]}}),
            "option \"dropout\" must be",
        ),
    ] {
        let error = refused(tune.clone());
        assert!(error.message.contains(says), "{tune}: {}", error.message);
        assert!(!error.hint.is_empty());
    }
    let error = with(json!({"validation_size": 0, "tune": true})).unwrap_err();
    assert!(error.message.contains("needs validation rows"));
}
