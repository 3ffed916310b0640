//! The reference values come from scikit-learn 1.9.1 (NumPy float64): `log_loss`, `accuracy_score`,
//! `balanced_accuracy_score`, `precision_score` and so on with `zero_division=0`, `roc_auc_score` (`multi_class="ovr"`,
//! `average="macro"`), `average_precision_score`, `brier_score_loss`, `matthews_corrcoef`, `roc_curve`,
//! `top_k_accuracy_score`, `mean_squared_error`, `root_mean_squared_error`, `mean_absolute_error`, `median_absolute_error`,
//! `mean_absolute_percentage_error`, `r2_score`, `explained_variance_score`, on the inputs shown; `ks` and `top_decile_lift`
//! follow from its `roc_curve`, `ece` was computed with NumPy.

use super::*;

#[path = "compare_test.rs"]
mod compared;
#[path = "ranked_test.rs"]
mod curves;
#[path = "robust_test.rs"]
mod robust;

const TIES: ([u32; 12], [f64; 12]) = (
    [0, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0],
    [0.1, 0.4, 0.35, 0.8, 0.4, 0.4, 0.6, 0.6, 0.9, 0.05, 0.5, 0.5],
);

fn binary(truth: &[u32], scores: &[f64], share: f64) -> Evaluation {
    evaluate(
        Task::Binary,
        &["no".into(), "yes".into()],
        &Truth::Classes(truth.to_vec()),
        scores,
        0.5,
        &Baseline::Shares(vec![1.0 - share, share]),
        1,
    )
}

fn multiclass(truth: &[u32], labels: &str, predictions: &[f64]) -> Evaluation {
    let labels: Vec<String> = labels.chars().map(String::from).collect();
    let shares = vec![1.0 / labels.len() as f64; labels.len()];
    evaluate(
        Task::Multiclass,
        &labels,
        &Truth::Classes(truth.to_vec()),
        predictions,
        0.5,
        &Baseline::Shares(shares),
        1,
    )
}

fn regression(truth: &[f64], predictions: &[f64], mean: f64) -> Evaluation {
    evaluate(
        Task::Regression,
        &[],
        &Truth::Values(truth.to_vec()),
        predictions,
        0.5,
        &Baseline::Mean(mean),
        1,
    )
}

/// The curve of the positive label.
fn curve(truth: &[u32], scores: &[f64]) -> Ranked {
    Ranked::new(scores.to_vec(), |row| truth[row] == 1)
}

type Expected = (&'static str, Option<&'static str>, f64);

fn find<'e>(e: &'e Evaluation, name: &str, class: Option<&str>) -> Option<&'e Metric> {
    let mut all = e.metrics.iter();
    all.find(|m| m.metric == name && m.class.as_deref() == class)
}

/// Every expected value is there within 1e-9, and no other metric (apart from the loss's second name) is.
fn assert_values(e: &Evaluation, expected: &[Expected]) {
    for &(name, class, value) in expected {
        let found = find(e, name, class).unwrap_or_else(|| panic!("no {name} of {class:?}"));
        let close = (found.value - value).abs() <= 1e-9 * value.abs().max(1.0);
        assert!(close, "{name} of {class:?}: {} but {value}", found.value);
    }
    for m in &e.metrics {
        assert!(
            m.low <= m.value && m.value <= m.high && m.low.is_finite() && m.high.is_finite(),
            "{m:?}"
        );
        assert!(
            m.metric == "log_loss"
                || expected
                    .iter()
                    .any(|(name, class, _)| *name == m.metric && *class == m.class.as_deref()),
            "{m:?} is not expected"
        );
    }
}

fn assert_baselines(e: &Evaluation, expected: &[Expected]) {
    for &(name, class, value) in expected {
        let found = find(e, name, class).unwrap().baseline.unwrap();
        assert!((found - value).abs() <= 1e-9, "{name}: {found} but {value}");
    }
}

