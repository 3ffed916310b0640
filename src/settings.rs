//! Settings.
pub fn register() {}
