//! Hyper-parameter search: many trainings on the same prepared rows, judged by the validation rows alone.

mod halving;
mod space;
mod tpe;

use crate::artifact::Task;
use crate::params::{Algorithm, ParamError, Params, ValidParams};
use crate::random::Random;
use crate::train::{Step, TrainError, Trained};
use halving::Rungs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use space::Point;
pub use space::{Domain, Space};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Instant;

/// Trials side by side. A number of its own, so that what is tried does not depend on the machine.
pub const SIDE_BY_SIDE: usize = 4;
/// Epochs, and rounds of trees, of the first rung.
const FIRST_EPOCHS: u32 = 4;
const FIRST_ROUNDS: u32 = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    Tpe,
    Random,
    Grid,
}

/// The option `tune`.
///
/// | name | default | range | why |
/// |---|---|---|---|
/// | trials | 30 (grid: all) | 1 to 10,000 | the first is the defaults |
/// | strategy | tpe | tpe, random, grid | learns from earlier trials |
/// | space | by algorithm | options with arrays of values or ranges | what mattered on several tables |
/// | halving | true | boolean | trials that fall behind are stopped |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tune {
    pub trials: usize,
    pub strategy: Strategy,
    /// `None`: what is worth trying for the algorithm.
    pub space: Option<Space>,
    pub halving: bool,
}

/// A trial as people read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// From 1; the first is the defaults.
    pub trial: u32,
    /// `complete`, `stopped` (it fell behind), `failed` (it diverged).
    pub status: String,
    /// The options that were tried.
    pub options: Map<String, Value>,
    /// Lowest validation loss; `None` for a trial that failed.
    pub loss: Option<f64>,
    pub epochs: u32,
    pub seconds: f64,
    /// Whether its model was kept.
    pub best: bool,
}

/// A training under given hyper-parameters; the callback is called after each epoch at least. Answers the validation loss too.
pub type Train<'a> = &'a (
        dyn Fn(&ValidParams, &mut dyn FnMut(&Step) -> bool) -> Result<(Trained, f64), TrainError>
            + Sync
    );

/// What a search goes by.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    pub task: Task,
    /// Training rows, by which defaults go.
    pub rows: usize,
    /// For all trials together.
    pub seconds: Option<f64>,
    /// Trials at the same time; what is tried depends on it.
    pub side_by_side: usize,
    pub train: Train<'a>,
}

/// What a search found.
pub struct Found {
    pub trained: Trained,
    pub params: ValidParams,
    pub trials: Vec<Trial>,
}

impl Tune {
    /// Reads the option: true, or an object.
    pub fn read(value: &Value) -> Result<Option<Tune>, ParamError> {
        let empty = Map::new();
        let object = match value {
            Value::Null | Value::Bool(false) => return Ok(None),
            Value::Bool(true) => &empty,
            Value::Object(object) => object,
            _ => {
                return Err(wrong(
                    "an object or true",
                    "For example {\"tune\": {\"trials\": 30}}.",
                ));
            }
        };
        let known = ["halving", "space", "strategy", "trials"];
        if let Some(key) = object.keys().find(|k| !known.contains(&k.as_str())) {
            let known = format!("Known are: {}.", known.join(", "));
            let mut error = wrong("an object", &known);
            error.message = format!("unknown option \"{key}\" in tune");
            return Err(error);
        }
        let strategy = match object.get("strategy").map(|v| v.as_str()) {
            None | Some(Some("tpe")) => Strategy::Tpe,
            Some(Some("random")) => Strategy::Random,
            Some(Some("grid")) => Strategy::Grid,
            Some(_) => return Err(inner("strategy", "one of tpe, random, grid")),
        };
        let space = match object.get("space") {
            None => None,
            Some(Value::Object(space)) if !space.is_empty() => Some(Space::read(space)?),
            Some(_) => {
                return Err(inner(
                    "space",
                    "an object of options with the values to try",
                ));
            }
        };
        let endless = || {
            let ranges = space.as_ref().map(|s| s.combination(0).is_none());
            ranges.unwrap_or(true)
        };
        if strategy == Strategy::Grid && endless() {
            return Err(inner(
                "space",
                "an object of arrays for strategy grid, which has no ranges",
            ));
        }
        let trials = match object.get("trials") {
            None if strategy == Strategy::Grid => 10_000,
            None => 30,
            Some(value) => value
                .as_u64()
                .filter(|n| (1..=10_000).contains(n))
                .ok_or_else(|| inner("trials", "an integer from 1 to 10000"))?
                as usize,
        };
        let halving = match object.get("halving") {
            None => true,
            Some(value) => value
                .as_bool()
                .ok_or_else(|| inner("halving", "true or false"))?,
        };
        Ok(Some(Tune {
            trials,
            strategy,
            space,
            halving,
        }))
    }

