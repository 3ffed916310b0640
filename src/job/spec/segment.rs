//! Calls of `insight_train` for models that tell segments of rows apart.

use super::{Call, EXCLUDED, Spec, Work, check_keys, common, model_name, privacy, repeated};
use crate::error::{Error, Result, required};
use crate::job::access;
use crate::job::options::{names, scalar_text, text, wrong_type};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source};
use crate::relation::score;
use crate::store::cache;
use crate::store::record::record;
use crate::store::rights::Right;
use insight_engine::artifact::Task;
use insight_engine::infer::Predictor;
pub use insight_engine::segment::Wanted;
use insight_engine::segment::{Algorithm, Params};
use serde_json::{Map, Value};
use std::rc::Rc;

/// Options beside hyper-parameters.
const KEYS: &[&str] = &[
    "deploy", "exclude", "include", "key", "model", "name", "positive", "target", "threads", "wait",
];

/// Whether the options ask for segments.
pub fn is_asked(options: &Value) -> bool {
    let algorithm = options.get("algorithm").and_then(Value::as_str);
    algorithm.and_then(Algorithm::of).is_some()
}

/// Checks options, names and privileges as the calling role. Reads no rows. The options `name` and `target` stand for the arguments
/// of insight_train that are NULL.
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
    privacy::refuse(options, &format!("the algorithm {algorithm}"))?;
    check_keys(
        options,
        &[KEYS, Params::KEYS],
        &format!(" of algorithm {algorithm}"),
    )?;
    Params::from_json(options)?;
    let source = resolve::resolve(relation)?;
    let mut options = options.clone();
    let mut argument = |given: Option<&str>, option: &str| -> Result<Option<String>> {
        let named = text(&options, option)?;
        options.remove(option);
        Ok(given.map(str::to_owned).or(named))
    };
    let model = argument(model, "name")?;
    let target = argument(target, "target")?;
    let options = &options;
    let model = model_name(model.as_deref(), &source, "segments")?;
    let key = match text(options, "key")? {
        Some(key) => Some(source.require(&key)?.name.clone()),
        None => source.relation.and_then(resolve::primary_key),
    };
    let alike = text(options, "model")?;
    let alike = alike.map(|reference| Alike::of(&reference)).transpose()?;
    let own = alike.as_ref().map(|alike| alike.predictor.artifact());
    // What the model predicts is what its segments differ in.
    let usual = own.map(|own| own.target.name.as_str());
    let usual = usual.filter(|name| target.is_none() && source.column(name).is_some());
    let target = target.as_deref().or(usual);
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
    let (mut columns, excluded) = match &alike {
        Some(alike) => (
            alike.columns(&source, options, target.as_deref())?,
            Vec::new(),
        ),
        None => choose(&source, options, key.as_deref(), target.as_deref())?,
    };
    columns.extend(target.clone());
    access::check_visible(&source)?;
    privacy::check_budget(&source, options)?;
    access::check_privileges(
        &source,
        &columns,
        |denied| serde_json::json!({"exclude": denied}),
    )?;
    let include = names(options, "include")?;
    let mut positive = scalar_text(options, "positive")?;
    if positive.is_some() && target.is_none() {
        return Err(Error::new("22023", "option \"positive\" needs a target")
            .hint("Name the column whose label it is as the target."));
    }
    if let Some(own) = own.filter(|own| target.as_ref() == Some(&own.target.name))
        && own.task == Task::Binary
    {
        positive = positive.or_else(|| own.target.labels.last().cloned());
    }
    let mut options = options.clone();
    if let Some(alike) = &alike {
        // As it is now: another version may be deployed when the segments are found again.
        options.insert("model".into(), alike.name.as_str().into());
    }
    let mut from = source.clone();
    // A primary key that nobody has named says nothing of customers.
    let named = key.filter(|_| options.contains_key("key"));
    let member = named.map(|key| from.add_member(&key, &mut columns));
    let Call { spec, wait } = common(model, &source, options, true, member)?;
    let spec = Spec {
        work: Work::Segment(Wanted {
            target: target.clone(),
            positive,
            include,
            model: alike.as_ref().map(|alike| alike.name.clone()),
        }),
        from: from.from,
        start: alike.map(|alike| (alike.name, alike.id)),
        target: target.unwrap_or_default(),
        columns,
        excluded,
        ..spec
    };
    Ok(Call { spec, wait })
}

/// The model by which rows are alike.
struct Alike {
    /// Such as `customers_churn@2`.
    name: String,
    id: i64,
    predictor: Rc<Predictor>,
}

impl Alike {
    fn of(reference: &str) -> Result<Alike> {
        let predictor = cache::predictor(reference, Right::Explain)?;
        if predictor.artifact().sources.is_some() {
            return Err(Error::new(
                "22023",
                format!("model \"{reference}\" needs related tables, which segments do not read"),
            )
            .hint("Train a model on a table of the features: see insight_features."));
        }
        let record = record(cache::version(reference, Right::Explain)?)?;
        Ok(Alike {
            name: format!("{}@{}", record.model, record.version),
            id: record.id,
            predictor,
        })
    }

    /// The model's columns, which the source must have.
    fn columns(
        &self,
        source: &Source,
        options: &Map<String, Value>,
        target: Option<&str>,
    ) -> Result<Vec<String>> {
        let other = ["include", "exclude"];
        if let Some(other) = other.iter().find(|name| options.contains_key(**name)) {
            return Err(Error::new(
                "22023",
                format!("options \"model\" and \"{other}\" exclude each other"),
            )
            .hint("Rows are compared by the columns that the model needs."));
        }
        let inputs = self.predictor.artifact().recipe.columns();
        let names = score::columns(inputs, source)?;
        if let Some(target) = target.filter(|target| names.contains(target)) {
            return Err(Error::new(
                "22023",
                format!(
                    "the target \"{target}\" is a column of model \"{}\"",
                    self.name
                ),
            )
            .hint("Name a column that the model does not need, or none."));
        }
        Ok(names.into_iter().map(str::to_owned).collect())
    }
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
