//! Decisions: from which probability a binary model answers its positive label.

use crate::evaluate::{Cut, Ranked};
use serde::{Deserialize, Serialize};

/// What the threshold should make large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    F1,
    BalancedAccuracy,
    Profit,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Threshold {
    At(f64),
    Best(Goal),
}

/// What each kind of decision earns, a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Profit {
    #[serde(default)]
    pub tp: f64,
    #[serde(default)]
    pub fp: f64,
    #[serde(default, rename = "fn")]
    pub fn_: f64,
    #[serde(default)]
    pub tn: f64,
}

/// How a binary model decides, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Decision {
    #[serde(default)]
    pub threshold: Option<Threshold>,
    #[serde(default)]
    pub profit: Option<Profit>,
    /// Rows of the relation that are answered with the positive label at most.
    #[serde(default)]
    pub capacity: Option<u64>,
}

impl Profit {
    /// Of the options' names.
    pub const KEYS: [&'static str; 4] = ["tp", "fp", "fn", "tn"];

    pub fn of(&self, cut: &Cut) -> f64 {
        self.tp * cut.true_positives as f64
            + self.fp * cut.false_positives as f64
            + self.fn_ * cut.false_negatives as f64
            + self.tn * cut.true_negatives as f64
    }

    pub fn is_finite(&self) -> bool {
        [self.tp, self.fp, self.fn_, self.tn]
            .iter()
            .all(|v| v.is_finite())
    }
}

impl Goal {
    fn value(self, cut: &Cut, profit: Option<&Profit>) -> f64 {
        let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        let (tp, fp) = (cut.true_positives, cut.false_positives);
        let (missed, tn) = (cut.false_negatives, cut.true_negatives);
        match self {
            Goal::F1 => ratio(2 * tp, 2 * tp + fp + missed),
            Goal::BalancedAccuracy => (ratio(tp, tp + missed) + ratio(tn, tn + fp)) / 2.0,
            Goal::Profit => profit.map_or(0.0, |p| p.of(cut)),
        }
    }
}

/// How many of the cuts are within a capacity of so many of `of` rows: always the first, which contacts nobody.
pub fn allowed(cuts: &[Cut], capacity: Option<u64>, of: u64) -> usize {
    let Some(capacity) = capacity else {
        return cuts.len();
    };
    let within = |cut: &Cut| {
        u128::from(cut.contacted()) * u128::from(of)
            <= u128::from(capacity) * u128::from(cut.rows())
    };
    cuts.partition_point(within).max(1).min(cuts.len())
}

/// The position of the cut with the largest profit, the first of several, among those allowed.
pub fn most_profitable(cuts: &[Cut], allowed: usize, profit: &Profit) -> usize {
    best(&cuts[..allowed.min(cuts.len())], Goal::Profit, Some(profit))
}

fn best(cuts: &[Cut], goal: Goal, profit: Option<&Profit>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, cut) in cuts.iter().enumerate() {
        let value = goal.value(cut, profit);
        if value > best.1 {
            best = (i, value);
        }
    }
    best.0
}

impl Decision {
    /// The threshold for a relation of `rows` rows, found on rows that were held out; `usual` where none is asked for.
    /// Without such rows a goal and a capacity cannot be met, and it is the one asked for, or `usual`.
    pub fn threshold(&self, held_out: &Ranked, rows: u64, usual: f64) -> f64 {
        let cuts = held_out.cuts();
        let allowed = allowed(&cuts, self.capacity, rows);
        let lowest = match allowed < cuts.len() {
            true => cuts[allowed - 1].threshold,
            false => 0.0,
        };
        match self.threshold {
            Some(Threshold::Best(goal)) if held_out.rows() > 0 => {
                cuts[best(&cuts[..allowed], goal, self.profit.as_ref())].threshold
            }
            Some(Threshold::At(threshold)) => threshold.max(lowest),
            _ => usual.max(lowest),
        }
    }
}

#[cfg(test)]
#[path = "decision_test.rs"]
mod tests;
