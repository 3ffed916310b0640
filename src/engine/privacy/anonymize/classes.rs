//! What stands in a class of rows for the values that its rows have.

use super::generalize::Generalize;
use super::mondrian::{Dimension, Places};
use super::rule::Rule;
use super::value::{Value, span};
use crate::frame::{Cell, Column};
use std::collections::BTreeMap;

/// A set of more texts than this is written as `*`.
const MOST_TEXTS: usize = 8;

/// The different values of a column, NULL and the lowest first, and which each row has.
pub struct Distinct {
    pub values: Vec<Option<Value>>,
    pub codes: Vec<u32>,
}

impl Distinct {
    /// The values of a column under a rule that looks at nothing else.
    pub fn of(column: &Column, rule: Option<&Rule>) -> Distinct {
        let (first, codes) = known(column);
        let under = |value: Option<Value>| match (value, rule) {
            (Some(value), Some(rule)) => Some(rule.apply(&value)),
            (value, _) => value,
        };
        let values: Vec<Option<Value>> = first.into_iter().map(under).collect();
        let paths = parents(rule);
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_by(|a, b| compare(&values[*a as usize], &values[*b as usize], paths));
        let mut sorted: Vec<Option<Value>> = Vec::new();
        let mut ranks = vec![0u32; values.len()];
        for at in order {
            let value = &values[at as usize];
            if sorted.last() != Some(value) {
                sorted.push(value.clone());
            }
            ranks[at as usize] = sorted.len() as u32 - 1;
        }
        Distinct {
            values: sorted,
            codes: codes.into_iter().map(|code| ranks[code as usize]).collect(),
        }
    }

    /// As a dimension to cut.
    pub fn dimension(&self) -> Dimension {
        let has_null = self.values.first().is_some_and(Option::is_none);
        let place = |value: &Option<Value>| match value {
            Some(Value::Boolean(_) | Value::Text(_)) | None => None,
            Some(value) => value
                .numbers()
                .map(|(low, ..)| low)
                .or(value.times().map(|(low, ..)| low as f64)),
        };
        let numbers: Vec<f64> = self.values.iter().filter_map(place).collect();
        let own = self.values.len() - usize::from(has_null);
        let places = if own > 0 && numbers.len() == own {
            let (low, high) = (numbers[0], numbers[own - 1]);
            let share = |x: &f64| {
                if high > low {
                    (x - low) / (high - low)
                } else {
                    0.0
                }
            };
            let null = has_null.then_some(0.0);
            Places::Numbers(null.into_iter().chain(numbers.iter().map(share)).collect())
        } else {
            Places::Categories(self.values.len())
        };
        Dimension {
            codes: self.codes.clone(),
            places,
            has_null,
        }
    }
}

/// What a rule says stands above texts.
fn parents(rule: Option<&Rule>) -> Option<&BTreeMap<String, Vec<String>>> {
    match rule {
        Some(Rule::Generalize(Generalize::Hierarchy {
            parents,
            level: None,
        })) => Some(parents),
        _ => None,
    }
}

/// The different values of a column in any order, and which each row has.
fn known(column: &Column) -> (Vec<Option<Value>>, Vec<u32>) {
    let ranks = crate::privacy::sensitive::ranks(column);
    let mut values = vec![None; ranks.iter().max().map_or(0, |most| *most as usize + 1)];
    for (row, rank) in ranks.iter().enumerate() {
        let value = &mut values[*rank as usize];
        if value.is_none() {
            *value = match column.cell(row) {
                Cell::Number(x) | Cell::Duration(x) => Some(Value::Number(x)),
                Cell::Time(at) => Some(Value::Time(at)),
                Cell::Boolean(x) => Some(Value::Boolean(x)),
                Cell::Text(text) => Some(Value::Text(text.to_owned())),
                _ => None,
            };
        }
    }
    (values, ranks)
}

/// NULL first, then by value; texts by what stands above them, so that relatives lie together.
fn compare(
    a: &Option<Value>,
    b: &Option<Value>,
    parents: Option<&BTreeMap<String, Vec<String>>>,
) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let path = |text: &str| {
        let above = parents
            .and_then(|own| own.get(text))
            .map(Vec::as_slice)
            .unwrap_or_default();
        above.iter().rev().cloned().collect::<Vec<String>>()
    };
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(Value::Text(a)), Some(Value::Text(b))) if parents.is_some() => {
            path(a).cmp(&path(b)).then(a.cmp(b))
        }
        (Some(Value::Text(a)), Some(Value::Text(b))) => a.cmp(b),
        (Some(Value::Boolean(a)), Some(Value::Boolean(b))) => a.cmp(b),
        (Some(a), Some(b)) => match (a.numbers(), b.numbers(), a.times(), b.times()) {
            (Some(a), Some(b), ..) => a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)),
            (_, _, Some(a), Some(b)) => a.0.cmp(&b.0).then(a.1.cmp(&b.1)),
            _ => Ordering::Equal,
        },
    }
}

