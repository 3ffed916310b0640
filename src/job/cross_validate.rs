//! `insight_cross_validate`: its options, its job, its table of predictions.

use super::options::text;
use super::spec::{self, Work};
use super::submit;
use crate::error::{Error, Result, required};
use crate::relation::names::quoted_name;
use insight_engine::fit::{CrossValidation, Folds, OutOfFold};
use pgrx::prelude::*;
use serde_json::Value;

/// Options of a training that mean nothing here.
pub(super) const NOT_HERE: [&str; 4] = ["deploy", "test_size", "wait", "warm_start"];
/// Options of this alone.
pub(super) const OWN: [&str; 2] = ["into", "repeats"];
const MOST_FOLDS: i32 = 1000;

/// Runs it as a job of the caller, who waits; with the option `into` the predictions become a new table of the caller's.
pub fn cross_validate(
    relation: Option<&str>,
    target: Option<&str>,
    folds: Option<i32>,
    options: Value,
) -> Result<CrossValidation> {
    let folds = required(folds, "folds")?;
    if !(2..=MOST_FOLDS).contains(&folds) {
        return Err(Error::new(
            "22023",
            format!("folds must be an integer from 2 to {MOST_FOLDS}"),
        ));
    }
    let Value::Object(mut options) = options else {
        return Err(Error::new("22023", "options must be a JSON object")
            .hint("For example '{\"repeats\": 3}'."));
    };
    if let Some(key) = NOT_HERE.iter().find(|key| options.contains_key(**key)) {
        return Err(Error::new(
            "22023",
            format!("option \"{key}\" means nothing to cross-validation"),
        )
        .hint("No model is kept, the caller waits, and each fold is once the test part, unseen by any model."));
    }
    let repeats = match options.remove("repeats") {
        None | Some(Value::Null) => 1,
        Some(value) => value
            .as_u64()
            .filter(|n| (1..=100).contains(n))
            .ok_or_else(|| {
                Error::new(
                    "22023",
                    "option \"repeats\" must be an integer from 1 to 100",
                )
            })?,
    };
    let into = text(&options, "into")?;
    options.remove("into");
    let into = into.map(|table| quoted_name(&table)).transpose()?;
    let work = Work::CrossValidate(Folds {
        folds: folds as usize,
        repeats: repeats as usize,
        predictions: into.is_some(),
    });
    let call = spec::check(relation, target, None, &Value::Object(options), work)?;
    if let Some(table) = &into {
        create(table)?;
    }
    let (_, mut found) = submit::ask(&call.spec, |_, handed| {
        serde_json::from_slice::<CrossValidation>(handed.bytes).map_err(|e| {
            Error::new("XX000", "the worker's answer cannot be read").detail(e.to_string())
        })
    })?;
    if let Some(table) = into {
        keep(&table, std::mem::take(&mut found.rows))?;
    }
    Ok(found)
}

/// Makes the table of predictions, as the caller, before time is spent on what could not be kept.
fn create(table: &str) -> Result<()> {
    let create = format!(
        "CREATE TABLE {table} (key pg_catalog.text, repeat pg_catalog.int4, fold pg_catalog.int4, \
         actual pg_catalog.text, prediction pg_catalog.float8, label pg_catalog.text, probability pg_catalog.float8)"
    );
    Spi::connect_mut(|client| client.update(create.as_str(), None, &[]).map(|_| ()))?;
    Ok(())
}

fn keep(table: &str, rows: Vec<OutOfFold>) -> Result<()> {
    let mut columns: (Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>) = Default::default();
    for row in rows {
        columns.0.push(row.key);
        columns.1.push(row.repeat as i32);
        columns.2.push(row.fold as i32);
        columns.3.push(row.actual);
        columns.4.push(row.answer.prediction);
        columns.5.push(row.answer.label);
        columns.6.push(row.answer.probability);
    }
    Spi::connect_mut(|client| {
        client.update(
            format!(
                "INSERT INTO {table} SELECT * FROM unnest($1::pg_catalog.text[], $2::pg_catalog.int4[], \
                 $3::pg_catalog.int4[], $4::pg_catalog.text[], $5::pg_catalog.float8[], $6::pg_catalog.text[], \
                 $7::pg_catalog.float8[])"
            )
            .as_str(),
            None,
            &[
                columns.0.into(),
                columns.1.into(),
                columns.2.into(),
                columns.3.into(),
                columns.4.into(),
                columns.5.into(),
                columns.6.into(),
            ],
        )?;
        Ok(())
    })
}
