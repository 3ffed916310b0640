//! Columns that say who people are: never an input, grouped to see whom the model treats how, and weighed if asked.

use super::prepare::Prepared;
use super::{FitError, Request, split::Parts, target::Answers};
use crate::artifact::Task;
use crate::evaluate::fairness::{FEWEST, Fairness, Grouping, Groups, Line, has_fairness, together};
use crate::infer;
use crate::models::Output;
use crate::params::{Algorithm, Loss, NumberEncoding, ValidParams};
use crate::train::{self, Rows, Step, TrainError};
use serde::{Deserialize, Serialize};

/// Rows by which it is looked whether groups can be foretold, at most.
const ASKED: usize = 20_000;
/// The figure that says how well the inputs foretell a group.
pub(super) const PROXY: &str = "proxy_roc_auc";

/// Sensitive columns, and what is done for their groups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sensitive {
    /// Each with the rising numbers at which its next group begins; without any, its values or quarters are the groups.
    pub columns: Vec<(String, Vec<f64>)>,
    /// Training rows are weighted so that groups and labels are independent.
    pub reweight: bool,
}

impl Sensitive {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }
}

/// The groups of the rows of a frame.
#[derive(Clone)]
pub(super) struct Fair {
    groupings: Vec<Grouping>,
    /// Of all columns together, by row of the frame.
    groups: Groups,
    reweight: bool,
}

impl Fair {
    /// `None` without sensitive columns.
    ///
    /// # Errors
    /// A column that is not there or has no groups, a task without figures of groups, weights where there are no labels to weigh.
    pub fn new(request: &Request, answers: &Answers) -> Result<Option<Fair>, FitError> {
        let wanted = &request.sensitive;
        if wanted.columns.is_empty() {
            return Ok(None);
        }
        let task = answers.task;
        if !has_fairness(task) {
            return Err(FitError::new(
                "0A000",
                format!("option \"sensitive\" is not for the task {}", task.name()),
            )
            .hint("Name the columns in the option exclude to leave them out."));
        }
        if wanted.reweight {
            let refused = match () {
                () if task == Task::Regression => Some("needs a target of classes"),
                () if request.augment.is_some() => Some("does not weigh generated rows (augment)"),
                () => None,
            };
            if let Some(why) = refused {
                let message = format!("option \"mitigate\": \"reweight\" {why}");
                return Err(FitError::new("22023", message).hint("Leave one of both out."));
            }
        }
        let every: Vec<u32> = (0..request.frame.rows() as u32).collect();
        let (mut groupings, mut groups) = (Vec::new(), Vec::new());
        for (name, edges) in &wanted.columns {
            let column = request.frame.column(name).ok_or_else(|| {
                FitError::new("42703", format!("column \"{name}\" does not exist"))
            })?;
            let grouping = Grouping::new(column, &answers.rows, edges).ok_or_else(|| {
                let type_name = &column.type_name;
                FitError::new(
                    "42804",
                    format!("sensitive column \"{name}\" is {type_name}, which has no groups"),
                )
                .hint("Cast it to a number, boolean or text in a SELECT.")
            })?;
            groups.push(grouping.of(column, &every));
            groupings.push(grouping);
        }
        Ok(Some(Fair {
            groupings,
            groups: together(&groups),
            reweight: wanted.reweight,
        }))
    }

    /// What each of the training rows counts: P(group) P(label) / P(group, label) (Kamiran and Calders 2012, "Data preprocessing
    /// techniques for classification without discrimination", algorithm 3). `None` where they are not weighed.
    pub fn factors(&self, rows: &[u32], code: impl Fn(u32) -> u32) -> Option<Vec<f64>> {
        if !self.reweight {
            return None;
        }
        let group = |row: u32| self.groups.of[row as usize] as usize;
        let classes = rows.iter().map(|row| code(*row) as usize + 1).max()?;
        let mut both = vec![0.0; self.groups.names.len() * classes];
        for row in rows {
            both[group(*row) * classes + code(*row) as usize] += 1.0;
        }
        let of_group: Vec<f64> = both
            .chunks_exact(classes)
            .map(|own| own.iter().sum())
            .collect();
        let of_class = |class: usize| both.iter().skip(class).step_by(classes).sum::<f64>();
        let of_class: Vec<f64> = (0..classes).map(of_class).collect();
        let factor = |row: &u32| {
            let (group, class) = (group(*row), code(*row) as usize);
            of_group[group] * of_class[class] / rows.len() as f64 / both[group * classes + class]
        };
        Some(rows.iter().map(factor).collect())
    }
}

