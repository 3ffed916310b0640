//! What to train, checked in the caller's session before anything is queued.

pub mod augment;
mod columns;
pub mod generate;
mod name;
pub(in crate::job) mod privacy;
pub mod segment;
mod sensitive;
pub mod sequence;
mod shards;
mod start;
mod task;

use super::options::{
    boolean, clean_params, leakage, names, outcome_time, scalar_text, split, text, threads,
    wrong_type,
};
use super::{access, cross_validate, session};
use crate::error::{Error, Result, required};
use crate::relation::clean;
pub use crate::relation::resolve::Member;
use crate::relation::sources::{self, Sources};
use crate::relation::{decode::Decoder, resolve, resolve::Source, resolve::did_you_mean};
use crate::store::deployments::{Champion, Promote};
use crate::store::{budget, membership};
use crate::{settings, store};
use columns::{Chosen, aside, choose_columns, leave_out, without};
use insight_engine::{
    artifact::Task,
    clean::CleanParams,
    embed,
    fit::{Folds, Leakage, Sensitive, Split, TaskOptions},
    frame::Kind,
    params::Params,
    privacy::leak::Plan,
};
pub use name::check_name;
use name::model_name;
use pgrx::pg_sys;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// What a job does with the rows it reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    #[default]
    Train,
    CrossValidate(Folds),
    /// Attacks models of halves of the rows.
    Leak(Plan),
    /// Learns to make rows.
    Generate(generate::Generate),
    /// Learns what keys do next.
    Sequence(sequence::Sequence),
    /// Finds segments of rows.
    Segment(segment::Wanted),
}

/// Everything a worker needs to know; stored in the job row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Spec {
    pub model: String,
    #[serde(default)]
    pub work: Work,
    /// As the user wrote it.
    pub relation: String,
    /// The relation with its schema, or the query.
    #[serde(default)]
    pub again: String,
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
    #[serde(default)]
    pub of_task: TaskOptions,
    #[serde(default)]
    pub leakage: Leakage,
    #[serde(default)]
    pub outcome_time: Option<String>,
    #[serde(default)]
    pub sensitive: Sensitive,
    #[serde(default)]
    pub split: Split,
    /// The version from which training goes on: its name and its id.
    #[serde(default)]
    pub start: Option<(String, i64)>,
    /// The column whose values have models of their own.
    #[serde(default)]
    pub partition: Option<String>,
    /// Generated rows to train with, too.
    #[serde(default)]
    pub augment: Option<augment::Wanted>,
    /// In how many shards rows are dealt, by their keys.
    #[serde(default)]
    pub shards: Option<usize>,
    /// The column that tells rows apart, where it is wanted.
    #[serde(default)]
    pub key: Option<String>,
    /// The column that tells whose each row is.
    #[serde(default)]
    pub member: Option<Member>,
    /// Whose rows are left out.
    #[serde(default)]
    pub forgotten: Vec<u64>,
    /// Related tables, as a model stores them.
    #[serde(default)]
    pub sources: Option<Value>,
    /// The folder of the text model.
    #[serde(default)]
    pub text_model: Option<PathBuf>,
    pub device: String,
    pub threads: usize,
    pub max_bytes: usize,
    pub max_gpu_bytes: Option<u64>,
    pub isolate: bool,
    pub deploy: bool,
    /// Of a version that is trained again: when it is deployed, and beside which it is judged.
    #[serde(default)]
    pub promote: Option<Promote>,
    #[serde(default)]
    pub champion: Option<Champion>,
    pub max_jobs: i64,
    pub role: u32,
    pub session_role: u32,
    /// Settings of the caller's session that reading depends on; not kept once the job has ended.
    #[serde(default)]
    pub settings: Vec<(String, String)>,
}

/// Options that are not hyper-parameters.
const KEYS: &[&str] = &[
    "as_of",
    "augment",
    "clean",
    "deploy",
    "device",
    "event",
    "exclude",
    "group",
    "include",
    "key",
    "leakage",
    "mitigate",
    "order",
    "outcome_time",
    "partition",
    "positive",
    "sensitive",
    "shards",
    "sources",
    "split",
    "targets",
    "task",
    "threads",
    "time",
    "treatment",
    "uplift_method",
    "wait",
    "warm_start",
];

