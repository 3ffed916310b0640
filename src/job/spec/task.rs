//! The task of a call, and what only some tasks need to know.

use super::{
    Decoder, Error, Kind, Map, Result, Source, Task, TaskOptions, Value, text, wrong_type,
};
use insight_engine::artifact::UpliftMethod;
use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};

pub(super) fn named(options: &Map<String, Value>) -> Result<Option<Task>> {
    let Some(wanted) = text(options, "task")? else {
        return Ok(None);
    };
    let found = Task::ALL.into_iter().find(|task| task.name() == wanted);
    found.map(Some).ok_or_else(|| {
        let known = Task::ALL.map(Task::name).join(", ");
        Error::new("22023", format!("unknown task \"{wanted}\""))
            .hint(format!("Known are: {known}."))
    })
}

/// Reads and checks the options that belong to a task.
pub(super) fn options(
    options: &Map<String, Value>,
    task: Option<Task>,
    source: &Source,
    target: &str,
) -> Result<TaskOptions> {
    let only = |key: &str, of: Task| match options.get(key) {
        Some(value) if !value.is_null() && task != Some(of) => Err(Error::new(
            "22023",
            format!("option \"{key}\" needs the task {}", of.name()),
        )
        .hint(format!(
            "Add \"task\": \"{}\", or leave {key} out.",
            of.name()
        ))),
        _ => Ok(()),
    };
    only("order", Task::Ordinal)?;
    only("event", Task::Survival)?;
    only("treatment", Task::Uplift)?;
    only("uplift_method", Task::Uplift)?;
    let mut found = TaskOptions {
        order: order(options)?,
        event: companion(options, "event", source, target)?,
        treatment: companion(options, "treatment", source, target)?,
        uplift_method: match text(options, "uplift_method")?.as_deref() {
            None | Some("auto") => None,
            Some("two_model") => Some(UpliftMethod::TwoModel),
            Some("transformed") => Some(UpliftMethod::Transformed),
            Some(_) => {
                return Err(wrong_type(
                    "uplift_method",
                    "one of auto, two_model, transformed",
                ));
            }
        },
    };
    if task == Some(Task::Uplift) && found.treatment.is_none() {
        return Err(needs_companion(
            Task::Uplift,
            "treatment",
            "which rows were treated",
        ));
    }
    if task == Some(Task::Survival) && found.event.is_none() {
        return Err(needs_companion(
            Task::Survival,
            "event",
            "whether the event happened",
        ));
    }
    if task == Some(Task::Ordinal) && found.order.is_empty() {
        found.order = enum_labels(source.require(target)?.type_oid)?;
    }
    Ok(found)
}

/// The name of a column that goes with the target.
fn companion(
    options: &Map<String, Value>,
    key: &str,
    source: &Source,
    target: &str,
) -> Result<Option<String>> {
    let Some(name) = text(options, key)? else {
        return Ok(None);
    };
    let column = source.require(&name)?;
    let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
    if name == target || !matches!(kind, Some(Kind::Boolean | Kind::Number | Kind::Category)) {
        return Err(
            wrong_type(key, "the name of a column that says yes or no").hint(format!(
                "\"{name}\" is {}.",
                match name == target {
                    true => "the target",
                    false => &column.type_name,
                }
            )),
        );
    }
    Ok(Some(name))
}

fn needs_companion(task: Task, key: &str, says: &str) -> Error {
    Error::new(
        "22023",
        format!("task {} needs the option {key}", task.name()),
    )
    .hint(format!(
        "Name the column that says {says}: {{\"{key}\": \"...\"}}."
    ))
}

/// Labels from the lowest to the highest.
fn order(options: &Map<String, Value>) -> Result<Vec<String>> {
    let error = || {
        wrong_type(
            "order",
            "an array of the labels, from the lowest to the highest",
        )
        .hint("For example {\"order\": [\"low\", \"mid\", \"high\"]}.")
    };
    match options.get("order") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Number(_) | Value::Bool(_) => Ok(item.to_string()),
                _ => Err(error()),
            })
            .collect(),
        Some(_) => Err(error()),
    }
}

/// The labels of an enum in its order; nothing for other types.
pub(super) fn enum_labels(type_oid: pg_sys::Oid) -> Result<Vec<String>> {
    let query = "SELECT enumlabel::text FROM pg_catalog.pg_enum WHERE enumtypid = \
        COALESCE((SELECT NULLIF(typbasetype, 0) FROM pg_catalog.pg_type WHERE oid = $1), $1) ORDER BY enumsortorder";
    // SAFETY: an oid is passed as what it is.
    let argument = unsafe { DatumWithOid::new(type_oid, pg_sys::OIDOID) };
    Spi::connect(|client| {
        let mut labels = Vec::new();
        for row in client.select(query, None, &[argument])? {
            labels.extend(row.get::<String>(1)?);
        }
        Ok(labels)
    })
}

/// Whether the target's type can be learned at all.
pub(super) fn check_target(source: &Source, target: &str, task: Option<Task>) -> Result<()> {
    let column = source.require(target)?;
    let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
    let hint = match kind {
        // What the elements are decides about them.
        Some(Kind::Tags) => return Ok(()),
        Some(Kind::Vector) if task == Some(Task::Multilabel) => return Ok(()),
        Some(Kind::Vector) => {
            "Cast it to an array of text, or set \"task\": \"multilabel\" if each element is 0 or 1."
        }
        None | Some(Kind::Json | Kind::Image) => {
            "Cast it to a number, boolean or text in a SELECT."
        }
        _ => return Ok(()),
    };
    Err(Error::new(
        "0A000",
        format!(
            "target \"{target}\" has the unsupported type {}",
            column.type_name
        ),
    )
    .hint(hint))
}