    /// Whether it says what to try of an option.
    pub fn chooses(&self, option: &str) -> bool {
        let mut space = self.space.iter().flat_map(|space| &space.0);
        space.any(|(name, _)| name == option)
    }

    /// Searches. The first trial has the parameters as they are; the best by validation loss is kept. One trial at least is
    /// finished.
    ///
    /// # Errors
    /// [`TrainError::Canceled`]; what stopped the first trial, if no other succeeds.
    pub fn search(
        &self,
        params: &Params,
        ground: Ground<'_>,
        report: &mut dyn FnMut(&Step) -> bool,
    ) -> Result<Found, TrainError> {
        let started = Instant::now();
        let algorithm = params.algorithm.unwrap_or_default();
        let space = match &self.space {
            None => Space::of(algorithm),
            Some(space) => space.fitting(params, ground.task),
        };
        let mut random = Random::new(params.seed.unwrap_or(42) ^ 0x7e57_ab1e);
        let mut search = Search {
            space: &space,
            tried: Vec::new(),
            rungs: [Rungs::new(FIRST_EPOCHS), Rungs::new(FIRST_ROUNDS)],
            trials: Vec::new(),
            best: None,
            failure: None,
        };
        let mut combination = 0;
        while search.trials.len() < self.trials {
            let left = ground.seconds.map(|s| s - started.elapsed().as_secs_f64());
            if left.is_some_and(|left| left < 0.0) && search.best.is_some() {
                break;
            }
            let first = search.trials.is_empty();
            let room = self.trials - search.trials.len();
            let mut batch: Vec<Option<Point>> = Vec::new();
            // The defaults are tried alone: they are the model there is if time runs out.
            if first {
                batch.push(None);
            }
            while !first && batch.len() < ground.side_by_side.min(room) {
                let place = match self.strategy {
                    Strategy::Random => Some(space.draw(&mut random)),
                    Strategy::Tpe => Some(tpe::next(&space, &search.tried, &mut random)),
                    Strategy::Grid => space.combination(combination),
                };
                combination += 1;
                let Some(place) = place else { break };
                // Until it is known, a place is one not to try again.
                search.tried.push((place.clone(), f64::INFINITY));
                batch.push(Some(place));
            }
            if batch.is_empty() {
                break;
            }
            let halving = self.halving && !first;
            search.run(batch, params, &ground, left, halving, report)?;
        }
        let Some(best) = search.best else {
            return Err(search.failure.unwrap_or(TrainError::Diverged { epoch: 0 }));
        };
        let mut trials = search.trials;
        trials[best.trial].best = true;
        Ok(Found {
            trained: best.trained,
            params: best.params,
            trials,
        })
    }
}

/// The best trial so far.
struct Best {
    trial: usize,
    loss: f64,
    trained: Trained,
    params: ValidParams,
}

/// Where a search stands.
struct Search<'a> {
    space: &'a Space,
    tried: Vec<(Point, f64)>,
    /// Of networks, of trees.
    rungs: [Rungs; 2],
    trials: Vec<Trial>,
    best: Option<Best>,
    failure: Option<TrainError>,
}

/// How a trial ended.
struct Ended {
    result: Result<(Trained, f64), TrainError>,
    behind: bool,
    /// Lowest loss at each rung.
    reached: Vec<f64>,
    trees: bool,
    loss: f64,
    epochs: u32,
    seconds: f64,
}

