//! Hyper-parameters: `Params` (as given) → `check()` → `ValidParams` (only these can train).

mod choices;
mod decision;
mod others;
mod reader;

use crate::calibrate::Method;
use crate::decision::Decision;
use crate::embed::Encoder;
use crate::recipe::{CategoryEncoding, Construct, Preparation, Standardise, Transform};
use crate::select::Select;
use crate::tune::Tune;
use crate::{
    artifact::Task,
    models::{Activation, Network},
};
use choices::{
    ACTIVATIONS, ALGORITHMS, CATEGORY_ENCODINGS, CONSTRUCT, LOSSES, NUMBER_ENCODINGS, OPTIMIZERS,
    SELECT, STANDARDISE, TRANSFORMS,
};
pub use decision::profit;
use reader::Reader;
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
    pub trees: Option<usize>,
    pub folds: Option<usize>,
    pub max_leaf_nodes: Option<usize>,
    pub min_samples_leaf: Option<usize>,
    pub max_features: Option<f64>,
    /// Hyper-parameters to search.
    pub tune: Option<Tune>,
    /// The options these come from.
    pub given: Map<String, Value>,
    pub calibration: Option<Method>,
    pub decision: Decision,
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
    /// The network with whose weights training begins.
    #[serde(skip)]
    pub start: Option<Arc<Network>>,
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
}

/// How boosted trees grow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Boosting {
    /// Leaves of a tree, at most.
    pub max_leaf_nodes: usize,
    /// An ensemble has trees of so many leaves, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub or_max_leaf_nodes: Option<usize>,
    /// Rows of a leaf, at least.
    pub min_samples_leaf: usize,
    /// Share of the features that a tree looks at.
    pub max_features: f64,
    pub l2: f64,
    pub learning_rate: f64,
}

impl Default for Boosting {
    fn default() -> Boosting {
        Boosting {
            max_leaf_nodes: 31,
            or_max_leaf_nodes: None,
            min_samples_leaf: 20,
            max_features: 0.7,
            l2: 1.0,
            learning_rate: 0.05,
        }
    }
}

/// An epoch over this many rows is so many steps that few epochs tell whether more will help.
const MANY_ROWS: usize = 200_000;
/// Below so many rows an ensemble holds each part of the rows out in turn.
const FEW_ROWS: usize = 20_000;

/// How many parts of the rows an ensemble holds out in turn.
fn turns(rows: usize) -> usize {
    match rows {
        0..5_000 => 5,
        5_000..FEW_ROWS => 3,
        _ => 1,
    }
}

