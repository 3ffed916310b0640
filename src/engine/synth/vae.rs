//! The tabular variational autoencoder (TVAE; Kingma and Welling 2014, Xu et al. 2019), and the conditional one (CVAE; Sohn, Lee
//! and Yan 2015).

use super::layers::{Adam, Gradient, Linear};
use super::layout::{Layout, corrections};
use super::schema::Encoded;
use super::train::{Params, Watch};
use crate::random::Random;
use crate::train::TrainError;
use serde::{Deserialize, Serialize};

const BETAS: (f32, f32) = (0.9, 0.999);
const DECAY: f32 = 1e-5;
/// How much more the reconstruction counts than the divergence.
const FACTOR: f32 = 2.0;
const DEVIATIONS: (f32, f32) = (0.01, 1.0);

/// What is known of each row before it is made: encoder and decoder both see it (Sohn et al. 2015).
pub(super) trait Context {
    fn width(&self) -> usize;
    /// Writes what is known of a row into `out`, which is zero.
    fn write(&self, row: usize, out: &mut [f32]);
}

/// Nothing is known.
pub(super) struct Unconditional;

impl Context for Unconditional {
    fn width(&self) -> usize {
        0
    }
    fn write(&self, _: usize, _: &mut [f32]) {}
}

/// From noise, and what is known of a row, to the row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Decoder {
    pub(super) noise: usize,
    /// Width of what is known; it stands behind the noise.
    #[serde(default)]
    pub(super) context: usize,
    pub(super) layers: Vec<Linear>,
    pub(super) last: Linear,
    /// Of the places, by column of a row; what else lies there does not count.
    #[serde(skip)]
    pub(super) deviations: Vec<f32>,
}

/// Layers with ReLU between them, and what they computed.
struct Stack {
    layers: Vec<Linear>,
    outputs: Vec<Vec<f32>>,
    gradients: Vec<Gradient>,
}

impl Stack {
    fn new(inputs: usize, widths: &[usize], random: &mut Random) -> Stack {
        let mut width = inputs;
        let mut layers = Vec::new();
        for &own in widths {
            layers.push(Linear::new(width, own, random));
            width = own;
        }
        Stack {
            gradients: layers.iter().map(Linear::zero).collect(),
            outputs: vec![Vec::new(); layers.len()],
            layers,
        }
    }

    /// All layers but the last end in ReLU.
    fn forward(&mut self, x: &[f32], rows: usize) {
        let count = self.layers.len();
        for at in 0..count {
            let (before, own) = self.outputs.split_at_mut(at);
            self.layers[at].forward(before.last().map_or(x, Vec::as_slice), rows, &mut own[0]);
            if at + 1 < count {
                own[0].iter_mut().for_each(|v| *v = v.max(0.0));
            }
        }
    }

    fn answers(&self) -> &[f32] {
        self.outputs.last().map_or(&[], Vec::as_slice)
    }

    /// Adds the gradients for that of the answers; the inputs' go to `dx`.
    fn back(&mut self, x: &[f32], mut dy: Vec<f32>, rows: usize, dx: Option<&mut Vec<f32>>) {
        let mut next = Vec::new();
        for at in (0..self.layers.len()).rev() {
            let input = if at == 0 { x } else { &self.outputs[at - 1] };
            self.layers[at].gradient(input, &dy, rows, &mut self.gradients[at]);
            if at > 0 {
                self.layers[at].back(&dy, rows, &mut next);
                let below = next.iter_mut().zip(&self.outputs[at - 1]);
                below.for_each(|(d, y)| *d *= f32::from(u8::from(*y > 0.0)));
                std::mem::swap(&mut dy, &mut next);
            } else if let Some(dx) = dx {
                self.layers[at].back(&dy, rows, dx);
                return;
            }
        }
    }
}

fn groups<'a>(stack: &'a mut Stack, out: &mut Vec<(&'a mut [f32], &'a [f32])>) {
    for (layer, gradient) in stack.layers.iter_mut().zip(&stack.gradients) {
        out.push((&mut layer.weights, &gradient.weights));
        out.push((&mut layer.bias, &gradient.bias));
    }
}

