//! Training again what was trained before: a new version from today's rows, or the same one, to see whether it is the same.

use super::options::{boolean, text, wrong_type};
use super::spec::Call;
use super::{submit, targets};
use crate::error::{Error, Result, required};
use crate::relation::resolve::{self, Source};
use crate::relation::sources::{self, trust};
use crate::store::cache;
use crate::store::deployments::{self, Promote};
use crate::store::record::{self, Record};
use crate::store::rights::Right;
use insight_engine::artifact::Artifact;
use insight_engine::trained::TrainedModel;
use pgrx::pg_sys;
use serde_json::{Map, Value};

/// A call of `insight_train` as it was made for the deployed version (or the one named), with some options replaced.
pub fn retrain(model: Option<&str>, options: &Value) -> Result<Call> {
    let reference = required(model, "model")?;
    let Value::Object(changes) = options else {
        return Err(Error::new("22023", "options must be a JSON object")
            .hint("For example '{\"epochs\": 20}'."));
    };
    if changes.contains_key("targets") {
        return Err(
            Error::new("22023", "option \"targets\" is for insight_train alone")
                .hint("Each of its models is trained again by its own name."),
        );
    }
    let promote = promote(changes)?;
    let record = trusted(record::record(cache::version(reference, Right::Manage)?)?)?;
    for option in ["label_relation", "static_relation"] {
        trusted_beside(&record, option)?;
    }
    trusted_children(&record)?;
    let mut options = record.options;
    if let Value::Object(all) = &mut options {
        // How the call was made says nothing about the model.
        all.remove("wait");
        all.remove("deploy");
        all.extend(changes.clone());
        all.remove("promote");
        all.remove("deploy");
    }
    let (relation, target) = (Some(&*record.relation), Some(&*record.target));
    let target = target.filter(|target| !target.is_empty());
    let mut calls = targets::calls(relation, target, Some(&record.model), &options)?;
    let mut call = calls
        .pop()
        .ok_or_else(|| Error::new("XX000", "nothing is to be trained"))?;
    call.spec.champion = deployments::champion(&record.model)?;
    call.spec.promote = Some(promote);
    Ok(call)
}

/// When the new version is deployed: the option `promote`, or `deploy` as elsewhere.
fn promote(options: &Map<String, Value>) -> Result<Promote> {
    let deploy = boolean(options, "deploy")?;
    match (text(options, "promote")?.as_deref(), deploy) {
        (Some(_), Some(_)) => Err(Error::new(
            "22023",
            "options \"promote\" and \"deploy\" exclude each other",
        )
        .hint("Give promote alone: deploy true is always, false is never.")),
        (Some("always"), _) | (None, Some(true)) => Ok(Promote::Always),
        (Some("never"), _) | (None, Some(false)) => Ok(Promote::Never),
        (Some("if_better"), _) | (None, None) => Ok(Promote::IfBetter),
        (Some(_), _) => Err(wrong_type("promote", "one of if_better, always, never")),
    }
}

/// Whether who trained the version has the caller's rights. Who imported it has not written what it says.
fn is_author(record: &Record) -> bool {
    // SAFETY: a membership look-up of two role oids, the caller's read from this process.
    !record.imported && unsafe { pg_sys::has_privs_of_role(record.author, pg_sys::GetUserId()) }
}

/// The relation that an option of a record names, if it may be read with the caller's rights.
pub fn trusted_beside(record: &Record, option: &str) -> Result<Option<Source>> {
    let Some(relation) = record.options.get(option).and_then(Value::as_str) else {
        return Ok(None);
    };
    trusted_relation(record, relation).map(Some)
}

/// Whether the tables of the children may be read with the caller's rights.
fn trusted_children(record: &Record) -> Result<()> {
    let children = record.options.get("children").and_then(Value::as_object);
    for (name, own) in children.into_iter().flatten() {
        let relation = own.get("relation").and_then(Value::as_str);
        trusted_relation(record, relation.unwrap_or(name))?;
    }
    Ok(())
}

/// The same of a relation that a record names.
fn trusted_relation(record: &Record, relation: &str) -> Result<Source> {
    let source = resolve::resolve(relation)?;
    if !is_author(record) {
        let (schema, name) = source.qualified()?;
        trust::check(&schema, &name)?;
    }
    Ok(source)
}

/// A record whose relation may be read with the caller's rights: by its author, who had them, or a plain table. What else there
/// is would run code that the caller has not named.
pub fn trusted(record: Record) -> Result<Record> {
    if record.imported {
        return Err(Error::new(
            "55000",
            "the model was imported: it is not known here what it was trained on",
        )
        .hint("Name a relation: insight_train(relation, target, model) trains a version of it."));
    }
    if is_author(&record) {
        return Ok(record);
    }
    let source = resolve::resolve(&record.relation)?;
    if source.relation.is_none() {
        return Err(Error::new(
            "42501",
            "the model was trained on a query, which could run its author's code with your rights",
        )
        .hint(
            "Do it as the role that trained the version, or call insight_train with the query.",
        ));
    }
    let (schema, name) = source.qualified()?;
    trust::check(&schema, &name)?;
    if let Value::Object(options) = &record.options
        && let Some(sources) = sources::parse(options, &source)?
    {
        sources.check_trust()?;
    }
    Ok(record)
}

