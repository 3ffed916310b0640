//! Catalog rows ⇄ artifacts, the per-backend cache, what was predicted.

pub mod activity;
pub mod audit;
pub mod budget;
pub mod cache;
pub mod catalog;
pub mod deployments;
pub mod files;
pub mod keys;
pub mod leak;
pub mod lent;
pub mod live;
pub mod log;
pub mod membership;
pub mod publish;
pub mod record;
pub mod rights;
pub mod rows;
pub mod text_model;
