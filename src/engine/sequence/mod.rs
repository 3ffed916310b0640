//! Sequences of events: what a key (a customer, a session) does next.

mod encode;
mod log;
mod params;
mod split;

pub use encode::{Encoder, Histories, Scale, Target, TargetOf, Vocabulary};
pub use log::{Labels, Log};
pub use params::{Cell, Params, ValidParams};
pub use split::{Part, SplitBy, by_key, by_step};
