//! Where a fit trains, and what is done where a GPU fails it.

use super::{Device, TrainError, Trained};
use crate::params::ValidParams;
use std::sync::{Once, OnceLock};
use std::time::Instant;

/// The share of the time there is that the CPU has at least.
const LEAST: f64 = 0.05;

/// The device of a fit.
pub struct Place {
    device: Device,
    /// The CPU stands in for it.
    or_cpu: bool,
    /// Why it did first.
    why: OnceLock<String>,
    /// It does from now on.
    given_up: Once,
    act: Box<dyn Fn() + Send + Sync>,
}

impl Place {
    /// A device, and no other.
    pub fn on(device: Device) -> Place {
        Place {
            device,
            or_cpu: false,
            why: OnceLock::new(),
            given_up: Once::new(),
            act: Box::new(|| ()),
        }
    }

    /// A device, or the CPU where that fails: from then on everything trains there.
    pub fn preferably(device: Device) -> Place {
        Place {
            or_cpu: true,
            ..Place::on(device)
        }
    }

    /// `act` is done before the CPU stands in for good.
    pub fn when_given_up(&mut self, act: impl Fn() + Send + Sync + 'static) {
        self.act = Box::new(act);
    }

    /// Where the next network trains.
    pub fn device(&self) -> Device {
        match self.given_up.is_completed() {
            true => Device::Cpu,
            false => self.device,
        }
    }

    /// Why the CPU stood in, if it did.
    pub fn given_up(&self) -> Option<&str> {
        self.why.get().map(String::as_str)
    }

    /// Trains there; once more, in the time that is left, where the device cannot be had, fails or computes something else than the CPU,
    /// and the CPU stands in, for good. `work` is given the device and the hyper-parameters.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn train(
        &self,
        params: &ValidParams,
        work: impl FnMut(&ValidParams, Device) -> Result<Trained, TrainError>,
    ) -> Result<Trained, TrainError> {
        self.train_beside(1, params, work)
    }

    /// The same of one of so many trainings that share the device: a GPU that has no room for one may have some for others, so that the
    /// CPU stands in for this one alone.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn train_beside(
        &self,
        trainings: usize,
        params: &ValidParams,
        mut work: impl FnMut(&ValidParams, Device) -> Result<Trained, TrainError>,
    ) -> Result<Trained, TrainError> {
        let (device, started) = (self.device(), Instant::now());
        let trained = work(params, device.shared(trainings));
        let why = match &trained {
            Err(error @ (TrainError::Device { detail, .. } | TrainError::Wrong { detail, .. })) => {
                format!("{error}: {detail}")
            }
            _ => return trained,
        };
        if !self.or_cpu || device == Device::Cpu {
            return trained;
        }
        let _ = self.why.set(why);
        if trainings == 1 {
            self.given_up.call_once(|| (self.act)());
        }
        let mut params = params.clone();
        let gone = started.elapsed().as_secs_f64();
        params.max_seconds = params.max_seconds.map(|s| (s - gone).max(s * LEAST));
        work(&params, Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Task;
    use crate::params::Params;
    use crate::train::Gpu;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    fn gpu() -> Device {
        Device::Cuda(Gpu { index: 0, room: 0 })
    }

    /// Trains where the GPU fails with an error; answers where it was tried, for how many seconds at most, and whether a model came of it.
    fn tried(place: &Place, error: &TrainError) -> (Vec<(Device, f64)>, bool) {
        tried_beside(1, place, error)
    }

    fn tried_beside(count: usize, place: &Place, error: &TrainError) -> (Vec<(Device, f64)>, bool) {
        let params = Params::from_json(&serde_json::Map::from_iter([(
            "max_seconds".into(),
            100.into(),
        )]));
        let params = params.unwrap().check(Task::Binary, 1000).unwrap();
        let mut tried = Vec::new();
        let trained = place.train_beside(count, &params, |params, device| {
            tried.push((device, params.max_seconds.unwrap()));
            match device {
                Device::Cuda(_) => Err(error.clone()),
                Device::Cpu => Ok(Trained {
                    parts: Vec::new(),
                    history: Vec::new(),
                    best_epoch: 0,
                    stopped_by: "epochs",
                    held_out: None,
                }),
            }
        });
        (tried, trained.is_ok())
    }

    #[test]
    fn the_cpu_stands_in_for_a_gpu_that_fails() {
        let wrong = TrainError::Wrong {
            device: "cuda:0".into(),
            detail: "The loss is 1 there, and 2 on the CPU.".into(),
        };
        let mut place = Place::preferably(gpu());
        let acted = Arc::new(AtomicUsize::new(0));
        let counted = acted.clone();
        place.when_given_up(move || {
            counted.fetch_add(1, Relaxed);
        });
        // One of several trials tells nothing of the others.
        let (first, trained) = tried_beside(4, &place, &wrong);
        assert_eq!((first.len(), trained), (2, true));
        assert_eq!((place.device(), acted.load(Relaxed)), (gpu(), 0));
        let (first, trained) = tried(&place, &wrong);
        let devices: Vec<Device> = first.iter().map(|(device, _)| *device).collect();
        assert_eq!((devices, trained), (vec![gpu(), Device::Cpu], true));
        assert!(first[0].1 == 100.0 && first[1].1 > 90.0 && first[1].1 <= 100.0);
        let why = place.given_up().unwrap();
        assert!(
            why.contains("cuda:0") && why.ends_with("on the CPU."),
            "{why}"
        );
        // It is not tried again.
        assert_eq!((place.device(), acted.load(Relaxed)), (Device::Cpu, 1));
        assert_eq!(tried(&place, &wrong), (vec![(Device::Cpu, 100.0)], true));
    }

    #[test]
    fn what_was_asked_for_is_not_replaced() {
        let gone = TrainError::Device {
            device: "cuda:0".into(),
            detail: "The driver lists no device.".into(),
        };
        let place = Place::on(gpu());
        assert_eq!(tried(&place, &gone), (vec![(gpu(), 100.0)], false));
        assert_eq!((place.given_up(), place.device()), (None, gpu()));
        // Nor does another device help against these.
        for error in [TrainError::Canceled, TrainError::Diverged { epoch: 3 }] {
            let place = Place::preferably(gpu());
            assert_eq!(tried(&place, &error), (vec![(gpu(), 100.0)], false));
            assert_eq!(place.given_up(), None);
        }
    }
}
