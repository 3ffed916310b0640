//! The SQL surface: `#[pg_extern]` functions only, one file per family; no logic.

mod clean;
mod coefficients;
mod compare;
mod counterfactual;
mod coverage;
mod cross_validate;
mod curves;
mod data;
mod drift;
mod evaluate;
mod explain;
mod export;
mod generate;
mod lifecycle;
mod personas;
mod predict;
mod recipe;
mod rows;
mod sample;
mod schedule;
mod sequence;
mod survival;
mod system;
mod train;
mod value;
