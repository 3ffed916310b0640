//! Whether a source is a table, or a query or view whose rows are those of one table, each computed from its row alone.

use crate::error::Result;
use crate::relation::read::Nest;
use crate::relation::resolve::{self, Source};
use crate::versions;
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
            match unsafe { pg_sys::get_rel_relkind(table) } as u8 {
                b'v' => {}
                b'r' | b'm' | b'p' => {
                    return Ok(Some(Plain {
                        table,
                        from: source.from.clone(),
                        values: columns.iter().map(spi::quote_identifier).collect(),
                    }));
                }
                _ => return Ok(None),
            }
        }
        // Numbers are told to the last digit.
        let nest = Nest::new(&[("extra_float_digits", "1")]);
        let plain = resolve::analysed(&source.select(columns), |own| {
            // SAFETY: the analysed queries live until this ends.
            Ok(unsafe { of_query(own.query_list) })
        });
        nest.end();
        plain
    }
}

/// Of `SELECT columns FROM (query) AS name` or `SELECT columns FROM view`, down to the table through all queries and views between.
///
/// # Safety
/// The list must be one of analysed queries, with views rewritten.
unsafe fn of_query(queries: *mut pg_sys::List) -> Option<Plain> {
    // SAFETY: promised by the caller; the names are C strings.
    unsafe {
        let mut query = PgList::<pg_sys::Query>::from_pg(queries).head()?;
        if pg_sys::max_parallel_hazard(query) as u8 != pg_sys::PROPARALLEL_SAFE {
            return None;
        }
        let mut targets = (*query).targetList;
        let mut computing = 0;
        let (place, entry) = loop {
            if !is_row_by_row(&*query) || !may_read_all(query) {
                return None;
            }
            let expressions = (*query).targetList.cast();
            if pg_sys::contain_volatile_functions(expressions) {
                return None;
            }
            let are_columns = |own: *mut pg_sys::TargetEntry| {
                (*(*own).expr.cast::<pg_sys::Node>()).type_ == pg_sys::NodeTag::T_Var
            };
            let all = PgList::<pg_sys::TargetEntry>::from_pg((*query).targetList);
            computing += u32::from(!all.iter_ptr().all(are_columns));
            let (place, entry) = only_entry(query)?;
            let fits = !(*entry).security_barrier && (*entry).securityQuals.is_null();
            match (*entry).rtekind {
                pg_sys::RTEKind::RTE_RELATION
                    if fits && (*entry).inh && (*entry).tablesample.is_null() =>
                {
                    break (place, &*entry);
                }
                // A whole row of a query cannot be named in SQL once the query is gone.
                pg_sys::RTEKind::RTE_SUBQUERY if fits && !has_whole_rows(expressions) => {
                    query = (*entry).subquery;
                    let inner = (*query).targetList;
                    targets = versions::replace_columns(targets, place, entry, inner);
                }
                _ => return None,
            }
        };
        if place != 1 {
            versions::change_place(targets, place, 1);
        }
        let context = pg_sys::deparse_context_for(ALIAS.as_ptr(), entry.relid);
        let value = |target: *mut pg_sys::TargetEntry| {
            let sql = pg_sys::deparse_expression((*target).expr.cast(), context, false, false);
            let sql = CStr::from_ptr(sql).to_str().ok()?;
            // A query's own COLLATE would have the last word in what another makes of it.
            (computing < 2 || !sql.contains(" COLLATE ")).then(|| sql.to_owned())
        };
        let targets = PgList::<pg_sys::TargetEntry>::from_pg(targets);
        let values = targets.iter_ptr().map(value).collect::<Option<_>>()?;
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

/// The only thing that a query selects from, if all of its rows are selected, and its place among the query's relations.
///
/// # Safety
/// The query must be an analysed one.
unsafe fn only_entry(query: *const pg_sys::Query) -> Option<(i32, *mut pg_sys::RangeTblEntry)> {
    // SAFETY: promised by the caller.
    unsafe {
        let (query, tree) = (&*query, (*query).jointree.as_ref()?);
        let from = PgList::<pg_sys::Node>::from_pg(tree.fromlist);
        let only = from.head().filter(|_| from.len() == 1)?;
        if (*only).type_ != pg_sys::NodeTag::T_RangeTblRef || !tree.quals.is_null() {
            return None;
        }
        let place = (*only.cast::<pg_sys::RangeTblRef>()).rtindex;
        let entries = PgList::<pg_sys::RangeTblEntry>::from_pg(query.rtable);
        Some((place, entries.get_ptr(place as usize - 1)?))
    }
}

/// Whether whoever is asked for may read all columns of what a query selects from: the caller, or a view's owner.
///
/// # Safety
/// The query must be an analysed one.
unsafe fn may_read_all(query: *const pg_sys::Query) -> bool {
    // SAFETY: promised by the caller; rights are looked up.
    unsafe {
        let may = |(relation, role): (Oid, Oid)| {
            let role = match role {
                pg_sys::InvalidOid => pg_sys::GetUserId(),
                owner => owner,
            };
            pg_sys::pg_class_aclcheck(relation, role, versions::ACL_SELECT)
                == pg_sys::AclResult::ACLCHECK_OK
        };
        versions::asked_for(query).into_iter().all(may)
    }
}

/// Whether expressions contain a row as a whole.
///
/// # Safety
/// They must be of an analysed query without aggregates.
unsafe fn has_whole_rows(expressions: *mut pg_sys::Node) -> bool {
    // SAFETY: promised by the caller.
    unsafe {
        let columns = PgList::<pg_sys::Var>::from_pg(pg_sys::pull_var_clause(expressions, 0));
        columns.iter_ptr().any(|column| (*column).varattno == 0)
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
