//! A new version, the challenger, beside the deployed one, the champion, on the same rows.
//!
//! The rows are those the challenger was judged on, which it was not trained on. The champion may have been: a model that is
//! asked about rows it has learned looks better than it is. So rows it was trained on ([`Seen`]) are left out as long as
//! enough are left.

use super::Start;
use super::finish::{self, Judged};
use super::target::Answers;
use crate::artifact::{Seen, Task};
use crate::evaluate::{Difference, Outcomes, compare};
use crate::frame::Frame;
use crate::profile::duplicates::row_hashes;
use crate::recipe::Recipe;
use serde::{Deserialize, Serialize};

/// With fewer rows that neither was trained on, all test rows are taken: on so few, hardly anything can be told apart.
const FEWEST: usize = 100;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// As messages name it, such as `churn@3`.
    pub champion: String,
    /// Rows that both were scored on; 0 where they were not.
    pub rows: usize,
    /// Whether the champion was trained on none of them.
    pub unseen: bool,
    /// The metric the challenger is judged by, where both have it.
    pub metric: Option<String>,
    pub champion_score: Option<f64>,
    pub challenger_score: Option<f64>,
    /// 95% interval of the challenger's score less the champion's.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Two-sided, of no difference.
    pub p_value: Option<f64>,
    /// Whether the challenger is better; `None`: it cannot be told, for the interval holds 0 or there are no scores.
    pub better: Option<bool>,
    /// Why they could not be compared.
    pub reason: Option<String>,
}

impl Challenge {
    pub(super) fn refused(champion: &str, reason: String) -> Challenge {
        Challenge {
            champion: champion.into(),
            rows: 0,
            unseen: false,
            metric: None,
            champion_score: None,
            challenger_score: None,
            low: None,
            high: None,
            p_value: None,
            better: None,
            reason: Some(reason),
        }
    }
}

/// The columns of a recipe in a frame; the error is what is missing.
fn columns(frame: &Frame, recipe: &Recipe) -> Result<Vec<usize>, String> {
    let place = |name: &str| frame.columns.iter().position(|c| c.name == name);
    recipe
        .columns()
        .iter()
        .map(|input| match place(&input.name) {
            Some(at) if frame.columns[at].kind == input.kind => Ok(at),
            Some(_) => Err(format!("its column \"{}\" is of another type", input.name)),
            None => Err(format!("its column \"{}\" was not read", input.name)),
        })
        .collect()
}

/// The rows a model with this recipe was trained on; its validation rows, which decide when to stop, count as such.
pub(super) fn seen(frame: &Frame, recipe: &Recipe, parts: &[&[u32]]) -> Seen {
    match columns(frame, recipe) {
        Ok(columns) => Seen::of(parts, |rows| row_hashes(frame, &columns, rows, false)),
        Err(_) => Seen::default(),
    }
}

/// Compares the champion with what was just trained.
pub(super) fn against(
    champion: Start,
    frame: &Frame,
    answers: &Answers,
    challenger: &Judged,
) -> Challenge {
    let Start { name, artifact } = champion;
    let own = &challenger.artifact;
    let labels = own.target.labels.clone();
    if artifact.task != own.task {
        let reason = format!("its task is {}", artifact.task.name());
        return Challenge::refused(&name, reason);
    }
    if artifact.target.name != own.target.name || artifact.target.labels != labels {
        return Challenge::refused(&name, "its target or its labels are others".into());
    }
    if matches!(own.task, Task::Multilabel | Task::Survival | Task::Uplift) {
        let reason = format!("models of task {} are not compared", own.task.name());
        return Challenge::refused(&name, reason);
    }
    if own.provenance.evaluated_on == "validation" {
        let reason = "no rows were held out but those that stopped the training";
        return Challenge::refused(&name, reason.into());
    }
    let columns = match columns(frame, &artifact.recipe) {
        Ok(columns) => columns,
        Err(reason) => return Challenge::refused(&name, reason),
    };
    let hashes = row_hashes(frame, &columns, &challenger.rows, false);
    let known = artifact.seen.clone();
    let all: Vec<usize> = (0..challenger.rows.len()).collect();
    let unseen: Vec<usize> = match known.is_unknown() {
        true => Vec::new(),
        false => all
            .iter()
            .copied()
            .filter(|at| !known.contains(hashes[*at]))
            .collect(),
    };
    let predictor = match finish::predictor(*artifact) {
        Ok(predictor) => predictor,
        Err(error) => return Challenge::refused(&name, error.message),
    };
    let answered = Outcomes {
        truth: answers.truth(&challenger.rows),
        predictions: predictor.predict_frame(frame, &challenger.rows, rayon::current_num_threads()),
    };
    let thresholds = [
        predictor.artifact().settled.threshold,
        own.settled.threshold,
    ];
    let width = challenger.predictions.len() / challenger.rows.len().max(1);
    let on = |rows: &[usize]| -> Option<Difference> {
        let of_champion = answered.pick(own.task, labels.len(), rows, width);
        let of_challenger: Vec<f64> = rows
            .iter()
            .flat_map(|r| &challenger.predictions[r * width..(r + 1) * width])
            .copied()
            .collect();
        let differences = compare(
            own.task,
            &labels,
            thresholds,
            &of_champion.truth,
            [&of_champion.predictions, &of_challenger],
            own.provenance.seed,
        );
        headline(own.evaluation.headline().map(|m| &*m.metric), differences)
    };
    let fair = Some(&unseen)
        .filter(|rows| rows.len() >= FEWEST)
        .and_then(|rows| on(rows));
    let (rows, fair, found) = match fair {
        Some(found) => (unseen.len(), true, Some(found)),
        None => (all.len(), unseen.len() == all.len(), on(&all)),
    };
    let Some(found) = found else {
        let reason = "the test rows do not allow a score that both have".to_owned();
        return Challenge::refused(&name, reason);
    };
    Challenge {
        champion: name,
        rows,
        unseen: fair,
        metric: Some(found.metric),
        champion_score: Some(found.a),
        challenger_score: Some(found.b),
        low: Some(found.low),
        high: Some(found.high),
        p_value: Some(found.p_value),
        better: found.better,
        reason: None,
    }
}

/// The difference in the metric a model is judged by; where it has no test, that of a proper score of the same kind of answers.
fn headline(metric: Option<&str>, differences: Vec<Difference>) -> Option<Difference> {
    let names = metric.into_iter().chain(["log_loss", "rmse"]);
    let at = names
        .filter_map(|name| differences.iter().position(|d| d.metric == name))
        .next()?;
    differences.into_iter().nth(at)
}