/// Trains a decoder; with a context, of rows given what is known of them.
pub(super) fn train(
    params: &Params,
    layout: &Layout,
    table: &Encoded,
    context: &dyn Context,
    watch: &mut Watch<'_>,
) -> Result<Decoder, TrainError> {
    let mut random = Random::new(params.seed ^ 0xbb67_ae85);
    let (noise, width, known) = (params.noise, layout.width, context.width());
    let mut encoder = Stack::new(
        width + known,
        &[params.critic.as_slice(), &[2 * noise]].concat(),
        &mut random,
    );
    let mut decoder = Stack::new(
        noise + known,
        &[params.generator.as_slice(), &[width]].concat(),
        &mut random,
    );
    let mut deviations = vec![0.1f32; width];
    let mut deviations_gradient = vec![0.0f32; width];
    let mut adam = Adam::new(params.learning_rate, BETAS, DECAY);
    let mut order: Vec<usize> = (0..table.rows).collect();
    let batch = params.batch.min(table.rows).max(1);
    for epoch in 1..=params.epochs {
        random.shuffle(&mut order);
        let (mut sum, mut seen) = (0.0, 0);
        for rows in order.chunks(batch) {
            let n = rows.len();
            let mut x = vec![0.0f32; n * width];
            for (row, x) in rows.iter().zip(x.chunks_exact_mut(width)) {
                layout.write(table, *row, x);
            }
            let whole = beside(&x, width, rows, context);
            let whole = whole.as_ref().unwrap_or(&x);
            encoder.forward(whole, n);
            // Mean, then the logarithm of the variance.
            let codes = encoder.answers();
            let (mut z, mut draws) = (vec![0.0f32; n * noise], vec![0.0f32; n * noise]);
            let mut loss = 0.0;
            for ((z, draws), code) in z
                .chunks_exact_mut(noise)
                .zip(draws.chunks_exact_mut(noise))
                .zip(codes.chunks_exact(2 * noise))
            {
                for at in 0..noise {
                    draws[at] = random.normal() as f32;
                    let (mean, log) = (code[at], code[noise + at]);
                    z[at] = mean + draws[at] * (0.5 * log).exp();
                    loss -= 0.5 * (1.0 + log - mean * mean - log.exp()) / n as f32;
                }
            }
            let given = beside(&z, noise, rows, context);
            let given = given.as_ref().unwrap_or(&z);
            decoder.forward(given, n);
            let mut dy = vec![0.0f32; n * width];
            loss += rebuild(
                layout,
                &x,
                decoder.answers(),
                &deviations,
                &mut dy,
                &mut deviations_gradient,
            );
            let mut dz = Vec::new();
            decoder.back(given, dy, n, Some(&mut dz));
            let mut dcode = vec![0.0f32; n * 2 * noise];
            let codes = encoder.answers().chunks_exact(2 * noise);
            for (at, (d, code)) in dcode.chunks_exact_mut(2 * noise).zip(codes).enumerate() {
                for i in 0..noise {
                    let (mean, log, dz) = (code[i], code[noise + i], dz[at * (noise + known) + i]);
                    d[i] = dz + mean / n as f32;
                    d[noise + i] = dz * draws[at * noise + i] * 0.5 * (0.5 * log).exp()
                        + 0.5 * (log.exp() - 1.0) / n as f32;
                }
            }
            encoder.back(whole, dcode, n, None);
            let mut all = Vec::new();
            groups(&mut encoder, &mut all);
            groups(&mut decoder, &mut all);
            all.push((&mut deviations, &deviations_gradient));
            adam.step(&mut all);
            drop(all);
            let both = encoder.gradients.iter_mut().chain(&mut decoder.gradients);
            both.for_each(Gradient::clear);
            deviations_gradient.fill(0.0);
            deviations
                .iter_mut()
                .for_each(|s| *s = s.clamp(DEVIATIONS.0, DEVIATIONS.1));
            sum += f64::from(loss) * n as f64;
            seen += n;
            watch.pause(epoch, sum / seen as f64)?;
            if watch.out_of_time() {
                break;
            }
        }
        if !watch.epoch(
            epoch,
            sum / seen.max(1) as f64,
            None,
            params.learning_rate,
            seen,
        )? {
            break;
        }
    }
    let last = decoder.layers.pop().unwrap_or_default();
    let mut decoder = Decoder {
        noise,
        context: known,
        layers: decoder.layers,
        last,
        deviations,
    };
    const ROWS: usize = 8192;
    let input: Vec<f32> = (0..ROWS * noise).map(|_| random.normal() as f32).collect();
    let rows: Vec<usize> = match known {
        0 => Vec::new(),
        _ => (0..ROWS).map(|_| random.below(table.rows)).collect(),
    };
    let input = beside(&input, noise, &rows, context).unwrap_or(input);
    let mut logits = Vec::new();
    decoder.answer(&input, ROWS, &mut logits);
    let corrections = corrections(layout, table, &logits);
    decoder
        .last
        .bias
        .iter_mut()
        .zip(corrections)
        .for_each(|(b, c)| *b += c);
    Ok(decoder)
}

