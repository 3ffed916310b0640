//! Some histories of a batch on one thread: window by window forward, loss, backward.

use super::attentive::Attentive;
use super::histories::Histories;
use super::intensity;
use super::layer::{Layer, grown, mask};
use super::network::{Layout, Network, Output};
use super::packed::{Packed, Stretch};
use super::sample::Sampler;
use super::softmax;
use crate::random::Random;
use crate::train::cpu::vector::{View, add_bias, add_rows, product};

/// Answers whose scores of all classes are held at once.
const BLOCK: usize = 128;

/// What all lanes share during a step.
pub(super) struct Shared<'a> {
    pub(super) network: &'a Network,
    pub(super) layout: &'a Layout,
    pub(super) weights: &'a [f32],
    pub(super) histories: &'a Histories,
    /// Whether the answer belongs to a key as a whole.
    pub(super) of_key: bool,
    pub(super) dropout: f64,
    /// Learn from these classes alone.
    pub(super) sampler: Option<&'a Sampler>,
    /// Steps from one window to the next.
    pub(super) stride: usize,
}

impl Shared<'_> {
    /// The steps that are read for the answers of steps `from..from + stride`: these, where a state goes on from the window
    /// before; a transformer has no state and reads as many before them again.
    fn window(&self, from: usize) -> std::ops::Range<usize> {
        let again = self.network.context.saturating_sub(self.stride);
        from.saturating_sub(again)..from + self.stride
    }

    /// Whether it is known what should be answered after a step.
    pub(super) fn is_known(&self, step: usize, key: usize) -> bool {
        let at = self.answer((step, key));
        match self.network.output {
            Output::Softmax { .. } => self.histories.classes.get(at).is_some_and(|c| *c > 0),
            Output::Value | Output::Intensity => {
                self.histories.values.get(at).is_some_and(|v| v.is_finite())
            }
        }
    }

    /// Events counted from a step's period to the last of its key.
    fn ahead(&self, (step, key): (usize, usize)) -> &[f32] {
        &self.histories.values[step..self.histories.offsets[key + 1]]
    }

    /// Where the answer after a step is.
    fn answer(&self, (step, key): (usize, usize)) -> usize {
        if self.of_key { key } else { step + 1 }
    }

    /// The class that should be answered after a step, which must be known.
    fn class(&self, at: (usize, usize)) -> usize {
        self.histories.classes[self.answer(at)] as usize - 1
    }
}

/// Buffers of one lane; all grow to the largest window and stay.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) stretches: Vec<Stretch>,
    pub(super) packed: Packed,
    pub(super) layers: Vec<Layer>,
    attentive: Attentive,
    /// For the dropout of attention.
    random: Option<Random>,
    /// `[rows][units]`, of the last layer's outputs.
    output_mask: Vec<f32>,
    /// `[asked][units]`: the last layer's outputs after dropout.
    pub(super) features: Vec<f32>,
    /// `[asked][dim]`: what is compared with the classes' vectors, where these are tied.
    projected: Vec<f32>,
    /// `[block][classes]`, or `[asked]` values.
    scores: Vec<f32>,
    /// `[classes][dim]`: the loss's derivative by the vectors of drawn classes.
    drawn_back: Vec<f32>,
    projected_back: Vec<f32>,
    features_back: Vec<f32>,
    /// `[places][units]`.
    back: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    /// Σ of the losses of the window's answers.
    pub(super) loss: f64,
}

impl Lane {
    /// Begins histories, which come by falling length.
    pub(super) fn start(
        &mut self,
        shared: &Shared<'_>,
        stretches: impl Iterator<Item = Stretch>,
        mut random: Option<Random>,
    ) {
        self.stretches.clear();
        self.stretches.extend(stretches);
        let rows = self.stretches.len();
        self.layers
            .resize_with(shared.layout.layers.len(), Layer::default);
        for (layer, layout) in self.layers.iter_mut().zip(&shared.layout.layers) {
            layer.start(layout, rows, shared.dropout, random.as_mut());
        }
        let units = shared.network.units();
        mask(
            &mut self.output_mask,
            rows * units,
            shared.dropout,
            random.as_mut(),
        );
        self.random = random;
    }

