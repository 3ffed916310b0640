//! What a call of `insight_train` asks for: a model that predicts a column, makes rows or tells segments apart, or, for several targets in one call, a
//! model for each, none of which sees another's target.

use super::options::{names, wrong_type};
use super::spec::{self, Call, Work};
use crate::error::{Error, Result};
use crate::relation::resolve;
use insight_engine::params::Params;
use serde_json::{Map, Value};

/// At most so many models come of one call.
const MAX_TARGETS: usize = 100;

/// The checked calls of `insight_train`: one, or one for each column of the option `targets`. All are checked before any is run.
pub fn calls(
    relation: Option<&str>,
    target: Option<&str>,
    model: Option<&str>,
    options: &Value,
) -> Result<Vec<Call>> {
    if spec::generate::is_asked(options) {
        return Ok(vec![spec::generate::check(
            relation, target, model, options,
        )?]);
    }
    if spec::segment::is_asked(options) {
        return Ok(vec![spec::segment::check(
            relation, target, model, options,
        )?]);
    }
    if spec::sequence::is_asked(options) {
        return Ok(vec![spec::sequence::check(
            relation, target, model, options,
        )?]);
    }
    let Some(own) = options.as_object().filter(|o| o.contains_key("targets")) else {
        return Ok(vec![spec::check(
            relation,
            target,
            model,
            options,
            Work::Train,
        )?]);
    };
    let targets = targets(target, own)?;
    let include = names(own, "include")?;
    if let Some(both) = targets.iter().find(|t| include.contains(t)) {
        return Err(Error::new(
            "22023",
            format!("the target \"{both}\" is among the option \"include\""),
        )
        .hint("Name only features in include: no model sees another's target."));
    }
    let base = match (model, relation) {
        (Some(model), _) => Some(model.to_owned()),
        (None, Some(relation)) => Some(resolve::resolve(relation)?.name),
        (None, None) => None,
    };
    let share = Params::from_json(&without(own))?
        .max_seconds
        .map(|s| s / targets.len() as f64);
    let call = |target: &String| {
        let mut options = without(own);
        let mut excluded = names(own, "exclude")?;
        let others = targets
            .iter()
            .filter(|t| *t != target && !excluded.contains(t));
        let others: Vec<String> = others.cloned().collect();
        excluded.extend(others);
        options.insert("exclude".into(), excluded.into());
        if let Some(share) = share {
            options.insert("max_seconds".into(), share.into());
        }
        let model = base
            .as_ref()
            .map(|base| format!("{base}_{target}").replace('@', "_"));
        spec::check(
            relation,
            Some(target),
            model.as_deref(),
            &Value::Object(options),
            Work::Train,
        )
    };
    targets.iter().map(call).collect()
}

fn targets(target: Option<&str>, options: &Map<String, Value>) -> Result<Vec<String>> {
    let targets = names(options, "targets")?;
    let twice = (1..targets.len()).find(|at| targets[..*at].contains(&targets[*at]));
    if targets.is_empty() || targets.len() > MAX_TARGETS || twice.is_some() {
        let expected = format!("an array of 1 to {MAX_TARGETS} different column names");
        return Err(wrong_type("targets", &expected)
            .hint("For example {\"targets\": [\"spend\", \"visits\"]}."));
    }
    match target {
        Some(target) if !targets.iter().any(|t| t == target) => Err(Error::new(
            "22023",
            format!("the target \"{target}\" is not among the option \"targets\""),
        )
        .hint("Give the target as NULL where the option names all of them.")),
        _ => Ok(targets),
    }
}

fn without(options: &Map<String, Value>) -> Map<String, Value> {
    let others = options.iter().filter(|(key, _)| *key != "targets");
    others
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
