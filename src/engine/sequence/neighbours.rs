//! Histories that share items with the one at hand: what they hold is likely to come next (session-based nearest neighbours,
//! Jannach and Ludewig 2017; the nearer to the end a shared item is, the more it counts: VS-kNN, Ludewig and Jannach 2018).

use super::counts::{Past, Room, back, fading};
use super::histories::Histories;
use serde::{Deserialize, Serialize};

/// Steps of a piece: long histories are cut, so that what is near in time is near in the piece.
const PIECE: usize = 20;
/// Items of all pieces that are kept, the latest.
const KEPT: usize = 1 << 20;
/// The latest pieces of an item that are looked at.
const LATEST: usize = 300;
/// Pieces that answer.
const NEAREST: usize = 100;
/// Different items of a past that are looked for, and the steps back in which they are.
const SOUGHT: usize = 10;
const REACH: usize = 30;

/// Pieces of histories, by rising time of their last step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Neighbours {
    /// Where the pieces begin, and where the last one ends.
    #[serde(skip)]
    pub(super) offsets: Vec<u32>,
    /// The different items of each piece.
    #[serde(skip)]
    pub(super) items: Vec<u32>,
    /// Of each item where its pieces begin, and these, the latest first.
    #[serde(skip)]
    holders: (Vec<u32>, Vec<u32>),
}

impl Neighbours {
    /// Cuts the first steps of each key, as many as `counts` says, into pieces.
    pub(super) fn new(
        histories: &Histories,
        codes: &[u32],
        classes: usize,
        counts: impl Fn(usize) -> bool,
    ) -> Neighbours {
        let mut pieces: Vec<(f64, u32, u32)> = Vec::new();
        for range in histories.offsets.windows(2) {
            let steps = (range[0]..range[1]).take_while(|s| counts(*s)).count();
            for from in (0..steps).step_by(PIECE) {
                let len = PIECE.min(steps - from);
                let first = range[0] + from;
                if len > 1 {
                    let time = histories.times[first + len - 1];
                    pieces.push((time, first as u32, len as u32));
                }
            }
        }
        pieces.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut left = KEPT;
        let fits = |(_, _, len): &&(f64, u32, u32)| {
            let enough = left >= *len as usize;
            left = left.saturating_sub(*len as usize);
            enough
        };
        let kept = pieces.iter().take_while(fits).count();
        let mut out = Neighbours {
            offsets: vec![0],
            ..Neighbours::default()
        };
        for (_, first, len) in pieces[..kept].iter().rev() {
            let own = &codes[*first as usize..(*first + *len) as usize];
            let mut own: Vec<u32> = own.iter().filter(|c| **c > 0).map(|c| c - 1).collect();
            own.sort_unstable();
            own.dedup();
            // A piece of one item says nothing of others.
            if own.len() > 1 {
                out.items.extend(own);
                out.offsets.push(out.items.len() as u32);
            }
        }
        out.index(classes);
        out
    }

    /// Numbers held.
    pub(super) fn len(&self) -> usize {
        self.offsets.len() + self.items.len() + self.holders.0.len() + self.holders.1.len()
    }

