//! The names of what can be chosen.

use super::{Algorithm, Loss, NumberEncoding, Optimizer};
use crate::models::Activation;
use crate::recipe::{CategoryEncoding, Construct, Standardise, Transform};
use crate::select::Select;

pub(super) const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("auto", Algorithm::Auto),
    ("dnn", Algorithm::Dnn),
    ("mlp", Algorithm::Mlp),
    ("gbdt", Algorithm::Gbdt),
    ("linear", Algorithm::Linear),
    ("random_forest", Algorithm::RandomForest),
    ("transformer", Algorithm::Transformer),
];

pub(super) const ACTIVATIONS: &[(&str, Activation)] = &[
    ("silu", Activation::Silu),
    ("relu", Activation::Relu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

/// The first name of each is the one that is shown.
pub(super) const LOSSES: &[(&str, Loss)] = &[
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

pub(super) const SELECT: &[(&str, Select)] = &[
    ("none", Select::None),
    ("auto", Select::Auto),
    ("l1", Select::L1),
    ("permutation", Select::Permutation),
    ("boruta", Select::Boruta),
];

pub(super) const CONSTRUCT: &[(&str, Construct)] = &[
    ("none", Construct::None),
    ("pairs", Construct::Pairs),
    ("crosses", Construct::Crosses),
    ("auto", Construct::Auto),
];

pub(super) const OPTIMIZERS: &[(&str, Optimizer)] = &[
    ("adamw", Optimizer::Adamw),
    ("adam", Optimizer::Adam),
    ("sgd", Optimizer::Sgd),
];

pub(super) const STANDARDISE: &[(&str, Standardise)] = &[
    ("auto", Standardise::Auto),
    ("standard", Standardise::Standard),
    ("robust", Standardise::Robust),
    ("minmax", Standardise::Minmax),
    ("quantile", Standardise::Quantile),
    ("none", Standardise::None),
];

pub(super) const NUMBER_ENCODINGS: &[(&str, NumberEncoding)] = &[
    ("none", NumberEncoding::None),
    ("piecewise_linear", NumberEncoding::PiecewiseLinear),
    ("periodic", NumberEncoding::Periodic),
];

pub(super) const TRANSFORMS: &[(&str, Transform)] = &[
    ("auto", Transform::Auto),
    ("none", Transform::None),
    ("log", Transform::Log),
    ("power", Transform::Power),
    ("quantile", Transform::Quantile),
];

pub(super) const CATEGORY_ENCODINGS: &[(&str, CategoryEncoding)] = &[
    ("auto", CategoryEncoding::Auto),
    ("embedding", CategoryEncoding::Embedding),
    ("target", CategoryEncoding::Target),
    ("one_hot", CategoryEncoding::OneHot),
    ("hash", CategoryEncoding::Hash),
];
