//! A transformer block in Burn.

use super::network::{Dropout, Drops, Layer};
use super::{Block, Linear, WeightKind};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Bool, Tensor, TensorData, activation, backend::Backend};

/// Gains and shifts of a layer norm.
#[derive(Module, Debug)]
pub struct Norm<B: Backend> {
    /// `[width]`.
    gain: Param<Tensor<B, 1>>,
    shift: Param<Tensor<B, 1>>,
}

/// The trainable block; the parts are those of [`super::BlockParts`].
#[derive(Module, Debug)]
pub struct BlockNet<B: Backend> {
    norm: Option<Norm<B>>,
    query: Layer<B>,
    key_value: Layer<B>,
    out: Layer<B>,
    hidden_norm: Norm<B>,
    gate: Layer<B>,
    down: Layer<B>,
    #[module(skip)]
    heads: usize,
}

impl<B: Backend> Norm<B> {
    /// From gains, then shifts.
    pub fn new(weights: &[f32], device: &B::Device) -> Norm<B> {
        let (gain, shift) = weights.split_at(weights.len() / 2);
        let tensor = |own: &[f32]| {
            Param::from_tensor(Tensor::from_data(
                TensorData::new(own.to_vec(), [own.len()]),
                device,
            ))
        };
        Norm {
            gain: tensor(gain),
            shift: tensor(shift),
        }
    }

    pub fn forward<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        let centred = x.clone() - x.mean_dim(D - 1);
        let variance = centred.clone().powf_scalar(2.0).mean_dim(D - 1);
        let hat = centred / (variance + 1e-5).sqrt();
        hat * self.gain.val().unsqueeze() + self.shift.val().unsqueeze()
    }

    /// The parameters of a kind.
    pub fn of_kind(&self, kind: WeightKind) -> Option<ParamId> {
        match kind {
            WeightKind::Scale => Some(self.gain.id),
            WeightKind::Bias => Some(self.shift.id),
            _ => None,
        }
    }

    pub fn write(&self, to: &mut [f32]) {
        let (gain, shift) = to.split_at_mut(to.len() / 2);
        copy(self.gain.val(), gain);
        copy(self.shift.val(), shift);
    }
}

impl<B: Backend> Layer<B> {
    pub fn of(weights: &[f32], of: &Linear, device: &B::Device) -> Layer<B> {
        let (own, bias) = (&weights[of.weights.clone()], &weights[of.bias.clone()]);
        let shape = [own.len() / bias.len().max(1), bias.len()];
        Layer {
            weight: Param::from_tensor(Tensor::from_data(
                TensorData::new(own.to_vec(), shape),
                device,
            )),
            bias: Param::from_tensor(Tensor::from_data(
                TensorData::new(bias.to_vec(), [bias.len()]),
                device,
            )),
        }
    }

    /// The parameters of a kind.
    pub fn of_kind(&self, kind: WeightKind) -> Option<ParamId> {
        match kind {
            WeightKind::Weight => Some(self.weight.id),
            WeightKind::Bias => Some(self.bias.id),
            _ => None,
        }
    }

    pub fn run<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        x.matmul(self.weight.val().unsqueeze()) + self.bias.val().unsqueeze()
    }

    pub fn write(&self, of: &Linear, to: &mut [f32]) {
        copy(self.weight.val(), &mut to[of.weights.clone()]);
        copy(self.bias.val(), &mut to[of.bias.clone()]);
    }
}

impl<B: Backend> BlockNet<B> {
    /// The block with the given weights.
    pub fn new(block: &Block, weights: &[f32], device: &B::Device) -> BlockNet<B> {
        let parts = block.parts();
        let layer = |of: &Linear| Layer::of(weights, of, device);
        BlockNet {
            norm: block
                .norm
                .then(|| Norm::new(&weights[parts.norm.clone()], device)),
            query: layer(&parts.query),
            key_value: layer(&parts.key_value),
            out: layer(&parts.out),
            hidden_norm: Norm::new(&weights[parts.hidden_norm.clone()], device),
            gate: layer(&parts.gate),
            down: layer(&parts.down),
            heads: block.heads,
        }
    }

