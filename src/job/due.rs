//! Whether a model is to be trained again: by a condition on the rows there are now, unless somebody is at it already.

use super::again;
use super::queue;
use super::spec::Call;
use super::{error_of, submit};
use crate::error::{Error, Result, required};
use crate::messages::warning;
use crate::relation::{drift, resolve};
use crate::store::cache;
use crate::store::catalog::as_owner;
use crate::store::record::{self, Record};
use crate::store::rights::Right;
use insight_engine::condition::{Comparison, Condition, Quantity};
use insight_engine::drift::Of;
use pgrx::prelude::*;
use pgrx::{PgTryBuilder, pg_sys};
use serde_json::Value;
use std::panic::AssertUnwindSafe;

/// "insr": the first key of the advisory lock on who decides about a model; the second is the hash of its name.
const LOCK_CLASS: i32 = 0x696e_7372;

/// What was decided, and why.
pub struct Due {
    pub model: String,
    /// `None`: it is left as it is.
    pub call: Option<Call>,
    pub reason: String,
}

/// Decides whether a model is to be trained again; without a condition it is, unless a job trains it already.
pub fn due(model: Option<&str>, condition: Option<&str>, options: &Value) -> Result<Due> {
    let reference = required(model, "model")?;
    let condition = condition.map(parse).transpose()?;
    // All that is wrong with the call is said whether or not it is due.
    let call = again::retrain(Some(reference), options)?;
    let record = again::trusted(record::record(cache::version(reference, Right::Manage)?)?)?;
    let model = record.model.clone();
    let left = |reason: String| {
        Ok(Due {
            model: model.clone(),
            call: None,
            reason,
        })
    };
    if !lock(&model)? {
        return left("another session is deciding about this model".into());
    }
    if let Some(job) = queue::busy(&model)? {
        return left(format!("job {job} is training this model"));
    }
    let Some(condition) = condition else {
        return Ok(Due {
            model,
            call: Some(call),
            reason: "asked for".into(),
        });
    };
    let (version, rows) = newest(&model)?;
    let mut told = Vec::new();
    let holds = condition.holds(|comparison| {
        let value = value(comparison, &record, version, rows, &mut told)?;
        Ok::<f64, Error>(value)
    })?;
    let reason = told.join(", ");
    match holds {
        true => Ok(Due {
            model,
            call: Some(call),
            reason,
        }),
        false => left(reason),
    }
}

/// A condition as the user wrote it.
pub fn parse(text: &str) -> Result<Condition> {
    Condition::parse(text).map_err(|what| {
        Error::new("22023", format!("the condition cannot be read: {what}")).hint(
            "Compare drift or new_rows with a number by <, <=, > or >=, joined by and, or: drift > 0.2 or new_rows > 10%.",
        )
    })
}

/// What a comparison asks for, noted in words. It is about the rows the newest version was trained on, deployed or not: what it
/// was trained on is no news.
fn value(
    comparison: &Comparison,
    record: &Record,
    version: i32,
    rows: i64,
    told: &mut Vec<String>,
) -> Result<f64> {
    let (value, text) = match comparison.quantity {
        Quantity::Drift => {
            let drift = drift(&format!("{}@{version}", record.model), &record.relation)?;
            (drift, format!("drift is {drift:.3}"))
        }
        Quantity::NewRows => {
            let more = count(&record.relation)? - rows;
            let percent = 100.0 * more as f64 / rows.max(1) as f64;
            let text = format!("new_rows is {more} ({percent:.1}% of {rows})");
            (
                if comparison.percent {
                    percent
                } else {
                    more as f64
                },
                text,
            )
        }
    };
    if !told.contains(&text) {
        told.push(text);
    }
    Ok(value)
}

/// Keeps others from deciding about the same model until the transaction ends.
fn lock(model: &str) -> Result<bool> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT pg_try_advisory_xact_lock($1, hashtext($2))",
                    None,
                    &[LOCK_CLASS.into(), model.into()],
                )?
                .first();
            Ok(row.get_one::<bool>()?.unwrap_or(false))
        })
    })
}

/// The newest version of a model and how many rows its relation had then.
fn newest(model: &str) -> Result<(i32, i64)> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT v.version, COALESCE(j.read_rows, v.rows) FROM insight.version v JOIN insight.model m ON m.id = v.model \
                     LEFT JOIN insight.job j ON j.job = v.job WHERE m.name = $1 ORDER BY v.version DESC LIMIT 1",
                    None,
                    &[model.into()],
                )?
                .first();
            let (version, rows) = row.get_two::<i32, i64>()?;
            version
                .zip(rows)
                .ok_or_else(|| Error::new("42704", format!("model \"{model}\" was dropped")))
        })
    })
}

/// How many rows a relation has for the caller.
fn count(relation: &str) -> Result<i64> {
    let source = resolve::resolve(relation)?;
    let sql = format!("SELECT pg_catalog.count(*) FROM {}", source.from);
    Spi::connect(|client| Ok(client.select(&sql, None, &[])?.first().get_one::<i64>()?))
        .map(|count| count.unwrap_or(0))
}

/// The largest population stability index of a column.
fn drift(reference: &str, relation: &str) -> Result<f64> {
    let found = drift::of(&*cache::predictor(reference, Right::Manage)?, relation)?;
    let columns = found
        .iter()
        .filter(|shift| matches!(shift.of, Of::Column(_)));
    Ok(columns.filter_map(|shift| shift.psi).fold(0.0, f64::max))
}

/// Runs `work` so that its failure leaves the transaction as it was; a cancelled statement fails all the same.
pub fn attempt<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: the documented way to start a subtransaction; context and owner are set back when it has ended.
    let (context, owner) = unsafe {
        let before = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = before.0;
        before
    };
    let outcome = PgTryBuilder::new(AssertUnwindSafe(work))
        .catch_others(|caught| Err(error_of(&caught)))
        .execute();
    // SAFETY: ends the subtransaction that was started above.
    unsafe {
        match outcome {
            Ok(_) => pg_sys::ReleaseCurrentSubTransaction(),
            Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::CurrentMemoryContext = context;
        pg_sys::CurrentResourceOwner = owner;
    }
    match outcome {
        Err(error) if error.sqlstate == "57014" => error.raise(),
        outcome => outcome,
    }
}

/// A run of a schedule, in words. Its failure is a failed job, and a warning: an error would take the row along.
pub fn scheduled(model: Option<&str>, condition: Option<&str>, options: &Value) -> Result<String> {
    let attempted = attempt(|| {
        let due = due(model, condition, options)?;
        let Some(call) = due.call else {
            return Ok(format!("skipped: {}", due.reason));
        };
        if !call.wait {
            let job = submit::enqueue(&call.spec)?;
            return Ok(format!("job {job} is queued: {}", due.reason));
        }
        let outcome = submit::run(&call.spec)?;
        let version = outcome.published.version;
        let verdict = outcome.published.verdict;
        Ok(verdict.unwrap_or_else(|| format!("version {version} was trained")))
    });
    match attempted {
        Ok(said) => Ok(said),
        Err(error) => {
            queue::note_failure(model.unwrap_or_default(), &error)?;
            let message = &error.message;
            let model = model.unwrap_or_default();
            warning(format!(
                "model \"{model}\" was not trained again: {message}"
            ));
            Ok(format!("failed: {message}"))
        }
    }
}
