//! The SQL surface: `#[pg_extern]` functions only, one file per family; no logic.

mod data;
mod evaluate;
mod lifecycle;
mod predict;
mod system;
mod train;
