use super::table::{Cleaned, Edit, Table};
use super::*;
use crate::recipe::Recipe;
use serde_json::json;

fn column(name: &str, type_name: &str, kind: Kind, cells: &[Cell<'_>]) -> Column {
    let mut column = Column::new(name, type_name, kind);
    cells.iter().for_each(|cell| column.push(*cell));
    column
}

fn text(name: &str, texts: &[&str]) -> Column {
    let cells: Vec<Cell<'_>> = texts.iter().map(|t| Cell::Text(t)).collect();
    column(name, "text", Kind::Category, &cells)
}

fn number(name: &str, type_name: &str, values: &[Option<f64>]) -> Column {
    let cells: Vec<Cell<'_>> = values
        .iter()
        .map(|x| x.map_or(Cell::Null, Cell::Number))
        .collect();
    column(name, type_name, Kind::Number, &cells)
}

fn params(options: serde_json::Value) -> CleanParams {
    CleanParams::from_json(&options, "").unwrap()
}

fn rows(n: usize) -> Vec<u32> {
    (0..n as u32).collect()
}

/// Everything, learned from the first rows of a frame.
fn learn(frame: &Frame, train: usize, options: serde_json::Value) -> Clean {
    let params = params(options);
    let columns: Vec<usize> = (0..frame.columns.len()).collect();
    let mut clean = Clean::learn(frame, &columns, &rows(train), &[], &params);
    let mut frame = frame.clone();
    clean.replace(&mut frame, &[]);
    clean.learn_fills(&frame, &rows(train), &[], &params);
    clean
}

const EVERYTHING: &str = r#"{"missing": "model", "outliers": "clip", "clip_quantile": 0.05, "variants": true,
    "text": {"trim": true, "case": "fold", "unicode": "nfkc"}, "numbers": true, "dates": true}"#;

/// Dirty rows with columns of every kind.
fn dirty(n: usize) -> Frame {
    let cities = [
        " Rome",
        "ROME ",
        "Ｏslo",
        "oslo",
        "東京",
        "Москва",
        "القاهرة",
        "Romme",
    ];
    let mut city = Column::new("city", "text", Kind::Category);
    let mut price = Column::new("price", "text", Kind::Category);
    let mut day = Column::new("day", "text", Kind::Category);
    let mut a = Column::new("a", "integer", Kind::Number);
    let mut b = Column::new("b", "double precision", Kind::Number);
    let mut since = Column::new("since", "date", Kind::Time);
    let mut vip = Column::new("vip", "boolean", Kind::Boolean);
    let mut wait = Column::new("wait", "interval", Kind::Duration);
    for i in 0..n {
        let maybe =
            |cell: Cell<'static>, every: usize| if i % every == 0 { Cell::Null } else { cell };
        let x = (i * 7919 % 1000) as f64;
        city.push(maybe(Cell::Text(cities[i % 8]), 9));
        let money = format!("€{}.{:02}", i % 300, i % 100);
        price.push(if i % 13 == 0 {
            Cell::Null
        } else {
            Cell::Text(if i == 5 { "free" } else { &money })
        });
        let date = format!("{:02}/{:02}/2024", i % 12 + 1, i % 28 + 1);
        day.push(Cell::Text(&date));
        a.push(maybe(Cell::Number(x), 7));
        b.push(maybe(Cell::Number(2.0 * x + 1.0), 11));
        since.push(maybe(Cell::Time(i as i64 * 86_400_000_000), 5));
        vip.push(maybe(Cell::Boolean(i % 3 == 0), 6));
        wait.push(maybe(Cell::Duration(x * 60.0), 8));
    }
    Frame {
        columns: vec![city, price, day, a, b, since, vip, wait],
    }
}