/// Why a column that the call names in exclude is left out.
const EXCLUDED: &str = "excluded by the call";

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
    work: Work,
) -> Result<Call> {
    let (relation, target) = (required(relation, "relation")?, required(target, "target")?);
    let empty = Map::new();
    let Value::Object(options) = options else {
        return Err(Error::new("22023", "options must be a JSON object")
            .hint("For example '{\"epochs\": 20}'."));
    };
    let (mut own, mut more) = ([KEYS, Params::KEYS].concat(), &[][..]);
    if let Work::CrossValidate(_) = work {
        own.retain(|key| !cross_validate::NOT_HERE.contains(key));
        more = &cross_validate::OWN[..];
    }
    check_keys(options, &[&own, more], "")?;
    if options.contains_key("targets") {
        return Err(
            Error::new("22023", "option \"targets\" is for insight_train alone")
                .hint("Each of its models is called by its own name from then on."),
        );
    }
    Params::from_json(options)?;
    if matches!(work, Work::CrossValidate(_)) {
        privacy::refuse(
            options,
            "cross-validation, which would spend the budget for each fold",
        )?;
    }
    let source = resolve::resolve(relation)?;
    source.require(target)?;
    let model = model_name(model, &source, target)?;
    let include = names(options, "include")?;
    let exclude = names(options, "exclude")?;
    let task = task::named(options)?;
    let keyed = matches!(work, Work::CrossValidate(folds) if folds.predictions);
    let of_customers = options.get("key").is_some_and(|key| !key.is_null());
    // A key tells rows apart without related tables, too.
    let related = if (keyed || of_customers) && !options.contains_key("sources") {
        let without_key = options.iter().filter(|(name, _)| *name != "key");
        &without_key
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    } else {
        options
    };
    let sensitive = sensitive::sensitive(options, &source, target)?;
    if sensitive.names().next().is_some() {
        privacy::refuse(
            options,
            "models with sensitive columns, whose groups are told exactly",
        )?;
    }
    let sources = sensitive::without(sources::parse(related, &source)?, &sensitive);
    let base = source.clone();
    let source = match &sources {
        Some(sources) => sources.join(&without(source, &exclude, sources), None)?,
        None => source,
    };
    let (before, exclude): (Vec<_>, Vec<_>) = exclude
        .into_iter()
        .partition(|name| base.column(name).is_some() && source.column(name).is_none());
    let of_task = task::options(options, task, &source, target)?;
    let (mut columns, mut excluded) = choose_columns(&source, target, task, &include, &exclude)?;
    excluded.extend(before.into_iter().map(|name| (name, EXCLUDED.to_owned())));
    if let Some(sources) = &sources {
        leave_out(sources, &include, &mut columns, &mut excluded);
    } else if let Some(key) = text(options, "key")? {
        let key = &source.require(&key)?.name;
        aside(
            key,
            "identifies the customer",
            &include,
            &mut columns,
            &mut excluded,
        );
    }
    clean::check(&clean_params(options)?, &source, Some(target))?;
    let outcome_time = outcome_time(options, &source, target)?;
    if let Some(sources) = &sources {
        check_cut_off(sources, &base, outcome_time.as_deref())?;
        sources.advise_indexes()?;
    }
    let split = split(options, &base, target)?;
    // Read, but no features.
    let privacy = privacy::wanted(options, &base, Some(target))?;
    let unit = privacy.as_ref().and_then(|p| p.unit.as_deref());
    if privacy.is_some() {
        privacy::leave_out_key(&base, &include, &mut columns, &mut excluded);
    }
    let beside = outcome_time.as_deref().into_iter().chain(split.column());
    for name in beside
        .chain(unit)
        .chain(sensitive.names())
        .chain(of_task.companion().map(String::as_str))
    {
        excluded.retain(|(column, _)| column != name);
        if !columns.iter().any(|c| c == name) {
            columns.insert(0, name.to_owned());
        }
    }
    let start = start::warm_start(options, &model)?;
    let shards = shards::wanted(options, &work)?;
    let augment = augment::wanted(options, &base, target, of_task.companion())?;
    let partition = text(options, "partition")?;
    if let Some(name) = &partition {
        base.require(name)?;
        if !columns.contains(name) {
            return Err(Error::new(
                "22023",
                format!("the column \"{name}\" of option \"partition\" is left out"),
            )
            .hint("A model is partitioned by one of its features."));
        }
    }
    let key = if keyed || of_customers && work == Work::Train {
        key(options, &base)?
    } else {
        None
    };
    let needed: Vec<&str> = columns
        .iter()
        .chain(key.iter().filter(|k| !columns.contains(k)))
        .map(String::as_str)
        .collect();
    let (mut source, read): (Source, Vec<String>) = match &sources {
        // Now that the columns are chosen, the SQL names no others.
        Some(sources) => {
            let source = sources.join(&base, Some(&needed))?;
            let own = base.columns.iter().map(|c| c.name.clone());
            let read = own.filter(|name| source.column(name).is_some()).collect();
            (source, read)
        }
        None => (source, needed.iter().map(|&name| name.to_owned()).collect()),
    };
    access::check_visible(&source)?;
    match work {
        // What attackers learn is not told privately.
        Work::Leak(_) => budget::check_plain(&source.relations)?,
        _ => privacy::check_budget(&source, options)?,
    }
    access::check_privileges(
        &base,
        &read,
        |denied| serde_json::json!({"exclude": denied}),
    )?;
    let member = key.map(|key| source.add_member(&key, &mut columns));
    let device = text(options, "device")?.unwrap_or_else(settings::device);
    super::trainer::check_device(&device)?;
    let text_model = settings::text_model();
    if let Some(folder) = &text_model {
        embed::check(folder)?;
    }
    let mut options = options.clone();
    if let Some((name, _)) = &start {
        // As it is now: another version may be deployed when the model is trained again.
        options.insert("warm_start".into(), name.as_str().into());
    }
    if privacy.is_some() {
        privacy::add_enums(&mut options, &base, &columns)?;
    }
    if let Some(wanted) = &augment {
        // To train it again the same way.
        options.insert("augment".into(), wanted.option());
    }
    let stored = work == Work::Train;
    let (key, member) = match member {
        Some(own) if keyed => (Some(own.column), None),
        own => (None, own),
    };
    let Call { spec, wait } = common(model, &base, options, stored, member)?;
    let own = spec.options.as_object().unwrap_or(&empty);
    let spec = Spec {
        work,
        relation: source.given.clone(),
        from: source.from.clone(),
        target: target.into(),
        columns,
        include,
        excluded,
        task,
        positive: scalar_text(own, "positive")?,
        of_task,
        leakage: leakage(own)?,
        outcome_time,
        sensitive,
        split,
        start,
        partition,
        augment,
        shards,
        key,
        sources: sources.and_then(|s| serde_json::to_value(s).ok()),
        text_model,
        device,
        ..spec
    };
    Ok(Call { spec, wait })
}

