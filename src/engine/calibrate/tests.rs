use super::*;
use crate::random::Random;

/// Rows whose log-odds are normal; `seen` turns the true probability into the one that is predicted.
fn rows(n: usize, seed: u64, seen: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<u32>) {
    let mut random = Random::new(seed);
    let mut one = || {
        let p = sigmoid(1.5 * random.normal());
        (seen(p), u32::from(random.uniform() < p))
    };
    (0..n).map(|_| one()).unzip()
}

fn odds(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

fn overconfident(p: f64) -> f64 {
    sigmoid(2.5 * odds(p))
}

/// What class weights do.
fn shifted(p: f64) -> f64 {
    sigmoid(odds(p) + 1.5)
}

fn loss(calibration: &Calibration, (p, y): &(Vec<f64>, Vec<u32>)) -> f64 {
    let each = p.iter().zip(y).map(|(p, y)| {
        let p = calibration.of(*p);
        -(if *y == 1 { p } else { 1.0 - p }).ln()
    });
    each.sum::<f64>() / p.len() as f64
}

fn fitted(method: Method, (p, y): &(Vec<f64>, Vec<u32>)) -> Calibration {
    fit(method, Task::Binary, false, p, y)
}

#[test]
fn what_is_wrong_is_put_right_on_unseen_rows() {
    let truth = loss(&Calibration::None, &rows(20_000, 2, |p| p));
    for seen in [overconfident, shifted] {
        let (known, unseen) = (rows(4_000, 1, seen), rows(20_000, 2, seen));
        let before = loss(&Calibration::None, &unseen);
        assert!(before > truth + 0.05);
        for method in [Method::Auto, Method::Beta, Method::Isotonic] {
            let after = loss(&fitted(method, &known), &unseen);
            assert!(
                after < truth + 0.006,
                "{method:?}: {before} {after} {truth}"
            );
        }
    }
    let Calibration::Temperature { inverse } =
        fitted(Method::Temperature, &rows(20_000, 3, overconfident))
    else {
        panic!("no temperature");
    };
    assert!((inverse - 0.4).abs() < 0.02, "{inverse}");
}

#[test]
fn what_is_right_is_left_alone() {
    let unseen = rows(20_000, 2, |p| p);
    let before = loss(&Calibration::None, &unseen);
    let mut touched = 0;
    for seed in 0..40 {
        let found = fitted(Method::Auto, &rows(1_000, 50 + seed, |p| p));
        touched += u32::from(found != Calibration::None);
        assert!(loss(&found, &unseen) < before + 0.005, "{found:?}");
    }
    assert!(touched <= 4, "{touched} of 40");
    assert_eq!(
        fitted(Method::Auto, &rows(90, 1, overconfident)),
        Calibration::None
    );
}

#[test]
fn every_method_keeps_the_order() {
    let known = rows(3_000, 4, overconfident);
    for method in [Method::Temperature, Method::Beta, Method::Isotonic] {
        let calibration = fitted(method, &known);
        assert_ne!(calibration, Calibration::None);
        assert!(calibration.is_sound(Task::Binary));
        let mut p = known.0.clone();
        p.sort_by(f64::total_cmp);
        let out: Vec<f64> = p.iter().map(|p| calibration.of(*p)).collect();
        let kept = p.windows(2).zip(out.windows(2));
        assert!(
            kept.clone().all(|(p, out)| p[0] == p[1] || out[0] < out[1]),
            "{method:?}"
        );
        assert!(out.iter().all(|p| (0.0..=1.0).contains(p)));
    }
}

#[test]
fn beta_calibration_is_a_logistic_regression() {
    // By scipy.optimize.minimize on [ln p, -ln(1 - p), 1] of these rows, with the pull to no calibration.
    let p: Vec<f64> = (0..400).map(|i| (f64::from(i % 97) + 1.0) / 99.0).collect();
    let y: Vec<u32> = (0..400u32)
        .map(|i| u32::from(i * 7919 % 100 < 10 + i % 97 * 8 / 10))
        .collect();
    let Calibration::Beta { a, b, c } = fit(Method::Beta, Task::Binary, false, &p, &y) else {
        panic!("no beta");
    };
    let expected = [0.49923165, 0.80030331, -0.36304223];
    for (found, expected) in [a, b, c].iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{a} {b} {c}");
    }
}

