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
    /// `None` where nobody bought twice.
    pub fn fit(customers: &[Customer], as_of: i64, with_amounts: bool) -> Option<Models> {
        let step = customers.len().div_ceil(FITTED).max(1);
        let customers: Vec<&Customer> = customers.iter().step_by(step).collect();
        let behaviours: Vec<Behaviour> = customers.iter().map(|c| behaviour(c, as_of)).collect();
        let amounts: Vec<(f64, f64)> = customers
            .iter()
            .filter_map(|c| Some((c.repeats(), c.repeat_amount()?)))
            .filter(|(_, amount)| *amount > 0.0)
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
        let c = behaviour(customer, as_of);
        let purchases = self.purchases.expected(&c, horizon);
        let amount = self.amounts.and_then(|model| {
            let mean = customer.repeat_amount().filter(|m| *m > 0.0);
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
                let until = self.purchases.expected(&c, day);
                value += amount * (until - before) / (1.0 + discount_rate).powf(day / 365.25);
                before = until;
            }
            value
        });
        Outlook {
            alive: self.purchases.alive(&c),
            purchases,
            amount,
            value,
        }
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
