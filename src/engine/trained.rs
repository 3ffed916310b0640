//! A trained model of any kind, as a catalog keeps it.

use crate::artifact::{Artifact, ArtifactError, Epoch};
use crate::evaluate::Metric;
use crate::segment::{self, Clustering};
use crate::sequence::{SequenceModel, Target};
use crate::synth::{self, Synthesizer};
use crate::tune::Trial;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Predicts rows of a table, makes rows, foretells what keys do next, or tells segments apart.
pub enum TrainedModel {
    Table(Box<Artifact>),
    Synthesizer(Box<Synthesizer>),
    Sequence(Box<SequenceModel>),
    Clustering(Box<Clustering>),
}

/// What is told of any model.
pub struct Card<'a> {
    pub task: &'static str,
    pub algorithm: &'a str,
    /// The column that is predicted; empty where none is.
    pub target: &'a str,
    /// The score it is judged by.
    pub headline: Option<Metric>,
    pub rows: u64,
    pub device: &'a str,
    pub metrics: Cow<'a, [Metric]>,
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
        if SequenceModel::is_one(bytes) {
            return SequenceModel::from_bytes(bytes).map(|s| TrainedModel::Sequence(Box::new(s)));
        }
        if bytes.starts_with(segment::MAGIC) {
            return Clustering::from_bytes(bytes).map(|c| TrainedModel::Clustering(Box::new(c)));
        }
        Artifact::from_bytes(bytes).map(|a| TrainedModel::Table(Box::new(a)))
    }

    /// Whether two models are the same in all but when and how fast they were trained.
    pub fn same_model(&self, other: &TrainedModel) -> bool {
        match (self, other) {
            (TrainedModel::Table(own), TrainedModel::Table(other)) => own.same_model(other),
            (TrainedModel::Synthesizer(own), TrainedModel::Synthesizer(other)) => {
                let timeless = |model: &Synthesizer| {
                    let mut model = model.clone();
                    model.history.clear();
                    model.fit_seconds = 0.0;
                    model.to_bytes()
                };
                timeless(own) == timeless(other)
            }
            (TrainedModel::Sequence(own), TrainedModel::Sequence(other)) => {
                let timeless = |model: &SequenceModel| {
                    let mut model = model.clone();
                    model.history.clear();
                    model.seconds = 0.0;
                    model.to_bytes()
                };
                timeless(own) == timeless(other)
            }
            (TrainedModel::Clustering(own), TrainedModel::Clustering(other)) => {
                let timeless = |model: &Clustering| {
                    let mut model = model.clone();
                    model.fit_seconds = 0.0;
                    model.to_bytes()
                };
                timeless(own) == timeless(other)
            }
            _ => false,
        }
    }

    pub fn card(&self) -> Card<'_> {
        match self {
            TrainedModel::Table(artifact) => {
                let provenance = &artifact.provenance;
                Card {
                    task: artifact.task.name(),
                    algorithm: &provenance.algorithm,
                    target: &artifact.target.name,
                    headline: artifact.evaluation.headline().cloned(),
                    rows: provenance.rows,
                    device: &provenance.device,
                    metrics: Cow::Borrowed(&artifact.evaluation.metrics),
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
                headline: synthesizer.metrics.first().cloned(),
                rows: synthesizer.rows,
                device: "cpu",
                metrics: Cow::Borrowed(&synthesizer.metrics),
                history: &synthesizer.history,
                trials: &[],
                summary: json!({
                    "features": synthesizer.columns().map(|(name, type_name, how)| {
                        json!({"name": name, "type_name": type_name, "how": how})
                    }).collect::<Vec<_>>(),
                    "labels": [],
                    "children": synthesizer.children().collect::<Vec<_>>(),
                    "provenance": {
                        "algorithm": synthesizer.params.algorithm.name(),
                        "params": synthesizer.params,
                        "seed": synthesizer.params.seed,
                        "rows": synthesizer.rows,
                        "stopped_by": synthesizer.stopped_by,
                        "fit_seconds": synthesizer.fit_seconds,
                        "engine_version": env!("CARGO_PKG_VERSION"),
                        "notes": synthesizer.notes,
                        "privacy": synthesizer.spent,
                        "excluded": [], "selection": [], "construction": [], "segments": [],
                    },
                }),
            },
            TrainedModel::Sequence(model) => sequence_card(model),
            TrainedModel::Clustering(model) => clustering_card(model),
        }
    }
}