#[test]
fn isotonic_pools_what_falls() {
    let p = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.9];
    let y = [0, 1, 0, 0, 1, 1, 1, 1];
    let Calibration::Isotonic { from, to } = fit(Method::Isotonic, Task::Binary, false, &p, &y)
    else {
        panic!("not isotonic");
    };
    // Pools: 0.1; 0.2 to 0.4 with a third; 0.5 to 0.9 with all.
    let least = 0.5 / 9.0;
    let expected = [
        (0.0, least / 2.0),
        (0.1, least),
        (0.3, 1.0 / 3.0),
        (0.65, 1.0 - least),
        (1.0, 1.0 - least / 2.0),
    ];
    assert_eq!(from.len(), expected.len());
    for ((x, y), (from, to)) in from.iter().zip(&to).zip(expected) {
        assert!(
            (x - from).abs() < 1e-12 && (y - to).abs() < 1e-12,
            "{x} {y}"
        );
    }
}

#[test]
fn many_labels_have_a_temperature() {
    let mut random = Random::new(8);
    let (mut predictions, mut truth) = (Vec::new(), Vec::new());
    for _ in 0..8_000 {
        let sums: Vec<f64> = (0..4).map(|_| random.normal()).collect();
        let softmax = |factor: f64| -> Vec<f64> {
            let e: Vec<f64> = sums.iter().map(|s| (factor * s).exp()).collect();
            let all: f64 = e.iter().sum();
            e.iter().map(|e| e / all).collect()
        };
        let mut left = random.uniform();
        let own = softmax(1.0).iter().position(|p| {
            left -= p;
            left < 0.0
        });
        truth.push(own.unwrap_or(3) as u32);
        predictions.extend(softmax(2.0));
    }
    let Calibration::Temperature { inverse } = fit(
        Method::Temperature,
        Task::Multiclass,
        false,
        &predictions,
        &truth,
    ) else {
        panic!("no temperature");
    };
    assert!((inverse - 0.5).abs() < 0.03, "{inverse}");
    let mut row = [0.7, 0.2, 0.1, 0.0];
    Calibration::Temperature { inverse }.apply(&mut row);
    assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(row.windows(2).all(|w| w[0] > w[1]), "{row:?}");
}

/// Probabilities of four labels that are true, and what a model says that is too sure of the first label, not sure enough of the
/// second and answers the fourth too often.
fn skewed(rows: usize, seed: u64) -> (Vec<f64>, Vec<f64>, Vec<u32>) {
    let mut random = Random::new(seed);
    let softmax = |sums: &[f64]| -> Vec<f64> {
        let e: Vec<f64> = sums.iter().map(|s| s.exp()).collect();
        let all: f64 = e.iter().sum();
        e.iter().map(|e| e / all).collect()
    };
    let (mut right, mut said, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let sums: Vec<f64> = (0..4).map(|_| 1.5 * random.normal()).collect();
        let answer = softmax(&sums);
        let log = |label: usize| answer[label].ln();
        let p = softmax(&[0.5 * log(0), 2.0 * log(1), log(2), log(3) - 1.5]);
        let mut left = random.uniform();
        let own = p.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        truth.push(own.unwrap_or(3) as u32);
        said.extend(answer);
        right.extend(p);
    }
    (right, said, truth)
}

fn loss_of_many(calibration: &Calibration, predictions: &[f64], truth: &[u32]) -> f64 {
    let each = predictions.chunks_exact(4).zip(truth).map(|(p, y)| {
        let mut p = p.to_vec();
        calibration.apply(&mut p);
        -p[*y as usize].ln()
    });
    each.sum::<f64>() / truth.len() as f64
}

