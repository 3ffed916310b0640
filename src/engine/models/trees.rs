//! Trees, boosted ones or a forest, as plain words.

mod stored;

use serde::{Deserialize, Serialize};
pub(crate) use stored::Asked;

/// Words of a node: what is asked, the threshold, the set or the value, the left and the right child.
const NODE: usize = 4;
/// The node is a leaf: the next word is its value, an f32.
const LEAF: u32 = u32::MAX;
/// The node is a leaf with a value for each output: the next word is where they begin among the words after the nodes, f32s.
const LEAVES: u32 = u32::MAX - 1;
/// The node asks whether a category's code is in a set; without it whether a number is below a threshold, an f32.
const SET: u32 = 1 << 31;

/// Sums of trees (Friedman 2001, "Greedy function approximation"; Breiman 2001, "Random forests"), as many as a row has outputs.
/// A row's features are its dense numbers, then its category codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    pub numbers: usize,
    pub categories: usize,
    /// What the sums of each output begin with.
    pub base: Vec<f32>,
    /// For each tree its output.
    pub outputs: Vec<usize>,
    /// For each tree the node it begins with; ascending.
    pub roots: Vec<u32>,
    pub nodes: usize,
    /// Words of the sets of codes that go left; each begins with its length in words.
    pub set_words: usize,
    /// The sums are the answers, as a forest's means are; else they are log-odds (or, of a number, the value).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain: bool,
    /// The nodes, then the sets.
    #[serde(skip)]
    pub words: Vec<u32>,
}

/// One node before it is written down.
pub enum Node {
    Leaf(f32),
    /// A value for each output.
    Leaves(Vec<f32>),
    /// Goes left below the threshold.
    Number {
        feature: usize,
        threshold: f32,
        left: usize,
        right: usize,
    },
    /// Goes left for the codes whose bits are set, byte by byte from the lowest.
    Category {
        feature: usize,
        codes: Vec<u8>,
        left: usize,
        right: usize,
    },
}

impl Node {
    /// What a tree of one output, its root first, says of one row; the way of [`Trees::sums`].
    pub fn value(tree: &[Node], numbers: &[f32], codes: &[u32]) -> f32 {
        let mut at = 0;
        while let Some(node) = tree.get(at) {
            at = match node {
                Node::Leaf(value) => return *value,
                Node::Leaves(values) => return values.first().copied().unwrap_or(0.0),
                Node::Number {
                    feature,
                    threshold,
                    left,
                    right,
                } => {
                    if numbers[*feature] < *threshold {
                        *left
                    } else {
                        *right
                    }
                }
                Node::Category {
                    feature,
                    codes: set,
                    left,
                    right,
                } => {
                    let code = codes[*feature - numbers.len()] as usize;
                    let inside = set
                        .get(code / 8)
                        .is_some_and(|byte| byte >> (code % 8) & 1 == 1);
                    if inside { *left } else { *right }
                }
            };
        }
        0.0
    }
}

impl Trees {
    pub fn new(numbers: usize, categories: usize, base: Vec<f32>) -> Trees {
        Trees {
            numbers,
            categories,
            base,
            outputs: Vec::new(),
            roots: Vec::new(),
            nodes: 0,
            set_words: 0,
            plain: false,
            words: Vec::new(),
        }
    }

