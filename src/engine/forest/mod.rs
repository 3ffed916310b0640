//! A random forest (Breiman 2001) on inputs in bins: trees on bootstrap samples, each split by the best of some inputs.

mod averaged;
mod binned;

use crate::models::Node as Written;
use crate::random::Random;
pub use averaged::Averaged;
pub use binned::{Binned, Cuts};
use rayon::prelude::*;

/// Bins of an input, at most: they fit a byte.
const BINS: usize = 256;

/// How a forest is grown.
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    pub trees: usize,
    /// Rows of a leaf, at least.
    pub leaf: usize,
    /// Inputs looked at for each split; `None`: the square root of their number.
    pub tried: Option<usize>,
    pub seed: u64,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    input: u32,
    /// Rows of at most this bin go left.
    bin: u8,
    /// The left child; the right one follows. 0: a leaf.
    left: u32,
}

#[derive(Debug, Clone)]
struct Tree {
    nodes: Vec<Node>,
    /// `[nodes][outputs]`: the mean of the node's rows.
    means: Vec<f32>,
    /// Training rows the tree has not seen, ascending; none where nobody asks for them.
    unseen: Vec<u32>,
}

/// Answers the mean of a number, the probability of the second of two classes, or one for each class.
#[derive(Debug, Clone)]
pub struct Forest {
    trees: Vec<Tree>,
    outputs: usize,
}

impl Forest {
    /// A forest without trees yet.
    pub fn of(outputs: usize) -> Forest {
        Forest {
            trees: Vec::new(),
            outputs,
        }
    }

    /// Grows the trees, which know what rows they have not seen; `target` has the rows of `binned`. The same seed gives the same
    /// forest with any number of threads.
    pub fn fit(binned: &Binned, target: &Averaged, growth: Growth) -> Forest {
        let mut forest = Forest::of(target.outputs);
        forest.add(binned, target, &[], growth, true);
        forest
    }

    /// Grows more trees of the same forest, which are for answers alone: `growth.trees` beyond those there are. Rows are drawn in
    /// proportion to `weights`; none: evenly.
    pub fn grow(&mut self, binned: &Binned, target: &Averaged, weights: &[f32], growth: Growth) {
        self.add(binned, target, weights, growth, false);
    }

    fn add(
        &mut self,
        binned: &Binned,
        target: &Averaged,
        weights: &[f32],
        growth: Growth,
        keeps_unseen: bool,
    ) {
        let mut sum = 0.0;
        let up_to: Vec<f64> = weights
            .iter()
            .map(|weight| {
                sum += f64::from(*weight);
                sum
            })
            .collect();
        let first = self.trees.len() as u64;
        let numbers = (first..first + growth.trees as u64).into_par_iter();
        self.trees.par_extend(numbers.map(|number| {
            let seed = growth.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut random = Random::new(seed);
            let (mut tree, seen) = Tree::grow(binned, target, &up_to, growth, &mut random);
            if keeps_unseen {
                let rows = 0..binned.rows as u32;
                tree.unseen = rows.filter(|row| !seen[*row as usize]).collect();
            }
            tree
        }));
    }

    /// The trees with each leaf's means by the number of trees, so that their sums are the forest's answers; `ask` writes the
    /// node of an input whose rows of at most a bin go left.
    pub fn written(&self, ask: impl Fn(usize, u8, usize, usize) -> Written) -> Vec<Vec<Written>> {
        let count = self.trees.len().max(1) as f32;
        let tree = |tree: &Tree| {
            let means = tree.means.chunks_exact(self.outputs);
            let nodes = tree.nodes.iter().zip(means);
            let nodes = nodes.map(|(node, means)| match (node.left as usize, means) {
                (0, [mean]) => Written::Leaf(mean / count),
                (0, means) => Written::Leaves(means.iter().map(|mean| mean / count).collect()),
                (left, _) => ask(node.input as usize, node.bin, left, left + 1),
            });
            nodes.collect()
        };
        self.trees.iter().map(tree).collect()
    }

    /// The mean squared error over all outputs of the given rows, `bin` answering an input's bin of a row.
    pub fn error(&self, rows: usize, target: &Averaged, bin: impl Fn(usize, usize) -> u8) -> f64 {
        let mut answer = vec![0f64; self.outputs];
        let mut sum = 0.0;
        for row in 0..rows {
            answer.fill(0.0);
            for tree in &self.trees {
                let means = tree.answer(self.outputs, |input| bin(input, row));
                answer
                    .iter_mut()
                    .zip(means)
                    .for_each(|(a, m)| *a += f64::from(*m));
            }
            let off = answer.iter().zip(target.row(row));
            sum += off
                .map(|(a, y)| (a / self.trees.len().max(1) as f64 - f64::from(*y)).powi(2))
                .sum::<f64>();
        }
        sum / rows.max(1) as f64
    }