    /// Lays out the window that begins at step `from` and answers how many of its places are asked.
    pub(super) fn lay_out(
        &mut self,
        shared: &Shared<'_>,
        from: usize,
        asks: impl Fn(usize, usize) -> bool,
    ) -> usize {
        let window = shared.window(from);
        self.packed
            .fill(shared.histories, &self.stretches, window, from, asks);
        self.packed.asked.len()
    }

    /// Reads the window: the outputs of all layers, and `features`.
    pub(super) fn forward(&mut self, shared: &Shared<'_>) {
        let (network, layout, weights) = (shared.network, shared.layout, shared.weights);
        let inputs = match self.layers.first_mut() {
            Some(first) => &mut first.inputs,
            None => &mut self.attentive.inputs,
        };
        read(shared, &self.packed, inputs);
        if let Some(attention) = &layout.attention {
            let dropout = self.random.as_mut().map(|random| (random, shared.dropout));
            self.attentive
                .forward(attention, weights, &self.packed, dropout);
        }
        for i in 0..self.layers.len() {
            let (below, rest) = self.layers.split_at_mut(i);
            let (layer, own) = (&mut rest[0], &layout.layers[i]);
            if let Some(below) = below.last() {
                let len = self.packed.len() * own.inputs;
                grown(&mut layer.inputs, len).copy_from_slice(&below.outputs[..len]);
            }
            layer.forward(network.cell, own, weights, &self.packed);
        }
        let outputs = match self.layers.last() {
            Some(last) => &last.outputs,
            None => &self.attentive.outputs,
        };
        let (units, asked) = (network.units(), self.packed.asked.len());
        let features = grown(&mut self.features, asked * units);
        for (&(place, row), out) in self
            .packed
            .asked
            .iter()
            .zip(features.chunks_exact_mut(units))
        {
            let own = &outputs[place as usize * units..][..units];
            out.copy_from_slice(own);
            if !self.output_mask.is_empty() {
                let mask = &self.output_mask[row as usize * units..][..units];
                out.iter_mut().zip(mask).for_each(|(x, m)| *x *= m);
            }
        }
        let projection = &layout.projection;
        if !projection.0.is_empty() {
            let dim = network.class_dim();
            let out = grown(&mut self.projected, asked * dim);
            let w = View::new(&weights[projection.0.clone()], units, dim);
            product(out, View::new(features, asked, units), w, false);
            add_bias(out, &weights[projection.1.clone()]);
        }
    }

    /// Step and key of each asked place.
    pub(super) fn asked(&self) -> Vec<(usize, usize)> {
        let asked = self.packed.asked.iter();
        asked.map(|(place, _)| self.packed.at(*place)).collect()
    }

    /// Ends a window.
    pub(super) fn carry(&mut self, shared: &Shared<'_>) {
        for (layer, layout) in self.layers.iter_mut().zip(&shared.layout.layers) {
            layer.carry(shared.network.cell, layout, &self.packed);
        }
    }

    /// What is compared with the classes' vectors `[asked][dim]`.
    fn compared(&self, shared: &Shared<'_>) -> &[f32] {
        match shared.layout.projection.0.is_empty() {
            true => &self.features,
            false => &self.projected,
        }
    }

    /// Calls `visit` with the number of each asked place and its scores of all classes, or its value; [`Lane::forward`] was
    /// before. The scores may be changed.
    pub(super) fn scores(&mut self, shared: &Shared<'_>, mut visit: impl FnMut(usize, &mut [f32])) {
        let (layout, weights) = (shared.layout, shared.weights);
        let (classes, dim) = (shared.network.outputs(), shared.network.class_dim());
        let asked = self.packed.asked.len();
        let mut scores = std::mem::take(&mut self.scores);
        let vectors = View::new(&weights[layout.classes.clone()], classes, dim).transposed();
        for from in (0..asked).step_by(BLOCK) {
            let rows = BLOCK.min(asked - from);
            let own = &self.compared(shared)[from * dim..(from + rows) * dim];
            let out = grown(&mut scores, rows * classes);
            product(out, View::new(own, rows, dim), vectors, false);
            add_bias(out, &weights[layout.class_bias.clone()]);
            for (i, scores) in out.chunks_exact_mut(classes).enumerate() {
                visit(from + i, scores);
            }
        }
        self.scores = scores;
    }

