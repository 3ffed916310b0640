//! The network in Burn.

use super::{Activation, Basis, Model, Network, NumberEmbedding, WeightKind};
use crate::random::Random;
use crate::train::Batch;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Int, Tensor, TensorData, activation, backend::Backend};

/// A fully connected layer `x · weight + bias`.
#[derive(Module, Debug)]
pub struct Layer<B: Backend> {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<B, 2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
}

/// The learned part of one number embedding.
#[derive(Module, Debug)]
pub struct Curve<B: Backend> {
    /// Periodic only: frequencies and phases, `[2, functions]`.
    waves: Option<Param<Tensor<B, 2>>>,
    /// `[functions, dim]`.
    weight: Param<Tensor<B, 2>>,
    /// Piecewise-linear only: the lower end of each bin and 1 / its length, `[1, functions]`.
    bins: Option<(Tensor<B, 2>, Tensor<B, 2>)>,
    #[module(skip)]
    input: usize,
}

/// The trainable network; the parts are those of [`Network`].
#[derive(Module, Debug)]
pub struct Net<B: Backend> {
    embeddings: Vec<Param<Tensor<B, 2>>>,
    bags: Vec<Param<Tensor<B, 2>>>,
    curves: Vec<Curve<B>>,
    /// `[members, width]`.
    factors: Option<Param<Tensor<B, 2>>>,
    layers: Vec<Layer<B>>,
    heads: Vec<Layer<B>>,
    #[module(skip)]
    activation: Activation,
}

/// What is trained in Burn.
pub trait Trainable<B: Backend> {
    /// Sums `[rows, outputs]` of each member. Training gives dropouts to draw from.
    fn forward(&self, batch: &Batch<B>, drops: Option<&mut Drops>) -> Vec<Tensor<B, 2>>;

    /// The weight matrices that l1 and l2 are for.
    fn penalised(&self) -> Vec<Tensor<B, 2>>;

    /// The parameters of a kind.
    fn of_kind(&self, kind: WeightKind) -> Vec<ParamId>;

    /// Writes the weights into a model of the same kind and shapes.
    fn export(&self, model: &mut Model);

    /// Σ|w| and Σw² of what is penalised, as `[1]`.
    fn penalties(&self, l1: f64, l2: f64) -> Option<Tensor<B, 1>> {
        let mut sum: Option<Tensor<B, 1>> = None;
        if l1 <= 0.0 && l2 <= 0.0 {
            return None;
        }
        for weight in self.penalised() {
            for (factor, squared) in [(l1, false), (l2, true)] {
                if factor > 0.0 {
                    let term = match squared {
                        false => weight.clone().abs().sum(),
                        true => weight.clone().powf_scalar(2.0).sum(),
                    };
                    let term = term.mul_scalar(factor);
                    sum = Some(sum.map_or(term.clone(), |s| s + term));
                }
            }
        }
        sum
    }
}

/// The dropouts of a training, each with random numbers of its own.
pub struct Drops {
    pub hidden: Option<Dropout>,
    /// A transformer's.
    pub attention: Option<Dropout>,
    pub residual: Option<Dropout>,
}

/// Inverted dropout (Srivastava et al. 2014). Burn's draws from a generator that all threads of the process share, so
/// the same seed would not always give the same model.
pub struct Dropout {
    random: Random,
    /// A unit is dropped where 16 random bits are below this.
    threshold: u16,
    scale: f32,
}

impl Dropout {
    /// `None` for a rate of 0.
    pub fn new(rate: f64, seed: u64) -> Option<Dropout> {
        let threshold = (rate * 65_536.0).round() as u16;
        let kept = 1.0 - f64::from(threshold) / 65_536.0;
        (threshold > 0).then(|| Dropout {
            random: Random::new(seed),
            threshold,
            scale: (1.0 / kept) as f32,
        })
    }

    pub(super) fn apply<B: Backend>(&mut self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let [rows, columns] = x.dims();
        let mut mask = Vec::with_capacity(rows * columns + 3);
        while mask.len() < rows * columns {
            let bits = self.random.next_u64();
            let keep = |shift: u32| {
                if (bits >> shift) as u16 >= self.threshold {
                    self.scale
                } else {
                    0.0
                }
            };
            mask.extend([keep(0), keep(16), keep(32), keep(48)]);
        }
        mask.truncate(rows * columns);
        x.clone() * Tensor::from_data(TensorData::new(mask, [rows, columns]), &x.device())
    }
}

