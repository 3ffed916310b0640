//! What each kind of column becomes.

use super::*;
use crate::frame::TAG_END;

fn column(kind: Kind, cells: &[Cell<'_>]) -> Column {
    let mut column = Column::new("x", "any", kind);
    cells.iter().for_each(|cell| column.push(*cell));
    column
}

fn prepared(column: Column, how: &Preparation) -> (Recipe, Matrix) {
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let frame = Frame {
        columns: vec![column],
    };
    let recipe = Recipe::fit_with(&frame, &[0], &rows, None, how);
    let matrix = recipe.transform(&frame, &rows);
    (recipe, matrix)
}

fn scaled(standardise: Standardise, values: &[f64]) -> Vec<f32> {
    let cells: Vec<Cell<'_>> = values.iter().map(|x| Cell::Number(*x)).collect();
    let how = Preparation {
        standardise,
        ..Preparation::default()
    };
    prepared(column(Kind::Number, &cells), &how).1.numbers
}

#[test]
fn each_way_to_standardise_does_what_it_says() {
    let values: Vec<f64> = (0..=100).map(f64::from).collect();
    let ends = |s: Standardise| {
        let x = scaled(s, &values);
        (x[0], x[50], x[100])
    };
    assert_eq!(ends(Standardise::None), (0.0, 50.0, 100.0));
    assert_eq!(ends(Standardise::Minmax), (0.0, 0.5, 1.0));
    let (low, middle, high) = ends(Standardise::Robust);
    assert!(middle == 0.0 && (high - 1.349).abs() < 1e-3 && low == -high);
    let (low, middle, high) = ends(Standardise::Quantile);
    assert!(middle.abs() < 1e-6 && high > 2.0 && (low + high).abs() < 1e-6);
    let (low, middle, high) = ends(Standardise::Standard);
    assert!(middle == 0.0 && (high - 1.715).abs() < 1e-2 && low == -high);
}

#[test]
fn a_few_far_values_do_not_squeeze_the_others() {
    let mut values: Vec<f64> = (0..1000).map(|i| f64::from(i % 100)).collect();
    values.extend([1e7, -1e7]);
    let spread = |s: Standardise| {
        let x = scaled(s, &values);
        x[99] - x[0]
    };
    assert!(spread(Standardise::Standard) < 0.001);
    assert!(spread(Standardise::Auto) > 2.0);
}

#[test]
fn vectors_are_standardised_and_those_of_another_length_are_missing() {
    let rows: Vec<[f32; 3]> = (0..100).map(|i| [i as f32, 7.0, -(i as f32)]).collect();
    let mut cells: Vec<Cell<'_>> = rows.iter().map(|r| Cell::Vector(r)).collect();
    cells.push(Cell::Vector(&[1.0]));
    cells.push(Cell::Null);
    let (recipe, matrix) = prepared(column(Kind::Vector, &cells), &Preparation::default());
    assert_eq!(matrix.inputs.numbers, 4);
    let row = |i: usize| &matrix.numbers[i * 4..i * 4 + 4];
    assert!((row(99)[0] - 1.715).abs() < 1e-2 && row(99)[0] == -row(99)[2]);
    assert_eq!((row(99)[1], row(99)[3]), (0.0, 0.0));
    assert_eq!(
        (row(100), row(101)),
        (&[0.0, 0.0, 0.0, 1.0][..], &[0.0, 0.0, 0.0, 1.0][..])
    );
    let described = &recipe.describe()[0];
    assert_eq!(described.parameters["rows_of_another_length"], 1);
    assert!(described.steps.starts_with("a vector of 3 numbers"));
}

#[test]
fn very_long_vectors_become_means_of_neighbours() {
    let rows: Vec<Vec<f32>> = (0..20)
        .map(|i| (0..10_000).map(|j| (i * j % 13) as f32).collect())
        .collect();
    let cells: Vec<Cell<'_>> = rows.iter().map(|r| Cell::Vector(r)).collect();
    let (_, matrix) = prepared(column(Kind::Vector, &cells), &Preparation::default());
    assert_eq!(matrix.inputs.numbers, 3334);
    assert!(matrix.numbers.iter().all(|x| x.is_finite()));
}

#[test]
fn tags_have_an_input_each_and_a_count() {
    let packed =
        |tags: &[&str]| -> String { tags.iter().map(|tag| format!("{tag}{TAG_END}")).collect() };
    let texts: Vec<String> = (0..60)
        .map(|i| match i % 3 {
            0 => packed(&["a", "b"]),
            1 => packed(&["b", "b", if i == 1 { "rare" } else { "b" }]),
            _ => packed(&[]),
        })
        .collect();
    let cells: Vec<Cell<'_>> = texts.iter().map(|t| Cell::Tags(t)).collect();
    let (recipe, matrix) = prepared(column(Kind::Tags, &cells), &Preparation::default());
    assert_eq!(
        recipe.describe()[0].parameters["levels"],
        serde_json::json!(["a", "b"])
    );
    let row = |i: usize| &matrix.numbers[i * 3..i * 3 + 2];
    assert_eq!(
        (row(0), row(1), row(2)),
        (&[1.0, 1.0][..], &[0.0, 1.0][..], &[0.0, 0.0][..])
    );
}

#[test]
fn documents_are_flattened_by_path() {
    let texts: Vec<String> = (0..200)
        .map(|i| match i % 10 {
            7 => "null".into(),
            8 => format!(r#"{{"plan": {i}}}"#),
            9 => "{}".into(),
            _ => format!(
                r#"{{"plan": "p{}", "a.b": 1, "use": {{"hours": {i}, "ok": {}, "seen": [{}]}}, "key{i}": 1, "same": "x"}}"#,
                i % 3,
                i % 2 == 0,
                "1, ".repeat(i % 4) + "1"
            ),
        })
        .collect();
    let cells: Vec<Cell<'_>> = texts.iter().map(|t| Cell::Json(t)).collect();
    let (recipe, matrix) = prepared(column(Kind::Json, &cells), &Preparation::default());
    let parameters = recipe.describe()[0].parameters.clone();
    let names: Vec<&String> = parameters.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["a.b", "plan", "same", "use.hours", "use.ok", "use.seen"]
    );
    assert_eq!(
        parameters["plan"]["levels"],
        serde_json::json!(["p0", "p1", "p2"])
    );
    assert_eq!(matrix.inputs.categories.len(), 3);
    assert!(
        recipe.describe()[0]
            .steps
            .contains("use.seen: number of elements")
    );
    // A number where texts were: missing, like no value.
    let codes = |row: usize| &matrix.codes[row * 3..row * 3 + 3];
    assert_eq!(codes(8), codes(9));
    assert_ne!(codes(0), codes(9));
}

#[test]
fn the_target_enters_a_training_row_only_from_other_rows() {
    // Levels that say nothing: by its own target, each row would seem to know.
    let mut random = crate::random::Random::new(4);
    let mut levels = Column::new("x", "text", Kind::Category);
    let mut classes = Vec::new();
    for row in 0..2000 {
        levels.push(Cell::Text(&format!("level {}", row % 300)));
        classes.push(u32::from(random.uniform() < 0.5));
    }
    let rows: Vec<u32> = (0..2000).collect();
    let frame = Frame {
        columns: vec![levels],
    };
    let how = Preparation {
        category_encoding: CategoryEncoding::Target,
        ..Preparation::default()
    };
    let truth = Truth::Classes(classes.clone());
    let recipe = Recipe::fit_with(&frame, &[0], &rows, Some(&truth), &how);
    assert_eq!(recipe.inputs().width(), 1);
    let correlation = |matrix: &Matrix| {
        let pairs = || matrix.numbers.iter().zip(&classes);
        let mean = matrix.numbers.iter().sum::<f32>() / 2000.0;
        let with = pairs()
            .map(|(x, y)| (x - mean) * (*y as f32 - 0.5))
            .sum::<f32>();
        let own = pairs().map(|(x, _)| (x - mean).powi(2)).sum::<f32>();
        with / (own * 500.0).sqrt()
    };
    let inside = correlation(&recipe.transform(&frame, &rows));
    let outside = correlation(&recipe.transform_training(&frame, &rows));
    assert!(inside > 0.2 && outside < 0.1, "{inside} {outside}");
}
