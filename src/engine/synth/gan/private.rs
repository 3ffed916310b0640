//! The game under differential privacy: the critic learns from samples of units, by gradients that are shortened and have noise; the
//! generator learns from the critic alone, which tells nothing more.

use super::critic::{Critic, Seen};
use super::{BETAS, Generator, Maker, between, mark, settle};
use crate::privacy::noise::Noise;
use crate::privacy::{Plan, Privacy};
use crate::random::Random;
use crate::synth::layers::Adam;
use crate::synth::layout::{Condition, Layout, Sampler};
use crate::synth::schema::Encoded;
use crate::synth::train::{Loss, Params, Watch};
use crate::train::{Cover, TrainError};

/// Steps of the critic to one of the generator: noise hides less where the critic has time to learn (Bie et al. 2023, "Private GANs,
/// revisited").
const CRITIC_STEPS: u32 = 5;
/// Steps of the generator over which its weights are averaged, about.
const AVERAGED: f32 = 100.0;

/// Who plays, and what about.
pub(in crate::synth) struct Game<'a> {
    pub(in crate::synth) params: &'a Params,
    pub(in crate::synth) layout: &'a Layout,
    /// Rows that are told: how often alternatives come. No row of the table is among them.
    pub(in crate::synth) told: &'a Encoded,
    pub(in crate::synth) real: &'a Encoded,
    /// The rows of each unit, at most `privacy.rows_per_unit`.
    pub(in crate::synth) units: &'a [Vec<u32>],
    pub(in crate::synth) privacy: &'a Privacy,
    pub(in crate::synth) plan: &'a Plan,
}

/// Trains a generator; answers how many steps the critic made, too.
pub(in crate::synth) fn train(
    game: &Game<'_>,
    noise: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<(Generator, u32), TrainError> {
    let Game {
        params,
        layout,
        plan,
        ..
    } = *game;
    // It decides nothing that rows enter: first weights, and what is generated.
    let mut random = Random::new(params.seed ^ 0x6a09_e667);
    let sampler = Sampler::new(layout, game.told);
    let stride = layout.width + layout.conditions;
    let mut maker = Maker::new(params, layout, &mut random);
    let mut critic = Critic::new(params, stride, &mut random);
    let mut adam = Adam::new(params.learning_rate, BETAS, 0.0);
    let (mut gradient, mut seen) = (critic.zero(), Seen::default());
    let cover = Cover::of(game.privacy, plan, plan.rate * game.units.len() as f64);
    // Of the generator's weights, of late: the noise of the critic's steps makes them sway.
    let (mut average, mut turns) = (maker.generator.clone(), 0.0f32);
    let rows = params.batch;
    let mut made = vec![0.0f32; rows * stride];
    let (mut step, mut epoch, mut losses) = (0, 1, (0.0, 0u32));
    while step < plan.steps {
        let conditions = usual(&sampler, rows, &mut random);
        maker.make(&conditions, &mut random, &mut made);
        let drawn = game.units.iter().filter(|_| noise.chance(plan.rate));
        let sample: Vec<u32> = drawn.flatten().copied().collect();
        if !sample.is_empty() {
            let wasserstein = params.loss == Loss::Wasserstein;
            let x = pairs(game, &sampler, &sample, &made, noise);
            // Nothing is dropped out: no masks are drawn.
            critic.forward(&x, x.len() / stride, &mut random, &mut seen);
            critic.add_clipped(
                &x,
                sample.len(),
                wasserstein,
                cover.clip,
                &seen,
                &mut gradient,
            );
        }
        for own in &mut gradient {
            let sums = own.weights.iter_mut().chain(&mut own.bias);
            sums.for_each(|sum| *sum = cover.covered(*sum, noise));
        }
        critic.step(&mut gradient, &mut adam);
        step += 1;
        if step % CRITIC_STEPS == 0 {
            let conditions = usual(&sampler, rows, &mut random);
            let loss = maker.learn(&conditions, &critic, &mut random, &mut made);
            losses = (losses.0 + f64::from(loss), losses.1 + 1);
            turns += 1.0;
            average.approach(&maker.generator, 1.0 / f32::min(turns, AVERAGED));
        }
        let mean = losses.0 / f64::from(losses.1.max(1));
        watch.pause(epoch, mean)?;
        let ended = f64::from(step) * plan.rate >= f64::from(epoch) || step == plan.steps;
        if ended {
            // What the critic lost on rows is not told.
            let rows = (f64::from(step) * cover.expected) as usize;
            let goes_on = watch.epoch(epoch, mean, None, params.learning_rate, rows)?;
            (epoch, losses) = (epoch + 1, (0.0, 0));
            if !goes_on {
                break;
            }
        } else if watch.out_of_time() {
            break;
        }
    }
    let mut generator = average;
    settle(&mut generator, layout, game.told, &sampler, &mut random);
    Ok((generator, step))
}

fn usual(sampler: &Sampler, rows: usize, random: &mut Random) -> Vec<Option<Condition>> {
    (0..rows).map(|_| sampler.usual(random)).collect()
}

/// The sample's rows, each beside a generated one and with a condition that it meets: `[generated, real, between][rows][width + conditions]`.
/// What is drawn for one row must not depend on which others there are: it comes from the noise, not from the seed, and the generated rows
/// are as many as always.
fn pairs(
    game: &Game<'_>,
    sampler: &Sampler,
    sample: &[u32],
    made: &[f32],
    noise: &mut Noise,
) -> Vec<f32> {
    let (layout, stride) = (game.layout, game.layout.width + game.layout.conditions);
    let wasserstein = game.params.loss == Loss::Wasserstein;
    let size = sample.len() * stride;
    let mut x = vec![0.0f32; size * if wasserstein { 3 } else { 2 }];
    let (fake, others) = x.split_at_mut(size);
    let (real, points) = others.split_at_mut(size);
    let both = fake
        .chunks_exact_mut(stride)
        .zip(real.chunks_exact_mut(stride));
    for (row, (fake, real)) in sample.iter().zip(both) {
        let at = noise.below(made.len() / stride) * stride;
        fake.copy_from_slice(&made[at..at + stride]);
        layout.write(game.real, *row as usize, real);
        let condition = sampler.of_row(layout, game.real, *row as usize, |n| noise.below(n));
        mark(layout, condition, &mut real[layout.width..]);
    }
    if wasserstein {
        between(points, (real, fake), stride, || noise.uniform() as f32);
    }
    x
}
