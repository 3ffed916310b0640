//! What the targets of rows are to training, to preparing features and to judging.

use super::{Answers, FitError, Scale};
use crate::artifact::Task;
use crate::evaluate::{Baseline, Gauge, Truth};
use crate::infer::array_literal;
use crate::models::Output;
use crate::params::{ClassWeight, Loss, ValidParams};

impl Answers {
    pub(in crate::fit) fn code(&self, row: u32) -> u32 {
        self.codes.get(row as usize).copied().unwrap_or(0)
    }

    /// Mean and standard deviation of the values of rows; 0 and the mean for logarithms.
    fn moments(&self, rows: &[u32], log: bool) -> (f64, f64) {
        let count = rows.len().max(1) as f64;
        let values = || rows.iter().map(|row| self.values[*row as usize]);
        let mean = values().sum::<f64>() / count;
        let or_one = |scale: f64| match scale > 0.0 && scale.is_finite() {
            true => scale,
            false => 1.0,
        };
        if log {
            return (0.0, or_one(mean));
        }
        let variance = values().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        (mean, or_one(variance.sqrt()))
    }

    /// How the training rows say that targets become what a model learns.
    pub(in crate::fit) fn scale(
        &self,
        rows: &[u32],
        params: &ValidParams,
    ) -> Result<Scale, FitError> {
        let log = params.loss.of_logarithms();
        let (mean, factor) = match self.task {
            Task::Regression => self.moments(rows, log),
            Task::Uplift if self.labels.is_empty() => self.moments(rows, false),
            _ => (0.0, 1.0),
        };
        let ends = match self.task {
            Task::Survival => self.intervals(rows)?,
            _ => Vec::new(),
        };
        Ok(Scale {
            mean,
            factor,
            log,
            ends,
            uplift: None,
        })
    }

    /// What the outputs mean, and how many there are.
    pub(in crate::fit) fn output(&self, scale: &Scale) -> (Output, usize) {
        let count = match self.task {
            Task::Survival => scale.ends.len(),
            _ => self.labels.len(),
        };
        Output::of(self.task, count, scale.log)
    }

    /// # Errors
    /// A loss of logarithms with negative targets.
    pub(in crate::fit) fn check_loss(
        &self,
        target: &str,
        params: &ValidParams,
    ) -> Result<(), FitError> {
        let negative = |row: &&u32| self.values.get(**row as usize).is_some_and(|v| *v < 0.0);
        let negative = self.rows.iter().filter(negative).count();
        if !params.loss.of_logarithms() || negative == 0 {
            return Ok(());
        }
        let loss = params.loss.name();
        Err(FitError::new(
            "22023",
            format!("target \"{target}\" is negative in {negative} rows, which loss {loss} cannot learn"),
        )
        .hint("Leave these rows out with a WHERE clause, or use the loss huber or mean_squared_error."))
    }

    /// What the outputs should be, as [`crate::train::Examples`] has it.
    pub(in crate::fit) fn network_targets(&self, rows: &[u32], scale: &Scale) -> Vec<f32> {
        let each = |of: &dyn Fn(u32) -> f32| rows.iter().map(|row| of(*row)).collect();
        let flag = |of: bool| f32::from(u8::from(of));
        match self.task {
            Task::Regression => {
                each(&|row| ((self.values[row as usize] - scale.mean) / scale.factor) as f32)
            }
            Task::Uplift if self.labels.is_empty() => {
                each(&|row| ((self.values[row as usize] - scale.mean) / scale.factor) as f32)
            }
            Task::Binary | Task::Multiclass | Task::Uplift => each(&|row| self.code(row) as f32),
            Task::Survival => self.survived(rows, &scale.ends),
            Task::Multilabel => {
                let sets = rows.iter().flat_map(|row| self.set(*row));
                sets.map(|has| flag(*has)).collect()
            }
            Task::Ordinal => {
                let above = 0..self.labels.len() as u32 - 1;
                let cells = rows
                    .iter()
                    .flat_map(|row| above.clone().map(move |k| (*row, k)));
                cells.map(|(row, k)| flag(self.code(row) > k)).collect()
            }
        }
    }

