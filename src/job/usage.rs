//! What a job took: seconds of each phase, memory, the device.

use insight_engine::train::Device;
use insight_engine::trained::TrainedModel;
use std::cell::RefCell;
use std::time::Instant;

/// The phases a job went through, in order; one that comes again goes on.
#[derive(Default)]
pub struct Usage {
    phases: RefCell<Vec<(String, f64)>>,
    since: RefCell<Option<(String, Instant)>>,
    /// `cpu` or `cuda:0`.
    pub device: RefCell<Option<String>>,
}

impl Usage {
    /// A phase begins, which ends the one before.
    pub fn enter(&self, phase: &str) {
        let mut since = self.since.borrow_mut();
        if since.as_ref().is_some_and(|(now, _)| now == phase) {
            return;
        }
        if let Some((before, started)) = since.take() {
            self.add(before, started.elapsed().as_secs_f64());
        }
        *since = Some((phase.to_owned(), Instant::now()));
    }

    fn add(&self, phase: String, seconds: f64) {
        let mut phases = self.phases.borrow_mut();
        match phases.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, sum)) => *sum += seconds,
            None => phases.push((phase, seconds)),
        }
    }

    /// Seconds by phase; the last one ends here.
    pub fn seconds(&self) -> serde_json::Value {
        if let Some((last, started)) = self.since.borrow_mut().take() {
            self.add(last, started.elapsed().as_secs_f64());
        }
        let phases = self.phases.borrow();
        let seconds = phases
            .iter()
            .map(|(phase, s)| (phase.clone(), ((s * 1e4).round() / 1e4).into()));
        serde_json::Value::Object(seconds.collect())
    }

    /// The device that a model says it was trained on, where that could be another than was meant.
    pub fn device_of(&self, model: &[u8]) -> Option<String> {
        let meant = self.device.take()?;
        if meant == "cpu" {
            return Some(meant);
        }
        let model = TrainedModel::from_bytes(model).ok();
        Some(model.map_or(meant, |model| model.card().device.to_owned()))
    }
}

pub fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".into(),
        Device::Cuda(gpu) => format!("cuda:{}", gpu.index),
    }
}

/// The most memory that was resident at once, in bytes: of the trainers that have ended, or of this process itself.
pub fn peak_bytes(isolated: bool) -> Option<i64> {
    let whom = match isolated {
        true => libc::RUSAGE_CHILDREN,
        false => libc::RUSAGE_SELF,
    };
    // SAFETY: getrusage fills the structure it is given.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::getrusage(whom, &mut usage) != 0 {
            return None;
        }
        usage
    };
    // Linux counts in kilobytes.
    Some(usage.ru_maxrss * 1024).filter(|bytes| *bytes > 0)
}
