//! Shortened gradients against those of rows one by one, and how much noise there is.

use super::super::tests::params;
use super::*;
use crate::artifact::Task as Kind;
use crate::infer::testing::{Random as Draw, embedding, one_hot, row};
use crate::models::{Activation, Architecture, Inputs, Output};
use crate::params::ValidParams;
use crate::recipe::Matrix;
use crate::train::Examples;
use serde_json::json;

fn matrix(rows: usize, random: &mut Draw) -> Matrix {
    let inputs = Inputs {
        numbers: 5,
        categories: vec![one_hot(3), embedding(9, 4), embedding(6, 2)],
        bags: Vec::new(),
    };
    let mut matrix = Matrix {
        rows,
        inputs: inputs.clone(),
        ..Matrix::default()
    };
    for _ in 0..rows {
        let (numbers, codes) = row(&inputs, random);
        matrix.numbers.extend(numbers);
        matrix.codes.extend(codes);
    }
    matrix
}

fn sgd() -> ValidParams {
    let privacy = json!({"epsilon": 1});
    params(
        Kind::Binary,
        json!({"privacy": privacy, "optimizer": "sgd", "momentum": 0.0, "weight_averaging": "none"}),
    )
}

fn network(task: &Task<'_>, hidden: &[usize], outputs: usize, output: Output) -> Network {
    let architecture = Architecture {
        hidden: hidden.to_vec(),
        activation: Activation::Silu,
        output,
        outputs,
        members: 1,
        number_dim: 0,
        embedded: Vec::new(),
    };
    Network::init(&task.train.matrix.inputs, &architecture, 3)
}

/// Dense gradient and derivatives by the learned inputs of one row, by the steps of other trainings.
fn alone(cpu: &mut Cpu<'_>, row: u32) -> (Vec<f32>, Vec<f32>) {
    let part = &cpu.task.train;
    let found = cpu.in_chunks(&[row], |shared, chunk, _, rows| {
        chunk.gradient.clear();
        chunk.forward(shared, part.matrix, rows, None);
        chunk.backward(shared, part.matrix, rows, part.targets, part.weights, 1.0);
        (std::mem::take(&mut chunk.gradient), chunk.dx.clone())
    });
    found.into_iter().next().expect("one chunk")
}

#[test]
fn the_sum_is_that_of_rows_shortened_one_by_one() {
    let mut random = Draw(5);
    let (rows, matrix) = (40, matrix(40, &mut random));
    let weights: Vec<f32> = (0..rows).map(|i| 0.5 + (i % 3) as f32).collect();
    let params = sgd();
    for (hidden, output, outputs) in [
        (&[8, 6][..], Output::Sigmoid, 1),
        (&[7], Output::Softmax, 4),
        (&[], Output::Sigmoid, 1),
    ] {
        let targets: Vec<f32> = (0..rows).map(|i| (i % outputs.max(2)) as f32).collect();
        let task = Task {
            train: Examples {
                matrix: &matrix,
                targets: &targets,
                weights: &weights,
            },
            validation: None,
            output,
            outputs,
            params: &params,
            extra: 0,
        };
        let mut cpu = Cpu::private(&task, network(&task, hidden, outputs, output));
        let each: Vec<_> = (0..rows as u32).map(|row| alone(&mut cpu, row)).collect();
        let norm = |(dense, dx): &(Vec<f32>, Vec<f32>)| {
            let all = dense.iter().chain(dx);
            all.map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt()
        };
        let mut norms: Vec<f64> = each.iter().map(norm).collect();
        let clip = {
            let mut sorted = norms.clone();
            sorted.sort_by(f64::total_cmp);
            // Some rows are shortened and some are not.
            f64::midpoint(sorted[rows / 2], sorted[rows / 2 + 1])
        };
        let all: Vec<u32> = (0..rows as u32).collect();
        let part = &task.train;
        let found = cpu.in_chunks(&all, |shared, chunk, _, rows| {
            chunk.gradient.clear();
            chunk.forward(shared, part.matrix, rows, None);
            chunk.backward_clipped(shared, rows, part.targets, part.weights, clip);
            (
                chunk.gradient.clone(),
                chunk.dx.clone(),
                chunk.squares.clone(),
            )
        });
        let (gradient, dx, squares) = &found[0];
        norms.iter_mut().zip(squares).for_each(|(norm, square)| {
            assert!(
                (square.sqrt() / *norm - 1.0).abs() < 1e-4,
                "{} {norm}",
                square.sqrt()
            );
            *norm = (clip * MARGIN / *norm).min(1.0);
        });
        let sum = |at: usize| -> f64 {
            let of = each.iter().zip(&norms);
            of.map(|((dense, _), factor)| f64::from(dense[at]) * factor)
                .sum()
        };
        for (at, own) in gradient.iter().enumerate() {
            assert!(
                (f64::from(*own) - sum(at)).abs() < 1e-3,
                "{at}: {own} {}",
                sum(at)
            );
        }
        let width = dx.len() / rows;
        for (row, ((_, alone), factor)) in each.iter().zip(&norms).enumerate() {
            for (own, one) in dx[row * width..(row + 1) * width].iter().zip(alone) {
                assert!((f64::from(*own) - f64::from(*one) * factor).abs() < 1e-4);
            }
        }
    }
}

