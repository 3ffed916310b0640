//! What a private generator learns, what it states, and what it must not keep.

use super::super::Given;
use super::*;
use crate::frame::{Cell, Column as Values, Kind};
use serde_json::json;

const DAY: i64 = 86_400_000_000;

/// Customers with two rows each, whose spend goes with their plan; one of them lives in a place that nobody else does.
fn customers(rows: usize) -> Frame {
    let mut random = Random::new(8);
    let mut columns = vec![
        Values::new("id", "integer", Kind::Number),
        Values::new("customer", "integer", Kind::Number),
        Values::new("land", "text", Kind::Category),
        Values::new("plan", "text", Kind::Category),
        Values::new("spend", "double precision", Kind::Number),
        Values::new("visits", "integer", Kind::Number),
        Values::new("since", "date", Kind::Time),
        Values::new("vip", "boolean", Kind::Boolean),
        Values::new("tags", "text[]", Kind::Tags),
        Values::new("mail", "text", Kind::Category),
    ];
    for row in 0..rows {
        let land = ["DE", "DE", "DE", "FR", "IT"][random.below(5)];
        let vip = random.uniform() < 0.3;
        let mail = format!("somebody{row}@example.org");
        let cells = [
            Cell::Number(row as f64 + 1.0),
            Cell::Number((row / 2) as f64),
            Cell::Text(if row == 17 { "canary island" } else { land }),
            Cell::Text(if vip { "gold" } else { "basic" }),
            if random.uniform() < 0.25 {
                Cell::Null
            } else {
                Cell::Number(if vip { 80.0 } else { 20.0 } + 5.0 * random.normal())
            },
            Cell::Number(if row == 18 {
                7_654_321.0
            } else {
                random.below(4) as f64
            }),
            Cell::Time(DAY * (6000 + random.below(900) as i64)),
            Cell::Boolean(vip),
            Cell::Tags("a\0"),
            Cell::Text(&mail),
        ];
        let pushed = columns.iter_mut().zip(cells);
        pushed.for_each(|(column, cell)| column.push(cell));
    }
    Frame { columns }
}

fn learned(rows: usize, options: serde_json::Value) -> Result<Synthesizer, FitError> {
    let declared = Declared {
        unique: vec!["id".into()],
        ..Declared::default()
    };
    let params = Params::from_json(options.as_object().expect("an object"), rows)?;
    Synthesizer::fit(&customers(rows), &declared, params, &mut |_| true)
}

