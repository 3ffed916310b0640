//! `insight_leak_test`: its options, its job, what is kept of it.

use super::spec::{self, Work};
use super::{again, submit};
use crate::error::{Error, Result, required};
use crate::messages::notice;
use crate::settings;
use crate::store::cache::{self, Loaded};
use crate::store::rights::Right;
use crate::store::{leak, record};
use insight_engine::privacy::leak::{Findings, Plan};
use pgrx::pg_sys;
use serde_json::Value;

/// Attacks models trained as a version was, as a job of the caller, who waits, must be a member of the model's owner and must be
/// able to read what it was trained on. What is found is kept with the version.
pub fn leak_test(model: Option<&str>, given: &Value, role: pg_sys::Oid) -> Result<Findings> {
    let reference = required(model, "model")?;
    let Value::Object(given) = given else {
        return Err(Error::new("22023", "options must be a JSON object")
            .hint("For example '{\"shadows\": 32}'."));
    };
    spec::check_keys(given, &[Plan::KEYS], " of insight_leak_test")?;
    let mut plan = Plan::from_json(given)?;
    if let Some(most) = settings::max_seconds() {
        plan.max_seconds = plan.max_seconds.min(most);
    }
    let id = cache::version(reference, Right::Manage)?;
    let record = record::record(id)?;
    if !matches!(cache::model_of(reference, id)?, Loaded::Predictor(_)) {
        return Err(Error::new(
            "42809",
            format!("model \"{reference}\" does not predict a column of rows"),
        )
        .hint("Leak tests are for such models; insight_fidelity tells of models that make rows."));
    }
    let record = again::trusted(record)?;
    let mut options = record.options;
    let private = options.get("privacy").is_some_and(|own| !own.is_null());
    if let Value::Object(all) = &mut options {
        all.remove("wait");
        all.remove("deploy");
        let start = all.get("warm_start").filter(|start| !start.is_null());
        if start.is_some_and(|start| *start != Value::Bool(false)) {
            return Err(Error::new(
                "0A000",
                format!("model \"{reference}\" went on from another version"),
            )
            .detail(
                "Of the rows which that version has seen it is not known which halves they are in.",
            )
            .hint("Test the version it went on from, or train it anew."));
        }
    }
    let call = spec::check(
        Some(&record.relation),
        Some(&record.target),
        Some(&record.model),
        &options,
        Work::Leak(plan),
    )?;
    let (job, found) = submit::ask(&call.spec, |_, handed| {
        serde_json::from_slice::<Findings>(handed.bytes).map_err(|e| {
            Error::new("XX000", "the worker's answer cannot be read").detail(e.to_string())
        })
    })?;
    leak::keep(id, job, role, &found)?;
    if private {
        notice(
            "these figures have no noise: they are for those who may read the rows, and no budget counts them",
        );
    }
    for note in &found.notes {
        notice(note);
    }
    Ok(found)
}
