//! What the catalog and the rows say about a related table.

use super::{Field, Related, Role, Sources};
use crate::error::{Error, Result};
use crate::messages::notice;
use crate::relation::decode::Decoder;
use crate::relation::resolve::{self, Source};
use insight_engine::frame::Kind;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::{quote_identifier, quote_literal};

/// Rows looked at first: a column that has many values among them needs no second look.
const FIRST_LOOK: usize = 10_000;
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
        fields.push(Field {
            name: column.name.clone(),
            role,
            values: Vec::new(),
        });
    }
    Ok(fields)
}

impl Sources {
    /// Says which sources have no index on their key: each prediction of one row would read all of them.
    pub fn advise_indexes(&self) -> Result<()> {
        for related in &self.related {
            let table = qualified(&related.schema, &related.table);
            let Some(relation) = resolve::resolve(&table)?.relation else {
                continue;
            };
            if size(relation)?.0 && !is_indexed(relation, &related.key, "i.indpred IS NULL")? {
                notice(format!(
                    "source \"{}\" has no index on its key: predicting a single row reads all of it; CREATE INDEX ON {table} ({})",
                    related.name,
                    quote_identifier(&related.key)
                ));
            }
        }
        Ok(())
    }

    /// Notes the values of each category, if they are few: those of all rows before the latest cut-off of the relation, so that
    /// neither the order of the rows nor what came later has a say.
    pub(super) fn note_values(&mut self, base: &Source) -> Result<()> {
        let category = |related: &Related| {
            !related.one_to_one && related.fields.iter().any(|f| f.role == Role::Category)
        };
        if !self.related.iter().any(category) {
            return Ok(());
        }
        let latest = one_text(&self.latest_cut_off(base))?;
        let Some(latest) = latest.map(|at| format!("{}::timestamptz", quote_literal(at))) else {
            return Ok(());
        };
        for related in self.related.iter_mut().filter(|related| category(related)) {
            let rows = related.rows_before(&latest);
            for field in related
                .fields
                .iter_mut()
                .filter(|f| f.role == Role::Category)
            {
                field.values = values(&field.name, &rows)?;
            }
        }
        Ok(())
    }
}

/// The values of a column of `s`, in order, if they are few; `rows` is what stands after FROM.
fn values(column: &str, rows: &str) -> Result<Vec<String>> {
    let column = format!("s.{}", quote_identifier(column));
    let among = |limit: &str| {
        format!(
            "SELECT v FROM (SELECT {column}::pg_catalog.text AS v FROM {rows}{limit}) AS looked_at \
             WHERE v IS NOT NULL GROUP BY v ORDER BY v LIMIT {}",
            SHARES + 1
        )
    };
    let few = |limit: &str| -> Result<Option<Vec<String>>> {
        let values = texts(&among(limit))?;
        Ok((values.len() <= SHARES).then_some(values))
    };
    // Some rows with many values are proof enough, whichever they are.
    Ok(match few(&format!(" LIMIT {FIRST_LOOK}"))? {
        Some(_) => few("")?.unwrap_or_default(),
        None => Vec::new(),
    })
}

fn texts(sql: &str) -> Result<Vec<String>> {
    Spi::connect(|client| {
        let rows = client.select(sql, None, &[])?;
        Ok(rows
            .filter_map(|row| row.get::<String>(1).ok().flatten())
            .collect())
    })
}

fn one_text(sql: &str) -> Result<Option<String>> {
    Ok(texts(sql)?.into_iter().next())
}

/// A table's name as it stands in SQL.
pub(super) fn qualified(schema: &str, table: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(table))
}

/// How a relation stands to its sources: what its SQL may take for granted.
pub(super) struct Standing {
    /// It is a table that is cheap to read twice, not a query or view.
    pub table: bool,
    /// Its key is.
    pub unique: bool,
    /// It seems to hold but a part of the customers whose rows the sources hold.
    pub part: bool,
    /// Keys that equal one of its keys equal one another, so that rows may be grouped by their own key.
    pub exact: bool,
}

/// Rows of a source per row of a relation that are too many for all customers.
const MANY: f64 = 50.0;

