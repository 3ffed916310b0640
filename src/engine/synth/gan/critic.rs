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

/// What a penalty of slopes says of the weights: of each layer the product of `up`, `[packs][inputs]`, and `down`,
/// `[packs][outputs]`; of the last layer's one output, `up` alone.
pub(super) struct Steepness {
    penalty: f32,
    pub(super) up: Vec<Vec<f32>>,
    pub(super) down: Vec<Vec<f32>>,
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

    /// What a layer is given: `x` itself, or what the one before it answers.
    pub(super) fn input<'s>(&self, at: usize, x: &'s [f32], seen: &'s Seen) -> &'s [f32] {
        match at {
            0 => x,
            _ => &seen.outputs[at - 1],
        }
    }

    /// The gradients of the sums of each hidden layer for those of the answers of the first packs, `[packs][outputs]`.
    pub(super) fn deltas(&self, packs: usize, answers: &[f32], seen: &Seen) -> Vec<Vec<f32>> {
        let count = self.layers.len();
        let mut deltas = vec![Vec::new(); count];
        for at in (0..count).rev() {
            let mut own = Vec::new();
            match deltas.get(at + 1) {
                Some(above) => self.layers[at + 1].back(above, packs, &mut own),
                None => self.last.back(answers, packs, &mut own),
            }
            own.iter_mut()
                .zip(&seen.slopes[at])
                .for_each(|(d, s)| *d *= s);
            deltas[at] = own;
        }
        deltas
    }

    /// The gradients for that of the answers of the first packs, and their inputs' if `dx` is given.
    pub(super) fn back(
        &self,
        x: &[f32],
        packs: usize,
        answers: &[f32],
        seen: &Seen,
        out: Option<&mut [Gradient]>,
        dx: Option<&mut Vec<f32>>,
    ) {
        let deltas = self.deltas(packs, answers, seen);
        if let Some(out) = out {
            let all = deltas.iter().map(Vec::as_slice).chain([answers]);
            let layers = self.layers.iter().chain([&self.last]);
            for (at, ((layer, delta), out)) in layers.zip(all).zip(out).enumerate() {
                layer.gradient(self.input(at, x, seen), delta, packs, out);
            }
        }
        if let (Some(dx), Some(first), Some(delta)) = (dx, self.layers.first(), deltas.first()) {
            first.back(delta, packs, dx);
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
        let steepness = self.steepness(first, packs, seen, packs as f32);
        for (at, (layer, down)) in self.layers.iter().zip(&steepness.down).enumerate() {
            multiply(
                &mut out[at].weights,
                View::new(&steepness.up[at], packs, layer.inputs).transposed(),
                View::new(down, packs, layer.outputs),
                true,
            );
        }
        let count = self.layers.len();
        crate::train::vector::add_rows(&mut out[count].weights, &steepness.up[count]);
        steepness.penalty
    }

    /// The gradients of λ·(|∂answer/∂x| - 1)² / `share` of each of some packs, as products.
    pub(super) fn steepness(
        &self,
        first: usize,
        packs: usize,
        seen: &Seen,
        share: f32,
    ) -> Steepness {
        let slopes = |at: usize| {
            let width = self.layers[at].outputs;
            &seen.slopes[at][first * width..(first + packs) * width]
        };
        // On the way down: the gradient of the answer with regard to the sums of each layer.
        let count = self.layers.len();
        let mut down: Vec<Vec<f32>> = vec![Vec::new(); count];
        for at in (0..count).rev() {
            let mut own = Vec::new();
            match down.get(at + 1) {
                Some(above) => self.layers[at + 1].back(above, packs, &mut own),
                None => (0..packs).for_each(|_| own.extend_from_slice(&self.last.weights)),
            }
            own.iter_mut().zip(slopes(at)).for_each(|(d, s)| *d *= s);
            down[at] = own;
        }
        let mut gradient = Vec::new();
        self.layers[0].back(&down[0], packs, &mut gradient);
        let inputs = self.layers[0].inputs;
        let mut penalty = 0.0;
        for row in gradient.chunks_exact_mut(inputs) {
            let norm = row.iter().map(|g| g * g).sum::<f32>().sqrt().max(1e-12);
            penalty += PENALTY * (norm - 1.0) * (norm - 1.0) / share;
            let factor = PENALTY * 2.0 * (norm - 1.0) / norm / share;
            row.iter_mut().for_each(|g| *g *= factor);
        }
        // On the way up: of the penalty with regard to those gradients, through the same linear network.
        let mut up = vec![gradient];
        for (at, layer) in self.layers.iter().enumerate() {
            let mut next = vec![0.0; packs * layer.outputs];
            let own = View::new(&up[at], packs, layer.inputs);
            multiply(&mut next, own, layer.matrix(), false);
            next.iter_mut().zip(slopes(at)).for_each(|(d, s)| *d *= s);
            up.push(next);
        }
        Steepness { penalty, down, up }
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
