//! Models ready to predict, per backend, keyed by immutable version id.

/// Called from `_PG_init`.
pub fn register() {}
