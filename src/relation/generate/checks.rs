//! What a table declares about its rows: domains, generated columns, CHECK constraints and keys.

use super::keys::{Keys, Refusal, Scope, Subject};
use crate::error::{Error, Result};
use crate::relation::attributes::Attribute;
use crate::{settings, versions};
use pgrx::{PgList, pg_sys};
use std::ffi::CStr;

/// Bytes that a row takes in the memory of a unique key, about.
const BYTES_OF_KEY: usize = 40;

/// A table's constraints, ready to look at rows.
pub struct Checks {
    /// Name and prepared expression of each CHECK.
    expressions: Vec<(String, *mut pg_sys::ExprState)>,
    domains: Vec<Domain>,
    computed: Vec<Computed>,
    keys: Keys,
    subject: Subject,
    /// Columns of the row type.
    width: usize,
}

/// A column whose type is a domain with constraints.
struct Domain {
    place: usize,
    column: String,
    name: String,
    constraints: *mut pg_sys::DomainConstraintRef,
}

/// A column that is computed of others.
struct Computed {
    place: usize,
    /// Its name, where NULL is refused.
    not_null: Option<String>,
    expression: *mut pg_sys::ExprState,
}

impl Checks {
    /// The constraints of a relation that is locked, whose rows `descriptor` describes. So many `rows` are to come, with so many
    /// columns of which each value is `invented` and remembered. Everything lives in the current memory context.
    pub fn of(
        relation: pg_sys::Oid,
        descriptor: pg_sys::TupleDesc,
        attributes: &[Attribute],
        rows: usize,
        invented: usize,
        scope: Scope,
    ) -> Result<Checks> {
        // SAFETY: a valid descriptor; the slot is given back by `free`.
        let subject = unsafe {
            let state = pg_sys::CreateExecutorState();
            Subject {
                state,
                context: pg_sys::MakePerTupleExprContext(state),
                slot: pg_sys::MakeSingleTupleTableSlot(
                    descriptor,
                    &raw const pg_sys::TTSOpsVirtual,
                ),
            }
        };
        let keys = Keys::of(relation, subject.state, scope)?;
        let bytes = rows.saturating_mul((keys.remembered() + invented) * BYTES_OF_KEY);
        if bytes > settings::max_memory() {
            return Err(Error::new(
                "53200",
                format!(
                    "{rows} rows of keys need more than the {} MB that may be used",
                    settings::max_memory() >> 20
                ),
            )
            .hint("Make fewer rows at a time, or have a superuser raise insight.max_memory."));
        }
        // SAFETY: the relation is locked, the descriptor a copy of its own.
        unsafe {
            Ok(Checks {
                expressions: expressions(relation, descriptor, subject.state),
                domains: domains(attributes, subject.state),
                computed: computed(relation, attributes, subject.state),
                keys,
                subject,
                width: (*descriptor).natts as usize,
            })
        }
    }

    /// What refuses a row, whose computed columns are filled in; its keys are remembered if nothing does.
    ///
    /// # Safety
    /// `values` and `nulls` must be a row of the row type.
    pub unsafe fn refuse(
        &mut self,
        values: &mut [pg_sys::Datum],
        nulls: &mut [bool],
    ) -> Option<Refusal> {
        let Subject { context, slot, .. } = self.subject;
        // SAFETY: promised by the caller; the slot has the row type's descriptor.
        unsafe {
            pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            for domain in &self.domains {
                let (value, null) = (values[domain.place], nulls[domain.place]);
                if let Some(why) = domain.refuse(context, value, null) {
                    return Some(Refusal::by(why));
                }
            }
            pg_sys::ExecClearTuple(slot);
            let (to, to_null) = ((*slot).tts_values, (*slot).tts_isnull);
            std::ptr::copy_nonoverlapping(values[..self.width].as_ptr(), to, self.width);
            std::ptr::copy_nonoverlapping(nulls[..self.width].as_ptr(), to_null, self.width);
            pg_sys::ExecStoreVirtualTuple(slot);
            (*context).ecxt_scantuple = slot;
            for column in &self.computed {
                let at = column.place;
                let mut null = false;
                values[at] = pg_sys::ExecEvalExpr(column.expression, context, &mut null);
                nulls[at] = null;
                (*to.add(at), *to_null.add(at)) = (values[at], null);
                if let (true, Some(name)) = (null, &column.not_null) {
                    return Some(Refusal::by(format!("the NOT NULL of column \"{name}\"")));
                }
            }
            for (name, expression) in &self.expressions {
                if !pg_sys::ExecCheck(*expression, context) {
                    return Some(Refusal::by(format!("the check \"{name}\"")));
                }
            }
            self.keys.refuse(self.subject, values, nulls)
        }
    }

