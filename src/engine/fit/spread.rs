//! Intervals that are wide where errors are large: a model of the errors of held-out rows, used where it pays.

use super::{FitError, Progress, canceled};
use crate::conformal::{Conformal, Held, Spread};
use crate::frame::Frame;
use crate::models::{Model, Output};
use crate::params::{Algorithm, Boosting, Loss, ValidParams};
use crate::random::Random;
use crate::recipe::Recipe;
use crate::train::{self, Device, Examples, TrainError};

/// Fewest rows that the errors are learned from, and as many that the intervals are.
const FEWEST: usize = 500;
/// More rows to learn from would only take longer.
const MOST: usize = 20_000;
/// Of the rows to learn from, the share that says when to stop, and whether it pays.
const JUDGES: f64 = 0.3;
/// The interval score must fall by this share.
const PAYS: f64 = 0.02;
/// The coverage it is judged at.
const COVERAGE: f64 = 0.9;
/// Share of the time of a training that it may take.
const TIME: f64 = 0.05;

/// A row that was held out.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    /// Of the frame.
    pub row: u32,
    /// Whether the recipe has learned from it.
    pub learned: bool,
    pub prediction: f64,
    /// Truth less prediction.
    pub error: f64,
}

/// Intervals by the spread of each row, if they are clearly better than those by groups of predictions. Other rows than those
/// that the spread is learned and judged from settle how wide they are, so that they cover what is asked as new rows will be.
///
/// # Errors
/// Only that of a training that is canceled.
pub(super) fn local(
    outcomes: &[Outcome],
    frame: &Frame,
    recipe: &Recipe,
    params: &ValidParams,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Option<Conformal>, FitError> {
    let usable = |o: &&Outcome| o.prediction.is_finite() && o.error.is_finite();
    let outcomes: Vec<Outcome> = outcomes.iter().filter(usable).copied().collect();
    let Some((mut teach, settle)) = parted(outcomes, params.seed) else {
        return Ok(None);
    };
    let judges = teach.split_off(teach.len() - (teach.len() as f64 * JUDGES) as usize);
    let Some(spread) = learn(&teach, &judges, frame, recipe, params, report)? else {
        return Ok(None);
    };
    let usual = |all: &[Outcome]| all.iter().map(|o| held(o, 1.0)).collect::<Vec<Held>>();
    let scaled = |all: &[Outcome]| -> Vec<Held> {
        let rows: Vec<u32> = all.iter().map(|o| o.row).collect();
        let matrix = recipe.transform(frame, &rows);
        let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
        let each = all.iter().enumerate().map(|(i, o)| {
            let numbers = &matrix.numbers[i * numbers..(i + 1) * numbers];
            let codes = &matrix.codes[i * codes..(i + 1) * codes];
            held(o, spread.of(numbers, codes))
        });
        each.collect()
    };
    let plain = usual(&judges);
    let own = scaled(&judges);
    // Groups of more rows are more and finer: by groups may take what is better.
    let by_groups = f64::min(
        score(&Conformal::of_errors(plain.clone(), None), &plain),
        score(
            &Conformal::of_errors([usual(&teach), plain.clone()].concat(), None),
            &plain,
        ),
    );
    let by_spread = score(&Conformal::of_errors(own.clone(), None), &own);
    if by_spread.is_nan() || by_spread >= by_groups * (1.0 - PAYS) {
        return Ok(None);
    }
    Ok(Some(Conformal::of_errors(scaled(&settle), Some(spread))))
}

fn held(outcome: &Outcome, spread: f64) -> Held {
    Held {
        prediction: outcome.prediction,
        error: outcome.error,
        spread,
    }
}

/// Rows to learn from and rows that settle the intervals; `None`: too few. Where each row was held out in turn, the latter are
/// those that the recipe has not learned from, as new rows are.
fn parted(mut outcomes: Vec<Outcome>, seed: u64) -> Option<(Vec<Outcome>, Vec<Outcome>)> {
    let mut random = Random::new(seed ^ 0x6a09_e667);
    random.shuffle(&mut outcomes);
    let (mut teach, mut settle): (Vec<Outcome>, Vec<Outcome>) =
        outcomes.into_iter().partition(|o| o.learned);
    if teach.len() < FEWEST || settle.len() < FEWEST {
        settle.append(&mut teach);
        teach = settle.split_off(settle.len().div_ceil(2));
    }
    teach.truncate(MOST);
    (teach.len() >= FEWEST && settle.len() >= FEWEST).then_some((teach, settle))
}

/// Trees on absolute errors, relative to their mean, by the deviance of Poisson's distribution: what it is least for is the
/// mean, and it is never negative.
fn learn(
    teach: &[Outcome],
    judges: &[Outcome],
    frame: &Frame,
    recipe: &Recipe,
    params: &ValidParams,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Option<Spread>, FitError> {
    let mean = teach.iter().map(|o| o.error.abs()).sum::<f64>() / teach.len() as f64;
    if mean <= 0.0 || !mean.is_finite() {
        return Ok(None);
    }
    let matrix = |all: &[Outcome]| {
        let rows: Vec<u32> = all.iter().map(|o| o.row).collect();
        recipe.transform(frame, &rows)
    };
    let targets = |all: &[Outcome]| -> Vec<f32> {
        let relative = all.iter().map(|o| (o.error.abs() / mean) as f32);
        relative.collect()
    };
    let (known, unseen) = (matrix(teach), matrix(judges));
    let (known_targets, unseen_targets) = (targets(teach), targets(judges));
    let examples = |matrix, targets| Examples {
        matrix,
        targets,
        weights: &[],
    };
    let params = ValidParams {
        algorithm: Algorithm::Gbdt,
        loss: Loss::Poisson,
        max_seconds: params.max_seconds.map(|s| s * TIME),
        boosting: Boosting {
            max_leaf_nodes: 8,
            ..Boosting::default()
        },
        ..params.clone()
    };
    let trained = train::train(
        examples(&known, &known_targets),
        Some(examples(&unseen, &unseen_targets)),
        Output::Exp,
        1,
        &params,
        Device::Cpu,
        &mut |_| report(&Progress::phase("evaluating")),
    );
    let mut trained = match trained {
        Ok(trained) => trained,
        Err(TrainError::Canceled) => return Err(canceled()),
        // Intervals by groups do without.
        Err(_) => return Ok(None),
    };
    Ok(match trained.parts.pop().map(|part| part.model) {
        Some(Model::Trees(trees)) => Some(Spread { trees }),
        _ => None,
    })
}

/// The mean interval score: width, and beyond an end 2/α times how far (Gneiting and Raftery 2007). NaN where an end is open.
fn score(known: &Conformal, rows: &[Held]) -> f64 {
    let alpha = 1.0 - COVERAGE;
    let each = rows.iter().map(|row| {
        let (low, high) = known.interval(row.prediction, row.spread, COVERAGE);
        let (Some(low), Some(high)) = (low, high) else {
            return f64::NAN;
        };
        let truth = row.prediction + row.error;
        let beyond = (low - truth).max(0.0) + (truth - high).max(0.0);
        high - low + 2.0 / alpha * beyond
    });
    each.sum::<f64>() / rows.len() as f64
}

#[cfg(test)]
#[path = "spread_test.rs"]
mod tests;
