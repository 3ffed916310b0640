//! A relation beside the rows a model was trained on: read here, compared in a child that may use every core.

use super::score;
use crate::error::{Error, Result};
use crate::job::trainer;
use crate::settings;
use insight_engine::drift::{Shift, drift};
use insight_engine::infer::Predictor;

/// An error for models that keep no statistics of their training rows.
pub fn needs_statistics(predictor: &Predictor) -> Result<()> {
    if predictor.artifact().statistics.is_empty() {
        return Err(Error::new(
            "55000",
            "the version keeps no statistics of its training rows",
        )
        .detail(match predictor.artifact().provenance.privacy {
            Some(_) => "It was trained under differential privacy and keeps nothing of its rows.",
            None => "It was trained by an earlier build.",
        })
        .hint(match predictor.artifact().provenance.privacy {
            Some(_) => "Train a model without the option \"privacy\", if who uses it may see rows.",
            None => "Train it again: SELECT * FROM insight_retrain('model').",
        }));
    }
    Ok(())
}

/// How far a relation has moved from the training rows; the columns that moved most first.
pub fn of(predictor: &Predictor, relation: &str) -> Result<Vec<Shift>> {
    needs_statistics(predictor)?;
    let frame = score::rows(predictor, relation)?;
    if frame.rows() == 0 {
        return Err(Error::new("22023", "the relation has no rows"));
    }
    let found = trainer::ask(settings::threads(), || drift(predictor, &frame))?;
    Ok(found.unwrap_or_default())
}
