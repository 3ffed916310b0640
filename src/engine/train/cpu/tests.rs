//! The written-out gradients against Burn's automatic ones, and what training must keep.

use super::*;
use crate::artifact::Task as Kind;
use crate::infer::testing::{Random as Draw, embedding, ensemble, one_hot, row};
use crate::models::network::Net;
use crate::models::{Activation, BagInput, Inputs, Model, Network, Output};
use crate::params::{Params, ValidParams};
use crate::recipe::Matrix;
use crate::train::TrainError;
use crate::train::burn::{Burn, check, sizes};
use ::burn::backend::{Autodiff, Flex};
use serde_json::json;

pub(super) fn matrix(rows: usize, random: &mut Draw) -> Matrix {
    let inputs = Inputs {
        numbers: 5,
        categories: vec![one_hot(3), embedding(9, 4)],
        bags: vec![BagInput {
            vocabulary: 12,
            dim: 3,
        }],
    };
    let mut matrix = Matrix {
        rows,
        inputs: inputs.clone(),
        singles: vec![0, 1, 2],
        ..Matrix::default()
    };
    for _ in 0..rows {
        let (numbers, codes) = row(&inputs, random);
        matrix.numbers.extend(numbers);
        matrix.codes.extend(codes);
        matrix
            .tokens
            .extend((0..random.below(5)).map(|_| random.below(12) as u32));
        matrix.token_ends.push(matrix.tokens.len());
    }
    matrix
}

/// One network of one hidden layer of 8 that answers with a sigmoid.
fn narrow(matrix: &Matrix, activation: Activation, random: &mut Draw) -> Network {
    let inputs = matrix.inputs.clone();
    ensemble(inputs, &[8], 1, activation, Output::Sigmoid, (3, 4), random)
}

pub(super) fn params(kind: Kind, options: serde_json::Value) -> ValidParams {
    let options = options.as_object().unwrap().clone();
    Params::from_json(&options)
        .unwrap()
        .check(kind, 1000)
        .unwrap()
}

