//! Calls of `insight_train` for models of what a key does next.

use super::{
    Call, EXCLUDED, Member, Spec, Work, check_keys, common, model_name, privacy, repeated,
};
use crate::error::{Error, Result, required};
use crate::job::access;
use crate::job::options::{names, text, wrong_type};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source};
use insight_engine::frame::Kind;
use insight_engine::sequence::{Cell, Params, TargetOf};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Options beside those of the networks.
const KEYS: &[&str] = &[
    "deploy",
    "exclude",
    "horizon",
    "include",
    "key",
    "label_relation",
    "order",
    "static_relation",
    "task",
    "threads",
    "wait",
];

/// What is learned of the histories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    pub key: String,
    pub order: Vec<String>,
    pub target: TargetOf,
    pub labels: Option<LabelSource>,
    #[serde(default)]
    pub statics: Option<StaticSource>,
}

/// A relation with a row for each key, of which every usable column is known to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StaticSource {
    pub relation: String,
    /// What stands after FROM.
    pub from: String,
    /// The key first.
    pub columns: Vec<String>,
}

/// A relation with a row for each key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelSource {
    pub relation: String,
    /// What stands after FROM.
    pub from: String,
    pub target: String,
    /// Numbers are classes.
    pub classes: bool,
}

/// Whether the options ask for a model of histories.
pub fn is_asked(options: &Value) -> bool {
    let algorithm = options.get("algorithm").and_then(Value::as_str);
    // A transformer reads rows, too; an order that is an array says how labels rank.
    // Labels that rank have an order, too: an array, of rows without a key.
    let order = options.get("order");
    let keyed = options.get("key").is_some() && options.get("sources").is_none();
    let ordered = (order.is_some_and(Value::is_string)
        || order.is_some_and(Value::is_array) && keyed)
        && options.get("task").and_then(Value::as_str) != Some("ordinal");
    match algorithm.and_then(Cell::of) {
        Some(Cell::Transformer) => ordered,
        Some(_) => true,
        None => ordered && algorithm.is_none_or(|a| a == "auto"),
    }
}

/// Checks options, names and privileges as the calling role. Reads no rows.
pub fn check(
    relation: Option<&str>,
    target: Option<&str>,
    model: Option<&str>,
    options: &Value,
) -> Result<Call> {
    let (relation, target) = (required(relation, "relation")?, required(target, "target")?);
    let empty = Map::new();
    let options = options.as_object().unwrap_or(&empty);
    check_keys(options, &[KEYS, Params::KEYS], " of a model of histories")?;
    let mut own = options.clone();
    if own
        .get("algorithm")
        .and_then(Value::as_str)
        .and_then(Cell::of)
        .is_none()
    {
        own.remove("algorithm");
    }
    Params::from_json(&own)?;
    let source = resolve::resolve(relation)?;
    let key = text(options, "key")?.ok_or_else(|| {
        Error::new("22023", "a model of histories needs the option \"key\"")
            .hint("It names the column that tells whose rows they are, such as {\"key\": \"customer_id\"}.")
    })?;
    source.require(&key)?;
    let order = order(options, &source)?;
    let (target, labels) = aim(options, &source, target, &order)?;
    if matches!(target, TargetOf::Count { .. }) {
        privacy::refuse(options, "counts of what is to come (option \"horizon\")")?;
    }
    let (columns, excluded) = choose(&source, options, &key, &order, &target)?;
    access::check_visible(&source)?;
    privacy::check_budget(&source, options)?;
    access::check_privileges(
        &source,
        &columns,
        |denied| serde_json::json!({"exclude": denied}),
    )?;
    let mut options = options.clone();
    if let Some(labels) = &labels {
        let source = resolve::resolve(&labels.relation)?;
        // With its schema: a search path may be another when the model is trained again.
        options.insert("label_relation".into(), source.again().into());
        source.require(&key)?;
        access::check_visible(&source)?;
        privacy::check_budget(&source, &options)?;
        let own = [key.clone(), labels.target.clone()];
        access::check_privileges(&source, &own, |_| Value::Null)?;
    }
    let statics = statics(&options, &key, labels.as_ref())?;
    if let Some(source) = &statics {
        options.insert("static_relation".into(), source.relation.as_str().into());
    }
    let named = match &labels {
        Some(labels) => labels.target.as_str(),
        None => match &target {
            TargetOf::Next { column, .. } => column,
            _ => &order[0],
        },
    };
    let (model, named) = (model_name(model, &source, named)?, named.to_owned());
    let from = source.keyed(&key, &columns).from;
    let private = {
        let of_labels = labels
            .as_ref()
            .map(|own| (&own.relation, vec![own.target.clone()]));
        let of_statics = statics
            .as_ref()
            .map(|own| (&own.relation, own.columns.clone()));
        let beside = of_labels.into_iter().chain(of_statics);
        let beside = beside.map(|(relation, names)| Ok((resolve::resolve(relation)?, names)));
        let beside = beside.collect::<Result<Vec<_>>>()?;
        let mut read: Vec<(&Source, &[String])> = vec![(&source, &columns)];
        read.extend(beside.iter().map(|(source, names)| (source, &**names)));
        private(&mut options, &read, (&key, &named))?
    };
    // A private model says of nobody that their rows were there.
    let member = (!private).then(|| Member {
        column: key.clone(),
        aside: false,
    });
    let Call { spec, wait } = common(model, &source, options, true, member)?;
    let spec = Spec {
        work: Work::Sequence(Sequence {
            key,
            order,
            target,
            labels,
            statics,
        }),
        from,
        target: named,
        columns,
        excluded,
        ..spec
    };
    Ok(Call { spec, wait })
}

