//! What to train, checked in the caller's session before anything is queued.

use crate::error::{Error, Result};
use crate::relation::{decode::Decoder, resolve, resolve::Source, resolve::did_you_mean};
use crate::{job::session, settings, store};
use insight_engine::{artifact::Task, params::Params};
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything a worker needs to know; stored in the job row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    pub model: String,
    /// As the user wrote it.
    pub relation: String,
    /// What stands after FROM.
    pub from: String,
    pub target: String,
    /// Columns to read, the target among them.
    pub columns: Vec<String>,
    pub include: Vec<String>,
    /// Columns left out before reading, and why.
    pub excluded: Vec<(String, String)>,
    pub options: Value,
    pub task: Option<Task>,
    pub positive: Option<String>,
    pub device: String,
    pub threads: usize,
    pub max_bytes: usize,
    pub isolate: bool,
    pub deploy: bool,
    pub max_jobs: i64,
    pub role: u32,
    pub session_role: u32,
    /// Settings of the caller's session that reading depends on.
    pub settings: Vec<(String, String)>,
}

/// Options that are not hyper-parameters.
const KEYS: &[&str] = &[
    "algorithm",
    "deploy",
    "device",
    "exclude",
    "include",
    "positive",
    "task",
    "threads",
    "wait",
];

/// A checked call of `insight_train`.
pub struct Call {
    pub spec: Spec,
    pub wait: bool,
}

/// Checks options, names and privileges as the calling role. Reads no rows.
pub fn check(
    relation: Option<&str>,
    target: Option<&str>,
    model: Option<&str>,
    options: &Value,
) -> Result<Call> {
    let (relation, target) = (required(relation, "relation")?, required(target, "target")?);
    let Value::Object(options) = options else {
        return Err(Error::new("22023", "options must be a JSON object")
            .hint("For example '{\"epochs\": 20}'."));
    };
    check_keys(options)?;
    let mut params = Params::from_json(options)?;
    let source = resolve::resolve(relation)?;
    source.require(target)?;
    let model = model_name(model, &source, target)?;
    let include = names(options, "include")?;
    let exclude = names(options, "exclude")?;
    let task = task(options)?;
    let (columns, excluded) = choose_columns(&source, target, &include, &exclude)?;
    check_visible(&source)?;
    check_privileges(&source, &columns)?;
    check_algorithm(options)?;
    let device = text(options, "device")?.unwrap_or_else(settings::device);
    super::trainer::check_device(&device)?;
    // SAFETY: plain reads of this process's identity.
    let (role, session_role) = unsafe { (pg_sys::GetUserId(), pg_sys::GetSessionUserId()) };
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
        relation: source.given.clone(),
        from: source.from.clone(),
        target: target.into(),
        columns,
        include,
        excluded,
        task,
        positive: scalar_text(&options, "positive")?,
        device,
        threads: threads(&options)?,
        max_bytes: settings::max_memory(),
        isolate: settings::isolate_training(),
        deploy: boolean(&options, "deploy")?.unwrap_or(true),
        max_jobs: settings::max_jobs(),
        role: role.to_u32(),
        session_role: session_role.to_u32(),
        settings: session::capture(),
        options: Value::Object(options),
    };
    Ok(Call { spec, wait })
}

fn required<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str> {
    value.ok_or_else(|| Error::new("22004", format!("{name} must not be NULL")))
}

fn check_keys(options: &Map<String, Value>) -> Result<()> {
    for key in options.keys() {
        if !KEYS.contains(&key.as_str()) && !Params::KEYS.contains(&key.as_str()) {
            let mut known: Vec<&str> = KEYS.iter().chain(Params::KEYS).copied().collect();
            known.sort_unstable();
            let close = did_you_mean(key, &known);
            let list = format!("Known options are: {}.", known.join(", "));
            let hint = if close.starts_with("Did") {
                format!("{close} {list}")
            } else {
                list
            };
            return Err(Error::new("22023", format!("unknown option \"{key}\"")).hint(hint));
        }
    }
    Ok(())
}

fn model_name(model: Option<&str>, source: &Source, target: &str) -> Result<String> {
    let Some(model) = model else {
        return Ok(format!("{}_{target}", source.name).replace('@', "_"));
    };
    if model.trim().is_empty()
        || model.chars().count() > 200
        || model.contains('@')
        || model.chars().any(char::is_control)
    {
        return Err(
            Error::new("42602", format!("invalid model name \"{model}\"")).hint(
                "A model name has 1 to 200 characters, none of them @ (model@3 names a version).",
            ),
        );
    }
    Ok(model.into())
}

