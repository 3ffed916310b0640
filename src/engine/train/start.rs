//! Where training starts: which numbers get an embedding, and the first weights.

use super::{Examples, Task};
use crate::models::{Architecture, Encoding, Network, Output};
use crate::params::NumberEncoding;

/// Numbers that differ in fewer bins than this enter as they are.
const FEWEST_BINS: usize = 2;

pub(super) fn network(task: &Task<'_>) -> Network {
    let params = task.params;
    let matrix = task.train.matrix;
    if let Some(start) = &params.start {
        return Network::clone(start);
    }
    let embedded = match params.number_embedding {
        NumberEncoding::None => Vec::new(),
        kind => matrix
            .singles
            .iter()
            .filter_map(|&input| {
                let knots = knots(matrix, input, params.bins)?;
                Some((
                    input,
                    (kind == NumberEncoding::PiecewiseLinear).then_some(knots),
                ))
            })
            .collect(),
    };
    let architecture = Architecture {
        hidden: params.hidden.clone(),
        activation: params.activation,
        output: task.output,
        outputs: task.outputs,
        members: params.members,
        number_dim: params.number_dim,
        embedded,
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

/// Whether a table's code 0 was met in training; where it was not, its vector is set to zero.
pub(super) fn clear_unmet(network: &mut Network, train: &Examples<'_>) {
    let categories = &train.matrix.inputs.categories;
    let width = categories.len().max(1);
    let embedded = categories.iter().enumerate();
    let embedded = embedded.filter(|(_, c)| matches!(c.encoding, Encoding::Embedding { .. }));
    for ((c, category), table) in embedded.zip(&mut network.embeddings) {
        let mut rows = train.matrix.codes.chunks(width);
        if let Encoding::Embedding { dim } = category.encoding
            && !rows.any(|codes| codes.get(c) == Some(&0))
        {
            table[..dim].fill(0.0);
        }
    }
}
