//! The reference values come from scikit-learn 1.9.1 (NumPy float64): `log_loss`, `accuracy_score`,
//! `balanced_accuracy_score`, `precision_score` and so on with `zero_division=0`, `roc_auc_score` (`multi_class="ovr"`,
//! `average="macro"`), `average_precision_score`, `brier_score_loss`, `matthews_corrcoef`, `roc_curve`,
//! `mean_squared_error`, `root_mean_squared_error`, `mean_absolute_error`, `r2_score`, on the inputs shown.

use super::*;

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
        &Baseline::Mean(mean),
        1,
    )
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
            ("f1", None, 0.6666666666666666),
            ("loss", None, 0.5238610581401886),
            ("mcc", None, 0.3333333333333333),
            ("precision", None, 0.6666666666666666),
            ("recall", None, 0.6666666666666666),
            ("roc_auc", None, 0.75),
        ],
    );
    assert_baselines(
        &e,
        &[
            ("accuracy", None, 0.5),
            ("average_precision", None, 0.5),
            ("balanced_accuracy", None, 0.5),
            ("brier", None, 0.2899999999999999),
            ("f1", None, 0.0),
            ("log_loss", None, 0.7803238741323343),
            ("mcc", None, 0.0),
            ("precision", None, 0.0),
            ("recall", None, 0.0),
            ("roc_auc", None, 0.5),
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
            ("f1", None, 0.5983935742971888),
            ("loss", None, 0.8778623158686849),
            ("mcc", None, 0.2000064003072164),
            ("precision", None, 0.596),
            ("recall", None, 0.6008064516129032),
            ("roc_auc", None, 0.639928955453149),
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
            ("f1", None, 0.5),
            ("loss", None, 18.021826694558577),
            ("mcc", None, 0.0),
            ("precision", None, 0.5),
            ("recall", None, 0.5),
            ("roc_auc", None, 0.5),
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
            ("f1", None, 0.0),
            ("loss", None, 0.40036743569623084),
            ("mcc", None, 0.0),
            ("precision", None, 0.0),
            ("recall", None, 0.0),
            ("roc_auc", None, 1.0),
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
            ("f1", None, 0.8),
            ("loss", None, 0.4594420638235712),
            ("mcc", None, 0.0),
            ("precision", None, 1.0),
            ("recall", None, 0.6666666666666666),
        ],
    );
    assert_eq!(e.headline().unwrap().metric, "accuracy");
    assert_eq!(e.roc, [vec![]]);
    // Without any positive there is nothing to find.
    let e = binary(&[0, 0], &[0.9, 0.4], 0.5);
    assert!(find(&e, "average_precision", None).is_none());
}

#[test]
fn the_roc_curve_has_the_corners_of_scikit_learn() {
    let e = binary(&TIES.0, &TIES.1, 0.5);
    let expected = [
        (0.8, 2.0, 0.0),
        (0.5, 4.0, 2.0),
        (0.4, 5.0, 4.0),
        (0.35, 6.0, 4.0),
        (0.05, 6.0, 6.0),
    ];
    let [start, corners @ ..] = &e.roc[0][..] else {
        panic!("no curve")
    };
    assert_eq!(
        (start.true_positive_rate, start.false_positive_rate),
        (0.0, 0.0)
    );
    assert!(start.threshold > 0.9 && start.threshold.is_finite());
    assert_eq!(corners.len(), expected.len());
    for (corner, (threshold, tp, fp)) in corners.iter().zip(expected) {
        assert_eq!(corner.threshold, threshold);
        assert!((corner.true_positive_rate - tp / 6.0).abs() < 1e-12);
        assert!((corner.false_positive_rate - fp / 6.0).abs() < 1e-12);
    }
}

