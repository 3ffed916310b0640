//! How many purchases to expect: the BG/NBD model of Fader, Hardie and Lee, "Counting Your Customers the Easy Way"
//! (Marketing Science 2005).
//!
//! While active, a customer buys at a Poisson rate λ; after each purchase the customer leaves with probability p. Over
//! customers λ is gamma distributed (r, α) and p beta distributed (a, b).

use super::minimise::minimise;
use libm::lgamma;
use serde::{Deserialize, Serialize};

/// What the model needs of a customer, in any one unit of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    /// Repeat purchases.
    pub x: f64,
    /// Time from the first to the last purchase.
    pub t_x: f64,
    /// Time from the first purchase to now.
    pub t: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BgNbd {
    pub r: f64,
    /// In the unit of time of the behaviours.
    pub alpha: f64,
    pub a: f64,
    pub b: f64,
    /// Mean log-likelihood per customer.
    pub log_likelihood: f64,
}

/// Most terms of the hypergeometric series.
const TERMS: usize = 50_000;

impl BgNbd {
    /// Maximum likelihood; `None` where there is no customer with a repeat purchase, or no maximum is found.
    pub fn fit(customers: &[Behaviour]) -> Option<BgNbd> {
        if !customers.iter().any(|c| c.x > 0.0) {
            return None;
        }
        let mut groups: Vec<(Behaviour, f64)> = Vec::new();
        let mut sorted = customers.to_vec();
        sorted.sort_by(|a, b| {
            a.x.total_cmp(&b.x)
                .then(a.t_x.total_cmp(&b.t_x))
                .then(a.t.total_cmp(&b.t))
        });
        for run in sorted.chunk_by(|a, b| a == b) {
            groups.push((run[0], run.len() as f64));
        }
        // Times of about one keep the search away from huge and tiny parameters.
        let unit = customers.iter().map(|c| c.t).fold(1e-9, f64::max) / 10.0;
        let negative = |log: &[f64]| {
            let [r, alpha, a, b] = [log[0], log[1], log[2], log[3]].map(f64::exp);
            let alpha = alpha * unit;
            let sum: f64 = groups
                .iter()
                .map(|(c, n)| n * log_likelihood(c, r, alpha, a, b))
                .sum();
            -sum / customers.len() as f64
        };
        let (log, value) = minimise(&[-1.0, 0.0, -0.5, 0.5], negative);
        let [r, alpha, a, b] = [log[0], log[1], log[2], log[3]].map(f64::exp);
        let model = BgNbd {
            r,
            alpha: alpha * unit,
            a,
            b,
            log_likelihood: -value,
        };
        [r, model.alpha, a, b, value]
            .iter()
            .all(|v| v.is_finite())
            .then_some(model)
    }

    /// The probability that the customer is still active (equation of Fader, Hardie and Lee 2008, "Computing P(alive)
    /// Using the BG/NBD Model").
    pub fn alive(&self, c: &Behaviour) -> f64 {
        // Where the odds are no number, so far out is the model that nobody is left.
        (1.0 / (1.0 + self.odds_gone(c))).max(0.0)
    }

    fn odds_gone(&self, c: &Behaviour) -> f64 {
        if c.x == 0.0 {
            return 0.0;
        }
        let ratio = ((self.alpha + c.t) / (self.alpha + c.t_x)).ln() * (self.r + c.x);
        self.a / (self.b + c.x - 1.0) * ratio.exp()
    }

    /// Purchases to expect in the next `t` (equation 10 of the paper).
    pub fn expected(&self, c: &Behaviour, t: f64) -> f64 {
        // The formula has a removable pole at a = 1.
        let a = if (self.a - 1.0).abs() < 1e-6 {
            1.0 + 1e-6
        } else {
            self.a
        };
        let z = t / (self.alpha + c.t + t);
        let series = hypergeometric(self.r + c.x, self.b + c.x, a + self.b + c.x - 1.0, z);
        let shrink = ((self.alpha + c.t) / (self.alpha + c.t + t)).powf(self.r + c.x);
        let expected = (a + self.b + c.x - 1.0) / (a - 1.0) * (1.0 - shrink * series)
            / (1.0 + self.odds_gone(c));
        expected.max(0.0)
    }
}

