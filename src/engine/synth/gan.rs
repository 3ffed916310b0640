//! The conditional tabular GAN (Xu et al., "Modeling Tabular data using Conditional GAN", NeurIPS 2019).
//!
//! A critic that sees packs of rows (PacGAN, Lin et al. 2018) learns the Wasserstein distance under a gradient penalty
//! (Gulrajani et al. 2017), whose gradient is written out: of a network of LeakyReLUs it is that of a linear one.

mod critic;
mod generator;
mod pairs;
mod private;

use super::layers::Adam;
use super::layout::{Condition, Layout, Sampler, corrections};
use super::schema::Encoded;
use super::train::{Loss, Params, Watch};
use crate::random::Random;
use crate::train::TrainError;
use critic::{Critic, Seen};
pub(super) use generator::Generator;
use generator::{GeneratorGradient, Mode, Pass};
pub(super) use private::{Game, train as train_privately};
use rayon::prelude::*;

/// The temperature of the softmax by which alternatives are drawn.
const TEMPERATURE: f32 = 0.2;
const BETAS: (f32, f32) = (0.5, 0.9);
const GENERATOR_DECAY: f32 = 1e-6;
/// Rows that one piece of random numbers is for.
const PIECE: usize = 64;

/// Turns logits into a row: tanh of places, a softmax with Gumbel noise of alternatives (Jang et al. 2017).
fn activate(layout: &Layout, logits: &[f32], seed: u64, out: &mut [f32], stride: usize) {
    let width = layout.width;
    logits
        .par_chunks(PIECE * width)
        .zip(out.par_chunks_mut(PIECE * stride))
        .enumerate()
        .for_each(|(piece, (logits, out))| {
            let mut random = Random::new(seed.wrapping_add(piece as u64));
            for (logits, out) in logits.chunks_exact(width).zip(out.chunks_exact_mut(stride)) {
                for block in &layout.blocks {
                    if let Some(at) = block.place {
                        out[at] = logits[at].tanh();
                    }
                    let out = &mut out[block.choice.clone()];
                    let mut most = f32::NEG_INFINITY;
                    for (out, logit) in out.iter_mut().zip(&logits[block.choice.clone()]) {
                        // Neither 0 nor 1, of which the logarithms are infinite.
                        let uniform = (random.uniform() as f32).clamp(1e-20, 1.0 - 1e-7);
                        let gumbel = -(-uniform.ln()).ln();
                        *out = (logit + gumbel) / TEMPERATURE;
                        most = most.max(*out);
                    }
                    let mut total = 0.0;
                    for out in out.iter_mut() {
                        *out = (*out - most).exp();
                        total += *out;
                    }
                    out.iter_mut().for_each(|out| *out /= total);
                }
            }
        });
}

/// The logits' gradient for that of the rows `y`.
fn deactivate(layout: &Layout, y: &[f32], dy: &[f32], stride: usize, out: &mut Vec<f32>) {
    let width = layout.width;
    out.resize(y.len() / stride * width, 0.0);
    let rows = y.chunks_exact(stride).zip(dy.chunks_exact(stride));
    for (out, (y, dy)) in out.chunks_exact_mut(width).zip(rows) {
        for block in &layout.blocks {
            if let Some(at) = block.place {
                out[at] = (1.0 - y[at] * y[at]) * dy[at];
            }
            let range = block.choice.clone();
            let dot: f32 = y[range.clone()]
                .iter()
                .zip(&dy[range.clone()])
                .map(|(a, b)| a * b)
                .sum();
            for at in range {
                out[at] = y[at] * (dy[at] - dot) / TEMPERATURE;
            }
        }
    }
}

/// Standard normal noise before each row's condition.
fn noise(
    layout: &Layout,
    noise: usize,
    conditions: &[Option<Condition>],
    seed: u64,
    out: &mut Vec<f32>,
) {
    let stride = noise + layout.conditions;
    out.clear();
    out.resize(conditions.len() * stride, 0.0);
    if stride == 0 {
        return;
    }
    out.par_chunks_mut(PIECE * stride)
        .zip(conditions.par_chunks(PIECE))
        .enumerate()
        .for_each(|(piece, (out, conditions))| {
            let mut random = Random::new(seed.wrapping_add(piece as u64));
            for (row, condition) in out.chunks_exact_mut(stride).zip(conditions) {
                row[..noise]
                    .iter_mut()
                    .for_each(|x| *x = random.normal() as f32);
                mark(layout, *condition, &mut row[noise..]);
            }
        });
}

/// Sets a condition among the zeros of `out`.
pub(super) fn mark(layout: &Layout, condition: Option<Condition>, out: &mut [f32]) {
    let place = condition.and_then(|c| Some((layout.blocks[c.block].condition.clone()?, c.code)));
    if let Some((range, code)) = place {
        out[range.start + code] = 1.0;
    }
}

