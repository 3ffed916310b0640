//! What to fit, how far it is, and why it failed.

use super::{Augment, Leakage, Sensitive, Shards, Split, Start};
use crate::{
    artifact::{Task, UpliftMethod},
    clean::CleanParams,
    frame::Frame,
    params::{ParamError, Params},
    recipe::Purchases,
    train::{Device, Place, Step, TrainError},
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
    pub device: Place,
    /// What only some tasks need to know.
    pub of_task: TaskOptions,
    /// The positive label of a binary target; `None`: the last in sorted order (true, 1, yes).
    pub positive: Option<String>,
    /// What is done to the values of the features, and which rows are left out.
    pub clean: CleanParams,
    pub leakage: Leakage,
    /// A column of times when the outcome was known; not a feature.
    pub outcome_time: Option<String>,
    /// Columns that say who people are; no features.
    pub sensitive: Sensitive,
    pub split: Split,
    /// A version from which training goes on.
    pub start: Option<Start>,
    /// The deployed version, which the new one is compared with.
    pub champion: Option<Start>,
    /// A column whose values have models of their own where that pays.
    pub partition: Option<String>,
    /// Generated rows to train with, too, where that pays.
    pub augment: Option<Augment>,
    /// A column that tells rows apart; not a feature.
    pub key: Option<String>,
    /// How rows are dealt to models of their own, for one to be forgotten in a part of the time.
    pub shards: Option<Shards>,
    /// Where some of the columns come from, for who predicts; kept in the model and not looked at.
    pub sources: Option<serde_json::Value>,
    /// Columns that tell of purchases, from which forecasts are made.
    pub purchases: Vec<Purchases>,
    /// What the frame and the prepared rows may take; `None`: anything.
    pub max_bytes: Option<usize>,
}

/// What only some tasks need to know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskOptions {
    /// Ordinal: the labels from the lowest; empty: numbers by value.
    pub order: Vec<String>,
    /// Survival: the column that says whether the event happened; not a feature.
    pub event: Option<String>,
    /// Uplift: the column that says which rows were treated; not a feature.
    pub treatment: Option<String>,
    /// Uplift; `None`: the one with the better Qini coefficient on the validation rows.
    pub uplift_method: Option<UpliftMethod>,
}

impl TaskOptions {
    /// The column that goes with the target.
    pub fn companion(&self) -> Option<&String> {
        self.event.as_ref().or(self.treatment.as_ref())
    }
}

impl Request {
    /// Everything as it is by default.
    pub fn new(frame: Frame, target: &str, params: Params) -> Request {
        Request {
            frame,
            target: target.into(),
            task: None,
            include: Vec::new(),
            excluded: Vec::new(),
            params,
            device: Place::on(Device::Cpu),
            positive: None,
            of_task: TaskOptions::default(),
            clean: CleanParams::default(),
            leakage: Leakage::default(),
            outcome_time: None,
            sensitive: Sensitive::default(),
            split: Split::default(),
            key: None,
            partition: None,
            augment: None,
            start: None,
            champion: None,
            shards: None,
            sources: None,
            purchases: Vec::new(),
            max_bytes: None,
        }
    }

    /// Why a column that was read is no feature. Columns named in `include` are features all the same.
    pub(super) fn aside(&self, column: &str) -> Option<&'static str> {
        if self.sensitive.names().any(|name| name == column) {
            return Some("sensitive: never an input");
        }
        if self.outcome_time.as_deref() == Some(column) {
            return Some("the time of the outcome");
        }
        if self.of_task.companion().is_some_and(|name| name == column) {
            return Some("goes with the target");
        }
        if self.key.as_deref() == Some(column) {
            return Some("identifies the row");
        }
        if self.include.iter().any(|name| name == column) {
            return None;
        }
        match &self.split {
            Split::Time(name) if name == column => Some("the rows are split by it"),
            Split::Group(name) if name == column => Some("the rows are grouped by it"),
            Split::Column(name) if name == column => Some("says which rows are tested on"),
            _ => None,
        }
    }
}

/// Where a fit stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// `preparing`, `boosting`, `training`, `evaluating`.
    pub phase: String,
    pub epoch: u32,
    pub epochs: u32,
    pub rows_per_second: f64,
    /// NaN where it is not told.
    #[serde(deserialize_with = "crate::artifact::null_is_nan")]
    pub loss: f64,
    pub validation_loss: Option<f64>,
    pub eta_seconds: f64,
    /// Of a cross-validation, from 1, and how many there are with all repeats; else 0.
    #[serde(default)]
    pub fold: u32,
    #[serde(default)]
    pub folds: u32,
}

impl Progress {
    pub(crate) fn phase(name: &str) -> Progress {
        Progress {
            phase: name.into(),
            ..Progress::default()
        }
    }

    pub fn of_step(step: &Step) -> Progress {
        Progress {
            phase: if step.boosting {
                "boosting"
            } else {
                "training"
            }
            .into(),
            epoch: step.epoch,
            epochs: step.epochs,
            rows_per_second: step.rows_per_second,
            loss: step.loss,
            validation_loss: step.validation_loss,
            eta_seconds: step.eta_seconds,
            ..Progress::default()
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

impl FitError {
    pub(crate) fn new(sqlstate: &str, message: impl Into<String>) -> FitError {
        FitError {
            sqlstate: sqlstate.into(),
            message: message.into(),
            detail: None,
            hint: None,
        }
    }
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> FitError {
        self.detail = Some(detail.into());
        self
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> FitError {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ParamError> for FitError {
    fn from(e: ParamError) -> Self {
        FitError::new("22023", e.message).hint(e.hint)
    }
}

impl From<TrainError> for FitError {
    fn from(e: TrainError) -> Self {
        let message = e.to_string();
        match e {
            TrainError::Device { detail, .. } => FitError::new("22023", message)
                .detail(detail)
                .hint("insight_devices() lists what there is; \"cpu\" always works."),
            TrainError::Wrong { detail, .. } => FitError::new("58000", message)
                .detail(detail)
                .hint("Train with {\"device\": \"cpu\"}; another version of the GPU's driver may help."),
            TrainError::Diverged { epoch } => FitError::new("22023", message)
                .detail(format!("It happened in epoch {epoch}."))
                .hint("Use a smaller learning_rate."),
            TrainError::Canceled => canceled(),
        }
    }
}

pub(crate) fn canceled() -> FitError {
    FitError::new("57014", "canceling training due to user request")
}
