//! A mixture of normal distributions of one number, fitted by variational Bayes.

use crate::random::Random;
use serde::{Deserialize, Serialize};

/// More modes than this are not looked for.
pub(crate) const MODES: usize = 10;
/// A mode with less weight is left out (as in CTGAN).
const LEAST_WEIGHT: f64 = 0.005;
const ROUNDS: usize = 100;
/// Concentration of the prior over weights: small, so that modes that are not needed die out.
const CONCENTRATION: f64 = 1e-3;
/// A change of the modes below this, in standard deviations of the data, ends the rounds.
const TOLERANCE: f64 = 1e-4;
/// The mixture is fitted to so many values at most.
const SAMPLE: usize = 20_000;

/// One normal distribution of a mixture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mode {
    pub(crate) weight: f64,
    pub(crate) mean: f64,
    /// Standard deviation, above 0.
    pub(crate) deviation: f64,
}

impl Mode {
    /// The logarithm of weight times density, but for a constant.
    fn log_density(&self, x: f64) -> f64 {
        let z = (x - self.mean) / self.deviation;
        self.weight.ln() - self.deviation.ln() - 0.5 * z * z
    }
}

/// Fits at most [`MODES`] modes to values that are finite: variational Bayes with a Dirichlet prior on the weights and a
/// normal-gamma prior on each mode (Bishop 2006, section 10.2). Empty for no values; their weights add up to 1.
pub(crate) fn fit(values: &[f64], random: &mut Random) -> Vec<Mode> {
    let mut sample: Vec<f64> = match values.len() {
        0..=SAMPLE => values.to_vec(),
        n => (0..SAMPLE).map(|_| values[random.below(n)]).collect(),
    };
    sample.sort_unstable_by(f64::total_cmp);
    let Some((centre, scale)) = moments(&sample) else {
        return Vec::new();
    };
    if scale <= 0.0 || !scale.is_finite() {
        let deviation = f64::max(centre.abs() * 1e-9, 1e-9);
        return vec![Mode {
            weight: 1.0,
            mean: centre,
            deviation,
        }];
    }
    sample.iter_mut().for_each(|x| *x = (*x - centre) / scale);
    let modes = variational(&sample);
    let modes = merged(modes);
    let kept: Vec<Mode> = modes
        .into_iter()
        .filter(|m| m.weight > LEAST_WEIGHT)
        .collect();
    let total: f64 = kept.iter().map(|m| m.weight).sum();
    let back = |m: Mode| Mode {
        weight: m.weight / total,
        mean: m.mean * scale + centre,
        deviation: m.deviation * scale,
    };
    kept.into_iter().map(back).collect()
}

fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    (!values.is_empty()).then(|| (mean, variance.sqrt()))
}

/// Of standardised values, sorted.
fn variational(values: &[f64]) -> Vec<Mode> {
    let (count, n) = (MODES.min(values.len()), values.len() as f64);
    // Starts at quantiles: the same values give the same modes.
    let quantile = |k: usize| values[((k as f64 + 0.5) / count as f64 * n) as usize];
    let mut modes: Vec<Mode> = (0..count)
        .map(|k| Mode {
            weight: 1.0 / count as f64,
            mean: quantile(k),
            deviation: f64::max(1.0 / count as f64, 1e-3),
        })
        .collect();
    // Mean 0 with the weight of one value; a variance of 1 with the weight of one.
    let (prior_strength, prior_shape, prior_rate) = (1.0, 1.0, 1.0 / (count * count) as f64);
    let mut shares = vec![0.0; count];
    for _ in 0..ROUNDS {
        let mut sums = vec![(0.0, 0.0, 0.0); count];
        for x in values {
            responsibilities(&modes, *x, &mut shares);
            for (sum, share) in sums.iter_mut().zip(&shares) {
                sum.0 += share;
                sum.1 += share * x;
                sum.2 += share * x * x;
            }
        }
        let mut change: f64 = 0.0;
        let total = n + CONCENTRATION * count as f64;
        for (mode, (own, first, second)) in modes.iter_mut().zip(sums) {
            let strength = prior_strength + own;
            let mean = first / strength;
            let shape = prior_shape + own / 2.0;
            let spread = f64::max(second - 2.0 * mean * first + own * mean * mean, 0.0);
            let rate = prior_rate + 0.5 * (spread + prior_strength * mean * mean);
            let deviation = f64::max((rate / shape).sqrt(), 1e-6);
            // E[ln weight] instead of the weight: what makes small modes smaller still.
            let weight = (digamma(CONCENTRATION + own) - digamma(total)).exp();
            change = change.max((mode.mean - mean).abs() + (mode.deviation - deviation).abs());
            *mode = Mode {
                weight: weight.max(1e-300),
                mean,
                deviation,
            };
        }
        if change < TOLERANCE {
            break;
        }
    }
    modes
}