/// One step of plain gradient descent moves every weight by the gradient: both must move alike.
#[test]
fn a_step_equals_burns() {
    let mut random = Draw(5);
    let tasks = [
        (Kind::Binary, Output::Sigmoid, 1, "binary_crossentropy"),
        (
            Kind::Multiclass,
            Output::Softmax,
            4,
            "categorical_crossentropy",
        ),
        (Kind::Regression, Output::Identity, 1, "mean_squared_error"),
        (Kind::Binary, Output::Sigmoid, 1, "mean_squared_error"),
        (Kind::Multiclass, Output::Softmax, 4, "mean_squared_error"),
        (Kind::Binary, Output::Sigmoid, 3, "binary_crossentropy"),
        (Kind::Regression, Output::Identity, 2, "mean_absolute_error"),
        (Kind::Regression, Output::Identity, 1, "huber"),
        (Kind::Regression, Output::Identity, 1, "quantile"),
        (Kind::Regression, Output::Exp, 1, "poisson"),
        (Kind::Regression, Output::Exp, 1, "tweedie"),
        (Kind::Binary, Output::Sigmoid, 1, "focal"),
        (Kind::Multiclass, Output::Softmax, 4, "focal"),
    ];
    let activations = [
        Activation::Silu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Relu,
    ];
    let shapes: [(usize, usize, &[usize]); 4] = [
        (1, 0, &[8]),
        (1, 4, &[16, 8]),
        (3, 0, &[8, 8]),
        (4, 3, &[12, 10]),
    ];
    for (kind, output, outputs, loss) in tasks {
        for (activation, (members, dim, hidden)) in activations.into_iter().zip(shapes) {
            let matrix = matrix(300, &mut random);
            // Of several outputs some do not count.
            let width = if output == Output::Softmax {
                1
            } else {
                outputs
            };
            let targets: Vec<f32> = (0..matrix.rows * width)
                .map(|_| match kind {
                    _ if width > 1 && random.below(4) == 0 => f32::NAN,
                    Kind::Regression => random.unit().abs(),
                    Kind::Binary => random.below(2) as f32,
                    _ => random.below(outputs) as f32,
                })
                .collect();
            let weights: Vec<f32> = (0..matrix.rows)
                .map(|_| 0.5 + random.unit().abs())
                .collect();
            let mut options =
                json!({"optimizer": "sgd", "momentum": 0, "dropout": 0, "loss": loss, "l2": 0.003});
            if loss.ends_with("crossentropy") && activation == Activation::Tanh {
                options["label_smoothing"] = json!(0.1);
            }
            let params = params(kind, options);
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
            let inputs = matrix.inputs.clone();
            let start = ensemble(
                inputs,
                hidden,
                outputs,
                activation,
                output,
                (members, dim),
                &mut random,
            );
            let mut cpu = Cpu::new(&task, start.clone());
            let device = Default::default();
            let net = Net::<Autodiff<Flex>>::new(&start, &device);
            let mut theirs = Burn::<Autodiff<Flex>, _>::new(
                &task,
                Model::Network(start.clone()),
                net,
                &device,
                u64::MAX,
            );
            let rows: Vec<u32> = (0..300).collect();
            let (a, _) = cpu.step(&rows, 0.1);
            theirs.step(&rows, 0.1);
            let b = theirs.owed();
            assert!(
                (a - b).abs() < 1e-4 * b.abs(),
                "{kind:?} {loss}: loss {a} but {b}"
            );
            let (a, b) = (cpu.validation_loss(), theirs.validation_loss());
            let (a, b) = (a.unwrap(), b.unwrap());
            assert!(
                (a - b).abs() < 1e-4 * b.abs(),
                "{kind:?} {loss}: mean loss {a} but {b}"
            );
            let (Model::Network(ours), Model::Network(theirs)) = (cpu.finish(), theirs.finish())
            else {
                panic!("no networks");
            };
            let parts = ours.weights().zip(theirs.weights()).zip(start.weights());
            for (part, ((ours, theirs), start)) in parts.enumerate() {
                for ((a, b), from) in ours.iter().zip(theirs).zip(start) {
                    assert!(
                        (a - b).abs() <= 2e-6 + 2e-3 * (b - from).abs(),
                        "{kind:?} {loss} {activation:?} part {part}: from {from} to {a} but {b}"
                    );
                }
            }
        }
    }
}

/// Of one output, without weights and validation rows.
fn task<'a>(
    matrix: &'a Matrix,
    targets: &'a [f32],
    params: &'a ValidParams,
    output: Output,
) -> Task<'a> {
    Task {
        train: Examples {
            matrix,
            targets,
            weights: &[],
        },
        validation: None,
        output,
        outputs: 1,
        params,
        extra: 0,
    }
}

/// Several steps of an average over the steps, with learning rates of their own.
#[test]
fn an_average_equals_burns() {
    let mut random = Draw(11);
    let matrix = matrix(240, &mut random);
    let targets: Vec<f32> = (0..240).map(|_| random.below(2) as f32).collect();
    let options = json!({"optimizer": "sgd", "momentum": 0, "dropout": 0, "batch_size": 60,
        "weight_averaging": "ema", "averaging_epochs": 0.75,
        "learning_rate_factors": {"bias": 0.1, "embedding": 3, "number_embedding": 0.5, "scale": 6}});
    let params = params(Kind::Binary, options);
    let task = task(&matrix, &targets, &params, Output::Sigmoid);
    let task = Task {
        validation: Some(task.train),
        ..task
    };
    let start = narrow(&matrix, Activation::Silu, &mut random);
    let mut cpu = Cpu::new(&task, start.clone());
    let net = Net::<Autodiff<Flex>>::new(&start, &Default::default());
    let model = Model::Network(start.clone());
    let mut theirs =
        Burn::<Autodiff<Flex>, _>::new(&task, model, net, &Default::default(), u64::MAX);
    for step in 0..7 {
        // Few rows: most vectors of the tables stay as they are.
        let rows: Vec<u32> = (0..6).map(|i| (step * 31 + i) % 240).collect();
        cpu.step(&rows, 0.1);
        theirs.step(&rows, 0.1);
    }
    let last = cpu.dense.weights.clone();
    let (a, b) = (cpu.validation_loss(), theirs.validation_loss());
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!((a - b).abs() < 1e-4 * b.abs(), "mean loss {a} but {b}");
    assert_eq!(last, cpu.dense.weights);
    cpu.keep();
    let (Model::Network(ours), Model::Network(theirs)) = (cpu.finish(), theirs.finish()) else {
        panic!("no networks");
    };
    let parts = ours.weights().zip(theirs.weights()).zip(start.weights());
    for (part, ((ours, theirs), start)) in parts.enumerate() {
        for ((a, b), from) in ours.iter().zip(theirs).zip(start) {
            assert!(
                (a - b).abs() <= 2e-6 + 2e-3 * (b - from).abs(),
                "part {part}: from {from} to {a} but {b}"
            );
        }
    }
    let mean = Layout::of(&ours).collect(&ours);
    assert!(mean != last && mean != Layout::of(&start).collect(&start));
}

