//! Training on a GPU.

use super::{Gpu, Step, Task, TrainError, Trained};
use crate::models::Model;

/// Trains a network or a transformer from where it is.
#[cfg(feature = "cuda")]
pub(super) fn run(
    task: &Task<'_>,
    model: Model,
    gpu: Gpu,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    use super::burn::{Burn, check};
    use super::epochs;
    use crate::models::{network::Net, transformer_net::TransformerNet};
    use ::burn::tensor::backend::Backend as _;
    type Cuda = ::burn::backend::Autodiff<burn_cuda::Cuda>;

    let name = format!("cuda:{}", gpu.index);
    let failed = |detail: String| TrainError::Device {
        device: name.clone(),
        detail,
    };
    let device = burn_cuda::CudaDevice::new(gpu.index);
    // Burn panics where the driver refuses; the trainer must say so instead.
    let work = std::panic::AssertUnwindSafe(|| match &model {
        Model::Network(network) => {
            let net = || Net::<Cuda>::new(network, &device);
            check(task, &model, net(), &device, &name)?;
            epochs::run(
                task,
                Burn::new(task, model.clone(), net(), &device, gpu.room),
                report,
            )
        }
        Model::Transformer(own) => {
            let net = || TransformerNet::<Cuda>::new(own, &device);
            check(task, &model, net(), &device, &name)?;
            epochs::run(
                task,
                Burn::new(task, model.clone(), net(), &device, gpu.room),
                report,
            )
        }
        Model::Trees(_) => Err(failed("trees train on the CPU".into())),
    });
    let trained = std::panic::catch_unwind(work);
    // What the next training needs may be of another size. A device that could not be opened refuses this, too.
    let _ = std::panic::catch_unwind(|| Cuda::memory_cleanup(&device));
    trained.unwrap_or_else(|panic| {
        let detail = panic.downcast_ref::<String>().map(String::as_str);
        let detail = detail.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(failed(
            detail.unwrap_or("the driver gave no reason").to_owned(),
        ))
    })
}

#[cfg(not(feature = "cuda"))]
pub(super) fn run(
    _: &Task<'_>,
    _: Model,
    gpu: Gpu,
    _: &mut dyn FnMut(&Step) -> bool,
) -> Result<Trained, TrainError> {
    Err(TrainError::Device {
        device: format!("cuda:{}", gpu.index),
        detail: "this build of insight has no CUDA support".into(),
    })
}
