//! Membership inference: was this row among those a model was trained on?

use super::Finding;
use crate::distribution::{NORMAL_975, clopper_pearson};
use crate::evaluate::areas_by_row;

/// False positive rates at which an attacker is sure of few rows.
const RATES: [(f64, &str); 2] = [(0.01, "tpr_at_fpr_0.01"), (0.001, "tpr_at_fpr_0.001")];
/// Smaller variances are none.
const LEAST_VARIANCE: f64 = 1e-12;

/// What shadows answered of some rows, all `[shadow][row]`. Shadows come in pairs: what one of a pair was trained with, the other was
/// not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// Whether the shadow was trained with the row.
    pub members: Vec<Vec<bool>>,
    pub losses: Vec<Vec<f64>>,
    /// What Gaussians are fitted to: the logit of the true label's probability, or the error of a number.
    pub statistics: Vec<Vec<f64>>,
}

impl Observed {
    /// The same of some of the rows.
    pub fn some(&self, rows: std::ops::Range<usize>) -> Observed {
        fn cut<T: Clone>(of: &[Vec<T>], rows: &std::ops::Range<usize>) -> Vec<Vec<T>> {
            of.iter().map(|own| own[rows.clone()].to_vec()).collect()
        }
        Observed {
            members: cut(&self.members, &rows),
            losses: cut(&self.losses, &rows),
            statistics: cut(&self.statistics, &rows),
        }
    }

    fn rows(&self) -> usize {
        self.members.first().map_or(0, Vec::len)
    }
}

/// The attacks on rows, each shadow being attacked in turn; `of` is put before the attacks' names. Where there are too few rows for
/// a figure its value is missing.
pub(crate) fn membership(observed: &Observed, of: &str) -> Vec<Finding> {
    let losses = observed
        .losses
        .iter()
        .map(|own| own.iter().map(|l| -l).collect());
    let mut found = judge(observed, losses.collect(), &format!("{of}loss_threshold"));
    found.extend(judge(observed, lira(observed), &format!("{of}lira")));
    found
}

/// Scores of the likelihood ratio attack (Carlini et al. 2022, "Membership inference attacks from first principles", online): of each
/// row, Gaussians of what the other shadows answer that have, and that have not, seen it. Variances are those of all rows together,
/// as the authors have it for few shadows. The other one of a pair is left out: what it has seen tells what the attacked one has not,
/// which no attacker knows.
fn lira(observed: &Observed) -> Vec<Vec<f64>> {
    let (shadows, rows) = (observed.members.len(), observed.rows());
    let mut scores = vec![vec![0.0; rows]; shadows];
    for attacked in 0..shadows {
        let others = || (0..shadows).filter(move |s| *s / 2 != attacked / 2);
        // By whether the row was seen: the mean of each row, and the sum of squares with its degrees of freedom.
        let mut means = [vec![f64::NAN; rows], vec![f64::NAN; rows]];
        let mut squares = [(0.0, 0.0); 2];
        for row in 0..rows {
            for seen in [false, true] {
                let own = || {
                    let own = others().filter(|s| observed.members[*s][row] == seen);
                    own.map(|s| observed.statistics[s][row])
                };
                let count = own().count() as f64;
                let mean = own().sum::<f64>() / count;
                means[usize::from(seen)][row] = mean;
                if count > 1.0 {
                    let sum = &mut squares[usize::from(seen)];
                    sum.0 += own().map(|x| (x - mean).powi(2)).sum::<f64>();
                    sum.1 += count - 1.0;
                }
            }
        }
        let variances =
            squares.map(|(sum, freedom)| f64::max(sum / f64::max(freedom, 1.0), LEAST_VARIANCE));
        for row in 0..rows {
            let likelihood = |seen: usize| {
                let away = observed.statistics[attacked][row] - means[seen][row];
                -away.powi(2) / (2.0 * variances[seen]) - variances[seen].ln() / 2.0
            };
            let score = likelihood(1) - likelihood(0);
            // A row that all other shadows, or none, have seen: nothing is known.
            scores[attacked][row] = if score.is_finite() { score } else { 0.0 };
        }
    }
    scores
}

