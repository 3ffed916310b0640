//! A trained model of any kind, as a catalog keeps it.

use crate::artifact::{Artifact, ArtifactError, Epoch};
use crate::evaluate::Metric;
use crate::synth::{self, Synthesizer};
use crate::tune::Trial;
use serde_json::{Value, json};

/// Predicts rows of a table, or makes rows.
pub enum TrainedModel {
    Table(Box<Artifact>),
    Synthesizer(Box<Synthesizer>),
}

/// What is told of any model.
pub struct Card<'a> {
    pub task: &'static str,
    pub algorithm: &'a str,
    /// The column that is predicted; empty where none is.
    pub target: &'a str,
    /// The score it is judged by.
    pub headline: Option<&'a Metric>,
    pub rows: u64,
    pub device: &'a str,
    pub metrics: &'a [Metric],
    pub history: &'a [Epoch],
    pub trials: &'a [Trial],
    /// Features, labels and provenance, as the views of the catalog read them.
    pub summary: Value,
}

impl TrainedModel {
    /// Trusts nothing: see [`Artifact::from_bytes`].
    ///
    /// # Errors
    /// Bytes that are no model, or of a later format.
    pub fn from_bytes(bytes: &[u8]) -> Result<TrainedModel, ArtifactError> {
        if bytes.starts_with(synth::MAGIC) {
            return Synthesizer::from_bytes(bytes).map(|s| TrainedModel::Synthesizer(Box::new(s)));
        }
        Artifact::from_bytes(bytes).map(|a| TrainedModel::Table(Box::new(a)))
    }

    pub fn card(&self) -> Card<'_> {
        match self {
            TrainedModel::Table(artifact) => {
                let provenance = &artifact.provenance;
                Card {
                    task: artifact.task.name(),
                    algorithm: &provenance.algorithm,
                    target: &artifact.target.name,
                    headline: artifact.evaluation.headline(),
                    rows: provenance.rows,
                    device: &provenance.device,
                    metrics: &artifact.evaluation.metrics,
                    history: &artifact.history,
                    trials: &artifact.trials,
                    summary: json!({
                        "features": artifact.recipe.columns(),
                        "labels": artifact.target.labels,
                        "target_type": artifact.target.type_name,
                        "provenance": provenance,
                    }),
                }
            }
            TrainedModel::Synthesizer(synthesizer) => Card {
                task: "generate",
                algorithm: synthesizer.params.algorithm.name(),
                target: "",
                headline: synthesizer.metrics.first(),
                rows: synthesizer.rows,
                device: "cpu",
                metrics: &synthesizer.metrics,
                history: &synthesizer.history,
                trials: &[],
                summary: json!({
                    "features": synthesizer.columns().map(|(name, type_name, how)| {
                        json!({"name": name, "type_name": type_name, "how": how})
                    }).collect::<Vec<_>>(),
                    "labels": [],
                    "provenance": {
                        "algorithm": synthesizer.params.algorithm.name(),
                        "params": synthesizer.params,
                        "seed": synthesizer.params.seed,
                        "rows": synthesizer.rows,
                        "stopped_by": synthesizer.stopped_by,
                        "fit_seconds": synthesizer.fit_seconds,
                        "engine_version": env!("CARGO_PKG_VERSION"),
                        "notes": synthesizer.notes,
                        "excluded": [], "selection": [], "construction": [], "segments": [],
                    },
                }),
            },
        }
    }

    /// Such as `predict` for error messages.
    pub fn purpose(&self) -> &'static str {
        match self {
            TrainedModel::Table(_) => "predicts rows of a table",
            TrainedModel::Synthesizer(_) => "generates rows",
        }
    }
}
