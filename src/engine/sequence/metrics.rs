//! How good answers of a sequence model are, beside those of baselines.

use crate::evaluate::roc_auc;
use serde::{Deserialize, Serialize};

/// A score, with those of the baselines on the same steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// `hit_rate_at_10`, `mrr_at_10`, `ndcg_at_10`, `perplexity`, `mae`, ...
    pub metric: String,
    pub value: f64,
    /// `most_popular`, `last_item`, `markov_chain`, ...
    pub baselines: Vec<(String, f64)>,
}

/// Places that count.
const CUTS: [usize; 4] = [1, 5, 10, 20];

/// What one way to answer scored on the steps seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranking {
    steps: usize,
    hits: [f64; CUTS.len()],
    reciprocal: [f64; CUTS.len()],
    gain: [f64; CUTS.len()],
    /// Σ of the logarithms of the true items' probabilities, and of how many.
    log: f64,
    known: usize,
}

impl Ranking {
    /// Counts a step whose true item has this rank, from 1, and this probability; an item that is not known has neither.
    pub(super) fn add(&mut self, found: Option<(f64, f64)>) {
        self.steps += 1;
        let Some((rank, probability)) = found else {
            return;
        };
        self.known += 1;
        self.log += probability.max(1e-30).ln();
        for (i, cut) in CUTS.iter().enumerate() {
            if rank <= *cut as f64 {
                self.hits[i] += 1.0;
                self.reciprocal[i] += 1.0 / rank;
                self.gain[i] += 1.0 / (1.0 + rank).log2();
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Ranking) {
        self.steps += other.steps;
        self.known += other.known;
        self.log += other.log;
        for i in 0..CUTS.len() {
            self.hits[i] += other.hits[i];
            self.reciprocal[i] += other.reciprocal[i];
            self.gain[i] += other.gain[i];
        }
    }

    /// `(metric, value)`. An item that the model does not know counts as not hit; the perplexity is that of the known ones.
    fn scores(&self) -> Vec<(String, f64)> {
        let n = self.steps.max(1) as f64;
        let mut out = Vec::new();
        for (i, cut) in CUTS.iter().enumerate() {
            out.push((format!("hit_rate_at_{cut}"), self.hits[i] / n));
            if *cut > 1 {
                out.push((format!("mrr_at_{cut}"), self.reciprocal[i] / n));
                out.push((format!("ndcg_at_{cut}"), self.gain[i] / n));
            }
        }
        out.push((
            "perplexity".into(),
            (-self.log / self.known.max(1) as f64).exp(),
        ));
        out
    }
}

/// The rank of a score among others, from 1; among equals the middle.
pub(super) fn rank(scores: &[f32], own: usize) -> f64 {
    let mine = scores[own];
    let (mut above, mut equal) = (0usize, 0usize);
    for s in scores {
        above += usize::from(*s > mine);
        equal += usize::from(*s == mine);
    }
    1.0 + above as f64 + (equal - 1) as f64 / 2.0
}

/// Each metric of the model with that of its baselines.
pub(super) fn ranked(model: &Ranking, baselines: &[(&str, Ranking)]) -> Vec<Score> {
    let others: Vec<_> = baselines.iter().map(|(n, r)| (*n, r.scores())).collect();
    let own = model.scores().into_iter().enumerate();
    own.map(|(i, (metric, value))| Score {
        metric,
        value,
        baselines: others
            .iter()
            .map(|(name, scores)| ((*name).to_owned(), scores[i].1))
            .collect(),
    })
    .collect()
}

/// `mae` and `rmse` of pairs of truth and answers, the model's first and then the baselines'.
pub(super) fn values(names: &[&str], truths: &[f64], answers: &[Vec<f64>]) -> Vec<Score> {
    let n = truths.len().max(1) as f64;
    let mean = |of: &dyn Fn(f64) -> f64, own: &[f64]| {
        let errors = own.iter().zip(truths).map(|(a, t)| of(a - t));
        errors.sum::<f64>() / n
    };
    let mae = |own: &Vec<f64>| mean(&f64::abs, own);
    let rmse = |own: &Vec<f64>| mean(&|e| e * e, own).sqrt();
    vec![
        beside("mae", names, answers, &mae),
        beside("rmse", names, answers, &rmse),
    ]
}

/// As [`values`], with `correlation` (Pearson's) and `bias`: by how much of the true sum the sum of the answers is too large.
pub(super) fn counts(names: &[&str], truths: &[f64], answers: &[Vec<f64>]) -> Vec<Score> {
    let n = truths.len().max(1) as f64;
    let sum: f64 = truths.iter().sum();
    let correlation = |own: &Vec<f64>| {
        let (mean, other) = (sum / n, own.iter().sum::<f64>() / n);
        let each = own.iter().zip(truths).map(|(a, t)| (a - other, t - mean));
        let [both, of_own, of_truth] = each.fold([0.0; 3], |[both, own, truth], (a, t)| {
            [both + a * t, own + a * a, truth + t * t]
        });
        both / (of_own * of_truth).sqrt()
    };
    let bias = |own: &Vec<f64>| own.iter().sum::<f64>() / sum - 1.0;
    let mut scores = values(names, truths, answers);
    scores.push(beside("correlation", names, answers, &correlation));
    scores.push(beside("bias", names, answers, &bias));
    retain_finite(&mut scores);
    scores
}

/// Drops what JSON cannot say: times far beyond those that were seen overflow when they are squared.
pub(super) fn retain_finite(scores: &mut Vec<Score>) {
    scores.retain(|s| s.value.is_finite());
    for score in scores {
        score.baselines.retain(|(_, value)| value.is_finite());
    }
}

/// A score of the first answers, with those of the baselines.
fn beside(
    metric: &str,
    names: &[&str],
    answers: &[Vec<f64>],
    of: &dyn Fn(&Vec<f64>) -> f64,
) -> Score {
    Score {
        metric: metric.into(),
        value: answers.first().map_or(f64::NAN, of),
        baselines: names
            .iter()
            .zip(answers.iter().skip(1))
            .map(|(name, own)| ((*name).to_owned(), of(own)))
            .collect(),
    }
}

/// `accuracy`, `log_loss` and, of two labels, `roc_auc`, of probabilities `[keys][labels]`; the baseline answers the shares of
/// the labels among the training keys.
pub(super) fn labels(truths: &[usize], probabilities: &[Vec<f32>], shares: &[f64]) -> Vec<Score> {
    let n = truths.len().max(1) as f64;
    let best = |p: &[f32]| {
        let at = (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b]).then(b.cmp(a)));
        at.unwrap_or(0)
    };
    let both = || truths.iter().zip(probabilities);
    let right = both().filter(|(t, p)| best(p) == **t).count() as f64;
    let log = |p: f64| -p.max(1e-15).ln();
    let loss = both().map(|(t, p)| log(f64::from(p[*t]))).sum::<f64>();
    let most = (0..shares.len()).max_by(|a, b| shares[*a].total_cmp(&shares[*b]));
    let often = truths.iter().filter(|t| Some(**t) == most).count() as f64;
    let base = truths.iter().map(|t| log(shares[*t])).sum::<f64>();
    let score = |metric: &str, value: f64, baseline: f64| Score {
        metric: metric.into(),
        value,
        baselines: vec![("share_of_labels".into(), baseline)],
    };
    let mut out = vec![
        score("accuracy", right / n, often / n),
        score("log_loss", loss / n, base / n),
    ];
    // Of one label alone there is no curve.
    if shares.len() == 2 && truths.contains(&0) && truths.contains(&1) {
        let scores: Vec<f64> = probabilities.iter().map(|p| f64::from(p[1])).collect();
        let positive: Vec<bool> = truths.iter().map(|t| *t == 1).collect();
        out.push(score("roc_auc", roc_auc(&scores, &positive), 0.5));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_what_is_above_and_half_of_what_is_equal() {
        let scores = [0.1, 0.4, 0.2, 0.2, 0.1];
        assert_eq!(rank(&scores, 1), 1.0);
        assert_eq!(rank(&scores, 2), 2.5);
        assert_eq!(rank(&scores, 0), 4.5);
    }

    #[test]
    fn scores_are_those_of_their_definitions() {
        let mut ranking = Ranking::default();
        ranking.add(Some((1.0, 0.5)));
        ranking.add(Some((4.0, 0.125)));
        ranking.add(Some((30.0, 0.25)));
        ranking.add(None);
        let scores = ranked(&ranking, &[]);
        let of = |metric: &str| scores.iter().find(|s| s.metric == metric).unwrap().value;
        assert_eq!(of("hit_rate_at_1"), 0.25);
        assert_eq!(of("hit_rate_at_5"), 0.5);
        assert_eq!(of("mrr_at_10"), (1.0 + 0.25) / 4.0);
        assert!((of("ndcg_at_5") - (1.0 + 1.0 / 5f64.log2()) / 4.0).abs() < 1e-12);
        // The geometric mean of 1/2, 1/8 and 1/4 is 1/4.
        assert!((of("perplexity") - 4.0).abs() < 1e-12);
    }

    #[test]
    fn two_labels_have_a_curve_where_both_occur() {
        let probabilities: Vec<Vec<f32>> = [0.1, 0.4, 0.35, 0.8]
            .iter()
            .map(|p| vec![1.0 - p, *p])
            .collect();
        let of = |truths: &[usize]| {
            let scores = labels(truths, &probabilities, &[0.5, 0.5]);
            scores
                .into_iter()
                .find(|s| s.metric == "roc_auc")
                .map(|s| s.value)
        };
        assert_eq!(of(&[0, 0, 1, 1]), Some(0.75));
        assert_eq!(of(&[1, 1, 1, 1]), None);
    }
}
