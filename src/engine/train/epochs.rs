//! The training loop: shuffled batches, early stopping on the validation loss, the best weights kept.

use super::batch::{Batch, gather};
use super::{Examples, Step, Task, TrainError, Trained};
use crate::artifact::Epoch;
use crate::models::Output;
use crate::models::network::{Dropout, Net, embedded};
use crate::params::{Loss, Optimizer, ValidParams};
use crate::random::Random;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::AutodiffModule;
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    Adam, AdamConfig, AdamW, AdamWConfig, GradientsParams, Optimizer as _, Sgd, SgdConfig,
};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Int, Tensor, TensorData, activation};
use std::time::{Duration, Instant};

/// Rows of one forward pass over the validation part.
const VALIDATION_BATCH: usize = 8192;
/// Reports come at least this often.
const REPORT: Duration = Duration::from_millis(200);
/// A longer gradient is shortened to this norm: one odd batch must not throw the weights away.
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

/// Σ of the rows' losses, each times its weight, as `[1]`.
fn loss_sum<B: Backend>(
    logits: Tensor<B, 2>,
    batch: &Batch<B>,
    loss: Loss,
    output: Output,
    device: &B::Device,
) -> Tensor<B, 1> {
    let [rows, outputs] = logits.dims();
    let targets =
        |values: Vec<f32>| Tensor::<B, 1>::from_data(TensorData::new(values, [rows]), device);
    let per_row: Tensor<B, 1> = match (loss, output) {
        (Loss::BinaryCrossentropy, _) => {
            // log(1 + e^z) - y z, written so that nothing overflows.
            let z = logits.reshape([rows]);
            let y = targets(batch.targets.clone());
            activation::relu(z.clone()) - z.clone() * y + (z.abs().neg().exp() + 1.0).log()
        }
        (Loss::CategoricalCrossentropy, _) => {
            let codes: Vec<i32> = batch.targets.iter().map(|t| *t as i32).collect();
            let codes = Tensor::<B, 2, Int>::from_data(TensorData::new(codes, [rows, 1]), device);
            activation::log_softmax(logits, 1)
                .gather(1, codes)
                .reshape([rows])
                .neg()
        }
        (Loss::MeanSquaredError, Output::Identity) => {
            (logits.reshape([rows]) - targets(batch.targets.clone())).powf_scalar(2.0)
        }
        (Loss::MeanSquaredError, Output::Sigmoid) => (activation::sigmoid(logits.reshape([rows]))
            - targets(batch.targets.clone()))
        .powf_scalar(2.0),
        (Loss::MeanSquaredError, Output::Softmax) => {
            let mut one_hot = vec![0f32; rows * outputs];
            for (row, target) in batch.targets.iter().enumerate() {
                one_hot[row * outputs + *target as usize] = 1.0;
            }
            let truth =
                Tensor::<B, 2>::from_data(TensorData::new(one_hot, [rows, outputs]), device);
            (activation::softmax(logits, 1) - truth)
                .powf_scalar(2.0)
                .sum_dim(1)
                .reshape([rows])
        }
    };
    if batch.weights.is_empty() {
        per_row.sum()
    } else {
        (per_row * targets(batch.weights.clone())).sum()
    }
}

/// Mean loss over all rows of a part.
fn mean_loss<B: Backend>(
    net: &Net<B>,
    part: &Examples<'_>,
    task: &Task<'_>,
    device: &B::Device,
) -> f64 {
    let rows: Vec<u32> = (0..part.matrix.rows as u32).collect();
    let (mut sum, mut weight) = (0.0, 0.0);
    for chunk in rows.chunks(VALIDATION_BATCH) {
        let batch = gather::<B>(part, chunk, device);
        weight += total_weight(&batch);
        let logits = net.forward(batch.dense.clone(), batch.codes.clone(), None);
        sum += loss_sum(logits, &batch, task.params.loss, task.output, device)
            .into_scalar()
            .elem::<f64>();
    }
    sum / weight.max(f64::MIN_POSITIVE)
}

fn total_weight<B: Backend>(batch: &Batch<B>) -> f64 {
    if batch.weights.is_empty() {
        batch.targets.len() as f64
    } else {
        batch.weights.iter().map(|w| f64::from(*w)).sum()
    }
}

/// The learning rate falls as a half cosine to a tenth over the epochs (Loshchilov and Hutter 2017).
fn learning_rate(params: &ValidParams, epoch: u32) -> f64 {
    let done = f64::from(epoch - 1) / f64::from(params.epochs.max(2) - 1);
    params.learning_rate * (0.1 + 0.45 * (1.0 + (std::f64::consts::PI * done).cos()))
}

