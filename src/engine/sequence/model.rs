//! Everything a sequence model is.

use super::encode::Encoder;
use super::metrics::Score;
use super::mixture::Mixture;
use super::network::Network;
use super::params::ValidParams;
use crate::artifact::Epoch;
use serde::{Deserialize, Serialize};

/// How histories are read, what answers, and how well.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SequenceModel {
    pub encoder: Encoder,
    pub network: Network,
    /// What counting adds to a network that answers categories.
    pub(super) mixture: Option<Mixture>,
    pub params: ValidParams,
    /// On the test steps, or the validation steps where there are none of the former.
    pub scores: Vec<Score>,
    /// `test`, `validation` or `none`.
    pub evaluated_on: String,
    pub history: Vec<Epoch>,
    pub best_epoch: u32,
    /// `epochs`, `early_stopping` or `max_seconds`.
    pub stopped_by: String,
    pub keys: u64,
    pub steps: u64,
    /// Rows left out, because their key or their place in the order is NULL.
    pub dropped: u64,
    /// Answers learned from, chosen by and judged on.
    pub train_answers: u64,
    pub validation_answers: u64,
    pub test_answers: u64,
    pub seconds: f64,
}