    /// The sum of the losses of the asked places, all classes considered, none of which must be unknown.
    pub(super) fn losses(&mut self, shared: &Shared<'_>) -> f64 {
        let mut sum = 0.0;
        let at = self.asked();
        self.scores(shared, |i, scores| {
            sum += match shared.network.output {
                Output::Softmax { .. } => {
                    let own = scores[shared.class(at[i])];
                    let (largest, total) = softmax::exponentials(scores);
                    f64::from(largest - own) + f64::from(total).ln()
                }
                Output::Value => {
                    let value = shared.histories.values[shared.answer(at[i])];
                    let error = f64::from(scores[0] - value);
                    error * error
                }
                Output::Intensity => intensity::loss(scores, shared.ahead(at[i])),
            };
        });
        sum
    }

    /// From [`Lane::forward`] to the loss and its gradient, which is added up. `scale` is what an answer counts in the mean
    /// over the batch.
    pub(super) fn backward(&mut self, shared: &Shared<'_>, scale: f32) {
        let (network, layout, weights) = (shared.network, shared.layout, shared.weights);
        self.gradient.resize(layout.len, 0.0);
        let (units, dim, asked) = (
            network.units(),
            network.class_dim(),
            self.packed.asked.len(),
        );
        grown(&mut self.projected_back, asked * dim);
        self.loss = match (network.output, shared.sampler) {
            (Output::Softmax { .. }, Some(sampler)) => self.sampled(shared, sampler, scale),
            (Output::Softmax { classes, .. }, None) => self.whole(shared, classes, |at, scores| {
                softmax::derive(scores, shared.class(at), scale)
            }),
            (Output::Value, _) => self.value(shared, scale),
            (Output::Intensity, _) => self.whole(shared, intensity::OUTPUTS, |at, outputs| {
                intensity::derive(outputs, shared.ahead(at), scale)
            }),
        };
        let projection = &layout.projection;
        let back = grown(&mut self.features_back, asked * units);
        let d = &self.projected_back[..asked * dim];
        if projection.0.is_empty() {
            back.copy_from_slice(d);
        } else {
            let features = View::new(&self.features, asked, units).transposed();
            let d_view = View::new(d, asked, dim);
            product(
                &mut self.gradient[projection.0.clone()],
                features,
                d_view,
                true,
            );
            add_rows(&mut self.gradient[projection.1.clone()], d);
            let w = View::new(&weights[projection.0.clone()], units, dim).transposed();
            product(back, d_view, w, false);
        }
        let places = self.packed.len();
        let all = grown(&mut self.back, places * units);
        all.fill(0.0);
        for (&(place, row), back) in self.packed.asked.iter().zip(back.chunks_exact(units)) {
            let own = &mut all[place as usize * units..][..units];
            own.copy_from_slice(back);
            if !self.output_mask.is_empty() {
                let mask = &self.output_mask[row as usize * units..][..units];
                own.iter_mut().zip(mask).for_each(|(x, m)| *x *= m);
            }
        }
        for (layer, own) in self.layers.iter_mut().zip(&layout.layers).rev() {
            let (packed, back) = (&self.packed, &mut self.back);
            layer.backward(network.cell, own, weights, packed, back, &mut self.gradient);
            std::mem::swap(back, &mut layer.inputs_back);
        }
        if let Some(attention) = &layout.attention {
            let (packed, back) = (&self.packed, &mut self.back);
            self.attentive
                .backward(attention, weights, packed, back, &mut self.gradient);
            std::mem::swap(back, &mut self.attentive.inputs_back);
        }
        let inputs = layout.inputs();
        for (place, back) in self.back[..places * inputs]
            .chunks_exact(inputs.max(1))
            .enumerate()
        {
            let step = self.packed.steps[place] as usize;
            let mut at = 0;
            for (i, table) in network.tables.iter().enumerate() {
                let code = shared.histories.codes[i][step] as usize;
                let start = layout.tables[i].start + code * table.dim;
                let own = &mut self.gradient[start..start + table.dim];
                own.iter_mut().zip(&back[at..]).for_each(|(g, b)| *g += b);
                at += table.dim;
            }
        }
    }

