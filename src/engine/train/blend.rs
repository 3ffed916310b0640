//! Several kinds of models together, by shares found on rows they have not seen.

use super::folds::Folds;
use super::{Device, HeldOut, Step, Task, TrainError, Trained};
use crate::artifact::Epoch;
use crate::infer::answers;
use crate::models::Part;
use crate::params::Algorithm;
use std::time::Instant;

/// Models drawn for the ensemble, one at a time; a share is a multiple of one by their number.
const DRAWS: usize = 20;
/// A kind whose absence makes the loss larger by less than this share is not worth its time; a forest's deep trees take ten times
/// that of the others when predicting.
const WORTH: f64 = 0.0005;
const FOREST_WORTH: f64 = 0.005;
/// Trees of a forest, at least, where those asked for are shared out over the turns.
const FEWEST_TREES: usize = 50;
/// Beyond so many labels trees, one for each in every round, would take longer than they are worth.
const MOST_LABELS: usize = 20;
/// Beyond so many inputs a linear model takes longer than it is worth.
const MOST_INPUTS: usize = 2000;
/// Beyond so many rows a forest is larger than it is worth.
const FOREST_ROWS: usize = 20_000;

/// One kind of model, as far as it has been trained.
struct Member {
    kind: Algorithm,
    /// Leaves of its trees, where they are not those asked for.
    leaves: Option<usize>,
    /// One for each fold.
    parts: Vec<Part>,
    /// Answers for the rows held out so far, `[rows][outputs]`.
    held_out: Vec<f64>,
    history: Vec<Epoch>,
    best_epoch: u32,
    stopped_by: &'static str,
}

/// The kinds that may pay for what is to be learned.
fn kinds(task: &Task<'_>) -> Vec<Member> {
    if task.outputs > MOST_LABELS {
        return vec![Member::new(Algorithm::Dnn)];
    }
    let inputs = &task.train.matrix.inputs;
    let levels = inputs.categories.iter().map(|c| c.levels);
    let width = inputs.numbers + levels.sum::<usize>();
    let mut kinds = vec![Algorithm::Gbdt];
    let usual = task.objective().is_usual();
    if usual && width <= MOST_INPUTS {
        kinds.push(Algorithm::Linear);
    }
    if usual && task.train.matrix.rows <= FOREST_ROWS {
        kinds.push(Algorithm::RandomForest);
    }
    kinds.push(Algorithm::Dnn);
    let mut members: Vec<Member> = kinds.into_iter().map(Member::new).collect();
    // Small trees learn less of the noise of few rows, large ones how several inputs go together.
    if let Some(leaves) = task.params.boosting.or_max_leaf_nodes {
        members.push(Member {
            leaves: Some(leaves),
            ..Member::new(Algorithm::Gbdt)
        });
        // The network comes last: it has what the others leave of the time.
        let network = members.len() - 2;
        members.swap(network, network + 1);
    }
    members
}

