//! Beside statsmodels 0.14 and scikit-learn 1.x on the same rows.

use super::*;
use crate::artifact::Task;
use crate::frame::{Cell, Column, Frame, Kind};
use crate::params::{Params, ValidParams};
use crate::recipe::{Preparation, Recipe};
use crate::train::{Device, Examples, Trained, train};
use serde_json::json;

const ROWS: usize = 240;

/// Two numbers, a category of three levels, and a draw between 0 and 1 for each row.
fn row(i: usize) -> (f64, f64, usize, f64) {
    let x = i as f64;
    let single = |x: f64| f64::from(x as f32);
    let draw = ((x * 12.9898).sin() * 43758.5453).abs().fract();
    let (a, b) = ((1.3 * x).sin() * 2.0, (0.7 * x * x).cos());
    (single(a), single(b), i * 7 % 3, draw)
}

fn yes(i: usize) -> f32 {
    let (a, b, c, draw) = row(i);
    let sum = 0.3 + 0.8 * a - 0.5 * b + [0.0, 0.7, -0.6][c];
    f32::from(draw < 1.0 / (1.0 + (-sum).exp()))
}

fn value(i: usize) -> f32 {
    let (a, b, c, draw) = row(i);
    (1.0 + 2.0 * a - b + [0.0, 1.0, -1.0][c] + draw - 0.5) as f32
}

fn label(i: usize) -> f32 {
    let (a, b, _, draw) = row(i);
    if draw < 0.25 + 0.1 * a.tanh() {
        0.0
    } else if draw < 0.6 + 0.2 * b.tanh() {
        1.0
    } else {
        2.0
    }
}

fn frame(categories: bool) -> Frame {
    let mut a = Column::new("a", "float8", Kind::Number);
    let mut b = Column::new("b", "float8", Kind::Number);
    let mut c = Column::new("c", "text", Kind::Category);
    for i in 0..ROWS {
        let (x, y, level, _) = row(i);
        a.push(Cell::Number(x));
        b.push(Cell::Number(y));
        c.push(Cell::Text(["one", "three", "two"][level]));
    }
    let mut columns = vec![a, b];
    columns.extend(categories.then_some(c));
    Frame { columns }
}

fn recipe(frame: &Frame, standardise: &str) -> Recipe {
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let options = json!({"algorithm": "linear", "standardise": standardise});
    let params = Params::from_json(options.as_object().unwrap()).unwrap();
    let how: Preparation = params.check(Task::Binary, ROWS).unwrap().preparation;
    let columns: Vec<usize> = (0..frame.columns.len()).collect();
    Recipe::fit_with(frame, &columns, &rows, None, &how)
}

fn params(options: serde_json::Value, task: Task) -> ValidParams {
    let mut all = json!({"algorithm": "linear"});
    let more = options.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    Params::from_json(all.as_object().unwrap())
        .unwrap()
        .check(task, ROWS)
        .unwrap()
}

pub(super) fn goal(output: Output, outputs: usize, targets: &[f32]) -> Goal<'_> {
    Goal {
        output,
        outputs,
        targets,
        weights: &[],
        until: None,
    }
}

fn solved(design: &Design<'_>, goal: &Goal<'_>, by: Penalty) -> Vec<Vec<f64>> {
    let mut solver = Solver::new(design, goal);
    assert!(solver.fit(by, &mut || true));
    solver.coefficients
}

fn trained(matrix: &Matrix, goal: &Goal<'_>, options: serde_json::Value, task: Task) -> Trained {
    let part = Examples {
        matrix,
        targets: goal.targets,
        weights: &[],
    };
    let params = params(options, task);
    let (output, outputs) = (goal.output, goal.outputs);
    let report = &mut |_: &_| true;
    train(part, None, output, outputs, &params, Device::Cpu, report).unwrap()
}

/// The coefficients without penalty, numbers standardised by the recipe.
fn plain(frame: &Frame, targets: &[f32], output: Output, outputs: usize) -> Vec<Coefficient> {
    let task = match output {
        Output::Sigmoid => Task::Binary,
        Output::Softmax => Task::Multiclass,
        Output::Identity | Output::Exp => Task::Regression,
    };
    let recipe = recipe(frame, "standard");
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let matrix = recipe.transform(frame, &rows);
    let goal = goal(output, outputs, targets);
    let model = trained(&matrix, &goal, json!({"l1": 0, "l2": 0}), task);
    let labels: Vec<String> = ["x", "y", "z"].map(String::from).to_vec();
    coefficients(&model.parts, &recipe, &matrix, &goal, &labels, (0.0, 1.0))
}

fn near(found: f64, wanted: f64, share: f64) {
    let off = (found - wanted).abs();
    assert!(off <= share * wanted.abs(), "{found} instead of {wanted}");
}

