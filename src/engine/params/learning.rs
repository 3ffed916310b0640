//! How the weights of a network follow their gradients over a training, beside optimiser and learning rate.

use super::{ParamError, reader::Reader};
use crate::models::WeightKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::f64::consts::PI;

/// Which weights a network answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// Those of the last step.
    #[default]
    None,
    /// Their exponential moving average over the steps (Polyak and Juditsky 1992; Izmailov et al. 2018 average epochs).
    Ema,
}

/// How the learning rate goes over a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Falls as a half cosine to a tenth, epoch by epoch (Loshchilov and Hutter 2017).
    #[default]
    Cosine,
    Constant,
    /// Four cycles of growing length, each from 0 to the rate and back, step by step (Holzmüller et al. 2024, RealMLP).
    Coslog4,
}

impl Schedule {
    /// The share of the learning rate that a step has: `within` goes from 0 to 1 over the steps of epoch `epoch` (from 1).
    pub(crate) fn share(self, epoch: u32, within: f64, epochs: u32) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let done = f64::from(epoch - 1) / f64::from(epochs.max(2) - 1);
                0.1 + 0.45 * (1.0 + (PI * done).cos())
            }
            Schedule::Coslog4 => {
                let done = (f64::from(epoch - 1) + within) / f64::from(epochs.max(1));
                0.5 * (1.0 - (2.0 * PI * (1.0 + 15.0 * done).log2()).cos())
            }
        }
    }
}

/// Factors of the learning rate for kinds of weights that want another one than the layers' weights (Holzmüller et al. 2024).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateFactors {
    /// Of biases; with a transformer also of the shifts of norms and of what each token begins with.
    pub bias: f64,
    /// Vectors of categories and of words.
    pub embedding: f64,
    pub number_embedding: f64,
    /// What each member of a network multiplies the inputs by; what the norms of a transformer multiply by.
    pub scale: f64,
}

impl RateFactors {
    pub(crate) fn of(&self, kind: WeightKind) -> f64 {
        match kind {
            WeightKind::Weight => 1.0,
            WeightKind::Bias => self.bias,
            WeightKind::Embedding => self.embedding,
            WeightKind::NumberEmbedding => self.number_embedding,
            WeightKind::Scale => self.scale,
        }
    }
}

impl Default for RateFactors {
    fn default() -> RateFactors {
        RateFactors {
            bias: 1.0,
            embedding: 1.0,
            number_embedding: 1.0,
            scale: 1.0,
        }
    }
}

/// As given; `None` means the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct LearningOptions {
    pub averaging: Option<Averaging>,
    pub averaging_epochs: Option<f64>,
    pub schedule: Option<Schedule>,
    pub factors: Option<RateFactors>,
}

/// Checked and completed, under the names of the options.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Learning {
    pub weight_averaging: Averaging,
    /// Epochs whose steps count in the average, about.
    pub averaging_epochs: f64,
    pub learning_rate_schedule: Schedule,
    pub learning_rate_factors: RateFactors,
}

pub(super) const AVERAGINGS: &[(&str, Averaging)] =
    &[("none", Averaging::None), ("ema", Averaging::Ema)];

pub(super) const SCHEDULES: &[(&str, Schedule)] = &[
    ("cosine", Schedule::Cosine),
    ("constant", Schedule::Constant),
    ("coslog4", Schedule::Coslog4),
];

impl Reader<'_> {
    pub(super) fn learning(&self) -> Result<LearningOptions, ParamError> {
        Ok(LearningOptions {
            averaging: self.choice("weight_averaging", AVERAGINGS)?,
            averaging_epochs: self.number("averaging_epochs", 0.01, 1000.0)?,
            schedule: self.choice("learning_rate_schedule", SCHEDULES)?,
            factors: self.rate_factors()?,
        })
    }

    fn rate_factors(&self) -> Result<Option<RateFactors>, ParamError> {
        let option = "learning_rate_factors";
        let wrong = || {
            Self::wrong(
                option,
                "an object of numbers from 0 to 100 by bias, embedding, number_embedding or scale, such as {\"bias\": 0.1}",
            )
        };
        let Some(value) = self.get(option) else {
            return Ok(None);
        };
        let mut factors = RateFactors::default();
        for (name, value) in value.as_object().ok_or_else(wrong)? {
            let own = match name.as_str() {
                "bias" => &mut factors.bias,
                "embedding" => &mut factors.embedding,
                "number_embedding" => &mut factors.number_embedding,
                "scale" => &mut factors.scale,
                _ => return Err(wrong()),
            };
            let number = Value::as_f64(value).filter(|f| (0.0..=100.0).contains(f));
            *own = number.ok_or_else(wrong)?;
        }
        Ok(Some(factors))
    }
}

impl LearningOptions {
    /// The first option given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            ("weight_averaging", self.averaging.is_some()),
            ("averaging_epochs", self.averaging_epochs.is_some()),
            ("learning_rate_schedule", self.schedule.is_some()),
            ("learning_rate_factors", self.factors.is_some()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }

    /// `averaging` is the default of the algorithm.
    ///
    /// # Errors
    /// Epochs of an average without an average.
    pub(super) fn check(&self, averaging: Averaging) -> Result<Learning, ParamError> {
        let averaging = self.averaging.unwrap_or(averaging);
        if self.averaging_epochs.is_some() && averaging == Averaging::None {
            return Err(ParamError {
                option: "averaging_epochs".into(),
                message: "option \"averaging_epochs\" needs an average of weights".into(),
                hint: "Add \"weight_averaging\": \"ema\", or leave averaging_epochs out.".into(),
            });
        }
        Ok(Learning {
            weight_averaging: averaging,
            averaging_epochs: self.averaging_epochs.unwrap_or(1.0),
            learning_rate_schedule: self.schedule.unwrap_or_default(),
            learning_rate_factors: self.factors.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_go_as_published() {
        let share = |schedule: Schedule, done: f64| {
            let at = done * 1000.0;
            schedule.share(at.floor() as u32 + 1, at.fract(), 1000)
        };
        // A cycle ends at 1/15, 3/15, 7/15 and 1, with its middle where the logarithm is half way.
        for end in [0.0, 1.0 / 15.0, 0.2, 7.0 / 15.0, 1.0] {
            assert!(share(Schedule::Coslog4, end) < 1e-9, "{end}");
        }
        let top = (2f64.sqrt() - 1.0) / 15.0;
        assert!((share(Schedule::Coslog4, top) - 1.0).abs() < 1e-9);
        assert_eq!(share(Schedule::Constant, 0.7), 1.0);
        let cosine = |epoch| Schedule::Cosine.share(epoch, 0.3, 11);
        assert!((cosine(1) - 1.0).abs() < 1e-12 && (cosine(6) - 0.55).abs() < 1e-12);
        assert!((cosine(11) - 0.1).abs() < 1e-12);
    }
}
