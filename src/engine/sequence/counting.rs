//! A model of how often each key comes within a time from now.

use super::encode::Encoder;
use super::histories::Histories;
use super::intensity;
use super::lane::{Lane, Shared};
use super::log::Log;
use super::metrics::{self, Score};
use super::model::{Purchases, SequenceModel};
use super::network::Network;
use super::packed::Stretch;
use super::params::{Cell, Params, ValidParams};
use super::periods::{Periods, behaviour, events};
use super::split::{Part, by_key};
use super::train::{JUDGED, Runner, Task, Trained, train};
use crate::fit::{FitError, Progress};
use crate::random::Random;
use crate::train::Step;
use crate::value::BgNbd;
use std::time::{Duration, Instant};

/// Periods that are learned from, of all keys together: more tell no more about a small network.
const MOST_STEPS: usize = 2_000_000;
/// Keys that the model of purchases is fitted to: it has four numbers.
const FITTED: usize = 25_000;
/// Shares of the model of purchases that are tried, beside none.
const SHARES: u32 = 10;
/// So much of what a log spans is held out to judge, at most.
const HELD_OUT: f64 = 0.25;

/// Fits a model of the events within `horizon` from now. It is judged on the last periods, at most a quarter of what the log
/// spans, of which the network that is judged saw nothing; what is kept has learned from all periods.
///
/// # Errors
/// Those of [`Periods::fit`] and of training; 22023 where no key has two periods.
pub(super) fn fit(
    log: &Log<'_>,
    horizon: f64,
    aside: &[String],
    params: &Params,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<SequenceModel, FitError> {
    let started = Instant::now();
    let mut own = params.clone();
    if own.cell.unwrap_or_default() != Cell::Transformer {
        own.hidden.get_or_insert(vec![32]);
    }
    // What is read is little and all of it matters.
    own.dropout.get_or_insert(0.0);
    own.batch_size.get_or_insert(256);
    own.learning_rate.get_or_insert(0.004);
    let tested = own.test_size != Some(0.0);
    let periods = Periods::fit(log, horizon)?;
    let first = log.times.iter().copied().fold(f64::INFINITY, f64::min);
    let most = (HELD_OUT * (periods.now - first) / periods.length()).floor();
    let held = if tested {
        most.min(f64::from(periods.count))
    } else {
        0.0
    };
    let until = periods.now - held * periods.length();
    let mut encoder = Encoder::fit_counts(log, &periods, until, aside);
    let keys: Vec<usize> = (0..log.keys.len()).collect();
    let mean = {
        let steps = |key: &usize| (until - log.times[log.offsets[*key]]) / periods.length();
        let all: f64 = keys.iter().map(|key| steps(key).max(0.0) + 1.0).sum();
        all / keys.len().max(1) as f64
    };
    let whole = params.max_seconds;
    let valid = own.check(log.calendar, mean, 0)?;
    let valid = ValidParams {
        max_seconds: whole,
        ..valid
    };
    let fitting = Fitting {
        log,
        periods: &periods,
        params: &valid,
        // Two networks are trained where one is judged.
        deadline: |share: f64| {
            whole.map(|s| started + Duration::from_secs_f64((share * s).clamp(0.0, 1e9)))
        },
    };
    let mut scores = Vec::new();
    let (mut counted, mut judged, mut share) = (0, 0, 0.0);
    if held > 0.0 {
        let learned = fitting.learn(&encoder, until, 0.45, report)?;
        if !report(&Progress::phase("evaluating")) {
            return Err(crate::fit::canceled());
        }
        Judged {
            scores,
            keys: judged,
            share,
        } = fitting.judge(&encoder, &learned.network, until, report)?;
        counted = learned.validated;
        // From here on what was held out counts, too.
        encoder = Encoder::fit_counts(log, &periods, periods.now, aside);
    }
    let learned = fitting.learn(&encoder, periods.now, 0.9, report)?;
    let Learned {
        network,
        trained,
        answers,
        validated,
    } = learned;
    let purchases = (share > 0.0)
        .then(|| fitting.purchases(periods.now))
        .flatten();
    Ok(SequenceModel {
        network,
        mixture: None,
        purchases: purchases.map(|model| Purchases { model, share }),
        evaluated_on: if scores.is_empty() { "none" } else { "test" }.into(),
        scores,
        history: trained.history,
        best_epoch: trained.best_epoch,
        stopped_by: trained.stopped_by.into(),
        keys: log.keys.len() as u64,
        steps: log.steps() as u64,
        dropped: log.dropped as u64,
        train_answers: answers,
        validation_answers: validated.max(counted),
        test_answers: judged as u64,
        seconds: started.elapsed().as_secs_f64(),
        privacy: None,
        params: valid.clone(),
        encoder,
    })
}

struct Fitting<'a, D: Fn(f64) -> Option<Instant>> {
    log: &'a Log<'a>,
    periods: &'a Periods,
    params: &'a ValidParams,
    /// When a share of the time that there is will be over.
    deadline: D,
}

