//! Differential privacy: noise, what it costs, and what is asked for.
//!
//! A model trained under it says little more of a unit (a row, or all rows of a customer) than one trained without that unit would:
//! (epsilon, delta)-differential privacy (Dwork and Roth 2014) under adding or removing a unit. How many rows there are counts as
//! known, as it does with Opacus.

pub mod accountant;
mod marginals;
pub mod noise;
mod options;
mod plan;

pub use marginals::{Asked, Column, Cost, Marginals, ask, projected};
pub use options::{Privacy, given};
pub use plan::{Plan, Spent};