/// How far each dense weight and each number of a table moves in a step of rate 1.
fn moved(sample: &[u32], cover: &Cover) -> (Vec<f64>, Vec<f64>) {
    let mut random = Draw(6);
    let matrix = matrix(30, &mut random);
    let targets: Vec<f32> = (0..30).map(|i| (i % 2) as f32).collect();
    let params = sgd();
    let task = Task {
        train: Examples {
            matrix: &matrix,
            targets: &targets,
            weights: &[],
        },
        validation: None,
        output: Output::Sigmoid,
        outputs: 1,
        params: &params,
        extra: 0,
    };
    let mut cpu = Cpu::private(&task, network(&task, &[64, 32], 1, Output::Sigmoid));
    let before = (cpu.dense.weights.clone(), cpu.tables[0].vectors.clone());
    cpu.private_step(sample, cover, &mut Noise::from_seed(1), 1.0);
    let apart = |a: &[f32], b: &[f32]| {
        let each = a.iter().zip(b);
        each.map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
    };
    (
        apart(&before.0, &cpu.dense.weights),
        apart(&before.1, &cpu.tables[0].vectors),
    )
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn every_number_gets_noise_of_the_size_that_was_planned() {
    let cover = Cover {
        clip: 1.0,
        noise: 3.0,
        expected: 20.0,
    };
    let (dense, table) = moved(&[], &cover);
    let deviation = length(&dense) / (dense.len() as f64).sqrt();
    assert!((deviation / 0.15 - 1.0).abs() < 0.1, "{deviation}");
    assert!(table.iter().all(|v| *v != 0.0));
    let deviation = length(&table) / (table.len() as f64).sqrt();
    assert!((deviation / 0.15 - 1.0).abs() < 0.4, "{deviation}");
}

#[test]
fn a_row_moves_the_sum_by_the_clip_at_most_and_sums_are_divided_by_what_is_expected() {
    let cover = |clip: f64, expected: f64| Cover {
        clip,
        noise: 0.0,
        expected,
    };
    let (with, _) = moved(&[3, 4, 5], &cover(0.01, 1.0));
    let (without, _) = moved(&[3, 4], &cover(0.01, 1.0));
    let apart: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
    assert!(
        length(&apart) <= 0.01 + 1e-5 && length(&apart) > 0.002,
        "{}",
        length(&apart)
    );
    let (one, _) = moved(&[3, 4], &cover(1e3, 1.0));
    let (ten, _) = moved(&[3, 4], &cover(1e3, 10.0));
    assert!((length(&one) / length(&ten) - 10.0).abs() < 1e-2);
}
