//! What a model may reveal of the rows it was trained on.

pub mod leak;
