use super::*;

fn number_column(values: &[Option<f64>]) -> Column {
    let mut column = Column::new("x", "double precision", Kind::Number);
    values
        .iter()
        .for_each(|v| column.push(v.map_or(Cell::Null, Cell::Number)));
    column
}

fn text_column(values: &[Option<&str>]) -> Column {
    let mut column = Column::new("c", "text", Kind::Category);
    values
        .iter()
        .for_each(|v| column.push(v.map_or(Cell::Null, Cell::Text)));
    column
}

fn rows(n: usize) -> Vec<u32> {
    (0..n as u32).collect()
}

#[test]
fn test_rows_do_not_change_what_is_learned() {
    let mut values: Vec<Option<f64>> = (0..100).map(|i| Some(f64::from(i))).collect();
    values.push(Some(1e9));
    let frame = Frame {
        columns: vec![number_column(&values)],
    };
    let without = Frame {
        columns: vec![number_column(&values[..100])],
    };
    let a = Recipe::fit(&frame, &[0], &rows(100));
    let b = Recipe::fit(&without, &[0], &rows(100));
    assert_eq!(
        serde_json::to_string(&a).unwrap(),
        serde_json::to_string(&b).unwrap()
    );
}

#[test]
fn training_numbers_are_standardised() {
    let frame = Frame {
        columns: vec![number_column(
            &(0..1000)
                .map(|i| Some(f64::from(i) * 3.0 + 7.0))
                .collect::<Vec<_>>(),
        )],
    };
    let how = Preparation {
        transform: Transform::None,
        ..Preparation::default()
    };
    let recipe = Recipe::fit_with(&frame, &[0], &rows(1000), None, &how);
    let matrix = recipe.transform(&frame, &rows(1000));
    let mean = matrix.numbers.iter().sum::<f32>() / 1000.0;
    let variance = matrix
        .numbers
        .iter()
        .map(|x| (x - mean).powi(2))
        .sum::<f32>()
        / 1000.0;
    assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3);
}

#[test]
fn a_missing_number_is_the_median_with_a_flag() {
    let frame = Frame {
        columns: vec![number_column(&[
            Some(1.0),
            Some(2.0),
            None,
            Some(9.0),
            Some(2.0),
        ])],
    };
    let recipe = Recipe::fit(&frame, &[0], &rows(5));
    assert_eq!(recipe.inputs().numbers, 2);
    let matrix = recipe.transform(&frame, &rows(5));
    assert_eq!(matrix.numbers[4], matrix.numbers[2], "the median stands in");
    assert_eq!(
        matrix
            .numbers
            .iter()
            .skip(1)
            .step_by(2)
            .copied()
            .collect::<Vec<_>>(),
        [0.0, 0.0, 1.0, 0.0, 0.0]
    );
}

#[test]
fn unseen_and_missing_categories_have_their_codes() {
    let frame = Frame {
        columns: vec![text_column(&[Some("a"), Some("b"), None, Some("new")])],
    };
    let recipe = Recipe::fit(&frame, &[0], &rows(3));
    assert_eq!(recipe.transform(&frame, &rows(4)).codes, [1, 2, 3, 0]);
    let never_missing = Recipe::fit(&frame, &[0], &rows(2));
    assert_eq!(
        never_missing.transform(&frame, &rows(4)).codes,
        [1, 2, 0, 0]
    );
}

#[test]
fn many_levels_become_vectors_and_rare_ones_share_code_zero() {
    let names: Vec<String> = (0..40).map(|i| format!("v{i}")).collect();
    let mut values: Vec<Option<&str>> = (0..400).map(|i| Some(names[i % 40].as_str())).collect();
    values.push(Some("once"));
    let frame = Frame {
        columns: vec![text_column(&values)],
    };
    let recipe = Recipe::fit(&frame, &[0], &rows(401));
    let category = recipe.inputs().categories[0];
    assert_eq!(category.levels, 40);
    assert!(matches!(category.encoding, crate::models::Encoding::Embedding { dim } if dim >= 2));
    assert_eq!(recipe.transform(&frame, &[400]).codes, [0]);
}

