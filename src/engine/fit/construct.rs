//! Constructing features: numbers and categories made of two columns enter if a model with them does better on the validation
//! rows.

use super::trial::{AS_GOOD, Trials};
use super::{FitError, split::Parts};
use crate::profile::leakage::Outcome;
use crate::profile::{construction, crosses};
use crate::recipe::{Construct, Constructed, describe::cross_name};
use crate::train::Step;
use serde::{Deserialize, Serialize};

/// What became of features that were made together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Construction {
    pub features: Vec<String>,
    pub kept: bool,
    /// Validation losses of short trainings.
    pub loss_without: f64,
    pub loss_with: f64,
}

/// Features made of two columns that a model does better with; also what was tried, in words. Numbers are tried first, then
/// categories beside the numbers that were kept.
pub(super) fn construct(
    trials: &Trials<'_>,
    columns: &[usize],
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<(Constructed, Vec<Construction>), FitError> {
    let frame = &trials.request.frame;
    let outcome = Outcome {
        target: &frame.columns[trials.answers.column],
        regression: trials.answers.is_number(),
        time: None,
    };
    let Parts {
        train, validation, ..
    } = trials.parts;
    let (mut kept, mut tried) = (Constructed::default(), Vec::new());
    if validation.is_empty() {
        return Ok((kept, tried));
    }
    let wanted = trials.params.construct;
    let name = |position: usize| frame.columns[columns[position]].name.as_str();
    let mut proposals: Vec<(Constructed, Vec<String>)> = Vec::new();
    if matches!(wanted, Construct::Auto | Construct::Pairs) {
        let pairs = construction::propose(frame, columns, &outcome, train);
        let named = pairs.iter().map(|p| p.name(name(p.left), name(p.right)));
        let names = named.collect();
        let crosses = Vec::new();
        proposals.push((Constructed { pairs, crosses }, names));
    }
    if matches!(wanted, Construct::Auto | Construct::Crosses) {
        let crosses = crosses::propose(frame, columns, &outcome, train);
        let named = crosses.iter().map(|&(l, r)| cross_name(name(l), name(r)));
        let names = named.collect();
        let pairs = Vec::new();
        proposals.push((Constructed { pairs, crosses }, names));
    }
    let mut without = None;
    for (proposed, features) in proposals.into_iter().filter(|(_, names)| !names.is_empty()) {
        let before = match without {
            Some(loss) => loss,
            None => trials.loss(columns, &kept, report)?,
        };
        let mut more = kept.clone();
        more.pairs.extend(proposed.pairs);
        more.crosses.extend(proposed.crosses);
        let after = trials.loss(columns, &more, report)?;
        let pays = after < before - AS_GOOD * before.abs();
        if pays {
            kept = more;
        }
        without = Some(if pays { after } else { before });
        tried.push(Construction {
            features,
            kept: pays,
            loss_without: before,
            loss_with: after,
        });
    }
    Ok((kept, tried))
}