/// What came of training a version again.
pub struct Reproduction {
    pub model: String,
    pub version: i32,
    pub same: bool,
    pub metric: Option<String>,
    pub score: Option<f64>,
    pub score_again: Option<f64>,
    /// In words: what differs, or what was compared.
    pub detail: String,
}

/// Trains a version again from its record, stores nothing, and compares.
pub fn reproduce(model: Option<&str>) -> Result<Reproduction> {
    let reference = required(model, "model")?;
    let id = cache::version(reference, Right::Explain)?;
    let record = trusted(record::record(id)?)?;
    if record.options.get("privacy").is_some_and(|p| !p.is_null()) {
        return Err(Error::new(
            "0A000",
            "a model that was trained under differential privacy cannot be reproduced",
        )
        .detail(
            "Its noise is never the same, and training it again would spend from the budget again.",
        )
        .hint("insight_retrain(model) trains a new version."));
    }
    for option in ["label_relation", "static_relation"] {
        trusted_beside(&record, option)?;
    }
    trusted_children(&record)?;
    let before = cache::trained(reference, id)?;
    let mut options = record.options;
    if let Value::Object(all) = &mut options {
        all.remove("wait");
        if let TrainedModel::Table(artifact) = &before {
            all.insert("device".into(), artifact.provenance.device.clone().into());
        }
    }
    let (relation, target) = (Some(&*record.relation), Some(&*record.target));
    let target = target.filter(|target| !target.is_empty());
    let mut calls = targets::calls(relation, target, Some(&record.model), &options)?;
    let call = calls
        .pop()
        .ok_or_else(|| Error::new("XX000", "nothing is to be trained"))?;
    let (_, after) = submit::ask(&call.spec, |_, handed| {
        TrainedModel::from_bytes(handed.bytes).map_err(|e| {
            Error::new("XX000", "the worker's model cannot be read").detail(e.to_string())
        })
    })?;
    let same = before.same_model(&after);
    let score = before.card().headline;
    Ok(Reproduction {
        model: record.model,
        version: record.version,
        same,
        metric: score.as_ref().map(|m| m.metric.clone()),
        score: score.map(|m| m.value),
        score_again: after.card().headline.map(|m| m.value),
        detail: explain(&before, &after, same),
    })
}

fn explain(before: &TrainedModel, after: &TrainedModel, same: bool) -> String {
    match (before, after) {
        _ if same => "every prepared column, weight and score is the same, bit for bit".into(),
        (TrainedModel::Table(before), TrainedModel::Table(after)) => explain_table(before, after),
        _ => {
            let cards = [before.card(), after.card()];
            let told = |key: &str| {
                cards
                    .each_ref()
                    .map(|c| c.summary["provenance"][key].to_string())
            };
            let mut causes = Vec::new();
            let [old, new] = cards.each_ref().map(|card| card.rows);
            if old != new {
                causes.push(format!(
                    "the data is not the same: {old} rows then, {new} now"
                ));
            }
            let [old, new] = told("engine_version");
            if old != new {
                causes.push(format!("insight {old} then, {new} now"));
            }
            if told("stopped_by")
                .iter()
                .any(|by| by.contains("max_seconds"))
            {
                causes.push(OUT_OF_TIME.into());
            }
            let [old, new] = told("params");
            if old != new {
                causes.push("settings or defaults differ".into());
            }
            if causes.is_empty() {
                causes.push("as many rows as then, but not the same, or in another order".into());
            }
            causes.join("; ")
        }
    }
}

const OUT_OF_TIME: &str = "max_seconds ended the training, and the machine is not always as fast";

fn explain_table(before: &Artifact, after: &Artifact) -> String {
    let (old, new) = (&before.provenance, &after.provenance);
    let mut causes = Vec::new();
    let data = old.data_fingerprint != new.data_fingerprint;
    if data {
        causes.push(format!(
            "the data is not the same: {} rows then, {} now, fingerprint {} then, {} now",
            old.rows, new.rows, old.data_fingerprint, new.data_fingerprint
        ));
    }
    if old.engine_version != new.engine_version {
        causes.push(format!(
            "insight {} then, {} now",
            old.engine_version, new.engine_version
        ));
    }
    if old.stopped_by == "max_seconds" || new.stopped_by == "max_seconds" {
        causes.push(OUT_OF_TIME.into());
    }
    if old.device != "cpu" || old.device_given_up.is_some() {
        causes.push("a GPU adds up in no fixed order".into());
    }
    if old.params != new.params {
        causes.push("settings or defaults differ".into());
    }
    if causes.is_empty() {
        causes.push("same data and options, another model: this should not happen on a CPU".into());
    }
    causes.join("; ")
}