    /// Writes down trees: for each its output and its nodes, children by their position, which is after their parent's.
    pub fn write(&mut self, trees: Vec<(usize, Vec<Node>)>) {
        let (mut nodes, mut sets): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for (output, tree) in trees {
            let root = (nodes.len() / NODE) as u32;
            self.outputs.push(output);
            self.roots.push(root);
            for node in tree {
                let child = |at: usize| root + at as u32;
                nodes.extend(match node {
                    Node::Leaf(value) => [LEAF, value.to_bits(), 0, 0],
                    Node::Leaves(values) => {
                        let at = sets.len() as u32;
                        sets.extend(values.iter().map(|value| value.to_bits()));
                        [LEAVES, at, 0, 0]
                    }
                    Node::Number {
                        feature,
                        threshold,
                        left,
                        right,
                    } => [
                        feature as u32,
                        threshold.to_bits(),
                        child(left),
                        child(right),
                    ],
                    Node::Category {
                        feature,
                        codes,
                        left,
                        right,
                    } => {
                        let at = sets.len() as u32;
                        sets.push(codes.len().div_ceil(4) as u32);
                        sets.extend(codes.chunks(4).map(|bytes| {
                            let mut word = [0; 4];
                            word[..bytes.len()].copy_from_slice(bytes);
                            u32::from_le_bytes(word)
                        }));
                        [feature as u32 | SET, at, child(left), child(right)]
                    }
                });
            }
        }
        self.nodes = nodes.len() / NODE;
        self.set_words = sets.len();
        nodes.extend(sets);
        self.words = nodes;
    }

    /// How many words there are; `None`: too many to count.
    pub fn size(&self) -> Option<usize> {
        self.nodes.checked_mul(NODE)?.checked_add(self.set_words)
    }

    /// Whether [`Trees::sums`] can neither fail nor loop: children come after their parents, everything is in range, every
    /// number finite.
    pub fn is_sound(&self) -> bool {
        let features = self.numbers.checked_add(self.categories);
        let (Some(features), true) = (features, self.size() == Some(self.words.len())) else {
            return false;
        };
        let (nodes, sets) = self.words.split_at(self.nodes * NODE);
        // A tree ends where the next begins, so that a row's way is no longer than the nodes there are.
        let end = |at: usize| {
            let next = self.roots.partition_point(|root| *root as usize <= at);
            self.roots
                .get(next)
                .map_or(self.nodes, |root| *root as usize)
        };
        let node = |(at, node): (usize, &[u32; NODE])| match *node {
            [LEAF, value, ..] => f32::from_bits(value).is_finite(),
            [LEAVES, start, ..] => {
                let values = sets.get(start as usize..);
                let values = values.and_then(|rest| rest.get(..self.base.len()));
                values.is_some_and(|v| v.iter().all(|v| f32::from_bits(*v).is_finite()))
            }
            [asked, value, left, right] => {
                let end = end(at);
                let after = |child: u32| child as usize > at && (child as usize) < end;
                let feature = (asked & !SET) as usize;
                let fits = if asked & SET == 0 {
                    feature < self.numbers && f32::from_bits(value).is_finite()
                } else {
                    let length = sets.get(value as usize);
                    (self.numbers..features).contains(&feature)
                        && length.is_some_and(|l| value as usize + 1 + *l as usize <= sets.len())
                };
                fits && after(left) && after(right)
            }
        };
        // No node has two ways to it: there are then as many ways as leaves.
        let mut met = vec![false; self.nodes];
        let once = |child: u32, met: &mut Vec<bool>| {
            let place = met.get_mut(child as usize);
            place.is_some_and(|place| !std::mem::replace(place, true))
        };
        let apart = nodes.as_chunks::<NODE>().0.iter().all(|node| match *node {
            [LEAF | LEAVES, ..] => true,
            [_, _, left, right] => once(left, &mut met) && once(right, &mut met),
        });
        apart
            && self.base.iter().all(|b| b.is_finite())
            && self.roots.len() == self.outputs.len()
            && self.outputs.iter().all(|o| *o < self.base.len())
            && self.roots.iter().all(|r| (*r as usize) < self.nodes)
            && self.roots.windows(2).all(|pair| pair[0] < pair[1])
            && nodes.as_chunks::<NODE>().0.iter().enumerate().all(node)
    }

    /// Adds up the trees for one row: `numbers` and `codes` of the given lengths, `out` one per output. A number that is none
    /// goes right.
    pub fn sums(&self, numbers: &[f32], codes: &[u32], out: &mut [f32]) {
        out.copy_from_slice(&self.base);
        let (nodes, sets) = self.words.split_at(self.nodes * NODE);
        let nodes = nodes.as_chunks::<NODE>().0;
        for (&root, &output) in self.roots.iter().zip(&self.outputs) {
            let mut at = root as usize;
            loop {
                let [asked, value, left, right] = nodes[at];
                if asked == LEAF {
                    out[output] += f32::from_bits(value);
                    break;
                }
                if asked == LEAVES {
                    let values = sets[value as usize..].iter().map(|v| f32::from_bits(*v));
                    out.iter_mut().zip(values).for_each(|(out, v)| *out += v);
                    break;
                }
                let goes_left = self.goes_left(asked, value, sets, (numbers, codes));
                at = if goes_left { left } else { right } as usize;
            }
        }
    }

