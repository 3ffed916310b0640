//! Which columns of a relation are read, and which of them are features.

use super::{EXCLUDED, repeated, task};
use crate::error::{Error, Result};
use crate::relation::decode::Decoder;
use crate::relation::resolve::Source;
use crate::relation::sources::{AsOf, Sources};
use insight_engine::artifact::Task;

/// The source without the columns that are not to be read; those it does not have are somebody else's error.
/// What the features need stays: it is left out later.
pub(super) fn without(mut source: Source, exclude: &[String], sources: &Sources) -> Source {
    let needed = |name: &str| name == sources.key || sources.moments().contains(&Some(name));
    source
        .columns
        .retain(|c| needed(&c.name) || !exclude.contains(&c.name));
    source
}

/// What finds a customer's rows is no feature of the customer, unless it is asked for.
pub(super) fn leave_out(
    sources: &Sources,
    include: &[String],
    columns: &mut Vec<String>,
    excluded: &mut Vec<(String, String)>,
) {
    aside(
        &sources.key,
        "identifies the customer",
        include,
        columns,
        excluded,
    );
    if let AsOf::Column { name, .. } = &sources.as_of {
        aside(name, "the cut-off", include, columns, excluded);
    }
}

/// A column that is no feature, unless it is asked for.
pub(super) fn aside(
    name: &str,
    why: &str,
    include: &[String],
    columns: &mut Vec<String>,
    excluded: &mut Vec<(String, String)>,
) {
    if columns.iter().any(|c| c == name) && !include.iter().any(|i| i == name) {
        columns.retain(|c| c != name);
        excluded.push((name.to_owned(), why.to_owned()));
    }
}

/// The columns to read in order (features, then the target) and those left out.
pub(super) type Chosen = (Vec<String>, Vec<(String, String)>);

pub(super) fn choose_columns(
    source: &Source,
    target: &str,
    task: Option<Task>,
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
            return Err(repeated(name));
        }
        if exclude.iter().any(|e| e == name) {
            excluded.push((name.to_owned(), EXCLUDED.to_owned()));
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
        .hint("Numbers, booleans, text, enums, dates, timestamps, intervals, arrays, JSON and images can be used."));
    }
    task::check_target(source, target, task)?;
    columns.push(target.to_owned());
    Ok((columns, excluded))
}
