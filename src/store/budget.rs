//! Privacy budgets of tables: how much of a table may be told under differential privacy, and what has been told of it.
//!
//! What is spent adds up (basic composition: Dwork and Roth 2014, theorem 3.16). A relation counts together with those that inherit
//! from it and those it inherits from, partitions among them.

use super::catalog::as_owner;
use crate::error::{Error, Result};
use crate::versions;
use pgrx::prelude::*;
use pgrx::{pg_sys, spi::SpiClient};

/// Sums of floating-point numbers may exceed what they should be by so much.
const ROUNDING: f64 = 1.0 + 1e-9;

/// The relations of `$1` (oids) with all that inherit from them or that they inherit from.
const RELATED: &str = "WITH RECURSIVE up (oid) AS (\
     SELECT unnest($1::oid[]) UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON i.inhrelid = up.oid), \
   down (oid) AS (\
     SELECT unnest($1::oid[]) UNION SELECT i.inhrelid FROM pg_inherits i JOIN down ON i.inhparent = down.oid), \
   related (oid) AS (SELECT oid FROM up UNION SELECT oid FROM down)";

/// What is told, and to whom.
#[derive(Debug, Clone)]
pub struct Use<'a> {
    pub epsilon: f64,
    pub delta: f64,
    /// For the ledger, such as `model customers_churn`.
    pub what: &'a str,
    pub job: Option<i64>,
    pub role: pg_sys::Oid,
}

/// Where a budget stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The table, with its schema where it needs one.
    pub relation: String,
    pub epsilon: f64,
    pub delta: f64,
    pub epsilon_spent: f64,
    pub delta_spent: f64,
}

impl Standing {
    pub fn epsilon_left(&self) -> f64 {
        (self.epsilon - self.epsilon_spent).max(0.0)
    }

    pub fn delta_left(&self) -> f64 {
        (self.delta - self.delta_spent).max(0.0)
    }

    /// Whether so much more may be told.
    fn allows(&self, epsilon: f64, delta: f64) -> Result<()> {
        if self.epsilon_spent + epsilon <= self.epsilon * ROUNDING
            && self.delta_spent + delta <= self.delta * ROUNDING
        {
            return Ok(());
        }
        Err(Error::new(
            "53400",
            format!("the privacy budget of \"{}\" does not allow this", self.relation),
        )
        .detail(format!(
            "It takes epsilon {epsilon}{}; of epsilon {} and delta {:e}, epsilon {} and delta {:e} are left.",
            // How many rows there are, and with it the default, is not known before they are read.
            match delta > 0.0 {
                true => format!(" and delta {delta:e}"),
                false => String::new(),
            },
            self.epsilon,
            self.delta,
            rounded(self.epsilon_left()),
            rounded(self.delta_left())
        ))
        .hint("Ask for less, or ask the table's owner, who sets the budget with insight_privacy_budget."))
    }
}

