//! The written-out gradients against Burn's automatic ones, and what training must keep.

use super::super::tests::{matrix, params};
use super::*;
use crate::artifact::Task as Kind;
use crate::infer::testing::{Random as Draw, transformer};
use crate::models::transformer_net::TransformerNet;
use crate::models::{Output, Part};
use crate::train::burn::Burn;
use ::burn::backend::{Autodiff, Flex};
use serde_json::json;

/// One step of plain gradient descent moves every weight by the gradient: both must move alike.
#[test]
fn a_step_equals_burns() {
    let mut random = Draw(15);
    let tasks = [
        (Kind::Binary, Output::Sigmoid, 1, "binary_crossentropy"),
        (
            Kind::Multiclass,
            Output::Softmax,
            4,
            "categorical_crossentropy",
        ),
        (Kind::Regression, Output::Identity, 2, "mean_squared_error"),
        (Kind::Regression, Output::Exp, 1, "poisson"),
        (Kind::Multiclass, Output::Softmax, 3, "focal"),
    ];
    let shapes = [(8, 1, 1), (16, 2, 2), (24, 3, 3), (32, 8, 2), (40, 5, 2)];
    for ((kind, output, outputs, loss), shape) in tasks.into_iter().zip(shapes) {
        let matrix = matrix(120, &mut random);
        let width = if output == Output::Softmax {
            1
        } else {
            outputs
        };
        let targets: Vec<f32> = (0..matrix.rows * width)
            .map(|_| match kind {
                // Of several outputs some do not count.
                _ if width > 1 && random.below(4) == 0 => f32::NAN,
                Kind::Regression => random.unit().abs(),
                Kind::Binary => random.below(2) as f32,
                _ => random.below(outputs) as f32,
            })
            .collect();
        let weights: Vec<f32> = (0..matrix.rows)
            .map(|_| 0.5 + random.unit().abs())
            .collect();
        let params = params(
            kind,
            json!({"algorithm": "transformer", "optimizer": "sgd", "momentum": 0, "dropout": 0,
                "attention_dropout": 0, "loss": loss, "l2": 0.003}),
        );
        let examples = || Examples {
            matrix: &matrix,
            targets: &targets,
            weights: &weights,
        };
        let task = Task {
            train: examples(),
            validation: Some(examples()),
            output,
            outputs,
            params: &params,
            extra: 0,
        };
        let start = transformer(&matrix.inputs, shape, outputs, &mut random);
        let mut ours = Attentive::new(&task, start.clone());
        let device = Default::default();
        let net = TransformerNet::<Autodiff<Flex>>::new(&start, &device);
        let model = Model::Transformer(start.clone());
        let mut theirs = Burn::<Autodiff<Flex>, _>::new(&task, model, net, &device, u64::MAX);
        let rows: Vec<u32> = (0..120).collect();
        let (a, _) = ours.step(&rows, 0.05);
        theirs.step(&rows, 0.05);
        let b = theirs.owed();
        assert!((a - b).abs() < 1e-4 * b.abs(), "{loss}: loss {a} but {b}");
        let (a, b) = (ours.validation_loss(), theirs.validation_loss());
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(
            (a - b).abs() < 1e-3 * b.abs(),
            "{loss}: mean loss {a} but {b}"
        );
        let (Model::Transformer(ours), Model::Transformer(theirs)) =
            (ours.finish(), theirs.finish())
        else {
            panic!("no transformers");
        };
        let parts = ours.all_weights().zip(theirs.all_weights());
        for (part, ((ours, theirs), start)) in parts.zip(start.all_weights()).enumerate() {
            assert!(ours.iter().zip(start).any(|(a, b)| a != b), "part {part}");
            for (i, ((a, b), from)) in ours.iter().zip(theirs).zip(start).enumerate() {
                assert!(
                    (a - b).abs() <= 3e-6 + 3e-3 * (b - from).abs(),
                    "{loss} {shape:?} part {part} weight {i}: from {from} to {a} but {b}"
                );
            }
        }
    }
}

