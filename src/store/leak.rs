//! What leak tests found of versions.

use super::catalog::as_owner;
use crate::error::Result;
use insight_engine::privacy::leak::{Finding, Findings};
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};

/// Keeps what was found of a version, in place of what was found before.
pub fn keep(version: i64, job: i64, role: pg_sys::Oid, found: &Findings) -> Result<()> {
    let lines = serde_json::to_value(&found.findings).unwrap_or_default();
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "DELETE FROM insight.leak WHERE version = $1",
                None,
                &[version.into()],
            )?;
            client.update(
                "INSERT INTO insight.leak (version, position, attack, metric, value, low, high, shadows, rows, job, role) \
                 SELECT $1, f.ordinality, f.attack, f.metric, f.value, f.low, f.high, $3, $4, $5, pg_get_userbyid($6) \
                 FROM ROWS FROM (jsonb_to_recordset($2) AS (attack text, metric text, value float8, low float8, high float8)) \
                 WITH ORDINALITY AS f",
                None,
                &[
                    version.into(),
                    JsonB(lines).into(),
                    (found.shadows as i32).into(),
                    (found.rows as i32).into(),
                    job.into(),
                    role.into(),
                ],
            )?;
            Ok(())
        })
    })
}

/// What was found of a version.
pub fn found(version: i64) -> Result<Findings> {
    as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT l.attack, l.metric, l.value, l.low, l.high, l.shadows, l.rows FROM insight.leak l \
                 WHERE l.version = $1 ORDER BY l.position",
                None,
                &[version.into()],
            )?;
            let mut found = Findings::default();
            for row in rows {
                found.findings.push(Finding {
                    attack: row.get::<String>(1)?.unwrap_or_default(),
                    metric: row.get::<String>(2)?.unwrap_or_default(),
                    value: row.get(3)?,
                    low: row.get(4)?,
                    high: row.get(5)?,
                });
                found.shadows = row.get::<i32>(6)?.unwrap_or_default() as usize;
                found.rows = row.get::<i32>(7)?.unwrap_or_default() as usize;
            }
            Ok(found)
        })
    })
}
