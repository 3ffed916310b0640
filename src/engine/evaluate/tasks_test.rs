//! Scores of the less common tasks against scikit-learn 1.9.

use super::*;

fn of(e: &Evaluation, name: &str) -> f64 {
    let found = e
        .metrics
        .iter()
        .find(|m| m.metric == name && m.class.is_none());
    found.unwrap_or_else(|| panic!("no {name}")).value
}

fn assert_close(e: &Evaluation, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        let found = of(e, name);
        assert!((found - value).abs() < 1e-9, "{name}: {found}, not {value}");
    }
}

fn labels(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("label {i}")).collect()
}

#[test]
fn scores_of_labels_are_those_of_scikit_learn() {
    #[rustfmt::skip]
    let p = [0.81, 0.81, 0.52, 0.29, 0.05, 0.38, 0.41, 0.05, 0.05, 0.1, 0.2, 0.3, 0.43, 0.97, 0.9, 0.84, 0.39, 0.49,
        0.68, 0.06, 0.56, 0.27, 0.88, 0.06, 0.68, 0.87, 0.23, 0.9, 0.87, 0.02, 0.71, 0.0, 0.5, 0.44, 0.2, 0.32];
    #[rustfmt::skip]
    let t = [0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0];
    let truth = Truth::Labels(t.iter().map(|t| *t == 1).collect());
    let baseline = Baseline::Rates(vec![0.5, 0.4, 0.3]);
    let e = evaluate(Task::Multilabel, &labels(3), &truth, &p, 0.5, &baseline, 1);
    assert_close(
        &e,
        &[
            ("accuracy", 0.08333333333333333),
            ("hamming_loss", 0.5555555555555556),
            ("f1", 0.3621933621933622),
            ("f1_micro", 0.3333333333333333),
            ("f1_samples", 0.21944444444444444),
            ("precision", 0.35555555555555557),
            ("recall", 0.3841269841269841),
            ("roc_auc", 0.41358024691358025),
            ("average_precision", 0.4956108706108706),
            ("log_loss", 1.9869719540050583),
        ],
    );
    assert_eq!(e.headline().unwrap().metric, "roc_auc");
    assert!(e.headline().unwrap().class.is_none());
    assert_eq!(e.headline().unwrap().baseline, Some(0.5));
}

#[test]
fn scores_of_ordered_labels_are_those_of_scikit_learn() {
    let truth = [3, 1, 0, 2, 0, 2, 0, 3, 2, 3, 2, 2, 1, 3, 0];
    let answered = [2, 1, 1, 2, 1, 3, 0, 3, 2, 3, 2, 2, 2, 3, 0];
    let sure = |label: usize| (0..4).map(move |k| if k == label { 0.7 } else { 0.1 });
    let p: Vec<f64> = answered.into_iter().flat_map(sure).collect();
    let baseline = Baseline::Shares(vec![0.3, 0.1, 0.4, 0.2]);
    let truth = Truth::Classes(truth.to_vec());
    let e = evaluate(Task::Ordinal, &labels(4), &truth, &p, 0.5, &baseline, 1);
    let expected = [
        ("quadratic_weighted_kappa", 0.8554913294797688),
        ("mae", 0.3333333333333333),
        ("accuracy", 10.0 / 15.0),
    ];
    assert_close(&e, &expected);
    assert_eq!(e.headline().unwrap().metric, "quadratic_weighted_kappa");
    assert_eq!(e.headline().unwrap().baseline, Some(0.0));
    assert_eq!(e.confusion.len(), 4);
}

#[test]
fn losses_of_values_are_those_of_scikit_learn() {
    let truth = Truth::Values(vec![0.0, 1.0, 2.5, 4.0, 0.0, 7.0]);
    let p = [0.5, 1.2, 2.0, 5.0, 0.1, 6.0];
    for (gauge, name, want) in [
        (Gauge::Poisson, "mean_poisson_deviance", 0.2873392916751799),
        (
            Gauge::Tweedie(1.3),
            "mean_tweedie_deviance",
            0.4468818803147152,
        ),
        (Gauge::Pinball(0.8), "mean_pinball_loss", 0.26),
    ] {
        let baseline = Baseline::Value { value: 2.0, gauge };
        let e = evaluate(Task::Regression, &[], &truth, &p, 0.5, &baseline, 1);
        assert_close(&e, &[(name, want)]);
        assert_eq!(e.headline().unwrap().metric, name);
    }
    // A deviance of a negative truth is not defined.
    let baseline = Baseline::Value {
        value: 2.0,
        gauge: Gauge::Poisson,
    };
    let truth = Truth::Values(vec![-1.0, 2.0]);
    let e = evaluate(
        Task::Regression,
        &[],
        &truth,
        &[1.0, 2.0],
        0.5,
        &baseline,
        1,
    );
    assert_eq!(e.headline().unwrap().metric, "rmse");
}

