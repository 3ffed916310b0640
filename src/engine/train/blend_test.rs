use super::*;
use crate::models::Output;

#[test]
fn shares_are_those_that_do_best_together() {
    // Two that err to either side, and one that is the mean of both and some noise.
    let truth = [1.0, 2.0, 3.0, 4.0];
    let high: Vec<f64> = truth.iter().map(|y| y + 0.5).collect();
    let low: Vec<f64> = truth.iter().map(|y| y - 0.5).collect();
    let noisy = [1.4, 1.6, 3.4, 3.6];
    let loss = |answers: &[f64]| -> f64 {
        let off = answers.iter().zip(&truth).map(|(a, y)| (a - y) * (a - y));
        off.sum::<f64>() / 4.0
    };
    let all = [&high[..], &low[..], &noisy[..]];
    let found = shares(&all, &[WORTH; 3], loss);
    assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(loss(&mix(&all, &found)) < 0.01, "{found:?}");
    // What hardly helps goes.
    let same = [&high[..], &high[..]];
    let alone = shares(&same, &[WORTH; 2], loss);
    assert!(alone.iter().filter(|share| **share > 0.0).count() == 1);
}

fn blended(options: serde_json::Value, rows: usize) -> Trained {
    use crate::train::boost::tests::{data, examples};
    let (train, validation) = (data(rows, 1), data(rows / 4, 2));
    let params = crate::params::Params::from_json(options.as_object().unwrap()).unwrap();
    let params = params.check(crate::artifact::Task::Binary, rows).unwrap();
    let task = Task {
        train: examples(&train),
        validation: Some(examples(&validation)),
        output: Output::Sigmoid,
        outputs: 1,
        params: &params,
        extra: 0,
    };
    auto(&task, Device::Cpu, &mut |_| true).unwrap()
}

#[test]
fn every_row_is_held_out_once() {
    let options = serde_json::json!({"folds": 3, "epochs": 1, "trees": 20});
    let trained = blended(options.clone(), 3200);
    assert_eq!(trained.parts.len() % 3, 0);
    let sum: f64 = trained.parts.iter().map(|part| part.share).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    let held_out = trained.held_out.unwrap();
    assert!(held_out.in_turn(3200));
    assert_eq!(held_out.rows, (0..4000).collect::<Vec<u32>>());
    assert_eq!(held_out.predictions.len(), 4000);
    // They tell of what was learned, row by row: by chance 2,000 would be right.
    let targets = [
        crate::train::boost::tests::data(3200, 1).1,
        crate::train::boost::tests::data(800, 2).1,
    ];
    let right = held_out.predictions.iter().zip(targets.concat());
    let right = right.filter(|(p, y)| (**p > 0.5) == (*y == 1.0)).count();
    assert!(right > 2400, "{right}");
    assert_eq!(blended(options, 3200).held_out.unwrap(), held_out);
}

#[test]
fn a_turn_that_would_be_late_is_not_begun() {
    let started = Instant::now();
    let options = serde_json::json!({"folds": 20, "max_seconds": 1.0, "epochs": 1000, "early_stopping": false});
    let trained = blended(options, 4000);
    // Much more than a tenth, as tests share their processors; without a limit it would take a minute.
    assert!(started.elapsed().as_secs_f64() < 4.0);
    assert_eq!(trained.stopped_by, "max_seconds");
    assert!(trained.held_out.unwrap().rows.len() < 4000);
}

#[test]
fn one_fold_is_judged_by_the_validation_rows() {
    let trained = blended(serde_json::json!({"folds": 1, "epochs": 3}), 800);
    let held_out = trained.held_out.unwrap();
    assert!(!held_out.in_turn(800));
    assert_eq!(held_out.rows, (800..1000).collect::<Vec<u32>>());
}

#[test]
fn a_first_model_is_there_soon() {
    use crate::train::boost::tests::{data, examples};
    let (train, validation) = (data(60_000, 1), data(15_000, 2));
    let options = serde_json::json!({"max_seconds": 4.0, "epochs": 1000, "early_stopping": false});
    let params = crate::params::Params::from_json(options.as_object().unwrap()).unwrap();
    let params = params.check(crate::artifact::Task::Binary, 60_000).unwrap();
    let task = Task {
        train: examples(&train),
        validation: Some(examples(&validation)),
        output: Output::Sigmoid,
        outputs: 1,
        params: &params,
        extra: 0,
    };
    let started = Instant::now();
    let (mut boosted, mut first) = (false, None);
    let trained = auto(&task, Device::Cpu, &mut |step| {
        match step.boosting {
            true => boosted = true,
            false if boosted && first.is_none() => first = Some(started.elapsed().as_secs_f64()),
            false => {}
        }
        true
    });
    let whole = started.elapsed().as_secs_f64();
    let trained = trained.unwrap();
    // The next kind has begun, so the trees are done: after a quarter, and a round and a step that are told late on a busy machine.
    let first = first.unwrap();
    assert!(first < 0.5 * whole, "{first} of {whole}");
    assert_eq!(trained.stopped_by, "max_seconds");
    assert!(trained.parts.len() > 1);
}
