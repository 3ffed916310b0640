//! Figures of a relation's rows that hide each customer.

use super::decode::Decoder;
use super::read;
use super::resolve::{self, Source};
use crate::error::{Error, Result};
use crate::job::ledger;
use crate::messages::notice;
use crate::settings;
use crate::store::budget;
use insight_engine::frame::Frame;
use insight_engine::privacy::aggregates::{AggregateParams, Aggregates};
use insight_engine::privacy::noise::Noise;
use serde_json::Value;

/// What was found, and by which columns it is grouped.
pub fn of(relation: &str, options: &Value) -> Result<(Aggregates, Vec<String>)> {
    let params = AggregateParams::from_json(options)?;
    let source = resolve::resolve(relation)?;
    for name in params.named().into_iter().chain(params.mentioned()) {
        source.require(name)?;
    }
    params.check(&|name| {
        let column = source.column(name)?;
        Decoder::for_type(column.type_oid).map(|d| d.kind)
    })?;
    let (epsilon, delta) = params.cost();
    budget::check(&source.relations, epsilon, delta)?;
    let frame = rows(&source, &params)?;
    // Before anything is told: what follows cannot be taken back by a rollback.
    ledger::spend(&source.relations, epsilon, delta, "insight_private_profile")?;
    let mut noise = Noise::from_system().map_err(|e| Error::new("58000", e.to_string()))?;
    let found = params.answer(&frame, &mut noise, &mut || {
        pgrx::check_for_interrupts!();
    });
    let found = found.map_err(|e| {
        Error::new("22023", e.to_string())
            .hint("Ask for fewer figures, a larger epsilon or fewer rows_per_unit.")
    })?;
    match delta > 0.0 {
        true => notice(format!("spent epsilon {epsilon} and delta {delta:e}")),
        false => notice(format!("spent epsilon {epsilon}")),
    }
    Ok((found, params.by))
}

/// Numbers with bounds, other columns as text.
fn rows(source: &Source, params: &AggregateParams) -> Result<Frame> {
    let mut names: Vec<String> = params.named().into_iter().map(str::to_owned).collect();
    if names.is_empty() {
        // Rows alone are counted: any column tells how many there are.
        names.extend(source.columns.first().map(|column| column.name.clone()));
    }
    let text =
        |name: &&String| !params.bounds.contains_key(*name) || !params.columns.contains(name);
    let exact: Vec<&str> = names.iter().filter(text).map(String::as_str).collect();
    let keyed = source.exact(&exact, &names);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    read::read(&keyed, &names, settings::max_memory(), &mut |_| {
        pgrx::check_for_interrupts!();
    })
}
