//! What is counted where the rows are: at the servers behind postgres_fdw, which is sent whole aggregates of one foreign table.

use super::parallel::sees_all;
use super::read;
use super::resolve::{self, Source, SourceColumn};
use crate::error::{Error, Result};
use crate::job::due::attempt;
use crate::settings;
use crate::versions;
use insight_engine::frame::{Cell, Column, Frame};
use insight_engine::profile::whole::{self, Counts, Moments, Told, Whole};
use pgrx::pg_sys::{self, Oid};
use pgrx::spi;
use std::ffi::CStr;

/// No more rows than this travel as a whole.
const ROWS: usize = 100_000;
/// Rows of the sample that travels otherwise.
const SAMPLE: usize = 50_000;
/// Columns whose figures are asked for at once: a query may have 1,664.
const COLUMNS: usize = 200;
/// Columns whose values are counted one by one: each is a scan of its own.
const COUNTED: usize = 20;
/// Of more tables than this planning takes too long.
const TABLES: usize = 100;
/// Rows that are added up at once.
const PIECE: usize = 8192;
/// Types with lower numbers are PostgreSQL's own; postgres_fdw trusts that another server has the same.
const OWN_TYPES: u32 = 10_000;
/// Doubles beyond this may overflow where their squares are added up.
const SQUARES: &str = "1e100";
/// Standard deviations by which the number of rows that are drawn may be off.
const CHANCE: f64 = 6.0;

/// The tables of a source, one of which is another server's.
pub struct Remote<'a> {
    source: &'a Source,
    /// What can stand after FROM.
    tables: Vec<String>,
    has_foreign: bool,
}

/// What is asked of a column.
#[derive(Clone, Copy)]
enum Figure {
    Values,
    Finite,
    Minimum,
    Maximum,
    Mean,
    Deviation,
    /// Finite values whose squares are finite, too.
    Squared,
}

