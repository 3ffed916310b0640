//! Answers for single histories: step by step, without an allocation and on one thread.

use super::attentive::Attentive;
use super::cells::{GruStep, LstmStep, gru, lstm};
use super::counts::{Room, WAYS};
use super::encode::Target;
use super::histories::Histories;
use super::intensity;
use super::layer::grown;
use super::model::SequenceModel;
use super::network::{LayerLayout, Layout, Output};
use super::packed::Packed;
use super::params::Cell;
use super::softmax;
use super::train::stride;
use crate::artifact::ArtifactError;
use crate::train::cpu::vector::vectorised;
use crate::value::Behaviour;

/// A model made ready to answer.
pub struct Predictor {
    model: SequenceModel,
    layout: Layout,
}

/// Where a history stands. Made once, used for many histories.
pub struct State {
    layers: Vec<LayerState>,
    /// A step's inputs.
    inputs: Vec<f32>,
    /// Of a transformer: the inputs of the steps that it looks at, and how many these are.
    attentive: Attentive,
    packed: Packed,
    held: usize,
    /// The last layer's outputs.
    outputs: Vec<f32>,
    projected: Vec<f32>,
    /// Scores, then probabilities of the classes, or the value.
    scores: Vec<f32>,
    room: Room,
    /// Codes of the target, oldest first.
    past: Vec<u32>,
    /// Classes, for the best of them.
    ranked: Vec<u32>,
    steps: usize,
    behaviour: Option<Behaviour>,
}

struct LayerState {
    outputs: Vec<f32>,
    states: Vec<f32>,
    before: Vec<f32>,
    gates: Vec<f32>,
    recurrent: Vec<f32>,
    bounded: Vec<f32>,
}

/// What happened in a step: codes of the category columns, and the numbers of step and key.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub codes: &'a [u32],
    pub numbers: &'a [f32],
    pub statics: &'a [f32],
}

/// How much of a past is kept for counting.
const PAST: usize = 512;

impl Predictor {
    /// # Errors
    /// [`ArtifactError::Damaged`] for a model that does not hold together.
    pub fn new(model: SequenceModel) -> Result<Predictor, ArtifactError> {
        model.check()?;
        let damaged = || ArtifactError::Damaged("the network is too large".into());
        let layout = model.network.layout().ok_or_else(damaged)?;
        Ok(Predictor { model, layout })
    }

    pub fn model(&self) -> &SequenceModel {
        &self.model
    }

    /// Room for a history.
    pub fn state(&self) -> State {
        let layer = |l: &LayerLayout| LayerState {
            outputs: vec![0.0; l.units],
            states: vec![0.0; l.units],
            before: vec![0.0; l.units],
            gates: vec![0.0; l.bias.len()],
            recurrent: vec![0.0; l.bias.len()],
            bounded: vec![0.0; l.units],
        };
        let network = &self.model.network;
        let classes = network.outputs();
        let (mut attentive, packed) = (Attentive::default(), Packed::default());
        if let Some(attention) = &self.layout.attention {
            grown(&mut attentive.inputs, network.context * attention.inputs);
        }
        State {
            attentive,
            packed,
            held: 0,
            outputs: vec![0.0; network.units()],
            layers: self.layout.layers.iter().map(layer).collect(),
            inputs: vec![0.0; self.layout.inputs()],
            projected: vec![0.0; self.layout.projection.1.len()],
            scores: vec![0.0; classes],
            room: Room::new(classes),
            past: Vec::with_capacity(2 * PAST),
            ranked: Vec::with_capacity(classes),
            steps: 0,
            behaviour: None,
        }
    }

    /// Begins a history.
    pub fn begin(&self, state: &mut State) {
        for layer in &mut state.layers {
            layer.outputs.fill(0.0);
            layer.states.fill(0.0);
        }
        state.past.clear();
        state.held = 0;
        state.steps = 0;
        state.behaviour = None;
    }

    /// Reads the whole history of a key.
    pub fn read(&self, state: &mut State, histories: &Histories, key: usize) {
        self.begin(state);
        state.behaviour = histories.behaviours.get(key).copied();
        let (width, wide) = (histories.width, histories.statics_width);
        // As many as a step can have: the codes lie column by column.
        let mut codes = Vec::with_capacity(histories.codes.len());
        for step in histories.offsets[key]..histories.offsets[key + 1] {
            codes.clear();
            codes.extend(histories.codes.iter().map(|column| column[step]));
            let event = Event {
                codes: &codes,
                numbers: &histories.dense[step * width..(step + 1) * width],
                statics: &histories.statics[key * wide..(key + 1) * wide],
            };
            self.step(state, event);
        }
    }

