//! Scores of a relation in a table of the caller's: a whole refresh, or of what is new, in one transaction.
//!
//! Rows are updated, inserted and deleted, never truncated: who reads meanwhile sees the former result as a whole.

mod table;

use super::resolve::{self, Source};
use super::score;
use crate::error::{Error, Result, required};
use crate::job::{options, spec};
use crate::settings;
use crate::store::audit::{self, Entry};
use crate::store::log::{self, Line, Version};
use crate::store::rights::Right;
use crate::store::{activity, cache};
use insight_engine::artifact::Artifact;
use insight_engine::frame::Frame;
use insight_engine::infer;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{pg_sys, spi};
use serde_json::Value;
use std::collections::HashSet;
use std::time::Instant;
use table::{Row, Table};

/// Rows written by one statement: what stands between is held twice.
const CHUNK: usize = 200_000;

/// Names of the columns that are read beside the model's: the key and the time of a row as text.
pub struct Narrowed {
    pub key: String,
    pub time: Option<String>,
}

impl Narrowed {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.key.as_str()).chain(self.time.as_deref())
    }
}

/// What a call asks for.
pub struct Call<'a> {
    pub model: Option<&'a str>,
    pub relation: Option<&'a str>,
    pub into: Option<&'a str>,
    pub key: Option<&'a str>,
    pub refresh: Option<&'a str>,
    pub options: &'a Value,
}

/// What was done.
pub struct Done {
    pub table: String,
    pub model: String,
    pub version: i32,
    pub scored: i64,
    pub inserted: i64,
    pub updated: i64,
    pub deleted: i64,
    pub seconds: f64,
}

#[derive(PartialEq)]
enum Refresh {
    Full,
    Incremental,
}

/// What a call asks for, as it was found to be in order.
struct Asked<'a> {
    reference: &'a str,
    relation: &'a str,
    into: &'a str,
    refresh: Refresh,
    since: Option<String>,
    rescore: bool,
}

impl<'a> Asked<'a> {
    fn check(call: &Call<'a>) -> Result<Asked<'a>> {
        let reference = required(call.model, "model")?;
        let relation = required(call.relation, "relation")?;
        let into = required(call.into, "into")?;
        let refresh = match required(call.refresh, "refresh")? {
            "full" => Refresh::Full,
            "incremental" => Refresh::Incremental,
            other => {
                return Err(
                    Error::new("22023", format!("unknown refresh \"{other}\"")).hint(
                        "full scores all rows; incremental those that are new, were changed or were scored by another version.",
                    ),
                );
            }
        };
        let Value::Object(given) = call.options else {
            return Err(Error::new("22023", "options must be a JSON object"));
        };
        spec::check_keys(given, &[&["rescore", "since"]], " of insight_score")?;
        Ok(Asked {
            reference,
            relation,
            into,
            refresh,
            since: options::text(given, "since")?,
            rescore: options::boolean(given, "rescore")?.unwrap_or(true),
        })
    }
}

/// Rows with their predictions.
struct Scored<'a> {
    artifact: &'a Artifact,
    frame: &'a Frame,
    narrowed: &'a Narrowed,
    predictions: &'a [f64],
    width: usize,
}

