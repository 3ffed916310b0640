//! Windows of several histories side by side.

use super::histories::Histories;

/// A stretch of a history that is read from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) key: u32,
    /// Steps that are read.
    pub(super) len: u32,
    /// From this one on (counted from the first) each is asked for an answer.
    pub(super) asked_from: u32,
}

/// Steps of several stretches in a window, step by step: of each step first all rows that still have one. Rows come by falling
/// length, so these are the first ones (as in PyTorch's packed sequences): nothing is padded.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Rows of each step of the window.
    pub(super) active: Vec<usize>,
    /// Where each step's rows begin.
    pub(super) starts: Vec<usize>,
    /// The history's step of each place.
    pub(super) steps: Vec<u32>,
    /// The key of each place.
    pub(super) keys: Vec<u32>,
    /// Places that are asked, and their rows.
    pub(super) asked: Vec<(u32, u32)>,
}

impl Packed {
    /// Puts together the steps of a window of stretches sorted by falling length. Of the places in their asked part, from step
    /// `asked_from` on, only those count as asked for which `asks` says so, given step and key.
    pub(super) fn fill(
        &mut self,
        histories: &Histories,
        stretches: &[Stretch],
        window: std::ops::Range<usize>,
        asked_from: usize,
        asks: impl Fn(usize, usize) -> bool,
    ) {
        self.active.clear();
        self.starts.clear();
        self.steps.clear();
        self.keys.clear();
        self.asked.clear();
        let mut rows = stretches.len();
        for step in window {
            while rows > 0 && stretches[rows - 1].len as usize <= step {
                rows -= 1;
            }
            if rows == 0 {
                break;
            }
            self.starts.push(self.steps.len());
            self.active.push(rows);
            for (row, stretch) in stretches[..rows].iter().enumerate() {
                let at = histories.offsets[stretch.key as usize] + step;
                if step >= asked_from.max(stretch.asked_from as usize)
                    && asks(at, stretch.key as usize)
                {
                    self.asked.push((self.steps.len() as u32, row as u32));
                }
                self.steps.push(at as u32);
                self.keys.push(stretch.key);
            }
        }
    }

    /// A single history of so many steps.
    pub(super) fn single(&mut self, steps: usize) {
        self.active.clear();
        self.active.resize(steps, 1);
        self.starts.clear();
        self.starts.extend(0..steps);
        self.steps.clear();
        self.steps.extend(0..steps as u32);
    }

    /// Step and key of a place.
    pub(super) fn at(&self, place: u32) -> (usize, usize) {
        let place = place as usize;
        (self.steps[place] as usize, self.keys[place] as usize)
    }

    /// Places.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}
