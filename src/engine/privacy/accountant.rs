//! What noise costs: a Renyi accountant for Gaussian mechanisms, on samples or on all.
//!
//! A mechanism's Renyi divergences of several orders add up under composition; the least epsilon over the orders is what a model
//! states. Sources: Mironov 2017, "Renyi differential privacy"; Mironov, Talwar and Zhang 2019, "Renyi differential privacy of the
//! sampled Gaussian mechanism"; from divergences to epsilon: Canonne, Kamath and Steinke 2020, "The discrete Gaussian for
//! differential privacy", proposition 12 (and Balle et al. 2020, theorem 21). Neighbours differ by one unit that is added or removed.

/// Noise multipliers are looked for between these.
const LEAST_NOISE: f64 = 0.05;
const MOST_NOISE: f64 = 1e6;
/// What is left of a multiplier to be found, relative to it.
const CLOSE: f64 = 1e-6;
/// Terms of a series whose logarithm is below this are left out, as dp_accounting and Opacus do.
const SMALL: f64 = -30.0;

/// The Renyi divergences of what has been told so far, by order.
#[derive(Debug, Clone)]
pub struct Accountant {
    orders: Vec<f64>,
    divergences: Vec<f64>,
}

impl Default for Accountant {
    fn default() -> Accountant {
        Accountant::new()
    }
}

impl Accountant {
    /// With the orders of dp_accounting, which are those of Opacus and some more.
    pub fn new() -> Accountant {
        let mut orders: Vec<f64> = (1..100).map(|i| 1.0 + f64::from(i) / 10.0).collect();
        orders.extend((11..64).map(f64::from));
        orders.extend([128.0, 256.0, 512.0, 1024.0]);
        Accountant {
            divergences: vec![0.0; orders.len()],
            orders,
        }
    }

    /// Adds `steps` Gaussian mechanisms of sensitivity 1 and this standard deviation, each on a Poisson sample to which every
    /// unit belongs with the probability `rate`; 1 is everybody.
    #[must_use]
    pub fn gaussian(mut self, noise_multiplier: f64, rate: f64, steps: f64) -> Accountant {
        for (order, sum) in self.orders.iter().zip(&mut self.divergences) {
            *sum += steps * divergence(*order, noise_multiplier, rate);
        }
        self
    }

    /// The least epsilon with which all that was added is (epsilon, delta)-differentially private; infinite where none is known.
    pub fn epsilon(&self, delta: f64) -> f64 {
        let each = self.orders.iter().zip(&self.divergences);
        let least = each
            .map(|(order, rdp)| {
                let (a, d) = (*order, *rdp);
                // Far below 0 the bound is worth nothing; below is what total variation gives (dp_accounting has the same).
                if delta * delta + (-d).exp_m1() > 0.0 {
                    return 0.0;
                }
                if a <= 1.01 || d.is_nan() {
                    return f64::INFINITY;
                }
                d + (-1.0 / a).ln_1p() - (delta * a).ln() / (a - 1.0)
            })
            .fold(f64::INFINITY, f64::min);
        least.max(0.0)
    }