/// A fixed, evenly spread pseudo-random number in 0 .. 1.
fn spread(i: usize) -> f64 {
    let z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    ((z ^ z >> 32) >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn a_long_roc_curve_is_thinned_without_changing_its_area() {
    let n = 50_000;
    let scores: Vec<f64> = (0..n).map(spread).collect();
    let truth: Vec<u32> = (0..n)
        .map(|i| u32::from(spread(i + n) < scores[i]))
        .collect();
    let e = binary(&truth, &scores, 0.5);
    let curve = &e.roc[0];
    assert!((150..=200).contains(&curve.len()), "{}", curve.len());
    let ends = [curve[0], curve[curve.len() - 1]];
    assert_eq!(
        ends.map(|p| (p.true_positive_rate, p.false_positive_rate)),
        [(0.0, 0.0), (1.0, 1.0)]
    );
    assert!(curve.windows(2).all(|w| w[0].threshold > w[1].threshold));
    let area: f64 = curve
        .windows(2)
        .map(|w| {
            let wide = w[1].false_positive_rate - w[0].false_positive_rate;
            wide * (w[0].true_positive_rate + w[1].true_positive_rate) / 2.0
        })
        .sum();
    let auc = find(&e, "roc_auc", None).unwrap();
    assert!((area - auc.value).abs() < 1e-3);
    assert!(auc.high - auc.low < 0.02);
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
            ("precision", None, 0.5555555555555555),
            ("recall", None, 0.5555555555555555),
            ("f1", None, 0.546031746031746),
            ("roc_auc", None, 0.7592592592592592),
            ("precision", Some("a"), 0.5),
            ("recall", Some("a"), 0.6666666666666666),
            ("f1", Some("a"), 0.5714285714285714),
            ("roc_auc", Some("a"), 0.8055555555555556),
            ("precision", Some("b"), 0.5),
            ("recall", Some("b"), 0.3333333333333333),
            ("f1", Some("b"), 0.4),
            ("roc_auc", Some("b"), 0.7777777777777779),
            ("precision", Some("c"), 0.6666666666666666),
            ("recall", Some("c"), 0.6666666666666666),
            ("f1", Some("c"), 0.6666666666666666),
            ("roc_auc", Some("c"), 0.6944444444444444),
        ],
    );
    assert_baselines(&e, &[("log_loss", None, 3f64.ln()), ("roc_auc", None, 0.5)]);
    assert_eq!(e.confusion, [[2, 0, 1], [2, 1, 0], [0, 1, 2]]);
    assert_eq!(e.headline().unwrap().metric, "accuracy");
    assert_eq!(e.roc.len(), 3);
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
            ("precision", None, 0.5),
            ("recall", None, 0.3333333333333333),
            ("f1", None, 0.38888888888888884),
            // The mean of those that occur; scikit-learn has none.
            ("roc_auc", None, 0.8125),
            ("precision", Some("a"), 1.0),
            ("recall", Some("a"), 0.5),
            ("f1", Some("a"), 0.6666666666666666),
            ("roc_auc", Some("a"), 1.0),
            ("precision", Some("b"), 0.5),
            ("recall", Some("b"), 0.5),
            ("f1", Some("b"), 0.5),
            ("roc_auc", Some("b"), 0.625),
            ("precision", Some("c"), 0.0),
            ("recall", Some("c"), 0.0),
            ("f1", Some("c"), 0.0),
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
        ],
    );
    assert_baselines(
        &e,
        &[
            ("rmse", None, 411.7674707890365),
            ("mae", None, 257.7),
            ("r2", None, -0.06578337308931781),
        ],
    );
    assert_eq!(e.headline().unwrap().metric, "rmse");
    assert!(e.confusion.is_empty() && e.roc.is_empty());
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
fn few_or_unusable_rows_leave_metrics_out_and_all_numbers_finite() {
    let shares = |n: usize| Baseline::Shares(vec![1.0 / n as f64; n]);
    let labels = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
    let nan = f64::NAN;
    let cases: Vec<(Task, usize, Truth, Vec<f64>, Baseline)> = vec![
        (Task::Binary, 2, Truth::Classes(vec![]), vec![], shares(2)),
        (
            Task::Binary,
            2,
            Truth::Classes(vec![1]),
            vec![0.7],
            shares(2),
        ),
        (
            Task::Binary,
            2,
            Truth::Classes(vec![0, 1]),
            vec![nan, 0.2],
            Baseline::Mean(nan),
        ),
        (
            Task::Binary,
            2,
            Truth::Classes(vec![7, 1]),
            vec![0.1, 0.2, 0.3],
            shares(3),
        ),
        (
            Task::Multiclass,
            3,
            Truth::Classes(vec![2]),
            vec![0.2, 0.3, 0.5],
            shares(3),
        ),
        (
            Task::Multiclass,
            3,
            Truth::Classes(vec![2, 2, 9]),
            vec![0.2; 9],
            shares(3),
        ),
        (
            Task::Multiclass,
            0,
            Truth::Classes(vec![0]),
            vec![0.2],
            shares(1),
        ),
        (
            Task::Regression,
            0,
            Truth::Values(vec![]),
            vec![],
            Baseline::Mean(0.0),
        ),
        (
            Task::Regression,
            0,
            Truth::Values(vec![1.5]),
            vec![2.0],
            Baseline::Mean(nan),
        ),
        (
            Task::Regression,
            0,
            Truth::Values(vec![1.0, nan]),
            vec![nan, 1.0],
            Baseline::Mean(0.0),
        ),
        (
            Task::Regression,
            0,
            Truth::Values(vec![1e308, -1e308]),
            vec![-1e308, 1e308],
            Baseline::Mean(0.0),
        ),
    ];
    for (task, classes, truth, predictions, baseline) in cases {
        let e = evaluate(task, &labels(classes), &truth, &predictions, &baseline, 3);
        for m in &e.metrics {
            let numbers = [Some(m.value), Some(m.low), Some(m.high), m.baseline];
            assert!(numbers.iter().flatten().all(|v| v.is_finite()), "{m:?}");
        }
        let truths = match &truth {
            Truth::Classes(t) => t.len(),
            Truth::Values(t) => t.len(),
        };
        assert!(e.rows as usize <= truths);
        if e.rows == 0 {
            assert!(e.metrics.is_empty());
        }
    }
    let e = regression(&[1.5], &[2.0], 1.0);
    assert!(find(&e, "r2", None).is_none());
    assert_eq!(find(&e, "mae", None).unwrap().value, 0.5);
}

