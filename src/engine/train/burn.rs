//! Training with Burn, generic over its backends: what a GPU runs.

use super::averaging::Average;
use super::batch::gather;
use super::epochs::Learner;
use super::loss::tensors::{loss_sum, mean_answer};
use super::{Examples, Task};
use crate::models::network::{Dropout, Drops, Trainable};
use crate::models::{Inputs, Model, WeightKind};
use crate::params::{Optimizer, RateFactors, ValidParams};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    Adam, AdamConfig, AdamW, AdamWConfig, GradientsParams, Optimizer as _, Sgd, SgdConfig,
};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Tensor, TensorPrimitive};
use std::collections::VecDeque;

/// Rows of one forward pass over the validation part, of a network, and of a transformer, whose rows are many tokens.
const VALIDATION_BATCH: [usize; 2] = [8192, 1024];
/// A longer gradient of a parameter is shortened to this norm: one odd batch must not throw the weights away.
const GRADIENT_NORM: f32 = 5.0;

enum Optimiser<B: AutodiffBackend, N: AutodiffModule<B>> {
    Sgd(OptimizerAdaptor<Sgd<B::InnerBackend>, N, B>),
    Adam(OptimizerAdaptor<Adam, N, B>),
    Adamw(OptimizerAdaptor<AdamW, N, B>),
}

impl<B: AutodiffBackend, N: AutodiffModule<B>> Optimiser<B, N> {
    fn new(params: &ValidParams) -> Self {
        let clip = GradientClippingConfig::Norm(GRADIENT_NORM);
        match params.optimizer {
            Optimizer::Sgd => {
                let momentum = MomentumConfig {
                    momentum: params.momentum,
                    dampening: 0.0,
                    nesterov: false,
                };
                let config = SgdConfig::new().with_gradient_clipping(Some(clip));
                let config = if params.momentum > 0.0 {
                    config.with_momentum(Some(momentum))
                } else {
                    config
                };
                Optimiser::Sgd(config.init())
            }
            Optimizer::Adam => Optimiser::Adam(
                AdamConfig::new()
                    .with_epsilon(1e-8)
                    .with_grad_clipping(Some(clip))
                    .init(),
            ),
            Optimizer::Adamw => {
                let config = AdamWConfig::new()
                    .with_epsilon(1e-8)
                    .with_weight_decay(params.l2 as f32);
                Optimiser::Adamw(config.with_grad_clipping(Some(clip)).init())
            }
        }
    }

    fn step(&mut self, rate: f64, net: N, gradients: GradientsParams) -> N {
        match self {
            Optimiser::Sgd(o) => o.step(rate, net, gradients),
            Optimiser::Adam(o) => o.step(rate, net, gradients),
            Optimiser::Adamw(o) => o.step(rate, net, gradients),
        }
    }
}

/// A model in Burn with its optimiser on a device.
pub(super) struct Burn<'a, B: AutodiffBackend, N: AutodiffModule<B>> {
    task: &'a Task<'a>,
    shapes: Model,
    net: Option<N>,
    best: Option<N::InnerModule>,
    optimiser: Optimiser<B, N>,
    drops: Drops,
    average: Option<(Average, N::InnerModule)>,
    device: B::Device,
}

impl<'a, B: AutodiffBackend, N: AutodiffModule<B>> Burn<'a, B, N> {
    /// `net` is `model` on the device.
    pub(super) fn new(task: &'a Task<'a>, model: Model, net: N, device: B::Device) -> Self {
        let params = task.params;
        let of = params.attention.unwrap_or_default();
        let dropout = |rate, own: u64| Dropout::new(rate, params.seed ^ 0x2545_f491 ^ own);
        Burn {
            average: Average::new(task).map(|average| (average, net.valid())),
            net: Some(net),
            shapes: model,
            best: None,
            optimiser: Optimiser::new(params),
            drops: Drops {
                hidden: dropout(params.dropout, 0),
                attention: dropout(of.dropout, 1 << 32),
                residual: dropout(of.residual_dropout, 2 << 32),
            },
            device,
            task,
        }
    }
}

impl<B: AutodiffBackend, N: AutodiffModule<B>> Burn<'_, B, N> {
    /// The weights that would be kept.
    fn kept(&self) -> Option<N::InnerModule> {
        match &self.average {
            Some((_, mean)) => Some(mean.clone()),
            None => self.net.as_ref().map(|net| net.valid()),
        }
    }
}

/// How a model takes its rows.
fn inputs<'m>(model: &'m Model, part: &'m Examples<'_>) -> &'m Inputs {
    match model {
        Model::Network(network) => &network.inputs,
        Model::Transformer(own) => &own.inputs,
        Model::Trees(_) => &part.matrix.inputs,
    }
}

