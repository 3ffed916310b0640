//! Pages and pictures of models: what they are drawn from, read as the caller may.

use super::explain::{column, go, has_rows};
use super::{drift, score};
use crate::error::{Error, Result};
use crate::store::cache::{self, Loaded};
use crate::store::rights::Right;
use crate::store::{leak, record, text_model};
use insight_engine::evaluate::{Evaluation, Outcomes};
use insight_engine::explain;
use insight_engine::infer::Predictor;
use insight_engine::report::{self, DrawingError, Insight, Kind, Picture, Subject};
use std::rc::Rc;

fn undrawn(error: DrawingError) -> Error {
    Error::new("XX000", error.to_string())
}

/// What a model goes by, with as many columns as are named in a summary.
pub fn insight(predictor: &Predictor) -> Result<Insight> {
    text_model::attach(predictor)?;
    let found = Insight::of(predictor, report::NAMED, &mut go);
    Ok(found.unwrap_or_else(|| Insight {
        importance: Vec::new(),
        along: Vec::new(),
    }))
}

/// The model in plain sentences.
pub fn summary(reference: &str) -> Result<Vec<String>> {
    match cache::model(reference, Right::Explain)? {
        Loaded::Predictor(predictor) => {
            let insight = insight(&predictor)?;
            Ok(report::of_table(reference, &predictor, &insight))
        }
        _ => {
            let trained = cache::trained(reference, cache::version(reference, Right::Explain)?)?;
            Ok(report::of_another(reference, &trained.card()))
        }
    }
}

/// What came of the model's test rows, or of the rows of a relation.
fn judged(predictor: &Predictor, relation: Option<&str>) -> Result<(Option<Outcomes>, Evaluation)> {
    let artifact = predictor.artifact();
    if relation.is_none() && artifact.settled.held_out.rows == 0 {
        return Ok((None, artifact.evaluation.clone()));
    }
    let outcomes = score::outcomes(predictor, relation)?;
    let evaluation = match relation {
        None => artifact.evaluation.clone(),
        Some(_) => score::evaluate_outcomes(predictor, &outcomes),
    };
    Ok((Some(outcomes), evaluation))
}

/// The page of a model. With a relation its scores are on the rows whose target is known, if it has the target, and the drift is
/// of all its rows.
pub fn page(reference: &str, relation: Option<&str>) -> Result<String> {
    let loaded = cache::model(reference, Right::Explain)?;
    let id = cache::version(reference, Right::Explain)?;
    let mut facts = record::facts(id)?;
    // For who manages the model.
    if cache::version(reference, Right::Manage).is_ok() {
        facts.leaks = leak::found(id)?;
    }
    match loaded {
        Loaded::Predictor(predictor) => {
            let insight = insight(&predictor)?;
            let lines = report::of_table(&facts.model, &predictor, &insight);
            let drift = relation.map(|own| drift::of(&predictor, own)).transpose()?;
            let target = &predictor.artifact().target.name;
            let known = match relation {
                Some(own) => super::resolve::resolve(own)?.column(target).is_some(),
                None => false,
            };
            facts.on = relation.map(str::to_owned);
            let (outcomes, evaluation) = judged(&predictor, relation.filter(|_| known))?;
            let subject = Subject {
                predictor: &predictor,
                outcomes: outcomes.as_ref(),
                evaluation: &evaluation,
                judged_on: relation.filter(|_| known),
            };
            report::page_of_table(&facts, &lines, &subject, &insight, drift.as_deref())
        }
        _ if relation.is_some() => {
            return Err(Error::new(
                "22023",
                "a relation is for the report of a model that predicts rows",
            )
            .hint("Leave it out."));
        }
        _ => {
            let trained = cache::trained(reference, cache::version(reference, Right::Explain)?)?;
            let card = trained.card();
            report::page_of_another(&facts, &report::of_another(&facts.model, &card), &card)
        }
    }
    .map_err(undrawn)
}

/// A picture of a model as an SVG document.
pub fn plot(
    reference: &str,
    kind: &str,
    feature: Option<&str>,
    relation: Option<&str>,
) -> Result<String> {
    let known = Kind::ALL.into_iter().find(|own| own.name() == kind);
    let Some(kind) = known else {
        let names: Vec<&str> = Kind::ALL.iter().map(|own| own.name()).collect();
        return Err(
            Error::new("22023", format!("there is no picture \"{kind}\""))
                .hint(format!("Pictures are: {}.", names.join(", "))),
        );
    };
    if feature.is_some() != (kind == Kind::Dependence) {
        return Err(match feature {
            None => Error::new("22023", "dependence is drawn along a feature")
                .hint("Name one: feature => '...'."),
            Some(_) => Error::new(
                "22023",
                format!("\"{}\" is not drawn along a feature", kind.name()),
            )
            .hint("Leave feature out, or ask for dependence."),
        });
    }
    let found = match cache::model(reference, Right::Explain)? {
        Loaded::Predictor(predictor) => drawn(&predictor, kind, feature, relation)?,
        _ if kind == Kind::History => {
            let trained = cache::trained(reference, cache::version(reference, Right::Explain)?)?;
            report::history(trained.card().history).map_err(undrawn)?
        }
        _ => {
            return Err(Error::new(
                "42809",
                format!("model \"{reference}\" does not predict rows"),
            )
            .hint("Its picture is: history."));
        }
    };
    let found = found.ok_or_else(|| {
        Error::new(
            "55000",
            format!("there is nothing to draw for \"{}\"", kind.name()),
        )
        .detail("The rows do not allow it: none is known, or all are of one label.")
        .hint("Give a relation with the target.")
    })?;
    Ok(found.document())
}

fn drawn(
    predictor: &Rc<Predictor>,
    kind: Kind,
    feature: Option<&str>,
    relation: Option<&str>,
) -> Result<Option<Picture>> {
    let of_model = matches!(kind, Kind::Importance | Kind::Dependence | Kind::History);
    if of_model && relation.is_some() {
        return Err(Error::new(
            "22023",
            format!("\"{}\" is not drawn from a relation", kind.name()),
        )
        .hint("Leave relation out."));
    }
    text_model::attach(predictor)?;
    match (kind, feature) {
        (Kind::Importance, _) => {
            has_rows(predictor)?;
            let found = explain::importance(predictor, &mut go).unwrap_or_default();
            report::weights(predictor, &found).map_err(undrawn)
        }
        (Kind::Dependence, Some(feature)) => {
            has_rows(predictor)?;
            let column = column(predictor, feature)?;
            let label = report::shown_label(predictor);
            let found = explain::dependence(predictor, column, label, &mut go);
            report::along(predictor, column, &found.unwrap_or_default()).map_err(undrawn)
        }
        _ => {
            let (outcomes, evaluation) = judged(predictor, relation)?;
            let subject = Subject {
                predictor,
                outcomes: outcomes.as_ref(),
                evaluation: &evaluation,
                judged_on: relation,
            };
            let kinds = subject.kinds();
            if !kinds.contains(&kind) {
                let others = [Kind::Importance, Kind::Dependence];
                let names: Vec<&str> = kinds.iter().chain(&others).map(|k| k.name()).collect();
                let task = predictor.artifact().task.name();
                return Err(Error::new(
                    "22023",
                    format!("this {task} model has no picture \"{}\"", kind.name()),
                )
                .hint(format!("Its pictures are: {}.", names.join(", "))));
            }
            subject.draw(kind).map_err(undrawn)
        }
    }
}