    /// Where a node that asks `asked` sends a row.
    #[inline(always)]
    fn goes_left(
        &self,
        asked: u32,
        value: u32,
        sets: &[u32],
        (numbers, codes): (&[f32], &[u32]),
    ) -> bool {
        if asked & SET == 0 {
            return numbers[asked as usize] < f32::from_bits(value);
        }
        let code = codes[(asked & !SET) as usize - self.numbers];
        let set = &sets[value as usize + 1..][..sets[value as usize] as usize];
        set.get(code as usize / 32)
            .is_some_and(|w| w >> (code % 32) & 1 == 1)
    }

    /// The first output's sums of two rows, and what each player adds on the way from the second to the first: the Shapley values
    /// of the game in which a set of players brings the first row's inputs and the others the second's (Lundberg et al. 2020,
    /// "From local explanations to global understanding", interventional). `players` are those of the numbers, then of the
    /// categories; `added` has a place for each.
    pub(crate) fn between(
        &self,
        own: (&[f32], &[u32]),
        other: (&[f32], &[u32]),
        players: &[usize],
        added: &mut [f64],
    ) -> (f64, f64) {
        let (nodes, sets) = self.words.split_at(self.nodes * NODE);
        let mut walk = Walk {
            trees: self,
            nodes: nodes.as_chunks::<NODE>().0,
            sets,
            own,
            other,
            players,
            sides: vec![Side::Open; added.len()],
            with: [Vec::new(), Vec::new()],
            added,
            sums: (0.0, 0.0),
        };
        for (&root, &output) in self.roots.iter().zip(&self.outputs) {
            if output == 0 {
                walk.go(root as usize);
            }
        }
        let base = self.base.first().map_or(0.0, |base| f64::from(*base));
        (base + walk.sums.0, base + walk.sums.1)
    }
}

/// Whose inputs a player brings on a way through a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Open,
    Own,
    Other,
}

/// All ways through trees that mixes of two rows can take.
struct Walk<'a> {
    trees: &'a Trees,
    nodes: &'a [[u32; NODE]],
    sets: &'a [u32],
    own: (&'a [f32], &'a [u32]),
    other: (&'a [f32], &'a [u32]),
    players: &'a [usize],
    sides: Vec<Side>,
    /// Players that had to bring the own and the other row's inputs on the way here.
    with: [Vec<usize>; 2],
    added: &'a mut [f64],
    sums: (f64, f64),
}

impl Walk<'_> {
    /// Calls itself once for each player on the way at most.
    fn go(&mut self, mut at: usize) {
        loop {
            let [asked, value, left, right] = self.nodes[at];
            if asked == LEAF {
                return self.leaf(f64::from(f32::from_bits(value)));
            }
            if asked == LEAVES {
                let value = self.sets.get(value as usize).map_or(0, |v| *v);
                return self.leaf(f64::from(f32::from_bits(value)));
            }
            let child = |goes_left: bool| if goes_left { left } else { right } as usize;
            let own = self.trees.goes_left(asked, value, self.sets, self.own);
            let other = self.trees.goes_left(asked, value, self.sets, self.other);
            let player = self.players[(asked & !SET) as usize];
            at = match self.sides[player] {
                _ if own == other => child(own),
                Side::Own => child(own),
                Side::Other => child(other),
                Side::Open => {
                    for (i, side, goes_left) in [(0, Side::Own, own), (1, Side::Other, other)] {
                        self.sides[player] = side;
                        self.with[i].push(player);
                        self.go(child(goes_left));
                        self.with[i].pop();
                    }
                    self.sides[player] = Side::Open;
                    return;
                }
            };
        }
    }

    fn leaf(&mut self, value: f64) {
        let [own, other] = &self.with;
        if other.is_empty() {
            self.sums.0 += value;
        }
        if own.is_empty() {
            self.sums.1 += value;
        }
        let (a, b) = (own.len(), other.len());
        // Of all orders of these players so many have those with the own inputs first, and among them this one last.
        if a > 0 {
            let weight = value * orders(a - 1, b);
            own.iter().for_each(|player| self.added[*player] += weight);
        }
        if b > 0 {
            let weight = value * orders(a, b - 1);
            other
                .iter()
                .for_each(|player| self.added[*player] -= weight);
        }
    }
}

