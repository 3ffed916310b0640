//! What is settled on the validation rows, seen from outside.

use super::tests::{customers, request};
use super::*;
use crate::calibrate::Calibration;
use serde_json::{Value, json};

fn trained(options: Value) -> Artifact {
    fit(request(customers(4_000), "churn", options), &mut |_| true).unwrap()
}

fn metric(artifact: &Artifact, name: &str) -> f64 {
    let mut all = artifact.evaluation.metrics.iter();
    all.find(|m| m.metric == name && m.class.is_none())
        .unwrap()
        .value
}

#[test]
fn weights_are_taken_out_of_probabilities_but_not_out_of_labels() {
    let options =
        |how: &str| json!({"algorithm": "gbdt", "class_weight": {"true": 8}, "calibration": how});
    let (plain, settled) = (trained(options("none")), trained(options("auto")));
    assert_eq!(plain.provenance.calibration, "none");
    assert_ne!(settled.settled.calibration, Calibration::None);
    let of = |name: &str| (metric(&plain, name), metric(&settled, name));
    // On 800 rows of ten bins even perfect probabilities have an error of about 0.03.
    let (before, after) = of("ece");
    assert!(after < 0.6 * before, "{before} {after}");
    let (before, after) = of("log_loss");
    assert!(after < before - 0.02, "{before} {after}");
    assert!((metric(&settled, "roc_auc") - metric(&plain, "roc_auc")).abs() < 1e-9);
    // The labels are the same: the threshold went where one half went, to odds of about one to eight.
    assert_eq!(plain.evaluation.confusion, settled.evaluation.confusion);
    let threshold = settled.settled.threshold;
    assert!((0.03..0.3).contains(&threshold), "{threshold}");
    assert_eq!(plain.settled.threshold, 0.5);
}

#[test]
fn a_threshold_is_used_by_labels_and_scores_alike() {
    let decide = json!({"algorithm": "gbdt", "threshold": "f1"});
    let (f1, half) = (trained(decide), trained(json!({"algorithm": "gbdt"})));
    assert_ne!(f1.settled.threshold, 0.5);
    assert_eq!(f1.provenance.threshold, Some(f1.settled.threshold));
    assert_eq!(metric(&f1, "roc_auc"), metric(&half, "roc_auc"));
    // Found on other rows, it can lose on these: about two standard errors.
    let (found, usual) = (metric(&f1, "f1"), metric(&half, "f1"));
    assert!(found > usual - 0.03, "{found} {usual}");
    let held_out = &f1.settled.held_out;
    assert_eq!(held_out.rows as u64, f1.provenance.test_rows);
    let answered = held_out
        .predictions
        .iter()
        .filter(|p| f64::from(**p) >= f1.settled.threshold);
    let confused: u64 = f1.evaluation.confusion.iter().map(|row| row[1]).sum();
    assert!(confused.abs_diff(answered.count() as u64) <= 1);
    assert_eq!(held_out.fingerprint, half.settled.held_out.fingerprint);
    let bounded =
        trained(json!({"algorithm": "gbdt", "profit": {"tp": 9, "fp": -1}, "capacity": 400}));
    let confusion = &bounded.evaluation.confusion;
    let share = confusion.iter().map(|row| row[1]).sum::<u64>() as f64
        / confusion.iter().flatten().sum::<u64>() as f64;
    // A tenth of the 640 validation rows; the test rows vary.
    assert!((0.05..0.16).contains(&share), "{share}");
}

#[test]
fn what_needs_validation_rows_says_so() {
    for (options, named) in [
        (
            json!({"validation_size": 0, "calibration": "beta"}),
            "calibration",
        ),
        (
            json!({"validation_size": 0, "threshold": "f1"}),
            "threshold",
        ),
        (json!({"validation_size": 0, "capacity": 5}), "capacity"),
    ] {
        let mut options = options;
        options["algorithm"] = json!("gbdt");
        let error = fit(request(customers(300), "churn", options), &mut |_| true).unwrap_err();
        assert_eq!(error.sqlstate, "22023");
        assert!(
            error.message.contains(named) && error.hint.is_some(),
            "{error:?}"
        );
    }
    let without = trained(json!({"algorithm": "gbdt", "validation_size": 0, "threshold": 0.3}));
    assert!(without.settled.conformal.is_empty() && without.settled.threshold == 0.3);
}
