//! What the user named: a table, view, partitioned or foreign table, or a SELECT.

use super::names::{is_query, split_name};
use crate::error::{Error, Result};
use crate::versions;
use pgrx::prelude::*;
use pgrx::{PgList, pg_sys, spi};
use serde::{Deserialize, Serialize};
use std::ffi::{CStr, CString};

/// One column of a source.
#[derive(Debug, Clone)]
pub struct SourceColumn {
    pub name: String,
    pub type_oid: pg_sys::Oid,
    /// As `format_type` prints it; a domain goes by its base type.
    pub type_name: String,
}

/// A relation or a query, resolved in the caller's search path.
#[derive(Debug, Clone)]
pub struct Source {
    /// What the user wrote.
    pub given: String,
    /// What can stand after FROM, schema-qualified and quoted.
    pub from: String,
    pub columns: Vec<SourceColumn>,
    /// A name for models of this source: the relation's name.
    pub name: String,
    /// The relation itself; `None` for a query.
    pub relation: Option<pg_sys::Oid>,
    /// Every relation the query touches, views looked through.
    pub relations: Vec<pg_sys::Oid>,
}

/// Resolves with the caller's rights and search path; an unknown relation is an error with a hint.
pub fn resolve(relation: &str) -> Result<Source> {
    let given = relation.trim().trim_end_matches(';').trim_end();
    if given.is_empty() {
        return Err(Error::new("22023", "relation must not be empty")
            .hint("Give the name of a table or view, or a SELECT statement."));
    }
    let (from, oid, name) = if is_query(given) {
        // The line break ends a trailing comment of the query.
        (format!("({given}\n) AS source"), None, None)
    } else {
        let (oid, schema, name) = find_relation(given)?;
        (
            format!(
                "{}.{}",
                spi::quote_identifier(schema),
                spi::quote_identifier(&name)
            ),
            Some(oid),
            Some(name),
        )
    };
    let (columns, relations) = describe(&format!("SELECT * FROM {from}"))?;
    let name = name
        .or_else(|| relations.first().and_then(|&r| relation_name(r)))
        .unwrap_or_else(|| "query".into());
    Ok(Source {
        given: given.into(),
        from,
        columns,
        name,
        relation: oid,
        relations,
    })
}

/// A source that was resolved before, as another process sees it: `from` stands as it is.
pub fn resolve_from(given: &str, from: &str) -> Result<Source> {
    let (columns, relations) = describe(&format!("SELECT * FROM {from}"))?;
    Ok(Source {
        given: given.into(),
        from: from.into(),
        columns,
        name: given.into(),
        relation: None,
        relations,
    })
}

/// The column that tells whose each row is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// As text, among those that are read.
    pub column: String,
    /// It was read for this alone.
    pub aside: bool,
}

impl Source {
    /// `SELECT "a", "b" FROM from`.
    pub fn select(&self, columns: &[&str]) -> String {
        let list: Vec<String> = columns.iter().map(spi::quote_identifier).collect();
        format!("SELECT {} FROM {}", list.join(", "), self.from)
    }

