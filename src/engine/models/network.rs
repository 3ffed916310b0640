//! The network in Burn.

use super::curves_net::Curves;
use super::{Activation, Model, Network, WeightKind};
use crate::train::Batch;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Distribution, Int, Tensor, TensorData, activation, backend::Backend};

/// A fully connected layer `x · weight + bias`.
#[derive(Module, Debug)]
pub struct Layer<B: Backend> {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<B, 2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
}

/// The trainable network; the parts are those of [`Network`].
#[derive(Module, Debug)]
pub struct Net<B: Backend> {
    embeddings: Vec<Param<Tensor<B, 2>>>,
    bags: Vec<Param<Tensor<B, 2>>>,
    curves: Curves<B>,
    /// `[members, width]`.
    factors: Option<Param<Tensor<B, 2>>>,
    layers: Vec<Layer<B>>,
    heads: Heads<B>,
    #[module(skip)]
    activation: Activation,
}

/// The output layers of all members.
#[derive(Module, Debug)]
struct Heads<B: Backend> {
    /// `[members, units, outputs]`.
    weight: Param<Tensor<B, 3>>,
    /// `[members, 1, outputs]`.
    bias: Param<Tensor<B, 3>>,
}

/// What is trained in Burn.
pub trait Trainable<B: Backend> {
    /// The sums of each member, `[members, rows, outputs]`. Training gives dropouts.
    fn forward(&self, batch: &Batch<B>, drops: Option<&Drops>) -> Tensor<B, 3>;

    /// The parameters of a kind.
    fn of_kind(&self, kind: WeightKind) -> Vec<ParamId>;

    /// Writes the weights into a model of the same kind and shapes.
    fn export(&self, model: &mut Model);
}

/// The dropouts of a training.
pub struct Drops {
    pub hidden: Option<Dropout>,
    /// A transformer's.
    pub attention: Option<Dropout>,
    pub residual: Option<Dropout>,
}

/// Inverted dropout (Srivastava et al. 2014). The device draws the numbers, so that none are sent there.
pub struct Dropout {
    kept: f64,
}

impl Dropout {
    /// `None` for a rate of 0.
    pub fn new(rate: f64) -> Option<Dropout> {
        (rate > 0.0).then(|| Dropout { kept: 1.0 - rate })
    }

    pub(super) fn apply<B: Backend, const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        let kept = x.random_like(Distribution::Bernoulli(self.kept));
        x * kept.div_scalar(self.kept)
    }
}

impl<B: Backend> Net<B> {
    /// The network with the given weights.
    pub fn new(network: &Network, device: &B::Device) -> Net<B> {
        let tensor = |values: &[f32], rows: usize, columns: usize| -> Tensor<B, 2> {
            Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
        };
        let table = |values: &Vec<f32>, dim: usize| {
            Param::from_tensor(tensor(values, values.len() / dim.max(1), dim))
        };
        let layer = |l: &super::Dense| Layer {
            weight: Param::from_tensor(tensor(&l.weights, l.inputs, l.outputs)),
            bias: Param::from_tensor(Tensor::from_data(
                TensorData::new(l.bias.clone(), [l.outputs]),
                device,
            )),
        };
        let inputs = &network.inputs;
        let dims = inputs.embedded().map(|(_, _, dim)| dim);
        let bag_dims = inputs.bags.iter().map(|b| b.dim);
        let heads = &network.heads;
        let outputs = heads.first().map_or(0, |head| head.outputs);
        let of_heads = |values: Vec<f32>, rows: usize| {
            let values = TensorData::new(values, [heads.len(), rows, outputs]);
            Param::from_tensor(Tensor::from_data(values, device))
        };
        let weights = heads.iter().flat_map(|head| &head.weights).copied();
        let biases = heads.iter().flat_map(|head| &head.bias).copied();
        Net {
            embeddings: network
                .embeddings
                .iter()
                .zip(dims)
                .map(|(t, d)| table(t, d))
                .collect(),
            bags: network
                .bags
                .iter()
                .zip(bag_dims)
                .map(|(t, d)| table(t, d))
                .collect(),
            curves: Curves::new(&network.number_embeddings, device),
            factors: (network.members > 1).then(|| {
                Param::from_tensor(tensor(&network.factors, network.members, network.width()))
            }),
            layers: network.layers.iter().map(layer).collect(),
            heads: Heads {
                weight: of_heads(
                    weights.collect(),
                    heads.first().map_or(0, |head| head.inputs),
                ),
                bias: of_heads(biases.collect(), 1),
            },
            activation: network.activation,
        }
    }
}

