//! Sample customers, orders and events with a known structure, so that a test can ask whether the truth was found.
//!
//! **Who churns and why.** With `sigmoid(z) = 1 / (1 + exp(-z))`, a customer churns with probability `sigmoid(z)`, where
//!
//! ```text
//! z = -2.15
//!   + 1.2  if the contract is monthly,  - 1.0 if it is for two years
//!   - 0.035 · tenure_months
//!   + 0.5  · support_tickets
//!   + 0.02 · last_login_days
//!   + 0.9  if satisfaction is 1 or 2,   - 0.5 if it is 4 or 5   (the true satisfaction, also where it is not recorded)
//!   + 1.5  if the plan is basic and monthly_fee is above 60     (an interaction: neither matters alone)
//!   + 0.8  if the notes complain
//! ```
//!
//! About 27 in 100 churn. Nobody can predict the coin that is tossed at the end: the best possible ROC AUC is about 0.85.
//!
//! * Missing: income (more often of the young), satisfaction (one in four), payment_method (one in 25).
//! * Leaking: cancellation_fee is charged when somebody leaves. A model that uses it cheats.
//! * Useless: favourite_colour, gender; identifiers: customer_id, loyalty_code.
//! * Text: notes.
//!
//! Every row depends on the seed and its own number alone, so any number of rows can be made in any order.

use crate::random::Random;

/// Days from 2000-01-01 to the day the data was taken, 2026-01-01.
const TODAY: i32 = 9497;
const DAY: i64 = 86_400_000_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// From 1.
    pub customer_id: i64,
    /// Days since 2000-01-01.
    pub signup_date: i32,
    pub age: i32,
    pub gender: &'static str,
    pub city: &'static str,
    pub plan: &'static str,
    pub contract: &'static str,
    /// In cents.
    pub monthly_fee: i64,
    pub tenure_months: i32,
    pub support_tickets: i32,
    pub last_login_days: i32,
    pub payment_method: Option<&'static str>,
    pub income: Option<f64>,
    pub satisfaction: Option<i16>,
    pub notes: String,
    pub favourite_colour: &'static str,
    pub loyalty_code: String,
    /// In cents; known only once the customer has left.
    pub cancellation_fee: i64,
    pub churn: bool,
    /// The true log-odds of churn; not shown in SQL.
    pub log_odds: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub order_id: i64,
    pub customer_id: i64,
    /// Microseconds since 2000-01-01 00:00 UTC.
    pub ordered_at: i64,
    pub category: &'static str,
    pub quantity: i32,
    /// In cents.
    pub amount: i64,
    pub returned: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub event_id: i64,
    pub customer_id: i64,
    /// Microseconds since 2000-01-01 00:00 UTC.
    pub at: i64,
    pub action: &'static str,
    pub page: &'static str,
    pub duration_seconds: f64,
}

const CITIES: [&str; 24] = [
    "London",
    "Paris",
    "Berlin",
    "Madrid",
    "Rome",
    "Vienna",
    "Warsaw",
    "Prague",
    "Lisbon",
    "Dublin",
    "Athens",
    "Oslo",
    "Stockholm",
    "Helsinki",
    "Copenhagen",
    "Brussels",
    "Amsterdam",
    "Zurich",
    "Budapest",
    "Bucharest",
    "Sofia",
    "Zagreb",
    "Tallinn",
    "Riga",
];
const COLOURS: [&str; 6] = ["red", "green", "blue", "yellow", "black", "white"];
const PAYMENTS: [&str; 4] = ["card", "direct debit", "invoice", "paypal"];
const CALM: [&str; 5] = [
    "asked about opening hours",
    "updated the delivery address",
    "no contact this quarter",
    "thanked the team for quick help",
    "asked for a copy of the invoice",
];
const ANGRY: [&str; 4] = [
    "complained about the price and slow support",
    "complained twice about a wrong bill",
    "unhappy with the service, asked how to leave",
    "says a competitor is cheaper",
];
const CATEGORIES: [&str; 6] = [
    "grocery",
    "electronics",
    "clothing",
    "books",
    "home",
    "sports",
];
const ACTIONS: [&str; 5] = ["view", "search", "add_to_cart", "purchase", "support"];
/// The page of each action.
const PAGES: [&str; 5] = ["product", "search", "product", "cart", "help"];

/// The generator of one row: the seed and the row's number, mixed.
fn row_random(seed: u64, kind: u64, row: u64) -> Random {
    Random::new(
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ kind.rotate_left(48)
            ^ row.wrapping_mul(0xd1b5_4a32_d192_ed03),
    )
}

