//! Rows gathered on a device are those that are sent.

use super::*;
use crate::infer::testing::{Random as Draw, embedding, one_hot, row};
use crate::models::{BagInput, CategoryInput, Output};
use crate::params::{Params, ValidParams};
use burn::backend::Flex;

fn params() -> ValidParams {
    let params = Params::default();
    params
        .check(crate::artifact::Task::Regression, 1000)
        .unwrap()
}

fn matrix(inputs: &Inputs, random: &mut Draw) -> Matrix {
    let mut matrix = Matrix {
        rows: 90,
        inputs: inputs.clone(),
        ..Matrix::default()
    };
    for _ in 0..matrix.rows {
        let (numbers, codes) = row(inputs, random);
        matrix.numbers.extend(numbers);
        matrix.codes.extend(codes);
        for _ in &inputs.bags {
            let own = (0..random.below(6)).map(|_| random.below(12) as u32);
            matrix.tokens.extend(own);
            matrix.token_ends.push(matrix.tokens.len());
        }
    }
    matrix
}

fn numbers<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn what_is_gathered_is_what_is_sent() {
    let mut random = Draw(3);
    let bag = BagInput {
        vocabulary: 12,
        dim: 2,
    };
    let kinds: [(usize, Vec<CategoryInput>, usize); 5] = [
        (3, vec![one_hot(4), embedding(9, 2), one_hot(2)], 2),
        (0, vec![one_hot(300)], 0),
        (2, vec![embedding(70_000, 2), embedding(5, 3)], 1),
        (4, vec![], 0),
        (0, vec![], 1),
    ];
    let params = params();
    for (count, categories, bags) in kinds {
        let inputs = Inputs {
            numbers: count,
            categories,
            bags: vec![bag; bags],
        };
        let matrix = matrix(&inputs, &mut random);
        let targets: Vec<f32> = (0..180)
            .map(|i| if i % 7 == 3 { f32::NAN } else { random.unit() })
            .collect();
        let weights: Vec<f32> = (0..90).map(|_| random.unit().abs()).collect();
        let examples = Examples {
            matrix: &matrix,
            targets: &targets,
            weights: &weights,
        };
        let objective = Objective::new(&params, Output::Identity, 2);
        let source = |mut room: u64| {
            let source =
                Source::<Flex>::new(examples, &inputs, objective, &Default::default(), &mut room);
            (source, room)
        };
        let ((here, left), (sent, kept)) = (source(1 << 20), source(100));
        assert!(left < 1 << 20 && kept == 100);
        let rows: Vec<u32> = (0..31).map(|i| (i * 53 + 7) % 90).collect();
        let ((a, of_a), (b, of_b)) = (here.batch(&rows), sent.batch(&rows));
        let dense = numbers(a.dense);
        assert_eq!(dense, numbers(b.dense));
        for (i, own) in rows.iter().enumerate() {
            let width = dense.len() / rows.len();
            let from = &matrix.numbers[*own as usize * count..(*own as usize + 1) * count];
            assert_eq!(&dense[i * width..i * width + count], from);
        }
        let codes = |batch: Option<Tensor<Flex, 2, Int>>| {
            batch.map(|codes| codes.into_data().iter::<i32>().collect::<Vec<i32>>())
        };
        let own = codes(a.codes);
        assert_eq!(own, codes(b.codes));
        assert_eq!(own.is_some(), inputs.embedded().count() > 0);
        for (bag, ((_, a), (_, b))) in a.bags.into_iter().zip(b.bags).enumerate() {
            let (shape, shares) = (a.dims(), numbers(a));
            assert_eq!(shares, numbers(b));
            for (own, shares) in rows.iter().zip(shares.chunks(shape[1])) {
                let len = matrix.bag(*own as usize, bag).len();
                let sum: f32 = shares.iter().sum();
                assert!((sum - f32::from(u8::from(len > 0))).abs() < 1e-6);
            }
        }
        let sums: Vec<f32> = (0..62).map(|_| random.unit()).collect();
        let sums =
            Tensor::<Flex, 3>::from_data(TensorData::new(sums, [1, 31, 2]), &Default::default());
        let a = numbers(of_a.mean_loss_sum(sums.clone(), &objective));
        let b = numbers(of_b.mean_loss_sum(sums.repeat_dim(0, 3), &objective));
        assert!(
            (a[0] - b[0]).abs() < 1e-4 * a[0] && a[0] > 0.0,
            "{a:?} {b:?}"
        );
    }
}