/// A row alone comes out as the same row of a table, before and after storage, as cells and as what a network takes.
#[test]
fn one_row_is_cleaned_as_a_table_is() {
    let options: serde_json::Value = serde_json::from_str(EVERYTHING).unwrap();
    let frame = dirty(400);
    for missing in ["keep", "auto", "median", "mean", "mode", "model"] {
        let mut options = options.clone();
        options["missing"] = json!(missing);
        let learned = learn(&frame, 300, options);
        let stored = serde_json::to_string(&learned).unwrap();
        let clean: Clean = serde_json::from_str(&stored).unwrap();
        let whole = learned.frame(&frame, &rows(400));
        let part: Vec<u32> = (100..200).collect();
        let part = clean.frame(&frame, &part);
        let recipe =
            Recipe::fit(&whole, &(0..8).collect::<Vec<_>>(), &rows(300)).after(clean.clone());
        assert!(recipe.is_sound());
        let matrix = recipe.transform(&frame, &rows(400));
        let mut features = recipe.scratch();
        for row in 0..400 {
            let cells: Vec<Cell<'_>> = frame.columns.iter().map(|c| c.cell(row)).collect();
            let alone = clean.row(&cells);
            for (i, value) in alone.iter().enumerate() {
                assert_eq!(value.cell(), whole.columns[i].cell(row));
                if (100..200).contains(&row) {
                    assert_eq!(value.cell(), part.columns[i].cell(row - 100));
                }
            }
            recipe.apply(&cells, &mut features);
            let (w, c) = (matrix.inputs.numbers, matrix.inputs.categories.len());
            assert_eq!(features.numbers, matrix.numbers[row * w..(row + 1) * w]);
            assert_eq!(features.codes, matrix.codes[row * c..(row + 1) * c]);
        }
    }
}

#[test]
fn every_kind_is_put_right() {
    let frame = dirty(400);
    let clean = learn(&frame, 400, serde_json::from_str(EVERYTHING).unwrap());
    let after = clean.frame(&frame, &rows(400));
    let kinds: Vec<Kind> = after.columns.iter().map(|c| c.kind).collect();
    assert_eq!(
        kinds[..4],
        [Kind::Category, Kind::Number, Kind::Time, Kind::Number]
    );
    assert_eq!(clean.raw_kind(1), Some(Kind::Category));
    assert_eq!(after.columns[0].cell(1), Cell::Text("rome"));
    assert_eq!(after.columns[0].cell(2), Cell::Text("oslo"));
    let Cell::Number(predicted) = after.columns[4].cell(11) else {
        panic!("b is not filled");
    };
    let a = (11 * 7919 % 1000) as f64;
    assert!(
        (predicted - (2.0 * a + 1.0)).abs() < 100.0,
        "{predicted} for {a}"
    );
    assert!(after.columns[3].nulls.count() == 0);
    let calendar = crate::calendar::days(2024, 2, 2).unwrap() * 86_400_000_000;
    assert_eq!(after.columns[2].cell(1), Cell::Time(calendar));
}

#[test]
fn rows_that_are_not_trained_on_teach_nothing() {
    let mut frame = dirty(300);
    let options: serde_json::Value = serde_json::from_str(EVERYTHING).unwrap();
    let before = serde_json::to_string(&learn(&frame, 300, options.clone())).unwrap();
    for column in &mut frame.columns {
        for _ in 0..50 {
            match column.kind {
                Kind::Number => column.push(Cell::Number(1e12)),
                Kind::Category => column.push(Cell::Text("something else")),
                Kind::Time => column.push(Cell::Time(i64::MAX / 2)),
                _ => column.push(Cell::Null),
            }
        }
    }
    assert_eq!(
        serde_json::to_string(&learn(&frame, 300, options)).unwrap(),
        before
    );
}

#[test]
fn a_spelling_never_met_and_an_unreadable_value_are_served() {
    let frame = dirty(400);
    let clean = learn(&frame, 400, serde_json::from_str(EVERYTHING).unwrap());
    let row = clean.row(&[
        Cell::Text("r.o.m.e"),
        Cell::Text("$5"),
        Cell::Text("soon"),
        Cell::Number(1e300),
    ]);
    assert_eq!(row[0].cell(), Cell::Text("rome"));
    assert!(
        matches!(row[1].cell(), Cell::Number(_)),
        "filled: the price has another unit"
    );
    assert!(matches!(row[2].cell(), Cell::Time(_)), "filled");
    assert!(
        matches!(row[3].cell(), Cell::Number(x) if x <= 1000.0),
        "clipped"
    );
    assert_eq!(row.len(), 8);
}

