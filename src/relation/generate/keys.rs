//! Keys of a table whose rows are made, unique keys and exclusion constraints: what the rows made so far have, and what the indexes know.

use super::foreign::{Foreign, foreign_keys};
use super::index::{Equality, Probe};
use crate::error::Result;
use crate::versions;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::collections::HashSet;
use std::ffi::CStr;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Columns an index has at most.
pub(super) const WIDEST: usize = pg_sys::INDEX_MAX_KEYS as usize;

/// A row as the expressions of indexes see it.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub state: *mut pg_sys::EState,
    pub context: *mut pg_sys::ExprContext,
    pub slot: *mut pg_sys::TupleTableSlot,
}

/// What refuses a row.
pub struct Refusal {
    /// As messages name it.
    pub by: String,
    /// Attributes of a unique key that the table has already.
    pub taken: Vec<usize>,
}

impl Refusal {
    pub fn by(by: String) -> Refusal {
        Refusal {
            by,
            taken: Vec::new(),
        }
    }
}

/// What is looked up.
#[derive(Clone, Copy)]
pub struct Scope {
    /// What the table, and those it refers to, have already.
    pub tables: bool,
    /// But no foreign key with this attribute.
    pub except: Option<usize>,
}

/// The keys of a table.
#[derive(Default)]
pub(super) struct Keys {
    unique: Vec<Unique>,
    foreign: Vec<Foreign>,
}

/// A unique key or an exclusion constraint.
struct Unique {
    name: String,
    info: *mut pg_sys::IndexInfo,
    /// Null without any: only rows that meet it count.
    predicate: *mut pg_sys::ExprState,
    /// The index, or those of all partitions; none where the caller may not know what is in the table.
    probes: Vec<Probe>,
    rule: Rule,
    values: [pg_sys::Datum; WIDEST],
    nulls: [bool; WIDEST],
    /// Of the row that is looked at, if another may not have the same.
    hash: Option<u128>,
}

enum Rule {
    /// Hashes of 128 bits of what was made: two keys that share one are not to be met.
    Unique(Vec<Hashed>, HashSet<u128>),
    /// Two rows for which all operators hold exclude each other. Their values, of as many columns each.
    Exclusion(Vec<Equality>, Vec<pg_sys::Datum>),
}

/// How a column of a key is hashed, so that what its type takes for equal is.
struct Hashed {
    /// Of 64 bits with a seed, else of 32, else the text.
    extended: *mut pg_sys::FmgrInfo,
    plain: *mut pg_sys::FmgrInfo,
    output: pg_sys::Oid,
    collation: pg_sys::Oid,
    by_value: bool,
    length: i32,
}

impl Keys {
    /// Keys of a relation that is locked; everything lives in the current memory context.
    pub(super) fn of(
        relation: pg_sys::Oid,
        state: *mut pg_sys::EState,
        scope: Scope,
    ) -> Result<Keys> {
        let mut keys = Keys::default();
        for (index, name, exclusion) in indexes(relation)? {
            // Whoever may insert learns of each key whether it is taken.
            let leaves = if scope.tables && may_know(relation, relation) {
                leaves(index)?
            } else {
                Vec::new()
            };
            // SAFETY: an index of the relation, which is locked.
            unsafe {
                keys.unique
                    .push(Unique::open(index, name, exclusion, &leaves, state));
            }
        }
        for key in foreign_keys(relation)? {
            let left_out = key
                .columns
                .iter()
                .any(|c| Some(c.attribute) == scope.except);
            if scope.tables && !left_out && may_know(relation, key.referenced) {
                let leaves = leaves(key.index)?;
                // SAFETY: the catalog names existing attributes, operators and indexes.
                keys.foreign.push(unsafe { Foreign::open(&key, &leaves) });
            }
        }
        Ok(keys)
    }

    /// About how many hashes a row takes in memory.
    pub(super) fn remembered(&self) -> usize {
        let own = self.unique.iter().map(|key| match &key.rule {
            Rule::Unique(..) => 1,
            Rule::Exclusion(equalities, _) => 1 + equalities.len(),
        });
        own.sum()
    }

    /// What refuses a row; its keys are remembered if nothing does.
    ///
    /// # Safety
    /// The subject's slot must hold the row that `values` and `nulls` are.
    pub(super) unsafe fn refuse(
        &mut self,
        subject: Subject,
        values: &[pg_sys::Datum],
        nulls: &[bool],
    ) -> Option<Refusal> {
        // SAFETY: promised by the caller.
        unsafe {
            for key in &mut self.unique {
                if let Some(refusal) = key.refuse(subject) {
                    return Some(refusal);
                }
            }
            for key in &mut self.foreign {
                if !key.holds(subject, values, nulls) {
                    return Some(Refusal::by(format!("the foreign key \"{}\"", key.name)));
                }
            }
            self.unique.iter_mut().for_each(|key| key.remember(subject));
        }
        None
    }

