//! Everything a model is: recipe, models, evaluation, history and provenance, and its bytes.

pub(crate) mod bytes;
pub(crate) mod check;
pub(crate) mod container;
mod seen;
#[cfg(test)]
pub(crate) mod testing;

use crate::{
    clean::report::Change,
    drift::Statistics,
    evaluate::{Evaluation, fairness::Fairness},
    explain::Kept,
    fit::{Augmentation, Challenge, Choice, Construction, Distillation},
    linear::Coefficient,
    models::{Output, Part},
    privacy::{Spent, pii},
    profile::leakage::Leak,
    recipe::Recipe,
    settled::Settled,
    tune::Trial,
};
pub use seen::Seen;
use serde::{Deserialize, Serialize};

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Binary,
    Multiclass,
    Regression,
    /// Any number of labels of a row at once.
    Multilabel,
    /// Labels in an order.
    Ordinal,
    /// The time until an event, of which some rows tell only that it had not happened by then.
    Survival,
    /// The effect of a treatment on an outcome of two labels or a number.
    Uplift,
}

impl Task {
    /// As it is written in options.
    pub fn name(self) -> &'static str {
        match self {
            Task::Binary => "binary",
            Task::Multiclass => "multiclass",
            Task::Regression => "regression",
            Task::Multilabel => "multilabel",
            Task::Ordinal => "ordinal",
            Task::Survival => "survival",
            Task::Uplift => "uplift",
        }
    }

    /// Whether a row has one of several labels.
    pub fn has_one_label(self) -> bool {
        matches!(self, Task::Binary | Task::Multiclass | Task::Ordinal)
    }

    /// All there are, in the order in which they are told.
    pub const ALL: [Task; 7] = [
        Task::Binary,
        Task::Multiclass,
        Task::Regression,
        Task::Multilabel,
        Task::Ordinal,
        Task::Survival,
        Task::Uplift,
    ];
}

/// The target column as the model knows it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Target {
    pub name: String,
    pub type_name: String,
    /// Classification: the labels as the user wrote them, index = class code; binary: `[negative, positive]`; ordinal: from
    /// the lowest.
    pub labels: Vec<String>,
    /// Regression: the network's output y is returned as `y * scale + mean`.
    pub mean: f64,
    pub scale: f64,
    /// Regression: the outputs are logarithms, and e to them is what y is above; the mean is 0 then.
    #[serde(default)]
    pub log: bool,
    /// Survival: where the intervals end whose hazards the outputs are.
    #[serde(default)]
    pub ends: Vec<f64>,
    /// The column that goes with the target: whether the event happened (survival), or the row was treated (uplift).
    #[serde(default)]
    pub companion: Option<String>,
    #[serde(default)]
    pub uplift: Option<Uplift>,
}

/// How effects of a treatment are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpliftMethod {
    /// Parts that know the treated rows, with positive shares, and parts that know the others, with negative ones.
    TwoModel,
    /// The effect itself is learned, from outcomes transformed so that it is their mean.
    Transformed,
}

impl UpliftMethod {
    /// What the outputs mean where the outcome is one of two labels, or a number.
    pub fn output(self, binary: bool) -> Output {
        match (self, binary) {
            (UpliftMethod::TwoModel, true) => Output::Sigmoid,
            _ => Output::Identity,
        }
    }
}

/// What is known of a treatment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Uplift {
    pub method: UpliftMethod,
    /// Share of the training rows that were treated.
    pub treated: f64,
    /// How well the features foretell the treatment: the area under the ROC curve on validation rows.
    pub treatment_auc: Option<f64>,
    /// That is more than chance: rows were not treated at random.
    pub confounded: bool,
}

/// One epoch of training.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: u32,
    #[serde(deserialize_with = "null_is_nan")]
    pub train_loss: f64,
    pub validation_loss: Option<f64>,
    #[serde(deserialize_with = "null_is_nan")]
    pub learning_rate: f64,
    #[serde(deserialize_with = "null_is_nan")]
    pub rows_per_second: f64,
    /// Seconds since training began.
    pub seconds: f64,
}

