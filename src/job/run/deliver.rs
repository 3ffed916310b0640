//! What becomes of a finished job's model: it is handed to the waiting caller, or stored.

use super::{Run, answer};
use crate::error::{Error, Result};
use crate::job::queue::{self, Ending};
use crate::job::shared::{Segment, State};
use crate::job::worker::transaction;
use crate::store::publish::{self, Publication};
use insight_engine::trained::TrainedModel;
use pgrx::pg_sys;

impl Run<'_> {
    /// Gives the artifact to the waiting caller, who stores it in its own transaction.
    pub fn hand_over(&self, bytes: &[u8]) -> Result<()> {
        let payload = Segment::with_bytes(&[bytes, &self.seen].concat());
        self.control
            .seen_bytes
            .store(self.seen.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.control
            .payload_bytes
            .store(bytes.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.control
            .payload
            .store(payload.handle(), std::sync::atomic::Ordering::Relaxed);
        self.control.set_state(State::Result);
        self.wake_caller();
        loop {
            match self.control.state() {
                State::Stored => return Ok(()),
                State::NotStored => {
                    let stated = serde_json::from_slice(&self.control.note()).ok();
                    return Err(stated
                        .unwrap_or_else(|| Error::new("58000", "the model could not be stored")));
                }
                _ => {}
            }
            if let Some(error) = self.interrupted() {
                return Err(error);
            }
            self.sleep(None);
        }
    }

    /// Stores the model and the job's success in one transaction.
    pub fn store(&self, bytes: &[u8]) -> Result<()> {
        let model = TrainedModel::from_bytes(bytes).map_err(|e| {
            Error::new("XX000", "the trainer's model cannot be read").detail(e.to_string())
        })?;
        transaction(|| {
            let publication = Publication {
                model: &self.spec.model,
                role: self.spec.role.into(),
                job: Some(self.job),
                relation: &self.spec.relation,
                source: &self.spec.again,
                options: &self.spec.options,
                target: &self.spec.target,
                deploy: self.spec.deploy,
                reason: "trained",
                promote: self.spec.promote,
                champion: self.spec.champion.as_ref(),
                seconds: self.started.elapsed().as_secs_f64(),
                seen: &self.seen,
            };
            let published = publish::publish(&publication, &model.card(), bytes)?;
            queue::finish(
                self.job,
                &Ending::Succeeded {
                    version: Some(published.version),
                },
            )
        })
    }

    pub fn answer_error(&self, error: &Error) {
        answer(self.control, State::Failed, error);
        self.wake_caller();
    }

    fn wake_caller(&self) {
        let pid = self
            .control
            .caller_pid
            .load(std::sync::atomic::Ordering::Relaxed);
        // SAFETY: the latch of a PGPROC that was just looked up; PGPROCs live as long as the server.
        unsafe {
            let process = pg_sys::BackendPidGetProc(pid);
            if !process.is_null() {
                pg_sys::SetLatch(&raw mut (*process).procLatch);
            }
        }
    }
}
