//! One tree: leaf by leaf, the best split of all leaves first (Shi 2007; Ke et al. 2017, "LightGBM"), found in histograms of
//! the bins.

use super::bins::Feature;
use crate::models::Node;
use rayon::prelude::*;
use std::ops::Range;

/// Gradient and curvature of a row, or their sums.
pub(super) type Pair = [f64; 2];

/// Features times rows below which a histogram is filled on one thread.
const SMALL: usize = 20_000;
/// A category with at most so many bins is split one against the others.
const FEW: usize = 4;
/// Levels with less curvature than this say too little to be put in order; and how much the order and the value of levels is
/// smoothed (Ke et al. 2017: cat_smooth, cat_l2).
const SMOOTH: f64 = 10.0;
/// Levels that may go to the smaller side of a split.
const MOST_LEVELS: usize = 32;

/// How trees grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) leaves: usize,
    pub(super) least_rows: usize,
    pub(super) l2: f64,
    pub(super) learning_rate: f64,
}

struct Split {
    gain: f64,
    feature: usize,
    goes_left: Vec<bool>,
}

struct Leaf {
    node: usize,
    rows: Range<usize>,
    sum: Pair,
    histogram: Vec<Pair>,
    split: Option<Split>,
}

/// Grows trees on the same rows.
pub(super) struct Grower<'a> {
    features: &'a [Feature],
    /// Where each feature's bins begin in a histogram.
    starts: Vec<usize>,
    bins: usize,
    pub(super) shape: Shape,
    /// Rows, those of a leaf side by side.
    order: Vec<u32>,
    spare: Vec<u32>,
    gathered: Vec<Pair>,
}

