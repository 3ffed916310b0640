//! The weights of a module in one line of numbers, and the optimisers that change them: the rules of training on the CPU, a few
//! operations for all weights together.

use crate::models::{WeightKind, network::Trainable};
use crate::params::{Optimizer, ValidParams};
use crate::train::cpu::parameters::{BETA, EPSILON, GRADIENT_NORM};
use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use std::collections::HashMap;

/// Weights with the optimiser's memory; each tensor is `[weights]`.
pub(super) struct Line<B: AutodiffBackend> {
    pub(super) weights: Tensor<B::InnerBackend, 1>,
    first: Tensor<B::InnerBackend, 1>,
    second: Tensor<B::InnerBackend, 1>,
    /// What the learning rate is multiplied by.
    rates: Tensor<B::InnerBackend, 1>,
    /// 1 for what l1 and l2 are for.
    decayed: Tensor<B::InnerBackend, 1>,
    /// 1 for tables, of which only the vectors move that a step has met (Adam "lazily"), else 0; `None` without tables.
    tables: Option<Tensor<B::InnerBackend, 1>>,
    optimizer: Optimizer,
    momentum: f64,
    l1: f64,
    l2: f64,
    step: u32,
}

impl<B: AutodiffBackend> Line<B> {
    pub(super) fn new<N>(net: &N, params: &ValidParams, device: &B::Device) -> Line<B>
    where
        N: AutodiffModule<B> + Trainable<B>,
    {
        use WeightKind::*;
        let kinds = [Weight, Bias, Embedding, NumberEmbedding, Scale];
        let kinds = kinds.map(|kind| net.of_kind(kind).into_iter().map(move |id| (id, kind)));
        let kinds: HashMap<ParamId, WeightKind> = kinds.into_iter().flatten().collect();
        let mut sizes = Sizes(Vec::new());
        net.visit(&mut sizes);
        let each = |of: &dyn Fn(WeightKind) -> f64| {
            let own = |(id, len): &(ParamId, usize)| {
                // Every parameter has a kind.
                let value = kinds.get(id).map_or(1.0, |kind| of(*kind)) as f32;
                std::iter::repeat_n(value, *len)
            };
            let all: Vec<f32> = sizes.0.iter().flat_map(own).collect();
            let len = all.len();
            Tensor::from_data(TensorData::new(all, [len]), device)
        };
        let rates = params.learning.learning_rate_factors;
        let mut weights = Values(Vec::new());
        net.valid().visit(&mut weights);
        let weights = Tensor::cat(weights.0, 0);
        Line {
            first: weights.zeros_like(),
            second: weights.zeros_like(),
            weights,
            rates: each(&|kind| rates.of(kind)),
            decayed: each(&|kind| f64::from(u8::from(kind == Weight))),
            tables: kinds
                .values()
                .any(|kind| *kind == Embedding)
                .then(|| each(&|kind| f64::from(u8::from(kind == Embedding)))),
            optimizer: params.optimizer,
            momentum: params.momentum,
            l1: params.l1,
            l2: params.l2,
            step: 0,
        }
    }

