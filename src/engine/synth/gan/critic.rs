//! How real a pack of rows looks, and what it costs to be unsteady.

use crate::random::Random;
use crate::synth::layers::{Adam, Gradient, Linear, multiply};
use crate::synth::train::Params;
use crate::train::vector::View;

const LEAK: f32 = 0.2;
pub(super) const PENALTY: f32 = 10.0;

/// How real a pack of rows looks.
pub(super) struct Critic {
    pub(super) layers: Vec<Linear>,
    pub(super) last: Linear,
    dropout: f32,
}

#[derive(Default)]
pub(super) struct Seen {
    /// What each layer answers, times its slope.
    outputs: Vec<Vec<f32>>,
    /// The slope of LeakyReLU times what dropout makes of it.
    slopes: Vec<Vec<f32>>,
    pub(super) answers: Vec<f32>,
}

impl Critic {
    pub(super) fn new(params: &Params, inputs: usize, random: &mut Random) -> Critic {
        let mut width = inputs;
        let mut layers = Vec::new();
        for &own in &params.critic {
            layers.push(Linear::new(width, own, random));
            width = own;
        }
        Critic {
            layers,
            last: Linear::new(width, 1, random),
            dropout: params.dropout as f32,
        }
    }

    pub(super) fn forward(&self, x: &[f32], packs: usize, random: &mut Random, seen: &mut Seen) {
        seen.outputs.resize_with(self.layers.len(), Vec::new);
        seen.slopes.resize_with(self.layers.len(), Vec::new);
        let keep = 1.0 / (1.0 - self.dropout);
        for at in 0..self.layers.len() {
            let (before, own) = seen.outputs.split_at_mut(at);
            let input = before.last().map_or(x, Vec::as_slice);
            self.layers[at].forward(input, packs, &mut own[0]);
            let slopes = &mut seen.slopes[at];
            slopes.clear();
            for value in &mut own[0] {
                let drops = self.dropout > 0.0 && random.uniform() < f64::from(self.dropout);
                let leak = if *value > 0.0 { 1.0 } else { LEAK };
                let slope = if drops { 0.0 } else { leak * keep };
                *value *= slope;
                slopes.push(slope);
            }
        }
        let input = seen.outputs.last().map_or(x, Vec::as_slice);
        self.last.forward(input, packs, &mut seen.answers);
    }

    /// The gradients for that of the answers of the first packs, and their inputs' if `dx` is given.
    pub(super) fn back(
        &self,
        x: &[f32],
        packs: usize,
        answers: &[f32],
        seen: &Seen,
        mut out: Option<&mut [Gradient]>,
        dx: Option<&mut Vec<f32>>,
    ) {
        let input = |at: usize| match at {
            0 => x,
            _ => seen.outputs[at - 1].as_slice(),
        };
        let count = self.layers.len();
        if let Some(out) = &mut out {
            self.last
                .gradient(input(count), answers, packs, &mut out[count]);
        }
        let (mut own, mut next) = (Vec::new(), Vec::new());
        self.last.back(answers, packs, &mut own);
        for at in (0..count).rev() {
            own.iter_mut()
                .zip(&seen.slopes[at])
                .for_each(|(d, s)| *d *= s);
            if let Some(out) = &mut out {
                self.layers[at].gradient(input(at), &own, packs, &mut out[at]);
            }
            if at > 0 {
                self.layers[at].back(&own, packs, &mut next);
                std::mem::swap(&mut own, &mut next);
            }
        }
        if let Some(dx) = dx {
            match self.layers.first() {
                Some(first) => first.back(&own, packs, dx),
                None => *dx = own,
            }
        }
    }

    /// Adds the gradients of λ·mean((|∂answer/∂x| - 1)²) over packs; answers the penalty. `first` is the first pack of `seen`
    /// that counts.
    pub(super) fn penalise(
        &self,
        first: usize,
        packs: usize,
        seen: &Seen,
        out: &mut [Gradient],
    ) -> f32 {
        let slopes = |at: usize| {
            let width = self.layers[at].outputs;
            &seen.slopes[at][first * width..(first + packs) * width]
        };
        // On the way down: the gradient of the answer with regard to the sums of each layer.
        let count = self.layers.len();
        let mut sums: Vec<Vec<f32>> = vec![Vec::new(); count];
        for at in (0..count).rev() {
            let mut own = Vec::new();
            match sums.get(at + 1).filter(|_| at + 1 < count) {
                Some(above) => self.layers[at + 1].back(above, packs, &mut own),
                None => (0..packs).for_each(|_| own.extend_from_slice(&self.last.weights)),
            }
            own.iter_mut().zip(slopes(at)).for_each(|(d, s)| *d *= s);
            sums[at] = own;
        }
        let mut gradient = Vec::new();
        self.layers[0].back(&sums[0], packs, &mut gradient);
        let inputs = self.layers[0].inputs;
        let mut penalty = 0.0;
        for row in gradient.chunks_exact_mut(inputs) {
            let norm = row.iter().map(|g| g * g).sum::<f32>().sqrt().max(1e-12);
            penalty += PENALTY * (norm - 1.0) * (norm - 1.0) / packs as f32;
            let factor = PENALTY * 2.0 * (norm - 1.0) / norm / packs as f32;
            row.iter_mut().for_each(|g| *g *= factor);
        }
        // On the way up: of the penalty with regard to those gradients, through the same linear network.
        let mut own = gradient;
        for at in 0..count {
            let layer = &self.layers[at];
            let down = View::new(&sums[at], packs, layer.outputs);
            multiply(
                &mut out[at].weights,
                View::new(&own, packs, layer.inputs).transposed(),
                down,
                true,
            );
            let mut next = vec![0.0; packs * layer.outputs];
            multiply(
                &mut next,
                View::new(&own, packs, layer.inputs),
                layer.matrix(),
                false,
            );
            next.iter_mut().zip(slopes(at)).for_each(|(d, s)| *d *= s);
            own = next;
        }
        crate::train::vector::add_rows(&mut out[count].weights, &own);
        penalty
    }

    pub(super) fn zero(&self) -> Vec<Gradient> {
        self.layers
            .iter()
            .chain([&self.last])
            .map(Linear::zero)
            .collect()
    }

    pub(super) fn step(&mut self, gradient: &mut [Gradient], adam: &mut Adam) {
        let mut groups: Vec<(&mut [f32], &[f32])> = Vec::new();
        for (layer, g) in self
            .layers
            .iter_mut()
            .chain([&mut self.last])
            .zip(&*gradient)
        {
            groups.push((&mut layer.weights, &g.weights));
            groups.push((&mut layer.bias, &g.bias));
        }
        adam.step(&mut groups);
        drop(groups);
        gradient.iter_mut().for_each(Gradient::clear);
    }
}
