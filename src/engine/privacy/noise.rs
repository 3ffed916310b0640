//! Noise that hides a unit: from a cryptographic generator that the operating system seeds, never from the option `seed`.
//!
//! Noise for counts is whole numbers drawn exactly, by comparisons of integers alone (Canonne, Kamath and Steinke 2020, "The discrete
//! Gaussian for differential privacy", algorithms 1 to 3): no rounding of a float can tell what was added to (Mironov 2012, "On
//! significance of the least significant bits for differential privacy"). Noise for gradients is continuous, each number the sum
//! of several, so that the floats that can occur do not tell what lies beneath (Holohan and Braghin 2021, "Secure random sampling in
//! differential privacy").

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Gaussian numbers whose sum makes one: an attacker would have to try about 2^(53 · (n - 1)) floats.
const SUMMED: u32 = 4;
/// The largest scale of whole-number noise: beyond it products of integers could overflow.
const MOST_SCALE: f64 = 1e8;
/// Fractions of a scale that are kept, as a power of two.
const GRAIN: u128 = 1 << 10;

/// Noise could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoiseError {
    #[error("the operating system gives no random numbers: {0}")]
    Unavailable(String),
    #[error("noise of scale {0} is too large")]
    TooLarge(f64),
}

/// A source of noise.
pub struct Noise {
    generator: ChaCha20Rng,
    /// Box and Muller's method gives two numbers at once.
    spare: Option<f64>,
}

impl Noise {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// [`NoiseError::Unavailable`].
    pub fn from_system() -> Result<Noise, NoiseError> {
        let generator = ChaCha20Rng::try_from_os_rng();
        let generator = generator.map_err(|e| NoiseError::Unavailable(e.to_string()))?;
        Ok(Noise {
            generator,
            spare: None,
        })
    }

    /// Noise that can be foretold, for tests.
    #[cfg(test)]
    pub fn from_seed(seed: u64) -> Noise {
        Noise {
            generator: ChaCha20Rng::seed_from_u64(seed),
            spare: None,
        }
    }

    /// True with a probability, rounded down to a multiple of 2^-64.
    pub fn chance(&mut self, probability: f64) -> bool {
        if probability >= 1.0 {
            return true;
        }
        // 2^64 times it; a float beyond the range of u64 would be cut to the range.
        let below = (probability.max(0.0) * 18_446_744_073_709_551_616.0) as u64;
        self.generator.next_u64() < below
    }