#[test]
fn applying_row_by_row_equals_transforming_and_survives_storage() {
    let mut time = Column::new("t", "timestamp", Kind::Time);
    let mut flag = Column::new("b", "boolean", Kind::Boolean);
    let n = 60;
    for i in 0..n {
        time.push(if i == 7 {
            Cell::Null
        } else {
            Cell::Time(i * 90_000_000_000_000)
        });
        flag.push(if i % 11 == 3 {
            Cell::Null
        } else {
            Cell::Boolean(i % 2 == 0)
        });
    }
    let numbers: Vec<Option<f64>> = (0..n)
        .map(|i| (i % 9 != 4).then(|| (i as f64 / 4.0).exp()))
        .collect();
    let texts: Vec<Option<&str>> = (0..n)
        .map(|i| (i % 5 != 2).then_some(["x", "y", "z"][i as usize % 3]))
        .collect();
    let frame = Frame {
        columns: vec![number_column(&numbers), text_column(&texts), time, flag],
    };
    let fitted = Recipe::fit(&frame, &[0, 1, 2, 3], &rows(n as usize));
    let stored = serde_json::to_string(&fitted).unwrap();
    let recipe: Recipe = serde_json::from_str(&stored).unwrap();
    let matrix = recipe.transform(&frame, &rows(n as usize));
    assert_eq!(matrix.inputs, fitted.inputs());
    assert!(matrix.numbers.iter().all(|x| x.is_finite()));
    let mut features = recipe.scratch();
    for row in 0..n as usize {
        let cells: Vec<Cell> = frame.columns.iter().map(|c| c.cell(row)).collect();
        recipe.apply(&cells, &mut features);
        let (w, c) = (matrix.inputs.numbers, matrix.inputs.categories.len());
        assert_eq!(features.numbers, matrix.numbers[row * w..(row + 1) * w]);
        assert_eq!(features.codes, matrix.codes[row * c..(row + 1) * c]);
    }
}

#[test]
fn odd_values_at_serving_stay_bounded() {
    let frame = Frame {
        columns: vec![number_column(
            &(0..50).map(|i| Some(f64::from(i))).collect::<Vec<_>>(),
        )],
    };
    let recipe = Recipe::fit(&frame, &[0], &rows(50));
    let mut features = recipe.scratch();
    for cell in [
        Cell::Number(1e300),
        Cell::Number(-1e300),
        Cell::Number(f64::NAN),
        Cell::Text("x"),
        Cell::Null,
    ] {
        recipe.apply(&[cell], &mut features);
        assert!(features.numbers[0].abs() <= 8.0);
    }
}

#[test]
fn constant_and_empty_columns_are_zero() {
    let frame = Frame {
        columns: vec![number_column(&[Some(5.0); 20]), number_column(&[None; 20])],
    };
    let matrix = Recipe::fit(&frame, &[0, 1], &rows(20)).transform(&frame, &rows(20));
    assert!(matrix.numbers.iter().all(|x| *x == 0.0 || *x == 1.0));
}

#[test]
fn every_input_knows_its_feature() {
    let frame = crate::artifact::testing::frame(300);
    let recipe = Recipe::fit(&frame, &[0, 1, 2, 3, 4], &rows(300));
    let matrix = recipe.transform(&frame, &rows(300));
    let (numbers, categories) = recipe.owners();
    assert_eq!(matrix.features.numbers, numbers);
    assert_eq!(matrix.features.categories, categories);
    assert_eq!(matrix.features.numbers.len(), matrix.inputs.numbers);
    assert_eq!(matrix.features.bags.len(), matrix.inputs.bags.len());
    assert_eq!(matrix.some(&[3, 1]).features, matrix.features);
}
