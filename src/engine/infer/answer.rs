//! What people read out of a row's predictions.

use super::{decide, ordinal};
use crate::artifact::{Artifact, Task};
use crate::survival::Curve;
use serde::{Deserialize, Serialize};

/// What a table of predictions says of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The one number that the predictions stand for, see [`Artifact::value`].
    pub prediction: Option<f64>,
    /// The label, as the user wrote it, and its probability (classification). Of a row that can have several labels an array of
    /// them, without a probability.
    pub label: Option<String>,
    pub probability: Option<f64>,
}

/// The answer that one row's predictions stand for.
pub fn answer(artifact: &Artifact, predictions: &[f64]) -> Answer {
    let class = artifact.class(predictions);
    let probability = match (artifact.task, predictions) {
        (Task::Binary, [positive]) if class == 0 => Some(1.0 - positive),
        (Task::Binary | Task::Multiclass | Task::Ordinal, all) => {
            all.get(class).or(all.first()).copied()
        }
        _ => None,
    };
    Answer {
        prediction: artifact.value(predictions),
        label: artifact.label(predictions),
        probability,
    }
}

impl Artifact {
    /// Makes what a row's parts answer together into what it stands for: a value in the target's units, a probability of each
    /// label.
    pub(crate) fn read(&self, row: &mut [f64]) {
        match self.task {
            Task::Regression | Task::Uplift => {
                row[0] = row[0] * self.target.scale + self.target.mean;
            }
            Task::Ordinal => ordinal::probabilities(row),
            Task::Binary | Task::Multiclass | Task::Multilabel | Task::Survival => {}
        }
    }

    /// Predictions of a row: binary 1 (probability of the positive class), multiclass, multilabel and ordinal one probability
    /// per label, regression 1 (the value), uplift 1 (the effect), survival one hazard per interval.
    pub fn width(&self) -> usize {
        match self.task {
            Task::Binary | Task::Regression | Task::Uplift => 1,
            Task::Multiclass | Task::Multilabel | Task::Ordinal => self.target.labels.len(),
            Task::Survival => self.target.ends.len(),
        }
    }

    /// The class code of a row.
    fn class(&self, predictions: &[f64]) -> usize {
        decide(self.task, self.settled.threshold, predictions)
    }

    /// The one number that a row's predictions stand for, where there is one: the probability of the positive class, the value,
    /// the effect, or the mean time until the event, restricted to the last interval's end.
    pub fn value(&self, predictions: &[f64]) -> Option<f64> {
        match self.task {
            Task::Binary | Task::Regression | Task::Uplift => predictions.first().copied(),
            Task::Multiclass | Task::Multilabel | Task::Ordinal => None,
            Task::Survival => Some(self.curve(predictions).restricted_mean()),
        }
    }

    /// The curve of a row's hazards (survival).
    pub fn curve<'p>(&'p self, hazards: &'p [f64]) -> Curve<'p> {
        Curve {
            ends: &self.target.ends,
            hazards,
        }
    }

    /// The labels of a row that can have several: those with a probability of 0.5 and more.
    pub fn labels<'p>(&'p self, predictions: &'p [f64]) -> impl Iterator<Item = &'p str> {
        let labels = self.target.labels.iter().zip(predictions);
        labels.filter(|(_, p)| **p >= 0.5).map(|(l, _)| l.as_str())
    }

    /// The label of a row, as the user wrote it, or all of them as an array; `None` for numbers.
    pub fn label(&self, predictions: &[f64]) -> Option<String> {
        match self.task {
            Task::Binary | Task::Multiclass | Task::Ordinal => {
                self.target.labels.get(self.class(predictions)).cloned()
            }
            Task::Multilabel => Some(array_literal(self.labels(predictions))),
            Task::Regression | Task::Survival | Task::Uplift => None,
        }
    }
}

/// Texts as PostgreSQL writes an array of them.
pub fn array_literal<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let quote = |text: &str| {
        let plain = !text.is_empty()
            && !text.eq_ignore_ascii_case("null")
            && !text.contains(|c: char| "{},\"\\".contains(c) || c.is_whitespace());
        match plain {
            true => text.to_owned(),
            false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    };
    format!("{{{}}}", texts.map(quote).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::array_literal;

    #[test]
    fn labels_are_quoted_where_an_array_needs_it() {
        let labels = ["plain", "two words", "a,b", "", "Null", "q\"\\"];
        let want = r#"{plain,"two words","a,b","","Null","q\"\\"}"#;
        assert_eq!(array_literal(labels.into_iter()), want);
        assert_eq!(array_literal(std::iter::empty()), "{}");
    }
}