/// Six significant digits: differences of sums have more that mean nothing.
fn rounded(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

/// Sets the budget of a table, or with `None` takes it away; the ledger stays. Answers where it stands.
///
/// # Errors
/// 42501 for a role that is neither the table's owner nor a superuser, 42809 for a view.
pub fn set(relation: pg_sys::Oid, budget: Option<(f64, f64)>) -> Result<Option<Standing>> {
    // SAFETY: plain reads of this process's identity and of the catalog.
    let (role, owns, kind) = unsafe {
        let role = pg_sys::GetUserId();
        let owns = versions::owns_relation(relation, role);
        (role, owns, pg_sys::get_rel_relkind(relation) as u8)
    };
    let name = crate::relation::resolve::relation_name(relation).unwrap_or_default();
    if !matches!(kind, b'r' | b'p' | b'f' | b'm') {
        return Err(Error::new("42809", format!("\"{name}\" is not a table"))
            .hint("A budget belongs to the table that has the rows; views on it count for it."));
    }
    if !owns {
        return Err(
            Error::new("42501", format!("must be owner of table \"{name}\""))
                .hint("The owner of a table says how much may be told of it."),
        );
    }
    as_owner(|| {
        Spi::connect_mut(|client| {
            match budget {
                None => client.update(
                    "DELETE FROM insight.privacy_budget WHERE relation = $1",
                    None,
                    &[relation.into()],
                )?,
                Some((epsilon, delta)) => client.update(
                    "INSERT INTO insight.privacy_budget (relation, epsilon, delta, set_by) VALUES ($1, $2, $3, pg_get_userbyid($4)) \
                     ON CONFLICT (relation) DO UPDATE SET epsilon = excluded.epsilon, delta = excluded.delta, \
                     set_by = excluded.set_by, set_at = clock_timestamp()",
                    None,
                    &[
                        relation.into(),
                        epsilon.into(),
                        delta.into(),
                        role.into(),
                    ],
                )?,
            };
            Ok(standings(client, &[relation], false)?
                .into_iter()
                .find(|(oid, _)| *oid == relation)
                .map(|(_, standing)| standing))
        })
    })
}

/// Notes a use of relations in the current transaction, if their budgets allow it. Roll the transaction back, and nothing is
/// spent: call it where the commit comes before anything is told, else see [`crate::job::ledger::spend`].
///
/// # Errors
/// 53400 where a budget does not allow it.
pub fn charge(relations: &[pg_sys::Oid], of: &Use<'_>) -> Result<()> {
    // What others spend while this waits for them must be seen, whatever the role's default isolation is.
    // SAFETY: the transaction has just begun and is this process's own.
    unsafe { pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32 };
    as_owner(|| {
        Spi::connect_mut(|client| {
            let budgets = standings(client, relations, true)?;
            for (_, standing) in &budgets {
                standing.allows(of.epsilon, of.delta)?;
            }
            let mut charged = relations.to_vec();
            charged.extend(budgets.iter().map(|(oid, _)| *oid));
            charged.sort_unstable_by_key(|oid| oid.to_u32());
            charged.dedup();
            client.update(
                "INSERT INTO insight.privacy_spent (relation, epsilon, delta, what, job, role) \
                 SELECT r, $2, $3, $4, $5, pg_get_userbyid($6) FROM unnest($1::oid[]) r",
                None,
                &[
                    charged.into(),
                    of.epsilon.into(),
                    of.delta.into(),
                    of.what.into(),
                    of.job.into(),
                    of.role.into(),
                ],
            )?;
            Ok(())
        })
    })
}

/// Whether budgets allow a use; nothing is noted.
///
/// # Errors
/// 53400 where one does not.
pub fn check(relations: &[pg_sys::Oid], epsilon: f64, delta: f64) -> Result<()> {
    let budgets = of(relations)?;
    budgets
        .iter()
        .try_for_each(|(_, standing)| standing.allows(epsilon, delta))
}

/// The same of the calling role.
///
/// # Errors
/// As [`check_plain_of`].
pub fn check_plain(relations: &[pg_sys::Oid]) -> Result<()> {
    // SAFETY: a plain read of this process's identity.
    check_plain_of(relations, unsafe { pg_sys::GetUserId() })
}

/// Whether a role may learn from relations without differential privacy: of a table with a budget only its owner may.
///
/// # Errors
/// 42501 names the table.
pub fn check_plain_of(relations: &[pg_sys::Oid], role: pg_sys::Oid) -> Result<()> {
    // SAFETY: look-ups of relations that exist.
    let owns = |relation: &pg_sys::Oid| unsafe { versions::owns_relation(*relation, role) };
    match of(relations)?.iter().find(|(relation, _)| !owns(relation)) {
        None => Ok(()),
        Some((_, standing)) => Err(Error::new(
            "42501",
            format!(
                "\"{}\" has a privacy budget: only its owner may train on it without differential privacy",
                standing.relation
            ),
        )
        .detail(format!(
            "Of epsilon {} and delta {:e}, epsilon {} and delta {:e} are left.",
            standing.epsilon,
            standing.delta,
            rounded(standing.epsilon_left()),
            rounded(standing.delta_left())
        ))
        .hint("For example options => '{\"privacy\": {\"epsilon\": 1}}'.")),
    }
}

fn of(relations: &[pg_sys::Oid]) -> Result<Vec<(pg_sys::Oid, Standing)>> {
    as_owner(|| Spi::connect_mut(|client| standings(client, relations, false)))
}

/// The budgets that a use of relations concerns; with `lock` no other transaction spends from them until this one ends.
fn standings(
    client: &mut SpiClient<'_>,
    relations: &[pg_sys::Oid],
    lock: bool,
) -> Result<Vec<(pg_sys::Oid, Standing)>> {
    let relations = relations.to_vec();
    if lock {
        client.update(
            &format!(
                "{RELATED} SELECT FROM insight.privacy_budget b WHERE b.relation IN (SELECT oid FROM related) \
                 ORDER BY b.relation FOR UPDATE OF b"
            ),
            None,
            &[relations.clone().into()],
        )?;
    }
    // A statement of its own: it sees what was committed while the first one waited.
    let rows = client.select(
        &format!(
            "{RELATED} SELECT b.relation::oid, b.relation::text, b.epsilon, b.delta, \
             COALESCE(sum(s.epsilon), 0), COALESCE(sum(s.delta), 0) \
             FROM insight.privacy_budget b LEFT JOIN insight.privacy_spent s ON s.relation = b.relation \
             WHERE b.relation IN (SELECT oid FROM related) GROUP BY b.relation ORDER BY b.relation"
        ),
        None,
        &[relations.into()],
    )?;
    let mut found = Vec::new();
    for row in rows {
        let number = |at: usize| Ok::<_, Error>(row.get::<f64>(at)?.unwrap_or_default());
        let oid = row.get::<pg_sys::Oid>(1)?.unwrap_or(pg_sys::InvalidOid);
        found.push((
            oid,
            Standing {
                relation: row.get::<String>(2)?.unwrap_or_default(),
                epsilon: number(3)?,
                delta: number(4)?,
                epsilon_spent: number(5)?,
                delta_spent: number(6)?,
            },
        ));
    }
    Ok(found)
}
