//! Training after a search for hyper-parameters. The search sees the training and validation rows alone.

use super::prepare::Matrices;
use super::{FitError, Request};
use crate::artifact::Task;
use crate::params::{Algorithm, ParamError, Params, ValidParams};
use crate::train::{Step, TrainError, Trained};
use crate::tune::{Found, Ground, SIDE_BY_SIDE, Trial, Tune};
use serde_json::Map;
use std::time::Instant;

/// Share of the time that a search may take where its results are trained with once more.
const SEARCHING: f64 = 0.6;

/// Searches as `tune` says and trains; answers the parameters that were chosen, too.
pub(super) fn tuned(
    tune: &Tune,
    request: &Request,
    task: Task,
    matrices: &Matrices,
    params: &ValidParams,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<(Trained, ValidParams, Vec<Trial>), FitError> {
    if matrices.validation.targets.is_empty() {
        return Err(
            FitError::new("22023", "option \"tune\" needs validation rows")
                .hint("Give validation_size above 0."),
        );
    }
    let started = Instant::now();
    let train = |wanted: &ValidParams, report: &mut dyn FnMut(&Step) -> bool| {
        let mut wanted = wanted.clone();
        // The rows are prepared.
        wanted.preparation = params.preparation.clone();
        // Where the split allows no folds, no trial has any.
        wanted.folds = wanted.folds.min(params.folds);
        let trained = matrices.train_beside(SIDE_BY_SIDE, &wanted, &request.device, report)?;
        let loss = matrices.loss(&trained, &wanted);
        Ok::<_, TrainError>((trained, loss))
    };
    let auto = params.algorithm == Algorithm::Auto && !tune.chooses("algorithm");
    let ground = Ground {
        task,
        rows: matrices.train.matrix.rows,
        seconds: params
            .max_seconds
            .map(|s| if auto { s * SEARCHING } else { s }),
        side_by_side: SIDE_BY_SIDE,
        train: &train,
    };
    if !auto {
        let mut found = tune.search(&request.params, ground, report)?;
        found.params.preparation = params.preparation.clone();
        found.params.folds = found.params.folds.min(params.folds);
        return Ok((found.trained, found.params, found.trials));
    }
    // Each kind by itself, then all together with what was found.
    let half = Tune {
        trials: tune.trials.div_ceil(2),
        ..tune.clone()
    };
    let ground = Ground {
        seconds: ground.seconds.map(|s| s / 2.0),
        ..ground
    };
    let mut trials = Vec::new();
    let mut search = |algorithm: Algorithm| -> Result<Found, FitError> {
        let own = alone(&request.params, algorithm, task)?;
        let mut found = half.search(&own, ground, report)?;
        let before = trials.len() as u32;
        for mut trial in std::mem::take(&mut found.trials) {
            trial.trial += before;
            let name = algorithm.name().into();
            trial.options.insert("algorithm".into(), name);
            trials.push(trial);
        }
        Ok(found)
    };
    let trees = search(Algorithm::Gbdt)?;
    let network = search(Algorithm::Dnn)?;
    let gone = started.elapsed().as_secs_f64();
    let both = ValidParams {
        boosting: trees.params.boosting,
        algorithm: Algorithm::Auto,
        folds: params.folds,
        preparation: params.preparation.clone(),
        max_seconds: params.max_seconds.map(|s| (s - gone).max(s / 10.0)),
        ..network.params
    };
    let trained = matrices.train(&both, &request.device, report)?;
    Ok((trained, both, trials))
}

/// The parameters of one kind: options of others are left out.
fn alone(params: &Params, algorithm: Algorithm, task: Task) -> Result<Params, ParamError> {
    let name = Map::from_iter([("algorithm".to_owned(), algorithm.name().into())]);
    let mut own = params.with(&name)?;
    if algorithm == Algorithm::Gbdt {
        // As they are given, they are the network's.
        let both = ["learning_rate", "l2"].map(|name| (name.to_owned(), serde_json::Value::Null));
        own = own.with(&Map::from_iter(both))?;
    }
    while let Err(error) = own.check(task, 1_000) {
        let without = Map::from_iter([(error.option.clone(), serde_json::Value::Null)]);
        let fewer = own.with(&without)?;
        // An error that is not about an option of others stays.
        if fewer.check(task, 1_000).err().as_ref() == Some(&error) {
            return Err(error);
        }
        own = fewer;
    }
    Ok(own)
}
