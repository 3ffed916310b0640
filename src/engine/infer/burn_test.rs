//! Our forward pass against Burn's own layers and activations, on the backend that trains on the CPU.

use super::super::testing::{Random, embedding, network, one_hot, row};
use super::*;
use crate::models::{Inputs, Output};
use burn::{
    backend::Flex,
    module::Param,
    nn::{Embedding, EmbeddingConfig, Linear, LinearConfig},
    tensor::{Int, Tensor, TensorData, activation},
};

fn matrix(values: &[f32], rows: usize) -> Tensor<Flex, 2> {
    let shape = [rows, values.len() / rows];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Default::default())
}

/// All rows at once, as training does it.
fn burn(n: &Network, rows: &[(Vec<f32>, Vec<u32>)]) -> Vec<f32> {
    let device = Default::default();
    let column = |read: &dyn Fn(&(Vec<f32>, Vec<u32>)) -> f32| -> Tensor<Flex, 2> {
        let values: Vec<f32> = rows.iter().map(read).collect();
        matrix(&values, rows.len())
    };
    let mut parts: Vec<Tensor<Flex, 2>> =
        (0..n.inputs.numbers).map(|i| column(&|r| r.0[i])).collect();
    let mut embedded = Vec::new();
    let mut tables = n.embeddings.iter();
    for (c, category) in n.inputs.categories.iter().enumerate() {
        match category.encoding {
            Encoding::OneHot => parts.extend(
                (1..=category.levels).map(|l| column(&|r| f32::from(r.1[c] as usize == l))),
            ),
            Encoding::Embedding { dim } => {
                let mut layer: Embedding<Flex> =
                    EmbeddingConfig::new(category.levels + 1, dim).init(&device);
                let table = tables.next().unwrap();
                layer.weight = Param::from_tensor(matrix(table, category.levels + 1));
                let codes: Vec<i64> = rows.iter().map(|r| i64::from(r.1[c])).collect();
                let data = TensorData::new(codes, [rows.len(), 1]);
                let codes: Tensor<Flex, 2, Int> = Tensor::from_data(data, &device);
                embedded.push(layer.forward(codes).reshape([rows.len(), dim]));
            }
        }
    }
    parts.extend(embedded);
    let mut x = Tensor::cat(parts, 1);
    for (i, layer) in n.layers.iter().enumerate() {
        if i > 0 {
            x = match n.activation {
                Activation::Sigmoid => activation::sigmoid(x),
                Activation::Relu => activation::relu(x),
                Activation::Tanh => activation::tanh(x),
                Activation::Silu => activation::silu(x),
            };
        }
        let mut linear: Linear<Flex> = LinearConfig::new(layer.inputs, layer.outputs).init(&device);
        linear.weight = Param::from_tensor(matrix(&layer.weights, layer.inputs));
        let bias = TensorData::new(layer.bias.clone(), [layer.outputs]);
        linear.bias = Some(Param::from_tensor(Tensor::from_data(bias, &device)));
        x = linear.forward(x);
    }
    x.into_data().to_vec().unwrap()
}

#[test]
fn equals_burn_within_a_hundred_thousandth() {
    let mut random = Random(21);
    let activations = [
        Activation::Sigmoid,
        Activation::Relu,
        Activation::Tanh,
        Activation::Silu,
    ];
    for activation in activations {
        for hidden in [&[64, 32][..], &[9], &[128, 128, 128]] {
            let inputs = Inputs {
                numbers: 20,
                categories: vec![one_hot(4), embedding(50, 8), one_hot(2), embedding(7, 3)],
            };
            let n = network(
                inputs.clone(),
                hidden,
                3,
                activation,
                Output::Softmax,
                &mut random,
            );
            let rows: Vec<_> = (0..200).map(|_| row(&inputs, &mut random)).collect();
            let theirs = burn(&n, &rows);
            let forward = Forward::new(&n, Level::detect());
            let mut buffers = forward.buffers();
            for ((numbers, codes), theirs) in rows.iter().zip(theirs.chunks_exact(3)) {
                let ours = forward.run(numbers, codes, &mut buffers);
                for (a, b) in ours.iter().zip(theirs) {
                    assert!(
                        (a - b).abs() <= 1e-5,
                        "{activation:?} {hidden:?}: {a} but {b}"
                    );
                }
            }
        }
    }
}