impl<'a> Remote<'a> {
    /// `None` where nothing can be sent away: a query, a local table, or one whose partitions the role may not read by themselves.
    pub fn of(source: &'a Source) -> Option<Remote<'a>> {
        let mut remote = Remote {
            source,
            tables: Vec::new(),
            has_foreign: false,
        };
        let fits = versions::HASHES_PLACES && remote.add(source.relation?);
        (fits && remote.has_foreign && remote.tables.len() <= TABLES).then_some(remote)
    }

    fn add(&mut self, table: Oid) -> bool {
        // SAFETY: the relation is locked while it is looked at and afterwards; a partition cannot go while its table is locked.
        unsafe {
            let lock = pg_sys::AccessShareLock as i32;
            let relation = pg_sys::try_relation_open(table, lock);
            if relation.is_null() {
                return false;
            }
            let form = &*(*relation).rd_rel;
            let fits = sees_all(table)
                && match form.relkind as u8 {
                    b'p' => {
                        let partitions = versions::partitions(relation);
                        partitions.into_iter().all(|own| self.add(own))
                    }
                    kind @ (b'r' | b'f') if !form.relhassubclass => {
                        let schema = pg_sys::get_namespace_name(form.relnamespace);
                        let name = pg_sys::get_rel_name(table);
                        let name = pg_sys::quote_qualified_identifier(schema, name);
                        let name = CStr::from_ptr(name).to_string_lossy();
                        self.tables.push(name.into_owned());
                        self.has_foreign |= kind == b'f';
                        kind == b'r' || is_of_postgres_fdw(table)
                    }
                    _ => false,
                };
            pg_sys::relation_close(relation, pg_sys::NoLock as i32);
            fits
        }
    }

    /// A sample of the rows, and what was counted of all. `None` where there are too few rows for that, or where another server does not
    /// understand the question: its table is a view without places, or has other types.
    pub fn sample(
        &self,
        columns: &[&SourceColumn],
        target: Option<usize>,
    ) -> Result<Option<(Frame, Whole)>> {
        let refused = |error: &Error| ["22", "42"].contains(&&error.sqlstate[..2]);
        match attempt(|| self.ask(columns, target)) {
            Err(error) if refused(&error) => Ok(None),
            asked => asked,
        }
    }

    fn ask(
        &self,
        columns: &[&SourceColumn],
        target: Option<usize>,
    ) -> Result<Option<(Frame, Whole)>> {
        let counted =
            self.of_each(|_, table| format!("SELECT pg_catalog.count(*) AS \"0\" FROM {table}"));
        let rows = answer(&counted)?.columns.first().map_or(0.0, sum) as usize;
        if rows <= ROWS {
            return Ok(None);
        }
        let one_of = rows.div_ceil(SAMPLE);
        let Some(moments) = self.moments(columns, one_of)? else {
            return Ok(None);
        };
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let list: Vec<String> = names.iter().map(spi::quote_identifier).collect();
        let list = list.join(", ");
        let mut source = self.source.clone();
        source.from = self.of_each(|seed, table| {
            let drawn = is_drawn(seed, one_of);
            format!("SELECT {list} FROM {table} WHERE {drawn}")
        });
        let sample = read::read(&source, &names, settings::max_memory(), &mut |_| {
            pgrx::check_for_interrupts!();
        })?;
        let few = |place: &usize| {
            can_be_grouped(columns[*place]) && whole::has_few_values(&sample.columns[*place], rows)
        };
        let mut listed: Vec<usize> = (0..columns.len()).filter(few).collect();
        // First what is to be predicted, then columns of which the sample tells least.
        listed.sort_by_cached_key(|place| {
            let values = whole::different_values(&sample.columns[*place]);
            (Some(*place) != target, values, *place)
        });
        listed.truncate(COUNTED);
        let mut told = Vec::with_capacity(columns.len());
        for (place, moments) in moments.into_iter().enumerate() {
            let counts = match listed.contains(&place) {
                true => self.counts(columns[place])?,
                false => None,
            };
            told.push(Told { moments, counts });
        }
        let is_compared = |place: &usize| !whole::is_identifier(&sample.columns[*place], rows);
        let compared = (0..columns.len()).filter(is_compared);
        let compared: Vec<&SourceColumn> = compared.map(|place| columns[place]).collect();
        let comparable = !compared.is_empty() && compared.iter().all(|own| can_be_grouped(own));
        let repeated = match comparable {
            true => Some(self.repeated(&compared)?),
            false => None,
        };
        let whole = Whole {
            rows,
            tables: self.tables.len(),
            columns: told,
            repeated,
        };
        Ok(Some((sample, whole)))
    }

    /// Figures of each column that can be asked for; `None` where the rows of a table are not drawn as by chance: they have no places of
    /// their own, and all are drawn, or none.
    fn moments(
        &self,
        columns: &[&SourceColumn],
        one_of: usize,
    ) -> Result<Option<Vec<Option<Moments>>>> {
        let mut all = Vec::with_capacity(columns.len());
        for columns in columns.chunks(COLUMNS) {
            let asked: Vec<Vec<(Figure, String)>> = columns.iter().map(|c| figures(c)).collect();
            let figures = asked.iter().flatten().enumerate();
            let list: Vec<String> = figures
                .map(|(place, (_, sql))| format!(", {sql} AS \"{place}\""))
                .collect();
            let list = list.concat();
            let found = answer(&self.of_each(|seed, table| {
                let drawn = is_drawn(seed, one_of);
                format!(
                    "SELECT pg_catalog.count(*) AS \"rows\", pg_catalog.count(*) FILTER (WHERE {drawn}) AS drawn{list} FROM {table}"
                )
            }))?;
            let mut answers = found.columns.iter();
            let (Some(rows), Some(drawn)) = (answers.next(), answers.next()) else {
                return Ok(None);
            };
            let by_chance = |(rows, drawn): (f64, f64)| {
                let expected = rows / one_of as f64;
                (drawn - expected).abs() <= CHANCE * (1.0 + expected).sqrt()
            };
            if !numbers(rows).zip(numbers(drawn)).all(by_chance) {
                return Ok(None);
            }
            for figures in asked {
                let figures = figures.into_iter().map(|(figure, _)| figure);
                let answers: Vec<(Figure, &Column)> = figures.zip(answers.by_ref()).collect();
                let parts = (0..found.rows()).map(|part| moments_of(&answers, part));
                let joined = parts.reduce(Moments::with);
                all.push(joined.filter(|_| !answers.is_empty()));
            }
        }
        Ok(Some(all))
    }

    /// In how many rows each value of a column stands, table by table.
    fn counts(&self, column: &SourceColumn) -> Result<Option<Counts>> {
        let name = spi::quote_identifier(&column.name);
        let list = format!("{name} AS \"0\", pg_catalog.count(*) AS \"1\"");
        let found = answer(
            &self.of_each(|_, table| format!("SELECT {list} FROM {table} GROUP BY {name}")),
        )?;
        let columns = <[Column; 2]>::try_from(found.columns).ok();
        Ok(columns.map(|[values, rows]| Counts {
            rows: numbers(&rows).map(|x| x as usize).collect(),
            values,
        }))
    }

    /// How many rows repeat another of the same table.
    fn repeated(&self, columns: &[&SourceColumn]) -> Result<usize> {
        let names = columns.iter().map(|own| spi::quote_identifier(&own.name));
        let names: Vec<String> = names.collect();
        let numbered = names.iter().zip(1..);
        let values: Vec<String> = numbered
            .map(|(name, place)| format!("{name} AS \"{place}\""))
            .collect();
        // All columns are asked for: fewer would be a projection, and PostgreSQL would ask one table after the other.
        let list = format!("pg_catalog.count(*) AS \"0\", {}", values.join(", "));
        let alike = format!(
            "GROUP BY {} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1::pg_catalog.int8",
            names.join(", ")
        );
        let from = self.of_each(|_, table| format!("SELECT {list} FROM {table} {alike}"));
        let source = resolve::resolve_from(&from, &from)?;
        let names: Vec<&str> = source.columns.iter().map(|c| c.name.as_str()).collect();
        let mut repeated = 0;
        read::read_in_pieces(&source, &names, PIECE, &mut |groups| {
            let rows = groups.columns.first().map_or(0.0, sum) as usize;
            repeated += rows.saturating_sub(groups.rows());
            Ok(())
        })?;
        Ok(repeated)
    }

    /// The same SELECT of each table, given its number and its name, all at once; what can stand after FROM.
    fn of_each(&self, select: impl Fn(usize, &str) -> String) -> String {
        let tables = self.tables.iter().enumerate();
        let each: Vec<String> = tables
            .map(|(number, table)| select(number, table))
            .collect();
        format!("({}) AS counted", each.join(" UNION ALL "))
    }
}

/// SQL that is true of one row of so many, drawn by its place and not by what it holds: equal rows would all be drawn, or none. By other
/// seeds other places are drawn.
fn is_drawn(seed: usize, one_of: usize) -> String {
    format!(
        "pg_catalog.hashtidextended(ctid, {seed}::pg_catalog.int8) OPERATOR(pg_catalog.%) {one_of}::pg_catalog.int8 \
         OPERATOR(pg_catalog.=) 0::pg_catalog.int8"
    )
}

/// # Safety
/// The table exists, and is a foreign one.
unsafe fn is_of_postgres_fdw(table: Oid) -> bool {
    // SAFETY: promised by the caller; what is looked up lives in the current memory context.
    unsafe {
        let server = &*pg_sys::GetForeignServer(pg_sys::GetForeignServerIdByRelId(table));
        let wrapper = &*pg_sys::GetForeignDataWrapper(server.fdwid);
        CStr::from_ptr(wrapper.fdwname) == c"postgres_fdw"
    }
}

/// All rows of what can stand after FROM.
fn answer(from: &str) -> Result<Frame> {
    let source = resolve::resolve_from(from, from)?;
    let names: Vec<&str> = source.columns.iter().map(|c| c.name.as_str()).collect();
    read::read(&source, &names, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })
}

