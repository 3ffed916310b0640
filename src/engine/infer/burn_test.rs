//! Our forward pass against the network in Burn, as a GPU trains it.

use super::super::testing::{Random, embedding, ensemble, one_hot, row};
use super::*;
use crate::models::{
    BagInput, Inputs, Output,
    network::{Net, Trainable},
};
use crate::recipe::Matrix;
use crate::train::gather;
use burn::backend::Flex;

#[test]
fn equals_burn_within_a_few_hundred_thousandths() {
    let mut random = Random(21);
    let activations = [
        Activation::Sigmoid,
        Activation::Relu,
        Activation::Tanh,
        Activation::Silu,
    ];
    for activation in activations {
        for (hidden, members, number_dim) in [
            (&[64, 32][..], 1, 0),
            (&[9], 3, 0),
            (&[128, 128, 128], 4, 5),
        ] {
            let inputs = Inputs {
                numbers: 20,
                categories: vec![one_hot(4), embedding(50, 8), one_hot(2), embedding(7, 3)],
                bags: vec![
                    BagInput {
                        vocabulary: 30,
                        dim: 6,
                    };
                    2
                ],
            };
            let shape = (members, number_dim);
            let n = ensemble(
                inputs.clone(),
                hidden,
                3,
                activation,
                Output::Softmax,
                shape,
                &mut random,
            );
            let mut matrix = Matrix {
                rows: 200,
                inputs: inputs.clone(),
                ..Matrix::default()
            };
            for _ in 0..matrix.rows {
                let (numbers, codes) = row(&inputs, &mut random);
                matrix.numbers.extend(numbers);
                matrix.codes.extend(codes);
                for _ in &inputs.bags {
                    let tokens = random.below(5);
                    matrix
                        .tokens
                        .extend((0..tokens).map(|_| random.below(30) as u32));
                    matrix.token_ends.push(matrix.tokens.len());
                }
            }
            let device = Default::default();
            let theirs =
                Net::<Flex>::new(&n, &device).forward(&gather(&matrix, &inputs, &device), None);
            let theirs: Vec<f32> = theirs.into_data().to_vec().unwrap();
            let theirs: Vec<&[f32]> = theirs.chunks(matrix.rows * 3).collect();
            let forward = Forward::new(&n, Level::detect());
            let mut buffers = Buffers::default();
            for i in 0..matrix.rows {
                let before = (i * 2).checked_sub(1).map_or(0, |b| matrix.token_ends[b]);
                let row = Row {
                    numbers: &matrix.numbers[i * 20..(i + 1) * 20],
                    codes: &matrix.codes[i * 4..(i + 1) * 4],
                    tokens: &matrix.tokens[before..],
                    token_ends: &matrix.token_ends[i * 2..(i + 1) * 2],
                    tokens_before: before,
                };
                let ours = forward.run(row, &mut buffers);
                for (m, theirs) in theirs.iter().enumerate() {
                    for (a, b) in ours[m * 3..].iter().zip(&theirs[i * 3..(i + 1) * 3]) {
                        assert!(
                            (a - b).abs() <= 3e-5 * b.abs().max(1.0),
                            "{activation:?} {hidden:?}: {a} but {b}"
                        );
                    }
                }
            }
        }
    }
}