pub(super) fn run<B: AutodiffBackend>(
    task: &Task<'_>,
    device: &B::Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let params = task.params;
    let inputs = &task.train.matrix.inputs;
    let mut net: Net<B> = Net::init(
        inputs,
        &params.hidden,
        task.outputs,
        params.activation,
        params.seed,
        device,
    );
    let mut dropout = Dropout::new(params.dropout, params.seed ^ 0x2545_f491);
    let mut optimiser = Optimiser::new(params);
    let mut random = Random::new(params.seed ^ 0x5bd1_e995);
    let mut order: Vec<u32> = (0..task.train.matrix.rows as u32).collect();
    let started = Instant::now();
    let deadline = params
        .max_seconds
        .map(|s| started + Duration::from_secs_f64(s.min(1e9)));
    let penalised = params.l1 > 0.0 || (params.l2 > 0.0 && params.optimizer != Optimizer::Adamw);
    let l2 = if params.optimizer == Optimizer::Adamw {
        0.0
    } else {
        params.l2
    };
    let mut best: Option<(f64, u32, Net<B::InnerBackend>)> = None;
    let mut history = Vec::new();
    let mut stopped_by = "epochs";
    let mut last_report = Instant::now();
    let mut rows_done = 0usize;
    for epoch in 1..=params.epochs {
        let epoch_started = Instant::now();
        let rate = learning_rate(params, epoch);
        random.shuffle(&mut order);
        let (mut sum, mut weight, mut epoch_rows) = (0.0, 0.0, 0usize);
        let mut out_of_time = false;
        for rows in order.chunks(params.batch_size) {
            let batch = gather::<B>(&task.train, rows, device);
            let batch_weight = total_weight(&batch);
            let logits = net.forward(batch.dense.clone(), batch.codes.clone(), dropout.as_mut());
            let loss = loss_sum(logits, &batch, params.loss, task.output, device);
            let batch_loss = loss.clone().into_scalar().elem::<f64>();
            if !batch_loss.is_finite() {
                return Err(TrainError::Diverged { epoch });
            }
            sum += batch_loss;
            weight += batch_weight;
            let mut objective = loss.div_scalar(batch_weight.max(f64::MIN_POSITIVE));
            if penalised && let Some(penalty) = net.penalties(params.l1, l2) {
                objective = objective + penalty;
            }
            let gradients = GradientsParams::from_grads(objective.backward(), &net);
            net = optimiser.step(rate, net, gradients);
            epoch_rows += rows.len();
            rows_done += rows.len();
            if last_report.elapsed() >= REPORT {
                last_report = Instant::now();
                let speed = epoch_rows as f64 / epoch_started.elapsed().as_secs_f64().max(1e-9);
                let left = f64::from(params.epochs) * order.len() as f64 - rows_done as f64;
                let step = Step {
                    epoch,
                    epochs: params.epochs,
                    rows_per_second: speed,
                    loss: sum / weight.max(f64::MIN_POSITIVE),
                    validation_loss: history.last().and_then(|e: &Epoch| e.validation_loss),
                    eta_seconds: eta(left / speed, deadline),
                };
                if !report(&step) {
                    return Err(TrainError::Canceled);
                }
            }
            if deadline.is_some_and(|d| Instant::now() >= d) {
                out_of_time = true;
                break;
            }
        }
        let train_seconds = epoch_started.elapsed().as_secs_f64().max(1e-9);
        let inner = net.valid();
        let validation_loss = task
            .validation
            .as_ref()
            .map(|part| mean_loss(&inner, part, task, device));
        let train_loss = sum / weight.max(f64::MIN_POSITIVE);
        let judged = validation_loss.unwrap_or(train_loss);
        if !judged.is_finite() {
            return Err(TrainError::Diverged { epoch });
        }
        history.push(Epoch {
            epoch,
            train_loss,
            validation_loss,
            learning_rate: rate,
            rows_per_second: epoch_rows as f64 / train_seconds,
            seconds: started.elapsed().as_secs_f64(),
        });
        if best.as_ref().is_none_or(|(loss, _, _)| judged < *loss) {
            best = Some((judged, epoch, inner));
        }
        let since = best.as_ref().map_or(0, |(_, at, _)| epoch - at);
        if out_of_time || deadline.is_some_and(|d| Instant::now() >= d) {
            stopped_by = "max_seconds";
            break;
        }
        if params.early_stopping && task.validation.is_some() && since >= params.patience {
            stopped_by = "early_stopping";
            break;
        }
    }
    let Some((_, best_epoch, net)) = best else {
        return Err(TrainError::Diverged { epoch: 0 });
    };
    let rare = rare_codes(&task.train);
    Ok(Trained {
        network: net.export(inputs, task.output, &rare),
        history,
        best_epoch,
        stopped_by,
    })
}

fn eta(seconds: f64, deadline: Option<Instant>) -> f64 {
    let left = deadline.map_or(f64::INFINITY, |d| {
        d.saturating_duration_since(Instant::now()).as_secs_f64()
    });
    seconds.max(0.0).min(left)
}

/// Per embedding, whether a training row has code 0.
fn rare_codes(train: &Examples<'_>) -> Vec<bool> {
    let categories = &train.matrix.inputs.categories;
    let width = categories.len().max(1);
    embedded(categories)
        .map(|c| {
            train
                .matrix
                .codes
                .chunks(width)
                .any(|codes| codes.get(c) == Some(&0))
        })
        .collect()
}