impl<B: Backend> Curve<B> {
    pub fn new(e: &NumberEmbedding, device: &B::Device) -> Curve<B> {
        let tensor = |values: &[f32], rows: usize, columns: usize| -> Tensor<B, 2> {
            Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
        };
        let n = e.functions();
        match &e.basis {
            Basis::Periodic { .. } => Curve {
                waves: Some(Param::from_tensor(tensor(&e.weights[..2 * n], 2, n))),
                weight: Param::from_tensor(tensor(&e.weights[2 * n..], n, e.dim)),
                bins: None,
                input: e.input,
            },
            Basis::PiecewiseLinear { knots } => {
                let slopes: Vec<f32> = knots.windows(2).map(|k| 1.0 / (k[1] - k[0])).collect();
                Curve {
                    waves: None,
                    weight: Param::from_tensor(tensor(&e.weights, n, e.dim)),
                    bins: Some((tensor(&knots[..n], 1, n), tensor(&slopes, 1, n))),
                    input: e.input,
                }
            }
        }
    }

    /// The parameters.
    pub fn ids(&self) -> impl Iterator<Item = ParamId> {
        let waves = self.waves.as_ref().map(|w| w.id);
        waves.into_iter().chain([self.weight.id])
    }

    /// The embeddings of its number in a batch, `[rows, dim]`.
    pub fn of(&self, dense: &Tensor<B, 2>) -> Tensor<B, 2> {
        let rows = dense.dims()[0];
        let column = self.input..self.input + 1;
        self.value(dense.clone().slice([0..rows, column]))
    }

    /// As [`NumberEmbedding`] holds them.
    pub fn weights(&self) -> Vec<f32> {
        let waves = self.waves.as_ref();
        let mut weights = waves.map_or(Vec::new(), |w| numbers(w.val()));
        weights.extend(numbers(self.weight.val()));
        weights
    }

    /// `x` is `[rows, 1]`; answers `[rows, dim]`.
    fn value(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let functions = match (&self.waves, &self.bins) {
            (Some(waves), _) => {
                let waves = waves.val();
                let [_, n] = waves.dims();
                let frequencies = waves.clone().slice([0..1, 0..n]);
                let phases = waves.slice([1..2, 0..n]);
                ((x.matmul(frequencies) + phases) * std::f64::consts::TAU).cos()
            }
            (None, Some((low, slope))) => ((x - low.clone()) * slope.clone()).clamp(0.0, 1.0),
            (None, None) => x,
        };
        functions.matmul(self.weight.val())
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
        let curves = network.number_embeddings.iter();
        let curves = curves.map(|e| Curve::new(e, device));
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
            curves: curves.collect(),
            factors: (network.members > 1).then(|| {
                Param::from_tensor(tensor(&network.factors, network.members, network.width()))
            }),
            layers: network.layers.iter().map(layer).collect(),
            heads: network.heads.iter().map(layer).collect(),
            activation: network.activation,
        }
    }
}

impl<B: Backend> Trainable<B> for Net<B> {
    fn forward(&self, batch: &Batch<B>, mut drops: Option<&mut Drops>) -> Vec<Tensor<B, 2>> {
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
        parts.extend(self.curves.iter().map(|curve| curve.of(&batch.dense)));
        let mut x = Tensor::cat(parts, 1);
        let members = self.heads.len();
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
            if let Some(dropout) = drops.as_deref_mut().and_then(|d| d.hidden.as_mut()) {
                x = dropout.apply(x);
            }
        }
        let [_, units] = x.dims();
        let answer = |(m, head): (usize, &Layer<B>)| {
            let own = x.clone().slice([m * rows..(m + 1) * rows, 0..units]);
            own.matmul(head.weight.val()) + head.bias.val().unsqueeze()
        };
        self.heads.iter().enumerate().map(answer).collect()
    }

    fn penalised(&self) -> Vec<Tensor<B, 2>> {
        let layers = self.layers.iter().chain(&self.heads);
        layers.map(|layer| layer.weight.val()).collect()
    }

    fn of_kind(&self, kind: WeightKind) -> Vec<ParamId> {
        let layers = || self.layers.iter().chain(&self.heads);
        match kind {
            WeightKind::Weight => layers().map(|l| l.weight.id).collect(),
            WeightKind::Bias => layers().map(|l| l.bias.id).collect(),
            WeightKind::Embedding => {
                let tables = self.embeddings.iter().chain(&self.bags);
                tables.map(|table| table.id).collect()
            }
            WeightKind::NumberEmbedding => self.curves.iter().flat_map(Curve::ids).collect(),
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
        for (own, curve) in network.number_embeddings.iter_mut().zip(&self.curves) {
            own.weights = curve.weights();
        }
        if let Some(factors) = &self.factors {
            network.factors = numbers(factors.val());
        }
        let layers = self.layers.iter().chain(&self.heads);
        for (own, layer) in network
            .layers
            .iter_mut()
            .chain(&mut network.heads)
            .zip(layers)
        {
            own.weights = numbers(layer.weight.val());
            own.bias = numbers(layer.bias.val());
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

fn numbers<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
