//! Some of very many classes, for a softmax that does not look at all of them.

use super::network::Layout;
use crate::random::Random;

/// Stands for a class that was not drawn.
const NONE: u32 = u32::MAX;

/// How classes are drawn: by their frequency to the power 0.75 (Mikolov et al. 2013).
pub(super) struct Sampler {
    /// Ends of the classes' shares of 0..1.
    ends: Vec<f64>,
    draws: usize,
    /// Where each class stands in the sample.
    place: Vec<u32>,
    /// The classes drawn, each once.
    pub(super) classes: Vec<u32>,
    /// `[classes][dim]`: their vectors.
    pub(super) vectors: Vec<f32>,
    /// Their biases, less the logarithm of the chance to be drawn: with that the sampled softmax learns what the whole one
    /// would (Bengio and Senécal 2008).
    pub(super) biases: Vec<f32>,
}

impl Sampler {
    pub(super) fn new(counts: &[usize], draws: usize) -> Sampler {
        let mut sum = 0.0;
        let weight = |count: &usize| {
            sum += (*count as f64 + 0.1).powf(0.75);
            sum
        };
        let mut ends: Vec<f64> = counts.iter().map(weight).collect();
        ends.iter_mut().for_each(|end| *end /= sum);
        Sampler {
            place: vec![NONE; ends.len()],
            ends,
            draws,
            classes: Vec::new(),
            vectors: Vec::new(),
            biases: Vec::new(),
        }
    }

    /// Logarithm of the chance that a class is drawn at all.
    pub(super) fn log_chance(&self, class: usize) -> f32 {
        let before = class.checked_sub(1).map_or(0.0, |c| self.ends[c]);
        let share = self.ends[class] - before;
        let missed = self.draws as f64 * (-share).ln_1p();
        (-missed.exp_m1()).max(f64::MIN_POSITIVE).ln() as f32
    }

    /// Where a class stands in the sample.
    pub(super) fn find(&self, class: usize) -> Option<usize> {
        Some(self.place[class])
            .filter(|p| *p != NONE)
            .map(|p| p as usize)
    }

    /// Draws anew.
    pub(super) fn draw(
        &mut self,
        random: &mut Random,
        weights: &[f32],
        layout: &Layout,
        dim: usize,
    ) {
        for &class in &self.classes {
            self.place[class as usize] = NONE;
        }
        self.classes.clear();
        for _ in 0..self.draws {
            let at = random.uniform();
            let class = self
                .ends
                .partition_point(|end| *end <= at)
                .min(self.ends.len() - 1);
            if self.place[class] == NONE {
                self.place[class] = self.classes.len() as u32;
                self.classes.push(class as u32);
            }
        }
        let all = &weights[layout.classes.clone()];
        self.vectors.clear();
        for &class in &self.classes {
            let at = class as usize * dim;
            self.vectors.extend_from_slice(&all[at..at + dim]);
        }
        let bias = &weights[layout.class_bias.clone()];
        let biases = self
            .classes
            .iter()
            .map(|&c| bias[c as usize] - self.log_chance(c as usize));
        self.biases = biases.collect();
    }
}
