//! The right to be forgotten: which versions saw a key, and what becomes of them.

use super::{again, submit};
use crate::error::{Error, Result, required};
use crate::store::cache::split;
use crate::store::catalog;
use crate::store::membership::{self, Contained};
use crate::store::record;
use pgrx::pg_sys;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// What was done about one version, or one model.
pub struct Done {
    pub model: String,
    pub version: Option<i32>,
    pub action: &'static str,
    /// In words, how it is known.
    pub proof: String,
}

/// The versions of a model, or the one named, and whether they saw a key.
pub fn contains(
    model: Option<&str>,
    key: Option<&str>,
    role: pg_sys::Oid,
) -> Result<Vec<Contained>> {
    let (reference, key) = (required(model, "model")?, required(key, "key")?);
    let (model, version) = split(reference)?;
    let mut found = membership::contains(model, key, role)?;
    if let Some(wanted) = version {
        found.retain(|own| own.version == wanted);
        if found.is_empty() {
            return Err(Error::new(
                "42704",
                format!("model \"{model}\" has no version {wanted}"),
            )
            .hint("insight.versions lists them."));
        }
    }
    Ok(found)
}

/// Forgets a key in a model, or in all models of the role that know whom they saw: its rows are left out from now on, deployed
/// versions that saw it are trained again, and all that saw it are dropped, and so are those made from them.
pub fn forget(
    key: Option<&str>,
    model: Option<&str>,
    retrain: bool,
    role: pg_sys::Oid,
) -> Result<Vec<Done>> {
    let key = required(key, "key")?;
    let models = match model {
        Some(model) => vec![model.to_owned()],
        None => membership::models(role)?,
    };
    let (mut done, mut gone) = (Vec::new(), Vec::new());
    // In the order in which they were made: what a model was made from comes before it.
    for model in &models {
        // First, for it waits for whoever is storing a version of the model: that one is among those found then.
        membership::forget(model, key, role)?;
        let versions = membership::contains(model, key, role)?;
        let asked = Asked {
            model,
            key,
            retrain,
            role,
        };
        done.extend(one(&asked, &versions, &mut gone)?);
    }
    catalog::drop_versions(&gone)?;
    Ok(done)
}

/// From this rate on an answer may be about another key.
const LEAST_RATE: f64 = 1e-9;

/// What is to be forgotten in one model.
struct Asked<'a> {
    model: &'a str,
    key: &'a str,
    retrain: bool,
    role: pg_sys::Oid,
}

impl Asked<'_> {
    /// Why a version must go.
    fn why(&self, own: &Contained) -> Option<String> {
        if own.contained == Some(true) {
            return Some(match own.false_positive_rate {
                Some(rate) if rate > LEAST_RATE => {
                    format!("its filter has the key, or, with a probability of {rate:.1e}, another")
                }
                _ => "its list has the key".into(),
            });
        }
        let from = self.origin(&own.made_from)?;
        Some(format!("it was made from {from}, which saw the key"))
    }

    /// The first of the versions named, and of those that they were made from, that saw the key.
    fn origin(&self, names: &[String]) -> Option<String> {
        self.first(names, &mut HashSet::new())
    }

    fn first(&self, names: &[String], looked: &mut HashSet<String>) -> Option<String> {
        names.iter().find_map(|name| {
            if !looked.insert(name.clone()) {
                return None;
            }
            let (model, version) = split(name).ok()?;
            // Of a model that is gone, or another owner's, nothing is known.
            let all = membership::contains(model, self.key, self.role).ok()?;
            let own = all.into_iter().find(|own| match version {
                Some(version) => own.version == version,
                None => own.deployed,
            })?;
            match own.contained {
                Some(true) => Some(name.clone()),
                _ => self.first(&own.made_from, looked),
            }
        })
    }
}

fn one(asked: &Asked<'_>, versions: &[Contained], gone: &mut Vec<i64>) -> Result<Vec<Done>> {
    let model = asked.model;
    let mut done = Vec::new();
    let mut tell = |version: Option<i32>, action: &'static str, proof: String| {
        done.push(Done {
            model: model.to_owned(),
            version,
            action,
            proof,
        });
    };
    let mut deployed = None;
    for own in versions {
        let Some(why) = asked.why(own) else {
            if own.contained.is_none() {
                let proof =
                    "it was trained without the option key, or imported: nobody knows whom it saw";
                tell(Some(own.version), "unknown", proof.into());
            }
            continue;
        };
        if own.deployed {
            deployed = Some((own, why));
            continue;
        }
        gone.push(own.id);
        tell(Some(own.version), "dropped", why);
    }
    if let Some((own, why)) = deployed {
        if asked.retrain {
            let (version, proof) = without(asked, own)?;
            tell(Some(version), "trained", proof);
            gone.push(own.id);
            tell(Some(own.version), "dropped", why);
        } else {
            let proof =
                format!("{why}; it answers until insight_retrain and insight_forget are called");
            tell(Some(own.version), "kept", proof);
        }
    }
    let predictions = membership::delete_predictions(model, asked.key)?;
    if predictions > 0 {
        let proof = format!("{predictions} kept predictions of the key are deleted");
        tell(None, "deleted", proof);
    }
    Ok(done)
}

/// Trains the deployed version again without the key, and says how it is known that it is without it.
fn without(asked: &Asked<'_>, before: &Contained) -> Result<(i32, String)> {
    let mut changes = Map::new();
    changes.insert("promote".into(), "always".into());
    // Weights, or rows, of what saw the key would bring it back.
    if asked.origin(&before.made_from).is_some() {
        changes.insert("warm_start".into(), Value::Null);
        changes.insert("augment".into(), Value::Null);
        // Segments name the version by which rows are alike; the deployed one has been trained again by now.
        let options = record::record(before.id)?.options;
        if let Some(name) = options.get("model").and_then(Value::as_str) {
            changes.insert("model".into(), split(name)?.0.into());
        }
    }
    let call = again::retrain(Some(asked.model), &Value::Object(changes))?;
    let published = submit::run(&call.spec)?.published;
    let found = membership::contains(asked.model, asked.key, asked.role)?;
    let after = found.iter().find(|own| own.version == published.version);
    let Some(after) = after else {
        return Err(Error::new("XX000", "the new version is not there"));
    };
    let keys = after.keys.unwrap_or(0);
    match after.contained {
        Some(false) => Ok((
            published.version,
            format!(
                "it is trained on {} rows of {keys} keys, of which this is none; version {} saw {}{}",
                published.rows,
                before.version,
                before.keys.unwrap_or(0),
                match after.shards {
                    (0, _) => String::new(),
                    (all, kept) => format!("; {kept} of its {all} shards are as they were"),
                }
            ),
        )),
        // A filter may take it for another.
        Some(true)
            if after
                .false_positive_rate
                .is_some_and(|rate| rate > LEAST_RATE) =>
        {
            Ok((
                published.version,
                format!(
                    "its rows were left out of the {} it is trained on; its filter takes it for another key",
                    published.rows
                ),
            ))
        }
        _ => Err(Error::new(
            "XX000",
            format!("version {} saw the key all the same", published.version),
        )),
    }
}