impl<B: AutodiffBackend, N> Learner for Burn<'_, B, N>
where
    N: AutodiffModule<B> + Trainable<B>,
    N::InnerModule: Trainable<B::InnerBackend>,
{
    fn step(&mut self, rows: &[u32], rate: f64) -> (f64, f64) {
        let params = self.task.params;
        let weight = self.task.train.weight(rows);
        // It is missing only while a step runs.
        let Some(net) = self.net.take() else {
            return (f64::NAN, weight);
        };
        let inputs = inputs(&self.shapes, &self.task.train);
        let batch = gather::<B>(&self.task.train, inputs, rows, &self.device);
        let mut sum: Option<Tensor<B, 1>> = None;
        let objective = self.task.objective().smoothed(params.label_smoothing);
        let all = net.forward(&batch, Some(&mut self.drops));
        let members = all.len();
        for logits in all {
            let loss = loss_sum(logits, &batch, &objective, &self.device);
            sum = Some(sum.map_or(loss.clone(), |sum| sum + loss));
        }
        let Some(sum) = sum.map(|sum| sum.div_scalar(members as f64)) else {
            return (f64::NAN, weight);
        };
        let loss = sum.clone().into_scalar().elem::<f64>();
        if !loss.is_finite() {
            self.net = Some(net);
            return (loss, weight);
        }
        let mut objective = sum.div_scalar(weight.max(f64::MIN_POSITIVE));
        let l2 = if params.optimizer == Optimizer::Adamw {
            0.0
        } else {
            params.l2
        };
        if let Some(penalty) = net.penalties(params.l1, l2) {
            objective = objective + penalty;
        }
        let mut all = objective.backward();
        let rates = params.learning.learning_rate_factors;
        let mut net = net;
        if rates == RateFactors::default() {
            let gradients = GradientsParams::from_grads(all, &net);
            net = self.optimiser.step(rate, net, gradients);
        } else {
            for kind in [
                WeightKind::Weight,
                WeightKind::Bias,
                WeightKind::Embedding,
                WeightKind::NumberEmbedding,
                WeightKind::Scale,
            ] {
                let gradients = GradientsParams::from_params(&mut all, &net, &net.of_kind(kind));
                net = self.optimiser.step(rate * rates.of(kind), net, gradients);
            }
        }
        if let Some((mut average, mean)) = self.average.take() {
            let mean = drawn(mean, &net.valid(), average.next());
            self.average = Some((average, mean));
        }
        self.net = Some(net);
        (loss, weight)
    }

    fn loss(&mut self, part: &Examples<'_>) -> f64 {
        let Some(net) = self.kept() else {
            return f64::NAN;
        };
        let rows: Vec<u32> = (0..part.matrix.rows as u32).collect();
        let mut sum = 0.0;
        let [wide, narrow] = VALIDATION_BATCH;
        let size = match &self.shapes {
            Model::Transformer(_) => narrow,
            _ => wide,
        };
        for chunk in rows.chunks(size) {
            let inputs = inputs(&self.shapes, part);
            let batch = gather::<B::InnerBackend>(part, inputs, chunk, &self.device);
            let logits = mean_answer(net.forward(&batch, None), self.task.output);
            sum += loss_sum(logits, &batch, &self.task.objective(), &self.device)
                .into_scalar()
                .elem::<f64>();
        }
        sum / part.weight(&rows).max(f64::MIN_POSITIVE)
    }

    fn keep(&mut self) {
        self.best = self.kept();
    }

    fn finish(self) -> Model {
        let last = self.kept();
        let mut model = self.shapes;
        if let Some(best) = self.best.or(last) {
            best.export(&mut model);
        }
        model
    }
}

/// The weights of `mean`, drawn towards those of a module of the same shapes by a share of the difference.
fn drawn<B: Backend, M: Module<B>>(mean: M, to: &M, share: f64) -> M {
    let mut all = Collected(VecDeque::new());
    to.visit(&mut all);
    mean.map(&mut Drawn { to: all.0, share })
}

/// The weights of a module in the order in which they are visited.
struct Collected<B: Backend>(VecDeque<TensorPrimitive<B>>);

impl<B: Backend> ModuleVisitor<B> for Collected<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.push_back(param.val().into_primitive());
    }
}

struct Drawn<B: Backend> {
    to: VecDeque<TensorPrimitive<B>>,
    share: f64,
}

impl<B: Backend> ModuleMapper<B> for Drawn<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(to) = self.to.pop_front() else {
            return param;
        };
        let to = Tensor::from_primitive(to);
        param.map(|from| from.clone() + (to - from).mul_scalar(self.share))
    }
}
