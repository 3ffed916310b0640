//! From a log to a model: split, read, train, mix, judge.

use super::counts::Counts;
use super::encode::{Encoder, Target, TargetOf};
use super::histories::Histories;
use super::judge::{self, Judge};
use super::log::Log;
use super::metrics::{self, Score};
use super::mixture::Mixture;
use super::model::SequenceModel;
use super::network::Network;
use super::packed::Stretch;
use super::params::{Params, ValidParams};
use super::split::{Part, SplitBy, by_key, by_step};
use super::train::{Task, go_on, train};
use crate::fit::{FitError, Progress};
use crate::train::Step;
use std::time::Instant;

/// What is learned from, chosen by and judged on.
pub(super) struct Stretches {
    train: Vec<Stretch>,
    validation: Vec<Stretch>,
    test: Vec<Stretch>,
}

/// Fits a model. Columns named in `aside` are not read; `report` answers whether to go on.
///
/// # Errors
/// Those of [`Encoder::fit`]; 22023 for options that cannot be used and for a log without anything to learn; 57014 where
/// `report` says to stop.
pub fn fit(
    log: &Log<'_>,
    target: &TargetOf,
    aside: &[String],
    params: &Params,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<SequenceModel, FitError> {
    if let Some(privacy) = &params.privacy {
        return super::private::fit(log, None, target, aside, params, privacy, report);
    }
    if let TargetOf::Count { horizon } = target {
        return super::counting::fit(log, *horizon, aside, params, report);
    }
    let started = Instant::now();
    let phase = |name: &str, report: &mut dyn FnMut(&Progress) -> bool| {
        let go = report(&Progress::phase(name));
        go.then_some(()).ok_or_else(crate::fit::canceled)
    };
    phase("preparing", report)?;
    let of_key = *target == TargetOf::Key;
    let mean_steps = log.steps() as f64 / log.keys.len().max(1) as f64;
    let sizes = params.check(log.calendar, mean_steps, 0)?;
    let parts = if of_key {
        by_key(
            log.keys.len(),
            sizes.validation_size,
            sizes.test_size,
            sizes.seed,
        )
    } else {
        by_step(log, sizes.split, sizes.validation_size, sizes.test_size)
    };
    let encoder = Encoder::fit(log, &parts, target, aside, sizes.max_items)?;
    let mut params = params.check(log.calendar, mean_steps, encoder.classes())?;
    let histories = encoder.encode(log);
    let stretches = cut(&histories, &parts, of_key);
    if stretches.train.is_empty() {
        return Err(FitError::new("22023", "there is nothing to learn from")
            .detail("No key has two rows in the part that is learned from.")
            .hint("Option \"key\" names the column that tells whose rows they are."));
    }
    let counts = class_counts(&encoder, &histories, &parts);
    let network = Network::new(&encoder, &params, &counts);
    let whole = params.max_seconds;
    // Something must be learned, and what comes after takes its time, too.
    params.max_seconds = whole.map(|s| (0.85 * s - started.elapsed().as_secs_f64()).max(s / 4.0));
    phase("training", report)?;
    let task = Task {
        histories: &histories,
        of_key,
        train: &stretches.train,
        validation: &stretches.validation,
        counts: &counts,
        params: &params,
    };
    let mut step = |step: &Step| report(&Progress::of_step(step));
    let (network, trained) = train(&task, network, &mut step)?;
    phase("evaluating", report)?;
    let mut go = || report(&Progress::phase("evaluating"));
    let fitting = Fitting {
        log,
        encoder: &encoder,
        parts: &parts,
        stretches: &stretches,
        task: &task,
        deadline: whole
            .map(|s| started + std::time::Duration::from_secs_f64((0.95 * s).clamp(0.0, 1e9))),
    };
    let finished = fitting.finish(network, &mut go)?;
    let answers =
        |part: &[Stretch]| -> u64 { part.iter().map(|s| u64::from(s.len - s.asked_from)).sum() };
    Ok(SequenceModel {
        network: finished.network,
        mixture: finished.mixture,
        purchases: None,
        scores: finished.scores,
        evaluated_on: finished.evaluated_on.into(),
        history: trained.history,
        best_epoch: trained.best_epoch,
        stopped_by: trained.stopped_by.into(),
        keys: log.keys.len() as u64,
        steps: log.steps() as u64,
        dropped: log.dropped as u64,
        train_answers: answers(&stretches.train),
        validation_answers: answers(&stretches.validation),
        test_answers: answers(&stretches.test),
        seconds: started.elapsed().as_secs_f64(),
        privacy: None,
        params: ValidParams {
            max_seconds: whole,
            ..params.clone()
        },
        encoder,
    })
}

/// What is fitted, and to what.
struct Fitting<'a> {
    log: &'a Log<'a>,
    encoder: &'a Encoder,
    parts: &'a [Part],
    stretches: &'a Stretches,
    task: &'a Task<'a>,
    /// No more is learned from then on.
    deadline: Option<Instant>,
}

/// What becomes of a trained network.
struct Finished {
    network: Network,
    mixture: Option<Mixture>,
    scores: Vec<Score>,
    evaluated_on: &'static str,
}

