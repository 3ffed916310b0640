//! The pipeline: choose columns, split, prepare, train, evaluate.

use crate::{
    artifact::{Artifact, Task},
    frame::Frame,
    params::Params,
    train::{Device, Step},
};
use serde::{Deserialize, Serialize};

/// What to fit.
pub struct Request {
    /// Features and target. Rows with a NULL target are left out and counted.
    pub frame: Frame,
    pub target: String,
    /// `None`: inferred from the target's type and values.
    pub task: Option<Task>,
    /// Columns named by the user: never left out as identifier-like.
    pub include: Vec<String>,
    /// Columns already left out by the reader, and why.
    pub excluded: Vec<(String, String)>,
    pub params: Params,
    pub device: Device,
    /// The positive label of a binary target; `None`: the last in sorted order (true, 1, yes).
    pub positive: Option<String>,
}

/// Where a fit stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// `preparing`, `training`, `evaluating`.
    pub phase: String,
    pub epoch: u32,
    pub epochs: u32,
    pub rows_per_second: f64,
    pub loss: f64,
    pub validation_loss: Option<f64>,
    pub eta_seconds: f64,
}

impl Progress {
    pub fn of_step(step: &Step) -> Progress {
        Progress {
            phase: "training".into(),
            epoch: step.epoch,
            epochs: step.epochs,
            rows_per_second: step.rows_per_second,
            loss: step.loss,
            validation_loss: step.validation_loss,
            eta_seconds: step.eta_seconds,
        }
    }
}

/// Why a fit failed, as the user should read it (PostgreSQL style).
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct FitError {
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

/// Fits a model; `report` answers whether to go on.
pub fn fit(
    _request: Request,
    _report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Artifact, FitError> {
    todo!()
}