    /// One step along the gradients of `net`.
    pub(super) fn step<N: AutodiffModule<B>>(
        &mut self,
        net: &N,
        gradients: &B::Gradients,
        rate: f64,
    ) {
        self.step = self.step.saturating_add(1);
        let mut all = Gradients::<B> {
            of: gradients,
            all: Vec::new(),
        };
        net.visit(&mut all);
        let gradient = Tensor::cat(all.all, 0);
        // What is no table is shortened together.
        let dense = self
            .tables
            .as_ref()
            .map(|tables| tables.clone().neg() + 1.0);
        let counted = match &dense {
            Some(dense) => gradient.clone() * dense.clone(),
            None => gradient.clone(),
        };
        let norm = counted.square().sum().sqrt();
        let scale = (norm.clamp_min(f32::MIN_POSITIVE).recip() * GRADIENT_NORM).clamp_max(1.0);
        let (mut gradient, moves) = match (&dense, &self.tables) {
            (Some(dense), Some(tables)) => {
                let met = gradient.clone().not_equal_elem(0.0).float() * tables.clone();
                let scale = dense.clone() * scale + tables.clone();
                (gradient * scale, Some(met + dense.clone()))
            }
            _ => (gradient * scale, None),
        };
        let decoupled = self.optimizer == Optimizer::Adamw;
        if self.l1 > 0.0 {
            let signs = self.weights.clone().sign() * self.decayed.clone();
            gradient = gradient + signs * self.l1;
        }
        let shrinking = self.weights.clone() * self.decayed.clone();
        if self.l2 > 0.0 && !decoupled {
            gradient = gradient + shrinking.clone() * (2.0 * self.l2);
        }
        let moved = |change: Tensor<B::InnerBackend, 1>| match &moves {
            Some(moves) => change * moves.clone(),
            None => change,
        };
        let change = if self.optimizer == Optimizer::Sgd {
            let change = self.first.clone() * (self.momentum - 1.0) + gradient;
            self.first = self.first.clone() + moved(change);
            self.first.clone()
        } else {
            let rest = |beta: f32| 1.0 / (1.0 - f64::from(beta).powf(f64::from(self.step)));
            let first = (gradient.clone() - self.first.clone()) * (1.0 - BETA.0);
            let second = (gradient.square() - self.second.clone()) * (1.0 - BETA.1);
            self.first = self.first.clone() + moved(first);
            self.second = self.second.clone() + moved(second);
            let size = (self.second.clone() * rest(BETA.1)).sqrt() + EPSILON;
            self.first.clone() * rest(BETA.0) / size
        };
        let change = match decoupled && self.l2 > 0.0 {
            true => change + shrinking * self.l2,
            false => change,
        };
        let change = moved(change * self.rates.clone() * rate);
        self.weights = self.weights.clone() - change;
    }

    /// The module with these weights, to be trained on.
    pub(super) fn put<N: AutodiffModule<B>>(&self, net: N) -> N {
        let trained = |tensor| Tensor::<B, 1>::from_inner(tensor);
        let mut spread = Spread {
            line: trained(self.weights.clone()),
            at: 0,
            learns: true,
        };
        net.map(&mut spread)
    }
}

/// The module with the weights of a line.
pub(super) fn with<B: Backend, M: Module<B>>(net: M, line: &Tensor<B, 1>) -> M {
    net.map(&mut Spread {
        line: line.clone(),
        at: 0,
        learns: false,
    })
}

/// Parameters and how many numbers each is, in the order in which they are visited.
struct Sizes(Vec<(ParamId, usize)>);

impl<B: Backend> ModuleVisitor<B> for Sizes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.push((param.id, param.shape().num_elements()));
    }
}

struct Values<B: Backend>(Vec<Tensor<B, 1>>);

impl<B: Backend> ModuleVisitor<B> for Values<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.push(flat(param.val()));
    }
}

struct Gradients<'g, B: AutodiffBackend> {
    of: &'g B::Gradients,
    all: Vec<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let own = param.val();
        let gradient = own.grad(self.of);
        self.all
            .push(flat(gradient.unwrap_or_else(|| own.inner().zeros_like())));
    }
}

struct Spread<B: Backend> {
    line: Tensor<B, 1>,
    at: usize,
    learns: bool,
}

impl<B: Backend> ModuleMapper<B> for Spread<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, old, mapper) = param.consume();
        let from = self.at;
        self.at += old.shape().num_elements();
        let own = self.line.clone().slice([from..self.at]).reshape(old.dims());
        let own = match self.learns {
            true => own.detach().require_grad(),
            false => own,
        };
        Param::from_mapped_value(id, own, mapper)
    }
}

fn flat<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Tensor<B, 1> {
    let len = tensor.shape().num_elements();
    tensor.reshape([len])
}
