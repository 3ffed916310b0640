//! Whose code runs when a model's sources are read for a prediction.
//!
//! Who predicts has not named the sources: the model's owner has. Reading a plain table runs nobody's code. A view runs its
//! functions, a row-level security policy its expression, a type that is not PostgreSQL's own its casts, and all of that with
//! the rights of who predicts. So they must belong to a role that has those rights anyway.

use super::Sources;
use crate::error::{Error, Result};
use crate::relation::resolve;
use crate::store::catalog::role_name;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::quote_identifier;

/// The first oid of an object that did not come with PostgreSQL.
const FIRST_NORMAL: u32 = 16_384;

impl Sources {
    /// An error where reading a source would run somebody's code with the current role's rights.
    pub fn check_trust(&self) -> Result<()> {
        for related in &self.related {
            check(&related.schema, &related.table)?;
            if let Some(parent) = &related.parent {
                check(&parent.schema, &parent.table)?;
            }
        }
        Ok(())
    }
}

/// An error where making rows for a table that the caller has not named would run somebody's code: what checks, computes and
/// indexes its rows must be PostgreSQL's own, of which no dependency is recorded, or the owner have the current role's rights anyway.
pub fn check_rows(relation: pg_sys::Oid) -> Result<()> {
    let (owner, foreign) = Spi::connect(|client| {
        let rows = client.select(
            "SELECT c.relowner, EXISTS (SELECT FROM pg_catalog.pg_depend d \
               WHERE d.refclassid OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog.pg_proc', 'pg_catalog.pg_operator', \
                 'pg_catalog.pg_type', 'pg_catalog.pg_opclass', 'pg_catalog.pg_opfamily']::pg_catalog.regclass[]::pg_catalog.oid[]) \
               AND (d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) ANY \
                 (SELECT oid FROM pg_catalog.pg_constraint WHERE conrelid OPERATOR(pg_catalog.=) c.oid) \
               OR d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) ANY \
                 (SELECT oid FROM pg_catalog.pg_attrdef WHERE adrelid OPERATOR(pg_catalog.=) c.oid) \
               OR d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND (d.objid OPERATOR(pg_catalog.=) c.oid OR d.objid \
                 OPERATOR(pg_catalog.=) ANY (SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid OPERATOR(pg_catalog.=) c.oid)))) \
             FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
            Some(1),
            &[relation.into()],
        )?;
        let row = rows.first();
        Ok::<_, Error>((
            row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid),
            row.get::<bool>(2)?.unwrap_or(true),
        ))
    })?;
    // SAFETY: a membership look-up of two role oids.
    if !foreign || unsafe { pg_sys::has_privs_of_role(owner, pg_sys::GetUserId()) } {
        return Ok(());
    }
    let role = role_name(owner);
    Err(Error::new(
        "42501",
        format!("making rows of the parents' table could run code of \"{role}\" with your rights"),
    )
    .detail("Its constraints, indexes or computed columns use functions, operators or types that are not PostgreSQL's own.")
    .hint("Do it as that role or one it is a member of."))
}

/// The same for one table.
pub fn check(schema: &str, table: &str) -> Result<()> {
    let name = format!("{}.{}", quote_identifier(schema), quote_identifier(table));
    let source = resolve::resolve(&name)?;
    let Some(relation) = source.relation else {
        return Err(Error::new("42809", format!("{name} is no table or view")));
    };
    // SAFETY: cache look-ups of a relation that was just found; the tuple is read before it is released.
    let (owner, plain) = unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(relation),
        );
        if tuple.is_null() {
            return Err(Error::new("42P01", format!("relation {name} was dropped")));
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let (owner, kind) = ((*form).relowner, (*form).relkind as u8);
        pg_sys::ReleaseSysCache(tuple);
        let policies = pg_sys::check_enable_rls(relation, pg_sys::InvalidOid, true)
            == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32;
        (owner, matches!(kind, b'r' | b'p' | b'm') && !policies)
    };
    let known_types = source
        .columns
        .iter()
        .all(|c| c.type_oid.to_u32() < FIRST_NORMAL);
    // SAFETY: a membership look-up of two role oids.
    if (plain && known_types) || unsafe { pg_sys::has_privs_of_role(owner, pg_sys::GetUserId()) } {
        return Ok(());
    }
    Err(Error::new(
        "42501",
        format!("reading {name} could run code of \"{}\" with your rights", role_name(owner)),
    )
    .detail("It is a view, has row-level security policies, or has a column of a type that is not PostgreSQL's own.")
    .hint("Do it as that role or one it is a member of, or have the model trained on a plain table."))
}