    /// All outputs: `derive` makes of those of a place the derivatives of its loss, which it answers.
    fn whole(
        &mut self,
        shared: &Shared<'_>,
        classes: usize,
        derive: impl Fn((usize, usize), &mut [f32]) -> f64,
    ) -> f64 {
        let (layout, weights) = (shared.layout, shared.weights);
        let (dim, asked) = (shared.network.class_dim(), self.packed.asked.len());
        let vectors = View::new(&weights[layout.classes.clone()], classes, dim);
        let mut scores = std::mem::take(&mut self.scores);
        let mut gradient = std::mem::take(&mut self.gradient);
        let mut d = std::mem::take(&mut self.projected_back);
        let mut loss = 0.0;
        for from in (0..asked).step_by(BLOCK) {
            let rows = BLOCK.min(asked - from);
            let own = &self.compared(shared)[from * dim..(from + rows) * dim];
            let own = View::new(own, rows, dim);
            let out = grown(&mut scores, rows * classes);
            product(out, own, vectors.transposed(), false);
            add_bias(out, &weights[layout.class_bias.clone()]);
            let places = &self.packed.asked[from..from + rows];
            for ((place, _), scores) in places.iter().zip(out.chunks_exact_mut(classes)) {
                loss += derive(self.packed.at(*place), scores);
            }
            let out = View::new(out, rows, classes);
            product(
                &mut gradient[layout.classes.clone()],
                out.transposed(),
                own,
                true,
            );
            add_rows(
                &mut gradient[layout.class_bias.clone()],
                &scores[..rows * classes],
            );
            let out = View::new(&scores, rows, classes);
            product(&mut d[from * dim..(from + rows) * dim], out, vectors, false);
        }
        (self.scores, self.gradient, self.projected_back) = (scores, gradient, d);
        loss
    }

    /// A softmax over the true class and those drawn.
    fn sampled(&mut self, shared: &Shared<'_>, sampler: &Sampler, scale: f32) -> f64 {
        let (layout, weights) = (shared.layout, shared.weights);
        let (dim, asked) = (shared.network.class_dim(), self.packed.asked.len());
        let drawn = sampler.classes.len();
        let (class_at, bias_at) = (layout.classes.start, layout.class_bias.start);
        let vectors = View::new(&sampler.vectors, drawn, dim);
        // The true class comes last.
        let wide = drawn + 1;
        let mut scores = std::mem::take(&mut self.scores);
        let mut gradient = std::mem::take(&mut self.gradient);
        let mut d = std::mem::take(&mut self.projected_back);
        let mut drawn_back = std::mem::take(&mut self.drawn_back);
        grown(&mut drawn_back, drawn * dim).fill(0.0);
        let mut biases_back = vec![0f32; drawn];
        let mut own_back = vec![0f32; BLOCK];
        let mut loss = 0.0;
        for from in (0..asked).step_by(BLOCK) {
            let rows = BLOCK.min(asked - from);
            let own = &self.compared(shared)[from * dim..(from + rows) * dim];
            let own_view = View::new(own, rows, dim);
            let out = grown(&mut scores, rows * wide);
            product(out, own_view, vectors.transposed(), false);
            // Spread the rows to make room for the true class, from the last on.
            for row in (0..rows).rev() {
                out.copy_within(row * drawn..(row + 1) * drawn, row * wide);
            }
            let places = &self.packed.asked[from..from + rows];
            let both = own.chunks_exact(dim).zip(own_back.iter_mut());
            for (i, ((place, _), (own, own_back))) in places.iter().zip(both).enumerate() {
                let class = shared.class(self.packed.at(*place));
                let scores = &mut out[i * wide..(i + 1) * wide];
                scores
                    .iter_mut()
                    .zip(&sampler.biases)
                    .for_each(|(s, b)| *s += b);
                let vector = &weights[class_at + class * dim..][..dim];
                let dot: f32 = own.iter().zip(vector).map(|(a, b)| a * b).sum();
                scores[drawn] = dot + weights[bias_at + class] - sampler.log_chance(class);
                if let Some(hit) = sampler.find(class) {
                    scores[hit] = f32::NEG_INFINITY;
                }
                loss += softmax::derive(scores, drawn, scale);
                *own_back = scores[drawn];
                let back = &mut gradient[class_at + class * dim..][..dim];
                back.iter_mut()
                    .zip(own)
                    .for_each(|(b, x)| *b += *own_back * x);
                gradient[bias_at + class] += *own_back;
            }
            for row in 0..rows {
                out.copy_within(row * wide..row * wide + drawn, row * drawn);
            }
            let out = View::new(out, rows, drawn);
            product(&mut drawn_back, out.transposed(), own_view, true);
            add_rows(&mut biases_back, &scores[..rows * drawn]);
            let back = &mut d[from * dim..(from + rows) * dim];
            product(back, View::new(&scores, rows, drawn), vectors, false);
            let places = self.packed.asked[from..from + rows].iter();
            for ((place, _), (back, own_back)) in
                places.zip(back.chunks_exact_mut(dim).zip(&own_back))
            {
                let class = shared.class(self.packed.at(*place));
                let vector = &weights[class_at + class * dim..][..dim];
                back.iter_mut()
                    .zip(vector)
                    .for_each(|(b, v)| *b += own_back * v);
            }
        }
        for (i, &class) in sampler.classes.iter().enumerate() {
            let own = &mut gradient[class_at + class as usize * dim..][..dim];
            own.iter_mut()
                .zip(&drawn_back[i * dim..])
                .for_each(|(g, b)| *g += b);
            gradient[bias_at + class as usize] += biases_back[i];
        }
        (self.scores, self.gradient, self.projected_back) = (scores, gradient, d);
        self.drawn_back = drawn_back;
        loss
    }

