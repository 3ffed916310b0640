//! The options that say how probabilities become decisions.

use super::{ParamError, reader::Reader};
use crate::artifact::Task;
use crate::calibrate::Method;
use crate::decision::{Decision, Goal, Profit, Threshold};
use serde_json::Value;

pub(super) const CALIBRATIONS: &[(&str, Method)] = &[
    ("auto", Method::Auto),
    ("none", Method::None),
    ("temperature", Method::Temperature),
    ("vector", Method::Vector),
    ("isotonic", Method::Isotonic),
    ("beta", Method::Beta),
];

const GOALS: &[(&str, Goal)] = &[
    ("f1", Goal::F1),
    ("balanced_accuracy", Goal::BalancedAccuracy),
    ("profit", Goal::Profit),
];

/// What a decision earns is at most this, which keeps sums finite.
const MOST: f64 = 1e12;

impl Reader<'_> {
    pub(super) fn decision(&self) -> Result<Decision, ParamError> {
        Ok(Decision {
            threshold: self.threshold()?,
            profit: self.get("profit").map(profit).transpose()?,
            capacity: self.integer("capacity", 1, 1 << 53)?,
        })
    }

    fn threshold(&self) -> Result<Option<Threshold>, ParamError> {
        let Some(value) = self.get("threshold") else {
            return Ok(None);
        };
        let goal = value
            .as_str()
            .and_then(|name| GOALS.iter().find(|(n, _)| *n == name));
        match (value.as_f64(), goal) {
            (Some(at), _) if (0.0..=1.0).contains(&at) => Ok(Some(Threshold::At(at))),
            (_, Some((_, goal))) => Ok(Some(Threshold::Best(*goal))),
            _ => Err(Self::wrong(
                "threshold",
                "a number from 0 to 1, \"f1\", \"balanced_accuracy\" or \"profit\"",
            )),
        }
    }
}

/// Reads an object such as `{"tp": 90, "fp": -10}`; what is not named earns nothing.
///
/// # Errors
/// Anything else, with an example.
pub fn profit(value: &Value) -> Result<Profit, ParamError> {
    let wrong = || ParamError {
        option: "profit".into(),
        message: "\"profit\" must be an object of numbers by kind of decision".into(),
        hint: format!(
            "Kinds are {}: for example {{\"tp\": 90, \"fp\": -10}}; one that is not named earns 0.",
            Profit::KEYS.join(", ")
        ),
    };
    let Value::Object(given) = value else {
        return Err(wrong());
    };
    let number = |(key, value): (&String, &Value)| {
        let known = Profit::KEYS.contains(&key.as_str());
        known && value.as_f64().is_some_and(|v| v.abs() <= MOST)
    };
    if given.is_empty() || !given.iter().all(number) {
        return Err(wrong());
    }
    let of = |key: &str| given.get(key).and_then(Value::as_f64).unwrap_or_default();
    Ok(Profit {
        tp: of("tp"),
        fp: of("fp"),
        fn_: of("fn"),
        tn: of("tn"),
    })
}

/// Checks that a decision has what it needs; a profit without a threshold is what the threshold is for.
pub(super) fn check(mut decision: Decision, task: Task) -> Result<Decision, ParamError> {
    if decision.threshold.is_none() && decision.profit.is_some() {
        decision.threshold = Some(Threshold::Best(Goal::Profit));
    }
    let given = [
        ("threshold", decision.threshold.is_some()),
        ("profit", decision.profit.is_some()),
        ("capacity", decision.capacity.is_some()),
    ];
    if let Some((option, _)) = given
        .iter()
        .find(|(_, given)| *given && task != Task::Binary)
    {
        return Err(ParamError {
            option: (*option).into(),
            message: format!("option \"{option}\" needs a target of two values"),
            hint: format!("Leave \"{option}\" out."),
        });
    }
    if decision.threshold == Some(Threshold::Best(Goal::Profit)) && decision.profit.is_none() {
        return Err(ParamError {
            option: "threshold".into(),
            message: "threshold \"profit\" needs the option \"profit\"".into(),
            hint: "For example \"profit\": {\"tp\": 90, \"fp\": -10}.".into(),
        });
    }
    Ok(decision)
}

/// The method in force for a task.
pub(super) fn calibration(method: Option<Method>, task: Task) -> Result<Method, ParamError> {
    let method = method.unwrap_or_default();
    let fits = match method {
        Method::Auto | Method::None => true,
        Method::Temperature => task.has_one_label(),
        Method::Vector => task == Task::Multiclass,
        Method::Isotonic | Method::Beta => task == Task::Binary,
    };
    if fits {
        return Ok(method);
    }
    let (name, _) = CALIBRATIONS
        .iter()
        .find(|(_, m)| *m == method)
        .unwrap_or(&CALIBRATIONS[0]);
    Err(ParamError {
        option: "calibration".into(),
        message: format!("calibration {name} does not fit a {task:?} target").to_lowercase(),
        hint: match task {
            _ if !task.has_one_label() => "Leave \"calibration\" out.",
            Task::Multiclass => "Use temperature, vector, auto or none.",
            Task::Binary => "Use temperature, isotonic, beta, auto or none.",
            _ => "Use temperature, auto or none.",
        }
        .into(),
    })
}
