//! Privacy: what columns hold about people, how easily rows are found again, rows and figures that tell less, and differential
//! privacy: noise, what it costs, and what is asked for.
//!
//! A model trained under it says little more of a unit (a row, or all rows of a customer) than one trained without that unit would:
//! (epsilon, delta)-differential privacy (Dwork and Roth 2014) under adding or removing a unit. How many rows there are counts as
//! known, as it does with Opacus.

pub mod accountant;
pub mod aggregates;
pub mod anonymize;
mod asked;
mod groups;
pub mod leak;
mod marginals;
pub mod noise;
mod options;
pub(crate) mod outcomes;
pub mod pii;
mod plan;
pub mod pseudonym;
pub mod risk;
pub mod seal;
mod sensitive;

pub use marginals::{Asked, Column, Cost, Marginals, ask, projected};
pub use options::{Privacy, given};
pub use plan::{Plan, Spent};
