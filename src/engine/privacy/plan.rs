//! How a budget is divided among what is told of the rows, and what came of it.

use super::Privacy;
use super::accountant::Accountant;
use super::marginals::Cost;
use crate::evaluate::Metric;
use serde::{Deserialize, Serialize};

/// Of a delta, the share that is for texts which should not be known.
const FOR_TEXTS: f64 = 0.1;

/// How much noise each part of a training has.
#[derive(Debug, Clone)]
pub struct Plan {
    pub epsilon: f64,
    pub delta: f64,
    /// The noise of what is asked about columns; `None`: nothing is.
    pub preparation: Option<Cost>,
    /// What was told before training, for the delta that is left.
    before: Accountant,
    /// Without the share for texts.
    rest: f64,
    /// Standard deviation of a step's noise, in multiples of the norm to which a unit's gradient is shortened.
    pub noise_multiplier: f64,
    /// The probability with which a unit is in a step's sample.
    pub rate: f64,
    pub steps: u32,
}

/// What a model has spent, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    pub epsilon: f64,
    pub delta: f64,
    /// What was asked for.
    pub epsilon_asked: f64,
    /// Always `renyi`.
    pub accountant: String,
    pub noise_multiplier: f64,
    pub sampling_rate: f64,
    pub steps: u32,
    pub clip: f64,
    pub unit: Option<String>,
    pub rows_per_unit: usize,
    /// Units that were trained on.
    pub units: u64,
    /// Noise multiplier of what was asked about columns; `None`: nothing was.
    pub preparation_noise: Option<f64>,
    /// Columns that were asked about.
    pub prepared: Vec<String>,
    /// What the scores on test rows cost their units, which no training has seen.
    pub scores_epsilon: f64,
    /// What the user should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Spent {
    /// Beside a model's scores.
    pub(crate) fn metrics(&self) -> [Metric; 2] {
        [("epsilon", self.epsilon), ("delta", self.delta)].map(|(name, value)| Metric {
            metric: name.into(),
            class: None,
            value,
            low: value,
            high: value,
            baseline: None,
        })
    }
}

impl Plan {
    /// Divides the budget: `asked` questions about columns, of which some may be about `texts`, then as many steps as `epochs` take on
    /// samples of the `rate`. `None` where no noise is enough, because epsilon is too small for the delta.
    pub fn new(
        privacy: &Privacy,
        delta: f64,
        (asked, texts): (usize, bool),
        (rate, epochs): (f64, f64),
    ) -> Option<Plan> {
        let epsilon = privacy.epsilon;
        let for_texts = if texts { FOR_TEXTS * delta } else { 0.0 };
        let rest = delta - for_texts;
        let steps = (epochs / rate).ceil().clamp(1.0, 1e9);
        let mut before = Accountant::new();
        let mut preparation = None;
        if asked > 0 {
            // Of Gaussian mechanisms, the squares of 1 / noise add up.
            let whole = before.noise_multiplier(epsilon, rest, 1.0, 1.0)?;
            let noise_multiplier = whole / privacy.preparation.sqrt();
            before = before.gaussian(noise_multiplier, 1.0, 1.0);
            preparation = Some(Cost {
                noise_multiplier,
                delta: for_texts,
                rows_per_unit: privacy.rows_per_unit,
            });
        }
        let noise_multiplier = before.noise_multiplier(epsilon, rest, rate, steps)?;
        Some(Plan {
            epsilon,
            delta,
            preparation,
            before,
            rest,
            noise_multiplier,
            rate,
            steps: steps as u32,
        })
    }

    /// What has been spent after so many steps.
    pub fn spent(&self, steps: u32) -> f64 {
        let told = self.before.clone();
        told.gaussian(self.noise_multiplier, self.rate, f64::from(steps))
            .epsilon(self.rest)
    }

    /// What a training of so many steps has spent. Of all units some were trained on; of the others, if there are such, scores were `told`.
    pub(crate) fn spending(
        &self,
        privacy: &Privacy,
        steps: u32,
        (trained, all): (usize, usize),
        prepared: Vec<String>,
        told: bool,
    ) -> Spent {
        Spent {
            epsilon: match told {
                false => self.spent(steps),
                // Units that scores are told of cost all that training may.
                true => self.epsilon,
            },
            delta: self.delta,
            epsilon_asked: privacy.epsilon,
            accountant: "renyi".into(),
            noise_multiplier: self.noise_multiplier,
            sampling_rate: self.rate,
            steps,
            clip: privacy.clip,
            unit: privacy.unit.clone(),
            rows_per_unit: privacy.rows_per_unit,
            units: trained as u64,
            preparation_noise: self.preparation.map(|cost| cost.noise_multiplier),
            prepared,
            scores_epsilon: if told {
                self.left_without_training()
            } else {
                0.0
            },
            warnings: warnings(self.delta, all),
        }
    }

    /// What is left, of the same budget, for units that no step has seen: they were only asked about.
    pub fn left_without_training(&self) -> f64 {
        match self.preparation {
            None => self.epsilon,
            Some(_) => self.epsilon - self.before.epsilon(self.rest),
        }
    }
}

/// What the user should know of such a delta.
fn warnings(delta: f64, units: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if delta * units as f64 >= 1.0 {
        warnings.push(format!(
            "delta {delta:e} is not below 1 / units ({units}): a model that told all of some units would keep to it"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(epsilon: f64, asked: usize, texts: bool) -> Plan {
        let options = json!({"privacy": {"epsilon": epsilon}});
        let privacy = super::super::given(options.as_object().expect("an object"));
        let privacy = privacy.expect("sound").expect("given");
        Plan::new(&privacy, 1e-5, (asked, texts), (0.05, 10.0)).expect("there is one")
    }

    #[test]
    fn all_parts_together_keep_to_the_budget() {
        for epsilon in [0.5, 3.0, 8.0] {
            for (asked, texts) in [(0, false), (5, false), (5, true)] {
                let plan = plan(epsilon, asked, texts);
                assert_eq!(plan.steps, 200);
                let spent = plan.spent(plan.steps);
                assert!(
                    spent <= epsilon && spent > 0.99 * epsilon,
                    "{spent} of {epsilon}"
                );
                assert!(plan.spent(100) < spent);
                let left = plan.left_without_training();
                assert!(
                    left > 0.4 * epsilon && left <= epsilon,
                    "{left} of {epsilon}"
                );
                assert_eq!(plan.preparation.is_some(), asked > 0);
            }
        }
    }

    #[test]
    fn questions_cost_training_little() {
        let (with, without) = (plan(3.0, 9, true), plan(3.0, 0, false));
        assert!(with.noise_multiplier > without.noise_multiplier);
        assert!(with.noise_multiplier < 1.15 * without.noise_multiplier);
    }
}