impl Params {
    /// Names of every option understood by [`Params::from_json`], sorted.
    pub const KEYS: &'static [&'static str] = &[
        "activation",
        "algorithm",
        "batch_size",
        "calibration",
        "capacity",
        "category_encoding",
        "class_weight",
        "construct",
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
        "loss",
        "max_features",
        "max_leaf_nodes",
        "max_seconds",
        "members",
        "min_samples_leaf",
        "momentum",
        "number_embedding",
        "number_embedding_bins",
        "number_embedding_dim",
        "optimizer",
        "patience",
        "profit",
        "quantile",
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
    ];

    /// Reads the options that are hyper-parameters; other keys are left to the caller.
    ///
    /// | name | default | range | why |
    /// |---|---|---|---|
    /// | algorithm | auto | auto, dnn, mlp, gbdt, linear, random_forest | see [`Algorithm`] |
    /// | hidden | by rows: \[64, 32\] to \[256, 128\] | 1 to 8 layers of 1 to 4096 | larger tables carry larger networks |
    /// | activation | silu | sigmoid, relu, tanh, silu | smooth, no dead units |
    /// | dropout | 0.1 | 0 to 0.95 | mild regularisation |
    /// | label_smoothing | 0 | 0 to 0.5 | costs ranks on most tables |
    /// | warmup_epochs | 0 | 0 to 100 | small batches and clipped gradients need none |
    /// | loss | by task | see [`Loss`] | the task's likelihood |
    /// | huber_delta | 1 | 0.001 to 100 | standard deviations beyond which huber is linear |
    /// | quantile | 0.5 | 0.001 to 0.999 | which quantile the loss quantile is for |
    /// | tweedie_power | 1.5 | 1.01 to 1.99 | nearer to 1: like counts; nearer to 2: like amounts |
    /// | focal_gamma | 2 | 0 to 10 | how little rows count that are easy |
    /// | optimizer | adamw | sgd, adam, adamw | robust to scaling |
    /// | learning_rate | 0.003 (mlp 0.002, sgd 0.02) | above 0 to 10 | found on held-out rows of several tables |
    /// | momentum | 0.9 | 0 to 0.999 | sgd only |
    /// | l1, l2 | 0, 0.01 with adamw else 0 | 0 to 10 | adamw decouples l2 (Loshchilov and Hutter 2019) |
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
    /// | trees | 300 | 1 to 5000 | of a random forest; more only steady the answer |
    /// | max_leaf_nodes, min_samples_leaf, max_features | 31, 20, 0.7 | 2 to 4096, 1 to 1,000,000, 0.01 to 1 | gbdt: LightGBM's, but for the features |
    /// | tune | none | see [`Tune`] | searches the others |
    /// | folds | by rows: 5, 3 or 1 | 1 to 20 | auto: on small tables no row is lost for training |
    /// | construct | none | none, pairs, crosses, auto | keeps numbers (pairs) and categories (crosses) made of two columns that pay on validation rows |
    /// | select | none | none, auto, l1, permutation, boruta | leaves out features that do not pay on validation rows, at twice the time |
    /// | standardise | auto | auto, standard, robust, minmax, quantile, none | auto looks at each column's tails |
    /// | transform | auto | auto, none, log, power, quantile | auto brings each column closest to normal |
    /// | category_encoding | auto | auto, embedding, target, one_hot, hash | few levels need no learned vector |
    /// | calibration | auto | auto, none, temperature, isotonic, beta | probabilities that come true as often as they say |
    /// | threshold, profit, capacity | 0.5, none, none | see [`Decision`] | decisions follow from what they earn |
    pub fn from_json(options: &Map<String, Value>) -> Result<Params, ParamError> {
        let reader = Reader { options };
        Ok(Params {
            algorithm: reader.choice("algorithm", ALGORITHMS)?,
            hidden: reader.hidden()?,
            activation: reader.choice("activation", ACTIVATIONS)?,
            dropout: reader.number("dropout", 0.0, 0.95)?,
            label_smoothing: reader.number("label_smoothing", 0.0, 0.5)?,
            warmup_epochs: reader.number("warmup_epochs", 0.0, 100.0)?,
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
            text_model: None,
        })
    }

    /// Checks combinations and fills in defaults for a task and a table of `rows` training rows.
    pub fn check(&self, task: Task, rows: usize) -> Result<ValidParams, ParamError> {
        let algorithm = self.algorithm.unwrap_or_default();
        let plain = algorithm == Algorithm::Mlp;
        let optimizer = self.optimizer.unwrap_or(Optimizer::Adamw);
        if let Some(option) = self.of_others(algorithm) {
            let what = match algorithm {
                Algorithm::Gbdt => "boosted trees",
                Algorithm::RandomForest => "a random forest",
                Algorithm::Linear => "a linear model",
                _ => "a network",
            };
            let name = algorithm.name();
            return Err(ParamError {
                option: option.into(),
                message: format!("option \"{option}\" means nothing to {what}"),
                hint: format!("Leave \"{option}\" out, or use another algorithm than {name}."),
            });
        }
        if self.momentum.is_some() && optimizer != Optimizer::Sgd {
            return Err(ParamError {
                option: "momentum".into(),
                message: "option \"momentum\" needs the optimizer sgd".into(),
                hint: "Add \"optimizer\": \"sgd\", or leave momentum out.".into(),
            });
        }
        let loss = self.loss_for(task)?;
        if matches!(algorithm, Algorithm::Linear | Algorithm::RandomForest)
            && !matches!(
                loss,
                Loss::MeanSquaredError | Loss::BinaryCrossentropy | Loss::CategoricalCrossentropy
            )
        {
            let name = algorithm.name();
            return Err(ParamError {
                option: "loss".into(),
                message: format!("the algorithm {name} has no such loss"),
                hint: "Use dnn, mlp, gbdt or auto.".into(),
            });
        }
        if matches!(algorithm, Algorithm::Linear | Algorithm::RandomForest)
            && matches!(task, Task::Multilabel | Task::Ordinal | Task::Survival)
        {
            return Err(ParamError {
                option: "algorithm".into(),
                message: format!(
                    "the algorithm {} cannot learn the task {}",
                    algorithm.name(),
                    task.name()
                ),
                hint: "Use dnn, mlp, gbdt or auto.".into(),
            });
        }
        if self.label_smoothing.is_some()
            && !matches!(
                loss,
                Loss::BinaryCrossentropy | Loss::CategoricalCrossentropy
            )
        {
            return Err(ParamError {
                option: "label_smoothing".into(),
                message: "option \"label_smoothing\" needs labels and a loss crossentropy".into(),
                hint: "Leave \"label_smoothing\" out.".into(),
            });
        }
        let (hidden, batch_size, members) = match rows {
            0..5_000 => (vec![64, 32], 32, 8),
            5_000..20_000 => (vec![128, 64], 128, 8),
            20_000..200_000 => (vec![256, 128], 256, 4),
            _ => (vec![256, 128], 1024, 2),
        };
        let folds = match algorithm {
            Algorithm::Auto => self.folds.unwrap_or(turns(rows)),
            _ => 1,
        };
        // Several networks need fewer members each.
        let members = if folds > 1 { members.min(4) } else { members };
        let learning_rate = if optimizer == Optimizer::Sgd {
            0.02
        } else if plain {
            0.002
        } else {
            0.003
        };
        let l2 = if optimizer == Optimizer::Adamw {
            0.01
        } else {
            0.0
        };
        Ok(ValidParams {
            algorithm,
            hidden: self.hidden.clone().unwrap_or(hidden),
            activation: self.activation.unwrap_or(Activation::Silu),
            dropout: self.dropout.unwrap_or(0.1),
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            warmup_epochs: self.warmup_epochs.unwrap_or(0.0),
            loss,
            huber_delta: self.huber_delta.unwrap_or(1.0),
            quantile: self.quantile.unwrap_or(0.5),
            tweedie_power: self.tweedie_power.unwrap_or(1.5),
            focal_gamma: self.focal_gamma.unwrap_or(2.0),
            optimizer,
            learning_rate: self.learning_rate.unwrap_or(learning_rate),
            momentum: self.momentum.unwrap_or(0.9),
            l1: self.l1.unwrap_or(0.0),
            l2: self.l2.unwrap_or(l2),
            epochs: self.epochs.unwrap_or(100),
            batch_size: self.batch_size.unwrap_or(batch_size),
            early_stopping: self.early_stopping.unwrap_or(true),
            patience: self
                .patience
                .unwrap_or(if rows < MANY_ROWS { 10 } else { 5 }),
            validation_size: self.validation_size.unwrap_or(0.2),
            test_size: self.test_size.unwrap_or(0.2),
            class_weight: self.class_weight.clone().unwrap_or(ClassWeight::None),
            seed: self.seed.unwrap_or(42),
            max_seconds: self.max_seconds,
            number_embedding: self.number_embedding.unwrap_or(match plain {
                true => NumberEncoding::None,
                false => NumberEncoding::PiecewiseLinear,
            }),
            number_dim: self.number_dim.unwrap_or(8),
            bins: self.bins.unwrap_or(48),
            members: self.members.unwrap_or(if plain { 1 } else { members }),
            penalty: (self.l1.is_some() || self.l2.is_some())
                .then(|| [self.l1.unwrap_or(0.0), self.l2.unwrap_or(0.0)]),
            trees: self.trees.unwrap_or(300),
            folds,
            start: None,
            boosting: self.boosting(task, algorithm, rows, folds),
            preparation: self.preparation(),
            select: self.select.unwrap_or_default(),
            construct: self.construct.unwrap_or_default(),
            calibration: decision::calibration(self.calibration, task)?,
            decision: decision::check(self.decision, task)?,
        })
    }

    /// With other algorithms, learning_rate and l2 are not those of trees.
    fn boosting(&self, task: Task, algorithm: Algorithm, rows: usize, folds: usize) -> Boosting {
        let default = Boosting::default();
        let own = algorithm == Algorithm::Gbdt;
        let leaves = match (task, rows) {
            (Task::Regression, _) => 31,
            // A label tells less than a value does.
            (_, 0..5_000) => 8,
            (_, 5_000..12_000) => 15,
            _ => 31,
        };
        let learning_rate = match rows {
            // The models of several turns steady each other.
            0..MANY_ROWS if folds > 1 => 0.07,
            0..MANY_ROWS => 0.05,
            _ => 0.1,
        };
        Boosting {
            max_leaf_nodes: self.max_leaf_nodes.unwrap_or(leaves),
            or_max_leaf_nodes: (algorithm == Algorithm::Auto
                && self.max_leaf_nodes.is_none()
                && leaves < default.max_leaf_nodes)
                .then_some(default.max_leaf_nodes),
            min_samples_leaf: self.min_samples_leaf.unwrap_or(default.min_samples_leaf),
            max_features: self.max_features.unwrap_or(default.max_features),
            l2: self.l2.filter(|_| own).unwrap_or(default.l2),
            learning_rate: self.learning_rate.filter(|_| own).unwrap_or(learning_rate),
        }
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

    fn preparation(&self) -> Preparation {
        let default = Preparation::default();
        Preparation {
            text_features: self.text_features.unwrap_or(default.text_features),
            text_dim: self.text_dim.unwrap_or(match self.algorithm {
                Some(Algorithm::Mlp | Algorithm::Linear) => 0,
                _ => default.text_dim,
            }),
            standardise: self.standardise.unwrap_or(match self.algorithm {
                // One unit of the column must stay one unit.
                Some(Algorithm::Linear) => Standardise::Standard,
                _ => default.standardise,
            }),
            transform: self.transform.unwrap_or(match self.algorithm {
                Some(Algorithm::Linear) => Transform::None,
                _ => default.transform,
            }),
            category_encoding: self.category_encoding.unwrap_or(match self.algorithm {
                Some(Algorithm::Linear) => CategoryEncoding::OneHot,
                _ => default.category_encoding,
            }),
            text_model: self.text_model.clone(),
        }
    }

    fn loss_for(&self, task: Task) -> Result<Loss, ParamError> {
        let known = losses(task);
        if task == Task::Uplift && self.loss.is_some() {
            return Err(ParamError {
                option: "loss".into(),
                message: "option \"loss\" means nothing to the task uplift".into(),
                hint: "Leave loss out: each of the models has its own.".into(),
            });
        }
        let loss = self.loss.unwrap_or(known[0]);
        let error = |option: &str, message: String, hint: String| {
            Err(ParamError {
                option: option.into(),
                message: message.to_lowercase(),
                hint,
            })
        };
        if !known.contains(&loss) {
            let names: Vec<&str> = known.iter().map(|loss| loss.name()).collect();
            return error(
                "loss",
                format!("loss {} does not fit a {task:?} target", loss.name()),
                format!("Use {}.", names.join(" or ")),
            );
        }
        if self.algorithm == Some(Algorithm::Gbdt)
            && loss == Loss::MeanSquaredError
            && known[0] != loss
        {
            return error(
                "loss",
                "boosted trees cannot learn probabilities by loss mean_squared_error".into(),
                format!("Use {}, or another algorithm than gbdt.", known[0].name()),
            );
        }
        let given = [
            (self.huber_delta.is_some(), Loss::Huber),
            (self.quantile.is_some(), Loss::Quantile),
            (self.tweedie_power.is_some(), Loss::Tweedie),
            (self.focal_gamma.is_some(), Loss::Focal),
        ];
        match given.into_iter().find(|(given, l)| *given && *l != loss) {
            Some((_, other)) => {
                let option = other.parameter().unwrap_or_default();
                error(
                    option,
                    format!("option \"{option}\" needs the loss {}", other.name()),
                    format!("Add \"loss\": \"{}\", or leave {option} out.", other.name()),
                )
            }
            None => Ok(loss),
        }
    }
}

/// The losses that fit a task, the first by default.
fn losses(task: Task) -> &'static [Loss] {
    match task {
        Task::Binary => &[
            Loss::BinaryCrossentropy,
            Loss::MeanSquaredError,
            Loss::Focal,
        ],
        Task::Multiclass => &[
            Loss::CategoricalCrossentropy,
            Loss::MeanSquaredError,
            Loss::Focal,
        ],
        Task::Multilabel => &[Loss::BinaryCrossentropy, Loss::Focal],
        // Each of its models has a loss of its own.
        Task::Uplift => &[Loss::MeanSquaredError],
        Task::Ordinal | Task::Survival => &[Loss::BinaryCrossentropy],
        Task::Regression => &[
            Loss::MeanSquaredError,
            Loss::MeanAbsoluteError,
            Loss::Huber,
            Loss::Quantile,
            Loss::Poisson,
            Loss::Tweedie,
        ],
    }
}

#[cfg(test)]
#[path = "params_test.rs"]
mod tests;