    /// Frees what the expressions needed. Where an error is raised instead, the query's memory frees it.
    pub fn free(self) {
        self.keys.free();
        // SAFETY: made by `of`, freed once.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.subject.slot);
            pg_sys::FreeExecutorState(self.subject.state);
        }
    }
}

impl Domain {
    /// Its own input function would raise an error, and end the call.
    ///
    /// # Safety
    /// The value must be of the domain's base type.
    unsafe fn refuse(
        &self,
        context: *mut pg_sys::ExprContext,
        value: pg_sys::Datum,
        null: bool,
    ) -> Option<String> {
        // SAFETY: promised by the caller; the list is the type cache's and valid for this call.
        unsafe {
            let list = (*self.constraints).constraints;
            let list = PgList::<pg_sys::DomainConstraintState>::from_pg(list);
            for constraint in list.iter_ptr() {
                let refused = match (*constraint).constrainttype {
                    pg_sys::DomainConstraintType::DOM_CONSTRAINT_NOTNULL => null,
                    _ => {
                        (*context).domainValue_datum = value;
                        (*context).domainValue_isNull = null;
                        !pg_sys::ExecCheck((*constraint).check_exprstate, context)
                    }
                };
                if refused {
                    let Domain { column, name, .. } = self;
                    return Some(format!("the domain {name} of column \"{column}\""));
                }
            }
        }
        None
    }
}

/// # Safety
/// The descriptor must be valid; it holds its own copy of the constraints. They must be those of the relation, which is locked.
unsafe fn expressions(
    relation: pg_sys::Oid,
    descriptor: pg_sys::TupleDesc,
    state: *mut pg_sys::EState,
) -> Vec<(String, *mut pg_sys::ExprState)> {
    // SAFETY: promised by the caller.
    unsafe {
        let constraints = (*descriptor).constr;
        if constraints.is_null() || (*constraints).num_check == 0 {
            return Vec::new();
        }
        let table = pg_sys::relation_open(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        let count = (*constraints).num_check as usize;
        let checks = std::slice::from_raw_parts((*constraints).check, count).iter();
        let expressions = checks
            .map(|check| {
                let name = CStr::from_ptr(check.ccname).to_string_lossy().into_owned();
                let expression = versions::check_expression(table, check.ccbin);
                (name, pg_sys::ExecPrepareExpr(expression, state))
            })
            .collect();
        pg_sys::relation_close(table, pg_sys::NoLock as pg_sys::LOCKMODE);
        expressions
    }
}

/// # Safety
/// The attributes' types must exist.
unsafe fn domains(attributes: &[Attribute], state: *mut pg_sys::EState) -> Vec<Domain> {
    // Computed columns are cast to their domain by their expression.
    let own = attributes.iter().filter(|a| !a.computed);
    own.filter_map(|attribute| {
        // SAFETY: promised by the caller; the reference lives as long as the memory it is registered with.
        unsafe {
            if !pg_sys::DomainHasConstraints(attribute.type_oid) {
                return None;
            }
            let memory = (*state).es_query_cxt;
            let size = std::mem::size_of::<pg_sys::DomainConstraintRef>();
            let constraints = pg_sys::MemoryContextAllocZero(memory, size).cast();
            pg_sys::InitDomainConstraintRef(attribute.type_oid, constraints, memory, true);
            let name = CStr::from_ptr(pg_sys::format_type_be(attribute.type_oid));
            Some(Domain {
                place: attribute.place,
                column: attribute.name.clone(),
                name: name.to_string_lossy().into_owned(),
                constraints,
            })
        }
    })
    .collect()
}

/// # Safety
/// The attributes must be those of the relation, which is locked.
unsafe fn computed(
    relation: pg_sys::Oid,
    attributes: &[Attribute],
    state: *mut pg_sys::EState,
) -> Vec<Computed> {
    let own: Vec<&Attribute> = attributes.iter().filter(|a| a.computed).collect();
    if own.is_empty() {
        return Vec::new();
    }
    // SAFETY: promised by the caller.
    unsafe {
        let table = pg_sys::relation_open(relation, pg_sys::NoLock as pg_sys::LOCKMODE);
        let computed = own.into_iter().map(|attribute| {
            let expression = pg_sys::build_column_default(table, attribute.place as i32 + 1);
            Computed {
                place: attribute.place,
                not_null: attribute.not_null.then(|| attribute.name.clone()),
                expression: pg_sys::ExecPrepareExpr(expression.cast(), state),
            }
        });
        let computed = computed.collect();
        pg_sys::relation_close(table, pg_sys::NoLock as pg_sys::LOCKMODE);
        computed
    }
}
