//! The reference was computed from the definition, all pairs of rows by rows, with NumPy.

use super::*;

#[test]
fn the_test_is_that_of_the_definition() {
    let positive: Vec<bool> = (0..200).map(|i| i * 7919 % 100 < 30 + i % 41).collect();
    let a: Vec<f64> = (0..200).map(|i| f64::from(i % 41) / 41.0).collect();
    let b: Vec<f64> = (0..200)
        .map(|i| (f64::from(i % 41) + f64::from(i * 31 % 50) / 2.0) / 70.0)
        .collect();
    let found = test(&positive, &a, &b).unwrap();
    assert!((found.low + 0.012612935422902705).abs() < 1e-12);
    assert!((found.high - 0.07133642481866093).abs() < 1e-12);
    assert!((found.p_value - 0.17036993800208164).abs() < 1e-12);
    let (area, _) = components(&positive, &a).unwrap();
    assert!((area - 0.6466586634653861).abs() < 1e-12);
}

#[test]
fn one_row_of_a_class_is_too_few() {
    assert!(test(&[true, false, false], &[0.1, 0.2, 0.3], &[0.1, 0.2, 0.3]).is_none());
    let certain = test(
        &[true, true, false, false],
        &[0.9, 0.8, 0.1, 0.2],
        &[0.9, 0.8, 0.1, 0.2],
    );
    assert_eq!(certain.unwrap().p_value, 1.0);
}