#[test]
fn binary_scores_are_those_of_scikit_learn() {
    let e = binary(&TIES.0, &TIES.1, 0.3);
    assert_values(
        &e,
        &[
            ("accuracy", None, 0.6666666666666666),
            ("average_precision", None, 0.7620370370370371),
            ("balanced_accuracy", None, 0.6666666666666666),
            ("brier", None, 0.18208333333333335),
            ("ece", None, 0.12500000000000003),
            ("f1", None, 0.6666666666666666),
            ("ks", None, 0.33333333333333337),
            ("loss", None, 0.5238610581401886),
            ("mcc", None, 0.3333333333333333),
            ("precision", None, 0.6666666666666666),
            ("recall", None, 0.6666666666666666),
            ("roc_auc", None, 0.75),
            ("specificity", None, 0.6666666666666666),
            ("top_decile_lift", None, 2.0),
        ],
    );
    assert_baselines(
        &e,
        &[
            ("accuracy", None, 0.5),
            ("average_precision", None, 0.5),
            ("balanced_accuracy", None, 0.5),
            ("brier", None, 0.2899999999999999),
            ("ece", None, 0.20000000000000007),
            ("f1", None, 0.0),
            ("ks", None, 0.0),
            ("log_loss", None, 0.7803238741323343),
            ("mcc", None, 0.0),
            ("precision", None, 0.0),
            ("recall", None, 0.0),
            ("roc_auc", None, 0.5),
            ("specificity", None, 1.0),
            ("top_decile_lift", None, 1.0),
        ],
    );
    assert_eq!(e.confusion, [[4, 2], [2, 4]]);
    assert_eq!(e.headline().unwrap().metric, "roc_auc");
    assert_eq!(e.rows, 12);
}

#[test]
fn a_larger_binary_set_scores_as_in_scikit_learn() {
    // y = (i·7919 mod 1000 < 300 + 4·(i·31 mod 100)), s = (i·31 mod 100) / 100
    let s = |i: usize| (i * 31 % 100) as f64 / 100.0;
    let scores: Vec<f64> = (0..2000).map(s).collect();
    let y = |i: usize| u32::from(i * 7919 % 1000 < 300 + 4 * (i * 31 % 100));
    let truth: Vec<u32> = (0..2000).map(y).collect();
    assert_values(
        &binary(&truth, &scores, 0.5),
        &[
            ("accuracy", None, 0.6),
            ("average_precision", None, 0.6162852567122326),
            ("balanced_accuracy", None, 0.6000064004096262),
            ("brier", None, 0.26335000000000003),
            ("ece", None, 0.15),
            ("f1", None, 0.5983935742971888),
            ("ks", None, 0.20145289298515107),
            ("loss", None, 0.8778623158686849),
            ("mcc", None, 0.2000064003072164),
            ("precision", None, 0.596),
            ("recall", None, 0.6008064516129032),
            ("roc_auc", None, 0.639928955453149),
            ("specificity", None, 0.5992063492063492),
            ("top_decile_lift", None, 1.4112903225806452),
        ],
    );
}

#[test]
fn certain_and_wrong_probabilities_have_a_finite_loss() {
    assert_values(
        &binary(&[0, 1, 1, 0], &[0.0, 1.0, 0.0, 1.0], 0.5),
        &[
            ("accuracy", None, 0.5),
            ("average_precision", None, 0.5),
            ("balanced_accuracy", None, 0.5),
            ("brier", None, 0.5),
            ("ece", None, 0.5),
            ("f1", None, 0.5),
            ("ks", None, 0.0),
            ("loss", None, 18.021826694558577),
            ("mcc", None, 0.0),
            ("precision", None, 0.5),
            ("recall", None, 0.5),
            ("roc_auc", None, 0.5),
            ("specificity", None, 0.5),
            ("top_decile_lift", None, 1.0),
        ],
    );
}

#[test]
fn a_class_never_answered_has_precision_zero() {
    assert_values(
        &binary(&[0, 1, 0, 0], &[0.1, 0.4, 0.3, 0.2], 0.5),
        &[
            ("accuracy", None, 0.75),
            ("average_precision", None, 1.0),
            ("balanced_accuracy", None, 0.5),
            ("brier", None, 0.125),
            ("ece", None, 0.3),
            ("f1", None, 0.0),
            ("ks", None, 1.0),
            ("loss", None, 0.40036743569623084),
            ("mcc", None, 0.0),
            ("precision", None, 0.0),
            ("recall", None, 0.0),
            ("roc_auc", None, 1.0),
            ("specificity", None, 1.0),
            ("top_decile_lift", None, 4.0),
        ],
    );
}

