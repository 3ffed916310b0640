//! The risk that the rows of a relation are found again.

use super::decode::Decoder;
use super::read;
use super::resolve::{self, Source};
use crate::error::{Error, Result};
use crate::settings;
use insight_engine::frame::{Frame, Kind};
use insight_engine::privacy::risk::{self, Measure, RiskParams};
use serde_json::Value;

/// Every measure that the options allow.
pub fn of(relation: &str, quasi: &[String], options: &Value) -> Result<Vec<Measure>> {
    let params = RiskParams::from_json(options)?;
    if quasi.is_empty() {
        return Err(
            Error::new("22023", "quasi_identifiers must name at least one column")
                .hint("Columns that others may know: ARRAY['age', 'zip', 'sex']."),
        );
    }
    let mut all: Vec<&String> = quasi.iter().chain(&params.sensitive).collect();
    let named = all.len();
    all.sort();
    all.dedup();
    if all.len() < named {
        return Err(Error::new("22023", "a column is named twice")
            .detail("Quasi-identifiers and sensitive columns must be different columns."));
    }
    let source = resolve::resolve(relation)?;
    let mut left = settings::max_memory();
    let own = rows(&source, quasi, &params.sensitive, &mut left)?;
    let population = match &params.population {
        None => None,
        Some(population) => {
            let source = resolve::resolve(population)?;
            Some(rows(&source, quasi, &[], &mut left)?.0)
        }
    };
    let (quasi, sensitive) = own;
    Ok(risk::measure(
        &quasi,
        &sensitive,
        population.as_ref(),
        params.sampling_fraction,
        &mut || {
            pgrx::check_for_interrupts!();
        },
    ))
}

/// Quasi-identifiers as text, so that no two values are taken for one, and sensitive columns, of which numbers and times keep
/// their order.
fn rows(
    source: &Source,
    quasi: &[String],
    sensitive: &[String],
    left: &mut usize,
) -> Result<(Frame, Frame)> {
    let mut exact: Vec<&str> = quasi.iter().map(String::as_str).collect();
    for name in quasi.iter().chain(sensitive) {
        let column = source.require(name)?;
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        let ordered = matches!(kind, Some(Kind::Number | Kind::Duration | Kind::Time));
        if sensitive.contains(name) && !ordered {
            exact.push(name);
        }
    }
    let all: Vec<String> = quasi.iter().chain(sensitive).cloned().collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let keyed = source.exact(&exact, &all);
    let mut frame = read::read(&keyed, &names, *left, &mut |_| {
        pgrx::check_for_interrupts!();
    })?;
    *left = left.saturating_sub(frame.bytes());
    let rest = frame.columns.split_off(quasi.len());
    Ok((frame, Frame { columns: rest }))
}
