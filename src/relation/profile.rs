//! A relation's profile: read here, judged in a child that may use every core.

use super::decode::Decoder;
use super::remote::Remote;
use super::{read, resolve};
use crate::error::{Error, Result};
use crate::job::trainer;
use crate::messages::notice;
use crate::settings;
use insight_engine::frame::Kind;
use insight_engine::profile::{Profile, profile, profile_of};

/// Columns whose type cannot be profiled, as `(name, type)`.
pub type Unsupported = Vec<(String, String)>;

/// Profiles every column of a relation. `time` orders the rows for drift; by default the first date or timestamp.
pub fn of(
    relation: &str,
    target: Option<&str>,
    time: Option<&str>,
) -> Result<(Profile, Unsupported)> {
    let source = resolve::resolve(relation)?;
    for name in target.iter().chain(&time) {
        source.require(name)?;
    }
    let kind = |c: &resolve::SourceColumn| Decoder::for_type(c.type_oid).map(|d| d.kind);
    let (known, unknown): (Vec<_>, Vec<_>) = source.columns.iter().partition(|c| kind(c).is_some());
    if let Some(column) = unknown.iter().find(|c| Some(c.name.as_str()) == target) {
        return Err(Error::new(
            "0A000",
            format!(
                "target \"{}\" has the unsupported type {}",
                column.name, column.type_name
            ),
        )
        .hint("Cast it to a number, boolean or text in a SELECT."));
    }
    let time = match time {
        None => known.iter().position(|c| kind(c) == Some(Kind::Time)),
        Some(name) => {
            let found = known.iter().position(|c| c.name == name);
            let is_time = found.is_some_and(|i| kind(known[i]) == Some(Kind::Time));
            Some(found.filter(|_| is_time).ok_or_else(|| {
                Error::new(
                    "42804",
                    format!("column \"{name}\" is no date or timestamp"),
                )
                .hint("time names the column that orders the rows.")
            })?)
        }
    };
    let target = target.and_then(|t| known.iter().position(|c| c.name == t));
    let sampled = match Remote::of(&source) {
        Some(remote) => remote.sample(&known, target)?,
        None => None,
    };
    let threads = settings::threads();
    let found = match sampled {
        Some((sample, whole)) => {
            notice(format!(
                "{} rows were counted where they are; quantiles, outliers, equal columns, drift and what goes with the target are of {} of them",
                whole.rows,
                sample.rows()
            ));
            trainer::ask(threads, move || profile_of(&sample, &whole, target, time))?
        }
        None => {
            let names: Vec<&str> = known.iter().map(|c| c.name.as_str()).collect();
            let frame = read::read(&source, &names, settings::max_memory(), &mut |_| {
                pgrx::check_for_interrupts!();
            })?;
            trainer::ask(threads, move || profile(&frame, target, time))?
        }
    };
    let unknown = unknown
        .into_iter()
        .map(|c| (c.name.clone(), c.type_name.clone()));
    Ok((found, unknown.collect()))
}
