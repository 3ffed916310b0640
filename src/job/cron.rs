//! Schedules with the extension pg_cron, which lives in one database of the cluster and runs commands in any.

use super::{again, due, elsewhere};
use crate::error::{Error, Result, required};
use crate::relation::drift;
use crate::store::cache;
use crate::store::catalog::{as_owner, role_name};
use crate::store::record;
use crate::store::rights::Right;
use insight_engine::condition::Quantity;
use pgrx::prelude::*;
use pgrx::{pg_sys, spi};
use serde_json::Value;

/// When conditions are looked at, unless the schedule says: at three in the night.
const CHECK: &str = "0 3 * * *";

/// The longest name a job of pg_cron keeps.
const LONGEST_NAME: usize = 63;

/// A registered schedule.
pub struct Schedule {
    /// Of pg_cron.
    pub job: i64,
    pub name: String,
    pub schedule: String,
    pub command: String,
}

/// Where pg_cron keeps its jobs.
struct Cron {
    database: String,
    /// `None`: here.
    elsewhere: Option<pg_sys::Oid>,
}

impl Cron {
    fn find() -> Result<Cron> {
        let (named, here, oid) = as_owner(|| {
            Spi::connect(|client| -> Result<_> {
                let row = client
                    .select(
                        "SELECT current_setting('cron.database_name', true), current_database()::text, \
                         (SELECT d.oid FROM pg_database d WHERE d.datname = current_setting('cron.database_name', true))",
                        None,
                        &[],
                    )?
                    .first();
                Ok(row.get_three::<String, String, pg_sys::Oid>()?)
            })
        })?;
        let here = here.unwrap_or_default();
        let Some(database) = named else {
            return Err(Error::new("55000", "schedules need pg_cron, which this server has not loaded")
                .hint(format!(
                    "Install the package postgresql-{}-cron, set shared_preload_libraries = 'pg_cron' and cron.database_name = {}, restart the server, then CREATE EXTENSION pg_cron.",
                    pg_sys::get_pg_major_version_num(),
                    spi::quote_literal(&here)
                )));
        };
        let elsewhere = match (database == here, oid) {
            (true, _) => None,
            (false, Some(oid)) => Some(oid),
            (false, None) => {
                return Err(Error::new(
                    "3D000",
                    format!(
                        "database \"{database}\", which cron.database_name names, does not exist"
                    ),
                ));
            }
        };
        Ok(Cron {
            database,
            elsewhere,
        })
    }

    /// Runs a statement where pg_cron is, as the caller; its failure leaves the transaction as it was.
    fn ask(&self, sql: &str, arguments: &[&str]) -> Result<Option<String>> {
        match self.elsewhere {
            Some(database) => elsewhere::ask(database, sql, arguments),
            None => due::attempt(|| {
                Spi::connect_mut(|client| {
                    let arguments: Vec<_> = arguments.iter().map(|a| (*a).into()).collect();
                    let row = client.update(sql, None, &arguments)?.first();
                    Ok(if row.is_empty() {
                        None
                    } else {
                        row.get_one::<String>()?
                    })
                })
            }),
        }
        .map_err(|error| self.explain(error))
    }

    /// What to do about an error of pg_cron's.
    fn explain(&self, error: Error) -> Error {
        // SAFETY: a plain read of this process's identity.
        let role = spi::quote_identifier(role_name(unsafe { pg_sys::GetUserId() }));
        let database = &self.database;
        let there = match self.elsewhere {
            Some(_) => format!(
                "; GRANT EXECUTE ON FUNCTION cron.schedule_in_database(text, text, text, text, text, boolean) TO {role}"
            ),
            None => String::new(),
        };
        match error.sqlstate.as_str() {
            "42501" if error.hint.is_none() => error.hint(format!(
                "Have a superuser run in database {database}: GRANT USAGE ON SCHEMA cron TO {role}{there};"
            )),
            _ => error,
        }
    }

    /// Before anything of a schema of this name is called: that it is pg_cron's.
    fn check(&self) -> Result<()> {
        let found = self.ask(
            "SELECT e.extname::pg_catalog.text FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'pg_cron'::pg_catalog.name",
            &[],
        )?;
        found.map(|_| ()).ok_or_else(|| {
            Error::new(
                "55000",
                format!(
                    "schedules need pg_cron, which database \"{}\" has not created",
                    self.database
                ),
            )
            .hint(format!(
                "Have a superuser run in database {}: CREATE EXTENSION pg_cron;",
                self.database
            ))
        })
    }
}

