//! Hyper-parameters: `Params` (as given) → `check()` → `ValidParams` (only these can train).

mod attention;
mod boosting;
mod check;
mod choices;
mod decision;
mod learning;
mod others;
pub(crate) mod reader;

use crate::calibrate::Method;
use crate::decision::Decision;
use crate::embed::Encoder;
use crate::models::{Activation, Model};
use crate::privacy::{self, Privacy};
use crate::recipe::{CategoryEncoding, Construct, Preparation, Standardise, Transform};
use crate::select::Select;
use crate::tune::Tune;
pub use attention::{Attention, AttentionParams};
pub use boosting::Boosting;
use choices::{
    ACTIVATIONS, ALGORITHMS, CATEGORY_ENCODINGS, CONSTRUCT, LOSSES, NUMBER_ENCODINGS, OPTIMIZERS,
    SELECT, STANDARDISE, TRANSFORMS,
};
pub use decision::profit;
use learning::LearningOptions;
pub use learning::{Averaging, Learning, RateFactors, Schedule};
pub(crate) use reader::Reader;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// An option that cannot be used, with the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    pub option: String,
    pub message: String,
    pub hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    MeanSquaredError,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    Huber,
    Quantile,
    Poisson,
    Tweedie,
    Focal,
}

impl Loss {
    /// As it is written in options.
    pub fn name(self) -> &'static str {
        let found = LOSSES.iter().find(|(_, l)| *l == self);
        found.map_or("", |(name, _)| name)
    }

    /// The option that goes with it, if there is one.
    fn parameter(self) -> Option<&'static str> {
        match self {
            Loss::Huber => Some("huber_delta"),
            Loss::Quantile => Some("quantile"),
            Loss::Tweedie => Some("tweedie_power"),
            Loss::Focal => Some("focal_gamma"),
            _ => None,
        }
    }

    /// Whether the model answers e to its sums: for targets that are not negative.
    pub fn of_logarithms(self) -> bool {
        matches!(self, Loss::Poisson | Loss::Tweedie)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    Sgd,
    Adam,
    Adamw,
}

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// A network with number embeddings and several members.
    Dnn,
    /// A plain network: numbers as they are, one member.
    Mlp,
    /// Gradient boosted trees.
    Gbdt,
    /// A linear or logistic model with an elastic net penalty.
    Linear,
    /// The mean of trees on bootstrap samples.
    RandomForest,
    /// Attention among the features of a row (Gorishniy et al. 2021).
    Transformer,
    /// Several of these, by the shares that do best on rows they have not seen.
    #[default]
    Auto,
}

impl Algorithm {
    /// As it is written in options.
    pub fn name(self) -> &'static str {
        let found = ALGORITHMS.iter().find(|(_, a)| *a == self);
        found.map_or("", |(name, _)| name)
    }
}

/// How a number enters the network besides by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum NumberEncoding {
    #[default]
    None,
    PiecewiseLinear,
    Periodic,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeight {
    None,
    Balanced,
    /// Per label, as the user wrote it.
    PerLabel(std::collections::BTreeMap<String, f64>),
}

/// Hyper-parameters as given; `None` means the default, which may depend on the data.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pub algorithm: Option<Algorithm>,
    pub hidden: Option<Vec<usize>>,
    pub activation: Option<Activation>,
    pub dropout: Option<f64>,
    pub label_smoothing: Option<f64>,
    pub warmup_epochs: Option<f64>,
    pub learning: LearningOptions,
    pub loss: Option<Loss>,
    pub huber_delta: Option<f64>,
    pub quantile: Option<f64>,
    pub tweedie_power: Option<f64>,
    pub focal_gamma: Option<f64>,
    pub optimizer: Option<Optimizer>,
    pub learning_rate: Option<f64>,
    pub momentum: Option<f64>,
    pub l1: Option<f64>,
    pub l2: Option<f64>,
    pub epochs: Option<u32>,
    pub batch_size: Option<usize>,
    pub early_stopping: Option<bool>,
    pub patience: Option<u32>,
    pub validation_size: Option<f64>,
    pub test_size: Option<f64>,
    pub class_weight: Option<ClassWeight>,
    pub seed: Option<u64>,
    pub max_seconds: Option<f64>,
    pub text_features: Option<usize>,
    pub standardise: Option<Standardise>,
    pub transform: Option<Transform>,
    pub select: Option<Select>,
    pub construct: Option<Construct>,
    pub category_encoding: Option<CategoryEncoding>,
    pub number_embedding: Option<NumberEncoding>,
    pub number_dim: Option<usize>,
    pub bins: Option<usize>,
    pub text_dim: Option<usize>,
    pub members: Option<usize>,
    pub attention: AttentionParams,
    pub trees: Option<usize>,
    pub folds: Option<usize>,
    /// Whether a small network takes the model's place.
    pub distill: Option<bool>,
    pub max_leaf_nodes: Option<usize>,
    pub min_samples_leaf: Option<usize>,
    pub max_features: Option<f64>,
    /// Hyper-parameters to search.
    pub tune: Option<Tune>,
    /// The options these come from.
    pub given: Map<String, Value>,
    pub calibration: Option<Method>,
    pub decision: Decision,
    /// Differential privacy, where it is asked for.
    pub privacy: Option<Privacy>,
    /// Not an option: whoever trains decides which text model there is.
    pub text_model: Option<Arc<Encoder>>,
}