    pub fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The column, or an error that names those there are.
    pub fn require(&self, name: &str) -> Result<&SourceColumn> {
        self.column(name).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
            Error::new(
                "42703",
                format!("column \"{name}\" does not exist in {}", self.label()),
            )
            .hint(did_you_mean(name, &names))
        })
    }

    /// What stands for it later, whatever the search path is then: the relation with its schema, or the query.
    pub fn again(&self) -> String {
        match self.relation {
            Some(_) => self.from.clone(),
            None => self.given.clone(),
        }
    }

    /// Schema and name of the relation; an error for a query.
    pub fn qualified(&self) -> Result<(String, String)> {
        let oid = self.relation.ok_or_else(|| {
            Error::new("22023", "a table or view is needed, not a query")
                .hint("CREATE VIEW gives a query a name.")
        })?;
        let (_, schema, name) = check_relation(oid)?;
        Ok((schema, name))
    }

    /// The named columns alone, the key as text: a bigint or numeric key must not pass through a float.
    pub fn keyed(&self, key: &str, columns: &[String]) -> Source {
        self.exact(&[key], columns)
    }

    /// The same of several keys.
    pub fn exact(&self, keys: &[&str], columns: &[String]) -> Source {
        let column = |name: &String| {
            let quoted = spi::quote_identifier(name);
            if keys.contains(&name.as_str()) {
                format!("{quoted}::pg_catalog.text AS {quoted}")
            } else {
                quoted
            }
        };
        let list: Vec<String> = columns.iter().map(column).collect();
        let mut keyed = self.clone();
        keyed.from = format!("(SELECT {} FROM {}) AS keyed", list.join(", "), self.from);
        keyed.columns.retain(|c| columns.contains(&c.name));
        for own in keyed
            .columns
            .iter_mut()
            .filter(|c| keys.contains(&c.name.as_str()))
        {
            (own.type_oid, own.type_name) = (pg_sys::TEXTOID, "text".into());
        }
        keyed
    }

    /// Leaves the named columns and one as text under a name of its own, which is answered: a bigint or numeric key must not
    /// pass through a float.
    pub fn add_text(&mut self, column: &str, others: &[&str]) -> &'static str {
        const NAME: &str = "insight key";
        let others: Vec<String> = others.iter().map(spi::quote_identifier).collect();
        self.from = format!(
            "(SELECT {}::pg_catalog.text AS \"{NAME}\", {} FROM {}) AS keyed",
            spi::quote_identifier(column),
            others.join(", "),
            self.from
        );
        self.columns.push(SourceColumn {
            name: NAME.into(),
            type_oid: pg_sys::TEXTOID,
            type_name: "text".into(),
        });
        NAME
    }

    /// The same of a column that tells whose each row is; its name is added to the columns that are read.
    pub fn add_member(&mut self, column: &str, columns: &mut Vec<String>) -> Member {
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let column = self.add_text(column, &names).to_owned();
        columns.push(column.clone());
        Member {
            column,
            aside: true,
        }
    }

    /// What can stand after FROM and has the named columns, and others as text under names of their own: a bigint or numeric key
    /// must not pass through a float.
    pub fn with_texts(&self, texts: &[(&str, String)], columns: &[String]) -> String {
        let own = columns.iter().map(spi::quote_identifier);
        let texts = texts.iter().map(|(column, name)| {
            let (column, name) = (spi::quote_identifier(column), spi::quote_identifier(name));
            format!("{column}::pg_catalog.text AS {name}")
        });
        let list: Vec<String> = own.chain(texts).collect();
        format!("(SELECT {} FROM {}) AS keyed", list.join(", "), self.from)
    }

    /// A column as text that does not depend on the session: dates and times as ISO 8601, with a zone in UTC.
    pub fn as_text(column: &SourceColumn) -> String {
        let name = spi::quote_identifier(&column.name);
        // SAFETY: a syscache look-up of an existing type.
        match unsafe { pg_sys::getBaseType(column.type_oid) } {
            pg_sys::DATEOID => {
                format!("pg_catalog.to_char({name}::pg_catalog.timestamp, 'YYYY-MM-DD')")
            }
            pg_sys::TIMESTAMPOID => {
                format!("pg_catalog.to_char({name}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')")
            }
            pg_sys::TIMESTAMPTZOID => format!(
                "pg_catalog.to_char(pg_catalog.timezone('UTC', {name}), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00\"')"
            ),
            _ => format!("{name}::pg_catalog.text"),
        }
    }

    /// How messages name the source.
    pub fn label(&self) -> String {
        if self.relation.is_some() {
            format!("relation \"{}\"", self.name)
        } else {
            "the query".into()
        }
    }
}

