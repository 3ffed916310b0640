//! Hyper-parameters: `Params` (as given) → `check()` → `ValidParams` (only these can train).

mod reader;

use crate::embed::Encoder;
use crate::recipe::{CategoryEncoding, Construct, Preparation, Standardise, Transform};
use crate::select::Select;
use crate::{artifact::Task, models::Activation};
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
    /// A network (`Dnn`) and trees, by the shares that do best on the validation rows.
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
        "focal_gamma",
        "hidden",
        "huber_delta",
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
        "quantile",
        "seed",
        "select",
        "standardise",
        "test_size",
        "text_embedding_dim",
        "text_features",
        "transform",
        "tweedie_power",
        "validation_size",
    ];

    /// Reads the options that are hyper-parameters; other keys are left to the caller.
    ///
    /// | name | default | range | why |
    /// |---|---|---|---|
    /// | algorithm | auto | auto, dnn, mlp, gbdt | see [`Algorithm`] |
    /// | hidden | by rows: \[64, 32\] to \[256, 128\] | 1 to 8 layers of 1 to 4096 | larger tables carry larger networks |
    /// | activation | silu | sigmoid, relu, tanh, silu | smooth, no dead units |
    /// | dropout | 0.1 | 0 to 0.95 | mild regularisation |
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
            text_model: None,
        })
    }

    /// Checks combinations and fills in defaults for a task and a table of `rows` training rows.
    pub fn check(&self, task: Task, rows: usize) -> Result<ValidParams, ParamError> {
        let algorithm = self.algorithm.unwrap_or_default();
        let plain = algorithm == Algorithm::Mlp;
        let optimizer = self.optimizer.unwrap_or(Optimizer::Adamw);
        if algorithm == Algorithm::Gbdt
            && let Some(option) = self.of_networks()
        {
            return Err(ParamError {
                option: option.into(),
                message: format!("option \"{option}\" means nothing to boosted trees"),
                hint: format!("Leave \"{option}\" out, or use another algorithm than gbdt."),
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
            preparation: self.preparation(),
            select: self.select.unwrap_or_default(),
            construct: self.construct.unwrap_or_default(),
        })
    }

    /// The first option given that only a network understands.
    fn of_networks(&self) -> Option<&'static str> {
        [
            ("hidden", self.hidden.is_some()),
            ("activation", self.activation.is_some()),
            ("dropout", self.dropout.is_some()),
            ("optimizer", self.optimizer.is_some()),
            ("learning_rate", self.learning_rate.is_some()),
            ("momentum", self.momentum.is_some()),
            ("l1", self.l1.is_some()),
            ("l2", self.l2.is_some()),
            ("epochs", self.epochs.is_some()),
            ("batch_size", self.batch_size.is_some()),
            ("early_stopping", self.early_stopping.is_some()),
            ("patience", self.patience.is_some()),
            ("number_embedding", self.number_embedding.is_some()),
            ("number_embedding_dim", self.number_dim.is_some()),
            ("number_embedding_bins", self.bins.is_some()),
            ("members", self.members.is_some()),
            ("text_embedding_dim", self.text_dim.is_some()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }

    fn preparation(&self) -> Preparation {
        let default = Preparation::default();
        Preparation {
            text_features: self.text_features.unwrap_or(default.text_features),
            text_dim: self.text_dim.unwrap_or(match self.algorithm {
                Some(Algorithm::Mlp) => 0,
                _ => default.text_dim,
            }),
            standardise: self.standardise.unwrap_or(default.standardise),
            transform: self.transform.unwrap_or(default.transform),
            category_encoding: self.category_encoding.unwrap_or(default.category_encoding),
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

const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("auto", Algorithm::Auto),
    ("dnn", Algorithm::Dnn),
    ("mlp", Algorithm::Mlp),
    ("gbdt", Algorithm::Gbdt),
];

const ACTIVATIONS: &[(&str, Activation)] = &[
    ("silu", Activation::Silu),
    ("relu", Activation::Relu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

/// The first name of each is the one that is shown.
const LOSSES: &[(&str, Loss)] = &[
    ("mean_squared_error", Loss::MeanSquaredError),
    ("binary_crossentropy", Loss::BinaryCrossentropy),
    ("categorical_crossentropy", Loss::CategoricalCrossentropy),
    ("mean_absolute_error", Loss::MeanAbsoluteError),
    ("huber", Loss::Huber),
    ("quantile", Loss::Quantile),
    ("poisson", Loss::Poisson),
    ("tweedie", Loss::Tweedie),
    ("focal", Loss::Focal),
    ("mse", Loss::MeanSquaredError),
    ("mae", Loss::MeanAbsoluteError),
    ("binary_cross_entropy", Loss::BinaryCrossentropy),
    ("categorical_cross_entropy", Loss::CategoricalCrossentropy),
];

const SELECT: &[(&str, Select)] = &[
    ("none", Select::None),
    ("auto", Select::Auto),
    ("l1", Select::L1),
    ("permutation", Select::Permutation),
    ("boruta", Select::Boruta),
];

const CONSTRUCT: &[(&str, Construct)] = &[
    ("none", Construct::None),
    ("pairs", Construct::Pairs),
    ("crosses", Construct::Crosses),
    ("auto", Construct::Auto),
];

const OPTIMIZERS: &[(&str, Optimizer)] = &[
    ("adamw", Optimizer::Adamw),
    ("adam", Optimizer::Adam),
    ("sgd", Optimizer::Sgd),
];

const STANDARDISE: &[(&str, Standardise)] = &[
    ("auto", Standardise::Auto),
    ("standard", Standardise::Standard),
    ("robust", Standardise::Robust),
    ("minmax", Standardise::Minmax),
    ("quantile", Standardise::Quantile),
    ("none", Standardise::None),
];

const NUMBER_ENCODINGS: &[(&str, NumberEncoding)] = &[
    ("none", NumberEncoding::None),
    ("piecewise_linear", NumberEncoding::PiecewiseLinear),
    ("periodic", NumberEncoding::Periodic),
];

const TRANSFORMS: &[(&str, Transform)] = &[
    ("auto", Transform::Auto),
    ("none", Transform::None),
    ("log", Transform::Log),
    ("power", Transform::Power),
    ("quantile", Transform::Quantile),
];

const CATEGORY_ENCODINGS: &[(&str, CategoryEncoding)] = &[
    ("auto", CategoryEncoding::Auto),
    ("embedding", CategoryEncoding::Embedding),
    ("target", CategoryEncoding::Target),
    ("one_hot", CategoryEncoding::OneHot),
    ("hash", CategoryEncoding::Hash),
];

#[cfg(test)]
#[path = "params_test.rs"]
mod tests;
