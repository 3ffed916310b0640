//! Training in shards, so that to forget a row takes a part of the training (SISA: Bourtoule and others 2021, "Machine unlearning").
//!
//! Where a row stands is decided by its key alone: in the test part, or in one of the shards, of which each has training and validation
//! rows of its own and a model that sees no others. The models answer together, each with the same share. What is learned of columns
//! comes from the first shard, so that a row of another one has no part in the others. The caller asks for nothing that looks at all rows
//! (a search, segments, cleaning, weights by group) and for no task of two models. A shard whose prepared rows are those of a
//! version there is keeps that version's model: training is the same for the same rows, so that it would come out the same.

use super::finish::{self, Judged};
use super::guard;
use super::prepare::{Matrices, prepare};
use super::split::Parts;
use super::target::Answers;
use super::{Cleaning, FitError, Progress, Request};
use crate::artifact::{Artifact, Shard};
use crate::infer::answers;
use crate::models::Part;
use crate::params::ValidParams;
use crate::recipe::Matrix;
use crate::train::{HeldOut, Rows, Step, Trained};
use hmac::digest::Digest;
use sha2::Sha256;
use std::time::Instant;

/// Fewer training rows teach nothing.
const FEWEST_ROWS: usize = 20;

/// How rows are dealt to shards.
#[derive(Debug, Clone)]
pub struct Shards {
    /// From 2 on.
    pub count: usize,
    /// Of each row of the frame, a 64-bit hash of its key.
    pub keys: Vec<u64>,
}

/// The parts of each shard, and the test rows of all.
struct Dealt {
    shards: Vec<Parts>,
    test: Vec<u32>,
}

/// Fits a model in shards; `report` answers whether to go on. What the deployed version knows of a shard that has not changed is kept.
///
/// # Errors
/// Those of a fit; 22023 for a shard without rows enough, or of each class.
pub(super) fn on(
    request: &mut Request,
    answers: &Answers,
    shards: &Shards,
    cleaning: Cleaning,
    started: Instant,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Judged, FitError> {
    let sizes = request.params.check(answers.task, answers.rows.len())?;
    let Dealt {
        shards: mut dealt,
        test,
    } = deal(shards, answers, &sizes);
    check(&dealt, answers, request.champion.is_some())?;
    let mut prepared = prepare(request, answers, &mut dealt[0], cleaning, report)?;
    // Rows of one key stay together.
    prepared.params.folds = 1;
    super::go(report(&Progress::phase("training")))?;
    let mut fitting = Fitting {
        request,
        answers,
        shards,
        notes: Vec::new(),
        trained: Trained {
            parts: Vec::new(),
            history: Vec::new(),
            best_epoch: 0,
            stopped_by: "epochs",
            held_out: None,
        },
    };
    for (at, parts) in dealt.iter().enumerate() {
        let gone = started.elapsed().as_secs_f64();
        let left = |s: f64| (s - gone).max(s / 4.0) / (shards.count - at) as f64;
        let seconds = prepared.params.max_seconds.map(left);
        let mut params = request.params.check(answers.task, parts.train.len())?;
        params.preparation = prepared.params.preparation.clone();
        params.folds = 1;
        let first = &prepared.matrices;
        if at == 0 {
            fitting.shard(first, params, parts, seconds, report)?;
        } else {
            let (recipe, scale) = (first.recipe.clone(), first.scale.clone());
            let frame = &request.frame;
            let matrices =
                Matrices::scaled((recipe, false), frame, answers, parts, &params, scale)?;
            fitting.shard(&matrices, params, parts, seconds, report)?;
        }
    }
    let Fitting { trained, notes, .. } = fitting;
    let parts = together(dealt, test);
    prepared.notes.shared_rows = guard::shared(request, &prepared.matrices.recipe, &parts);
    super::go(report(&Progress::phase("evaluating")))?;
    let held_out = held_out(&prepared.matrices, request, &parts, &trained.parts);
    let params = prepared.params.clone();
    let seconds = started.elapsed().as_secs_f64();
    let mut artifact = finish::artifact(request, answers, &parts, prepared, trained, seconds);
    artifact.provenance.shards = notes;
    let frame = &request.frame;
    finish::judge(artifact, frame, answers, parts, &params, held_out, report)
}

/// Shards so far.
struct Fitting<'a> {
    request: &'a Request,
    answers: &'a Answers,
    shards: &'a Shards,
    notes: Vec<Shard>,
    trained: Trained,
}

