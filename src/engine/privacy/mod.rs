//! Privacy: what columns hold about people, how easily rows are found again, and rows and figures that tell less.

pub mod aggregates;
pub mod anonymize;
mod asked;
mod groups;
pub mod noise;
pub mod pii;
pub mod pseudonym;
pub mod risk;
mod sensitive;