    /// Reads one more step.
    pub fn step(&self, state: &mut State, event: Event<'_>) {
        let (network, weights) = (&self.model.network, &self.model.network.weights);
        let mut at = 0;
        for ((table, range), &code) in network
            .tables
            .iter()
            .zip(&self.layout.tables)
            .zip(event.codes)
        {
            // A code beyond the table would be another model's.
            let code = if (code as usize) < table.codes {
                code as usize
            } else {
                0
            };
            let start = range.start + code * table.dim;
            state.inputs[at..at + table.dim].copy_from_slice(&weights[start..start + table.dim]);
            at += table.dim;
        }
        let numbers = event.numbers.iter().chain(event.statics);
        for (x, n) in state.inputs[at..].iter_mut().zip(numbers) {
            *x = *n;
        }
        for i in 0..state.layers.len() {
            let (below, rest) = state.layers.split_at_mut(i);
            let x = below.last().map_or(&state.inputs, |below| &below.outputs);
            self.advance(&self.layout.layers[i], x, &mut rest[0]);
        }
        if let Some(attention) = &self.layout.attention {
            self.hold(attention.inputs, state);
        }
        state.steps += 1;
        if let (Target::Category(at), true) =
            (self.model.encoder.target, self.model.mixture.is_some())
        {
            if state.past.len() == 2 * PAST {
                state.past.drain(..PAST);
            }
            state.past.extend(event.codes.get(at));
        }
    }

    /// Keeps a step's inputs beside those before it that are looked at, as in training.
    fn hold(&self, inputs: usize, state: &mut State) {
        let context = self.model.network.context;
        let stride = stride(&self.model.network, context);
        let kept = state.held.min(context - stride);
        if state.steps.is_multiple_of(stride) && kept < state.held {
            let from = (state.held - kept) * inputs;
            state
                .attentive
                .inputs
                .copy_within(from..from + kept * inputs, 0);
            state.held = kept;
        }
        let at = state.held * inputs;
        state.attentive.inputs[at..at + inputs].copy_from_slice(&state.inputs);
        state.held += 1;
    }

    /// Brings the last layer's outputs up to date.
    fn look(&self, state: &mut State) {
        let units = self.model.network.units();
        match (&self.layout.attention, state.layers.last()) {
            (Some(attention), _) if state.held > 0 => {
                state.packed.single(state.held);
                let weights = &self.model.network.weights;
                state
                    .attentive
                    .forward(attention, weights, &state.packed, None);
                let last = &state.attentive.outputs[(state.held - 1) * units..][..units];
                state.outputs.copy_from_slice(last);
            }
            (None, Some(last)) => state.outputs.copy_from_slice(&last.outputs),
            _ => state.outputs.fill(0.0),
        }
    }

    fn advance(&self, layout: &LayerLayout, x: &[f32], state: &mut LayerState) {
        let (weights, units) = (&self.model.network.weights, layout.units);
        state.before.copy_from_slice(&state.outputs);
        state.gates.copy_from_slice(&weights[layout.bias.clone()]);
        multiply_add(x, &weights[layout.input.clone()], &mut state.gates);
        match self.model.network.cell {
            Cell::Lstm => {
                multiply_add(
                    &state.before,
                    &weights[layout.recurrent.clone()],
                    &mut state.gates,
                );
                state.before.copy_from_slice(&state.states);
                let step = LstmStep {
                    gates: &mut state.gates,
                    before: &state.before,
                    states: &mut state.states,
                    bounded: &mut state.bounded,
                    outputs: &mut state.outputs,
                };
                lstm(units, step);
            }
            _ => {
                state.recurrent.fill(0.0);
                state.recurrent[2 * units..].copy_from_slice(&weights[layout.inner_bias.clone()]);
                multiply_add(
                    &state.before,
                    &weights[layout.recurrent.clone()],
                    &mut state.recurrent,
                );
                let step = GruStep {
                    gates: &mut state.gates,
                    recurrent: &mut state.recurrent,
                    before: &state.before,
                    outputs: &mut state.outputs,
                };
                gru(units, step);
            }
        }
    }

