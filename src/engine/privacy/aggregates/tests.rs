use super::*;
use serde_json::json;

fn people(rows: usize) -> Frame {
    let mut age = Column::new("age", "integer", Kind::Number);
    let mut plan = Column::new("plan", "text", Kind::Category);
    let mut unit = Column::new("id", "integer", Kind::Number);
    for i in 0..rows {
        age.push(if i % 10 == 9 {
            Cell::Null
        } else {
            Cell::Number((20 + i % 50) as f64)
        });
        plan.push(Cell::Text(if i == 0 {
            "secret"
        } else {
            ["basic", "pro"][i % 2]
        }));
        unit.push(Cell::Number((i / 4) as f64));
    }
    Frame {
        columns: vec![age, plan, unit],
    }
}

fn ask(options: serde_json::Value, frame: &Frame, seed: u64) -> Aggregates {
    let params = AggregateParams::from_json(&options).unwrap();
    params
        .answer(frame, &mut Noise::from_seed(seed), &mut || ())
        .unwrap()
}

fn value(found: &Aggregates, column: Option<&str>, statistic: &str) -> f64 {
    let own = |f: &&Figure| f.column.as_deref() == column && f.statistic == statistic;
    found.figures.iter().find(own).unwrap().value
}

#[test]
fn options_are_checked() {
    for bad in [
        json!([]),
        json!({"eps": 1}),
        json!({"epsilon": 0}),
        json!({"delta": 0}),
        json!({"bounds": {"age": [1]}}),
        json!({"bounds": {"age": [2, 1]}}),
        json!({"bounds": []}),
        json!({"categories": {"plan": []}}),
        json!({"rows_per_unit": 2}),
        json!({"quantiles": [0]}),
        json!({"quantiles": [0.12345]}),
        json!({"columns": ["a"], "by": ["a"]}),
    ] {
        assert!(
            !AggregateParams::from_json(&bad)
                .unwrap_err()
                .hint
                .is_empty(),
            "{bad}"
        );
    }
    let kind = |name: &str| {
        Some(if name == "age" {
            Kind::Number
        } else {
            Kind::Category
        })
    };
    let check = |options| AggregateParams::from_json(&options).unwrap().check(&kind);
    assert!(
        check(json!({"columns": ["age"]}))
            .unwrap_err()
            .message
            .contains("needs bounds")
    );
    assert!(check(json!({"bounds": {"plan": [0, 1]}})).is_err());
    assert!(check(json!({"columns": ["age", "plan"], "bounds": {"age": [0, 120]}})).is_ok());
}

#[test]
fn figures_are_near_the_truth_and_their_intervals_hold_it() {
    let frame = people(10_000);
    let options = json!({"bounds": {"age": [0, 120]}, "epsilon": 2});
    let (mut held, mut told) = (0, 0);
    for seed in 0..30 {
        let found = ask(options.clone(), &frame, seed);
        let exact = |column: Option<&str>, statistic: &str| match (column, statistic) {
            (None, _) => 10_000.0,
            (_, "count") => 9_000.0,
            (_, "mean") => 44.0,
            _ => 44.0 * 9_000.0,
        };
        for figure in &found.figures {
            let truth = exact(figure.column.as_deref(), &figure.statistic);
            if let Some((low, high)) = figure.within {
                told += 1;
                held += usize::from(low <= truth && truth <= high);
                assert!((figure.value / truth - 1.0).abs() < 0.02, "{figure:?}");
            }
        }
        assert!((value(&found, Some("age"), "q50") - 44.0).abs() < 3.0);
        assert_eq!((found.epsilon, found.delta), (2.0, 0.0));
        let spent: f64 = found.figures.iter().map(|f| f.epsilon).sum();
        assert!((spent - 2.0).abs() < 1e-9);
    }
    assert!(held as f64 >= 0.93 * told as f64, "{held} of {told}");
}

#[test]
fn a_single_row_does_not_make_a_category_or_a_group_appear() {
    let frame = people(1000);
    for seed in 0..50 {
        let found = ask(json!({"columns": ["plan"]}), &frame, seed);
        let seen: Vec<&str> = found
            .figures
            .iter()
            .filter_map(|f| f.category.as_deref())
            .collect();
        assert_eq!(seen, ["basic", "pro"]);
        assert_eq!(found.delta, 1e-6);
        let by = ask(
            json!({"by": ["plan"], "bounds": {"age": [0, 120]}}),
            &frame,
            seed,
        );
        assert!(
            by.figures
                .iter()
                .all(|f| f.by[0].as_deref() != Some("secret"))
        );
    }
    let known = ask(
        json!({"categories": {"plan": ["basic", "secret"]}}),
        &frame,
        1,
    );
    assert_eq!((known.figures.len(), known.delta), (3, 0.0));
}

#[test]
fn rows_of_a_unit_are_limited() {
    let frame = people(4000);
    let options = json!({"unit": "id", "rows_per_unit": 2, "epsilon": 50});
    let found = ask(options, &frame, 3);
    assert!((value(&found, None, "rows") - 2000.0).abs() < 5.0);
}

#[test]
fn a_unit_with_more_rows_is_hidden_by_more_noise() {
    let frame = people(400);
    let spread = |options: serde_json::Value| {
        let values: Vec<f64> = (0..300)
            .map(|seed| value(&ask(options.clone(), &frame, seed), None, "rows"))
            .collect();
        let mean = values.iter().sum::<f64>() / 300.0;
        (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 300.0).sqrt()
    };
    // A discrete Laplace of scale b has a standard deviation of about b · sqrt(2).
    let one = spread(json!({}));
    let four = spread(json!({"unit": "id", "rows_per_unit": 4}));
    assert!(
        (one / 2f64.sqrt() - 1.0).abs() < 0.25 && (four / one / 4.0 - 1.0).abs() < 0.3,
        "{one} {four}"
    );
}

#[test]
fn quantiles_are_chosen_near_and_stay_within_the_bounds() {
    let mut noise = Noise::from_seed(9);
    let values: Vec<f64> = (0..1001).map(f64::from).collect();
    let candidates = quantile::candidates(0.0, 1000.0, true);
    let mut question = quantile::Question {
        thousandths: 900,
        epsilon: 1.0,
        rows_per_unit: 1,
    };
    for _ in 0..50 {
        assert!((question.choose(&values, &candidates, &mut noise) - 900.0).abs() < 40.0);
    }
    // Heavy ties: most rows are 7.
    let ties = [vec![1.0; 100], vec![7.0; 800], vec![9.0; 100]].concat();
    question.thousandths = 500;
    assert_eq!(
        question.choose(&ties, &quantile::candidates(0.0, 10.0, true), &mut noise),
        7.0
    );
    assert!((0.0..=10.0).contains(&question.choose(
        &[],
        &quantile::candidates(0.0, 10.0, false),
        &mut noise
    )));
}