#[test]
fn one_class_alone_has_no_ranking() {
    let e = binary(&[1, 1, 1], &[0.9, 0.4, 0.7], 0.5);
    assert_values(
        &e,
        &[
            ("accuracy", None, 0.6666666666666666),
            ("average_precision", None, 1.0),
            ("balanced_accuracy", None, 0.6666666666666666),
            ("brier", None, 0.15333333333333335),
            ("ece", None, 0.3333333333333333),
            ("f1", None, 0.8),
            ("loss", None, 0.4594420638235712),
            ("mcc", None, 0.0),
            ("precision", None, 1.0),
            ("recall", None, 0.6666666666666666),
            ("specificity", None, 0.0),
            ("top_decile_lift", None, 1.0),
        ],
    );
    assert_eq!(e.headline().unwrap().metric, "accuracy");
    assert!(curve(&[1, 1, 1], &[0.9, 0.4, 0.7]).roc().is_empty());
    // Without any positive there is nothing to find.
    let e = binary(&[0, 0], &[0.9, 0.4], 0.5);
    assert!(find(&e, "average_precision", None).is_none());
}

#[test]
fn multiclass_scores_are_those_of_scikit_learn() {
    let predictions = [
        0.5, 0.25, 0.25, 0.25, 0.5, 0.25, 0.125, 0.375, 0.5, 0.375, 0.375, 0.25, 0.25, 0.25, 0.5,
        0.75, 0.125, 0.125, 0.5, 0.375, 0.125, 0.125, 0.125, 0.75, 0.25, 0.625, 0.125,
    ];
    let e = multiclass(&[0, 1, 2, 1, 0, 0, 1, 2, 2], "abc", &predictions);
    assert_values(
        &e,
        &[
            ("loss", None, 0.898022232822953),
            ("accuracy", None, 0.5555555555555556),
            ("balanced_accuracy", None, 0.5555555555555555),
            ("mcc", None, 0.3396831102433787),
            ("brier", None, 0.5208333333333334),
            ("top_2_accuracy", None, 0.7777777777777778),
            ("ece", None, 0.2222222222222222),
            ("precision", None, 0.5555555555555555),
            ("recall", None, 0.5555555555555555),
            ("f1", None, 0.546031746031746),
            ("precision_weighted", None, 0.5555555555555556),
            ("recall_weighted", None, 0.5555555555555556),
            ("f1_weighted", None, 0.5460317460317461),
            ("precision", Some("a"), 0.5),
            ("recall", Some("a"), 0.6666666666666666),
            ("f1", Some("a"), 0.5714285714285714),
            ("roc_auc", Some("a"), 0.8055555555555556),
            ("average_precision", Some("a"), 0.6984126984126984),
            ("precision", Some("b"), 0.5),
            ("recall", Some("b"), 0.3333333333333333),
            ("f1", Some("b"), 0.4),
            ("roc_auc", Some("b"), 0.7777777777777779),
            ("average_precision", Some("b"), 0.5666666666666667),
            ("precision", Some("c"), 0.6666666666666666),
            ("recall", Some("c"), 0.6666666666666666),
            ("f1", Some("c"), 0.6666666666666666),
            ("roc_auc", Some("c"), 0.6944444444444444),
            ("average_precision", Some("c"), 0.6666666666666666),
            ("roc_auc", None, 0.7592592592592592),
            ("average_precision", None, 0.6439153439153439),
        ],
    );
    assert_baselines(&e, &[("log_loss", None, 3f64.ln()), ("roc_auc", None, 0.5)]);
    assert_eq!(e.confusion, [[2, 0, 1], [2, 1, 0], [0, 1, 2]]);
    assert_eq!(e.headline().unwrap().metric, "accuracy");
}

