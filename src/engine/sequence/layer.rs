//! A layer of cells over a window: forward step by step, back-propagation through time within the window.

use super::cells::{GruStep, LstmStep, gru, gru_back, lstm, lstm_back};
use super::network::LayerLayout;
use super::packed::Packed;
use super::params::Cell;
use crate::random::Random;
use crate::train::cpu::vector::{View, add_bias, add_rows, multiply, product};

/// Buffers of one layer; `places` are those of [`Packed`]. They grow to the largest window and stay.
#[derive(Default)]
pub(super) struct Layer {
    /// `[places][inputs]`, after dropout.
    pub(super) inputs: Vec<f32>,
    /// `[places][units]`: what came out a step earlier, after dropout.
    before: Vec<f32>,
    /// `[places][gates · units]`.
    gates: Vec<f32>,
    /// `[places][3 · units]`: sums of the states, of a GRU.
    recurrent: Vec<f32>,
    /// `[places][units]`: an LSTM's states, and their tanh.
    states: Vec<f32>,
    bounded: Vec<f32>,
    /// `[places][units]`.
    pub(super) outputs: Vec<f32>,
    /// `[rows][units]`: outputs and states before the window.
    first_outputs: Vec<f32>,
    first_states: Vec<f32>,
    /// Of inputs `[rows][inputs]` and of states `[rows][units]`: what dropout leaves, the same at all steps of a history (Gal
    /// and Ghahramani 2016). Empty: everything.
    input_mask: Vec<f32>,
    state_mask: Vec<f32>,
    /// `[places][inputs]`: the loss's derivative by the inputs.
    pub(super) inputs_back: Vec<f32>,
    /// `[rows][units]`: the loss's derivative by the outputs and states a step earlier.
    outputs_back: Vec<f32>,
    states_back: Vec<f32>,
}

/// Makes a buffer at least so long.
pub(super) fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// What inverted dropout leaves of so many units (Srivastava et al. 2014).
pub(super) fn mask(buffer: &mut Vec<f32>, len: usize, dropout: f64, random: Option<&mut Random>) {
    buffer.clear();
    if let Some(random) = random
        && dropout > 0.0
    {
        let kept = (1.0 / (1.0 - dropout)) as f32;
        let drawn = (0..len).map(|_| {
            if random.uniform() < dropout {
                0.0
            } else {
                kept
            }
        });
        buffer.extend(drawn);
    }
}

/// `values[place] *= mask[row]` for all places.
pub(super) fn masked(values: &mut [f32], mask: &[f32], packed: &Packed, width: usize) {
    if mask.is_empty() {
        return;
    }
    for (&start, &rows) in packed.starts.iter().zip(&packed.active) {
        let own = &mut values[start * width..(start + rows) * width];
        multiply(own, &mask[..rows * width]);
    }
}

impl Layer {
    /// Begins `rows` histories.
    pub(super) fn start(
        &mut self,
        layout: &LayerLayout,
        rows: usize,
        dropout: f64,
        mut random: Option<&mut Random>,
    ) {
        for state in [&mut self.first_outputs, &mut self.first_states] {
            state.clear();
            state.resize(rows * layout.units, 0.0);
        }
        mask(
            &mut self.input_mask,
            rows * layout.inputs,
            dropout,
            random.as_deref_mut(),
        );
        mask(&mut self.state_mask, rows * layout.units, dropout, random);
    }

    /// The outputs of a window from its inputs, which are masked.
    pub(super) fn forward(
        &mut self,
        cell: Cell,
        layout: &LayerLayout,
        weights: &[f32],
        packed: &Packed,
    ) {
        let (places, inputs, units) = (packed.len(), layout.inputs, layout.units);
        let wide = layout.bias.len();
        let x = &mut self.inputs[..places * inputs];
        masked(x, &self.input_mask, packed, inputs);
        let sums = grown(&mut self.gates, places * wide);
        let w = View::new(&weights[layout.input.clone()], inputs, wide);
        product(sums, View::new(x, places, inputs), w, false);
        let u = View::new(&weights[layout.recurrent.clone()], units, wide);
        let bias = &weights[layout.bias.clone()];
        add_bias(sums, bias);
        grown(&mut self.before, places * units);
        grown(&mut self.outputs, places * units);
        if cell == Cell::Lstm {
            grown(&mut self.states, places * units);
            grown(&mut self.bounded, places * units);
        } else {
            grown(&mut self.recurrent, places * wide);
        }
        for (t, (&start, &rows)) in packed.starts.iter().zip(&packed.active).enumerate() {
            let own = start * units..(start + rows) * units;
            let earlier = t.checked_sub(1).map(|t| packed.starts[t] * units);
            let (done, outputs) = self.outputs.split_at_mut(own.start);
            let outputs = &mut outputs[..own.len()];
            let last = match earlier {
                Some(at) => &done[at..at + own.len()],
                None => &self.first_outputs[..own.len()],
            };
            let before = &mut self.before[own.clone()];
            before.copy_from_slice(last);
            if !self.state_mask.is_empty() {
                multiply(before, &self.state_mask[..own.len()]);
            }
            let gates = &mut self.gates[start * wide..(start + rows) * wide];
            match cell {
                Cell::Lstm => {
                    product(gates, View::new(before, rows, units), u, true);
                    let (done, states) = self.states.split_at_mut(own.start);
                    let before = match earlier {
                        Some(at) => &done[at..at + own.len()],
                        None => &self.first_states[..own.len()],
                    };
                    let step = LstmStep {
                        gates,
                        before,
                        states: &mut states[..own.len()],
                        bounded: &mut self.bounded[own],
                        outputs,
                    };
                    lstm(units, step);
                }
                _ => {
                    let recurrent = &mut self.recurrent[start * wide..(start + rows) * wide];
                    product(recurrent, View::new(before, rows, units), u, false);
                    let inner = &weights[layout.inner_bias.clone()];
                    for sums in recurrent.chunks_exact_mut(wide) {
                        let new = sums[2 * units..].iter_mut().zip(inner);
                        new.for_each(|(sum, b)| *sum += b);
                    }
                    let step = GruStep {
                        gates,
                        recurrent,
                        before: last,
                        outputs,
                    };
                    gru(units, step);
                }
            }
        }
    }

