//! Models in words.

mod summary;

pub use summary::{of_another, of_table};

#[cfg(test)]
mod tests;
