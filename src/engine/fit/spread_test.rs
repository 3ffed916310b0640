use super::super::tests::request;
use super::super::{Artifact, fit};
use super::*;
use crate::frame::{Cell, Column, Kind};
use crate::infer::Predictor;
use serde_json::{Value, json};

/// Bills that depend on usage; how far off they are depends on usage, or on the plan, which tells nothing else.
fn bills(rows: usize, seed: u64, noise: impl Fn(f64, bool) -> f64) -> Frame {
    let mut random = Random::new(seed);
    let mut usage = Column::new("usage", "double precision", Kind::Number);
    let mut plan = Column::new("plan", "text", Kind::Category);
    let mut bill = Column::new("bill", "double precision", Kind::Number);
    for _ in 0..rows {
        let x = 10.0 * random.uniform();
        let flexible = random.below(2) == 1;
        usage.push(Cell::Number(x));
        plan.push(Cell::Text(if flexible { "flexible" } else { "fixed" }));
        bill.push(Cell::Number(
            20.0 + 3.0 * x + noise(x, flexible) * random.normal(),
        ));
    }
    Frame {
        columns: vec![usage, plan, bill],
    }
}

fn trained(frame: Frame, options: Value) -> Predictor {
    let artifact = fit(request(frame, "bill", options), &mut |_| true).unwrap();
    // As it will be read from the catalog.
    let bytes = artifact.to_bytes();
    Predictor::new(Artifact::from_bytes(&bytes).unwrap()).unwrap()
}

/// Of each row of a frame the interval's width, and whether it holds the truth.
fn intervals(predictor: &Predictor, frame: &Frame, coverage: f64) -> Vec<(f64, bool)> {
    let mut scratch = predictor.scratch();
    let rows = 0..frame.rows();
    let each = rows.map(|row| {
        let cells = [0, 1].map(|c| frame.columns[c].cell(row));
        predictor.predict(&cells, &mut scratch);
        let (Some(low), Some(high)) = predictor.interval(&scratch, coverage) else {
            panic!("an end is open");
        };
        let Cell::Number(truth) = frame.columns[2].cell(row) else {
            panic!("no number");
        };
        (high - low, low <= truth && truth <= high)
    });
    each.collect()
}

fn share(rows: impl Iterator<Item = (f64, bool)>) -> f64 {
    let (mut held, mut all) = (0.0, 0.0);
    for (_, inside) in rows {
        held += f64::from(u8::from(inside));
        all += 1.0;
    }
    held / all
}

#[test]
fn intervals_hold_unseen_rows_as_often_as_asked() {
    let noise = |x: f64, _| 0.2 + x;
    let predictor = trained(bills(6_000, 1, noise), json!({"algorithm": "gbdt"}));
    let unseen = bills(20_000, 2, noise);
    for coverage in [0.8, 0.9, 0.95] {
        let found = share(intervals(&predictor, &unseen, coverage).into_iter());
        // Four standard errors of the 960 validation rows; an end is a rank of its group too far at most.
        let chance = 4.0 * (coverage * (1.0 - coverage) / 960.0f64).sqrt();
        assert!(
            (coverage - chance..coverage + chance + 0.01).contains(&found),
            "{found} for {coverage}"
        );
    }
}

#[test]
fn intervals_are_wide_where_a_column_says_that_errors_are() {
    let noise = |_, flexible| if flexible { 8.0 } else { 1.0 };
    // Half of the validation rows settle the intervals, or, held out in turn, those of the validation part.
    for (options, rows, settled) in [
        (json!({"algorithm": "gbdt"}), 8_000, 640.0f64),
        (json!({"folds": 2, "epochs": 5, "trees": 20}), 5_000, 800.0),
    ] {
        let predictor = trained(bills(rows, 3, noise), options);
        let conformal = &predictor.artifact().settled.conformal;
        assert!(conformal.spread.is_some());
        let unseen = bills(20_000, 4, noise);
        for coverage in [0.8, 0.9, 0.95] {
            let all = intervals(&predictor, &unseen, coverage);
            let found = share(all.iter().copied());
            let chance = 4.0 * (coverage * (1.0 - coverage) / settled).sqrt();
            assert!(
                (coverage - chance..coverage + chance + 0.015).contains(&found),
                "{found} for {coverage}"
            );
            let of = |plan: &str| {
                let own = |row: &usize| unseen.columns[1].cell(*row) == Cell::Text(plan);
                let rows: Vec<usize> = (0..unseen.rows()).filter(own).collect();
                let width = rows.iter().map(|r| all[*r].0).sum::<f64>() / rows.len() as f64;
                (width, share(rows.iter().map(|r| all[*r])))
            };
            let ((narrow, fixed), (wide, flexible)) = (of("fixed"), of("flexible"));
            assert!(wide > 4.0 * narrow, "{narrow} {wide}");
            // For each kind of row, too, which intervals by predictions are far from.
            for found in [fixed, flexible] {
                assert!((found - coverage).abs() < 0.1, "{found} for {coverage}");
            }
        }
    }
}

#[test]
fn what_does_not_pay_is_left_out() {
    let noise = |_, _| 3.0;
    let predictor = trained(bills(8_000, 5, noise), json!({"algorithm": "gbdt"}));
    assert_eq!(predictor.artifact().settled.conformal.spread, None);
    // Too few rows to tell.
    let noise = |_, flexible| if flexible { 8.0 } else { 1.0 };
    let few = trained(bills(3_000, 3, noise), json!({"algorithm": "gbdt"}));
    assert_eq!(few.artifact().settled.conformal.spread, None);
}

#[test]
fn crafted_trees_of_errors_are_refused() {
    let noise = |_, flexible| if flexible { 8.0 } else { 1.0 };
    let predictor = trained(bills(8_000, 3, noise), json!({"algorithm": "gbdt"}));
    let refused = |change: &dyn Fn(&mut Spread)| {
        let mut artifact = predictor.artifact().clone();
        change(artifact.settled.conformal.spread.as_mut().unwrap());
        Artifact::from_bytes(&artifact.to_bytes()).is_err()
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|s| s.trees.numbers += 1));
    assert!(refused(&|s| s.trees.base.push(0.0)));
    assert!(refused(&|s| s.trees.words[2] = 0));
    assert!(refused(&|s| s.trees.nodes = usize::MAX));
    assert!(refused(&|s| s.means[0] = 0.0));
    assert!(refused(&|s| s.bounds.push(1e9)));
}