    /// What is true of rows, to score a model by.
    pub(in crate::fit) fn truth(&self, rows: &[u32]) -> Truth {
        match self.task {
            Task::Regression => {
                Truth::Values(rows.iter().map(|row| self.values[*row as usize]).collect())
            }
            Task::Binary | Task::Multiclass | Task::Ordinal => {
                Truth::Classes(rows.iter().map(|row| self.code(*row)).collect())
            }
            Task::Multilabel => {
                let sets = rows.iter().flat_map(|row| self.set(*row));
                Truth::Labels(sets.copied().collect())
            }
            Task::Uplift => Truth::Uplift {
                outcomes: self.outcomes(rows),
                treated: self.treated(rows),
            },
            Task::Survival => Truth::Survival {
                times: rows.iter().map(|row| self.values[*row as usize]).collect(),
                events: rows.iter().map(|row| self.marks[*row as usize]).collect(),
            },
        }
    }

    /// What is true of a row, in words; a time that was cut short ends in `+`.
    pub(in crate::fit) fn actual(&self, row: u32) -> String {
        let at = row as usize;
        match self.task {
            Task::Multilabel => {
                let own = self
                    .labels
                    .iter()
                    .zip(self.set(row))
                    .filter(|(_, has)| **has);
                array_literal(own.map(|(label, _)| label.as_str()))
            }
            Task::Survival if !self.marks[at] => format!("{}+", self.values[at]),
            _ if self.labels.is_empty() => self.values[at].to_string(),
            _ => self.labels[self.code(row) as usize].clone(),
        }
    }

    /// The same as one class or one value for each row, for what prepares and chooses features.
    pub(in crate::fit) fn guide(&self, rows: &[u32]) -> Truth {
        let values =
            |of: &dyn Fn(u32) -> f64| Truth::Values(rows.iter().map(|row| of(*row)).collect());
        match self.task {
            Task::Ordinal => values(&|row| f64::from(self.code(row))),
            Task::Survival => Truth::Values(self.residuals(rows)),
            Task::Uplift if self.labels.is_empty() => Truth::Values(self.outcomes(rows)),
            Task::Uplift => Truth::Classes(rows.iter().map(|row| self.code(*row)).collect()),
            Task::Multilabel => {
                values(&|row| self.set(row).iter().filter(|has| **has).count() as f64)
            }
            _ => self.truth(rows),
        }
    }

    /// Classes of [`Answers::guide`]; 0 for values.
    pub(in crate::fit) fn guide_classes(&self) -> usize {
        match self.task {
            Task::Binary | Task::Multiclass | Task::Uplift => self.labels.len(),
            _ => 0,
        }
    }

    /// Whether the target is a number to be estimated rather than classes.
    pub(in crate::fit) fn is_number(&self) -> bool {
        self.guide_classes() == 0
            && matches!(self.task, Task::Regression | Task::Survival | Task::Uplift)
    }

    /// Rows that should have their share in each part, by number.
    pub(in crate::fit) fn stratum(&self, row: u32) -> usize {
        match self.task {
            Task::Regression => 0,
            Task::Multilabel => self.rarest(row),
            Task::Survival => usize::from(self.marks[row as usize]),
            Task::Uplift => 2 * self.code(row) as usize + usize::from(self.marks[row as usize]),
            _ => self.code(row) as usize,
        }
    }

    /// How many strata there are.
    pub(in crate::fit) fn strata(&self) -> usize {
        // One more for rows without a label, twice as many by treatment.
        2 * self.labels.len().max(1) + 1
    }

    /// A class that none of the rows has. A label of many may be lacking.
    pub(in crate::fit) fn lacking(&self, rows: &[u32]) -> Option<usize> {
        if self.labels.is_empty() || self.task == Task::Multilabel {
            return None;
        }
        self.counts(rows).iter().position(|count| *count == 0)
    }