fn wrong_type(key: &str, expected: &str) -> Error {
    Error::new("22023", format!("option \"{key}\" must be {expected}"))
}

fn text(options: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match options.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong_type(key, "a text")),
    }
}

fn scalar_text(options: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match options.get(key) {
        Some(Value::Bool(_) | Value::Number(_)) => Ok(options.get(key).map(Value::to_string)),
        _ => text(options, key).map_err(|_| wrong_type(key, "a text, number or boolean")),
    }
}

fn boolean(options: &Map<String, Value>, key: &str) -> Result<Option<bool>> {
    match options.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(wrong_type(key, "true or false")),
    }
}

fn names(options: &Map<String, Value>, key: &str) -> Result<Vec<String>> {
    let error = || {
        wrong_type(key, "an array of column names")
            .hint(format!("For example {{\"{key}\": [\"age\", \"income\"]}}."))
    };
    match options.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(error))
            .collect(),
        Some(_) => Err(error()),
    }
}

fn threads(options: &Map<String, Value>) -> Result<usize> {
    match options.get("threads") {
        None | Some(Value::Null) => Ok(settings::threads()),
        Some(value) => value
            .as_u64()
            .filter(|n| *n <= 1024)
            .map(|n| n as usize)
            .ok_or_else(|| wrong_type("threads", "an integer from 0 to 1024")),
    }
}

fn task(options: &Map<String, Value>) -> Result<Option<Task>> {
    match text(options, "task")?.as_deref() {
        None => Ok(None),
        Some("binary") => Ok(Some(Task::Binary)),
        Some("multiclass") => Ok(Some(Task::Multiclass)),
        Some("regression") => Ok(Some(Task::Regression)),
        Some(other) => Err(Error::new("22023", format!("unknown task \"{other}\""))
            .hint("Known are: binary, multiclass, regression.")),
    }
}

fn check_algorithm(options: &Map<String, Value>) -> Result<()> {
    match text(options, "algorithm")?.as_deref() {
        None | Some("dnn" | "mlp") => Ok(()),
        Some(other) => Err(
            Error::new("22023", format!("unknown algorithm \"{other}\"")).hint("Known are: dnn."),
        ),
    }
}

/// The columns to read in order (features, then the target) and those left out.
type Chosen = (Vec<String>, Vec<(String, String)>);

fn choose_columns(
    source: &Source,
    target: &str,
    include: &[String],
    exclude: &[String],
) -> Result<Chosen> {
    for name in include.iter().chain(exclude) {
        source.require(name)?;
    }
    if include.iter().any(|name| name == target) || exclude.iter().any(|name| name == target) {
        return Err(Error::new(
            "22023",
            format!("the target \"{target}\" is neither included nor excluded"),
        )
        .hint("Name only features in include and exclude."));
    }
    if let Some(both) = include.iter().find(|name| exclude.contains(name)) {
        return Err(Error::new(
            "22023",
            format!("column \"{both}\" is both included and excluded"),
        ));
    }
    let given: Vec<&str> = if include.is_empty() {
        source
            .columns
            .iter()
            .map(|c| c.name.as_str())
            .filter(|n| *n != target)
            .collect()
    } else {
        include.iter().map(String::as_str).collect()
    };
    let (mut columns, mut excluded) = (Vec::new(), Vec::new());
    for name in given {
        let column = source.require(name)?;
        if source.columns.iter().filter(|c| c.name == name).count() > 1
            || columns.iter().any(|c| c == name)
        {
            return Err(Error::new(
                "42702",
                format!("column name \"{name}\" appears more than once"),
            )
            .hint("Give each column of the query its own name with AS."));
        }
        if exclude.iter().any(|e| e == name) {
            excluded.push((name.to_owned(), "excluded by the call".to_owned()));
        } else if Decoder::for_type(column.type_oid).is_none() {
            excluded.push((
                name.to_owned(),
                format!("type {} is not supported", column.type_name),
            ));
        } else {
            columns.push(name.to_owned());
        }
    }
    if columns.is_empty() {
        return Err(Error::new(
            "22023",
            format!("{} has no usable feature column", source.label()),
        )
        .hint("Numbers, booleans, text, enums, dates, timestamps and intervals can be used."));
    }
    let target_column = source.require(target)?;
    if Decoder::for_type(target_column.type_oid).is_none() {
        return Err(Error::new(
            "0A000",
            format!(
                "target \"{target}\" has the unsupported type {}",
                target_column.type_name
            ),
        )
        .hint("Cast it to a number, boolean or text in a SELECT."));
    }
    columns.push(target.to_owned());
    Ok((columns, excluded))
}

