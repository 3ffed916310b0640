use super::*;

#[test]
fn different_values_are_counted() {
    let mut column = Column::new("key", "bigint", Kind::Number);
    for cell in [
        Cell::Number(0.0),
        Cell::Null,
        Cell::Number(-0.0),
        Cell::Number(7.0),
    ] {
        column.push(cell);
    }
    assert_eq!(column.distinct(), 2);
}

#[test]
fn a_column_gives_back_what_was_pushed() {
    let mut column = Column::new("city", "text", Kind::Category);
    let cells = [
        Cell::Text("Rome"),
        Cell::Null,
        Cell::Text("Oslo"),
        Cell::Text("Rome"),
    ];
    cells.iter().for_each(|cell| column.push(*cell));
    assert!((0..4).all(|row| column.cell(row) == cells[row]));
    assert_eq!(column.nulls.count(), 1);
}

#[test]
fn rows_that_are_left_out_leave_nothing() {
    let mut frame = Frame {
        columns: vec![
            Column::new("plan", "text", Kind::Category),
            Column::new("v", "real[]", Kind::Vector),
        ],
    };
    for (plan, vector) in [("a", vec![1.0]), ("secret", vec![2.0, 3.0]), ("b", vec![])] {
        frame.columns[0].push(Cell::Text(plan));
        frame.columns[1].push(Cell::Vector(&vector));
    }
    frame.retain(|row| row != 1);
    assert_eq!(frame.rows(), 2);
    assert_eq!(frame.columns[0].cell(1), Cell::Text("b"));
    assert_eq!(frame.columns[1].cell(1), Cell::Vector(&[]));
    let Values::Category { dictionary, .. } = &frame.columns[0].values else {
        panic!("a category");
    };
    assert_eq!((dictionary.len(), dictionary.text(1)), (2, "b"));
}

#[test]
fn nan_and_infinity_count_as_missing() {
    let mut column = Column::new("income", "double precision", Kind::Number);
    [1.0, f64::NAN, f64::INFINITY]
        .iter()
        .for_each(|x| column.push(Cell::Number(*x)));
    assert_eq!((column.nulls.count(), column.non_finite), (2, 2));
    assert_eq!(column.cell(0), Cell::Number(1.0));
}

#[test]
fn vectors_and_tags_may_differ_in_length() {
    let mut vector = Column::new("v", "real[]", Kind::Vector);
    vector.push(Cell::Vector(&[1.0, 2.0]));
    vector.push(Cell::Null);
    vector.push(Cell::Vector(&[]));
    vector.push(Cell::Vector(&[3.0]));
    assert_eq!(vector.cell(0), Cell::Vector(&[1.0, 2.0]));
    assert_eq!(
        (vector.cell(1), vector.cell(2)),
        (Cell::Null, Cell::Vector(&[]))
    );
    assert_eq!(vector.cell(3), Cell::Vector(&[3.0]));
    assert_eq!(tags("a\0\0b\0").collect::<Vec<_>>(), ["a", "", "b"]);
    assert_eq!(tags("").count(), 0);
    assert_eq!(tags("\0").count(), 1);
}

#[test]
fn bytes_that_are_no_image_are_missing_and_counted() {
    let mut column = Column::new("photo", "bytea", Kind::Image);
    let images = [[1; BYTES], [2; BYTES]];
    let cells = [
        Cell::Image(&images[0]),
        Cell::Image(&[]),
        Cell::Null,
        Cell::Image(&images[1]),
    ];
    cells.iter().for_each(|cell| column.push(*cell));
    assert_eq!((column.nulls.count(), column.unreadable), (2, 1));
    assert_eq!((column.cell(0), column.cell(3)), (cells[0], cells[3]));
    assert_eq!((column.cell(1), column.cell(2)), (Cell::Null, Cell::Null));
}

#[test]
fn a_value_of_another_kind_is_missing() {
    let mut column = Column::new("age", "integer", Kind::Number);
    column.push(Cell::Text("old"));
    assert_eq!(column.cell(0), Cell::Null);
}

#[test]
fn bitmaps_hold_many_bits() {
    let mut bitmap = Bitmap::default();
    (0..1000).for_each(|i| bitmap.push(i % 3 == 0));
    assert!((0..1000).all(|i| bitmap.get(i) == (i % 3 == 0)));
    assert_eq!(bitmap.count(), 334);
}