/// Value, standard error, p, and the bounds of the interval for the coefficients in order.
fn agree(found: &[&Coefficient], wanted: &[[f64; 5]]) {
    assert_eq!(found.len(), wanted.len());
    for (own, [value, error, p, low, high]) in found.iter().zip(wanted) {
        near(own.coefficient.unwrap(), *value, 1e-5);
        near(own.standard_error.unwrap(), *error, 1e-5);
        near(own.z.unwrap(), value / error, 1e-5);
        near(own.p_value.unwrap(), *p, 1e-3);
        near(own.low.unwrap(), *low, 1e-5);
        near(own.high.unwrap(), *high, 1e-5);
    }
}

#[test]
fn logistic_coefficients_and_errors_are_those_of_statsmodels() {
    let targets: Vec<f32> = (0..ROWS).map(yes).collect();
    let found = plain(&frame(true), &targets, Output::Sigmoid, 1);
    let names: Vec<(&str, Option<&str>)> = found
        .iter()
        .map(|c| (c.feature.as_str(), c.level.as_deref()))
        .collect();
    let levels = [("c", Some("one")), ("c", Some("three")), ("c", Some("two"))];
    assert_eq!(
        names[..3],
        [("(intercept)", None), ("a", None), ("b", None)]
    );
    assert_eq!(names[3..], levels);
    let all: Vec<&Coefficient> = found[..5].iter().collect();
    agree(
        &all,
        &[
            [
                -0.66821156,
                0.28018419,
                1.70837197e-2,
                -1.21736249,
                -0.11906063,
            ],
            [
                0.93271648,
                0.13218022,
                1.70871617e-12,
                0.67364802,
                1.19178495,
            ],
            [
                -0.66111701,
                0.22975373,
                4.00836309e-3,
                -1.11142604,
                -0.21080797,
            ],
            [
                0.40420346,
                0.38853712,
                2.98190629e-1,
                -0.3573153,
                1.16572222,
            ],
            [
                2.05279757,
                0.43002048,
                1.80853356e-6,
                1.20997292,
                2.89562223,
            ],
        ],
    );
    // The level the others are compared with.
    assert_eq!(found[5].coefficient, Some(0.0));
    assert_eq!((found[5].standard_error, found[5].p_value), (None, None));
}

#[test]
fn linear_coefficients_and_errors_are_those_of_statsmodels() {
    let targets: Vec<f32> = (0..ROWS).map(value).collect();
    let found = plain(&frame(true), &targets, Output::Identity, 1);
    let all: Vec<&Coefficient> = found[..5].iter().collect();
    agree(
        &all,
        &[
            [
                0.01228216,
                0.03239737,
                7.04948708e-1,
                -0.05154423,
                0.07610855,
            ],
            [
                1.99902943,
                0.01328493,
                1.22657939e-235,
                1.97285665,
                2.02520221,
            ],
            [
                -0.99123292,
                0.02591261,
                6.64061874e-103,
                -1.04228362,
                -0.94018223,
            ],
            [
                1.03643768,
                0.04584563,
                7.00344862e-61,
                0.94611674,
                1.12675861,
            ],
            [
                1.95065075,
                0.04599837,
                4.24550213e-112,
                1.8600289,
                2.0412726,
            ],
        ],
    );
}

#[test]
fn multinomial_coefficients_and_errors_are_those_of_statsmodels() {
    let targets: Vec<f32> = (0..ROWS).map(label).collect();
    let found = plain(&frame(false), &targets, Output::Softmax, 3);
    let wanted = [
        ("y", 0.11668149, 0.1997288),
        ("y", -0.46258064, 0.13411691),
        ("y", 1.08826956, 0.27211931),
        ("z", 0.55511021, 0.17354909),
        ("z", -0.23924054, 0.12187576),
        ("z", -0.2617301, 0.23490275),
    ];
    assert_eq!(found.len(), wanted.len());
    for (own, (label, value, error)) in found.iter().zip(wanted) {
        assert_eq!(own.label.as_deref(), Some(label));
        near(own.coefficient.unwrap(), value, 1e-5);
        near(own.standard_error.unwrap(), error, 1e-5);
        // Without a penalty the model predicts with the same.
        near(own.penalised, value, 1e-3);
    }
}

