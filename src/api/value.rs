//! What customers are worth, from a log of their purchases.

use crate::error::{Error, Result, or_raise, required};
use crate::messages::{notice, warning};
use crate::relation::value::{Forecast, Log};
use insight_engine::value::{Models, rfm};
use pgrx::datum::Date;
use pgrx::prelude::*;

fn log<'a>(
    orders: Option<&'a str>,
    key: Option<&'a str>,
    time: Option<&'a str>,
    amount: Option<&'a str>,
    as_of: Option<Date>,
) -> Result<Log<'a>> {
    Ok(Log {
        relation: required(orders, "orders")?,
        key: required(key, "key")?,
        time: required(time, "time")?,
        amount,
        as_of: as_of.map(|d| d.to_pg_epoch_days()),
    })
}

/// Recency, frequency and monetary value of each customer: figures, grades from 1 to 5 (best) and a segment.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_rfm(
    orders: Option<&str>,
    key: Option<&str>,
    time: Option<&str>,
    amount: default!(Option<&str>, "NULL"),
    as_of: default!(Option<Date>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(key, String),
        name!(recency_days, i32),
        name!(frequency, i32),
        name!(monetary, f64),
        name!(average, f64),
        name!(tenure_days, i32),
        name!(r, i32),
        name!(f, i32),
        name!(m, i32),
        name!(segment, String),
    ),
> {
    let log = log(orders, key, time, amount, as_of);
    let (customers, as_of) = or_raise(log.and_then(|log| log.customers()));
    let grades = rfm::grade(&customers);
    TableIterator::new(customers.into_iter().zip(grades).map(move |(c, grades)| {
        let purchases = f64::from(c.purchases);
        (
            c.key,
            (as_of - c.last) as i32,
            c.purchases as i32,
            c.spent,
            c.spent / purchases,
            (as_of - c.first) as i32,
            i32::from(grades.recency),
            i32::from(grades.frequency),
            i32::from(grades.monetary),
            grades.segment.to_owned(),
        )
    }))
}

/// What to expect of each customer over a horizon, by the BG/NBD and gamma-gamma models.
#[pg_extern]
#[allow(clippy::type_complexity, clippy::too_many_arguments)]
fn insight_clv(
    orders: Option<&str>,
    key: Option<&str>,
    time: Option<&str>,
    amount: default!(Option<&str>, "NULL"),
    as_of: default!(Option<Date>, "NULL"),
    horizon_days: default!(f64, 365),
    discount_rate: default!(f64, 0),
) -> TableIterator<
    'static,
    (
        name!(key, String),
        name!(repeat_purchases, i32),
        name!(recency_days, i32),
        name!(age_days, i32),
        name!(alive, f64),
        name!(expected_purchases, f64),
        name!(expected_amount, Option<f64>),
        name!(expected_value, Option<f64>),
    ),
> {
    or_raise(check_range("horizon_days", horizon_days, 1.0, 36_525.0));
    or_raise(check_range("discount_rate", discount_rate, 0.0, 10.0));
    let log = log(orders, key, time, amount, as_of);
    let (customers, as_of) = or_raise(log.and_then(|log| log.customers()));
    let forecast = Forecast {
        as_of,
        with_amounts: amount.is_some(),
        horizon_days,
        discount_rate,
    };
    let (models, outlooks, customers) = or_raise(forecast.of(customers));
    tell(&models);
    TableIterator::new(customers.into_iter().zip(outlooks).map(move |(c, o)| {
        let (repeats, recency, age) = (c.repeats(), c.recency(), c.age(as_of));
        (
            c.key,
            repeats as i32,
            recency as i32,
            age as i32,
            o.alive,
            o.purchases,
            o.amount,
            o.value,
        )
    }))
}

fn check_range(name: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::new(
        "22023",
        format!("{name} must be from {low} to {high}"),
    ))
}

/// Tells the parameters, and where they should not be believed.
fn tell(models: &Models) {
    let p = models.purchases;
    notice(format!(
        "BG/NBD: r {:.4}, alpha {:.4} days, a {:.4}, b {:.4}",
        p.r, p.alpha, p.a, p.b
    ));
    // Published fits lie far within: beyond, the likelihood has no maximum, and what it says of a customer is arbitrary.
    if [p.r, p.a, p.b].iter().any(|x| !(1e-3..=1e3).contains(x)) {
        warning(
            "the BG/NBD model does not fit these purchases: alive says little, and forecasts are rough",
        );
    }
    if let Some(g) = models.amounts {
        notice(format!(
            "gamma-gamma: p {:.4}, q {:.4}, gamma {:.4}",
            g.p, g.q, g.gamma
        ));
    }
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_rfm(text, text, text, text, date) IS
'recency, frequency and monetary value of each customer of a log of purchases: figures, grades from 1 to 5 (best) and a segment';
COMMENT ON FUNCTION insight_clv(text, text, text, text, date, double precision, double precision) IS
'purchases and value to expect of each customer over a horizon, by the BG/NBD and gamma-gamma models';
"#,
    name = "comment_value",
    requires = [insight_rfm, insight_clv]
);
