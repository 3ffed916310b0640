//! Nodes read back from the words they were written down as.

use super::{LEAF, LEAVES, NODE, SET, Trees};

/// What a node asks; where it holds, the row goes left.
pub(crate) enum Asked<'a> {
    /// A leaf: the bits of a value, or of one for each output.
    Nothing(&'a [u32]),
    Below {
        number: usize,
        threshold: f32,
    },
    /// The codes whose bits are set, word by word from the lowest.
    InSet {
        category: usize,
        codes: &'a [u32],
    },
}

/// A node as it is stored.
pub(crate) struct Stored<'a> {
    pub(crate) asked: Asked<'a>,
    pub(crate) left: usize,
    pub(crate) right: usize,
}

impl Trees {
    /// A node as it was written down; of trees that are sound.
    pub(crate) fn node(&self, at: usize) -> Stored<'_> {
        let (nodes, sets) = self.words.split_at(self.nodes * NODE);
        let node = &nodes[at * NODE..(at + 1) * NODE];
        let (asked, place) = (node[0], node[1] as usize);
        let feature = (asked & !SET) as usize;
        let asked = match asked {
            LEAF => Asked::Nothing(&node[1..2]),
            LEAVES => Asked::Nothing(&sets[place..place + self.base.len()]),
            _ if asked & SET == 0 => Asked::Below {
                number: feature,
                threshold: f32::from_bits(node[1]),
            },
            _ => Asked::InSet {
                category: feature - self.numbers,
                codes: &sets[place + 1..][..sets[place] as usize],
            },
        };
        Stored {
            asked,
            left: node[2] as usize,
            right: node[3] as usize,
        }
    }
}