#[test]
fn penalised_coefficients_are_those_of_scikit_learn() {
    let frame = frame(true);
    let recipe = recipe(&frame, "none");
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let matrix = recipe.transform(&frame, &rows);
    let design = Design::all(&matrix);
    let check = |output: Output, outputs: usize, targets: &[f32], by: Penalty, wanted: &[f64]| {
        let goal = goal(output, outputs, targets);
        let found = solved(&design, &goal, by).concat();
        assert_eq!(found.len(), wanted.len());
        for (own, wanted) in found.iter().zip(wanted) {
            assert!(
                (own - wanted).abs() < 2e-4,
                "{found:?} instead of {wanted:?}"
            );
        }
    };
    let by = Penalty {
        l1: 0.01,
        l2: 0.005,
    };
    let targets: Vec<f32> = (0..ROWS).map(yes).collect();
    let wanted = [
        -0.12906085,
        0.79148007,
        -0.41636571,
        0.0,
        1.00924697,
        -0.27309435,
    ];
    check(Output::Sigmoid, 1, &targets, by, &wanted);
    let targets: Vec<f32> = (0..ROWS).map(value).collect();
    let wanted = [
        1.0239353942,
        1.93303914,
        -0.80309094,
        0.0,
        0.66172887,
        -0.7486999,
    ];
    check(
        Output::Identity,
        1,
        &targets,
        Penalty { l1: 0.1, l2: 0.05 },
        &wanted,
    );
    // The intercepts of several labels are only known up to a constant: scikit-learn makes their sum 0.
    let targets: Vec<f32> = (0..ROWS).map(label).collect();
    let goal = goal(Output::Softmax, 3, &targets);
    let found = solved(&design, &goal, by);
    let mean = found.iter().map(|own| own[0]).sum::<f64>() / 3.0;
    let wanted = [
        [-0.28091636, 0.21212043, 0.0, 0.0, 0.0, 0.0],
        [
            -0.04748972,
            -0.19880995,
            0.86875753,
            -0.33550985,
            0.11971943,
            0.0,
        ],
        [0.32840608, 0.0, -0.24608901, 0.03888907, -0.24062207, 0.0],
    ];
    for (own, wanted) in found.iter().zip(wanted) {
        assert!((own[0] - mean - wanted[0]).abs() < 2e-4, "{found:?}");
        for (own, wanted) in own[1..].iter().zip(&wanted[1..]) {
            assert!((own - wanted).abs() < 2e-4, "{found:?}");
        }
    }
}

#[test]
fn a_column_twice_and_a_level_that_decides_alone_do_no_harm() {
    let mut twice = frame(true);
    let again = Column {
        name: "again".into(),
        ..twice.columns[0].clone()
    };
    twice.columns.push(again);
    let targets: Vec<f32> = (0..ROWS)
        .map(|i| if row(i).2 == 1 { 1.0 } else { yes(i) })
        .collect();
    let found = plain(&twice, &targets, Output::Sigmoid, 1);
    let of = |name: &str| found.iter().find(|c| c.feature == name).unwrap();
    assert!(of("a").standard_error.is_some());
    assert_eq!(of("again").coefficient, Some(0.0));
    let finite = |x: Option<f64>| x.is_none_or(f64::is_finite);
    assert!(
        found
            .iter()
            .all(|c| finite(c.coefficient) && finite(c.standard_error))
    );
    assert!(found.iter().all(|c| c.penalised.is_finite()));
    let three = found.iter().find(|c| c.level.as_deref() == Some("three"));
    let three = three.unwrap();
    assert!(three.coefficient.unwrap() > 5.0 && three.p_value.is_none_or(|p| p > 0.5));
}

#[test]
fn inputs_that_are_left_out_are_told_by_the_others() {
    let mut frame = frame(true);
    // Twice the first number and three, and a level that all have.
    let mut other = Column::new("d", "float8", Kind::Number);
    let mut same = Column::new("e", "text", Kind::Category);
    for i in 0..ROWS {
        other.push(Cell::Number(2.0 * row(i).0 + 3.0));
        same.push(Cell::Text("same"));
    }
    frame.columns.extend([other, same]);
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let matrix = recipe(&frame, "none").transform(&frame, &rows);
    let weights: Vec<f32> = (0..ROWS).map(|i| 0.3 + (i % 7) as f32 / 3.0).collect();
    let targets: Vec<f32> = (0..ROWS).map(yes).collect();
    let weighted = Goal {
        weights: &weights,
        ..goal(Output::Sigmoid, 1, &targets)
    };
    let design = Design::all(&matrix);
    let inputs: Vec<usize> = (0..design.width - 1).collect();
    let (kept, stand_ins) = coefficients::apart(&design, &weighted, inputs);
    assert_eq!(kept.len() + stand_ins.len(), design.width - 1);
    assert!(stand_ins.len() >= 2, "{stand_ins:?}");
    let (chosen, mut own, mut entries) = (design.only(&kept), Vec::new(), Vec::new());
    for row in 0..ROWS {
        design.entries(row, &mut own);
        chosen.entries(row, &mut entries);
        for (input, by) in &stand_ins {
            let told: f64 = entries.iter().map(|(at, x)| by[*at] * x).sum();
            let is = own.iter().find(|(at, _)| *at == input + 1);
            let off = told - is.map_or(0.0, |(_, x)| *x);
            // Numbers are rounded to 32 bits.
            assert!(off.abs() < 1e-5, "{off} of input {input} in row {row}");
        }
    }
}

#[test]
fn threads_change_nothing() {
    let targets: Vec<f32> = (0..ROWS).map(yes).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let run = || plain(&frame(true), &targets, Output::Sigmoid, 1);
        pool.build().unwrap().install(run)
    };
    assert_eq!(with(1), with(3));
}