fn pick<T: Copy>(random: &mut Random, items: &[T]) -> T {
    items[random.below(items.len())]
}

/// The first items are more frequent.
fn pick_skewed<T: Copy>(random: &mut Random, items: &[T]) -> T {
    let u = random.uniform();
    items[((u * u) * items.len() as f64) as usize % items.len()]
}

/// Customer number `id`, from 1.
pub fn customer(id: i64, seed: u64) -> Customer {
    let r = &mut row_random(seed, 1, id as u64);
    let age = (18.0 + 62.0 * (r.uniform() + r.uniform()) / 2.0) as i32;
    let tenure_months = (72.0 * r.uniform().powf(1.3)) as i32;
    let plan = pick_skewed(r, &["basic", "plus", "premium"]);
    let contract = pick_skewed(r, &["monthly", "one year", "two years"]);
    let base = match plan {
        "basic" => 2500.0,
        "plus" => 4000.0,
        _ => 6000.0,
    };
    let monthly_fee = (base + 6000.0 * r.uniform()) as i64;
    let support_tickets = (5.0 * r.uniform() * r.uniform() * r.uniform() * 1.6) as i32;
    let last_login_days = (60.0 * r.uniform().powi(2)) as i32;
    let mood = 3.4 - 0.5 * f64::from(support_tickets) + r.normal();
    let satisfaction = mood.round().clamp(1.0, 5.0) as i16;
    let complains = r.uniform() < if satisfaction <= 2 { 0.45 } else { 0.08 };
    let notes = if complains {
        pick(r, &ANGRY)
    } else {
        pick(r, &CALM)
    };
    let notes = format!("{notes} on {} March", 1 + r.below(28));
    let log_odds = -2.15
        + match contract {
            "monthly" => 1.2,
            "two years" => -1.0,
            _ => 0.0,
        }
        - 0.035 * f64::from(tenure_months)
        + 0.5 * f64::from(support_tickets)
        + 0.02 * f64::from(last_login_days)
        + match satisfaction {
            1 | 2 => 0.9,
            4 | 5 => -0.5,
            _ => 0.0,
        }
        + if plan == "basic" && monthly_fee > 6000 {
            1.5
        } else {
            0.0
        }
        + if complains { 0.8 } else { 0.0 };
    let churn = r.uniform() < 1.0 / (1.0 + (-log_odds).exp());
    let charged = r.uniform() < if churn { 0.97 } else { 0.004 };
    let fee = 1000 + r.below(9000) as i64;
    let income = (10.2 + 0.012 * f64::from(age) + 0.4 * r.normal())
        .exp()
        .round();
    let income_known = r.uniform() > if age < 30 { 0.25 } else { 0.06 };
    let satisfaction_known = r.uniform() > 0.25;
    Customer {
        customer_id: id,
        signup_date: TODAY - tenure_months * 30 - r.below(30) as i32,
        age,
        gender: pick(r, &["female", "male", "other"]),
        city: pick_skewed(r, &CITIES),
        plan,
        contract,
        monthly_fee,
        tenure_months,
        support_tickets,
        last_login_days,
        payment_method: (r.uniform() > 0.04).then(|| pick_skewed(r, &PAYMENTS)),
        income: income_known.then_some(income),
        satisfaction: satisfaction_known.then_some(satisfaction),
        notes,
        favourite_colour: pick(r, &COLOURS),
        loyalty_code: format!("LC-{:010x}", r.next_u64() >> 24),
        cancellation_fee: if charged { fee } else { 0 },
        churn,
        log_odds,
    }
}

/// Customers 1 to `rows`.
pub fn customers(rows: i64, seed: u64) -> impl Iterator<Item = Customer> {
    (1..=rows).map(move |id| customer(id, seed))
}

/// Times of `count` things a customer did, ascending: those who leave stop weeks before the end.
fn times(random: &mut Random, customer: &Customer, count: usize) -> Vec<i64> {
    let quiet = if customer.churn {
        30 + random.below(60) as i32
    } else {
        customer.last_login_days
    };
    let first = i64::from(customer.signup_date) * DAY;
    let last = (i64::from(TODAY - quiet) * DAY).max(first + DAY);
    let mut times: Vec<i64> = (0..count)
        .map(|_| first + ((last - first) as f64 * random.uniform()) as i64)
        .collect();
    times.sort_unstable();
    times
}

