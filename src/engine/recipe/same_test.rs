//! A frame of any kind of columns, prepared at once or row by row, before and after its model was bytes: the same bits.

use super::*;
use crate::artifact::{Artifact, Task, testing::model_of};
use crate::embed::testing::tiny_bert;
use crate::frame::TAG_END;
use crate::infer::testing::Random;
use crate::models::Activation;
use crate::picture::BYTES;

const KINDS: [Kind; 9] = [
    Kind::Number,
    Kind::Boolean,
    Kind::Category,
    Kind::Time,
    Kind::Duration,
    Kind::Vector,
    Kind::Tags,
    Kind::Json,
    Kind::Image,
];

/// Owns what a cell borrows.
enum Value {
    Null,
    Number(f64),
    Boolean(bool),
    Text(String),
    Time(i64),
    Duration(f64),
    Vector(Vec<f32>),
    Tags(String),
    Json(String),
    Image(Vec<u8>),
}

impl Value {
    fn cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Cell::Null,
            Value::Number(x) => Cell::Number(*x),
            Value::Boolean(x) => Cell::Boolean(*x),
            Value::Text(x) => Cell::Text(x),
            Value::Time(x) => Cell::Time(*x),
            Value::Duration(x) => Cell::Duration(*x),
            Value::Vector(x) => Cell::Vector(x),
            Value::Tags(x) => Cell::Tags(x),
            Value::Json(x) => Cell::Json(x),
            Value::Image(x) => Cell::Image(x),
        }
    }
}

fn number(random: &mut Random) -> f64 {
    match random.below(12) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => f64::MAX,
        4 => -f64::MIN_POSITIVE,
        5 => 0.0,
        6 => f64::from(random.unit()).exp2() * 1e9,
        _ => f64::from(random.unit()) * 10.0,
    }
}

const WORDS: [&str; 12] = [
    "good",
    "NOT",
    "très",
    "Straße",
    "плохо",
    "非常好",
    "ดีมาก",
    "👍🏽",
    "it's",
    "a",
    "\u{300}",
    "12.5%",
];

fn text(random: &mut Random, prose: bool) -> String {
    if !prose {
        return format!("level {}", random.below(40));
    }
    let words = random.below(14);
    let mut text: Vec<&str> = (0..words).map(|_| WORDS[random.below(12)]).collect();
    let end = format!("{}", random.below(1000));
    text.push(&end);
    text.join(if random.below(5) == 0 { "\n" } else { " " })
}

fn document(random: &mut Random) -> String {
    let documents = [
        format!(
            r#"{{"plan": "p{}", "spend": {}, "deep": {{"a": true}}}}"#,
            random.below(30),
            random.unit()
        ),
        format!(
            r#"{{"plan": {}, "deep": {{"a": {}, "list": [1, 2]}}}}"#,
            random.below(3),
            random.below(2) == 0
        ),
        r#"{"spend": 1e308, "other": null, "": {"": 1}}"#.to_owned(),
        "[1, 2, 3]".into(),
        "17".into(),
        r#"{"spend": 1e999}"#.into(),
        "not json at all".into(),
    ];
    documents[random.below(7)].clone()
}

/// Pixels of every sort: plain, noise, stripes; and what is no image.
fn image(random: &mut Random) -> Vec<u8> {
    let (sort, plain, wide) = (
        random.below(7),
        random.below(256) as u8,
        1 + random.below(8),
    );
    let pixel = |i: usize, random: &mut Random| match sort {
        0 => plain,
        1 | 2 => random.below(256) as u8,
        _ => 255 * (i / 3 / wide % 2) as u8,
    };
    let length = if sort == 6 { random.below(5) } else { BYTES };
    (0..length).map(|i| pixel(i, random)).collect()
}

