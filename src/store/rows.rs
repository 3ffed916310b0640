//! Rows of the catalog by its indexes, without SPI: what every statement that predicts looks up. No privileges are asked for.

use pgrx::{FromDatum, IntoDatum, pg_sys};
use std::ffi::CStr;

/// A column, counted from 1 in the order of `sql/catalog.sql`, and what it must be equal to.
pub enum Key<'a> {
    Text(i16, &'a str),
    Long(i16, i64),
    Int(i16, i32),
}

impl Key<'_> {
    fn scan_key(&self) -> pg_sys::ScanKeyData {
        let mut key = pg_sys::ScanKeyData::default();
        let (column, collation, equal, value) = match *self {
            Key::Text(at, text) => {
                let own = pg_sys::DEFAULT_COLLATION_OID;
                (at, own, pg_sys::F_TEXTEQ, text.into_datum())
            }
            Key::Long(at, long) => {
                let none = pg_sys::InvalidOid;
                (at, none, pg_sys::F_INT8EQ, long.into_datum())
            }
            Key::Int(at, int) => {
                let none = pg_sys::InvalidOid;
                (at, none, pg_sys::F_INT4EQ, int.into_datum())
            }
        };
        // SAFETY: fills the key; the function compares values of that type.
        unsafe {
            pg_sys::ScanKeyEntryInitialize(
                &mut key,
                0,
                column,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::InvalidOid,
                collation,
                pg_sys::Oid::from(equal),
                value.unwrap_or(pg_sys::Datum::null()),
            );
        }
        key
    }
}

/// The values of a row.
pub struct Row<'a> {
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl Row<'_> {
    /// The value of a column, of which `T` must be the type; `None` for NULL.
    pub fn get<T: FromDatum>(&self, column: usize) -> Option<T> {
        // SAFETY: the catalog's columns have the types that are asked for.
        unsafe { T::from_datum(self.values[column - 1], self.nulls[column - 1]) }
    }

    /// The same of a column of type `name`.
    pub fn name(&self, column: usize) -> Option<String> {
        self.get::<&CStr>(column)
            .map(|name| name.to_string_lossy().into_owned())
    }
}

/// What `read` makes of the rows of `insight.table` with these keys, by an index whose first columns the keys are.
pub fn select<T>(
    table: &CStr,
    index: &CStr,
    keys: &[Key<'_>],
    mut read: impl FnMut(&Row<'_>) -> T,
) -> Vec<T> {
    let mut keys: Vec<_> = keys.iter().map(Key::scan_key).collect();
    let mut found = Vec::new();
    // SAFETY: the relation is locked and open while it is read, and its tuples have as many values as its row type; an error frees all
    // with the transaction's abort.
    unsafe {
        let namespace = pg_sys::get_namespace_oid(c"insight".as_ptr(), true);
        let relation = pg_sys::get_relname_relid(table.as_ptr(), namespace);
        if relation == pg_sys::InvalidOid {
            return found;
        }
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        // Somebody may have dropped it since.
        let opened = pg_sys::try_relation_open(relation, lock);
        if opened.is_null() {
            return found;
        }
        // Without the index the rows are all looked at.
        let index = pg_sys::get_relname_relid(index.as_ptr(), namespace);
        let snapshot = pg_sys::RegisterSnapshot(snapshot());
        let scan = pg_sys::systable_beginscan(
            opened,
            index,
            index != pg_sys::InvalidOid,
            snapshot,
            keys.len() as i32,
            keys.as_mut_ptr(),
        );
        let columns = (*(*opened).rd_att).natts as usize;
        let (mut values, mut nulls) = (vec![pg_sys::Datum::null(); columns], vec![true; columns]);
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            pg_sys::heap_deform_tuple(
                tuple,
                (*opened).rd_att,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            found.push(read(&Row {
                values: &values,
                nulls: &nulls,
            }));
        }
        pg_sys::systable_endscan(scan);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::relation_close(opened, lock);
    }
    found
}

/// That of the statement, as SPI has it; the newest once the transaction has written, which it must see.
///
/// # Safety
/// Within a transaction.
unsafe fn snapshot() -> pg_sys::Snapshot {
    // SAFETY: promised by the caller.
    unsafe {
        let writes = pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId;
        match pg_sys::ActiveSnapshotSet() && !writes {
            true => pg_sys::GetActiveSnapshot(),
            false => pg_sys::GetTransactionSnapshot(),
        }
    }
}
