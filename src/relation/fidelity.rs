//! Real and generated rows read and compared.

use super::decode::Decoder;
use super::{read, resolve};
use crate::error::{Error, Result};
use crate::job::options::{text, wrong_type};
use crate::job::trainer;
use crate::settings;
use insight_engine::frame::{Frame, Kind};
use insight_engine::synth::Synthesizer;
use insight_engine::synth::fidelity::{Compared, Measure, measure};
use serde_json::{Map, Value};

const KEYS: [&str; 3] = ["holdout", "seed", "target"];

/// The columns of a relation that a model knows.
pub(super) fn rows(model: &Synthesizer, relation: &str, left: &mut usize) -> Result<Frame> {
    let source = resolve::resolve(relation)?;
    let known = |name: &str| model.columns().any(|(own, ..)| own == name);
    let usable =
        |oid| Decoder::for_type(oid).is_some_and(|d| !matches!(d.kind, Kind::Vector | Kind::Image));
    let columns = source
        .columns
        .iter()
        .filter(|c| known(&c.name) && usable(c.type_oid));
    let names: Vec<&str> = columns.map(|c| c.name.as_str()).collect();
    if names.is_empty() {
        let all: Vec<&str> = model.columns().map(|(name, ..)| name).collect();
        return Err(Error::new(
            "42703",
            format!("{} has none of the model's columns", source.label()),
        )
        .hint(format!("The model knows {}.", all.join(", "))));
    }
    // Foreign keys were read as text.
    let is_text = |name: &str| {
        model
            .kinds()
            .any(|(own, kind)| own == name && kind == Kind::Category)
    };
    let is_number = |oid| Decoder::for_type(oid).is_some_and(|d| d.kind == Kind::Number);
    let own = source
        .columns
        .iter()
        .filter(|c| is_text(&c.name) && is_number(c.type_oid));
    let exact: Vec<&str> = own.map(|c| c.name.as_str()).collect();
    let keyed;
    let source = if exact.is_empty() {
        &source
    } else {
        let columns: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        keyed = source.exact(&exact, &columns);
        &keyed
    };
    let frame = read::read(source, &names, *left, &mut |_| {
        pgrx::check_for_interrupts!();
    })?;
    *left = left.saturating_sub(frame.bytes());
    if frame.rows() == 0 {
        return Err(Error::new(
            "22023",
            format!("{} has no rows", source.label()),
        ));
    }
    Ok(frame)
}

/// Compares in a child, which can be cancelled and may use every core. Without `synthetic` as many rows are made as there are real
/// ones.
pub fn compare(
    model: &Synthesizer,
    real: &str,
    synthetic: Option<&str>,
    options: &Map<String, Value>,
) -> Result<Vec<Measure>> {
    if let Some(key) = options.keys().find(|k| !KEYS.contains(&k.as_str())) {
        return Err(Error::new("22023", format!("unknown option \"{key}\""))
            .hint(format!("Known options are: {}.", KEYS.join(", "))));
    }
    let seed = match options.get("seed") {
        None | Some(Value::Null) => 0,
        Some(seed) => seed
            .as_u64()
            .ok_or_else(|| wrong_type("seed", "a whole number"))?,
    };
    let (target, holdout) = (text(options, "target")?, text(options, "holdout")?);
    // All three are held at once.
    let mut left = settings::max_memory();
    let real = rows(model, real, &mut left)?;
    let made = synthetic
        .map(|relation| rows(model, relation, &mut left))
        .transpose()?;
    let holdout = holdout
        .map(|relation| rows(model, &relation, &mut left))
        .transpose()?;
    if let Some(target) = target.as_deref().filter(|t| real.column(t).is_none()) {
        return Err(Error::new(
            "42703",
            format!("column \"{target}\" of option \"target\" does not exist"),
        ));
    }
    let found = trainer::ask(settings::threads(), move || {
        let made = match made {
            Some(made) => made,
            None => model.rows(seed, &[])?.next(real.rows(), &mut || ())?,
        };
        let compared = Compared {
            real: &real,
            made: &made,
            holdout: holdout.as_ref(),
            target: target.as_deref(),
            seed,
        };
        measure(&compared)
    })?;
    Ok(found?)
}