    /// By how many of its standard deviations over the trees the error on the rows a tree has not seen rises when the inputs
    /// of one owner are permuted (Breiman 2001); `owners` says for each input whose it is, from 0 to `count` - 1. 0 where no
    /// tree asks for any of them.
    pub fn importance(
        &self,
        binned: &Binned,
        target: &Averaged,
        owners: &[usize],
        count: usize,
        seed: u64,
    ) -> Vec<f64> {
        let rises = self.each_rises(binned, target, owners, count, seed);
        let trees = rises.len().max(1) as f64;
        (0..count)
            .map(|owner| {
                let own = || rises.iter().map(|rises| rises[owner]);
                let mean = own().sum::<f64>() / trees;
                let variance = own().map(|rise| (rise - mean).powi(2)).sum::<f64>() / trees;
                if variance > 0.0 {
                    mean / variance.sqrt()
                } else {
                    0.0
                }
            })
            .collect()
    }
}

impl Forest {
    /// Of each tree by how much its error rises.
    fn each_rises(
        &self,
        binned: &Binned,
        target: &Averaged,
        owners: &[usize],
        count: usize,
        seed: u64,
    ) -> Vec<Vec<f64>> {
        let trees = self.trees.par_iter().enumerate();
        let of = |(number, tree): (usize, &Tree)| {
            let mut random = Random::new(seed.wrapping_add(number as u64));
            tree.rises(binned, target, owners, count, &mut random)
        };
        trees.map(of).collect()
    }

    /// By how much the error on the rows a tree has not seen rises in the mean, see [`Forest::importance`].
    pub fn rises(
        &self,
        binned: &Binned,
        target: &Averaged,
        owners: &[usize],
        count: usize,
        seed: u64,
    ) -> Vec<f64> {
        let rises = self.each_rises(binned, target, owners, count, seed);
        let mean = |owner| {
            rises
                .iter()
                .map(|rises: &Vec<f64>| rises[owner])
                .sum::<f64>()
        };
        (0..count)
            .map(|owner| mean(owner) / rises.len().max(1) as f64)
            .collect()
    }

    /// What the trees that have not seen a row answer to it in the mean, the first output; 0 where all have seen it.
    pub fn out_of_bag(&self, binned: &Binned) -> Vec<f64> {
        let mut sums = vec![(0.0, 0u32); binned.rows];
        for tree in &self.trees {
            for &row in &tree.unseen {
                let means = tree.answer(self.outputs, |input| binned.inputs[input][row as usize]);
                let (sum, trees) = &mut sums[row as usize];
                *sum += f64::from(means[0]);
                *trees += 1;
            }
        }
        sums.into_iter()
            .map(|(sum, trees)| sum / f64::from(trees.max(1)))
            .collect()
    }
}

impl Tree {
    /// A tree, and whether it has seen each row. `up_to` are the sums of the rows' weights up to each, or none.
    fn grow(
        binned: &Binned,
        target: &Averaged,
        up_to: &[f64],
        growth: Growth,
        random: &mut Random,
    ) -> (Tree, Vec<bool>) {
        let (count, leaf) = (binned.rows, growth.leaf);
        let mut seen = vec![false; count];
        let mut rows: Vec<u32> = (0..count)
            .map(|_| {
                let row = match up_to.last() {
                    None => random.below(count),
                    Some(all) => {
                        let drawn = random.uniform() * all;
                        up_to.partition_point(|sum| *sum <= drawn).min(count - 1)
                    }
                };
                seen[row] = true;
                row as u32
            })
            .collect();
        let mut tree = Tree {
            nodes: Vec::new(),
            means: Vec::new(),
            unseen: Vec::new(),
        };
        // A third of the inputs for numbers, the square root of their number for classes, as Breiman has it; two classes are
        // averaged like a number, and the square root does as well for numbers of many inputs.
        let inputs = binned.inputs.len();
        let root = (inputs as f64).sqrt().ceil() as usize;
        let some = growth.tried.unwrap_or(root).clamp(1, inputs.max(1));
        let mut order: Vec<usize> = (0..inputs).collect();
        let mut histogram = Histogram::new(target.outputs);
        tree.push(target, &rows);
        let mut waiting = vec![(0usize, 0usize, rows.len())];
        while let Some((node, start, end)) = waiting.pop() {
            if end - start < 2 * leaf {
                continue;
            }
            for place in 0..some.min(inputs) {
                order.swap(place, place + random.below(inputs - place));
            }
            let tried = order[..some.min(inputs)].iter();
            let best = tried
                .filter_map(|&input| {
                    let codes = &binned.inputs[input];
                    let (gain, bin) = histogram.best(codes, target, &rows[start..end], leaf)?;
                    Some((gain, input, bin))
                })
                .reduce(|best, next| if next.0 > best.0 { next } else { best });
            let Some((_, input, bin)) = best else {
                continue;
            };
            let codes = &binned.inputs[input];
            let middle = start + partition(&mut rows[start..end], |row| codes[row as usize] <= bin);
            let left = tree.nodes.len();
            tree.nodes[node] = Node {
                input: input as u32,
                bin,
                left: left as u32,
            };
            tree.push(target, &rows[start..middle]);
            tree.push(target, &rows[middle..end]);
            waiting.push((left, start, middle));
            waiting.push((left + 1, middle, end));
        }
        tree.nodes.shrink_to_fit();
        tree.means.shrink_to_fit();
        (tree, seen)
    }

