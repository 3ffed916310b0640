//! Reading and writing the catalog, as the extension's owner.

use super::audit::{self, Entry};
use super::deployments::{self, Verdict};
use super::lent;
use super::rights::{self, Right};
use crate::error::{Error, Result};
use crate::relation::resolve::did_you_mean;
use crate::settings;
use pgrx::prelude::*;
use pgrx::{pg_sys, spi::SpiClient};
use std::ffi::CStr;

/// Flags of the security context; not in the bindings because C defines them by macro.
const SECURITY_LOCAL_USERID_CHANGE: i32 = 1;

/// The role that owns the catalog: the extension's owner. Asked on every call, so by the system caches alone.
pub fn owner() -> pg_sys::Oid {
    // SAFETY: cache look-ups by name; the tuple is read before it is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(model_relation()),
        );
        if tuple.is_null() {
            return pg_sys::Oid::from(10);
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    }
}

/// The table insight.model of this database's extension; invalid where there is none.
pub fn model_relation() -> pg_sys::Oid {
    // SAFETY: cache look-ups by name.
    unsafe {
        let namespace = pg_sys::get_namespace_oid(c"insight".as_ptr(), true);
        pg_sys::get_relname_relid(c"model".as_ptr(), namespace)
    }
}

/// Whether this database has the extension.
pub fn installed() -> bool {
    // SAFETY: a catalog look-up by name.
    unsafe { pg_sys::get_extension_oid(c"insight".as_ptr(), true) != pg_sys::InvalidOid }
}

/// Restores the caller's identity and settings, on errors too.
struct Identity {
    user: pg_sys::Oid,
    context: i32,
    nest: i32,
}

impl Drop for Identity {
    fn drop(&mut self) {
        // SAFETY: values that were read from the same process; while an error unwinds, the transaction's abort
        // restores the settings, so only the identity is set back.
        unsafe {
            if !std::thread::panicking() {
                pg_sys::AtEOXact_GUC(true, self.nest);
            }
            pg_sys::SetUserIdAndSecContext(self.user, self.context);
        }
    }
}

/// Runs `work` as the extension's owner with a safe search path; the caller's identity is restored afterwards, on errors too.
pub fn as_owner<T>(work: impl FnOnce() -> T) -> T {
    let owner = owner();
    let mut identity = Identity {
        user: pg_sys::InvalidOid,
        context: 0,
        nest: 0,
    };
    // SAFETY: plain reads and writes of this process's identity, undone by the guard.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut identity.user, &mut identity.context);
        identity.nest = pg_sys::NewGUCNestLevel();
        pg_sys::SetUserIdAndSecContext(owner, identity.context | SECURITY_LOCAL_USERID_CHANGE);
        settings::set_in_level(c"search_path", c"pg_catalog, pg_temp");
    }
    let result = work();
    drop(identity);
    result
}

/// A role's name, for messages.
pub fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: a syscache look-up; NULL where there is no such role.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            role.to_u32().to_string()
        } else {
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }
}

/// Who may change a model: members of its owner, and whom they let manage it; of an owner that is gone, superusers.
pub(super) fn check_manages(
    (id, model, owner): (i64, &str, &str),
    role: pg_sys::Oid,
) -> Result<()> {
    if rights::strongest(id, owner, role) == Some(Right::Manage) {
        return Ok(());
    }
    Err(
        Error::new("42501", format!("must be owner of model \"{model}\""))
            .detail(format!("The owner is \"{owner}\"."))
            .hint("Choose another model name, or ask the owner."),
    )
}

/// Whether a model of this name exists that the role may not change.
pub fn check_may_train(model: &str, role: pg_sys::Oid) -> Result<()> {
    as_owner(|| {
        Spi::connect(|client| match find(client, model)? {
            Some((id, owner, _)) => check_manages((id, model, &owner), role),
            None => Ok(()),
        })
    })
}

/// Moves the deployed pointer, notes why, and tells every session.
pub(super) fn point_to(
    client: &mut SpiClient<'_>,
    model: i64,
    version: i32,
    role: pg_sys::Oid,
    verdict: &Verdict,
) -> Result<()> {
    deployments::note(client, model, version, role, verdict)?;
    client.update(
        "UPDATE insight.model SET deployed = $2, deployed_at = clock_timestamp(), deployed_by = pg_get_userbyid($3) WHERE id = $1",
        None,
        &[model.into(), version.into(), role.into()],
    )?;
    announce();
    Ok(())
}

/// Sends a relation cache invalidation of insight.model: caches of resolved names listen to it.
fn announce() {
    let relation = model_relation();
    if relation != pg_sys::InvalidOid {
        // SAFETY: invalidating a relation that exists is always allowed.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) };
    }
}

/// Id, owner and deployed version of a model.
pub fn find(client: &SpiClient<'_>, model: &str) -> Result<Option<(i64, String, Option<i32>)>> {
    let row = client
        .select(
            "SELECT id, owner::text, deployed FROM insight.model WHERE name = $1",
            None,
            &[model.into()],
        )?
        .first();
    if row.is_empty() {
        return Ok(None);
    }
    let (id, owner, deployed) = row.get_three::<i64, String, i32>()?;
    Ok(id.zip(owner).map(|(id, owner)| (id, owner, deployed)))
}

