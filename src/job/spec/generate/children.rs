//! The option `children`: tables whose rows belong to those that are imitated.

use super::{choose, constraints, exact};
use crate::error::{Error, Result};
use crate::job::access;
use crate::job::options::{names, text, wrong_type};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source, did_you_mean};
use crate::store::budget;
use insight_engine::frame::Kind;
use insight_engine::synth::{ChildTable, KEY, MOST_CHILDREN};
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const KEYS: [&str; 5] = ["exclude", "key", "order", "parent_key", "relation"];

/// What a worker reads of a child's table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Child {
    pub table: ChildTable,
    /// What stands after FROM; the key as text is among its columns.
    pub from: String,
    pub columns: Vec<String>,
}

/// The tables and, for training again, the option with their schemas.
pub fn children(options: &Map<String, Value>, parent: &Source) -> Result<(Vec<Child>, Value)> {
    let listed = match options.get("children") {
        None | Some(Value::Null) => return Ok((Vec::new(), Value::Null)),
        Some(Value::Object(listed)) if listed.len() <= MOST_CHILDREN => listed,
        Some(_) => {
            return Err(wrong_type(
                "children",
                &format!("an object of at most {MOST_CHILDREN} tables"),
            )
            .hint("For example {\"children\": {\"orders\": {\"key\": \"customer_id\", \"order\": \"ordered_at\"}}}."));
        }
    };
    let (mut found, mut again) = (Vec::new(), Map::new());
    for (name, own) in listed {
        let empty = Map::new();
        let own = match own {
            Value::Object(own) => own,
            Value::Null => &empty,
            _ => {
                return Err(wrong_type("children", "an object of objects").hint(format!(
                    "For example {{\"{name}\": {{\"key\": \"customer_id\"}}}}."
                )));
            }
        };
        if let Some(key) = own.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(
                Error::new("22023", format!("unknown option \"children.{name}.{key}\"")).hint(
                    format!(
                        "{} Known options are: {}.",
                        did_you_mean(key, &KEYS),
                        KEYS.join(", ")
                    ),
                ),
            );
        }
        let child = child(name, own, parent)?;
        let mut own = own.clone();
        own.insert("relation".into(), child.table.relation.as_str().into());
        own.insert("key".into(), child.table.key.as_str().into());
        own.insert("parent_key".into(), child.table.parent_key.as_str().into());
        again.insert(name.clone(), own.into());
        found.push(child);
    }
    Ok((found, again.into()))
}

fn child(name: &str, options: &Map<String, Value>, parent: &Source) -> Result<Child> {
    let relation = text(options, "relation")?;
    let source = resolve::resolve(relation.as_deref().unwrap_or(name))?;
    let (key, parent_key) = keys(name, options, &source, parent)?;
    for (source, column) in [(&source, &key), (parent, &parent_key)] {
        let own = source.require(column)?;
        let kind = Decoder::for_type(own.type_oid).map(|d| d.kind);
        if !matches!(kind, Some(Kind::Number | Kind::Category)) {
            return Err(Error::new(
                "42804",
                format!(
                    "column \"{column}\" of {} cannot be a key: its type is {}",
                    source.label(),
                    own.type_name
                ),
            )
            .hint("Keys are whole numbers, texts or uuids."));
        }
    }
    let order = text(options, "order")?;
    if let Some(order) = &order {
        let column = source.require(order)?;
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        if !matches!(kind, Some(Kind::Time | Kind::Number)) || *order == key {
            return Err(
                wrong_type("order", "the name of a date, timestamp or numeric column")
                    .hint(format!("\"{order}\" is of type {}.", column.type_name)),
            );
        }
    }
    let excluded = names(options, "exclude")?;
    if let Some(needed) = excluded
        .iter()
        .find(|e| **e == key || Some(*e) == order.as_ref())
    {
        return Err(
            Error::new("22023", format!("column \"{needed}\" cannot be excluded"))
                .hint("The key and the order are needed."),
        );
    }
    let (mut columns, _) = choose(&source, options)?;
    access::check_visible(&source)?;
    budget::check_plain(&source.relations)?;
    access::check_privileges(
        &source,
        &columns,
        |denied| serde_json::json!({"children": {name: {"exclude": denied}}}),
    )?;
    let mut known = constraints(&source)?;
    known.unique.retain(|column| *column != key);
    known.foreign.retain(|column| *column != key);
    let exact = exact(&source, &known, &columns);
    columns.retain(|column| *column != key);
    if columns.is_empty() {
        return Err(Error::new(
            "22023",
            format!("{} has no column beside its key", source.label()),
        ));
    }
    let from = exact.with_texts(&[(&key, KEY.to_owned())], &columns);
    columns.push(KEY.into());
    Ok(Child {
        table: ChildTable {
            name: source.name.clone(),
            relation: source.again(),
            is_relation: source.relation.is_some(),
            parent: parent.relation.map(|_| parent.from.clone()),
            key,
            parent_key,
            order,
            columns: known,
        },
        from,
        columns,
    })
}