/// Whether differential privacy is asked for; what is known of columns by their types is added to the option. `read` are the relations,
/// each with the columns that are read of it.
fn private(
    options: &mut Map<String, Value>,
    read: &[(&Source, &[String])],
    (key, target): (&str, &str),
) -> Result<bool> {
    let sources: Vec<&Source> = read.iter().map(|(source, _)| *source).collect();
    if privacy::wanted_of_key(options, &sources, (key, target))?.is_none() {
        return Ok(false);
    }
    for (at, (source, columns)) in read.iter().enumerate() {
        // A name stands for the column of the first relation that has it.
        let is_new = |name: &&String| !read[..at].iter().any(|(_, own)| own.contains(name));
        let own: Vec<String> = columns.iter().filter(is_new).cloned().collect();
        privacy::add_enums(options, source, &own)?;
    }
    privacy::add_boolean(options, &sources, target);
    Ok(true)
}

/// The columns that put a key's rows in order.
fn order(options: &Map<String, Value>, source: &Source) -> Result<Vec<String>> {
    let order = match options.get("order") {
        Some(Value::String(name)) => vec![name.clone()],
        _ => names(options, "order")?,
    };
    if order.is_empty() {
        return Err(
            Error::new("22023", "a model of histories needs the option \"order\"").hint(
                "It names the column that tells when each row was, such as {\"order\": \"at\"}.",
            ),
        );
    }
    for name in &order {
        let column = source.require(name)?;
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        if !matches!(kind, Some(Kind::Time | Kind::Number | Kind::Duration)) {
            return Err(
                wrong_type("order", "the name of a date, timestamp or numeric column")
                    .hint(format!("\"{name}\" is of type {}.", column.type_name)),
            );
        }
    }
    Ok(order)
}

/// How far is looked ahead, in seconds or units of the order.
fn horizon(options: &Map<String, Value>, source: &Source, order: &str) -> Result<Option<f64>> {
    let Some(given) = options.get("horizon") else {
        return Ok(None);
    };
    let kind = Decoder::for_type(source.require(order)?.type_oid).map(|d| d.kind);
    let is_time = kind == Some(Kind::Time);
    let wanted = if is_time {
        "an interval above 0 such as \"90 days\", or a number of days"
    } else {
        "a number above 0, in the unit of the order"
    };
    let horizon = match given {
        Value::Number(number) if is_time => number.as_f64().map(|days| days * 86_400.0),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if is_time => Some(seconds(text)?),
        _ => None,
    };
    match horizon {
        Some(horizon) if horizon > 0.0 && horizon.is_finite() => Ok(Some(horizon)),
        _ => Err(wrong_type("horizon", wanted)),
    }
}

/// The seconds of an interval; months have 30 days.
fn seconds(text: &str) -> Result<f64> {
    let query = "SELECT pg_catalog.date_part('epoch', $1::pg_catalog.interval)";
    let seconds = pgrx::spi::Spi::connect(|client| {
        client
            .select(query, Some(1), &[text.into()])?
            .first()
            .get_one::<f64>()
    })?;
    Ok(seconds.unwrap_or(0.0))
}

