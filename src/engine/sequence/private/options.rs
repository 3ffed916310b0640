//! Hyper-parameters of private sequence models.

use super::super::params::{Cell, Params};
use crate::params::ParamError;
use crate::privacy::Privacy;
use serde_json::{Map, Value};

/// Hyper-parameters that look at no row, or at rows only through what is noised. All others are refused.
const BESIDE: [&str; 15] = [
    "algorithm",
    "attention_heads",
    "batch_size",
    "embedding_dim",
    "epochs",
    "hidden",
    "l2",
    "learning_rate",
    "max_items",
    "max_seconds",
    "privacy",
    "seed",
    "test_size",
    "tied",
    "window",
];

/// The share of the keys that is tested on, epochs, and samples that make one, by default.
pub(super) const TEST_SIZE: f64 = 0.2;
const EPOCHS: u32 = 20;
const SAMPLES: usize = 20;

/// Whether the hyper-parameters that are given can go with privacy; what is switched off can.
///
/// # Errors
/// The first that cannot, with those that can.
pub(in crate::sequence) fn check_beside(options: &Map<String, Value>) -> Result<(), ParamError> {
    let off = |key: &str| {
        matches!(
            options.get(key),
            None | Some(Value::Null | Value::Bool(false))
        )
    };
    let other = |key: &&&str| !BESIDE.contains(*key) && !off(key);
    match Params::KEYS.iter().find(other) {
        None => Ok(()),
        Some(key) => Err(ParamError {
            option: (*key).into(),
            message: format!("option \"{key}\" cannot be used with the option \"privacy\""),
            hint: format!(
                "It would look at rows in ways that are not accounted for. With privacy go: {}.",
                BESIDE.join(", ")
            ),
        }),
    }
}

/// Defaults that do well under noise: a small network, as each weight has noise of its own; large samples and few epochs, as each
/// step costs; no masks, which would go by the seed; no keys held out but for testing.
pub(super) fn complete(params: &Params, privacy: &Privacy, keys: usize) -> Params {
    let mut own = params.clone();
    if own.cell != Some(Cell::Transformer) {
        own.hidden.get_or_insert_with(|| vec![32]);
    }
    own.embedding.get_or_insert(16);
    own.epochs.get_or_insert(EPOCHS);
    own.batch_size
        .get_or_insert((keys / SAMPLES).clamp(32, 8192));
    own.learning_rate.get_or_insert(0.01);
    own.l2.get_or_insert(0.0);
    own.test_size.get_or_insert(TEST_SIZE);
    own.dropout = Some(0.0);
    own.gradient_clip = Some(privacy.clip);
    own.mixture = Some(false);
    own.negatives = Some(0);
    own.early_stopping = Some(false);
    own.validation_size = Some(0.0);
    own
}
