//! Reading the options `sources`, `key` and `as_of`, and completing them from the catalog.

use super::as_of::as_of;
use super::clv::clv;
use super::discover::{self, ForeignKey};
use super::{Parent, Related, Sources};
use crate::error::{Error, Result};
use crate::job::access;
use crate::messages::notice;
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source, did_you_mean, primary_key, relation_name};
use insight_engine::frame::Kind;
use pgrx::pg_sys;
use serde_json::{Map, Value, json};

/// What a source may be given.
const KEYS: &[&str] = &[
    "clv",
    "exclude",
    "key",
    "one_to_one",
    "parent",
    "relation",
    "time",
    "windows",
];
/// Days of the windows where none are given.
const WINDOWS: [u32; 2] = [30, 90];
/// The longest window: a century.
pub(super) const LONGEST_WINDOW: u64 = 36_525;

const EXAMPLE: &str = "For example {\"sources\": {\"orders\": {\"key\": \"customer_id\", \"time\": \"ordered_at\"}}}.";

/// The related tables that the options name; `None` without the option sources. Look-ups run as the current role.
///
/// # Errors
/// Unknown tables, columns and keys, keys of another kind than the base's, a time that is none.
pub fn parse(options: &Map<String, Value>, base: &Source) -> Result<Option<Sources>> {
    let Some(given) = options.get("sources").filter(|v| !v.is_null()) else {
        for key in ["as_of", "key"] {
            if options.get(key).is_some_and(|v| !v.is_null()) {
                return Err(
                    invalid(&format!("option \"{key}\" needs the option \"sources\""))
                        .hint(EXAMPLE),
                );
            }
        }
        return Ok(None);
    };
    let named = named(given, base)?;
    let wanted = text(options, "key")?;
    let mut key = wanted.clone();
    let mut related: Vec<Related> = Vec::new();
    // Those with a parent come after the one they name.
    let (direct, nested): (Vec<_>, Vec<_>) = named
        .iter()
        .partition(|(_, spec)| !spec.contains_key("parent"));
    for (name, spec) in direct {
        let (one, referred) = direct_source(name, spec, base)?;
        if key.is_none() {
            key = referred.or_else(|| base.column(&one.key).map(|c| c.name.clone()));
        }
        related.push(one);
    }
    for (name, spec) in nested {
        let one = nested_source(name, spec, &related)?;
        related.push(one);
    }
    let Some(key) = key.or_else(|| base.relation.and_then(primary_key)) else {
        return Err(
            invalid("the column that identifies a customer is not known")
                .hint("Name it in the option key: {\"key\": \"customer_id\", \"sources\": ...}."),
        );
    };
    let column = base.require(&key)?;
    for one in related.iter().filter(|r| r.parent.is_none()) {
        discover::check_comparable(one, &column.type_name, column.type_oid)?;
    }
    let timeless =
        |r: &&Related| r.time.is_none() && r.parent.as_ref().is_none_or(|p| p.time.is_none());
    for one in related.iter().filter(timeless) {
        notice(format!(
            "source \"{}\" has no time: all its rows count, whatever the cut-off",
            one.name
        ));
    }
    let mut sources = Sources {
        key,
        // The type under a domain: a domain's checks are its owner's code, and whoever predicts would run them.
        // SAFETY: a cache look-up of a type that a column has.
        key_type: qualified_type(unsafe { pg_sys::getBaseType(column.type_oid) }),
        as_of: as_of(options, base)?,
        related,
    };
    sources.check_one_to_one()?;
    sources.note_values(base)?;
    Ok(Some(sources))
}

pub(super) fn invalid(message: &str) -> Error {
    Error::new("22023", message)
}

type Named = Vec<(String, Map<String, Value>)>;