    /// `[sequences, tokens, width]` to the same. `hidden` says which tokens, the last dimension, each token does not look at:
    /// `[sequences, 1, tokens, tokens]`, or 1 in place of the first.
    pub fn forward(
        &self,
        x: Tensor<B, 3>,
        hidden: Option<Tensor<B, 4, Bool>>,
        drops: Option<&Drops>,
    ) -> Tensor<B, 3> {
        let [sequences, tokens, width] = x.dims();
        let wide = width / self.heads;
        let normed = match &self.norm {
            Some(norm) => norm.forward(x.clone()),
            None => x.clone(),
        };
        let split = |x: Tensor<B, 3>| {
            x.reshape([sequences, tokens, self.heads, wide])
                .swap_dims(1, 2)
        };
        let query = split(self.query.run(normed.clone()));
        let both = self.key_value.run(normed);
        let own = |from: usize| {
            split(
                both.clone()
                    .slice([0..sequences, 0..tokens, from..from + width]),
            )
        };
        let (keys, values) = (own(0), own(width));
        let mut scores = query
            .matmul(keys.swap_dims(2, 3))
            .div_scalar((wide as f64).sqrt());
        if let Some(hidden) = hidden {
            let hidden = hidden.expand([sequences, self.heads, tokens, tokens]);
            scores = scores.mask_fill(hidden, -1e9);
        }
        let shares = activation::softmax(scores, 3);
        let shares = dropped(shares, drops.and_then(|d| d.attention.as_ref()));
        let mixed = shares
            .matmul(values)
            .swap_dims(1, 2)
            .reshape([sequences, tokens, width]);
        let added = self.out.run(mixed);
        let x = x + dropped(added, drops.and_then(|d| d.residual.as_ref()));
        let gate = self.gate.run(self.hidden_norm.forward(x.clone()));
        let units = gate.dims()[2] / 2;
        let part = |from: usize| {
            gate.clone()
                .slice([0..sequences, 0..tokens, from..from + units])
        };
        let units = part(0) * activation::relu(part(units));
        let units = dropped(units, drops.and_then(|d| d.hidden.as_ref()));
        let added = self.down.run(units);
        x + dropped(added, drops.and_then(|d| d.residual.as_ref()))
    }

    fn layers(&self) -> [&Layer<B>; 5] {
        [
            &self.query,
            &self.key_value,
            &self.out,
            &self.gate,
            &self.down,
        ]
    }

    /// The parameters of a kind.
    pub fn of_kind(&self, kind: WeightKind) -> impl Iterator<Item = ParamId> {
        let norms = self.norm.iter().chain([&self.hidden_norm]);
        let layers = self.layers().into_iter();
        let layers = layers.filter_map(move |layer| layer.of_kind(kind));
        norms
            .filter_map(move |norm| norm.of_kind(kind))
            .chain(layers)
    }

    /// Writes the weights where a block of the same shape has them.
    pub fn write(&self, block: &Block, to: &mut [f32]) {
        let parts = block.parts();
        if let Some(norm) = &self.norm {
            norm.write(&mut to[parts.norm.clone()]);
        }
        self.hidden_norm.write(&mut to[parts.hidden_norm.clone()]);
        for (layer, of) in [
            (&self.query, &parts.query),
            (&self.key_value, &parts.key_value),
            (&self.out, &parts.out),
            (&self.gate, &parts.gate),
            (&self.down, &parts.down),
        ] {
            layer.write(of, to);
        }
    }
}

#[cfg(test)]
impl<B: burn::tensor::backend::AutodiffBackend> BlockNet<B> {
    /// A block that has the gradients in place of the weights.
    pub fn gradient(&self, gradients: &B::Gradients) -> BlockNet<B::InnerBackend> {
        fn of<B: burn::tensor::backend::AutodiffBackend, const D: usize>(
            own: &Param<Tensor<B, D>>,
            gradients: &B::Gradients,
        ) -> Param<Tensor<B::InnerBackend, D>> {
            Param::from_tensor(own.val().grad(gradients).unwrap())
        }
        let norm = |own: &Norm<B>| Norm {
            gain: of(&own.gain, gradients),
            shift: of(&own.shift, gradients),
        };
        let layer = |own: &Layer<B>| Layer {
            weight: of(&own.weight, gradients),
            bias: of(&own.bias, gradients),
        };
        BlockNet {
            norm: self.norm.as_ref().map(norm),
            query: layer(&self.query),
            key_value: layer(&self.key_value),
            out: layer(&self.out),
            hidden_norm: norm(&self.hidden_norm),
            gate: layer(&self.gate),
            down: layer(&self.down),
            heads: self.heads,
        }
    }
}

fn dropped<B: Backend, const D: usize>(x: Tensor<B, D>, dropout: Option<&Dropout>) -> Tensor<B, D> {
    match dropout {
        Some(dropout) => dropout.apply(x),
        None => x,
    }
}

/// Copies the values of a tensor.
pub(super) fn copy<B: Backend, const D: usize>(tensor: Tensor<B, D>, to: &mut [f32]) {
    let data = tensor.into_data();
    to.iter_mut()
        .zip(data.iter::<f32>())
        .for_each(|(to, v)| *to = v);
}
