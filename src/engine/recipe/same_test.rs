//! A frame of any kind of columns, prepared at once or row by row, before and after its model was bytes: the same bits.

use super::*;
use crate::artifact::{Artifact, Task, testing::model_of};
use crate::frame::TAG_END;
use crate::infer::testing::Random;
use crate::models::Activation;

const KINDS: [Kind; 8] = [
    Kind::Number,
    Kind::Boolean,
    Kind::Category,
    Kind::Time,
    Kind::Duration,
    Kind::Vector,
    Kind::Tags,
    Kind::Json,
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
    ];
    Preparation {
        text_features: [0, 3, 256][random.below(3)],
        standardise: standardise[random.below(6)],
        transform: transform[random.below(5)],
        category_encoding: category_encoding[random.below(4)],
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
    for seed in 0..60 {
        let random = &mut Random(seed);
        let rows = [0, 1, 7, 130, 400][random.below(5)];
        let columns = 1 + random.below(10);
        let mut frame = Frame::default();
        let mut rows_of: Vec<Vec<Value>> = (0..rows).map(|_| Vec::new()).collect();
        for i in 0..columns {
            let kind = KINDS[random.below(8)];
            let prose = random.below(2) == 0;
            let mut column = Column::new(format!("c{i}"), "any", kind);
            for row in &mut rows_of {
                let value = value(kind, prose, random);
                column.push(value.cell());
                row.push(value);
            }
            frame.columns.push(column);
        }
        let all: Vec<u32> = (0..rows as u32).collect();
        let train: Vec<u32> = all.iter().copied().filter(|row| row % 4 != 3).collect();
        let order: Vec<usize> = (0..columns).collect();
        let truth = truth(random, train.len());
        let how = how(random);
        let made = constructed(random, columns);
        let fitted = Recipe::fit_with(&frame, &order, &train, truth.as_ref(), &how)
            .with_constructed(&made, &frame, &train, truth.as_ref(), &how);
        assert!(fitted.is_sound(), "seed {seed}");
        let matrix = fitted.transform(&frame, &all);
        assert!(matrix.numbers.iter().all(|x| x.is_finite()), "seed {seed}");
        let artifact = model_of(fitted.clone(), Task::Binary, &[4], Activation::Silu);
        let restored = Artifact::from_bytes(&artifact.to_bytes()).unwrap().recipe;
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
        }
        for description in restored.describe() {
            assert!(!description.steps.is_empty() && !description.kind.is_empty());
        }
        let inputs: usize = restored.describe().iter().map(|d| d.inputs).sum();
        assert_eq!(inputs, matrix.inputs.width());
    }
}

#[test]
fn cells_of_any_kind_in_any_column_are_taken_without_a_panic() {
    let random = &mut Random(99);
    let mut frame = Frame::default();
    for (i, kind) in KINDS.into_iter().chain([Kind::Category]).enumerate() {
        let mut column = Column::new(format!("c{i}"), "any", kind);
        (0..300).for_each(|_| column.push(value(kind, i == 8, random).cell()));
        frame.columns.push(column);
    }
    let rows: Vec<u32> = (0..300).collect();
    let recipe = Recipe::fit(&frame, &(0..9).collect::<Vec<_>>(), &rows);
    let mut features = recipe.scratch();
    for _ in 0..500 {
        let values: Vec<Value> = (0..9)
            .map(|_| value(KINDS[random.below(8)], true, random))
            .collect();
        let cells: Vec<Cell<'_>> = values.iter().map(Value::cell).collect();
        recipe.apply(&cells[..random.below(10)], &mut features);
        assert!(features.numbers.iter().all(|x| x.is_finite()));
    }
}

/// A recipe of every kind of step as text, to be damaged.
fn stored() -> String {
    let random = &mut Random(5);
    let mut frame = Frame::default();
    for (i, kind) in KINDS.into_iter().chain([Kind::Category]).enumerate() {
        let mut column = Column::new(format!("c{i}"), "any", kind);
        (0..400).for_each(|_| column.push(value(kind, i == 8, random).cell()));
        frame.columns.push(column);
    }
    let rows: Vec<u32> = (0..400).collect();
    let truth = Truth::Classes((0..400).map(|i| i % 2).collect());
    let how = Preparation {
        text_features: 5,
        standardise: Standardise::Quantile,
        transform: Transform::Power,
        category_encoding: CategoryEncoding::Target,
    };
    let order: Vec<usize> = (0..9).collect();
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
