use super::super::testing::{Random, embedding, ensemble, network, one_hot, reference, row};
use super::*;
use crate::models::{Inputs, Output};

const ACTIVATIONS: [Activation; 4] = [
    Activation::Sigmoid,
    Activation::Relu,
    Activation::Tanh,
    Activation::Silu,
];

fn only<'a>(numbers: &'a [f32], codes: &'a [u32]) -> Row<'a> {
    Row {
        numbers,
        codes,
        tokens: &[],
        token_ends: &[],
        tokens_before: 0,
    }
}

fn levels() -> Vec<Level> {
    let mut levels = vec![Level::Plain];
    #[cfg(target_arch = "x86_64")]
    {
        if Level::detect() != Level::Plain {
            levels.push(Level::Avx2);
        }
    }
    levels
}

#[test]
fn equals_the_definition_for_many_shapes() {
    let mut random = Random(7);
    for round in 0..60 {
        let categories = (0..random.below(5))
            .map(|i| match (round + i) % 2 {
                0 => one_hot(random.below(9)),
                _ => embedding(random.below(40), 1 + random.below(12)),
            })
            .collect();
        let inputs = Inputs {
            numbers: random.below(40),
            categories,
            ..Inputs::default()
        };
        let hidden: Vec<usize> = (0..random.below(4))
            .map(|_| 1 + random.below(150))
            .collect();
        let outputs = 1 + random.below(12);
        let activation = ACTIVATIONS[round % 4];
        let members = match hidden.len() {
            0 => 1,
            _ => 1 + random.below(4),
        };
        let n = ensemble(
            inputs.clone(),
            &hidden,
            outputs,
            activation,
            Output::Softmax,
            (members, random.below(2) * 5),
            &mut random,
        );
        // With and without room for folded tables.
        for budget in [0, FOLDED_BYTES] {
            for level in levels() {
                let forward = Forward::with_budget(&n, level, budget);
                let mut buffers = Buffers::default();
                for _ in 0..20 {
                    let (numbers, codes) = row(&inputs, &mut random);
                    let want = reference(&n, &numbers, &codes);
                    let got = forward.run(only(&numbers, &codes), &mut buffers);
                    assert_eq!(got.len(), members * outputs);
                    for (g, w) in got.iter().zip(&want) {
                        assert!(
                            (f64::from(*g) - w).abs() <= 5e-6 * w.abs().max(1.0),
                            "{level:?} {hidden:?} {activation:?}: {got:?} but {want:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn extreme_inputs_give_finite_outputs() {
    let mut random = Random(3);
    let inputs = Inputs {
        numbers: 6,
        categories: vec![one_hot(3), embedding(5, 4)],
        ..Inputs::default()
    };
    for activation in ACTIVATIONS {
        let n = network(
            inputs.clone(),
            &[32, 9],
            3,
            activation,
            Output::Softmax,
            &mut random,
        );
        for level in levels() {
            let forward = Forward::new(&n, level);
            let mut buffers = Buffers::default();
            for extreme in [f32::MAX, f32::INFINITY, f32::NAN, f32::MIN_POSITIVE, 1e-45] {
                let numbers = [extreme, -extreme, extreme, 0.0, -extreme, 1.0];
                // Codes that no category has count as unseen.
                for codes in [[0, 0], [4, 6], [u32::MAX, u32::MAX]] {
                    let got = forward.run(only(&numbers, &codes), &mut buffers).to_vec();
                    assert!(got.iter().all(|v| v.is_finite()), "{activation:?} {got:?}");
                    assert_eq!(got, forward.run(only(&numbers, &[0, 0]), &mut buffers));
                }
            }
        }
    }
}
