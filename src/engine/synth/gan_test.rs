use super::critic::PENALTY;
use super::*;
use crate::synth::train::Algorithm;

fn params() -> Params {
    Params {
        algorithm: Algorithm::Gan,
        loss: Loss::Wasserstein,
        epochs: 1,
        batch: 6,
        pac: 1,
        learning_rate: 1e-3,
        dropout: 0.0,
        noise: 3,
        generator: vec![5, 4],
        critic: vec![5, 4],
        seed: 1,
        max_seconds: None,
        privacy: None,
    }
}

fn draws(n: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..n).map(|_| random.normal() as f32).collect()
}

/// Whether a gradient is that of `loss`, tried on some weights by central differences.
fn check(name: &str, gradient: &[f32], mut loss: impl FnMut(usize, f32) -> f32) {
    let scale = gradient
        .iter()
        .fold(0.0f32, |a, g| a.max(g.abs()))
        .max(1e-3);
    for at in (0..gradient.len()).step_by(gradient.len().div_ceil(12).max(1)) {
        // Small, for a step across a kink measures something else.
        const H: f32 = 1e-3;
        let measured = (loss(at, H) - loss(at, -H)) / (2.0 * H);
        let off = (measured - gradient[at]).abs() / scale;
        assert!(
            off < 0.03,
            "{name}[{at}]: {} but measured {measured}",
            gradient[at]
        );
    }
}

#[test]
fn the_critics_gradients_are_those_of_its_answers() {
    let mut critic = Critic::new(&params(), 7, &mut Random::new(2));
    let (x, factors) = (draws(6 * 7, 3), draws(6, 4));
    let answer = |critic: &Critic, x: &[f32]| {
        let mut seen = Seen::default();
        critic.forward(x, 6, &mut Random::new(0), &mut seen);
        let loss = seen
            .answers
            .iter()
            .zip(&factors)
            .map(|(y, f)| y * f)
            .sum::<f32>();
        (loss, seen)
    };
    let (_, seen) = answer(&critic, &x);
    let mut gradient = critic.zero();
    let mut dx = Vec::new();
    critic.back(&x, 6, &factors, &seen, Some(&mut gradient), Some(&mut dx));
    for layer in 0..2 {
        let own = gradient[layer].weights.clone();
        check("weights", &own, |at, h| {
            critic.layers[layer].weights[at] += h;
            let loss = answer(&critic, &x).0;
            critic.layers[layer].weights[at] -= h;
            loss
        });
    }
    let own = gradient[2].weights.clone();
    check("last", &own, |at, h| {
        critic.last.weights[at] += h;
        let loss = answer(&critic, &x).0;
        critic.last.weights[at] -= h;
        loss
    });
    check("inputs", &dx, |at, h| {
        let mut x = x.clone();
        x[at] += h;
        answer(&critic, &x).0
    });
}

#[test]
fn the_penaltys_gradient_is_a_gradient_of_gradients() {
    let mut critic = Critic::new(&params(), 7, &mut Random::new(5));
    let x = draws(6 * 7, 6);
    // The penalty from the inputs' gradient, which the test above has checked.
    let penalty = |critic: &Critic| {
        let mut seen = Seen::default();
        critic.forward(&x, 6, &mut Random::new(0), &mut seen);
        let mut dx = Vec::new();
        critic.back(&x, 6, &[1.0; 6], &seen, None, Some(&mut dx));
        let of = |row: &[f32]| row.iter().map(|g| g * g).sum::<f32>().sqrt();
        dx.chunks_exact(7)
            .map(|row| PENALTY * (of(row) - 1.0).powi(2) / 6.0)
            .sum::<f32>()
    };
    let mut seen = Seen::default();
    critic.forward(&x, 6, &mut Random::new(0), &mut seen);
    let mut gradient = critic.zero();
    let found = critic.penalise(0, 6, &seen, &mut gradient);
    assert!((found - penalty(&critic)).abs() < 1e-4 * found);
    for layer in 0..2 {
        let own = gradient[layer].weights.clone();
        check("weights", &own, |at, h| {
            critic.layers[layer].weights[at] += h;
            let loss = penalty(&critic);
            critic.layers[layer].weights[at] -= h;
            loss
        });
    }
    let own = gradient[2].weights.clone();
    check("last", &own, |at, h| {
        critic.last.weights[at] += h;
        let loss = penalty(&critic);
        critic.last.weights[at] -= h;
        loss
    });
}

#[test]
fn the_generators_gradients_go_through_normalisation_and_side_inputs() {
    let layout = Layout {
        width: 4,
        ..Layout::default()
    };
    let mut generator = Generator::new(&params(), &layout, &mut Random::new(7));
    let (input, factors) = (draws(8 * 3, 8), draws(8 * 4, 9));
    let answer = |generator: &mut Generator| {
        let mut pass = Pass::default();
        generator.forward(&input, 8, Mode::Train, &mut pass);
        let loss = pass
            .logits
            .iter()
            .zip(&factors)
            .map(|(y, f)| y * f)
            .sum::<f32>();
        (loss, pass)
    };
    let (_, pass) = answer(&mut generator);
    let mut gradient = generator.zero();
    generator.back(&pass, &factors, 8, &mut gradient);
    for block in 0..2 {
        let own = gradient.blocks[block].0.weights.clone();
        check("weights", &own, |at, h| {
            generator.blocks[block].0.weights[at] += h;
            let loss = answer(&mut generator).0;
            generator.blocks[block].0.weights[at] -= h;
            loss
        });
        let own = gradient.blocks[block].1.weights.clone();
        check("scale", &own, |at, h| {
            generator.blocks[block].1.scale[at] += h;
            let loss = answer(&mut generator).0;
            generator.blocks[block].1.scale[at] -= h;
            loss
        });
    }
    let own = gradient.last.weights.clone();
    check("last", &own, |at, h| {
        generator.last.weights[at] += h;
        let loss = answer(&mut generator).0;
        generator.last.weights[at] -= h;
        loss
    });
}

#[test]
fn the_gradient_goes_back_through_places_and_drawn_alternatives() {
    use crate::synth::layout::Block;
    let layout = Layout {
        blocks: vec![Block {
            field: 0,
            place: Some(0),
            choice: 1..4,
            condition: None,
        }],
        width: 4,
        conditions: 0,
    };
    let (mut logits, factors) = (draws(5 * 4, 1), draws(5 * 4, 2));
    // Small logits: at a temperature of 0.2 a step must not be a jump.
    logits.iter_mut().for_each(|l| *l *= 0.1);
    let answer = |logits: &[f32]| {
        let mut y = vec![0.0; 5 * 4];
        activate(&layout, logits, 11, &mut y, 4);
        y
    };
    let y = answer(&logits);
    for row in y.chunks_exact(4) {
        assert!((row[1..].iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let mut gradient = Vec::new();
    deactivate(&layout, &y, &factors, 4, &mut gradient);
    check("logits", &gradient, |at, h| {
        let mut logits = logits.clone();
        logits[at] += h * 0.2;
        let sum: f32 = answer(&logits)
            .iter()
            .zip(&factors)
            .map(|(y, f)| y * f)
            .sum();
        sum * 5.0
    });
}