fn value(kind: Kind, prose: bool, random: &mut Random) -> Value {
    if random.below(8) == 0 {
        return Value::Null;
    }
    match kind {
        Kind::Number => Value::Number(number(random)),
        Kind::Duration => Value::Duration(number(random)),
        Kind::Boolean => Value::Boolean(random.below(3) == 0),
        Kind::Category => Value::Text(text(random, prose)),
        Kind::Time if random.below(20) == 0 => Value::Time(i64::MAX),
        Kind::Time => Value::Time(random.below(1 << 50) as i64 - (1 << 49)),
        Kind::Vector => {
            let length = if random.below(6) == 0 {
                random.below(9)
            } else {
                5
            };
            let element = |random: &mut Random| match random.below(15) {
                0 => f32::NAN,
                1 => f32::MAX,
                _ => random.unit(),
            };
            Value::Vector((0..length).map(|_| element(random)).collect())
        }
        Kind::Tags => {
            let count = random.below(5);
            let tag = |random: &mut Random| format!("tag {}{TAG_END}", random.below(90));
            Value::Tags((0..count).map(|_| tag(random)).collect())
        }
        Kind::Json => Value::Json(document(random)),
        Kind::Image => Value::Image(image(random)),
    }
}

fn how(random: &mut Random) -> Preparation {
    let standardise = [
        Standardise::Auto,
        Standardise::Standard,
        Standardise::Robust,
        Standardise::Minmax,
        Standardise::Quantile,
        Standardise::None,
    ];
    let transform = [
        Transform::Auto,
        Transform::None,
        Transform::Log,
        Transform::Power,
        Transform::Quantile,
    ];
    let category_encoding = [
        CategoryEncoding::Auto,
        CategoryEncoding::Embedding,
        CategoryEncoding::Target,
        CategoryEncoding::OneHot,
        CategoryEncoding::Hash,
    ];
    Preparation {
        text_features: [0, 3, 256][random.below(3)],
        text_dim: [0, 4][random.below(2)],
        standardise: standardise[random.below(6)],
        category_encoding: category_encoding[random.below(5)],
        transform: transform[random.below(5)],
        text_model: (random.below(3) == 0).then(tiny_bert),
    }
}

/// Any columns can be asked for, not only those that make sense.
fn constructed(random: &mut Random, columns: usize) -> Constructed {
    let operations = [Operation::Ratio, Operation::Difference, Operation::Product];
    Constructed {
        pairs: (0..random.below(3))
            .map(|_| Pair {
                operation: operations[random.below(3)],
                left: random.below(columns),
                right: random.below(columns),
            })
            .collect(),
        crosses: (0..random.below(4))
            .map(|_| (random.below(columns), random.below(columns)))
            .collect(),
    }
}

