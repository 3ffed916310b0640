//! The guard against leakage: what is done about columns that give the target away and about test rows that were also
//! trained on.

use super::{FitError, Request, split::Parts, target::Answers};
use crate::profile::{duplicates::row_hashes, leakage, leakage::Leak};
use crate::recipe::Recipe;
use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

/// What to do about leakage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leakage {
    /// Say so and go on.
    #[default]
    Warn,
    /// Leave the columns out, and the rows out of the test part.
    Drop,
    /// Stop.
    Error,
}

/// Looks at the training rows alone and acts as the request asks; answers what was found and how many test rows were also
/// trained on. Columns named in `include` are meant, and stay.
pub(super) fn watch(
    request: &Request,
    answers: &Answers,
    columns: &mut Vec<usize>,
    excluded: &mut Vec<(String, String)>,
    parts: &mut Parts,
) -> Result<(Vec<Leak>, usize), FitError> {
    let frame = &request.frame;
    let outcome = leakage::Outcome {
        target: &frame.columns[answers.column],
        regression: answers.is_number(),
        time: request
            .outcome_time
            .as_ref()
            .and_then(|name| frame.column(name)),
    };
    let leaks = leakage::find(frame, columns, &outcome, &parts.train);
    let shared = shared_rows(request, columns, parts);
    match request.leakage {
        Leakage::Warn => {}
        Leakage::Error if leaks.is_empty() && shared.is_empty() => {}
        Leakage::Error => return Err(refuse(&leaks, shared.len(), parts.test.len())),
        Leakage::Drop => {
            let leaking = |position: &usize| {
                let name = &frame.columns[*position].name;
                !request.include.contains(name) && leaks.iter().any(|l| l.column == *name)
            };
            for position in columns.iter().filter(|p| leaking(p)) {
                let name = &frame.columns[*position].name;
                if let Some(leak) = leaks.iter().find(|l| l.column == *name) {
                    excluded.push((
                        name.clone(),
                        format!("gives the target away: {}", leak.reason),
                    ));
                }
            }
            columns.retain(|position| !leaking(position));
            if columns.is_empty() {
                return Err(refuse(&leaks, 0, 0));
            }
            parts.test.retain(|row| !shared.contains(row));
        }
    }
    Ok((leaks, shared.len()))
}

/// How many test rows equal a training row in every column of a recipe.
pub(super) fn shared(request: &Request, recipe: &Recipe, parts: &Parts) -> usize {
    let place = |name: &str| request.frame.columns.iter().position(|c| c.name == name);
    let columns = recipe.columns().iter();
    let columns: Vec<usize> = columns.filter_map(|c| place(&c.name)).collect();
    shared_rows(request, &columns, parts).len()
}

/// Test rows that equal a training row in every feature. Where rows repeat by their nature, because few columns have few
/// values, they say nothing.
fn shared_rows(request: &Request, columns: &[usize], parts: &Parts) -> HashSet<u32> {
    let train = row_hashes(&request.frame, columns, &parts.train, false);
    let known: HashSet<u64> = train.iter().copied().collect();
    if known.len() * 2 < train.len() {
        return HashSet::new();
    }
    row_hashes(&request.frame, columns, &parts.test, false)
        .into_iter()
        .zip(&parts.test)
        .filter_map(|(hash, row)| known.contains(&hash).then_some(*row))
        .collect()
}

fn refuse(leaks: &[Leak], shared: usize, test: usize) -> FitError {
    let mut found: Vec<String> = leaks
        .iter()
        .map(|leak| format!("\"{}\": {}.", leak.column, leak.reason))
        .collect();
    if shared > 0 {
        found.push(format!(
            "{shared} of {test} test rows equal a training row in every feature."
        ));
    }
    FitError::new("22023", "the data gives the target away")
        .detail(found.join("\n"))
        .hint("Name the columns in the option exclude, remove duplicate rows, or set leakage to drop or warn.")
}