    /// Makes the end of a window the beginning of the next.
    pub(super) fn carry(&mut self, cell: Cell, layout: &LayerLayout, packed: &Packed) {
        let (Some(&start), Some(&rows)) = (packed.starts.last(), packed.active.last()) else {
            return;
        };
        let own = start * layout.units..(start + rows) * layout.units;
        self.first_outputs[..own.len()].copy_from_slice(&self.outputs[own.clone()]);
        if cell == Cell::Lstm {
            self.first_states[..own.len()].copy_from_slice(&self.states[own]);
        }
    }

    /// From the loss's derivative by the outputs, `back`, to that by the weights, which is added up, and by the inputs. The
    /// gates are lost.
    pub(super) fn backward(
        &mut self,
        cell: Cell,
        layout: &LayerLayout,
        weights: &[f32],
        packed: &Packed,
        back: &mut [f32],
        gradient: &mut [f32],
    ) {
        let (places, inputs, units) = (packed.len(), layout.inputs, layout.units);
        let wide = layout.bias.len();
        let u = View::new(&weights[layout.recurrent.clone()], units, wide).transposed();
        let most = packed.active.first().map_or(0, |rows| rows * units);
        grown(&mut self.outputs_back, most).fill(0.0);
        grown(&mut self.states_back, most).fill(0.0);
        for (t, (&start, &rows)) in packed.starts.iter().zip(&packed.active).enumerate().rev() {
            let own = start * units..(start + rows) * units;
            let earlier = t.checked_sub(1).map(|t| packed.starts[t] * units);
            let back = &mut back[own.clone()];
            let next = &mut self.outputs_back[..own.len()];
            back.iter_mut().zip(&*next).for_each(|(d, n)| *d += n);
            let gates = &mut self.gates[start * wide..(start + rows) * wide];
            match cell {
                Cell::Lstm => {
                    let (done, states) = self.states.split_at_mut(own.start);
                    let before = match earlier {
                        Some(at) => &done[at..at + own.len()],
                        None => &self.first_states[..own.len()],
                    };
                    let step = LstmStep {
                        gates,
                        before,
                        states: &mut states[..own.len()],
                        bounded: &mut self.bounded[own.clone()],
                        outputs: back,
                    };
                    lstm_back(units, step, &mut self.states_back[..own.len()]);
                    product(next, View::new(gates, rows, wide), u, false);
                    if !self.state_mask.is_empty() {
                        multiply(next, &self.state_mask[..own.len()]);
                    }
                }
                _ => {
                    let before = match earlier {
                        Some(at) => &self.outputs[at..at + own.len()],
                        None => &self.first_outputs[..own.len()],
                    };
                    let recurrent = &mut self.recurrent[start * wide..(start + rows) * wide];
                    let step = GruStep {
                        gates,
                        recurrent: &mut *recurrent,
                        before,
                        outputs: &mut *back,
                    };
                    gru_back(units, step);
                    product(next, View::new(recurrent, rows, wide), u, false);
                    if !self.state_mask.is_empty() {
                        multiply(next, &self.state_mask[..own.len()]);
                    }
                    next.iter_mut().zip(&*back).for_each(|(n, d)| *n += d);
                }
            }
        }
        let gates = &self.gates[..places * wide];
        let sums = View::new(gates, places, wide);
        let of_states = match cell {
            Cell::Lstm => gates,
            _ => &self.recurrent[..places * wide],
        };
        let x = View::new(&self.inputs, places, inputs);
        product(
            &mut gradient[layout.input.clone()],
            x.transposed(),
            sums,
            true,
        );
        let before = View::new(&self.before, places, units).transposed();
        let of_states_view = View::new(of_states, places, wide);
        product(
            &mut gradient[layout.recurrent.clone()],
            before,
            of_states_view,
            true,
        );
        add_rows(&mut gradient[layout.bias.clone()], gates);
        if cell == Cell::Gru {
            let own = &mut gradient[layout.inner_bias.clone()];
            for sums in of_states.chunks_exact(wide) {
                own.iter_mut()
                    .zip(&sums[2 * units..])
                    .for_each(|(b, s)| *b += s);
            }
        }
        let w = View::new(&weights[layout.input.clone()], inputs, wide).transposed();
        let out = grown(&mut self.inputs_back, places * inputs);
        product(out, sums, w, false);
        masked(out, &self.input_mask, packed, inputs);
    }
}

#[cfg(test)]
#[path = "layer_test.rs"]
mod tests;