fn log_likelihood(c: &Behaviour, r: f64, alpha: f64, a: f64, b: f64) -> f64 {
    let first = lgamma(r + c.x) - lgamma(r) + r * alpha.ln() + lgamma(a + b) + lgamma(b + c.x)
        - lgamma(b)
        - lgamma(a + b + c.x);
    let active = -(r + c.x) * (alpha + c.t).ln();
    if c.x == 0.0 {
        return first + active;
    }
    let gone = a.ln() - (b + c.x - 1.0).max(1e-300).ln() - (r + c.x) * (alpha + c.t_x).ln();
    let larger = active.max(gone);
    first + larger + ((active - larger).exp() + (gone - larger).exp()).ln()
}

/// Gauss's series 2F1(a, b; c; z) for 0 ≤ z < 1.
fn hypergeometric(a: f64, b: f64, c: f64, z: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 0..TERMS {
        let n = n as f64;
        term *= (a + n) * (b + n) / ((c + n) * (n + 1.0)) * z;
        sum += term;
        if term.abs() < 1e-13 * sum.abs() {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_series_agrees_with_closed_forms() {
        // 2F1(1, 1; 2; z) = -ln(1 - z) / z and 2F1(a, b; b; z) = (1 - z)^-a.
        let z: f64 = 0.4;
        assert!((hypergeometric(1.0, 1.0, 2.0, z) + (1.0 - z).ln() / z).abs() < 1e-12);
        assert!((hypergeometric(1.5, 0.7, 0.7, z) - (1.0 - z).powf(-1.5)).abs() < 1e-12);
    }

    /// A customer drawn from the model itself, over `t` units, and what the next `t` bring.
    fn draw(random: &mut Random, rate: f64, leave: f64, t: f64) -> (Behaviour, f64) {
        let (mut now, mut x, mut t_x, mut later, mut active) = (0.0, 0.0, 0.0, 0.0, true);
        while active {
            now -= (1.0 - random.uniform()).ln() / rate;
            if now > 2.0 * t {
                break;
            }
            if now <= t {
                x += 1.0;
                t_x = now;
            } else {
                later += 1.0;
            }
            active = random.uniform() >= leave;
        }
        (Behaviour { x, t_x, t }, later)
    }

    #[test]
    fn the_fit_predicts_the_future_of_customers_drawn_from_it() {
        let mut random = Random::new(4);
        let drawn: Vec<(Behaviour, f64)> = (0..4000)
            .map(|_| {
                // λ exponential with mean 0.1, which is gamma with r = 1; p uniform, which is beta (1, 1).
                let rate = -0.1 * (1.0 - random.uniform()).ln();
                let leave = random.uniform();
                draw(&mut random, rate, leave, 40.0)
            })
            .collect();
        let customers: Vec<Behaviour> = drawn.iter().map(|d| d.0).collect();
        let model = BgNbd::fit(&customers).unwrap();
        assert!((0.8..1.25).contains(&model.r), "{model:?}");
        assert!((7.0..13.0).contains(&model.alpha), "{model:?}");
        let predicted: f64 = customers.iter().map(|c| model.expected(c, 40.0)).sum();
        let happened: f64 = drawn.iter().map(|d| d.1).sum();
        assert!(
            (predicted / happened - 1.0).abs() < 0.1,
            "{predicted} {happened}"
        );
        assert!(
            customers
                .iter()
                .all(|c| (0.0..=1.0).contains(&model.alive(c)))
        );
    }

    #[test]
    fn without_a_repeat_purchase_there_is_no_model() {
        let once = Behaviour {
            x: 0.0,
            t_x: 0.0,
            t: 10.0,
        };
        assert_eq!(BgNbd::fit(&[once; 20]), None);
        assert_eq!(BgNbd::fit(&[]), None);
    }
}
