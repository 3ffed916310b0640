use super::*;
use crate::frame::{Cell, Column, Kind};
use serde_json::json;

const CITIES: [(&str, &str); 4] = [
    ("Berlin", "DE"),
    ("Bonn", "DE"),
    ("Paris", "FR"),
    ("Rome", "IT"),
];

/// Customers whose spend depends on their city, whose country follows from it, and who have keys.
fn customers(rows: usize) -> Frame {
    let mut random = Random::new(42);
    let mut columns = vec![
        Column::new("id", "integer", Kind::Number),
        Column::new("code", "text", Kind::Category),
        Column::new("city", "text", Kind::Category),
        Column::new("country", "text", Kind::Category),
        Column::new("spend", "numeric", Kind::Number),
        Column::new("visits", "integer", Kind::Number),
        Column::new("since", "date", Kind::Time),
        Column::new("churn", "boolean", Kind::Boolean),
        Column::new("always", "text", Kind::Category),
        Column::new("never", "text", Kind::Category),
    ];
    for row in 0..rows {
        let at = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3][random.below(10)];
        let (city, country) = CITIES[at];
        let spend = (random.normal() * 2.0 + [20.0, 60.0, 100.0, 30.0][at]).max(0.0);
        let churn = random.uniform() < [0.9, 0.5, 0.1, 0.2][at];
        let cells = [
            Cell::Number(row as f64 + 1.0),
            Cell::Null,
            Cell::Text(city),
            Cell::Text(country),
            if random.uniform() < 0.2 {
                Cell::Null
            } else {
                Cell::Number((spend * 100.0).round() / 100.0)
            },
            if random.uniform() < 0.4 {
                Cell::Number(0.0)
            } else {
                Cell::Number((random.uniform() * 40.0).round())
            },
            Cell::Time(86_400_000_000 * (random.below(3000) as i64)),
            Cell::Boolean(churn),
            Cell::Text("x"),
            Cell::Null,
        ];
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.push(cell);
        }
    }
    let mut codes = Column::new("code", "text", Kind::Category);
    (0..rows).for_each(|row| codes.push(Cell::Text(&format!("K{:06}", row * 7))));
    columns[1] = codes;
    Frame { columns }
}

fn fit(rows: usize, options: serde_json::Value) -> (Frame, Synthesizer) {
    let frame = customers(rows);
    let params = Params::from_json(options.as_object().unwrap(), rows).unwrap();
    let made = Synthesizer::fit(&frame, &Columns::default(), params, &mut |_| true).unwrap();
    (frame, made)
}

fn texts(frame: &Frame, name: &str) -> Vec<String> {
    let column = frame.column(name).unwrap();
    (0..column.len())
        .map(|row| crate::fit::label_of(column.cell(row)))
        .collect()
}

fn score(model: &Synthesizer, metric: &str) -> f64 {
    model
        .metrics
        .iter()
        .find(|m| m.metric == metric && m.class.is_none())
        .unwrap()
        .value
}

#[test]
fn a_gan_imitates_columns_and_how_they_hang_together() {
    let (real, model) = fit(2000, json!({"epochs": 120, "batch_size": 200}));
    assert!(score(&model, "column_shapes") > 0.85, "{:?}", model.metrics);
    assert!(
        score(&model, "column_pair_trends") > 0.8,
        "{:?}",
        model.metrics
    );
    holds(&real, &model);
    // A condition is met by every row.
    let churn = json!(true);
    let rome = json!("IT");
    let given = [
        Given {
            column: "churn",
            value: &churn,
        },
        Given {
            column: "country",
            value: &rome,
        },
    ];
    let rows = model
        .rows(3, &given)
        .unwrap()
        .next(100, &mut || ())
        .unwrap();
    assert!(
        texts(&rows, "churn").iter().all(|t| t == "true")
            && texts(&rows, "city").iter().all(|t| t == "Rome")
    );
}

#[test]
fn an_autoencoder_imitates_columns_and_how_they_hang_together() {
    let (real, model) = fit(
        2000,
        json!({"algorithm": "tvae", "epochs": 100, "batch_size": 100}),
    );
    assert!(score(&model, "column_shapes") > 0.85, "{:?}", model.metrics);
    assert!(
        score(&model, "column_pair_trends") > 0.8,
        "{:?}",
        model.metrics
    );
    holds(&real, &model);
}

