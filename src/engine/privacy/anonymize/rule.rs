//! What is done to the values of one column.

use super::generalize::Generalize;
use super::value::{Form, Target, Value};
use crate::params::{ParamError, reader::Reader};
use crate::privacy::asked::{error, object, text};
use crate::privacy::pii::iso_day;
use serde_json::{Map, Value as Json};

const DAY: i64 = 86_400_000_000;

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// As it is.
    Keep,
    /// NULL, or the same text for every row.
    Suppress {
        with: Option<String>,
    },
    /// A keyed pseudonym, of so many hexadecimal digits where it is a text.
    Pseudonym {
        domain: String,
        length: usize,
    },
    /// Characters at the beginning and the end stay, `with` stands for each of the others.
    Mask {
        keep: usize,
        keep_end: usize,
        with: char,
    },
    Generalize(Generalize),
    /// What lies beyond is brought to the bound.
    TopCode {
        min: Option<Value>,
        max: Option<Value>,
    },
    /// The values change places among the rows.
    Shuffle,
    /// Noise of this scale is added, of times in days.
    Noise {
        scale: f64,
        shape: Shape,
    },
}

/// The distribution of noise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    #[default]
    Laplace,
    Normal,
    Uniform,
}

/// How a column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Number,
    Time,
    Boolean,
    Text,
}

pub const METHODS: [&str; 8] = [
    "keep",
    "suppress",
    "pseudonym",
    "mask",
    "generalize",
    "top_code",
    "shuffle",
    "noise",
];

impl Rule {
    /// Reads a rule: the name of a method, or an object with `method` and its options.
    ///
    /// | method | options (default) |
    /// |---|---|
    /// | keep | |
    /// | suppress | value (NULL): a text, number or boolean |
    /// | pseudonym | domain (""), length (32): hexadecimal digits, 8 to 64 |
    /// | mask | keep (0), keep_end (0), with ("*") |
    /// | generalize | one of width (with start, 0), unit (day to decade), keep, hierarchy (with level) |
    /// | top_code | max, min, one of them at least: numbers, or dates as texts |
    /// | shuffle | |
    /// | noise | scale, distribution (laplace, normal, uniform) |
    ///
    /// # Errors
    /// An unknown method or option, a value of another type or out of range.
    pub fn from_json(column: &str, rule: &Json) -> Result<Rule, ParamError> {
        let methods = || format!("Methods are: {}.", METHODS.join(", "));
        let at = format!("columns.{column}.");
        let empty = Map::new();
        let (method, options) = match rule {
            Json::String(method) => (method.as_str(), &empty),
            Json::Object(options) => match options.get("method") {
                Some(Json::String(method)) => (method.as_str(), options),
                _ => {
                    let message = format!("the rule of column \"{column}\" needs a method");
                    return Err(error("method", message, methods()));
                }
            },
            _ => {
                let message = format!(
                    "the rule of column \"{column}\" must be a method or an object with one"
                );
                return Err(error(column, message, methods()));
            }
        };
        let whole = Json::Object(options.clone());
        let keys: &[&str] = match method {
            "keep" | "shuffle" => &["method"],
            "suppress" => &["method", "value"],
            "pseudonym" => &["domain", "length", "method"],
            "mask" => &["keep", "keep_end", "method", "with"],
            "generalize" => &[
                "hierarchy",
                "keep",
                "level",
                "method",
                "start",
                "unit",
                "width",
            ],
            "top_code" => &["max", "method", "min"],
            "noise" => &["distribution", "method", "scale"],
            _ => {
                let message = format!("unknown method \"{method}\" of column \"{column}\"");
                return Err(error("method", message, methods()));
            }
        };
        let reader = object(&whole, &at, keys)?;
        let count = |option: &str, low: u64, high: u64, default: u64| {
            let found = reader.integer(option, low, high)?;
            Ok::<usize, ParamError>(found.unwrap_or(default) as usize)
        };
        Ok(match method {
            "keep" => Rule::Keep,
            "shuffle" => Rule::Shuffle,
            "suppress" => Rule::Suppress { with: constant(&reader)? },
            "pseudonym" => Rule::Pseudonym {
                domain: text(&reader, "domain")?.unwrap_or_default(),
                length: count("length", 8, 64, 32)?,
            },
            "mask" => Rule::Mask {
                keep: count("keep", 0, 1000, 0)?,
                keep_end: count("keep_end", 0, 1000, 0)?,
                with: character(&reader)?,
            },
            "generalize" => Rule::Generalize(Generalize::from_reader(&reader, column)?),
            "top_code" => top_code(&reader, column)?,
            _ => Rule::Noise {
                scale: reader.number("scale", f64::MIN_POSITIVE, 1e15)?.ok_or_else(|| {
                    error("scale", format!("noise of column \"{column}\" needs a scale"),
                        "For example {\"method\": \"noise\", \"scale\": 2}: the mean size of the noise, of dates in days.")
                })?,
                shape: reader
                    .choice("distribution", &[("laplace", Shape::Laplace), ("normal", Shape::Normal), ("uniform", Shape::Uniform)])?
                    .unwrap_or_default(),
            },
        })
    }