    /// A number, by its squared error.
    fn value(&mut self, shared: &Shared<'_>, scale: f32) -> f64 {
        let (layout, weights) = (shared.layout, shared.weights);
        let units = shared.network.units();
        let w = &weights[layout.classes.clone()];
        let bias = weights[layout.class_bias.start];
        let own = &mut self.gradient[layout.classes.start..layout.class_bias.end];
        let (own, bias_back) = own.split_at_mut(units);
        let mut loss = 0.0;
        let rows = self
            .features
            .chunks_exact(units)
            .zip(self.projected_back.chunks_exact_mut(units));
        for (&(place, _), (x, back)) in self.packed.asked.iter().zip(rows) {
            let value = shared.histories.values[shared.answer(self.packed.at(place))];
            let dot: f32 = x.iter().zip(w).map(|(a, b)| a * b).sum();
            let error = dot + bias - value;
            loss += f64::from(error * error);
            let d = 2.0 * error * scale;
            own.iter_mut().zip(x).for_each(|(g, x)| *g += d * x);
            bias_back[0] += d;
            back.iter_mut().zip(w).for_each(|(b, w)| *b = d * w);
        }
        loss
    }
}

/// Writes the inputs of the first layer, or of attention.
fn read(shared: &Shared<'_>, packed: &Packed, out: &mut Vec<f32>) {
    let (network, layout, histories) = (shared.network, shared.layout, shared.histories);
    let inputs = layout.inputs();
    let x = grown(out, packed.len() * inputs);
    let (width, wide) = (histories.width, histories.statics_width);
    for (place, x) in x.chunks_exact_mut(inputs.max(1)).enumerate() {
        let (step, key) = (packed.steps[place] as usize, packed.keys[place] as usize);
        let mut at = 0;
        for (i, table) in network.tables.iter().enumerate() {
            let start = layout.tables[i].start + histories.codes[i][step] as usize * table.dim;
            x[at..at + table.dim].copy_from_slice(&shared.weights[start..start + table.dim]);
            at += table.dim;
        }
        x[at..at + width].copy_from_slice(&histories.dense[step * width..(step + 1) * width]);
        at += width;
        x[at..at + wide].copy_from_slice(&histories.statics[key * wide..(key + 1) * wide]);
    }
}

#[cfg(test)]
#[path = "lane_test.rs"]
mod tests;
