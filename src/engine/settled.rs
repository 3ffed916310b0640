//! What is settled about a trained model on rows that were held out of training: how its answers are to be read.

use crate::artifact::{ArtifactError, Task};
use crate::calibrate::Calibration;
use crate::conformal::Conformal;
use crate::decision::Profit;
use crate::evaluate::HeldOut;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Settled {
    /// Of probabilities, once the parts' answers are added up.
    pub calibration: Calibration,
    /// From which probability the positive label is answered.
    pub threshold: f64,
    /// What decisions earn, where it was said.
    pub profit: Option<Profit>,
    /// Rows of the relation trained on that may be answered with the positive label, where it was said.
    pub capacity: Option<u64>,
    pub conformal: Conformal,
    /// What came of the rows the model was scored on.
    pub held_out: HeldOut,
}

impl Default for Settled {
    fn default() -> Settled {
        Settled {
            calibration: Calibration::None,
            threshold: 0.5,
            profit: None,
            capacity: None,
            conformal: Conformal::default(),
            held_out: HeldOut::default(),
        }
    }
}

impl Settled {
    /// Does it fit a model of this task with so many labels and predictions of a row?
    ///
    /// # Errors
    /// [`ArtifactError::Damaged`] names what does not.
    pub(crate) fn check(
        &self,
        task: Task,
        labels: usize,
        width: usize,
    ) -> Result<(), ArtifactError> {
        let damaged = |what: &str| Err(ArtifactError::Damaged(what.into()));
        let calibration = &self.calibration;
        if !calibration.is_sound(task) || calibration.labels().is_some_and(|of| of != labels) {
            return damaged("the calibration does not hold together");
        }
        if !self.threshold.is_finite() || self.profit.is_some_and(|p| !p.is_finite()) {
            return damaged("the threshold or the profit is not a finite number");
        }
        if !self.conformal.is_sound(task) {
            return damaged("the errors of held-out rows do not hold together");
        }
        if !self.held_out.is_sound(task, labels, width) {
            return damaged("the outcomes of held-out rows do not hold together");
        }
        Ok(())
    }
}
