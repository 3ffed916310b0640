//! Rows looked up in an index, as the statement sees the table.

use super::keys::Subject;
use crate::versions;
use pgrx::pg_sys;

/// An index, and how its columns are compared.
pub(super) struct Probe {
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    /// A row of the table.
    slot: *mut pg_sys::TupleTableSlot,
    keys: Vec<pg_sys::ScanKeyData>,
    /// For what an index cannot tell for sure: its columns, and the operators. Empty where it can.
    sure: Option<(*mut pg_sys::IndexInfo, Vec<Equality>)>,
}

/// An operator between two values of one column of an index.
pub(super) struct Equality {
    function: pg_sys::FmgrInfo,
    collation: pg_sys::Oid,
    /// Of the type that is compared.
    by_value: bool,
    length: i32,
}

impl Equality {
    /// The operators of an exclusion constraint.
    ///
    /// # Safety
    /// The relation must be its index, and `info` made of it.
    pub(super) unsafe fn of_exclusion(
        index: pg_sys::Relation,
        info: *mut pg_sys::IndexInfo,
    ) -> Vec<Equality> {
        // SAFETY: promised by the caller; the arrays have as many entries as the index has key columns.
        unsafe {
            let columns = (*info).ii_NumIndexKeyAttrs as usize;
            let of = |at: usize| {
                // What an index stores may be of another type than what is compared, as in a hash or a gist index.
                let (mut length, mut by_value) = (0i16, false);
                let compared = *(*index).rd_opcintype.add(at);
                pg_sys::get_typlenbyval(compared, &mut length, &mut by_value);
                let mut function = pg_sys::FmgrInfo::default();
                pg_sys::fmgr_info(*(*info).ii_ExclusionProcs.add(at), &mut function);
                Equality {
                    function,
                    collation: *(*index).rd_indcollation.add(at),
                    by_value,
                    length: i32::from(length),
                }
            };
            (0..columns).map(of).collect()
        }
    }

    /// A copy of a value in the current memory context.
    ///
    /// # Safety
    /// The value must be of the type that is compared, which is never a bare C string.
    pub(super) unsafe fn copy(&self, value: pg_sys::Datum) -> pg_sys::Datum {
        if self.by_value {
            return value;
        }
        // SAFETY: promised by the caller.
        unsafe {
            match usize::try_from(self.length) {
                Ok(length) => {
                    let to = pg_sys::palloc(length);
                    std::ptr::copy_nonoverlapping(value.cast_mut_ptr::<u8>(), to.cast(), length);
                    pg_sys::Datum::from(to)
                }
                Err(_) => pg_sys::Datum::from(pg_sys::pg_detoast_datum_copy(value.cast_mut_ptr())),
            }
        }
    }

    /// Whether all operators hold between two rows of values, none of which is NULL.
    ///
    /// # Safety
    /// The values must be of the columns' types.
    pub(super) unsafe fn all(
        own: &[Equality],
        left: &[pg_sys::Datum],
        right: &[pg_sys::Datum],
    ) -> bool {
        own.iter().zip(left.iter().zip(right)).all(|(own, (a, b))| {
            let function = (&raw const own.function).cast_mut();
            // SAFETY: promised by the caller; a function's cache is written by the function alone.
            unsafe { pg_sys::FunctionCall2Coll(function, own.collation, *a, *b).value() as u8 != 0 }
        })
    }
}

impl Probe {
    /// An index of a unique key or an exclusion constraint.
    ///
    /// # Safety
    /// It must be one, and not that of a partitioned table.
    pub(super) unsafe fn of_key(index: pg_sys::Oid, exclusion: bool) -> Probe {
        // SAFETY: promised by the caller; the arrays have as many entries as the index has key columns.
        unsafe {
            let mut probe = Probe::open(index);
            let info = pg_sys::BuildIndexInfo(probe.index);
            let (procedures, strategies) = if exclusion {
                probe.sure = Some((info, Equality::of_exclusion(probe.index, info)));
                ((*info).ii_ExclusionProcs, (*info).ii_ExclusionStrats)
            } else {
                pg_sys::BuildSpeculativeIndexInfo(probe.index, info);
                ((*info).ii_UniqueProcs, (*info).ii_UniqueStrats)
            };
            for at in 0..(*info).ii_NumIndexKeyAttrs as usize {
                let (procedure, strategy) = (*procedures.add(at), *strategies.add(at));
                probe.compare(procedure, strategy, pg_sys::InvalidOid);
            }
            probe
        }
    }