impl Search<'_> {
    fn run(
        &mut self,
        batch: Vec<Option<Point>>,
        params: &Params,
        ground: &Ground<'_>,
        left: Option<f64>,
        halving: bool,
        report: &mut dyn FnMut(&Step) -> bool,
    ) -> Result<(), TrainError> {
        let mut jobs = Vec::with_capacity(batch.len());
        for place in &batch {
            let options = match place {
                Some(place) => self.space.options(place),
                None => self.space.start(),
            };
            // Options may exclude each other: such a place is no good.
            let valid = params
                .with(&options)
                .and_then(|p| p.check(ground.task, ground.rows));
            jobs.push((options, valid.ok()));
        }
        let first_place = self.tried.len() - batch.iter().flatten().count();
        let ended = side_by_side(&jobs, &self.rungs, left, halving, ground.train, report)?;
        for (i, ((options, valid), ended)) in jobs.into_iter().zip(ended).enumerate() {
            let mut trial = Trial {
                trial: self.trials.len() as u32 + 1,
                status: "failed".into(),
                options,
                loss: None,
                epochs: 0,
                seconds: 0.0,
                best: false,
            };
            if let (Some(params), Some(ended)) = (valid, ended) {
                self.rungs[usize::from(ended.trees)].note(&ended.reached);
                trial.epochs = ended.epochs;
                trial.seconds = ended.seconds;
                trial.loss = Some(ended.loss).filter(|l| l.is_finite());
                match ended.result {
                    Ok((trained, loss)) if loss.is_finite() => {
                        trial.status = "complete".into();
                        trial.loss = Some(loss);
                        if batch[i].is_some() {
                            self.tried[first_place + i].1 = loss;
                        }
                        if self.best.as_ref().is_none_or(|best| loss < best.loss) {
                            self.best = Some(Best {
                                trial: self.trials.len(),
                                loss,
                                trained,
                                params,
                            });
                        }
                    }
                    Ok(_) => {}
                    Err(_) if ended.behind => {
                        trial.status = "stopped".into();
                        // What it had is what is known of the place.
                        if batch[i].is_some() {
                            self.tried[first_place + i].1 = ended.loss;
                        }
                    }
                    Err(error) => {
                        self.failure.get_or_insert(error);
                    }
                }
            }
            self.trials.push(trial);
        }
        Ok(())
    }
}

/// Runs trials at the same time and relays their steps; `None` for those without parameters.
fn side_by_side(
    jobs: &[(Map<String, Value>, Option<ValidParams>)],
    rungs: &[Rungs; 2],
    left: Option<f64>,
    halving: bool,
    train: Train<'_>,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Vec<Option<Ended>>, TrainError> {
    let cancelled = AtomicBool::new(false);
    let results: Vec<Mutex<Option<Ended>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        let (sender, steps) = mpsc::channel::<Step>();
        for ((_, params), result) in jobs.iter().zip(&results) {
            let Some(params) = params else { continue };
            let (sender, cancelled) = (sender.clone(), &cancelled);
            scope.spawn(move || {
                let mut params = params.clone();
                params.max_seconds = left.map(|l| l.max(0.05));
                let ended = one(&params, rungs, halving, train, cancelled, &sender);
                if let Ok(mut slot) = result.lock() {
                    *slot = Some(ended);
                }
            });
        }
        drop(sender);
        // Ends when the last trial has dropped its sender.
        for step in steps {
            if !report(&step) {
                cancelled.store(true, Relaxed);
            }
        }
    });
    if cancelled.load(Relaxed) {
        return Err(TrainError::Canceled);
    }
    let taken = results
        .into_iter()
        .map(|slot| slot.into_inner().unwrap_or(None));
    Ok(taken.collect())
}

fn one(
    params: &ValidParams,
    rungs: &[Rungs; 2],
    halving: bool,
    train: Train<'_>,
    cancelled: &AtomicBool,
    sender: &mpsc::Sender<Step>,
) -> Ended {
    let started = Instant::now();
    let (mut behind, mut reached, mut trees) = (false, Vec::new(), false);
    let (mut lowest, mut epochs) = (f64::INFINITY, 0);
    // `auto` trains several kinds, one after the other: their epochs do not compare.
    let halving = halving && params.algorithm != Algorithm::Auto;
    let result = train(params, &mut |step| {
        if step.ended {
            lowest = lowest.min(step.validation_loss.unwrap_or(f64::INFINITY));
            epochs = step.epoch;
            trees = step.boosting;
            let own = &rungs[usize::from(trees)];
            if let Some(rung) = own.rung(step.epoch).filter(|r| *r == reached.len()) {
                reached.push(lowest);
                behind |= halving && !own.goes_on(rung, lowest);
            }
        }
        // Nobody listens any more only when the search is over.
        let _ = sender.send(step.clone());
        !behind && !cancelled.load(Relaxed)
    });
    Ended {
        result,
        behind,
        reached,
        trees,
        loss: lowest,
        epochs,
        seconds: started.elapsed().as_secs_f64(),
    }
}

fn wrong(must: &str, hint: &str) -> ParamError {
    ParamError {
        option: "tune".into(),
        message: format!("option \"tune\" must be {must}"),
        hint: hint.into(),
    }
}

fn inner(key: &str, must: &str) -> ParamError {
    ParamError {
        option: "tune".into(),
        message: format!("tune.{key} must be {must}"),
        hint: format!("Leave \"{key}\" out for its default."),
    }
}
