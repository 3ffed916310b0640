//! What a version was made from, and its bytes: to train it again or to go on from it.

use super::catalog::as_owner;
use super::keys;
use crate::error::{Error, Result};
use insight_engine::privacy::leak::Findings;
use insight_engine::report::Facts;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};

/// How a version was trained.
pub struct Record {
    pub id: i64,
    pub model: String,
    pub version: i32,
    /// With its schema, or a query.
    pub relation: String,
    pub target: String,
    pub options: serde_json::Value,
    /// Who has trained it; `InvalidOid`: a role that is gone.
    pub author: pg_sys::Oid,
    /// It comes from a file: what it says of relations was written elsewhere.
    pub imported: bool,
}

fn gone() -> Error {
    Error::new("42704", "the version was dropped")
}

/// The record of a version.
pub fn record(id: i64) -> Result<Record> {
    as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT m.name, v.version, COALESCE(NULLIF(v.summary->>'source', ''), v.relation), v.target, v.options, \
                 (SELECT r.oid FROM pg_roles r WHERE r.rolname = v.created_by), v.job IS NULL \
                 FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE v.id = $1",
                None,
                &[id.into()],
            )?;
            let row = rows.first();
            if row.is_empty() {
                return Err(gone());
            }
            let (Some(model), Some(version), Some(relation)) =
                row.get_three::<String, i32, String>()?
            else {
                return Err(gone());
            };
            let target = row.get::<String>(4)?.unwrap_or_default();
            let options = row.get::<JsonB>(5)?.map_or(serde_json::json!({}), |o| o.0);
            Ok(Record {
                id,
                model,
                version,
                relation,
                target,
                options,
                author: row.get::<pg_sys::Oid>(6)?.unwrap_or(pg_sys::InvalidOid),
                imported: row.get::<bool>(7)?.unwrap_or(true),
            })
        })
    })
}

/// The place that a version's bytes are sealed for.
pub fn place(id: i64) -> String {
    format!("artifact {id}")
}

/// The bytes of a version.
pub fn artifact(id: i64) -> Result<Vec<u8>> {
    let stored = as_owner(|| {
        Spi::connect(|client| {
            let rows = client.select(
                "SELECT artifact FROM insight.version WHERE id = $1",
                None,
                &[id.into()],
            )?;
            // Nor does a worker see one of a transaction that has not committed.
            match rows.is_empty() {
                true => Err(gone()),
                false => rows.first().get_one::<Vec<u8>>()?.ok_or_else(gone),
            }
        })
    })?;
    keys::open("the model", &place(id), stored)
}

/// What is known of a version that the caller may read.
pub fn facts(version: i64) -> Result<Facts> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT m.name::text, v.version, v.version IS NOT DISTINCT FROM m.deployed, v.relation, v.created_by::text, \
                     to_char(v.created_at, 'YYYY-MM-DD HH24:MI'), to_char(now(), 'YYYY-MM-DD HH24:MI') \
                     FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE v.id = $1",
                    None,
                    &[version.into()],
                )?
                .first();
            let text = |at: usize| Ok::<_, Error>(row.get::<String>(at)?.unwrap_or_default());
            Ok(Facts {
                model: text(1)?,
                version: row.get(2)?.unwrap_or_default(),
                deployed: row.get(3)?.unwrap_or_default(),
                relation: text(4)?,
                created_by: text(5)?,
                created_at: text(6)?,
                written_at: text(7)?,
                on: None,
                leaks: Findings::default(),
            })
        })
    })
}
