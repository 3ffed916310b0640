//! Who may do what with a model: its owner's members everything, others what they were granted. New models are nobody else's.

use super::audit::{self, Entry};
use super::catalog::{self, as_owner, role_name};
use super::rows::{self, Key};
use crate::error::{Error, Result};
use pgrx::prelude::*;
use pgrx::{pg_sys, spi::SpiClient};
use serde_json::json;
use std::ffi::CString;

/// What stands for everybody.
const EVERYBODY: &str = "public";

/// What may be done with a model; each right holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Answers for rows that the caller has.
    Predict,
    /// What the model goes by, which tells of the rows it was trained on.
    Explain,
    /// Training again, deploying, exporting, dropping.
    Manage,
}

impl Right {
    const ALL: [Right; 3] = [Right::Predict, Right::Explain, Right::Manage];

    fn names(which: impl Fn(Right) -> bool) -> Vec<&'static str> {
        let which = Self::ALL.into_iter().filter(|right| which(*right));
        which.map(Right::name).collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Right::Predict => "predict",
            Right::Explain => "explain",
            Right::Manage => "manage",
        }
    }

    /// `None` for a name that is none.
    fn named(name: &str) -> Option<Right> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }

    pub fn parse(name: &str) -> Result<Right> {
        Right::named(name).ok_or_else(|| {
            Error::new("22023", format!("unknown right \"{name}\""))
                .hint("Rights are: predict, explain (and predict), manage (and both).")
        })
    }
}

/// A role by its name; the invalid oid where there is none.
fn role_of(name: &str) -> pg_sys::Oid {
    let Ok(name) = CString::new(name) else {
        return pg_sys::InvalidOid;
    };
    // SAFETY: a look-up by name.
    unsafe { pg_sys::get_role_oid(name.as_ptr(), true) }
}

/// Whether a role has the rights of the role of that name. Superusers have everybody's.
pub fn is_member(role: pg_sys::Oid, name: &str) -> bool {
    // SAFETY: a look-up of memberships. Of a role that is gone, only superusers have the rights.
    unsafe { pg_sys::has_privs_of_role(role, role_of(name)) }
}

/// The strongest right of a role on a model.
pub fn strongest(model: i64, owner: &str, role: pg_sys::Oid) -> Option<Right> {
    if is_member(role, owner) {
        return Some(Right::Manage);
    }
    let granted = rows::select(
        c"privilege",
        c"privilege_pkey",
        &[Key::Long(1, model)],
        |row| (row.name(2), row.get::<String>(3)),
    );
    let granted = granted.into_iter().filter_map(|(to, right)| {
        let right = Right::named(&right?)?;
        let to = to?;
        (to == EVERYBODY || is_member(role, &to)).then_some(right)
    });
    granted.max()
}

pub fn denied(model: &str, right: Right) -> Error {
    let detail = match right {
        Right::Predict => {
            "Predicting with it needs the right \"predict\", which its owner can grant."
        }
        Right::Explain => {
            "What it goes by tells of the rows it was trained on: that needs the right \"explain\", which its owner can grant."
        }
        Right::Manage => {
            "That is for its owner, and for whom the owner has granted the right \"manage\"."
        }
    };
    // SAFETY: a plain read of this process's identity.
    let role = role_name(unsafe { pg_sys::GetUserId() });
    Error::new("42501", format!("permission denied for model \"{model}\""))
        .detail(detail)
        .hint(format!(
            "Ask the owner for: SELECT insight_grant({}, {}, '{}').",
            pgrx::spi::quote_literal(model),
            pgrx::spi::quote_literal(role),
            right.name()
        ))
}

/// The id of a model whose rights the caller may change: its owner's members alone.
fn to_change(client: &SpiClient<'_>, model: &str, role: pg_sys::Oid) -> Result<i64> {
    let Some((id, owner, _)) = catalog::find(client, model)? else {
        return Err(catalog::unknown_model(client, model, role));
    };
    match is_member(role, &owner) {
        true => Ok(id),
        false => Err(
            Error::new("42501", format!("must be owner of model \"{model}\""))
                .detail("Who may do what with a model is its owner's to say.")
                .hint("Ask the owner."),
        ),
    }
}

fn check_role(name: &str) -> Result<()> {
    match name == EVERYBODY || role_of(name) != pg_sys::InvalidOid {
        true => Ok(()),
        false => Err(
            Error::new("42704", format!("role \"{name}\" does not exist"))
                .hint("Name a role as pg_roles has it, or public for everybody."),
        ),
    }
}

/// Grants a right; false: the role has it already, by this or a stronger grant.
pub fn grant(model: &str, to: &str, right: Right, caller: pg_sys::Oid) -> Result<bool> {
    check_role(to)?;
    let changed = as_owner(|| {
        Spi::connect_mut(|client| {
            let id = to_change(client, model, caller)?;
            let stronger = Right::names(|own| own >= right);
            let weaker = Right::names(|own| own < right);
            let row = client.update(
                "WITH added AS (INSERT INTO insight.privilege (model, role, \"right\", granted_by) \
                 SELECT $1, $2::name, $3, pg_get_userbyid($4) WHERE NOT EXISTS (SELECT FROM insight.privilege g WHERE g.model = $1 \
                   AND g.role = $2::name AND g.\"right\" = ANY ($5)) ON CONFLICT DO NOTHING RETURNING 1), \
                 replaced AS (DELETE FROM insight.privilege g WHERE g.model = $1 AND g.role = $2::name AND g.\"right\" = ANY ($6)) \
                 SELECT count(*) FROM added",
                None,
                &[id.into(), to.into(), right.name().into(), caller.into(), stronger.into(), weaker.into()],
            )?.first();
            Ok::<_, Error>(row.get_one::<i64>()? == Some(1))
        })
    })?;
    if changed {
        note("grant", model, to, right)?;
    }
    Ok(changed)
}

/// Takes a right and all that are stronger away; false: the role had none of them. A weaker one stays.
pub fn revoke(model: &str, from: &str, right: Right, caller: pg_sys::Oid) -> Result<bool> {
    let changed = as_owner(|| {
        Spi::connect_mut(|client| {
            let id = to_change(client, model, caller)?;
            let stronger = Right::names(|own| own >= right);
            let row = client.update(
                "WITH gone AS (DELETE FROM insight.privilege g WHERE g.model = $1 AND g.role = $2::name AND g.\"right\" = ANY ($3) RETURNING 1) \
                 SELECT count(*) FROM gone",
                None,
                &[id.into(), from.into(), stronger.into()],
            )?.first();
            let changed = row.get_one::<i64>()? > Some(0);
            let weaker = Right::ALL.iter().rfind(|r| **r < right);
            if let Some(weaker) = weaker.filter(|_| changed) {
                client.update(
                    "INSERT INTO insight.privilege (model, role, \"right\", granted_by) VALUES ($1, $2::name, $3, pg_get_userbyid($4)) \
                     ON CONFLICT DO NOTHING",
                    None,
                    &[id.into(), from.into(), weaker.name().into(), caller.into()],
                )?;
            }
            Ok::<_, Error>(changed)
        })
    })?;
    if changed {
        note("revoke", model, from, right)?;
    }
    Ok(changed)
}

fn note(action: &str, model: &str, role: &str, right: Right) -> Result<()> {
    audit::write(&Entry {
        model: Some(model),
        detail: json!({"role": role, "right": right.name()}),
        ..Entry::of(action)
    })
}