fn clustering_card(model: &Clustering) -> Card<'_> {
    let metric = |name: &str, value: f64, class: Option<String>| Metric {
        metric: name.into(),
        class,
        value,
        low: value,
        high: value,
        baseline: None,
    };
    let mut metrics = Vec::new();
    if let Some(chosen) = model.counts.get(model.chosen) {
        metrics.push(metric("silhouette", chosen.silhouette, None));
        metrics.push(metric("stability", chosen.stability, None));
    }
    for count in &model.counts {
        let of = Some(format!("{} segments", count.segments));
        metrics.push(metric("silhouette", count.silhouette, of.clone()));
        metrics.push(metric("stability", count.stability, of));
    }
    let (components, explained) = model.components();
    Card {
        task: "segment",
        algorithm: model.params.algorithm.name(),
        target: model.wanted.target.as_deref().unwrap_or_default(),
        headline: metrics.first().cloned(),
        rows: model.rows,
        device: "cpu",
        metrics: Cow::Owned(metrics),
        history: &[],
        trials: &[],
        summary: json!({
            "features": model.columns(),
            "labels": model.segments().map(|(_, s)| &s.name).collect::<Vec<_>>(),
            "provenance": {
                "algorithm": model.params.algorithm.name(),
                "params": model.params,
                "seed": model.params.seed,
                "rows": model.rows,
                "model": model.wanted.model,
                "learned": model.is_learned(),
                "components": components,
                "explained_variance": explained,
                "stopped_by": model.stopped_by,
                "fit_seconds": model.fit_seconds,
                "engine_version": env!("CARGO_PKG_VERSION"),
                "excluded": model.excluded,
                "selection": [], "construction": [], "segments": [],
            },
        }),
    }
}

/// What a model of histories is judged by, the first that there is; of few categories nearly all are among ten.
const HEADLINES: [&str; 6] = [
    "roc_auc",
    "hit_rate_at_10",
    "hit_rate_at_1",
    "accuracy",
    "correlation",
    "mae",
];
const FEW_CATEGORIES: usize = 20;

fn sequence_card(model: &SequenceModel) -> Card<'_> {
    let encoder = &model.encoder;
    let (task, target) = match encoder.target {
        Target::Category(at) => (
            "next_category",
            encoder.categories.get(at).map(|c| c.name.as_str()),
        ),
        Target::Value(at) => (
            "next_value",
            encoder.numbers.get(at).map(|n| n.name.as_str()),
        ),
        Target::Gap => ("next_time", encoder.order.first().map(String::as_str)),
        Target::Count => ("count", encoder.order.first().map(String::as_str)),
        Target::Label if encoder.labels.len() == 2 => ("binary", None),
        Target::Label => ("multiclass", None),
        Target::KeyValue => ("regression", None),
    };
    let mut metrics = Vec::new();
    for score in &model.scores {
        let of = |class: Option<&String>, value: f64, baseline: Option<f64>| Metric {
            metric: score.metric.clone(),
            class: class.cloned(),
            value,
            low: value,
            high: value,
            baseline,
        };
        // Of baselines the best: what the model must beat.
        let falls = matches!(
            score.metric.as_str(),
            "mae" | "rmse" | "perplexity" | "log_loss"
        );
        let others = score
            .baselines
            .iter()
            .filter(|(name, _)| name != "network_alone");
        let values = others.map(|(_, v)| *v);
        let best = values.reduce(|a, b| match score.metric.as_str() {
            // Of a bias the one that is nearest to none.
            "bias" if a.abs() <= b.abs() => a,
            "bias" => b,
            _ if falls => a.min(b),
            _ => a.max(b),
        });
        metrics.push(of(None, score.value, best));
        metrics.extend(
            score
                .baselines
                .iter()
                .map(|(name, value)| of(Some(name), *value, None)),
        );
    }
    if let Some(spent) = &model.privacy {
        metrics.extend(spent.metrics());
    }
    let named = |name: &&str| {
        metrics
            .iter()
            .find(|m| m.metric == **name && m.class.is_none())
    };
    let columns = encoder
        .categories
        .iter()
        .map(|c| c.name.as_str())
        .chain(encoder.numbers.iter().map(|n| n.name.as_str()));
    let columns = [encoder.key.as_str()]
        .into_iter()
        .chain(encoder.order.iter().map(String::as_str))
        .chain(columns);
    // How many rows the keys have is told of models that are not private alone.
    let rows = match model.privacy {
        Some(_) => model.keys,
        None => model.steps,
    };
    let few = encoder.classes() <= FEW_CATEGORIES;
    let mut headlines = HEADLINES
        .iter()
        .filter(|name| !few || **name != "hit_rate_at_10");
    Card {
        task,
        algorithm: model.params.cell.name(),
        target: target.unwrap_or_default(),
        headline: headlines.find_map(named).cloned(),
        rows,
        device: "cpu",
        history: &model.history,
        trials: &[],
        summary: json!({
            "features": columns.map(|name| json!({"name": name})).collect::<Vec<_>>(),
            "labels": encoder.labels,
            "provenance": {
                "algorithm": model.params.cell.name(),
                "params": model.params,
                "seed": model.params.seed,
                "rows": rows,
                "keys": model.keys,
                "dropped_rows": model.dropped,
                "train_answers": model.train_answers,
                "validation_answers": model.validation_answers,
                "test_answers": model.test_answers,
                "evaluated_on": model.evaluated_on,
                "best_epoch": model.best_epoch,
                "stopped_by": model.stopped_by,
                "fit_seconds": model.seconds,
                "engine_version": env!("CARGO_PKG_VERSION"),
                "excluded": encoder.excluded,
                "privacy": model.privacy,
                "selection": [], "construction": [], "segments": [],
            },
        }),
        metrics: Cow::Owned(metrics),
    }
}
