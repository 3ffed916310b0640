//! The transformer in Burn.

use super::block_net::{BlockNet, Norm, copy};
use super::curves_net::Curves;
use super::network::{Drops, Layer, Trainable};
use super::{Model, Transformer, WeightKind};
use crate::train::Batch;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Tensor, TensorData, activation, backend::Backend};

/// The trainable transformer; the parts are those of [`Transformer`].
#[derive(Module, Debug)]
pub struct TransformerNet<B: Backend> {
    /// `[tokens, width]`.
    starts: Param<Tensor<B, 2>>,
    /// `[numbers, width]`; `None` without numbers.
    numbers: Option<Param<Tensor<B, 2>>>,
    /// `[tokens, numbers]`: 1 where a number joins a token.
    joins: Option<Tensor<B, 2>>,
    embeddings: Vec<Param<Tensor<B, 2>>>,
    bags: Vec<Param<Tensor<B, 2>>>,
    curves: Curves<B>,
    /// `[tokens, number embeddings]`: 1 where one joins a token.
    curve_joins: Option<Tensor<B, 2>>,
    blocks: Vec<BlockNet<B>>,
    norm: Norm<B>,
    head: Layer<B>,
    /// The tokens that the categories and the bags join.
    #[module(skip)]
    tokens: [Vec<usize>; 2],
}

impl<B: Backend> TransformerNet<B> {
    /// The transformer with the given weights.
    pub fn new(model: &Transformer, device: &B::Device) -> TransformerNet<B> {
        let (parts, weights, width) = (model.parts(), &model.weights, model.width);
        let tensor = |values: Vec<f32>, columns: usize| -> Tensor<B, 2> {
            let rows = values.len() / columns.max(1);
            Tensor::from_data(TensorData::new(values, [rows, columns]), device)
        };
        let table = |values: &Vec<f32>| Param::from_tensor(tensor(values.clone(), width));
        let numbers = model.inputs.numbers;
        let joins = |tokens: &mut dyn Iterator<Item = usize>, count: usize| {
            let mut joins = vec![0.0; model.tokens.count * count];
            tokens
                .enumerate()
                .for_each(|(i, token)| joins[token * count + i] = 1.0);
            (count > 0).then(|| tensor(joins, count))
        };
        let curves = &model.number_embeddings;
        let mut of_curves = curves.iter().map(|e| model.tokens.numbers[e.input]);
        let blocks = parts.blocks.iter();
        TransformerNet {
            starts: Param::from_tensor(tensor(weights[parts.tokens.clone()].to_vec(), width)),
            numbers: (numbers > 0).then(|| {
                Param::from_tensor(tensor(weights[parts.numbers.clone()].to_vec(), width))
            }),
            joins: joins(&mut model.tokens.numbers.iter().copied(), numbers),
            embeddings: model.embeddings.iter().map(table).collect(),
            bags: model.bags.iter().map(table).collect(),
            curves: Curves::new(curves, device),
            curve_joins: joins(&mut of_curves, curves.len()),
            blocks: blocks
                .map(|(block, own, at)| BlockNet::new(block, &weights[*at..at + own.len], device))
                .collect(),
            norm: Norm::new(&weights[parts.norm.clone()], device),
            head: Layer::of(weights, &parts.head, device),
            tokens: [model.tokens.categories.clone(), model.tokens.bags.clone()],
        }
    }

    /// The tokens of a batch, `[rows, tokens, width]`.
    fn tokens(&self, batch: &Batch<B>) -> Tensor<B, 3> {
        let rows = batch.dense.dims()[0];
        let [count, width] = self.starts.dims();
        let mut sums: Vec<Option<Tensor<B, 2>>> = vec![None; count];
        let mut add = |token: usize, x: Tensor<B, 2>| {
            sums[token] = Some(match sums[token].take() {
                Some(sum) => sum + x,
                None => x,
            });
        };
        if let Some(codes) = &batch.codes {
            for (i, (table, token)) in self.embeddings.iter().zip(&self.tokens[0]).enumerate() {
                let column = codes.clone().slice([0..rows, i..i + 1]).reshape([rows]);
                add(*token, table.val().select(0, column));
            }
        }
        let bags = self.bags.iter().zip(&self.tokens[1]).zip(&batch.bags);
        for ((table, token), bag) in bags {
            add(*token, super::network::mean_vector(table.val(), bag));
        }
        let device = batch.dense.device();
        let each = sums.into_iter().map(|sum| {
            sum.unwrap_or_else(|| Tensor::zeros([rows, width], &device))
                .unsqueeze_dim::<3>(1)
        });
        let mut x = Tensor::cat(each.collect(), 1) + self.starts.val().unsqueeze();
        let curves = self.curves.forward(&batch.dense);
        if let (Some(curves), Some(joins)) = (curves, &self.curve_joins) {
            x = x + joins.clone().unsqueeze::<3>().matmul(curves);
        }
        if let (Some(weights), Some(joins)) = (&self.numbers, &self.joins) {
            let numbers = joins.dims()[1];
            let dense = batch.dense.clone().slice([0..rows, 0..numbers]);
            let own = dense.unsqueeze_dim::<3>(1) * joins.clone().unsqueeze();
            let own = own.reshape([rows * count, numbers]).matmul(weights.val());
            x = x + own.reshape([rows, count, width]);
        }
        x
    }
}

impl<B: Backend> Trainable<B> for TransformerNet<B> {
    fn forward(&self, batch: &Batch<B>, drops: Option<&Drops>) -> Tensor<B, 3> {
        let mut x = self.tokens(batch);
        for block in &self.blocks {
            x = block.forward(x, None, drops);
        }
        let [rows, _, width] = x.dims();
        let first = x.slice([0..rows, 0..1, 0..width]).reshape([rows, width]);
        let sums = self.head.run(activation::relu(self.norm.forward(first)));
        sums.unsqueeze()
    }

    fn of_kind(&self, kind: WeightKind) -> Vec<ParamId> {
        let tables = || self.embeddings.iter().chain(&self.bags).map(|t| t.id);
        let inputs: Vec<ParamId> = match kind {
            WeightKind::Bias => vec![self.starts.id],
            WeightKind::Embedding => tables().collect(),
            WeightKind::NumberEmbedding => {
                let numbers = self.numbers.iter().map(|n| n.id);
                numbers.chain(self.curves.ids()).collect()
            }
            WeightKind::Weight | WeightKind::Scale => Vec::new(),
        };
        let blocks = self.blocks.iter().flat_map(|block| block.of_kind(kind));
        let last = self.norm.of_kind(kind).into_iter();
        let last = last.chain(self.head.of_kind(kind));
        inputs.into_iter().chain(blocks).chain(last).collect()
    }

    fn export(&self, model: &mut Model) {
        let Model::Transformer(model) = model else {
            return;
        };
        let parts = model.parts();
        let own = model.embeddings.iter_mut().chain(&mut model.bags);
        for (own, table) in own.zip(self.embeddings.iter().chain(&self.bags)) {
            copy(table.val(), own);
        }
        self.curves.write(&mut model.number_embeddings);
        let weights = &mut model.weights;
        copy(self.starts.val(), &mut weights[parts.tokens.clone()]);
        if let Some(numbers) = &self.numbers {
            copy(numbers.val(), &mut weights[parts.numbers.clone()]);
        }
        for (net, (block, own, at)) in self.blocks.iter().zip(&parts.blocks) {
            net.write(block, &mut weights[*at..at + own.len]);
        }
        self.norm.write(&mut weights[parts.norm.clone()]);
        self.head.write(&parts.head, weights);
    }
}
