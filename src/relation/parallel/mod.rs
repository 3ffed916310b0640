//! A large table read by parallel workers of PostgreSQL.
//!
//! The scan is an aggregate in a plain query, so that PostgreSQL sees to the snapshot, the rights and the workers, as many as its own settings
//! allow. Each process turns its blocks into columns and writes them to a temporary file; the leader puts the parts together in the
//! order of their blocks: the frame is the one that a single process would have read.

pub mod part;
mod shared;

use super::read::{Nest, memory_error, too_large};
use super::resolve::{self, Source};
use crate::error::{Error, Result};
use crate::versions;
use insight_engine::frame::{Column, Frame};
use part::{Part, State};
use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys, spi};
use shared::Leader;
use std::ffi::CString;

/// Arguments end at 100: wider tables take several aggregates in the same query.
const COLUMNS: usize = 90;
const HEAP: u32 = 2;

/// Whether parallel workers may and can read the source: a table of its own that is large enough, all of which the role may see.
pub fn fits(source: &Source) -> Result<bool> {
    // A query or a view may have an order of its own.
    if source.from.starts_with('(') {
        return Ok(false);
    }
    // SAFETY: plain settings of this process.
    let (workers, smallest) = unsafe {
        let workers = pg_sys::max_parallel_workers_per_gather.min(pg_sys::max_parallel_workers);
        (workers, pg_sys::min_parallel_table_scan_size)
    };
    // PostgreSQL has no parallel plans within parallel plans.
    // SAFETY: plain state of this process.
    let nested = unsafe { pg_sys::IsInParallelMode() || pg_sys::ParallelWorkerNumber >= 0 };
    if workers < 1 || nested || !versions::SCANS_IN_RUNS {
        return Ok(false);
    }
    let (oid, ..) = resolve::find_relation(&source.from)?;
    // SAFETY: the relation is locked while it is looked at; rights are looked up for the current role.
    let blocks = unsafe {
        let relation = pg_sys::relation_open(oid, pg_sys::AccessShareLock as i32);
        let form = &*(*relation).rd_rel;
        let plain = matches!(form.relkind as u8, b'r' | b'm')
            && form.relpersistence as u8 != b't'
            && form.relam.to_u32() == HEAP
            && !form.relhassubclass;
        let role = pg_sys::GetUserId();
        // Its rows' places are read, too, which takes the right to the whole table.
        let whole = pg_sys::pg_class_aclcheck(oid, role, versions::ACL_SELECT)
            == pg_sys::AclResult::ACLCHECK_OK
            && pg_sys::check_enable_rls(oid, role, true)
                != pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32;
        let blocks = match plain && whole {
            true => {
                pg_sys::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM)
            }
            false => 0,
        };
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        blocks
    };
    Ok(i64::from(blocks) >= i64::from(smallest.max(1)))
}

/// Reads a source that [`fits`] into the columns of an empty frame. `None` where that takes too much, or the parts are in no order: read
/// it otherwise.
pub fn read(
    source: &Source,
    frame: &Frame,
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
) -> Result<Option<Frame>> {
    let Some(leader) = Leader::new(max_bytes) else {
        return Ok(None);
    };
    let frame = read_with(&leader, source, frame.columns.clone(), max_bytes, on_rows);
    leader.end();
    frame
}

