//! Related tables as features: orders, tickets, events of each customer, as they were known at a cut-off.
//!
//! A specification names the tables, how their rows belong to a customer, and when they happened. It becomes plain SQL, the
//! same in training, in batches and for one customer, in which no row at or after the cut-off counts.

mod as_of;
mod clv;
mod discover;
mod features;
mod parse;
mod rows;
pub mod single;
mod sql;
pub mod trust;

use super::resolve::{self, Source};
use crate::error::{Error, Result, must_write, required};
use insight_engine::recipe::Purchases;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};

pub use parse::parse;

/// When a customer is looked at. Only earlier rows of the sources count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsOf {
    /// The moment of the statement.
    Now,
    /// A fixed time, in ISO 8601 with its zone.
    At(String),
    /// A column of the base relation, less an interval; where it is NULL, what a column `as_of` says, else now.
    Column { name: String, lag: Option<String> },
}

/// What is computed from a column of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Number,
    Boolean,
    Category,
    Time,
}

/// A column of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub role: Role,
    /// Values whose share is a feature of its own.
    pub values: Vec<String>,
}

/// One related table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// What features are named after.
    pub name: String,
    pub schema: String,
    pub table: String,
    /// The column that says whose row it is.
    pub key: String,
    pub time: Option<String>,
    /// The table between this one and the base, if there is one: its key is matched with a column of that table.
    pub parent: Option<Box<Parent>>,
    /// At most one row per customer: its columns are taken as they are.
    pub one_to_one: bool,
    /// Days, ascending.
    pub windows: Vec<u32>,
    pub fields: Vec<Field>,
    /// Its rows are purchases, whose future is a feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clv: Option<Clv>,
}

/// How the rows of a source are purchases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clv {
    /// The column of the amount.
    pub amount: Option<String>,
    /// Days to look ahead.
    pub horizon_days: u32,
    /// The time has a zone: its days are those of UTC.
    pub zoned: bool,
}

/// The table in the middle of two joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub schema: String,
    pub table: String,
    /// The column that the child's key refers to.
    pub referred: String,
    /// The column that says which customer the row belongs to.
    pub key: String,
    pub time: Option<String>,
}

/// All related tables of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// The column of the base relation that identifies a customer, and its type.
    pub key: String,
    pub key_type: String,
    pub as_of: AsOf,
    pub related: Vec<Related>,
}

impl Sources {
    /// As stored in a model.
    pub fn from_json(value: &serde_json::Value) -> Result<Sources> {
        let damaged = |detail: String| {
            Error::new("XX001", "the model's sources cannot be read").detail(detail)
        };
        if value.to_string().contains("\\u0000") {
            return Err(damaged("A name holds a zero byte.".into()));
        }
        let sources: Sources =
            serde_json::from_value(value.clone()).map_err(|e| damaged(e.to_string()))?;
        let windows = sources.related.iter().flat_map(|r| &r.windows);
        let horizons = sources.related.iter().filter_map(|r| r.clv.as_ref());
        let mut days = windows.chain(horizons.map(|clv| &clv.horizon_days));
        if days.any(|days| !(1..=36_525).contains(days)) {
            return Err(damaged("A window or horizon is out of range.".into()));
        }
        Ok(sources)
    }

    /// The features that tell of purchases.
    pub fn purchases(&self) -> Vec<Purchases> {
        let each = self.related.iter().filter_map(features::purchases);
        each.collect()
    }

    /// Names of the features, in order: all, or of these.
    pub fn names(&self, wanted: Option<&[&str]>) -> Vec<String> {
        let each = self.related.iter().flat_map(|r| r.wanted(wanted));
        each.map(|feature| feature.name).collect()
    }

    /// The base relation with the features joined to it. Where columns and features are named, nothing else is read but what
    /// finds a customer's rows.
    pub fn join(&self, base: &Source, wanted: Option<&[&str]>) -> Result<Source> {
        base.require(&self.key)?;
        let taken = self.names(wanted);
        if let Some(column) = base.columns.iter().find(|c| taken.contains(&c.name)) {
            return Err(Error::new(
                "42701",
                format!(
                    "column \"{}\" of {} has the name of a feature",
                    column.name,
                    base.label()
                ),
            )
            .hint("Rename it in a SELECT, or give the source another name."));
        }
        let mut read = base.clone();
        if let Some(wanted) = wanted {
            let needed = |name: &str| name == self.key || self.moments().contains(&Some(name));
            read.columns
                .retain(|c| needed(&c.name) || wanted.contains(&c.name.as_str()));
        }
        let from = format!("({}) AS source", self.query(&read, wanted)?);
        let mut joined = resolve::resolve_from(&base.given, &from)?;
        joined.name.clone_from(&base.name);
        Ok(joined)
    }

    /// A one-to-one source with two rows for a customer is an error that names the customer.
    pub fn check_one_to_one(&self) -> Result<()> {
        self.related
            .iter()
            .filter(|related| related.one_to_one)
            .try_for_each(discover::check_single)
    }
}

/// The SQL of the features of a relation; with the option `into`, a new table of that name is made by it.
pub fn show(relation: Option<&str>, options: &serde_json::Value) -> Result<String> {
    const KNOWN: [&str; 4] = ["as_of", "into", "key", "sources"];
    let relation = required(relation, "relation")?;
    let options = options
        .as_object()
        .ok_or_else(|| Error::new("22023", "options must be a JSON object"))?;
    if let Some(unknown) = options.keys().find(|k| !KNOWN.contains(&k.as_str())) {
        return Err(Error::new("22023", format!("unknown option \"{unknown}\""))
            .hint(format!("Known options are: {}.", KNOWN.join(", "))));
    }
    let base = resolve::resolve(relation)?;
    let Some(sources) = parse(options, &base)? else {
        return Err(Error::new("22023", "option \"sources\" is needed")
            .hint("It names related tables; \"auto\" takes those with a foreign key."));
    };
    // Described, so that a mistake shows here and not when the text is run.
    sources.join(&base, None)?;
    let sql = sources.query(&base, None)?;
    match options.get("into") {
        None | Some(serde_json::Value::Null) => {}
        Some(serde_json::Value::String(table)) => {
            let table = crate::relation::names::quoted_name(table)?;
            let create = format!("CREATE TABLE {table} AS {sql}");
            must_write("insight_features()");
            Spi::connect_mut(|client| client.update(create.as_str(), None, &[]).map(|_| ()))?;
        }
        Some(_) => {
            return Err(Error::new(
                "22023",
                "option \"into\" must be the name of a new table",
            ));
        }
    }
    Ok(sql)
}
