//! Answers for steps whose truth is known: what the mixture is fitted to and a model is judged by.

use super::counts::{Counts, NAMES, Past, Room, WAYS};
use super::encode::{Encoder, Target};
use super::histories::Histories;
use super::lane::{Lane, Shared};
use super::metrics::{self, Ranking, Score, rank};
use super::mixture::{Given, Mixture, Workplace};
use super::network::{Layout, Network};
use super::packed::Stretch;
use super::params::ValidParams;
use super::softmax;
use super::split::Part;
use super::train::{JUDGED, Runner, sample_of};
use crate::random::Random;

/// Answers to which mixtures are fitted.
const SEARCHED: usize = 5000;
/// Scales that are tried.
const SCALES: [f32; 8] = [0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5];
/// The network's best items that a true one is to be told from.
const BEST: usize = 50;
/// What the popular items count beside a baseline that says nothing of most items.
const BESIDE: f32 = 0.1;

pub(super) struct Judge<'a> {
    encoder: &'a Encoder,
    histories: &'a Histories,
    network: &'a Network,
    layout: Option<Layout>,
    params: &'a ValidParams,
}

/// Shares of the labels among the training keys.
pub(super) fn label_shares(encoder: &Encoder, histories: &Histories, parts: &[Part]) -> Vec<f64> {
    let mut counts = vec![0.0; encoder.labels.len()];
    if encoder.target == Target::Label {
        for (class, part) in histories.classes.iter().zip(parts) {
            if *class > 0 && *part == Part::Train {
                counts[*class as usize - 1] += 1.0;
            }
        }
    }
    let all: f64 = counts.iter().sum();
    counts.into_iter().map(|c| c / f64::max(all, 1.0)).collect()
}

/// Scores on one lane's window: those of the model, of the network alone and of each baseline.
struct Rankings([Ranking; 2 + WAYS]);