/// What the specifications of all kinds of models have in common, of a relation as it is; the rights to store one are checked if it
/// is to be `stored`.
fn common(
    model: String,
    source: &Source,
    mut options: Map<String, Value>,
    stored: bool,
    member: Option<Member>,
) -> Result<Call> {
    // SAFETY: plain reads of this process's identity.
    let role = unsafe { pg_sys::GetUserId() };
    let session_role = access::session_role()?;
    let mut forgotten = Vec::new();
    if stored {
        store::catalog::check_may_train(&model, role)?;
        forgotten = membership::forgotten(&model)?;
        membership::check_key(&model, member.is_some(), &forgotten)?;
    }
    if let Some(limit) = settings::max_seconds() {
        let asked = options.get("max_seconds").and_then(Value::as_f64);
        let seconds = asked.map_or(limit, |s| s.min(limit));
        options.insert("max_seconds".into(), seconds.into());
    }
    let wait = boolean(&options, "wait")?.unwrap_or(true);
    let spec = Spec {
        model,
        relation: source.given.clone(),
        again: source.again(),
        from: source.from.clone(),
        device: "cpu".into(),
        threads: threads(&options)?,
        max_bytes: settings::max_memory(),
        max_gpu_bytes: settings::max_gpu_bytes(),
        isolate: settings::isolate_training(),
        deploy: boolean(&options, "deploy")?.unwrap_or(true),
        max_jobs: settings::max_jobs(),
        role: role.to_u32(),
        session_role: session_role.to_u32(),
        settings: session::capture()?,
        member,
        forgotten,
        options: Value::Object(options),
        ..Spec::default()
    };
    Ok(Call { spec, wait })
}

/// Whether all options are among the `known`; `of` says whose they are, such as " of algorithm gan".
pub fn check_keys(options: &Map<String, Value>, known: &[&[&str]], of: &str) -> Result<()> {
    let mut known: Vec<&str> = known.concat();
    let Some(key) = options.keys().find(|key| !known.contains(&key.as_str())) else {
        return Ok(());
    };
    known.sort_unstable();
    let close = did_you_mean(key, &known);
    let close = if close.starts_with("Did") {
        format!("{close} ")
    } else {
        String::new()
    };
    let hint = format!("{close}Known options are: {}.", known.join(", "));
    Err(Error::new("22023", format!("unknown option \"{key}\"{of}")).hint(hint))
}

/// A column that cannot be told from another.
fn repeated(name: &str) -> Error {
    Error::new(
        "42702",
        format!("column name \"{name}\" appears more than once"),
    )
    .hint("Give each column of the query its own name with AS.")
}

/// The column that tells rows apart: the one asked for, else the primary key.
fn key(options: &Map<String, Value>, base: &Source) -> Result<Option<String>> {
    match text(options, "key")? {
        Some(name) => Ok(Some(base.require(&name)?.name.clone())),
        None => Ok(base.relation.and_then(resolve::primary_key)),
    }
}

/// Outcomes of different times and one look at the sources now: what came after an outcome would tell it.
fn check_cut_off(sources: &Sources, base: &Source, outcome_time: Option<&str>) -> Result<()> {
    let Some(name) = outcome_time.filter(|_| sources.looks_now(base)) else {
        return Ok(());
    };
    Err(Error::new(
        "22023",
        "option \"outcome_time\" with sources needs the option \"as_of\"",
    )
    .detail("Without a cut-off, what happened after the outcome would be known to the features.")
    .hint(format!(
        "Give the moment at which you would have predicted, such as {}.",
        serde_json::json!({"as_of": {"column": name, "lag": "30 days"}})
    )))
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

    pub fn clean(&self) -> Result<CleanParams> {
        self.options
            .as_object()
            .map_or_else(|| Ok(CleanParams::default()), clean_params)
    }
}
