//! What makes coefficients the best ones, of tables that are long, wide, and of several labels.

use super::*;
use crate::linear::curvature::MOST_PLACES;
use crate::linear::quadratic::Products;
use crate::linear::tests::goal;
use crate::models::{CategoryInput, Encoding, Inputs};
use crate::random::Random;
use crate::recipe::Matrix;

/// Numbers that go together, some of them with few large values, and a category of rare and frequent levels; a score of each row.
fn table(rows: usize, numbers: usize, levels: usize) -> (Matrix, Vec<f64>) {
    let mut random = Random::new(7);
    let (mut values, mut codes, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let common = random.normal();
        let mut score = random.normal();
        for at in 0..numbers {
            let own = random.normal() + if at % 3 == 0 { common } else { 0.0 };
            let own = if at % 5 == 4 {
                (2.0 * own).exp() / 10.0
            } else {
                own
            };
            score += if at % 7 == 0 { 0.5 * own } else { 0.0 };
            values.push(own as f32);
        }
        let level = (random.uniform().powi(3) * levels as f64) as u32;
        score += f64::from(level % 3) - 1.0;
        codes.push(1 + level);
        scores.push(score);
    }
    let category = CategoryInput {
        levels,
        encoding: Encoding::OneHot,
    };
    let inputs = Inputs {
        numbers,
        categories: vec![category],
        bags: Vec::new(),
    };
    let matrix = Matrix {
        rows,
        numbers: values,
        codes,
        tokens: Vec::new(),
        token_ends: Vec::new(),
        inputs,
        singles: Vec::new(),
        features: Default::default(),
    };
    (matrix, scores)
}

/// The most that any coefficient alone could still lower loss and penalty, as a share of what there was to lose.
fn left(design: &Design<'_>, goal: &Goal<'_>, by: Penalty) -> f64 {
    let mut solver = Solver::new(design, goal);
    assert!(solver.fit(by, &mut || true));
    let mut most: f64 = 0.0;
    for output in 0..goal.outputs {
        let slope = solver.look(output, output);
        for (at, b) in solver.coefficients[output].iter().enumerate() {
            let l1 = if at == 0 { 0.0 } else { by.l1 };
            let l2 = if at == 0 { 0.0 } else { by.l2 };
            let pull = slope.gradient[at] + 2.0 * l2 * b;
            let pull = match *b {
                0.0 => (pull.abs() - l1).max(0.0),
                b => pull + l1 * b.signum(),
            };
            let curve = slope.squares[at] + 2.0 * l2;
            most = most.max(pull * pull / curve / solver.largest);
        }
    }
    most
}

const PENALTIES: [Penalty; 3] = [
    Penalty { l1: 0.0, l2: 0.001 },
    Penalty { l1: 0.01, l2: 0.0 },
    Penalty {
        l1: 0.002,
        l2: 0.001,
    },
];

fn check(matrix: &Matrix, scores: &[f64], most: f64) {
    let design = Design::all(matrix);
    let yes: Vec<f32> = scores.iter().map(|s| f32::from(*s > 0.7)).collect();
    let values: Vec<f32> = scores.iter().map(|s| *s as f32).collect();
    let labels: Vec<f32> = scores
        .iter()
        .map(|s| s.clamp(-1.0, 1.9).floor() as f32 + 1.0)
        .collect();
    for by in PENALTIES {
        let goals = [
            goal(Output::Sigmoid, 1, &yes),
            goal(Output::Identity, 1, &values),
            goal(Output::Softmax, 3, &labels),
        ];
        for goal in goals {
            let left = left(&design, &goal, by);
            assert!(left < most, "{by:?} {:?}: {left:.1e}", goal.output);
        }
    }
}

#[test]
fn a_sample_of_the_rows_leads_to_the_best_coefficients() {
    let (matrix, scores) = table(6000, 30, 60);
    check(&matrix, &scores, 1e-8);
}

#[test]
fn so_do_some_of_the_inputs_at_a_time() {
    let (matrix, scores) = table(600, MOST_PLACES, 20);
    check(&matrix, &scores, 1e-5);
}

#[test]
fn labels_are_moved_together_to_where_it_costs_least() {
    let at = |l1, l2, values: &[f64]| cheapest(values.to_vec(), Penalty { l1, l2 });
    assert_eq!(at(0.0, 1.0, &[1.0, 2.0, 6.0]), 3.0);
    assert_eq!(at(1.0, 0.0, &[0.0, 0.0, 6.0]), 0.0);
    assert_eq!(at(0.0, 0.0, &[0.0, 1.0, 6.0]), 0.0);
    let values = [-1.0, 0.5, 0.7, 4.0, 9.0];
    let cost = |c: f64| -> f64 {
        let each = values
            .iter()
            .map(|b| 0.8 * (b - c).abs() + 0.1 * (b - c).powi(2));
        each.sum()
    };
    let best = at(0.8, 0.1, &values);
    assert!((-100..100).all(|i| cost(best) <= cost(best + f64::from(i) / 50.0) + 1e-12));
}

#[test]
fn a_fit_ends_when_it_is_told_to() {
    let (matrix, scores) = table(3000, 10, 5);
    let design = Design::all(&matrix);
    let targets: Vec<f32> = scores.iter().map(|s| *s as f32).collect();
    let goal = goal(Output::Identity, 1, &targets);
    let mut asked = 0;
    let go_on = &mut || {
        asked += 1;
        asked < 2
    };
    assert!(!Solver::new(&design, &goal).fit(PENALTIES[1], go_on));
}

#[test]
fn so_do_few_rows_of_many_inputs() {
    let (matrix, scores) = table(100, 600, 20);
    check(&matrix, &scores, 1e-7);
}

#[test]
fn rows_stand_for_their_products() {
    let mut random = Random::new(3);
    let (rows, size) = (5, 30);
    let columns: Vec<f64> = (0..rows * size).map(|_| random.normal()).collect();
    let column = |at: usize| &columns[at * rows..(at + 1) * rows];
    let product =
        |a: usize, b: usize| -> f64 { column(a).iter().zip(column(b)).map(|(a, b)| a * b).sum() };
    let all = (0..size * size).map(|at| product(at / size, at % size));
    let all = Products::All(all.collect());
    let x: Vec<f64> = (0..size).map(|_| random.normal()).collect();
    let both = [&all, &Products::Rows(columns.clone())].map(|own| own.times(&x));
    let apart = both[0].iter().zip(&both[1]).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-12);
}
