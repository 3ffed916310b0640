//! What the targets share: small models, rows of strange values, everything that is done with a model, and models taken apart.

pub mod container;
pub mod models;
pub mod mutate;
pub mod rows;
pub mod work;