#[test]
fn long_text_in_many_scripts_is_survived() {
    let scripts = [
        "latin",
        "кириллица",
        "ελληνικά",
        "עברית",
        "العربية",
        "हिन्दी",
        "বাংলা",
        "தமிழ்",
        "తెలుగు",
        "ಕನ್ನಡ",
        "മലയാളം",
        "ไทย",
        "ລາວ",
        "ខ្មែរ",
        "မြန်မာ",
        "ქართული",
        "հայերեն",
        "አማርኛ",
        "한국어",
        "日本語",
        "中文",
        "ᏣᎳᎩ",
    ];
    let long = scripts.join(" ").repeat(4000);
    assert!(long.len() > 1 << 20);
    let mut texts: Vec<&str> = scripts.to_vec();
    texts.push(&long);
    let frame = Frame {
        columns: vec![text("t", &texts)],
    };
    let clean = learn(
        &frame,
        texts.len(),
        serde_json::from_str(EVERYTHING).unwrap(),
    );
    let after = clean.frame(&frame, &rows(texts.len()));
    assert_eq!(after.columns[0].nulls.count(), 0);
    assert_eq!(after.columns[0].cell(0), Cell::Text("latin"));
    assert!(matches!(after.columns[0].cell(texts.len() - 1), Cell::Text(t) if t.len() > 1 << 20));
}

#[test]
fn next_to_nothing_can_be_cleaned() {
    for n in [0, 1] {
        for cell in [Cell::Null, Cell::Number(1.0)] {
            let cells = vec![cell; n];
            let frame = Frame {
                columns: vec![
                    column("a", "integer", Kind::Number, &cells),
                    column("b", "text", Kind::Category, &vec![Cell::Null; n]),
                    column("c", "boolean", Kind::Boolean, &vec![Cell::Null; n]),
                    column("d", "date", Kind::Time, &vec![Cell::Null; n]),
                ],
            };
            let clean = learn(&frame, n, serde_json::from_str(EVERYTHING).unwrap());
            assert_eq!(clean.frame(&frame, &rows(n)).rows(), n);
            assert_eq!(clean.row(&[]).len(), 4);
            for options in [
                EVERYTHING,
                r#"{"missing": "drop", "outliers": "drop", "duplicates": "near"}"#,
            ] {
                let options = serde_json::from_str(options).unwrap();
                let cleaned = table(frame.clone(), &[], options);
                assert!(cleaned.dropped.len() <= n);
            }
        }
    }
    assert!(
        learn(&Frame::default(), 0, json!({}))
            .or_nothing()
            .is_nothing()
    );
    assert!(learn(&dirty(50), 50, json!({})).or_nothing().is_nothing());
}

#[test]
fn damaged_bytes_do_no_harm() {
    let clean = learn(&dirty(300), 300, serde_json::from_str(EVERYTHING).unwrap());
    let mut stored = serde_json::to_value(&clean).unwrap();
    assert!(!clean.is_sound(7));
    // Positions that are not there and bounds that are the wrong way round are answered, not panicked about.
    for steps in stored["columns"].as_array_mut().unwrap() {
        if !steps["bounds"].is_null() {
            steps["bounds"] = json!({"low": 5.0, "high": -5.0});
        }
        if let Some(terms) = steps["fill"]
            .get_mut("ridge")
            .and_then(|r| r.get_mut("terms"))
        {
            *terms = json!([[99, 1.0, 2.0]]);
        }
    }
    let damaged: Clean = serde_json::from_value(stored).unwrap();
    assert_eq!(damaged.row(&[Cell::Null; 8]).len(), 8);
    assert_eq!(damaged.frame(&dirty(20), &rows(20)).rows(), 20);
}

fn table(frame: Frame, keys: &[&str], options: serde_json::Value) -> Cleaned {
    let keys: Vec<String> = keys.iter().map(|k| (*k).to_owned()).collect();
    let table = Table {
        frame,
        identifiers: keys.clone(),
        keys,
        opaque: Vec::new(),
    };
    table.clean(&params(options))
}

/// The edits of a column as (row, value).
fn edits(cleaned: &Cleaned, column: usize) -> Vec<(u32, Edit)> {
    let edits = cleaned.columns.iter().find(|e| e.column == column);
    edits.map_or(Vec::new(), |e| {
        let picked = e.picks.iter().map(|p| e.values[*p as usize].clone());
        e.rows.iter().copied().zip(picked).collect()
    })
}

