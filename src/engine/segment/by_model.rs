//! Rows that are alike to a model.

use super::source::Source;
use super::{Wanted, prepare};
use crate::artifact::Artifact;
use crate::explain;
use crate::fit::FitError;
use crate::frame::Frame;
use crate::infer::{Predictor, hidden};
use crate::models::Model;

/// What rows are compared by, how much each of its columns counts, and the columns left out.
type Found = (Source, Vec<f64>, Vec<(String, String)>);

/// The last hidden layer of the model's network; else its columns by their importance.
pub(super) fn source(
    model: Artifact,
    frame: &Frame,
    wanted: &Wanted,
    rows: &[u32],
) -> Result<Found, FitError> {
    let network = model.parts.iter().find_map(|part| match &part.model {
        Model::Network(network) => hidden::beheaded(network),
        Model::Trees(_) | Model::Transformer(_) => None,
    });
    // Sentence vectors would need the text model wherever a row is assigned.
    if let Some(network) = network.filter(|_| model.recipe.text_model().is_none()) {
        let source = Source::learned(model.recipe, network);
        return Ok((source, Vec::new(), Vec::new()));
    }
    let (recipe, excluded) = prepare(frame, wanted, Some(model.recipe.columns()), rows)?;
    let predictor = Predictor::new(model)
        .map_err(|e| FitError::new("XX001", "the model cannot be used").detail(e.to_string()))?;
    let found = explain::importance(&predictor, &mut || true).unwrap_or_default();
    let inputs = predictor.artifact().recipe.columns();
    let needed = |name: &str| {
        let own = found.iter().find(|own| inputs[own.column].name == name);
        own.map_or(0.0, |own| own.importance.max(0.0))
    };
    let each: Vec<f64> = recipe.columns().iter().map(|c| needed(&c.name)).collect();
    let all: f64 = each.iter().sum();
    let weight = match all > 0.0 {
        // On the whole as much as without weights.
        true => each.iter().map(|x| x * each.len() as f64 / all).collect(),
        false => Vec::new(),
    };
    Ok((Source::prepared(recipe), weight, excluded))
}
