//! Where training starts: which numbers get an embedding, and the first weights.

use super::{Examples, Task};
use crate::models::{
    Architecture, Encoding, Inputs, Model, Network, Output, Tokens, Transformer, TransformerShape,
};
use crate::params::{Attention, NumberEncoding};

/// Numbers that differ in fewer bins than this enter as they are.
const FEWEST_BINS: usize = 2;

pub(super) fn network(task: &Task<'_>) -> Network {
    let params = task.params;
    let matrix = task.train.matrix;
    if let Some(Model::Network(start)) = params.start.as_deref() {
        return start.clone();
    }
    let architecture = Architecture {
        hidden: params.hidden.clone(),
        activation: params.activation,
        output: task.output,
        outputs: task.outputs,
        members: params.members,
        number_dim: params.number_dim,
        embedded: embedded(task),
    };
    let mut network = Network::init(&matrix.inputs, &architecture, params.seed);
    if task.output == Output::Sigmoid && task.outputs > 1 {
        // Labels and hazards are rare, each in its way: to learn how rare would take many steps.
        let start = task.objective().start(&task.train);
        network
            .heads
            .iter_mut()
            .for_each(|head| head.bias.clone_from(&start));
    }
    network
}

pub(super) fn transformer(task: &Task<'_>, of: Attention) -> Transformer {
    let params = task.params;
    let matrix = task.train.matrix;
    if let Some(Model::Transformer(start)) = params.start.as_deref() {
        return start.clone();
    }
    let known = |of: &[usize], count: usize| match of.len() == count {
        true => of.to_vec(),
        false => (0..count).collect(),
    };
    let (inputs, features) = (&matrix.inputs, &matrix.features);
    let shape = TransformerShape {
        tokens: Tokens::of(
            &known(&features.numbers, inputs.numbers),
            &known(&features.categories, inputs.categories.len()),
            &known(&features.bags, inputs.bags.len()),
        ),
        output: task.output,
        outputs: task.outputs,
        width: of.width,
        heads: of.heads,
        hidden: of.hidden,
        blocks: of.blocks,
        embedded: embedded(task),
    };
    let mut transformer = Transformer::init(inputs, shape, params.seed);
    if task.output == Output::Sigmoid && task.outputs > 1 {
        let bias = transformer.parts().head.bias;
        let start = task.objective().start(&task.train);
        transformer.weights[bias].copy_from_slice(&start);
    }
    transformer
}

/// The numbers that get an embedding, and their knots where it is by lines.
fn embedded(task: &Task<'_>) -> Vec<(usize, Option<Vec<f32>>)> {
    let (matrix, kind) = (task.train.matrix, task.params.number_embedding);
    if kind == NumberEncoding::None {
        return Vec::new();
    }
    let lines = kind == NumberEncoding::PiecewiseLinear;
    let own = |&input: &usize| {
        let knots = knots(matrix, input, task.params.bins)?;
        Some((input, lines.then_some(knots)))
    };
    matrix.singles.iter().filter_map(own).collect()
}

/// Quantiles of a column that differ; `None` where there are too few.
fn knots(matrix: &crate::recipe::Matrix, input: usize, bins: usize) -> Option<Vec<f32>> {
    /// More rows would not move the quantiles.
    const ROWS: usize = 100_000;
    let step = matrix.rows.div_ceil(ROWS).max(1);
    let rows = matrix.numbers.chunks_exact(matrix.inputs.numbers.max(1));
    let mut values: Vec<f32> = rows.step_by(step).map(|row| row[input]).collect();
    values.sort_unstable_by(f32::total_cmp);
    let last = values.len().checked_sub(1)?;
    let mut knots: Vec<f32> = (0..=bins).map(|i| values[i * last / bins]).collect();
    knots.dedup();
    (knots.len() > FEWEST_BINS).then_some(knots)
}

/// Where a table's code 0 was not met in training, its vector is set to zero.
pub(super) fn clear_unmet(inputs: &Inputs, embeddings: &mut [Vec<f32>], train: &Examples<'_>) {
    let width = inputs.categories.len().max(1);
    let embedded = inputs.categories.iter().enumerate();
    let embedded = embedded.filter(|(_, c)| matches!(c.encoding, Encoding::Embedding { .. }));
    for ((c, category), table) in embedded.zip(embeddings) {
        let mut rows = train.matrix.codes.chunks(width);
        if let Encoding::Embedding { dim } = category.encoding
            && !rows.any(|codes| codes.get(c) == Some(&0))
        {
            table[..dim].fill(0.0);
        }
    }
}
