//! Training: batches, optimisers, early stopping; generic over Burn's backends.

use crate::{
    artifact::Epoch,
    models::{Network, Output},
    params::ValidParams,
    recipe::Matrix,
};

/// Where to train. `Cuda(i)` is device i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Cpu,
    Cuda(usize),
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
    #[error("training diverged: the loss is not a finite number")]
    Diverged { epoch: u32 },
    #[error("canceled")]
    Canceled,
}

/// Progress after each batch or so; the callback answers whether to go on.
#[derive(Debug, Clone, Default)]
pub struct Step {
    pub epoch: u32,
    pub epochs: u32,
    pub rows_per_second: f64,
    pub loss: f64,
    pub validation_loss: Option<f64>,
    pub eta_seconds: f64,
}

/// Prepared rows with what the network should answer and how much each row counts.
pub struct Examples<'a> {
    pub matrix: &'a Matrix,
    /// Class codes (0 or 1 for binary) or standardised values; length `rows`.
    pub targets: &'a [f32],
    /// Row weights (class weights applied), length `rows`; empty: all 1.
    pub weights: &'a [f32],
}

pub struct Trained {
    pub network: Network,
    pub history: Vec<Epoch>,
    pub best_epoch: u32,
    /// `epochs`, `early_stopping` or `max_seconds`.
    pub stopped_by: &'static str,
}

/// Trains a network with `outputs` outputs. The same seed, data and device give the same network, bit for bit on the CPU.
pub fn train(
    _train: Examples<'_>,
    _validation: Option<Examples<'_>>,
    _output: Output,
    _outputs: usize,
    _params: &ValidParams,
    _device: Device,
    _report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    todo!()
}

/// The devices of this machine, the CPU first. Opens no CUDA context and never panics.
pub fn devices() -> Vec<DeviceInfo> {
    todo!()
}

/// `auto`, `cpu`, `cuda` or `cuda:N` to a device. `auto` takes the GPU where one is found.
pub fn resolve_device(_name: &str) -> Result<Device, TrainError> {
    todo!()
}
