//! The split into training, validation and test rows, fixed before anything is fitted.

use super::{FitError, target::Answers};
use crate::params::ValidParams;
use crate::random::Random;

/// More validation rows than this tell no more about when to stop.
const MAX_VALIDATION: usize = 50_000;

/// Rows of the frame, each in one part, ascending.
pub(super) struct Parts {
    pub train: Vec<u32>,
    pub validation: Vec<u32>,
    pub test: Vec<u32>,
}

/// Draws the parts by label, so that every class has its share in each (regression: at random).
pub(super) fn split(answers: &Answers, params: &ValidParams) -> Result<Parts, FitError> {
    let mut random = Random::new(params.seed);
    let mut groups: Vec<Vec<u32>> = vec![Vec::new(); answers.strata()];
    for &row in &answers.rows {
        groups[answers.stratum(row)].push(row);
    }
    let kept = answers.rows.len() as f64 * (1.0 - params.test_size);
    let validation_size = params
        .validation_size
        .min(MAX_VALIDATION as f64 / kept.max(1.0));
    let mut parts = Parts {
        train: Vec::new(),
        validation: Vec::new(),
        test: Vec::new(),
    };
    for mut rows in groups {
        random.shuffle(&mut rows);
        // At least one row of each class is left to learn from.
        let test = share(rows.len(), params.test_size).min(rows.len().saturating_sub(1));
        let rest = rows.len() - test;
        let validation = share(rest, validation_size).min(rest.saturating_sub(1));
        parts.test.extend(&rows[..test]);
        parts.validation.extend(&rows[test..test + validation]);
        parts.train.extend(&rows[test + validation..]);
    }
    answers.cover(&mut parts);
    for part in [&mut parts.train, &mut parts.validation, &mut parts.test] {
        part.sort_unstable();
    }
    if parts.test.is_empty() && parts.validation.is_empty() {
        return Err(
            FitError::new("22023", "no row is left to judge the model by")
                .hint("Give test_size or validation_size above 0."),
        );
    }
    Ok(parts)
}

fn share(rows: usize, fraction: f64) -> usize {
    let exact = rows as f64 * fraction;
    if fraction > 0.0 && rows > 1 {
        (exact.round() as usize).max(1)
    } else {
        0
    }
}
