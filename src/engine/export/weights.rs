//! Plain names for the weights of a model, in the order in which its bytes hold them.

use super::layout::{Block, Tensor};
use crate::artifact::Artifact;
use crate::models::{Basis, Dense, Linear, Model, Network, NumberEmbedding, Transformer, Trees};
use crate::trained::TrainedModel;
use safetensors::Dtype;

/// What the words of a model are. Of sequences, synthesizers and segments they are named by what they are for alone.
pub(super) fn blocks(model: &TrainedModel, words: usize) -> Vec<Block> {
    match model {
        TrainedModel::Table(artifact) => of_table(artifact),
        TrainedModel::Synthesizer(_) | TrainedModel::Clustering(_) => {
            vec![Block::plain("weights".into(), Dtype::F32, &[words])]
        }
        TrainedModel::Sequence(own) => {
            let network = own.network.weights.len();
            let counts = words.saturating_sub(network);
            vec![
                Block::plain("network".into(), Dtype::F32, &[network]),
                Block::plain("counts".into(), Dtype::I32, &[counts]),
            ]
        }
    }
}

fn of_table(artifact: &Artifact) -> Vec<Block> {
    let held_out = &artifact.settled.held_out;
    let kept = |name: &str, width: usize| {
        let name = format!("held_out.{name}");
        Block::plain(name, Dtype::F32, &[held_out.rows, width])
    };
    let mut out = vec![
        kept("truth", held_out.told),
        kept("predictions", held_out.width),
    ];
    for (i, part) in artifact.all_parts().enumerate() {
        let prefix = format!("parts.{i}");
        match &part.model {
            Model::Network(network) => of_network(network, &prefix, &mut out),
            Model::Transformer(own) => of_transformer(own, &prefix, &mut out),
            Model::Trees(trees) => of_trees(trees, &prefix, &mut out),
        }
    }
    if let Some(spread) = &artifact.settled.conformal.spread {
        of_trees(&spread.trees, "errors", &mut out);
    }
    let seen = &[artifact.seen.words()];
    out.push(Block::plain("trained_rows".into(), Dtype::I32, seen));
    out
}

fn of_network(network: &Network, prefix: &str, out: &mut Vec<Block>) {
    for (i, (_, levels, dim)) in network.inputs.embedded().enumerate() {
        let name = format!("{prefix}.embeddings.{i}.weight");
        out.push(Block::plain(name, Dtype::F32, &[levels + 1, dim]));
    }
    for (i, bag) in network.inputs.bags.iter().enumerate() {
        let name = format!("{prefix}.bags.{i}.weight");
        out.push(Block::plain(name, Dtype::F32, &[bag.vocabulary, bag.dim]));
    }
    of_numbers(&network.number_embeddings, prefix, out);
    let members = network.members.max(1);
    let factors = [members, network.factors.len() / members];
    let name = format!("{prefix}.factors");
    out.push(Block::plain(name, Dtype::F32, &factors));
    for (i, layer) in network.layers.iter().enumerate() {
        of_layer(layer, &format!("{prefix}.layers.{i}"), out);
    }
    for (i, head) in network.heads.iter().enumerate() {
        of_layer(head, &format!("{prefix}.heads.{i}"), out);
    }
}

fn of_numbers(embeddings: &[NumberEmbedding], prefix: &str, out: &mut Vec<Block>) {
    for (i, own) in embeddings.iter().enumerate() {
        let name = |of: &str| format!("{prefix}.number_embeddings.{i}.{of}");
        let functions = own.functions();
        if let Basis::Periodic { .. } = own.basis {
            for of in ["frequencies", "phases"] {
                out.push(Block::plain(name(of), Dtype::F32, &[functions]));
            }
        }
        let shape = &[own.dim, functions];
        out.push(Block::transposed(
            name("weight"),
            Dtype::F32,
            functions,
            shape,
        ));
    }
}

/// As PyTorch's `Linear` has them: `[outputs, inputs]`.
fn of_layer(layer: &Dense, prefix: &str, out: &mut Vec<Block>) {
    linear(layer.inputs, layer.outputs, prefix, out);
}

