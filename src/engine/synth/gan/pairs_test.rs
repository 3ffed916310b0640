//! Gradients of pairs, beside those that are written out one by one.

use super::*;
use crate::random::Random;
use crate::synth::gan::between;
use crate::synth::train::Params;
use serde_json::json;

const INPUTS: usize = 7;
const PAIRS: usize = 9;

fn critic() -> Critic {
    let options = json!({"critic_layers": [6, 5], "dropout": 0, "pac": 1});
    let params = Params::from_json(options.as_object().expect("an object"), 100);
    Critic::new(&params.expect("sound"), INPUTS, &mut Random::new(3))
}

/// Generated rows, real ones and points between.
fn rows() -> Vec<f32> {
    let mut random = Random::new(5);
    let mut x: Vec<f32> = (0..3 * PAIRS * INPUTS)
        .map(|_| 2.0 * random.normal() as f32)
        .collect();
    let (fake, others) = x.split_at_mut(PAIRS * INPUTS);
    let (real, points) = others.split_at_mut(PAIRS * INPUTS);
    between(points, (real, fake), INPUTS, || random.uniform() as f32);
    x
}

fn flat(gradient: &[Gradient]) -> Vec<f64> {
    let all = gradient
        .iter()
        .flat_map(|g| g.weights.iter().chain(&g.bias));
    all.map(|v| f64::from(*v)).collect()
}

/// The gradient of one pair, written out.
fn of_pair(critic: &Critic, x: &[f32], pair: usize, wasserstein: bool) -> Vec<f64> {
    let row = |part: usize| &x[(part * PAIRS + pair) * INPUTS..(part * PAIRS + pair + 1) * INPUTS];
    let own = [row(0), row(1), row(2)].concat();
    let (mut seen, mut out) = (Seen::default(), critic.zero());
    critic.forward(&own, 3, &mut Random::new(0), &mut seen);
    let (_, slopes) = judge(&seen.answers[..2], 1, wasserstein);
    critic.back(&own, 2, &slopes, &seen, Some(&mut out), None);
    if wasserstein {
        critic.penalise(2, 1, &seen, &mut out);
    }
    flat(&out)
}

fn norm(gradient: &[f64]) -> f64 {
    dot(gradient, gradient).sqrt()
}

#[test]
fn the_sum_is_that_of_gradients_shortened_one_by_one() {
    let (critic, x) = (critic(), rows());
    for wasserstein in [true, false] {
        let each: Vec<Vec<f64>> = (0..PAIRS)
            .map(|pair| of_pair(&critic, &x, pair, wasserstein))
            .collect();
        let mut norms: Vec<f64> = each.iter().map(|own| norm(own)).collect();
        norms.sort_by(f64::total_cmp);
        // Some are shortened and some are not.
        let clip = norms[PAIRS / 2];
        assert!(
            norms[0] < 0.9 * clip && norms[PAIRS - 1] > 1.1 * clip,
            "{norms:?}"
        );
        let mut sum = vec![0.0; each[0].len()];
        for own in &each {
            let factor = (clip / norm(own)).min(1.0);
            sum.iter_mut().zip(own).for_each(|(s, v)| *s += factor * v);
        }
        let used = if wasserstein {
            x.len()
        } else {
            2 * PAIRS * INPUTS
        };
        let (mut seen, mut out) = (Seen::default(), critic.zero());
        critic.forward(&x[..used], used / INPUTS, &mut Random::new(0), &mut seen);
        critic.add_clipped(&x[..used], PAIRS, wasserstein, clip, &seen, &mut out);
        let most = sum.iter().fold(0.0f64, |a, v| a.max(v.abs()));
        for (own, by_hand) in flat(&out).iter().zip(&sum) {
            assert!((own - by_hand).abs() < 1e-4 * most, "{own} {by_hand}");
        }
    }
}

#[test]
fn no_pair_changes_the_sum_by_more_than_the_clip() {
    let (critic, x) = (critic(), rows());
    let clip = 0.3;
    let sum = |x: &[f32], pairs: usize| {
        let (mut seen, mut out) = (Seen::default(), critic.zero());
        critic.forward(x, 3 * pairs, &mut Random::new(0), &mut seen);
        critic.add_clipped(x, pairs, true, clip, &seen, &mut out);
        flat(&out)
    };
    let all = sum(&x, PAIRS);
    let parts = x.chunks_exact(PAIRS * INPUTS);
    let without: Vec<f32> = parts.flat_map(|part| &part[INPUTS..]).copied().collect();
    let less = sum(&without, PAIRS - 1);
    let change: Vec<f64> = all.iter().zip(&less).map(|(a, b)| a - b).collect();
    assert!(
        norm(&change) <= clip && norm(&change) > 0.9 * clip,
        "{}",
        norm(&change)
    );
}

#[test]
fn a_pair_beyond_all_numbers_teaches_nothing_and_stops_no_other() {
    let (critic, mut x) = (critic(), rows());
    x[PAIRS * INPUTS] = f32::MAX;
    let (mut seen, mut out) = (Seen::default(), critic.zero());
    critic.forward(&x, 3 * PAIRS, &mut Random::new(0), &mut seen);
    critic.add_clipped(&x, PAIRS, true, 1.0, &seen, &mut out);
    let own = flat(&out);
    assert!(own.iter().all(|v| v.is_finite()), "{own:?}");
    assert!(norm(&own) > 0.1 && norm(&own) < PAIRS as f64);
}
