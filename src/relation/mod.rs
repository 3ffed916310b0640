//! Relations: which columns they have, what kind each is, and their rows as a frame.

mod arrays;
pub mod attributes;
pub mod clean;
pub mod compare;
pub mod datum;
pub mod decode;
pub mod drift;
pub mod explain;
pub mod fairness;
pub mod fidelity;
pub mod generate;
pub mod histories;
mod nested;
pub mod performance;
pub mod personas;
pub mod profile;
pub mod read;
pub mod report;
pub mod resolve;
pub mod row;
pub mod score;
pub mod scores;
pub mod segments;
pub mod sources;
pub mod value;
