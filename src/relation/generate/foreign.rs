//! Foreign keys of a table whose rows are made: whether what they refer to is there.

use super::index::Probe;
use super::keys::{Subject, WIDEST};
use crate::error::Result;
use pgrx::pg_sys;
use pgrx::prelude::*;

/// A foreign key.
pub(super) struct Foreign {
    pub(super) name: String,
    /// For each column of the referenced index the attribute, and the type the operator wants, if not its own.
    columns: Vec<(usize, Option<Cast>)>,
    /// MATCH FULL: all columns are NULL or none.
    full: bool,
    pub(super) probes: Vec<Probe>,
}

/// From one type to another by way of text, as PostgreSQL's implicit casts of keys (integer to numeric) would.
struct Cast {
    output: pg_sys::Oid,
    input: pg_sys::Oid,
    parameter: pg_sys::Oid,
}

impl Foreign {
    /// # Safety
    /// The key must be one of the catalog's.
    pub(super) unsafe fn open(key: &ForeignKey, leaves: &[pg_sys::Oid]) -> Foreign {
        let columns = key.columns.iter().map(|column| {
            // SAFETY: promised by the caller.
            let cast = unsafe {
                let fits = pg_sys::IsBinaryCoercible(column.type_oid, column.wanted);
                (!fits).then(|| Cast::between(column.type_oid, column.wanted))
            };
            (column.attribute, cast)
        });
        // SAFETY: as above; the columns are in the order of the index.
        let probes = unsafe {
            let open = |index: &pg_sys::Oid| {
                Probe::of_operators(*index, key.columns.iter().map(|c| (c.operator, c.wanted)))
            };
            leaves.iter().map(open).collect()
        };
        Foreign {
            name: key.name.clone(),
            columns: columns.collect(),
            full: key.full,
            probes,
        }
    }

    /// # Safety
    /// `values` and `nulls` must be a row of the relation.
    pub(super) unsafe fn holds(
        &mut self,
        subject: Subject,
        values: &[pg_sys::Datum],
        nulls: &[bool],
    ) -> bool {
        let unknown = self.columns.iter().filter(|(at, _)| nulls[*at]).count();
        if unknown > 0 {
            return !self.full || unknown == self.columns.len();
        }
        let own = self.columns.iter().map(|(at, cast)| match cast {
            // SAFETY: promised by the caller.
            Some(cast) => unsafe { cast.of(values[*at]) },
            None => values[*at],
        });
        let own: Vec<pg_sys::Datum> = own.collect();
        let none = [false; WIDEST];
        // SAFETY: values of the types that the operators want.
        let mut found = self.probes.iter_mut();
        found.any(|probe| unsafe { probe.finds(subject, &own, &none[..own.len()]) })
    }
}

impl Cast {
    /// # Safety
    /// The types must exist.
    unsafe fn between(from: pg_sys::Oid, to: pg_sys::Oid) -> Cast {
        let (mut output, mut variable) = (pg_sys::InvalidOid, false);
        let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        // SAFETY: promised by the caller.
        unsafe {
            pg_sys::getTypeOutputInfo(from, &mut output, &mut variable);
            pg_sys::getTypeInputInfo(to, &mut input, &mut parameter);
        }
        Cast {
            output,
            input,
            parameter,
        }
    }

    /// # Safety
    /// The value must be of the type that is cast from.
    unsafe fn of(&self, value: pg_sys::Datum) -> pg_sys::Datum {
        // SAFETY: promised by the caller.
        unsafe {
            let text = pg_sys::OidOutputFunctionCall(self.output, value);
            pg_sys::OidInputFunctionCall(self.input, text, self.parameter, -1)
        }
    }
}

/// A foreign key as the catalog has it, its columns in the order of the referenced index.
pub(super) struct ForeignKey {
    name: String,
    full: bool,
    pub(super) referenced: pg_sys::Oid,
    pub(super) index: pg_sys::Oid,
    pub(super) columns: Vec<ForeignColumn>,
}

pub(super) struct ForeignColumn {
    pub(super) attribute: usize,
    type_oid: pg_sys::Oid,
    operator: pg_sys::Oid,
    /// The type of the operator's right side.
    wanted: pg_sys::Oid,
}

/// The foreign keys of a relation.
pub(super) fn foreign_keys(relation: pg_sys::Oid) -> Result<Vec<ForeignKey>> {
    Spi::connect(|client| {
        // A key that refers to a partitioned table has a copy for each partition, which is no key of its own.
        let rows = client.select(
            "SELECT c.conname::pg_catalog.text, c.confmatchtype OPERATOR(pg_catalog.=) 'f', c.confrelid, c.conindid, \
               a.attnum::pg_catalog.int4, a.atttypid, o.oid, o.oprright \
             FROM pg_catalog.pg_constraint c CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), \
               pg_catalog.unnest(c.confkey), pg_catalog.unnest(c.conpfeqop)) k (own, other, operator) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.conrelid AND a.attnum OPERATOR(pg_catalog.=) k.own \
             JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) k.operator \
             JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.conindid \
             WHERE c.conrelid OPERATOR(pg_catalog.=) $1 AND c.contype OPERATOR(pg_catalog.=) 'f' AND NOT EXISTS \
               (SELECT FROM pg_catalog.pg_constraint p WHERE p.oid OPERATOR(pg_catalog.=) c.conparentid \
                AND p.conrelid OPERATOR(pg_catalog.=) c.conrelid) \
             ORDER BY c.oid, pg_catalog.array_position(i.indkey::pg_catalog.int2[], k.other)",
            None,
            &[relation.into()],
        )?;
        let mut found: Vec<ForeignKey> = Vec::new();
        for row in rows {
            let (Some(name), Some(referenced), Some(index)) =
                (row.get::<String>(1)?, row.get(3)?, row.get(4)?)
            else {
                continue;
            };
            let (Some(attribute), Some(type_oid), Some(operator), Some(wanted)) =
                (row.get::<i32>(5)?, row.get(6)?, row.get(7)?, row.get(8)?)
            else {
                continue;
            };
            if found.last().is_none_or(|last| last.name != name) {
                found.push(ForeignKey {
                    name,
                    full: row.get(2)?.unwrap_or(false),
                    referenced,
                    index,
                    columns: Vec::new(),
                });
            }
            let column = ForeignColumn {
                attribute: attribute as usize - 1,
                type_oid,
                operator,
                wanted,
            };
            if let Some(key) = found.last_mut() {
                key.columns.push(column);
            }
        }
        Ok(found)
    })
}
