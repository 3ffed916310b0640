//! A log of purchases, read as customers.

use super::decode::Decoder;
use super::read;
use super::resolve::{self, Source};
use crate::error::{Error, Result};
use crate::job::trainer;
use crate::settings;
use insight_engine::frame::Kind;
use insight_engine::value::history::{Customer, customers};
use insight_engine::value::{Models, Outlook, outlooks};

/// Which columns of a log say who bought when, and for how much.
pub struct Log<'a> {
    pub relation: &'a str,
    pub key: &'a str,
    pub time: &'a str,
    pub amount: Option<&'a str>,
    /// The last day that counts, in days since 2000-01-01; `None`: the last purchase's.
    pub as_of: Option<i32>,
}

impl Log<'_> {
    /// The customers in order of their keys, and the day they are looked at.
    pub fn customers(&self) -> Result<(Vec<Customer>, i64)> {
        let mut source = resolve::resolve(self.relation)?;
        source.require(self.key)?;
        expect(&source, self.time, &[Kind::Time], "a date or timestamp")?;
        if let Some(amount) = self.amount {
            expect(&source, amount, &[Kind::Number], "a number")?;
        }
        let mut named = vec![self.time];
        named.extend(self.amount);
        let key = source.add_text(self.key, &named);
        let mut names = vec![key, self.time];
        names.extend(self.amount);
        let frame = read::read(&source, &names, settings::max_memory(), &mut |_| {
            pgrx::check_for_interrupts!();
        })?;
        let (Some(keys), Some(times)) = (frame.columns.first(), frame.columns.get(1)) else {
            return Err(Error::new("XX000", "no column was read"));
        };
        let found = customers(keys, times, frame.columns.get(2), self.as_of.map(i64::from));
        if found.0.is_empty() {
            return Err(Error::new(
                "22023",
                format!("{} has no purchase until that day", source.label()),
            )
            .hint(
                "Rows without a key or a time do not count; as_of must not lie before all of them.",
            ));
        }
        Ok(found)
    }
}

/// How far to look ahead.
pub struct Forecast {
    pub as_of: i64,
    pub with_amounts: bool,
    pub horizon_days: f64,
    /// A year.
    pub discount_rate: f64,
}

impl Forecast {
    /// Fits in a child, which can be cancelled and may use every core; answers the customers, too.
    pub fn of(&self, customers: Vec<Customer>) -> Result<(Models, Vec<Outlook>, Vec<Customer>)> {
        let answer = trainer::ask(settings::threads(), || {
            outlooks(
                &customers,
                self.as_of,
                self.with_amounts,
                self.horizon_days,
                self.discount_rate,
            )
        })?;
        let (models, outlooks) = answer.ok_or_else(|| {
            Error::new("22023", "no customer bought on two different days")
                .hint("The model learns from customers who came back: give a longer log.")
        })?;
        Ok((models, outlooks, customers))
    }
}

fn expect(source: &Source, name: &str, kinds: &[Kind], what: &str) -> Result<()> {
    let column = source.require(name)?;
    let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
    if kind.is_some_and(|k| kinds.contains(&k)) {
        return Ok(());
    }
    Err(Error::new(
        "42804",
        format!("column \"{name}\" must be {what}, not {}", column.type_name),
    )
    .hint("Cast it in a SELECT."))
}
