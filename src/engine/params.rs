//! Hyper-parameters: `Params` (as given) → `check()` → `ValidParams` (only these can train).

mod choices;
mod others;
mod reader;

use crate::embed::Encoder;
use crate::recipe::{CategoryEncoding, Construct, Preparation, Standardise, Transform};
use crate::select::Select;
use crate::{artifact::Task, models::Activation};
use choices::{
    ACTIVATIONS, ALGORITHMS, CATEGORY_ENCODINGS, CONSTRUCT, LOSSES, NUMBER_ENCODINGS, OPTIMIZERS,
    SELECT, STANDARDISE, TRANSFORMS,
};
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
    pub loss: Option<Loss>,
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
    pub loss: Loss,
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
    /// How columns become inputs.
    #[serde(flatten)]
    pub preparation: Preparation,
    /// Leave out features that do not pay.
    #[serde(default)]
    pub select: Select,
    /// Try features made of two columns.
    #[serde(default)]
    pub construct: Construct,
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
        "category_encoding",
        "class_weight",
        "construct",
        "dropout",
        "early_stopping",
        "epochs",
        "folds",
        "hidden",
        "l1",
        "l2",
        "learning_rate",
        "loss",
        "max_seconds",
        "members",
        "momentum",
        "number_embedding",
        "number_embedding_bins",
        "number_embedding_dim",
        "optimizer",
        "patience",
        "seed",
        "select",
        "standardise",
        "test_size",
        "text_embedding_dim",
        "text_features",
        "transform",
        "trees",
        "validation_size",
    ];

    /// Reads the options that are hyper-parameters; other keys are left to the caller.
    ///
    /// | name | default | range | why |
    /// |---|---|---|---|
    /// | algorithm | auto | auto, dnn, mlp, gbdt, linear, random_forest | see [`Algorithm`] |
    /// | hidden | by rows: \[64, 32\] to \[256, 128\] | 1 to 8 layers of 1 to 4096 | larger tables carry larger networks |
    /// | activation | silu | sigmoid, relu, tanh, silu | smooth, no dead units |
    /// | dropout | 0.1 | 0 to 0.95 | mild regularisation |
    /// | loss | by task | mean_squared_error, binary_crossentropy, categorical_crossentropy | the task's likelihood |
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
    /// | folds | by rows: 5, 3 or 1 | 1 to 20 | auto: on small tables no row is lost for training |
    /// | construct | none | none, pairs, crosses, auto | keeps numbers (pairs) and categories (crosses) made of two columns that pay on validation rows |
    /// | select | none | none, auto, l1, permutation, boruta | leaves out features that do not pay on validation rows, at twice the time |
    /// | standardise | auto | auto, standard, robust, minmax, quantile, none | auto looks at each column's tails |
    /// | transform | auto | auto, none, log, power, quantile | auto brings each column closest to normal |
    /// | category_encoding | auto | auto, embedding, target, one_hot, hash | few levels need no learned vector |
    pub fn from_json(options: &Map<String, Value>) -> Result<Params, ParamError> {
        let reader = Reader { options };
        Ok(Params {
            algorithm: reader.choice("algorithm", ALGORITHMS)?,
            hidden: reader.hidden()?,
            activation: reader.choice("activation", ACTIVATIONS)?,
            dropout: reader.number("dropout", 0.0, 0.95)?,
            loss: reader.choice("loss", LOSSES)?,
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
            loss: self.loss_for(task)?,
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
            preparation: self.preparation(),
            select: self.select.unwrap_or_default(),
            construct: self.construct.unwrap_or_default(),
        })
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
        let own = match task {
            Task::Binary => Loss::BinaryCrossentropy,
            Task::Multiclass => Loss::CategoricalCrossentropy,
            Task::Regression => Loss::MeanSquaredError,
        };
        match self.loss {
            None => Ok(own),
            Some(loss) if loss == own || loss == Loss::MeanSquaredError => Ok(loss),
            Some(loss) => {
                let name = |loss: Loss| {
                    LOSSES
                        .iter()
                        .find(|(_, l)| *l == loss)
                        .map_or("", |(n, _)| n)
                };
                Err(ParamError {
                    option: "loss".into(),
                    message: format!("loss {} does not fit a {task:?} target", name(loss))
                        .to_lowercase(),
                    hint: format!("Use {} or mean_squared_error.", name(own)),
                })
            }
        }
    }
}

#[cfg(test)]
#[path = "params_test.rs"]
mod tests;
