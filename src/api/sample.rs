//! Sample data: tables with a known structure to try things on.

use crate::error::{Error, or_raise};
use insight_engine::sample;
use pgrx::datum::{Date, TimestampWithTimeZone};
use pgrx::prelude::*;

fn count(rows: i64, what: &str) -> i64 {
    // Order and event numbers are a thousand times the customer's.
    if (0..=1_000_000_000_000).contains(&rows) {
        return rows;
    }
    or_raise(Err(Error::new(
        "22023",
        format!("{what} must be from 0 to 1,000,000,000,000"),
    )))
}

/// An amount of cents as numeric.
fn money(cents: i64) -> AnyNumeric {
    let text = format!("{}.{:02}", cents / 100, cents % 100);
    AnyNumeric::try_from(text.as_str()).unwrap_or_else(|_| AnyNumeric::from(cents / 100))
}

fn date(days: i32) -> Option<Date> {
    Some(Date::saturating_from_raw(days))
}

fn timestamp(microseconds: i64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(microseconds).ok()
}

/// Sample customers: who churns and why is documented in the README.
#[pg_extern(immutable, parallel_safe, strict)]
#[allow(clippy::type_complexity)]
fn insight_sample_customers(
    rows: default!(i64, 1000),
    seed: default!(i64, 42),
) -> TableIterator<
    'static,
    (
        name!(customer_id, i64),
        name!(signup_date, Option<Date>),
        name!(age, i32),
        name!(gender, String),
        name!(city, String),
        name!(plan, String),
        name!(contract, String),
        name!(monthly_fee, AnyNumeric),
        name!(tenure_months, i32),
        name!(support_tickets, i32),
        name!(last_login_days, i32),
        name!(payment_method, Option<String>),
        name!(income, Option<f64>),
        name!(satisfaction, Option<i16>),
        name!(notes, String),
        name!(favourite_colour, String),
        name!(loyalty_code, String),
        name!(cancellation_fee, AnyNumeric),
        name!(churn, bool),
    ),
> {
    TableIterator::new(
        sample::customers(count(rows, "rows"), seed as u64).map(|c| {
            (
                c.customer_id,
                date(c.signup_date),
                c.age,
                c.gender.to_owned(),
                c.city.to_owned(),
                c.plan.to_owned(),
                c.contract.to_owned(),
                money(c.monthly_fee),
                c.tenure_months,
                c.support_tickets,
                c.last_login_days,
                c.payment_method.map(str::to_owned),
                c.income,
                c.satisfaction,
                c.notes,
                c.favourite_colour.to_owned(),
                c.loyalty_code,
                money(c.cancellation_fee),
                c.churn,
            )
        }),
    )
}

/// Orders of the sample customers of the same seed.
#[pg_extern(immutable, parallel_safe, strict)]
#[allow(clippy::type_complexity)]
fn insight_sample_orders(
    customers: default!(i64, 1000),
    seed: default!(i64, 42),
) -> TableIterator<
    'static,
    (
        name!(order_id, i64),
        name!(customer_id, i64),
        name!(ordered_at, Option<TimestampWithTimeZone>),
        name!(category, String),
        name!(quantity, i32),
        name!(amount, AnyNumeric),
        name!(returned, bool),
    ),
> {
    TableIterator::new(
        sample::orders(count(customers, "customers"), seed as u64).map(|o| {
            let ordered_at = timestamp(o.ordered_at);
            (
                o.order_id,
                o.customer_id,
                ordered_at,
                o.category.to_owned(),
                o.quantity,
                money(o.amount),
                o.returned,
            )
        }),
    )
}

/// Events of the sample customers of the same seed.
#[pg_extern(immutable, parallel_safe, strict)]
#[allow(clippy::type_complexity)]
fn insight_sample_events(
    customers: default!(i64, 1000),
    seed: default!(i64, 42),
) -> TableIterator<
    'static,
    (
        name!(event_id, i64),
        name!(customer_id, i64),
        name!(at, Option<TimestampWithTimeZone>),
        name!(action, String),
        name!(page, String),
        name!(duration_seconds, f64),
    ),
> {
    TableIterator::new(
        sample::events(count(customers, "customers"), seed as u64).map(|e| {
            let at = timestamp(e.at);
            (
                e.event_id,
                e.customer_id,
                at,
                e.action.to_owned(),
                e.page.to_owned(),
                e.duration_seconds,
            )
        }),
    )
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_sample_customers(bigint, bigint) IS 'sample customers with a known rule of who churns';
COMMENT ON FUNCTION insight_sample_orders(bigint, bigint) IS 'orders of the sample customers of the same seed';
COMMENT ON FUNCTION insight_sample_events(bigint, bigint) IS 'events of the sample customers of the same seed';
"#,
    name = "comment_sample",
    requires = [
        insight_sample_customers,
        insight_sample_orders,
        insight_sample_events
    ]
);
