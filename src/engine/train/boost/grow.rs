//! One tree: leaf by leaf, the best split of all leaves first (Shi 2007; Ke et al. 2017, "LightGBM"), found in histograms of
//! the bins.

use super::bins::Feature;
use super::histogram::{Bins, Pair, Point, Run};
use crate::models::Node;
use crate::recipe::Matrix;
use rayon::prelude::*;
use std::ops::Range;

/// Sums to add or to look at below which one thread does it all.
const SMALL: usize = 40_000;
/// Rows that one thread copies at a time.
const PIECE: usize = 16_384;
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
    left: Left,
}

/// Which bins go left.
enum Left {
    /// All up to this one.
    To(usize),
    These(Vec<usize>),
}

impl Left {
    fn bins(&self, count: usize) -> Vec<bool> {
        match self {
            Left::To(last) => (0..count).map(|bin| bin <= *last).collect(),
            Left::These(bins) => {
                let mut goes_left = vec![false; count];
                bins.iter().for_each(|bin| goes_left[*bin] = true);
                goes_left
            }
        }
    }
}

struct Leaf {
    node: usize,
    rows: Range<usize>,
    sum: Pair,
    /// Empty where it is not split any more.
    histogram: Vec<Pair>,
    split: Option<Split>,
}

/// Grows trees on the same rows.
pub(super) struct Grower<'a> {
    features: &'a [Feature],
    bins: Bins,
    pub(super) shape: Shape,
    /// Rows, those of a leaf side by side.
    order: Vec<u32>,
    spare: Vec<u32>,
    /// The points of some rows.
    gathered: Vec<Point>,
    /// Histograms that are not needed any more: room for others.
    room: Vec<Vec<Pair>>,
}

