//! What customers are worth, from their purchases alone: grades, and models of buying and spending.

mod bg_nbd;
mod gamma_gamma;
pub mod history;
mod minimise;
pub mod rfm;

pub use bg_nbd::{Behaviour, BgNbd};
pub use gamma_gamma::GammaGamma;
use history::Customer;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Customers the models are fitted to, evenly spread: more tell no more about four numbers.
const FITTED: usize = 25_000;
const MONTH: f64 = 365.25 / 12.0;

/// The models of a log of purchases.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Models {
    pub purchases: BgNbd,
    /// `None` without amounts.
    pub amounts: Option<GammaGamma>,
}

/// What to expect of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// The probability of still being a customer.
    pub alive: f64,
    /// Days with a purchase over the horizon.
    pub purchases: f64,
    /// Amount of such a day.
    pub amount: Option<f64>,
    /// Sum of the amounts over the horizon, discounted.
    pub value: Option<f64>,
}

impl Models {
    /// Models of nothing, to be learned.
    pub(crate) const NONE: Models = Models {
        purchases: BgNbd {
            r: 1.0,
            alpha: 1.0,
            a: 1.0,
            b: 1.0,
            log_likelihood: 0.0,
        },
        amounts: None,
    };

    /// `None` where nobody bought twice.
    pub fn fit(customers: &[Customer], as_of: i64, with_amounts: bool) -> Option<Models> {
        let known: Vec<(Behaviour, Option<f64>)> = customers
            .iter()
            .map(|c| (behaviour(c, as_of), c.repeat_amount()))
            .collect();
        Models::learn(&known, with_amounts)
    }

    /// From behaviours in days and mean amounts of a repeat purchase; `None` where nobody bought twice.
    pub fn learn(customers: &[(Behaviour, Option<f64>)], with_amounts: bool) -> Option<Models> {
        let step = customers.len().div_ceil(FITTED).max(1);
        let customers = || customers.iter().step_by(step);
        let behaviours: Vec<Behaviour> = customers().map(|(c, _)| *c).collect();
        let amounts: Vec<(f64, f64)> = customers()
            .filter_map(|(c, amount)| Some((c.x, (*amount)?)))
            .filter(|(x, amount)| *x > 0.0 && *amount > 0.0)
            .collect();
        Some(Models {
            purchases: BgNbd::fit(&behaviours)?,
            amounts: if with_amounts {
                GammaGamma::fit(&amounts)
            } else {
                None
            },
        })
    }

    /// Over the next `horizon` days; the value of later months is discounted at `discount_rate` a year.
    pub fn outlook(
        &self,
        customer: &Customer,
        as_of: i64,
        horizon: f64,
        discount_rate: f64,
    ) -> Outlook {
        let amount = customer.repeat_amount();
        self.expect(&behaviour(customer, as_of), amount, horizon, discount_rate)
    }

    /// As [`Models::outlook`], of a behaviour in days and the mean amount of a repeat purchase.
    pub fn expect(
        &self,
        c: &Behaviour,
        repeat_amount: Option<f64>,
        horizon: f64,
        discount_rate: f64,
    ) -> Outlook {
        let purchases = self.purchases.expected(c, horizon);
        let amount = self.amounts.and_then(|model| {
            let mean = repeat_amount.filter(|m| *m > 0.0);
            let x = mean.map_or(0.0, |_| c.x);
            model.expected(x, mean.unwrap_or(0.0))
        });
        let value = amount.map(|amount| {
            if discount_rate == 0.0 {
                return amount * purchases;
            }
            let (mut value, mut before, mut day) = (0.0, 0.0, 0.0);
            while day < horizon {
                day = (day + MONTH).min(horizon);
                let until = self.purchases.expected(c, day);
                value += amount * (until - before) / (1.0 + discount_rate).powf(day / 365.25);
                before = until;
            }
            value
        });
        Outlook {
            alive: self.purchases.alive(c),
            purchases,
            amount,
            value,
        }
    }

    /// Whether all parameters are finite and above 0.
    pub fn is_sound(&self) -> bool {
        let p = self.purchases;
        let amounts = self.amounts.map_or([1.0; 3], |g| [g.p, g.q, g.gamma]);
        let above = |x: &f64| x.is_finite() && *x > 0.0;
        [p.r, p.alpha, p.a, p.b].iter().chain(&amounts).all(above)
    }
}

fn behaviour(customer: &Customer, as_of: i64) -> Behaviour {
    Behaviour {
        x: customer.repeats(),
        t_x: customer.recency(),
        t: customer.age(as_of),
    }
}

/// Models of the purchases and the outlook of each customer, in order; `None` where nobody bought twice.
pub fn outlooks(
    customers: &[Customer],
    as_of: i64,
    with_amounts: bool,
    horizon: f64,
    discount_rate: f64,
) -> Option<(Models, Vec<Outlook>)> {
    let models = Models::fit(customers, as_of, with_amounts)?;
    let outlook = |c: &Customer| models.outlook(c, as_of, horizon, discount_rate);
    Some((models, customers.par_iter().map(outlook).collect()))
}