/// What holds for the rows of any model of customers.
fn holds(real: &Frame, model: &Synthesizer) {
    let rows = model.rows(1, &[]).unwrap().next(1000, &mut || ()).unwrap();
    assert_eq!(rows.rows(), 1000);
    // Keys are new, and no two are the same.
    let ids: std::collections::HashSet<String> = texts(&rows, "id").into_iter().collect();
    let codes: std::collections::HashSet<String> = texts(&rows, "code").into_iter().collect();
    assert!(ids.len() == 1000 && codes.len() == 1000);
    assert!(texts(real, "id").iter().all(|id| !ids.contains(id)));
    assert!(texts(real, "code").iter().all(|code| !codes.contains(code)));
    assert!(
        codes
            .iter()
            .all(|code| code.len() == 7 && code.starts_with('K')),
        "{codes:?}"
    );
    // A country is that of the city.
    for (city, country) in texts(&rows, "city").iter().zip(texts(&rows, "country")) {
        assert!(
            CITIES.contains(&(city.as_str(), country.as_str())),
            "{city} {country}"
        );
    }
    // Ranges, steps and the share of NULL.
    let spend = rows.column("spend").unwrap();
    let nulls = spend.nulls.count() as f64 / 1000.0;
    assert!((nulls - 0.2).abs() < 0.1, "{nulls}");
    for row in 0..1000 {
        if let Cell::Number(x) = spend.cell(row) {
            assert!(
                (0.0..=120.0).contains(&x) && (x * 100.0 - (x * 100.0).round()).abs() < 1e-6,
                "{x}"
            );
        }
        assert!(
            matches!(rows.column("since").unwrap().cell(row), Cell::Time(t) if t % 86_400_000_000 == 0)
        );
        assert_eq!(rows.column("always").unwrap().cell(row), Cell::Text("x"));
        assert_eq!(rows.column("never").unwrap().cell(row), Cell::Null);
    }
    // A seed gives one table, another seed another.
    let again = |seed| {
        texts(
            &model.rows(seed, &[]).unwrap().next(50, &mut || ()).unwrap(),
            "spend",
        )
    };
    assert_eq!(again(5), again(5));
    assert_ne!(again(5), again(6));
    // Bytes and back.
    let bytes = model.to_bytes();
    let file = crate::export::write(&bytes, &crate::export::Origin::default(), false).unwrap();
    assert_eq!(crate::export::read(&file).unwrap().bytes, bytes);
    let back = Synthesizer::from_bytes(&bytes).unwrap();
    assert_eq!(
        texts(
            &back.rows(5, &[]).unwrap().next(50, &mut || ()).unwrap(),
            "spend"
        ),
        again(5)
    );
    for at in (0..bytes.len()).step_by(bytes.len() / 97) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x55;
        assert!(Synthesizer::from_bytes(&broken).is_err());
        assert!(Synthesizer::from_bytes(&bytes[..at]).is_err());
    }
}

#[test]
fn the_vanilla_loss_and_fifty_rows_work() {
    let (_, model) = fit(
        50,
        json!({"loss": "vanilla", "epochs": 30, "batch_size": 20, "pac": 2}),
    );
    assert_eq!(
        model
            .rows(1, &[])
            .unwrap()
            .next(200, &mut || ())
            .unwrap()
            .rows(),
        200
    );
}

#[test]
fn a_seed_gives_one_model_whatever_the_threads() {
    let train = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit(300, json!({"epochs": 3, "batch_size": 100})).1.network)
    };
    assert_eq!(train(1), train(3));
}

#[test]
fn conditions_that_cannot_be_say_so() {
    let (_, model) = fit(60, json!({"algorithm": "tvae", "epochs": 2}));
    let error = |column: &str, value: serde_json::Value| {
        model
            .rows(
                1,
                &[Given {
                    column,
                    value: &value,
                }],
            )
            .err()
            .unwrap()
    };
    assert_eq!(error("town", json!("Rome")).sqlstate, "42703");
    let found = error("city", json!("Oslo"));
    assert!(found.message.contains("Oslo") && found.hint.unwrap().contains("Paris"));
    assert!(error("spend", json!(7)).message.contains("cannot be given"));
}

#[test]
fn a_thousand_categories_and_more_are_all_generated() {
    let mut column = Column::new("shop", "text", Kind::Category);
    let mut other = Column::new("x", "double precision", Kind::Number);
    let mut random = Random::new(3);
    for _ in 0..6000 {
        column.push(Cell::Text(&format!("shop {}", random.below(1500))));
        other.push(Cell::Number(random.normal()));
    }
    let frame = Frame {
        columns: vec![column, other],
    };
    let params = Params::from_json(
        json!({"algorithm": "tvae", "epochs": 1})
            .as_object()
            .unwrap(),
        6000,
    )
    .unwrap();
    let model = Synthesizer::fit(&frame, &Columns::default(), params, &mut |_| true).unwrap();
    let rows = model.rows(1, &[]).unwrap().next(6000, &mut || ()).unwrap();
    let shops: std::collections::HashSet<String> = texts(&rows, "shop").into_iter().collect();
    assert!(shops.len() > 1000, "{}", shops.len());
}