/// The relation that says what is known of each key; the label is not among it.
fn statics(
    options: &Map<String, Value>,
    key: &str,
    labels: Option<&LabelSource>,
) -> Result<Option<StaticSource>> {
    let Some(relation) = text(options, "static_relation")? else {
        return Ok(None);
    };
    let source = resolve::resolve(&relation)?;
    source.require(key)?;
    let label = labels.map(|l| l.target.as_str());
    let usable = |oid| {
        let kind = Decoder::for_type(oid).map(|d| d.kind);
        matches!(
            kind,
            Some(Kind::Number | Kind::Duration | Kind::Boolean | Kind::Category)
        )
    };
    let others = source
        .columns
        .iter()
        .filter(|c| c.name != key && Some(c.name.as_str()) != label && usable(c.type_oid));
    let mut columns = vec![key.to_owned()];
    columns.extend(others.map(|c| c.name.clone()));
    if columns.len() == 1 {
        return Err(Error::new(
            "22023",
            format!("{} tells nothing of its keys", source.label()),
        )
        .hint("Numbers, booleans and texts beside the key are used."));
    }
    access::check_visible(&source)?;
    privacy::check_budget(&source, options)?;
    access::check_privileges(&source, &columns, |_| Value::Null)?;
    Ok(Some(StaticSource {
        from: source.keyed(key, &columns).from,
        // With its schema: a search path may be another when the model is used.
        relation: source.again(),
        columns,
    }))
}

/// What is foretold.
fn aim(
    options: &Map<String, Value>,
    source: &Source,
    target: &str,
    order: &[String],
) -> Result<(TargetOf, Option<LabelSource>)> {
    let task = text(options, "task")?;
    let classes = match task.as_deref() {
        None => None,
        Some("binary" | "multiclass") => Some(true),
        Some("regression") => Some(false),
        Some(_) => return Err(wrong_type("task", "one of binary, multiclass, regression")),
    };
    if let Some(relation) = text(options, "label_relation")? {
        let labels = resolve::resolve(&relation)?;
        let column = labels.require(target)?;
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        if !matches!(
            kind,
            Some(Kind::Number | Kind::Duration | Kind::Boolean | Kind::Category)
        ) {
            return Err(Error::new(
                "0A000",
                format!(
                    "target \"{target}\" has the unsupported type {}",
                    column.type_name
                ),
            )
            .hint("Cast it to a number, boolean or text in a SELECT."));
        }
        let key = text(options, "key")?.unwrap_or_default();
        labels.require(&key)?;
        let names = [key.clone(), target.to_owned()];
        let from = labels.keyed(&key, &names).from;
        let classes = classes.unwrap_or(false);
        let source = LabelSource {
            relation,
            from,
            target: target.into(),
            classes,
        };
        return Ok((TargetOf::Key, Some(source)));
    }
    let column = source.require(target)?;
    let horizon = horizon(options, source, &order[0])?;
    if order[0] == target {
        let aim = horizon.map_or(TargetOf::Gap, |horizon| TargetOf::Count { horizon });
        return Ok((aim, None));
    }
    if horizon.is_some() {
        return Err(Error::new(
            "22023",
            "option \"horizon\" is for counting the rows to come",
        )
        .hint(format!(
            "The target is then the column of \"order\", \"{}\".",
            order[0]
        )));
    }
    let category = match Decoder::for_type(column.type_oid).map(|d| d.kind) {
        Some(Kind::Category | Kind::Boolean) => true,
        Some(Kind::Number | Kind::Duration) => classes.unwrap_or(false),
        _ => {
            return Err(Error::new("0A000", format!("target \"{target}\" has the unsupported type {}", column.type_name))
                .hint("The next text, boolean or number can be foretold, and with the column of \"order\" the time to the next row."));
        }
    };
    Ok((
        TargetOf::Next {
            column: target.into(),
            category,
        },
        None,
    ))
}

/// The columns to read, and those left out.
fn choose(
    source: &Source,
    options: &Map<String, Value>,
    key: &str,
    order: &[String],
    target: &TargetOf,
) -> Result<super::Chosen> {
    let (include, exclude) = (names(options, "include")?, names(options, "exclude")?);
    for name in include.iter().chain(&exclude) {
        source.require(name)?;
    }
    let needed = |name: &str| {
        let is_target = matches!(target, TargetOf::Next { column, .. } if column == name);
        is_target || name == key || order.iter().any(|o| o == name)
    };
    if let Some(name) = exclude.iter().find(|name| needed(name)) {
        return Err(
            Error::new("22023", format!("column \"{name}\" cannot be excluded"))
                .hint("The key, the order and the target are needed."),
        );
    }
    let (mut columns, mut excluded) = (Vec::new(), Vec::new());
    for column in &source.columns {
        let name = &column.name;
        if columns.contains(name) {
            return Err(repeated(name));
        }
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        let left_out = exclude.contains(name) || !include.is_empty() && !include.contains(name);
        let usable = matches!(
            kind,
            Some(Kind::Number | Kind::Duration | Kind::Boolean | Kind::Category | Kind::Time)
        );
        if needed(name) {
            columns.push(name.clone());
        } else if left_out {
            excluded.push((name.clone(), EXCLUDED.to_owned()));
        } else if usable {
            columns.push(name.clone());
        } else {
            excluded.push((
                name.clone(),
                format!("type {} is not supported in histories", column.type_name),
            ));
        }
    }
    Ok((columns, excluded))
}