#[test]
fn scores_of_times_are_those_of_scikit_survival() {
    let times = [7., 1., 2., 2., 2., 7., 7., 5., 1., 1., 3., 4., 5., 4.];
    let events = [1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1];
    #[rustfmt::skip]
    let hazards = [0.58, 0.18, 0.19, 0.54, 0.35, 0.28, 0.46, 0.02, 0.42, 0.22, 0.05, 0.4, 0.56, 0.12, 0.38, 0.46, 0.02, 0.42,
        0.13, 0.5, 0.39, 0.41, 0.49, 0.26, 0.46, 0.53, 0.06, 0.51, 0.24, 0.29, 0.09, 0.42, 0.18, 0.52, 0.17, 0.34, 0.24, 0.37,
        0.12, 0.11, 0.45, 0.45];
    let truth = Truth::Survival {
        times: times.to_vec(),
        events: events.iter().map(|e| *e == 1).collect(),
    };
    let baseline = Baseline::Survival {
        ends: vec![2.0, 5.0, 8.0],
        hazards: vec![0.3, 0.3, 0.5],
        seen: vec![
            (1.0, 6.0 / 7.0),
            (3.0, 0.75),
            (4.0, 9.0 / 14.0),
            (5.0, 18.0 / 35.0),
        ],
    };
    let e = evaluate(Task::Survival, &[], &truth, &hazards, 0.5, &baseline, 1);
    // The second by a few lines of Python that follow the definition.
    let expected = [
        ("concordance_index", 0.4148936170212766),
        ("integrated_brier_score", 0.18267514550487202),
    ];
    assert_close(&e, &expected);
    assert_eq!(e.headline().unwrap().baseline, Some(0.5));
}

#[test]
fn the_qini_curve_is_that_of_its_definition() {
    // Ranked: treated 1, other 0, treated 1, other 1, treated 0 and other 0 (equal effects), other 1, treated 0.
    let effects = [0.8, 0.7, 0.6, 0.5, 0.4, 0.4, 0.2, 0.1];
    let outcomes = vec![1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let treated = [true, false, true, false, true, false, false, true].to_vec();
    let truth = Truth::Uplift {
        outcomes: outcomes.clone(),
        treated: treated.clone(),
    };
    let e = evaluate(
        Task::Uplift,
        &[],
        &truth,
        &effects,
        0.5,
        &Baseline::Effect(0.1),
        1,
    );
    // Y_t - Y_c N_t / N_c by rank: 1, 1, 2, 1, 1, 2 - 2 * 3 / 4, 0; over the 4 treated rows.
    let more = [
        1.0,
        1.0,
        2.0,
        2.0 - 1.0,
        2.0 - 1.0,
        2.0 - 2.0 * 3.0 / 4.0,
        0.0,
    ];
    let points: Vec<(f64, f64)> = e.qini.iter().map(|p| (p.fraction, p.qini)).collect();
    let fractions = [1.0, 2.0, 3.0, 4.0, 6.0, 7.0, 8.0];
    for ((fraction, qini), (f, m)) in points[1..].iter().zip(fractions.into_iter().zip(more)) {
        assert!(
            (fraction - f / 8.0).abs() < 1e-12 && (qini - m / 4.0).abs() < 1e-12,
            "{points:?}"
        );
    }
    let area = (0.5 + 1.0 + 1.5 + 1.5 + 2.0 + 0.75 + 0.25) / 8.0 / 4.0;
    assert_close(
        &e,
        &[
            ("qini_coefficient", area),
            ("average_treatment_effect", 0.0),
        ],
    );
    assert!((qini_coefficient(&effects, &outcomes, &treated) - area).abs() < 1e-12);
}
