//! What sets a group of rows apart, in words and as figures.

use crate::calendar::iso;
use crate::fit::label_of;
use crate::frame::{Cell, Column, Frame, Kind, tags};
use crate::synth::{is_number, number, text};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A value sets a group apart from this difference of its shares on, a number from this delta on: a medium one (Romano and others
/// 2006), for groups in the middle differ a little from those on both sides.
const LEAST_SHARE: f64 = 0.2;
const LEAST_DELTA: f64 = 0.33;
/// What is told of a group, at most, and what names it.
const TOLD: usize = 5;
const NAMED: usize = 2;

/// A group in words.
pub(crate) struct Told {
    /// Short, and no other's.
    pub name: String,
    pub description: String,
    /// What sets the group apart, by falling effect: for a number the `value` that is in the middle of the group and the
    /// `typical` one of all rows; else a `value`, its `share` in the group and its `share_of_all`. The `effect` is Cliff's delta
    /// (1993) between the group and the others; of a value, the difference of its shares. From -1 to 1.
    pub differs: Vec<Value>,
}

impl Told {
    /// What sets the rows `inside` apart; the names `taken` are those of other groups.
    pub(crate) fn of(columns: &[Judged<'_>], inside: &[bool], taken: &[String]) -> Told {
        let mut traits: Vec<Trait> = columns.iter().filter_map(|c| c.differs(inside)).collect();
        traits.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
        traits.truncate(TOLD);
        let told: Vec<&str> = traits.iter().map(|t| t.told.as_str()).collect();
        Told {
            name: name(&traits, taken),
            description: match told.is_empty() {
                true => "like most".into(),
                false => told.join(", "),
            },
            differs: traits.into_iter().map(|t| t.figures).collect(),
        }
    }
}

/// A short name that no other has.
fn name(traits: &[Trait], taken: &[String]) -> String {
    let words: Vec<&str> = traits.iter().map(|t| t.name.as_str()).collect();
    for count in NAMED.min(words.len()).max(1)..=words.len() {
        let name = words[..count].join(", ");
        if !taken.contains(&name) {
            return name;
        }
    }
    let plain = match words.is_empty() {
        true => "typical".to_owned(),
        false => words.join(", "),
    };
    let mut names = (1..).map(|n| match n {
        1 => plain.clone(),
        n => format!("{plain} ({n})"),
    });
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

/// What sets a group apart in a column.
struct Trait {
    effect: f64,
    name: String,
    told: String,
    figures: Value,
}

/// A column, ready to be compared between groups.
pub(crate) struct Judged<'a> {
    column: &'a Column,
    values: Side,
}

enum Side {
    /// Rows that have a value, by rising value, with their ranks from 1 (equal values share one), and the median.
    Number { order: Vec<(usize, f64, f64)> },
    /// Rows of each value.
    Value(BTreeMap<String, Vec<usize>>),
}

impl<'a> Judged<'a> {
    pub(crate) fn of(column: &'a Column) -> Judged<'a> {
        let rows = 0..column.len();
        if !is_number(column.kind) {
            let mut values: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            rows.filter(|row| !column.nulls.get(*row)).for_each(|row| {
                let value = text(column.cell(row));
                values.entry(value).or_default().push(row);
            });
            let values = Side::Value(values);
            return Judged { column, values };
        }
        let mut known: Vec<(usize, f64)> = rows
            .filter_map(|row| Some((row, number(column.cell(row))?)))
            .collect();
        known.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut order = Vec::with_capacity(known.len());
        let mut start = 0;
        for same in known.chunk_by(|a, b| a.1 == b.1) {
            let rank = start as f64 + (same.len() as f64 + 1.0) / 2.0;
            order.extend(same.iter().map(|(row, x)| (*row, *x, rank)));
            start += same.len();
        }
        Judged {
            column,
            values: Side::Number { order },
        }
    }

    /// What sets the rows of a group apart, if anything does: the more marked of values and gaps.
    fn differs(&self, inside: &[bool]) -> Option<Trait> {
        let own = match &self.values {
            Side::Number { order } => self.number(order, inside),
            Side::Value(values) => self.value(values, inside),
        };
        let nulls = &self.column.nulls;
        let size = inside.iter().filter(|i| **i).count();
        let missing = (0..inside.len()).filter(|row| nulls.get(*row));
        let missing = Shares::of(missing, inside, size);
        let name = &self.column.name;
        let gap = (missing.effect() >= LEAST_SHARE).then(|| Trait {
            effect: missing.effect(),
            name: format!("unknown {name}"),
            told: format!("{name} unknown ({})", missing.told()),
            figures: missing.figures(name, Value::Null),
        });
        match (own, gap) {
            (Some(own), Some(gap)) if own.effect.abs() >= gap.effect => Some(own),
            (own, None) => own,
            (_, gap) => gap,
        }
    }

    fn number(&self, order: &[(usize, f64, f64)], inside: &[bool]) -> Option<Trait> {
        let own: Vec<&(usize, f64, f64)> = order.iter().filter(|(row, ..)| inside[*row]).collect();
        let (count, others) = (own.len() as f64, (order.len() - own.len()) as f64);
        if count == 0.0 || others == 0.0 {
            return None;
        }
        let ranks: f64 = own.iter().map(|(.., rank)| rank).sum();
        // The share of pairs in which the group's row is greater less that in which it is smaller.
        let effect = 2.0 * (ranks - count * (count + 1.0) / 2.0) / (count * others) - 1.0;
        if effect.abs() < LEAST_DELTA {
            return None;
        }
        let (value, typical) = (own[own.len() / 2].1, order[order.len() / 2].1);
        let column = self.column;
        let name = &column.name;
        let word = match (column.kind == Kind::Time, effect > 0.0) {
            (true, true) => "late",
            (true, false) => "early",
            (false, true) => "high",
            (false, false) => "low",
        };
        Some(Trait {
            effect,
            name: format!("{word} {name}"),
            told: format!(
                "{name} {} (typical {})",
                figure(column, value),
                figure(column, typical)
            ),
            figures: json!({
                "column": name,
                "value": of_number(column, value),
                "typical": of_number(column, typical),
                "effect": effect,
            }),
        })
    }

    fn value(&self, values: &BTreeMap<String, Vec<usize>>, inside: &[bool]) -> Option<Trait> {
        let size = inside.iter().filter(|i| **i).count();
        let each = values.iter().map(|(value, rows)| {
            let shares = Shares::of(rows.iter().copied(), inside, size);
            (value, shares)
        });
        let (value, shares) = each.max_by(|a, b| a.1.effect().total_cmp(&b.1.effect()))?;
        if shares.effect() < LEAST_SHARE {
            return None;
        }
        let column = self.column;
        let name = &column.name;
        let row = *values[value].first()?;
        let shown = match column.cell(row) {
            Cell::Tags(packed) => tags(packed).collect::<Vec<_>>().join(" and "),
            Cell::Json(text) => text.to_owned(),
            cell => label_of(cell),
        };
        Some(Trait {
            effect: shares.effect(),
            name: match column.cell(row) {
                Cell::Boolean(true) => name.clone(),
                Cell::Boolean(false) => format!("no {name}"),
                _ => format!("{name} {shown}"),
            },
            told: format!("{name} {shown} ({})", shares.told()),
            figures: shares.figures(name, json_of(column, row)),
        })
    }
}

/// How often something is met in a group, among the others, and among all.
struct Shares {
    inside: f64,
    outside: f64,
    all: f64,
}

impl Shares {
    /// Of rows that have it; `size` rows are inside.
    fn of(rows: impl Iterator<Item = usize>, inside: &[bool], size: usize) -> Shares {
        let (mut own, mut count) = (0, 0);
        for row in rows {
            own += usize::from(inside[row]);
            count += 1;
        }
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        Shares {
            inside: share(own, size),
            // There may be no others, and then nothing is set apart.
            outside: match inside.len() - size {
                0 => share(own, size),
                others => share(count - own, others),
            },
            all: share(count, inside.len()),
        }
    }

    fn effect(&self) -> f64 {
        self.inside - self.outside
    }

    fn told(&self) -> String {
        format!(
            "{:.0}% against {:.0}%",
            100.0 * self.inside,
            100.0 * self.all
        )
    }

    fn figures(&self, column: &str, value: Value) -> Value {
        json!({
            "column": column,
            "value": value,
            "share": self.inside,
            "share_of_all": self.all,
            "effect": self.effect(),
        })
    }
}

/// A row as JSON; images and vectors are left out.
pub(crate) fn row(frame: &Frame, row: usize) -> Map<String, Value> {
    let shown = frame
        .columns
        .iter()
        .filter(|c| !matches!(c.kind, Kind::Vector | Kind::Image));
    shown
        .map(|column| (column.name.clone(), json_of(column, row)))
        .collect()
}

pub(super) fn json_of(column: &Column, row: usize) -> Value {
    match column.cell(row) {
        Cell::Null | Cell::Vector(_) | Cell::Image(_) => Value::Null,
        Cell::Boolean(x) => x.into(),
        Cell::Text(text) => text.into(),
        Cell::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Cell::Tags(packed) => tags(packed).collect(),
        Cell::Number(x) | Cell::Duration(x) => of_number(column, x),
        Cell::Time(at) => of_number(column, at as f64),
    }
}

/// A value of a column of numbers or times as JSON.
pub(super) fn of_number(column: &Column, x: f64) -> Value {
    match column.kind {
        Kind::Time => iso(x as i64).into(),
        Kind::Duration => format!("{x} seconds").into(),
        _ if x.fract() == 0.0 && x.abs() < 1e15 => (x as i64).into(),
        _ => x.into(),
    }
}

/// A value of a column of numbers or times, short.
pub(crate) fn figure(column: &Column, x: f64) -> String {
    match column.kind {
        Kind::Time => {
            let day = iso(x as i64);
            day.split(' ').next().unwrap_or_default().to_owned()
        }
        Kind::Duration => format!("{} seconds", short(x)),
        _ => short(x),
    }
}

/// Four digits, or all before the point.
pub(crate) fn short(x: f64) -> String {
    if x.fract() == 0.0 || x.abs() >= 1000.0 {
        return format!("{x:.0}");
    }
    let digits = (3 - x.abs().max(1e-12).log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{x:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn figures_are_short() {
        let shown = [240.0, 0.12345, 79.996, 1234.5, -3.5, 0.0].map(short);
        assert_eq!(shown, ["240", "0.1235", "80", "1234", "-3.5", "0"]);
    }
}