fn numbers(column: &Column) -> impl Iterator<Item = f64> {
    (0..column.len()).map(|row| number(column, row).unwrap_or(0.0))
}

fn sum(column: &Column) -> f64 {
    numbers(column).sum()
}

/// A figure as the frame has such values: times in microseconds.
fn number(column: &Column, row: usize) -> Option<f64> {
    match column.cell(row) {
        Cell::Number(x) | Cell::Duration(x) => Some(x),
        Cell::Time(x) => Some(x as f64),
        _ => None,
    }
}

/// The figures of a column that other servers can be asked for, with their SQL.
fn figures(column: &SourceColumn) -> Vec<(Figure, String)> {
    let c = spi::quote_identifier(&column.name);
    let all = |function: &str| format!("pg_catalog.{function}({c})");
    let some = |function: &str, condition: &str| {
        format!("pg_catalog.{function}({c}) FILTER (WHERE {condition})")
    };
    // Neither NaN nor infinite: those less themselves are NaN. Operators are of exactly these types, so that no other is found first.
    let finite = |kind: &str| {
        format!("({c} OPERATOR(pg_catalog.-) {c}) OPERATOR(pg_catalog.=) 0::pg_catalog.{kind}")
    };
    let is_finite = format!("pg_catalog.isfinite({c})");
    let fractions = |finite: String, squared: Option<String>| {
        let squared = squared.unwrap_or_else(|| finite.clone());
        vec![
            (Figure::Values, all("count")),
            (Figure::Finite, some("count", &finite)),
            (Figure::Minimum, some("min", &finite)),
            (Figure::Maximum, some("max", &finite)),
            (Figure::Mean, some("avg", &squared)),
            (Figure::Deviation, some("stddev_pop", &squared)),
            (Figure::Squared, some("count", &squared)),
        ]
    };
    match column.type_oid {
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID => vec![
            (Figure::Finite, all("count")),
            (Figure::Minimum, all("min")),
            (Figure::Maximum, all("max")),
            (Figure::Mean, all("avg")),
            (Figure::Deviation, all("stddev_pop")),
        ],
        pg_sys::FLOAT4OID => fractions(finite("float4"), None),
        pg_sys::NUMERICOID => fractions(finite("numeric"), None),
        pg_sys::FLOAT8OID => {
            let above = format!("{c} OPERATOR(pg_catalog.>) '-{SQUARES}'::pg_catalog.float8");
            let below = format!("{c} OPERATOR(pg_catalog.<) '{SQUARES}'::pg_catalog.float8");
            fractions(finite("float8"), Some(format!("{above} AND {below}")))
        }
        // No mean: intervals overflow when so many are added up, and postgres_fdw sends no other difference of timestamps.
        pg_sys::DATEOID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => vec![
            (Figure::Finite, some("count", &is_finite)),
            (Figure::Minimum, some("min", &is_finite)),
            (Figure::Maximum, some("max", &is_finite)),
        ],
        pg_sys::INTERVALOID => vec![(Figure::Finite, some("count", &is_finite))],
        pg_sys::BOOLOID
        | pg_sys::TEXTOID
        | pg_sys::VARCHAROID
        | pg_sys::BPCHAROID
        | pg_sys::UUIDOID
        | pg_sys::TIMEOID => vec![(Figure::Finite, all("count"))],
        _ => Vec::new(),
    }
}

