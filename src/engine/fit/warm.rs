//! Training that goes on from a version there is: with its inputs, prepared as it prepares them, and its weights.

use super::prepare::{Matrices, Notes, Prepared, check_memory};
use super::target::Scale;
use super::{FitError, Request, guard, split::Parts, target::Answers};
use crate::artifact::{Artifact, Task};
use crate::models::Model;
use crate::params::{Algorithm, Attention, ValidParams};
use std::sync::Arc;

/// A version to start from.
#[derive(Debug, Clone)]
pub struct Start {
    /// As messages name it, such as `churn@3`.
    pub name: String,
    pub artifact: Box<Artifact>,
}

/// Prepares rows as the version does; nothing is learned anew. Its network is in the parameters, which take its shape.
///
/// # Errors
/// 22023 for an algorithm without a network, another task, other labels, a column that is gone or of another kind.
pub(super) fn prepare(
    start: &Start,
    request: &Request,
    answers: &Answers,
    parts: &mut Parts,
) -> Result<Prepared, FitError> {
    let name = &start.name;
    let before = &start.artifact;
    let refuse = |what: String| {
        FitError::new(
            "22023",
            format!("training cannot start from {name}: {what}"),
        )
        .hint("Leave warm_start out to train anew.")
    };
    let mut params = request.params.check(answers.task, parts.train.len())?;
    if !matches!(
        params.algorithm,
        Algorithm::Dnn | Algorithm::Mlp | Algorithm::Transformer
    ) {
        return Err(FitError::new(
            "22023",
            "option \"warm_start\" needs the algorithm dnn, mlp or transformer",
        )
        .hint("Add \"algorithm\": \"dnn\"; a network of an ensemble is a start, too."));
    }
    if before.task != answers.task || answers.task == Task::Uplift {
        return Err(refuse(format!("its task is {}", before.task.name())));
    }
    if before.target.labels != answers.labels {
        let labels = before.target.labels.join(", ");
        return Err(refuse(format!("its labels are {labels}")));
    }
    if before.target.log != params.loss.of_logarithms() {
        return Err(refuse("it has learned another kind of loss".into()));
    }
    let Some(network) = network(before, params.algorithm) else {
        return Err(refuse(match params.algorithm {
            Algorithm::Transformer => "it has no transformer".into(),
            _ => "it has no network with hidden layers".into(),
        }));
    };
    let frame = &request.frame;
    let mut columns = Vec::new();
    for input in before.recipe.columns() {
        if request.sensitive.names().any(|own| own == input.name) {
            return Err(refuse(format!(
                "it knows the sensitive column \"{}\"",
                input.name
            )));
        }
        let found = frame.columns.iter().position(|c| c.name == input.name);
        match found {
            Some(at) if frame.columns[at].kind == input.kind => columns.push(at),
            Some(_) => {
                return Err(refuse(format!(
                    "column \"{}\" is of another type",
                    input.name
                )));
            }
            None => return Err(refuse(format!("column \"{}\" is not there", input.name))),
        }
    }
    let mut excluded = request.excluded.clone();
    for (at, column) in frame.columns.iter().enumerate() {
        if at != answers.column && !columns.contains(&at) {
            let why = request.aside(&column.name);
            let why = why.map_or_else(|| format!("no feature of {name}"), str::to_owned);
            excluded.push((column.name.clone(), why));
        }
    }
    let (leaks, shared_rows) =
        guard::watch(request, answers, &mut columns.clone(), &mut excluded, parts)?;
    let recipe = before.recipe.clone();
    if let Some(encoder) = &request.params.text_model {
        recipe.attach(encoder);
    }
    take_shape(&mut params, network);
    check_memory(&recipe, request, answers, parts)?;
    let scale = Scale {
        mean: before.target.mean,
        factor: before.target.scale,
        log: before.target.log,
        ends: before.target.ends.clone(),
        uplift: None,
    };
    Ok(Prepared {
        matrices: Matrices::scaled((recipe, false), frame, answers, parts, &params, scale)?,
        params,
        notes: Notes {
            excluded,
            leaks,
            shared_rows,
            ..Notes::default()
        },
    })
}

/// The first model of a version that the algorithm can go on with.
fn network(artifact: &Artifact, algorithm: Algorithm) -> Option<&Model> {
    let attends = algorithm == Algorithm::Transformer;
    let fits = |model: &&Model| match model {
        Model::Network(network) => !attends && !network.layers.is_empty(),
        Model::Transformer(_) => attends,
        Model::Trees(_) => false,
    };
    artifact.parts.iter().map(|part| &part.model).find(fits)
}

fn take_shape(params: &mut ValidParams, model: &Model) {
    match model {
        Model::Network(network) => {
            params.hidden = network.layers.iter().map(|l| l.outputs).collect();
            params.activation = network.activation;
            params.members = network.members;
        }
        Model::Transformer(own) => {
            params.attention = params.attention.map(|given| Attention {
                blocks: own.blocks,
                heads: own.heads,
                width: own.width,
                hidden: own.hidden,
                ..given
            });
        }
        Model::Trees(_) => {}
    }
    params.start = Some(Arc::new(model.clone()));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{customers, request};
    use super::super::{Start, fit};
    use serde_json::json;

    #[test]
    fn training_goes_on_where_it_stopped() {
        let slow = json!({"algorithm": "mlp", "hidden": [16], "epochs": 3, "learning_rate": 0.001});
        let first = fit(request(customers(2000), "churn", slow.clone()), &mut |_| {
            true
        })
        .unwrap();
        let from = |options, rows| {
            let mut request = request(customers(rows), "churn", options);
            request.start = Some(Start {
                name: "churn@1".into(),
                artifact: Box::new(first.clone()),
            });
            fit(request, &mut |_| true)
        };
        let second = from(slow.clone(), 2000).unwrap();
        let loss = |artifact: &crate::artifact::Artifact| {
            let losses = artifact.history.iter().filter_map(|e| e.validation_loss);
            losses.fold(f64::INFINITY, f64::min)
        };
        assert!(
            loss(&second) < loss(&first),
            "{} {}",
            loss(&second),
            loss(&first)
        );
        // What does not get better stays as it was.
        let worse = json!({"algorithm": "mlp", "epochs": 1, "learning_rate": 10, "optimizer": "sgd", "calibration": "none"});
        let same = from(worse, 2000).unwrap();
        assert_eq!(same.provenance.best_epoch, 0);
        let network = |artifact: &crate::artifact::Artifact| match &artifact.parts[0].model {
            super::Model::Network(network) => network.layers[0].weights.clone(),
            _ => panic!("no network"),
        };
        assert_eq!(network(&same), network(&first));
        // Other rows and another size of tables change nothing about the shape.
        assert!(from(slow, 6000).is_ok());
        let error = from(json!({"algorithm": "gbdt"}), 2000).unwrap_err();
        assert!(error.message.contains("dnn, mlp") && error.hint.is_some());
    }
}
