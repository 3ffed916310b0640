//! Spending from the privacy budget of tables so that it stays spent: by a background worker, which commits it before the caller
//! is told anything. A caller that rolls back, or is cancelled, has been told all the same.

use super::access;
use super::elsewhere::converse;
use super::shared::{Segment, State};
use super::worker::{self, transaction};
use crate::error::{Error, Result};
use crate::settings;
use crate::store::budget::{self, Use};
use pgrx::pg_sys;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Charge {
    role: u32,
    relations: Vec<u32>,
    epsilon: f64,
    delta: f64,
    what: String,
}

/// Spends from the budgets that a use of `relations` by the calling role concerns, whatever becomes of the caller's transaction;
/// call it before anything is told. Relations without a budget are noted in the ledger, too.
///
/// # Errors
/// 53400 where a budget does not allow it.
pub fn spend(relations: &[pg_sys::Oid], epsilon: f64, delta: f64, what: &str) -> Result<()> {
    // It would be refused there, too, but only after a worker was started.
    budget::check(relations, epsilon, delta)?;
    // SAFETY: plain reads of this process's identity.
    let (role, database) = unsafe { (pg_sys::GetUserId(), pg_sys::MyDatabaseId) };
    let charge = Charge {
        role: role.to_u32(),
        relations: relations.iter().map(|r| r.to_u32()).collect(),
        epsilon,
        delta,
        what: what.into(),
    };
    let session = access::session_role()?;
    let ended = || {
        Error::new(
            "58000",
            "the worker that notes what is spent could not start",
        )
    };
    converse(
        &charge,
        |handle| worker::launch_ledger(handle, database, session),
        ended,
    )
}

/// The worker's side.
pub fn answer(handle: u32) -> Result<()> {
    let Some(segment) = Segment::attach(handle) else {
        return Ok(());
    };
    let Some(control) = segment.checked_control() else {
        return Ok(());
    };
    let noted = serde_json::from_slice(segment.spec())
        .map_err(|e| Error::new("XX000", e.to_string()))
        .and_then(|charge: Charge| transaction(|| run(&charge)));
    let (state, note) = match &noted {
        Ok(()) => (State::Done, serde_json::to_vec(&())),
        Err(error) => (State::Failed, serde_json::to_vec(error)),
    };
    control.write_note(&note.unwrap_or_default());
    control.set_state(state);
    noted
}

fn run(charge: &Charge) -> Result<()> {
    // The caller may have the lock this waits for, and waits for this.
    // SAFETY: a transaction has such a level, and ends it.
    unsafe { settings::set_in_level(c"lock_timeout", c"10s") };
    let relations: Vec<pg_sys::Oid> = charge.relations.iter().map(|r| (*r).into()).collect();
    budget::charge(
        &relations,
        &Use {
            epsilon: charge.epsilon,
            delta: charge.delta,
            what: &charge.what,
            job: None,
            role: charge.role.into(),
        },
    )
}
