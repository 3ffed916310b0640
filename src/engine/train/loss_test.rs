//! Derivatives against differences, and that every loss is smallest where it should be.

use super::*;
use crate::artifact::Task;
use crate::params::Params;
use serde_json::json;

fn objective(task: Task, options: serde_json::Value, output: Output, outputs: usize) -> Objective {
    let options = options.as_object().unwrap().clone();
    let params = Params::from_json(&options).unwrap().check(task, 1000);
    Objective::new(&params.unwrap(), output, outputs)
}

fn singles() -> Vec<Objective> {
    let values = [
        json!({"loss": "mean_squared_error"}),
        json!({"loss": "mean_absolute_error"}),
        json!({"loss": "huber", "huber_delta": 0.7}),
        json!({"loss": "quantile", "quantile": 0.8}),
    ];
    let values = values.map(|o| objective(Task::Regression, o, Output::Identity, 1));
    let logarithms = [
        json!({"loss": "poisson"}),
        json!({"loss": "tweedie", "tweedie_power": 1.3}),
    ];
    let logarithms = logarithms.map(|o| objective(Task::Regression, o, Output::Exp, 1));
    let odds = [
        json!({}),
        json!({"loss": "mean_squared_error"}),
        json!({"loss": "focal"}),
        json!({"loss": "focal", "focal_gamma": 0.5}),
    ];
    let odds = odds.map(|o| objective(Task::Binary, o, Output::Sigmoid, 1));
    values.into_iter().chain(logarithms).chain(odds).collect()
}

#[test]
fn slopes_are_the_losses_derivatives() {
    for objective in singles() {
        for z in [-3.0, -0.4, 0.31, 1.7, 6.0] {
            for y in [0.0, 1.0] {
                let at = |z| objective.point(z, y).loss;
                let step = 1e-5;
                let slope = (at(z + step) - at(z - step)) / (2.0 * step);
                let point = objective.point(z, y);
                let close = (point.slope - slope).abs() < 1e-6 + 1e-5 * slope.abs();
                assert!(close, "{objective:?} at {z}, {y}: {point:?}, not {slope}");
                assert!(
                    point.loss >= 0.0 && point.curve >= 0.0,
                    "{objective:?} {point:?}"
                );
            }
        }
    }
}

#[test]
fn slopes_of_a_softmax_are_the_losses_derivatives() {
    for options in [
        json!({}),
        json!({"loss": "mean_squared_error"}),
        json!({"loss": "focal"}),
        json!({"loss": "focal", "focal_gamma": 1}),
    ] {
        let objective = objective(Task::Multiclass, options, Output::Softmax, 3);
        let sums = [0.4f32, -1.2, 0.9];
        for code in [0.0, 1.0, 2.0] {
            let at = |change: usize, step: f32| {
                let mut sums = sums;
                sums[change] += step;
                objective.derive(&mut sums, &[code])
            };
            let mut slopes = sums;
            objective.derive(&mut slopes, &[code]);
            for (i, slope) in slopes.iter().enumerate() {
                let differences = (at(i, 1e-2) - at(i, -1e-2)) / 2e-2;
                assert!(
                    (f64::from(*slope) - differences).abs() < 2e-4,
                    "{objective:?} {code} {i}: {slope}, not {differences}"
                );
            }
            let steep = objective.steep();
            let scores: Vec<Vec<f32>> = sums.iter().map(|s| vec![*s]).collect();
            let mut slopes = sums;
            let loss = steep.derive(&mut slopes, &[code]);
            for (i, slope) in slopes.iter().enumerate() {
                let pair = steep.pair(&scores, 0, i, &[code]);
                assert!((pair.slope - f64::from(*slope)).abs() < 1e-6);
                assert!((pair.loss - loss).abs() < 1e-6 && pair.curve > 0.0);
            }
        }
    }
}

#[test]
fn an_output_without_a_target_does_not_count() {
    let objective = objective(Task::Regression, json!({}), Output::Identity, 3);
    let mut sums = [1.0, 2.0, 3.0];
    let loss = objective.derive(&mut sums, &[0.0, f32::NAN, 3.5]);
    assert_eq!((loss, sums), (1.25, [2.0, 0.0, -1.0]));
    let scores = vec![vec![1.0], vec![2.0], vec![3.0]];
    let none = objective.pair(&scores, 0, 1, &[0.0, f32::NAN, 3.5]);
    assert_eq!(none, Point::default());
}

#[test]
fn answers_and_sums_have_one_loss() {
    for objective in singles().into_iter().map(Objective::steep) {
        for (z, y) in [(0.3, 1.0), (-2.0, 0.0)] {
            let mut answer = [0.0];
            objective.output.add(&[z], 1.0, &mut answer);
            let (a, b) = (
                objective.of_answers(&answer, &[y]),
                objective.derive(&mut [z], &[y]),
            );
            assert!((a - b).abs() < 1e-6, "{objective:?}: {a}, {b}");
        }
    }
}
