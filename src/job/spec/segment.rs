//! Calls of `insight_train` for models that tell segments of rows apart.

use super::{Call, EXCLUDED, Spec, Work, check_keys, common, model_name, repeated};
use crate::error::{Error, Result, required};
use crate::job::access;
use crate::job::options::{names, scalar_text, text, wrong_type};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source};
pub use insight_engine::segment::Wanted;
use insight_engine::segment::{Algorithm, Params};
use serde_json::{Map, Value};

/// Options beside hyper-parameters.
const KEYS: &[&str] = &[
    "deploy", "exclude", "include", "key", "positive", "threads", "wait",
];

/// Whether the options ask for segments.
pub fn is_asked(options: &Value) -> bool {
    let algorithm = options.get("algorithm").and_then(Value::as_str);
    algorithm.and_then(Algorithm::of).is_some()
}

/// Checks options, names and privileges as the calling role. Reads no rows.
pub fn check(
    relation: Option<&str>,
    target: Option<&str>,
    model: Option<&str>,
    options: &Value,
) -> Result<Call> {
    let relation = required(relation, "relation")?;
    let empty = Map::new();
    let options = options.as_object().unwrap_or(&empty);
    let algorithm = text(options, "algorithm")?.unwrap_or_default();
    check_keys(
        options,
        &[KEYS, Params::KEYS],
        &format!(" of algorithm {algorithm}"),
    )?;
    Params::from_json(options)?;
    let source = resolve::resolve(relation)?;
    let model = model_name(model, &source, "segments")?;
    let key = match text(options, "key")? {
        Some(key) => Some(source.require(&key)?.name.clone()),
        None => source.relation.and_then(resolve::primary_key),
    };
    let target = target.map(|name| source.require(name)).transpose()?;
    if let Some(target) = target
        && Decoder::for_type(target.type_oid).is_none()
    {
        return Err(Error::new(
            "42804",
            format!(
                "target \"{}\" is {}, which is not read",
                target.name, target.type_name
            ),
        )
        .hint("Cast it in a SELECT."));
    }
    let target = target.map(|target| target.name.clone());
    let (mut columns, excluded) = choose(&source, options, key.as_deref(), target.as_deref())?;
    columns.extend(target.clone());
    access::check_visible(&source)?;
    access::check_privileges(
        &source,
        &columns,
        |denied| serde_json::json!({"exclude": denied}),
    )?;
    let include = names(options, "include")?;
    let positive = scalar_text(options, "positive")?;
    if positive.is_some() && target.is_none() {
        return Err(Error::new("22023", "option \"positive\" needs a target")
            .hint("Name the column whose label it is as the target."));
    }
    let Call { spec, wait } = common(model, &source, options.clone(), true)?;
    let spec = Spec {
        work: Work::Segment(Wanted {
            target: target.clone(),
            positive,
            include,
        }),
        target: target.unwrap_or_default(),
        columns,
        excluded,
        ..spec
    };
    Ok(Call { spec, wait })
}

/// The columns to compare rows by, and those left out.
fn choose(
    source: &Source,
    options: &Map<String, Value>,
    key: Option<&str>,
    target: Option<&str>,
) -> Result<super::Chosen> {
    let (include, exclude) = (names(options, "include")?, names(options, "exclude")?);
    for name in include.iter().chain(&exclude) {
        source.require(name)?;
    }
    let (mut columns, mut excluded) = (Vec::new(), Vec::new());
    for column in &source.columns {
        let name = &column.name;
        if target == Some(name) {
            continue;
        }
        if columns.contains(name) {
            return Err(repeated(name));
        }
        if exclude.contains(name) || !include.is_empty() && !include.contains(name) {
            excluded.push((name.clone(), EXCLUDED.to_owned()));
        } else if key == Some(name) && !include.contains(name) {
            excluded.push((name.clone(), "tells rows apart".to_owned()));
        } else if Decoder::for_type(column.type_oid).is_none() {
            let why = format!("type {} is not supported", column.type_name);
            excluded.push((name.clone(), why));
        } else {
            columns.push(name.clone());
        }
    }
    if columns.is_empty() {
        return Err(wrong_type(
            "exclude",
            "an array that leaves a column to compare rows by",
        ));
    }
    Ok((columns, excluded))
}
