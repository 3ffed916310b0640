//! The network in Burn: embeddings, then fully connected layers with an activation and dropout between them.

use super::{Activation, CategoryInput, Dense, Encoding, Inputs, Network, Output};
use crate::random::Random;
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData, activation, backend::Backend};

/// A fully connected layer `x · weight + bias`.
#[derive(Module, Debug)]
pub struct Layer<B: Backend> {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<B, 2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
}

/// The trainable network.
#[derive(Module, Debug)]
pub struct Net<B: Backend> {
    /// `[levels + 1, dim]` per category with an embedding, in category order.
    embeddings: Vec<Param<Tensor<B, 2>>>,
    layers: Vec<Layer<B>>,
    #[module(skip)]
    activation: Activation,
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

    fn apply<B: Backend>(&mut self, x: Tensor<B, 2>) -> Tensor<B, 2> {
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

impl<B: Backend> Net<B> {
    /// Weights drawn by our own generator: He et al. 2015 for relu and silu, Glorot and Bengio 2010 else.
    pub fn init(
        inputs: &Inputs,
        hidden: &[usize],
        outputs: usize,
        activation: Activation,
        seed: u64,
        device: &B::Device,
    ) -> Net<B> {
        let mut random = Random::new(seed);
        let mut matrix = |rows: usize, columns: usize, std: f64| {
            let values: Vec<f32> = (0..rows * columns)
                .map(|_| (random.normal() * std) as f32)
                .collect();
            Param::from_tensor(Tensor::from_data(
                TensorData::new(values, [rows, columns]),
                device,
            ))
        };
        let embedded = inputs.categories.iter().filter_map(|c| match c.encoding {
            Encoding::OneHot => None,
            Encoding::Embedding { dim } => Some((c.levels + 1, dim)),
        });
        let embeddings = embedded
            .map(|(levels, dim)| matrix(levels, dim, 0.3))
            .collect();
        let mut widths = vec![inputs.width()];
        widths.extend(hidden);
        widths.push(outputs);
        let last = widths.len() - 2;
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(i, pair)| {
                let (fan_in, fan_out) = (pair[0].max(1) as f64, pair[1] as f64);
                let he = matches!(activation, Activation::Relu | Activation::Silu) && i < last;
                let std = if he {
                    (2.0 / fan_in).sqrt()
                } else {
                    (2.0 / (fan_in + fan_out)).sqrt()
                };
                let bias = Tensor::zeros([pair[1]], device);
                Layer {
                    weight: matrix(pair[0], pair[1], std),
                    bias: Param::from_tensor(bias),
                }
            })
            .collect();
        Net {
            embeddings,
            layers,
            activation,
        }
    }

    /// `dense` is `[rows, numbers + one-hot]`, `codes` `[rows, embeddings]`; answers logits `[rows, outputs]`.
    /// Training gives a dropout to draw from.
    pub fn forward(
        &self,
        dense: Tensor<B, 2>,
        codes: Option<Tensor<B, 2, Int>>,
        mut dropout: Option<&mut Dropout>,
    ) -> Tensor<B, 2> {
        let mut x = dense;
        if let Some(codes) = codes {
            let rows = codes.dims()[0];
            let mut parts = vec![x];
            for (i, table) in self.embeddings.iter().enumerate() {
                let column = codes.clone().slice([0..rows, i..i + 1]).reshape([rows]);
                parts.push(table.val().select(0, column));
            }
            x = Tensor::cat(parts, 1);
        }
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers.iter().enumerate() {
            x = x.matmul(layer.weight.val()) + layer.bias.val().unsqueeze();
            if i < last {
                x = match self.activation {
                    Activation::Sigmoid => activation::sigmoid(x),
                    Activation::Relu => activation::relu(x),
                    Activation::Tanh => x.tanh(),
                    Activation::Silu => activation::silu(x),
                };
                if let Some(dropout) = dropout.as_deref_mut() {
                    x = dropout.apply(x);
                }
            }
        }
        x
    }

    /// Σ|w| and Σw² of the weight matrices (biases and embeddings are not penalised), as `[1]`.
    pub fn penalties(&self, l1: f64, l2: f64) -> Option<Tensor<B, 1>> {
        let mut sum: Option<Tensor<B, 1>> = None;
        for layer in &self.layers {
            let weight = layer.weight.val();
            for (factor, term) in [
                (l1, weight.clone().abs().sum()),
                (l2, weight.clone().powf_scalar(2.0).sum()),
            ] {
                if factor > 0.0 {
                    let term = term.mul_scalar(factor);
                    sum = Some(sum.map_or(term.clone(), |s| s + term));
                }
            }
        }
        sum
    }

    /// The weights as plain numbers. `rare` says per embedding whether training met code 0; where it did not, the
    /// vector of code 0 is zero.
    pub fn export(&self, inputs: &Inputs, output: Output, rare: &[bool]) -> Network {
        let embeddings = self
            .embeddings
            .iter()
            .zip(rare)
            .map(|(table, met)| {
                let dim = table.dims()[1];
                let mut values = numbers(table.val().into_data());
                if !met {
                    values[..dim].fill(0.0);
                }
                values
            })
            .collect();
        let layers = self
            .layers
            .iter()
            .map(|layer| {
                let [inputs, outputs] = layer.weight.dims();
                let (weights, bias) = (
                    numbers(layer.weight.val().into_data()),
                    numbers(layer.bias.val().into_data()),
                );
                Dense {
                    inputs,
                    outputs,
                    weights,
                    bias,
                }
            })
            .collect();
        Network {
            inputs: inputs.clone(),
            activation: self.activation,
            output,
            embeddings,
            layers,
        }
    }
}

fn numbers(data: TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}

/// Which categories have an embedding.
pub fn embedded(categories: &[CategoryInput]) -> impl Iterator<Item = usize> + '_ {
    categories
        .iter()
        .enumerate()
        .filter(|(_, c)| matches!(c.encoding, Encoding::Embedding { .. }))
        .map(|(i, _)| i)
}
