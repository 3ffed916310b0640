//! The written-out block against Burn's, forward and backward, with every mask.

use super::*;
use crate::infer::testing::Random as Draw;
use crate::models::block_net::BlockNet;
use ::burn::backend::{Autodiff, Flex};
use ::burn::tensor::{Bool, Tensor, TensorData};

type Auto = Autodiff<Flex>;

/// Which tokens each does not look at, `[count, 1, length, length]`.
fn hidden(sequences: Sequences<'_>) -> Tensor<Auto, 4, Bool> {
    let length = sequences.length;
    let mut hidden = Vec::new();
    for s in 0..sequences.count {
        for token in 0..length {
            let seen = sequences.seen(s, token);
            hidden.extend((0..length).map(|other| other >= seen));
        }
    }
    let shape = [sequences.count, 1, length, length];
    Tensor::from_data(TensorData::new(hidden, shape), &Default::default())
}

#[test]
fn a_block_equals_burns() {
    let mut random = Draw(31);
    let lengths = [5, 1, 9, 3];
    let cases = [
        (16, 2, 24, true, Sequences::default()),
        (8, 1, 8, false, Sequences::default()),
        (
            24,
            3,
            32,
            true,
            Sequences {
                causal: true,
                ..Sequences::default()
            },
        ),
        (
            48,
            4,
            64,
            true,
            Sequences {
                causal: true,
                lengths: &lengths,
                ..Sequences::default()
            },
        ),
        (
            32,
            8,
            40,
            true,
            Sequences {
                lengths: &lengths,
                ..Sequences::default()
            },
        ),
        (
            40,
            5,
            56,
            true,
            Sequences {
                first_alone: true,
                ..Sequences::default()
            },
        ),
        (
            16,
            8,
            24,
            false,
            Sequences {
                first_alone: true,
                lengths: &lengths,
                ..Sequences::default()
            },
        ),
    ];
    let mut pass = Pass::default();
    for (width, heads, hidden_units, norm, sequences) in cases {
        let sequences = Sequences {
            count: 4,
            length: 9,
            ..sequences
        };
        let block = Block {
            width,
            heads,
            hidden: hidden_units,
            norm,
        };
        assert!(block.is_sound());
        let parts = block.parts();
        let mut weights = block.init(&mut crate::random::Random::new(random.next()));
        // What begins at zero or one must not hide a mistake.
        weights.iter_mut().for_each(|w| *w += 0.2 * random.unit());
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.unit()).collect() };
        let x = draw(sequences.tokens() * width);
        let out = sequences.count * sequences.asking() * width;
        // The loss is the sum of what comes out times these; what only fills up counts nothing.
        let mut factors = draw(out);
        for (s, row) in factors
            .chunks_exact_mut(sequences.asking() * width)
            .enumerate()
        {
            let own = sequences.lengths.get(s).copied().unwrap_or(usize::MAX);
            row.iter_mut()
                .skip(own.saturating_mul(width))
                .for_each(|f| *f = 0.0);
        }

        let mut ours = x.clone();
        pass.forward(&block, &parts, &weights, &mut ours, sequences, None);
        let answers = ours[..out].to_vec();
        let mut delta = factors.clone();
        let mut gradient = vec![0.0; parts.len];
        pass.backward(
            &block,
            &parts,
            &weights,
            &mut delta,
            &mut gradient,
            sequences,
        );

        let device = Default::default();
        let net = BlockNet::<Auto>::new(&block, &weights, &device);
        let shape = [sequences.count, sequences.length, width];
        let input = Tensor::<Auto, 3>::from_data(TensorData::new(x, shape), &device).require_grad();
        let theirs = net.forward(input.clone(), Some(hidden(sequences)), None);
        let theirs = theirs.slice([0..sequences.count, 0..sequences.asking(), 0..width]);
        let shape = theirs.dims();
        let factors =
            Tensor::<Auto, 3>::from_data(TensorData::new(factors.clone(), shape), &device);
        let gradients = (theirs.clone() * factors.clone()).sum().backward();
        let theirs: Vec<f32> = theirs.into_data().to_vec().unwrap();
        let counted: Vec<f32> = factors.into_data().to_vec().unwrap();
        for ((a, b), f) in answers.iter().zip(&theirs).zip(counted) {
            assert!(f == 0.0 || (a - b).abs() < 2e-4, "{block:?}: {a} but {b}");
        }
        let d_input: Vec<f32> = input
            .grad(&gradients)
            .unwrap()
            .into_data()
            .to_vec()
            .unwrap();
        for (i, (a, b)) in delta.iter().zip(&d_input).enumerate() {
            assert!(
                (a - b).abs() < 1e-3 * b.abs().max(1.0),
                "{block:?} {sequences:?} input {i}: {a} but {b}"
            );
        }
        // One step of gradient descent shows the gradient of every weight.
        let mut theirs = vec![0.0; parts.len];
        net.gradient(&gradients).write(&block, &mut theirs);
        for (i, (a, b)) in gradient.iter().zip(&theirs).enumerate() {
            assert!(
                (a - b).abs() < 2e-3 * b.abs().max(1.0),
                "{block:?} {sequences:?} weight {i}: {a} but {b}"
            );
        }
    }
}

#[test]
fn the_way_back_knows_what_was_dropped() {
    let block = Block {
        width: 16,
        heads: 2,
        hidden: 24,
        norm: true,
    };
    let parts = block.parts();
    let mut random = crate::random::Random::new(3);
    let weights = block.init(&mut random);
    let sequences = Sequences {
        count: 3,
        length: 5,
        ..Sequences::default()
    };
    let x: Vec<f32> = (0..3 * 5 * 16).map(|_| random.normal() as f32).collect();
    let dropped = Dropped {
        attention: 20_000,
        hidden: 20_000,
        residual: 10_000,
    };
    let mut pass = Pass::default();
    // The loss is the sum of what comes out; the same seed drops the same.
    let mut loss = |x: &[f32], weights: &[f32]| -> f64 {
        let mut out = x.to_vec();
        let mut draw = crate::random::Random::new(8);
        let dropout = Some((&mut draw, dropped));
        pass.forward(&block, &parts, weights, &mut out, sequences, dropout);
        out.iter().map(|v| f64::from(*v)).sum()
    };
    let mut check = |at: usize, of_weight: bool, gradient: f32| {
        let step = 2e-3;
        let moved = |by: f32| {
            let (mut x, mut weights) = (x.clone(), weights.clone());
            match of_weight {
                true => weights[at] += by,
                false => x[at] += by,
            }
            (x, weights)
        };
        let [more, less] = [step, -step].map(|by| {
            let (x, weights) = moved(by);
            loss(&x, &weights)
        });
        let slope = (more - less) / f64::from(2.0 * step);
        let error = (slope - f64::from(gradient)).abs();
        assert!(
            error < 0.03 * slope.abs().max(1.0),
            "{at} {of_weight}: {gradient} but {slope}"
        );
    };
    let mut own = Pass::default();
    let mut draw = crate::random::Random::new(8);
    let mut delta = x.clone();
    let dropout = Some((&mut draw, dropped));
    own.forward(&block, &parts, &weights, &mut delta, sequences, dropout);
    delta.fill(1.0);
    let mut gradient = vec![0.0; parts.len];
    own.backward(
        &block,
        &parts,
        &weights,
        &mut delta,
        &mut gradient,
        sequences,
    );
    for at in (0..x.len()).step_by(17) {
        check(at, false, delta[at]);
    }
    for at in (0..parts.len).step_by(41) {
        check(at, true, gradient[at]);
    }
}