#[test]
fn classes_that_do_not_occur_are_left_out_of_averages() {
    let predictions = [
        0.5, 0.25, 0.125, 0.125, 0.125, 0.25, 0.5, 0.125, 0.25, 0.5, 0.25, 0.0, 0.125, 0.75, 0.125,
        0.0,
    ];
    let e = multiclass(&[0, 1, 0, 1], "abcd", &predictions);
    assert_values(
        &e,
        &[
            ("loss", None, 0.9383544938128767),
            ("accuracy", None, 0.5),
            ("balanced_accuracy", None, 0.5),
            ("mcc", None, 0.22360679774997896),
            ("brier", None, 0.5390625),
            ("top_2_accuracy", None, 0.75),
            ("ece", None, 0.1875),
            ("precision", None, 0.5),
            ("recall", None, 0.3333333333333333),
            ("f1", None, 0.38888888888888884),
            ("precision_weighted", None, 0.75),
            ("recall_weighted", None, 0.5),
            ("f1_weighted", None, 0.5833333333333333),
            ("precision", Some("a"), 1.0),
            ("recall", Some("a"), 0.5),
            ("f1", Some("a"), 0.6666666666666666),
            ("roc_auc", Some("a"), 1.0),
            ("average_precision", Some("a"), 1.0),
            ("precision", Some("b"), 0.5),
            ("recall", Some("b"), 0.5),
            ("f1", Some("b"), 0.5),
            ("roc_auc", Some("b"), 0.625),
            ("average_precision", Some("b"), 0.75),
            ("precision", Some("c"), 0.0),
            ("recall", Some("c"), 0.0),
            ("f1", Some("c"), 0.0),
            ("roc_auc", None, 0.8125),
            ("average_precision", None, 0.875),
        ],
    );
}

#[test]
fn regression_scores_are_those_of_scikit_learn() {
    let truth = [3.0, -0.5, 2.0, 7.0, 1e3];
    let e = regression(&truth, &[2.5, 0.0, 2.0, 8.0, 990.0], 100.0);
    assert_values(
        &e,
        &[
            ("loss", None, 20.3),
            ("mse", None, 20.3),
            ("rmse", None, 4.505552130427524),
            ("mae", None, 2.4),
            ("r2", None, 0.999872396992944),
            ("median_absolute_error", None, 0.5),
            ("explained_variance", None, 0.9998927631871736),
            ("mape", None, 0.2639047619047619),
        ],
    );
    assert_baselines(
        &e,
        &[
            ("loss", None, 169552.45),
            ("mse", None, 169552.45),
            ("rmse", None, 411.7674707890365),
            ("mae", None, 257.7),
            ("r2", None, -0.06578337308931781),
            ("median_absolute_error", None, 98.0),
            ("explained_variance", None, 0.0),
            ("mape", None, 59.30380952380953),
        ],
    );
    assert_eq!(e.headline().unwrap().metric, "rmse");
    assert!(e.confusion.is_empty());
}

#[test]
fn a_constant_truth_has_r2_zero_or_one() {
    let r2 = |predictions: &[f64]| {
        let e = regression(&[2.0; 3], predictions, 2.0);
        find(&e, "r2", None).unwrap().value
    };
    assert_eq!(r2(&[2.0, 2.0, 2.0]), 1.0);
    assert_eq!(r2(&[2.0, 2.0, 1.0]), 0.0);
}

#[test]
fn an_even_number_of_errors_has_a_median_between_two() {
    let e = regression(&[3.0, -0.5, 2.0, 7.0], &[2.5, 0.25, 2.0, 8.5], 3.0);
    for (name, value) in [
        ("median_absolute_error", 0.625),
        ("explained_variance", 0.921306209850107),
        ("mape", 0.47023809523809523),
    ] {
        assert!((find(&e, name, None).unwrap().value - value).abs() < 1e-12);
    }
    // Nothing is a share of 0.
    let e = regression(&[0.0, 1.0], &[0.5, 1.0], 0.5);
    assert!(find(&e, "mape", None).is_none());
}

#[test]
fn a_threshold_changes_the_answers_and_not_the_order() {
    let e = evaluate(
        Task::Binary,
        &["no".into(), "yes".into()],
        &Truth::Classes(TIES.0.to_vec()),
        &TIES.1,
        0.4,
        &Baseline::Shares(vec![0.5, 0.5]),
        1,
    );
    assert_values(
        &e,
        &[
            ("accuracy", None, 0.5833333333333334),
            ("average_precision", None, 0.7620370370370371),
            ("balanced_accuracy", None, 0.5833333333333334),
            ("brier", None, 0.18208333333333335),
            ("ece", None, 0.12500000000000003),
            ("f1", None, 0.6666666666666666),
            ("ks", None, 0.33333333333333337),
            ("loss", None, 0.5238610581401886),
            ("mcc", None, 0.19245008972987526),
            ("precision", None, 0.5555555555555556),
            ("recall", None, 0.8333333333333334),
            ("roc_auc", None, 0.75),
            ("specificity", None, 0.3333333333333333),
            ("top_decile_lift", None, 2.0),
        ],
    );
}
