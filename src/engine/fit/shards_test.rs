use super::super::tests::{customers, request};
use super::super::{Start, fit};
use super::*;
use crate::frame::Frame;
use crate::random::Random;
use serde_json::{Value, json};

/// A request in shards, with two rows of each key; `without` are left out.
fn wanted(rows: usize, count: usize, without: &[u64], options: Value) -> Request {
    let mut frame = customers(rows);
    let mut random = Random::new(11);
    let hashes: Vec<u64> = (0..rows).map(|_| random.next_u64()).collect();
    let key = |row: usize| hashes[row / 2];
    let kept = |row: usize| !without.contains(&key(row));
    frame.retain(kept);
    let keys = (0..rows).filter(|row| kept(*row)).map(key).collect();
    let mut request = request(frame, "churn", options);
    request.shards = Some(Shards { count, keys });
    request
}

fn fitted(request: Request) -> Artifact {
    fit(request, &mut |_| true).unwrap()
}

fn weights(artifact: &Artifact) -> String {
    serde_json::to_string(&artifact.parts).unwrap()
}

#[test]
fn forgetting_a_key_trains_its_shard_alone_and_comes_out_as_if_it_had_never_been() {
    for options in [
        json!({"algorithm": "mlp", "hidden": [8], "epochs": 5}),
        json!({"algorithm": "gbdt", "rounds": 20}),
    ] {
        let before = fitted(wanted(1200, 4, &[], options.clone()));
        let keys = wanted(1200, 4, &[], options.clone()).shards.unwrap().keys;
        let shares: f64 = before.parts.iter().map(|part| part.share).sum();
        assert!((shares - 1.0).abs() < 1e-9);
        let mut cheap = 0;
        for key in keys.iter().step_by(2).take(6) {
            let mut request = wanted(1200, 4, &[*key], options.clone());
            request.champion = Some(Start {
                name: "m@1".into(),
                artifact: Box::new(before.clone()),
            });
            let after = fitted(request);
            let anew = fitted(wanted(1200, 4, &[*key], options.clone()));
            assert_eq!(weights(&after), weights(&anew));
            assert!(anew.provenance.shards.iter().all(|own| !own.reused));
            let trained = after.provenance.shards.iter().filter(|own| !own.reused);
            // All but the first shard teach nothing of columns; a test row is of none.
            let trained = trained.count();
            assert!([0, 1, 4].contains(&trained), "{trained}");
            cheap += usize::from(trained < 4);
        }
        assert!(cheap >= 3, "{cheap}");
    }
}

#[test]
fn where_rows_stand_does_not_depend_on_the_others() {
    let options = json!({"algorithm": "mlp", "hidden": [4], "epochs": 2});
    let mut turned = wanted(600, 3, &[], options.clone());
    let order: Vec<usize> = (0..600).rev().collect();
    let frame = turned.frame.clone();
    turned.frame = Frame {
        columns: (frame.columns.iter())
            .map(|column| {
                let mut own =
                    crate::frame::Column::new(&column.name, &column.type_name, column.kind);
                order.iter().for_each(|row| own.push(column.cell(*row)));
                own
            })
            .collect(),
    };
    if let Some(shards) = &mut turned.shards {
        shards.keys.reverse();
    }
    let as_read = fitted(wanted(600, 3, &[], options));
    let turned = fitted(turned);
    let rows = |artifact: &Artifact| -> Vec<u64> {
        let shards = artifact.provenance.shards.iter();
        shards.map(|own| own.rows).collect()
    };
    assert_eq!(rows(&as_read), rows(&turned));
    let provenance = &as_read.provenance;
    assert_eq!(rows(&as_read).iter().sum::<u64>(), provenance.train_rows);
    assert!(provenance.test_rows > 80 && provenance.validation_rows > 40);
    assert!(as_read.evaluation.headline().unwrap().value > 0.6);
}

#[test]
fn shards_without_rows_enough_are_refused() {
    let options = json!({"algorithm": "mlp", "epochs": 2});
    let error = fit(wanted(400, 60, &[], options), &mut |_| true).unwrap_err();
    assert_eq!(error.sqlstate, "22023");
    assert!(error.message.contains("of 60 has "), "{}", error.message);
}
