//! Two models on the same rows; parts of the rows.

use super::*;
use crate::frame::{Cell, Column, Kind};
use crate::random::Random;

fn labels() -> [String; 2] {
    ["no".into(), "yes".into()]
}

/// Rows whose outcome follows a number, and that number seen through noise of a given size.
fn seen(rows: usize, noises: [f64; 2], seed: u64) -> (Truth, [Vec<f64>; 2]) {
    let mut random = Random::new(seed);
    let (mut truth, mut seen) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..rows {
        let x = random.normal();
        truth.push(u32::from(x + random.normal() > 0.0));
        for (seen, noise) in seen.iter_mut().zip(noises) {
            seen.push(crate::infer::sigmoid(x + noise * random.normal()));
        }
    }
    (Truth::Classes(truth), seen)
}

fn compared(truth: &Truth, seen: &[Vec<f64>; 2]) -> Vec<Difference> {
    let predictions = [&seen[0][..], &seen[1][..]];
    compare(Task::Binary, &labels(), [0.5; 2], truth, predictions, 1)
}

fn metric<'d>(all: &'d [Difference], name: &str) -> &'d Difference {
    all.iter().find(|d| d.metric == name).unwrap()
}

#[test]
fn a_better_model_is_found_to_be_better() {
    let (truth, seen) = seen(3_000, [1.0, 0.0], 3);
    let all = compared(&truth, &seen);
    for name in [
        "roc_auc",
        "log_loss",
        "average_precision",
        "accuracy",
        "brier",
    ] {
        let d = metric(&all, name);
        assert_eq!(d.better, Some(true), "{d:?}");
        assert!(
            d.p_value < 0.01 && d.low <= d.difference && d.difference <= d.high,
            "{d:?}"
        );
        assert!((d.difference - (d.b - d.a)).abs() < 1e-12);
    }
    let [a, b] = seen;
    let swapped = compared(&truth, &[b, a]);
    assert_eq!(metric(&swapped, "log_loss").better, Some(false));
}

#[test]
fn the_same_model_is_not_better() {
    let (truth, [a, _]) = seen(500, [1.0, 0.0], 5);
    for d in compared(&truth, &[a.clone(), a]) {
        assert_eq!(
            (d.difference, d.p_value, d.better),
            (0.0, 1.0, None),
            "{d:?}"
        );
    }
}

#[test]
fn models_that_are_equally_good_are_rarely_told_apart() {
    // At 5%, of 200 trials 10 are expected; 22 or more have a probability below 0.001.
    let mut found = [0; 2];
    for trial in 0..200 {
        let (truth, seen) = seen(200, [1.0, 1.0], 100 + trial);
        let all = compared(&truth, &seen);
        for (found, name) in found.iter_mut().zip(["roc_auc", "log_loss"]) {
            *found += u32::from(metric(&all, name).p_value < 0.05);
        }
    }
    assert!(found.iter().all(|f| (1..22).contains(f)), "{found:?}");
}

#[test]
fn numbers_are_compared_too_and_odd_rows_left_out() {
    let truth = Truth::Values((0..400).map(f64::from).collect());
    let noisy = |size: f64| -> Vec<f64> {
        let mut random = Random::new(9);
        (0..400)
            .map(|i| f64::from(i) + size * random.normal())
            .collect()
    };
    let (mut a, b) = (noisy(9.0), noisy(3.0));
    a[7] = f64::NAN;
    let all = compare(Task::Regression, &[], [0.5; 2], &truth, [&a, &b], 1);
    let rmse = metric(&all, "rmse");
    assert_eq!(rmse.better, Some(true), "{rmse:?}");
    assert!(rmse.a > 8.0 && rmse.b < 4.0, "{rmse:?}");
    let nothing = Truth::Values(vec![f64::NAN]);
    assert!(
        compare(
            Task::Regression,
            &[],
            [0.5; 2],
            &nothing,
            [&[1.0], &[1.0]],
            1
        )
        .is_empty()
    );
}

#[test]
fn slices_show_where_a_model_is_blind() {
    let mut group = Column::new("group", "text", Kind::Category);
    let mut age = Column::new("age", "integer", Kind::Number);
    let mut random = Random::new(2);
    let (mut truth, mut predictions) = (Vec::new(), Vec::new());
    for i in 0..2_000 {
        let old = i % 2 == 0;
        group.push(match i % 50 {
            0 => Cell::Null,
            _ => Cell::Text(if old { "old" } else { "young" }),
        });
        age.push(Cell::Number(f64::from(i % 100)));
        let x = random.normal();
        truth.push(u32::from(x > 0.0));
        predictions.push(if old {
            crate::infer::sigmoid(3.0 * x)
        } else {
            0.5
        });
    }
    let outcomes = Outcomes {
        truth: Truth::Classes(truth),
        predictions,
    };
    let rows: Vec<u32> = (0..2_000).collect();
    let base = Baseline::Shares(vec![0.5, 0.5]);
    let of = |column: &Column| {
        slices(
            Task::Binary,
            &labels(),
            0.5,
            &base,
            &outcomes,
            column,
            &rows,
            1,
        )
    };
    let parts = of(&group).unwrap();
    let auc = |name: &str| {
        let part = parts.iter().find(|(n, _)| n == name).unwrap();
        find(&part.1, "roc_auc", None).unwrap().value
    };
    assert_eq!((auc("old"), auc("young")), (1.0, 0.5));
    assert_eq!(parts.iter().map(|(_, e)| e.rows).sum::<u64>(), 2_000);
    assert_eq!(parts.last().unwrap().0, "NULL");
    let quarters: Vec<_> = of(&age)
        .unwrap()
        .iter()
        .map(|(name, e)| (name.clone(), e.rows))
        .collect();
    let expected = ["[0,25)", "[25,50)", "[50,75)", "[75,99]"].map(|n| (n.to_owned(), 500));
    assert_eq!(quarters, expected);
    assert!(of(&Column::new("when", "date", Kind::Time)).is_none());
}

#[test]
fn errors_and_losses_are_better_when_they_are_smaller() {
    for name in [
        "rmse",
        "log_loss",
        "hamming_loss",
        "mean_pinball_loss",
        "mean_poisson_deviance",
        "integrated_brier_score",
    ] {
        assert!(smaller_is_better(name), "{name}");
    }
    for name in ["roc_auc", "accuracy", "r2", "concordance_index", "auuc"] {
        assert!(!smaller_is_better(name), "{name}");
    }
}
