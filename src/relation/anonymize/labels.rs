//! Rules that a table declares by security labels, as postgresql_anonymizer reads them.

use crate::error::{Error, Result};
use crate::relation::resolve::Source;
use insight_engine::privacy::anonymize::labels;
use pgrx::prelude::*;
use serde_json::{Map, Value};

/// The rules with those of the labels beside them, where they say `"labels": true`; no rules at all say so too. What is written in the
/// rules goes before.
pub fn complete(source: &Source, rules: Option<&Value>) -> Result<Value> {
    let mut rules = match rules {
        None => Map::from_iter([("labels".to_owned(), Value::Bool(true))]),
        Some(Value::Object(rules)) => rules.clone(),
        Some(other) => return Ok(other.clone()),
    };
    match rules.remove("labels") {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(Value::Object(rules)),
        Some(Value::Bool(true)) => {}
        Some(_) => {
            return Err(Error::new(
                "22023",
                "option \"labels\" must be true or false",
            ));
        }
    }
    let relation = source.relation.ok_or_else(|| {
        Error::new("22023", "a query has no security labels")
            .hint("Give the name of a table, or rules.")
    })?;
    let found = Spi::connect(|client| -> Result<Vec<(String, String, String)>> {
        let rows = client.select(
            "SELECT a.attname::pg_catalog.text, s.provider::pg_catalog.text, s.label FROM pg_catalog.pg_seclabel s \
             JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) s.objoid AND a.attnum OPERATOR(pg_catalog.=) s.objsubid \
             WHERE s.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND s.objoid OPERATOR(pg_catalog.=) $1 \
             AND s.provider OPERATOR(pg_catalog.=) ANY (ARRAY['anon', 'k_anonymity']) ORDER BY a.attnum",
            None,
            &[relation.into()],
        )?;
        let mut all = Vec::new();
        for row in rows {
            if let (Some(column), Some(provider), Some(label)) = (
                row.get::<String>(1)?,
                row.get::<String>(2)?,
                row.get::<String>(3)?,
            ) {
                all.push((column, provider, label));
            }
        }
        Ok(all)
    })?;
    if found.is_empty() {
        let message = format!("no column of {} has a security label", source.label());
        return Err(Error::new("22023", message)
            .hint("Give rules: '{\"columns\": {\"email\": \"pseudonym\"}}'."));
    }
    let mut columns = match rules.remove("columns") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(columns)) => columns,
        Some(other) => {
            rules.insert("columns".into(), other);
            return Ok(Value::Object(rules));
        }
    };
    let mut quasi = Vec::new();
    for (column, provider, label) in found {
        if provider == "k_anonymity" {
            if labels::is_quasi_identifier(&label) {
                quasi.push(Value::String(column));
            }
        } else if !columns.contains_key(&column) {
            let rule = labels::rule(&label).ok_or_else(|| {
                let message =
                    format!("the security label of column \"{column}\" has no counterpart here");
                Error::new("0A000", message)
                    .detail(format!("The label is: {label}"))
                    .hint("Give the column a rule in \"columns\".")
            })?;
            columns.insert(column, rule);
        }
    }
    rules.insert("columns".into(), Value::Object(columns));
    if rules.contains_key("k") && !rules.contains_key("quasi_identifiers") && !quasi.is_empty() {
        rules.insert("quasi_identifiers".into(), Value::Array(quasi));
    }
    Ok(Value::Object(rules))
}