#[test]
fn labels_that_are_wrong_in_ways_of_their_own_are_put_right() {
    let (_, known, known_truth) = skewed(4_000, 1);
    let (right, unseen, truth) = skewed(20_000, 2);
    let fitted = |method| fit(method, Task::Multiclass, false, &known, &known_truth);
    let loss = |calibration: &Calibration| loss_of_many(calibration, &unseen, &truth);
    let best = loss_of_many(&Calibration::None, &right, &truth);
    let none = loss(&Calibration::None);
    let one = loss(&fitted(Method::Temperature));
    let vector = fitted(Method::Auto);
    assert_eq!(vector.name(), "vector");
    assert!(vector.is_sound(Task::Multiclass) && vector.labels() == Some(4));
    let own = loss(&vector);
    // One temperature hardly helps.
    assert!(
        none - best > 0.05 && one - best > 0.5 * (none - best),
        "{none} {one} {best}"
    );
    assert!(own - best < 0.004, "{none} {one} {own} {best}");
    let Calibration::Vector { scale, shift } = &vector else {
        panic!("no vector");
    };
    for (found, expected) in scale.iter().zip([0.5, 2.0, 1.0, 1.0]) {
        assert!((found - expected).abs() < 0.2, "{scale:?} {shift:?}");
    }
    // Weights of labels are not undone.
    let weighted = fit(Method::Auto, Task::Multiclass, true, &known, &known_truth);
    assert!(matches!(
        weighted,
        Calibration::Temperature { .. } | Calibration::None
    ));
    // What is right stays.
    let (right, _, truth) = skewed(2_000, 3);
    let fitted = fit(Method::Auto, Task::Multiclass, false, &right, &truth);
    assert_eq!(fitted, Calibration::None);
}

#[test]
fn odd_rows_of_many_labels_give_something_sound() {
    let certain: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 4 == 0))).collect();
    for truth in [vec![0; 100], vec![3; 100], vec![9; 100]] {
        for method in [Method::Auto, Method::Temperature, Method::Vector] {
            let found = fit(method, Task::Multiclass, false, &certain, &truth);
            assert!(found.is_sound(Task::Multiclass), "{found:?}");
            let mut row = [1.0, 0.0, 1e-300, 0.0];
            found.apply(&mut row);
            assert!(
                (row.iter().sum::<f64>() - 1.0).abs() < 1e-9,
                "{found:?} {row:?}"
            );
        }
    }
}

#[test]
fn odd_rows_give_something_sound() {
    let certain = (
        [vec![0.0; 60], vec![1.0; 60]].concat(),
        [vec![0; 60], vec![1; 60]].concat(),
    );
    let wrong = (certain.0.clone(), certain.1.iter().map(|y| 1 - y).collect());
    let one = (vec![0.5; 120], certain.1.clone());
    let single = (vec![0.2; 120], vec![1; 120]);
    for rows in [&certain, &wrong, &one, &single, &(vec![], vec![])] {
        for method in [
            Method::Auto,
            Method::Temperature,
            Method::Beta,
            Method::Isotonic,
        ] {
            let found = fitted(method, rows);
            assert!(found.is_sound(Task::Binary), "{method:?} {found:?}");
            for p in [0.0, 1e-300, 0.3, 1.0] {
                assert!((0.0..=1.0).contains(&found.of(p)), "{found:?}");
            }
        }
    }
    assert_eq!(
        fit(
            Method::Auto,
            Task::Regression,
            false,
            &[1.0; 200],
            &[1; 200]
        ),
        Calibration::None
    );
}

#[test]
fn crafted_calibrations_are_not_sound() {
    let isotonic = |from: &[f64], to: &[f64]| Calibration::Isotonic {
        from: from.to_vec(),
        to: to.to_vec(),
    };
    let bad = [
        Calibration::Temperature { inverse: 0.0 },
        Calibration::Temperature { inverse: f64::NAN },
        Calibration::Beta {
            a: -1.0,
            b: 2.0,
            c: 0.0,
        },
        Calibration::Beta {
            a: 0.0,
            b: 0.0,
            c: 0.0,
        },
        Calibration::Vector {
            scale: vec![1.0, 0.0],
            shift: vec![0.0; 2],
        },
        Calibration::Vector {
            scale: vec![1.0],
            shift: vec![0.0; 2],
        },
        isotonic(&[], &[]),
        isotonic(&[0.0], &[0.1]),
        isotonic(&[0.0, 1.0], &[0.1]),
        isotonic(&[0.0, 0.0], &[0.1, 0.2]),
        isotonic(&[0.0, 1.0], &[0.1, 2.0]),
    ];
    for calibration in bad {
        let many = matches!(calibration, Calibration::Vector { .. });
        let task = if many { Task::Multiclass } else { Task::Binary };
        assert!(!calibration.is_sound(task), "{calibration:?}");
        // Nor do they panic.
        calibration.of(0.4);
        calibration.of(f64::NAN);
    }
    assert!(!isotonic(&[0.0, 1.0], &[0.1, 0.2]).is_sound(Task::Multiclass));
}