/// Orders of the customers 1 to `customers` of the same seed, by customer and time.
pub fn orders(customers: i64, seed: u64) -> impl Iterator<Item = Order> {
    (1..=customers).flat_map(move |id| {
        let customer = customer(id, seed);
        let r = &mut row_random(seed, 2, id as u64);
        let often = if customer.plan == "premium" {
            14.0
        } else {
            8.0
        };
        let count =
            (often * r.uniform() * (0.3 + f64::from(customer.tenure_months) / 40.0)) as usize;
        let times = times(r, &customer, count);
        let made: Vec<Order> = times
            .into_iter()
            .zip(0..)
            .map(|(ordered_at, i)| Order {
                order_id: id * 1000 + i,
                customer_id: id,
                ordered_at,
                category: pick_skewed(r, &CATEGORIES),
                quantity: 1 + r.below(4) as i32,
                amount: (300.0 * (1.2 * r.normal()).exp()) as i64 + 199,
                returned: r.uniform() < if customer.churn { 0.15 } else { 0.05 },
            })
            .collect();
        made
    })
}

/// Events of the customers 1 to `customers` of the same seed, by customer and time.
pub fn events(customers: i64, seed: u64) -> impl Iterator<Item = Event> {
    (1..=customers).flat_map(move |id| {
        let customer = customer(id, seed);
        let r = &mut row_random(seed, 3, id as u64);
        let count = 3 + r.below(30);
        let times = times(r, &customer, count);
        let made: Vec<Event> = times
            .into_iter()
            .zip(0..)
            .map(|(at, i)| {
                let step = if r.uniform() < 0.02 * f64::from(1 + customer.support_tickets) {
                    4
                } else {
                    r.below(4)
                };
                Event {
                    event_id: id * 1000 + i,
                    customer_id: id,
                    at,
                    action: ACTIONS[step],
                    page: PAGES[step],
                    duration_seconds: (20.0 * (0.8 * r.normal()).exp() * 10.0).round() / 10.0,
                }
            })
            .collect();
        made
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of pairs (churner, stayer) that the score puts in the right order.
    fn auc(scored: &mut [(f64, bool)]) -> f64 {
        scored.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut below, mut wins, mut churners) = (0.0, 0.0, 0.0);
        for (_, churn) in scored.iter() {
            if *churn {
                wins += below;
                churners += 1.0;
            } else {
                below += 1.0;
            }
        }
        wins / (below * churners)
    }

    #[test]
    fn the_documented_structure_is_there() {
        let made: Vec<Customer> = customers(20_000, 42).collect();
        let share = |f: &dyn Fn(&Customer) -> bool| {
            made.iter().filter(|c| f(c)).count() as f64 / made.len() as f64
        };
        assert!(
            (0.22..0.32).contains(&share(&|c| c.churn)),
            "{}",
            share(&|c| c.churn)
        );
        let best = auc(&mut made
            .iter()
            .map(|c| (c.log_odds, c.churn))
            .collect::<Vec<_>>());
        assert!((0.82..0.88).contains(&best), "{best}");
        let leak = auc(&mut made
            .iter()
            .map(|c| (c.cancellation_fee as f64, c.churn))
            .collect::<Vec<_>>());
        assert!(leak > 0.95, "{leak}");
        assert!((0.05..0.2).contains(&share(&|c| c.income.is_none())));
        assert!((0.2..0.3).contains(&share(&|c| c.satisfaction.is_none())));
        assert!((0.02..0.06).contains(&share(&|c| c.payment_method.is_none())));
    }

    #[test]
    fn a_row_depends_on_seed_and_number_alone() {
        assert_eq!(customers(50, 7).last(), Some(customer(50, 7)));
        assert_ne!(customer(50, 7), customer(50, 8));
        assert_eq!(orders(20, 7).count(), orders(20, 7).count());
    }

    #[test]
    fn those_who_left_stopped_ordering_and_clicking() {
        // The mean time of the events, of customers who have been there for a year.
        let mean = |churn: bool| {
            let of: std::collections::HashSet<i64> = customers(2000, 1)
                .filter(|c| c.churn == churn && c.tenure_months >= 12)
                .map(|c| c.customer_id)
                .collect();
            let last: std::collections::HashMap<i64, i64> = events(2000, 1)
                .filter(|e| of.contains(&e.customer_id))
                .map(|e| (e.customer_id, e.at))
                .collect();
            last.values().map(|&at| at / DAY).sum::<i64>() / last.len() as i64
        };
        assert!(
            mean(true) + 20 < mean(false),
            "{} {}",
            mean(true),
            mean(false)
        );
        assert!(orders(500, 1).all(|o| o.amount > 0 && o.quantity > 0));
    }
}
