//! Typed look-ups in the options of a training.

use super::{ClassWeight, ParamError};
use serde_json::{Map, Value};

/// Typed look-ups with errors that say what is allowed. JSON null means the default.
pub(crate) struct Reader<'a> {
    pub(crate) options: &'a Map<String, Value>,
}

impl Reader<'_> {
    pub(crate) fn get(&self, option: &str) -> Option<&Value> {
        self.options.get(option).filter(|value| !value.is_null())
    }

    pub(crate) fn wrong(option: &str, must: &str) -> ParamError {
        ParamError {
            option: option.into(),
            message: format!("option \"{option}\" must be {must}"),
            hint: format!("Leave \"{option}\" out for its default."),
        }
    }

    pub(crate) fn number(
        &self,
        option: &str,
        low: f64,
        high: f64,
    ) -> Result<Option<f64>, ParamError> {
        let Some(value) = self.get(option) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(Self::wrong(
                option,
                &format!("a number from {low} to {high}"),
            )),
        }
    }

    pub(crate) fn integer(
        &self,
        option: &str,
        low: u64,
        high: u64,
    ) -> Result<Option<u64>, ParamError> {
        let Some(value) = self.get(option) else {
            return Ok(None);
        };
        let whole = value.as_u64().or_else(|| {
            value
                .as_f64()
                .filter(|x| x.fract() == 0.0 && *x >= 0.0)
                .map(|x| x as u64)
        });
        match whole {
            Some(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(Self::wrong(
                option,
                &format!("an integer from {low} to {high}"),
            )),
        }
    }

    pub(crate) fn boolean(&self, option: &str) -> Result<Option<bool>, ParamError> {
        let Some(value) = self.get(option) else {
            return Ok(None);
        };
        value
            .as_bool()
            .map(Some)
            .ok_or_else(|| Self::wrong(option, "true or false"))
    }

    pub(crate) fn choice<T: Copy>(
        &self,
        option: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ParamError> {
        let Some(value) = self.get(option) else {
            return Ok(None);
        };
        let found = value
            .as_str()
            .and_then(|name| choices.iter().find(|(n, _)| *n == name));
        let names: Vec<&str> = choices.iter().map(|(n, _)| *n).collect();
        found
            .map(|(_, choice)| Some(*choice))
            .ok_or_else(|| Self::wrong(option, &format!("one of {}", names.join(", "))))
    }

    /// Widths of layers.
    pub(crate) fn widths(&self, option: &str) -> Result<Option<Vec<usize>>, ParamError> {
        let Some(value) = self.get(option) else {
            return Ok(None);
        };
        let width = |v: &Value| {
            v.as_u64()
                .filter(|n| (1..=4096).contains(n))
                .map(|n| n as usize)
        };
        let layers = match value {
            Value::Array(items) => items.iter().map(width).collect::<Option<Vec<_>>>(),
            single => width(single).map(|n| vec![n]),
        };
        layers
            .filter(|layers| (1..=8).contains(&layers.len()))
            .map(Some)
            .ok_or_else(|| {
                Self::wrong(
                    option,
                    "an array of 1 to 8 integers from 1 to 4096, such as [64, 32]",
                )
            })
    }

    pub(crate) fn class_weight(&self) -> Result<Option<ClassWeight>, ParamError> {
        let wrong = || {
            Self::wrong(
                "class_weight",
                "\"balanced\", \"none\", or an object of weights by label above 0",
            )
        };
        match self.get("class_weight") {
            None => Ok(None),
            Some(Value::String(name)) if name == "balanced" => Ok(Some(ClassWeight::Balanced)),
            Some(Value::String(name)) if name == "none" => Ok(Some(ClassWeight::None)),
            Some(Value::Object(weights)) => {
                let pair = |(label, weight): (&String, &Value)| {
                    weight
                        .as_f64()
                        .filter(|w| *w > 0.0 && *w <= 1e6)
                        .map(|w| (label.clone(), w))
                };
                let weights = weights
                    .iter()
                    .map(pair)
                    .collect::<Option<_>>()
                    .ok_or_else(wrong)?;
                Ok(Some(ClassWeight::PerLabel(weights)))
            }
            Some(_) => Err(wrong()),
        }
    }
}