/// `Did you mean "x"?`, or the list of what there is.
pub fn did_you_mean(given: &str, known: &[&str]) -> String {
    let folded = given.to_lowercase();
    let close = known
        .iter()
        .map(|k| (distance(&folded, &k.to_lowercase()), *k))
        .min();
    match close {
        Some((d, name)) if d <= 1 + given.chars().count() / 3 => {
            format!("Did you mean \"{name}\"?")
        }
        _ if known.is_empty() => "There is none.".into(),
        _ => {
            let shown: Vec<&str> = known.iter().take(20).copied().collect();
            let more = if known.len() > 20 { ", ..." } else { "" };
            format!("Known are: {}{more}.", shown.join(", "))
        }
    }
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The oid, schema and name of a relation named as in SQL, or, failing that, by its bare name.
pub(super) fn find_relation(given: &str) -> Result<(pg_sys::Oid, String, String)> {
    let bare = spi::quote_identifier(given);
    for text in [given, bare.as_str()] {
        let Some(names) = split_name(text) else {
            continue;
        };
        if names.len() > 3 {
            continue;
        }
        let mut list = PgList::<pg_sys::Node>::new();
        for name in &names {
            let Ok(name) = CString::new(name.as_str()) else {
                continue;
            };
            // SAFETY: makeString keeps a copy made in the current memory context.
            unsafe { list.push(pg_sys::makeString(pg_sys::pstrdup(name.as_ptr())).cast()) };
        }
        // SAFETY: the list holds String nodes; NoLock and missing_ok: only the catalog is looked at.
        let oid = unsafe {
            let range = pg_sys::makeRangeVarFromNameList(list.as_ptr());
            pg_sys::RangeVarGetRelidExtended(
                range,
                pg_sys::NoLock as i32,
                pg_sys::RVROption::RVR_MISSING_OK,
                None,
                std::ptr::null_mut(),
            )
        };
        if oid != pg_sys::InvalidOid {
            return check_relation(oid);
        }
    }
    let visible = Spi::connect(|client| -> Result<Vec<String>> {
        let rows = client.select(
            "SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class c \
             WHERE c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r','v','m','p','f']::\"char\"[]) \
             AND pg_catalog.pg_table_is_visible(c.oid) \
             AND NOT pg_catalog.starts_with(c.relname::pg_catalog.text, 'pg_') ORDER BY 1 LIMIT 1000",
            None,
            &[],
        )?;
        Ok(rows
            .filter_map(|row| row.get::<String>(1).ok().flatten())
            .collect())
    })?;
    let names: Vec<&str> = visible.iter().map(String::as_str).collect();
    // A name that has quotes of its own needs none of ours.
    let quoted = match given.contains('"') {
        true => given.to_owned(),
        false => format!("\"{given}\""),
    };
    Err(
        Error::new("42P01", format!("relation {quoted} does not exist"))
            .hint(did_you_mean(given, &names)),
    )
}

fn check_relation(oid: pg_sys::Oid) -> Result<(pg_sys::Oid, String, String)> {
    // SAFETY: syscache look-ups of a relation that was just found; NULL where it went away since.
    let (kind, schema, name) = unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(oid));
        let name = pg_sys::get_rel_name(oid);
        if schema.is_null() || name.is_null() {
            return Err(Error::new(
                "42P01",
                "the relation was dropped while it was looked up",
            ));
        }
        (
            pg_sys::get_rel_relkind(oid) as u8,
            text_of(schema),
            text_of(name),
        )
    };
    match kind {
        b'r' | b'v' | b'm' | b'p' | b'f' => Ok((oid, schema, name)),
        _ => Err(Error::new("42809", format!("\"{name}\" is not a table or view"))
            .hint("Tables, views, materialized views, partitioned and foreign tables can be used, or a SELECT.")),
    }
}

/// A relation's bare name.
pub fn relation_name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: a syscache look-up; NULL where there is no such relation.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        (!name.is_null()).then(|| text_of(name))
    }
}

/// The single column of a primary key.
pub fn primary_key(relation: pg_sys::Oid) -> Option<String> {
    Spi::connect(|client| {
        let rows = client
            .select(
                "SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
                 ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) i.indkey[0] \
                 WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisprimary AND i.indnkeyatts OPERATOR(pg_catalog.=) 1",
                None,
                &[relation.into()],
            )
            .ok()?;
        rows.first().get_one::<String>().ok().flatten()
    })
}

/// # Safety
/// `text` must be a valid C string.
unsafe fn text_of(text: *const std::ffi::c_char) -> String {
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// The result columns of a SELECT and the relations it touches, from the analysed query: nothing is run.
fn describe(sql: &str) -> Result<(Vec<SourceColumn>, Vec<pg_sys::Oid>)> {
    analysed(sql, |source| {
        let descriptor = source.resultDesc;
        if descriptor.is_null() {
            return Err(Error::new("42601", "the relation returns no rows"));
        }
        // SAFETY: the descriptor and the lists live until this ends.
        unsafe {
            let column = |attribute: &pg_sys::FormData_pg_attribute| SourceColumn {
                name: text_of(attribute.attname.data.as_ptr()),
                type_oid: attribute.atttypid,
                type_name: text_of(pg_sys::format_type_be(pg_sys::getBaseType(
                    attribute.atttypid,
                ))),
            };
            let columns = versions::attributes(descriptor).iter().map(column);
            let columns = columns.collect();
            let oids = PgList::<pg_sys::Oid>::from_pg(source.relationOids);
            Ok((columns, oids.iter_oid().collect()))
        }
    })
}

/// Looks at an analysed SELECT; what it consists of is gone afterwards.
pub(super) fn analysed<R>(
    sql: &str,
    look: impl FnOnce(&pg_sys::CachedPlanSource) -> Result<R>,
) -> Result<R> {
    let text =
        CString::new(sql).map_err(|_| Error::new("22021", "the relation contains a zero byte"))?;
    // SAFETY: inside an SPI connection; the plan and its sources live until it ends.
    Spi::connect(|_| unsafe {
        let plan = pg_sys::SPI_prepare(text.as_ptr(), 0, std::ptr::null_mut());
        if plan.is_null() {
            return Err(Error::new("42601", "the relation is not a single SELECT"));
        }
        let sources =
            PgList::<pg_sys::CachedPlanSource>::from_pg(pg_sys::SPI_plan_get_plan_sources(plan));
        match sources.head() {
            Some(source) if sources.len() == 1 => look(&*source),
            _ => Err(Error::new("42601", "the relation is not a single SELECT")),
        }
    })
}