/// How far rows that were trained on stand out by their loss among as many that were not: the logarithm to base 2 of the number of
/// candidates by the rank, in bits, the mean over all (Carlini et al. 2019, "The secret sharer"), and its 95% interval by the means of
/// pairs of shadows, in each of which every row is asked about once; and beside it what there is to expect of rows nothing was learned of.
pub(crate) fn exposure(observed: &Observed, attack: &str) -> Vec<Finding> {
    let rows = observed.rows();
    let mut bits = Vec::new();
    for (members, losses) in observed.members.iter().zip(&observed.losses) {
        let own = |member: bool| (0..rows).filter(move |row| members[*row] == member);
        let mut others: Vec<f64> = own(false).map(|row| losses[row]).collect();
        others.sort_unstable_by(f64::total_cmp);
        let of_row = |row: usize| {
            // Among equal losses it stands in the middle.
            let below = others.partition_point(|loss| *loss < losses[row]);
            let equal = others[below..].partition_point(|loss| *loss <= losses[row]);
            let rank = 1.0 + below as f64 + equal as f64 / 2.0;
            ((others.len() + 1) as f64 / rank).log2()
        };
        let own: Vec<f64> = own(true).map(of_row).collect();
        bits.push(own.iter().sum::<f64>() / own.len().max(1) as f64);
    }
    let pairs: Vec<f64> = bits
        .chunks_exact(2)
        .map(|own| (own[0] + own[1]) / 2.0)
        .collect();
    let count = pairs.len() as f64;
    if rows == 0 || count < 2.0 {
        return Vec::new();
    }
    let mean = pairs.iter().sum::<f64>() / count;
    let squares: f64 = pairs.iter().map(|m| (m - mean).powi(2)).sum();
    let half = NORMAL_975 * (squares / (count - 1.0) / count).sqrt();
    let line = |metric: &str, value: f64, low: f64, high: f64| Finding {
        attack: attack.into(),
        metric: metric.into(),
        value: Some(value),
        low: Some(low),
        high: Some(high),
    };
    let chance = by_chance(rows / 2);
    vec![
        line("exposure", mean, (mean - half).max(0.0), mean + half),
        line("exposure_by_chance", chance, chance, chance),
    ]
}

/// The exposure of rows that nothing was learned of, beside so many others: 1.24 bits of 16, 1.40 of 100.
pub(super) fn by_chance(others: usize) -> f64 {
    let all = (others + 1) as f64;
    (1..=others + 1)
        .map(|rank| (all / rank as f64).log2())
        .sum::<f64>()
        / all
}

/// How well scores tell members from others, over all shadows.
fn judge(observed: &Observed, scores: Vec<Vec<f64>>, attack: &str) -> Vec<Finding> {
    let rows = observed.rows();
    let members: Vec<bool> = observed.members.iter().flatten().copied().collect();
    let scores: Vec<f64> = scores.into_iter().flatten().collect();
    let line = |metric: &str, value: Option<(f64, f64, f64)>| Finding {
        attack: attack.to_owned(),
        metric: metric.to_owned(),
        value: value.map(|v| v.0),
        low: value.map(|v| v.1),
        high: value.map(|v| v.2),
    };
    let mut found = vec![line("roc_auc", area(&members, &scores, rows))];
    for (rate, name) in RATES {
        let enough = rows as f64 * rate >= 1.0;
        let value = enough.then(|| {
            let share = true_positive_rate(&members, &scores, rate);
            // A row that several shadows are asked about is one row: there are no more by which to judge.
            let (low, high) = clopper_pearson(share * rows as f64, rows as f64);
            (share, low, high)
        });
        found.push(line(name, value));
    }
    found
}

/// The area under the ROC curve of scores, `[shadow][row]`, with its 95% interval where each row comes again and again, as a member
/// and as none (Obuchowski 1997, "Nonparametric analysis of clustered ROC curve data").
pub(super) fn area(members: &[bool], scores: &[f64], rows: usize) -> Option<(f64, f64, f64)> {
    let (area, [above, below]) = areas_by_row(members, scores)?;
    let (count, positives, negatives) = (rows as f64, above.len() as f64, below.len() as f64);
    // Of each row: what its components lie above their mean, as a member and as none.
    let mut sums = vec![[0.0; 2]; rows];
    let (mut above, mut below) = (above.into_iter(), below.into_iter());
    for (at, member) in members.iter().enumerate() {
        let next = if *member { above.next() } else { below.next() };
        sums[at % rows][usize::from(!member)] += next? - area;
    }
    let of = |f: &dyn Fn(&[f64; 2]) -> f64| sums.iter().map(f).sum::<f64>() * count / (count - 1.0);
    let variance = of(&|s| s[0] * s[0]) / positives.powi(2)
        + of(&|s| s[1] * s[1]) / negatives.powi(2)
        + 2.0 * of(&|s| s[0] * s[1]) / (positives * negatives);
    let half = NORMAL_975 * variance.max(0.0).sqrt();
    Some((area, (area - half).max(0.0), (area + half).min(1.0)))
}

/// The share of members that score above all but the share `rate` of the others.
fn true_positive_rate(members: &[bool], scores: &[f64], rate: f64) -> f64 {
    let of = |member: bool| {
        let own = members
            .iter()
            .zip(scores)
            .filter(move |(m, _)| **m == member);
        own.map(|(_, score)| *score)
    };
    let mut others: Vec<f64> = of(false).collect();
    others.sort_unstable_by(|a, b| b.total_cmp(a));
    let allowed = (rate * others.len() as f64).floor() as usize;
    let bound = others.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    let hits = of(true).filter(|score| *score > bound).count();
    hits as f64 / of(true).count().max(1) as f64
}
