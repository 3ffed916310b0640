//! What a fitted sequence model can do.

use super::*;
use crate::fit::Progress;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::random::Random;
use serde_json::json;

/// Columns of a log: key, time in seconds, item, amount.
pub(super) fn frame(rows: impl Iterator<Item = (String, i64, Option<String>, f64)>) -> Frame {
    let mut key = Column::new("customer", "text", Kind::Category);
    let mut at = Column::new("at", "timestamp", Kind::Time);
    let mut item = Column::new("item", "text", Kind::Category);
    let mut amount = Column::new("amount", "numeric", Kind::Number);
    for (k, t, i, a) in rows {
        key.push(Cell::Text(&k));
        at.push(Cell::Time(t * 1_000_000));
        item.push(i.as_deref().map_or(Cell::Null, Cell::Text));
        amount.push(Cell::Number(a));
    }
    Frame {
        columns: vec![key, at, item, amount],
    }
}

fn order() -> Vec<String> {
    vec!["at".into()]
}

pub(super) fn log(frame: &Frame) -> Log<'_> {
    Log::new(frame, "customer", &order()).unwrap()
}

fn params(options: serde_json::Value) -> Params {
    Params::from_json(options.as_object().unwrap()).unwrap()
}

fn next_item() -> TargetOf {
    TargetOf::Next {
        column: "item".into(),
        category: true,
    }
}

pub(super) fn fitted(
    log: &Log<'_>,
    target: &TargetOf,
    options: serde_json::Value,
) -> SequenceModel {
    fit(log, target, &[], &params(options), &mut |_| true).unwrap()
}

pub(super) fn score<'s>(model: &'s SequenceModel, metric: &str) -> &'s Score {
    model.scores.iter().find(|s| s.metric == metric).unwrap()
}

pub(super) fn baseline(score: &Score, name: &str) -> f64 {
    score.baselines.iter().find(|(n, _)| n == name).unwrap().1
}

/// Histories in which the next item is known from the last two, but not from the last one alone.
fn pairs(keys: usize, len: usize) -> Frame {
    let mut random = Random::new(5);
    let mut rows = Vec::new();
    for key in 0..keys {
        let (mut a, mut b) = (random.below(5), random.below(5));
        for step in 0..len {
            rows.push((
                format!("k{key}"),
                (step * 60 + key) as i64,
                Some(format!("i{b}")),
                1.0,
            ));
            (a, b) = (b, (a + 2 * b) % 5);
        }
    }
    frame(rows.into_iter())
}

#[test]
fn a_network_learns_what_a_markov_chain_cannot() {
    let frame = pairs(300, 12);
    let log = log(&frame);
    for algorithm in ["lstm", "gru", "transformer"] {
        let attends = algorithm == "transformer";
        let hidden = if attends { json!([32, 32]) } else { json!(32) };
        let rate = if attends { 0.003 } else { 0.01 };
        let options = json!({"algorithm": algorithm, "hidden": hidden, "embedding_dim": 8, "epochs": 25,
            "dropout": 0.05, "learning_rate": rate, "patience": 12, "batch_size": 16, "split": "last"});
        let model = fitted(&log, &next_item(), options);
        let hits = score(&model, "hit_rate_at_1");
        assert!(hits.value > 0.9, "{algorithm}: {hits:?}");
        assert!(baseline(hits, "markov_chain") < 0.5);
        let perplexity = score(&model, "perplexity");
        assert!(perplexity.value < baseline(perplexity, "markov_chain"));
    }
}

#[test]
fn a_seed_gives_one_model_whatever_the_threads() {
    let frame = pairs(80, 8);
    let log = log(&frame);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let options = json!({"hidden": 16, "embedding_dim": 8, "epochs": 2});
        let fit = || fitted(&log, &next_item(), options).network.weights;
        pool.build().unwrap().install(fit)
    };
    assert!(with(1) == with(3));
}

