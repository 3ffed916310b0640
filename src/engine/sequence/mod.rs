//! Sequences of events: what a key (a customer, a session) does next.

mod attentive;
mod bytes;
mod cells;
mod columns;
mod counting;
mod counts;
mod encode;
mod fit;
mod histories;
mod intensity;
mod judge;
mod lane;
mod layer;
mod log;
mod metrics;
mod mixture;
mod model;
mod neighbours;
mod network;
mod packed;
mod params;
mod periods;
mod predict;
mod private;
mod sample;
mod softmax;
mod split;
mod statics;
mod train;

pub use columns::{Scale, Vocabulary};
pub use encode::{Encoder, Target, TargetOf};
pub use fit::fit;
pub use histories::Histories;
pub use log::{Labels, Log, place};
pub use metrics::Score;
pub use model::SequenceModel;
pub use network::{Network, Output, Table};
pub use params::{Cell, Params, ValidParams};
pub use predict::{Event, Predictor, State};
pub use private::fit as fit_privately;
pub use split::{Part, SplitBy, by_key, by_step};
pub use statics::{Static, Statics};

#[cfg(test)]
mod counting_test;
#[cfg(test)]
mod tests;