    pub(super) fn counts(&self, rows: &[u32]) -> Vec<usize> {
        let mut counts = vec![0usize; self.labels.len()];
        for &row in rows {
            if self.task == Task::Multilabel {
                let set = counts.iter_mut().zip(self.set(row));
                set.for_each(|(count, has)| *count += usize::from(*has));
            } else {
                counts[self.code(row) as usize] += 1;
            }
        }
        counts
    }

    pub(in crate::fit) fn baseline(
        &self,
        rows: &[u32],
        params: &ValidParams,
        scale: &Scale,
    ) -> Baseline {
        if self.task == Task::Survival {
            return self.kaplan_meier(rows, &scale.ends);
        }
        if self.task == Task::Uplift {
            return self.average_effect(rows);
        }
        if self.task == Task::Regression {
            let quantile = |q: f64| {
                let mut values: Vec<f64> = rows.iter().map(|r| self.values[*r as usize]).collect();
                values.sort_unstable_by(f64::total_cmp);
                let at = (values.len().saturating_sub(1) as f64 * q).round() as usize;
                values.get(at).copied().unwrap_or(0.0)
            };
            let mean = self.moments(rows, false).0;
            let (value, gauge) = match params.loss {
                Loss::MeanAbsoluteError => (quantile(0.5), Gauge::Absolute),
                Loss::Quantile => (quantile(params.quantile), Gauge::Pinball(params.quantile)),
                Loss::Poisson => (mean, Gauge::Poisson),
                Loss::Tweedie => (mean, Gauge::Tweedie(params.tweedie_power)),
                _ => return Baseline::Mean(mean),
            };
            return Baseline::Value { value, gauge };
        }
        let count = rows.len().max(1) as f64;
        let counts = self.counts(rows).into_iter();
        let shares = counts.map(|c| c as f64 / count).collect();
        match self.task {
            Task::Multilabel => Baseline::Rates(shares),
            _ => Baseline::Shares(shares),
        }
    }

    /// Row weights of the training rows, those of their labels times those of their groups; empty where all are 1.
    pub(in crate::fit) fn weights(
        &self,
        rows: &[u32],
        wanted: &ClassWeight,
    ) -> Result<Vec<f32>, FitError> {
        let of_labels = self.label_weights(rows, wanted)?;
        let fair = self.fair.as_ref();
        let Some(factors) = fair.and_then(|fair| fair.factors(rows, |row| self.code(row))) else {
            return Ok(of_labels);
        };
        let weight = |at: usize| of_labels.get(at).map_or(1.0, |w| f64::from(*w));
        let both = factors.iter().enumerate();
        Ok(both
            .map(|(at, factor)| (factor * weight(at)) as f32)
            .collect())
    }

    /// Balanced: n / (classes · rows of the class).
    fn label_weights(&self, rows: &[u32], wanted: &ClassWeight) -> Result<Vec<f32>, FitError> {
        let by_class: Vec<f64> = match wanted {
            ClassWeight::None => return Ok(Vec::new()),
            _ if !matches!(self.task, Task::Binary | Task::Multiclass | Task::Ordinal) => {
                return Err(FitError::new(
                    "22023",
                    "option \"class_weight\" needs a target of classes",
                ));
            }
            ClassWeight::Balanced => {
                let share = rows.len() as f64 / self.labels.len() as f64;
                self.counts(rows)
                    .into_iter()
                    .map(|count| share / count.max(1) as f64)
                    .collect()
            }
            ClassWeight::PerLabel(weights) => {
                if let Some(unknown) = weights.keys().find(|label| !self.labels.contains(label)) {
                    return Err(FitError::new(
                        "22023",
                        format!("class_weight names the unknown label \"{unknown}\""),
                    )
                    .hint(format!("Known are: {}.", self.labels.join(", "))));
                }
                self.labels
                    .iter()
                    .map(|label| weights.get(label).copied().unwrap_or(1.0))
                    .collect()
            }
        };
        Ok(rows
            .iter()
            .map(|row| by_class[self.code(*row) as usize] as f32)
            .collect())
    }
}
