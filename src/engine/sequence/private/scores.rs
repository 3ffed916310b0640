//! Scores on keys that no step has seen, with noise: each key is asked once, after its last step but one or, of a key as a whole, its last.
//!
//! Of categories a histogram of the true one's rank is told, of labels one of answers and truths, of numbers sums of errors: see
//! [`crate::privacy::outcomes`]. Baselines are made of what was told before.

use super::super::encode::{Encoder, Target};
use super::super::histories::Histories;
use super::super::lane::{Lane, Shared};
use super::super::metrics::{self, Ranking, Score, rank};
use super::super::network::Network;
use super::super::packed::Stretch;
use super::super::params::ValidParams;
use super::super::softmax;
use super::super::train::Runner;
use crate::evaluate::Truth;
use crate::fit::FitError;
use crate::privacy::noise::Noise;
use crate::privacy::outcomes::{self, Cost, LARGEST_ERROR};

/// Ranks that are told apart; then one cell for those beyond, and one for what the model does not know.
const RANKS: usize = 20;
/// Histories that are read side by side.
const BATCH: usize = 256;
/// The share of the budget that tells how many keys have an answer, where errors are told.
const FOR_COUNT: f64 = 0.2;

/// What is judged, and what was told of the target.
pub(super) struct Judge<'a> {
    pub(super) encoder: &'a Encoder,
    /// Whole ones, as they are read in use.
    pub(super) histories: &'a Histories,
    pub(super) network: &'a Network,
    pub(super) params: &'a ValidParams,
    /// About how many of so many keys have each class.
    pub(super) counts: &'a [usize],
    pub(super) keys: usize,
    /// Values distributed about as the target's.
    pub(super) values: &'a [f64],
    pub(super) epsilon: f64,
}

