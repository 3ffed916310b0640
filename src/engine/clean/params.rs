//! What to clean and how: the options, checked.

use crate::frame::{Column, Kind};
use crate::params::ParamError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What becomes of values that are missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Missing {
    /// They stay missing; a model has its own way with them.
    #[default]
    Keep,
    /// A table: the median of numbers and times, the most frequent of other values. A model: as `Keep`.
    Auto,
    /// Numbers and times only, and so are `Mean` and `Model`.
    Median,
    Mean,
    /// The most frequent value, of every kind.
    Mode,
    Constant(Constant),
    /// The row goes.
    Drop,
    /// Predicted from the other columns of numbers.
    Model,
}

/// What stands in for missing values.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// For every column it fits.
    One(Value),
    ByColumn(BTreeMap<String, Value>),
}

impl Constant {
    pub(super) fn of(&self, column: &str) -> Option<&Value> {
        match self {
            Constant::One(value) => Some(value),
            Constant::ByColumn(values) => values.get(column),
        }
    }
}

/// What becomes of numbers far from the others.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Outliers {
    #[default]
    Keep,
    /// Brought to the quantiles q and 1 - q.
    Clip(f64),
    /// Brought to the median ± z · 1.4826 · the median absolute deviation.
    Robust(f64),
    /// Rows with a number beyond the bounds of `Robust` go.
    Drop(f64),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duplicates {
    #[default]
    Keep,
    Exact,
    Near,
}

/// The options of cleaning. Only [`CleanParams::from_json`] makes one that does something, so all of them are checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CleanParams {
    pub(super) missing: Missing,
    pub(super) outliers: Outliers,
    pub(super) duplicates: Duplicates,
    pub(super) text: super::text::Text,
    pub(super) variants: bool,
    pub(super) numbers: bool,
    pub(super) dates: bool,
    /// Only these; empty: all but keys and identifiers.
    pub(super) columns: Vec<String>,
}