/// Checked and completed hyper-parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ValidParams {
    #[serde(default)]
    pub algorithm: Algorithm,
    pub hidden: Vec<usize>,
    pub activation: Activation,
    pub dropout: f64,
    /// Share of a label's weight that all labels have alike.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Epochs in which the learning rate rises to what it is.
    #[serde(default)]
    pub warmup_epochs: f64,
    #[serde(flatten)]
    pub learning: Learning,
    pub loss: Loss,
    /// In standard deviations of the target.
    #[serde(default)]
    pub huber_delta: f64,
    #[serde(default)]
    pub quantile: f64,
    #[serde(default)]
    pub tweedie_power: f64,
    #[serde(default)]
    pub focal_gamma: f64,
    pub optimizer: Optimizer,
    pub learning_rate: f64,
    pub momentum: f64,
    pub l1: f64,
    pub l2: f64,
    pub epochs: u32,
    pub batch_size: usize,
    pub early_stopping: bool,
    pub patience: u32,
    pub validation_size: f64,
    pub test_size: f64,
    pub class_weight: ClassWeight,
    pub seed: u64,
    pub max_seconds: Option<f64>,
    #[serde(default)]
    pub number_embedding: NumberEncoding,
    /// Width of a number embedding.
    #[serde(default)]
    pub number_dim: usize,
    /// Bins of a piecewise-linear embedding.
    #[serde(default)]
    pub bins: usize,
    /// Members of the ensemble within the network.
    #[serde(default)]
    pub members: usize,
    /// A linear model's l1 and l2 where they were given; else they are found on the validation rows.
    #[serde(default)]
    pub penalty: Option<[f64; 2]>,
    /// Trees of a random forest.
    #[serde(default)]
    pub trees: usize,
    /// Parts that take turns to be held out in an ensemble; 1: only the validation rows are.
    #[serde(default)]
    pub folds: usize,
    /// The network or transformer with whose weights training begins.
    #[serde(skip)]
    pub start: Option<Arc<Model>>,
    /// What a transformer is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
    /// How boosted trees grow.
    #[serde(default)]
    pub boosting: Boosting,
    /// How columns become inputs.
    #[serde(flatten)]
    pub preparation: Preparation,
    /// Leave out features that do not pay.
    #[serde(default)]
    pub select: Select,
    /// Try features made of two columns.
    #[serde(default)]
    pub construct: Construct,
    #[serde(default)]
    pub calibration: Method,
    #[serde(flatten)]
    pub decision: Decision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
}

