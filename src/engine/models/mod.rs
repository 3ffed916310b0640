//! Networks: one plain description of the weights, shared by training (Burn) and inference (our own).

pub mod network;

use crate::artifact::Task;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Sigmoid,
    Relu,
    Tanh,
    /// x · sigmoid(x) (Elfwing et al. 2018), the default.
    Silu,
}

/// What the last layer's output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Regression: one value, standardised.
    Identity,
    /// Binary: one logit.
    Sigmoid,
    /// Multiclass: one logit per label.
    Softmax,
}

impl Output {
    /// What a task needs, and how many outputs.
    pub fn of(task: Task, labels: usize) -> (Output, usize) {
        match task {
            Task::Binary => (Output::Sigmoid, 1),
            Task::Multiclass => (Output::Softmax, labels),
            Task::Regression => (Output::Identity, 1),
        }
    }
}

/// How one categorical input enters the first layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// `levels` inputs; code 0 is the zero vector, code i sets input i - 1.
    OneHot,
    /// A learned vector per code; code 0 has one too.
    Embedding { dim: usize },
}

/// One categorical input. Codes run from 0 (unseen or rare) to `levels`; a missing value is a level
/// of its own when it occurs in training, else it is code 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryInput {
    pub levels: usize,
    pub encoding: Encoding,
}

/// The inputs of a network: `numbers` dense values and some category codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Inputs {
    pub numbers: usize,
    pub categories: Vec<CategoryInput>,
}

/// A fully connected layer: `y[o] = bias[o] + Σ_i x[i] · weights[i * outputs + o]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dense {
    pub inputs: usize,
    pub outputs: usize,
    /// Row-major `[inputs][outputs]`.
    #[serde(skip)]
    pub weights: Vec<f32>,
    #[serde(skip)]
    pub bias: Vec<f32>,
}

/// A trained network as plain numbers.
///
/// The first layer's inputs are, in order: the dense numbers, the one-hot blocks in category order,
/// the embedding vectors in category order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Network {
    pub inputs: Inputs,
    pub activation: Activation,
    pub output: Output,
    /// One table `[levels + 1][dim]`, row-major, per category with an embedding, in category order.
    #[serde(skip)]
    pub embeddings: Vec<Vec<f32>>,
    /// Hidden layers, then the output layer (without activation).
    pub layers: Vec<Dense>,
}

impl Inputs {
    /// Width of the first layer's input.
    pub fn width(&self) -> usize {
        let encoded = |c: &CategoryInput| match c.encoding {
            Encoding::OneHot => c.levels,
            Encoding::Embedding { dim } => dim,
        };
        self.numbers + self.categories.iter().map(encoded).sum::<usize>()
    }
}
