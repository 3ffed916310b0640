use super::tests::{customers, quick, request};
use super::*;
use crate::frame::{Column, Frame};
use serde_json::json;

/// The first rows of a frame, or those from there on.
fn part(frame: &Frame, rows: std::ops::Range<usize>) -> Frame {
    let columns = frame.columns.iter().map(|column| {
        let mut own = Column::new(&*column.name, &*column.type_name, column.kind);
        rows.clone().for_each(|row| own.push(column.cell(row)));
        own
    });
    Frame {
        columns: columns.collect(),
    }
}

fn start(artifact: &Artifact) -> Start {
    Start {
        name: "m@1".into(),
        artifact: Box::new(artifact.clone()),
    }
}

fn challenge(champion: &Artifact, frame: Frame, options: serde_json::Value) -> Challenge {
    let mut own = request(frame, "churn", options);
    own.champion = Some(start(champion));
    let artifact = fit(own, &mut |_| true).unwrap();
    artifact.provenance.challenge.unwrap()
}

#[test]
fn a_champion_that_knows_less_is_beaten_on_rows_that_neither_was_trained_on() {
    let all = customers(6000);
    let mut blind = request(part(&all, 0..3000), "churn", quick());
    blind.excluded = vec![("x".into(), "for the test".into())];
    blind.frame.columns.retain(|c| c.name != "x");
    let champion = fit(blind, &mut |_| true).unwrap();
    assert!(!champion.seen.is_unknown());
    let found = challenge(&champion, all, quick());
    // Half of the rows are new, but the champion knows two kinds of rows only: all look like those it has learned.
    assert!(!found.unseen && found.rows > 1000, "{found:?}");
    assert_eq!(found.metric.as_deref(), Some("roc_auc"));
    assert_eq!(found.better, Some(true));
    assert!(found.challenger_score.unwrap() > found.champion_score.unwrap() + 0.1);
    assert!(found.p_value.unwrap() < 1e-6 && found.low.unwrap() > 0.0);
}

#[test]
fn equals_are_not_told_apart_and_a_worse_challenger_is_known_as_such() {
    let all = customers(6000);
    let champion = fit(request(part(&all, 0..4000), "churn", quick()), &mut |_| {
        true
    })
    .unwrap();
    let found = challenge(&champion, all, quick());
    assert_eq!(found.champion, "m@1");
    // A fifth is tested on; of it a third is new, and a fifth or so of the rest was held out from the champion, too.
    assert!(
        found.unseen && (400..900).contains(&found.rows),
        "{found:?}"
    );
    assert_ne!(found.better, Some(true), "{found:?}");
    assert!((found.challenger_score.unwrap() - found.champion_score.unwrap()).abs() < 0.05);

    let worse = json!({"algorithm": "mlp", "epochs": 1, "hidden": [2], "learning_rate": 1e-7});
    let found = challenge(&champion, customers(6000), worse);
    assert_eq!(found.better, Some(false), "{found:?}");
}

#[test]
fn rows_the_champion_has_learned_count_only_where_there_are_no_others() {
    let all = customers(2000);
    let champion = fit(request(all.clone(), "churn", quick()), &mut |_| true).unwrap();
    // The same rows, drawn into parts in another way: a fifth of the test rows was held out from the champion, too.
    let mut options = quick();
    options["seed"] = json!(99);
    let found = challenge(&champion, all, options);
    assert!(
        !found.unseen && (395..=400).contains(&found.rows),
        "{found:?}"
    );
}

#[test]
fn other_questions_are_not_compared() {
    let mut all = customers(1500);
    let champion = fit(request(all.clone(), "churn", quick()), &mut |_| true).unwrap();
    let mut other = champion.clone();
    other.target.labels = vec!["no".into(), "yes".into()];
    let found = challenge(&other, all.clone(), quick());
    assert_eq!(
        found.reason.as_deref(),
        Some("its target or its labels are others")
    );
    assert_eq!((found.rows, found.better), (0, None));
    all.columns.retain(|c| c.name != "plan");
    let found = challenge(&champion, all, quick());
    assert_eq!(
        found.reason.as_deref(),
        Some("its column \"plan\" was not read")
    );
}
