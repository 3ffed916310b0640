//! A large table, or a partitioned one, read by parallel workers of PostgreSQL.
//!
//! The scan is an aggregate in a plain query, so that PostgreSQL sees to the snapshot, the rights and the workers, as many as its own settings
//! allow. Each process turns its blocks into columns and writes them to a temporary file; the leader puts the parts together in the
//! order of their tables and blocks: the frame is the one that a single process would have read.

mod join;
mod leaves;
pub mod part;
pub mod plain;
mod shared;

use super::read::{Nest, memory_error, too_large};
use crate::error::{Error, Result};
use crate::versions;
use insight_engine::frame::{Column, Frame};
use leaves::Leaves;
use part::{Part, State};
use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys};
use plain::Plain;
use shared::Leader;
use std::collections::HashMap;
use std::ffi::CString;

/// Arguments end at 100: wider tables take several aggregates in the same query.
const COLUMNS: usize = 90;

/// The tables that parallel workers read for a source. `None` where they may not or cannot: they have to be large enough, and the role must
/// see all of them.
pub fn leaves(plain: &Plain) -> Option<Leaves> {
    // SAFETY: plain settings of this process.
    let (workers, smallest) = unsafe {
        let workers = pg_sys::max_parallel_workers_per_gather.min(pg_sys::max_parallel_workers);
        (workers, pg_sys::min_parallel_table_scan_size)
    };
    // PostgreSQL has no parallel plans within parallel plans.
    // SAFETY: plain state of this process.
    let nested = unsafe { pg_sys::IsInParallelMode() || pg_sys::ParallelWorkerNumber >= 0 };
    if workers < 1 || nested || !versions::SCANS_IN_RUNS {
        return None;
    }
    // Its rows' places are read, too, which takes the right to the whole table. Of partitions no rights are asked.
    // SAFETY: the table was found when the source was looked at.
    let whole = unsafe { sees_all(plain.table) };
    let leaves = whole.then(|| Leaves::of(plain.table)).flatten();
    leaves.filter(|own| own.blocks >= smallest.max(1) as u64)
}

/// Whether the current role sees all rows and columns of a table.
///
/// # Safety
/// The table exists.
pub unsafe fn sees_all(table: pg_sys::Oid) -> bool {
    // SAFETY: promised by the caller; rights are looked up for the current role.
    unsafe {
        let role = pg_sys::GetUserId();
        pg_sys::pg_class_aclcheck(table, role, versions::ACL_SELECT)
            == pg_sys::AclResult::ACLCHECK_OK
            && pg_sys::check_enable_rls(table, role, true)
                != pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
    }
}

/// Reads a source that has [`leaves`] into the columns of an empty frame. `None` where that takes too much, or the parts are in no order:
/// read it otherwise.
pub fn read(
    plain: &Plain,
    leaves: &Leaves,
    frame: &Frame,
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
) -> Result<Option<Frame>> {
    let Some(leader) = Leader::new(max_bytes) else {
        return Ok(None);
    };
    let columns = frame.columns.clone();
    let frame = read_with(&leader, plain, leaves, columns, max_bytes, on_rows);
    leader.end();
    frame
}

fn read_with(
    leader: &Leader,
    plain: &Plain,
    leaves: &Leaves,
    mut columns: Vec<Column>,
    max_bytes: usize,
    on_rows: &mut dyn FnMut(u64),
) -> Result<Option<Frame>> {
    let values = plain.values.chunks(COLUMNS).enumerate();
    let groups: Vec<String> = values
        .map(|(part, values)| {
            let own = [part.to_string(), "tableoid".into(), "ctid".into()];
            let arguments = [own.join(", "), values.join(", ")].join(", ");
            ["insight.read_rows(", &arguments, ")"].concat()
        })
        .collect();
    let sql = format!("SELECT {} FROM {}", groups.join(", "), plain.from);
    let handle = leader.handle().to_string();
    let nest = Nest::new(&[
        ("insight.reading", &handle),
        // The table is large enough for the workers that its size allows; their answers are short.
        ("parallel_setup_cost", "0"),
        ("parallel_tuple_cost", "0"),
        // One aggregate, and so one file, for each process.
        ("enable_partitionwise_aggregate", "off"),
        // Who waits hears of it, and can cancel it, by the leader's own rows.
        ("parallel_leader_participation", "on"),
        // Compiling costs more than it saves.
        ("jit", "off"),
    ]);
    let written = part::reporting(on_rows, || run(&sql, groups.len()));
    nest.end();
    let written = written?;
    if leader.shared().is_stopped() {
        return Ok(None);
    }
    let mut rows = 0;
    for (group, mut parts) in written.into_iter().enumerate() {
        if !in_order(&mut parts, leaves) {
            return Ok(None);
        }
        let start = group * COLUMNS;
        let end = (start + COLUMNS).min(columns.len());
        rows = join::join(
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

/// Sorts parts as one process would have read their rows; false where that is not known: they overlap, or a partition is new.
fn in_order(parts: &mut [Part], leaves: &Leaves) -> bool {
    let tables = leaves.tables.iter().zip(0..);
    let places: HashMap<pg_sys::Oid, u32> = tables.map(|(table, place)| (*table, place)).collect();
    parts.sort_unstable_by_key(|part| (places.get(&part.table), part.first_block));
    let apart =
        |two: &[Part]| two[0].table != two[1].table || two[0].last_block < two[1].first_block;
    parts.iter().all(|part| places.contains_key(&part.table)) && parts.windows(2).all(apart)
}

/// Runs the scan; answers the parts of each group of columns.
fn run(sql: &str, groups: usize) -> Result<Vec<Vec<Part>>> {
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
