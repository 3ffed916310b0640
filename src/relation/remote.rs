//! What is counted where the rows are: at the servers behind postgres_fdw, which is sent whole aggregates of one foreign table.

use super::decode::Decoder;
use super::read;
use super::resolve::{self, Source, SourceColumn};
use crate::error::Result;
use crate::settings;
use crate::versions;
use insight_engine::frame::{Cell, Column, Frame, Kind};
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
/// Types with lower numbers are PostgreSQL's own; postgres_fdw trusts that another server has the same.
const OWN_TYPES: u32 = 10_000;
/// Beyond this a double's square is too large.
const SQUARES: &str = "1e150";

/// The tables of a source, one of which is another server's.
pub struct Remote<'a> {
    source: &'a Source,
    /// What can stand after FROM.
    tables: Vec<String>,
    has_foreign: bool,
}

/// Figures of a column, in the order in which they are asked for.
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
        let fits = remote.add(source.relation?);
        (fits && remote.has_foreign).then_some(remote)
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
            let fits = may_read(table)
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

    /// A sample of the rows, and what was counted of all; `None` where there are too few rows for that, or they are too much alike to be drawn.
    pub fn sample(&self, columns: &[&SourceColumn]) -> Result<Option<(Frame, Whole)>> {
        let (rows, moments) = self.moments(columns)?;
        let hashes: Vec<String> = columns.iter().copied().filter_map(hash_of_scalar).collect();
        if rows <= ROWS || hashes.is_empty() {
            return Ok(None);
        }
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let one_of = rows.div_ceil(SAMPLE);
        let mut source = self.source.clone();
        source.from = format!(
            "(SELECT * FROM {} WHERE {} % {one_of} = 0) AS sample",
            source.from,
            hash_of(&hashes)
        );
        let sample = read::read(&source, &names, settings::max_memory(), &mut |_| {
            pgrx::check_for_interrupts!();
        })?;
        if sample.rows() < rows / one_of / 2 {
            return Ok(None);
        }
        let mut told = Vec::with_capacity(columns.len());
        for ((column, moments), sample) in columns.iter().zip(moments).zip(&sample.columns) {
            let few = hash_of_value(column).is_some() && whole::has_few_values(sample);
            let counts = if few {
                Some(self.counts(column)?)
            } else {
                None
            };
            told.push(Told { moments, counts });
        }
        let compared = columns.iter().zip(&sample.columns);
        let compared = compared.filter(|(_, sample)| !whole::is_identifier(sample, rows));
        let compared: Option<Vec<String>> = compared.map(|(own, _)| hash_of_value(own)).collect();
        let repeated = match compared {
            Some(hashes) if !hashes.is_empty() => Some(self.repeated(&hashes)?),
            _ => None,
        };
        let whole = Whole {
            rows,
            columns: told,
            repeated,
        };
        Ok(Some((sample, whole)))
    }

    /// The number of rows, and figures of each column that can be asked for.
    fn moments(&self, columns: &[&SourceColumn]) -> Result<(usize, Vec<Option<Moments>>)> {
        let (mut rows, mut all) = (0, Vec::with_capacity(columns.len()));
        for columns in columns.chunks(COLUMNS) {
            let asked: Vec<Vec<(Figure, String)>> = columns.iter().map(|c| figures(c)).collect();
            let mut list = vec!["pg_catalog.count(*) AS \"rows\"".to_owned()];
            for (place, (_, sql)) in asked.iter().flatten().enumerate() {
                list.push(format!("{sql} AS \"{place}\""));
            }
            let found = answer(&self.of_each(&list.join(", "), ""))?;
            let mut answers = found.columns.iter();
            let count = answers.next().map_or(0.0, sum);
            rows = count as usize;
            for figures in asked {
                let answers: Vec<(Figure, &Column)> = figures
                    .into_iter()
                    .map(|(figure, _)| figure)
                    .zip(answers.by_ref())
                    .collect();
                let parts = (0..found.rows()).map(|part| moments_of(&answers, part));
                let joined = parts.reduce(Moments::with);
                all.push(joined.filter(|_| !answers.is_empty()));
            }
        }
        Ok((rows, all))
    }

    /// In how many rows each value of a column stands, table by table.
    fn counts(&self, column: &SourceColumn) -> Result<Counts> {
        let name = spi::quote_identifier(&column.name);
        let list = format!("{name}, pg_catalog.count(*) AS \"insight rows\"");
        let found = answer(&self.of_each(&list, &format!(" GROUP BY {name}")))?;
        let mut columns = found.columns.into_iter();
        let values = columns
            .next()
            .unwrap_or_else(|| Column::new(&column.name, &column.type_name, Kind::Number));
        let rows = columns.next();
        let rows = rows.iter().flat_map(numbers).map(|x| x as usize);
        Ok(Counts {
            values,
            rows: rows.collect(),
        })
    }

    /// How many rows repeat another of the same table, by the hashes of their columns.
    fn repeated(&self, hashes: &[String]) -> Result<usize> {
        let alike = format!(
            " GROUP BY {} HAVING pg_catalog.count(*) > 1",
            hash_of(hashes)
        );
        let groups = self.of_each("pg_catalog.count(*) AS n", &alike);
        let total = format!("(SELECT pg_catalog.sum(n - 1) AS n FROM {groups}) AS repeated");
        Ok(answer(&total)?.columns.first().map_or(0.0, sum) as usize)
    }

    /// The same of each table, all at once; what can stand after FROM.
    fn of_each(&self, list: &str, tail: &str) -> String {
        let of = |table: &String| format!("SELECT {list} FROM {table}{tail}");
        let each: Vec<String> = self.tables.iter().map(of).collect();
        format!("({}) AS counted", each.join(" UNION ALL "))
    }
}