pub(super) fn standing(sources: &Sources, base: &Source) -> Result<Standing> {
    let key = base.require(&sources.key)?;
    let mut standing = Standing {
        table: false,
        unique: false,
        part: false,
        exact: true,
    };
    let rows = match base.relation {
        Some(relation) => {
            let (table, rows) = size(relation)?;
            standing.table = table;
            standing.unique = is_unique(relation, &sources.key)?;
            rows
        }
        None => 0.0,
    };
    for related in &sources.related {
        let (schema, table, own) = match &related.parent {
            None => (&related.schema, &related.table, &related.key),
            Some(parent) => (&parent.schema, &parent.table, &parent.key),
        };
        let source = resolve::resolve(&qualified(schema, table))?;
        standing.exact &= family(source.require(own)?.type_oid) == family(key.type_oid);
        if let Some(relation) = source.relation {
            let (_, theirs) = size(relation)?;
            standing.part |= rows > 0.0 && theirs > MANY * rows;
        }
    }
    Ok(standing)
}

/// Types whose values are compared exactly with one another.
fn family(type_oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a syscache look-up of an existing type.
    match unsafe { pg_sys::getBaseType(type_oid) } {
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID => pg_sys::NUMERICOID,
        pg_sys::VARCHAROID => pg_sys::TEXTOID,
        other => other,
    }
}

/// Whether it is a table, and its rows as the statistics have them.
fn size(relation: pg_sys::Oid) -> Result<(bool, f64)> {
    Spi::connect(|client| {
        let row = client
            .select(
                "SELECT c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m}'::\"char\"[]), c.reltuples::pg_catalog.float8 \
                 FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) $1",
                None,
                &[relation.into()],
            )?
            .first();
        if row.is_empty() {
            return Ok((false, 0.0));
        }
        let (table, rows) = row.get_two::<bool, f64>()?;
        Ok((table.unwrap_or(false), rows.unwrap_or(0.0)))
    })
}

/// Whether an index sees to it that no two rows have the same value in a column.
fn is_unique(relation: pg_sys::Oid, column: &str) -> Result<bool> {
    // The index of a table says nothing about the tables that inherit from it.
    is_indexed(
        relation,
        column,
        "i.indisunique AND i.indimmediate AND i.indpred IS NULL AND i.indnkeyatts OPERATOR(pg_catalog.=) 1 AND (c.relkind OPERATOR(pg_catalog.=) 'p' OR NOT c.relhassubclass)",
    )
}

/// Whether there is an index `i` that begins with a column of relation `c`, of which the condition is true.
fn is_indexed(relation: pg_sys::Oid, column: &str, condition: &str) -> Result<bool> {
    Spi::connect(|client| {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indrelid \
             JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) i.indkey[0] \
             WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND a.attname OPERATOR(pg_catalog.=) $2::pg_catalog.name AND i.indisvalid AND {condition})"
        );
        let row = client
            .select(sql.as_str(), None, &[relation.into(), column.into()])?
            .first();
        Ok(row.get_one::<bool>()?.unwrap_or(false))
    })
}

/// Whether a source has at most one row per key, by an index.
pub(super) fn is_single(related: &Related) -> Result<bool> {
    match resolve::resolve(&qualified(&related.schema, &related.table))?.relation {
        Some(relation) => is_unique(relation, &related.key),
        None => Ok(false),
    }
}

/// Two rows of one customer where there may be one are an error that names the customer.
pub(super) fn check_single(related: &Related) -> Result<()> {
    let key = quote_identifier(&related.key);
    let sql = format!(
        "SELECT pg_catalog.min(k) FROM (SELECT {key}::pg_catalog.text AS k FROM {} WHERE {key} IS NOT NULL GROUP BY {key} \
         HAVING count(*) > 1) AS twice",
        qualified(&related.schema, &related.table)
    );
    let twice = one_text(&sql)?;
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

/// Keys must be of one kind: whole numbers with whole numbers, texts with texts.
pub(super) fn check_comparable(
    one: &Related,
    base_type: &str,
    base_oid: pg_sys::Oid,
) -> Result<()> {
    let source = resolve::resolve(&qualified(&one.schema, &one.table))?;
    let key = source.require(&one.key)?;
    // SAFETY: syscache look-ups of two existing types.
    let (own, other) = unsafe {
        let category = |oid| {
            let (mut category, mut preferred) = (0, false);
            pg_sys::get_type_category_preferred(
                pg_sys::getBaseType(oid),
                &mut category,
                &mut preferred,
            );
            category
        };
        (category(key.type_oid), category(base_oid))
    };
    if own == other {
        return Ok(());
    }
    Err(Error::new(
        "42804",
        format!(
            "key \"{}\" of source \"{}\" is {} but the customer's key is {base_type}",
            one.key, one.name, key.type_name
        ),
    )
    .hint("Cast one of them in a view."))
}