impl<B: Backend> Trainable<B> for Net<B> {
    fn forward(&self, batch: &Batch<B>, drops: Option<&Drops>) -> Tensor<B, 3> {
        let rows = batch.dense.dims()[0];
        let mut parts = vec![batch.dense.clone()];
        if let Some(codes) = &batch.codes {
            for (i, table) in self.embeddings.iter().enumerate() {
                let column = codes.clone().slice([0..rows, i..i + 1]).reshape([rows]);
                parts.push(table.val().select(0, column));
            }
        }
        for (table, bag) in self.bags.iter().zip(&batch.bags) {
            parts.push(mean_vector(table.val(), bag));
        }
        if let Some(curves) = self.curves.forward(&batch.dense) {
            let [_, embeddings, dim] = curves.dims();
            parts.push(curves.reshape([rows, embeddings * dim]));
        }
        let mut x = Tensor::cat(parts, 1);
        let [members, ..] = self.heads.weight.dims();
        if let Some(factors) = &self.factors {
            let [_, width] = x.dims();
            let factors = factors.val().reshape([members, 1, width]);
            x = (x.reshape([1, rows, width]) * factors).reshape([members * rows, width]);
        }
        for layer in &self.layers {
            x = x.matmul(layer.weight.val()) + layer.bias.val().unsqueeze();
            x = match self.activation {
                Activation::Sigmoid => activation::sigmoid(x),
                Activation::Relu => activation::relu(x),
                Activation::Tanh => x.tanh(),
                Activation::Silu => activation::silu(x),
            };
            if let Some(dropout) = drops.and_then(|d| d.hidden.as_ref()) {
                x = dropout.apply(x);
            }
        }
        let [_, units] = x.dims();
        x.reshape([members, rows, units])
            .matmul(self.heads.weight.val())
            + self.heads.bias.val()
    }

    fn of_kind(&self, kind: WeightKind) -> Vec<ParamId> {
        let layers = self.layers.iter();
        match kind {
            WeightKind::Weight => {
                let weights = layers.map(|layer| layer.weight.id);
                weights.chain([self.heads.weight.id]).collect()
            }
            WeightKind::Bias => {
                let biases = layers.map(|layer| layer.bias.id);
                biases.chain([self.heads.bias.id]).collect()
            }
            WeightKind::Embedding => {
                let tables = self.embeddings.iter().chain(&self.bags);
                tables.map(|table| table.id).collect()
            }
            WeightKind::NumberEmbedding => self.curves.ids(),
            WeightKind::Scale => self.factors.iter().map(|f| f.id).collect(),
        }
    }

    fn export(&self, model: &mut Model) {
        let Model::Network(network) = model else {
            return;
        };
        let tables = self.embeddings.iter().chain(&self.bags);
        let own = network.embeddings.iter_mut().chain(&mut network.bags);
        for (own, table) in own.zip(tables) {
            *own = numbers(table.val());
        }
        self.curves.write(&mut network.number_embeddings);
        if let Some(factors) = &self.factors {
            network.factors = numbers(factors.val());
        }
        for (own, layer) in network.layers.iter_mut().zip(&self.layers) {
            own.weights = numbers(layer.weight.val());
            own.bias = numbers(layer.bias.val());
        }
        let weights = numbers(self.heads.weight.val());
        let biases = numbers(self.heads.bias.val());
        for (member, own) in network.heads.iter_mut().enumerate() {
            let part = |all: &[f32], len: usize| all[member * len..(member + 1) * len].to_vec();
            own.weights = part(&weights, own.weights.len());
            own.bias = part(&biases, own.bias.len());
        }
    }
}

/// The mean of the vectors of each row's tokens, `[rows, dim]`.
pub(super) fn mean_vector<B: Backend>(
    table: Tensor<B, 2>,
    (tokens, shares): &(Tensor<B, 2, Int>, Tensor<B, 2>),
) -> Tensor<B, 2> {
    let ([rows, longest], [_, dim]) = (tokens.dims(), table.dims());
    let vectors = table
        .select(0, tokens.clone().reshape([rows * longest]))
        .reshape([rows, longest, dim]);
    let shares = shares.clone().reshape([rows, longest, 1]);
    (vectors * shares).sum_dim(1).reshape([rows, dim])
}

pub(super) fn numbers<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
