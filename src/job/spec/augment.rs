//! The option `augment`: generated rows beside those that are trained on.

use crate::error::{Error, Result};
use crate::job::options::wrong_type;
use crate::messages::notice;
use crate::relation::resolve::Source;
use crate::store::rights::Right;
use crate::store::{cache, record};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const KEYS: [&str; 2] = ["gan", "rows"];
const MOST_ROWS: u64 = 1_000_000;

/// A version that makes rows, and how many are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Such as `twins@3`.
    pub name: String,
    pub id: i64,
    /// `None`: as many as there are training rows.
    pub rows: Option<usize>,
}

impl Wanted {
    /// As an option, with the version as it is now: another may be deployed when the model is trained again.
    pub fn option(&self) -> Value {
        let mut option = json!({"gan": self.name});
        if let Some(rows) = self.rows {
            option["rows"] = rows.into();
        }
        option
    }
}

/// What the option asks for, checked: the model makes rows and has learned the target and what goes with it.
pub fn wanted(
    options: &Map<String, Value>,
    base: &Source,
    target: &str,
    companion: Option<&String>,
) -> Result<Option<Wanted>> {
    let example = "For example {\"augment\": {\"gan\": \"twins\", \"rows\": 5000}}.";
    let given = match options.get("augment") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(wrong_type("augment", "a JSON object").hint(example)),
    };
    if let Some(key) = given.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(
            Error::new("22023", format!("unknown option \"augment.{key}\""))
                .hint(format!("Known options are: {}.", KEYS.join(", "))),
        );
    }
    let Some(reference) = given.get("gan").and_then(Value::as_str) else {
        return Err(wrong_type("augment.gan", "the name of a model that makes rows").hint(example));
    };
    let rows = match given.get("rows") {
        None | Some(Value::Null) => None,
        Some(rows) => {
            let rows = rows.as_u64().filter(|rows| (1..=MOST_ROWS).contains(rows));
            let of = format!("an integer from 1 to {MOST_ROWS}");
            Some(rows.ok_or_else(|| wrong_type("augment.rows", &of))? as usize)
        }
    };
    let model = cache::synthesizer(reference, Right::Predict)?;
    let record = record::record(cache::version(reference, Right::Predict)?)?;
    let name = format!("{}@{}", record.model, record.version);
    let learned: Vec<&str> = model.columns().map(|(name, ..)| name).collect();
    for needed in [Some(target), companion.map(String::as_str)] {
        if let Some(needed) = needed.filter(|needed| !learned.contains(needed)) {
            return Err(
                Error::new("42703", format!("model \"{name}\" has not learned the column \"{needed}\""))
                    .detail(format!("It has learned {}.", learned.join(", ")))
                    .hint("Generated rows need the target: train the model that makes them on the same columns."),
            );
        }
    }
    let again = if base.relation.is_some() {
        &base.from
    } else {
        &base.given
    };
    if record.relation == *again {
        notice(format!(
            "\"{name}\" has learned the same rows, those that are held out among them: what generated rows seem to gain may be \
             more than they do (train it on rows that the option \"split\" keeps for training, to be sure)"
        ));
    }
    Ok(Some(Wanted {
        name,
        id: record.id,
        rows,
    }))
}