/// Several steps of every optimiser, with penalties, a gradient that is too long, and tables of which most vectors stay as they are.
#[test]
fn optimisers_equal_burns() {
    let mut random = Draw(23);
    let matrix = matrix(240, &mut random);
    let targets: Vec<f32> = (0..240).map(|_| 40.0 * random.unit()).collect();
    for (optimizer, momentum, l1, l2) in [
        ("sgd", Some(0.9), 0.01, 0.02),
        ("adam", None, 0.01, 0.02),
        ("adamw", None, 0.0, 0.1),
    ] {
        let mut options = json!({"optimizer": optimizer, "dropout": 0, "l1": l1, "l2": l2,
            "learning_rate_factors": {"bias": 0.5, "embedding": 2, "number_embedding": 0.7, "scale": 3}});
        if let Some(momentum) = momentum {
            options["momentum"] = json!(momentum);
        }
        let params = params(Kind::Regression, options);
        let task = task(&matrix, &targets, &params, Output::Identity);
        let (inputs, output) = (matrix.inputs.clone(), Output::Identity);
        let start = ensemble(
            inputs,
            &[12],
            1,
            Activation::Silu,
            output,
            (3, 4),
            &mut random,
        );
        let mut cpu = Cpu::new(&task, start.clone());
        let device = Default::default();
        let net = Net::<Autodiff<Flex>>::new(&start, &device);
        let model = Model::Network(start.clone());
        let mut theirs = Burn::<Autodiff<Flex>, _>::new(&task, model, net, &device, 0);
        for step in 0..6 {
            let rows: Vec<u32> = (0..8).map(|i| (step * 31 + i) % 240).collect();
            cpu.step(&rows, 0.01);
            theirs.step(&rows, 0.01);
        }
        let (Model::Network(ours), Model::Network(theirs)) = (cpu.finish(), theirs.finish()) else {
            panic!("no networks");
        };
        // Adam makes as much of the smallest gradient, the last bits of a sum, as of any other.
        let (mut moved, mut odd) = (0, 0);
        let parts = ours.weights().zip(theirs.weights()).zip(start.weights());
        for ((ours, theirs), start) in parts {
            for ((a, b), from) in ours.iter().zip(theirs).zip(start) {
                assert_eq!(
                    a == from,
                    b == from,
                    "{optimizer}: from {from} to {a} but {b}"
                );
                moved += usize::from(a != from);
                odd += usize::from((a - b).abs() > 1e-5 + 0.01 * (a - from).abs());
            }
        }
        assert!(
            moved > 200 && odd * 200 <= moved,
            "{optimizer}: {odd} of {moved}"
        );
    }
}