impl<'a> Judge<'a> {
    pub(super) fn new(
        encoder: &'a Encoder,
        histories: &'a Histories,
        network: &'a Network,
        params: &'a ValidParams,
    ) -> Judge<'a> {
        Judge {
            encoder,
            histories,
            network,
            layout: network.layout(),
            params,
        }
    }

    fn past(&self, step: usize, key: usize) -> Past<'a> {
        match self.encoder.target {
            Target::Category(at) => &self.histories.codes[at][self.histories.offsets[key]..=step],
            _ => &[],
        }
    }

    /// Runs the network over some stretches. `None` if `go` says to stop.
    fn run<R: Send>(
        &self,
        stretches: &[Stretch],
        asks: impl Fn(&Shared<'_>, usize, usize) -> bool + Sync,
        visit: impl Fn(&Shared<'_>, &mut Lane) -> R + Sync,
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Vec<R>> {
        let runner = Runner {
            histories: self.histories,
            of_key: self.encoder.target.of_key(),
            window: self.params.window,
            batch: self.params.batch_size,
        };
        let layout = self.layout.as_ref()?;
        runner.run(self.network, layout, stretches, asks, visit, go)
    }

    /// What a mixture can be fitted to.
    pub(super) fn given(
        &self,
        counts: &Counts,
        stretches: &[Stretch],
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Vec<Given>> {
        let stretches = sample_of(stretches, self.params.seed, SEARCHED);
        let asks = |shared: &Shared<'_>, step, key| shared.is_known(step, key);
        let classes = counts.classes();
        let visit = |shared: &Shared<'_>, lane: &mut Lane| {
            let at = lane.asked();
            let mut out = Vec::with_capacity(at.len());
            let mut workplace = Workplace::new(classes);
            let mut order: Vec<usize> = (0..classes).collect();
            lane.scores(shared, |i, scores| {
                let (step, key) = at[i];
                let class = self.histories.classes[step + 1] as usize - 1;
                let best = BEST.min(classes);
                if best < classes {
                    let better =
                        |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
                    order.select_nth_unstable_by(best, better);
                }
                let mut chosen = order[..best].to_vec();
                chosen.sort_unstable();
                let mut random = Random::new(step as u64);
                let past = self.past(step, key);
                out.push(workplace.given(counts, past, scores, class, &chosen, &mut random));
            });
            out
        };
        let all = self.run(&stretches, asks, visit, go)?;
        Some(all.into_iter().flatten().collect())
    }

    /// The scale of a mixture's weights that makes known answers most probable.
    pub(super) fn scale(
        &self,
        mixture: &Mixture,
        stretches: &[Stretch],
        go: &mut dyn FnMut() -> bool,
    ) -> Option<f32> {
        let stretches = sample_of(stretches, self.params.seed, SEARCHED);
        let asks = |shared: &Shared<'_>, step, key| shared.is_known(step, key);
        let classes = mixture.counts.classes();
        let visit = |shared: &Shared<'_>, lane: &mut Lane| {
            let at = lane.asked();
            let (mut room, mut scaled) = (Room::new(classes), vec![0f32; classes]);
            let mut losses = [0.0; SCALES.len()];
            lane.scores(shared, |i, scores| {
                let (step, key) = at[i];
                let class = self.histories.classes[step + 1] as usize - 1;
                mixture.mix(self.past(step, key), scores, &mut room);
                for (loss, scale) in losses.iter_mut().zip(SCALES) {
                    let both = scaled.iter_mut().zip(&*scores);
                    both.for_each(|(out, score)| *out = scale * score);
                    let truth = scaled[class];
                    let (largest, sum) = softmax::exponentials(&mut scaled);
                    *loss += f64::from(largest - truth) + f64::from(sum).ln();
                }
            });
            losses
        };
        let mut sums = [0.0; SCALES.len()];
        for losses in self.run(&stretches, asks, visit, go)? {
            sums.iter_mut().zip(losses).for_each(|(s, l)| *s += l);
        }
        let least = (0..SCALES.len()).min_by(|a, b| sums[*a].total_cmp(&sums[*b]));
        least.map(|at| SCALES[at])
    }

    /// The scores of the model beside those of baselines.
    pub(super) fn scores(
        &self,
        counts: &Counts,
        mixture: Option<&Mixture>,
        stretches: &[Stretch],
        shares: &[f64],
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Vec<Score>> {
        let stretches = sample_of(stretches, self.params.seed ^ 1, JUDGED);
        if stretches.is_empty() {
            return Some(Vec::new());
        }
        match self.encoder.target {
            Target::Category(_) => self.ranked(counts, mixture, &stretches, go),
            Target::Label => self.labels(&stretches, shares, go),
            _ => self.values(&stretches, go),
        }
    }

    fn ranked(
        &self,
        counts: &Counts,
        mixture: Option<&Mixture>,
        stretches: &[Stretch],
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Vec<Score>> {
        let visit = |shared: &Shared<'_>, lane: &mut Lane| {
            let at = lane.asked();
            let mut own = Rankings(Default::default());
            let mut counted = vec![0f32; counts.classes()];
            let mut room = Room::new(counts.classes());
            lane.scores(shared, |i, scores| {
                let (step, key) = at[i];
                let past = self.past(step, key);
                let class = (self.histories.classes[step + 1] as usize).checked_sub(1);
                let mut mixed = mixture.map(|_| scores.to_vec());
                softmax::probabilities(scores);
                let found = |p: &[f32]| class.map(|c| (rank(p, c), f64::from(p[c])));
                own.0[1].add(found(scores));
                for (way, ranking) in own.0[2..].iter_mut().enumerate() {
                    let mut shares = [0.0; WAYS];
                    shares[0] += BESIDE;
                    shares[way] += 1.0 - BESIDE;
                    counted.fill(0.0);
                    counts.add(past, &shares, &mut room.near, &mut counted);
                    ranking.add(found(&counted));
                }
                if let (Some(mixture), Some(mixed)) = (mixture, &mut mixed) {
                    mixture.mix(past, mixed, &mut room);
                    softmax::probabilities(mixed);
                }
                own.0[0].add(found(mixed.as_deref().unwrap_or(scores)));
            });
            own
        };
        let mut all: [Ranking; 2 + WAYS] = Default::default();
        for own in self.run(stretches, |_, _, _| true, visit, go)? {
            for (all, own) in all.iter_mut().zip(&own.0) {
                all.merge(own);
            }
        }
        let [model, network, ways @ ..] = all;
        let mut baselines: Vec<(&str, Ranking)> = NAMES.into_iter().zip(ways).collect();
        if mixture.is_some() {
            baselines.push(("network_alone", network));
        }
        Some(metrics::ranked(&model, &baselines))
    }

    fn labels(
        &self,
        stretches: &[Stretch],
        shares: &[f64],
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Vec<Score>> {
        let asks = |shared: &Shared<'_>, step, key| shared.is_known(step, key);
        let visit = |shared: &Shared<'_>, lane: &mut Lane| {
            let at = lane.asked();
            let mut out = Vec::with_capacity(at.len());
            lane.scores(shared, |i, scores| {
                softmax::probabilities(scores);
                let truth = self.histories.classes[at[i].1] as usize - 1;
                out.push((truth, scores.to_vec()));
            });
            out
        };
        let answers = self.run(stretches, asks, visit, go)?.concat();
        let (truths, answers): (Vec<usize>, Vec<Vec<f32>>) = answers.into_iter().unzip();
        if truths.is_empty() {
            return Some(Vec::new());
        }
        Some(metrics::labels(&truths, &answers, shares))
    }

    fn values(&self, stretches: &[Stretch], go: &mut dyn FnMut() -> bool) -> Option<Vec<Score>> {
        let of_key = self.encoder.target.of_key();
        let restore = |y: f32| self.encoder.restore(f64::from(y));
        let asks = |shared: &Shared<'_>, step, key| shared.is_known(step, key);
        let visit = |shared: &Shared<'_>, lane: &mut Lane| {
            let at = lane.asked();
            let mut out = Vec::with_capacity(at.len());
            lane.scores(shared, |i, scores| {
                let (step, key) = at[i];
                let values = &self.histories.values;
                let truth = restore(values[if of_key { key } else { step + 1 }]);
                let mut answers = vec![restore(scores[0]), restore(0.0)];
                if !of_key {
                    let past = &values[self.histories.offsets[key]..=step];
                    let known = || past.iter().filter(|v| v.is_finite());
                    let mean = known().sum::<f32>() / known().count().max(1) as f32;
                    answers.push(restore(known().next_back().copied().unwrap_or(0.0)));
                    answers.push(restore(mean));
                }
                out.push((truth, answers));
            });
            out
        };
        let all = self.run(stretches, asks, visit, go)?.concat();
        if all.is_empty() {
            return Some(Vec::new());
        }
        let names: &[&str] = if of_key {
            &["mean"]
        } else {
            &["mean", "last_value", "own_mean"]
        };
        let truths: Vec<f64> = all.iter().map(|(truth, _)| *truth).collect();
        let answers: Vec<Vec<f64>> = (0..=names.len())
            .map(|way| all.iter().map(|(_, answers)| answers[way]).collect())
            .collect();
        Some(metrics::values(names, &truths, &answers))
    }
}
