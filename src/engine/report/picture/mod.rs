//! The pictures of a model, each with what it says in words and the numbers it is drawn from.

mod classes;
mod understand;
mod values;

use super::chart::{DrawingError, told};
use crate::artifact::Task;
use crate::evaluate::{Evaluation, Outcomes};
use crate::explain::{Dependence, Importance, dependence, importance};
use crate::infer::Predictor;

/// What a picture is drawn from, as text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub(in crate::report) fn new<const N: usize>(head: [&str; N]) -> Table {
        Table {
            head: head.map(str::to_owned).to_vec(),
            rows: Vec::new(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Picture {
    pub kind: Kind,
    pub title: String,
    /// A sentence or two.
    pub says: String,
    svg: String,
    pub table: Table,
}

impl Picture {
    /// An SVG document with a style of its own for light and dark pages.
    pub fn document(&self) -> String {
        told(&self.svg, &format!("{}. {}", self.title, self.says), true)
    }

    /// For a page that has the style.
    pub(in crate::report) fn inner(&self) -> String {
        told(&self.svg, &format!("{}. {}", self.title, self.says), false)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Roc,
    PrecisionRecall,
    Gains,
    Lift,
    Calibration,
    Confusion,
    Profit,
    Predicted,
    Residuals,
    Qini,
    Survival,
    Importance,
    Dependence,
    History,
}

impl Kind {
    pub const ALL: [Kind; 14] = [
        Kind::Roc,
        Kind::PrecisionRecall,
        Kind::Gains,
        Kind::Lift,
        Kind::Calibration,
        Kind::Confusion,
        Kind::Profit,
        Kind::Predicted,
        Kind::Residuals,
        Kind::Qini,
        Kind::Survival,
        Kind::Importance,
        Kind::Dependence,
        Kind::History,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Roc => "roc",
            Kind::PrecisionRecall => "precision_recall",
            Kind::Gains => "gains",
            Kind::Lift => "lift",
            Kind::Calibration => "calibration",
            Kind::Confusion => "confusion",
            Kind::Profit => "profit",
            Kind::Predicted => "predicted",
            Kind::Residuals => "residuals",
            Kind::Qini => "qini",
            Kind::Survival => "survival",
            Kind::Importance => "importance",
            Kind::Dependence => "dependence",
            Kind::History => "history",
        }
    }
}

/// A model, what came of rows it was judged on, and what it goes by.
pub struct Subject<'a> {
    pub predictor: &'a Predictor,
    /// `None` where it keeps none.
    pub outcomes: Option<&'a Outcomes>,
    pub evaluation: &'a Evaluation,
    /// The relation they are of; `None` for rows that were held out.
    pub judged_on: Option<&'a str>,
}

/// What a model goes by.
pub struct Insight {
    pub importance: Vec<Importance>,
    /// How answers follow the columns that matter most.
    pub along: Vec<(usize, Vec<Dependence>)>,
}

impl Insight {
    /// With the dependence of so many columns. `go` says whether to go on.
    pub fn of(
        predictor: &Predictor,
        columns: usize,
        go: &mut dyn FnMut() -> bool,
    ) -> Option<Insight> {
        let importance = importance(predictor, go)?;
        let matter = importance.iter().filter(|own| own.low > 0.0);
        let mut along = Vec::new();
        let label = shown_label(predictor);
        for own in matter.take(columns) {
            along.push((own.column, dependence(predictor, own.column, label, go)?));
        }
        Some(Insight { importance, along })
    }
}

/// Of several labels the one that most of the training rows had.
pub fn shown_label(predictor: &Predictor) -> usize {
    use crate::evaluate::Baseline;
    match &predictor.artifact().evaluation.baseline {
        Baseline::Shares(shares) | Baseline::Rates(shares) if predictor.width() > 1 => {
            let by_share = shares.iter().enumerate();
            let most = by_share.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
            most.map_or(0, |(at, _)| at)
        }
        _ => 0,
    }
}

/// What the answers that are explained are called.
pub(super) fn answer_name(predictor: &Predictor, label: usize) -> String {
    let target = &predictor.artifact().target;
    match (predictor.artifact().task, predictor.width()) {
        (Task::Binary, _) => format!(
            "probability of {}",
            target.labels.get(1).map_or("", String::as_str)
        ),
        (Task::Survival, _) => format!("expected time until {}", target.name),
        (Task::Uplift, _) => format!("effect on {}", target.name),
        (_, 1) => target.name.clone(),
        _ => format!(
            "probability of {}",
            target.labels.get(label).map_or("", String::as_str)
        ),
    }
}

impl Subject<'_> {
    /// The pictures there are of it, but for [`Kind::Importance`] and [`Kind::Dependence`], which take time.
    pub fn kinds(&self) -> Vec<Kind> {
        let artifact = self.predictor.artifact();
        let has = |kind: &Kind| match (kind, artifact.task) {
            (Kind::Importance | Kind::Dependence, _) => false,
            (Kind::History, _) => artifact.history.len() > 1,
            (Kind::Confusion, _) => !self.evaluation.confusion.is_empty(),
            (Kind::Qini, Task::Uplift) => !self.evaluation.qini.is_empty(),
            _ if self.outcomes.is_none() => false,
            (Kind::Profit, Task::Binary) => artifact.settled.profit.is_some(),
            (
                Kind::Roc | Kind::PrecisionRecall | Kind::Gains | Kind::Lift | Kind::Calibration,
                task,
            ) => task.has_one_label() || task == Task::Multilabel,
            (Kind::Predicted | Kind::Residuals, Task::Regression) => true,
            (Kind::Survival, Task::Survival) => true,
            _ => false,
        };
        Kind::ALL.into_iter().filter(has).collect()
    }

    /// A picture of [`Subject::kinds`]; `None` where the rows do not allow it (all of one label, say).
    ///
    /// # Errors
    /// [`DrawingError`]; none is known to happen.
    pub fn draw(&self, kind: Kind) -> Result<Option<Picture>, DrawingError> {
        match kind {
            Kind::Roc => classes::roc(self),
            Kind::PrecisionRecall => classes::precision_recall(self),
            Kind::Gains => classes::gains(self),
            Kind::Lift => classes::lift(self),
            Kind::Calibration => classes::calibration(self),
            Kind::Confusion => classes::confusion(self),
            Kind::Profit => classes::profit(self),
            Kind::Predicted => values::predicted(self),
            Kind::Residuals => values::residuals(self),
            Kind::Qini => values::qini(self),
            Kind::Survival => values::survival(self),
            Kind::History => history(&self.predictor.artifact().history),
            Kind::Importance | Kind::Dependence => Ok(None),
        }
    }
}

pub use understand::{along, history, weights};