fn truth(random: &mut Random, rows: usize) -> Option<Truth> {
    match random.below(3) {
        0 => None,
        1 => Some(Truth::Values(
            (0..rows).map(|_| f64::from(random.unit())).collect(),
        )),
        _ => Some(Truth::Classes(
            (0..rows).map(|_| random.below(3) as u32).collect(),
        )),
    }
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn all_at_once_equals_row_by_row_also_after_storage() {
    let mut forecasts = 0;
    for seed in 0..60 {
        let random = &mut Random(seed);
        let rows = [0, 1, 7, 130, 400][random.below(5)];
        let columns = 1 + random.below(10);
        let mut frame = Frame::default();
        let mut rows_of: Vec<Vec<Value>> = (0..rows).map(|_| Vec::new()).collect();
        for i in 0..columns {
            let kind = KINDS[random.below(KINDS.len())];
            let prose = random.below(2) == 0;
            let mut column = Column::new(format!("c{i}"), "any", kind);
            for row in &mut rows_of {
                let value = value(kind, prose, random);
                column.push(value.cell());
                row.push(value);
            }
            frame.columns.push(column);
        }
        add_purchases(&mut frame, &mut rows_of, random);
        let columns = frame.columns.len();
        let all: Vec<u32> = (0..rows as u32).collect();
        let train: Vec<u32> = all.iter().copied().filter(|row| row % 4 != 3).collect();
        let order: Vec<usize> = (0..columns).collect();
        let truth = truth(random, train.len());
        let how = how(random);
        let made = constructed(random, columns);
        let fitted = Recipe::fit_with(&frame, &order, &train, truth.as_ref(), &how)
            .with_constructed(&made, &frame, &train, truth.as_ref(), &how);
        let (fitted, not_made) = fitted.with_forecasts(&[purchases()], &frame, &train, &how);
        forecasts += usize::from(not_made.is_empty());
        assert!(fitted.is_sound(), "seed {seed}");
        let matrix = fitted.transform(&frame, &all);
        assert!(matrix.numbers.iter().all(|x| x.is_finite()), "seed {seed}");
        let artifact = model_of(fitted.clone(), Task::Binary, &[4], Activation::Silu);
        let restored = Artifact::from_bytes(&artifact.to_bytes()).unwrap().recipe;
        assert_eq!(restored.text_model(), fitted.text_model());
        restored.attach(&tiny_bert());
        let again = restored.transform(&frame, &all);
        assert_eq!(again.inputs, matrix.inputs, "seed {seed}");
        assert_eq!(bits(&again.numbers), bits(&matrix.numbers), "seed {seed}");
        assert_eq!(again.codes, matrix.codes, "seed {seed}");
        let mut features = restored.scratch();
        let (width, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
        for (i, row) in rows_of.iter().enumerate() {
            let cells: Vec<Cell<'_>> = row.iter().map(Value::cell).collect();
            restored.apply(&cells, &mut features);
            let numbers = &matrix.numbers[i * width..(i + 1) * width];
            assert_eq!(
                bits(&features.numbers),
                bits(numbers),
                "seed {seed} row {i}"
            );
            assert_eq!(features.codes, matrix.codes[i * codes..(i + 1) * codes]);
            let mut bags = Vec::new();
            let before = features.tokens.len();
            (0..matrix.inputs.bags.len()).for_each(|b| bags.extend_from_slice(matrix.bag(i, b)));
            assert_eq!(features.tokens, bags, "seed {seed} row {i}");
            assert!(features.token_ends.last().is_none_or(|end| *end == before));
        }
        for description in restored.describe() {
            assert!(!description.steps.is_empty() && !description.kind.is_empty());
        }
        let inputs: usize = restored.describe().iter().map(|d| d.inputs).sum();
        assert_eq!(inputs, matrix.inputs.width());
    }
    assert!(forecasts > 10, "{forecasts}");
}

/// Purchases of a customer, some of which cannot be: repeats, first to last, first to now, mean amount.
fn bought(random: &mut Random) -> [Value; 4] {
    let (repeats, recency) = (random.below(6), random.below(50));
    let age = recency + random.below(50);
    let amount = 1.0 + f64::from(random.unit()).abs() * 50.0;
    [repeats as f64, recency as f64, age as f64, amount].map(|x| match random.below(20) {
        0 => Value::Null,
        1 => Value::Number([f64::NAN, f64::INFINITY, -1.0, 1e-9][random.below(4)]),
        _ => Value::Number(x),
    })
}

const BOUGHT: [&str; 4] = ["repeats", "recency", "age", "amount"];

fn purchases() -> Purchases {
    let [repeats, recency, age, amount] = BOUGHT.map(str::to_owned);
    Purchases {
        name: "orders".into(),
        repeats,
        recency,
        age,
        amount: Some(amount),
        horizon: 90.0,
    }
}

/// Adds the columns of purchases to a frame and to its rows.
fn add_purchases(frame: &mut Frame, rows: &mut [Vec<Value>], random: &mut Random) {
    let mut columns = BOUGHT.map(|name| Column::new(name, "any", Kind::Number));
    for row in rows {
        for (column, value) in columns.iter_mut().zip(bought(random)) {
            column.push(value.cell());
            row.push(value);
        }
    }
    frame.columns.extend(columns);
}

#[test]
fn cells_of_any_kind_in_any_column_are_taken_without_a_panic() {
    let random = &mut Random(99);
    let mut frame = Frame::default();
    for (i, kind) in KINDS.into_iter().chain([Kind::Category]).enumerate() {
        let mut column = Column::new(format!("c{i}"), "any", kind);
        (0..300).for_each(|_| column.push(value(kind, i == 9, random).cell()));
        frame.columns.push(column);
    }
    let rows: Vec<u32> = (0..300).collect();
    let recipe = Recipe::fit(&frame, &(0..10).collect::<Vec<_>>(), &rows);
    let mut features = recipe.scratch();
    for _ in 0..500 {
        let values: Vec<Value> = (0..10)
            .map(|_| value(KINDS[random.below(KINDS.len())], true, random))
            .collect();
        let cells: Vec<Cell<'_>> = values.iter().map(Value::cell).collect();
        recipe.apply(&cells[..random.below(11)], &mut features);
        assert!(features.numbers.iter().all(|x| x.is_finite()));
    }
}

/// A recipe of every kind of step as text, to be damaged.
fn stored() -> String {
    let random = &mut Random(5);
    let mut frame = Frame::default();
    for (i, kind) in KINDS.into_iter().chain([Kind::Category]).enumerate() {
        let mut column = Column::new(format!("c{i}"), "any", kind);
        (0..400).for_each(|_| column.push(value(kind, i == 9, random).cell()));
        frame.columns.push(column);
    }
    let mut rows_of: Vec<Vec<Value>> = (0..400).map(|_| Vec::new()).collect();
    add_purchases(&mut frame, &mut rows_of, random);
    let rows: Vec<u32> = (0..400).collect();
    let truth = Truth::Classes((0..400).map(|i| i % 2).collect());
    let how = Preparation {
        text_features: 5,
        text_dim: 3,
        standardise: Standardise::Quantile,
        transform: Transform::Power,
        category_encoding: CategoryEncoding::Target,
        text_model: Some(tiny_bert()),
    };
    let order: Vec<usize> = (0..14).collect();
    let made = Constructed {
        pairs: vec![Pair {
            operation: Operation::Ratio,
            left: 0,
            right: 4,
        }],
        crosses: vec![(0, 1), (2, 1), (2, 0)],
    };
    let recipe = Recipe::fit_with(&frame, &order, &rows, Some(&truth), &how).with_constructed(
        &made,
        &frame,
        &rows,
        Some(&truth),
        &how,
    );
    assert_eq!((recipe.derived.len(), recipe.crosses.len()), (1, 3));
    let (recipe, not_made) = recipe.with_forecasts(&[purchases()], &frame, &rows, &how);
    assert!(not_made.is_empty(), "{not_made:?}");
    assert!(recipe.steps.iter().any(|s| matches!(s, Step::Text(_))));
    assert!(
        recipe
            .steps
            .iter()
            .any(|s| matches!(s, Step::TargetMean(_)))
    );
    serde_json::to_string(&recipe).unwrap()
}

#[test]
fn damaged_recipes_are_found_out_or_harmless() {
    let text = stored();
    let random = &mut Random(6);
    let (mut refused, mut harmless) = (0, 0);
    for _ in 0..1500 {
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        damage(&mut value, random);
        let Ok(recipe) = serde_json::from_value::<Recipe>(value) else {
            refused += 1;
            continue;
        };
        if !recipe.is_sound() {
            refused += 1;
            continue;
        }
        harmless += 1;
        recipe.attach(&tiny_bert());
        let mut features = recipe.scratch();
        for _ in 0..3 {
            let values: Vec<Value> = recipe
                .columns
                .iter()
                .map(|input| self::value(input.kind, true, random))
                .collect();
            let cells: Vec<Cell<'_>> = values.iter().map(Value::cell).collect();
            recipe.apply(&cells, &mut features);
        }
        let _ = recipe.describe();
    }
    assert!(refused > 100 && harmless > 100, "{refused} {harmless}");
}

/// Changes one leaf or one list somewhere.
fn damage(value: &mut serde_json::Value, random: &mut Random) {
    use serde_json::{Value as Json, json};
    match value {
        Json::Array(items) if !items.is_empty() && random.below(12) > 0 => {
            let at = random.below(items.len());
            damage(&mut items[at], random);
        }
        Json::Array(items) => match random.below(3) {
            0 => items.clear(),
            1 => drop(items.pop()),
            _ => items.extend(items.first().cloned()),
        },
        Json::Object(map) if !map.is_empty() => {
            let at = random.below(map.len());
            if let Some(inner) = map.values_mut().nth(at) {
                damage(inner, random);
            }
        }
        other => {
            let odd = [
                json!(null),
                json!(-1),
                json!(0),
                json!(1e300),
                json!(u64::MAX),
                json!("x"),
                json!([]),
                json!(true),
                json!(3),
                json!(7.5),
            ];
            *other = odd[random.below(odd.len())].clone();
        }
    }
}