/// Trains several kinds of models and takes them by shares (Caruana et al. 2004, "Ensemble selection from libraries of
/// models"), found on rows the models have not seen: with `folds` above 1 each part of the training and validation rows is
/// held out in turn, and the models of all turns are averaged (cross-validation committees, Parmanto et al. 1996); with 1 these
/// are the validation rows. Without any, boosted trees and a network have half each.
pub(super) fn auto(
    task: &Task<'_>,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let started = Instant::now();
    let Some(validation) = &task.validation else {
        return blind(task, device, report);
    };
    let folds = match task.params.folds {
        0 | 1 => None,
        count => Some((Folds::deal(task, validation, count), count)),
    };
    let turns = folds.as_ref().map_or(1, |(_, count)| *count);
    let mut members = kinds(task);
    let mut judged: Vec<u32> = Vec::new();
    let mut longest: f64 = 0.0;
    for turn in 0..turns {
        let begun = started.elapsed().as_secs_f64();
        let late = |budget: f64| begun + longest > budget;
        if turn > 0 && task.params.max_seconds.is_some_and(late) {
            members
                .iter_mut()
                .for_each(|m| m.stopped_by = "max_seconds");
            break;
        }
        let clock = Clock {
            started,
            whole: task.params.max_seconds,
        };
        match &folds {
            None => {
                take_turn(task, &mut members, turn, &clock, device, report)?;
                let first = task.train.matrix.rows as u32;
                judged = (first..first + validation.matrix.rows as u32).collect();
            }
            Some((folds, _)) => {
                let (train, held, rows) = folds.fold(turn);
                let own = Task {
                    train: train.examples(),
                    validation: Some(held.judges()),
                    ..*task
                };
                take_turn(&own, &mut members, turn, &clock, device, report)?;
                judged.extend(rows);
            }
        }
        longest = longest.max(started.elapsed().as_secs_f64() - begun);
    }
    if members.is_empty() {
        return Err(TrainError::Diverged { epoch: 0 });
    }
    let own;
    let part = match &folds {
        None => validation,
        Some((folds, _)) => {
            own = folds.targets(&judged);
            &own.judges()
        }
    };
    let objective = task.objective().steep();
    let loss = |answers: &[f64]| objective.mean(answers, part);
    let all: Vec<&[f64]> = members.iter().map(|m| &m.held_out[..]).collect();
    let worth: Vec<f64> = members.iter().map(Member::worth).collect();
    let shares = shares(&all, &worth, loss);
    let predictions = mix(&all, &shares);
    let mut trained = finish(members, &shares);
    trained.held_out = Some(HeldOut::sorted(judged, predictions, task.outputs));
    Ok(trained)
}

impl Member {
    fn worth(&self) -> f64 {
        match self.kind {
            Algorithm::RandomForest => FOREST_WORTH,
            _ => WORTH,
        }
    }

    fn new(kind: Algorithm) -> Member {
        Member {
            kind,
            leaves: None,
            parts: Vec::new(),
            held_out: Vec::new(),
            history: Vec::new(),
            best_epoch: 0,
            stopped_by: "epochs",
        }
    }
}

/// How the time there is goes on.
struct Clock {
    started: Instant,
    whole: Option<f64>,
}

impl Clock {
    /// For the next model: what is left of the time, for all but a network a quarter of the whole at most.
    fn next(&self, kind: Algorithm) -> Option<f64> {
        let whole = self.whole?;
        let left = (whole - self.started.elapsed().as_secs_f64()).max(whole / 100.0);
        Some(match kind {
            Algorithm::Dnn => left,
            Algorithm::Gbdt => left.min(whole / 4.0),
            _ => left.min(whole / 8.0),
        })
    }
}

/// Trains each kind on the training rows of a task, by its validation rows. A kind that diverges is left out.
fn take_turn(
    task: &Task<'_>,
    members: &mut Vec<Member>,
    turn: usize,
    clock: &Clock,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<(), TrainError> {
    let Some(unseen) = &task.validation else {
        return Ok(());
    };
    let mut error = None;
    let mut kept = Vec::new();
    for mut member in members.drain(..) {
        if error.is_some() {
            break;
        }
        let mut params = task.params.clone();
        params.algorithm = member.kind;
        params.boosting.max_leaf_nodes = member.leaves.unwrap_or(params.boosting.max_leaf_nodes);
        params.boosting.or_max_leaf_nodes = None;
        params.penalty = None;
        params.trees = (params.trees / params.folds.max(1))
            .max(FEWEST_TREES)
            .min(params.trees);
        params.seed = params.seed.wrapping_add(turn as u64);
        params.max_seconds = clock.next(member.kind);
        match super::one(&task.with(&params), device, report) {
            Ok(trained) => {
                for part in &trained.parts {
                    let own = answers(&part.model, task.output, task.outputs, unseen.matrix);
                    member.held_out.extend(own);
                }
                member.parts.extend(trained.parts);
                if turn == 0 {
                    member.history = trained.history;
                    member.best_epoch = trained.best_epoch;
                    member.stopped_by = trained.stopped_by;
                }
                kept.push(member);
            }
            Err(TrainError::Diverged { .. }) => {}
            Err(other) => error = Some(other),
        }
    }
    *members = kept;
    error.map_or(Ok(()), Err)
}

/// Boosted trees and a network, half each: nothing tells how good they are.
fn blind(
    task: &Task<'_>,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let clock = Clock {
        started: Instant::now(),
        whole: task.params.max_seconds,
    };
    let mut members = Vec::new();
    for Member { kind, leaves, .. } in kinds(task) {
        if leaves.is_some() || !matches!(kind, Algorithm::Gbdt | Algorithm::Dnn) {
            continue;
        }
        let mut params = task.params.clone();
        params.algorithm = kind;
        params.max_seconds = clock.next(kind);
        match super::one(&task.with(&params), device, report) {
            Ok(trained) => members.push(Member {
                parts: trained.parts,
                history: trained.history,
                best_epoch: trained.best_epoch,
                stopped_by: trained.stopped_by,
                ..Member::new(kind)
            }),
            Err(TrainError::Diverged { .. }) if !members.is_empty() => {}
            Err(other) => return Err(other),
        }
    }
    let shares = vec![1.0 / members.len() as f64; members.len()];
    Ok(finish(members, &shares))
}

