//! Networks: one plain description of the weights, shared by training (Burn) and inference (our own).

mod block;
#[cfg(any(test, feature = "cuda"))]
pub(crate) mod block_net;
#[cfg(any(test, feature = "cuda"))]
mod curves_net;
mod init;
#[cfg(any(test, feature = "cuda"))]
pub(crate) mod network;
mod number_embedding;
mod output;
mod transformer;
#[cfg(any(test, feature = "cuda"))]
pub(crate) mod transformer_net;
mod trees;

pub use block::{Block, BlockParts, Linear, WIDTH_STEP};
pub use init::Architecture;
pub(crate) use number_embedding::place;
pub use output::Output;
use serde::{Deserialize, Serialize};
pub use transformer::{Tokens, Transformer, TransformerParts, TransformerShape};
pub(crate) use trees::Asked;
pub use trees::{Node, Trees};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Sigmoid,
    Relu,
    Tanh,
    /// x · sigmoid(x) (Elfwing et al. 2018), the default.
    Silu,
}

/// Kinds of weights that training treats in ways of their own: each has a factor of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightKind {
    /// Matrices of layers: what l1 and l2 are for.
    Weight,
    /// What is added: biases, shifts of norms, what a token begins with.
    Bias,
    /// Vectors of categories and of words.
    Embedding,
    NumberEmbedding,
    /// What is multiplied by, number by number: factors of members, gains of norms.
    Scale,
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

/// A text as a bag of tokens: the mean of their learned vectors, zero without tokens (Joulin et al. 2017).
/// Tokens run from 0 to `vocabulary - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BagInput {
    pub vocabulary: usize,
    pub dim: usize,
}

/// The inputs of a network: `numbers` dense values, some category codes and some bags of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Inputs {
    pub numbers: usize,
    pub categories: Vec<CategoryInput>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bags: Vec<BagInput>,
}

/// The functions of a number that its embedding is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Bin t gives 0 below knot t, 1 above knot t + 1 and rises between them; bins are one fewer than knots
    /// (Gorishniy et al. 2022, "On Embeddings for Numerical Features", section 3.2).
    PiecewiseLinear { knots: Vec<f32> },
    /// cos(2π (f·x + p)) with learned frequencies f and phases p (section 3.3 there; Holzmüller et al. 2024).
    Periodic { frequencies: usize },
}

/// A dense number that also enters through learned functions of it: `dim` weighted sums of its basis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberEmbedding {
    /// Which of the dense numbers.
    pub input: usize,
    pub dim: usize,
    pub basis: Basis,
    /// Periodic: the frequencies, the phases. Then for both `[functions][dim]`, row-major.
    #[serde(skip)]
    pub weights: Vec<f32>,
}

impl NumberEmbedding {
    /// How many functions of the number there are.
    pub fn functions(&self) -> usize {
        match &self.basis {
            Basis::PiecewiseLinear { knots } => knots.len().saturating_sub(1),
            Basis::Periodic { frequencies } => *frequencies,
        }
    }

    /// How many weights belong to it; `None`: too many to count.
    pub fn size(&self) -> Option<usize> {
        let own = match self.basis {
            Basis::PiecewiseLinear { .. } => 0,
            Basis::Periodic { frequencies } => frequencies.checked_mul(2)?,
        };
        self.functions().checked_mul(self.dim)?.checked_add(own)
    }
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
/// the embedding vectors in category order, the bags, the number embeddings.
///
/// With several members it is a parameter-efficient ensemble ("TabM: advancing tabular deep learning with
/// parameter-efficient ensembling", Gorishniy et al. 2025, the variant TabM-mini): each member multiplies the inputs by
/// factors of its own and has an output layer of its own; the hidden layers are shared. The answer is the mean of the
/// members' answers (of their probabilities, not their sums).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Network {
    pub inputs: Inputs,
    pub activation: Activation,
    pub output: Output,
    /// One table `[levels + 1][dim]`, row-major, per category with an embedding, in category order.
    #[serde(skip)]
    pub embeddings: Vec<Vec<f32>>,
    /// One table `[vocabulary][dim]`, row-major, per bag.
    #[serde(skip)]
    pub bags: Vec<Vec<f32>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub number_embeddings: Vec<NumberEmbedding>,
    #[serde(default = "one")]
    pub members: usize,
    /// `[members][width]`, row-major; empty for one member.
    #[serde(skip)]
    pub factors: Vec<f32>,
    /// The hidden layers, shared by the members.
    pub layers: Vec<Dense>,
    /// The output layer of each member, without activation.
    pub heads: Vec<Dense>,
}

