use super::*;
use crate::evaluate::Truth;

/// Five inputs; `rule` makes the target of the first two.
fn sample(rows: usize, seed: u64, rule: impl Fn(f32, f32) -> f64) -> (Vec<Vec<f32>>, Vec<f64>) {
    let mut random = Random::new(seed);
    let inputs: Vec<Vec<f32>> = (0..5)
        .map(|_| (0..rows).map(|_| random.normal() as f32).collect())
        .collect();
    let target = (0..rows)
        .map(|row| rule(inputs[0][row], inputs[1][row]))
        .collect();
    (inputs, target)
}

const GROWTH: Growth = Growth {
    trees: 50,
    leaf: 5,
    tried: None,
    seed: 1,
};

#[test]
fn a_forest_learns_what_no_line_can_say() {
    let rule = |a: f32, b: f32| f64::from(a * b);
    let ((inputs, y), (new, y_new)) = (sample(3000, 1, rule), sample(1000, 2, rule));
    let cuts = Cuts::of(&inputs);
    let target = Averaged::of(&Truth::Values(y), 0);
    let forest = Forest::fit(&cuts.bin(&inputs), &target, GROWTH);
    let binned = cuts.bin(&new);
    let unseen = Averaged::of(&Truth::Values(y_new), 0);
    let error = forest.error(1000, &unseen, |input, row| binned.inputs[input][row]);
    assert!(error < 0.35, "{error} of a variance of 1");
}

#[test]
fn what_matters_is_important_and_noise_is_not() {
    for classes in [2, 4] {
        let rule = |a: f32, b: f32| {
            f64::from(u8::from(a > 0.0)) + if classes == 4 && b > 0.0 { 2.0 } else { 0.0 }
        };
        let (inputs, y) = sample(2000, 3, rule);
        let codes = y.iter().map(|y| *y as u32).collect();
        let target = Averaged::of(&Truth::Classes(codes), classes);
        let binned = Cuts::of(&inputs).bin(&inputs);
        let forest = Forest::fit(&binned, &target, GROWTH);
        let importance = forest.importance(&binned, &target, &[0, 1, 2, 2, 2], 3, 9);
        assert!(importance[0] > 2.0 && importance[2] < 1.0, "{importance:?}");
        assert_eq!(importance[1] > 2.0, classes == 4, "{importance:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_forest() {
    let (inputs, y) = sample(500, 4, |a, b| f64::from(a + b));
    let target = Averaged::of(&Truth::Values(y), 0);
    let binned = Cuts::of(&inputs).bin(&inputs);
    let error = |seed| {
        let growth = Growth { seed, ..GROWTH };
        let forest = Forest::fit(&binned, &target, growth);
        forest.error(500, &target, |input, row| binned.inputs[input][row])
    };
    assert_eq!(error(7), error(7));
    assert_ne!(error(7), error(8));
}

#[test]
fn tables_of_nothing_are_answered() {
    let target = Averaged::of(&Truth::Values(vec![1.0; 20]), 0);
    let constant = vec![vec![3.0f32; 20]];
    for inputs in [Vec::new(), constant] {
        let mut binned = Cuts::of(&inputs).bin(&inputs);
        binned.rows = 20;
        let forest = Forest::fit(&binned, &target, GROWTH);
        assert_eq!(forest.error(20, &target, |_, _| 0), 0.0);
    }
}
