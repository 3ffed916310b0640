//! The option `privacy`, and the options that go with it.

use crate::calibrate::Method;
use crate::decision::Threshold;
use crate::params::{
    Algorithm, Averaging, ClassWeight, NumberEncoding, Optimizer, ParamError, Params, Reader,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const KEYS: [&str; 8] = [
    "bounds",
    "categories",
    "clip",
    "delta",
    "epsilon",
    "preparation",
    "rows_per_unit",
    "unit",
];

/// Options of a training that look at no row, or at rows only through what is noised. All others are refused: each would tell
/// something of the rows that is not accounted for.
const BESIDE: [&str; 38] = [
    "activation",
    "algorithm",
    "averaging_epochs",
    "batch_size",
    "calibration",
    "class_weight",
    "deploy",
    "device",
    "early_stopping",
    "epochs",
    "exclude",
    "focal_gamma",
    "hidden",
    "huber_delta",
    "include",
    "l1",
    "l2",
    "label_smoothing",
    "learning_rate",
    "learning_rate_factors",
    "learning_rate_schedule",
    "loss",
    "max_seconds",
    "momentum",
    "number_embedding",
    "optimizer",
    "positive",
    "privacy",
    "quantile",
    "seed",
    "task",
    "test_size",
    "threads",
    "threshold",
    "tweedie_power",
    "wait",
    "warmup_epochs",
    "weight_averaging",
];

/// Epochs, and samples that make one, by default.
const EPOCHS: u32 = 20;
const SAMPLES: usize = 20;

const EXAMPLE: &str = "For example {\"privacy\": {\"epsilon\": 3, \"delta\": 1e-5}}.";

/// How much a model may tell of a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Privacy {
    pub epsilon: f64,
    /// `None`: a tenth of 1 / rows.
    #[serde(default)]
    pub delta: Option<f64>,
    /// The norm to which the gradient of a unit is shortened.
    pub clip: f64,
    /// The column that says whose rows they are; `None`: each row is a unit.
    #[serde(default)]
    pub unit: Option<String>,
    /// Rows of a unit that are looked at, at most.
    pub rows_per_unit: usize,
    /// Share of the budget that finds out what columns look like.
    pub preparation: f64,
    /// Of numbers, where it is known without looking: from and to.
    #[serde(default)]
    pub bounds: BTreeMap<String, (f64, f64)>,
    /// Of texts, and of the target: all values there can be.
    #[serde(default)]
    pub categories: BTreeMap<String, Vec<String>>,
}

/// The option as given, without a look at the others; `None` where it is not.
///
/// | name | default | range | why |
/// |---|---|---|---|
/// | epsilon | none | 0.01 to 1000 | it must be said: no number is right for everybody |
/// | delta | 1 / (10 rows) | above 0 to 0.1 | above 1 / rows a mechanism may tell all of a row |
/// | clip | 1 | 0.0001 to 1000 | gradients of standardised inputs are of about this size |
/// | unit | each row | a column | who is to be hidden |
/// | rows_per_unit | 1 | 1 to 1000 | more rows teach more, but each counts for less |
/// | preparation | 0.1 | 0.01 to 0.9 | enough to find what columns look like in some thousand rows |
/// | bounds, categories | none | by column | what is given costs nothing |
///
/// # Errors
/// A key that is not known, a value of the wrong type or out of range.
pub fn given(options: &Map<String, Value>) -> Result<Option<Privacy>, ParamError> {
    let own = match options.get("privacy") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(own)) => own,
        Some(_) => return Err(wrong("privacy", "a JSON object", EXAMPLE.into())),
    };
    if let Some(key) = own.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(ParamError {
            option: "privacy".into(),
            message: format!("unknown option \"privacy.{key}\""),
            hint: format!("Known options are: {}.", KEYS.join(", ")),
        });
    }
    let reader = Reader { options: own };
    let named = |e: ParamError| ParamError {
        message: e.message.replacen("option \"", "option \"privacy.", 1),
        hint: e.hint.replacen("Leave \"", "Leave \"privacy.", 1),
        ..e
    };
    let Some(epsilon) = reader.number("epsilon", 0.01, 1000.0).map_err(named)? else {
        return Err(ParamError {
            option: "privacy".into(),
            message: "option \"privacy\" needs an epsilon".into(),
            hint: EXAMPLE.into(),
        });
    };
    let unit = match reader.get("unit") {
        None => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => {
            let hint = "It names the column that says whose rows they are.";
            return Err(wrong("privacy.unit", "the name of a column", hint.into()));
        }
    };
    let rows_per_unit = reader.integer("rows_per_unit", 1, 1000).map_err(named)?;
    if rows_per_unit.is_some() && unit.is_none() {
        return Err(ParamError {
            option: "privacy".into(),
            message: "option \"privacy.rows_per_unit\" needs the option \"privacy.unit\"".into(),
            hint: "Name the column that says whose rows they are, or leave it out.".into(),
        });
    }
    Ok(Some(Privacy {
        epsilon,
        delta: reader
            .number("delta", f64::MIN_POSITIVE, 0.1)
            .map_err(named)?,
        clip: reader
            .number("clip", 1e-4, 1e3)
            .map_err(named)?
            .unwrap_or(1.0),
        unit,
        rows_per_unit: rows_per_unit.unwrap_or(1) as usize,
        preparation: reader
            .number("preparation", 0.01, 0.9)
            .map_err(named)?
            .unwrap_or(0.1),
        bounds: bounds(&reader)?,
        categories: categories(&reader)?,
    }))
}

