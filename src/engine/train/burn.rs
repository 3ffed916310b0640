//! Training with Burn, generic over its backends: what a GPU runs.

use super::averaging::Average;
use super::batch::gather;
use super::epochs::Learner;
use super::loss::tensors::{loss_sum, mean_answer};
use super::{Examples, Task};
use crate::models::Network;
use crate::models::network::{Dropout, Kind, Net};
use crate::params::{Optimizer, RateFactors, ValidParams};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::AutodiffModule;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    Adam, AdamConfig, AdamW, AdamWConfig, GradientsParams, Optimizer as _, Sgd, SgdConfig,
};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};

/// Rows of one forward pass over the validation part.
const VALIDATION_BATCH: usize = 8192;
/// A longer gradient of a parameter is shortened to this norm: one odd batch must not throw the weights away.
const GRADIENT_NORM: f32 = 5.0;

enum Optimiser<B: AutodiffBackend> {
    Sgd(OptimizerAdaptor<Sgd<B::InnerBackend>, Net<B>, B>),
    Adam(OptimizerAdaptor<Adam, Net<B>, B>),
    Adamw(OptimizerAdaptor<AdamW, Net<B>, B>),
}

impl<B: AutodiffBackend> Optimiser<B> {
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

    fn step(&mut self, rate: f64, net: Net<B>, gradients: GradientsParams) -> Net<B> {
        match self {
            Optimiser::Sgd(o) => o.step(rate, net, gradients),
            Optimiser::Adam(o) => o.step(rate, net, gradients),
            Optimiser::Adamw(o) => o.step(rate, net, gradients),
        }
    }
}

/// Burn's network with its optimiser on a device.
pub(super) struct Burn<'a, B: AutodiffBackend> {
    task: &'a Task<'a>,
    shapes: Network,
    net: Option<Net<B>>,
    best: Option<Net<B::InnerBackend>>,
    optimiser: Optimiser<B>,
    dropout: Option<Dropout>,
    average: Option<(Average, Net<B::InnerBackend>)>,
    device: B::Device,
}

impl<'a, B: AutodiffBackend> Burn<'a, B> {
    pub(super) fn new(task: &'a Task<'a>, network: Network, device: B::Device) -> Burn<'a, B> {
        let params = task.params;
        let net = Net::<B>::new(&network, &device);
        Burn {
            average: Average::new(task).map(|average| (average, net.valid())),
            net: Some(net),
            shapes: network,
            best: None,
            optimiser: Optimiser::new(params),
            dropout: Dropout::new(params.dropout, params.seed ^ 0x2545_f491),
            device,
            task,
        }
    }
}

impl<B: AutodiffBackend> Burn<'_, B> {
    /// The weights that would be kept.
    fn kept(&self) -> Option<Net<B::InnerBackend>> {
        match &self.average {
            Some((_, mean)) => Some(mean.clone()),
            None => self.net.as_ref().map(|net| net.valid()),
        }
    }
}

impl<B: AutodiffBackend> Learner for Burn<'_, B> {
    fn step(&mut self, rows: &[u32], rate: f64) -> (f64, f64) {
        let params = self.task.params;
        let weight = self.task.train.weight(rows);
        // It is missing only while a step runs.
        let Some(net) = self.net.take() else {
            return (f64::NAN, weight);
        };
        let batch = gather::<B>(&self.task.train, rows, &self.device);
        let members = self.shapes.members;
        let mut sum: Option<Tensor<B, 1>> = None;
        let objective = self.task.objective().smoothed(params.label_smoothing);
        for logits in net.forward(&batch, self.dropout.as_mut()) {
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
            for (kind, factor) in [
                (Kind::Weight, 1.0),
                (Kind::Bias, rates.bias),
                (Kind::Embedding, rates.embedding),
                (Kind::NumberEmbedding, rates.number_embedding),
                (Kind::Scale, rates.scale),
            ] {
                let gradients = GradientsParams::from_params(&mut all, &net, &net.of_kind(kind));
                net = self.optimiser.step(rate * factor, net, gradients);
            }
        }
        if let Some((average, mean)) = &mut self.average {
            mean.draw(&net.valid(), average.next());
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
        for chunk in rows.chunks(VALIDATION_BATCH) {
            let batch = gather::<B::InnerBackend>(part, chunk, &self.device);
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

    fn finish(self) -> Network {
        let last = self.kept();
        let mut network = self.shapes;
        if let Some(best) = self.best.or(last) {
            best.export(&mut network);
        }
        network
    }
}