    /// The last layer's outputs after the steps read so far: what the model knows of the history, as a vector.
    pub fn embedding<'s>(&self, state: &'s mut State) -> &'s [f32] {
        self.look(state);
        &state.outputs
    }

    /// Width of [`Predictor::embedding`].
    pub fn width(&self) -> usize {
        self.model.network.units()
    }

    /// The probability of each class, code 1 first: those of the next step, or of the key's label. Before the first step these
    /// are their shares in the past.
    pub fn probabilities<'s>(&self, state: &'s mut State) -> &'s [f32] {
        self.score(state);
        if let Some(mixture) = &self.model.mixture {
            if state.steps == 0 {
                state.scores.fill(0.0);
                let mut half = [0.0; WAYS];
                half[..2].fill(0.5);
                let near = &mut state.room.near;
                mixture.counts.add(&[], &half, near, &mut state.scores);
                return &state.scores;
            }
            mixture.mix(&state.past, &mut state.scores, &mut state.room);
        }
        softmax::probabilities(&mut state.scores);
        &state.scores
    }

    /// The answer where it is a number, in the target's unit (of times, seconds).
    pub fn value(&self, state: &mut State) -> f64 {
        self.score(state);
        if let Some(periods) = &self.model.encoder.periods {
            let expected = intensity::expected(&state.scores, f64::from(periods.count));
            return match (&self.model.purchases, &state.behaviour) {
                (Some(own), Some(key)) => own.mix(expected, key, periods.horizon),
                _ => expected,
            };
        }
        let output = state.scores.first().copied().unwrap_or(0.0);
        self.model.encoder.restore(f64::from(output))
    }

    /// The `k` most probable classes as codes with their probabilities, the best first; `leave_out` says which codes may not
    /// be answered (such as those of items bought before).
    pub fn top<'s>(
        &self,
        state: &'s mut State,
        k: usize,
        leave_out: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = (u32, f32)> + 's {
        self.probabilities(state);
        let State { scores, ranked, .. } = state;
        ranked.clear();
        ranked.extend((0..scores.len() as u32).filter(|class| !leave_out(class + 1)));
        let better = |a: &u32, b: &u32| {
            let (x, y) = (scores[*a as usize], scores[*b as usize]);
            y.total_cmp(&x).then(a.cmp(b))
        };
        if k < ranked.len() && k > 0 {
            ranked.select_nth_unstable_by(k - 1, better);
        }
        ranked.truncate(k);
        ranked.sort_unstable_by(better);
        ranked
            .iter()
            .map(|class| (class + 1, scores[*class as usize]))
    }

    /// Scores of all classes, or the value.
    fn score(&self, state: &mut State) {
        let (network, layout) = (&self.model.network, &self.layout);
        let weights = &network.weights;
        let bias = &weights[layout.class_bias.clone()];
        state.scores.copy_from_slice(bias);
        if state.steps == 0 && matches!(network.output, Output::Softmax { .. }) {
            return;
        }
        self.look(state);
        let x = if layout.projection.0.is_empty() {
            &state.outputs
        } else {
            state
                .projected
                .copy_from_slice(&weights[layout.projection.1.clone()]);
            multiply_add(
                &state.outputs,
                &weights[layout.projection.0.clone()],
                &mut state.projected,
            );
            &state.projected
        };
        dots(x, &weights[layout.classes.clone()], &mut state.scores);
    }
}

/// `out[o] += Σ_i x[i] · weights[i][o]`.
fn multiply_add(x: &[f32], weights: &[f32], out: &mut [f32]) {
    #[inline(always)]
    fn work<const FMA: bool>(x: &[f32], weights: &[f32], out: &mut [f32]) {
        use crate::infer::activation::fma;
        let wide = out.len();
        // Four inputs at a time: the outputs are then read and written a quarter as often.
        let (fours, rest) = x.as_chunks::<4>();
        let (of_fours, of_rest) = weights.split_at(fours.len() * 4 * wide);
        for (x, w) in fours.iter().zip(of_fours.chunks_exact((4 * wide).max(1))) {
            let (a, w) = w.split_at(wide);
            let (b, w) = w.split_at(wide);
            let (c, d) = w.split_at(wide);
            let all = out.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d));
            for ((out, (a, b)), (c, d)) in all {
                let sum = fma::<FMA>(x[0], *a, fma::<FMA>(x[1], *b, *out));
                *out = fma::<FMA>(x[2], *c, fma::<FMA>(x[3], *d, sum));
            }
        }
        for (x, w) in rest.iter().zip(of_rest.chunks_exact(wide.max(1))) {
            out.iter_mut()
                .zip(w)
                .for_each(|(out, w)| *out = fma::<FMA>(*x, *w, *out));
        }
    }
    let out: *mut [f32] = out;
    // SAFETY: only one of the two closures runs, so there is one user of the slice.
    vectorised(
        || work::<true>(x, weights, unsafe { &mut *out }),
        || work::<false>(x, weights, unsafe { &mut *out }),
    );
}

/// `out[c] += Σ_i x[i] · vectors[c][i]`.
fn dots(x: &[f32], vectors: &[f32], out: &mut [f32]) {
    #[inline(always)]
    fn work<const FMA: bool>(x: &[f32], vectors: &[f32], out: &mut [f32]) {
        use crate::infer::activation::fma;
        let (blocks, rest) = x.as_chunks::<8>();
        for (out, vector) in out.iter_mut().zip(vectors.chunks_exact(x.len().max(1))) {
            let (own, own_rest) = vector.as_chunks::<8>();
            let mut sums = [0f32; 8];
            for (x, v) in blocks.iter().zip(own) {
                for ((sum, x), v) in sums.iter_mut().zip(x).zip(v) {
                    *sum = fma::<FMA>(*x, *v, *sum);
                }
            }
            let tail: f32 = rest.iter().zip(own_rest).map(|(x, v)| x * v).sum();
            *out += sums.iter().sum::<f32>() + tail;
        }
    }
    let out: *mut [f32] = out;
    // SAFETY: only one of the two closures runs, so there is one user of the slice.
    vectorised(
        || work::<true>(x, vectors, unsafe { &mut *out }),
        || work::<false>(x, vectors, unsafe { &mut *out }),
    );
}
