//! What functions of SQL share: options that are left out, and the calling convention of those whose call frames are raw.

use super::json::Json;
use serde_json::{Value, json};

/// Options as they are given; NULL gives none.
pub(super) fn given(options: Option<Json>) -> Value {
    options.map_or_else(|| json!({}), |options| options.0)
}

/// Says that the named functions have PostgreSQL's calling convention of version 1.
macro_rules! version_1 {
    ($($name:ident),*) => { $(
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() -> &'static ::pgrx::pg_sys::Pg_finfo_record {
            &::pgrx::pg_sys::Pg_finfo_record { api_version: 1 }
        }
    )* };
}
pub(super) use version_1;
