//! Whether a source is a table, or a query whose rows are those of one table, each computed from its row alone.

use crate::error::Result;
use crate::relation::read::Nest;
use crate::relation::resolve::{self, Source};
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgList, spi};
use std::ffi::CStr;

/// The table, and what is read of it.
pub struct Plain {
    pub table: Oid,
    /// What can stand after FROM.
    pub from: String,
    /// The SQL of each column.
    pub values: Vec<String>,
}

/// The name of a query's table in the SQL of its columns.
const ALIAS: &CStr = c"source";

impl Plain {
    pub fn of(source: &Source, columns: &[&str]) -> Result<Option<Plain>> {
        if !source.from.starts_with('(') {
            let (table, ..) = resolve::find_relation(&source.from)?;
            // SAFETY: a syscache look-up.
            let kind = unsafe { pg_sys::get_rel_relkind(table) } as u8;
            return Ok(matches!(kind, b'r' | b'm' | b'p').then(|| Plain {
                table,
                from: source.from.clone(),
                values: columns.iter().map(spi::quote_identifier).collect(),
            }));
        }
        // Numbers are told to the last digit.
        let nest = Nest::new(&[("extra_float_digits", "1")]);
        let plain = resolve::analysed(&source.select(columns), |own| {
            // SAFETY: the analysed queries live until this ends.
            Ok(unsafe { of_query(own.query_list, columns) })
        });
        nest.end();
        plain
    }
}

/// Of `SELECT columns FROM (query) AS name`.
///
/// # Safety
/// The list must be one of analysed queries.
unsafe fn of_query(queries: *mut pg_sys::List, columns: &[&str]) -> Option<Plain> {
    // SAFETY: promised by the caller; the names are C strings.
    unsafe {
        let outer = PgList::<pg_sys::Query>::from_pg(queries).head()?;
        let query = (*only_entry(outer)?).subquery.as_mut()?;
        let entry = &*only_entry(query)?;
        let is_table = entry.rtekind == pg_sys::RTEKind::RTE_RELATION
            && entry.inh
            && entry.tablesample.is_null()
            && entry.securityQuals.is_null();
        let is_safe = pg_sys::max_parallel_hazard(query) as u8 == pg_sys::PROPARALLEL_SAFE
            && !pg_sys::contain_volatile_functions(query.targetList.cast());
        if !is_table || !is_row_by_row(query) || !is_safe {
            return None;
        }
        let context = pg_sys::deparse_context_for(ALIAS.as_ptr(), entry.relid);
        let targets = PgList::<pg_sys::TargetEntry>::from_pg(query.targetList);
        let value = |name: &&str| {
            let of_name = |own: &*mut pg_sys::TargetEntry| {
                let own = (**own).resname;
                !own.is_null() && CStr::from_ptr(own).to_bytes() == name.as_bytes()
            };
            let target = targets.iter_ptr().find(of_name)?;
            let sql = pg_sys::deparse_expression((*target).expr.cast(), context, false, false);
            Some(CStr::from_ptr(sql).to_str().ok()?.to_owned())
        };
        let values = columns.iter().map(value).collect::<Option<Vec<_>>>()?;
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(entry.relid));
        let name = pg_sys::get_rel_name(entry.relid);
        let table = pg_sys::quote_qualified_identifier(schema, name);
        let from = [CStr::from_ptr(table), ALIAS].map(CStr::to_str);
        Some(Plain {
            table: entry.relid,
            from: [from[0].ok()?, from[1].ok()?].join(" AS "),
            values,
        })
    }
}

/// The only thing that a query selects from, if all of its rows are selected.
///
/// # Safety
/// The query must be an analysed one.
unsafe fn only_entry(query: *const pg_sys::Query) -> Option<*mut pg_sys::RangeTblEntry> {
    // SAFETY: promised by the caller.
    unsafe {
        let (query, tree) = (&*query, (*query).jointree.as_ref()?);
        let from = PgList::<pg_sys::Node>::from_pg(tree.fromlist);
        let entries = PgList::<pg_sys::RangeTblEntry>::from_pg(query.rtable);
        let is_entry = from.len() == 1
            && entries.len() == 1
            && (*from.head()?).type_ == pg_sys::NodeTag::T_RangeTblRef;
        (is_entry && tree.quals.is_null()).then(|| entries.head())?
    }
}

/// Whether a query has a row for each that it selects from, and no order of its own.
fn is_row_by_row(query: &pg_sys::Query) -> bool {
    !(query.hasAggs || query.hasWindowFuncs || query.hasTargetSRFs || query.hasSubLinks)
        && query.havingQual.is_null()
        && query.limitOffset.is_null()
        && query.limitCount.is_null()
        && query.setOperations.is_null()
        && [
            query.cteList,
            query.groupClause,
            query.groupingSets,
            query.distinctClause,
            query.sortClause,
            query.rowMarks,
        ]
        .iter()
        .all(|list| list.is_null())
}
