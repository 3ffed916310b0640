//! A transformer as ONNX operators, in single precision.

use super::graph::{Attribute, Graph};
use super::{Unsupported, network};
use crate::models::{Block, BlockParts, Linear, Transformer};
use crate::recipe::OnnxInputs;
use std::ops::Range;

/// Added to the variance in a norm.
const EPSILON: f32 = 1e-5;

/// The sums `[rows, outputs]`.
pub(super) fn sums(
    graph: &mut Graph,
    own: &Transformer,
    inputs: &OnnxInputs,
) -> Result<String, Unsupported> {
    if !own.inputs.bags.is_empty() {
        return Err(network::no_bags());
    }
    let parts = own.parts();
    let mut x = tokens(graph, own, inputs);
    for (i, (block, of, at)) in parts.blocks.iter().enumerate() {
        let weights = &own.weights[*at..at + of.len];
        // Of the last block only the token that stands for the row goes on.
        let last = i + 1 == parts.blocks.len();
        x = through(graph, &x, (block, of), weights, last);
    }
    let first = token_of_row(graph, &x);
    let normed = norm(graph, &first, &own.weights, &parts.norm);
    let normed = graph.op("Relu", &[&normed]);
    let sums = linear(graph, &normed, &own.weights, &parts.head, 0..own.outputs);
    let shape = graph.ints(&[-1, own.outputs as i64], &[2]);
    Ok(graph.op("Reshape", &[&sums, &shape]))
}

/// What the blocks take: `[rows, tokens, width]`.
fn tokens(graph: &mut Graph, own: &Transformer, inputs: &OnnxInputs) -> String {
    let (width, parts) = (own.width, own.parts());
    let mut each: Vec<Option<String>> = vec![None; own.tokens.count];
    let mut add = |graph: &mut Graph, token: usize, value: String| {
        each[token] = Some(match each[token].take() {
            None => value,
            Some(sum) => graph.op("Add", &[&sum, &value]),
        });
    };
    let factors = own.weights[parts.numbers.clone()].chunks_exact(width);
    if let Some(numbers) = &inputs.numbers {
        for (at, (token, factors)) in own.tokens.numbers.iter().zip(factors).enumerate() {
            let number = graph.columns(numbers, &[at]);
            let factors = graph.floats(factors, &[1, width]);
            let value = graph.op("Mul", &[&number, &factors]);
            add(graph, *token, value);
        }
        for embedding in &own.number_embeddings {
            let number = graph.columns(numbers, &[embedding.input]);
            let value = network::number(graph, embedding, &number);
            add(graph, own.tokens.numbers[embedding.input], value);
        }
    }
    let tables = own.embeddings.iter().zip(&inputs.codes);
    for (token, (table, codes)) in own.tokens.categories.iter().zip(tables) {
        let value = graph.look_up(table, width, codes);
        add(graph, *token, value);
    }
    // As many rows of nothing as there are rows.
    let some = each.iter().flatten().next().cloned().unwrap_or_default();
    let zero = graph.floats(&[0.0], &[1, 1]);
    let none = graph.op("Mul", &[&some, &zero]);
    let starts = own.weights[parts.tokens.clone()].chunks_exact(width);
    let all: Vec<String> = each
        .iter()
        .zip(starts)
        .map(|(value, start)| {
            let start = graph.floats(start, &[1, width]);
            graph.op("Add", &[value.as_ref().unwrap_or(&none), &start])
        })
        .collect();
    let all = graph.beside(&all);
    let shape = [-1, own.tokens.count as i64, width as i64];
    let shape = graph.ints(&shape, &[3]);
    graph.op("Reshape", &[&all, &shape])
}