/// Scores a relation into a table.
pub fn refresh(call: &Call<'_>) -> Result<Done> {
    let started = Instant::now();
    let asked = Asked::check(call)?;
    // One look for both: what is deployed may change meanwhile.
    let id = cache::version(asked.reference, Right::Predict)?;
    let predictor = cache::predictor_of(asked.reference, id)?;
    let version = log::version(id)?;
    let mut source = resolve::resolve(asked.relation)?;
    let key = key_of(call.key, &source)?;
    let key_type = source.require(&key)?.type_oid;
    let time = asked.since.as_deref();
    let time = time
        .map(|name| moment(&source, "since", name))
        .transpose()?;
    let table = Table::open(asked.into, &version.model, key_type)?;
    table.check_model(&version.model)?;
    let at = log::clock()?;
    let fresh = (asked.refresh == Refresh::Incremental).then(|| {
        let stale = asked.rescore.then_some(&version);
        table.lacks(&key, time.as_ref(), stale)
    });
    let sql = time.as_ref().map(|time| time.sql.as_str());
    let narrowed = narrow(&mut source, &key, sql, fresh.as_deref());
    let others: Vec<&str> = narrowed.names().collect();
    let (frame, predictions) = activity::counted(version.id, |counter| {
        let scored = exactly(|| score::predict_source(&predictor, source, &others))?;
        counter.add_rows(scored.0.rows() as u64);
        Ok::<_, Error>(scored)
    })?;
    check_keys(&frame, &narrowed.key, &key)?;
    let texts = (0..frame.rows()).filter_map(|row| cell(&frame, &narrowed.key, row));
    table.check_keys(texts, &key, key_type)?;
    let scored = Scored {
        artifact: predictor.artifact(),
        frame: &frame,
        narrowed: &narrowed,
        predictions: &predictions,
        width: predictor.width(),
    };
    let (inserted, updated) = scored.write(&table, &version, at)?;
    let deleted = match asked.refresh {
        Refresh::Full => table.delete_others(at)?,
        Refresh::Incremental => 0,
    };
    audit::write(&Entry {
        model: Some(&version.model),
        version: Some(version.version),
        relation: Some(asked.relation),
        rows: Some(frame.rows() as i64),
        detail: serde_json::json!({"into": table.name}),
        ..Entry::of("score")
    })?;
    Ok(Done {
        table: table.name,
        model: version.model,
        version: version.version,
        scored: frame.rows() as i64,
        inserted,
        updated,
        deleted,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// An error where keys do not tell the rows apart.
fn check_keys(frame: &Frame, column: &str, key: &str) -> Result<()> {
    let mut seen: HashSet<&str> = HashSet::with_capacity(frame.rows());
    for row in 0..frame.rows() {
        match cell(frame, column, row) {
            None => {
                return Err(
                    Error::new("23502", format!("the key \"{key}\" of a row is NULL"))
                        .hint("Name a column that tells the rows apart, or leave such rows out in a SELECT."),
                );
            }
            Some(text) if !seen.insert(text) => {
                return Err(not_unique(
                    key,
                    format!("Two rows have the key \"{text}\"."),
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn not_unique(key: &str, detail: String) -> Error {
    Error::new("23505", format!("the key \"{key}\" is not unique"))
        .detail(detail)
        .hint("Name a column that tells the rows apart.")
}

fn cell<'a>(frame: &'a Frame, column: &str, row: usize) -> Option<&'a str> {
    frame
        .column(column)
        .and_then(|column| score::text(column, row))
}

impl Scored<'_> {
    /// Writes the scores and, where they are kept, the predictions; answers how many rows are new and how many were there.
    fn write(
        &self,
        table: &Table,
        version: &Version,
        at: TimestampWithTimeZone,
    ) -> Result<(i64, i64)> {
        let keeper = log::keeper(version)?;
        let (mut inserted, mut updated) = (0, 0);
        let all: Vec<usize> = (0..self.frame.rows()).collect();
        for chunk in all.chunks(CHUNK) {
            pgrx::check_for_interrupts!();
            let mut written = Vec::with_capacity(chunk.len());
            let mut kept = Vec::new();
            for &row in chunk {
                let outputs = &self.predictions[row * self.width..(row + 1) * self.width];
                let answer = infer::answer(self.artifact, outputs);
                let key = cell(self.frame, &self.narrowed.key, row).unwrap_or_default();
                if let Some(keeper) = keeper.as_ref().filter(|keeper| keeper.samples(key)) {
                    kept.push(Line {
                        key,
                        answer: answer.clone(),
                        outputs: keeper.outputs(outputs),
                    });
                }
                let time = self.narrowed.time.as_deref();
                let changed_at = time
                    .and_then(|time| cell(self.frame, time, row))
                    .and_then(|text| text.parse::<i64>().ok());
                written.push(Row {
                    key,
                    answer,
                    changed_at,
                });
            }
            let (had, new) = table.write(&written, version, at)?;
            updated += had;
            inserted += new;
            if let Some(keeper) = &keeper {
                keeper.keep(&kept, at)?;
            }
        }
        if keeper.is_some() {
            log::prune()?;
        }
        Ok((inserted, updated))
    }
}

/// The column that tells rows apart: what is named, else the primary key.
pub fn key_of(key: Option<&str>, source: &Source) -> Result<String> {
    if let Some(key) = key {
        return Ok(source.require(key)?.name.clone());
    }
    let found = source.relation.and_then(resolve::primary_key);
    found.ok_or_else(|| {
        Error::new(
            "22023",
            format!("{} has no primary key of one column", source.label()),
        )
        .hint("Name the column that tells its rows apart: key => 'customer_id'.")
    })
}

/// When a row was changed.
pub struct Moment {
    /// An expression for a time column of `base` as timestamptz; a time without a zone is one of UTC, whoever's session it is.
    pub sql: String,
    /// Only the day is known.
    pub is_day: bool,
}

/// The moment of a column of times.
pub fn moment(source: &Source, option: &str, name: &str) -> Result<Moment> {
    let column = source.require(name)?;
    let quoted = spi::quote_identifier(&column.name);
    // SAFETY: a syscache look-up.
    let base = unsafe { pg_sys::getBaseType(column.type_oid) };
    let sql = match base {
        pg_sys::TIMESTAMPTZOID => format!("base.{quoted}::pg_catalog.timestamptz"),
        pg_sys::TIMESTAMPOID | pg_sys::DATEOID => {
            format!("pg_catalog.timezone('UTC', base.{quoted}::pg_catalog.timestamp)")
        }
        _ => {
            return Err(Error::new(
                "42804",
                format!("column \"{name}\" is {}, not a time", column.type_name),
            )
            .detail(format!("The option \"{option}\" names a column of times."))
            .hint("Cast it to timestamptz in a SELECT."));
        }
    };
    Ok(Moment {
        sql,
        is_day: base == pg_sys::DATEOID,
    })
}

/// Runs `work` with floating-point numbers written so that each has a text of its own.
pub fn exactly<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: reads a setting of this process, and changes it in a level of its own; an error that is raised ends that level, too.
    unsafe {
        if pg_sys::extra_float_digits >= 1 {
            return work();
        }
        let nest = pg_sys::NewGUCNestLevel();
        settings::set_in_level(c"extra_float_digits", c"1");
        let result = work();
        pg_sys::AtEOXact_GUC(true, nest);
        result
    }
}

/// A name that no column of the source has.
fn unused(source: &Source, name: &str) -> String {
    let mut name = name.to_owned();
    while source.columns.iter().any(|column| column.name == name) {
        name.push('\'');
    }
    name
}

/// Adds the key and the time as texts, and leaves the rows for which `fresh` holds.
pub fn narrow(source: &mut Source, key: &str, time: Option<&str>, fresh: Option<&str>) -> Narrowed {
    let narrowed = Narrowed {
        key: unused(source, "key as text"),
        time: time.map(|_| unused(source, "time as text")),
    };
    let quoted = spi::quote_identifier(key);
    let time = time.zip(narrowed.time.as_ref());
    let time = time.map_or(String::new(), |(time, name)| {
        format!(
            ", CASE WHEN pg_catalog.isfinite({time}) THEN (EXTRACT(epoch FROM {time}) OPERATOR(pg_catalog.*) \
             1000000)::pg_catalog.int8::pg_catalog.text END AS \"{name}\""
        )
    });
    let fresh = fresh.map_or(String::new(), |fresh| format!(" WHERE {fresh}"));
    source.from = format!(
        "(SELECT base.*, base.{quoted}::pg_catalog.text AS \"{}\"{time} FROM (SELECT * FROM {}) AS base{fresh}) AS narrowed",
        narrowed.key, source.from
    );
    for name in narrowed.names() {
        source.columns.push(resolve::SourceColumn {
            name: name.into(),
            type_oid: pg_sys::TEXTOID,
            type_name: "text".into(),
        });
    }
    narrowed
}
