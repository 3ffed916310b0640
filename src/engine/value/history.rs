//! A log of purchases as one line per customer.

use crate::frame::{Cell, Column};
use hashbrown::HashMap;

const DAY: i64 = 86_400_000_000;

/// One customer's purchases until the day they are looked at. Purchases of the same day count as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    pub key: String,
    /// Days since 2000-01-01 of the first and the last purchase.
    pub first: i64,
    pub last: i64,
    /// Days with a purchase.
    pub purchases: u32,
    /// Sum of all amounts.
    pub spent: f64,
    /// Sum of the amounts of the first day.
    pub spent_first: f64,
}

impl Customer {
    /// Days with a purchase after the first: x of the models.
    pub fn repeats(&self) -> f64 {
        f64::from(self.purchases - 1)
    }

    /// Days from the first to the last purchase: t_x.
    pub fn recency(&self) -> f64 {
        (self.last - self.first) as f64
    }

    /// Days from the first purchase to the day `as_of`: T.
    pub fn age(&self, as_of: i64) -> f64 {
        (as_of - self.first) as f64
    }

    /// Mean amount of a repeat purchase's day; `None` without one.
    pub fn repeat_amount(&self) -> Option<f64> {
        (self.purchases > 1).then(|| (self.spent - self.spent_first) / self.repeats())
    }
}

/// Sums up the purchases until the day `as_of` (included), or until the last one there is. Rows without a key or a time do
/// not count; a missing amount is 0. Customers come in order of their keys; the day is answered too.
pub fn customers(
    keys: &Column,
    times: &Column,
    amounts: Option<&Column>,
    as_of: Option<i64>,
) -> (Vec<Customer>, i64) {
    let day = |row: usize| match times.cell(row) {
        Cell::Time(at) => Some(at.div_euclid(DAY)),
        _ => None,
    };
    let last = (0..times.len()).filter_map(day).max().unwrap_or(0);
    let as_of = as_of.unwrap_or(last);
    let mut purchases: HashMap<&str, Vec<(i64, f64)>> = HashMap::new();
    for row in 0..keys.len() {
        if let (Cell::Text(key), Some(day)) = (keys.cell(row), day(row))
            && day <= as_of
        {
            let amount = match amounts.map(|a| a.cell(row)) {
                Some(Cell::Number(amount)) => amount,
                _ => 0.0,
            };
            purchases.entry(key).or_default().push((day, amount));
        }
    }
    let mut customers: Vec<Customer> = purchases
        .into_iter()
        .map(|(key, mut bought)| {
            bought.sort_unstable_by_key(|(day, _)| *day);
            let (first, last) = (bought[0].0, bought[bought.len() - 1].0);
            let days = bought.chunk_by(|a, b| a.0 == b.0).count();
            let on_first = bought.iter().take_while(|(day, _)| *day == first);
            Customer {
                key: key.to_owned(),
                first,
                last,
                purchases: days as u32,
                spent: bought.iter().map(|(_, amount)| amount).sum(),
                spent_first: on_first.map(|(_, amount)| amount).sum(),
            }
        })
        .collect();
    customers.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    (customers, as_of)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::frame::Kind;

    pub fn log(rows: &[(&str, i64, f64)]) -> [Column; 3] {
        let mut key = Column::new("customer", "text", Kind::Category);
        let mut time = Column::new("at", "date", Kind::Time);
        let mut amount = Column::new("amount", "numeric", Kind::Number);
        for (k, day, a) in rows {
            key.push(Cell::Text(k));
            time.push(Cell::Time(day * DAY + 3_600_000_000));
            amount.push(Cell::Number(*a));
        }
        [key, time, amount]
    }

    #[test]
    fn purchases_of_a_day_count_as_one_and_the_future_does_not_count() {
        let [key, time, amount] = log(&[
            ("b", 10, 5.0),
            ("a", 3, 1.0),
            ("a", 3, 2.0),
            ("a", 8, 10.0),
            ("a", 30, 99.0),
        ]);
        let (customers, as_of) = customers(&key, &time, Some(&amount), Some(20));
        assert_eq!((customers.len(), as_of), (2, 20));
        let a = &customers[0];
        assert_eq!(
            (a.purchases, a.repeats(), a.recency(), a.age(as_of)),
            (2, 1.0, 5.0, 17.0)
        );
        assert_eq!((a.spent, a.repeat_amount()), (13.0, Some(10.0)));
        assert_eq!(customers[1].repeat_amount(), None);
    }
}