/// The error for a model that is not there, with those that the caller may see.
pub fn unknown_model(client: &SpiClient<'_>, model: &str, role: pg_sys::Oid) -> Error {
    let names: Vec<String> = client
        .select(
            "SELECT m.name FROM insight.model m WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r \
               WHERE pg_catalog.pg_has_role($1, r.oid, 'USAGE') AND (r.rolname OPERATOR(pg_catalog.=) m.owner OR EXISTS ( \
               SELECT FROM insight.privilege g WHERE g.model OPERATOR(pg_catalog.=) m.id \
               AND (g.role OPERATOR(pg_catalog.=) r.rolname OR g.role OPERATOR(pg_catalog.=) 'public'::pg_catalog.name)))) \
             ORDER BY m.name LIMIT 1000",
            None,
            &[role.into()],
        )
        .map(|rows| {
            rows.filter_map(|row| row.get::<String>(1).ok().flatten())
                .collect()
        })
        .unwrap_or_default();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = if names.is_empty() {
        "There is none that you may use: SELECT * FROM insight_train('table', 'target').".into()
    } else {
        did_you_mean(model, &names)
    };
    Error::new("42704", format!("model \"{model}\" does not exist")).hint(hint)
}

fn require(client: &SpiClient<'_>, model: &str, role: pg_sys::Oid) -> Result<(i64, Option<i32>)> {
    let Some((id, owner, deployed)) = find(client, model)? else {
        return Err(unknown_model(client, model, role));
    };
    check_manages((id, model, &owner), role)?;
    Ok((id, deployed))
}

/// The id of a model that the role may change.
pub fn owned(client: &SpiClient<'_>, model: &str, role: pg_sys::Oid) -> Result<i64> {
    require(client, model, role).map(|(id, _)| id)
}

/// Deletes versions of a model, and tells every session.
pub fn drop_versions(ids: &[i64]) -> Result<()> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            client.update(
                "DELETE FROM insight.version WHERE id = ANY ($1)",
                None,
                &[ids.to_vec().into()],
            )?;
            lent::forget(ids);
            announce();
            Ok(())
        })
    })
}

fn versions(client: &SpiClient<'_>, model: i64) -> Result<Vec<i32>> {
    let rows = client.select(
        "SELECT version FROM insight.version WHERE model = $1 ORDER BY version",
        None,
        &[model.into()],
    )?;
    Ok(rows
        .filter_map(|row| row.get::<i32>(1).ok().flatten())
        .collect())
}

fn note(action: &str, model: &str, version: Option<i32>, role: pg_sys::Oid) -> Result<()> {
    audit::write(&Entry {
        model: Some(model),
        version,
        role: Some(role),
        ..Entry::of(action)
    })
}

/// Deploys a version; answers it.
pub fn deploy(model: &str, version: i32, role: pg_sys::Oid) -> Result<i32> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            let (id, _) = require(client, model, role)?;
            let versions = versions(client, id)?;
            if !versions.contains(&version) {
                let known: Vec<String> = versions.iter().map(i32::to_string).collect();
                return Err(Error::new(
                    "42704",
                    format!("model \"{model}\" has no version {version}"),
                )
                .hint(format!("Known are: {}.", known.join(", "))));
            }
            point_to(client, id, version, role, &Verdict::of("insight_deploy"))?;
            note("deploy", model, Some(version), role)?;
            Ok(version)
        })
    })
}

/// Deploys the version that was deployed before the deployed one; answers it.
pub fn rollback(model: &str, role: pg_sys::Oid) -> Result<i32> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            let (id, deployed) = require(client, model, role)?;
            let earlier = match deployed {
                Some(deployed) => deployments::before(client, id, deployed)?,
                None => None,
            };
            let Some(version) = earlier else {
                return Err(Error::new(
                    "55000",
                    format!("model \"{model}\" has no version before the deployed one"),
                )
                .hint("insight.versions lists them; insight_deploy(model, version) deploys any."));
            };
            point_to(client, id, version, role, &Verdict::of("insight_rollback"))?;
            note("rollback", model, Some(version), role)?;
            Ok(version)
        })
    })
}

/// Drops a model with all its versions; answers how many.
pub fn drop_model(model: &str, role: pg_sys::Oid) -> Result<i64> {
    as_owner(|| {
        Spi::connect_mut(|client| {
            let (id, _) = require(client, model, role)?;
            let rows = client.select(
                "SELECT v.id FROM insight.version v WHERE v.model OPERATOR(pg_catalog.=) $1",
                None,
                &[id.into()],
            )?;
            let ids: Vec<i64> = rows
                .filter_map(|row| row.get::<i64>(1).ok().flatten())
                .collect();
            note("drop", model, None, role)?;
            // The log has no foreign key: it would be looked up for every prediction.
            client.update(
                "DELETE FROM insight.prediction WHERE model = $1",
                None,
                &[id.into()],
            )?;
            client.update(
                "DELETE FROM insight.model WHERE id = $1",
                None,
                &[id.into()],
            )?;
            lent::forget(&ids);
            announce();
            Ok(ids.len() as i64)
        })
    })
}

/// How many models, versions and bytes the catalog holds.
pub fn inventory() -> Result<(i64, i64, i64)> {
    as_owner(|| {
        Spi::connect(|client| {
            let row = client
                .select(
                    "SELECT (SELECT count(*) FROM insight.model), count(*), COALESCE(sum(octet_length(artifact)), 0)::bigint \
                     FROM insight.version",
                    None,
                    &[],
                )?
                .first();
            let (models, versions, bytes) = row.get_three::<i64, i64, i64>()?;
            Ok((
                models.unwrap_or(0),
                versions.unwrap_or(0),
                bytes.unwrap_or(0),
            ))
        })
    })
}
