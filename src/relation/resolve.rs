//! What the user named: a table, view, partitioned or foreign table, or a SELECT.
use crate::error::Result;

/// One column of a source.
#[derive(Debug, Clone)]
pub struct SourceColumn {
    pub name: String,
    pub type_oid: pgrx::pg_sys::Oid,
    /// As `format_type` prints it.
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
}

/// Resolves with the caller's rights and search path; an unknown relation is an error with a hint.
pub fn resolve(_relation: &str) -> Result<Source> {
    todo!()
}

impl Source {
    /// `SELECT "a", "b" FROM from`.
    pub fn select(&self, _columns: &[&str]) -> String {
        todo!()
    }
}
