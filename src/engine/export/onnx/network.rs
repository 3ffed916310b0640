//! A network as ONNX operators, in single precision.

use super::Unsupported;
use super::graph::{Graph, Type};
use crate::models::{Activation, Basis, Dense, Encoding, Network, NumberEmbedding};
use crate::recipe::OnnxInputs;
use std::f32::consts::TAU;

/// The members' sums `[members, rows, outputs]`.
pub(super) fn sums(
    graph: &mut Graph,
    network: &Network,
    inputs: &OnnxInputs,
) -> Result<String, Unsupported> {
    if !network.inputs.bags.is_empty() {
        return Err(no_bags());
    }
    let entered = first_inputs(graph, network, inputs);
    // `[members, rows, width]`.
    let mut now = match network.members {
        0 | 1 => {
            let axis = graph.ints(&[0], &[1]);
            graph.op("Unsqueeze", &[&entered, &axis])
        }
        members => {
            let factors = graph.floats(&network.factors, &[members, 1, network.width()]);
            graph.op("Mul", &[&entered, &factors])
        }
    };
    for layer in &network.layers {
        let weights = graph.floats(&layer.weights, &[layer.inputs, layer.outputs]);
        let bias = graph.floats(&layer.bias, &[layer.outputs]);
        let product = graph.op("MatMul", &[&now, &weights]);
        let sums = graph.op("Add", &[&product, &bias]);
        now = activate(graph, network.activation, &sums);
    }
    let joined = |of: fn(&Dense) -> &Vec<f32>| -> Vec<f32> {
        network.heads.iter().flat_map(|h| of(h).clone()).collect()
    };
    let (members, outputs) = (network.heads.len(), network.outputs());
    let units = network.heads.first().map_or(0, |h| h.inputs);
    let weights = graph.floats(&joined(|h| &h.weights), &[members, units, outputs]);
    let bias = graph.floats(&joined(|h| &h.bias), &[members, 1, outputs]);
    let product = graph.op("MatMul", &[&now, &weights]);
    Ok(graph.op("Add", &[&product, &bias]))
}

pub(super) fn no_bags() -> Unsupported {
    Unsupported::new(
        "A text is read word by word.",
        "Leave columns of free text out (option \"exclude\"), or export as safetensors.",
    )
}

/// What enters the first layer, as [`Network`] orders it.
fn first_inputs(graph: &mut Graph, network: &Network, inputs: &OnnxInputs) -> String {
    let mut all: Vec<String> = inputs.numbers.iter().cloned().collect();
    let mut embedded = Vec::new();
    let mut tables = network.embeddings.iter();
    for (category, codes) in network.inputs.categories.iter().zip(&inputs.codes) {
        match category.encoding {
            Encoding::OneHot => {
                let levels: Vec<i64> = (1..=category.levels as i64).collect();
                let levels = graph.ints(&levels, &[1, levels.len()]);
                let hot = graph.op("Equal", &[codes, &levels]);
                all.push(graph.cast(&hot, Type::Float));
            }
            Encoding::Embedding { dim } => {
                // Checked shapes have a table for each embedding.
                if let Some(table) = tables.next() {
                    embedded.push(graph.look_up(table, dim, codes));
                }
            }
        }
    }
    all.append(&mut embedded);
    for own in &network.number_embeddings {
        if let Some(numbers) = &inputs.numbers {
            let x = graph.columns(numbers, &[own.input]);
            all.push(number(graph, own, &x));
        }
    }
    graph.beside(&all)
}

/// The embedding of a number `[rows, 1]`.
pub(super) fn number(graph: &mut Graph, own: &NumberEmbedding, x: &str) -> String {
    let n = own.functions();
    let (functions, weights) = match &own.basis {
        Basis::PiecewiseLinear { knots } => {
            let low = &knots[..n];
            let lengths: Vec<f32> = knots.windows(2).map(|k| k[1] - k[0]).collect();
            let low = graph.floats(low, &[1, n]);
            let lengths = graph.floats(&lengths, &[1, n]);
            let above = graph.op("Sub", &[x, &low]);
            let share = graph.op("Div", &[&above, &lengths]);
            let (zero, one) = (graph.floats(&[0.0], &[]), graph.floats(&[1.0], &[]));
            (graph.op("Clip", &[&share, &zero, &one]), &own.weights[..])
        }
        Basis::Periodic { .. } => {
            let frequencies = graph.floats(&own.weights[..n], &[1, n]);
            let phases = graph.floats(&own.weights[n..2 * n], &[1, n]);
            let product = graph.op("Mul", &[x, &frequencies]);
            let turns = graph.op("Add", &[&product, &phases]);
            let tau = graph.floats(&[TAU], &[1, 1]);
            let angle = graph.op("Mul", &[&turns, &tau]);
            (graph.op("Cos", &[&angle]), &own.weights[2 * n..])
        }
    };
    let weights = graph.floats(weights, &[n, own.dim]);
    graph.op("MatMul", &[&functions, &weights])
}

fn activate(graph: &mut Graph, activation: Activation, sums: &str) -> String {
    match activation {
        Activation::Relu => graph.op("Relu", &[sums]),
        Activation::Sigmoid => graph.op("Sigmoid", &[sums]),
        Activation::Tanh => graph.op("Tanh", &[sums]),
        Activation::Silu => {
            let gate = graph.op("Sigmoid", &[sums]);
            graph.op("Mul", &[sums, &gate])
        }
    }
}
