//! The sum of a step against gradients shortened by hand, and its noise.

use super::*;
use crate::random::Random;
use crate::sequence::network::{Output, Table};
use crate::sequence::params::{Cell, Params};

fn histories() -> Histories {
    let codes: Vec<u32> = (0..26).map(|i| (i * i + i / 5) % 5).collect();
    Histories {
        offsets: vec![0, 7, 14, 15, 20, 26],
        dense: (0..26).map(|i| (i as f32 * 0.7).sin()).collect(),
        width: 1,
        statics: vec![0.3, -0.4, 0.9, 0.0, 0.2],
        statics_width: 1,
        classes: codes.clone(),
        codes: vec![codes],
        values: (0..26).map(|i| 3.0 * (i as f32).cos()).collect(),
        ..Histories::default()
    }
}

/// The third key has nothing to learn.
fn keys() -> Vec<Stretch> {
    let lens = [6, 6, 0, 4, 5];
    let each = lens.into_iter().zip(0..);
    each.map(|(len, key)| Stretch {
        key,
        len,
        asked_from: 0,
    })
    .collect()
}

fn network(cell: Cell, output: Output) -> Network {
    let attends = cell == Cell::Transformer;
    let mut network = Network {
        cell,
        tables: vec![Table { codes: 5, dim: 3 }],
        numbers: 2,
        hidden: if attends { vec![8, 8] } else { vec![4, 3] },
        heads: if attends { 2 } else { 0 },
        context: if attends { 4 } else { 0 },
        output,
        weights: vec![],
    };
    let mut random = Random::new(11);
    let len = network.layout().expect("small").len;
    network.weights = (0..len).map(|_| 0.5 * random.normal() as f32).collect();
    network
}

fn params(cell: Cell) -> ValidParams {
    let params = Params {
        cell: Some(cell),
        window: Some(if cell == Cell::Transformer { 4 } else { 64 }),
        hidden: Some(vec![8]),
        ..Params::default()
    };
    params.check(true, 5.0, 4).expect("sound")
}

fn with_trainer<R>(
    network: Network,
    params: &ValidParams,
    cover: Cover,
    work: impl FnOnce(&mut Trainer<'_>) -> R,
) -> R {
    let (histories, keys) = (histories(), keys());
    let task = Task {
        histories: &histories,
        of_key: false,
        keys: &keys,
        params,
        cover,
    };
    let mut trainer = Trainer::new(&task, network, 10.0).expect("small");
    work(&mut trainer)
}

fn cover(clip: f64) -> Cover {
    Cover {
        clip,
        noise: 0.0,
        expected: 1.0,
    }
}

fn norm(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|v| f64::from(*v).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[test]
fn a_step_adds_up_gradients_that_were_shortened_key_by_key() {
    let outputs = [
        Output::Softmax {
            classes: 4,
            tied: true,
        },
        Output::Softmax {
            classes: 4,
            tied: false,
        },
        Output::Value,
    ];
    for cell in [Cell::Lstm, Cell::Gru, Cell::Transformer] {
        let params = params(cell);
        for output in outputs {
            let network = network(cell, output);
            let alone = |key: Stretch, clip: f64| {
                with_trainer(network.clone(), &params, cover(clip), |trainer| {
                    trainer.sum(&[key]);
                    trainer.workers[0].sum.clone()
                })
            };
            let whole: Vec<Vec<f32>> = keys().into_iter().map(|key| alone(key, 1e9)).collect();
            assert!(norm(&whole[2]) == 0.0 && norm(&whole[0]) > 0.0);
            let clip = 0.7 * norm(&whole[0]);
            let mut by_hand = vec![0f64; whole[0].len()];
            for own in &whole {
                let factor = (clip / norm(own)).min(1.0);
                let both = by_hand.iter_mut().zip(own).filter(|(_, g)| **g != 0.0);
                both.for_each(|(sum, g)| *sum += factor * f64::from(*g));
            }
            assert!(norm(&alone(keys()[0], clip)) <= clip);
            let sum = with_trainer(network.clone(), &params, cover(clip), |trainer| {
                trainer.workers.resize_with(3, Worker::default);
                trainer.sum(&keys());
                trainer.workers[0].sum.clone()
            });
            for (at, (own, hand)) in sum.iter().zip(&by_hand).enumerate() {
                let apart = (f64::from(*own) - hand).abs();
                assert!(
                    apart < 1e-4 * (1.0 + hand.abs()),
                    "{cell:?} {output:?} weight {at}: {own} against {hand}"
                );
            }
        }
    }
}

#[test]
fn a_key_alone_learns_as_it_does_in_a_batch() {
    let (histories, network) = (histories(), network(Cell::Lstm, Output::Value));
    let (params, layout) = (params(Cell::Lstm), network.layout().expect("small"));
    let shared = Shared {
        network: &network,
        layout: &layout,
        weights: &network.weights,
        histories: &histories,
        of_key: false,
        dropout: 0.0,
        sampler: None,
        stride: 64,
    };
    let mut lane = Lane::default();
    // Both have six answers.
    lane.start(&shared, keys().into_iter().take(2), None);
    lane.lay_out(&shared, 0, |step, key| shared.is_known(step, key));
    lane.forward(&shared);
    lane.backward(&shared, 1.0 / 6.0);
    let sum = with_trainer(network.clone(), &params, cover(1e9), |trainer| {
        trainer.sum(&keys()[..2]);
        trainer.workers[0].sum.clone()
    });
    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * (1.0 + a.abs());
    assert!(sum.iter().zip(&lane.gradient).all(close));
}

#[test]
fn every_weight_gets_noise_of_the_scale_that_was_planned() {
    let network = network(Cell::Lstm, Output::Value);
    let cover = Cover {
        clip: 0.5,
        noise: 3.0,
        expected: 12.0,
    };
    let params = params(Cell::Lstm);
    let mut noise = Noise::from_seed(8);
    let mut all: Vec<f64> = Vec::new();
    for sample in [&[][..], &keys()] {
        for _ in 0..60 {
            let own = with_trainer(network.clone(), &params, cover, |trainer| {
                trainer.sum(sample);
                let before = trainer.workers[0].sum.clone();
                trainer.cover(&mut noise);
                let after = &trainer.workers[0].sum;
                let both = after.iter().zip(&before);
                let apart = both.map(|(a, b)| f64::from(*a) - f64::from(*b) / 12.0);
                apart.collect::<Vec<f64>>()
            });
            all.extend(own);
        }
    }
    let count = all.len() as f64;
    let mean = all.iter().sum::<f64>() / count;
    let deviation = (all.iter().map(|x| x * x).sum::<f64>() / count).sqrt();
    assert!(mean.abs() < 0.01, "{mean}");
    assert!((deviation - 0.25).abs() < 0.005, "{deviation}");
}

#[test]
fn a_gradient_too_large_to_hold_teaches_nothing() {
    let mut network = network(Cell::Lstm, Output::Value);
    network.weights.fill(f32::MAX);
    let params = params(Cell::Lstm);
    with_trainer(network, &params, cover(1.0), |trainer| {
        trainer.sum(&keys());
        assert!(trainer.workers[0].sum.iter().all(|g| *g == 0.0));
    });
}