/// A block of attention and what follows it.
fn through(
    graph: &mut Graph,
    x: &str,
    (block, of): (&Block, &BlockParts),
    weights: &[f32],
    last: bool,
) -> String {
    let (width, heads) = (block.width, block.heads);
    let normed = match of.norm.is_empty() {
        true => x.to_owned(),
        false => norm(graph, x, weights, &of.norm),
    };
    let (x, asking) = match last {
        true => (token_of_row(graph, x), token_of_row(graph, &normed)),
        false => (x.to_owned(), normed.clone()),
    };
    let query = linear(graph, &asking, weights, &of.query, 0..width);
    let scale = 1.0 / ((width / heads) as f32).sqrt();
    let scale = graph.floats(&[scale], &[]);
    let query = graph.op("Mul", &[&query, &scale]);
    let keys = linear(graph, &normed, weights, &of.key_value, 0..width);
    let values = linear(graph, &normed, weights, &of.key_value, width..2 * width);
    let wide = width / heads;
    let mut by_head = |value: &str, order: [i64; 4]| {
        let shape = graph.ints(&[0, 0, heads as i64, wide as i64], &[4]);
        let apart = graph.op("Reshape", &[value, &shape]);
        let order = vec![("perm", Attribute::Ints(order.to_vec()))];
        graph.op_with("Transpose", &[&apart], order)
    };
    let query = by_head(&query, [0, 2, 1, 3]);
    let keys = by_head(&keys, [0, 2, 3, 1]);
    let values = by_head(&values, [0, 2, 1, 3]);
    let scores = graph.op("MatMul", &[&query, &keys]);
    let shares = graph.op_with("Softmax", &[&scores], vec![("axis", Attribute::Int(-1))]);
    let mixed = graph.op("MatMul", &[&shares, &values]);
    let order = vec![("perm", Attribute::Ints(vec![0, 2, 1, 3]))];
    let mixed = graph.op_with("Transpose", &[&mixed], order);
    let shape = graph.ints(&[0, 0, width as i64], &[3]);
    let mixed = graph.op("Reshape", &[&mixed, &shape]);
    let added = linear(graph, &mixed, weights, &of.out, 0..width);
    let x = graph.op("Add", &[&x, &added]);
    let normed = norm(graph, &x, weights, &of.hidden_norm);
    let hidden = block.hidden;
    let let_through = linear(graph, &normed, weights, &of.gate, 0..hidden);
    let gates = linear(graph, &normed, weights, &of.gate, hidden..2 * hidden);
    let gates = graph.op("Relu", &[&gates]);
    let gated = graph.op("Mul", &[&let_through, &gates]);
    let added = linear(graph, &gated, weights, &of.down, 0..width);
    graph.op("Add", &[&x, &added])
}

/// Token 0 of `[rows, tokens, width]`: `[rows, 1, width]`.
fn token_of_row(graph: &mut Graph, x: &str) -> String {
    graph.columns(x, &[0])
}

fn norm(graph: &mut Graph, x: &str, weights: &[f32], at: &Range<usize>) -> String {
    let (gain, shift) = weights[at.clone()].split_at(at.len() / 2);
    let gain = graph.floats(gain, &[gain.len()]);
    let shift = graph.floats(shift, &[shift.len()]);
    let attributes = vec![
        ("axis", Attribute::Int(-1)),
        ("epsilon", Attribute::Float(EPSILON)),
    ];
    graph.op_with("LayerNormalization", &[x, &gain, &shift], attributes)
}

/// Some of the outputs of a layer.
fn linear(
    graph: &mut Graph,
    x: &str,
    weights: &[f32],
    of: &Linear,
    outputs: Range<usize>,
) -> String {
    let all = of.bias.len();
    let rows = weights[of.weights.clone()].chunks_exact(all.max(1));
    let own: Vec<f32> = rows.flat_map(|row| row[outputs.clone()].to_vec()).collect();
    let inputs = own.len() / outputs.len().max(1);
    let own = graph.floats(&own, &[inputs, outputs.len()]);
    let bias = &weights[of.bias.clone()][outputs.clone()];
    let bias = graph.floats(bias, &[outputs.len()]);
    let product = graph.op("MatMul", &[x, &own]);
    graph.op("Add", &[&product, &bias])
}