fn share(frame: &Frame, name: &str, is: impl Fn(Cell<'_>) -> bool) -> f64 {
    let column = frame.column(name).expect(name);
    let count = (0..column.len())
        .filter(|row| is(column.cell(*row)))
        .count();
    count as f64 / column.len() as f64
}

#[test]
fn columns_and_a_correlation_are_about_kept_and_nothing_of_single_rows_is() {
    let options = json!({"privacy": {"epsilon": 8, "delta": 1e-5}, "seed": 3});
    let model = learned(6000, options).expect("it can be learned");
    let made = model
        .rows(1, &[])
        .and_then(|mut rows| rows.next(6000, &mut || ()));
    let made = made.expect("rows");
    let near = |own: f64, wanted: f64| assert!((own - wanted).abs() < 0.06, "{own} {wanted}");
    near(share(&made, "land", |c| c == Cell::Text("DE")), 0.6);
    near(share(&made, "vip", |c| c == Cell::Boolean(true)), 0.3);
    near(share(&made, "spend", |c| c == Cell::Null), 0.25);
    near(share(&made, "visits", |c| c == Cell::Number(2.0)), 0.25);
    let early = |c: Cell<'_>| matches!(c, Cell::Time(at) if at < 6450 * DAY && at % DAY == 0);
    near(share(&made, "since", early), 0.5);
    // Who is on the gold plan is a vip, and spends more.
    let (plan, vip, spend) = ("plan", "vip", "spend");
    let column = |name| made.column(name).expect("there");
    let alike = (0..6000).filter(|row| {
        let gold = column(plan).cell(*row) == Cell::Text("gold");
        column(vip).cell(*row) == Cell::Boolean(gold)
    });
    let alike = alike.count() as f64 / 6000.0;
    let mean = |gold: bool| {
        let rows = (0..6000).filter(|row| (column(plan).cell(*row) == Cell::Text("gold")) == gold);
        let all: Vec<f64> = rows
            .filter_map(|row| super::super::number(column(spend).cell(row)))
            .collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    println!("alike {alike} gold {} basic {}", mean(true), mean(false));
    // By themselves they would agree in 0.58.
    assert!(alike > 0.8, "{alike}");
    assert!(
        mean(true) > mean(false) + 25.0,
        "{} {}",
        mean(true),
        mean(false)
    );

    // One row's own values are nowhere.
    let bytes = model.to_bytes();
    let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("gold") && !holds("canary") && !holds("somebody"));
    assert!(
        share(
            &made,
            "visits",
            |c| matches!(c, Cell::Number(x) if x > 100.0)
        ) == 0.0
    );
    assert!(share(&made, "tags", |c| c == Cell::Null) == 1.0);
    assert!(share(&made, "mail", |c| c == Cell::Null) == 1.0);
    // New numbers go on after the rows.
    assert_eq!(
        made.column("id").map(|c| c.cell(0)),
        Some(Cell::Number(6001.0))
    );

    let spent = model.spent.clone().expect("stated");
    assert!(
        spent.epsilon <= 8.0 && spent.epsilon > 7.5,
        "{}",
        spent.epsilon
    );
    assert_eq!(
        spent.prepared,
        [
            "customer", "land", "plan", "spend", "visits", "since", "vip", "mail"
        ]
    );
    let names: Vec<&str> = model.metrics.iter().map(|m| m.metric.as_str()).collect();
    assert_eq!(names[0], "column_shapes");
    assert!(names.ends_with(&["epsilon", "delta"]) && !names.contains(&"quality"));
    assert!(model.metrics[0].value > 0.8, "{:?}", model.metrics);
    assert!(
        model
            .history
            .iter()
            .all(|epoch| epoch.validation_loss.is_none())
    );
    assert!(
        model
            .notes
            .iter()
            .any(|note| note.contains("\"mail\" left out")),
        "{:?}",
        model.notes
    );
    let again = Synthesizer::from_bytes(&bytes).expect("it can be read");
    assert!(again.is_private() && again.spent == Some(spent));
    // A condition is met by every row.
    let wanted = json!("FR");
    let given = [Given {
        column: "land",
        value: &wanted,
    }];
    let made = again
        .rows(2, &given)
        .and_then(|mut rows| rows.next(300, &mut || ()));
    assert!(share(&made.expect("rows"), "land", |c| c == Cell::Text("FR")) == 1.0);
}

#[test]
fn rows_of_a_unit_are_hidden_together_and_given_values_are_not_asked_for() {
    let model = learned(
        3000,
        json!({"epochs": 2, "privacy": {"epsilon": 2, "unit": "customer", "rows_per_unit": 2,
            "categories": {"land": ["DE", "FR", "IT"], "plan": ["basic", "gold"]}, "bounds": {"visits": [0, 3]}}}),
    )
    .expect("it can be learned");
    let spent = model.spent.clone().expect("stated");
    assert_eq!((spent.units, spent.rows_per_unit), (1500, 2));
    assert!((spent.delta - 0.1 / 1500.0).abs() < 1e-12);
    let note = "\"customer\" left out, generated rows have NULL in it: says whose rows they are";
    assert!(
        model.notes.iter().any(|own| own.contains(note)),
        "{:?}",
        model.notes
    );
    let made = model
        .rows(1, &[])
        .and_then(|mut rows| rows.next(500, &mut || ()));
    let made = made.expect("rows");
    let within = |c: Cell<'_>| matches!(c, Cell::Number(x) if (0.0..=3.0).contains(&x));
    assert!(share(&made, "visits", within) == 1.0);
    assert!(share(&made, "customer", |c| c == Cell::Null) == 1.0);
}

#[test]
fn less_privacy_means_less_noise_and_less_time_less_spent() {
    let spent = |epsilon: f64, seconds: f64| {
        let options = json!({"epochs": 3, "max_seconds": seconds, "privacy": {"epsilon": epsilon}});
        let model = learned(2000, options).expect("it can be learned");
        (model.stopped_by.clone(), model.spent.expect("stated"))
    };
    let (strong, weak) = (spent(1.0, 1e6).1, spent(8.0, 1e6).1);
    assert!(strong.noise_multiplier > 2.0 * weak.noise_multiplier);
    assert!(strong.preparation_noise > weak.preparation_noise);
    let (stopped_by, short) = spent(1.0, 1e-3);
    assert_eq!(stopped_by, "max_seconds");
    assert!(short.steps < strong.steps && short.epsilon < strong.epsilon);
}

#[test]
fn what_cannot_be_private_is_refused_with_a_way_out() {
    let refused = |rows: usize, options: serde_json::Value| {
        let error = learned(rows, options).expect_err("refused");
        assert!(error.hint.is_some() || error.detail.is_some(), "{error:?}");
        error.message
    };
    for (options, word) in [
        (json!({"algorithm": "tvae"}), "tvae"),
        (json!({"pac": 10}), "\"pac\""),
        (json!({"dropout": 0.5}), "\"dropout\""),
    ] {
        let mut options = options;
        options["privacy"] = json!({"epsilon": 3});
        assert!(refused(2000, options).contains(word));
    }
    assert!(refused(40, json!({"privacy": {"epsilon": 3}})).contains("too few"));
    let absent = json!({"privacy": {"epsilon": 3, "bounds": {"height": [0, 1]}}});
    assert!(refused(2000, absent).contains("\"height\""));
}
