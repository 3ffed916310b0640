//! What a waiting caller is told at the end.

use insight_engine::artifact::Artifact;
use pgrx::prelude::*;

/// Notices about columns and rows left out, and the scores on unseen rows.
pub fn tell(artifact: &Artifact) {
    let provenance = &artifact.provenance;
    for (column, reason) in &provenance.excluded {
        notice!("column \"{column}\" left out: {reason}");
    }
    if provenance.null_target_rows > 0 {
        notice!(
            "{} rows left out: target \"{}\" is NULL",
            provenance.null_target_rows,
            artifact.target.name
        );
    }
    let score = |name: &str| {
        artifact
            .evaluation
            .metrics
            .iter()
            .find(|m| m.metric == name && m.class.is_none())
            .map(|m| m.value)
    };
    let shown: Vec<String> = ["loss", "accuracy", "roc_auc", "rmse", "r2"]
        .iter()
        .filter_map(|name| score(name).map(|value| format!("{name} {value:.4}")))
        .collect();
    notice!(
        "test {} ({} unseen rows)",
        shown.join(", "),
        artifact.evaluation.rows
    );
}
