//! Calls of `insight_train` for models that make rows.

use super::{Call, EXCLUDED, Spec, Work, model_name};
use crate::error::{Error, Result, required};
use crate::job::options::{boolean, names, text, threads, wrong_type};
use crate::job::{access, session};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source, did_you_mean};
use crate::{settings, store};
use insight_engine::frame::Kind;
use insight_engine::synth::{Algorithm, Columns, Params};
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde_json::{Map, Value};

/// Options beside those of the networks.
const KEYS: &[&str] = &["deploy", "exclude", "include", "key", "threads", "wait"];

/// Whether the options ask for a model that makes rows.
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
    if let Some(target) = target {
        return Err(Error::new("22023", format!("algorithm {algorithm} has no target"))
            .detail(format!("\"{target}\" was given; all columns are learned together."))
            .hint("Give the target as NULL; insight_generate(..., given => '{\"column\": \"value\"}') sets a column."));
    }
    if let Some(key) = options
        .keys()
        .find(|k| !KEYS.contains(&k.as_str()) && !Params::KEYS.contains(&k.as_str()))
    {
        let mut known: Vec<&str> = KEYS.iter().chain(Params::KEYS).copied().collect();
        known.sort_unstable();
        let close = did_you_mean(key, &known);
        let close = if close.starts_with("Did") {
            format!("{close} ")
        } else {
            String::new()
        };
        return Err(Error::new(
            "22023",
            format!("unknown option \"{key}\" of algorithm {algorithm}"),
        )
        .hint(format!("{close}Known options are: {}.", known.join(", "))));
    }
    // How many rows there are is known when they are read; the rest is checked now.
    let mut params = Params::from_json(options, 1)?;
    let source = resolve::resolve(relation)?;
    let model = model_name(model, &source, &algorithm)?;
    let (columns, excluded) = choose(&source, options)?;
    access::check_visible(&source)?;
    access::check_privileges(
        &source,
        &columns,
        |denied| serde_json::json!({"exclude": denied}),
    )?;
    let mut known = constraints(&source)?;
    if let Some(key) = text(options, "key")? {
        let key = source.require(&key)?.name.clone();
        known.foreign.retain(|name| *name != key);
        known.unique.push(key);
    }
    // SAFETY: plain reads of this process's identity.
    let role = unsafe { pg_sys::GetUserId() };
    let session_role = access::session_role()?;
    store::catalog::check_may_train(&model, role)?;
    let mut options = options.clone();
    if let Some(limit) = settings::max_seconds() {
        let seconds = params.max_seconds.map_or(limit, |s| s.min(limit));
        params.max_seconds = Some(seconds);
        options.insert("max_seconds".into(), seconds.into());
    }
    let wait = boolean(&options, "wait")?.unwrap_or(true);
    let spec = Spec {
        model,
        work: Work::Generate(known),
        relation: source.given.clone(),
        again: match source.relation {
            Some(_) => source.from.clone(),
            None => source.given.clone(),
        },
        from: source.from.clone(),
        columns,
        excluded,
        device: "cpu".into(),
        threads: threads(&options)?,
        max_bytes: settings::max_memory(),
        isolate: settings::isolate_training(),
        deploy: boolean(&options, "deploy")?.unwrap_or(true),
        max_jobs: settings::max_jobs(),
        role: role.to_u32(),
        session_role: session_role.to_u32(),
        settings: session::capture(),
        options: Value::Object(options),
        ..Spec::default()
    };
    Ok(Call { spec, wait })
}

/// The columns to read, and those left out.
fn choose(source: &Source, options: &Map<String, Value>) -> Result<super::Chosen> {
    let (include, exclude) = (names(options, "include")?, names(options, "exclude")?);
    for name in include.iter().chain(&exclude) {
        source.require(name)?;
    }
    let (mut columns, mut excluded) = (Vec::new(), Vec::new());
    for column in &source.columns {
        let name = &column.name;
        if columns.contains(name) {
            return Err(Error::new(
                "42702",
                format!("column name \"{name}\" appears more than once"),
            )
            .hint("Give each column of the query its own name with AS."));
        }
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        let left_out = exclude.contains(name) || !include.is_empty() && !include.contains(name);
        match kind {
            _ if left_out => excluded.push((name.clone(), EXCLUDED.to_owned())),
            None | Some(Kind::Vector | Kind::Image) => {
                excluded.push((
                    name.clone(),
                    format!("type {} cannot be imitated", column.type_name),
                ));
            }
            Some(_) => columns.push(name.clone()),
        }
    }
    if columns.is_empty() {
        return Err(wrong_type(
            "exclude",
            "an array that leaves a column to learn",
        ));
    }
    Ok((columns, excluded))
}

/// Columns whose values must not repeat, and columns whose values are those of another table, by the constraints of a table.
fn constraints(source: &Source) -> Result<Columns> {
    let Some(relation) = source.relation else {
        return Ok(Columns::default());
    };
    let list = |sql: &str| -> Result<Vec<String>> {
        Spi::connect(|client| {
            let rows = client.select(sql, None, &[relation.into()])?;
            Ok(rows
                .filter_map(|row| row.get::<String>(1).ok().flatten())
                .collect())
        })
    };
    Ok(Columns {
        unique: list(
            "SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
             ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) i.indkey[0] \
             WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indnkeyatts OPERATOR(pg_catalog.=) 1 \
             AND i.indpred IS NULL AND i.indexprs IS NULL",
        )?,
        foreign: list(
            "SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_attribute a \
             ON a.attrelid OPERATOR(pg_catalog.=) c.conrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (c.conkey) \
             WHERE c.conrelid OPERATOR(pg_catalog.=) $1 AND c.contype OPERATOR(pg_catalog.=) 'f'",
        )?,
    })
}