    fn pieces(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    fn piece(&self, piece: usize) -> &[u32] {
        &self.items[self.offsets[piece] as usize..self.offsets[piece + 1] as usize]
    }

    /// Makes ready which pieces hold an item, after [`Neighbours::new`] or reading.
    pub(super) fn index(&mut self, classes: usize) {
        self.holders = Default::default();
        if !self.holds_together(classes) {
            return;
        }
        let mut count = vec![0u32; classes + 1];
        let latest_first = || (0..self.pieces()).rev();
        for &item in &self.items {
            count[item as usize + 1] += 1;
        }
        let mut offsets = vec![0u32; classes + 1];
        for item in 0..classes {
            offsets[item + 1] = offsets[item] + count[item + 1].min(LATEST as u32);
        }
        let mut holders = vec![0u32; offsets[classes] as usize];
        let mut next = offsets.clone();
        for piece in latest_first() {
            for &item in self.piece(piece) {
                let at = next[item as usize];
                if at < offsets[item as usize + 1] {
                    holders[at as usize] = piece as u32;
                    next[item as usize] += 1;
                }
            }
        }
        self.holders = (offsets, holders);
    }

    /// Calls `visit` with the items that the nearest pieces hold and their shares, and answers what share is left to others.
    pub(super) fn each(
        &self,
        past: Past<'_>,
        room: &mut NearRoom,
        mut visit: impl FnMut(usize, f32),
    ) -> f32 {
        let (offsets, holders) = &self.holders;
        if offsets.is_empty() || self.pieces() == 0 {
            return 1.0;
        }
        if room.scores.len() < self.pieces() {
            room.scores.resize(self.pieces(), 0.0);
        }
        room.sought.clear();
        for (back, item) in back(past, REACH) {
            if room.sought.len() == SOUGHT || room.sought.contains(&(item as u32)) {
                continue;
            }
            room.sought.push(item as u32);
            for &piece in &holders[offsets[item] as usize..offsets[item + 1] as usize] {
                let score = &mut room.scores[piece as usize];
                if *score == 0.0 {
                    room.found.push((piece, 0.0));
                }
                *score += fading(back);
            }
        }
        for (piece, score) in &mut room.found {
            *score = std::mem::take(&mut room.scores[*piece as usize]);
        }
        let nearer = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0));
        if room.found.len() > NEAREST {
            room.found.select_nth_unstable_by(NEAREST, nearer);
            room.found.truncate(NEAREST);
        }
        // Sums of fractions depend on their order.
        room.found.sort_unstable_by(nearer);
        let near: f32 = room.found.iter().map(|(_, score)| score).sum();
        let sizes = |(piece, score): &(u32, f32)| self.piece(*piece as usize).len() as f32 * score;
        let all: f32 = room.found.iter().map(sizes).sum();
        let kept = near / (1.0 + near);
        for (piece, score) in room.found.drain(..) {
            for &item in self.piece(piece as usize) {
                visit(item as usize, kept * score / all);
            }
        }
        1.0 - kept
    }

    fn holds_together(&self, classes: usize) -> bool {
        self.offsets.windows(2).all(|pair| pair[0] < pair[1])
            && self.offsets.first() == Some(&0)
            && self.offsets.last().copied() == Some(self.items.len() as u32)
            && self.items.iter().all(|item| (*item as usize) < classes)
    }

    /// Whether it can be asked about so many classes without a panic.
    pub(super) fn is_sound(&self, classes: usize) -> bool {
        self.holds_together(classes) && self.holders.0.len() == classes + 1
    }
}

/// Room to look for neighbours; it grows to what is needed and stays.
#[derive(Debug, Clone, Default)]
pub(super) struct NearRoom {
    scores: Vec<f32>,
    found: Vec<(u32, f32)>,
    sought: Vec<u32>,
}

impl Room {
    /// Gives each item what the neighbours of a past say, and answers what is left for others.
    pub(super) fn add_neighbours(&mut self, neighbours: &Neighbours, past: Past<'_>) -> f32 {
        let mut near = std::mem::take(&mut self.near);
        let rest = neighbours.each(past, &mut near, |item, value| self.add(item, value));
        self.near = near;
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three keys: 1 2 3, then 1 2 4, then 5 6; the second is later than the first.
    fn neighbours() -> Neighbours {
        let codes = vec![1, 2, 3, 1, 2, 4, 5, 6];
        let histories = Histories {
            offsets: vec![0, 3, 6, 8],
            times: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
            ..Histories::default()
        };
        Neighbours::new(&histories, &codes, 6, |_| true)
    }

    #[test]
    fn shares_go_to_what_the_nearest_pieces_hold() {
        let neighbours = neighbours();
        assert!(neighbours.is_sound(6));
        let mut room = NearRoom::default();
        // Asked twice: the room is left as it was.
        for _ in 0..2 {
            let mut shares = vec![0.0; 6];
            let rest = neighbours.each(&[1, 3], &mut room, |item, share| shares[item] += share);
            let sum: f32 = shares.iter().sum();
            assert!((sum + rest - 1.0).abs() < 1e-6);
            // The first shares both items, the second one; the third none.
            assert!(shares[2] > shares[3] && shares[3] > 0.0);
            assert_eq!(&shares[4..], &[0.0, 0.0]);
        }
    }

    #[test]
    fn nothing_is_said_of_what_no_piece_holds() {
        let mut room = NearRoom::default();
        let none = |_: usize, _: f32| panic!("nothing is near");
        assert_eq!(neighbours().each(&[0], &mut room, none), 1.0);
        assert_eq!(Neighbours::default().each(&[1], &mut room, none), 1.0);
    }

    #[test]
    fn items_out_of_bounds_do_not_hold_together() {
        let mut neighbours = neighbours();
        neighbours.items[0] = 6;
        neighbours.index(6);
        assert!(!neighbours.is_sound(6));
    }
}