#[test]
fn an_evaluation_survives_json() {
    for e in [
        binary(&TIES.0, &TIES.1, 0.3),
        regression(&[1.0, 2.0], &[1.0, 3.0], 1.5),
    ] {
        let text = serde_json::to_string(&e).unwrap();
        let back: Evaluation = serde_json::from_str(&text).unwrap();
        assert_eq!(back.metrics, e.metrics);
        assert_eq!(back.roc, e.roc);
    }
}

#[test]
fn intervals_hold_the_true_value_about_as_often_as_they_say() {
    // Answers are right with probability 0.8, so that is what 95% of the intervals should hold.
    let (trials, n) = (200, 400);
    let mut held = 0;
    for trial in 0..trials {
        let row = |i: usize| spread(trial * n + i);
        let truth: Vec<u32> = (0..n).map(|i| (i % 2) as u32).collect();
        let right = |i: usize| row(i) < 0.8;
        let scores: Vec<f64> = (0..n)
            .map(|i| if (i % 2 == 1) == right(i) { 0.9 } else { 0.1 })
            .collect();
        let e = binary(&truth, &scores, 0.5);
        let accuracy = find(&e, "accuracy", None).unwrap();
        held += u32::from(accuracy.low <= 0.8 && 0.8 <= accuracy.high);
        let wide = accuracy.high - accuracy.low;
        // 2 · 1.96 · sqrt(0.8 · 0.2 / 400) = 0.078
        assert!((0.05..0.11).contains(&wide), "{wide}");
    }
    assert!((180..=199).contains(&held), "{held} of {trials}");
}

#[test]
fn intervals_depend_on_the_seed_alone_and_not_on_threads() {
    let scores: Vec<f64> = (0..500).map(spread).collect();
    let truth: Vec<u32> = (0..500)
        .map(|i| u32::from(spread(i + 500) < scores[i]))
        .collect();
    let alone = binary(&truth, &scores, 0.5);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    let pooled = pool.install(|| binary(&truth, &scores, 0.5));
    assert_eq!(alone.metrics, pooled.metrics);
}