/// What one table told of a column.
fn moments_of(answers: &[(Figure, &Column)], part: usize) -> Moments {
    let mut found = Moments::default();
    let (mut values, mut squared) = (None, None);
    for (figure, column) in answers {
        let x = number(column, part);
        let count = x.unwrap_or(0.0) as usize;
        match figure {
            Figure::Values => values = Some(count),
            Figure::Finite => found.present = count,
            Figure::Minimum => found.minimum = x,
            Figure::Maximum => found.maximum = x,
            Figure::Mean => found.mean = x,
            Figure::Deviation => found.deviation = x,
            Figure::Squared => squared = Some(count),
        }
    }
    found.non_finite = values.map_or(0, |values| values.saturating_sub(found.present));
    if squared.is_some_and(|squared| squared < found.present) {
        (found.mean, found.deviation) = (None, None);
    }
    found
}

/// Whether rows can be grouped by a column where they are.
fn can_be_grouped(column: &SourceColumn) -> bool {
    // SAFETY: a look-up of an existing type.
    let equal = unsafe {
        let flags = pg_sys::TYPECACHE_EQ_OPR as i32;
        (*pg_sys::lookup_type_cache(column.type_oid, flags)).eq_opr
    };
    column.type_oid.to_u32() < OWN_TYPES && equal != pg_sys::InvalidOid
}
