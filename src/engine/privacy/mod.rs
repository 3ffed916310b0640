//! What keeps customers' data from those it is not for.

pub mod seal;
