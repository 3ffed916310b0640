//! Odd inputs, intervals, long curves.

use super::*;

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
    let curve = curve(&truth, &scores).roc();
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
        let e = evaluate(
            task,
            &labels(classes),
            &truth,
            &predictions,
            0.5,
            &baseline,
            3,
        );
        for m in &e.metrics {
            let numbers = [Some(m.value), Some(m.low), Some(m.high), m.baseline];
            assert!(numbers.iter().flatten().all(|v| v.is_finite()), "{m:?}");
        }
        let truths = match &truth {
            Truth::Classes(t) => t.len(),
            Truth::Values(t) => t.len(),
            Truth::Labels(t) => t.len() / classes,
            Truth::Survival { times, .. } => times.len(),
            Truth::Uplift { outcomes, .. } => outcomes.len(),
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

#[test]
fn draws_can_be_interrupted() {
    let truth = Truth::Values((0..50).map(f64::from).collect());
    let predictions: Vec<f64> = (0..50).map(|i| f64::from(i) + 0.5).collect();
    let calls = std::cell::Cell::new(0);
    let count = || calls.set(calls.get() + 1);
    let score = |draws: Resampling<'_>| {
        let (task, baseline) = (Task::Regression, Baseline::Mean(25.0));
        evaluate(task, &[], &truth, &predictions, 0.5, &baseline, draws)
    };
    let interrupted = score(Resampling::interruptible(3, &count));
    assert!(calls.get() >= 40, "{}", calls.get());
    assert_eq!(interrupted.metrics, score(3.into()).metrics);
    // It may unwind, as a server's interrupts do.
    let stop = || std::panic::panic_any("canceled");
    let stopped = std::panic::AssertUnwindSafe(|| score(Resampling::interruptible(3, &stop)));
    assert!(std::panic::catch_unwind(stopped).is_err());
}