    /// The least noise multiplier of `steps` sampled Gaussian mechanisms which, together with what was added, keep to
    /// (epsilon, delta); `None` where no noise does.
    pub fn noise_multiplier(&self, epsilon: f64, delta: f64, rate: f64, steps: f64) -> Option<f64> {
        let keeps =
            |noise: f64| self.clone().gaussian(noise, rate, steps).epsilon(delta) <= epsilon;
        let (mut low, mut high) = (LEAST_NOISE, LEAST_NOISE);
        while !keeps(high) {
            low = high;
            high *= 2.0;
            if high > MOST_NOISE {
                return None;
            }
        }
        while high - low > CLOSE * high {
            let middle = f64::midpoint(low, high);
            if keeps(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }
}

/// The epsilon of `steps` sampled Gaussian mechanisms.
pub fn epsilon(noise_multiplier: f64, rate: f64, steps: f64, delta: f64) -> f64 {
    Accountant::new()
        .gaussian(noise_multiplier, rate, steps)
        .epsilon(delta)
}

/// The Renyi divergence of one sampled Gaussian mechanism.
fn divergence(order: f64, noise: f64, rate: f64) -> f64 {
    if rate <= 0.0 {
        return 0.0;
    }
    if noise <= 0.0 {
        return f64::INFINITY;
    }
    if rate >= 1.0 {
        return order / (2.0 * noise * noise);
    }
    let log_moment = if order.fract() == 0.0 {
        whole_moment(order, noise, rate)
    } else {
        fractional_moment(order, noise, rate)
    };
    log_moment / (order - 1.0)
}

/// ln A of an order that is a whole number (Mironov, Talwar and Zhang 2019, section 3.3).
fn whole_moment(order: f64, noise: f64, rate: f64) -> f64 {
    let (log_rate, log_rest) = (rate.ln(), (-rate).ln_1p());
    let all = libm::lgamma(order + 1.0);
    let mut sum = f64::NEG_INFINITY;
    for k in 0..=order as u32 {
        let k = f64::from(k);
        let choose = all - libm::lgamma(k + 1.0) - libm::lgamma(order - k + 1.0);
        let term = choose + k * log_rate + (order - k) * log_rest;
        sum = log_add(sum, term + (k * k - k) / (2.0 * noise * noise));
    }
    sum
}

/// ln A of an order that is not: two series, one for each side of where the densities cross (there, too).
fn fractional_moment(order: f64, noise: f64, rate: f64) -> f64 {
    let (log_rate, log_rest) = (rate.ln(), (-rate).ln_1p());
    let (square, root) = (2.0 * noise * noise, std::f64::consts::SQRT_2 * noise);
    let cross = noise * noise * (1.0 / rate - 1.0).ln() + 0.5;
    let (mut left, mut right) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    // The binomial coefficient of a real number, by its logarithm and its sign.
    let (mut log_choose, mut positive) = (0.0f64, true);
    for i in 0..100_000 {
        let i = f64::from(i);
        let j = order - i;
        let below = -std::f64::consts::LN_2 + log_erfc((i - cross) / root);
        let above = -std::f64::consts::LN_2 + log_erfc((cross - j) / root);
        let low = log_choose + i * log_rate + j * log_rest + (i * i - i) / square + below;
        let high = log_choose + j * log_rate + i * log_rest + (j * j - j) / square + above;
        if positive {
            left = log_add(left, low);
            right = log_add(right, high);
        } else {
            left = log_sub(left, low);
            right = log_sub(right, high);
        }
        if low.max(high) < SMALL {
            break;
        }
        let factor = (order - i) / (i + 1.0);
        log_choose += factor.abs().ln();
        positive ^= factor < 0.0;
    }
    log_add(left, right)
}

/// ln(e^a + e^b).
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY {
        return high;
    }
    high + (low - high).exp().ln_1p()
}

/// ln(e^a - e^b); rounding can make the difference less than 0, which counts as 0.
fn log_sub(a: f64, b: f64) -> f64 {
    if b == f64::NEG_INFINITY {
        a
    } else if a <= b {
        f64::NEG_INFINITY
    } else {
        a + (-(b - a).exp()).ln_1p()
    }
}

/// ln erfc(x); beyond what a float can hold by its asymptotic series (Abramowitz and Stegun, 7.1.23).
fn log_erfc(x: f64) -> f64 {
    if x < 20.0 {
        return libm::erfc(x).ln();
    }
    let s = 1.0 / (x * x);
    let series = 1.0 - s * (0.5 - s * (0.75 - s * 1.875));
    -x * x - (x * std::f64::consts::PI.sqrt()).ln() + series.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise multiplier, sampling rate, steps, delta and the epsilon of Opacus 1.6 and of dp_accounting, see
    /// tests/quality/private.py.
    const KNOWN: [(f64, f64, f64, f64, f64, f64); 7] = [
        (1.0, 0.01, 1000.0, 1e-5, 2.101365, 2.101367),
        (0.6, 0.005, 4000.0, 1e-6, 9.241269, 9.241269),
        (1.5, 0.1, 300.0, 1e-5, 6.871379, 6.873593),
        (4.0, 1.0, 20.0, 1e-5, 5.377728, 5.377728),
        (0.8, 0.02, 50.0, 1e-4, 2.246719, 2.246797),
        (2.5, 0.05, 2000.0, 1e-6, 4.918837, 4.918837),
        (10.0, 0.25, 100.0, 1e-5, 1.031242, 1.031242),
    ];

    #[test]
    fn figures_are_those_of_opacus_and_dp_accounting() {
        for (noise, rate, steps, delta, opacus, google) in KNOWN {
            let own = epsilon(noise, rate, steps, delta);
            for other in [opacus, google] {
                assert!(
                    (own / other - 1.0).abs() < 0.01,
                    "{noise} {rate} {steps}: {own} {other}"
                );
            }
        }
    }

    #[test]
    fn the_noise_that_is_found_keeps_to_the_budget_and_less_does_not() {
        for (wanted, rate, steps) in [(0.5, 0.01, 2000.0), (3.0, 0.05, 400.0), (8.0, 0.2, 50.0)] {
            let noise = Accountant::new()
                .noise_multiplier(wanted, 1e-5, rate, steps)
                .expect("there is one");
            assert!(epsilon(noise, rate, steps, 1e-5) <= wanted);
            assert!(epsilon(noise * 0.999, rate, steps, 1e-5) > wanted);
        }
    }

    #[test]
    fn what_was_told_before_needs_more_noise() {
        let before = Accountant::new().gaussian(5.0, 1.0, 1.0);
        let alone = Accountant::new().noise_multiplier(2.0, 1e-5, 0.02, 500.0);
        let after = before.noise_multiplier(2.0, 1e-5, 0.02, 500.0);
        assert!(after > alone, "{after:?} {alone:?}");
        assert_eq!(before.noise_multiplier(0.3, 1e-5, 0.02, 500.0), None);
    }

    #[test]
    fn more_steps_larger_samples_and_smaller_deltas_cost_more() {
        let base = epsilon(1.0, 0.02, 500.0, 1e-5);
        assert!(epsilon(1.0, 0.02, 600.0, 1e-5) > base);
        assert!(epsilon(1.0, 0.03, 500.0, 1e-5) > base);
        assert!(epsilon(1.0, 0.02, 500.0, 1e-6) > base);
        assert!(epsilon(1.1, 0.02, 500.0, 1e-5) < base);
        assert_eq!(epsilon(1.0, 0.0, 500.0, 1e-5), 0.0);
        assert_eq!(epsilon(0.0, 0.1, 500.0, 1e-5), f64::INFINITY);
    }

    #[test]
    fn logarithms_of_small_numbers_are_right() {
        for x in [-3.0, 0.0, 1.0, 10.0, 19.99, 20.01, 24.0] {
            let exact = libm::erfc(x).ln();
            assert!(
                (log_erfc(x) - exact).abs() < 1e-7 * exact.abs().max(1.0),
                "{x}"
            );
        }
        assert!((log_erfc(100.0) + 10005.177_6).abs() < 1e-3);
        assert!((log_sub(2f64.ln(), 0.0)).abs() < 1e-12);
    }
}