/// The cron text and the condition of a schedule: a cron text, or JSON with `when` and `check`.
fn parse(schedule: &str) -> Result<(String, Option<String>)> {
    if !schedule.trim_start().starts_with('{') {
        return Ok((schedule.to_owned(), None));
    }
    let example =
        "For example '0 3 * * *' or '{\"when\": \"new_rows > 10%\", \"check\": \"0 3 * * *\"}'.";
    let wrong = |what: &str| {
        Error::new("22023", format!("the schedule cannot be read: {what}")).hint(example)
    };
    let given: Value = serde_json::from_str(schedule).map_err(|e| wrong(&e.to_string()))?;
    let given = given
        .as_object()
        .ok_or_else(|| wrong("it is no JSON object"))?;
    if let Some(key) = given
        .keys()
        .find(|k| !matches!(k.as_str(), "when" | "check"))
    {
        return Err(wrong(&format!("\"{key}\" is not known")));
    }
    let text = |key: &str| match given.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(&format!("\"{key}\" must be a text"))),
    };
    let when = text("when")?;
    if let Some(when) = &when {
        due::parse(when)?;
    }
    Ok((text("check")?.unwrap_or_else(|| CHECK.into()), when))
}

/// Pg_cron's name for the schedule of a model; databases share the names.
fn job_name(model: &str) -> Result<(String, String)> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT current_database()::text, CASE WHEN octet_length(n) <= $2 THEN n ELSE 'insight ' || md5(n) END \
                     FROM (VALUES ('insight ' || current_database() || '.' || $1)) v(n)",
                    None,
                    &[model.into(), (LONGEST_NAME as i32).into()],
                )?
                .first();
            let (database, name) = row.get_two::<String, String>()?;
            Ok((database.unwrap_or_default(), name.unwrap_or_default()))
        })
    })
}

/// Registers that a model is trained again by the calling role, in place of a schedule of this role that it has.
pub fn schedule(model: Option<&str>, schedule: Option<&str>, options: &Value) -> Result<Schedule> {
    let model = required(model, "model")?;
    let (when, condition) = parse(required(schedule, "schedule")?)?;
    // What would fail every night fails now.
    again::retrain(Some(model), options)?;
    if let Some(text) = &condition
        && due::parse(text)?.asks_for(Quantity::Drift)
    {
        drift::needs_statistics(&*cache::predictor(model, Right::Manage)?)?;
    }
    let name_alone = record::record(cache::version(model, Right::Manage)?)?.model;
    let cron = Cron::find()?;
    cron.check()?;
    let (database, name) = job_name(&name_alone)?;
    let condition = condition.map_or("NULL".into(), spi::quote_literal);
    let command = format!(
        "SELECT insight.run_schedule({}, {condition}, {})",
        spi::quote_literal(model),
        spi::quote_literal(options.to_string())
    );
    // The role that calls is the one pg_cron runs the command as: only a superuser may name one.
    let job = match cron.elsewhere {
        None => cron.ask(
            "SELECT cron.schedule($1, $2, $3)::pg_catalog.text",
            &[&name, &when, &command],
        ),
        Some(_) => cron.ask(
            "SELECT cron.schedule_in_database($1, $2, $3, $4)::pg_catalog.text",
            &[&name, &when, &command, &database],
        ),
    }?;
    let job = job.and_then(|job| job.parse().ok());
    Ok(Schedule {
        job: job.ok_or_else(|| Error::new("XX000", "pg_cron answered no job"))?,
        name,
        schedule: when,
        command,
    })
}

/// Takes the schedules of a model away that the role may see; false where there is none.
pub fn unschedule(model: Option<&str>) -> Result<bool> {
    let model = required(model, "model")?;
    let cron = Cron::find()?;
    cron.check()?;
    // A version in the reference does not name another schedule.
    let alone = match model.rsplit_once('@') {
        Some((alone, version)) if version.parse::<i32>().is_ok() => alone,
        _ => model,
    };
    let (_, name) = job_name(alone)?;
    let gone = cron.ask(
        "SELECT pg_catalog.count(cron.unschedule(j.jobid))::pg_catalog.text FROM cron.job j \
         WHERE j.jobname::pg_catalog.text OPERATOR(pg_catalog.=) $1",
        &[&name],
    )?;
    Ok(gone.is_some_and(|count| count != "0"))
}