/// The child's column that refers to the parent, and the parent's that it refers to.
fn keys(
    name: &str,
    options: &Map<String, Value>,
    child: &Source,
    parent: &Source,
) -> Result<(String, String)> {
    let (key, parent_key) = (text(options, "key")?, text(options, "parent_key")?);
    let declared: Vec<(String, String)> = declared(child, parent)?
        .into_iter()
        .filter(|(own, _)| key.as_ref().is_none_or(|key| key == own))
        .filter(|(_, to)| parent_key.as_ref().is_none_or(|key| key == to))
        .collect();
    let example = format!("{{\"children\": {{\"{name}\": {{\"key\": \"customer_id\"}}}}}}");
    let key = match (key, declared.as_slice()) {
        (Some(key), _) => key,
        (None, [(own, _)]) => own.clone(),
        (None, found) => {
            let why = if found.is_empty() {
                "declares no foreign key to"
            } else {
                "declares several foreign keys to"
            };
            return Err(Error::new(
                "22023",
                format!("{} {why} {}", child.label(), parent.label()),
            )
            .hint(format!(
                "Name the column that refers to it, such as {example}."
            )));
        }
    };
    let of_parent = declared.first().map(|(_, to)| to.clone());
    let primary = || parent.relation.and_then(resolve::primary_key);
    let parent_key = parent_key.or(of_parent).or_else(primary).ok_or_else(|| {
        Error::new(
            "22023",
            format!("{} has no primary key of one column", parent.label()),
        )
        .hint(format!(
            "Option \"children.{name}.parent_key\" names the column that \"{key}\" refers to."
        ))
    })?;
    Ok((key, parent_key))
}

/// Foreign keys of one column, and what they refer to.
fn declared(child: &Source, parent: &Source) -> Result<Vec<(String, String)>> {
    let (Some(child), Some(parent)) = (child.relation, parent.relation) else {
        return Ok(Vec::new());
    };
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT a.attname::pg_catalog.text, p.attname::pg_catalog.text FROM pg_catalog.pg_constraint c \
             JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.conrelid AND a.attnum OPERATOR(pg_catalog.=) c.conkey[1] \
             JOIN pg_catalog.pg_attribute p ON p.attrelid OPERATOR(pg_catalog.=) c.confrelid AND p.attnum OPERATOR(pg_catalog.=) c.confkey[1] \
             WHERE c.conrelid OPERATOR(pg_catalog.=) $1 AND c.confrelid OPERATOR(pg_catalog.=) $2 AND c.contype OPERATOR(pg_catalog.=) 'f' \
             AND pg_catalog.cardinality(c.conkey) OPERATOR(pg_catalog.=) 1 ORDER BY 1",
            None,
            &[child.into(), parent.into()],
        )?;
        let mut found = Vec::new();
        for row in rows {
            if let (Some(own), Some(to)) = (row.get(1)?, row.get(2)?) {
                found.push((own, to));
            }
        }
        Ok(found)
    })
}
