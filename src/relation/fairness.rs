//! Whom a model treats how: the figures of its training, or of the rows of a relation.

use super::score;
use crate::error::{Error, Result};
use insight_engine::evaluate::Outcomes;
use insight_engine::evaluate::fairness::Line;
use insight_engine::infer::Predictor;

/// The stored figures of the rows the model was judged by, or those of the rows of a relation that has the target and the sensitive
/// columns, grouped as they were then.
pub fn lines(predictor: &Predictor, relation: Option<&str>) -> Result<Vec<Line>> {
    let artifact = predictor.artifact();
    let Some(fairness) = &artifact.provenance.fairness else {
        return Err(Error::new(
            "55000",
            "the version was trained without the option \"sensitive\"",
        )
        .hint("Train it with the columns that say who people are: {\"sensitive\": [\"sex\"]}."));
    };
    let Some(relation) = relation else {
        return Ok(fairness.lines.clone());
    };
    let groupings = &fairness.groupings;
    let names: Vec<&str> = groupings.iter().map(|own| own.column.as_str()).collect();
    let known = score::known(&[predictor], relation, &names)?;
    let mut columns = Vec::with_capacity(groupings.len());
    for grouping in groupings {
        let column = known.column(&grouping.column)?;
        if column.kind != grouping.kind {
            return Err(Error::new(
                "42804",
                format!(
                    "column \"{}\" is {}, which is another kind than it was in training",
                    column.name, column.type_name
                ),
            )
            .hint("Cast it in a SELECT."));
        }
        columns.push(column);
    }
    let outcomes = Outcomes {
        predictions: known.predictions(predictor),
        truth: known.truth.clone(),
    };
    Ok(fairness.lines(
        artifact.task,
        artifact.settled.threshold,
        &outcomes,
        &columns,
        &known.rows,
        score::draws(artifact),
    ))
}