    /// A unique index that is looked up by operators, each with the type of its right side.
    ///
    /// # Safety
    /// They must be operators that are equality to the index, one for each of its key columns.
    pub(super) unsafe fn of_operators(
        index: pg_sys::Oid,
        operators: impl Iterator<Item = (pg_sys::Oid, pg_sys::Oid)>,
    ) -> Probe {
        // SAFETY: promised by the caller.
        unsafe {
            let mut probe = Probe::open(index);
            for (operator, right) in operators {
                let equal = pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber;
                probe.compare(pg_sys::get_opcode(operator), equal, right);
            }
            probe
        }
    }

    /// # Safety
    /// The index must exist.
    unsafe fn open(index: pg_sys::Oid) -> Probe {
        // SAFETY: promised by the caller; the table is locked before its index, as those who drop either do.
        unsafe {
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let table = pg_sys::table_open(pg_sys::IndexGetRelation(index, false), lock);
            let index = pg_sys::index_open(index, lock);
            Probe {
                table,
                index,
                slot: pg_sys::table_slot_create(table, std::ptr::null_mut()),
                keys: Vec::new(),
                sure: None,
            }
        }
    }

    /// # Safety
    /// The procedure must be of a strategy of the index's next column.
    unsafe fn compare(
        &mut self,
        procedure: pg_sys::Oid,
        strategy: pg_sys::StrategyNumber,
        right: pg_sys::Oid,
    ) {
        let at = self.keys.len();
        let mut key = pg_sys::ScanKeyData::default();
        // SAFETY: promised by the caller.
        unsafe {
            pg_sys::ScanKeyEntryInitialize(
                &mut key,
                0,
                at as pg_sys::AttrNumber + 1,
                strategy,
                right,
                *(*self.index).rd_indcollation.add(at),
                procedure,
                pg_sys::Datum::from(0usize),
            );
        }
        self.keys.push(key);
    }

    /// Whether the table has a row with such values.
    ///
    /// # Safety
    /// They must be of the types that the index, or its operators, compare with.
    pub(super) unsafe fn finds(
        &mut self,
        subject: Subject,
        values: &[pg_sys::Datum],
        nulls: &[bool],
    ) -> bool {
        for (key, (value, null)) in self.keys.iter_mut().zip(values.iter().zip(nulls)) {
            key.sk_argument = *value;
            key.sk_flags = if *null {
                (pg_sys::SK_ISNULL | pg_sys::SK_SEARCHNULL) as i32
            } else {
                0
            };
        }
        let count = self.keys.len() as i32;
        // SAFETY: promised by the caller; a statement that calls a function has an active snapshot.
        unsafe {
            let snapshot = pg_sys::GetActiveSnapshot();
            let scan = versions::index_beginscan(self.table, self.index, snapshot, count);
            pg_sys::index_rescan(scan, self.keys.as_mut_ptr(), count, std::ptr::null_mut(), 0);
            let mut found = false;
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            while !found && pg_sys::index_getnext_slot(scan, forward, self.slot) {
                pgrx::check_for_interrupts!();
                found = !(*scan).xs_recheck || self.agrees(subject, values);
            }
            pg_sys::index_endscan(scan);
            pg_sys::ExecClearTuple(self.slot);
            found
        }
    }

    /// Whether the row in the slot has such values indeed.
    ///
    /// # Safety
    /// As [`Probe::finds`].
    unsafe fn agrees(&self, subject: Subject, values: &[pg_sys::Datum]) -> bool {
        let Some((info, equalities)) = &self.sure else {
            return true;
        };
        let mut own = [pg_sys::Datum::from(0usize); pg_sys::INDEX_MAX_KEYS as usize];
        let mut nulls = [true; pg_sys::INDEX_MAX_KEYS as usize];
        // SAFETY: promised by the caller; expressions of an index are evaluated on the row that the context names.
        unsafe {
            (*subject.context).ecxt_scantuple = self.slot;
            let (to, to_null) = (own.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::FormIndexDatum(*info, self.slot, subject.state, to, to_null);
            (*subject.context).ecxt_scantuple = subject.slot;
            let columns = equalities.len();
            !nulls[..columns].contains(&true) && Equality::all(equalities, &own, values)
        }
    }

    /// Gives table and index back; the locks stay until the transaction ends.
    pub(super) fn close(self) {
        // SAFETY: opened by `open`, closed once.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::index_close(self.index, pg_sys::NoLock as pg_sys::LOCKMODE);
            pg_sys::table_close(self.table, pg_sys::NoLock as pg_sys::LOCKMODE);
        }
    }
}