impl Judge<'_> {
    fn cost(&self, share: f64) -> Cost {
        Cost {
            epsilon: share * self.epsilon,
            rows_per_unit: 1,
        }
    }

    /// What keys are asked, without those that have too few steps.
    fn stretches(&self, keys: &[usize]) -> Vec<Stretch> {
        let before = if self.encoder.target.of_key() { 0 } else { 1 };
        let stretch = |key: &usize| {
            let steps = self.histories.offsets[*key + 1] - self.histories.offsets[*key];
            (steps > before).then(|| Stretch {
                key: *key as u32,
                len: (steps - before) as u32,
                asked_from: (steps - before - 1) as u32,
            })
        };
        keys.iter().filter_map(stretch).collect()
    }

    fn run<R: Send>(
        &self,
        keys: &[usize],
        asks: impl Fn(&Shared<'_>, usize, usize) -> bool + Sync,
        visit: impl Fn(&Shared<'_>, &mut Lane) -> Vec<R> + Sync,
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<R>, FitError> {
        let runner = Runner {
            histories: self.histories,
            of_key: self.encoder.target.of_key(),
            window: self.params.window,
            batch: BATCH,
        };
        let layout = self.network.layout();
        let stretches = self.stretches(keys);
        let found = layout
            .and_then(|layout| runner.run(self.network, &layout, &stretches, asks, visit, go));
        let found = found.ok_or_else(crate::fit::canceled)?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The scores of the model on some keys, beside those of a baseline.
    ///
    /// # Errors
    /// 57014 where `go` says to stop; noise that cannot be had.
    pub(super) fn scores(
        &self,
        keys: &[usize],
        noise: &mut Noise,
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Score>, FitError> {
        let mut scores = match self.encoder.target {
            Target::Category(_) => self.ranked(keys, noise, go)?,
            Target::Label => self.labels(keys, noise, go)?,
            _ => self.numbers(keys, noise, go)?,
        };
        metrics::retain_finite(&mut scores);
        Ok(scores)
    }

    fn ranked(
        &self,
        keys: &[usize],
        noise: &mut Noise,
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Score>, FitError> {
        let classes = &self.histories.classes;
        let visit = |shared: &Shared<'_>, lane: &mut Lane| {
            let at = lane.asked();
            let mut cells = Vec::with_capacity(at.len());
            lane.scores(shared, |i, scores| {
                cells.push(match classes[at[i].0 + 1] as usize {
                    0 => RANKS + 1,
                    class => (rank(scores, class - 1).ceil() as usize - 1).min(RANKS),
                });
            });
            cells
        };
        let mut cells = vec![0i64; RANKS + 2];
        for cell in self.run(keys, |_, _, _| true, visit, go)? {
            cells[cell] += 1;
        }
        let told = outcomes::counts(&cells, self.cost(1.0), noise)?;
        if told.iter().all(|count| *count == 0) {
            return Ok(Vec::new());
        }
        let mut model = Ranking::default();
        for (cell, count) in told.iter().enumerate() {
            let found = (cell <= RANKS).then_some(((cell + 1) as f64, 1.0));
            (0..*count).for_each(|_| model.add(found));
        }
        let mut scores = metrics::ranked(&model, &[("most_popular", self.popular())]);
        // How probable the true ones were is not told.
        scores.retain(|score| score.metric != "perplexity");
        Ok(scores)
    }

    /// How well the most common categories would do, by what was told of them.
    fn popular(&self) -> Ranking {
        let mut ranking = Ranking::default();
        let mut counts = self.counts.to_vec();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let mut left = self.keys;
        for (at, count) in counts.into_iter().enumerate() {
            let own = count.min(left);
            left -= own;
            let found = Some(((at + 1) as f64, 1.0));
            (0..own).for_each(|_| ranking.add(found));
        }
        (0..left).for_each(|_| ranking.add(None));
        ranking
    }

    fn labels(
        &self,
        keys: &[usize],
        noise: &mut Noise,
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Score>, FitError> {
        let classes = &self.histories.classes;
        let labels = self.encoder.labels.len();
        let visit = |shared: &Shared<'_>, lane: &mut Lane| {
            let at = lane.asked();
            let mut out = Vec::with_capacity(at.len());
            lane.scores(shared, |i, scores| {
                softmax::probabilities(scores);
                let own: Vec<f64> = scores.iter().map(|p| f64::from(*p)).collect();
                out.push((classes[at[i].1] - 1, own));
            });
            out
        };
        let asks = |shared: &Shared<'_>, step, key| shared.is_known(step, key);
        let (codes, answers): (Vec<u32>, Vec<Vec<f64>>) =
            self.run(keys, asks, visit, go)?.into_iter().unzip();
        let two = labels == 2;
        let told = match two {
            true => {
                let second: Vec<f64> = answers.iter().map(|p| p[1]).collect();
                outcomes::binary(&codes, &second, self.cost(1.0), noise)?
            }
            false => outcomes::many(&codes, &answers.concat(), labels, self.cost(1.0), noise)?,
        };
        let truths = match told.truth {
            Truth::Classes(truths) if !truths.is_empty() => truths,
            // The noise has left nobody.
            _ => return Ok(Vec::new()),
        };
        let probabilities: Vec<Vec<f32>> = match two {
            true => (told.predictions.iter())
                .map(|p| vec![1.0 - *p as f32, *p as f32])
                .collect(),
            false => (told.predictions.chunks_exact(labels))
                .map(|own| own.iter().map(|p| *p as f32).collect())
                .collect(),
        };
        let all = self.counts.iter().sum::<usize>().max(1) as f64;
        let shares: Vec<f64> = self.counts.iter().map(|c| *c as f64 / all).collect();
        let truths: Vec<usize> = truths.into_iter().map(|t| t as usize).collect();
        let mut scores = metrics::labels(&truths, &probabilities, &shares);
        scores.retain(|score| two || score.metric != "log_loss");
        Ok(scores)
    }

    fn numbers(
        &self,
        keys: &[usize],
        noise: &mut Noise,
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Score>, FitError> {
        let of_key = self.encoder.target.of_key();
        let values = &self.histories.values;
        let restore = |y: f32| self.encoder.restore(f64::from(y));
        let visit = |shared: &Shared<'_>, lane: &mut Lane| {
            let at = lane.asked();
            let mut out = Vec::with_capacity(at.len());
            lane.scores(shared, |i, scores| {
                let (step, key) = at[i];
                let truth = values[if of_key { key } else { step + 1 }];
                out.push((restore(truth), restore(scores[0])));
            });
            out
        };
        let asks = |shared: &Shared<'_>, step, key| shared.is_known(step, key);
        let pairs = self.run(keys, asks, visit, go)?;
        let told: Vec<f64> = match self.encoder.target {
            Target::Gap => times(self.values),
            _ => self.values.to_vec(),
        };
        let mean = |of: &dyn Fn(f64) -> f64| {
            told.iter().map(|x| of(*x)).sum::<f64>() / told.len().max(1) as f64
        };
        let centre = mean(&|x| x);
        let deviation = mean(&|x| (x - centre).powi(2)).sqrt();
        let largest = LARGEST_ERROR * if deviation > 0.0 { deviation } else { 1.0 };
        let count = outcomes::counts(&[pairs.len() as i64], self.cost(FOR_COUNT), noise)?;
        let count = count.first().copied().unwrap_or(0).max(1) as f64;
        let pairs = pairs.into_iter();
        let errors = outcomes::errors(pairs, count, largest, self.cost(1.0 - FOR_COUNT), noise)?;
        let answer = restore(0.0);
        // Errors count so much at most, those of the baseline, too.
        let error = |x: f64| (x - answer).abs().min(largest);
        let score = |metric: &str, value: f64, baseline: f64| Score {
            metric: metric.into(),
            value,
            baselines: vec![("mean".into(), baseline)],
        };
        Ok(vec![
            score("mae", errors.mae, mean(&error)),
            score(
                "rmse",
                errors.mse.sqrt(),
                mean(&|x| error(x).powi(2)).sqrt(),
            ),
        ])
    }
}

/// Times between steps, of logarithms that were told, without the ends: there noise of the logarithms would be that of years.
fn times(logarithms: &[f64]) -> Vec<f64> {
    let mut sorted = logarithms.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sorted.get((share * sorted.len() as f64) as usize).copied();
    let (low, high) = (at(0.05).unwrap_or(0.0), at(0.95).unwrap_or(0.0));
    sorted.iter().map(|x| x.clamp(low, high).exp_m1()).collect()
}
