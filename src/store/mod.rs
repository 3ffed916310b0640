//! Catalog rows ⇄ artifacts, and the per-backend cache.

pub mod cache;
pub mod catalog;
pub mod deployments;
pub mod files;
pub mod record;