/// What a model is to keep of its sensitive columns, but for the figures on the rows it is judged by.
pub(super) fn beside(answers: &Answers, lines: Vec<Line>) -> Option<Fairness> {
    answers.fair.as_ref().map(|fair| Fairness {
        groupings: fair.groupings.clone(),
        reweighted: fair.reweight,
        lines,
    })
}

/// How well a small network tells each group from the others by the inputs that the model has, as area under the ROC curve on the
/// validation rows: what is left out may come back through them. Nothing where there are too few rows to tell.
pub(super) fn proxies(
    request: &Request,
    answers: &Answers,
    parts: &Parts,
    prepared: &Prepared,
    params: &ValidParams,
    report: &mut dyn FnMut(&Step) -> bool,
) -> Result<Vec<Line>, TrainError> {
    let mut lines = Vec::new();
    for grouping in answers.fair.iter().flat_map(|fair| &fair.groupings) {
        let Some(column) = request.frame.column(&grouping.column) else {
            continue;
        };
        let train = grouping.of(column, &parts.train);
        let validation = grouping.of(column, &parts.validation);
        let counts = train.counts();
        if counts.iter().filter(|count| **count >= FEWEST).count() < 2 {
            continue;
        }
        let params = ValidParams {
            algorithm: Algorithm::Mlp,
            hidden: vec![16],
            epochs: 10,
            patience: 3,
            members: 1,
            folds: 1,
            learning_rate: 0.005,
            label_smoothing: 0.0,
            number_embedding: NumberEncoding::None,
            loss: Loss::CategoricalCrossentropy,
            start: None,
            max_seconds: params.max_seconds.map(|seconds| seconds / 20.0),
            ..params.clone()
        };
        let of = |part: &Rows, groups: &Groups| {
            let every = groups.of.len().div_ceil(ASKED).max(1);
            let rows: Vec<u32> = (0..groups.of.len() as u32).step_by(every).collect();
            let targets = rows.iter().map(|row| groups.of[*row as usize] as f32);
            Rows {
                targets: targets.collect(),
                matrix: part.matrix.some(&rows),
                weights: Vec::new(),
            }
        };
        let (own, held) = (
            of(&prepared.matrices.train, &train),
            of(&prepared.matrices.validation, &validation),
        );
        if held.targets.is_empty() {
            continue;
        }
        let width = counts.len();
        let trained = request.device.train(&params, |params, device| {
            train::train(
                own.examples(),
                Some(held.examples()),
                Output::Softmax,
                width,
                params,
                device,
                report,
            )
        });
        let trained = match trained {
            Err(TrainError::Diverged { .. }) => continue,
            trained => trained?,
        };
        let Some(part) = trained.parts.first() else {
            continue;
        };
        let answered = infer::answers(&part.model, Output::Softmax, width, &held.matrix);
        for (group, name) in validation.names.iter().enumerate() {
            let members: Vec<bool> = held.targets.iter().map(|t| *t as usize == group).collect();
            let rows = members.iter().filter(|member| **member).count();
            if rows < FEWEST || members.len() - rows < FEWEST {
                continue;
            }
            let scores: Vec<f64> = answered
                .iter()
                .skip(group)
                .step_by(width)
                .copied()
                .collect();
            let auc = crate::evaluate::roc_auc(&scores, &members);
            lines.extend(auc.is_finite().then(|| Line {
                feature: grouping.column.clone(),
                group: Some(name.clone()),
                rows: rows as u64,
                metric: PROXY.into(),
                value: auc,
                low: None,
                high: None,
            }));
        }
    }
    Ok(lines)
}
