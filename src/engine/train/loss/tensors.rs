//! The losses in Burn's tensors, whose derivatives Burn finds itself.

use super::{LARGEST_LOG, Loss, Objective, Output};
use crate::train::Examples;
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
    ) -> Tensor<B, 2> {
        let [rows, outputs] = logits.dims();
        match self.loss {
            Loss::MeanSquaredError => {
                let labels = Tensor::<B, 1, Int>::arange(0..outputs as i64, &logits.device());
                let truth = labels
                    .unsqueeze::<2>()
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

/// What rows should be answered, and how much each counts, on a device.
#[derive(Clone)]
pub(in crate::train) struct Truth<B: Backend> {
    answers: Answers<B>,
    /// `[rows, 1]`; `None`: all 1.
    weights: Option<Tensor<B, 2>>,
}

#[derive(Clone)]
enum Answers<B: Backend> {
    /// Codes of labels, `[rows, 1]`.
    Labels(Tensor<B, 2, Int>),
    /// Each `[rows, outputs]`: what is to be answered, 0 where nothing is; 1 where it counts; what brings the least loss to 0.
    Values {
        known: Tensor<B, 2>,
        counts: Option<Tensor<B, 2>>,
        least: Option<Tensor<B, 2>>,
    },
}

impl<B: Backend> Truth<B> {
    /// That of all rows of `examples`.
    pub(in crate::train) fn new(
        examples: &Examples<'_>,
        objective: &Objective,
        device: &B::Device,
    ) -> Truth<B> {
        let rows = examples.matrix.rows;
        let columns = |values: Vec<f32>| {
            let shape = [rows, values.len() / rows.max(1)];
            Tensor::<B, 2>::from_data(TensorData::new(values, shape), device)
        };
        let targets = examples.targets;
        let answers = if objective.output == Output::Softmax {
            let codes: Vec<i32> = targets.iter().map(|t| *t as i32).collect();
            Answers::Labels(Tensor::from_data(TensorData::new(codes, [rows, 1]), device))
        } else {
            let known = |y: &f32| if y.is_nan() { 0.0 } else { objective.soft(*y) };
            let known: Vec<f32> = targets.iter().map(known).collect();
            let least = |y: &f32| objective.least(f64::from(*y)) as f32;
            let least: Vec<f32> = known.iter().map(least).collect();
            let counts = targets.iter().any(|y| y.is_nan()).then(|| {
                let counts = targets.iter().map(|y| f32::from(!y.is_nan()));
                columns(counts.collect())
            });
            Answers::Values {
                counts,
                least: least.iter().any(|x| *x != 0.0).then(|| columns(least)),
                known: columns(known),
            }
        };
        let weights = examples.weights;
        Truth {
            answers,
            weights: (!weights.is_empty()).then(|| columns(weights.to_vec())),
        }
    }

    /// That of some rows.
    pub(in crate::train) fn select(&self, rows: &Tensor<B, 1, Int>) -> Truth<B> {
        let codes = |all: &Tensor<B, 2, Int>| all.clone().select(0, rows.clone());
        self.with(codes, |all| all.clone().select(0, rows.clone()))
    }

    /// That of the rows so many times over.
    fn repeated(&self, times: usize) -> Truth<B> {
        let codes = |all: &Tensor<B, 2, Int>| all.clone().repeat_dim(0, times);
        self.with(codes, |all| all.clone().repeat_dim(0, times))
    }

    fn with(
        &self,
        codes: impl Fn(&Tensor<B, 2, Int>) -> Tensor<B, 2, Int>,
        values: impl Fn(&Tensor<B, 2>) -> Tensor<B, 2>,
    ) -> Truth<B> {
        Truth {
            answers: match &self.answers {
                Answers::Labels(own) => Answers::Labels(codes(own)),
                Answers::Values {
                    known,
                    counts,
                    least,
                } => Answers::Values {
                    known: values(known),
                    counts: counts.as_ref().map(&values),
                    least: least.as_ref().map(&values),
                },
            },
            weights: self.weights.as_ref().map(&values),
        }
    }

    /// Σ of the rows' losses, each times its weight and the mean of the members, as `[1]`. `sums` is `[members, rows, outputs]`.
    pub(in crate::train) fn mean_loss_sum(
        &self,
        sums: Tensor<B, 3>,
        objective: &Objective,
    ) -> Tensor<B, 1> {
        let [members, rows, outputs] = sums.dims();
        if members > 1 {
            let each = self.repeated(members);
            let sums = sums.reshape([1, members * rows, outputs]);
            return each.mean_loss_sum(sums, objective) / members as f64;
        }
        let sums = sums.reshape([rows, outputs]);
        let per_row = match &self.answers {
            Answers::Labels(codes) => objective.of_labels(sums, codes.clone()),
            Answers::Values {
                known,
                counts,
                least,
            } => {
                let mut losses = objective.of_values(sums, known.clone());
                if let Some(least) = least {
                    losses = losses + least.clone();
                }
                if let Some(counts) = counts {
                    losses = losses * counts.clone();
                }
                losses.sum_dim(1)
            }
        };
        match &self.weights {
            Some(weights) => (per_row * weights.clone()).sum(),
            None => per_row.sum(),
        }
    }
}

/// The sums that stand for the mean of the members' answers, `[members, rows, outputs]` to `[1, rows, outputs]`: for
/// probabilities the one whose sigmoid or softmax is their mean.
pub(in crate::train) fn mean_answer<B: Backend>(
    members: Tensor<B, 3>,
    output: Output,
) -> Tensor<B, 3> {
    if members.dims()[0] == 1 {
        return members;
    }
    let mean = match output {
        Output::Identity => members,
        Output::Sigmoid => activation::sigmoid(members),
        Output::Softmax => activation::softmax(members, 2),
        Output::Exp => members.exp(),
    }
    .mean_dim(0);
    match output {
        Output::Identity => mean,
        Output::Sigmoid => {
            let p = mean.clamp(1e-7, 1.0 - 1e-7);
            p.clone().log() - (p.neg() + 1.0).log()
        }
        Output::Softmax | Output::Exp => mean.clamp_min(1e-7).log(),
    }
}