fn read_with(
    leader: &Leader,
    source: &Source,
    mut columns: Vec<Column>,
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
) -> Result<Option<Frame>> {
    let groups: Vec<String> = columns
        .chunks(COLUMNS)
        .enumerate()
        .map(|(part, group)| {
            let names: Vec<String> = group
                .iter()
                .map(|column| spi::quote_identifier(&column.name))
                .collect();
            let arguments = [part.to_string(), "ctid".into(), names.join(", ")].join(", ");
            ["insight.read_rows(", &arguments, ")"].concat()
        })
        .collect();
    let sql = format!("SELECT {} FROM {}", groups.join(", "), source.from);
    let handle = leader.handle().to_string();
    let nest = Nest::new(&[
        ("insight.reading", &handle),
        // The table is large enough for the workers that its size allows; their answers are short.
        ("parallel_setup_cost", "0"),
        ("parallel_tuple_cost", "0"),
        // Who waits hears of it, and can cancel it, by the leader's own rows.
        ("parallel_leader_participation", "on"),
        // Compiling costs more than it saves.
        ("jit", "off"),
    ]);
    let written = part::reporting(on_rows, || scan(&sql, groups.len()));
    nest.end();
    let written = written?;
    if leader.shared().is_stopped() {
        return Ok(None);
    }
    let mut rows = 0;
    for (group, mut parts) in written.into_iter().enumerate() {
        parts.sort_unstable_by_key(|part| part.first_block);
        if parts
            .windows(2)
            .any(|two| two[1].first_block <= two[0].last_block)
        {
            return Ok(None);
        }
        let start = group * COLUMNS;
        let end = (start + COLUMNS).min(columns.len());
        rows = join(
            leader,
            group as i32,
            &parts,
            &mut columns[start..end],
            max_bytes,
        )?;
        if too_large(&columns, max_bytes) {
            return Err(memory_error(rows, max_bytes));
        }
    }
    on_rows(rows as u64);
    Ok(Some(Frame { columns }))
}

/// Runs the scan; answers the parts of each group of columns.
fn scan(sql: &str, groups: usize) -> Result<Vec<Vec<Part>>> {
    let sql =
        CString::new(sql).map_err(|_| Error::new("22021", "the relation contains a zero byte"))?;
    // SAFETY: inside an SPI connection, whose only row has a bytea, or NULL, for each group. Not by pgrx's `update`, which would
    // take a transaction's number, nor by its `select`, which does not see what this transaction has just written.
    Spi::connect(|_| unsafe {
        let status = pg_sys::SPI_execute(sql.as_ptr(), false, 0);
        if status != pg_sys::SPI_OK_SELECT as i32 || pg_sys::SPI_processed != 1 {
            return Err(Error::new("XX000", "the scan has no answer"));
        }
        let table = &*pg_sys::SPI_tuptable;
        let of = |group: usize| {
            let mut null = false;
            let row = *table.vals;
            let datum = pg_sys::SPI_getbinval(row, table.tupdesc, group as i32 + 1, &mut null);
            let bytes: Option<&[u8]> = FromDatum::from_datum(datum, null);
            bytes.map_or_else(Vec::new, |bytes| State::from_bytes(bytes).parts)
        };
        Ok((0..groups).map(of).collect())
    })
}

/// Appends parts, in their order, to the columns; answers how many rows there are.
fn join(
    leader: &Leader,
    group: i32,
    parts: &[Part],
    columns: &mut [Column],
    max_bytes: usize,
) -> Result<usize> {
    let mut files: Vec<(i32, *mut pg_sys::BufFile)> = Vec::new();
    let (mut bytes, mut rows) = (Vec::new(), 0);
    let all = parts.iter().map(|part| part.rows as usize).sum();
    columns.iter_mut().for_each(|column| column.reserve(all));
    for part in parts {
        pgrx::check_for_interrupts!();
        // SAFETY: the file was exported by its process, and is closed below; the buffer has the length that is read.
        unsafe {
            let file = match files.iter().find(|(worker, _)| *worker == part.worker) {
                Some((_, file)) => *file,
                None => {
                    let file = versions::open_shared_file(
                        leader.shared().files(),
                        &part::name(part.worker, group),
                    );
                    files.push((part.worker, file));
                    file
                }
            };
            bytes.resize(part.bytes as usize, 0);
            if !versions::read_shared_file(file, part.place, &mut bytes) {
                return Err(damaged());
            }
        }
        let mut rest = &bytes[..];
        for column in &mut *columns {
            column
                .append_part(&mut rest, part.rows as usize)
                .ok_or_else(damaged)?;
        }
        rows += part.rows as usize;
        if too_large(columns, max_bytes) {
            return Err(memory_error(rows, max_bytes));
        }
    }
    for (_, file) in files {
        // SAFETY: opened above.
        unsafe { pg_sys::BufFileClose(file) };
    }
    Ok(rows)
}

fn damaged() -> Error {
    Error::new("58030", "a temporary file could not be read")
}