impl Fitting<'_> {
    /// Mixes in what counting knows, judges, and learns from the steps that were held out, in their order: what is judged on
    /// the test steps has learned from all steps before them, and what is kept from all there are.
    fn finish(
        &self,
        mut network: Network,
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Finished, FitError> {
        let (histories, params) = (self.task.histories, self.task.params);
        let mixture = self.mixture(&network, go)?;
        let (test, validation) = (&self.stretches.test, &self.stretches.validation);
        let (evaluated_on, judged) = match (test.is_empty(), validation.is_empty()) {
            (false, _) => ("test", test),
            (true, false) => ("validation", validation),
            (true, true) => ("none", test),
        };
        let mut counts = self.counts(|step| self.parts[step] == Part::Train);
        if evaluated_on == "test" {
            counts = self.counts(|step| self.parts[step] != Part::Test);
            network = self.learn_later(network, validation, go)?;
        }
        let before = mixture.as_ref().map(|m| m.recounted(counts.clone()));
        let shares = judge::label_shares(self.encoder, histories, self.parts);
        let judge = Judge::new(self.encoder, histories, &network, params);
        let scores = judge.scores(&counts, before.as_ref(), judged, &shares, go);
        let mut scores = scores.ok_or_else(crate::fit::canceled)?;
        metrics::retain_finite(&mut scores);
        network = self.learn_later(network, judged, go)?;
        Ok(Finished {
            mixture: mixture.map(|m| m.recounted(self.counts(|_| true))),
            network,
            scores,
            evaluated_on,
        })
    }

    /// Counts of the steps for which `counts` says so.
    fn counts(&self, counts: impl Fn(usize) -> bool) -> Counts {
        let Target::Category(at) = self.encoder.target else {
            return Counts::default();
        };
        let histories = self.task.histories;
        let classes = self.encoder.classes() - 1;
        Counts::new(histories, &histories.codes[at], classes, counts)
    }

    /// A mixture fitted to the later half of the validation steps, where those are parted by time: as in use, counting then
    /// knows what happened until shortly before.
    fn mixture(
        &self,
        network: &Network,
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Mixture>, FitError> {
        let (histories, params) = (self.task.histories, self.task.params);
        let stretches = &self.stretches.validation;
        let counts_at_all = matches!(self.encoder.target, Target::Category(_));
        if !counts_at_all || !params.mixture || stretches.is_empty() {
            return Ok(None);
        }
        let mut middle = f64::NEG_INFINITY;
        if params.split == SplitBy::Time {
            let held_out = self.parts.iter().zip(&self.log.times);
            let held_out = held_out.filter(|(part, _)| **part == Part::Validation);
            let mut times: Vec<f64> = held_out.map(|(_, time)| *time).collect();
            times.sort_unstable_by(f64::total_cmp);
            middle = times.get(times.len() / 2).copied().unwrap_or(middle);
        }
        let time = |step: usize| self.log.times[step];
        let late = |stretch: &Stretch| {
            let first = histories.offsets[stretch.key as usize];
            let mut asked = stretch.asked_from..stretch.len;
            let asked_from = asked.find(|at| time(first + *at as usize + 1) >= middle)?;
            Some(Stretch {
                asked_from,
                ..*stretch
            })
        };
        let late: Vec<Stretch> = stretches.iter().filter_map(late).collect();
        let counts = self.counts(|step| match self.parts[step] {
            Part::Train => true,
            Part::Validation => time(step) < middle,
            Part::Test => false,
        });
        let judge = Judge::new(self.encoder, histories, network, params);
        let given = judge.given(&counts, &late, go);
        let given = given.ok_or_else(crate::fit::canceled)?;
        let mut mixture = Mixture::fit(counts, &given);
        let scale = judge.scale(&mixture, &late, go);
        mixture.scale = scale.ok_or_else(crate::fit::canceled)?;
        Ok(Some(mixture))
    }

    /// Steps of all keys go on from those that are known; keys that were held out do not.
    fn learn_later(
        &self,
        network: Network,
        stretches: &[Stretch],
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Network, FitError> {
        if self.task.of_key {
            return Ok(network);
        }
        Ok(go_on(self.task, network, stretches, self.deadline, go)?)
    }
}

/// Cuts histories into what is learned from, chosen by and judged on. A stretch begins with its key's first step.
pub(super) fn cut(histories: &Histories, parts: &[Part], of_key: bool) -> Stretches {
    let mut out = Stretches {
        train: Vec::new(),
        validation: Vec::new(),
        test: Vec::new(),
    };
    for (key, range) in histories.offsets.windows(2).enumerate() {
        let mut add = |part: Part, len: usize, asked_from: usize| {
            let own = match part {
                Part::Train => &mut out.train,
                Part::Validation => &mut out.validation,
                Part::Test => &mut out.test,
            };
            if len > asked_from {
                own.push(Stretch {
                    key: key as u32,
                    len: len as u32,
                    asked_from: asked_from as u32,
                });
            }
        };
        if of_key {
            let len = range[1] - range[0];
            add(parts[key], len, len - 1);
            continue;
        }
        let own = &parts[range[0]..range[1]];
        let until = |part: fn(&Part) -> bool| own.iter().take_while(|p| part(p)).count();
        let train = until(|p| *p == Part::Train);
        let validation = until(|p| *p != Part::Test);
        // The last step of a stretch is asked about the step after it.
        let before = |end: usize| end.saturating_sub(1);
        add(Part::Train, before(train), 0);
        add(Part::Validation, before(validation), before(train));
        add(Part::Test, before(own.len()), before(validation));
    }
    out
}

/// Training steps, or keys, of each class.
fn class_counts(encoder: &Encoder, histories: &Histories, parts: &[Part]) -> Vec<usize> {
    let mut counts = vec![0; encoder.classes().saturating_sub(1)];
    let seen = histories.classes.iter().zip(parts);
    for (class, _) in seen.filter(|(class, part)| **class > 0 && **part == Part::Train) {
        counts[*class as usize - 1] += 1;
    }
    counts
}
