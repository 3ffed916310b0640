//! The columns of a row type.

use crate::versions;
use pgrx::pg_sys;
use std::ffi::CStr;

/// One attribute of the row type that is given out.
pub struct Attribute {
    pub name: String,
    pub type_oid: pg_sys::Oid,
    pub typmod: i32,
    /// NULL is refused.
    pub not_null: bool,
    /// GENERATED ALWAYS AS an expression.
    pub computed: bool,
    /// Its place in the row type, dropped columns counted.
    pub place: usize,
}

/// The attributes of a row type that are not dropped.
///
/// # Safety
/// The descriptor must be valid.
pub unsafe fn attributes(descriptor: pg_sys::TupleDesc) -> Vec<Attribute> {
    // SAFETY: promised by the caller.
    let list = unsafe { versions::attributes(descriptor) };
    list.iter()
        .enumerate()
        .filter(|(_, a)| !a.attisdropped)
        .map(|(place, a)| Attribute {
            // SAFETY: a name ends with a zero byte.
            name: unsafe { CStr::from_ptr(a.attname.data.as_ptr()) }
                .to_string_lossy()
                .into_owned(),
            type_oid: a.atttypid,
            typmod: a.atttypmod,
            not_null: a.attnotnull,
            computed: a.attgenerated != 0,
            place,
        })
        .collect()
}