#[test]
fn step_by_step_answers_are_those_of_a_whole_window() {
    let frame = pairs(20, 9);
    let log = log(&frame);
    for algorithm in ["lstm", "gru", "transformer"] {
        for tied in [true, false] {
            let hidden = if algorithm == "transformer" {
                [16, 16]
            } else {
                [12, 7]
            };
            let options = json!({"algorithm": algorithm, "hidden": hidden, "embedding_dim": 6, "epochs": 1,
                "tied": tied, "mixture": false, "window": 4, "split": "last"});
            let model = fitted(&log, &next_item(), options);
            let histories = model.encoder.encode(&log);
            let layout = model.network.layout().unwrap();
            let stretches: Vec<_> = (0..20)
                .map(|key| packed::Stretch {
                    key,
                    len: 9,
                    asked_from: 8,
                })
                .collect();
            let runner = train::Runner {
                histories: &histories,
                of_key: false,
                window: 4,
                batch: 7,
            };
            let visit = |shared: &lane::Shared<'_>, lane: &mut lane::Lane| {
                let at = lane.asked();
                let mut out = Vec::new();
                lane.scores(shared, |i, scores| {
                    softmax::probabilities(scores);
                    out.push((at[i].1, scores.to_vec()));
                });
                out
            };
            let asks = |_: &lane::Shared<'_>, _, _| true;
            let whole = runner.run(
                &model.network,
                &layout,
                &stretches,
                asks,
                visit,
                &mut || true,
            );
            let predictor = Predictor::new(model).unwrap();
            let mut state = predictor.state();
            let whole = whole.unwrap().concat();
            assert_eq!(whole.len(), 20);
            for (key, theirs) in whole {
                predictor.read(&mut state, &histories, key);
                for (a, b) in predictor.probabilities(&mut state).iter().zip(&theirs) {
                    assert!((a - b).abs() < 1e-5, "{algorithm} {key}: {a} against {b}");
                }
            }
        }
    }
}