/// `"auto"`, a list of names, or an object of name and specification.
fn named(given: &Value, base: &Source) -> Result<Named> {
    let wrong = || {
        invalid("option \"sources\" must be an object of tables, a list of names, or \"auto\"")
            .hint(EXAMPLE)
    };
    let found: Named = match given {
        Value::String(word) if word == "auto" => {
            let keys = base
                .relation
                .map_or(Ok(Vec::new()), |oid| discover::foreign_keys(oid, None))?;
            let mut found: Named = Vec::new();
            for name in keys.iter().filter_map(|key| relation_name(key.child)) {
                if !found.iter().any(|(known, _)| *known == name) {
                    found.push((name, Map::new()));
                }
            }
            if found.is_empty() {
                return Err(invalid(&format!(
                    "no table has a foreign key that refers to {}",
                    base.label()
                ))
                .hint(EXAMPLE));
            }
            found
        }
        Value::Array(names) => names
            .iter()
            .map(|name| {
                name.as_str()
                    .map(|n| (n.to_owned(), Map::new()))
                    .ok_or_else(wrong)
            })
            .collect::<Result<_>>()?,
        Value::Object(object) => object
            .iter()
            .map(|(name, spec)| match spec {
                Value::Object(spec) => Ok((name.clone(), spec.clone())),
                Value::Null => Ok((name.clone(), Map::new())),
                _ => Err(wrong()),
            })
            .collect::<Result<_>>()?,
        _ => return Err(wrong()),
    };
    if found.is_empty() {
        return Err(wrong());
    }
    for (name, spec) in &found {
        if let Some(unknown) = spec.keys().find(|k| !KEYS.contains(&k.as_str())) {
            return Err(invalid(&format!(
                "source \"{name}\" has the unknown key \"{unknown}\""
            ))
            .hint(format!("Known are: {}.", KEYS.join(", "))));
        }
    }
    Ok(found)
}

pub(super) fn text(object: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(&format!("\"{key}\" must be a text"))),
    }
}

pub(super) fn boolean(object: &Map<String, Value>, key: &str) -> Result<bool> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(invalid(&format!("\"{key}\" must be true or false"))),
    }
}

fn excluded(spec: &Map<String, Value>) -> Result<Vec<String>> {
    match spec.get("exclude") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => Ok(names
            .iter()
            .filter_map(|n| n.as_str().map(str::to_owned))
            .collect()),
        Some(_) => Err(invalid("\"exclude\" must be an array of column names")),
    }
}

