//! Relations: which columns they have, what kind each is, and their rows as a frame.

pub mod decode;
pub mod read;
pub mod resolve;
pub mod row;
pub mod score;
