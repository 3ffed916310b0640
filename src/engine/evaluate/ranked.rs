//! Curves and tables of one label against the rest, drawn from rows by falling probability of the label.

use super::{
    Outcomes, Truth,
    curve::{Above, MOST_ROWS, order, positive, row, walk},
};
use crate::artifact::Task;
use crate::distribution::wilson;

/// Points of a curve at most; fewer where there are very many labels.
const MOST_POINTS: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    pub threshold: f64,
    pub true_positive_rate: f64,
    pub false_positive_rate: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrecisionRecallPoint {
    pub threshold: f64,
    pub precision: f64,
    pub recall: f64,
}

/// A bin of rows of about equal probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// From 1.
    pub bin: usize,
    pub rows: u64,
    pub positives: u64,
    /// Sum of the probabilities.
    pub sum: f64,
    /// The lowest probability.
    pub lowest: f64,
}

impl Bin {
    pub fn share(&self) -> f64 {
        self.positives as f64 / self.rows as f64
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.rows as f64
    }

    /// The 95% score interval of the share (Wilson 1927).
    pub fn wilson(&self) -> (f64, f64) {
        wilson(self.positives, self.rows)
    }
}

/// How many rows are contacted, and what comes of it, with a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Rows with at least this probability are contacted. Halfway between two of them, above 1 for nobody.
    pub threshold: f64,
    pub true_positives: u64,
    pub false_positives: u64,
    pub false_negatives: u64,
    pub true_negatives: u64,
}

impl Cut {
    pub fn contacted(&self) -> u64 {
        self.true_positives + self.false_positives
    }

    pub fn rows(&self) -> u64 {
        self.contacted() + self.false_negatives + self.true_negatives
    }

    pub fn share(&self) -> f64 {
        self.contacted() as f64 / self.rows() as f64
    }
}

/// The rows of one label against the rest.
pub struct Ranked {
    /// Position of the label.
    pub label: usize,
    order: Vec<u32>,
    scores: Vec<f64>,
    most: usize,
}

/// The curves of a model: of the positive label, or of each of many. Rows without a usable truth or prediction are left out.
pub fn ranked(task: Task, labels: usize, outcomes: &Outcomes) -> Vec<Ranked> {
    let (width, shown) = match task {
        Task::Binary => (1, 1..2),
        _ => (labels, 0..labels),
    };
    // Whether a row is of a label; `None` where its truth is not known.
    let of = |row: usize, label: usize| match &outcomes.truth {
        Truth::Classes(codes) => {
            let known = (codes[row] as usize) < labels.max(2);
            known.then(|| codes[row] as usize == label)
        }
        Truth::Labels(sets) => sets.get(row * labels + label).copied(),
        _ => None,
    };
    let rows: Vec<(usize, &[f64])> = outcomes
        .predictions
        .chunks_exact(width.max(1))
        .enumerate()
        .filter(|(row, p)| of(*row, 0).is_some() && p.iter().all(|p| p.is_finite()))
        .take(MOST_ROWS)
        .collect();
    let most = (4_000 / shown.len().max(1)).clamp(16, MOST_POINTS);
    shown
        .map(|label| {
            let at = if width == 1 { 0 } else { label };
            let scores: Vec<f64> = rows.iter().map(|(_, p)| p[at]).collect();
            Ranked {
                label,
                order: order(
                    rows.len(),
                    |r| scores[r],
                    |r| of(rows[r].0, label) == Some(true),
                ),
                scores,
                most,
            }
        })
        .collect()
}

impl Ranked {
    /// Rows by their probabilities, and whether each is of the label; of one curve.
    pub fn new(scores: Vec<f64>, truth: impl Fn(usize) -> bool + Sync + Send) -> Ranked {
        Ranked {
            label: 1,
            order: order(scores.len(), |r| scores[r], truth),
            scores,
            most: MOST_POINTS,
        }
    }

    pub fn rows(&self) -> usize {
        self.order.len()
    }

    fn all(&self) -> Above {
        walk(&self.order, |_| 1, |_, _| {})
    }

    /// The largest probability + 1.
    fn start(&self) -> f64 {
        self.order.first().map_or(0.0, |&e| self.scores[row(e)]) + 1.0
    }

    /// The ROC curve from (0, 0), whose threshold is the largest probability + 1, to (1, 1), by falling threshold. Points in
    /// the middle of a straight line are left out, then those are kept that lie most evenly along the curve. Empty where a
    /// class is lacking.
    pub fn roc(&self) -> Vec<RocPoint> {
        let mut points: Vec<(f64, Above)> = vec![(self.start(), Above::default())];
        let all = walk(
            &self.order,
            |_| 1,
            |row, above| {
                if let [.., (_, a), (_, b)] = points[..] {
                    let straight = (b.positives - a.positives) * (above.negatives - b.negatives)
                        == (above.positives - b.positives) * (b.negatives - a.negatives);
                    if straight {
                        points.pop();
                    }
                }
                points.push((self.scores[row], above));
            },
        );
        if all.positives == 0 || all.negatives == 0 {
            return Vec::new();
        }
        let rates = points.into_iter().map(|(threshold, above)| RocPoint {
            threshold,
            true_positive_rate: above.positives as f64 / all.positives as f64,
            false_positive_rate: above.negatives as f64 / all.negatives as f64,
        });
        thin(rates.collect(), self.most, |p| {
            (p.true_positive_rate + p.false_positive_rate) / 2.0
        })
    }

