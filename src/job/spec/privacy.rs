//! The option `privacy`: what it needs to know of columns' types, and what budgets of tables say about a call.

use super::aside;
use super::task::enum_labels;
use crate::error::{Error, Result};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source, SourceColumn};
use crate::store::budget;
use insight_engine::frame::Kind;
use insight_engine::privacy::{Privacy, given};
use pgrx::pg_sys;
use serde_json::{Map, Value, json};

/// The option, checked against the relation.
///
/// # Errors
/// A unit that is not there, is the target, or is not a column that rows can be grouped by.
pub(super) fn wanted(
    options: &Map<String, Value>,
    source: &Source,
    target: Option<&str>,
) -> Result<Option<Privacy>> {
    let Some(privacy) = given(options)? else {
        return Ok(None);
    };
    if let Some(unit) = &privacy.unit {
        let column = source.require(unit)?;
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        let groups = matches!(
            kind,
            Some(Kind::Number | Kind::Category | Kind::Boolean | Kind::Time)
        );
        if Some(unit.as_str()) == target || !groups {
            return Err(Error::new(
                "22023",
                "option \"privacy.unit\" must be the name of a column that says whose rows they are",
            )
            .hint(match Some(unit.as_str()) == target {
                true => "It is the target.".into(),
                false => format!("\"{unit}\" is of type {}.", column.type_name),
            }));
        }
    }
    check_given(&privacy, &[source], target)?;
    Ok(Some(privacy))
}

/// The same for a model of histories of a `key`, whose columns are in one of several relations.
///
/// # Errors
/// Another unit than the key; bounds or categories of columns that are not there or not of that kind.
pub(super) fn wanted_of_key(
    options: &Map<String, Value>,
    sources: &[&Source],
    (key, target): (&str, &str),
) -> Result<Option<Privacy>> {
    let Some(privacy) = given(options)? else {
        return Ok(None);
    };
    let privacy = privacy.of_key(key)?;
    check_given(&privacy, sources, Some(target))?;
    Ok(Some(privacy))
}

/// Whether the columns that the option tells of are there and of a kind that can be told of. Here, too, for a training that fails once
/// the rows are read has spent what it was to cost.
fn check_given(privacy: &Privacy, sources: &[&Source], target: Option<&str>) -> Result<()> {
    for (option, name) in privacy
        .bounds
        .keys()
        .map(|name| ("bounds", name))
        .chain(privacy.categories.keys().map(|name| ("categories", name)))
    {
        let mut found = sources.iter().filter_map(|source| source.column(name));
        let column = match (found.next(), sources.first()) {
            (None, Some(first)) => first.require(name)?,
            (None, None) => continue,
            (Some(column), _) => column,
        };
        let fits = |column: &SourceColumn| {
            let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
            match option {
                "bounds" => matches!(kind, Some(Kind::Number | Kind::Duration)),
                _ => {
                    let of_target = matches!(kind, Some(Kind::Number | Kind::Boolean));
                    kind == Some(Kind::Category) || Some(name.as_str()) == target && of_target
                }
            }
        };
        let of = match option {
            "bounds" => "numbers",
            _ => "texts, or the target",
        };
        if !fits(column) && !found.any(fits) {
            return Err(Error::new(
                "22023",
                format!("option \"privacy.{option}\" is for columns of {of}"),
            )
            .detail(format!("\"{name}\" is of type {}.", column.type_name)));
        }
    }
    Ok(())
}

/// A primary key is no feature unless it is asked for. Elsewhere identifiers are known by their values, which nobody looks at here.
pub(super) fn leave_out_key(
    base: &Source,
    include: &[String],
    columns: &mut Vec<String>,
    excluded: &mut Vec<(String, String)>,
) {
    let Some(key) = base.relation.and_then(resolve::primary_key) else {
        return;
    };
    // The target stands last.
    let is_target = columns.last() == Some(&key);
    if !is_target {
        aside(&key, "the primary key", include, columns, excluded);
    }
}

/// Adds the labels of enums to the option's categories: a type is known without a look at rows.
pub(super) fn add_enums(
    options: &mut Map<String, Value>,
    source: &Source,
    columns: &[String],
) -> Result<()> {
    let mut found = Map::new();
    for name in columns {
        if let Some(column) = source.column(name) {
            let labels = enum_labels(column.type_oid)?;
            if !labels.is_empty() {
                found.insert(name.clone(), json!(labels));
            }
        }
    }
    if let Some(Value::Object(privacy)) = options.get_mut("privacy")
        && !found.is_empty()
    {
        if let Some(Value::Object(given)) = privacy.get("categories") {
            found.extend(given.clone());
        }
        privacy.insert("categories".into(), Value::Object(found));
    }
    Ok(())
}

/// Adds the values of a target of type boolean to the option's categories, in whichever relation it is.
pub(super) fn add_boolean(options: &mut Map<String, Value>, sources: &[&Source], target: &str) {
    let is_boolean = |source: &&Source| {
        let column = source.column(target);
        column.is_some_and(|own| own.type_oid == pg_sys::BOOLOID)
    };
    if let Some(Value::Object(privacy)) = options.get_mut("privacy")
        && sources.iter().any(is_boolean)
    {
        let categories = privacy.entry("categories").or_insert_with(|| json!({}));
        if let Some(all) = categories.as_object_mut() {
            all.entry(target)
                .or_insert_with(|| json!(["false", "true"]));
        }
    }
}

/// Whether the budgets of a source's tables allow a call: under differential privacy what is left of them, else what their owners
/// may. The worker notes what is spent; here is only looked, so that what must fail fails at once.
pub(in crate::job) fn check_budget(source: &Source, options: &Map<String, Value>) -> Result<()> {
    match given(options)? {
        None => budget::check_plain(&source.relations),
        Some(privacy) => budget::check(
            &source.relations,
            privacy.epsilon,
            privacy.delta.unwrap_or(0.0),
        ),
    }
}

/// Refuses the option where it is not done; `what` says of what.
pub(in crate::job) fn refuse(options: &Map<String, Value>, what: &str) -> Result<()> {
    match options.get("privacy") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(Error::new(
            "0A000",
            format!("differential privacy is not done for {what}"),
        )
        .hint("Networks that predict a column, models of histories, and the algorithm gan for one table can be trained with the option \"privacy\".")),
    }
}