impl<'a> Grower<'a> {
    pub(super) fn new(features: &'a [Feature], matrix: &Matrix, shape: Shape) -> Grower<'a> {
        Grower {
            features,
            bins: Bins::of(matrix, features),
            shape,
            order: (0..matrix.rows as u32).collect(),
            spare: vec![0; matrix.rows],
            gathered: vec![[0.0; 2]; matrix.rows],
            room: Vec::new(),
        }
    }

    /// A tree for the gradients of all rows that looks at some of the features; adds its values to `scores`.
    pub(super) fn tree(
        &mut self,
        points: &[Point],
        used: &[usize],
        scores: &mut [f32],
    ) -> Vec<Node> {
        let runs = self.bins.runs(used, self.features);
        let bins = runs.iter().map(|run| run.bins).sum();
        let all = 0..self.order.len();
        // Those of a leaf stay in the order of the table: what is read of them lies in that order, too.
        let rows = self.order.iter_mut().zip(0..);
        rows.for_each(|(row, own)| *row = own);
        let sum = total(points);
        let mut nodes = vec![Node::Leaf(0.0)];
        self.gather(points, &all);
        let mut histogram = self.histogram(bins);
        let [split, _] = self.look(&runs, &all, &mut histogram, &mut [], [(sum, all.len()); 2]);
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
            let goes_left = split.left.bins(feature.count);
            let middle = self.part(&leaf.rows, split.feature, &goes_left);
            let (left, right) = (nodes.len(), nodes.len() + 1);
            nodes[leaf.node] = feature.node(split.feature, &goes_left, left, right);
            nodes.extend([Node::Leaf(0.0), Node::Leaf(0.0)]);
            let sides = [leaf.rows.start..middle, middle..leaf.rows.end];
            // The smaller side is counted, the other is what is left.
            let small = usize::from(sides[1].len() < sides[0].len());
            let small_sum = total(self.gather(points, &sides[small]));
            let rest_sum = [leaf.sum[0] - small_sum[0], leaf.sum[1] - small_sum[1]];
            let (mut counted, mut rest) = (Vec::new(), leaf.histogram);
            let mut found = [None, None];
            // Leaves of the last split stay leaves, and so do small ones.
            let last = leaves.len() + 2 >= self.shape.leaves;
            if !last && self.is_large(sides[1 - small].len()) {
                counted = self.histogram(bins);
                let wholes = [
                    (small_sum, sides[small].len()),
                    (rest_sum, sides[1 - small].len()),
                ];
                found = self.look(&runs, &sides[small], &mut counted, &mut rest, wholes);
            }
            let [of_counted, of_rest] = found;
            let mut both = [(counted, small_sum, of_counted), (rest, rest_sum, of_rest)];
            if small == 1 {
                both.swap(0, 1);
            }
            for ((rows, node), (mut histogram, sum, split)) in
                sides.into_iter().zip([left, right]).zip(both)
            {
                if split.is_none() {
                    self.room.push(std::mem::take(&mut histogram));
                }
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
            self.room.push(leaf.histogram);
        }
        self.room.retain(|histogram| histogram.capacity() > 0);
        nodes
    }

    /// Brings the rows of a leaf that go left before the others, in their order; answers where the others begin.
    fn part(&mut self, rows: &Range<usize>, feature: usize, goes_left: &[bool]) -> usize {
        let (order, spare) = (&mut self.order[rows.clone()], &mut self.spare[..rows.len()]);
        let bin = self.bins.of_rows(feature);
        // Of a piece; answers how many go left, which are in their place. The others are in the other half.
        let part = |(order, spare): (&mut [u32], &mut [u32])| {
            let (mut left, mut right) = (0, 0);
            // Each row is written to either side, and one of them keeps it: no guess where it goes can be wrong.
            for at in 0..order.len() {
                let row = order[at];
                let stays = usize::from(goes_left[usize::from(bin(row))]);
                (order[left], spare[right]) = (row, row);
                left += stays;
                right += 1 - stays;
            }
            left
        };
        let lefts: Vec<usize> = match order.len() <= PIECE {
            true => vec![part((&mut *order, &mut *spare))],
            false => {
                let pieces = order.par_chunks_mut(PIECE);
                pieces.zip(spare.par_chunks_mut(PIECE)).map(part).collect()
            }
        };
        let mut middle = 0;
        for (piece, left) in lefts.iter().enumerate() {
            let from = piece * PIECE;
            order.copy_within(from..from + left, middle);
            middle += left;
        }
        let mut to = middle;
        for (spare, left) in spare.chunks(PIECE).zip(&lefts) {
            let right = spare.len() - left;
            order[to..to + right].copy_from_slice(&spare[..right]);
            to += right;
        }
        rows.start + middle
    }

    /// The points of the rows.
    fn gather(&mut self, points: &[Point], rows: &Range<usize>) -> &[Point] {
        let order = &self.order[rows.clone()];
        let gathered = &mut self.gathered[..order.len()];
        let copy = |(to, rows): (&mut [Point], &[u32])| {
            let each = to.iter_mut().zip(rows);
            each.for_each(|(to, row)| *to = points[*row as usize]);
        };
        let pieces = gathered.par_chunks_mut(PIECE).zip(order.par_chunks(PIECE));
        match order.len() <= PIECE {
            true => copy((gathered, order)),
            false => pieces.for_each(copy),
        }
        &self.gathered[..rows.len()]
    }

    /// Room for a histogram.
    fn histogram(&mut self, bins: usize) -> Vec<Pair> {
        let mut histogram = self.room.pop().unwrap_or_default();
        histogram.resize(bins, [0.0; 2]);
        histogram
    }

    /// Counts the rows, whose points are gathered, takes them from `rest` where there is one, and answers the best split of either.
    /// `wholes` are their sums and how many rows they have.
    fn look(
        &self,
        runs: &[Run],
        rows: &Range<usize>,
        counted: &mut [Pair],
        rest: &mut [Pair],
        wholes: [(Pair, usize); 2],
    ) -> [Option<Split>; 2] {
        let rows = &self.order[rows.clone()];
        let gathered = &self.gathered[..rows.len()];
        let work = |(run, counted, rest): (&Run, &mut [Pair], &mut [Pair])| {
            self.bins
                .count(run, self.features, (rows, gathered), counted);
            let each = rest.iter_mut().zip(&*counted);
            each.for_each(|(r, c)| {
                r[0] -= c[0];
                r[1] -= c[1];
            });
            let of_rest = match rest.is_empty() {
                true => None,
                false => self.best(run, rest, wholes[1]),
            };
            [self.best(run, counted, wholes[0]), of_rest]
        };
        // Each run has its own piece of the histograms.
        let additions = rows.len() * runs.iter().map(|run| run.features.len()).sum::<usize>();
        let small = additions + counted.len() + rest.len() < SMALL;
        let mut pieces = Vec::with_capacity(runs.len());
        let (mut more_counted, mut more_rest) = (counted, rest);
        for run in runs {
            let (counted, more) = more_counted.split_at_mut(run.bins);
            more_counted = more;
            let (rest, more) = more_rest.split_at_mut(run.bins.min(more_rest.len()));
            more_rest = more;
            pieces.push((run, counted, rest));
        }
        let found: Vec<[Option<Split>; 2]> = match small {
            true => pieces.into_iter().map(work).collect(),
            false => pieces.into_par_iter().map(work).collect(),
        };
        let mut found = found.into_iter();
        let best = found.next().unwrap_or_default();
        let best = found.fold(best, |[a, b], [c, d]| [better(a, c), better(b, d)]);
        best.map(|split| split.filter(|split| split.gain > 1e-6))
    }

    /// Whether a leaf of so many rows can be split.
    fn is_large(&self, rows: usize) -> bool {
        rows >= 2 * self.shape.least_rows
    }

    /// The split of one of the run's features that gains most, if any gains.
    fn best(&self, run: &Run, histogram: &[Pair], (sum, rows): (Pair, usize)) -> Option<Split> {
        if !self.is_large(rows) {
            return None;
        }
        // Rows are told from curvature: histograms stay small that way.
        let per_row = sum[1] / rows as f64;
        let least = (self.shape.least_rows as f64 * per_row).max(1e-3);
        let mut at = 0;
        let found = run.features.iter().filter_map(|&feature| {
            let own = &histogram[at..at + self.features[feature].count];
            at += own.len();
            let (gain, left) = if self.features[feature].is_category() {
                self.category(own, sum, least)?
            } else {
                self.number(own, sum, least)?
            };
            Some(Split {
                gain,
                feature,
                left,
            })
        });
        found.max_by(|a, b| a.gain.total_cmp(&b.gain))
    }

    /// What a split gains in the loss, twice.
    fn gain(&self, left: Pair, sum: Pair, extra: f64) -> f64 {
        let l2 = self.shape.l2 + extra;
        let right = [sum[0] - left[0], sum[1] - left[1]];
        let score = |[g, h]: Pair, l2: f64| g * g / (h + l2);
        score(left, l2) + score(right, l2) - score(sum, self.shape.l2)
    }

    fn number(&self, own: &[Pair], sum: Pair, least: f64) -> Option<(f64, Left)> {
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
        best.map(|(gain, last)| (gain, Left::To(last)))
    }

    /// Levels in the order of their mean gradient, a run from either end (Fisher 1958); few levels one against the others. The
    /// first bin, of rare and unseen levels, stays right.
    fn category(&self, own: &[Pair], sum: Pair, least: f64) -> Option<(f64, Left)> {
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
        best.map(|(gain, bins)| (gain, Left::These(bins)))
    }
}

/// The later one where both gain as much.
fn better(a: Option<Split>, b: Option<Split>) -> Option<Split> {
    match (a, b) {
        (Some(a), Some(b)) if a.gain.total_cmp(&b.gain).is_gt() => Some(a),
        (a, b) => b.or(a),
    }
}

fn plus(a: Pair, b: Pair) -> Pair {
    [a[0] + b[0], a[1] + b[1]]
}

/// In fixed pieces, so that threads change nothing.
fn total(points: &[Point]) -> Pair {
    let sum = |part: &[Point]| {
        part.iter()
            .fold([0.0; 2], |sum, own| plus(sum, own.map(f64::from)))
    };
    if points.len() <= PIECE {
        return sum(points);
    }
    let parts: Vec<Pair> = points.par_chunks(PIECE).map(sum).collect();
    parts.into_iter().fold([0.0; 2], plus)
}
