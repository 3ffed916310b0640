//! How often customers come.

use super::periods::{Periods, behaviour, events};
use super::tests::{baseline, fitted, frame, log, score};
use super::*;
use crate::frame::Frame;
use crate::random::Random;
use serde_json::json;

const DAY: i64 = 86_400;

/// Customers that buy at unlike rates, each leaving for good at a time of its own; amounts tell nothing.
fn shop(keys: usize, days: i64) -> Frame {
    let mut random = Random::new(11);
    let mut rows = Vec::new();
    for key in 0..keys {
        let rate = if key % 3 == 0 { 0.12 } else { 0.015 };
        let leaves = (-random.uniform().max(1e-9).ln() * 150.0) as i64;
        let first = (random.uniform() * 80.0) as i64;
        for day in first..days {
            if day == first || day - first < leaves && random.uniform() < rate {
                rows.push((
                    format!("c{key:04}"),
                    day * DAY,
                    None,
                    5.0 + random.uniform(),
                ));
            }
        }
    }
    frame(rows.into_iter())
}

fn horizon(days: i64) -> TargetOf {
    TargetOf::Count {
        horizon: (days * DAY) as f64,
    }
}

#[test]
fn counts_to_come_are_foretold() {
    let frame = shop(1500, 300);
    let log = log(&frame);
    let model = fitted(&log, &horizon(60), json!({"epochs": 12}));
    assert_eq!(model.encoder.target, Target::Count);
    let rmse = score(&model, "rmse");
    assert!(rmse.value < 0.95 * baseline(rmse, "own_rate"), "{rmse:?}");
    // The model of purchases is made for such customers.
    assert!(rmse.value < 1.05 * baseline(rmse, "bg_nbd"), "{rmse:?}");
    assert!(
        score(&model, "bias").value.abs() < 0.3,
        "{:?}",
        model.scores
    );
    assert!(
        score(&model, "correlation").value > 0.6,
        "{:?}",
        model.scores
    );
    let bytes = model.to_bytes();
    let again = SequenceModel::from_bytes(&bytes).unwrap();
    assert_eq!(again.to_bytes(), bytes);
    // All at once and one by one answer the same, and buyers of late are expected more often than those long gone.
    let predictor = Predictor::new(again).unwrap();
    let encoder = &predictor.model().encoder;
    let (all, now) = (encoder.encode(&log), encoder.now(&log));
    let mut state = predictor.state();
    let mut best = (f64::NEG_INFINITY, 0.0);
    let mut total = 0.0;
    for key in 0..log.keys.len() {
        predictor.read(&mut state, &all, key);
        let value = predictor.value(&mut state);
        let own = encoder.encode_key(&log, key, now);
        predictor.read(&mut state, &own, 0);
        assert_eq!(predictor.value(&mut state), value);
        total += value;
        if value > best.0 {
            best = (value, behaviour(&log, key, now).unwrap().t_x);
        }
    }
    assert!(best.0 > 2.0 && best.1 > 60.0 * DAY as f64, "{best:?}");
    assert!(total > 100.0, "{total}");
}

#[test]
fn the_same_seed_counts_the_same() {
    let frame = shop(200, 200);
    let log = log(&frame);
    let fit = || fitted(&log, &horizon(30), json!({"epochs": 2, "algorithm": "gru"}));
    let (mut one, mut two) = (fit(), fit());
    (one.seconds, two.seconds) = (0.0, 0.0);
    for model in [&mut one, &mut two] {
        for epoch in &mut model.history {
            (epoch.seconds, epoch.rows_per_second) = (0.0, 0.0);
        }
    }
    assert_eq!(one.to_bytes(), two.to_bytes());
}

#[test]
fn rows_of_a_moment_are_one_event() {
    let days = [0, 0, 3, 10, 10, 20];
    let rows = days.map(|day| ("a".to_owned(), day * DAY, None, 1.0));
    let late = [("b".to_owned(), 30 * DAY, None, 1.0)];
    let frame = frame(rows.into_iter().chain(late));
    let log = log(&frame);
    let until = 20.0 * DAY as f64;
    let known = behaviour(&log, 0, until).unwrap();
    assert_eq!((known.x, known.t_x), (3.0, until));
    assert!(behaviour(&log, 1, until).is_none());
    assert_eq!(events(&log, 0, 2.0 * DAY as f64, until), 3);
    let periods = Periods::fit(&log, 28.0 * DAY as f64).unwrap();
    assert_eq!(periods.count, 4);
    let histories = periods.histories(&log, &[], &[], &[0, 1], until);
    // Of 21 days three periods, of which the last ends now; the first purchase is no event.
    assert_eq!(histories.offsets, [0, 3, 3]);
    assert_eq!(histories.values, [1.0, 2.0, 3.0]);
}

#[test]
fn old_rows_of_a_long_history_only_count() {
    let days = [0, 1, 2, 100_000_000, 100_000_003];
    let rows = days.map(|day| ("a".to_owned(), day * DAY, None, 1.0));
    let rows = frame(rows.into_iter());
    let log = log(&rows);
    let periods = Periods {
        horizon: 28.0 * DAY as f64,
        count: 4,
        now: 0.0,
        seasonal: false,
    };
    let until = 100_000_003.0 * DAY as f64;
    let histories = periods.histories(&log, &[], &[], &[0], until);
    assert_eq!(histories.steps(), 400);
    assert_eq!(histories.values[..2], [2.0, 2.0]);
    assert_eq!(histories.values[399], 4.0);
}

#[test]
fn a_horizon_far_beyond_the_rows_is_refused() {
    let frame = shop(50, 100);
    let log = log(&frame);
    let params = Params::default();
    for days in [0, 1000] {
        let error = fit(&log, &horizon(days), &[], &params, &mut |_| true).unwrap_err();
        assert_eq!(error.sqlstate, "22023");
        assert!(error.message.contains("horizon"), "{}", error.message);
    }
}