/// The value that stands for the rows of a class; `None` for NULL, also where some of them have no value.
pub fn common(
    distinct: &Distinct,
    rows: &[u32],
    rule: Option<&Rule>,
    codes: &mut Vec<u32>,
) -> Option<Value> {
    codes.clear();
    codes.extend(rows.iter().map(|row| distinct.codes[*row as usize]));
    codes.sort_unstable();
    let median = codes[(codes.len() - 1) / 2];
    codes.dedup();
    let value = |code: u32| distinct.values[code as usize].as_ref();
    let (first, last) = (value(codes[0])?, value(*codes.last()?)?);
    if codes.len() == 1 {
        return Some(first.clone());
    }
    if let (Some((low, ..)), Some((_, high, closed, _))) = (first.numbers(), last.numbers()) {
        let (.., centre) = value(median)?.numbers()?;
        return Some(Value::Range {
            low,
            high,
            closed,
            centre,
        });
    }
    if let (Some((low, ..)), Some((_, high, closed, _))) = (first.times(), last.times()) {
        let (.., centre) = value(median)?.times()?;
        return Some(Value::Span {
            low,
            high,
            closed,
            centre,
            label: span(low, high, closed),
        });
    }
    let texts: Vec<&str> = codes
        .iter()
        .filter_map(|code| match value(*code) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    (!texts.is_empty()).then(|| Value::Text(set(&texts, parents(rule))))
}

/// What several texts have in common: what stands above all of them; of codes of one length, their beginning; else all of them.
fn set(texts: &[&str], parents: Option<&BTreeMap<String, Vec<String>>>) -> String {
    if let Some(parents) = parents {
        let paths: Vec<&Vec<String>> = texts.iter().filter_map(|text| parents.get(*text)).collect();
        let shared = paths
            .first()
            .filter(|_| paths.len() == texts.len())
            .and_then(|first| {
                first
                    .iter()
                    .find(|above| paths.iter().all(|path| path.contains(above)))
            });
        return shared.cloned().unwrap_or_else(|| "*".into());
    }
    let first = texts[0];
    let coded = |text: &&str| {
        text.len() == first.len() && text.is_ascii() && text.bytes().any(|b| b.is_ascii_digit())
    };
    if first.len() > 2 && texts.iter().all(coded) {
        let same = |other: &&str| {
            first
                .bytes()
                .zip(other.bytes())
                .take_while(|(a, b)| a == b)
                .count()
        };
        let length = texts.iter().map(same).min().unwrap_or(0);
        return first[..length].to_owned() + &"*".repeat(first.len() - length);
    }
    if texts.len() > MOST_TEXTS {
        return "*".into();
    }
    format!("{{{}}}", texts.join(", "))
}

/// How much of what a column tells is lost in a class, from 0 to 1 (normalised certainty penalty; Xu and others 2006).
pub fn lost(dimension: &Dimension, rows: &[u32]) -> f64 {
    let codes = || rows.iter().map(|row| dimension.codes[*row as usize]);
    let (low, high) = codes().fold((u32::MAX, 0), |(low, high), code| {
        (low.min(code), high.max(code))
    });
    if low == high {
        return 0.0;
    }
    if dimension.has_null && low == 0 {
        return 1.0;
    }
    match &dimension.places {
        Places::Numbers(places) => places[high as usize] - places[low as usize],
        Places::Categories(count) => {
            let mut own: Vec<u32> = codes().collect();
            own.sort_unstable();
            own.dedup();
            (own.len() - 1) as f64 / (*count - 1) as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Kind;
    use serde_json::json;

    fn texts(values: &[&str]) -> Column {
        let mut column = Column::new("c", "text", Kind::Category);
        values.iter().for_each(|v| column.push(Cell::Text(v)));
        column
    }

    fn of(column: &Column, rule: Option<&Rule>) -> Option<Value> {
        let distinct = Distinct::of(column, rule);
        let rows: Vec<u32> = (0..column.len() as u32).collect();
        common(&distinct, &rows, rule, &mut Vec::new())
    }

    #[test]
    fn a_class_of_texts_is_a_set_a_beginning_or_what_is_above() {
        let text = |t: &str| Some(Value::Text(t.into()));
        assert_eq!(of(&texts(&["b", "a", "b"]), None), text("{a, b}"));
        assert_eq!(of(&texts(&["94105", "94110"]), None), text("941**"));
        assert_eq!(of(&texts(&["a", "a"]), None), text("a"));
        let many: Vec<String> = (0..20).map(|i| "x".repeat(i + 1)).collect();
        assert_eq!(
            of(
                &texts(&many.iter().map(String::as_str).collect::<Vec<_>>()),
                None
            ),
            text("*")
        );
        let places = json!({"method": "generalize", "hierarchy":
            {"Rome": ["Italy", "Europe"], "Milan": ["Italy", "Europe"], "Paris": ["France", "Europe"]}});
        let rule = Rule::from_json("c", &places).unwrap();
        assert_eq!(of(&texts(&["Rome", "Milan"]), Some(&rule)), text("Italy"));
        assert_eq!(of(&texts(&["Rome", "Paris"]), Some(&rule)), text("Europe"));
        assert_eq!(of(&texts(&["Rome", "Oslo"]), Some(&rule)), text("*"));
    }

    #[test]
    fn a_class_of_numbers_is_a_range_with_its_median() {
        let mut ages = Column::new("age", "integer", Kind::Number);
        [40.0, 20.0, 25.0]
            .iter()
            .for_each(|x| ages.push(Cell::Number(*x)));
        let expected = Value::Range {
            low: 20.0,
            high: 40.0,
            closed: true,
            centre: 25.0,
        };
        assert_eq!(of(&ages, None), Some(expected));
        let width = Rule::from_json("age", &json!({"method": "generalize", "width": 10})).unwrap();
        let expected = Value::Range {
            low: 20.0,
            high: 50.0,
            closed: false,
            centre: 25.0,
        };
        assert_eq!(of(&ages, Some(&width)), Some(expected));
        ages.push(Cell::Null);
        assert_eq!(of(&ages, None), None);
    }

    #[test]
    fn relatives_lie_together() {
        let places =
            json!({"method": "generalize", "hierarchy": {"A": ["z"], "B": ["y"], "C": ["z"]}});
        let rule = Rule::from_json("c", &places).unwrap();
        let found = Distinct::of(&texts(&["A", "B", "C"]), Some(&rule));
        assert_eq!(found.codes, [1, 0, 2]);
    }
}
