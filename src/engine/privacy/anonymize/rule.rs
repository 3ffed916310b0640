//! What is done to the values of one column.

use super::value::{Form, Target, Value};
use crate::calendar::{self, iso};
use crate::params::{ParamError, reader::Reader};
use crate::privacy::asked::{error, object, text};
use crate::privacy::pii::iso_day;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

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

#[derive(Debug, Clone, PartialEq)]
pub enum Generalize {
    /// Numbers to ranges of this width, of which one begins at `start`.
    Width { width: f64, start: f64 },
    /// Times to units of the calendar.
    Unit(Unit),
    /// Texts to their first characters.
    Keep(usize),
    /// Texts to what stands above them, so many levels up; without a level only as far as k-anonymity needs.
    Hierarchy {
        parents: BTreeMap<String, Vec<String>>,
        level: Option<usize>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
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

impl Generalize {
    fn from_reader(reader: &Reader<'_>, column: &str) -> Result<Generalize, ParamError> {
        let given = ["hierarchy", "keep", "unit", "width"];
        let given: Vec<&str> = given
            .into_iter()
            .filter(|key| reader.get(key).is_some())
            .collect();
        let hint = "For example {\"method\": \"generalize\", \"width\": 10}, \"unit\": \"year\", \"keep\": 3, or \
             \"hierarchy\": {\"Rome\": [\"Italy\", \"Europe\"]}.";
        let &[one] = given.as_slice() else {
            let message = format!(
                "generalize of column \"{column}\" needs one of width, unit, keep, hierarchy"
            );
            return Err(error(column, message, hint));
        };
        for (option, with) in [("start", "width"), ("level", "hierarchy")] {
            if reader.get(option).is_some() && one != with {
                return Err(error(
                    option,
                    format!("option \"{option}\" goes with \"{with}\""),
                    hint,
                ));
            }
        }
        Ok(match one {
            "width" => Generalize::Width {
                width: reader.number("width", 1e-12, 1e15)?.unwrap_or(1.0),
                start: reader.number("start", -1e15, 1e15)?.unwrap_or(0.0),
            },
            "unit" => {
                let units = [
                    ("day", Unit::Day),
                    ("week", Unit::Week),
                    ("month", Unit::Month),
                    ("quarter", Unit::Quarter),
                    ("year", Unit::Year),
                    ("decade", Unit::Decade),
                ];
                Generalize::Unit(reader.choice("unit", &units)?.unwrap_or(Unit::Year))
            }
            "keep" => Generalize::Keep(reader.integer("keep", 0, 1000)?.unwrap_or(0) as usize),
            _ => Generalize::Hierarchy {
                parents: hierarchy(reader, column)?,
                level: reader.integer("level", 1, 100)?.map(|level| level as usize),
            },
        })
    }

    fn apply(&self, value: &Value) -> Value {
        match (self, value) {
            (Generalize::Width { width, start }, Value::Number(x)) => {
                let low = start + ((x - start) / width).floor() * width;
                Value::Range {
                    low,
                    high: low + width,
                    closed: false,
                    centre: low + width / 2.0,
                }
            }
            (Generalize::Unit(unit), Value::Time(at)) => unit.span(*at),
            (Generalize::Keep(keep), Value::Text(text)) => Value::Text(
                text.chars()
                    .enumerate()
                    .map(|(i, c)| if i < *keep { c } else { '*' })
                    .collect(),
            ),
            (
                Generalize::Hierarchy {
                    parents,
                    level: Some(level),
                },
                Value::Text(text),
            ) => {
                let above = parents
                    .get(text)
                    .and_then(|own| own.get((*level).min(own.len()) - 1));
                // What the hierarchy does not know is not given away.
                Value::Text(above.cloned().unwrap_or_else(|| "*".into()))
            }
            (_, value) => value.clone(),
        }
    }
}

impl Unit {
    /// The unit a time lies in; it is stood for by its beginning.
    fn span(self, at: i64) -> Value {
        let days = at.div_euclid(DAY);
        let (year, month, day) = calendar::date(days);
        let first = |year: i64, month: u32| calendar::days(year, month, 1).unwrap_or(days);
        let quarter = (month - 1) / 3;
        let decade = year.div_euclid(10) * 10;
        let (low, high, label) = match self {
            Unit::Day => (days, days + 1, format!("{year:04}-{month:02}-{day:02}")),
            Unit::Week => {
                // 2000-01-03 was a Monday.
                let monday = days - (days - 2).rem_euclid(7);
                (monday, monday + 7, iso(monday * DAY))
            }
            Unit::Month => {
                let next = first(year + i64::from(month / 12), month % 12 + 1);
                (first(year, month), next, format!("{year:04}-{month:02}"))
            }
            Unit::Quarter => {
                let next = first(year + i64::from(quarter / 3), (quarter * 3 + 3) % 12 + 1);
                (
                    first(year, quarter * 3 + 1),
                    next,
                    format!("{year:04}-Q{}", quarter + 1),
                )
            }
            Unit::Year => (first(year, 1), first(year + 1, 1), format!("{year:04}")),
            Unit::Decade => (
                first(decade, 1),
                first(decade + 10, 1),
                format!("{decade:04}s"),
            ),
        };
        Value::Span {
            low: low * DAY,
            high: high * DAY,
            closed: false,
            centre: low * DAY,
            label,
        }
    }
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

fn hierarchy(
    reader: &Reader<'_>,
    column: &str,
) -> Result<BTreeMap<String, Vec<String>>, ParamError> {
    let wrong = || {
        error(
            column,
            format!("the hierarchy of column \"{column}\" must be an object of arrays of texts"),
            "What stands above each value, the nearest first: {\"Rome\": [\"Italy\", \"Europe\"]}.",
        )
    };
    let Some(Json::Object(given)) = reader.get("hierarchy") else {
        return Err(wrong());
    };
    let mut parents = BTreeMap::new();
    for (value, above) in given {
        let above = above
            .as_array()
            .filter(|above| !above.is_empty())
            .ok_or_else(wrong)?;
        let above: Option<Vec<String>> = above
            .iter()
            .map(|a| a.as_str().map(str::to_owned))
            .collect();
        parents.insert(value.clone(), above.ok_or_else(wrong)?);
    }
    Ok(parents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(json: Json) -> Rule {
        Rule::from_json("c", &json).unwrap()
    }

    #[test]
    fn rules_are_checked() {
        for bad in [
            json!("hash"),
            json!(3),
            json!({}),
            json!({"method": "mask", "width": 2}),
            json!({"method": "mask", "with": "xx"}),
            json!({"method": "generalize"}),
            json!({"method": "generalize", "width": 2, "unit": "year"}),
            json!({"method": "generalize", "width": 0}),
            json!({"method": "generalize", "keep": 2, "level": 1}),
            json!({"method": "generalize", "unit": "century"}),
            json!({"method": "generalize", "hierarchy": {"a": []}}),
            json!({"method": "top_code"}),
            json!({"method": "top_code", "max": "soon"}),
            json!({"method": "noise"}),
            json!({"method": "noise", "scale": -1}),
            json!({"method": "pseudonym", "length": 4}),
            json!({"method": "suppress", "value": []}),
        ] {
            let error = Rule::from_json("c", &bad).unwrap_err();
            assert!(!error.hint.is_empty(), "{bad}");
        }
        assert_eq!(rule(json!("keep")), Rule::Keep);
        assert_eq!(rule(json!("suppress")), Rule::Suppress { with: None });
    }

    #[test]
    fn texts_are_masked_and_cut() {
        let masked = |json, text: &str| match rule(json).apply(&Value::Text(text.into())) {
            Value::Text(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            masked(json!({"method": "mask", "keep": 2}), "+4915112345"),
            "+4*********"
        );
        assert_eq!(
            masked(
                json!({"method": "mask", "keep_end": 4, "with": "x"}),
                "4111222233334444"
            ),
            "xxxxxxxxxxxx4444"
        );
        // A short text would be given out whole.
        assert_eq!(
            masked(json!({"method": "mask", "keep": 2, "keep_end": 2}), "Anna"),
            "****"
        );
        assert_eq!(
            masked(json!({"method": "generalize", "keep": 3}), "94105"),
            "941**"
        );
        let places =
            json!({"method": "generalize", "level": 1, "hierarchy": {"Rome": ["Italy", "Europe"]}});
        assert_eq!(masked(places.clone(), "Rome"), "Italy");
        assert_eq!(masked(places, "Atlantis"), "*");
    }

    #[test]
    fn numbers_and_times_become_ranges() {
        let width = rule(json!({"method": "generalize", "width": 10}));
        let Value::Range { low, high, .. } = width.apply(&Value::Number(-3.0)) else {
            panic!()
        };
        assert_eq!((low, high), (-10.0, 0.0));
        let at = calendar::days(2024, 12, 31).unwrap() * DAY + 5;
        for (unit, expected, from, to) in [
            ("day", "2024-12-31", (2024, 12, 31), (2025, 1, 1)),
            ("week", "2024-12-30", (2024, 12, 30), (2025, 1, 6)),
            ("month", "2024-12", (2024, 12, 1), (2025, 1, 1)),
            ("quarter", "2024-Q4", (2024, 10, 1), (2025, 1, 1)),
            ("year", "2024", (2024, 1, 1), (2025, 1, 1)),
            ("decade", "2020s", (2020, 1, 1), (2030, 1, 1)),
        ] {
            let Value::Span {
                low, high, label, ..
            } = rule(json!({"method": "generalize", "unit": unit})).apply(&Value::Time(at))
            else {
                panic!()
            };
            let day = |(y, m, d)| calendar::days(y, m, d).unwrap() * DAY;
            assert_eq!((label.as_str(), low, high), (expected, day(from), day(to)));
        }
        let top = rule(json!({"method": "top_code", "max": 100, "min": 10}));
        for (x, expected) in [(500.0, 100.0), (1.0, 10.0), (50.0, 50.0)] {
            assert_eq!(top.apply(&Value::Number(x)), Value::Number(expected));
        }
        let top = rule(json!({"method": "top_code", "min": "1940-01-01"}));
        assert_eq!(
            top.apply(&Value::Time(i64::MIN / 2)),
            Value::Time(calendar::days(1940, 1, 1).unwrap() * DAY)
        );
    }

    #[test]
    fn a_rule_knows_what_it_can_be_used_for() {
        let width = rule(json!({"method": "generalize", "width": 10}));
        assert_eq!(
            width.reading("c", Reading::Number),
            Ok(Some(Reading::Number))
        );
        assert!(width.reading("c", Reading::Text).is_err());
        assert!(
            rule(json!({"method": "noise", "scale": 1}))
                .reading("c", Reading::Boolean)
                .is_err()
        );
        assert!(
            rule(json!({"method": "top_code", "max": 1}))
                .reading("c", Reading::Time)
                .is_err()
        );
        assert_eq!(
            rule(json!("pseudonym")).reading("c", Reading::Number),
            Ok(Some(Reading::Text))
        );
    }
}