impl Params {
    /// Names of every option understood by [`Params::from_json`], sorted.
    pub const KEYS: &'static [&'static str] = &[
        "activation",
        "algorithm",
        "attention_dropout",
        "attention_heads",
        "averaging_epochs",
        "batch_size",
        "calibration",
        "capacity",
        "category_encoding",
        "class_weight",
        "construct",
        "d_token",
        "distill",
        "dropout",
        "early_stopping",
        "epochs",
        "focal_gamma",
        "folds",
        "hidden",
        "huber_delta",
        "l1",
        "l2",
        "label_smoothing",
        "learning_rate",
        "learning_rate_factors",
        "learning_rate_schedule",
        "loss",
        "max_features",
        "max_leaf_nodes",
        "max_seconds",
        "members",
        "min_samples_leaf",
        "momentum",
        "n_blocks",
        "number_embedding",
        "number_embedding_bins",
        "number_embedding_dim",
        "optimizer",
        "patience",
        "privacy",
        "profit",
        "quantile",
        "residual_dropout",
        "seed",
        "select",
        "standardise",
        "test_size",
        "text_embedding_dim",
        "text_features",
        "threshold",
        "transform",
        "trees",
        "tune",
        "tweedie_power",
        "validation_size",
        "warmup_epochs",
        "weight_averaging",
    ];

    /// Reads the options that are hyper-parameters; other keys are left to the caller.
    ///
    /// | name | default | range | why |
    /// |---|---|---|---|
    /// | algorithm | auto | auto, dnn, mlp, gbdt, linear, random_forest, transformer | see [`Algorithm`] |
    /// | hidden | by rows: \[64, 32\] to \[256, 128\] | 1 to 8 layers of 1 to 4096 | larger tables carry larger networks |
    /// | activation | silu | sigmoid, relu, tanh, silu | smooth, no dead units |
    /// | dropout | 0.1 (transformer by blocks: 0.05) | 0 to 0.95 | mild regularisation |
    /// | label_smoothing | 0 | 0 to 0.5 | costs ranks on most tables |
    /// | warmup_epochs | 0 | 0 to 100 | small batches and clipped gradients need none |
    /// | loss | by task | see [`Loss`] | the task's likelihood |
    /// | huber_delta | 1 | 0.001 to 100 | standard deviations beyond which huber is linear |
    /// | quantile | 0.5 | 0.001 to 0.999 | which quantile the loss quantile is for |
    /// | tweedie_power | 1.5 | 1.01 to 1.99 | nearer to 1: like counts; nearer to 2: like amounts |
    /// | focal_gamma | 2 | 0 to 10 | how little rows count that are easy |
    /// | optimizer | adamw | sgd, adam, adamw | robust to scaling |
    /// | learning_rate | 0.003 (mlp 0.002, transformer 0.001, sgd 0.02) | above 0 to 10 | found on held-out rows of several tables |
    /// | learning_rate_schedule | cosine | cosine, constant, coslog4 | see [`Schedule`] |
    /// | learning_rate_factors | all 1 | 0 to 100 | see [`RateFactors`] |
    /// | weight_averaging | none (transformer ema) | none, ema | see [`Averaging`] |
    /// | averaging_epochs | 1 | 0.01 to 1000 | how far the average goes back |
    /// | momentum | 0.9 | 0 to 0.999 | sgd only |
    /// | l1, l2 | 0, 0.01 with adamw (transformer 0.00001) else 0 | 0 to 10 | adamw decouples l2 (Loshchilov and Hutter 2019) |
    /// | epochs | 100 | 1 to 1,000,000 | early stopping ends most runs before |
    /// | batch_size | by rows: 32 to 1024 | 1 to 65,536 | enough steps on small tables, speed on large ones |
    /// | early_stopping, patience | true, by rows: 10 or 5 | 1 to 10,000 epochs | an epoch of a large table is many steps |
    /// | validation_size | 0.2 | 0 to 0.5 | of the rows not held out for testing |
    /// | test_size | 0.2 | 0 to 0.9 | rows the model never sees |
    /// | class_weight | none | none, balanced, or weights by label | rare classes count as asked |
    /// | seed | 42 | 0 to 2^53 | same seed, data and device: same model |
    /// | max_seconds | none | above 0 | the best so far is kept |
    /// | text_features | 256 | 0 to 4096 | words kept of a free text; more are noise on small tables |
    /// | text_embedding_dim | 16 (mlp 0) | 0 to 256 | width of the vectors learned for a text's tokens |
    /// | number_embedding | piecewise_linear (mlp none) | none, piecewise_linear, periodic | a number by itself is hard to bend |
    /// | number_embedding_dim | 8 | 1 to 256 | width of a number's embedding |
    /// | number_embedding_bins | 48 | 2 to 1024 | quantiles between which it is linear |
    /// | members | by rows: 8 to 2 (mlp 1) | 1 to 64 | networks that share their hidden layers and whose answers are averaged |
    /// | n_blocks, d_token, attention_heads | 2, by rows: 64 or 96, 8 | 1 to 16, 8 to 1024, 1 to 64 | transformer: half the authors' size learns as well and trains on a CPU |
    /// | attention_dropout, residual_dropout | by blocks: 0.15, 0 | 0 to 0.95 | transformer: the authors' |
    /// | trees | 300 | 1 to 5000 | of a random forest; more only steady the answer |
    /// | max_leaf_nodes, min_samples_leaf, max_features | 31, 20, 0.7 | 2 to 4096, 1 to 1,000,000, 0.01 to 1 | gbdt: LightGBM's, but for the features |
    /// | tune | none | see [`Tune`] | searches the others |
    /// | distill | false | true, false | a small network answers nearly as well, many times as fast |
    /// | folds | by rows: 5, 3 or 1 | 1 to 20 | auto: on small tables no row is lost for training |
    /// | construct | none | none, pairs, crosses, auto | keeps numbers (pairs) and categories (crosses) made of two columns that pay on validation rows |
    /// | select | none | none, auto, l1, permutation, boruta | leaves out features that do not pay on validation rows, at twice the time |
    /// | standardise | auto | auto, standard, robust, minmax, quantile, none | auto looks at each column's tails |
    /// | transform | auto | auto, none, log, power, quantile | auto brings each column closest to normal |
    /// | category_encoding | auto | auto, embedding, target, one_hot, hash | few levels need no learned vector |
    /// | calibration | auto | auto, none, temperature, vector, isotonic, beta | probabilities that come true as often as they say |
    /// | privacy | none | see [`privacy::given`] | other defaults go with it, see [`Privacy`] |
    /// | threshold, profit, capacity | 0.5, none, none | see [`Decision`] | decisions follow from what they earn |
    pub fn from_json(options: &Map<String, Value>) -> Result<Params, ParamError> {
        let reader = Reader { options };
        let params = Params {
            algorithm: reader.choice("algorithm", ALGORITHMS)?,
            hidden: reader.widths("hidden")?,
            activation: reader.choice("activation", ACTIVATIONS)?,
            dropout: reader.number("dropout", 0.0, 0.95)?,
            label_smoothing: reader.number("label_smoothing", 0.0, 0.5)?,
            warmup_epochs: reader.number("warmup_epochs", 0.0, 100.0)?,
            learning: reader.learning()?,
            loss: reader.choice("loss", LOSSES)?,
            huber_delta: reader.number("huber_delta", 1e-3, 100.0)?,
            quantile: reader.number("quantile", 1e-3, 0.999)?,
            tweedie_power: reader.number("tweedie_power", 1.01, 1.99)?,
            focal_gamma: reader.number("focal_gamma", 0.0, 10.0)?,
            optimizer: reader.choice("optimizer", OPTIMIZERS)?,
            learning_rate: reader.number("learning_rate", 1e-9, 10.0)?,
            momentum: reader.number("momentum", 0.0, 0.999)?,
            l1: reader.number("l1", 0.0, 10.0)?,
            l2: reader.number("l2", 0.0, 10.0)?,
            epochs: reader.integer("epochs", 1, 1_000_000)?.map(|n| n as u32),
            batch_size: reader.integer("batch_size", 1, 65_536)?.map(|n| n as usize),
            distill: reader.boolean("distill")?,
            early_stopping: reader.boolean("early_stopping")?,
            patience: reader.integer("patience", 1, 10_000)?.map(|n| n as u32),
            validation_size: reader.number("validation_size", 0.0, 0.5)?,
            test_size: reader.number("test_size", 0.0, 0.9)?,
            class_weight: reader.class_weight()?,
            seed: reader.integer("seed", 0, 1 << 53)?,
            select: reader.choice("select", SELECT)?,
            construct: reader.choice("construct", CONSTRUCT)?,
            max_seconds: reader.number("max_seconds", 1e-3, 1e9)?,
            text_features: reader
                .integer("text_features", 0, 4096)?
                .map(|n| n as usize),
            standardise: reader.choice("standardise", STANDARDISE)?,
            transform: reader.choice("transform", TRANSFORMS)?,
            category_encoding: reader.choice("category_encoding", CATEGORY_ENCODINGS)?,
            number_embedding: reader.choice("number_embedding", NUMBER_ENCODINGS)?,
            number_dim: reader
                .integer("number_embedding_dim", 1, 256)?
                .map(|n| n as usize),
            text_dim: reader
                .integer("text_embedding_dim", 0, 256)?
                .map(|n| n as usize),
            bins: reader
                .integer("number_embedding_bins", 2, 1024)?
                .map(|n| n as usize),
            members: reader.integer("members", 1, 64)?.map(|n| n as usize),
            attention: AttentionParams::read(&reader)?,
            trees: reader.integer("trees", 1, 5000)?.map(|n| n as usize),
            folds: reader.integer("folds", 1, 20)?.map(|n| n as usize),
            max_leaf_nodes: reader
                .integer("max_leaf_nodes", 2, 4096)?
                .map(|n| n as usize),
            min_samples_leaf: reader
                .integer("min_samples_leaf", 1, 1_000_000)?
                .map(|n| n as usize),
            max_features: reader.number("max_features", 0.01, 1.0)?,
            tune: match reader.get("tune") {
                None => None,
                Some(value) => Tune::read(value)?,
            },
            given: options.clone(),
            calibration: reader.choice("calibration", decision::CALIBRATIONS)?,
            decision: reader.decision()?,
            privacy: privacy::given(options)?,
            text_model: None,
        };
        if let Some(privacy) = &params.privacy {
            privacy.check(&params)?;
        }
        Ok(params)
    }

    /// The same with some options replaced.
    pub fn with(&self, options: &Map<String, Value>) -> Result<Params, ParamError> {
        let mut all = self.given.clone();
        all.extend(options.clone());
        let mut params = Params::from_json(&all)?;
        params.text_model.clone_from(&self.text_model);
        // Not as given: reading took some of it.
        params.max_seconds = self.max_seconds;
        Ok(params)
    }
}

#[cfg(test)]
#[path = "params_test.rs"]
mod tests;