/// JSON has no NaN and no infinity and writes null for both; a model must not become unreadable for a rate of an epoch
/// that took no time.
pub(crate) fn null_is_nan<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Where a model comes from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Provenance {
    pub algorithm: String,
    /// Every hyper-parameter in force, defaults filled in.
    pub params: serde_json::Value,
    pub seed: u64,
    /// `cpu` or `cuda:0`.
    pub device: String,
    pub device_name: String,
    /// Why the GPU that was to be used, was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_given_up: Option<String>,
    pub rows: u64,
    pub train_rows: u64,
    pub validation_rows: u64,
    pub test_rows: u64,
    /// Rows left out because their target is NULL.
    pub null_target_rows: u64,
    pub best_epoch: u32,
    /// Why training ended: `epochs`, `early_stopping` or `max_seconds`.
    pub stopped_by: String,
    pub fit_seconds: f64,
    pub predict_seconds: f64,
    /// A 64-bit hash of the training data, as hexadecimal.
    pub data_fingerprint: String,
    pub engine_version: String,
    /// The rows the scores are measured on: `test`; where no test rows were held out, `validation`, or
    /// `out_of_fold` where each part of the rows was held out in turn.
    pub evaluated_on: String,
    /// Columns left out and why, as `(column, reason)`.
    pub excluded: Vec<(String, String)>,
    /// Columns that may give the target away.
    #[serde(default)]
    pub leaks: Vec<Leak>,
    /// What was done to the values of each column, and which rows were left out.
    #[serde(default)]
    pub cleaned: Vec<Change>,
    /// The version from which training went on.
    #[serde(default)]
    pub started_from: Option<String>,
    /// What became of the values of the option `partition`.
    #[serde(default)]
    pub segments: Vec<SegmentNote>,
    /// What became of the option `augment`.
    #[serde(default)]
    pub augmentation: Option<Augmentation>,
    /// What came of the option `distill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distillation: Option<Distillation>,
    /// What came of the comparison with the version deployed then.
    #[serde(default)]
    pub challenge: Option<Challenge>,
    /// Test rows that equal a training row in every feature.
    #[serde(default)]
    pub shared_rows: u64,
    /// What became of each feature where features were selected.
    #[serde(default)]
    pub selection: Vec<Choice>,
    /// Features made of two columns that were tried, and whether they were kept.
    #[serde(default)]
    pub construction: Vec<Construction>,
    /// What was done to the probabilities: `none`, `temperature`, `vector`, `beta` or `isotonic`.
    #[serde(default)]
    pub calibration: String,
    /// From which probability the positive label of a binary target is answered.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// Columns the model takes that seem to name people, and why.
    #[serde(default)]
    pub personal: Vec<(String, pii::Finding)>,
    /// What a model that was trained under differential privacy has spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Spent>,
    /// Whom it treats how, by the option `sensitive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fairness: Option<Fairness>,
    /// The models of which it consists, where they are of shards of the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Shard>,
}

/// A model of some of the rows alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// Training rows.
    pub rows: u64,
    /// How many of the artifact's parts are its own; they stand in the order of the shards.
    pub parts: usize,
    /// SHA-256, in hexadecimal, of its prepared rows, the hashes of their keys, and how it is trained.
    pub digest: String,
    /// Whether the version before had it already.
    pub reused: bool,
    /// Whether `max_seconds` ended its training.
    pub cut_short: bool,
}

/// Models of their own for some values of a column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Partition {
    pub column: String,
    /// By rising value.
    pub segments: Vec<Segment>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Segment {
    /// As a label is written, see [`crate::fit::label_of`].
    pub value: String,
    /// Their shares add up to 1.
    pub parts: Vec<Part>,
}

/// What became of a value of the column that partitions a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentNote {
    pub value: String,
    /// Training rows.
    pub rows: u64,
    /// Whether it has a model of its own.
    pub own: bool,
    /// Losses on rows that were held out, of the shared model and of its own; `None` where none was trained.
    pub loss_shared: Option<f64>,
    pub loss_own: Option<f64>,
}

/// A trained model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Artifact {
    pub task: Task,
    pub target: Target,
    pub recipe: Recipe,
    /// Their shares add up to 1.
    pub parts: Vec<Part>,
    /// Models of their own for some values of a column; the parts above answer for the others.
    #[serde(default)]
    pub partition: Option<Partition>,
    pub evaluation: Evaluation,
    /// How the answers are to be read.
    #[serde(default)]
    pub settled: Settled,
    pub history: Vec<Epoch>,
    /// The trials of a search for hyper-parameters.
    #[serde(default)]
    pub trials: Vec<Trial>,
    /// Where some of the recipe's columns come from; only who predicts understands it.
    #[serde(default)]
    pub sources: Option<serde_json::Value>,
    pub provenance: Provenance,
    /// Of a linear model: what it says of each input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coefficients: Vec<Coefficient>,
    /// Some of the rows it was judged on: what explanations compare with.
    #[serde(default)]
    pub kept: Kept,
    /// What the training rows looked like: what drift is measured from.
    #[serde(default)]
    pub statistics: Statistics,
    /// The rows it was trained on.
    #[serde(default)]
    pub seen: Seen,
}

impl Artifact {
    /// The parts of all segments, the shared ones first.
    pub(crate) fn all_parts(&self) -> impl Iterator<Item = &Part> {
        let segments = self.partition.iter().flat_map(|p| &p.segments);
        self.parts.iter().chain(segments.flat_map(|s| &s.parts))
    }

    /// What the outputs of the parts mean, and how many there are.
    pub fn output(&self) -> (Output, usize) {
        if let Some(uplift) = &self.target.uplift {
            return (uplift.method.output(!self.target.labels.is_empty()), 1);
        }
        let count = match self.task {
            Task::Survival => self.target.ends.len(),
            _ => self.target.labels.len(),
        };
        Output::of(self.task, count, self.target.log)
    }

    /// Whether two models are the same in all but when and how fast they were trained: recipe, weights, scores.
    pub fn same_model(&self, other: &Artifact) -> bool {
        let mut own = self.clone();
        let mut other = other.clone();
        for model in [&mut own, &mut other] {
            model.history.clear();
            model.trials.clear();
        }
        own.provenance = other.provenance.clone();
        own.to_bytes() == other.to_bytes()
    }
}

/// Bytes that are not a model.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ArtifactError {
    #[error("{0}")]
    Damaged(String),
    #[error("artifact format {found} is newer than this version of insight understands ({known})")]
    TooNew { found: u32, known: u32 },
}
