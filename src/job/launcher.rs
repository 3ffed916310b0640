//! The optional launcher.
pub fn register() {}
