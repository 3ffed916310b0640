//! Values made less exact.

use super::value::Value;
use crate::calendar::{self, iso};
use crate::params::{ParamError, reader::Reader};
use crate::privacy::asked::error;
use serde_json::Value as Json;
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000_000;

/// How a value becomes less exact.
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

impl Generalize {
    pub(super) fn from_reader(reader: &Reader<'_>, column: &str) -> Result<Generalize, ParamError> {
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

    pub(super) fn apply(&self, value: &Value) -> Value {
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
    /// The unit a time lies in; it is stood for by its beginning. Times beyond what microseconds can tell stay within.
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
                (monday, monday + 7, iso(monday.saturating_mul(DAY)))
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
            low: low.saturating_mul(DAY),
            high: high.saturating_mul(DAY),
            closed: false,
            centre: low.saturating_mul(DAY),
            label,
        }
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
