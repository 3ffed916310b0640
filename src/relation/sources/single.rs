//! The features of one customer, looked up while a row is predicted.

use super::Sources;
use crate::error::{Error, Result};
use crate::relation::decode::{Buffer, Decoder};
use insight_engine::frame::Cell;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::OwnedPreparedStatement;
use std::ffi::CStr;

/// A value of a feature that outlives the query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Number(f64),
    /// Microseconds since 2000-01-01 00:00 UTC.
    Time(i64),
    Text(String),
}

impl Value {
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Cell::Null,
            Value::Number(x) => Cell::Number(*x),
            Value::Time(x) => Cell::Time(*x),
            Value::Text(text) => Cell::Text(text),
        }
    }
}

/// Looks features up; the plan is kept.
pub struct Lookup {
    sources: Sources,
    names: Vec<String>,
    plan: Option<OwnedPreparedStatement>,
}

impl Lookup {
    /// Of a model's sources, the features that are among the columns it takes.
    pub fn new(stored: &serde_json::Value, columns: &[&str]) -> Result<Lookup> {
        let sources = Sources::from_json(stored)?;
        Ok(Lookup {
            names: sources.names(Some(columns)),
            sources,
            plan: None,
        })
    }

    /// The position of a feature, if it is one.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    /// The column of a row that identifies the customer.
    pub fn key(&self) -> &str {
        &self.sources.key
    }

    /// Columns of a row that may say when to look.
    pub fn moments(&self) -> [Option<&str>; 2] {
        self.sources.moments()
    }

    /// The features of a customer, in order; the key and what the columns of [`Lookup::moments`] say, as text.
    pub fn features(
        &mut self,
        key: Option<&str>,
        moments: &[Option<String>; 2],
    ) -> Result<Vec<Value>> {
        Spi::connect(|client| {
            let plan = match self.plan.take() {
                Some(plan) => plan,
                None => {
                    self.sources.check_trust()?;
                    let text = pgrx::PgOid::BuiltIn(pg_sys::BuiltinOid::TEXTOID);
                    let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
                    let key_type = known_type(&self.sources.key_type)?;
                    let sql = self.sources.row_query(&key_type, &names)?;
                    client.prepare(sql.as_str(), &[text; 3])?.keep()
                }
            };
            let [own, given] = moments.each_ref().map(Option::as_deref);
            let table = client.select(&plan, None, &[key.into(), own.into(), given.into()])?;
            let table = table.first();
            let mut scratch = Buffer::default();
            let mut values = Vec::with_capacity(self.names.len());
            for column in 1..=self.names.len() {
                let datum = table.get_datum_by_ordinal(column)?;
                let decoder = Decoder::for_type(table.column_type_oid(column)?.value());
                values.push(match (datum, decoder) {
                    // SAFETY: a datum of the column's type that lives until the query's result is freed.
                    (Some(datum), Some(decoder)) => unsafe {
                        owned(decoder.decode(datum, &mut scratch))
                    },
                    _ => Value::Null,
                });
            }
            self.plan = Some(plan);
            Ok(values)
        })
    }
}

fn owned(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Number(x) | Cell::Duration(x) => Value::Number(x),
        Cell::Text(text) => Value::Text(text.to_owned()),
        Cell::Time(x) => Value::Time(x),
        Cell::Boolean(value) => Value::Text(value.to_string()),
        _ => Value::Null,
    }
}

/// A type's name as PostgreSQL itself writes it: what a model says is not put into a query unseen. Only base types and enums:
/// a domain's checks would be somebody's code.
fn known_type(name: &str) -> Result<String> {
    let found = Spi::connect(|client| -> Result<Option<String>> {
        let row = client
            .select(
                "SELECT (SELECT pg_catalog.format_type(t.oid, -1) FROM pg_catalog.pg_type t \
                 WHERE t.oid OPERATOR(pg_catalog.=) pg_catalog.to_regtype($1)::pg_catalog.oid \
                 AND t.typtype OPERATOR(pg_catalog.=) ANY (ARRAY['b', 'e']::pg_catalog.\"char\"[]))",
                None,
                &[name.into()],
            )?
            .first();
        Ok(row.get_one::<String>()?)
    })?;
    found.ok_or_else(|| {
        Error::new(
            "42704",
            format!("there is no base type or enum \"{name}\" as the model's key"),
        )
    })
}

/// A datum as its type's output function writes it.
///
/// # Safety
/// `datum` must be a valid, non-NULL datum of the type.
pub unsafe fn text_of(datum: pg_sys::Datum, type_oid: pg_sys::Oid) -> String {
    let (mut function, mut varlena) = (pg_sys::InvalidOid, false);
    // SAFETY: the type exists and the datum is one of its own; the answer is a C string.
    unsafe {
        pg_sys::getTypeOutputInfo(type_oid, &mut function, &mut varlena);
        let text = pg_sys::OidOutputFunctionCall(function, datum);
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}