/// a! b! / (a + b + 1)!.
fn orders(a: usize, b: usize) -> f64 {
    let (few, many) = (a.min(b), a.max(b));
    let mut out = 1.0 / (a + b + 1) as f64;
    for i in 1..=few {
        out *= i as f64 / (many + i) as f64;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Trees {
        let mut trees = Trees::new(1, 1, vec![0.5]);
        let number = Node::Number {
            feature: 0,
            threshold: 2.0,
            left: 1,
            right: 2,
        };
        let category = Node::Category {
            feature: 1,
            codes: vec![0b100, 0, 0, 0, 1],
            left: 1,
            right: 2,
        };
        trees.write(vec![
            (0, vec![number, Node::Leaf(1.0), Node::Leaf(-1.0)]),
            (0, vec![category, Node::Leaf(10.0), Node::Leaf(20.0)]),
        ]);
        trees
    }

    #[test]
    fn sums_follow_the_splits() {
        let trees = small();
        assert!(trees.is_sound());
        for (x, code, want) in [
            (1.0, 2, 11.5),
            (2.0, 32, 9.5),
            (f32::NAN, 3, 19.5),
            (1.9, 4000, 21.5),
        ] {
            let mut out = [0.0];
            trees.sums(&[x], &[code], &mut out);
            assert_eq!(out, [want], "{x} {code}");
        }
    }

    #[test]
    fn leaves_of_several_outputs_add_to_each() {
        let mut trees = Trees::new(1, 0, vec![0.0, 0.5]);
        let number = Node::Number {
            feature: 0,
            threshold: 2.0,
            left: 1,
            right: 2,
        };
        let leaves = |a, b| Node::Leaves(vec![a, b]);
        trees.write(vec![(0, vec![number, leaves(1.0, 2.0), leaves(3.0, 4.0)])]);
        assert!(trees.is_sound());
        let mut out = [0.0; 2];
        trees.sums(&[5.0], &[], &mut out);
        assert_eq!(out, [3.0, 4.5]);
        let mut damaged = trees.clone();
        damaged.words[1] = 0;
        damaged.words[4 + 1] = 3;
        assert!(!damaged.is_sound(), "values beyond the end");
        trees.words[3 * 4] = f32::NAN.to_bits();
        assert!(!trees.is_sound(), "no number");
    }

    #[test]
    fn damage_is_noticed() {
        let damaged = |change: &dyn Fn(&mut Trees)| {
            let mut trees = small();
            change(&mut trees);
            !trees.is_sound()
        };
        assert!(damaged(&|t| t.words[2] = 0));
        assert!(damaged(&|t| t.words[3] = 99));
        assert!(damaged(&|t| t.words[0] = 7));
        assert!(damaged(&|t| t.words[1] = f32::NAN.to_bits()));
        assert!(damaged(&|t| t.words[3 * 4 + 1] = 1000));
        assert!(damaged(&|t| t.outputs[0] = 1));
        assert!(damaged(&|t| t.roots[1] = 6));
        assert!(damaged(&|t| t.roots[1] = 0));
        assert!(damaged(&|t| t.roots[1] = 2));
        assert!(damaged(&|t| t.base[0] = f32::INFINITY));
        assert!(damaged(&|t| t.nodes = usize::MAX));
        assert!(damaged(&|t| t.words.truncate(26)));
    }
}