/// Modes that stand for the same values become one, of their mean and variance: each alternative that means nothing is noise
/// to the network.
fn merged(mut modes: Vec<Mode>) -> Vec<Mode> {
    modes.retain(|m| m.weight > LEAST_WEIGHT);
    modes.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let alike = |a: &Mode, b: &Mode| {
        let (small, large) = (a.deviation.min(b.deviation), a.deviation.max(b.deviation));
        (a.mean - b.mean).abs() < 0.5 * small && large < 2.0 * small
    };
    let mut at = 0;
    while at + 1 < modes.len() {
        let (a, b) = (modes[at], modes[at + 1]);
        if !alike(&a, &b) {
            at += 1;
            continue;
        }
        let weight = a.weight + b.weight;
        let mean = (a.weight * a.mean + b.weight * b.mean) / weight;
        let square = |m: &Mode| m.weight * (m.deviation.powi(2) + (m.mean - mean).powi(2));
        let deviation = ((square(&a) + square(&b)) / weight).sqrt();
        modes[at] = Mode {
            weight,
            mean,
            deviation,
        };
        modes.remove(at + 1);
        at = at.saturating_sub(1);
    }
    modes
}

/// The logarithmic derivative of the gamma function, above 0: recurrence, then the asymptotic series (Abramowitz and
/// Stegun 6.3.18).
fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 6.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    sum + x.ln() - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0))
}

/// How likely each mode is for a value; they add up to 1.
pub(crate) fn responsibilities(modes: &[Mode], x: f64, out: &mut [f64]) {
    let mut most = f64::NEG_INFINITY;
    for (out, mode) in out.iter_mut().zip(modes) {
        *out = mode.log_density(x);
        most = most.max(*out);
    }
    let mut total = 0.0;
    for out in out.iter_mut() {
        *out = (*out - most).exp();
        total += *out;
    }
    out.iter_mut().for_each(|out| *out /= total);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modes_of_a_mixture_are_found_and_no_more() {
        let mut random = Random::new(1);
        let values: Vec<f64> = (0..6000)
            .map(|i| match i % 3 {
                0 => 100.0 + random.normal(),
                1 => 120.0 + 2.0 * random.normal(),
                _ => 160.0 + 5.0 * random.normal(),
            })
            .collect();
        let mut modes = fit(&values, &mut random);
        modes.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        let heavy: Vec<&Mode> = modes.iter().filter(|m| m.weight > 0.05).collect();
        assert!((3..=6).contains(&heavy.len()), "{modes:?}");
        let near = |x: f64| heavy.iter().any(|m| (m.mean - x).abs() < 2.5);
        assert!(near(100.0) && near(120.0) && near(160.0), "{modes:?}");
        assert!((modes.iter().map(|m| m.weight).sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_value_and_no_value_are_no_trouble() {
        let mut random = Random::new(1);
        assert!(fit(&[], &mut random).is_empty());
        let modes = fit(&[5.0; 40], &mut random);
        assert_eq!((modes.len(), modes[0].mean), (1, 5.0));
        assert!(modes[0].deviation > 0.0);
        assert_eq!(fit(&[1e300, -1e300], &mut random).len().min(1), 1);
    }

    #[test]
    fn digamma_is_that_of_the_tables() {
        for (x, y) in [
            (1.0, -0.577_215_664_9),
            (0.5, -1.963_510_026),
            (10.0, 2.251_752_589),
        ] {
            assert!((digamma(x) - y).abs() < 1e-7, "{x}");
        }
    }
}
