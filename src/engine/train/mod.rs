//! Training: batches, optimisers, early stopping; generic over Burn's backends.

pub(crate) mod averaging;
#[cfg(any(test, feature = "cuda"))]
mod batch;
mod blend;
mod boost;
#[cfg(any(test, feature = "cuda"))]
mod burn;
pub(crate) mod cpu;
mod cuda;
mod device;
mod epochs;
mod folds;
mod forest;
mod linear;
mod loss;
mod place;
mod private;
mod rows;
mod start;

#[cfg(any(test, feature = "cuda"))]
pub(crate) use batch::Batch;
#[cfg(test)]
pub(crate) use batch::gather;
pub(crate) use boost::bytes_of_row as bin_bytes;
pub(crate) use cpu::{private::Cover, vector};
pub use device::{devices, resolve_device};
pub(crate) use loss::Objective;
pub use place::Place;
pub(crate) use private::{Course, take_steps, train_privately};
pub use rows::Rows;

use crate::{
    artifact::Epoch,
    infer::answers,
    models::{Model, Output, Part},
    params::{Algorithm, ValidParams},
    recipe::Matrix,
};

/// Starts the threads that share the work of this process, as many as the environment says; `false` where they cannot be had. Once in
/// a process.
pub fn start_threads() -> bool {
    rayon::ThreadPoolBuilder::new().build_global().is_ok()
}

/// Reports come at least this often.
pub(crate) const REPORT: std::time::Duration = std::time::Duration::from_millis(200);

/// Where to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Cpu,
    Cuda(Gpu),
}

/// A GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gpu {
    /// As in `cuda:0`.
    pub index: usize,
    /// Bytes that the rows of a training may take there; those of a part that takes more are sent batch by batch.
    pub room: u64,
}

impl Device {
    /// For each of so many trainings at the same time.
    pub(crate) fn shared(self, by: usize) -> Device {
        match self {
            Device::Cpu => self,
            Device::Cuda(gpu) => Device::Cuda(Gpu {
                room: gpu.room / by.max(1) as u64,
                ..gpu
            }),
        }
    }
}

/// A device that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeviceInfo {
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Such as the processor's or the GPU's name.
    pub name: String,
    pub memory_bytes: Option<u64>,
    pub available: bool,
    /// Why it is not available.
    pub note: Option<String>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum TrainError {
    #[error("device \"{device}\" is not available")]
    Device { device: String, detail: String },
    #[error("device \"{device}\" does not compute what the CPU does")]
    Wrong { device: String, detail: String },
    #[error("training diverged: the loss is not a finite number")]
    Diverged { epoch: u32 },
    #[error("canceled")]
    Canceled,
}

/// Progress after each batch or so; the callback answers whether to go on.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Whether it is trees that grow, and an epoch a round.
    pub boosting: bool,
    /// Whether an epoch has just ended.
    pub ended: bool,
    pub epoch: u32,
    pub epochs: u32,
    pub rows_per_second: f64,
    pub loss: f64,
    pub validation_loss: Option<f64>,
    pub eta_seconds: f64,
}

/// Prepared rows with what the network should answer and how much each row counts.
#[derive(Clone, Copy)]
pub struct Examples<'a> {
    pub matrix: &'a Matrix,
    /// Class codes of a softmax, length `rows`; else for each output a number (0 or 1 for a sigmoid, standardised or scaled
    /// values), row-major `[rows][outputs]`: NaN where the output does not count for the row.
    pub targets: &'a [f32],
    /// Row weights (class weights applied), length `rows`; empty: all 1.
    pub weights: &'a [f32],
}

impl Examples<'_> {
    /// Sum of the weights of some rows.
    fn weight(&self, rows: &[u32]) -> f64 {
        if self.weights.is_empty() {
            return rows.len() as f64;
        }
        let weight = |&row: &u32| f64::from(self.weights[row as usize]);
        rows.iter().map(weight).sum()
    }

    /// Some of them.
    pub(crate) fn some(&self, rows: &[u32]) -> Rows {
        let width = self.targets.len() / self.matrix.rows.max(1);
        let own = |row: &u32| &self.targets[*row as usize * width..(*row as usize + 1) * width];
        let weight = |row: &u32| self.weights.get(*row as usize).copied();
        Rows {
            matrix: self.matrix.some(rows),
            targets: rows.iter().flat_map(own).copied().collect(),
            weights: rows.iter().filter_map(weight).collect(),
        }
    }

    /// Mean of the rows' losses by their weights.
    fn mean(&self, losses: impl Iterator<Item = f64>) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, loss) in losses.enumerate() {
            let weight = self.weights.get(row).map_or(1.0, |w| f64::from(*w));
            sum += weight * loss;
            total += weight;
        }
        sum / f64::max(total, f64::MIN_POSITIVE)
    }
}

pub struct Trained {
    /// Their shares add up to 1.
    pub parts: Vec<Part>,
    pub history: Vec<Epoch>,
    pub best_epoch: u32,
    /// `epochs`, `early_stopping` or `max_seconds`.
    pub stopped_by: &'static str,
    /// What the model, or the part of it that has not seen a row, answers for rows that were held out.
    pub held_out: Option<HeldOut>,
}

/// Answers for rows that were held out while the model was trained: what calibration, thresholds and intervals can be
/// learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// Ascending; the training rows are counted first, from 0, then the validation rows. Usually the latter alone; all of both
    /// where each part of the rows was held out in turn.
    pub rows: Vec<u32>,
    /// Row-major `[rows.len()][outputs]`: probabilities, or standardised values.
    pub predictions: Vec<f64>,
}