/// Whether the current role sees all rows and columns of a table.
///
/// # Safety
/// The table exists.
unsafe fn may_read(table: Oid) -> bool {
    // SAFETY: promised by the caller; rights are looked up for the current role.
    unsafe {
        let role = pg_sys::GetUserId();
        pg_sys::pg_class_aclcheck(table, role, versions::ACL_SELECT)
            == pg_sys::AclResult::ACLCHECK_OK
            && pg_sys::check_enable_rls(table, role, true)
                != pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
    }
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
    // Neither NaN nor infinite: those less themselves are NaN.
    let finite = format!("{c} - {c} = 0");
    let is_finite = format!("pg_catalog.isfinite({c})");
    // No mean: intervals overflow when so many are added up, and postgres_fdw sends no other difference of timestamps.
    let times = || {
        vec![
            (Figure::Finite, some("count", &is_finite)),
            (Figure::Minimum, some("min", &is_finite)),
            (Figure::Maximum, some("max", &is_finite)),
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
        pg_sys::FLOAT4OID | pg_sys::FLOAT8OID | pg_sys::NUMERICOID => {
            let squared = match column.type_oid {
                pg_sys::FLOAT8OID => format!("{c} > -{SQUARES} AND {c} < {SQUARES}"),
                _ => finite.clone(),
            };
            vec![
                (Figure::Values, all("count")),
                (Figure::Finite, some("count", &finite)),
                (Figure::Minimum, some("min", &finite)),
                (Figure::Maximum, some("max", &finite)),
                (Figure::Mean, some("avg", &squared)),
                (Figure::Deviation, some("stddev_pop", &squared)),
                (Figure::Squared, some("count", &squared)),
            ]
        }
        pg_sys::DATEOID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => times(),
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

/// SQL that hashes a value of a column in 64 bits, where postgres_fdw sends that to another server.
fn hash_of_value(column: &SourceColumn) -> Option<String> {
    if column.type_oid.to_u32() >= OWN_TYPES {
        return None;
    }
    // SAFETY: a look-up of an existing type.
    let hashes = unsafe {
        let flags = pg_sys::TYPECACHE_HASH_EXTENDED_PROC as i32;
        (*pg_sys::lookup_type_cache(column.type_oid, flags)).hash_extended_proc
    };
    if hashes == pg_sys::InvalidOid {
        return None;
    }
    let name = spi::quote_identifier(&column.name);
    // SAFETY: the same.
    let is_array = unsafe { pg_sys::get_element_type(column.type_oid) } != pg_sys::InvalidOid;
    Some(match is_array {
        true => format!("pg_catalog.hash_array_extended({name}, 0)"),
        false => hash_of(&[name]),
    })
}

/// The same of a short value.
fn hash_of_scalar(column: &SourceColumn) -> Option<String> {
    let kind = Decoder::for_type(column.type_oid)?.kind;
    let short = !matches!(kind, Kind::Vector | Kind::Tags | Kind::Json | Kind::Image);
    hash_of_value(column).filter(|_| short)
}

/// SQL that hashes several values in 64 bits, NULL as well.
fn hash_of(values: &[String]) -> String {
    format!(
        "pg_catalog.hash_array_extended(ARRAY[{}], 0)",
        values.join(", ")
    )
}
