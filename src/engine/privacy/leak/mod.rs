//! Leak tests: what somebody who may ask a model learns of the rows it was trained on. The model is trained again and again on
//! halves of the rows ("shadows"), so that of each row it is known how models answer that have, or have not, seen it.

mod attribute;
mod membership;

use crate::params::{ParamError, Reader};
pub(crate) use attribute::{Guesses, attribute, likeliest};
pub(crate) use membership::{Observed, exposure, membership};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is tried, and how hard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub shadows: usize,
    /// Rows that take part, at most.
    pub rows: usize,
    pub seed: u64,
    /// Made-up rows that are among the training rows of each shadow.
    pub canaries: usize,
    /// Columns that an attacker wants to know; `None`: categories among the inputs.
    pub columns: Option<Vec<String>>,
    pub max_seconds: f64,
}

impl Plan {
    /// Names of every option, sorted.
    pub const KEYS: &'static [&'static str] = &[
        "canaries",
        "columns",
        "max_seconds",
        "rows",
        "seed",
        "shadows",
    ];
    /// The fewest shadows that tell anything: beside the pair that is attacked, two have seen a row and two have not.
    pub const FEWEST: usize = 6;

    /// Reads the options; other keys are left to the caller.
    ///
    /// | name | default | range | why |
    /// |---|---|---|---|
    /// | shadows | 16 | 6 to 256, even | halves come in pairs, so that each row is in half of them |
    /// | rows | 4000 | 50 to 100,000 | a table of 10,000 rows takes a minute or two |
    /// | canaries | 16 | 0 to 1000 | as many again are kept out |
    /// | columns | up to 3 categories | names of inputs | what an attacker wants to know |
    /// | seed | 42 | 0 to 2^53 | |
    /// | max_seconds | 120 | 1 to 1e6 | each shadow has its share |
    ///
    /// # Errors
    /// A wrong type, or a value out of range.
    pub fn from_json(options: &Map<String, Value>) -> Result<Plan, ParamError> {
        let reader = Reader { options };
        let shadows = reader
            .integer("shadows", Self::FEWEST as u64, 256)?
            .unwrap_or(16);
        if shadows % 2 == 1 {
            return Err(Reader::wrong("shadows", "an even integer from 6 to 256"));
        }
        Ok(Plan {
            shadows: shadows as usize,
            rows: reader.integer("rows", 50, 100_000)?.unwrap_or(4000) as usize,
            seed: reader.integer("seed", 0, 1 << 53)?.unwrap_or(42),
            canaries: reader.integer("canaries", 0, 1000)?.unwrap_or(16) as usize,
            columns: columns(&reader)?,
            max_seconds: reader.number("max_seconds", 1.0, 1e6)?.unwrap_or(120.0),
        })
    }
}

fn columns(reader: &Reader<'_>) -> Result<Option<Vec<String>>, ParamError> {
    let Some(value) = reader.get("columns") else {
        return Ok(None);
    };
    let names = value.as_array().and_then(|items| {
        let names = items.iter().map(|item| item.as_str().map(str::to_owned));
        names.collect::<Option<Vec<String>>>()
    });
    let wrong = || Reader::wrong("columns", "an array of at most 20 column names");
    names
        .filter(|own| own.len() <= 20)
        .map(Some)
        .ok_or_else(wrong)
}

/// One figure of an attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `loss_threshold`, `lira`; the same of canaries; `attribute:` and the column.
    pub attack: String,
    pub metric: String,
    /// `None`: there are too few rows to say.
    pub value: Option<f64>,
    /// 95% interval.
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// What came of the attacks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    pub findings: Vec<Finding>,
    /// Models that were trained, and rows that took part.
    pub shadows: usize,
    pub rows: usize,
    /// What weakens the figures.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests;
