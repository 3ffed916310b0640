//! The gradient of a whole network against differences of its loss.

use super::*;
use crate::sequence::network::Table;
use crate::sequence::params::Cell;

fn histories() -> Histories {
    let codes = vec![1, 3, 2, 0, 4, 2, 2, 1, 3];
    Histories {
        offsets: vec![0, 5, 9],
        dense: (0..9).map(|i| (i as f32 * 0.7).sin()).collect(),
        width: 1,
        statics: vec![0.3, -0.4],
        statics_width: 1,
        classes: codes.clone(),
        codes: vec![codes, vec![1, 2, 1, 2, 1, 1, 0, 2, 1]],
        values: (0..9).map(|i| (i as f32).cos()).collect(),
        ..Histories::default()
    }
}

fn stretches() -> [Stretch; 2] {
    [(0, 4), (1, 3)].map(|(key, len)| Stretch {
        key,
        len,
        asked_from: 0,
    })
}

fn loss(shared: &Shared<'_>, lane: &mut Lane, from: u64) -> f64 {
    // The same seed drops the same units.
    lane.start(shared, stretches().into_iter(), Some(Random::new(from)));
    lane.lay_out(shared, 0, |step, key| shared.is_known(step, key));
    lane.forward(shared);
    lane.gradient.clear();
    lane.backward(shared, 1.0);
    lane.loss
}

#[test]
fn gradients_are_those_of_differences() {
    let histories = histories();
    for cell in [Cell::Lstm, Cell::Gru, Cell::Transformer] {
        for output in [
            Output::Softmax {
                classes: 4,
                tied: true,
            },
            Output::Softmax {
                classes: 4,
                tied: false,
            },
            Output::Value,
        ] {
            let mut network = Network {
                cell,
                tables: vec![Table { codes: 5, dim: 3 }, Table { codes: 3, dim: 2 }],
                numbers: 2,
                hidden: if cell == Cell::Transformer {
                    vec![8, 8]
                } else {
                    vec![4, 3]
                },
                heads: if cell == Cell::Transformer { 2 } else { 0 },
                context: if cell == Cell::Transformer { 6 } else { 0 },
                output,
                weights: vec![],
            };
            let layout = network.layout().unwrap();
            let mut random = Random::new(17);
            network.weights = (0..layout.len)
                .map(|_| 0.5 * random.normal() as f32)
                .collect();
            let sampled = matches!(output, Output::Softmax { .. });
            for sampling in [false, true].into_iter().take(1 + usize::from(sampled)) {
                let mut sampler = Sampler::new(&[5, 1, 1, 1], 2);
                let of = |weights: &[f32], sampler: &mut Sampler, lane: &mut Lane| {
                    if sampling {
                        let dim = network.class_dim();
                        sampler.draw(&mut Random::new(4), weights, &layout, dim);
                    }
                    let shared = Shared {
                        network: &network,
                        layout: &layout,
                        weights,
                        histories: &histories,
                        of_key: false,
                        dropout: 0.3,
                        sampler: sampling.then_some(&*sampler),
                        stride: 64,
                    };
                    loss(&shared, lane, 3)
                };
                let mut lane = Lane::default();
                let here = of(&network.weights, &mut sampler, &mut lane);
                let gradient = lane.gradient.clone();
                for at in 0..layout.len {
                    let h = 5e-3;
                    let mut slope = |step: f32| {
                        let mut weights = network.weights.clone();
                        weights[at] += step;
                        let there = of(&weights, &mut sampler, &mut lane);
                        ((there - here) / f64::from(step)) as f32
                    };
                    let (above, below) = (slope(h), slope(-h));
                    let middle = (above + below) / 2.0;
                    // A transformer's gates have corners, where the two sides differ.
                    let corner = match cell {
                        Cell::Transformer => (above - below).abs() / 2.0,
                        _ => 0.0,
                    };
                    let bound = 2e-3 + 5e-3 * middle.abs() + corner;
                    let own = gradient[at];
                    assert!(
                        (own - middle).abs() < bound,
                        "{cell:?} {output:?} {sampling} weight {at}: {own} against {middle}"
                    );
                }
            }
        }
    }
}
