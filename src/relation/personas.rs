//! Typical customers, of rows that a model makes or that a relation has.

use super::fidelity;
use crate::error::Result;
use crate::job::trainer;
use crate::settings;
use insight_engine::synth::{Persona, Synthesizer};

/// Groups rows in a child, which can be cancelled and may use every core.
pub fn of(model: &Synthesizer, k: Option<usize>, relation: Option<&str>) -> Result<Vec<Persona>> {
    let given =
        relation.map(|relation| fidelity::rows(model, relation, &mut settings::max_memory()));
    let given = given.transpose()?;
    let found = trainer::ask(settings::threads(), || model.personas(given, k))?;
    Ok(found?)
}
