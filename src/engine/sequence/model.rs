//! Everything a sequence model is.

use super::encode::Encoder;
use super::metrics::Score;
use super::mixture::Mixture;
use super::network::Network;
use super::params::ValidParams;
use crate::artifact::Epoch;
use crate::privacy::Spent;
use crate::value::{Behaviour, BgNbd};
use serde::{Deserialize, Serialize};

/// How histories are read, what answers, and how well.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SequenceModel {
    pub encoder: Encoder,
    pub network: Network,
    /// What counting adds to a network that answers categories.
    pub(super) mixture: Option<Mixture>,
    /// What a model of purchases adds to a network that counts.
    #[serde(default)]
    pub(super) purchases: Option<Purchases>,
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
    /// What a model that was trained under differential privacy has spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Spent>,
}

/// A model of purchases beside a network, and its share in what is answered.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Purchases {
    pub(super) model: BgNbd,
    pub(super) share: f64,
}

impl Purchases {
    /// What the network expects within `time` together with what the model does.
    pub(super) fn mix(&self, expected: f64, key: &Behaviour, time: f64) -> f64 {
        (1.0 - self.share) * expected + self.share * self.model.expected(key, time)
    }

    pub(super) fn is_sound(&self) -> bool {
        let BgNbd { r, alpha, a, b, .. } = self.model;
        let positive = [r, alpha, a, b].iter().all(|p| p.is_finite() && *p > 0.0);
        positive && (0.0..=1.0).contains(&self.share)
    }
}