#[test]
fn a_table_keeps_its_types_and_what_cannot_be_read() {
    let mut prices = vec!["7"; 60];
    prices[..5].copy_from_slice(&["€12", "1,200.50", " n/a ", "free", "(3.2)"]);
    let mut ages: Vec<Option<f64>> = (0..60).map(|i| Some(f64::from(i % 20))).collect();
    ages[3] = None;
    let frame = Frame {
        columns: vec![text("price", &prices), number("age", "integer", &ages)],
    };
    let options = json!({"numbers": true, "missing": "mean", "text": {"trim": true}});
    let cleaned = table(frame, &[], options);
    let Edit::Text(mean) = edits(&cleaned, 0)[2].1.clone() else {
        panic!("a text becomes a text");
    };
    assert!(mean.parse::<f64>().unwrap() > 7.0);
    let texts = |row, text: &str| (row, Edit::Text(text.to_owned()));
    assert_eq!(
        edits(&cleaned, 0),
        [
            texts(0, "12"),
            texts(1, "1200.5"),
            texts(2, &mean),
            texts(4, "-3.2")
        ]
    );
    assert_eq!(
        edits(&cleaned, 1),
        [(3, Edit::Number(10.0))],
        "9.6, rounded"
    );
    assert!(cleaned.dropped.is_empty());
    let lines = report::describe(&cleaned.changes);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("\"free\"") && lines[0].contains("\"€12\" -> 12"),
        "{lines:?}"
    );
}

#[test]
fn keys_are_left_alone_unless_named() {
    let ids: Vec<Option<f64>> = (0..100)
        .map(|i| Some(if i == 99 { 1e9 } else { f64::from(i) }))
        .collect();
    let frame = Frame {
        columns: vec![
            number("order_id", "bigint", &ids),
            number("code", "integer", &ids),
            number("x", "integer", &ids),
        ],
    };
    let clipped = |options| {
        let cleaned = table(frame.clone(), &["code"], options);
        cleaned.columns.iter().map(|c| c.column).collect::<Vec<_>>()
    };
    assert_eq!(clipped(json!({"outliers": "robust"})), [2]);
    let named = json!({"outliers": "robust", "columns": ["code"]});
    assert_eq!(clipped(named), [1]);
    let mut emails: Vec<Cell<'_>> =
        vec![Cell::Text("ann@example.com"), Cell::Text("bo@example.com")];
    emails.push(Cell::Null);
    let frame = Frame {
        columns: vec![column("email", "text", Kind::Category, &emails)],
    };
    let filled = |options| edits(&table(frame.clone(), &["email"], options), 0).len();
    assert_eq!(
        filled(json!({"missing": "mode", "columns": ["email"]})),
        0,
        "nobody's is everybody's"
    );
    assert_eq!(
        filled(json!({"missing": "constant", "constant_value": "?"})),
        0
    );
    assert_eq!(
        filled(json!({"missing": "constant", "constant_value": {"email": "?"}})),
        1
    );
}

#[test]
fn rows_go_only_when_asked() {
    let mut x: Vec<Option<f64>> = (0..100).map(|i| Some(f64::from(i))).collect();
    (x[5], x[7], x[9]) = (Some(1e9), None, Some(8.0));
    let names: Vec<String> = (0..100)
        .map(|i| format!("n{}", if i == 9 { 8 } else { i }))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let frame = Frame {
        columns: vec![number("x", "integer", &x), text("name", &names)],
    };
    let dropped = |options| table(frame.clone(), &[], options).dropped;
    let all = json!({"outliers": "robust", "missing": "median", "text": {"case": "fold"}, "variants": true});
    assert!(dropped(all).is_empty());
    assert_eq!(dropped(json!({"outliers": "drop"})), [5]);
    assert_eq!(dropped(json!({"missing": "drop"})), [7]);
    assert_eq!(dropped(json!({"duplicates": "exact"})), [9]);
    assert_eq!(dropped(json!({"duplicates": "near"})), [9]);
}

#[test]
fn rows_that_are_alike_by_nature_are_no_duplicates() {
    let ids: Vec<Option<f64>> = (0..200).map(|i| Some(f64::from(i))).collect();
    let sex: Vec<&str> = (0..200).map(|i| ["f", "m"][i % 2]).collect();
    let frame = Frame {
        columns: vec![number("id", "integer", &ids), text("sex", &sex)],
    };
    assert!(
        table(frame, &["id"], json!({"duplicates": "exact"}))
            .dropped
            .is_empty()
    );
}

#[test]
fn the_mapping_of_spellings_is_shown() {
    let mut cities = vec!["Berlin"; 60];
    cities[..3].copy_from_slice(&["BERLIN", "Ber lin", "Berlinn"]);
    let frame = Frame {
        columns: vec![text("city", &cities)],
    };
    let cleaned = table(frame, &[], json!({"variants": true}));
    assert_eq!(edits(&cleaned, 0).len(), 3);
    let change = &cleaned.changes[0];
    assert_eq!((change.what.as_str(), change.rows), ("spellings merged", 3));
    assert_eq!(change.examples[0], "\"BERLIN\" -> \"Berlin\"");
    assert_eq!(change.examples.len(), 3);
}
