//! What the calling role may read, and what of it a background worker can see.

use crate::error::{Error, Result};
use crate::relation::resolve::Source;
use crate::{store, versions};
use pgrx::prelude::*;
use pgrx::{pg_sys, spi};

/// The role a worker logs in as: the session's, or where `SET SESSION AUTHORIZATION` made that one that may not log in,
/// the superuser who did so.
pub fn session_role() -> Result<pg_sys::Oid> {
    // SAFETY: plain reads of this process's identity.
    let (session, login) =
        unsafe { (pg_sys::GetSessionUserId(), pg_sys::GetAuthenticatedUserId()) };
    let may_login = Spi::connect(|client| -> Result<_> {
        let row = client
            .select(
                "SELECT r.rolcanlogin FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) $1",
                None,
                &[session.into()],
            )?
            .first();
        Ok(row.get_one::<bool>()?)
    })?;
    Ok(if may_login == Some(true) {
        session
    } else {
        login
    })
}

/// A worker sees neither temporary tables nor what this transaction has not committed.
pub fn check_visible(source: &Source) -> Result<()> {
    check_catalog()?;
    for &relation in &source.relations {
        // SAFETY: syscache look-ups of relations the analysed query refers to.
        let (persistence, name) = unsafe {
            let name = pg_sys::get_rel_name(relation);
            let name = if name.is_null() {
                String::new()
            } else {
                std::ffi::CStr::from_ptr(name)
                    .to_string_lossy()
                    .into_owned()
            };
            (pg_sys::get_rel_persistence(relation) as u8, name)
        };
        if persistence == b't' {
            return Err(Error::new("0A000", format!("cannot train on the temporary table \"{name}\""))
                .detail("Training runs in a background worker, which cannot see other sessions' temporary tables.")
                .hint("Use a permanent or unlogged table: CREATE UNLOGGED TABLE ... AS SELECT ..."));
        }
        if written_by_this_transaction(relation)? {
            return Err(Error::new(
                "55000",
                format!(
                    "table \"{name}\" was changed by this transaction, which has not committed"
                ),
            )
            .detail("Training runs in a background worker, which sees only committed rows.")
            .hint("COMMIT first, then call insight_train."));
        }
    }
    Ok(())
}

/// A worker sees no extension that this transaction creates, and waits for ever for one that it drops.
fn check_catalog() -> Result<()> {
    // SAFETY: catalog look-ups by name.
    let catalog = unsafe {
        let namespace = pg_sys::get_namespace_oid(c"insight".as_ptr(), true);
        pg_sys::get_relname_relid(c"job".as_ptr(), namespace)
    };
    if locked_by_this_transaction(catalog, "ARRAY['AccessExclusiveLock']")? {
        return Err(Error::new(
            "55000",
            "the extension insight was created or changed by this transaction, which has not committed",
        )
        .detail("Training runs in a background worker, which sees only what is committed.")
        .hint("COMMIT first, then call insight_train."));
    }
    Ok(())
}

/// Writing takes a lock that is held until the transaction ends; partitions count for their parent.
fn written_by_this_transaction(relation: pg_sys::Oid) -> Result<bool> {
    locked_by_this_transaction(
        relation,
        "ARRAY['RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']",
    )
}

fn locked_by_this_transaction(relation: pg_sys::Oid, modes: &str) -> Result<bool> {
    Spi::connect(|client| {
        let row = client
            .select(
                &format!(
                    "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l \
                       WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.locktype OPERATOR(pg_catalog.=) 'relation' \
                       AND l.mode OPERATOR(pg_catalog.=) ANY ({modes}) \
                       AND (l.relation OPERATOR(pg_catalog.=) $1 OR l.relation IN (SELECT p.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) p)))"
                ),
                None,
                &[relation.into()],
            )?
            .first();
        Ok(row.get_one::<bool>()?.unwrap_or(false))
    })
}

/// The whole table, or every column that is read; `without` gives the options that leave columns out.
pub fn check_privileges(
    source: &Source,
    columns: &[String],
    without: impl Fn(&[&str]) -> serde_json::Value,
) -> Result<()> {
    let Some(relation) = source.relation else {
        return Ok(());
    };
    // SAFETY: look-ups of the current role's rights on an existing relation.
    unsafe {
        let role = pg_sys::GetUserId();
        if pg_sys::pg_class_aclcheck(relation, role, versions::ACL_SELECT)
            == pg_sys::AclResult::ACLCHECK_OK
        {
            return Ok(());
        }
        let mut denied = Vec::new();
        for name in columns {
            let Ok(c_name) = std::ffi::CString::new(name.as_str()) else {
                continue;
            };
            let number = pg_sys::get_attnum(relation, c_name.as_ptr());
            let allowed =
                pg_sys::pg_attribute_aclcheck(relation, number, role, versions::ACL_SELECT);
            if allowed != pg_sys::AclResult::ACLCHECK_OK {
                denied.push(name.as_str());
            }
        }
        if denied.is_empty() {
            return Ok(());
        }
        if denied.len() == columns.len() {
            return Err(
                Error::new("42501", format!("permission denied for {}", source.label())).hint(
                    format!(
                        "Ask its owner for: GRANT SELECT ON {} TO {};",
                        source.from,
                        spi::quote_identifier(store::catalog::role_name(role))
                    ),
                ),
            );
        }
        let quoted: Vec<String> = denied.iter().map(|d| format!("\"{d}\"")).collect();
        Err(Error::new(
            "42501",
            format!(
                "permission denied for column {} of {}",
                quoted.join(", "),
                source.label()
            ),
        )
        .hint(format!(
            "Leave it out with options => {}, or ask for SELECT on it.",
            spi::quote_literal(without(&denied).to_string())
        )))
    }
}
