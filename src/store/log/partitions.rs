//! The log's partitions, a week each: made some weeks ahead, dropped when every model's retention is over.

use super::super::catalog::as_owner;
use crate::error::{Error, Result};
use crate::job::due::attempt;
use crate::settings;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::SpiClient;
use std::ffi::CStr;

/// "insp" and "insq": the advisory locks on who makes partitions and on who deletes what is old.
const LOCK: i64 = 0x696e_7370;
const PRUNES: i64 = 0x696e_7371;

/// Weeks for which there is a partition, this one among them.
const AHEAD: i32 = 5;

/// Makes what partitions are missing, which is once a month; then what is old is dropped. To attach one blocks neither readers nor
/// writers of the others; who is about to may stay idle in a transaction, and only who has nowhere to write waits for that.
pub fn ensure() -> Result<()> {
    let missing = |weeks| as_owner(|| Spi::connect(|client| missing(client, weeks)));
    if missing(2)?.is_empty() {
        return Ok(());
    }
    match missing(1)?.is_empty() {
        true if !try_lock(LOCK)? => return Ok(()),
        true => {}
        false => wait_for_lock()?,
    }
    make()?;
    prune()
}

fn try_lock(lock: i64) -> Result<bool> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            let row = client
                .update("SELECT pg_try_advisory_xact_lock($1)", None, &[lock.into()])?
                .first();
            Ok(row.get_one::<bool>()?.unwrap_or_default())
        })
    })
}

fn wait_for_lock() -> Result<()> {
    let locked = attempt(|| {
        as_owner(|| {
            wait_at_most(c"10s");
            Spi::connect_mut(|client| {
                client.update("SELECT pg_advisory_xact_lock($1)", None, &[LOCK.into()])?;
                Ok(())
            })
        })
    });
    locked.map_err(|error| match error.sqlstate == "55P03" {
        true => Error::new(
            "55P03",
            "another transaction is making this week's part of the log of predictions",
        )
        .hint("Try again when it has ended; pg_locks shows who holds an advisory lock."),
        false => error,
    })
}

/// How long locks are waited for inside of [`as_owner`], which ends with the former limit.
fn wait_at_most(limit: &CStr) {
    // SAFETY: `as_owner` has begun a level and ends it.
    unsafe { settings::set_in_level(c"lock_timeout", limit) };
}

/// Whoever calls this holds the lock.
fn make() -> Result<()> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            // By now another session may have made them.
            let found = client.update(WEEKS, None, &[AHEAD.into()])?;
            let mut missing = Vec::new();
            for row in found {
                missing.push((
                    row.get::<String>(1)?,
                    row.get::<String>(2)?,
                    row.get::<String>(3)?,
                ));
            }
            for (name, from, to) in missing {
                let (Some(name), Some(from), Some(to)) = (name, from, to) else {
                    continue;
                };
                client.update(
                    format!("CREATE TABLE insight.{name} (LIKE insight.prediction INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").as_str(),
                    None,
                    &[],
                )?;
                client.update(
                    format!("CREATE INDEX ON insight.{name} (model, predicted_at)").as_str(),
                    None,
                    &[],
                )?;
                keep_private(client, &name)?;
                client.update(
                    format!("ALTER TABLE insight.{name} ENABLE ROW LEVEL SECURITY").as_str(),
                    None,
                    &[],
                )?;
                client.update(
                    format!("ALTER TABLE insight.prediction ATTACH PARTITION insight.{name} FOR VALUES FROM ('{from}+00') TO ('{to}+00')").as_str(),
                    None,
                    &[],
                )?;
            }
            Ok(())
        })
    })
}

/// Takes away what default privileges have granted: who was given which score is shown by the view alone.
fn keep_private(client: &mut SpiClient<'_>, name: &str) -> Result<()> {
    let rows = client.update(
        "SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END \
         FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = $1::regclass AND a.grantee <> c.relowner",
        None,
        &[format!("insight.{name}").into()],
    )?;
    let granted: Vec<String> = rows
        .filter_map(|row| row.get::<String>(1).ok().flatten())
        .collect();
    for role in granted {
        client.update(
            format!("REVOKE ALL ON TABLE insight.{name} FROM {role} CASCADE").as_str(),
            None,
            &[],
        )?;
    }
    Ok(())
}

/// Name, first and last moment of the weeks from this one on that have no partition yet.
const WEEKS: &str = "SELECT w.name, w.monday::date::text, (w.monday + interval '7 days')::date::text \
    FROM (SELECT m AS monday, 'prediction_' || to_char(m, 'YYYYMMDD') AS name \
          FROM (SELECT date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC') + n * interval '7 days' AS m FROM generate_series(0, $1 - 1) n) s) w \
    WHERE to_regclass('insight.' || w.name) IS NULL ORDER BY 1";

fn missing(client: &SpiClient<'_>, weeks: i32) -> Result<Vec<String>> {
    let rows = client.select(WEEKS, None, &[weeks.into()])?;
    Ok(rows
        .filter_map(|row| row.get::<String>(1).ok().flatten())
        .collect())
}

/// Deletes what is older than its model's retention, and drops partitions of which that holds for all. To drop one needs the log
/// for itself until the transaction ends, so nothing is dropped inside of BEGIN and COMMIT, nor while somebody reads. What does
/// not succeed now does another time: it is no reason for the caller to fail.
pub fn prune() -> Result<()> {
    // SAFETY: plain reads of this process's state.
    let (read_only, in_block) = unsafe {
        (
            pg_sys::XactReadOnly || pg_sys::RecoveryInProgress(),
            pg_sys::IsTransactionBlock(),
        )
    };
    // Another that has begun may stay in its transaction.
    if read_only || !try_lock(PRUNES)? {
        return Ok(());
    }
    let _ = attempt(|| {
        as_owner(|| {
            wait_at_most(c"100ms");
            Spi::connect_mut(|client| {
                client.update(
                    "DELETE FROM insight.prediction p USING insight.log l WHERE p.model = l.model AND p.predicted_at < clock_timestamp() - l.retention",
                    None,
                    &[],
                )?;
                Ok(())
            })
        })
    });
    if in_block {
        return Ok(());
    }
    let old = as_owner(|| {
        Spi::connect_mut(|client| -> Result<Vec<String>> {
            let rows = client.update(
                "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                 WHERE i.inhparent = 'insight.prediction'::regclass AND c.relname ~ '^prediction_[0-9]{8}$' \
                 AND (to_date(substr(c.relname, 12), 'YYYYMMDD') + 7)::timestamp AT TIME ZONE 'UTC' \
                     < clock_timestamp() - (SELECT max(l.retention) FROM insight.log l)",
                None,
                &[],
            )?;
            Ok(rows
                .filter_map(|row| row.get::<String>(1).ok().flatten())
                .collect())
        })
    })?;
    for name in old {
        let _ = attempt(|| {
            as_owner(|| {
                wait_at_most(c"100ms");
                Spi::connect_mut(|client| {
                    client.update(format!("DROP TABLE insight.{name}").as_str(), None, &[])?;
                    Ok(())
                })
            })
        });
    }
    Ok(())
}