impl HeldOut {
    /// Whether training rows, too, were held out; there are so many of these.
    pub(crate) fn in_turn(&self, train: usize) -> bool {
        self.rows.first().is_some_and(|row| (*row as usize) < train)
    }

    fn sorted(rows: Vec<u32>, predictions: Vec<f64>, outputs: usize) -> HeldOut {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|at| rows[*at]);
        let own = |at: &usize| &predictions[at * outputs..(at + 1) * outputs];
        HeldOut {
            predictions: order.iter().flat_map(own).copied().collect(),
            rows: order.iter().map(|at| rows[*at]).collect(),
        }
    }
}

impl Trained {
    /// The loss of each row that was held out, in their order; `None` where there are none.
    pub(crate) fn held_out_losses(
        &self,
        train: &Examples<'_>,
        validation: &Examples<'_>,
        output: Output,
        outputs: usize,
        params: &ValidParams,
    ) -> Option<Vec<f64>> {
        let held_out = self.held_out.as_ref()?;
        let objective = Objective::new(params, output, outputs).steep();
        let first = train.matrix.rows;
        let targets = held_out.rows.iter().flat_map(|&row| {
            let row = row as usize;
            match row.checked_sub(first) {
                Some(row) => objective.of(validation.targets, row),
                None => objective.of(train.targets, row),
            }
        });
        let targets: Vec<f32> = targets.copied().collect();
        Some(objective.each(&held_out.predictions, &targets).collect())
    }
}

/// One training, whatever the device.
struct Task<'a> {
    train: Examples<'a>,
    validation: Option<Examples<'a>>,
    output: Output,
    outputs: usize,
    params: &'a ValidParams,
    /// The last so many training rows are never held out.
    extra: usize,
}

impl<'a> Task<'a> {
    /// When a training that began at a time is out of it.
    fn deadline(&self, started: std::time::Instant) -> Option<std::time::Instant> {
        let seconds = self.params.max_seconds?;
        Some(started + std::time::Duration::from_secs_f64(seconds.min(1e9)))
    }

    fn objective(&self) -> Objective {
        Objective::new(self.params, self.output, self.outputs)
    }

    /// The same with other parameters.
    fn with<'b>(&self, params: &'b ValidParams) -> Task<'b>
    where
        'a: 'b,
    {
        Task { params, ..*self }
    }
}

/// Trains what `params.algorithm` asks for, with `outputs` outputs. The same seed, data and device give the same model, bit
/// for bit on the CPU.
pub fn train(
    train: Examples<'_>,
    validation: Option<Examples<'_>>,
    output: Output,
    outputs: usize,
    params: &ValidParams,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    train_with_extra(
        train, 0, validation, output, outputs, params, device, report,
    )
}

/// The same where the last `extra` training rows teach, but are never held out.
#[allow(clippy::too_many_arguments)]
pub(crate) fn train_with_extra(
    train: Examples<'_>,
    extra: usize,
    validation: Option<Examples<'_>>,
    output: Output,
    outputs: usize,
    params: &ValidParams,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let task = Task {
        train,
        validation,
        output,
        outputs,
        params,
        extra,
    };
    run(&task, device, report)
}

fn run(
    task: &Task<'_>,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let (output, outputs) = (task.output, task.outputs);
    let mut trained = one(task, device, report)?;
    if trained.held_out.is_none()
        && let (Some(unseen), [part]) = (&task.validation, &trained.parts[..])
    {
        let first = task.train.matrix.rows as u32;
        trained.held_out = Some(HeldOut {
            rows: (first..first + unseen.matrix.rows as u32).collect(),
            predictions: answers(&part.model, output, outputs, unseen.matrix),
        });
    }
    Ok(trained)
}

/// Trains what is asked for.
fn one(
    task: &Task<'_>,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    match task.params.algorithm {
        Algorithm::Dnn | Algorithm::Mlp => network(task, device, report),
        Algorithm::Gbdt => boost::chosen(task, report),
        Algorithm::Linear => linear::linear(task, report),
        Algorithm::RandomForest => forest::forest(task, report),
        Algorithm::Transformer => transformer(task, device, report),
        Algorithm::Auto => blend::auto(task, device, report),
    }
}

/// Trains a network.
fn network(
    task: &Task<'_>,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    let network = start::network(task);
    let trained = match device {
        Device::Cpu => epochs::run(task, cpu::Cpu::new(task, network), report),
        Device::Cuda(gpu) => cuda::run(task, Model::Network(network), gpu, report),
    };
    Ok(cleared(trained?, &task.train))
}

/// Trains a transformer.
fn transformer(
    task: &Task<'_>,
    device: Device,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    // Parameters of this algorithm have it; those of another that were made this one's have not.
    let of = task.params.attention.unwrap_or_default();
    let model = start::transformer(task, of);
    let trained = match device {
        Device::Cpu => epochs::run(task, cpu::Attentive::new(task, model), report),
        Device::Cuda(gpu) => cuda::run(task, Model::Transformer(model), gpu, report),
    };
    Ok(cleared(trained?, &task.train))
}

/// The vectors of codes that training has not met are cleared.
fn cleared(mut trained: Trained, train: &Examples<'_>) -> Trained {
    for part in &mut trained.parts {
        match &mut part.model {
            Model::Network(own) => start::clear_unmet(&own.inputs, &mut own.embeddings, train),
            Model::Transformer(own) => start::clear_unmet(&own.inputs, &mut own.embeddings, train),
            Model::Trees(_) => {}
        }
    }
    trained
}