/// Rows of so many numbers with what is known of each behind them; `None` where nothing is.
fn beside(
    numbers: &[f32],
    width: usize,
    rows: &[usize],
    context: &dyn Context,
) -> Option<Vec<f32>> {
    let stride = width + context.width();
    if stride == width {
        return None;
    }
    let mut out = vec![0.0f32; rows.len() * stride];
    for ((out, own), row) in out
        .chunks_exact_mut(stride)
        .zip(numbers.chunks_exact(width))
        .zip(rows)
    {
        out[..width].copy_from_slice(own);
        context.write(*row, &mut out[width..]);
    }
    Some(out)
}

/// The loss of rebuilding rows `x` from answers `y`, averaged over rows, and its gradients.
fn rebuild(
    layout: &Layout,
    x: &[f32],
    y: &[f32],
    deviations: &[f32],
    dy: &mut [f32],
    ds: &mut [f32],
) -> f32 {
    let width = layout.width;
    let n = (x.len() / width) as f32;
    let factor = FACTOR / n;
    let mut loss = 0.0;
    let rows = x
        .chunks_exact(width)
        .zip(y.chunks_exact(width))
        .zip(dy.chunks_exact_mut(width));
    for ((x, y), dy) in rows {
        for block in &layout.blocks {
            if let Some(at) = block.place {
                let (s, t) = (deviations[at], y[at].tanh());
                let off = x[at] - t;
                loss += factor * (off * off / (2.0 * s * s) + s.ln());
                dy[at] = -factor * off / (s * s) * (1.0 - t * t);
                ds[at] += factor * (1.0 / s - off * off / (s * s * s));
            }
            let range = block.choice.clone();
            let most = y[range.clone()]
                .iter()
                .copied()
                .fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = y[range.clone()].iter().map(|v| (v - most).exp()).sum();
            for at in range {
                dy[at] = factor * ((y[at] - most).exp() / total - x[at]);
                if x[at] > 0.0 {
                    loss -= factor * (y[at] - most - total.ln());
                }
            }
        }
    }
    loss
}

impl Decoder {
    /// Logits of rows.
    pub(super) fn answer(&self, input: &[f32], rows: usize, logits: &mut Vec<f32>) {
        let (mut own, mut next) = (input.to_vec(), Vec::new());
        for layer in &self.layers {
            layer.answer(&own, rows, &mut next);
            next.iter_mut().for_each(|v| *v = v.max(0.0));
            std::mem::swap(&mut own, &mut next);
        }
        self.last.answer(&own, rows, logits);
    }
}

#[cfg(test)]
#[path = "vae_test.rs"]
mod tests;