impl Fitting<'_> {
    /// Trains a shard, or takes its model from the version before.
    fn shard(
        &mut self,
        matrices: &Matrices,
        mut params: ValidParams,
        parts: &Parts,
        seconds: Option<f64>,
        report: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<(), FitError> {
        let keys = parts.train.iter().chain(&parts.validation);
        let keys = keys.map(|row| self.shards.keys[*row as usize]);
        let mut digest = self.digest(matrices, &params, keys.clone())?;
        let before = self.request.champion.as_ref();
        let kept = before.and_then(|before| model_of(&before.artifact, &digest));
        let reused = kept.is_some();
        let mut stopped_by = "";
        let mut own: Vec<Part> = match kept {
            Some(kept) => kept.to_vec(),
            None => {
                params.max_seconds = seconds;
                let (shard, count) = (self.notes.len() as u32 + 1, self.shards.count as u32);
                let mut step = |step: &Step| {
                    report(&Progress {
                        fold: shard,
                        folds: count,
                        ..Progress::of_step(step)
                    })
                };
                let place = &self.request.device;
                let meant = place.device();
                let trained = matrices.train(&params, place, &mut step)?;
                if place.device() != meant {
                    digest = self.digest(matrices, &params, keys)?;
                }
                if trained.stopped_by == "max_seconds" || self.trained.history.is_empty() {
                    self.trained.stopped_by = trained.stopped_by;
                    self.trained.best_epoch = trained.best_epoch;
                    self.trained.history = trained.history;
                }
                stopped_by = trained.stopped_by;
                let mut own = trained.parts;
                let share = 1.0 / self.shards.count as f64;
                own.iter_mut().for_each(|part| part.share *= share);
                own
            }
        };
        self.notes.push(Shard {
            rows: parts.train.len() as u64,
            parts: own.len(),
            digest,
            reused,
            cut_short: stopped_by == "max_seconds",
        });
        self.trained.parts.append(&mut own);
        Ok(())
    }

    /// What a shard's model depends on: its prepared rows and their keys, how it is trained, and by what.
    fn digest(
        &self,
        matrices: &Matrices,
        params: &ValidParams,
        keys: impl Iterator<Item = u64>,
    ) -> Result<String, FitError> {
        let (answers, request) = (self.answers, self.request);
        let mut sha = Sha256::new();
        let how = ValidParams {
            max_seconds: None,
            ..params.clone()
        };
        let by = (
            env!("CARGO_PKG_VERSION"),
            format!("{:?}", request.device.device()),
        );
        let what = (&how, &answers.labels, answers.task, self.shards.count, by);
        let what = serde_json::to_vec(&what).map_err(|e| {
            FitError::new("XX000", "options cannot be written").detail(e.to_string())
        })?;
        sha.update(what);
        sha.update(format!("{:?} {}", matrices.output, matrices.outputs));
        keys.for_each(|key| sha.update(key.to_le_bytes()));
        add_rows(&mut sha, &matrices.train);
        add_rows(&mut sha, &matrices.validation);
        let hash = sha.finalize();
        Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// A number from 0 up to 1 made of a hash.
fn uniform(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// Mixes a hash with another number (Steele and others 2014, the finaliser of SplitMix64).
fn mixed(hash: u64, with: u64) -> u64 {
    let x = hash ^ with.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Deals rows out by their keys, those of a part in the order of these, so that nothing depends on other rows.
fn deal(shards: &Shards, answers: &Answers, sizes: &ValidParams) -> Dealt {
    let key = |row: &u32| shards.keys[*row as usize];
    let mut rows = answers.rows.clone();
    rows.sort_by_key(|row| (key(row), *row));
    let mut dealt = Dealt {
        shards: (0..shards.count).map(|_| Parts::default()).collect(),
        test: Vec::new(),
    };
    for row in rows {
        let hash = mixed(key(&row), sizes.seed.wrapping_add(1));
        if uniform(hash) < sizes.test_size {
            dealt.test.push(row);
            continue;
        }
        let shard = mixed(hash, 2) % shards.count as u64;
        let own = &mut dealt.shards[shard as usize];
        match uniform(mixed(hash, 3)) < sizes.validation_size {
            true => own.validation.push(row),
            false => own.train.push(row),
        }
    }
    dealt
}

/// Whether there is enough to learn in each; to forget somebody, less is enough.
fn check(shards: &[Parts], answers: &Answers, again: bool) -> Result<(), FitError> {
    for (at, parts) in shards.iter().enumerate() {
        let what = match answers.lacking(&parts.train) {
            _ if again && !parts.train.is_empty() => continue,
            Some(class) => format!("no training row of class \"{}\"", answers.labels[class]),
            None if parts.train.len() < FEWEST_ROWS => "too few training rows".into(),
            None => continue,
        };
        let rows = parts.train.len();
        return Err(FitError::new(
            "22023",
            format!("shard {} of {} has {what}", at + 1, shards.len()),
        )
        .detail(format!("It has {rows} training rows in all."))
        .hint("Give fewer shards."));
    }
    Ok(())
}

fn add_rows(sha: &mut Sha256, rows: &Rows) {
    let Matrix {
        rows: count,
        numbers,
        codes,
        tokens,
        token_ends,
        inputs,
        singles,
        features,
    } = &rows.matrix;
    sha.update(count.to_le_bytes());
    sha.update(format!("{inputs:?} {singles:?} {features:?}"));
    for numbers in [numbers, &rows.targets, &rows.weights] {
        sha.update(numbers.len().to_le_bytes());
        numbers.iter().for_each(|x| sha.update(x.to_le_bytes()));
    }
    for codes in [codes, tokens] {
        sha.update(codes.len().to_le_bytes());
        codes.iter().for_each(|x| sha.update(x.to_le_bytes()));
    }
    token_ends.iter().for_each(|x| sha.update(x.to_le_bytes()));
}

/// The parts of a version that were made of a shard with this digest.
fn model_of<'a>(before: &'a Artifact, digest: &str) -> Option<&'a [Part]> {
    let mut first = 0;
    for own in &before.provenance.shards {
        let parts = before.parts.get(first..first + own.parts)?;
        if own.digest == digest && !own.cut_short {
            return Some(parts);
        }
        first += own.parts;
    }
    None
}

/// All shards' rows, ascending.
fn together(shards: Vec<Parts>, test: Vec<u32>) -> Parts {
    let mut all = Parts {
        test,
        ..Parts::default()
    };
    for own in shards {
        all.train.extend(own.train);
        all.validation.extend(own.validation);
    }
    for rows in [&mut all.train, &mut all.validation, &mut all.test] {
        rows.sort_unstable();
    }
    all
}

/// What all models together answer for the validation rows: of each one model has stopped by it, and none has learned from it.
fn held_out(
    first: &Matrices,
    request: &Request,
    parts: &Parts,
    models: &[Part],
) -> Option<HeldOut> {
    let rows = parts.validation.len();
    if rows == 0 {
        return None;
    }
    let matrix = first.recipe.transform(&request.frame, &parts.validation);
    let mut predictions = vec![0.0; rows * first.outputs];
    for part in models {
        let own = answers(&part.model, first.output, first.outputs, &matrix);
        for (sum, own) in predictions.iter_mut().zip(own) {
            *sum += part.share * own;
        }
    }
    let begin = parts.train.len() as u32;
    Some(HeldOut {
        rows: (begin..begin + rows as u32).collect(),
        predictions,
    })
}

#[cfg(test)]
#[path = "shards_test.rs"]
mod tests;