/// A generator at work: what it makes of conditions, and what it learns of what the critic says.
struct Maker<'a> {
    params: &'a Params,
    layout: &'a Layout,
    generator: Generator,
    adam: Adam,
    gradient: GeneratorGradient,
    pass: Pass,
    seen: Seen,
    input: Vec<f32>,
    dx: Vec<f32>,
    dlogits: Vec<f32>,
}

impl<'a> Maker<'a> {
    fn new(params: &'a Params, layout: &'a Layout, random: &mut Random) -> Maker<'a> {
        let generator = Generator::new(params, layout, random);
        Maker {
            params,
            layout,
            gradient: generator.zero(),
            generator,
            adam: Adam::new(params.learning_rate, BETAS, GENERATOR_DECAY),
            pass: Pass::default(),
            seen: Seen::default(),
            input: Vec::new(),
            dx: Vec::new(),
            dlogits: Vec::new(),
        }
    }

    /// Makes a row for each condition, with it behind: `fake` is `[rows][width + conditions]`.
    fn make(&mut self, conditions: &[Option<Condition>], random: &mut Random, fake: &mut [f32]) {
        let (layout, seed) = (self.layout, random.next_u64());
        noise(layout, self.params.noise, conditions, seed, &mut self.input);
        let rows = conditions.len();
        self.generator
            .forward(&self.input, rows, Mode::Train, &mut self.pass);
        fake.fill(0.0);
        let stride = layout.width + layout.conditions;
        activate(layout, &self.pass.logits, random.next_u64(), fake, stride);
        for (own, condition) in fake.chunks_exact_mut(stride).zip(conditions) {
            mark(layout, *condition, &mut own[layout.width..]);
        }
    }

    /// A step by what the critic says of new rows, which are made in `fake`; answers the loss.
    fn learn(
        &mut self,
        conditions: &[Option<Condition>],
        critic: &Critic,
        random: &mut Random,
        fake: &mut [f32],
    ) -> f32 {
        self.make(conditions, random, fake);
        let (layout, rows) = (self.layout, conditions.len());
        let stride = layout.width + layout.conditions;
        let packs = rows / self.params.pac;
        critic.forward(fake, packs, random, &mut self.seen);
        let wasserstein = self.params.loss == Loss::Wasserstein;
        let (mut loss, slopes) = persuade(&self.seen.answers, packs, wasserstein);
        critic.back(fake, packs, &slopes, &self.seen, None, Some(&mut self.dx));
        deactivate(layout, fake, &self.dx, stride, &mut self.dlogits);
        loss += meet(layout, conditions, &self.pass.logits, &mut self.dlogits);
        self.generator
            .back(&self.pass, &self.dlogits, rows, &mut self.gradient);
        self.generator.step(&mut self.gradient, &mut self.adam);
        loss
    }
}

/// Puts between each two packs a point of the line that joins them, at the share that is drawn.
fn between(
    out: &mut [f32],
    (real, fake): (&[f32], &[f32]),
    pack: usize,
    mut share: impl FnMut() -> f32,
) {
    let both = real.chunks_exact(pack).zip(fake.chunks_exact(pack));
    for (between, (real, fake)) in out.chunks_exact_mut(pack).zip(both) {
        let share = share();
        for ((b, r), f) in between.iter_mut().zip(real).zip(fake) {
            *b = share * r + (1.0 - share) * f;
        }
    }
}

/// Trains a generator.
pub(super) fn train(
    params: &Params,
    layout: &Layout,
    table: &Encoded,
    watch: &mut Watch<'_>,
) -> Result<Generator, TrainError> {
    let mut random = Random::new(params.seed ^ 0x6a09_e667);
    let sampler = Sampler::new(layout, table);
    let rows = params.batch;
    let packs = rows / params.pac;
    // A row as the critic sees it, with its condition.
    let stride = layout.width + layout.conditions;
    let mut maker = Maker::new(params, layout, &mut random);
    let mut critic = Critic::new(params, stride * params.pac, &mut random);
    let mut critic_adam = Adam::new(params.learning_rate, BETAS, 0.0);
    let (mut critic_gradient, mut seen) = (critic.zero(), Seen::default());
    let wasserstein = params.loss == Loss::Wasserstein;
    // Generated rows, real rows and points between them.
    let mut x = vec![0.0f32; rows * stride * if wasserstein { 3 } else { 2 }];
    let steps = (table.rows / rows).max(1);
    for epoch in 1..=params.epochs {
        let (mut critic_loss, mut generator_loss) = (0.0, 0.0);
        for _ in 0..steps {
            let conditions: Vec<_> = (0..rows).map(|_| sampler.condition(&mut random)).collect();
            let (fake, others) = x.split_at_mut(rows * stride);
            maker.make(&conditions, &mut random, fake);
            others.fill(0.0);
            let mut order: Vec<usize> = (0..rows).collect();
            random.shuffle(&mut order);
            for (own, real) in order.iter().zip(others.chunks_exact_mut(stride)) {
                // The same conditions in another order: the critic must not learn by their place.
                let condition = conditions[*own];
                layout.write(table, sampler.row(condition, &mut random), real);
                mark(layout, condition, &mut real[layout.width..]);
            }
            if wasserstein {
                let (real, points) = others.split_at_mut(rows * stride);
                let share = || random.uniform() as f32;
                between(points, (real, fake), stride * params.pac, share);
            }
            critic.forward(&x, x.len() / (stride * params.pac), &mut random, &mut seen);
            let (loss, slopes) = judge(&seen.answers[..2 * packs], packs, wasserstein);
            critic.back(
                &x,
                2 * packs,
                &slopes,
                &seen,
                Some(&mut critic_gradient),
                None,
            );
            let mut loss = loss;
            if wasserstein {
                loss += critic.penalise(2 * packs, packs, &seen, &mut critic_gradient);
            }
            critic.step(&mut critic_gradient, &mut critic_adam);
            critic_loss += f64::from(loss);

            let conditions: Vec<_> = (0..rows).map(|_| sampler.condition(&mut random)).collect();
            let fake = &mut x[..rows * stride];
            let loss = maker.learn(&conditions, &critic, &mut random, fake);
            generator_loss += f64::from(loss);
            watch.pause(epoch, generator_loss / steps as f64)?;
            if watch.out_of_time() {
                break;
            }
        }
        let (critic_loss, generator_loss) =
            (critic_loss / steps as f64, generator_loss / steps as f64);
        if !watch.epoch(
            epoch,
            generator_loss,
            Some(critic_loss),
            params.learning_rate,
            steps * rows,
        )? {
            break;
        }
    }
    let mut generator = maker.generator;
    settle(&mut generator, layout, table, &sampler, &mut random);
    Ok(generator)
}

