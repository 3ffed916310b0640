//! Calls of `insight_train` for models that make rows.

mod children;

use super::{Call, EXCLUDED, Spec, Work, check_keys, common, model_name, privacy, repeated};
use crate::error::{Error, Result, required};
use crate::job::access;
use crate::job::options::{names, text, wrong_type};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source, SourceColumn};
pub use children::Child;
use insight_engine::frame::Kind;
use insight_engine::synth::{Algorithm, Columns, KEY, Params};
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Options beside those of the networks.
const KEYS: &[&str] = &[
    "children", "deploy", "exclude", "include", "key", "threads", "wait",
];

/// What a worker learns to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    pub columns: Columns,
    #[serde(default)]
    pub children: Vec<Child>,
}

/// The column that has as text what the child's table of this place refers to.
pub fn parent_key(place: usize) -> String {
    format!("{KEY} {}", place + 1)
}

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
    let of = format!(" of algorithm {algorithm}");
    check_keys(options, &[KEYS, Params::KEYS], &of)?;
    if algorithm != Algorithm::Gan.name() {
        privacy::refuse(options, &format!("the algorithm {algorithm}"))?;
    }
    let is_given = |option: &str| options.get(option).is_some_and(|own| !own.is_null());
    if is_given("children") {
        privacy::refuse(options, "tables of children")?;
    }
    if is_given("key") {
        privacy::refuse(
            options,
            "models that remember whose rows they have learned (option \"key\")",
        )?;
    }
    // How many rows there are is known when they are read; the rest is checked now.
    Params::from_json(options, 1)?;
    let source = resolve::resolve(relation)?;
    let model = model_name(model, &source, &algorithm)?;
    let (mut columns, mut excluded) = choose(&source, options)?;
    let private = privacy::wanted(options, &source, None)?;
    if let Some(unit) = private.as_ref().and_then(|own| own.unit.as_ref())
        && !columns.contains(unit)
    {
        // Read, to tell whose rows they are.
        excluded.retain(|(name, _)| name != unit);
        columns.push(unit.clone());
    }
    access::check_visible(&source)?;
    privacy::check_budget(&source, options)?;
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
    let (children, again) = children::children(options, &source)?;
    let mut options = options.clone();
    if private.is_some() {
        privacy::add_enums(&mut options, &source, &columns)?;
    }
    let exact = exact(&source, &known, &columns);
    let mut from = exact.from.clone();
    if !children.is_empty() {
        options.insert("children".into(), again);
        let mut texts = Vec::new();
        for (place, child) in children.iter().enumerate() {
            let key = &child.table.parent_key;
            if !columns.contains(key) {
                return Err(Error::new("22023", format!("column \"{key}\" is left out"))
                    .hint(format!("\"{}\" refers to it.", child.table.name)));
            }
            // Its values are new.
            known.foreign.retain(|name| name != key);
            if !known.unique.contains(key) {
                known.unique.push(key.clone());
            }
            texts.push((key.as_str(), parent_key(place)));
        }
        from = exact.with_texts(&texts, &columns);
        columns.extend(texts.into_iter().map(|(_, name)| name));
    }
    let mut whole = Source { from, ..exact };
    let key = text(&options, "key")?.filter(|key| columns.contains(key));
    let member = key.map(|key| whole.add_member(&key, &mut columns));
    let Call { spec, wait } = common(model, &source, options, true, member)?;
    let spec = Spec {
        work: Work::Generate(Generate {
            columns: known,
            children,
        }),
        from: whole.from,
        columns,
        excluded,
        ..spec
    };
    Ok(Call { spec, wait })
}

/// The source with the long ones of its foreign keys as text: they are chosen from, and must not pass through a float.
fn exact(source: &Source, known: &Columns, columns: &[String]) -> Source {
    let is_long = |name: &str| {
        // SAFETY: a syscache look-up of an existing type.
        let base = |c: &SourceColumn| unsafe { pg_sys::getBaseType(c.type_oid) };
        let base = source.column(name).map(base);
        matches!(base, Some(pg_sys::INT8OID | pg_sys::NUMERICOID))
    };
    let foreign = known.foreign.iter().map(String::as_str);
    let long: Vec<&str> = foreign
        .filter(|name| is_long(name) && columns.iter().any(|c| c == name))
        .collect();
    match long.is_empty() {
        true => source.clone(),
        false => source.exact(&long, columns),
    }
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
            return Err(repeated(name));
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
        amounts: Vec::new(),
    })
}