impl CleanParams {
    /// Names of every option, sorted.
    pub const KEYS: &'static [&'static str] = &[
        "clip_quantile",
        "columns",
        "constant_value",
        "dates",
        "duplicates",
        "missing",
        "numbers",
        "outliers",
        "robust_z",
        "text",
        "variants",
    ];

    /// Reads the options; `prefix` stands before their names in messages, such as `clean.`.
    ///
    /// | name | default | range | why |
    /// |---|---|---|---|
    /// | missing | keep | keep, auto, median, mean, mode, constant, drop, model | a model learns from what is missing, too |
    /// | constant_value | | a number, text or boolean, or an object of them by column | goes with missing constant |
    /// | outliers | keep | keep, clip, robust, drop | a large customer is no error |
    /// | clip_quantile | 0.01 | 0.0001 to 0.25 | one row in fifty is touched |
    /// | robust_z | 5 | 1 to 100 | beyond what a normal distribution has in a million rows |
    /// | duplicates | keep | keep, exact, near | two customers can be alike |
    /// | text.trim, text.case, text.unicode | false, keep, keep | true; keep, fold; keep, nfkc | |
    /// | variants, numbers, dates | false | true, false | |
    /// | columns | all but keys and identifiers | names | |
    ///
    /// # Errors
    /// An unknown option, a value of another type or out of range, an option without the one it goes with.
    pub fn from_json(options: &Value, prefix: &str) -> Result<CleanParams, ParamError> {
        let Value::Object(options) = options else {
            let name = prefix.trim_end_matches('.');
            return Err(ParamError {
                option: name.into(),
                message: if name.is_empty() {
                    "options must be a JSON object".into()
                } else {
                    format!("option \"{name}\" must be a JSON object")
                },
                hint: known("", Self::KEYS),
            });
        };
        let reader = Reader { options, prefix };
        reader.only(Self::KEYS)?;
        let text = match reader.get("text") {
            None => super::text::Text::default(),
            Some(Value::Object(options)) => {
                let prefix = format!("{prefix}text.");
                let prefix = prefix.as_str();
                let reader = Reader { options, prefix };
                reader.only(&["case", "trim", "unicode"])?;
                super::text::Text {
                    trim: reader.boolean("trim")?,
                    fold: reader.choice("case", &[("keep", false), ("fold", true)])?,
                    nfkc: reader.choice("unicode", &[("keep", false), ("nfkc", true)])?,
                }
            }
            Some(_) => {
                let example = "an object, such as {\"trim\": true, \"case\": \"fold\", \"unicode\": \"nfkc\"}";
                return Err(reader.wrong("text", example));
            }
        };
        Ok(CleanParams {
            missing: reader.missing()?,
            outliers: reader.outliers()?,
            duplicates: reader.choice(
                "duplicates",
                &[
                    ("keep", Duplicates::Keep),
                    ("exact", Duplicates::Exact),
                    ("near", Duplicates::Near),
                ],
            )?,
            text,
            variants: reader.boolean("variants")?,
            numbers: reader.boolean("numbers")?,
            dates: reader.boolean("dates")?,
            columns: reader.columns()?,
        })
    }

    /// The options as a model takes them: it has its own way with what is missing, and tells it apart from what is filled in.
    pub fn for_model(mut self) -> CleanParams {
        if self.missing == Missing::Auto {
            self.missing = Missing::Keep;
        }
        self
    }

    /// Whether anything but gaps and whole rows is looked at.
    pub(super) fn changes_values(&self) -> bool {
        let bounds = matches!(self.outliers, Outliers::Clip(_) | Outliers::Robust(_));
        bounds || !self.text.is_off() || self.variants || self.numbers || self.dates
    }

    /// Columns named by the options, for the caller to look up.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let constants = match &self.missing {
            Missing::Constant(Constant::ByColumn(values)) => Some(values.keys()),
            _ => None,
        };
        let constants = constants.into_iter().flatten();
        self.columns.iter().chain(constants).map(String::as_str)
    }

    /// Whether the constant named for a column can be one of its values.
    ///
    /// # Errors
    /// A value of another kind.
    pub fn check_column(&self, name: &str, kind: Kind) -> Result<(), ParamError> {
        let Missing::Constant(Constant::ByColumn(values)) = &self.missing else {
            return Ok(());
        };
        let column = Column::new(name, "", kind);
        let known = values.contains_key(name);
        match super::missing::fixed(&column, &Constant::ByColumn(values.clone())) {
            None if known => Err(ParamError {
                option: "constant_value".into(),
                message: format!("constant_value of column \"{name}\" is not one of its values"),
                hint: "A number for a column of numbers, true or false for a boolean, a text for text, a date as \"2024-12-31\"."
                    .into(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether a constant is given for the column by its name.
    pub(super) fn fixes(&self, name: &str) -> bool {
        matches!(&self.missing, Missing::Constant(Constant::ByColumn(values)) if values.contains_key(name))
    }

    pub fn duplicates(&self) -> Duplicates {
        self.duplicates
    }
}

fn known(prefix: &str, keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("{prefix}{key}")).collect();
    format!("Known options are: {}.", keys.join(", "))
}

/// Typed look-ups with errors that say what is allowed. JSON null means the default.
struct Reader<'a> {
    options: &'a Map<String, Value>,
    prefix: &'a str,
}

impl Reader<'_> {
    fn only(&self, keys: &[&str]) -> Result<(), ParamError> {
        match self.options.keys().find(|k| !keys.contains(&k.as_str())) {
            None => Ok(()),
            Some(key) => Err(ParamError {
                option: key.clone(),
                message: format!("unknown option \"{}{key}\"", self.prefix),
                hint: known(self.prefix, keys),
            }),
        }
    }

    fn get(&self, option: &str) -> Option<&Value> {
        self.options.get(option).filter(|value| !value.is_null())
    }

    fn wrong(&self, option: &str, must: &str) -> ParamError {
        ParamError {
            option: option.into(),
            message: format!("option \"{}{option}\" must be {must}", self.prefix),
            hint: format!("Leave \"{option}\" out for its default."),
        }
    }

    fn boolean(&self, option: &str) -> Result<bool, ParamError> {
        match self.get(option) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.wrong(option, "true or false")),
        }
    }

    /// The first choice is the default.
    fn choice<T: Copy>(&self, option: &str, choices: &[(&str, T)]) -> Result<T, ParamError> {
        let names = || choices.iter().map(|(n, _)| *n).collect::<Vec<_>>();
        let wrong = || self.wrong(option, &format!("one of {}", names().join(", ")));
        let found = match self.get(option) {
            None => choices.first(),
            Some(value) => choices.iter().find(|(n, _)| value.as_str() == Some(n)),
        };
        found.map(|(_, choice)| *choice).ok_or_else(wrong)
    }

    fn number(&self, option: &str, low: f64, high: f64, default: f64) -> Result<f64, ParamError> {
        match self.get(option).map(Value::as_f64) {
            None => Ok(default),
            Some(Some(number)) if (low..=high).contains(&number) => Ok(number),
            Some(_) => Err(self.wrong(option, &format!("a number from {low} to {high}"))),
        }
    }

    fn missing(&self) -> Result<Missing, ParamError> {
        let choices = [
            ("keep", 0),
            ("auto", 1),
            ("median", 2),
            ("mean", 3),
            ("mode", 4),
            ("constant", 5),
            ("drop", 6),
            ("model", 7),
        ];
        let choice = self.choice("missing", &choices)?;
        let constant = self.get("constant_value");
        if constant.is_some() && choice != 5 {
            return Err(self.goes_with("constant_value", "\"missing\": \"constant\""));
        }
        Ok(match choice {
            0 => Missing::Keep,
            1 => Missing::Auto,
            2 => Missing::Median,
            3 => Missing::Mean,
            4 => Missing::Mode,
            5 => Missing::Constant(self.constant(constant)?),
            6 => Missing::Drop,
            _ => Missing::Model,
        })
    }

    fn constant(&self, value: Option<&Value>) -> Result<Constant, ParamError> {
        let wrong = || {
            let must = "a number, a text, true or false, or an object of them by column";
            ParamError {
                hint: "For example {\"missing\": \"constant\", \"constant_value\": 0}.".into(),
                ..self.wrong("constant_value", must)
            }
        };
        let single = |v: &Value| v.is_number() || v.is_string() || v.is_boolean();
        match value {
            Some(value) if single(value) => Ok(Constant::One(value.clone())),
            Some(Value::Object(values)) if values.values().all(single) => {
                let values = values.iter().map(|(k, v)| (k.clone(), v.clone()));
                Ok(Constant::ByColumn(values.collect()))
            }
            _ => Err(wrong()),
        }
    }

    fn outliers(&self) -> Result<Outliers, ParamError> {
        let choices = [("keep", 0), ("clip", 1), ("robust", 2), ("drop", 3)];
        let choice = self.choice("outliers", &choices)?;
        let quantile = self.number("clip_quantile", 1e-4, 0.25, 0.01)?;
        let z = self.number("robust_z", 1.0, 100.0, 5.0)?;
        if choice != 1 && self.get("clip_quantile").is_some() {
            return Err(self.goes_with("clip_quantile", "\"outliers\": \"clip\""));
        }
        if choice < 2 && self.get("robust_z").is_some() {
            return Err(self.goes_with("robust_z", "\"outliers\": \"robust\" or \"drop\""));
        }
        Ok(match choice {
            0 => Outliers::Keep,
            1 => Outliers::Clip(quantile),
            2 => Outliers::Robust(z),
            _ => Outliers::Drop(z),
        })
    }

    fn goes_with(&self, option: &str, other: &str) -> ParamError {
        ParamError {
            option: option.into(),
            message: format!("option \"{}{option}\" needs {other}", self.prefix),
            hint: format!("Add {other}, or leave \"{option}\" out."),
        }
    }

    fn columns(&self) -> Result<Vec<String>, ParamError> {
        let wrong = || self.wrong("columns", "an array of column names");
        match self.get("columns") {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(options: Value) -> Result<CleanParams, ParamError> {
        CleanParams::from_json(&options, "clean.")
    }

    #[test]
    fn every_option_is_checked() {
        assert!(CleanParams::KEYS.is_sorted());
        for key in CleanParams::KEYS {
            let error = read(json!({ *key: [[]] })).unwrap_err();
            assert!(error.message.contains(&format!("clean.{key}")), "{error}");
            assert!(!error.hint.is_empty());
            assert_eq!(read(json!({ *key: null })).unwrap(), CleanParams::default());
        }
    }

    #[test]
    fn what_is_unknown_or_goes_nowhere_is_an_error() {
        for (options, message) in [
            (
                json!({"outlier": "clip"}),
                "unknown option \"clean.outlier\"",
            ),
            (
                json!({"text": {"upper": true}}),
                "unknown option \"clean.text.upper\"",
            ),
            (json!({"constant_value": 1}), "needs \"missing\""),
            (json!({"missing": "constant"}), "constant_value"),
            (json!({"clip_quantile": 0.1}), "needs \"outliers\""),
            (
                json!({"robust_z": 3, "outliers": "clip"}),
                "needs \"outliers\"",
            ),
            (
                json!({"robust_z": 0, "outliers": "robust"}),
                "from 1 to 100",
            ),
            (json!([1]), "must be a JSON object"),
        ] {
            let error = read(options).unwrap_err();
            assert!(error.message.contains(message), "{error}");
        }
    }

    #[test]
    fn options_are_understood() {
        let params = read(
            json!({"missing": "constant", "constant_value": {"age": 0}, "outliers": "drop",
            "duplicates": "near", "text": {"trim": true, "case": "fold"}, "columns": ["city"]}),
        )
        .unwrap();
        assert_eq!(params.outliers, Outliers::Drop(5.0));
        assert_eq!(params.duplicates(), Duplicates::Near);
        assert!(params.text.trim && params.text.fold && !params.text.nfkc);
        assert_eq!(params.named().collect::<Vec<_>>(), ["city", "age"]);
    }
}
