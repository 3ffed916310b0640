//! What the catalog and the rows say about a related table.

use super::{Field, Related, Role};
use crate::error::{Error, Result};
use crate::relation::decode::Decoder;
use crate::relation::resolve::{Source, SourceColumn};
use insight_engine::frame::Kind;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::quote_identifier;

/// Rows looked at for the values of a category.
const SAMPLE: usize = 100_000;
/// A category of at most so many values has a feature for the share of each.
const SHARES: usize = 12;

/// A declared foreign key of one column.
pub(super) struct ForeignKey {
    /// The table that refers.
    pub child: pg_sys::Oid,
    pub column: String,
    /// The column referred to.
    pub referred: String,
}

/// Foreign keys of one column that refer to a relation, from one table or from all.
pub(super) fn foreign_keys(
    parent: pg_sys::Oid,
    child: Option<pg_sys::Oid>,
) -> Result<Vec<ForeignKey>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT c.conrelid, a.attname::pg_catalog.text, p.attname::pg_catalog.text FROM pg_catalog.pg_constraint c \
             JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.conrelid AND a.attnum OPERATOR(pg_catalog.=) c.conkey[1] \
             JOIN pg_catalog.pg_attribute p ON p.attrelid OPERATOR(pg_catalog.=) c.confrelid AND p.attnum OPERATOR(pg_catalog.=) c.confkey[1] \
             WHERE c.contype OPERATOR(pg_catalog.=) 'f' AND c.confrelid OPERATOR(pg_catalog.=) $1 \
             AND c.conrelid OPERATOR(pg_catalog.<>) c.confrelid \
             AND ($2 IS NULL OR c.conrelid OPERATOR(pg_catalog.=) $2) AND pg_catalog.array_length(c.conkey, 1) OPERATOR(pg_catalog.=) 1 \
             ORDER BY c.conrelid::pg_catalog.regclass::pg_catalog.text, c.conname",
            None,
            &[parent.into(), child.into()],
        )?;
        let key = |row: pgrx::spi::SpiHeapTupleData<'_>| {
            let child = row.get::<pg_sys::Oid>(1).ok().flatten()?;
            let column = row.get::<String>(2).ok().flatten()?;
            let referred = row.get::<String>(3).ok().flatten()?;
            Some(ForeignKey {
                child,
                column,
                referred,
            })
        };
        Ok(rows.filter_map(key).collect())
    })
}

/// Columns of a table's primary key, and those that refer to other tables: identifiers, not facts.
fn identifiers(relation: pg_sys::Oid) -> Result<Vec<String>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_constraint c \
             JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.conrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (c.conkey) \
             WHERE c.conrelid OPERATOR(pg_catalog.=) $1 AND c.contype OPERATOR(pg_catalog.=) ANY ('{f,p}'::\"char\"[])",
            None,
            &[relation.into()],
        )?;
        Ok(rows
            .filter_map(|row| row.get::<String>(1).ok().flatten())
            .collect())
    })
}

/// The columns of a table that features are made of: not its keys, not its time, not identifiers.
pub(super) fn fields(source: &Source, skipped: &[&str]) -> Result<Vec<Field>> {
    let identifiers = source.relation.map_or(Ok(Vec::new()), identifiers)?;
    let mut fields = Vec::new();
    for column in &source.columns {
        let named = column.name.to_lowercase();
        if skipped.contains(&column.name.as_str())
            || identifiers.contains(&column.name)
            || named == "id"
            || named.ends_with("_id")
            || column.type_name == "uuid"
        {
            continue;
        }
        let role = match Decoder::for_type(column.type_oid).map(|d| d.kind) {
            Some(Kind::Number) if column.type_name != "money" => Role::Number,
            Some(Kind::Boolean) => Role::Boolean,
            Some(Kind::Category) => Role::Category,
            Some(Kind::Time) => Role::Time,
            _ => continue,
        };
        let values = match role {
            Role::Category => values(source, column)?,
            _ => Vec::new(),
        };
        fields.push(Field {
            name: column.name.clone(),
            role,
            values,
        });
    }
    Ok(fields)
}

/// The values of a category among the first rows, if they are few.
fn values(source: &Source, column: &SourceColumn) -> Result<Vec<String>> {
    let name = quote_identifier(&column.name);
    let sql = format!(
        "SELECT DISTINCT v FROM (SELECT {name}::pg_catalog.text AS v FROM {} LIMIT {SAMPLE}) AS first_rows \
         WHERE v IS NOT NULL ORDER BY v LIMIT {}",
        source.from,
        SHARES + 1
    );
    let values: Vec<String> = Spi::connect(|client| -> Result<_> {
        let rows = client.select(sql.as_str(), None, &[])?;
        Ok(rows
            .filter_map(|row| row.get::<String>(1).ok().flatten())
            .collect())
    })?;
    Ok(if values.len() <= SHARES {
        values
    } else {
        Vec::new()
    })
}

/// Two rows of one customer where there may be one are an error that names the customer.
pub(super) fn check_single(related: &Related) -> Result<()> {
    let key = quote_identifier(&related.key);
    let sql = format!(
        "SELECT {key}::pg_catalog.text FROM {}.{} WHERE {key} IS NOT NULL GROUP BY {key} HAVING count(*) > 1 LIMIT 1",
        quote_identifier(&related.schema),
        quote_identifier(&related.table)
    );
    let twice = Spi::connect(|client| -> Result<Option<String>> {
        let row = client.select(sql.as_str(), None, &[])?.first();
        if row.is_empty() {
            return Ok(None);
        }
        Ok(row.get_one::<String>()?)
    })?;
    match twice {
        None => Ok(()),
        Some(key) => Err(Error::new(
            "21000",
            format!(
                "source \"{}\" was said to be one-to-one but has several rows for one key",
                related.name
            ),
        )
        .detail(format!("For example {} = {key}.", related.key))
        .hint("Leave one_to_one out to sum the rows up.")),
    }
}