/// What came of a judgement.
struct Judged {
    scores: Vec<Score>,
    keys: usize,
    /// Of the model of purchases.
    share: f64,
}

struct Learned {
    network: Network,
    trained: Trained,
    answers: u64,
    validated: u64,
}

impl<D: Fn(f64) -> Option<Instant>> Fitting<'_, D> {
    /// A network of what was until a moment; some keys are held out to choose the epoch.
    fn learn(
        &self,
        encoder: &Encoder,
        until: f64,
        share: f64,
        report: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<Learned, FitError> {
        let (log, params) = (self.log, self.params);
        let mut keys: Vec<usize> = (0..log.keys.len()).collect();
        Random::new(params.seed ^ 0x7065_7269).shuffle(&mut keys);
        let mut steps = 0.0;
        keys.retain(|key| {
            let own = (until - log.times[log.offsets[*key]]) / self.periods.length();
            let taken = own >= 1.0 && steps < MOST_STEPS as f64;
            steps += if taken { own } else { 0.0 };
            taken
        });
        let histories =
            self.periods
                .histories(log, &encoder.numbers, &encoder.statics, &keys, until);
        let parts = by_key(keys.len(), params.validation_size, 0.0, params.seed);
        let (mut train_on, mut validation) = (Vec::new(), Vec::new());
        for (key, range) in histories.offsets.windows(2).enumerate() {
            // The last period is asked about nothing: nothing is after it.
            let stretch = Stretch {
                key: key as u32,
                len: (range[1] - range[0]).saturating_sub(1) as u32,
                asked_from: 0,
            };
            match parts[key] {
                _ if stretch.len == 0 => {}
                Part::Validation => validation.push(stretch),
                _ => train_on.push(stretch),
            }
        }
        let answers = |part: &[Stretch]| part.iter().map(|s| u64::from(s.len)).sum::<u64>();
        let (known, validated) = (answers(&train_on), answers(&validation));
        if known == 0 {
            return Err(FitError::new("22023", "there is nothing to learn from")
                .detail("No key was there for two periods.")
                .hint("A shorter \"horizon\" is cut into shorter periods."));
        }
        let events: f64 = histories
            .offsets
            .windows(2)
            .filter(|range| range[1] > range[0])
            .map(|range| f64::from(histories.values[range[1] - 1]))
            .sum();
        let params = ValidParams {
            max_seconds: (self.deadline)(share).map(|d| {
                d.saturating_duration_since(Instant::now())
                    .as_secs_f64()
                    .max(0.05)
            }),
            ..params.clone()
        };
        let mut network = Network::new(encoder, &params, &[]);
        if let Some(layout) = network.layout() {
            network.weights[layout.class_bias.start] =
                intensity::start(events / histories.steps().max(1) as f64);
        }
        let task = Task {
            histories: &histories,
            of_key: false,
            train: &train_on,
            validation: &validation,
            counts: &[],
            params: &params,
        };
        if !report(&Progress::phase("training")) {
            return Err(crate::fit::canceled());
        }
        let mut step = |step: &Step| report(&Progress::of_step(step));
        let (network, trained) = train(&task, network, &mut step)?;
        Ok(Learned {
            network,
            trained,
            answers: known,
            validated,
        })
    }

    /// A model of the purchases until a moment.
    fn purchases(&self, until: f64) -> Option<BgNbd> {
        let keys = 0..self.log.keys.len();
        let step = keys.len().div_ceil(FITTED).max(1);
        let known = keys
            .step_by(step)
            .filter_map(|key| behaviour(self.log, key, until));
        BgNbd::fit(&known.collect::<Vec<_>>())
    }

    /// What came after `until`, of keys that were there until then: half of them say what share of the answer is the model of
    /// purchases', and the other half judge.
    fn judge(
        &self,
        encoder: &Encoder,
        network: &Network,
        until: f64,
        report: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<Judged, FitError> {
        let (log, now) = (self.log, self.periods.now);
        let mut keys: Vec<usize> = (0..log.keys.len())
            .filter(|key| log.times[log.offsets[*key]] <= until)
            .collect();
        let purchases = self.purchases(until);
        Random::new(self.params.seed ^ 0x6a75_6467).shuffle(&mut keys);
        keys.truncate(JUDGED);
        let histories =
            self.periods
                .histories(log, &encoder.numbers, &encoder.statics, &keys, until);
        let ahead = ((now - until) / self.periods.length()).round();
        let mut go = || report(&Progress::phase("evaluating"));
        let answers = answers(&histories, network, self.params, ahead, &mut go);
        let answers = answers.ok_or_else(crate::fit::canceled)?;
        let truths: Vec<f64> = keys
            .iter()
            .map(|key| events(log, *key, until, now) as f64)
            .collect();
        let time = now - until;
        let mut forecast = Vec::new();
        for (at, key) in histories.behaviours.iter().enumerate() {
            if at % 1000 == 0 && !go() {
                return Err(crate::fit::canceled());
            }
            if let Some(model) = &purchases {
                forecast.push(model.expected(key, time));
            }
        }
        let mix = |share: f64, key: usize| match forecast.get(key) {
            Some(other) => (1.0 - share) * answers[key] + share * other,
            None => answers[key],
        };
        let (choose, judge): (Vec<usize>, Vec<usize>) =
            (0..keys.len()).partition(|key| key % 2 == 0);
        if judge.is_empty() {
            return Ok(Judged {
                scores: Vec::new(),
                keys: 0,
                share: 0.0,
            });
        }
        let error = |share: f64| -> f64 {
            let each = choose.iter().map(|key| mix(share, *key) - truths[*key]);
            each.map(|error| error * error).sum()
        };
        let shares = (0..=SHARES).map(|share| f64::from(share) / f64::from(SHARES));
        let mixes = self.params.mixture && !forecast.is_empty();
        let best = shares.min_by(|a, b| error(*a).total_cmp(&error(*b)));
        let share = best.filter(|_| mixes).unwrap_or(0.0);
        let least = self.periods.length();
        let own_rate = |key: usize| {
            let own = &histories.behaviours[key];
            own.x / own.t.max(least) * time
        };
        let of = |each: &dyn Fn(usize) -> f64| judge.iter().map(|key| each(*key)).collect();
        let (mut names, mut all): (Vec<&str>, Vec<Vec<f64>>) = (
            vec!["own_rate"],
            vec![of(&|key| mix(share, key)), of(&own_rate)],
        );
        if !forecast.is_empty() {
            names.push("bg_nbd");
            all.push(of(&|key| forecast[key]));
        }
        if mixes {
            names.push("network_alone");
            all.push(of(&|key| answers[key]));
        }
        let truths: Vec<f64> = of(&|key| truths[key]);
        Ok(Judged {
            scores: metrics::counts(&names, &truths, &all),
            keys: judge.len(),
            share,
        })
    }
}

/// Events to expect of each key within so many periods after its last.
fn answers(
    histories: &Histories,
    network: &Network,
    params: &ValidParams,
    ahead: f64,
    go: &mut dyn FnMut() -> bool,
) -> Option<Vec<f64>> {
    let layout = network.layout()?;
    let stretches = histories.offsets.windows(2).enumerate();
    let stretches: Vec<Stretch> = stretches
        .map(|(key, range)| Stretch {
            key: key as u32,
            len: (range[1] - range[0]) as u32,
            asked_from: (range[1] - range[0]).saturating_sub(1) as u32,
        })
        .collect();
    let runner = Runner {
        histories,
        of_key: false,
        window: params.window,
        batch: params.batch_size,
    };
    let visit = |shared: &Shared<'_>, lane: &mut Lane| {
        let keys = lane.asked();
        let mut own = Vec::with_capacity(keys.len());
        lane.scores(shared, |i, outputs| {
            own.push((keys[i].1, intensity::expected(outputs, ahead)));
        });
        own
    };
    let mut out = vec![0.0; histories.keys()];
    for (key, expected) in runner
        .run(network, &layout, &stretches, |_, _, _| true, visit, go)?
        .concat()
    {
        out[key] = expected;
    }
    Some(out)
}