impl<'a> Grower<'a> {
    pub(super) fn new(features: &'a [Feature], rows: usize, shape: Shape) -> Grower<'a> {
        let mut bins = 0;
        let starts = features.iter().map(|f| {
            bins += f.count;
            bins - f.count
        });
        Grower {
            starts: starts.collect(),
            bins,
            features,
            shape,
            order: (0..rows as u32).collect(),
            spare: Vec::with_capacity(rows),
            gathered: Vec::with_capacity(rows),
        }
    }

    /// A tree for the gradients of all rows that looks at some of the features; adds its values to `scores`.
    pub(super) fn tree(&mut self, pairs: &[Pair], used: &[usize], scores: &mut [f32]) -> Vec<Node> {
        let all = 0..self.order.len();
        let sum = total(pairs);
        let mut nodes = vec![Node::Leaf(0.0)];
        let histogram = self.histogram(pairs, used, &all);
        let split = self.best(&histogram, used, sum, all.len());
        let mut leaves = vec![Leaf {
            node: 0,
            rows: all,
            sum,
            histogram,
            split,
        }];
        while leaves.len() < self.shape.leaves {
            let gain = |leaf: &Leaf| leaf.split.as_ref().map_or(0.0, |s| s.gain);
            let best =
                (0..leaves.len()).max_by(|a, b| gain(&leaves[*a]).total_cmp(&gain(&leaves[*b])));
            let Some(leaf) = best.map(|i| leaves.swap_remove(i)) else {
                break;
            };
            let Some(split) = &leaf.split else {
                leaves.push(leaf);
                break;
            };
            let feature = &self.features[split.feature];
            let middle = self.part(&leaf.rows, feature, &split.goes_left);
            let (left, right) = (nodes.len(), nodes.len() + 1);
            nodes[leaf.node] = feature.node(split.feature, &split.goes_left, left, right);
            nodes.extend([Node::Leaf(0.0), Node::Leaf(0.0)]);
            let sides = [leaf.rows.start..middle, middle..leaf.rows.end];
            // The smaller side is counted, the other is what is left.
            let small = usize::from(sides[1].len() < sides[0].len());
            let counted = self.histogram(pairs, used, &sides[small]);
            let mut rest = leaf.histogram;
            rest.iter_mut().zip(&counted).for_each(|(r, c)| {
                r[0] -= c[0];
                r[1] -= c[1];
            });
            let sum = |rows: &Range<usize>| {
                let rows = self.order[rows.clone()].iter();
                rows.fold([0.0; 2], |sum, &row| plus(sum, pairs[row as usize]))
            };
            let small_sum = sum(&sides[small]);
            let rest_sum = [leaf.sum[0] - small_sum[0], leaf.sum[1] - small_sum[1]];
            let mut both = [(counted, small_sum), (rest, rest_sum)];
            if small == 1 {
                both.swap(0, 1);
            }
            for ((rows, node), (histogram, sum)) in sides.into_iter().zip([left, right]).zip(both) {
                let split = self.best(&histogram, used, sum, rows.len());
                leaves.push(Leaf {
                    node,
                    rows,
                    sum,
                    histogram,
                    split,
                });
            }
        }
        for leaf in leaves {
            let value = -leaf.sum[0] / (leaf.sum[1] + self.shape.l2) * self.shape.learning_rate;
            let value = if value.is_finite() { value as f32 } else { 0.0 };
            nodes[leaf.node] = Node::Leaf(value);
            let rows = self.order[leaf.rows].iter();
            rows.for_each(|&row| scores[row as usize] += value);
        }
        nodes
    }

    /// Brings the rows of a leaf that go left before the others, in their order; answers where the others begin.
    fn part(&mut self, rows: &Range<usize>, feature: &Feature, goes_left: &[bool]) -> usize {
        self.spare.clear();
        let mut to = rows.start;
        for at in rows.clone() {
            let row = self.order[at];
            if goes_left[usize::from(feature.bins[row as usize])] {
                self.order[to] = row;
                to += 1;
            } else {
                self.spare.push(row);
            }
        }
        self.order[to..rows.end].copy_from_slice(&self.spare);
        to
    }

    fn histogram(&mut self, pairs: &[Pair], used: &[usize], rows: &Range<usize>) -> Vec<Pair> {
        let order = &self.order[rows.clone()];
        self.gathered.clear();
        self.gathered
            .extend(order.iter().map(|&row| pairs[row as usize]));
        let gathered = &self.gathered;
        let mut out = vec![[0.0; 2]; self.bins];
        let fill = |feature: usize, out: &mut [Pair]| {
            let bins = &self.features[feature].bins;
            for (&row, pair) in order.iter().zip(gathered) {
                let sum = &mut out[usize::from(bins[row as usize])];
                sum[0] += pair[0];
                sum[1] += pair[1];
            }
        };
        // Each feature has its own piece of the histogram.
        let mut pieces = Vec::with_capacity(used.len());
        let (mut rest, mut at) = (&mut out[..], 0);
        for &feature in used {
            let (_, from_here) = rest.split_at_mut(self.starts[feature] - at);
            let (own, after) = from_here.split_at_mut(self.features[feature].count);
            at = self.starts[feature] + own.len();
            pieces.push((feature, own));
            rest = after;
        }
        if order.len() * used.len() < SMALL {
            pieces
                .into_iter()
                .for_each(|(feature, own)| fill(feature, own));
        } else {
            pieces
                .into_par_iter()
                .for_each(|(feature, own)| fill(feature, own));
        }
        out
    }

    /// The split that gains most, if any gains.
    fn best(&self, histogram: &[Pair], used: &[usize], sum: Pair, rows: usize) -> Option<Split> {
        if rows < 2 * self.shape.least_rows {
            return None;
        }
        // Rows are told from curvature: histograms stay small that way.
        let per_row = sum[1] / rows as f64;
        let least = (self.shape.least_rows as f64 * per_row).max(1e-3);
        let found = used.iter().filter_map(|&feature| {
            let own = &histogram[self.starts[feature]..][..self.features[feature].count];
            let (gain, goes_left) = if self.features[feature].is_category() {
                self.category(own, sum, least)?
            } else {
                self.number(own, sum, least)?
            };
            Some(Split {
                gain,
                feature,
                goes_left,
            })
        });
        found
            .max_by(|a, b| a.gain.total_cmp(&b.gain))
            .filter(|split| split.gain > 1e-6)
    }

    /// What a split gains in the loss, twice.
    fn gain(&self, left: Pair, sum: Pair, extra: f64) -> f64 {
        let l2 = self.shape.l2 + extra;
        let right = [sum[0] - left[0], sum[1] - left[1]];
        let score = |[g, h]: Pair, l2: f64| g * g / (h + l2);
        score(left, l2) + score(right, l2) - score(sum, self.shape.l2)
    }

    fn number(&self, own: &[Pair], sum: Pair, least: f64) -> Option<(f64, Vec<bool>)> {
        let mut left = [0.0; 2];
        let mut best: Option<(f64, usize)> = None;
        for (bin, pair) in own[..own.len() - 1].iter().enumerate() {
            left = plus(left, *pair);
            if left[1] < least {
                continue;
            }
            if sum[1] - left[1] < least {
                break;
            }
            let gain = self.gain(left, sum, 0.0);
            if best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, bin));
            }
        }
        let (gain, last) = best?;
        Some((gain, (0..own.len()).map(|bin| bin <= last).collect()))
    }

    /// Levels in the order of their mean gradient, a run from either end (Fisher 1958); few levels one against the others. The
    /// first bin, of rare and unseen levels, stays right.
    fn category(&self, own: &[Pair], sum: Pair, least: f64) -> Option<(f64, Vec<bool>)> {
        let mut best: Option<(f64, Vec<usize>)> = None;
        let mut consider = |left: Pair, bins: &[usize], extra: f64| {
            if left[1] < least || sum[1] - left[1] < least {
                return;
            }
            let gain = self.gain(left, sum, extra);
            if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                best = Some((gain, bins.to_vec()));
            }
        };
        if own.len() <= FEW + 1 {
            for (bin, pair) in own.iter().enumerate().skip(1) {
                consider(*pair, &[bin], 0.0);
            }
        } else {
            let per_level = least.min(SMOOTH);
            let mut order: Vec<usize> = (1..own.len())
                .filter(|&b| own[b][1] >= per_level / 4.0)
                .collect();
            let mean = |b: usize| own[b][0] / (own[b][1] + SMOOTH);
            order.sort_by(|a, b| mean(*a).total_cmp(&mean(*b)));
            for _ in 0..2 {
                let mut left = [0.0; 2];
                for (i, &bin) in order.iter().take(MOST_LEVELS).enumerate() {
                    left = plus(left, own[bin]);
                    consider(left, &order[..=i], SMOOTH);
                }
                order.reverse();
            }
        }
        let (gain, bins) = best?;
        let mut goes_left = vec![false; own.len()];
        bins.into_iter().for_each(|bin| goes_left[bin] = true);
        Some((gain, goes_left))
    }
}

fn plus(a: Pair, b: Pair) -> Pair {
    [a[0] + b[0], a[1] + b[1]]
}

/// In fixed pieces, so that threads change nothing.
fn total(pairs: &[Pair]) -> Pair {
    let parts: Vec<Pair> = pairs
        .par_chunks(16_384)
        .map(|part| part.iter().fold([0.0; 2], |sum, pair| plus(sum, *pair)))
        .collect();
    parts.into_iter().fold([0.0; 2], plus)
}
