//! The losses in Burn's tensors, whose derivatives Burn finds itself.

use super::{LARGEST_LOG, Loss, Objective, Output};
use crate::train::Batch;
use burn::tensor::{Int, Tensor, TensorData, activation, backend::Backend};

impl Objective {
    /// Losses of `[rows, outputs]` sums against targets of the same shape, less [`Objective::least`].
    fn of_values<B: Backend>(&self, z: Tensor<B, 2>, y: Tensor<B, 2>) -> Tensor<B, 2> {
        let parameter = self.parameter;
        match self.loss {
            Loss::MeanSquaredError if self.output == Output::Sigmoid => {
                (activation::sigmoid(z) - y).powf_scalar(2.0)
            }
            Loss::MeanSquaredError => (z - y).powf_scalar(2.0),
            Loss::MeanAbsoluteError => (z - y).abs(),
            Loss::Huber => {
                let size = (z - y).abs();
                let near = size.clone().clamp_max(parameter);
                near.clone() * (size - near * 0.5)
            }
            Loss::Quantile => {
                let error = z - y;
                activation::relu(error.clone()) * (1.0 - parameter)
                    + activation::relu(error.neg()) * parameter
            }
            Loss::Poisson => {
                let z = z.clamp_max(LARGEST_LOG);
                z.clone().exp() - y * z
            }
            Loss::Tweedie => {
                let z = z.clamp_max(LARGEST_LOG);
                let (a, b) = (1.0 - parameter, 2.0 - parameter);
                (z.clone() * b).exp() / b - y * (z * a).exp() / a
            }
            Loss::Focal => {
                let x = z * (y * 2.0 - 1.0);
                let log = activation::relu(x.clone().neg()).neg()
                    - (x.clone().abs().neg().exp() + 1.0).log();
                activation::sigmoid(x.neg()).powf_scalar(parameter) * log.neg()
            }
            Loss::BinaryCrossentropy | Loss::CategoricalCrossentropy => {
                activation::relu(z.clone()) - z.clone() * y + (z.abs().neg().exp() + 1.0).log()
            }
        }
    }

    /// Losses of a softmax, `[rows, 1]`.
    fn of_labels<B: Backend>(
        &self,
        logits: Tensor<B, 2>,
        codes: Tensor<B, 2, Int>,
        device: &B::Device,
    ) -> Tensor<B, 2> {
        let [rows, outputs] = logits.dims();
        match self.loss {
            Loss::MeanSquaredError => {
                let labels: Vec<i32> = (0..outputs as i32).collect();
                let labels = TensorData::new(labels, [1, outputs]);
                let labels = Tensor::<B, 2, Int>::from_data(labels, device);
                let truth = labels
                    .expand([rows, outputs])
                    .equal(codes.expand([rows, outputs]))
                    .float();
                (activation::softmax(logits, 1) - truth)
                    .powf_scalar(2.0)
                    .sum_dim(1)
            }
            Loss::Focal => {
                let log = activation::log_softmax(logits, 1).gather(1, codes);
                let rest = (log.clone().exp().neg() + 1.0).clamp_min(1e-7);
                rest.powf_scalar(self.parameter) * log.neg()
            }
            _ if self.smoothing == 0.0 => activation::log_softmax(logits, 1).gather(1, codes).neg(),
            _ => {
                let log = activation::log_softmax(logits, 1);
                let own = log.clone().gather(1, codes) * (self.smoothing - 1.0);
                own - log.mean_dim(1) * self.smoothing
            }
        }
    }
}

/// Σ of the rows' losses, each times its weight, as `[1]`. `logits` is `[rows, outputs]`.
pub(in crate::train) fn loss_sum<B: Backend>(
    logits: Tensor<B, 2>,
    batch: &Batch<B>,
    objective: &Objective,
    device: &B::Device,
) -> Tensor<B, 1> {
    let [rows, outputs] = logits.dims();
    let matrix = |values: Vec<f32>, columns: usize| {
        Tensor::<B, 2>::from_data(TensorData::new(values, [rows, columns]), device)
    };
    let per_row = if objective.output == Output::Softmax {
        let codes: Vec<i32> = batch.targets.iter().map(|t| *t as i32).collect();
        let codes = Tensor::<B, 2, Int>::from_data(TensorData::new(codes, [rows, 1]), device);
        objective.of_labels(logits, codes, device)
    } else {
        let counts = batch.targets.iter().any(|y| y.is_nan()).then(|| {
            let counts = batch.targets.iter().map(|y| f32::from(!y.is_nan()));
            matrix(counts.collect(), outputs)
        });
        let known: Vec<f32> = batch
            .targets
            .iter()
            .map(|y| if y.is_nan() { 0.0 } else { objective.soft(*y) })
            .collect();
        let least = matrix(
            known
                .iter()
                .map(|y| objective.least(f64::from(*y)) as f32)
                .collect(),
            outputs,
        );
        let losses = objective.of_values(logits, matrix(known, outputs)) + least;
        match counts {
            Some(counts) => losses * counts,
            None => losses,
        }
        .sum_dim(1)
    };
    if batch.weights.is_empty() {
        per_row.sum()
    } else {
        (per_row * matrix(batch.weights.clone(), 1)).sum()
    }
}

/// The sums that stand for the mean of the members' answers: for probabilities the one whose sigmoid or softmax is their
/// mean.
pub(in crate::train) fn mean_answer<B: Backend>(
    mut members: Vec<Tensor<B, 2>>,
    output: Output,
) -> Tensor<B, 2> {
    if members.len() == 1 {
        return members.remove(0);
    }
    let count = members.len() as f64;
    let answer = |sums: Tensor<B, 2>| match output {
        Output::Identity => sums,
        Output::Sigmoid => activation::sigmoid(sums),
        Output::Softmax => activation::softmax(sums, 1),
        Output::Exp => sums.exp(),
    };
    let all: Vec<Tensor<B, 3>> = members
        .into_iter()
        .map(|sums| answer(sums).unsqueeze::<3>())
        .collect();
    let [_, rows, outputs] = all[0].dims();
    let mean = Tensor::cat(all, 0)
        .sum_dim(0)
        .div_scalar(count)
        .reshape([rows, outputs]);
    match output {
        Output::Identity => mean,
        Output::Sigmoid => {
            let p = mean.clamp(1e-7, 1.0 - 1e-7);
            p.clone().log() - (p.neg() + 1.0).log()
        }
        Output::Softmax | Output::Exp => mean.clamp_min(1e-7).log(),
    }
}