    /// Precision over recall, from recall 0, where precision counts as 1, to recall 1, by falling threshold. Empty without
    /// rows of the label.
    pub fn precision_recall(&self) -> Vec<PrecisionRecallPoint> {
        let all = self.all();
        if all.positives == 0 {
            return Vec::new();
        }
        let mut points = vec![(
            0,
            PrecisionRecallPoint {
                threshold: self.start(),
                precision: 1.0,
                recall: 0.0,
            },
        )];
        walk(
            &self.order,
            |_| 1,
            |row, above| {
                let rows = above.positives + above.negatives;
                let point = PrecisionRecallPoint {
                    threshold: self.scores[row],
                    precision: above.positives as f64 / rows as f64,
                    recall: above.positives as f64 / all.positives as f64,
                };
                points.push((rows, point));
            },
        );
        let rows = self.rows() as f64;
        let along =
            |(above, p): &(u64, PrecisionRecallPoint)| (p.recall + *above as f64 / rows) / 2.0;
        let kept = thin(points, self.most, along);
        kept.into_iter().map(|(_, point)| point).collect()
    }

    /// Bins of about equally many rows, by falling probability. Rows of equal probability share a bin, so that some bins may
    /// be larger and others lacking.
    pub fn bins(&self, bins: usize) -> Vec<Bin> {
        let mut start = 0;
        let bin = |(number, end): (usize, usize)| {
            let own = &self.order[start..end];
            start = end;
            let scores = || own.iter().map(|entry| self.scores[row(*entry)]);
            Bin {
                bin: number + 1,
                rows: own.len() as u64,
                positives: own.iter().filter(|entry| positive(**entry)).count() as u64,
                sum: scores().fold(0.0, |sum, score| sum + score),
                lowest: scores().next_back().unwrap_or(f64::NAN),
            }
        };
        bins_of(&self.order, bins).into_iter().map(bin).collect()
    }

    /// Every threshold that tells rows apart, by falling threshold, from nobody to everybody.
    pub fn cuts(&self) -> Vec<Cut> {
        let all = self.all();
        let cut = |threshold: f64, above: Above| Cut {
            threshold,
            true_positives: above.positives,
            false_positives: above.negatives,
            false_negatives: all.positives - above.positives,
            true_negatives: all.negatives - above.negatives,
        };
        let mut out = vec![cut(1f64.next_up(), Above::default())];
        walk(
            &self.order,
            |_| 1,
            |row, above| out.push(cut(self.scores[row], above)),
        );
        for i in 1..out.len() {
            let (own, next) = (
                out[i].threshold,
                out.get(i + 1).map_or(0.0, |n| n.threshold),
            );
            let between = next + (own - next) / 2.0;
            if between > next {
                out[i].threshold = between;
            }
        }
        out
    }

    /// At most about 200 of [`Ranked::cuts`], evenly by rows contacted; `also` stays.
    pub fn thin_cuts(&self, cuts: Vec<Cut>, also: usize) -> Vec<(bool, Cut)> {
        let marked: Vec<(bool, Cut)> = (cuts.into_iter().enumerate())
            .map(|(i, cut)| (i == also, cut))
            .collect();
        let kept = marked.iter().find(|(best, _)| *best).copied();
        let mut out = thin(marked, self.most, |(_, cut)| cut.share());
        if let Some(best) = kept.filter(|_| !out.iter().any(|(best, _)| *best)) {
            let at = out.partition_point(|(_, cut)| cut.threshold > best.1.threshold);
            out.insert(at, best);
        }
        out
    }
}

/// The bins of an order, of about equally many rows and equal scores together: the number of each, from 0, and where it ends.
pub(super) fn bins_of(order: &[u32], bins: usize) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut first = 0;
    walk(
        order,
        |_| 1,
        |_, above| {
            let end = (above.positives + above.negatives) as usize;
            let number = first * bins.max(1) / order.len();
            first = end;
            match out.last_mut() {
                Some(bin) if bin.0 == number => bin.1 = end,
                _ => out.push((number, end)),
            }
        },
    );
    out
}

/// At most `most` points: along the curve runs from 0 to 1, each of `most` equal stretches keeps its first point.
fn thin<P>(points: Vec<P>, most: usize, along: impl Fn(&P) -> f64) -> Vec<P> {
    if points.len() <= most {
        return points;
    }
    let stretch = |p: &P| (along(p) * (most - 1) as f64) as usize;
    let mut kept: Vec<P> = Vec::with_capacity(most);
    for point in points {
        if kept
            .last()
            .is_none_or(|last| stretch(last) < stretch(&point))
        {
            kept.push(point);
        }
    }
    kept
}