fn windows(spec: &Map<String, Value>) -> Result<Vec<u32>> {
    let wrong = || invalid("\"windows\" must be an array of days from 1 to 36525");
    let mut days = match spec.get("windows") {
        None | Some(Value::Null) => WINDOWS.to_vec(),
        Some(Value::Array(days)) => days
            .iter()
            .map(|d| {
                let days = d.as_u64().filter(|d| (1..=LONGEST_WINDOW).contains(d));
                days.map(|d| d as u32).ok_or_else(wrong)
            })
            .collect::<Result<Vec<u32>>>()?,
        Some(_) => return Err(wrong()),
    };
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn table_of(name: &str, spec: &Map<String, Value>) -> Result<Source> {
    let relation = text(spec, "relation")?.unwrap_or_else(|| name.to_owned());
    let source = resolve::resolve(&relation)?;
    if source.relation.is_none() {
        return Err(invalid(&format!(
            "source \"{name}\" must be a table or view, not a query"
        ))
        .hint("CREATE VIEW gives a query a name."));
    }
    Ok(source)
}

/// The time of a table: the one named, or the only one there is.
fn time_of(name: &str, spec: &Map<String, Value>, source: &Source) -> Result<Option<String>> {
    let is_time = |c: &resolve::SourceColumn| {
        Decoder::for_type(c.type_oid).is_some_and(|d| d.kind == Kind::Time)
    };
    if let Some(time) = text(spec, "time")? {
        let column = source.require(&time)?;
        if !is_time(column) {
            return Err(Error::new(
                "42804",
                format!(
                    "time \"{time}\" of source \"{name}\" is {}",
                    column.type_name
                ),
            )
            .hint("It must be a date or timestamp."));
        }
        return Ok(Some(time));
    }
    let times: Vec<&str> = source
        .columns
        .iter()
        .filter(|c| is_time(c))
        .map(|c| c.name.as_str())
        .collect();
    match times[..] {
        [] => Ok(None),
        [only] => Ok(Some(only.to_owned())),
        _ => Err(
            invalid(&format!("source \"{name}\" has several times")).hint(format!(
                "Name the one when a row was known: \"time\" is one of {}.",
                times.join(", ")
            )),
        ),
    }
}

/// A table whose rows name the customer; also the base's column that a declared foreign key refers to.
fn direct_source(
    name: &str,
    spec: &Map<String, Value>,
    base: &Source,
) -> Result<(Related, Option<String>)> {
    let source = table_of(name, spec)?;
    let declared = match (base.relation, source.relation) {
        (Some(parent), Some(child)) => discover::foreign_keys(parent, Some(child))?,
        _ => Vec::new(),
    };
    let (key, referred) = key_of(name, spec, &source, &declared)?;
    let related = related(name, spec, &source, key, None)?;
    Ok((related, referred))
}

fn key_of(
    name: &str,
    spec: &Map<String, Value>,
    source: &Source,
    declared: &[ForeignKey],
) -> Result<(String, Option<String>)> {
    if let Some(key) = text(spec, "key")? {
        source.require(&key)?;
        let referred = declared.iter().find(|d| d.column == key);
        return Ok((key, referred.map(|d| d.referred.clone())));
    }
    match declared {
        [only] => Ok((only.column.clone(), Some(only.referred.clone()))),
        [] => Err(invalid(&format!("source \"{name}\" has no key")).hint(
            "Name its column that identifies the customer, or declare a foreign key: {\"key\": \"customer_id\"}.",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|d| d.column.as_str()).collect();
            Err(invalid(&format!("source \"{name}\" refers to the relation in several ways"))
                .hint(format!("Name the key: one of {}.", names.join(", "))))
        }
    }
}

/// A table whose rows belong to rows of another source.
fn nested_source(name: &str, spec: &Map<String, Value>, known: &[Related]) -> Result<Related> {
    let names: Vec<&str> = known.iter().map(|r| r.name.as_str()).collect();
    let wanted = text(spec, "parent")?.unwrap_or_default();
    let Some(parent) = known
        .iter()
        .find(|r| r.name == wanted && r.parent.is_none())
    else {
        return Err(invalid(&format!(
            "source \"{name}\" has the unknown parent \"{wanted}\""
        ))
        .hint(format!(
            "It must be a source of its own, without a parent. {}",
            did_you_mean(&wanted, &names)
        )));
    };
    let source = table_of(name, spec)?;
    let middle = resolve::resolve(&format!(
        "{}.{}",
        pgrx::spi::quote_identifier(&parent.schema),
        pgrx::spi::quote_identifier(&parent.table)
    ))?;
    let declared = match (middle.relation, source.relation) {
        (Some(parent), Some(child)) => discover::foreign_keys(parent, Some(child))?,
        _ => Vec::new(),
    };
    let (key, referred) = key_of(name, spec, &source, &declared)?;
    let referred = match referred.or_else(|| middle.relation.and_then(primary_key)) {
        Some(column) => column,
        None => middle.require(&key)?.name.clone(),
    };
    let middle = Parent {
        schema: parent.schema.clone(),
        table: parent.table.clone(),
        referred,
        key: parent.key.clone(),
        time: parent.time.clone(),
    };
    related(name, spec, &source, key, Some(Box::new(middle)))
}

fn related(
    name: &str,
    spec: &Map<String, Value>,
    source: &Source,
    key: String,
    parent: Option<Box<Parent>>,
) -> Result<Related> {
    let time = time_of(name, spec, source)?;
    let one_to_one = boolean(spec, "one_to_one")?;
    if one_to_one && parent.is_some() {
        return Err(invalid(&format!(
            "source \"{name}\" has a parent and cannot be one-to-one"
        ))
        .hint("Leave one_to_one out to sum its rows up."));
    }
    let excluded = excluded(spec)?;
    for column in &excluded {
        source.require(column)?;
    }
    let mut skipped: Vec<&str> = excluded.iter().map(String::as_str).collect();
    skipped.push(&key);
    skipped.extend(time.as_deref());
    let fields = discover::fields(source, &skipped)?;
    if one_to_one && fields.is_empty() {
        return Err(
            invalid(&format!("source \"{name}\" has no column to take over")).hint(
                "Its keys and its time are no features; leave one_to_one out to count its rows.",
            ),
        );
    }
    let mut read = vec![key.clone()];
    read.extend(time.clone());
    read.extend(fields.iter().map(|f| f.name.clone()));
    let clv = clv(name, spec, source, time.as_deref())?;
    read.extend(clv.as_ref().and_then(|c| c.amount.clone()));
    access::check_privileges(
        source,
        &read,
        |denied| json!({"sources": {name: {"exclude": denied}}}),
    )?;
    let (schema, table) = source.qualified()?;
    Ok(Related {
        name: name.to_owned(),
        schema,
        table,
        one_to_one,
        windows: windows(spec)?,
        fields,
        parent,
        time,
        key,
        clv,
    })
}

/// A type's name that means the same on every search path.
fn qualified_type(type_oid: pg_sys::Oid) -> String {
    // SAFETY: a syscache look-up of an existing type; the answer is a C string.
    unsafe { std::ffi::CStr::from_ptr(pg_sys::format_type_be_qualified(type_oid)) }
        .to_string_lossy()
        .into_owned()
}