/// Several steps of an average over the steps, with learning rates of their own.
#[test]
fn an_average_equals_burns() {
    let mut random = Draw(11);
    let matrix = matrix(240, &mut random);
    let targets: Vec<f32> = (0..240).map(|_| random.below(2) as f32).collect();
    let options = json!({"algorithm": "transformer", "optimizer": "sgd", "momentum": 0, "dropout": 0,
        "attention_dropout": 0, "batch_size": 60, "weight_averaging": "ema", "averaging_epochs": 0.75,
        "learning_rate_factors": {"bias": 0.1, "embedding": 3, "number_embedding": 0.5, "scale": 6}});
    let params = params(Kind::Binary, options);
    let examples = || Examples {
        matrix: &matrix,
        targets: &targets,
        weights: &[],
    };
    let task = Task {
        train: examples(),
        validation: Some(examples()),
        output: Output::Sigmoid,
        outputs: 1,
        params: &params,
        extra: 0,
    };
    let start = transformer(&matrix.inputs, (16, 2, 2), 1, &mut random);
    let mut ours = Attentive::new(&task, start.clone());
    let device = Default::default();
    let net = TransformerNet::<Autodiff<Flex>>::new(&start, &device);
    let model = Model::Transformer(start.clone());
    let mut theirs = Burn::<Autodiff<Flex>, _>::new(&task, model, net, &device, u64::MAX);
    for step in 0..5 {
        // Few rows: most vectors of the tables stay as they are.
        let rows: Vec<u32> = (0..6).map(|i| (step * 31 + i) % 240).collect();
        ours.step(&rows, 0.02);
        theirs.step(&rows, 0.02);
    }
    let last = ours.dense.weights.clone();
    let (a, b) = (ours.validation_loss(), theirs.validation_loss());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!((a - b).abs() < 1e-3 * b.abs(), "mean loss {a} but {b}");
    assert_eq!(last, ours.dense.weights);
    let (Model::Transformer(ours), Model::Transformer(theirs)) = (ours.finish(), theirs.finish())
    else {
        panic!("no transformers");
    };
    let parts = ours.all_weights().zip(theirs.all_weights());
    for (part, ((ours, theirs), start)) in parts.zip(start.all_weights()).enumerate() {
        for (i, ((a, b), from)) in ours.iter().zip(theirs).zip(start).enumerate() {
            assert!(
                (a - b).abs() <= 1e-5 + 1e-2 * (b - from).abs(),
                "part {part} weight {i}: from {from} to {a} but {b}"
            );
        }
    }
    assert!(ours.weights != start.weights && ours.weights[..] != last[..ours.weights.len()]);
}

fn trained(
    matrix: &Matrix,
    targets: &[f32],
    options: serde_json::Value,
    threads: usize,
) -> Vec<Part> {
    let params = params(Kind::Binary, options);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    let train = Examples {
        matrix,
        targets,
        weights: &[],
    };
    let device = crate::train::Device::Cpu;
    pool.install(|| {
        let output = Output::Sigmoid;
        crate::train::train(train, None, output, 1, &params, device, &mut |_| true)
            .unwrap()
            .parts
    })
}

#[test]
fn threads_change_nothing() {
    let mut random = Draw(8);
    let matrix = matrix(300, &mut random);
    let targets: Vec<f32> = (0..300).map(|_| random.below(2) as f32).collect();
    let weights = |threads: usize| {
        let options = json!({"algorithm": "transformer", "epochs": 2, "d_token": 16,
            "weight_averaging": "ema"});
        let parts = trained(&matrix, &targets, options, threads);
        let Model::Transformer(own) = &parts[0].model else {
            panic!("no transformer");
        };
        own.all_weights().flatten().copied().collect::<Vec<f32>>()
    };
    assert_eq!(weights(1), weights(3));
}

/// Whether two numbers have the same sign, and a category says the other way round: no sum of effects tells.
#[test]
fn it_learns_what_no_sum_of_effects_tells() {
    let mut random = Draw(4);
    let mut matrix = matrix(1500, &mut random);
    matrix.singles = Vec::new();
    let targets: Vec<f32> = (0..matrix.rows)
        .map(|row| {
            let x = &matrix.numbers[row * 5..(row + 1) * 5];
            let turned = matrix.codes[row * 2] % 2 == 1;
            f32::from(u8::from((x[0] * x[1] > 0.0) ^ turned))
        })
        .collect();
    let rows: Vec<u32> = (0..1500).collect();
    let (train, unseen) = rows.split_at(1200);
    let own = |rows: &[u32]| -> Vec<f32> { rows.iter().map(|r| targets[*r as usize]).collect() };
    let options = json!({"algorithm": "transformer", "epochs": 40, "d_token": 32, "batch_size": 32,
        "early_stopping": false});
    let parts = trained(&matrix.some(train), &own(train), options, 2);
    let rows = matrix.some(unseen);
    let answers = crate::infer::answers(&parts[0].model, Output::Sigmoid, 1, &rows);
    let right = answers.iter().zip(own(unseen));
    let right = right.filter(|(p, y)| (**p > 0.5) == (*y > 0.5)).count();
    assert!(right >= 264, "{right} of 300");
}
