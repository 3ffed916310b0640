//! Intervals that are wide where errors are large: a model of the errors of held-out rows, used where it pays.

use super::{FitError, Progress, canceled};
use crate::conformal::{Conformal, Held, Spread, bounds};
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
/// The mean interval score must fall by this share, and by so many standard errors of the difference.
const PAYS: f64 = 0.01;
const CLEARLY: f64 = 2.0;
/// The coverages it is judged at.
const COVERAGES: [f64; 3] = [0.8, 0.9, 0.95];
/// Rows of a group of about equal prediction, at least.
const GROUP_ROWS: usize = 200;
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
    let plain = |all: &[Outcome]| all.iter().map(|o| held(o, 1.0)).collect::<Vec<Held>>();
    let scaled = |all: &[Outcome]| -> Vec<Held> {
        let rows: Vec<u32> = all.iter().map(|o| o.row).collect();
        let matrix = recipe.transform(frame, &rows);
        let (numbers, codes) = (matrix.inputs.numbers, matrix.inputs.categories.len());
        let each = all.iter().enumerate().map(|(i, o)| {
            let numbers = &matrix.numbers[i * numbers..(i + 1) * numbers];
            let codes = &matrix.codes[i * codes..(i + 1) * codes];
            held(o, spread.of(o.prediction, numbers, codes))
        });
        each.collect()
    };
    // Groups of predictions are finer the more rows there are: they may take what is better.
    let judged = plain(&judges);
    let all = [plain(&teach), judged.clone()].concat();
    let by_groups = [judged.clone(), all].map(|rows| {
        let known = Conformal::of_errors(rows, None);
        scores(&known, &judged)
    });
    let judged = scaled(&judges);
    let by_spread = scores(&Conformal::of_errors(judged.clone(), None), &judged);
    if !by_groups.iter().all(|other| pays(&by_spread, other)) {
        return Ok(None);
    }
    Ok(Some(Conformal::of_errors(scaled(&settle), Some(spread))))
}

/// Whether scores are smaller than those of the same rows beside them, clearly and by enough.
fn pays(own: &[f64], other: &[f64]) -> bool {
    let gains: Vec<f64> = own.iter().zip(other).map(|(a, b)| b - a).collect();
    let rows = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / rows;
    let squares: f64 = gains.iter().map(|g| (g - mean).powi(2)).sum();
    let error = (squares / (rows - 1.0) / rows).sqrt();
    // Where an end is open nothing is greater.
    mean > CLEARLY * error && mean > PAYS * other.iter().sum::<f64>() / rows
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

/// Trees on absolute errors, relative to the mean of rows of about equal prediction, by the deviance of Poisson's distribution: what it is least for is the
/// mean, and it is never negative.
fn learn(
    teach: &[Outcome],
    judges: &[Outcome],
    frame: &Frame,
    recipe: &Recipe,
    params: &ValidParams,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Option<Spread>, FitError> {
    let mut known: Vec<Held> = teach.iter().map(|o| held(o, 1.0)).collect();
    known.sort_by(|a, b| a.prediction.total_cmp(&b.prediction));
    let bounds = bounds(&known, GROUP_ROWS);
    let mut sums = vec![(0.0, 0.0); bounds.len() + 1];
    for row in &known {
        let (sum, rows) = &mut sums[bounds.partition_point(|b| *b <= row.prediction)];
        *sum += row.error.abs();
        *rows += 1.0;
    }
    let means: Vec<f64> = sums.iter().map(|(sum, rows)| sum / rows).collect();
    if !means.iter().all(|m| *m > 0.0 && m.is_finite()) {
        return Ok(None);
    }
    let usual = |o: &Outcome| means[bounds.partition_point(|b| *b <= o.prediction)];
    let matrix = |all: &[Outcome]| {
        let rows: Vec<u32> = all.iter().map(|o| o.row).collect();
        recipe.transform(frame, &rows)
    };
    let targets = |all: &[Outcome]| -> Vec<f32> {
        let relative = all.iter().map(|o| (o.error.abs() / usual(o)) as f32);
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
        Some(Model::Trees(trees)) => Some(Spread {
            bounds,
            means,
            trees,
        }),
        _ => None,
    })
}

/// The interval score of each row, the mean over some coverages: width, and beyond an end 2/α times how far (Gneiting and Raftery
/// 2007). NaN where an end is open.
fn scores(known: &Conformal, rows: &[Held]) -> Vec<f64> {
    let of = |row: &Held, coverage: f64| {
        let (low, high) = known.interval(row.prediction, row.spread, coverage);
        let (Some(low), Some(high)) = (low, high) else {
            return f64::NAN;
        };
        let truth = row.prediction + row.error;
        let beyond = (low - truth).max(0.0) + (truth - high).max(0.0);
        high - low + 2.0 / (1.0 - coverage) * beyond
    };
    let mean = |row: &Held| {
        let all = COVERAGES.iter().map(|c| of(row, *c)).sum::<f64>();
        all / COVERAGES.len() as f64
    };
    rows.iter().map(mean).collect()
}

#[cfg(test)]
#[path = "spread_test.rs"]
mod tests;
