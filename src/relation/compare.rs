//! Two models before the same rows; parts of a relation's rows before a model.

use super::score;
use crate::error::{Error, Result};
use insight_engine::artifact::Task;
use insight_engine::evaluate::{self, Difference, Evaluation, Outcomes};
use insight_engine::infer::Predictor;

/// Compares two models on the test rows both were scored on, or on the rows of a relation.
pub fn compare(a: &Predictor, b: &Predictor, relation: Option<&str>) -> Result<Vec<Difference>> {
    check(a, b, relation.is_some())?;
    let artifacts = [a.artifact(), b.artifact()];
    let (truth, [of_a, of_b]) = match relation {
        Some(relation) => {
            let known = score::known(&[a, b], relation, &[])?;
            let predictions = [known.predictions(a), known.predictions(b)];
            (known.truth, predictions)
        }
        None => {
            let [of_a, of_b] = artifacts.map(|artifact| &artifact.settled.held_out);
            if of_a.rows == 0 || of_a.rows != of_b.rows || of_a.fingerprint != of_b.fingerprint {
                return Err(Error::new(
                    "55000",
                    "the models were not scored on the same test rows",
                )
                .hint("Give a relation with the target, of rows that neither was trained on."));
            }
            let Outcomes { truth, predictions } = of_a.outcomes(artifacts[0].task);
            let other = of_b.outcomes(artifacts[1].task);
            (truth, [predictions, other.predictions])
        }
    };
    let artifact = artifacts[0];
    Ok(evaluate::compare(
        artifact.task,
        &artifact.target.labels,
        artifacts.map(|artifact| artifact.settled.threshold),
        &truth,
        [&of_a, &of_b],
        score::draws(artifact),
    ))
}

/// Do two models answer the same question?
fn check(a: &Predictor, b: &Predictor, on_a_relation: bool) -> Result<()> {
    let [a, b] = [a.artifact(), b.artifact()];
    let differ = |what: &str, of_a: String, of_b: String| {
        Err(
            Error::new("22023", format!("the models have different {what}"))
                .detail(format!("They are {of_a} and {of_b}.")),
        )
    };
    if a.target.name != b.target.name {
        let quoted = |name: &str| format!("\"{name}\"");
        return differ("targets", quoted(&a.target.name), quoted(&b.target.name));
    }
    if a.task != b.task {
        let name = |task: Task| format!("{task:?}").to_lowercase();
        return differ("tasks", name(a.task), name(b.task));
    }
    if matches!(a.task, Task::Multilabel | Task::Survival | Task::Uplift) {
        return Err(Error::new(
            "0A000",
            format!("models of task {} cannot be compared", a.task.name()),
        )
        .hint("Look at the intervals of insight_evaluate for the same relation."));
    }
    if a.target.labels != b.target.labels {
        let list = |labels: &[String]| labels.join(", ");
        return differ("labels", list(&a.target.labels), list(&b.target.labels)).map_err(|e| {
            e.hint(
                "Train one of them with the other's option \"positive\", or with the same labels.",
            )
        });
    }
    match (&a.sources, &b.sources) {
        (Some(a), Some(b)) if a != b && on_a_relation => Err(Error::new(
            "0A000",
            "models with different related tables cannot be compared on a relation",
        )
        .hint("Compare them on the test rows of the same split, without a relation.")),
        _ => Ok(()),
    }
}

/// The scores of a relation's rows whose target is known, by the values of one of its columns.
pub fn slices(
    predictor: &Predictor,
    by: &str,
    relation: &str,
) -> Result<Vec<(String, Evaluation)>> {
    let artifact = predictor.artifact();
    let known = score::known(&[predictor], relation, &[by])?;
    let column = known.column(by)?;
    let outcomes = Outcomes {
        truth: known.truth.clone(),
        predictions: known.predictions(predictor),
    };
    let slices = evaluate::slices(
        artifact.task,
        &artifact.target.labels,
        artifact.settled.threshold,
        &artifact.evaluation.baseline,
        &outcomes,
        column,
        &known.rows,
        score::draws(artifact),
    );
    slices.ok_or_else(|| {
        Error::new(
            "42804",
            format!(
                "column \"{by}\" is {}, which has no slices",
                column.type_name
            ),
        )
        .hint("Slices are made of numbers, booleans and texts: make one of it in a SELECT.")
    })
}