#[test]
fn small_tables_have_small_batches_of_many_packs() {
    let of = |options: serde_json::Value, rows| {
        let params = Params::from_json(options.as_object().unwrap(), rows).unwrap();
        (params.batch, params.pac)
    };
    assert_eq!(of(json!({}), 300), (100, 5));
    assert_eq!(of(json!({}), 5634), (115, 5));
    assert_eq!(of(json!({}), 10_000), (200, 10));
    assert_eq!(of(json!({}), 1_000_000), (500, 10));
    assert_eq!(of(json!({"batch_size": 90, "pac": 10}), 300), (90, 10));
    assert_eq!(of(json!({"batch_size": 10}), 300), (10, 1));
    assert_eq!(of(json!({"algorithm": "tvae"}), 300), (100, 1));
}

#[test]
fn a_canceled_training_and_a_table_of_nothing_say_so() {
    let frame = customers(100);
    let params = Params::from_json(json!({}).as_object().unwrap(), 100).unwrap();
    let error =
        Synthesizer::fit(&frame, &Columns::default(), params.clone(), &mut |_| false).unwrap_err();
    assert_eq!(error.sqlstate, "57014");
    let few = customers(5);
    assert_eq!(
        Synthesizer::fit(&few, &Columns::default(), params.clone(), &mut |_| true)
            .unwrap_err()
            .sqlstate,
        "22023"
    );
    let keys = Frame {
        columns: frame.columns[..2].to_vec(),
    };
    let error = Synthesizer::fit(&keys, &Columns::default(), params, &mut |_| true).unwrap_err();
    assert!(error.message.contains("no column that can be learned"));
}

#[test]
fn generated_rows_like_the_real_ones_score_one_and_others_less() {
    let frame = customers(500);
    let same = fidelity::shapes(&frame, &frame);
    assert!(
        same.len() == 7 && same.iter().all(|s| (s.score - 1.0).abs() < 1e-12),
        "{}",
        same.len()
    );
    assert!(
        fidelity::pairs(&frame, &frame)
            .iter()
            .all(|p| (p.score - 1.0).abs() < 1e-12)
    );
    let mut other = frame.clone();
    let mut shuffled = Column::new("city", "text", Kind::Category);
    (0..500).for_each(|_| shuffled.push(Cell::Text("Oslo")));
    other.columns[2] = shuffled;
    let city = fidelity::shapes(&frame, &other);
    assert!(city.iter().any(|s| s.column == "city" && s.score < 1e-9));
}

#[test]
fn privacy_detection_and_efficacy_tell_copies_from_honest_rows() {
    let frame = customers(1200);
    let part = |from: usize, to: usize| {
        let columns = frame.columns.iter().map(|c| {
            let mut own = Column::new(c.name.as_str(), c.type_name.as_str(), c.kind);
            (from..to).for_each(|row| own.push(c.cell(row)));
            own
        });
        Frame {
            columns: columns.collect(),
        }
    };
    let (real, other, holdout) = (part(0, 400), part(400, 800), part(800, 1200));
    let of = |made: &Frame| {
        let compared = fidelity::Compared {
            real: &real,
            made,
            holdout: Some(&holdout),
            target: Some("churn"),
            seed: 1,
        };
        let found = fidelity::measure(&compared).unwrap();
        move |name: &str| {
            found
                .iter()
                .find(|m| m.measure == name)
                .unwrap_or_else(|| panic!("{name}"))
                .value
        }
    };
    // Rows of the same table that were not learned from: nobody can tell, nothing is given away.
    let honest = of(&other);
    assert!(
        (honest("detection_roc_auc") - 0.5).abs() < 0.12,
        "{}",
        honest("detection_roc_auc")
    );
    assert!(
        (honest("closer_to_training") - 0.5).abs() < 0.12
            && (honest("membership_roc_auc") - 0.5).abs() < 0.1
    );
    assert!(honest("exact_copies") == 0.0 && honest("quality") > 0.9 && honest("coverage") > 0.9);
    let (own, theirs) = (
        honest("efficacy_of_real_roc_auc"),
        honest("efficacy_of_synthetic_roc_auc"),
    );
    assert!(
        (own - theirs).abs() < 0.05 && theirs > 0.75,
        "{own} {theirs}"
    );
    // The very rows that were learned from.
    let copied = of(&real);
    assert!(copied("exact_copies") == 1.0 && copied("distance_to_closest_record") == 0.0);
    assert!(copied("closer_to_training") > 0.9 && copied("membership_roc_auc") > 0.9);
}
