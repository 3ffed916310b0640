//! How much a purchase will be worth: the gamma-gamma model of Fader and Hardie ("The Gamma-Gamma Model of Monetary Value",
//! 2013).
//!
//! A customer's amounts are gamma distributed (p, ν); over customers ν is gamma distributed (q, γ).

use super::minimise::minimise;
use libm::lgamma;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GammaGamma {
    pub p: f64,
    pub q: f64,
    /// In the unit of the amounts.
    pub gamma: f64,
}

impl GammaGamma {
    /// Maximum likelihood from pairs of (repeat purchases, mean amount of a repeat purchase), both above 0; `None` for fewer
    /// than two, or where no maximum is found.
    pub fn fit(customers: &[(f64, f64)]) -> Option<GammaGamma> {
        if customers.len() < 2 {
            return None;
        }
        let unit = customers.iter().map(|c| c.1).sum::<f64>() / customers.len() as f64;
        let negative = |log: &[f64]| {
            let [p, q, gamma] = [log[0], log[1], log[2]].map(f64::exp);
            let sum: f64 = customers
                .iter()
                .map(|(x, m)| log_likelihood(*x, m / unit, p, q, gamma))
                .sum();
            -sum / customers.len() as f64
        };
        let (log, value) = minimise(&[1.0, 1.0, 1.0], negative);
        let [p, q, gamma] = [log[0], log[1], log[2]].map(f64::exp);
        let gamma = gamma * unit;
        [p, q, gamma, value]
            .iter()
            .all(|v| v.is_finite())
            .then_some(GammaGamma { p, q, gamma })
    }

    /// The mean amount to expect of a customer (equation 5 of the paper); with no repeat purchase, of any customer. `None`
    /// where the mean is infinite.
    pub fn expected(&self, x: f64, mean: f64) -> Option<f64> {
        let below = self.p * x + self.q - 1.0;
        (below > 0.0).then(|| self.p * (self.gamma + mean * x) / below)
    }
}

fn log_likelihood(x: f64, m: f64, p: f64, q: f64, gamma: f64) -> f64 {
    lgamma(p * x + q) - lgamma(p * x) - lgamma(q)
        + q * gamma.ln()
        + (p * x - 1.0) * m.ln()
        + p * x * x.ln()
        - (p * x + q) * (gamma + m * x).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Gamma distributed with a whole shape: a sum of exponentials.
    fn gamma(random: &mut Random, shape: u32, rate: f64) -> f64 {
        (0..shape)
            .map(|_| -(1.0 - random.uniform()).ln() / rate)
            .sum()
    }

    #[test]
    fn the_parameters_that_amounts_were_drawn_with_are_found() {
        let mut random = Random::new(8);
        let customers: Vec<(f64, f64)> = (0..4000)
            .map(|i| {
                let x = 1 + i % 5;
                let rate = gamma(&mut random, 4, 15.0);
                let sum: f64 = (0..x).map(|_| gamma(&mut random, 6, rate)).sum();
                (f64::from(x), sum / f64::from(x))
            })
            .collect();
        let model = GammaGamma::fit(&customers).unwrap();
        assert!((5.0..7.2).contains(&model.p), "{model:?}");
        assert!((3.5..4.6).contains(&model.q), "{model:?}");
        // The mean of any customer is p γ / (q − 1) = 6 · 15 / 3.
        assert!((model.expected(0.0, 0.0).unwrap() - 30.0).abs() < 1.5);
        let few = model.expected(1.0, 90.0).unwrap();
        let many = model.expected(50.0, 90.0).unwrap();
        assert!(
            few < many && many < 90.0,
            "few purchases are pulled to the mean"
        );
    }
}