fn bounds(reader: &Reader<'_>) -> Result<BTreeMap<String, (f64, f64)>, ParamError> {
    let error = || {
        wrong(
            "privacy.bounds",
            "an object with the least and the greatest value of columns of numbers",
            "For example {\"bounds\": {\"age\": [18, 90]}}.".into(),
        )
    };
    let pair = |(name, value): (&String, &Value)| match value.as_array().map(Vec::as_slice) {
        Some([low, high]) => {
            let (low, high) = (low.as_f64()?, high.as_f64()?);
            (low < high).then(|| (name.clone(), (low, high)))
        }
        _ => None,
    };
    match reader.get("bounds") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(given)) => {
            let all: Option<_> = given.iter().map(pair).collect();
            all.ok_or_else(error)
        }
        Some(_) => Err(error()),
    }
}

fn categories(reader: &Reader<'_>) -> Result<BTreeMap<String, Vec<String>>, ParamError> {
    let error = || {
        wrong(
            "privacy.categories",
            "an object with all values that columns can have",
            "For example {\"categories\": {\"country\": [\"DE\", \"FR\"]}}.".into(),
        )
    };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let list = |(name, value): (&String, &Value)| {
        let mut list: Vec<String> = value.as_array()?.iter().map(text).collect::<Option<_>>()?;
        list.sort_unstable();
        list.dedup();
        (!list.is_empty()).then(|| (name.clone(), list))
    };
    match reader.get("categories") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(given)) => {
            let all: Option<_> = given.iter().map(list).collect();
            all.ok_or_else(error)
        }
        Some(_) => Err(error()),
    }
}

impl Privacy {
    /// Whether the other options of a training can go with it.
    ///
    /// # Errors
    /// The first that cannot, with those that can.
    pub(crate) fn check(&self, params: &Params) -> Result<(), ParamError> {
        let given = |key: &&String| params.given.get(*key).is_some_and(|v| !v.is_null());
        let other = |key: &&String| !BESIDE.contains(&key.as_str());
        if let Some(key) = params.given.keys().filter(given).find(other) {
            return Err(refused(
                key,
                format!("option \"{key}\" cannot be used with the option \"privacy\""),
                format!(
                    "It would look at rows in ways that are not accounted for. With privacy go: {}.",
                    BESIDE.join(", ")
                ),
            ));
        }
        let algorithm = params.algorithm.unwrap_or_default();
        if !matches!(algorithm, Algorithm::Auto | Algorithm::Dnn | Algorithm::Mlp) {
            return Err(refused(
                "algorithm",
                format!(
                    "the algorithm {} cannot be trained under differential privacy",
                    algorithm.name()
                ),
                "Use dnn, mlp or auto, which is dnn then.".into(),
            ));
        }
        if params.early_stopping == Some(true) {
            return Err(refused(
                "early_stopping",
                "option \"early_stopping\" cannot be used with the option \"privacy\"".into(),
                "Rows that decide when to stop would be told of: say how many epochs.".into(),
            ));
        }
        if params
            .calibration
            .is_some_and(|method| !matches!(method, Method::None | Method::Auto))
        {
            return Err(refused(
                "calibration",
                "option \"calibration\" cannot be used with the option \"privacy\"".into(),
                "Rows that calibrate would be told of: leave it out.".into(),
            ));
        }
        if matches!(params.decision.threshold, Some(Threshold::Best(_))) {
            return Err(refused(
                "threshold",
                "a threshold cannot be looked for with the option \"privacy\"".into(),
                "Give a number from 0 to 1.".into(),
            ));
        }
        if params.class_weight == Some(ClassWeight::Balanced) {
            return Err(refused(
                "class_weight",
                "classes cannot be balanced with the option \"privacy\"".into(),
                "How often each occurs is not known then: give a weight for each label.".into(),
            ));
        }
        if params
            .number_embedding
            .is_some_and(|e| e != NumberEncoding::None)
        {
            return Err(refused(
                "number_embedding",
                "numbers cannot be embedded with the option \"privacy\"".into(),
                "Leave number_embedding out, or set it to none.".into(),
            ));
        }
        Ok(())
    }

