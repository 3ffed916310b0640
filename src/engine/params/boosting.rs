//! Hyper-parameters of boosted trees.

use serde::{Deserialize, Serialize};

/// How boosted trees grow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Boosting {
    /// Leaves of a tree, at most.
    pub max_leaf_nodes: usize,
    /// An ensemble has trees of so many leaves, too; of boosted trees alone the validation rows choose.
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
