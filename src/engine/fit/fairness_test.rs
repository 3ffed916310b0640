use super::tests::request;
use super::*;
use crate::evaluate::fairness::{Fairness, Line};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::random::Random;
use serde_json::json;

/// Applicants of two groups, of which one is accepted less often at the same merit; a district tells the group nearly always.
fn applicants(rows: usize) -> Frame {
    let mut random = Random::new(3);
    let mut merit = Column::new("merit", "real", Kind::Number);
    let mut district = Column::new("district", "text", Kind::Category);
    let mut sex = Column::new("sex", "text", Kind::Category);
    let mut age = Column::new("age", "integer", Kind::Number);
    let mut accepted = Column::new("accepted", "boolean", Kind::Boolean);
    for _ in 0..rows {
        let woman = random.uniform() < 0.5;
        let value = random.normal();
        let north = (random.uniform() < 0.95) == woman;
        merit.push(Cell::Number(value));
        district.push(Cell::Text(if north { "north" } else { "south" }));
        sex.push(Cell::Text(if woman { "woman" } else { "man" }));
        age.push(Cell::Number(18.0 + random.below(50) as f64));
        let p = 1.0 / (1.0 + (-(1.5 * value - if woman { 1.5 } else { 0.0 })).exp());
        accepted.push(Cell::Boolean(random.uniform() < p));
    }
    Frame {
        columns: vec![merit, district, sex, age, accepted],
    }
}

fn asked(options: serde_json::Value, reweight: bool) -> Request {
    let mut request = request(applicants(4000), "accepted", options);
    request.sensitive = Sensitive {
        columns: vec![("sex".into(), vec![]), ("age".into(), vec![30.0, 45.0])],
        reweight,
    };
    request
}

fn fair(artifact: &crate::artifact::Artifact) -> &Fairness {
    artifact.provenance.fairness.as_ref().unwrap()
}

fn value<'a>(lines: &'a [Line], feature: &str, group: Option<&str>, metric: &str) -> &'a Line {
    let same = |l: &&Line| l.feature == feature && l.group.as_deref() == group;
    lines
        .iter()
        .filter(same)
        .find(|l| l.metric == metric)
        .unwrap()
}

#[test]
fn sensitive_columns_are_no_inputs_and_have_figures() {
    let mut request = asked(json!({"algorithm": "gbdt", "construct": "auto"}), false);
    // Not even if somebody asks for it.
    request.include = vec!["sex".into()];
    let artifact = fit(request, &mut |_| true).unwrap();
    let inputs: Vec<&str> = artifact.recipe.columns().iter().map(|c| &*c.name).collect();
    assert_eq!(inputs, ["merit", "district"]);
    let lines = &fair(&artifact).lines;
    let parity = value(lines, "sex", None, "demographic_parity_difference");
    assert!(
        parity.value > 0.15 && parity.low.unwrap() > 0.0,
        "{parity:?}"
    );
    let proxy = value(lines, "sex", Some("woman"), "proxy_roc_auc");
    assert!(proxy.value > 0.9, "{proxy:?}");
    let band = value(lines, "age", Some("[30,45)"), "selection_rate");
    assert!(band.rows > 150 && band.low < Some(band.value));
    assert!(value(lines, "age", None, "equalized_odds_difference").value < 0.3);
    assert!(
        lines
            .iter()
            .any(|l| l.feature == "sex, age" && l.group.as_deref() == Some("woman, >= 45"))
    );
    // What a catalog reads back is what was written.
    let again = crate::artifact::Artifact::from_bytes(&artifact.to_bytes()).unwrap();
    assert_eq!(fair(&again), fair(&artifact));
}

#[test]
fn reweighting_brings_groups_together() {
    for algorithm in ["linear", "gbdt", "mlp"] {
        let options = json!({"algorithm": algorithm, "calibration": "none"});
        let parity = |reweight: bool| {
            let artifact = fit(asked(options.clone(), reweight), &mut |_| true).unwrap();
            assert_eq!(fair(&artifact).reweighted, reweight);
            value(
                &fair(&artifact).lines,
                "sex",
                None,
                "demographic_parity_difference",
            )
            .value
        };
        let (before, after) = (parity(false), parity(true));
        assert!(after < before * 0.7, "{algorithm}: {before} {after}");
    }
}

#[test]
fn weighted_groups_and_labels_are_independent() {
    let request = asked(json!({}), true);
    let answers = target::prepare(&request).unwrap();
    let rows: Vec<u32> = (0..3000).collect();
    let factors = answers
        .weights(&rows, &crate::params::ClassWeight::None)
        .unwrap();
    let sex = request.frame.column("sex").unwrap();
    let sum = |woman: bool, code: Option<u32>| -> f64 {
        let own = rows.iter().zip(&factors).filter(|(row, _)| {
            let is = sex.cell(**row as usize) == Cell::Text("woman");
            is == woman && code.is_none_or(|code| answers.code(**row) == code)
        });
        own.map(|(_, w)| f64::from(*w)).sum()
    };
    let rate = |woman: bool| sum(woman, Some(1)) / sum(woman, None);
    assert!((rate(true) - rate(false)).abs() < 1e-5);
    assert!((sum(true, None) + sum(false, None) - 3000.0).abs() < 0.1);
}

#[test]
fn what_has_no_groups_or_labels_is_refused() {
    let mut number = asked(json!({}), true);
    number.target = "merit".into();
    let mut away = asked(json!({}), false);
    away.sensitive.columns[0].0 = "gender".into();
    let mut several = asked(json!({}), false);
    several.task = Some(Task::Survival);
    several.target = "age".into();
    several.of_task.event = Some("accepted".into());
    for (request, state, words) in [
        (number, "22023", "needs a target of classes"),
        (away, "42703", "does not exist"),
        (several, "0A000", "survival"),
    ] {
        let error = fit(request, &mut |_| true).unwrap_err();
        assert_eq!(error.sqlstate, state);
        assert!(error.message.contains(words), "{}", error.message);
    }
}