    /// From 0 to `n - 1`, all alike; `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.whole_below(n as u128) as usize
    }

    /// From 0 (included) to 1 (excluded), a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Some of `items`, chosen at random: at most `count` stay.
    pub fn choose<T>(&mut self, items: &mut Vec<T>, count: usize) {
        for at in 0..count.min(items.len()) {
            let other = at + self.below(items.len() - at);
            items.swap(at, other);
        }
        items.truncate(count);
    }

    /// Standard normal, continuous.
    pub fn gaussian(&mut self) -> f64 {
        let sum: f64 = (0..SUMMED).map(|_| self.one_gaussian()).sum();
        sum / f64::from(SUMMED).sqrt()
    }

    /// Box and Muller 1958.
    fn one_gaussian(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // Above 0, at most 1.
        let first = ((self.generator.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        let second = (self.generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let radius = (-2.0 * first.ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * second).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// A whole number x with a probability in proportion to exp(-|x| / scale); the scale is rounded up, to 1/1024 at most. A count
    /// of sensitivity s with noise of scale s / epsilon is epsilon-differentially private.
    ///
    /// # Errors
    /// [`NoiseError::TooLarge`] for a scale beyond 10^8 or one that is no number.
    pub fn discrete_laplace(&mut self, scale: f64) -> Result<i64, NoiseError> {
        let numerator = fraction(scale)?;
        Ok(self.laplace(numerator, GRAIN))
    }

    /// A whole number x with a probability in proportion to exp(-x² / 2 sigma²); sigma² is rounded up, to 1/1024 at most. The noise of
    /// a Gaussian mechanism for counts: its Renyi divergences are at most those of the continuous one (theorem 4).
    ///
    /// # Errors
    /// [`NoiseError::TooLarge`] for a sigma beyond 10^8 or one that is no number.
    pub fn discrete_gaussian(&mut self, sigma: f64) -> Result<i64, NoiseError> {
        if sigma == 0.0 {
            return Ok(0);
        }
        if !(sigma > 0.0 && sigma <= MOST_SCALE) {
            return Err(NoiseError::TooLarge(sigma));
        }
        // Larger ones need no fractions, and have no room for them.
        let grain = if sigma < 1e4 { GRAIN } else { 1 };
        let variance = (sigma * sigma * grain as f64).ceil() as u128;
        let scale = sigma.floor() as u128 + 1;
        loop {
            let candidate = self.laplace(scale, 1);
            let apart = u128::from(candidate.unsigned_abs()) * scale * grain;
            let apart = apart.abs_diff(variance);
            // exp(-(|y| - s²/t)² / 2s²), with s² = variance / grain and t = scale.
            if self.decays(apart * apart, 2 * variance * scale * scale * grain) {
                return Ok(candidate);
            }
        }
    }

    /// A discrete Laplace number of the scale `numerator / denominator` (algorithm 2).
    fn laplace(&mut self, numerator: u128, denominator: u128) -> i64 {
        loop {
            let within = self.whole_below(numerator);
            if !self.decays(within, numerator) {
                continue;
            }
            let mut beyond = 0u128;
            while self.decays(1, 1) {
                beyond += 1;
            }
            let size = (within + numerator * beyond) / denominator;
            let negative = self.generator.next_u32() & 1 == 1;
            if negative && size == 0 {
                continue;
            }
            // A size beyond i64 has a probability below exp(-10^10).
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            return if negative { -size } else { size };
        }
    }

    /// True with the probability exp(-numerator / denominator) (algorithm 1).
    pub(super) fn decays(&mut self, numerator: u128, denominator: u128) -> bool {
        let mut whole = numerator / denominator;
        while whole > 0 {
            if !self.decays_less(1, 1) {
                return false;
            }
            whole -= 1;
        }
        self.decays_less(numerator % denominator, denominator)
    }

    /// The same for a fraction of at most 1 (Forsythe and von Neumann).
    fn decays_less(&mut self, numerator: u128, denominator: u128) -> bool {
        let mut k = 1u128;
        loop {
            if self.whole_below(denominator * k) >= numerator {
                return k % 2 == 1;
            }
            k += 1;
        }
    }

    /// From 0 to `n - 1`, all alike, by rejection; `n` must not be 0.
    fn whole_below(&mut self, n: u128) -> u128 {
        if n <= 1 {
            return 0;
        }
        let bits = 128 - (n - 1).leading_zeros();
        loop {
            let drawn = match bits {
                0..=64 => u128::from(self.generator.next_u64() >> (64 - bits)),
                _ => {
                    let high = u128::from(self.generator.next_u64() >> (128 - bits));
                    high << 64 | u128::from(self.generator.next_u64())
                }
            };
            if drawn < n {
                return drawn;
            }
        }
    }
}

/// A scale as a multiple of 1 / [`GRAIN`], rounded up, at least one.
fn fraction(scale: f64) -> Result<u128, NoiseError> {
    match scale > 0.0 && scale <= MOST_SCALE {
        true => Ok((scale * GRAIN as f64).ceil() as u128),
        false => Err(NoiseError::TooLarge(scale)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, variance and the shares of the values -2 to 2.
    fn moments(draws: &[i64]) -> (f64, f64, [f64; 5]) {
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<i64>() as f64 / n;
        let variance = draws
            .iter()
            .map(|x| (*x as f64 - mean).powi(2))
            .sum::<f64>()
            / n;
        let share = |v: i64| draws.iter().filter(|x| **x == v).count() as f64 / n;
        (mean, variance, [-2, -1, 0, 1, 2].map(share))
    }

    #[test]
    fn discrete_laplace_numbers_have_their_distribution() {
        let mut noise = Noise::from_seed(1);
        for scale in [0.5, 1.0, 3.25] {
            let draws: Vec<i64> = (0..60_000)
                .map(|_| noise.discrete_laplace(scale).expect("small"))
                .collect();
            let (mean, variance, shares) = moments(&draws);
            let a = (-1.0 / scale).exp();
            let exact = 2.0 * a / (1.0 - a).powi(2);
            assert!(mean.abs() < 0.05, "{scale}: {mean}");
            assert!(
                (variance / exact - 1.0).abs() < 0.04,
                "{scale}: {variance} {exact}"
            );
            for (share, value) in shares.iter().zip([2, 1, 0, 1, 2]) {
                let exact = (1.0 - a) / (1.0 + a) * a.powi(value);
                assert!(
                    (share - exact).abs() < 0.01,
                    "{scale} {value}: {share} {exact}"
                );
            }
        }
    }

    #[test]
    fn discrete_gaussian_numbers_have_their_distribution() {
        let mut noise = Noise::from_seed(2);
        for sigma in [0.4f64, 1.0, 7.5, 300.0] {
            let draws: Vec<i64> = (0..30_000)
                .map(|_| noise.discrete_gaussian(sigma).expect("small"))
                .collect();
            let (mean, variance, shares) = moments(&draws);
            let weight = |x: f64| (-x * x / (2.0 * sigma * sigma)).exp();
            let reach = (12.0 * sigma).ceil() as i64;
            let total: f64 = (-reach..=reach).map(|x| weight(x as f64)).sum();
            let square = |x: i64| (x as f64).powi(2) * weight(x as f64) / total;
            let exact: f64 = (-reach..=reach).map(square).sum();
            assert!(mean.abs() < 0.03 * sigma.max(1.0), "{sigma}: {mean}");
            assert!(
                (variance / exact - 1.0).abs() < 0.04,
                "{sigma}: {variance} {exact}"
            );
            for (share, value) in shares.iter().zip([2.0, 1.0, 0.0, 1.0, 2.0]) {
                assert!(
                    (share - weight(value) / total).abs() < 0.012,
                    "{sigma} {value}"
                );
            }
        }
        assert_eq!(noise.discrete_gaussian(0.0).ok(), Some(0));
        assert!(noise.discrete_gaussian(1e7).is_ok());
        assert!(noise.discrete_gaussian(f64::NAN).is_err());
        assert!(noise.discrete_laplace(-1.0).is_err() && noise.discrete_laplace(1e9).is_err());
    }

    #[test]
    fn continuous_numbers_are_standard_normal() {
        let mut noise = Noise::from_seed(3);
        let draws: Vec<f64> = (0..100_000).map(|_| noise.gaussian()).collect();
        let n = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / n;
        let moment = |p: i32| draws.iter().map(|x| x.powi(p)).sum::<f64>() / n;
        assert!(mean.abs() < 0.01 && (moment(2) - 1.0).abs() < 0.02);
        assert!((moment(4) - 3.0).abs() < 0.1, "{}", moment(4));
        let beyond = draws.iter().filter(|x| x.abs() > 1.96).count() as f64 / n;
        assert!((beyond - 0.05).abs() < 0.004, "{beyond}");
    }

    #[test]
    fn chances_and_choices_are_fair() {
        let mut noise = Noise::from_seed(4);
        let hits = (0..100_000).filter(|_| noise.chance(0.03)).count();
        assert!((2800..3200).contains(&hits), "{hits}");
        assert!(noise.chance(1.0) && !noise.chance(0.0) && !noise.chance(-1.0));
        let mut counts = [0; 5];
        for _ in 0..10_000 {
            let mut items: Vec<usize> = (0..5).collect();
            noise.choose(&mut items, 2);
            assert_eq!(items.len(), 2);
            items.iter().for_each(|i| counts[*i] += 1);
        }
        assert!(
            counts.iter().all(|c| (3800..4200).contains(c)),
            "{counts:?}"
        );
        let mut few = vec![1];
        noise.choose(&mut few, 3);
        assert_eq!(few, [1]);
    }

    #[test]
    fn two_sources_from_the_system_differ() {
        let draw = || {
            let mut noise = Noise::from_system().expect("there is one");
            (0..4).map(|_| noise.gaussian()).collect::<Vec<f64>>()
        };
        assert_ne!(draw(), draw());
    }
}
