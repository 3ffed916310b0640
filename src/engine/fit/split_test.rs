use super::super::target;
use super::super::tests::{customers, request};
use super::*;
use crate::frame::Kind;
use serde_json::json;

/// 600 customers with a household of about four, a day and a part of their own.
fn frame() -> Frame {
    let mut frame = customers(600);
    let mut household = Column::new("household", "integer", Kind::Number);
    let mut day = Column::new("day", "date", Kind::Time);
    let mut part = Column::new("part", "text", Kind::Category);
    let mut random = Random::new(3);
    for row in 0..600 {
        household.push(Cell::Number(random.below(150) as f64));
        day.push(Cell::Time(random.below(40) as i64 * 86_400_000_000));
        part.push(Cell::Text(["train", "TRAIN", "test"][row % 3]));
    }
    frame.columns.extend([household, day, part]);
    frame
}

fn with<T>(
    how: &Split,
    options: serde_json::Value,
    work: impl FnOnce(&Divider<'_>, &Frame) -> T,
) -> T {
    let request = request(frame(), "churn", options);
    let answers = target::prepare(&request).unwrap();
    let params = request
        .params
        .check(answers.task, answers.rows.len())
        .unwrap();
    let divider = Divider::new(&request.frame, &answers, how, &params).unwrap();
    work(&divider, &request.frame)
}

fn all(parts: &Parts) -> Vec<u32> {
    let mut all = [&parts.train[..], &parts.validation, &parts.test].concat();
    all.sort_unstable();
    all
}

fn number(frame: &Frame, name: &str, row: u32) -> f64 {
    match frame.column(name).unwrap().cell(row as usize) {
        Cell::Number(x) => x,
        Cell::Time(x) => x as f64,
        _ => f64::NAN,
    }
}

#[test]
fn no_group_stands_in_two_parts_and_classes_keep_their_shares() {
    with(
        &Split::Group("household".into()),
        json!({}),
        |divider, frame| {
            let parts = divider.parts().unwrap();
            assert_eq!(all(&parts), divider.answers.rows);
            let of = |rows: &[u32]| -> std::collections::BTreeSet<u64> {
                rows.iter()
                    .map(|r| number(frame, "household", *r).to_bits())
                    .collect()
            };
            let (a, b, c) = (of(&parts.train), of(&parts.validation), of(&parts.test));
            assert!(a.is_disjoint(&b) && a.is_disjoint(&c) && b.is_disjoint(&c));
            let size = |rows: &[u32]| rows.len() as f64 / 599.0;
            assert!(
                (size(&parts.test) - 0.2).abs() < 0.02
                    && (size(&parts.validation) - 0.16).abs() < 0.02
            );
            let positives = |rows: &[u32]| {
                let yes = rows
                    .iter()
                    .filter(|r| divider.answers.code(**r) == 1)
                    .count();
                yes as f64 / rows.len() as f64
            };
            assert!((positives(&parts.train) - positives(&parts.test)).abs() < 0.03);
        },
    );
}

#[test]
fn what_is_tested_comes_after_what_was_learned() {
    with(&Split::Time("day".into()), json!({}), |divider, frame| {
        let parts = divider.parts().unwrap();
        assert_eq!(all(&parts), divider.answers.rows);
        let days = |rows: &[u32]| {
            let days = rows.iter().map(|r| number(frame, "day", *r));
            days.fold((f64::MAX, f64::MIN), |(low, high), d| {
                (low.min(d), high.max(d))
            })
        };
        let (train, validation, test) = (
            days(&parts.train),
            days(&parts.validation),
            days(&parts.test),
        );
        assert!(train.1 < validation.0 && validation.1 < test.0);
        assert!((parts.test.len() as f64 / 599.0 - 0.2).abs() < 0.05);
        let folds = divider.folds(4, 0).unwrap();
        assert_eq!(folds.len(), 4);
        for fold in &folds {
            let known = days(&fold.train).1.max(days(&fold.validation).1);
            assert!(known < days(&fold.test).0);
        }
    });
}

#[test]
fn a_column_says_where_rows_stand() {
    with(
        &Split::Column("part".into()),
        json!({}),
        |divider, frame| {
            let parts = divider.parts().unwrap();
            assert_eq!(all(&parts), divider.answers.rows);
            let part = frame.column("part").unwrap();
            assert!(
                parts
                    .test
                    .iter()
                    .all(|r| part.cell(*r as usize) == Cell::Text("test"))
            );
            assert_eq!(parts.test.len(), 199 + usize::from(5 % 3 != 2));
            assert!(
                (75..=85).contains(&parts.validation.len()),
                "{}",
                parts.validation.len()
            );
            // Its three values are three folds.
            assert_eq!(divider.folds(5, 0).unwrap().len(), 3);
        },
    );
    let error = with(&Split::Column("plan".into()), json!({}), |divider, _| {
        divider.parts().err().unwrap()
    });
    assert!(error.message.contains("says '") && error.hint.is_some());
}

#[test]
fn folds_hold_every_row_once_with_the_shares_of_the_classes() {
    for how in [Split::Random, Split::Group("household".into())] {
        with(&how, json!({}), |divider, _| {
            let folds = divider.folds(5, 0).unwrap();
            let mut tested: Vec<u32> = folds.iter().flat_map(|f| f.test.clone()).collect();
            tested.sort_unstable();
            assert_eq!(tested, divider.answers.rows);
            for fold in &folds {
                assert_eq!(all(fold), divider.answers.rows);
                assert!((fold.test.len() as f64 - 120.0).abs() < 8.0);
            }
            assert_ne!(folds[0].test, divider.folds(5, 1).unwrap()[0].test);
        });
    }
    let error = with(&Split::Random, json!({}), |divider, _| {
        divider.folds(700, 0).err().unwrap()
    });
    assert!(
        error.message.contains("too few for 700 folds"),
        "{}",
        error.message
    );
}