/// The moments by which the generator normalises from now on: those of many rows as they usually are; then how often each
/// alternative comes.
fn settle(
    generator: &mut Generator,
    layout: &Layout,
    table: &Encoded,
    sampler: &Sampler,
    random: &mut Random,
) {
    const ROWS: usize = 8192;
    let conditions: Vec<_> = (0..ROWS).map(|_| sampler.usual(random)).collect();
    let mut input = Vec::new();
    noise(
        layout,
        generator.noise,
        &conditions,
        random.next_u64(),
        &mut input,
    );
    let mut pass = Pass::default();
    generator.forward(&input, ROWS, Mode::Settle, &mut pass);
    let corrections = corrections(layout, table, &pass.logits);
    generator
        .last
        .bias
        .iter_mut()
        .zip(corrections)
        .for_each(|(b, c)| *b += c);
}

/// The critic's loss for answers to generated packs, then real ones, and its gradient.
fn judge(answers: &[f32], packs: usize, wasserstein: bool) -> (f32, Vec<f32>) {
    let (fake, real) = answers.split_at(packs);
    let n = packs as f32;
    if wasserstein {
        let mean = |of: &[f32]| of.iter().sum::<f32>() / n;
        let slopes = (0..2 * packs).map(|at| if at < packs { 1.0 / n } else { -1.0 / n });
        return (mean(fake) - mean(real), slopes.collect());
    }
    // Binary cross-entropy (Goodfellow et al. 2014).
    let loss = fake
        .iter()
        .map(|y| softplus(*y))
        .chain(real.iter().map(|y| softplus(-y)))
        .sum::<f32>();
    let slopes = fake
        .iter()
        .map(|y| sigmoid(*y) / n)
        .chain(real.iter().map(|y| (sigmoid(*y) - 1.0) / n));
    (loss / n, slopes.collect())
}

/// The generator's loss for the critic's answers, and its gradient.
fn persuade(answers: &[f32], packs: usize, wasserstein: bool) -> (f32, Vec<f32>) {
    let n = packs as f32;
    if wasserstein {
        return (-answers.iter().sum::<f32>() / n, vec![-1.0 / n; packs]);
    }
    // -log D(G(z)), which does not fade where the critic is sure.
    let loss = answers.iter().map(|y| softplus(-y)).sum::<f32>() / n;
    (
        loss,
        answers.iter().map(|y| (sigmoid(*y) - 1.0) / n).collect(),
    )
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Cross-entropy between each row's condition and what was generated for it; adds to the logits' gradient.
fn meet(layout: &Layout, conditions: &[Option<Condition>], logits: &[f32], out: &mut [f32]) -> f32 {
    let rows = conditions.len() as f32;
    let mut loss = 0.0;
    let both = logits
        .chunks_exact(layout.width)
        .zip(out.chunks_exact_mut(layout.width));
    for (condition, (logits, out)) in conditions.iter().zip(both) {
        let Some(condition) = condition else { continue };
        let range = layout.blocks[condition.block].choice.clone();
        let (logits, out) = (&logits[range.clone()], &mut out[range]);
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logits.iter().map(|l| (l - most).exp()).sum();
        for (at, (l, out)) in logits.iter().zip(out).enumerate() {
            let hit = if at == condition.code { 1.0 } else { 0.0 };
            *out += ((l - most).exp() / total - hit) / rows;
        }
        loss += (total.ln() + most - logits[condition.code]) / rows;
    }
    loss
}

#[cfg(test)]
#[path = "gan_test.rs"]
mod tests;