/// The models with a share. The history is the network's, else that of the kind with the largest share.
fn finish(members: Vec<Member>, shares: &[f64]) -> Trained {
    let used = members
        .into_iter()
        .zip(shares)
        .filter(|(_, share)| **share > 0.0);
    let used: Vec<(Member, f64)> = used.map(|(member, share)| (member, *share)).collect();
    let shown = used.iter().max_by(|(a, share), (b, other)| {
        let network = |m: &Member| m.kind == Algorithm::Dnn;
        network(a).cmp(&network(b)).then(share.total_cmp(other))
    });
    let (history, best_epoch, stopped_by) = match shown {
        Some((member, _)) => (member.history.clone(), member.best_epoch, member.stopped_by),
        None => (Vec::new(), 0, "epochs"),
    };
    let parts = used.into_iter().flat_map(|(member, share)| {
        let share = share / member.parts.len().max(1) as f64;
        member
            .parts
            .into_iter()
            .map(move |part| Part { share, ..part })
    });
    Trained {
        parts: parts.collect(),
        history,
        best_epoch,
        stopped_by,
        held_out: None,
    }
}

/// Shares that make the loss of the sum small: beginning with the best, the one that helps most is drawn, again and again, and
/// the best so far is taken; then those go without which the loss is hardly larger: by a share of it that each is `worth`.
fn shares(all: &[&[f64]], worth: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut drawn = vec![0usize; all.len()];
    let mut best = (f64::INFINITY, drawn.clone());
    let of = |drawn: &[usize]| -> Vec<f64> {
        let total = drawn.iter().sum::<usize>().max(1) as f64;
        drawn.iter().map(|count| *count as f64 / total).collect()
    };
    for _ in 0..DRAWS {
        let tried = (0..all.len()).map(|next| {
            let mut with = drawn.clone();
            with[next] += 1;
            (loss(&mix(all, &of(&with))), with)
        });
        let Some(next) = tried.min_by(|a, b| a.0.total_cmp(&b.0)) else {
            break;
        };
        drawn.clone_from(&next.1);
        if next.0 < best.0 {
            best = next;
        }
    }
    let mut kept = best.1;
    loop {
        let without = (0..all.len()).filter(|i| kept[*i] > 0).filter_map(|i| {
            let mut rest = kept.clone();
            rest[i] = 0;
            let any = rest.iter().any(|count| *count > 0);
            let larger = loss(&mix(all, &of(&rest))) - best.0;
            (any && larger <= worth[i] * best.0.abs()).then_some((larger, rest))
        });
        match without.min_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((_, rest)) => kept = rest,
            None => return of(&kept),
        }
    }
}

fn mix(all: &[&[f64]], shares: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; all.first().map_or(0, |own| own.len())];
    for (own, share) in all.iter().zip(shares).filter(|(_, share)| **share > 0.0) {
        out.iter_mut()
            .zip(*own)
            .for_each(|(sum, x)| *sum += share * x);
    }
    out
}

#[cfg(test)]
#[path = "blend_test.rs"]
mod tests;
