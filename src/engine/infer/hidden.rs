//! What a network knows of a row before it answers: the sums of its last hidden layer.

use super::forward::{Buffers, Forward, Level, Row};
use crate::models::Network;
use crate::recipe::{Features, Matrix};

/// A network whose answers are the sums of the last hidden layer of another; `None` where that has no hidden layer.
pub(crate) fn beheaded(network: &Network) -> Option<Network> {
    let mut network = network.clone();
    let mut last = network.layers.pop()?;
    if network.layers.is_empty() && network.members > 1 {
        // Each member has a first layer of its own, and they say much the same: the first one's is taken.
        let factors = network.factors.iter().take(last.inputs);
        let rows = last.weights.chunks_exact_mut(last.outputs);
        for (weights, factor) in rows.zip(factors) {
            weights.iter_mut().for_each(|w| *w *= factor);
        }
        network.factors.clear();
        network.members = 1;
    }
    network.heads = vec![last; network.members];
    Some(network)
}

/// A network ready to say what it knows of a row.
pub(crate) struct Hidden {
    forward: Forward,
    width: usize,
}

/// Buffers for one caller; reused from row to row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    buffers: Buffers,
    mean: Vec<f32>,
}

impl Hidden {
    /// Of a network from [`beheaded`] whose shapes have been checked.
    pub fn new(network: &Network) -> Hidden {
        Hidden {
            forward: Forward::new(network, Level::detect()),
            width: network.outputs(),
        }
    }

    /// Of a row prepared by itself, the mean of the members.
    pub fn of_features<'r>(&self, features: &Features, room: &'r mut Room) -> &'r [f32] {
        self.run(Row::single(features), room)
    }

    /// The same of a row of a matrix.
    pub fn of_row<'r>(&self, matrix: &Matrix, row: usize, room: &'r mut Room) -> &'r [f32] {
        self.run(Row::of(matrix, row), room)
    }

    fn run<'r>(&self, row: Row<'_>, room: &'r mut Room) -> &'r [f32] {
        let all = self.forward.run(row, &mut room.buffers);
        room.mean.clear();
        room.mean.resize(self.width, 0.0);
        let share = self.width as f32 / all.len().max(1) as f32;
        for member in all.chunks_exact(self.width.max(1)) {
            let each = room.mean.iter_mut().zip(member);
            each.for_each(|(mean, x)| *mean += share * x);
        }
        &room.mean
    }
}