    /// The same for a model of histories: the unit is the key, with all its rows.
    ///
    /// # Errors
    /// Another unit; more than one row of it.
    pub fn of_key(&self, key: &str) -> Result<Privacy, ParamError> {
        if let Some(unit) = self.unit.as_ref().filter(|unit| *unit != key) {
            return Err(refused(
                "privacy",
                format!("option \"privacy.unit\" must be the key \"{key}\", not \"{unit}\""),
                "A model of histories hides all rows of a key together: leave the option out."
                    .into(),
            ));
        }
        if self.rows_per_unit != 1 {
            return Err(refused(
                "privacy",
                "option \"privacy.rows_per_unit\" cannot be used with a model of histories".into(),
                "All rows of a key that are read count as one: leave the option out.".into(),
            ));
        }
        Ok(Privacy {
            unit: Some(key.into()),
            ..self.clone()
        })
    }

    /// Defaults that do well under noise: a small network, as each weight has noise of its own; large samples and few epochs, as
    /// each step costs; an average of the weights, which costs nothing; no rows held out but for testing.
    pub(crate) fn complete(&self, params: &Params, rows: usize) -> Params {
        let mut own = params.clone();
        own.algorithm = Some(match own.algorithm {
            Some(Algorithm::Mlp) => Algorithm::Mlp,
            _ => Algorithm::Dnn,
        });
        own.hidden.get_or_insert_with(|| vec![32]);
        own.dropout.get_or_insert(0.0);
        own.l2.get_or_insert(0.0);
        own.epochs.get_or_insert(EPOCHS);
        own.batch_size
            .get_or_insert((rows / SAMPLES).clamp(32, 8192));
        own.learning_rate.get_or_insert(match own.optimizer {
            Some(Optimizer::Sgd) => 0.5,
            _ => 0.01,
        });
        own.learning.averaging.get_or_insert(Averaging::Ema);
        own.early_stopping = Some(false);
        own.validation_size = Some(0.0);
        own.calibration = Some(Method::None);
        own.number_embedding = Some(NumberEncoding::None);
        own.members = Some(1);
        own.text_dim = Some(0);
        own
    }
}

fn wrong(option: &str, must: &str, hint: String) -> ParamError {
    ParamError {
        option: option.into(),
        message: format!("option \"{option}\" must be {must}"),
        hint,
    }
}

fn refused(option: &str, message: String, hint: String) -> ParamError {
    ParamError {
        option: option.into(),
        message,
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(options: Value) -> Result<Params, ParamError> {
        Params::from_json(options.as_object().expect("an object"))
    }

    #[test]
    fn what_is_given_is_read() {
        let params = read(
            json!({"privacy": {"epsilon": 3, "delta": 1e-5, "clip": 0.5, "unit": "id", "rows_per_unit": 4,
            "bounds": {"age": [18, 90]}, "categories": {"land": ["FR", "DE", "FR"], "paid": [true, false]}}}),
        );
        let privacy = params.expect("sound").privacy.expect("given");
        assert_eq!(
            (privacy.epsilon, privacy.delta, privacy.clip),
            (3.0, Some(1e-5), 0.5)
        );
        assert_eq!(
            (privacy.unit.as_deref(), privacy.rows_per_unit),
            (Some("id"), 4)
        );
        assert_eq!(privacy.bounds["age"], (18.0, 90.0));
        assert_eq!(privacy.categories["land"], ["DE", "FR"]);
        assert_eq!(privacy.categories["paid"], ["false", "true"]);
        assert!(
            read(json!({"privacy": null}))
                .expect("sound")
                .privacy
                .is_none()
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_a_way_out() {
        let said = |options: Value| read(options).expect_err("wrong").message;
        for (privacy, word) in [
            (json!({}), "needs an epsilon"),
            (json!({"epsilon": 0}), "privacy.epsilon"),
            (json!({"epsilon": 1, "delta": 0.5}), "privacy.delta"),
            (
                json!({"epsilon": 1, "eps": 1}),
                "unknown option \"privacy.eps\"",
            ),
            (
                json!({"epsilon": 1, "rows_per_unit": 2}),
                "needs the option \"privacy.unit\"",
            ),
            (
                json!({"epsilon": 1, "bounds": {"age": [9, 1]}}),
                "privacy.bounds",
            ),
            (
                json!({"epsilon": 1, "categories": {"a": []}}),
                "privacy.categories",
            ),
            (json!(3), "a JSON object"),
        ] {
            let message = said(json!({"privacy": privacy}));
            assert!(message.contains(word), "{message}");
        }
        for beside in [
            json!({"algorithm": "gbdt"}),
            json!({"tune": true}),
            json!({"early_stopping": true}),
            json!({"warm_start": true}),
            json!({"calibration": "isotonic"}),
            json!({"threshold": "f1"}),
            json!({"class_weight": "balanced"}),
            json!({"group": "id"}),
            json!({"number_embedding": "piecewise_linear"}),
            json!({"validation_size": 0.1}),
        ] {
            let mut options = beside.clone();
            options["privacy"] = json!({"epsilon": 1});
            let error = read(options).expect_err("refused");
            assert!(
                !error.hint.is_empty() && beside.get(&error.option).is_some(),
                "{error:?}"
            );
        }
    }
}
