//! Trees as one operator. What it asks is always whether a feature is below a number: whether a code is in a set is looked up
//! first, and is 0 where it is.

use super::graph::{Attribute, Graph, Type};
use crate::models::{Asked, Trees};
use crate::recipe::OnnxInputs;
use hashbrown::HashMap;

/// Between what stands for inside and outside of a set.
const BETWEEN: f32 = 0.5;

#[derive(Default)]
struct Columns {
    trees: Vec<i64>,
    nodes: Vec<i64>,
    features: Vec<i64>,
    modes: Vec<Vec<u8>>,
    values: Vec<f32>,
    left: Vec<i64>,
    right: Vec<i64>,
    leaf_trees: Vec<i64>,
    leaf_nodes: Vec<i64>,
    leaf_outputs: Vec<i64>,
    leaf_values: Vec<f32>,
}

/// Numbers in the tables of which values are in which sets, at most.
pub(super) fn entries(trees: &Trees) -> usize {
    let of_node = |at| match trees.node(at).asked {
        Asked::InSet { codes, .. } => 32 * codes.len(),
        _ => 0,
    };
    (0..trees.nodes).map(of_node).sum()
}

/// Sums `[rows, outputs]`, floats.
pub(super) fn sums(graph: &mut Graph, trees: &Trees, inputs: &OnnxInputs) -> String {
    let mut columns = Columns::default();
    // Of each category its sets, in the order in which they are met; a feature stands for each.
    let mut sets: Vec<Vec<&[u32]>> = vec![Vec::new(); trees.categories];
    let mut known: HashMap<(usize, &[u32]), usize> = HashMap::new();
    for at in 0..trees.nodes {
        if let Asked::InSet { category, codes } = trees.node(at).asked {
            known.entry((category, codes)).or_insert_with(|| {
                sets[category].push(codes);
                sets[category].len() - 1
            });
        }
    }
    let mut first = trees.numbers;
    let starts: Vec<usize> = sets
        .iter()
        .map(|own| {
            first += own.len();
            first - own.len()
        })
        .collect();
    for (tree, (root, output)) in trees.roots.iter().zip(&trees.outputs).enumerate() {
        let root = *root as usize;
        let end = trees
            .roots
            .get(tree + 1)
            .map_or(trees.nodes, |r| *r as usize);
        for at in root..end {
            let node = trees.node(at);
            let (feature, mode, value): (usize, &str, f32) = match node.asked {
                Asked::Below { number, threshold } => (number, "BRANCH_LT", threshold),
                Asked::InSet { category, codes } => {
                    let place = known.get(&(category, codes)).copied().unwrap_or(0);
                    (starts[category] + place, "BRANCH_LT", BETWEEN)
                }
                Asked::Nothing(values) => {
                    let one = values.len() == 1;
                    for (own, value) in values.iter().enumerate() {
                        columns.leaf_trees.push(tree as i64);
                        columns.leaf_nodes.push((at - root) as i64);
                        columns
                            .leaf_outputs
                            .push(if one { *output } else { own } as i64);
                        columns.leaf_values.push(f32::from_bits(*value));
                    }
                    (0, "LEAF", 0.0)
                }
            };
            columns.trees.push(tree as i64);
            columns.nodes.push((at - root) as i64);
            columns.features.push(feature as i64);
            columns.modes.push(mode.into());
            columns.values.push(value);
            columns.left.push(node.left.saturating_sub(root) as i64);
            columns.right.push(node.right.saturating_sub(root) as i64);
        }
    }
    let mut features: Vec<String> = inputs.numbers.iter().cloned().collect();
    for (category, own) in sets.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
        let levels = inputs.levels[category];
        let outside = |code: usize, set: &[u32]| {
            let inside = set
                .get(code / 32)
                .is_some_and(|w| w >> (code % 32) & 1 == 1);
            f32::from(u8::from(!inside))
        };
        let table = (0..=levels).flat_map(|code| own.iter().map(move |set| outside(code, set)));
        let table: Vec<f32> = table.collect();
        features.push(graph.look_up(&table, own.len(), &inputs.codes[category]));
    }
    // A tree that asks nothing still needs rows: any input has them.
    if features.is_empty() || trees.roots.is_empty() {
        let zero = match (features.first(), inputs.codes.first()) {
            (Some(any), _) => graph.columns(any, &[0]),
            (None, Some(codes)) => graph.cast(codes, Type::Float),
            (None, None) => String::new(),
        };
        if trees.roots.is_empty() {
            let none = graph.floats(&[0.0], &[1, 1]);
            let zeros = graph.op("Mul", &[&zero, &none]);
            let base = graph.floats(&trees.base, &[1, trees.base.len()]);
            return graph.op("Add", &[&zeros, &base]);
        }
        features.push(zero);
    }
    let features = graph.beside(&features);
    graph.ml(
        "TreeEnsembleRegressor",
        &[&features],
        columns.attributes(trees),
    )
}

impl Columns {
    fn attributes(self, trees: &Trees) -> Vec<(&'static str, Attribute)> {
        use Attribute::{Floats, Int, Ints, Text, Texts};
        vec![
            ("n_targets", Int(trees.base.len() as i64)),
            ("base_values", Floats(trees.base.clone())),
            ("aggregate_function", Text("SUM")),
            ("post_transform", Text("NONE")),
            ("nodes_treeids", Ints(self.trees)),
            ("nodes_nodeids", Ints(self.nodes)),
            ("nodes_featureids", Ints(self.features)),
            ("nodes_modes", Texts(self.modes)),
            ("nodes_values", Floats(self.values)),
            ("nodes_truenodeids", Ints(self.left)),
            ("nodes_falsenodeids", Ints(self.right)),
            ("target_treeids", Ints(self.leaf_trees)),
            ("target_nodeids", Ints(self.leaf_nodes)),
            ("target_ids", Ints(self.leaf_outputs)),
            ("target_weights", Floats(self.leaf_values)),
        ]
    }
}