    /// How the column must be read, whose values are of such a kind by themselves; nothing where it need not be read.
    ///
    /// # Errors
    /// A rule for numbers or times of a column that has none.
    pub fn reading(&self, column: &str, own: Reading) -> Result<Option<Reading>, ParamError> {
        let wrong = |what: &str, of: &str| {
            error(
                column,
                format!("{what} of column \"{column}\" needs {of}"),
                "Cast the column in a SELECT, or choose another method.",
            )
        };
        let is_time = |v: &Option<Value>| matches!(v, Some(Value::Time(_)));
        Ok(match self {
            Rule::Keep | Rule::Suppress { .. } => None,
            Rule::Pseudonym { .. } | Rule::Mask { .. } | Rule::Shuffle => Some(Reading::Text),
            Rule::Generalize(Generalize::Keep(_) | Generalize::Hierarchy { .. }) => {
                Some(Reading::Text)
            }
            Rule::Generalize(Generalize::Width { .. }) if own == Reading::Number => Some(own),
            Rule::Generalize(Generalize::Width { .. }) => return Err(wrong("a width", "numbers")),
            Rule::Generalize(Generalize::Unit(_)) if own == Reading::Time => Some(own),
            Rule::Generalize(Generalize::Unit(_)) => return Err(wrong("a unit", "dates or times")),
            Rule::TopCode { min, max } => match own {
                Reading::Number if !is_time(min) && !is_time(max) => Some(own),
                Reading::Time if [min, max].into_iter().all(|b| b.is_none() || is_time(b)) => {
                    Some(own)
                }
                Reading::Number | Reading::Time => {
                    return Err(wrong("a bound", "values of its own type"));
                }
                _ => return Err(wrong("a bound", "numbers, dates or times")),
            },
            Rule::Noise { .. } if matches!(own, Reading::Number | Reading::Time) => Some(own),
            Rule::Noise { .. } => return Err(wrong("noise", "numbers, dates or times")),
        })
    }

    /// What values it gives of a column read so; nothing where any type can hold them.
    pub fn form(&self, reading: Reading) -> Option<Form> {
        match self {
            Rule::Keep | Rule::Suppress { .. } | Rule::Shuffle | Rule::Pseudonym { .. } => None,
            Rule::Mask { .. } => Some(Form::Text),
            Rule::Generalize(Generalize::Width { .. }) => Some(Form::Range),
            Rule::Generalize(Generalize::Unit(_)) => Some(Form::Span),
            Rule::Generalize(_) => Some(Form::Text),
            Rule::TopCode { .. } | Rule::Noise { .. } => Some(match reading {
                Reading::Time => Form::Time,
                _ => Form::Number,
            }),
        }
    }

    /// Whether a type can hold a pseudonym.
    pub fn holds_pseudonyms(target: Target) -> bool {
        matches!(target, Target::Text | Target::Long | Target::Uuid)
    }

    /// The value under a rule that looks at nothing else.
    pub(super) fn apply(&self, value: &Value) -> Value {
        match (self, value) {
            (
                Rule::Mask {
                    keep,
                    keep_end,
                    with,
                },
                Value::Text(text),
            ) => Value::Text(mask(text, *keep, *keep_end, *with)),
            (Rule::Generalize(how), value) => how.apply(value),
            (Rule::TopCode { min, max }, value) => {
                let beyond = |bound: &Option<Value>, above: bool| match (value, bound) {
                    (Value::Number(x), Some(Value::Number(y))) => {
                        if above {
                            x > y
                        } else {
                            x < y
                        }
                    }
                    (Value::Time(x), Some(Value::Time(y))) => {
                        if above {
                            x > y
                        } else {
                            x < y
                        }
                    }
                    _ => false,
                };
                let own = || value.clone();
                match (beyond(max, true), beyond(min, false)) {
                    (true, _) => max.clone().unwrap_or_else(own),
                    (_, true) => min.clone().unwrap_or_else(own),
                    _ => own(),
                }
            }
            (_, value) => value.clone(),
        }
    }
}

/// As many characters at both ends as stay, but never all of a text.
fn mask(text: &str, keep: usize, keep_end: usize, with: char) -> String {
    let length = text.chars().count();
    let all = keep + keep_end >= length;
    text.chars()
        .enumerate()
        .map(|(i, c)| {
            if !all && (i < keep || i + keep_end >= length) {
                c
            } else {
                with
            }
        })
        .collect()
}

fn constant(reader: &Reader<'_>) -> Result<Option<String>, ParamError> {
    match reader.get("value") {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(value @ (Json::Number(_) | Json::Bool(_))) => Ok(Some(value.to_string())),
        Some(_) => Err(Reader::wrong("value", "a text, a number, true or false")),
    }
}

fn character(reader: &Reader<'_>) -> Result<char, ParamError> {
    let given = text(reader, "with")?;
    let mut characters = given.as_deref().unwrap_or("*").chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Reader::wrong("with", "one character")),
    }
}

fn top_code(reader: &Reader<'_>, column: &str) -> Result<Rule, ParamError> {
    let bound = |option: &str| match reader.get(option) {
        None => Ok(None),
        Some(Json::String(text)) => match iso_day(text) {
            Some(day) => Ok(Some(Value::Time(day * DAY))),
            None => Err(Reader::wrong(
                option,
                "a number, or a date such as \"1940-01-01\"",
            )),
        },
        Some(value) => match value.as_f64() {
            Some(x) => Ok(Some(Value::Number(x))),
            None => Err(Reader::wrong(
                option,
                "a number, or a date such as \"1940-01-01\"",
            )),
        },
    };
    match (bound("min")?, bound("max")?) {
        (None, None) => Err(error(
            column,
            format!("top_code of column \"{column}\" needs max or min"),
            "For example {\"method\": \"top_code\", \"max\": 200000}.",
        )),
        (min, max) => Ok(Rule::TopCode { min, max }),
    }
}

#[cfg(test)]
#[path = "rule_test.rs"]
mod tests;
