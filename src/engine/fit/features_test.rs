//! Selecting and constructing features on the way to a model.

use super::tests::{customers, quick, request};
use super::*;
use crate::frame::Frame;
use crate::frame::{Cell, Column, Kind};
use crate::infer::Predictor;
use crate::random::Random;
use serde_json::json;

#[test]
fn selected_features_leave_out_the_useless_and_say_why() {
    let mut frame = customers(2000);
    let mut random = Random::new(5);
    let mut noise = Column::new("noise", "double precision", Kind::Number);
    (0..2000).for_each(|_| noise.push(Cell::Number(random.normal())));
    frame.columns.push(noise);
    let mut options = quick();
    options["select"] = json!("auto");
    let artifact = fit(request(frame, "churn", options), &mut |_| true).unwrap();
    let names: Vec<&str> = artifact
        .recipe
        .columns()
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(names, ["x", "plan"]);
    let noise = artifact
        .provenance
        .selection
        .iter()
        .find(|c| c.column == "noise")
        .unwrap();
    assert!(
        !noise.kept && noise.reason.contains("validation loss"),
        "{noise:?}"
    );
    assert!(artifact.evaluation.headline().unwrap().value > 0.85);
}

#[test]
fn a_constructed_ratio_that_pays_is_kept() {
    let mut random = Random::new(21);
    let mut debt = Column::new("debt", "double precision", Kind::Number);
    let mut income = Column::new("income", "double precision", Kind::Number);
    let mut late = Column::new("late", "boolean", Kind::Boolean);
    for _ in 0..1500 {
        let (a, b) = (random.normal().exp(), random.normal().exp());
        debt.push(Cell::Number(a));
        income.push(Cell::Number(b));
        late.push(Cell::Boolean((a / b).ln() + 0.3 * random.normal() > 0.0));
    }
    let frame = Frame {
        columns: vec![debt, income, late],
    };
    let mut options = quick();
    options["construct"] = json!("auto");
    options["epochs"] = json!(4);
    let artifact = fit(request(frame, "late", options), &mut |_| true).unwrap();
    let construction = &artifact.provenance.construction;
    assert!(
        construction.len() == 1 && construction[0].kept,
        "{construction:?}"
    );
    let described = artifact.recipe.describe();
    assert!(
        described.iter().any(|d| d.kind == "constructed"),
        "{described:?}"
    );
    let bytes = artifact.to_bytes();
    let again = Predictor::new(Artifact::from_bytes(&bytes).unwrap()).unwrap();
    let cells = [Cell::Number(5.0), Cell::Number(1.0)];
    assert!(again.predict(&cells, &mut again.scratch())[0] > 0.5);
}

#[test]
fn a_cross_of_categories_that_pays_is_kept() {
    let mut random = Random::new(22);
    let mut shop = Column::new("shop", "text", Kind::Category);
    let mut goods = Column::new("goods", "text", Kind::Category);
    let mut returned = Column::new("returned", "boolean", Kind::Boolean);
    // Each of 240 pairs has its own rate, and no shop and no goods by itself is much better than another.
    let rates: Vec<f64> = (0..240)
        .map(|_| if random.uniform() < 0.5 { 0.8 } else { 0.1 })
        .collect();
    for _ in 0..6000 {
        let (i, j) = (random.below(20), random.below(12));
        shop.push(Cell::Text(&format!("shop {i}")));
        goods.push(Cell::Text(&format!("goods {j}")));
        returned.push(Cell::Boolean(random.uniform() < rates[i * 12 + j]));
    }
    let frame = Frame {
        columns: vec![shop, goods, returned],
    };
    let auc = |construct: &str| {
        let mut options = quick();
        options["construct"] = json!(construct);
        options["epochs"] = json!(2);
        let artifact = fit(request(frame.clone(), "returned", options), &mut |_| true).unwrap();
        (artifact.evaluation.headline().unwrap().value, artifact)
    };
    let (without, plain) = auc("none");
    let (with, artifact) = auc("auto");
    assert!(plain.provenance.construction.is_empty());
    let tried = &artifact.provenance.construction;
    assert!(tried.len() == 1 && tried[0].kept, "{tried:?}");
    assert_eq!(tried[0].features, ["shop & goods"]);
    assert!(with > without + 0.02, "{without} {with}");
    let described = artifact.recipe.describe();
    assert!(
        described[2].steps.contains("each of 240 pairs of values"),
        "{described:?}"
    );
    let again = Predictor::new(Artifact::from_bytes(&artifact.to_bytes()).unwrap()).unwrap();
    let risk = |shop: &str, goods: &str| {
        again.predict(&[Cell::Text(shop), Cell::Text(goods)], &mut again.scratch())[0]
    };
    let (high, low) = (
        rates.iter().position(|rate| *rate > 0.5).unwrap(),
        rates.iter().position(|rate| *rate < 0.5).unwrap(),
    );
    let of = |pair: usize| {
        risk(
            &format!("shop {}", pair / 12),
            &format!("goods {}", pair % 12),
        )
    };
    assert!(of(high) > of(low) + 0.2, "{} {}", of(high), of(low));
    assert!(risk("new", "goods 0").is_finite());
}

#[test]
fn every_way_to_select_leaves_out_the_useless() {
    let mut frame = customers(1500);
    let mut random = Random::new(6);
    for name in ["noise", "more noise"] {
        let mut noise = Column::new(name, "double precision", Kind::Number);
        (0..1500).for_each(|_| noise.push(Cell::Number(random.normal())));
        frame.columns.push(noise);
    }
    for method in ["l1", "permutation", "boruta"] {
        let mut options = quick();
        options["select"] = json!(method);
        let mut request = request(frame.clone(), "churn", options);
        request.include = vec!["noise".into()];
        let artifact = fit(request, &mut |_| true).unwrap();
        let choices = &artifact.provenance.selection;
        let kept = |name: &str| choices.iter().find(|c| c.column == name).unwrap().kept;
        assert!(kept("x") && kept("plan"), "{method}: {choices:?}");
        assert!(kept("noise"), "{method}: what is asked for stays");
        assert!(!kept("more noise"), "{method}: {choices:?}");
        assert!(choices.iter().all(|c| c.score.is_finite()));
    }
    let mut options = quick();
    options["select"] = json!("l1");
    options["validation_size"] = json!(0);
    let error = fit(request(frame, "churn", options), &mut |_| true).unwrap_err();
    assert!(error.message.contains("needs validation rows"), "{error:?}");
}