/// A worker sees neither temporary tables nor what this transaction has not committed.
fn check_visible(source: &Source) -> Result<()> {
    for &relation in &source.relations {
        // SAFETY: syscache look-ups of relations the analysed query refers to.
        let (persistence, name) = unsafe {
            let name = pg_sys::get_rel_name(relation);
            let name = if name.is_null() {
                String::new()
            } else {
                std::ffi::CStr::from_ptr(name)
                    .to_string_lossy()
                    .into_owned()
            };
            (pg_sys::get_rel_persistence(relation) as u8, name)
        };
        if persistence == b't' {
            return Err(Error::new("0A000", format!("cannot train on the temporary table \"{name}\""))
                .detail("Training runs in a background worker, which cannot see other sessions' temporary tables.")
                .hint("Use a permanent or unlogged table: CREATE UNLOGGED TABLE ... AS SELECT ..."));
        }
        if written_by_this_transaction(relation)? {
            return Err(Error::new(
                "55000",
                format!(
                    "table \"{name}\" was changed by this transaction, which has not committed"
                ),
            )
            .detail("Training runs in a background worker, which sees only committed rows.")
            .hint("COMMIT first, then call insight_train."));
        }
    }
    Ok(())
}

/// Writing takes a lock that is held until the transaction ends; partitions count for their parent.
fn written_by_this_transaction(relation: pg_sys::Oid) -> Result<bool> {
    Spi::connect(|client| {
        let row = client
            .select(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l \
                   WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.locktype OPERATOR(pg_catalog.=) 'relation' \
                   AND l.mode OPERATOR(pg_catalog.=) ANY (ARRAY['RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']) \
                   AND (l.relation OPERATOR(pg_catalog.=) $1 OR l.relation IN (SELECT p.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) p)))",
                None,
                &[relation.into()],
            )?
            .first();
        Ok(row.get_one::<bool>()?.unwrap_or(false))
    })
}

/// The whole table, or every column that is read.
fn check_privileges(source: &Source, columns: &[String]) -> Result<()> {
    let Some(relation) = source.relation else {
        return Ok(());
    };
    // SAFETY: look-ups of the current role's rights on an existing relation.
    unsafe {
        let role = pg_sys::GetUserId();
        if pg_sys::pg_class_aclcheck(relation, role, pg_sys::ACL_SELECT)
            == pg_sys::AclResult::ACLCHECK_OK
        {
            return Ok(());
        }
        let mut denied = Vec::new();
        for name in columns {
            let Ok(c_name) = std::ffi::CString::new(name.as_str()) else {
                continue;
            };
            let number = pg_sys::get_attnum(relation, c_name.as_ptr());
            let allowed = pg_sys::pg_attribute_aclcheck(relation, number, role, pg_sys::ACL_SELECT);
            if allowed != pg_sys::AclResult::ACLCHECK_OK {
                denied.push(name.as_str());
            }
        }
        if denied.is_empty() {
            return Ok(());
        }
        if denied.len() == columns.len() {
            return Err(
                Error::new("42501", format!("permission denied for {}", source.label())).hint(
                    format!(
                        "Ask its owner for: GRANT SELECT ON {} TO {};",
                        source.from,
                        store::catalog::role_name(role)
                    ),
                ),
            );
        }
        let quoted: Vec<String> = denied.iter().map(|d| format!("\"{d}\"")).collect();
        Err(Error::new(
            "42501",
            format!(
                "permission denied for column {} of {}",
                quoted.join(", "),
                source.label()
            ),
        )
        .hint(format!(
            "Leave it out with options => '{{\"exclude\": [{}]}}', or ask for SELECT on it.",
            quoted.join(", ")
        )))
    }
}

impl Spec {
    /// The relation again, as the worker sees it under the caller's role.
    pub fn source(&self) -> Result<Source> {
        resolve::resolve_from(&self.relation, &self.from)
    }

    pub fn params(&self) -> Result<Params> {
        let empty = Map::new();
        Ok(Params::from_json(
            self.options.as_object().unwrap_or(&empty),
        )?)
    }
}
