//! A model and the preparation of its columns as an ONNX graph: one input `[rows, 1]` per column, by its name, and what people read
//! out of the predictions as outputs. Numbers are prepared in double precision, as the recipe does; networks compute in single.

mod answer;
pub(crate) mod graph;
mod network;
mod proto;
mod transformer;
mod trees;

use super::Origin;
use crate::artifact::{Artifact, Task};
use crate::models::{Model, Output, Part};
use crate::recipe::OnnxInputs;
use crate::trained::TrainedModel;
use graph::{Graph, Type};
use serde_json::json;

/// Labels in an order, and intervals of time, of which each is held against each.
const LABELS: usize = 64;
const ENDS: usize = 1024;
/// Numbers in all tables of which values are in which sets.
const ENTRIES: usize = 1 << 25;

/// What no ONNX operators were found for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Unsupported {
    /// A sentence that names the part or the column.
    pub what: String,
    pub hint: String,
}

impl Unsupported {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Unsupported {
        Unsupported {
            what: what.into(),
            hint: hint.into(),
        }
    }
}

/// A model as an ONNX file.
///
/// # Errors
/// [`Unsupported`] names the first part or column that ONNX has no operators for.
pub fn write(model: &TrainedModel, origin: &Origin) -> Result<Vec<u8>, Unsupported> {
    let TrainedModel::Table(artifact) = model else {
        return Err(Unsupported::new(
            "It does not predict rows of a table.",
            "The format safetensors exports models of any kind.",
        ));
    };
    if artifact.partition.is_some() {
        return Err(Unsupported::new(
            "It has models of their own for some values of a column (option \"partition\").",
            "Train it without partition.",
        ));
    }
    check_size(artifact)?;
    let mut graph = Graph::default();
    let inputs = artifact.recipe.onnx(&mut graph)?;
    let outputs = artifact.output();
    let mut sum: Option<String> = None;
    for part in &artifact.parts {
        let own = part_answer(&mut graph, part, &inputs, outputs.0)?;
        sum = Some(match sum {
            None => own,
            Some(sum) => graph.op("Add", &[&sum, &own]),
        });
    }
    // A model has parts (checked).
    let sum = sum.unwrap_or_default();
    answer::write(&mut graph, artifact, &sum);
    Ok(graph.file(
        &origin.model,
        &format!("{} of {}", purpose(artifact), origin.relation),
        vec![("insight", properties(artifact, &inputs, origin))],
    ))
}

/// An error for a model whose graph would grow with the square of something large.
fn check_size(artifact: &Artifact) -> Result<(), Unsupported> {
    let count = match artifact.task {
        Task::Ordinal => artifact.target.labels.len() * ENDS / LABELS,
        Task::Survival => artifact.target.ends.len(),
        _ => 0,
    };
    if count > ENDS {
        return Err(Unsupported::new(
            format!(
                "It has more than {LABELS} labels in an order, or more than {ENDS} intervals of time."
            ),
            "The format safetensors exports it.",
        ));
    }
    let entries: usize = (artifact.parts.iter())
        .map(|part| match &part.model {
            Model::Trees(trees) => trees::entries(trees),
            _ => 0,
        })
        .sum();
    match entries > ENTRIES {
        false => Ok(()),
        true => Err(Unsupported::new(
            "Its trees ask for too many sets of values of categories with many values.",
            "The format safetensors exports it.",
        )),
    }
}

fn purpose(artifact: &Artifact) -> String {
    format!(
        "predicts \"{}\" ({})",
        artifact.target.name,
        artifact.task.name()
    )
}

/// What is told beside the graph.
fn properties(artifact: &Artifact, inputs: &OnnxInputs, origin: &Origin) -> String {
    let columns = artifact.recipe.columns().iter().zip(&inputs.missing);
    let columns = columns.map(|(column, missing)| {
        json!({"name": column.name, "type": column.type_name, "kind": column.kind, "missing": missing})
    });
    json!({
        "model": origin.model,
        "version": origin.version,
        "task": artifact.task.name(),
        "target": artifact.target.name,
        "labels": artifact.target.labels,
        "columns": columns.collect::<Vec<_>>(),
        "threshold": (artifact.task == Task::Binary).then_some(artifact.settled.threshold),
        "algorithm": artifact.provenance.algorithm,
        "seed": artifact.provenance.seed,
        "metrics": artifact.evaluation.metrics,
    })
    .to_string()
}

/// What one part answers, times its share: doubles `[rows, outputs]`.
fn part_answer(
    graph: &mut Graph,
    part: &Part,
    inputs: &OnnxInputs,
    output: Output,
) -> Result<String, Unsupported> {
    let answer = match &part.model {
        Model::Network(own) => {
            let sums = network::sums(graph, own, inputs)?;
            let sums = graph.cast(&sums, Type::Double);
            let answers = stand_for(graph, &sums, output);
            // `[members, rows, outputs]`.
            let axes = vec![
                ("axes", graph::Attribute::Ints(vec![0])),
                ("keepdims", graph::Attribute::Int(0)),
            ];
            graph.op_with("ReduceMean", &[&answers], axes)
        }
        Model::Trees(own) => {
            let sums = trees::sums(graph, own, inputs);
            let sums = graph.cast(&sums, Type::Double);
            match own.plain && output != Output::Identity {
                true => graph.clip(&sums, 0.0, 1.0),
                false => stand_for(graph, &sums, output),
            }
        }
        Model::Transformer(own) => {
            let sums = transformer::sums(graph, own, inputs)?;
            let sums = graph.cast(&sums, Type::Double);
            stand_for(graph, &sums, output)
        }
    };
    Ok(graph.with("Mul", &answer, part.share))
}

/// What sums stand for; the last axis is that of the outputs.
fn stand_for(graph: &mut Graph, sums: &str, output: Output) -> String {
    match output {
        Output::Identity => sums.to_owned(),
        Output::Sigmoid => graph.op("Sigmoid", &[sums]),
        Output::Softmax => graph.op_with(
            "Softmax",
            &[sums],
            vec![("axis", graph::Attribute::Int(-1))],
        ),
        Output::Exp => {
            let bounded = graph.with("Min", sums, 700.0);
            graph.op("Exp", &[&bounded])
        }
    }
}
