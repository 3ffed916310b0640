//! The SQL surface: `#[pg_extern]` functions only, one file per family; no logic.

mod clean;
mod cross_validate;
mod data;
mod evaluate;
mod lifecycle;
mod predict;
mod recipe;
mod sample;
mod survival;
mod system;
mod train;
mod value;