fn linear(inputs: usize, outputs: usize, prefix: &str, out: &mut Vec<Block>) {
    let shape = &[outputs, inputs];
    let weight = format!("{prefix}.weight");
    out.push(Block::transposed(weight, Dtype::F32, inputs, shape));
    let bias = format!("{prefix}.bias");
    out.push(Block::plain(bias, Dtype::F32, &[outputs]));
}

fn of_transformer(own: &Transformer, prefix: &str, out: &mut Vec<Block>) {
    let width = own.width;
    for (i, category) in own.inputs.categories.iter().enumerate() {
        let name = format!("{prefix}.embeddings.{i}.weight");
        out.push(Block::plain(
            name,
            Dtype::F32,
            &[category.levels + 1, width],
        ));
    }
    for (i, bag) in own.inputs.bags.iter().enumerate() {
        let name = format!("{prefix}.bags.{i}.weight");
        out.push(Block::plain(name, Dtype::F32, &[bag.vocabulary, width]));
    }
    of_numbers(&own.number_embeddings, prefix, out);
    let parts = own.parts();
    // Where each begins, so that the order here need not be that of the words.
    let mut found: Vec<(usize, Block)> = Vec::new();
    let mut plain = |start: usize, name: String, shape: &[usize]| {
        found.push((start, Block::plain(name, Dtype::F32, shape)));
    };
    let tokens = [own.tokens.count, width];
    plain(parts.tokens.start, format!("{prefix}.tokens"), &tokens);
    let numbers = [own.inputs.numbers, width];
    plain(parts.numbers.start, format!("{prefix}.numbers"), &numbers);
    let norms = parts
        .blocks
        .iter()
        .enumerate()
        .flat_map(|(i, (_, of, at))| {
            let name = |norm: &str| format!("{prefix}.blocks.{i}.{norm}");
            [
                (at + of.norm.start, of.norm.len(), name("norm")),
                (
                    at + of.hidden_norm.start,
                    of.hidden_norm.len(),
                    name("hidden_norm"),
                ),
            ]
        });
    let last = (parts.norm.start, parts.norm.len(), format!("{prefix}.norm"));
    for (start, len, name) in norms.chain([last]) {
        plain(start, format!("{name}.weight"), &[len / 2]);
        plain(start + len / 2, format!("{name}.bias"), &[len / 2]);
    }
    let mut add = |at: usize, of: &Linear, inputs: usize, name: String| {
        let outputs = of.bias.len();
        let mut own = Vec::new();
        linear(inputs, outputs, &name, &mut own);
        let starts = [at + of.weights.start, at + of.bias.start];
        found.extend(starts.into_iter().zip(own));
    };
    for (i, (block, of, at)) in parts.blocks.iter().enumerate() {
        let name = |of: &str| format!("{prefix}.blocks.{i}.{of}");
        add(*at, &of.query, width, name("query"));
        add(*at, &of.key_value, width, name("key_value"));
        add(*at, &of.out, width, name("out"));
        add(*at, &of.gate, width, name("gate"));
        add(*at, &of.down, block.hidden, name("down"));
    }
    add(0, &parts.head, width, format!("{prefix}.head"));
    found.sort_by_key(|(start, _)| *start);
    out.extend(found.into_iter().map(|(_, block)| block));
}

/// Node by node: what is asked (see [`Trees`]), the threshold or the leaf's value, and the children; then the sets of codes.
fn of_trees(trees: &Trees, prefix: &str, out: &mut Vec<Block>) {
    let nodes = trees.nodes;
    let column = |name: &str, dtype: Dtype| Tensor {
        name: format!("{prefix}.nodes.{name}"),
        dtype,
        shape: vec![nodes],
    };
    out.push(Block {
        rows: nodes,
        tensors: vec![
            column("feature", Dtype::I32),
            column("value", Dtype::F32),
            column("left", Dtype::I32),
            column("right", Dtype::I32),
        ],
    });
    let sets = format!("{prefix}.sets");
    out.push(Block::plain(sets, Dtype::I32, &[trees.set_words]));
}