#[test]
fn bytes_give_the_model_back_and_damage_is_found() {
    let frame = pairs(40, 8);
    let log = log(&frame);
    let model = fitted(
        &log,
        &next_item(),
        json!({"hidden": 8, "embedding_dim": 4, "epochs": 1}),
    );
    let bytes = model.to_bytes();
    let file = crate::export::write(&bytes, &crate::export::Origin::default(), false).unwrap();
    assert_eq!(crate::export::read(&file).unwrap().bytes, bytes);
    let again = SequenceModel::from_bytes(&bytes).unwrap();
    assert!(again.network == model.network && again.mixture == model.mixture);
    assert_eq!(
        again.encoder.encode(&log).codes,
        model.encoder.encode(&log).codes
    );
    assert!(SequenceModel::is_one(&bytes));
    for at in (0..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x11;
        assert!(SequenceModel::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(
            SequenceModel::from_bytes(&bytes[..at]).is_err(),
            "{at} bytes"
        );
    }
    let mut wrong = model.clone();
    wrong.network.hidden[0] += 1;
    assert!(SequenceModel::from_bytes(&wrong.to_bytes()).is_err());
    let mut wrong = model;
    wrong.network.weights[3] = f32::NAN;
    assert!(SequenceModel::from_bytes(&wrong.to_bytes()).is_err());
}

#[test]
fn the_best_come_first_and_what_is_left_out_does_not_come() {
    let frame = pairs(40, 8);
    let log = log(&frame);
    let model = fitted(
        &log,
        &next_item(),
        json!({"hidden": 8, "embedding_dim": 4, "epochs": 1}),
    );
    let histories = model.encoder.encode(&log);
    let predictor = Predictor::new(model).unwrap();
    let mut state = predictor.state();
    predictor.read(&mut state, &histories, 3);
    let sum: f32 = predictor.probabilities(&mut state).iter().sum();
    assert!((sum - 1.0).abs() < 1e-4);
    let all: Vec<(u32, f32)> = predictor.top(&mut state, 10, |_| false).collect();
    assert_eq!(all.len(), 5);
    assert!(all.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    let best = all[0].0;
    let others: Vec<_> = predictor.top(&mut state, 2, |code| code == best).collect();
    assert_eq!(others, all[1..3]);
    // Before any step: their shares.
    predictor.begin(&mut state);
    let sum: f32 = predictor.probabilities(&mut state).iter().sum();
    assert!((sum - 1.0).abs() < 1e-4);
}

#[test]
fn labels_of_keys_are_learned_from_what_happened_early() {
    let mut random = Random::new(9);
    let mut rows = Vec::new();
    let mut keys = Column::new("customer", "text", Kind::Category);
    let mut labels = Column::new("churned", "boolean", Kind::Boolean);
    for key in 0..400 {
        let unhappy = random.uniform() < 0.4;
        let len = 3 + random.below(8);
        for step in 0..len {
            let item = if step == 1 && unhappy {
                7
            } else {
                random.below(5)
            };
            rows.push((
                format!("k{key}"),
                step as i64 * 3600,
                Some(format!("i{item}")),
                1.0,
            ));
        }
        keys.push(Cell::Text(&format!("k{key}")));
        labels.push(Cell::Boolean(unhappy));
    }
    let frame = frame(rows.into_iter());
    let log = log(&frame).with_labels(&keys, &labels, false).unwrap();
    let options = json!({"hidden": 16, "embedding_dim": 8, "epochs": 30, "learning_rate": 0.01, "batch_size": 32});
    let model = fitted(&log, &TargetOf::Key, options);
    assert_eq!(model.encoder.labels, ["false", "true"]);
    assert!(score(&model, "roc_auc").value > 0.95, "{:?}", model.scores);
    assert_eq!(model.test_answers, 40);
}

#[test]
fn numbers_and_gaps_are_foretold() {
    // Amounts alternate around a level of the customer's own; the gaps are an hour after a small one and a day after a large one.
    let mut random = Random::new(11);
    let mut rows = Vec::new();
    for key in 0..200 {
        let level = 50.0 + 30.0 * random.normal();
        let mut at = 0;
        for step in 0..12 {
            let large = (step + key) % 2 == 0;
            let amount = level + if large { 20.0 } else { -20.0 };
            rows.push((format!("k{key}"), at, Some("a".into()), amount));
            at += if large { 86_400 } else { 3600 };
        }
    }
    let frame = frame(rows.into_iter());
    let log = log(&frame);
    let value = TargetOf::Next {
        column: "amount".into(),
        category: false,
    };
    let options = json!({"hidden": 24, "epochs": 40, "learning_rate": 0.01, "dropout": 0, "batch_size": 16, "split": "last"});
    for target in [value, TargetOf::Gap] {
        let model = fitted(&log, &target, options.clone());
        let mae = score(&model, "mae");
        let best = mae
            .baselines
            .iter()
            .map(|(_, v)| *v)
            .fold(f64::INFINITY, f64::min);
        assert!(mae.value < 0.4 * best, "{target:?}: {mae:?}");
    }
}

#[test]
fn bad_logs_are_read_or_refused_plainly() {
    let mut random = Random::new(3);
    // Keys with one event, equal times, gaps of years, rows out of order, NULL items.
    let mut rows = vec![("once".to_string(), 5, Some("i1".to_string()), f64::NAN)];
    for key in 0..40 {
        for step in (0..6).rev() {
            let at = if key % 3 == 0 { 0 } else { step * 100_000_000 };
            let item = (random.uniform() > 0.1).then(|| format!("i{}", random.below(4)));
            rows.push((format!("k{key}"), at, item, 1e300 * random.normal()));
        }
    }
    let frame_of = frame(rows.into_iter());
    let sorted = log(&frame_of);
    assert!(
        sorted
            .offsets
            .windows(2)
            .all(|r| sorted.times[r[0]..r[1]].is_sorted())
    );
    let options = json!({"hidden": 8, "embedding_dim": 4, "epochs": 2});
    let model = fitted(&sorted, &next_item(), options.clone());
    assert!(model.network.weights.iter().all(|w| w.is_finite()));
    assert!(score(&model, "hit_rate_at_5").value > 0.5);

    let alone = frame((0..5).map(|k| (format!("k{k}"), k, Some("a".into()), 1.0)));
    let error = fit(
        &log(&alone),
        &next_item(),
        &[],
        &params(options),
        &mut |_| true,
    )
    .unwrap_err();
    assert_eq!(error.sqlstate, "22023");
    let error = Log::new(&alone, "customer", &["item".into()])
        .err()
        .unwrap();
    assert_eq!(error.sqlstate, "42804");
    let error = Log::new(&alone, "nobody", &order()).err().unwrap();
    assert_eq!(error.sqlstate, "42703");
}

#[test]
fn a_fit_can_be_canceled_and_ends_in_time() {
    let frame = pairs(200, 20);
    let log = log(&frame);
    let mut calls = 0;
    let mut stop = |_: &Progress| {
        calls += 1;
        calls < 3
    };
    let error = fit(&log, &next_item(), &[], &params(json!({})), &mut stop).unwrap_err();
    assert_eq!(error.sqlstate, "57014");
    let started = std::time::Instant::now();
    let options = json!({"epochs": 100_000, "early_stopping": false, "max_seconds": 1.0});
    let model = fitted(&log, &next_item(), options);
    assert_eq!(model.stopped_by, "max_seconds");
    assert!(started.elapsed().as_secs_f64() < 4.0);
}

#[test]
fn a_very_long_history_is_read_in_windows() {
    let item = |step: i64| Some(format!("i{}", step * step % 7));
    let long = (0..20_000).map(|step| ("long".to_string(), step, item(step), 0.0));
    let short = (0..60).map(|k| (format!("k{}", k / 3), k, item(k), 0.0));
    let frame = frame(long.chain(short));
    let options = json!({"hidden": 8, "embedding_dim": 4, "epochs": 1, "window": 32});
    let model = fitted(&log(&frame), &next_item(), options);
    assert!(score(&model, "hit_rate_at_1").value > 0.5);
}
