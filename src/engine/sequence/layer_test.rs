//! Layers against PyTorch's with the same weights (tests/fixtures/make_recurrent.py).

use super::*;
use crate::sequence::histories::Histories;
use crate::sequence::network::{Layout, Network, Output};
use crate::sequence::packed::Stretch;
use serde_json::Value;

const TOLERANCE: f32 = 1e-5;

fn fixture(cell: Cell) -> Value {
    let text = include_str!("../../../tests/fixtures/recurrent.json");
    let all: Value = serde_json::from_str(text).unwrap();
    all[cell.name()].clone()
}

/// Numbers of nested arrays, row by row.
fn flat(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap() as f32],
    }
}

/// PyTorch's `[gates · units][inputs]` the other way round.
fn transposed(values: &[f32], inputs: usize) -> Vec<f32> {
    let rows = values.len() / inputs;
    let at = |i: usize, row: usize| values[row * inputs + i];
    (0..inputs)
        .flat_map(|i| (0..rows).map(move |row| at(i, row)))
        .collect()
}

struct Scene {
    network: Network,
    layout: Layout,
    histories: Histories,
    stretches: Vec<Stretch>,
    expected: Value,
}

fn scene(cell: Cell) -> Scene {
    let expected = fixture(cell);
    let inputs = expected["inputs"].as_array().unwrap();
    let mut offsets = vec![0];
    let mut stretches = Vec::new();
    for (key, steps) in inputs.iter().enumerate() {
        let len = steps.as_array().unwrap().len();
        offsets.push(offsets[key] + len);
        stretches.push(Stretch {
            key: key as u32,
            len: len as u32,
            asked_from: 0,
        });
    }
    let mut network = Network {
        cell,
        tables: vec![],
        numbers: 5,
        hidden: vec![6, 6],
        heads: 0,
        context: 0,
        output: Output::Value,
        weights: vec![],
    };
    let layout = network.layout().unwrap();
    network.weights = vec![0.0; layout.len];
    for (i, layer) in layout.layers.iter().enumerate() {
        let of = |name: &str| flat(&expected["weights"][format!("{name}_l{i}")]);
        let weights = &mut network.weights;
        let input = transposed(&of("weight_ih"), layer.inputs);
        weights[layer.input.clone()].copy_from_slice(&input);
        let recurrent = transposed(&of("weight_hh"), layer.units);
        weights[layer.recurrent.clone()].copy_from_slice(&recurrent);
        let (mut bias, inner) = (of("bias_ih"), of("bias_hh"));
        // The reset gate stands between the two biases of a GRU's new gate.
        let apart = if cell == Cell::Gru {
            2 * layer.units
        } else {
            inner.len()
        };
        bias.iter_mut()
            .zip(&inner[..apart])
            .for_each(|(b, i)| *b += i);
        weights[layer.bias.clone()].copy_from_slice(&bias);
        weights[layer.inner_bias.clone()].copy_from_slice(&inner[apart..]);
    }
    let histories = Histories {
        offsets,
        ..Histories::default()
    };
    Scene {
        network,
        layout,
        histories,
        stretches,
        expected,
    }
}

fn near(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (at, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let bound = TOLERANCE * b.abs().max(1.0);
        assert!((a - b).abs() <= bound, "{what} {at}: {a} against {b}");
    }
}

/// Reads the histories in windows of so many steps and answers outputs by step; the layers are as after the last window.
fn outputs(scene: &Scene, window: usize) -> (Vec<Layer>, Packed, Vec<f32>) {
    let layouts = &scene.layout.layers;
    let mut layers: Vec<Layer> = layouts.iter().map(|_| Layer::default()).collect();
    for (layer, layout) in layers.iter_mut().zip(layouts) {
        layer.start(layout, scene.stretches.len(), 0.0, None);
    }
    let inputs = flat(&scene.expected["inputs"]);
    let mut by_step = vec![0.0; scene.histories.steps() * 6];
    let mut packed = Packed::default();
    for from in (0..7).step_by(window) {
        let steps = from..from + window;
        packed.fill(&scene.histories, &scene.stretches, steps, 0, |_, _| true);
        for (i, layout) in layouts.iter().enumerate() {
            let x: Vec<f32> = match i {
                0 => {
                    let own = |step: &u32| &inputs[*step as usize * 5..][..5];
                    packed.steps.iter().flat_map(own).copied().collect()
                }
                _ => layers[i - 1].outputs[..packed.len() * 6].to_vec(),
            };
            grown(&mut layers[i].inputs, x.len()).copy_from_slice(&x);
            layers[i].forward(scene.network.cell, layout, &scene.network.weights, &packed);
            if from + window < 7 {
                layers[i].carry(scene.network.cell, layout, &packed);
            }
        }
        for (place, &step) in packed.steps.iter().enumerate() {
            by_step[step as usize * 6..][..6].copy_from_slice(&layers[1].outputs[place * 6..][..6]);
        }
    }
    (layers, packed, by_step)
}

#[test]
fn every_step_is_pytorchs_whatever_the_window() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let scene = scene(cell);
        let theirs = flat(&scene.expected["outputs"]);
        for window in [1, 2, 3, 64] {
            let (_, _, ours) = outputs(&scene, window);
            near(&format!("{cell:?}, windows of {window}"), &ours, &theirs);
        }
    }
}

#[test]
fn gradients_are_pytorchs() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let scene = scene(cell);
        let (mut layers, packed, _) = outputs(&scene, 64);
        let by_step = flat(&scene.expected["outputs_back"]);
        let own = |step: &u32| &by_step[*step as usize * 6..][..6];
        let mut back: Vec<f32> = packed.steps.iter().flat_map(own).copied().collect();
        let mut gradient = vec![0.0; scene.layout.len];
        for i in [1, 0] {
            let (layer, layout) = (&mut layers[i], &scene.layout.layers[i]);
            let weights = &scene.network.weights;
            layer.backward(cell, layout, weights, &packed, &mut back, &mut gradient);
            back = layer.inputs_back[..packed.len() * layout.inputs].to_vec();
            let of = |name: &str| flat(&scene.expected["gradients"][format!("{name}_l{i}")]);
            let part = |range: &std::ops::Range<usize>| &gradient[range.clone()];
            let input = transposed(&of("weight_ih"), layout.inputs);
            near("input weights", part(&layout.input), &input);
            let recurrent = transposed(&of("weight_hh"), layout.units);
            near("recurrent weights", part(&layout.recurrent), &recurrent);
            near("bias", part(&layout.bias), &of("bias_ih"));
            if cell == Cell::Gru {
                let inner = &of("bias_hh")[2 * layout.units..];
                near("inner bias", part(&layout.inner_bias), inner);
            }
        }
        let mut by_step = vec![0.0; scene.histories.steps() * 5];
        for (place, &step) in packed.steps.iter().enumerate() {
            by_step[step as usize * 5..][..5].copy_from_slice(&back[place * 5..][..5]);
        }
        near("inputs", &by_step, &flat(&scene.expected["inputs_back"]));
    }
}