/// A device that computes something else than the CPU: here what another network does.
#[test]
fn a_device_that_computes_otherwise_is_found() {
    let mut random = Draw(5);
    let matrix = matrix(240, &mut random);
    let targets: Vec<f32> = (0..240).map(|_| random.below(2) as f32).collect();
    // Dropout, averages and Adam are not what is compared.
    let options = json!({"dropout": 0.5, "l2": 0.1, "weight_averaging": "ema", "batch_size": 64});
    let params = params(Kind::Binary, options);
    let task = task(&matrix, &targets, &params, Output::Sigmoid);
    let own = narrow(&matrix, Activation::Relu, &mut random);
    let device = Default::default();
    let found = |theirs: &Network| {
        let net = Net::<Autodiff<Flex>>::new(theirs, &device);
        match check(&task, &Model::Network(own.clone()), net, &device, "gpu") {
            Ok(()) => String::new(),
            Err(TrainError::Wrong { device, detail }) => format!("{device}: {detail}"),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(found(&own), "");
    let mut other = own.clone();
    other.heads.iter_mut().for_each(|head| head.bias[0] += 5.0);
    let text = found(&other);
    assert!(text.starts_with("gpu: Before the first step"), "{text}");
    // The same answers, but gradients of other weights: the units of the layer in another order.
    other = own.clone();
    let (layer, units) = (&mut other.layers[0], 8);
    layer.bias.rotate_left(1);
    layer
        .weights
        .chunks_mut(units)
        .for_each(|row| row.rotate_left(1));
    other
        .heads
        .iter_mut()
        .for_each(|head| head.weights.rotate_left(1));
    let text = found(&other);
    assert!(text.starts_with("gpu: A first step"), "{text}");
    assert!(text.contains(" 64 rows "), "{text}");
    // Rows in pieces: of which sizes they are.
    assert_eq!(sizes(240, 64).collect::<Vec<_>>(), [64, 48]);
    assert_eq!(sizes(128, 64).collect::<Vec<_>>(), [64]);
    assert_eq!(sizes(63, 64).collect::<Vec<_>>(), [63]);
}

/// The same of rows from which nothing is learned.
#[test]
fn a_device_that_judges_otherwise_is_found() {
    let mut random = Draw(6);
    let matrix = matrix(100, &mut random);
    let targets: Vec<f32> = (0..100).map(|_| random.below(2) as f32).collect();
    let params = params(Kind::Binary, json!({"batch_size": 64}));
    let own = narrow(&matrix, Activation::Relu, &mut random);
    let all = task(&matrix, &targets, &params, Output::Sigmoid);
    let nothing = all.train.some(&[]);
    let judged = Task {
        train: nothing.examples(),
        validation: Some(all.train),
        ..all
    };
    let device = Default::default();
    let found = |theirs: &Network| {
        let net = Net::<Autodiff<Flex>>::new(theirs, &device);
        check(&judged, &Model::Network(own.clone()), net, &device, "gpu").is_ok()
    };
    assert!(found(&own));
    let mut other = own.clone();
    other.heads.iter_mut().for_each(|head| head.bias[0] += 5.0);
    assert!(!found(&other));
}

#[test]
fn threads_change_nothing() {
    let mut random = Draw(8);
    let matrix = matrix(500, &mut random);
    let targets: Vec<f32> = (0..500).map(|_| random.below(2) as f32).collect();
    let params = params(
        Kind::Binary,
        json!({"algorithm": "dnn", "members": 4, "epochs": 2, "weight_averaging": "ema"}),
    );
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let train = Examples {
                matrix: &matrix,
                targets: &targets,
                weights: &[],
            };
            let device = crate::train::Device::Cpu;
            crate::train::train(
                train,
                None,
                Output::Sigmoid,
                1,
                &params,
                device,
                &mut |_| true,
            )
            .unwrap()
            .parts
        })
    };
    let (one, three) = (with(1), with(3));
    let weights = |parts: &[crate::models::Part]| match &parts[0].model {
        Model::Network(network) => network.weights().flatten().copied().collect::<Vec<f32>>(),
        _ => panic!("no network"),
    };
    assert_eq!(weights(&one), weights(&three));
}
