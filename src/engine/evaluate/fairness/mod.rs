//! Whom a model treats how: rates and errors of the groups of sensitive columns, with intervals. Names and definitions are those
//! of fairlearn (Weerts et al. 2023, "Fairlearn: assessing and improving fairness of AI systems").

mod classes;
mod grouping;
mod thresholds;
mod values;

use super::{Outcomes, Resampling, Truth};
use crate::artifact::Task;
use crate::frame::Column;
pub use grouping::{Grouping, Groups, together};
use serde::{Deserialize, Serialize};

/// Groups of fewer rows have lines of their own but do not count in the differences between groups: chance would decide.
pub const FEWEST: usize = 20;
/// Draws for intervals.
const RESAMPLES: usize = 400;

/// A figure of a group, or of a column's groups together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The sensitive column; several are joined by commas.
    pub feature: String,
    /// `None`: all groups of [`FEWEST`] rows or more together.
    pub group: Option<String>,
    pub rows: u64,
    pub metric: String,
    pub value: f64,
    /// 95% interval.
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// What is known of a model's fairness.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fairness {
    /// How the values of each sensitive column are grouped, so that other rows are grouped alike.
    pub groupings: Vec<Grouping>,
    /// Whether training rows were weighted so that groups and labels are independent.
    pub reweighted: bool,
    /// On the rows the model is judged by.
    pub lines: Vec<Line>,
}

/// Whether the task has such figures.
pub fn has_fairness(task: Task) -> bool {
    task.has_one_label() || task == Task::Regression
}

impl Fairness {
    /// The figures of the groups of some rows; `columns` are the groupings' and `rows` theirs that the outcomes belong to. The
    /// columns together make groups of their own where there are several.
    pub fn lines<'a>(
        &self,
        task: Task,
        threshold: f64,
        outcomes: &Outcomes,
        columns: &[&Column],
        rows: &[u32],
        draws: impl Into<Resampling<'a>>,
    ) -> Vec<Line> {
        let draws = draws.into();
        let all = self.groups(columns, rows);
        let each = all.iter();
        each.flat_map(|groups| of_groups(task, threshold, outcomes, groups, draws))
            .collect()
    }

    /// Thresholds by group, as [`thresholds::thresholds`] has them, found on rows that were held out of training.
    pub fn thresholds(
        &self,
        task: Task,
        threshold: f64,
        outcomes: &Outcomes,
        columns: &[&Column],
        rows: &[u32],
    ) -> Vec<Line> {
        let Truth::Classes(truth) = &outcomes.truth else {
            return Vec::new();
        };
        if task != Task::Binary {
            return Vec::new();
        }
        let all = self.groups(columns, rows);
        let each = all.iter();
        each.flat_map(|groups| {
            thresholds::thresholds(truth, &outcomes.predictions, threshold, groups)
        })
        .collect()
    }

    /// The groups of each column, and of all of them together.
    fn groups(&self, columns: &[&Column], rows: &[u32]) -> Vec<Groups> {
        let pairs = self.groupings.iter().zip(columns);
        let mut all: Vec<Groups> = pairs.map(|(own, column)| own.of(column, rows)).collect();
        if all.len() > 1 {
            all.push(together(&all));
        }
        all
    }
}

/// The figures of one grouping of the rows of `outcomes`: of a task of two labels by `threshold`.
pub fn of_groups(
    task: Task,
    threshold: f64,
    outcomes: &Outcomes,
    groups: &Groups,
    draws: Resampling<'_>,
) -> Vec<Line> {
    match &outcomes.truth {
        Truth::Classes(truth) if task == Task::Binary => {
            classes::binary(truth, &outcomes.predictions, threshold, groups, draws)
        }
        Truth::Classes(truth) => {
            classes::several(task, truth, &outcomes.predictions, groups, draws)
        }
        Truth::Values(truth) => values::lines(truth, &outcomes.predictions, groups, draws),
        _ => Vec::new(),
    }
}

/// The difference of the largest and the smallest of what is known, and the smallest by the largest.
fn apart(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let known = values.filter(|v| !v.is_nan());
    let (low, high, count) = known.fold((f64::INFINITY, f64::NEG_INFINITY, 0), |(l, h, n), v| {
        (v.min(l), v.max(h), n + 1)
    });
    match count {
        0 | 1 => (f64::NAN, f64::NAN),
        _ => (high - low, low / high),
    }
}

/// The 95% percentile interval of each place of some draws, widened to hold the value.
fn interval(drawn: &[Vec<f64>], place: usize, value: f64) -> (Option<f64>, Option<f64>) {
    let mut all: Vec<f64> = drawn.iter().map(|d| d[place]).collect();
    all.retain(|v| v.is_finite());
    all.sort_unstable_by(f64::total_cmp);
    let end = |q: f64| super::bootstrap::percentile(&all, q);
    (
        end(0.025).map(|low| low.min(value)),
        end(0.975).map(|high| high.max(value)),
    )
}

#[cfg(test)]
mod tests;
