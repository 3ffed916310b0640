//! Hyper-parameters: `Params` (as given) → `check()` → `ValidParams` (only these can train).

use crate::models::Activation;
use serde::{Deserialize, Serialize};

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
}

/// Checked and completed hyper-parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ValidParams {
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
}

impl Params {
    /// Names of every option understood by [`Params::from_json`], sorted.
    pub const KEYS: &'static [&'static str] = &[];

    /// Reads the options that are hyper-parameters; other keys are left to the caller.
    pub fn from_json(
        _options: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Params, ParamError> {
        todo!()
    }
    /// Checks ranges and combinations and fills in defaults for a task and a table of `rows` training rows,
    /// `width` network inputs and `outputs` network outputs.
    pub fn check(
        &self,
        _task: crate::artifact::Task,
        _rows: usize,
        _width: usize,
    ) -> Result<ValidParams, ParamError> {
        todo!()
    }
}
