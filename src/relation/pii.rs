//! What the columns of a relation hold about people, told by a sample of its rows.

use super::decode::Decoder;
use super::read;
use super::resolve::{self, Source, SourceColumn};
use crate::error::{Error, Result};
use crate::settings;
use insight_engine::frame::{Cell, Kind};
use insight_engine::privacy::pii::{self, Finding, Sort};
use pgrx::{pg_sys, spi};
use serde_json::Value;

/// Rows that are looked at unless more or fewer are asked for.
pub const ROWS: usize = 10_000;
const MOST_ROWS: u64 = 1_000_000;
/// Characters of a value that are looked at.
const CHARACTERS: u32 = 1000;
const DAY: i64 = 86_400_000_000;

/// A finding, and of how many values it was told.
pub struct Found {
    pub column: String,
    pub finding: Finding,
    pub values: usize,
}

/// Everything that is found in any column.
pub fn find(relation: &str, options: &Value) -> Result<Vec<Found>> {
    let rows = match options {
        Value::Object(own) => match own.keys().find(|key| *key != "rows") {
            Some(key) => {
                return Err(Error::new("22023", format!("unknown option \"{key}\""))
                    .hint("Known options are: rows."));
            }
            None => own.get("rows").filter(|rows| !rows.is_null()),
        },
        _ => {
            return Err(Error::new("22023", "options must be a JSON object")
                .hint("For example '{\"rows\": 50000}'."));
        }
    };
    let rows = match rows.map(Value::as_u64) {
        None => ROWS,
        Some(Some(rows)) if (1..=MOST_ROWS).contains(&rows) => rows as usize,
        Some(_) => {
            let message = format!("option \"rows\" must be an integer from 1 to {MOST_ROWS}");
            return Err(Error::new("22023", message)
                .hint(format!("It is {ROWS} by default: rows that are looked at.")));
        }
    };
    let source = resolve::resolve(relation)?;
    let columns: Vec<&SourceColumn> = source.columns.iter().collect();
    among(&source, &columns, rows)
}

/// What is found in some columns of a source.
pub fn among(source: &Source, columns: &[&SourceColumn], rows: usize) -> Result<Vec<Found>> {
    let looked_at: Vec<(&SourceColumn, Sort)> = columns
        .iter()
        .filter_map(|column| sort(column.type_oid).map(|sort| (*column, sort)))
        .collect();
    if looked_at.is_empty() {
        return Ok(Vec::new());
    }
    let mut sample = source.clone();
    let list: Vec<String> = looked_at
        .iter()
        .map(|(column, _)| {
            let name = spi::quote_identifier(&column.name);
            let text = Source::as_text(column);
            format!("pg_catalog.left({text}, {CHARACTERS}) AS {name}")
        })
        .collect();
    sample.from = format!(
        "(SELECT {} FROM {}{} LIMIT {rows}) AS sample",
        list.join(", "),
        source.from,
        sampled(source, rows)
    );
    for column in &mut sample.columns {
        (column.type_oid, column.type_name) = (pg_sys::TEXTOID, "text".into());
    }
    let names: Vec<&str> = looked_at
        .iter()
        .map(|(column, _)| column.name.as_str())
        .collect();
    let frame = read::read(&sample, &names, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })?;
    // SAFETY: reads the start of the transaction.
    let today = unsafe { pg_sys::GetCurrentTransactionStartTimestamp() }.div_euclid(DAY);
    let mut all = Vec::new();
    for (column, (_, sort)) in frame.columns.iter().zip(looked_at) {
        pgrx::check_for_interrupts!();
        let values: Vec<&str> = (0..column.len())
            .filter_map(|row| match column.cell(row) {
                Cell::Text(text) => Some(text),
                _ => None,
            })
            .collect();
        let found = pii::judge(&column.name, sort, &values, today);
        all.extend(found.into_iter().map(|finding| Found {
            column: column.name.clone(),
            finding,
            values: values.len(),
        }));
    }
    Ok(all)
}

/// How values of a type are judged; nothing of those that are no texts, numbers or times.
fn sort(type_oid: pg_sys::Oid) -> Option<Sort> {
    Some(match Decoder::for_type(type_oid).map(|d| d.kind) {
        Some(Kind::Number) => Sort::Number,
        Some(Kind::Time) => Sort::Time,
        Some(Kind::Boolean | Kind::Duration) => Sort::Other,
        Some(Kind::Vector | Kind::Image) => return None,
        // Network addresses, points and the like are read as they are written.
        Some(Kind::Category | Kind::Tags | Kind::Json) | None => Sort::Text,
    })
}

/// Blocks spread over a large table; of other relations the first rows are looked at.
fn sampled(source: &Source, rows: usize) -> String {
    let Some(relation) = source.relation else {
        return String::new();
    };
    // SAFETY: syscache look-ups of an existing relation.
    let (kind, known) = unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(relation),
        );
        if tuple.is_null() {
            return String::new();
        }
        let class = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let found = (class.relkind as u8, f64::from(class.reltuples));
        pg_sys::ReleaseSysCache(tuple);
        found
    };
    let share = 200.0 * rows as f64 / known;
    let sampled = matches!(kind, b'r' | b'm' | b'p') && known > 0.0 && share < 50.0;
    if sampled {
        format!(" TABLESAMPLE SYSTEM ({share})")
    } else {
        String::new()
    }
}
