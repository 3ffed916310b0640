//! What was done with models, by whom: rows of an append-only table, written in the transaction that does it.

use super::catalog::{as_owner, role_name};
use crate::error::{Result, log_server};
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};
use serde_json::Value;

/// Something that was done; its time, session and client are added.
#[derive(Default)]
pub struct Entry<'a> {
    /// train, import, deploy, rollback, drop, export, grant, revoke, ...
    pub action: &'a str,
    pub model: Option<&'a str>,
    pub version: Option<i32>,
    pub job: Option<i64>,
    /// What was read: a relation with its schema, or the query, whose conditions it has.
    pub relation: Option<&'a str>,
    /// The columns of it that were used.
    pub columns: Option<Vec<String>>,
    pub rows: Option<i64>,
    pub detail: Value,
    /// Who; `None`: the current role.
    pub role: Option<pg_sys::Oid>,
}

impl<'a> Entry<'a> {
    pub fn of(action: &'a str) -> Entry<'a> {
        Entry {
            action,
            ..Entry::default()
        }
    }
}

/// Writes an entry. On a standby and in a read-only transaction, where nothing can be written, a line in the server's log.
pub fn write(entry: &Entry<'_>) -> Result<()> {
    match read_only() {
        true => log_line(entry),
        false => insert(entry)?,
    }
    Ok(())
}

/// The same for what lets data out of the database: the line in the log stays when the transaction is rolled back.
pub fn write_out(entry: &Entry<'_>) -> Result<()> {
    log_line(entry);
    match read_only() {
        true => Ok(()),
        false => insert(entry),
    }
}

fn read_only() -> bool {
    // SAFETY: plain reads of this process's state.
    unsafe { pg_sys::XactReadOnly || pg_sys::RecoveryInProgress() }
}

impl Entry<'_> {
    fn role(&self) -> pg_sys::Oid {
        // SAFETY: a plain read of this process's identity.
        self.role.unwrap_or_else(|| unsafe { pg_sys::GetUserId() })
    }
}

fn insert(entry: &Entry<'_>) -> Result<()> {
    let role = entry.role();
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "INSERT INTO insight.audit_entry (role, action, model, model_id, version, job, relation, columns, rows, detail) \
                 VALUES (pg_get_userbyid($1), $2, $3, (SELECT m.id FROM insight.model m WHERE m.name = $3), $4, $5, $6, $7, $8, NULLIF($9, 'null'))",
                None,
                &[
                    role.into(),
                    entry.action.into(),
                    entry.model.into(),
                    entry.version.into(),
                    entry.job.into(),
                    entry.relation.into(),
                    entry.columns.clone().into(),
                    entry.rows.into(),
                    JsonB(entry.detail.clone()).into(),
                ],
            )?;
            Ok(())
        })
    })
}

fn log_line(entry: &Entry<'_>) {
    let version = entry.version.map_or(String::new(), |v| format!("@{v}"));
    log_server(format!(
        "insight audit: {} of model \"{}{version}\" by role \"{}\" {}",
        entry.action,
        entry.model.unwrap_or_default(),
        role_name(entry.role()),
        entry.detail
    ));
}

/// A statement begins to use a model (setting `insight.audit_predictions`): a line in the server's log, for what only reads must not
/// write, and works on standbys, too.
pub fn predicted(reference: &str) {
    // SAFETY: plain reads of this process's identity.
    let (role, session) = unsafe { (pg_sys::GetUserId(), pg_sys::GetSessionUserId()) };
    log_server(format!(
        "insight audit: use of model \"{reference}\" by role \"{}\", session role \"{}\"",
        role_name(role),
        role_name(session)
    ));
}
