//! A table imitated under differential privacy: what is learned of rows has noise, and what the noise costs is accounted for.
//!
//! Units are asked about what columns look like, one by one ([`columns`]); how columns hang together the critic learns by private steps
//! ([`gan::train_privately`]). The generator sees no row, and neither does anything that comes after it.

mod columns;

use super::gan::{self, Game};
use super::layout::Layout;
use super::train::{Algorithm, Params, Watch};
use super::{Columns as Declared, Network, Synthesizer};
use crate::fit::{FitError, Progress, no_noise, units_of};
use crate::frame::Frame;
use crate::params::{ParamError, Reader};
use crate::privacy::noise::Noise;
use crate::privacy::{Column, Plan, Privacy, Spent, ask};
use crate::random::Random;
use crate::train::{Step, TrainError};
use columns::Columns;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Share of the budget that finds what columns look like, by default: all that is known of single columns comes of it.
const PREPARATION: f64 = 0.3;
/// Steps of the critic, samples that make an epoch, and layers of the critic, by default.
const STEPS: usize = 3000;
const SAMPLES: usize = 50;
const CRITIC: [usize; 1] = [64];

/// The option `privacy` of a call, and whether the others can go with it.
///
/// # Errors
/// As [`crate::privacy::given`]; an algorithm that is not made private; options by which rows would be looked at otherwise.
pub(super) fn given(
    options: &Map<String, Value>,
    algorithm: Algorithm,
) -> Result<Option<Privacy>, ParamError> {
    let Some(mut privacy) = crate::privacy::given(options)? else {
        return Ok(None);
    };
    let refused = |option: &str, message: String, hint: &str| {
        Err(ParamError {
            option: option.into(),
            message,
            hint: hint.into(),
        })
    };
    if algorithm != Algorithm::Gan {
        let name = algorithm.name();
        return refused(
            "algorithm",
            format!("the algorithm {name} cannot be trained under differential privacy"),
            "Use gan.",
        );
    }
    let reader = Reader { options };
    let plain = [
        (
            "pac",
            1.0,
            "A row that stands among others cannot be hidden by itself: leave it out, or set it to 1.",
        ),
        (
            "dropout",
            0.0,
            "What is dropped out would go by the seed, which is no secret: leave it out, or set it to 0.",
        ),
    ];
    for (option, value, hint) in plain {
        if reader
            .get(option)
            .is_some_and(|own| own.as_f64() != Some(value))
        {
            let message = format!("option \"{option}\" cannot be used with the option \"privacy\"");
            return refused(option, message, hint);
        }
    }
    let own = options
        .get("privacy")
        .and_then(|own| own.get("preparation"));
    if own.is_none_or(Value::is_null) {
        privacy.preparation = PREPARATION;
    }
    Ok(Some(privacy))
}

/// The options with defaults that do well under noise: a small critic, as each of its weights has noise of its own, and large samples.
pub(super) fn complete(options: &Map<String, Value>, rows: usize) -> Map<String, Value> {
    let mut own = options.clone();
    let usual = (rows / SAMPLES).clamp(64, 2048);
    let batch = options.get("batch_size").and_then(Value::as_u64);
    let batch = batch.map_or(usual, |own| own as usize);
    let epochs = STEPS.saturating_mul(batch).div_ceil(rows.max(1));
    let defaults = [
        ("pac", json!(1)),
        ("dropout", json!(0)),
        ("batch_size", json!(usual)),
        ("epochs", json!(epochs.min(10_000))),
        ("critic_layers", json!(CRITIC)),
        ("learning_rate", json!(1e-3)),
    ];
    for (option, value) in defaults {
        let place = own.entry(option).or_insert(Value::Null);
        if place.is_null() {
            *place = value;
        }
    }
    own
}

/// Learns a table as `privacy` asks; `report` answers whether to go on.
pub(super) fn fit(
    frame: &Frame,
    declared: &Declared,
    params: Params,
    privacy: &Privacy,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Synthesizer, FitError> {
    let started = Instant::now();
    let mut noise = Noise::from_system()?;
    let rows = (0..frame.rows() as u32).collect();
    let units = units_of(frame, rows, privacy, &mut noise)?;
    let delta = privacy.delta.unwrap_or(0.1 / units.len() as f64);
    let columns = Columns::of(frame, declared, privacy)?;
    let questions = columns.questions(frame);
    let rate = (params.batch as f64 / units.len() as f64).min(1.0);
    let plan = Plan::new(
        privacy,
        delta,
        (questions.len(), questions.iter().any(Column::is_open)),
        (rate, f64::from(params.epochs)),
    )
    .ok_or_else(|| no_noise(privacy, delta))?;
    let counted: Vec<u32> = units.iter().flatten().copied().collect();
    let found = match &plan.preparation {
        Some(cost) => ask(&questions, &counted, cost, &mut noise)?,
        None => Vec::new(),
    };
    let prepared = questions.iter().map(|q| q.column.name.clone()).collect();
    let mut random = Random::new(params.seed);
    let told = columns.told(frame, privacy, found, counted.len(), &mut random);
    let layout = Layout::of(&told.fields);
    if layout.blocks.is_empty() {
        return Err(nothing_told(&told.excluded));
    }
    if !report(&Progress::phase("training")) {
        return Err(TrainError::Canceled.into());
    }
    let real = told.encode(frame, &mut noise);
    let game = Game {
        params: &params,
        layout: &layout,
        told: &told.table,
        real: &real,
        units: &units,
        privacy,
        plan: &plan,
    };
    let mut step = |step: &Step| report(&Progress::of_step(step));
    let mut watch = Watch::new(&params, frame.rows(), &mut step);
    let (generator, steps) = gan::train_privately(&game, &mut noise, &mut watch)?;
    let history = std::mem::take(&mut watch.history);
    let all = units.len();
    let spent = plan.spending(privacy, steps, (all, all), prepared, false);
    let mut synthesizer = Synthesizer {
        fields: told.fields,
        network: Network::Gan(generator),
        children: Vec::new(),
        rows: frame.rows() as u64,
        metrics: Vec::new(),
        notes: Vec::new(),
        stopped_by: match steps < plan.steps {
            true => "max_seconds",
            false => "epochs",
        }
        .into(),
        fit_seconds: started.elapsed().as_secs_f64(),
        history,
        spent: Some(spent),
        params,
    };
    if !report(&Progress::phase("evaluating")) {
        return Err(TrainError::Canceled.into());
    }
    synthesizer.judge(&told.frame);
    let stated = synthesizer.spent.iter().flat_map(Spent::metrics);
    synthesizer.metrics.extend(stated);
    let note =
        |(name, why)| format!("column \"{name}\" left out, generated rows have NULL in it: {why}");
    let excluded = told.excluded.into_iter().map(note);
    synthesizer.notes.splice(0..0, excluded);
    Ok(synthesizer)
}

fn nothing_told(excluded: &[(String, String)]) -> FitError {
    let listed = excluded.iter();
    let listed: Vec<String> = listed
        .map(|(name, why)| format!("\"{name}\" ({why})"))
        .collect();
    FitError::new("22023", "the relation has no column that can be learned")
        .detail(format!("Left out: {}.", listed.join(", ")))
        .hint("Say what columns look like with privacy.bounds and privacy.categories, or give a larger epsilon.")
}

impl Synthesizer {
    /// Whether it was trained under differential privacy: nothing more may then be learned of the table's rows.
    pub fn is_private(&self) -> bool {
        self.spent.is_some()
    }
}

#[cfg(test)]
#[path = "private_test.rs"]
mod tests;