    /// Closes the relations. Where an error is raised instead, the transaction does.
    pub(super) fn free(self) {
        let unique = self.unique.into_iter().flat_map(|key| key.probes);
        let foreign = self.foreign.into_iter().flat_map(|key| key.probes);
        unique.chain(foreign).for_each(Probe::close);
    }
}

impl Unique {
    /// # Safety
    /// The index must be of a relation that is locked.
    unsafe fn open(
        index: pg_sys::Oid,
        name: String,
        exclusion: bool,
        leaves: &[pg_sys::Oid],
        state: *mut pg_sys::EState,
    ) -> Unique {
        // SAFETY: promised by the caller; what is kept of the index is a copy.
        unsafe {
            let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
            let relation = pg_sys::index_open(index, lock);
            let info = pg_sys::BuildIndexInfo(relation);
            let columns = (*info).ii_NumIndexKeyAttrs as usize;
            let predicate = if (*info).ii_Predicate.is_null() {
                std::ptr::null_mut()
            } else {
                pg_sys::ExecPrepareQual((*info).ii_Predicate, state)
            };
            let rule = if exclusion {
                Rule::Exclusion(Equality::of_exclusion(relation, info), Vec::new())
            } else {
                let attributes = versions::attributes((*relation).rd_att);
                let collations = std::slice::from_raw_parts((*relation).rd_indcollation, columns);
                let hashed = attributes.iter().zip(collations);
                let hashed = hashed.map(|(a, collation)| Hashed::of(a.atttypid, *collation));
                Rule::Unique(hashed.collect(), HashSet::new())
            };
            pg_sys::index_close(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            let open = |index: &pg_sys::Oid| Probe::of_key(*index, exclusion);
            Unique {
                name,
                info,
                predicate,
                probes: leaves.iter().map(open).collect(),
                rule,
                values: [pg_sys::Datum::from(0usize); WIDEST],
                nulls: [false; WIDEST],
                hash: None,
            }
        }
    }

    /// # Safety
    /// The subject's slot must hold a row of the relation.
    unsafe fn refuse(&mut self, subject: Subject) -> Option<Refusal> {
        self.hash = None;
        // SAFETY: promised by the caller; the arrays are as long as an index can be wide.
        unsafe {
            (*subject.context).ecxt_scantuple = subject.slot;
            if !self.predicate.is_null() && !pg_sys::ExecQual(self.predicate, subject.context) {
                return None;
            }
            let (values, nulls) = (self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
            pg_sys::FormIndexDatum(self.info, subject.slot, subject.state, values, nulls);
            let columns = (*self.info).ii_NumIndexKeyAttrs as usize;
            let (values, nulls) = (&self.values[..columns], &self.nulls[..columns]);
            if nulls.contains(&true) && !versions::nulls_not_distinct(self.info) {
                return None;
            }
            let made = match &self.rule {
                Rule::Unique(hashed, seen) => {
                    let hash = hash(hashed, values, nulls);
                    self.hash = Some(hash);
                    seen.contains(&hash)
                }
                Rule::Exclusion(equalities, made) => {
                    self.hash = Some(0);
                    if made.len() > 1000 * columns {
                        pgrx::check_for_interrupts!();
                    }
                    let mut rows = made.chunks_exact(columns);
                    rows.any(|other| Equality::all(equalities, other, values))
                }
            };
            let what = match &self.rule {
                Rule::Unique(..) => "the unique key",
                Rule::Exclusion(..) => "the exclusion constraint",
            };
            if made {
                return Some(Refusal::by(format!("{what} \"{}\"", self.name)));
            }
            if self
                .probes
                .iter_mut()
                .any(|probe| probe.finds(subject, values, nulls))
            {
                let own = (*self.info).ii_IndexAttrNumbers;
                let places = own[..columns].iter().filter(|at| **at > 0);
                return Some(Refusal {
                    by: format!("{what} \"{}\"", self.name),
                    taken: places.map(|at| *at as usize - 1).collect(),
                });
            }
        }
        None
    }

    /// # Safety
    /// After [`Unique::refuse`] of the same row.
    unsafe fn remember(&mut self, subject: Subject) {
        let Some(hash) = self.hash else { return };
        match &mut self.rule {
            Rule::Unique(_, seen) => {
                seen.insert(hash);
            }
            Rule::Exclusion(equalities, made) => {
                // SAFETY: values of the index's own types, copied where they live as long as the constraint is looked at.
                unsafe {
                    let before = pg_sys::CurrentMemoryContext;
                    pg_sys::CurrentMemoryContext = (*subject.state).es_query_cxt;
                    for (value, of) in self.values.iter().zip(equalities.iter()) {
                        made.push(of.copy(*value));
                    }
                    pg_sys::CurrentMemoryContext = before;
                }
            }
        }
    }
}

impl Hashed {
    /// # Safety
    /// The type must exist.
    unsafe fn of(type_oid: pg_sys::Oid, collation: pg_sys::Oid) -> Hashed {
        // SAFETY: promised by the caller; entries of the type cache live as long as the process.
        unsafe {
            let wanted =
                pg_sys::TYPECACHE_HASH_PROC_FINFO | pg_sys::TYPECACHE_HASH_EXTENDED_PROC_FINFO;
            let entry = pg_sys::lookup_type_cache(type_oid, wanted as i32);
            let known = |function: *mut pg_sys::FmgrInfo| {
                let there = (*function).fn_oid != pg_sys::InvalidOid;
                if there {
                    function
                } else {
                    std::ptr::null_mut()
                }
            };
            let (mut output, mut variable) = (pg_sys::InvalidOid, false);
            pg_sys::getTypeOutputInfo(type_oid, &mut output, &mut variable);
            Hashed {
                extended: known(&raw mut (*entry).hash_extended_proc_finfo),
                plain: known(&raw mut (*entry).hash_proc_finfo),
                output,
                collation,
                by_value: (*entry).typbyval,
                length: i32::from((*entry).typlen),
            }
        }
    }

    /// # Safety
    /// The value must be of the type.
    unsafe fn add(&self, value: pg_sys::Datum, seed: u64, to: &mut DefaultHasher) {
        // SAFETY: promised by the caller.
        unsafe {
            if !self.extended.is_null() {
                let seed = pg_sys::Datum::from(seed as usize);
                pg_sys::FunctionCall2Coll(self.extended, self.collation, value, seed)
                    .value()
                    .hash(to);
            } else if !self.plain.is_null() {
                let hash = pg_sys::FunctionCall1Coll(self.plain, self.collation, value);
                (hash.value() as u32).hash(to);
            } else if self.by_value && self.length <= 8 {
                value.value().hash(to);
            } else {
                let text = pg_sys::OidOutputFunctionCall(self.output, value);
                CStr::from_ptr(text).hash(to);
                pg_sys::pfree(text.cast());
            }
        }
    }
}

/// # Safety
/// The values must be of the columns' types.
unsafe fn hash(columns: &[Hashed], values: &[pg_sys::Datum], nulls: &[bool]) -> u128 {
    let [a, b] = [0u64, 1].map(|seed| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        for ((column, value), null) in columns.iter().zip(values).zip(nulls) {
            null.hash(&mut hasher);
            if !null {
                // SAFETY: promised by the caller.
                unsafe { column.add(*value, seed, &mut hasher) };
            }
        }
        u128::from(hasher.finish())
    });
    a << 64 | b
}

/// Whether the current role may learn what is in `table`: by inserting into `relation`, or by reading.
fn may_know(relation: pg_sys::Oid, table: pg_sys::Oid) -> bool {
    // SAFETY: syscache look-ups of existing relations.
    unsafe {
        let role = pg_sys::GetUserId();
        let allowed = |table, mode: u32| {
            pg_sys::pg_class_aclcheck(table, role, mode as pg_sys::AclMode)
                == pg_sys::AclResult::ACLCHECK_OK
        };
        let all_rows = || {
            pg_sys::check_enable_rls(table, role, true)
                == pg_sys::CheckEnableRlsResult::RLS_NONE as i32
        };
        allowed(relation, pg_sys::ACL_INSERT) || allowed(table, pg_sys::ACL_SELECT) && all_rows()
    }
}

/// The unique and exclusion indexes of a relation: oid, name, whether it excludes.
fn indexes(relation: pg_sys::Oid) -> Result<Vec<(pg_sys::Oid, String, bool)>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT i.indexrelid, c.relname::pg_catalog.text, i.indisexclusion \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
             WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisready AND (i.indisunique OR i.indisexclusion) ORDER BY 1",
            None,
            &[relation.into()],
        )?;
        let mut found = Vec::new();
        for row in rows {
            if let (Some(index), Some(name)) = (row.get(1)?, row.get(2)?) {
                found.push((index, name, row.get(3)?.unwrap_or(false)));
            }
        }
        Ok(found)
    })
}

/// An index itself, or those of the partitions.
fn leaves(index: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    Spi::connect(|client| {
        let rows = client.select(
            "WITH RECURSIVE own AS (SELECT $1 AS index UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN own \
               ON i.inhparent OPERATOR(pg_catalog.=) own.index) \
             SELECT own.index FROM own JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) own.index \
             WHERE c.relkind OPERATOR(pg_catalog.=) 'i' ORDER BY 1",
            None,
            &[index.into()],
        )?;
        Ok(rows.filter_map(|row| row.get(1).ok().flatten()).collect())
    })
}
