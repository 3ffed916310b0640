//! Our forward pass against the transformer in Burn, as a GPU trains it.

use super::super::testing::{Random, embedding, one_hot, row, transformer};
use super::*;
use crate::models::network::Trainable;
use crate::models::transformer_net::TransformerNet;
use crate::models::{BagInput, Inputs};
use crate::recipe::Matrix;
use crate::train::gather;
use burn::backend::Flex;

#[test]
fn equals_burn_within_a_few_hundred_thousandths() {
    let mut random = Random(27);
    for (width, heads, blocks) in [(8, 1, 1), (32, 4, 2), (64, 8, 3), (40, 2, 2)] {
        let inputs = Inputs {
            numbers: 7,
            categories: vec![one_hot(4), embedding(50, 8), one_hot(2)],
            bags: vec![
                BagInput {
                    vocabulary: 30,
                    dim: 6,
                };
                2
            ],
        };
        let model = transformer(&inputs, (width, heads, blocks), 3, &mut random);
        let mut matrix = Matrix {
            rows: 100,
            inputs: inputs.clone(),
            ..Matrix::default()
        };
        for _ in 0..matrix.rows {
            let (numbers, codes) = row(&inputs, &mut random);
            matrix.numbers.extend(numbers);
            matrix.codes.extend(codes);
            for _ in &inputs.bags {
                let words = random.below(5);
                matrix
                    .tokens
                    .extend((0..words).map(|_| random.below(30) as u32));
                matrix.token_ends.push(matrix.tokens.len());
            }
        }
        let device = Default::default();
        let batch = gather(&matrix, &model.inputs, &device);
        let theirs = TransformerNet::<Flex>::new(&model, &device).forward(&batch, None);
        let theirs: Vec<f32> = theirs.into_data().to_vec().unwrap();
        for level in [Level::Plain, Level::detect()] {
            let ours = Attending::new(&model, level);
            let mut buffers = Buffers::default();
            for i in 0..matrix.rows {
                let sums = ours.run(Row::of(&matrix, i), &mut buffers);
                for (a, b) in sums.iter().zip(&theirs[i * 3..]) {
                    assert!(
                        (a - b).abs() <= 5e-5 * b.abs().max(1.0),
                        "{width} {heads} {blocks}: {a} but {b}"
                    );
                }
            }
        }
    }
}

/// What a hostile row brings is bounded: no panic, no NaN.
#[test]
fn odd_rows_have_finite_answers() {
    let mut random = Random(5);
    let inputs = Inputs {
        numbers: 3,
        categories: vec![one_hot(4)],
        bags: vec![BagInput {
            vocabulary: 5,
            dim: 2,
        }],
    };
    let model = transformer(&inputs, (16, 2, 2), 1, &mut random);
    let ours = Attending::new(&model, Level::detect());
    let mut buffers = Buffers::default();
    for numbers in [[f32::NAN; 3], [f32::INFINITY; 3], [-f32::MAX, 0.0, 1e30]] {
        let row = Row {
            numbers: &numbers,
            codes: &[u32::MAX],
            tokens: &[u32::MAX, 9, 4],
            token_ends: &[3],
            tokens_before: 0,
        };
        assert!(ours.run(row, &mut buffers)[0].is_finite(), "{numbers:?}");
    }
}
