//! Effects of a treatment.

use super::tasks_test::{fitted, metric, numbers, quick};
use super::tests::request;
use super::*;
use crate::artifact::{Task, UpliftMethod};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::infer::Predictor;
use crate::random::Random;

/// Whether a customer buys depends on `taste`; a mailing adds 0.3 where x > 0 and takes 0.1 else; it adds 20 x to what is spent.
/// With `chosen`, customers of good taste were mailed more often.
fn mailed(rows: usize, chosen: bool) -> Frame {
    let mut random = Random::new(33);
    let [mut x, mut taste, mut spent] = numbers(["x", "taste", "spent"]);
    let mut got = Column::new("got_mail", "integer", Kind::Number);
    let mut bought = Column::new("bought", "boolean", Kind::Boolean);
    for row in 0..rows {
        let (a, b) = (random.normal(), random.normal());
        let mail = random.uniform()
            < if chosen {
                1.0 / (1.0 + (-b).exp())
            } else {
                0.4
            };
        let effect = if a > 0.0 { 0.3 } else { -0.1 };
        let p = 0.2 + 0.4 / (1.0 + (-b).exp()) + if mail { effect } else { 0.0 };
        x.push(Cell::Number(a));
        taste.push(Cell::Number(b));
        got.push(match row {
            3 => Cell::Null,
            _ => Cell::Number(f64::from(u8::from(mail))),
        });
        bought.push(Cell::Boolean(random.uniform() < p));
        let more = if mail { 20.0 * a } else { 0.0 };
        spent.push(Cell::Number(
            100.0 + 10.0 * b + more + 10.0 * random.normal(),
        ));
    }
    Frame {
        columns: vec![x, taste, got, bought, spent],
    }
}

fn treatment(method: Option<UpliftMethod>) -> TaskOptions {
    TaskOptions {
        treatment: Some("got_mail".into()),
        uplift_method: method,
        ..TaskOptions::default()
    }
}

fn effects(target: &str, method: Option<UpliftMethod>, algorithm: &str) -> (Artifact, Vec<f64>) {
    let mut frame = mailed(6000, false);
    let other = if target == "spent" { "bought" } else { "spent" };
    frame.columns.retain(|c| c.name != other);
    let artifact = fitted(
        frame,
        target,
        Task::Uplift,
        treatment(method),
        quick(algorithm),
    );
    let predictor = Predictor::new(artifact.clone()).unwrap();
    let mut scratch = predictor.scratch();
    let mut mean = |x: f64| {
        let tastes = [-1.0, -0.3, 0.3, 1.0];
        let sum: f64 = tastes
            .iter()
            .map(|taste| {
                let cells = [Cell::Number(x), Cell::Number(*taste)];
                predictor.predict(&cells, &mut scratch)[0]
            })
            .sum();
        sum / 4.0
    };
    let found = [-1.2, -0.7, 0.7, 1.2].map(&mut mean);
    (artifact, found.to_vec())
}

#[test]
fn effects_of_a_treatment_are_found_by_both_methods() {
    for method in [UpliftMethod::TwoModel, UpliftMethod::Transformed] {
        for algorithm in ["mlp", "gbdt"] {
            let (artifact, found) = effects("bought", Some(method), algorithm);
            let uplift = artifact.target.uplift.clone().unwrap();
            assert_eq!(uplift.method, method);
            assert!(!uplift.confounded && (uplift.treated - 0.4).abs() < 0.03);
            for (effect, want) in found.iter().zip([-0.1, -0.1, 0.3, 0.3]) {
                assert!(
                    (effect - want).abs() < 0.13,
                    "{method:?} {algorithm}: {found:?}"
                );
            }
            let qini = artifact.evaluation.headline().unwrap();
            assert!(
                qini.metric == "qini_coefficient" && qini.low > 0.0,
                "{qini:?}"
            );
            assert_eq!(qini.baseline.map(|b| b.abs() < 1e-9), Some(true));
            assert!((metric(&artifact, "average_treatment_effect") - 0.1).abs() < 0.06);
            assert!(metric(&artifact, "uplift_at_top_decile") > 0.15);
            let curve = &artifact.evaluation.qini;
            let ends = (curve.first().unwrap(), curve.last().unwrap());
            assert!(ends.0.fraction == 0.0 && ends.1.fraction == 1.0 && ends.0.qini == 0.0);
            assert!((ends.1.qini - ends.1.random).abs() < 1e-9);
        }
    }
}

#[test]
fn effects_on_a_number_are_in_its_units() {
    for method in [
        Some(UpliftMethod::TwoModel),
        Some(UpliftMethod::Transformed),
        None,
    ] {
        let (artifact, found) = effects("spent", method, "gbdt");
        for (effect, x) in found.iter().zip([-1.2, -0.7, 0.7, 1.2]) {
            assert!((effect - 20.0 * x).abs() < 7.0, "{method:?}: {found:?}");
        }
        let (_, truth) = truth_of(Task::Uplift, &artifact.target, &mailed(50, false)).unwrap();
        assert!(
            matches!(truth, crate::evaluate::Truth::Uplift { outcomes, .. } if outcomes.len() == 49)
        );
        let answers = artifact.evaluation.metrics.len();
        assert_eq!(answers, 4);
    }
}

#[test]
fn auto_blends_within_each_arm() {
    let (artifact, found) = effects("bought", None, "auto");
    assert!(artifact.evaluation.headline().unwrap().low > 0.0);
    assert!(found[3] - found[0] > 0.2, "{found:?}");
}

#[test]
fn a_treatment_that_was_not_at_random_is_noticed() {
    let mut frame = mailed(3000, true);
    frame.columns.pop();
    let options = treatment(Some(UpliftMethod::TwoModel));
    let artifact = fitted(frame, "bought", Task::Uplift, options, quick("mlp"));
    let uplift = artifact.target.uplift.unwrap();
    assert!(
        uplift.confounded && uplift.treatment_auc.unwrap() > 0.6,
        "{uplift:?}"
    );
}

#[test]
fn uplift_needs_both_kinds_of_rows() {
    let mut frame = mailed(300, false);
    let mut got = Column::new("got_mail", "text", Kind::Category);
    (0..300).for_each(|row| got.push(Cell::Text(if row < 10 { "mail" } else { "control" })));
    frame.columns[2] = got;
    let mut few = request(frame, "bought", quick("mlp"));
    few.task = Some(Task::Uplift);
    few.of_task = treatment(None);
    let e = fit(few, &mut |_| true).unwrap_err();
    assert_eq!(
        e.message,
        "10 treated and 290 other rows are too few to compare"
    );
}