/// What a model answers with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    Network(Network),
    Trees(Trees),
    Transformer(Transformer),
}

/// One of the models whose answers (probabilities, or values) are added up, and its share in the sum.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    pub share: f64,
    pub model: Model,
}

fn one() -> usize {
    1
}

impl Network {
    /// Width of the first layer's input.
    pub fn width(&self) -> usize {
        let embedded = self.number_embeddings.iter().map(|e| e.dim);
        self.inputs.width() + embedded.sum::<usize>()
    }

    /// [`Network::width`] of a network that is not trusted; `None`: too large to count.
    pub fn checked_width(&self) -> Option<usize> {
        let encoded = |c: &CategoryInput| match c.encoding {
            Encoding::OneHot => c.levels,
            Encoding::Embedding { dim } => dim,
        };
        let categories = self.inputs.categories.iter().map(encoded);
        let bags = self.inputs.bags.iter().map(|b| b.dim);
        let numbers = self.number_embeddings.iter().map(|e| e.dim);
        categories
            .chain(bags)
            .chain(numbers)
            .try_fold(self.inputs.numbers, usize::checked_add)
    }

    /// Outputs of each member.
    pub fn outputs(&self) -> usize {
        self.heads.first().map_or(0, |head| head.outputs)
    }

    /// All weights in the order in which a model's bytes hold them.
    pub fn weights(&self) -> impl Iterator<Item = &Vec<f32>> {
        let layers = self.layers.iter().chain(&self.heads);
        let numbers = self.number_embeddings.iter().map(|e| &e.weights);
        self.embeddings
            .iter()
            .chain(&self.bags)
            .chain(numbers)
            .chain(std::iter::once(&self.factors))
            .chain(layers.flat_map(|l| [&l.weights, &l.bias]))
    }
}

impl Inputs {
    /// Whether rows prepared for these inputs can enter a network of the other: how categories are encoded and how wide the
    /// vectors of tokens are is its own.
    pub fn fit(&self, network: &Inputs) -> bool {
        let levels = |inputs: &Inputs| -> Vec<usize> {
            inputs.categories.iter().map(|c| c.levels).collect()
        };
        let words =
            |inputs: &Inputs| -> Vec<usize> { inputs.bags.iter().map(|b| b.vocabulary).collect() };
        self.numbers == network.numbers
            && levels(self) == levels(network)
            && words(self) == words(network)
    }

    /// Width of the first layer's input.
    pub fn width(&self) -> usize {
        let encoded = |c: &CategoryInput| match c.encoding {
            Encoding::OneHot => c.levels,
            Encoding::Embedding { dim } => dim,
        };
        let bags = self.bags.iter().map(|b| b.dim).sum::<usize>();
        self.numbers + self.categories.iter().map(encoded).sum::<usize>() + bags
    }

    /// Width of the one-hot blocks together.
    pub fn one_hot(&self) -> usize {
        let width = |c: &CategoryInput| match c.encoding {
            Encoding::OneHot => c.levels,
            Encoding::Embedding { .. } => 0,
        };
        self.categories.iter().map(width).sum()
    }

    /// The categories with an embedding: which, and their levels and width.
    pub fn embedded(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let embedded = |(i, c): (usize, &CategoryInput)| match c.encoding {
            Encoding::OneHot => None,
            Encoding::Embedding { dim } => Some((i, c.levels, dim)),
        };
        self.categories.iter().enumerate().filter_map(embedded)
    }
}
