//! The parts of a model as they answer.

use super::forward::{Forward, Level};
use super::transformer::Attending;
use crate::models::Model;

/// A part of a model, ready to answer.
#[derive(Clone)]
pub(super) enum Prepared {
    Network(Forward),
    Transformer(Attending),
    /// They answer as they are.
    Trees,
}

impl Prepared {
    pub(super) fn of(model: &Model) -> Prepared {
        match model {
            Model::Network(network) => Prepared::Network(Forward::new(network, Level::detect())),
            Model::Transformer(own) => Prepared::Transformer(Attending::new(own, Level::detect())),
            Model::Trees(_) => Prepared::Trees,
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Prepared::Network(forward) => forward.bytes(),
            Prepared::Transformer(own) => own.bytes(),
            Prepared::Trees => 0,
        }
    }

    /// The length that buffers need.
    pub(super) fn widest(&self) -> usize {
        match self {
            Prepared::Network(forward) => forward.widest(),
            Prepared::Transformer(own) => own.widest(),
            Prepared::Trees => 0,
        }
    }
}