    /// A leaf with the mean of the rows.
    fn push(&mut self, target: &Averaged, rows: &[u32]) {
        self.nodes.push(Node {
            input: 0,
            bin: 0,
            left: 0,
        });
        for output in 0..target.outputs {
            let sum: f64 = rows
                .iter()
                .map(|row| f64::from(target.row(*row as usize)[output]))
                .sum();
            self.means.push((sum / rows.len().max(1) as f64) as f32);
        }
    }

    #[inline]
    fn answer(&self, outputs: usize, bin: impl Fn(usize) -> u8) -> &[f32] {
        let mut place = 0;
        loop {
            let node = self.nodes[place];
            if node.left == 0 {
                return &self.means[place * outputs..(place + 1) * outputs];
            }
            let right = usize::from(bin(node.input as usize) > node.bin);
            place = node.left as usize + right;
        }
    }

    fn rises(
        &self,
        binned: &Binned,
        target: &Averaged,
        owners: &[usize],
        count: usize,
        random: &mut Random,
    ) -> Vec<f64> {
        let mut asked = vec![false; count];
        for node in self.nodes.iter().filter(|node| node.left > 0) {
            asked[owners[node.input as usize]] = true;
        }
        let mut order: Vec<u32> = self.unseen.clone();
        let error = |order: &[u32], permuted: usize| {
            let mut sum = 0.0;
            for (row, other) in self.unseen.iter().zip(order) {
                let bin = |input: usize| {
                    let from = if owners[input] == permuted {
                        other
                    } else {
                        row
                    };
                    binned.inputs[input][*from as usize]
                };
                let means = self.answer(target.outputs, bin);
                let off = means.iter().zip(target.row(*row as usize));
                sum += off.map(|(m, y)| f64::from((m - y) * (m - y))).sum::<f64>();
            }
            sum / self.unseen.len().max(1) as f64
        };
        let before = error(&order, usize::MAX);
        (0..count)
            .map(|owner| {
                if !asked[owner] {
                    return 0.0;
                }
                random.shuffle(&mut order);
                error(&order, owner) - before
            })
            .collect()
    }
}

/// Sums of the target by bin.
struct Histogram {
    outputs: usize,
    counts: Vec<u32>,
    sums: Vec<f64>,
}

impl Histogram {
    fn new(outputs: usize) -> Histogram {
        Histogram {
            outputs,
            counts: vec![0; BINS],
            sums: vec![0.0; BINS * outputs],
        }
    }

    /// The bin after which to split so that the squared error falls most, and by how much; `None` where nothing falls.
    fn best(
        &mut self,
        codes: &[u8],
        target: &Averaged,
        rows: &[u32],
        leaf: usize,
    ) -> Option<(f64, u8)> {
        let outputs = self.outputs;
        // Deep in a tree few bins are left.
        let bins = rows.iter().map(|row| usize::from(codes[*row as usize]));
        let (low, high) = bins.fold((BINS, 0), |(low, high), bin| (low.min(bin), high.max(bin)));
        if low >= high {
            return None;
        }
        self.counts[low..=high].fill(0);
        self.sums[low * outputs..(high + 1) * outputs].fill(0.0);
        for &row in rows {
            let bin = usize::from(codes[row as usize]);
            self.counts[bin] += 1;
            let sums = &mut self.sums[bin * outputs..(bin + 1) * outputs];
            let values = target.row(row as usize);
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, y)| *sum += f64::from(*y));
        }
        let mut all = vec![0.0; outputs];
        for sums in self.sums[low * outputs..(high + 1) * outputs].chunks_exact(outputs) {
            all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
        }
        let total = rows.len() as f64;
        let before: f64 = all.iter().map(|sum| sum * sum).sum::<f64>() / total;
        let mut left = vec![0.0; outputs];
        let (mut count, mut best) = (0u32, None::<(f64, u8)>);
        for bin in low..high {
            if self.counts[bin] == 0 {
                continue;
            }
            count += self.counts[bin];
            let sums = &self.sums[bin * outputs..(bin + 1) * outputs];
            left.iter_mut()
                .zip(sums)
                .for_each(|(left, sum)| *left += sum);
            let other = rows.len() - count as usize;
            if (count as usize) < leaf {
                continue;
            }
            if other < leaf {
                break;
            }
            let squares = |own: f64, all: f64| {
                own * own / f64::from(count) + (all - own) * (all - own) / other as f64
            };
            let after: f64 = left
                .iter()
                .zip(&all)
                .map(|(own, all)| squares(*own, *all))
                .sum();
            let gain = after - before;
            if gain > 1e-9 * before.abs().max(1e-9) && best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, bin as u8));
            }
        }
        best
    }
}

/// Rows that go left first; answers how many.
fn partition(rows: &mut [u32], left: impl Fn(u32) -> bool) -> usize {
    let mut middle = 0;
    for place in 0..rows.len() {
        if left(rows[place]) {
            rows.swap(middle, place);
            middle += 1;
        }
    }
    middle
}

#[cfg(test)]
mod tests;
