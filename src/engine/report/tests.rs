//! What is told of models.

use super::words::{clipped, counted, escaped, seconds, short};
use super::*;
use crate::artifact::Artifact;
use crate::drift::drift;
use crate::evaluate::Outcomes;
use crate::evaluate::fairness::{Fairness, Line};
use crate::explain::tests::predictor;
use crate::infer::Predictor;
use crate::privacy::leak::{Finding, Findings};
use serde_json::json;

#[test]
fn numbers_are_written_as_people_do() {
    assert_eq!(counted(1_234_567, "row"), "1,234,567 rows");
    assert_eq!(counted(1, "row"), "1 row");
    assert_eq!(short(0.123456), "0.123");
    assert_eq!(seconds(600.0), "10 minutes");
    assert_eq!(clipped("東京の\u{7}お客さま", 5), "東京のお…");
    assert_eq!(
        escaped("<b a='\"'>&\u{1}"),
        "&lt;b a=&#39;&quot;&#39;&gt;&amp;"
    );
}

#[test]
fn a_model_is_told_in_a_dozen_sentences() {
    let predictor = predictor(json!({"algorithm": "gbdt"}));
    let insight = Insight::of(&predictor, NAMED, &mut || true).unwrap();
    let lines = of_table("risk", &predictor, &insight);
    assert!((6..=13).contains(&lines.len()), "{lines:#?}");
    assert_eq!(
        lines[0],
        "risk tells how probable it is that churn is true, from 3 columns."
    );
    let all = lines.join("\n");
    for part in [
        "roc_auc is 0.",
        "of 100 rows",
        "What matters most: ",
        "more of it less",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(lines.iter().all(|line| line.ends_with('.')), "{all}");
    assert!(Insight::of(&predictor, NAMED, &mut || false).is_none());
}

fn outcomes(predictor: &Predictor) -> Outcomes {
    let artifact = predictor.artifact();
    artifact.settled.held_out.outcomes(artifact.task)
}

/// Every picture there is of a model, by kind, with the columns that matter.
fn pictures(predictor: &Predictor) -> Vec<Picture> {
    let outcomes = outcomes(predictor);
    let subject = Subject {
        predictor,
        outcomes: Some(&outcomes),
        evaluation: &predictor.artifact().evaluation,
        judged_on: None,
    };
    let insight = Insight::of(predictor, NAMED, &mut || true).unwrap();
    let kinds = subject.kinds().into_iter();
    let mut all: Vec<Picture> = kinds
        .filter_map(|kind| subject.draw(kind).unwrap())
        .collect();
    all.extend(weights(predictor, &insight.importance).unwrap());
    for (column, found) in &insight.along {
        all.extend(along(predictor, *column, found).unwrap());
    }
    all
}

#[test]
fn every_picture_says_what_it_shows_and_can_be_read_in_the_dark() {
    let options = json!({"algorithm": "dnn", "epochs": 3, "profit": {"tp": 90, "fp": -10}});
    let all = pictures(&predictor(options));
    let kinds: Vec<&str> = all.iter().map(|own| own.kind.name()).collect();
    for kind in [
        "roc",
        "precision_recall",
        "gains",
        "lift",
        "calibration",
        "confusion",
        "profit",
        "importance",
        "dependence",
        "history",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    for own in &all {
        let svg = own.document();
        assert!(svg.starts_with("<svg role=\"img\" aria-label=\""), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("prefers-color-scheme:dark"));
        // No colour but those the style gives.
        assert!(!svg.replace(chart::STYLE, "").contains("=\"#"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(own.says.ends_with('.') && !own.table.rows.is_empty());
        let width = own.table.head.len();
        assert!(own.table.rows.iter().all(|row| row.len() == width));
    }
}

/// A model whose names are as wild as users make them.
fn wild() -> Predictor {
    let mut artifact: Artifact = predictor(json!({"algorithm": "gbdt"})).into_artifact();
    artifact.target.name = "</title><script>alert(1)</script>".into();
    artifact.target.labels = vec!["nein".into(), "Да & \"ja\"".into()];
    let line = |group: Option<&str>, metric: &str| Line {
        feature: "sex".into(),
        group: group.map(str::to_owned),
        rows: 50,
        metric: metric.into(),
        value: 0.25,
        low: Some(0.2),
        high: Some(0.3),
    };
    artifact.provenance.fairness = Some(Fairness {
        lines: vec![
            line(Some("<i>"), "selection_rate"),
            line(None, "demographic_parity_difference"),
        ],
        ..Fairness::default()
    });
    Predictor::new(artifact).unwrap()
}

#[test]
fn a_page_holds_all_there_is_and_no_code_of_strangers() {
    let predictor = wild();
    let insight = Insight::of(&predictor, NAMED, &mut || true).unwrap();
    let outcomes = outcomes(&predictor);
    let subject = Subject {
        predictor: &predictor,
        outcomes: Some(&outcomes),
        evaluation: &predictor.artifact().evaluation,
        judged_on: None,
    };
    let facts = Facts {
        model: "risk <img src=x onerror=alert(1)>".into(),
        version: 3,
        deployed: true,
        on: Some("now".into()),
        leaks: Findings {
            findings: vec![Finding {
                attack: "lira <b>".into(),
                metric: "roc_auc".into(),
                value: None,
                low: None,
                high: None,
            }],
            shadows: 4,
            rows: 100,
            notes: Vec::new(),
        },
        ..Facts::default()
    };
    let lines = of_table("risk", &predictor, &insight);
    let shifts = drift(&predictor, predictor.background()).unwrap();
    let page = page_of_table(&facts, &lines, &subject, &insight, Some(&shifts)).unwrap();
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "{page}"
    );
    assert!(
        !page.contains("http://")
            || page.matches("http://").count()
                == page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count()
    );
    for part in [
        "Version 3, deployed",
        "How good it is",
        "What it goes by",
        "Segments",
        "The data",
        "Whether rows have changed",
        "Where it comes from",
        "What it may reveal",
        "too few rows",
        "Whom it treats how",
        "Да &amp; &quot;ja&quot;",
        "roc_auc",
        "PSI",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for tag in [
        "section", "figure", "table", "details", "svg", "div", "tr", "td",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

/// The library that draws looks for marks on an axis without end if the axis is as wide as all numbers.
#[test]
fn axes_of_any_numbers_end() {
    use super::chart::{Axis, Plot, Scale, Stroke};
    let large = f64::MAX;
    let all = [
        vec![],
        vec![f64::NAN],
        vec![0.0],
        vec![large],
        vec![-large, large],
        vec![1e9, 1e9 + 1e-7],
        vec![5e-324, 1e-323],
        vec![f64::INFINITY, 1.0],
    ];
    for values in &all {
        let axis = || Axis::around("x", Scale::Number, values.iter().copied());
        assert!(axis().low < axis().high && axis().high - axis().low < f64::INFINITY);
        let points = values.iter().map(|x| (*x, *x)).collect();
        let plot = Plot::new(axis(), axis()).line("x", Stroke::Series(0), points);
        assert!(plot.draw().unwrap().contains("</svg>"), "{values:?}");
    }
}
